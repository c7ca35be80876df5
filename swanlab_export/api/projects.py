"""``api.project``: what holds runs."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.arrange import Arrangement
from swanlab_export.api.context import Result
from swanlab_export.api.lists import Paging, list_result
from swanlab_export.api.partial import Partial
from swanlab_export.api.resource import F, Resource, check_choice
from swanlab_export.api.suggestions import find_workspaces, suggest
from swanlab_export.endpoints import projects as endpoint
from swanlab_export.errors import SwanlabExportError, UsageError
from swanlab_export.limits import PROJECT_SORTS, VISIBILITIES
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.entities import normalize_projects
from swanlab_export.refs import WorkspaceRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.report import Report

_NAME = re.compile(r"[0-9a-zA-Z\-_.+]{1,100}", re.ASCII)


class Projects(Resource[F]):
    """Projects: what holds runs."""

    def info(self, path: str) -> F:
        """One project, with counts, labels and times (UTC); one row.

        Args:
            path: workspace/project, or the URL of its web page.

        Raises:
            NotFoundError: There is no such project.

        Source: ``GET /project/{workspace}/{project}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.project.info("ada-lab/digits")["count.experiments"].tolist()
        [16]
        """
        ref = self._context.project_ref(path)
        report = self._output.begin(schemas.PROJECTS)
        with suggest(self._context, ref):
            payload = endpoint.fetch_project(self._context.client, ref)
        result = Result(
            lambda: normalize_projects([payload], report, self._context.web_host, is_single=True),
            lambda: payload,
            self._context.source("project info", ref),
        )
        return self._output.deliver(result, report)

    def list(
        self,
        workspace: str | None = None,
        *,
        all: bool | None = None,
        page: int | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        varying: bool = False,
        search: str | None = None,
        sort: str | Sequence[str] | None = None,
        partial: bool = False,
    ) -> F:
        """Projects of a workspace; one row each.

        Args:
            workspace: The workspace; your own by default.
            all: Every project; the default unless a page is asked for.
            page: Only this page, from 1.
            page_size: Rows per page.
            limit: Only the first so many projects.
            varying: Only columns that identify a row or differ between rows.
            search: Only projects whose name contains this.
            sort: Columns that give the order, ``-`` before a name for descending; ``"create"``
                and ``"name"`` alone are orders of the server, which pages can have, too.
            partial: Leave out what fails, and say what.

        Raises:
            NotFoundError: There is no such workspace.
            IncompleteError: Fewer projects came than were announced.

        Source: ``GET /project/{workspace}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     sorted(api.project.list("ada-lab")["name"])
        ['digits', 'empty', 'sweep']
        """
        is_servers = sort is None or sort in PROJECT_SORTS
        order = sort if isinstance(sort, str) and is_servers else None
        arrangement = Arrangement.parse(None if is_servers else sort, limit, varying=varying)
        paging = Paging.parse(all, page, page_size, arrangement)
        named = None if workspace is None else self._context.workspace_ref(workspace)
        report = self._output.begin(schemas.PROJECTS)
        ref = named or _own_workspace(self._context)
        result = list_result(
            self._context,
            report,
            paging,
            lambda page, size: endpoint.projects_page(ref, page, size, search=search, sort=order),
            endpoint.identify,
            "projects",
            lambda payload: normalize_projects(
                self._hint_if_empty(payload, report, ref, search), report, self._context.web_host
            ),
            self._context.source(
                "project list",
                ref,
                **paging.options(),
                search=search,
                order=order,
                partial=partial,
            ),
            Partial(report, is_wanted=partial),
        )
        with suggest(self._context, ref):
            return self._output.deliver(result, report)

    def create(
        self,
        name: str,
        *,
        visibility: str = "PRIVATE",
        description: str | None = None,
        workspace: str | None = None,
    ) -> F:
        """Create a project, sent once and never repeated; one row.

        Args:
            name: 1 to 100 of ``0-9 a-z A-Z - _ . +``.
            visibility: PUBLIC or PRIVATE.
            description: What it is about.
            workspace: The workspace; your own by default.

        Raises:
            UncertainError: It failed after it may have been created.

        Source: ``POST /project``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.project.create("fresh", workspace="ada-lab")["path"].item()
        'ada-lab/fresh'
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{argument('name')} is 1 to 100 of 0-9 a-z A-Z - _ . +, not {quote(name)}"
            )
        visibility = check_choice("visibility", visibility, VISIBILITIES)
        named = None if workspace is None else self._context.workspace_ref(workspace)
        report = self._output.begin(schemas.PROJECTS, is_final=True)
        ref = named or _own_workspace(self._context)
        payload = endpoint.create_project(self._context.client, ref, name, visibility, description)
        result = Result(
            lambda: normalize_projects([payload], report, self._context.web_host, is_single=True),
            lambda: payload,
            self._context.source("project create", f"{ref}/{name}"),
        )
        return self._output.deliver(result, report)

    def _hint_if_empty(
        self, items: Iterable[Any], report: Report, ref: WorkspaceRef, search: str | None
    ) -> Iterator[Any]:
        """Say whose projects were listed, and which workspaces there are, where there is none."""
        is_empty = True
        for item in items:
            is_empty = False
            yield item
        if not is_empty:
            return
        if search:
            report.hint(f"no project of {quote(str(ref))} has {quote(search)} in its name")
            return
        with suppress(SwanlabExportError):  # the list itself is complete
            names = ", ".join(map(quote, find_workspaces(self._context)))
            report.hint(
                f"{quote(str(ref))} has no projects; workspaces that you see: {names}; "
                f"{argument('workspace')} names one"
            )


def _own_workspace(context: Context) -> WorkspaceRef:
    """The workspace of who is logged in."""
    return WorkspaceRef(context.client.login().username)
