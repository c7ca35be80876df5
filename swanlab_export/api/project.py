"""Projects: info, list and create."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.api.paging import Paging, check_choice, list_answer
from swanlab_export.api.resolve import identity
from swanlab_export.endpoints import project as endpoint
from swanlab_export.errors import UsageError, argument
from swanlab_export.normalizers.entities import normalize_projects
from swanlab_export.pagination import Pages
from swanlab_export.refs import WorkspaceRef, escape, parse_project, parse_workspace

if TYPE_CHECKING:
    from swanlab_export.client import Client

VISIBILITIES = ("PUBLIC", "PRIVATE")
SORTS = ("create", "name")
_NAME = re.compile(r"[0-9a-zA-Z\-_.+]{1,100}", re.ASCII)


def info(context: Context, path: str) -> Answer:
    """One project."""
    ref = parse_project(path)
    return Answer(
        endpoint.fetch_project(context.client, ref),
        lambda wire: normalize_projects([wire], context.web_host, is_single=True),
        source_of(context, "project info", ref),
    )


def list_projects(
    context: Context,
    workspace: str | None,
    paging: Paging,
    *,
    search: str | None = None,
    sort: str | None = None,
) -> Answer:
    """Projects of a workspace, yours by default, one row each."""
    page, size = paging.check()
    if sort is not None and sort not in SORTS:
        raise UsageError(f"{argument('sort')} is one of {', '.join(SORTS)}, not {escape(sort)}")
    ref = workspace_or_own(context.client, workspace)
    pages = Pages(
        context.client,
        lambda page, size: endpoint.projects_page(ref, page, size, search=search, sort=sort),
        identity("cuid"),
        page=page,
        size=size,
        is_full=paging.full,
        title="projects",
        progress=context.progress,
    )
    source = source_of(context, "project list", ref, **paging.options(), search=search, sort=sort)
    return list_answer(
        pages, lambda wire: normalize_projects(wire, context.web_host), source, "projects"
    )


def create(
    context: Context,
    name: str,
    *,
    visibility: str = "PRIVATE",
    description: str | None = None,
    workspace: str | None = None,
) -> Answer:
    """Create a project; never repeated, so never created twice."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{argument('name')} is 1 to 100 of 0-9 a-z A-Z - _ . +, not {escape(name)}"
        )
    visibility = check_choice("visibility", visibility, VISIBILITIES)
    ref = workspace_or_own(context.client, workspace)
    return Answer(
        endpoint.create_project(context.client, ref, name, visibility, description),
        lambda wire: normalize_projects([wire], context.web_host, is_single=True),
        source_of(context, "project create", f"{ref}/{name}"),
    )


def workspace_or_own(client: Client, workspace: str | None) -> WorkspaceRef:
    """The workspace named, else that of who is logged in."""
    if workspace is not None:
        return parse_workspace(workspace)
    return WorkspaceRef(client.login().username)
