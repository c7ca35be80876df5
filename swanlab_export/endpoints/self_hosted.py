"""Administration of a self-hosted instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.endpoints.releases import fixed

if TYPE_CHECKING:
    from swanlab_export.client import Client, Request


def fetch_instance(client: Client) -> Any:
    """Fetch licence and role: ``GET /self_hosted/info``."""
    return client.send(fixed("GET", "/self_hosted/info"))


def is_root(payload: Any) -> bool:
    """Say whether who is logged in is the root user, from what ``fetch_instance`` returns."""
    return isinstance(payload, dict) and bool(payload.get("root")) and not payload.get("expired")


def fetch_usage(client: Client) -> Any:
    """Fetch the totals of the instance: ``GET /self_hosted/summary``."""
    return client.send(fixed("GET", "/self_hosted/summary"))


def create_user(client: Client, username: str, password: str) -> Any:
    """Create a user: ``POST /self_hosted/users``. Never repeated: it may have been created."""
    body = {"users": [{"username": username, "password": password}]}
    return client.send(
        fixed("POST", "/self_hosted/users", body=body, repeatable=False, secrets=(password,))
    )


def users_page(page: int, size: int) -> Request:
    """Ask for a page of all users: ``GET /self_hosted/users``."""
    return fixed("GET", "/self_hosted/users", params=(("page", page), ("size", size)))


def projects_page(
    page: int, size: int, *, search: str | None, creator: str | None, workspace: str | None
) -> Request:
    """Ask for a page of all projects: ``GET /self_hosted/projects``."""
    wanted = (("search", search), ("creator", creator), ("group", workspace))
    params: list[tuple[str, str | int]] = [("page", page), ("size", size)]
    params += [(name, value) for name, value in wanted if value]
    return fixed("GET", "/self_hosted/projects", params=tuple(params))


def workspaces_page(page: int, size: int, *, search: str | None) -> Request:
    """Ask for a page of all workspaces: ``GET /self_hosted/groups``."""
    params = (("page", page), ("size", size), *((("search", search),) if search else ()))
    return fixed("GET", "/self_hosted/groups", params=params)
