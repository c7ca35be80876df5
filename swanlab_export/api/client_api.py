"""The public Python API: the nouns and verbs of the command line, answering with frames."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

from swanlab_export.api import logs as logs_api
from swanlab_export.api import medias as medias_api
from swanlab_export.api import metrics as metrics_api
from swanlab_export.api import project as project_api
from swanlab_export.api import run as run_api
from swanlab_export.api import self_hosted as self_hosted_api
from swanlab_export.api import user as user_api
from swanlab_export.api import workspace as workspace_api
from swanlab_export.api.connect import JOBS, RETRIES, TIMEOUT_S, open_context
from swanlab_export.api.frames import Frame, to_frame
from swanlab_export.api.paging import Paging
from swanlab_export.api.ranges import Range
from swanlab_export.errors import spell_arguments
from swanlab_export.progress import Progress, TqdmProgress
from swanlab_export.writers import parse_target, write_chunks, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from swanlab_export.api.context import Answer, Context
    from swanlab_export.api.filters import Where
    from swanlab_export.tables import Table

_F = TypeVar("_F")


class SwanlabExportWarning(UserWarning):
    """Something the caller should know, such as a list of which only a page was fetched."""


@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["pandas"] = ...,
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    progress: bool = ...,
) -> Api[pd.DataFrame]: ...
@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["arrow"],
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    progress: bool = ...,
) -> Api[pa.Table]: ...
@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["polars"],
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    progress: bool = ...,
) -> Api[pl.DataFrame]: ...
def connect(
    *,
    host: str | None = None,
    api_key: str | None = None,
    frame: Frame = "pandas",
    jobs: int = JOBS,
    timeout: float = TIMEOUT_S,
    retries: int = RETRIES,
    progress: bool = False,
) -> Api[Any]:
    """Connect to a SwanLab server; nothing is sent before the first call.

    Args:
        host: The server; ``"sandbox"`` starts one here, with recorded runs and no account. By
            default SWANLAB_API_HOST, else the host of ``swanlab login``.
        api_key: The key; by default SWANLAB_API_KEY, else that of ``swanlab login``.
        frame: What calls return: ``"pandas"``, ``"arrow"`` or ``"polars"``.
        jobs: How many requests may be in flight at once.
        timeout: How long to wait for the server's next bytes, in seconds.
        retries: How often to repeat what failed in passing.
        progress: Show progress bars, in a terminal or notebook.

    Raises:
        AuthenticationError: There is no key for the host.
        UsageError: An argument cannot be right.

    >>> with connect(host="sandbox") as api:
    ...     runs = api.run.list("ada-lab/digits", full=True)
    >>> runs.loc[runs.slug == "diverged", "state"].item()
    'FINISHED'
    """
    stack = ExitStack()
    context = stack.enter_context(
        open_context(
            host,
            api_key,
            progress=TqdmProgress() if progress else Progress(),
            jobs=jobs,
            timeout_s=timeout,
            retries=retries,
        )
    )
    return Api(context, frame, stack)


class Api(Generic[_F]):
    """A connection to one server: ``api.run``, ``api.project`` and so on; use ``connect``."""

    def __init__(self, context: Context, frame: str, stack: ExitStack) -> None:
        self._stack = stack
        self._context = context
        for warning in context.client.settings.warnings:
            _warn(warning)
        self.workspace: Workspaces[_F] = Workspaces(context, frame)
        self.project: Projects[_F] = Projects(context, frame)
        self.run: Runs[_F] = Runs(context, frame)
        self.user: Users[_F] = Users(context, frame)
        self.self_hosted: SelfHosted[_F] = SelfHosted(context, frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Api({self._context.client.settings.host!r})"

    def close(self) -> None:
        """Close the connections, and the sandbox where there is one."""
        self._stack.close()


class _Noun(Generic[_F]):
    def __init__(self, context: Context, frame: str) -> None:
        self._context = context
        self._frame = frame

    def _give(self, answer: Answer, frame: str | None = None) -> Any:
        table = answer.to_table()
        found = to_frame(table, frame or self._frame)
        _tell(table)
        return found


class Workspaces(_Noun[_F]):
    """Workspaces: teams and people that hold projects."""

    def info(self, username: str, *, frame: Frame | None = None) -> _F:
        """One workspace; one row. Source: ``GET /group/{username}``."""
        return self._give(workspace_api.info(self._context, username), frame)  # type: ignore[no-any-return]


class Users(_Noun[_F]):
    """Who is logged in."""

    def info(self, *, frame: Frame | None = None) -> _F:
        """Name and profile; one row. Source: ``GET /user/profile``."""
        return self._give(user_api.info(self._context), frame)  # type: ignore[no-any-return]


class Projects(_Noun[_F]):
    """Projects: what holds runs."""

    def info(self, path: str, *, frame: Frame | None = None) -> _F:
        """One project; one row. Source: ``GET /project/{workspace}/{project}``."""
        return self._give(project_api.info(self._context, path), frame)  # type: ignore[no-any-return]

    def list(
        self,
        workspace: str | None = None,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        search: str | None = None,
        sort: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """Projects of a workspace, yours by default; one row each, ``full`` for all pages."""
        answer = project_api.list_projects(
            self._context, workspace, Paging(page, size, full), search=search, sort=sort
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def create(
        self,
        name: str,
        *,
        visibility: str = "PRIVATE",
        description: str | None = None,
        workspace: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """Create a project, sent once and never repeated; one row.

        Raises:
            UncertainError: It failed after it may have been created.
        """
        answer = project_api.create(
            self._context,
            name,
            visibility=visibility,
            description=description,
            workspace=workspace,
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]


class Runs(_Noun[_F]):
    """Runs: configs, metrics, media and logs."""

    def info(self, path: str, *, frame: Frame | None = None) -> _F:
        """One run with config, metadata and requirements; one row."""
        return self._give(run_api.info(self._context, path), frame)  # type: ignore[no-any-return]

    def filter(
        self,
        project: str,
        where: Where,
        *,
        summary: str | Sequence[str] | bool = False,
        frame: Frame | None = None,
    ) -> _F:
        """Runs that pass all filters; one row each.

        ``where`` is a mapping such as ``{"state": "FINISHED", "config.lr >=": 1e-3}``, rules such
        as ``["state=FINISHED"]``, or the server's own. Source: ``POST …/runs/shows``.
        """
        answer = run_api.filter_runs(self._context, project, where, summary=summary)
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def summary(
        self,
        *paths: str,
        keys: str | Sequence[str] | None = None,
        project: str | None = None,
        where: Where = None,
        skip_failed: bool = False,
        frame: Frame | None = None,
    ) -> _F:
        """Latest, min, max, avg, median and std; one row per run and key."""
        answer = run_api.summary(
            self._context,
            paths,
            keys=keys,
            project=project,
            where=where,
            skip_failed=skip_failed,
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def series(
        self,
        path: str,
        *,
        metric_type: str = "SCALAR",
        metric_class: str | None = None,
        search: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """Keys of a run; one row each."""
        answer = run_api.series(
            self._context,
            path,
            metric_type=metric_type,
            metric_class=metric_class,
            search=search,
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def columns(
        self,
        path: str,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        column_class: str | None = "CUSTOM",
        column_type: str | None = None,
        search: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """Columns of a run; one row per key."""
        answer = run_api.columns(
            self._context,
            path,
            Paging(page, size, full),
            column_class=column_class,
            column_type=column_type,
            search=search,
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def column(
        self,
        path: str,
        key: str,
        *,
        column_class: str | None = "CUSTOM",
        column_type: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """One column: the one whose key is exactly ``key``, else the first match; one row."""
        answer = run_api.column(
            self._context, path, key, column_class=column_class, column_type=column_type
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def medias(
        self,
        path: str,
        *,
        keys: str | Sequence[str],
        step: int = 0,
        full: bool = False,
        download: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """Media items; one row per key, step and item. ``download`` fetches the files, too."""
        answer = medias_api.medias(
            self._context, path, keys=keys, step=step, full=full, download=download
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def logs(
        self,
        path: str,
        *,
        offset: int = 0,
        level: str = "INFO",
        ignore_timestamp: bool = False,
        full: bool = False,
        frame: Frame | None = None,
    ) -> _F:
        """Lines of the console log; one row each: one shard of 1000, or all with ``full``."""
        answer = logs_api.logs(
            self._context,
            path,
            offset=offset,
            level=level,
            ignore_timestamp=ignore_timestamp,
            full=full,
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def export_logs(
        self,
        path: str,
        *,
        start: int = 0,
        rows: int = 500_000,
        save: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """The console log as a file: its URL, one row per file; ``save`` fetches it, too."""
        if save is not None:
            target = parse_target(save, {".log": "log"})
            chunks = logs_api.log_chunks(self._context, path, start=start, rows=rows)
            write_chunks(chunks, target)
        answer = logs_api.export_logs(self._context, path, start=start, rows=rows)
        return self._give(answer, frame)  # type: ignore[no-any-return]

    @overload
    def metrics(
        self, *paths: str, keys: str | Sequence[str], save: str, **options: Any
    ) -> Path: ...
    @overload
    def metrics(self, *paths: str, keys: str | Sequence[str], **options: Any) -> _F: ...
    def metrics(
        self,
        *paths: str,
        keys: str | Sequence[str],
        save: str | None = None,
        frame: Frame | None = None,
        **options: Any,
    ) -> Any:
        """Points of metrics; one row per run, key and step, sorted so.

        Args:
            paths: Runs; or give ``project``.
            keys: ``"loss,acc"``, a list, or patterns such as ``"train/*"``.
            save: Write to this file instead, streaming; returns its path.
            frame: The kind of frame for this call.
            options: project, where, full (every point), sample (at most 1500), x_axis,
                range_type, range_start, range_end, range_head, range_tail, range_last (ms),
                layout ("long" or "wide"), ignore_timestamp, skip_failed.

        Returns:
            run_id, key, step, value, timestamp (UTC), and x on another axis than the step.

        Raises:
            NotFoundError: No run has a key; names the closest ones.
            IncompleteError: Less arrived than was announced.

        >>> with connect(host="sandbox") as api:
        ...     points = api.run.metrics("ada-lab/digits/diverged", keys="loss", full=True)
        >>> len(points)
        440
        """
        table = self._metrics(paths, keys, options)
        if save is None:
            found = to_frame(table, frame or self._frame)
            _tell(table)
            return found
        saved = write_table(table, parse_target(save))
        _tell(table)
        return saved.path

    def metrics_batches(
        self, *paths: str, keys: str | Sequence[str], **options: Any
    ) -> Iterator[pa.RecordBatch]:
        """Points of metrics as Arrow record batches, never all in memory; see ``metrics``."""
        table = self._metrics(paths, keys, options)
        yield from table
        _tell(table)

    def _metrics(
        self, paths: tuple[str, ...], keys: str | Sequence[str], options: dict[str, Any]
    ) -> Table:
        bounds = {name: options.pop(name, None) for name in _RANGE}
        asked = any(value is not None for value in bounds.values())
        axis = bounds.pop("range_type")
        said = {name.removeprefix("range_"): value for name, value in bounds.items()}
        answer = metrics_api.metrics(
            self._context,
            paths,
            keys=keys,
            range_query=Range(axis, **said) if asked else None,
            **options,
        )
        return answer.to_table()

    # Last in the class: below its definition, ``list`` no longer means the type.
    def list(
        self,
        project: str,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        where: Where = None,
        summary: str | Sequence[str] | bool = False,
        frame: Frame | None = None,
    ) -> _F:
        """Runs of a project; one row each, with ``config.*``, and ``summary.*`` if asked for.

        ``full`` fetches all pages; ``where`` filters as ``filter`` does, and is always full.
        """
        if where is not None:
            return self.filter(project, where, summary=summary, frame=frame)
        answer = run_api.list_runs(
            self._context, project, Paging(page, size, full), summary=summary
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]


class SelfHosted(_Noun[_F]):
    """Administration of a self-hosted instance, for its root user."""

    def info(self, *, frame: Frame | None = None) -> _F:
        """Licence and role; one row."""
        return self._give(self_hosted_api.info(self._context), frame)  # type: ignore[no-any-return]

    def summary(self, *, frame: Frame | None = None) -> _F:
        """Totals of the instance; one row."""
        return self._give(self_hosted_api.summary(self._context), frame)  # type: ignore[no-any-return]

    def create_user(self, username: str, password: str, *, frame: Frame | None = None) -> _F:
        """Create a user, sent once and never repeated; one row."""
        answer = self_hosted_api.create_user(self._context, username, password)
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def list_users(
        self, *, page: int = 1, size: int = 20, full: bool = False, frame: Frame | None = None
    ) -> _F:
        """All users; one row each."""
        answer = self_hosted_api.list_users(self._context, Paging(page, size, full))
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def list_projects(
        self,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        search: str | None = None,
        creator: str | None = None,
        workspace: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """All projects of all workspaces; one row each."""
        answer = self_hosted_api.list_projects(
            self._context,
            Paging(page, size, full),
            search=search,
            creator=creator,
            workspace=workspace,
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]

    def list_workspaces(
        self,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        search: str | None = None,
        frame: Frame | None = None,
    ) -> _F:
        """All workspaces; one row each."""
        answer = self_hosted_api.list_workspaces(
            self._context, Paging(page, size, full), search=search
        )
        return self._give(answer, frame)  # type: ignore[no-any-return]


_RANGE = (
    *("range_type", "range_start", "range_end", "range_head", "range_tail"),
    "range_last",
)


def _tell(table: Table) -> None:
    """Warn of what the caller should know."""
    for note in [*table.notes, *table.failures]:
        _warn(note)


def _warn(note: str) -> None:
    warnings.warn(spell_arguments(note), SwanlabExportWarning, stacklevel=4)
