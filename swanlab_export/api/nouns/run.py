"""``api.run``: runs themselves, their configs, summaries and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from swanlab_export.api import run as run_api
from swanlab_export.api.nouns.base import F, flat
from swanlab_export.api.nouns.run_data import RunData
from swanlab_export.api.paging import Paging

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swanlab_export.api.filters import Where
    from swanlab_export.api.frames.to_frame import Frame


class Runs(RunData[F]):
    """Runs: configs, metrics, media and logs.

    A path is workspace/project/run (id or slug), or the address of the run's web page.
    """

    @overload
    def info(self, path: str) -> F: ...
    @overload
    def info(self, path: str, *, frame: Frame) -> Any: ...
    def info(self, path: str, *, frame: Frame | None = None) -> Any:
        """One run with config, metadata and requirements; one row.

        Args:
            path: The run, by id or slug, or the address of its web page.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such run.

        Source: ``GET /project/{workspace}/{project}/runs/{id or slug}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.run.info("ada-lab/digits/diverged")["config.lr"].item()
        1.5
        """
        return self._give(run_api.info(self._context, path), frame)

    @overload
    def filter(
        self, project: str, where: Where, *, summary: str | Sequence[str] | bool = ...
    ) -> F: ...
    @overload
    def filter(
        self,
        project: str,
        where: Where,
        *,
        summary: str | Sequence[str] | bool = ...,
        frame: Frame,
    ) -> Any: ...
    def filter(
        self,
        project: str,
        where: Where,
        *,
        summary: str | Sequence[str] | bool = False,
        frame: Frame | None = None,
    ) -> Any:
        """Runs that pass all filters; one row each.

        Args:
            project: workspace/project, or the address of its web page.
            where: A mapping such as ``{"state": "FINISHED", "config.lr >=": 1e-3}``, rules such
                as ``["state=FINISHED"]``, or the server's own.
            summary: Add the latest value of each metric (True), or of these keys.
            frame: The kind of frame for this call.

        Raises:
            UsageError: A rule cannot be meant; the message gives its index.

        Source: ``POST /project/{workspace}/{project}/runs/shows``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     runs = api.run.filter("ada-lab/digits", {"config.lr >=": 0.1})
        >>> bool(runs["config.lr"].min() >= 0.1)
        True
        """
        answer = run_api.filter_runs(self._context, project, where, summary=summary)
        return self._give(answer, frame)

    @overload
    def summary(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str] | None = ...,
        project: str | None = ...,
        where: Where = ...,
        skip_failed: bool = ...,
    ) -> F: ...
    @overload
    def summary(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str] | None = ...,
        project: str | None = ...,
        where: Where = ...,
        skip_failed: bool = ...,
        frame: Frame,
    ) -> Any: ...
    def summary(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str] | None = None,
        project: str | None = None,
        where: Where = None,
        skip_failed: bool = False,
        frame: Frame | None = None,
    ) -> Any:
        """Latest, min, max, avg, median and std, in the metric's unit; one row per run and key.

        Args:
            paths: Runs, one by one or in lists; or give ``project``.
            keys: Only these keys or patterns.
            project: All runs of a project.
            where: Only runs that pass; see ``filter``.
            skip_failed: Leave out runs that fail, with a warning.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such run, or no run has a key; names the closest ones.
            IncompleteError: One of several runs cannot be had.

        Source: ``POST /house/metrics/summaries``, one request for a few hundred runs.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     found = api.run.summary("ada-lab/digits/diverged", keys="acc")
        >>> found["max"].item()
        0.28125
        """
        answer = run_api.summary(
            self._context,
            flat(paths),
            keys=keys,
            project=project,
            where=where,
            skip_failed=skip_failed,
        )
        return self._give(answer, frame)

    @overload
    def series(
        self,
        path: str,
        *,
        metric_type: str = ...,
        metric_class: str | None = ...,
        search: str | None = ...,
    ) -> F: ...
    @overload
    def series(
        self,
        path: str,
        *,
        metric_type: str = ...,
        metric_class: str | None = ...,
        search: str | None = ...,
        frame: Frame,
    ) -> Any: ...
    def series(
        self,
        path: str,
        *,
        metric_type: str = "SCALAR",
        metric_class: str | None = "CUSTOM",
        search: str | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """Keys that a run has; one row each.

        Args:
            path: The run.
            metric_type: SCALAR or MEDIA.
            metric_class: CUSTOM (logged by the user), SYSTEM, or None for both.
            search: Only keys that hold this.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such run.

        Source: ``POST /house/metrics/{scalar,media}/keys``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     found = api.run.series("ada-lab/digits/diverged", search="val/")
        >>> found["key"].tolist()
        ['val/acc', 'val/loss']
        """
        answer = run_api.series(
            self._context,
            path,
            metric_type=metric_type,
            metric_class=metric_class,
            search=search,
        )
        return self._give(answer, frame)

    @overload
    def columns(
        self,
        path: str,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        column_class: str | None = ...,
        column_type: str | None = ...,
        search: str | None = ...,
    ) -> F: ...
    @overload
    def columns(
        self,
        path: str,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        column_class: str | None = ...,
        column_type: str | None = ...,
        search: str | None = ...,
        frame: Frame,
    ) -> Any: ...
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
    ) -> Any:
        """Columns of a run, with the type of their data; one row per key.

        Args:
            path: The run.
            page: Which page, from 1.
            size: Rows per page.
            full: All pages instead, fetched side by side.
            column_class: CUSTOM (logged by the user), SYSTEM, or None for both.
            column_type: Only columns of FLOAT, STRING, IMAGE and so on.
            search: Only columns whose name holds this.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such run.
            IncompleteError: Fewer columns came than were announced.

        Source: ``GET /experiment/{id}/column``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     found = api.run.columns("ada-lab/digits/mlp-adam", column_type="IMAGE")
        >>> found["key"].tolist()
        ['val/wrong digits', 'val/confusion']
        """
        answer = run_api.columns(
            self._context,
            path,
            Paging(page, size, full),
            column_class=column_class,
            column_type=column_type,
            search=search,
        )
        return self._give(answer, frame)

    @overload
    def column(
        self,
        path: str,
        key: str,
        *,
        column_class: str | None = ...,
        column_type: str | None = ...,
    ) -> F: ...
    @overload
    def column(
        self,
        path: str,
        key: str,
        *,
        column_class: str | None = ...,
        column_type: str | None = ...,
        frame: Frame,
    ) -> Any: ...
    def column(
        self,
        path: str,
        key: str,
        *,
        column_class: str | None = "CUSTOM",
        column_type: str | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """One column: the one whose key is exactly ``key``, else the first match; one row.

        Args:
            path: The run.
            key: The key, or a part of a column's name.
            column_class: CUSTOM (logged by the user), SYSTEM, or None for both.
            column_type: Only a column of FLOAT, STRING, IMAGE and so on.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: Nothing matches.

        Source: ``GET /experiment/{id}/column``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.run.column("ada-lab/digits/diverged", "loss")["name"].item()
        'loss'
        """
        answer = run_api.column(
            self._context, path, key, column_class=column_class, column_type=column_type
        )
        return self._give(answer, frame)

    # Last in the class: below its definition, ``list`` no longer means the type.
    @overload
    def list(
        self,
        project: str,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        where: Where = ...,
        summary: str | Sequence[str] | bool = ...,
    ) -> F: ...
    @overload
    def list(
        self,
        project: str,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        where: Where = ...,
        summary: str | Sequence[str] | bool = ...,
        frame: Frame,
    ) -> Any: ...
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
    ) -> Any:
        """Runs of a project; one row each, with ``config.*``, and ``summary.*`` if asked for.

        Args:
            project: workspace/project, or the address of its web page.
            page: Which page, from 1.
            size: Rows per page.
            full: All pages instead, fetched side by side.
            where: Only runs that pass, as in ``filter``; always all of them.
            summary: Add the latest value of each metric (True), or of these keys.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such project.
            IncompleteError: Fewer runs came than were announced.

        Source: ``GET /project/{workspace}/{project}/runs``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     runs = api.run.list("ada-lab/digits", full=True, summary="loss")
        >>> len(runs), "config.lr" in runs, "summary.loss" in runs
        (16, True, True)
        """
        if where is not None:
            answer = run_api.filter_runs(self._context, project, where, summary=summary)
        else:
            paging = Paging(page, size, full)
            answer = run_api.list_runs(self._context, project, paging, summary=summary)
        return self._give(answer, frame)
