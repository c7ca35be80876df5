"""Names that exist, for errors about one that does not: asked for only then."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from swanlab_export.endpoints import projects, runs, workspaces
from swanlab_export.errors import NotFoundError, SwanlabExportError
from swanlab_export.messages import closest, quote
from swanlab_export.normalizers.entities import normalize_projects, normalize_workspaces
from swanlab_export.normalizers.values import as_list
from swanlab_export.pagination import Pages
from swanlab_export.progress import Progress
from swanlab_export.refs import ProjectRef, RunRef, WorkspaceRef
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swanlab_export.api.context import Context

_ASKED_FOR = 100


@contextmanager
def suggest(context: Context, ref: WorkspaceRef | ProjectRef | RunRef) -> Iterator[None]:
    """Add names that may be meant to the error that a workspace, project or run does not exist."""
    try:
        yield
    except NotFoundError as error:
        if not (known := _describe_known(context, ref)):
            raise
        raise NotFoundError(
            f"{error.message}; {known}",
            method=error.method,
            path=error.path,
            status=error.status,
            code=error.code,
            trace_id=error.trace_id,
        ) from None


def _describe_known(context: Context, ref: WorkspaceRef | ProjectRef | RunRef) -> str:
    """Name runs of the project, or projects of the workspace, or workspaces: what there is."""
    try:
        if isinstance(ref, RunRef):
            with suppress(NotFoundError):
                return _name_closest(f"runs of {ref.project}", ref.run, _find_runs(context, ref))
            ref = ref.project
        if isinstance(ref, ProjectRef):
            with suppress(NotFoundError):
                known = find_projects(context, WorkspaceRef(ref.workspace))
                return _name_closest(f"projects of {quote(ref.workspace)}", ref.project, known)
        known = find_workspaces(context)
    except SwanlabExportError:
        return ""  # the first error is what counts
    return _name_closest("workspaces that you see", ref.workspace, known)


def _name_closest(what: str, name: str, known: list[str]) -> str:
    return f"{what}: {', '.join(map(quote, closest(name, known)))}" if known else ""


def find_workspaces(context: Context) -> list[str]:
    """The names of the workspaces that the user sees."""
    payload = workspaces.fetch_workspaces_of(context.client, context.client.login().username)
    table = normalize_workspaces(as_list(payload, "a list of workspaces"), Report())
    names: list[str] = table.to_arrow()["username"].to_pylist()
    return names


def find_projects(context: Context, ref: WorkspaceRef) -> list[str]:
    """The names of the first projects of a workspace."""
    items = Pages(
        context.client,
        lambda page, size: projects.projects_page(ref, page, size, search=None, sort=None),
        projects.identify,
        page=1,
        size=_ASKED_FOR,
        all=False,
        title="projects",
        progress=Progress(),
    )
    table = normalize_projects(items, Report(), context.web_host)
    names: list[str] = table.to_arrow()["name"].to_pylist()
    return names


def _find_runs(context: Context, ref: RunRef) -> list[str]:
    """The slugs and ids of the first runs of a project, those that were begun last."""
    items = Pages(
        context.client,
        lambda page, size: runs.runs_page(ref.project, page, size),
        runs.identify,
        page=1,
        size=_ASKED_FOR,
        all=False,
        title="runs",
        progress=Progress(),
    )
    return [name for item in items for name in runs.read_names(item)]
