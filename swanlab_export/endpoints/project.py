"""Projects: what holds runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.client import Client, Request

if TYPE_CHECKING:
    from swanlab_export.refs import ProjectRef, WorkspaceRef


def fetch_project(client: Client, ref: ProjectRef) -> Any:
    """Fetch one project: ``GET /project/{workspace}/{project}``."""
    return client.send(Request("GET", f"/project/{ref.url_path}"))


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
