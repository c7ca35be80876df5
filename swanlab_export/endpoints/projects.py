"""Projects: what holds runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.client import Client, Request
from swanlab_export.endpoints.items import check_same, identify_by
from swanlab_export.errors import ServerError
from swanlab_export.refs import ProjectRef

if TYPE_CHECKING:
    from swanlab_export.refs import WorkspaceRef

identify = identify_by("cuid")


def fetch_project(client: Client, ref: ProjectRef) -> Any:
    """Fetch one project: ``GET /project/{workspace}/{project}``."""
    payload = client.send(Request("GET", f"/project/{ref.url_path}"))
    if isinstance(payload, dict) and payload.get("path"):
        check_same(payload, ["path"], str(ref), "project")
    else:
        check_same(payload, ["name"], ref.project, "project")
    return payload


def read_project_id(payload: Any) -> str:
    """Read the id of a project.

    Raises:
        ServerError: It has none.
    """
    found = payload.get("cuid") if isinstance(payload, dict) else None
    if not isinstance(found, str) or not found:
        raise ServerError("the server sent a project without an id")
    return found


def read_project_ref(payload: Any) -> ProjectRef:
    """Read the path of a project.

    Raises:
        ServerError: It has none.
    """
    fields = payload if isinstance(payload, dict) else {}
    group = fields.get("group")
    workspace = fields.get("username") or (isinstance(group, dict) and group.get("username"))
    name = fields.get("name")
    if isinstance(workspace, str) and isinstance(name, str) and workspace and name:
        return ProjectRef(workspace, name)
    path = str(fields.get("path") or "").split("/")
    if len(path) != 2 or not all(path):
        raise ServerError("the server sent a project without a path")
    return ProjectRef(*path)


def projects_page(
    ref: WorkspaceRef, page: int, size: int, *, search: str | None, sort: str | None
) -> Request:
    """Ask for a page of a workspace's projects: ``GET /project/{workspace}``."""
    params: list[tuple[str, str | int]] = [("page", page), ("size", size), ("detail", "true")]
    if sort:
        params.append(("sort", sort))
    if search:
        params.append(("search", search))
    return Request("GET", f"/project/{ref.url_path}", params=tuple(params))


def create_project(
    client: Client, workspace: WorkspaceRef, name: str, visibility: str, description: str | None
) -> Any:
    """Create a project: ``POST /project``. Never repeated: it may have been created."""
    body = {"name": name, "visibility": visibility, "username": workspace.workspace}
    if description is not None:
        body["description"] = description
    return client.send(Request("POST", "/project", body=body, repeatable=False))
