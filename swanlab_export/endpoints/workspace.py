"""Workspaces: teams and people that hold projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.client import Client, Request

if TYPE_CHECKING:
    from swanlab_export.refs import WorkspaceRef


def fetch_workspace(client: Client, ref: WorkspaceRef) -> Any:
    """Fetch one workspace: ``GET /group/{username}``."""
    return client.send(Request("GET", f"/group/{ref.url_path}"))
