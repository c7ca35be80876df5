"""Administration of a self-hosted instance: for its root user, while the licence is valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.api.paging import Paging, list_answer
from swanlab_export.api.resolve import identity
from swanlab_export.endpoints import self_hosted as endpoint
from swanlab_export.errors import AuthenticationError, UsageError, argument
from swanlab_export.normalizers.entities import (
    normalize_instance,
    normalize_projects,
    normalize_usage,
    normalize_users,
    normalize_workspaces,
)
from swanlab_export.pagination import Pages
from swanlab_export.refs import escape, parse_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from swanlab_export.client import Request
    from swanlab_export.tables import Table


def info(context: Context) -> Answer:
    """Licence of the instance and your role in it."""
    return Answer(
        endpoint.fetch_instance(context.client),
        normalize_instance,
        source_of(context, "self-hosted info"),
    )


def summary(context: Context) -> Answer:
    """Totals of the instance."""
    check_root(context)
    return Answer(
        endpoint.fetch_usage(context.client),
        normalize_usage,
        source_of(context, "self-hosted summary"),
    )


def create_user(context: Context, username: str, password: str) -> Answer:
    """Create a user; never repeated, so never created twice."""
    for name, value in (("username", username), ("password", password)):
        if not value.strip():
            raise UsageError(f"{argument(name)} is empty")
    if not username.isprintable():
        raise UsageError(f"{argument('username')} {escape(username)} holds control characters")
    check_root(context)
    wire = endpoint.create_user(context.client, username, password)

    return Answer(
        {"username": username} | _without_secret(wire, password),
        lambda user: normalize_users([user], is_single=True),
        source_of(context, "self-hosted create-user", username),
    )


def _without_secret(wire: Any, secret: str) -> Any:
    """Leave out, at any depth, what a server that echoes the request would get into a table."""
    if isinstance(wire, list):
        return [_without_secret(each, secret) for each in wire]
    if not isinstance(wire, dict):
        return "•••" if isinstance(wire, str) and secret in wire else wire
    kept = {name: value for name, value in wire.items() if name not in {"users", "password"}}
    return {name: _without_secret(value, secret) for name, value in kept.items()}


def list_users(context: Context, paging: Paging) -> Answer:
    """All users, one row each."""
    return _list(context, "list-users", paging, endpoint.users_page, normalize_users, "username")


def list_projects(
    context: Context,
    paging: Paging,
    *,
    search: str | None = None,
    creator: str | None = None,
    workspace: str | None = None,
) -> Answer:
    """All projects of all workspaces, one row each."""
    if workspace is not None:
        workspace = parse_workspace(workspace).workspace
    return _list(
        context,
        "list-projects",
        paging,
        lambda page, size: endpoint.projects_page(
            page, size, search=search, creator=creator, workspace=workspace
        ),
        lambda wire: normalize_projects(wire, context.web_host),
        "cuid",
        search=search,
        creator=creator,
        workspace=workspace,
    )


def list_workspaces(context: Context, paging: Paging, *, search: str | None = None) -> Answer:
    """All workspaces, one row each."""
    return _list(
        context,
        "list-workspaces",
        paging,
        lambda page, size: endpoint.workspaces_page(page, size, search=search),
        normalize_workspaces,
        "username",
        search=search,
    )


def check_root(context: Context) -> None:
    """Say plainly why the server would refuse: licence first, then role.

    Raises:
        AuthenticationError: The licence has expired, or who is logged in is not root.
    """
    wire = endpoint.fetch_instance(context.client)
    instance = wire if isinstance(wire, dict) else {}
    host = context.client.settings.host
    if instance.get("expired"):
        raise AuthenticationError(f"the licence of {host} has expired")
    if not instance.get("root"):
        username = context.client.login().username
        raise AuthenticationError(f"{escape(username)} is not the root user of {host}")


def _list(
    context: Context,
    command: str,
    paging: Paging,
    build: Callable[[int, int], Request],
    normalize: Callable[[Iterable[Any]], Table],
    identity_field: str,
    **options: Any,
) -> Answer:
    page, size = paging.check()
    check_root(context)
    what = command.removeprefix("list-")
    pages = Pages(
        context.client,
        build,
        identity(identity_field),
        page=page,
        size=size,
        is_full=paging.full,
        title=what,
        progress=context.progress,
    )
    source = source_of(context, f"self-hosted {command}", "", **paging.options(), **options)
    return list_answer(pages, normalize, source, what)
