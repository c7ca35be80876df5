"""Workspaces: teams and people that hold projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib import parse

from swanlab_export.client import Client, Request
from swanlab_export.endpoints.items import check_same, identify_by

if TYPE_CHECKING:
    from swanlab_export.refs import WorkspaceRef

identify = identify_by("username")


def fetch_workspace(client: Client, ref: WorkspaceRef) -> Any:
    """Fetch one workspace: ``GET /group/{username}``."""
    payload = client.send(Request("GET", f"/group/{ref.url_path}"))
    check_same(payload, ["username"], ref.workspace, "workspace")
    return payload


def fetch_workspaces_of(client: Client, username: str) -> Any:
    """Fetch the workspaces that a user is in: ``GET /user/{username}/groups``."""
    return client.send(Request("GET", f"/user/{parse.quote(username, safe='')}/groups"))
