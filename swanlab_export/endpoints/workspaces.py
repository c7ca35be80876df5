"""Workspaces: teams and people that hold projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib import parse

from swanlab_export.client import Client, Request
from swanlab_export.endpoints.items import check_same, identify_by
from swanlab_export.errors import NotFoundError
from swanlab_export.normalizers.values import as_list, as_object

if TYPE_CHECKING:
    from swanlab_export.refs import WorkspaceRef

identify = identify_by("username")


def fetch_workspace(client: Client, ref: WorkspaceRef) -> Any:
    """Fetch one workspace: ``GET /group/{username}``."""
    payload = client.send(Request("GET", f"/group/{ref.url_path}"))
    check_same(payload, ["username"], ref.workspace, "workspace")
    return payload


def fetch_own_workspaces(client: Client) -> dict[str, Any] | None:
    """Fetch one's own workspaces by name, as servers of the clients 0.7 list them: ``GET /group/``.

    None where the server has no such list.
    """
    try:
        payload = client.send(Request("GET", "/group/"))
    except NotFoundError:
        return None
    found = as_list(as_object(payload, "workspaces").get("list"), "a list of workspaces")
    return {read_username(item): item for item in found}


def read_username(payload: Any) -> str:
    """Read the name of a workspace; "" where it has none."""
    found = payload.get("username") if isinstance(payload, dict) else None
    return found if isinstance(found, str) else ""


def fetch_workspaces_of(client: Client, username: str) -> Any:
    """Fetch the workspaces that a user is in: ``GET /user/{username}/groups``."""
    return client.send(Request("GET", f"/user/{parse.quote(username, safe='')}/groups"))
