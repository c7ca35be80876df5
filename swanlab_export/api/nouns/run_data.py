"""``api.run``: what a run has logged – points, media and console logs."""

from __future__ import annotations

from datetime import UTC, datetime
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from swanlab_export import schemas
from swanlab_export.api import logs as logs_api
from swanlab_export.api import medias as medias_api
from swanlab_export.api import metrics as metrics_api
from swanlab_export.api.nouns.base import F, Noun, flat, spelled_out
from swanlab_export.api.ranges import Range
from swanlab_export.errors import UsageError, argument
from swanlab_export.writers import PICTURES, parse_target, write_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from swanlab_export.api.context import Answer
    from swanlab_export.api.filters import Where
    from swanlab_export.api.frames.to_frame import Frame


class MetricsOptions(TypedDict, total=False):
    """Which points ``metrics`` and ``metrics_batches`` give, and in which form."""

    project: str | None  # all runs of a project, instead of paths
    where: Where  # only runs that pass; see ``filter``
    full: bool  # every point, instead of a sample
    sample: int  # points per key at most, 1500 by default and at most
    x_axis: str  # "step", "time", "relative_time" or another key
    range_type: str | None  # what bounds are: "step", "timestamp" or "custom" (the x axis)
    range_start: float | datetime | None  # first, inclusive
    range_end: float | datetime | None  # last, inclusive
    range_head: int | None  # the first so many points
    range_tail: int | None  # the last so many points
    range_last: int | None  # points of the last so many ms
    layout: Literal["long", "wide"]  # a row per key and step, or per step
    ignore_timestamp: bool  # leave out the timestamp column
    skip_failed: bool  # leave out runs that fail, with a warning


class RunData(Noun[F]):
    """Points, media and console logs of runs."""

    @overload
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        **options: Unpack[MetricsOptions],
    ) -> F: ...
    @overload
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        save: str | PathLike[str],
        log_scale: bool = ...,
        **options: Unpack[MetricsOptions],
    ) -> Path: ...
    @overload
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        save: str | PathLike[str] | None = ...,
        frame: Frame | None = ...,
        log_scale: bool = ...,
        **options: Unpack[MetricsOptions],
    ) -> Any: ...
    @spelled_out(MetricsOptions, metrics_api.metrics)
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        save: str | PathLike[str] | None = None,
        frame: Frame | None = None,
        log_scale: bool = False,
        **options: Unpack[MetricsOptions],
    ) -> Any:
        """Points of metrics; one row per run, key and step, sorted so.

        Args:
            paths: Runs, workspace/project/run or web pages, one by one or in lists; or give
                ``project``.
            keys: ``"loss,acc"``, a list, or patterns such as ``"train/*"``.
            save: Write to this file instead, streaming; returns its path. ``.png``, ``.svg`` and
                ``.pdf`` draw a panel per key and a line per run.
            frame: The kind of frame for this call.
            log_scale: Pictures have a logarithmic axis.
            options: project (all its runs), where (filters), full (every point), sample (at most
                1500 points per key), x_axis ("step", "time", "relative_time" or a key),
                range_type, range_start, range_end, range_head, range_tail, range_last (ms),
                layout ("long" or "wide"), ignore_timestamp, skip_failed.

        Returns:
            run_id, key, step, value, timestamp (UTC), and x on another axis than the step.

        Raises:
            NotFoundError: No run has a key; names the closest ones.
            IncompleteError: Less arrived than was announced.

        Source: ``POST /house/metrics/scalar``, or the CSV of ``…/scalar/export``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     points = api.run.metrics("ada-lab/digits/diverged", keys="loss", full=True)
        >>> len(points)
        440
        """
        target = None if save is None else parse_target(fspath(save), PICTURES)
        is_picture = target is not None and target.format == "plot"
        if log_scale and not is_picture:
            raise UsageError(f"{argument('log_scale')} is for pictures: see {argument('save')}")
        if is_picture:
            wide = options.get("layout") == "wide"
            columns = [] if wide else [*schemas.METRICS.names, schemas.X.name]
            from swanlab_export.writers.plot import check_plottable

            check_plottable(columns, x_axis=options.get("x_axis", "step"))
        answer = self._metrics(paths, keys, options)
        if target is None:
            return self._give(answer, frame)
        return self._save(answer, target, is_log_scale=log_scale)

    @spelled_out(MetricsOptions, metrics_api.metrics)
    def metrics_batches(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        **options: Unpack[MetricsOptions],
    ) -> Iterator[pa.RecordBatch]:
        """Points of metrics as Arrow record batches, never all in memory; rows as in ``metrics``.

        Args:
            paths: As in ``metrics``.
            keys: As in ``metrics``.
            options: As in ``metrics``: project, where, full, sample, x_axis, range_type,
                range_start, range_end, range_head, range_tail, range_last, layout,
                ignore_timestamp, skip_failed.

        Raises:
            NotFoundError: No run has a key; names the closest ones.
            IncompleteError: Less arrived than was announced; raised where it shows, which may be
                after the first batches.

        Source: as ``metrics``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     batches = api.run.metrics_batches("ada-lab/digits/mlp-long", keys="loss", full=True)
        ...     sum(batch.num_rows for batch in batches)
        20480
        """
        return self._stream(self._metrics(paths, keys, options))

    def _metrics(
        self,
        paths: tuple[str | Iterable[str], ...],
        keys: str | Sequence[str],
        options: MetricsOptions,
    ) -> Answer:
        given: dict[str, Any] = dict(options)
        bounds = {name: _number(given.pop(f"range_{name}", None)) for name in _BOUNDS}
        axis = given.pop("range_type", None)
        is_asked = axis is not None or any(value is not None for value in bounds.values())
        range_query = Range(axis, **bounds) if is_asked else None
        return metrics_api.metrics(
            self._context, flat(paths), keys=keys, range_query=range_query, **given
        )

    @overload
    def medias(
        self,
        path: str,
        *,
        keys: str | Sequence[str],
        step: int = ...,
        full: bool = ...,
        download: str | PathLike[str] | None = ...,
    ) -> F: ...
    @overload
    def medias(
        self,
        path: str,
        *,
        keys: str | Sequence[str],
        step: int = ...,
        full: bool = ...,
        download: str | PathLike[str] | None = ...,
        frame: Frame,
    ) -> Any: ...
    def medias(
        self,
        path: str,
        *,
        keys: str | Sequence[str],
        step: int = 0,
        full: bool = False,
        download: str | PathLike[str] | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """Images, audio and other media; one row per key, step and item.

        Args:
            path: The run.
            keys: Media keys, or patterns.
            step: The step to look at.
            full: Every step instead.
            download: Fetch the files into this folder too, all or none; adds the columns file
                and size_bytes.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such run, or it has no such key; names the closest ones.
            IncompleteError: A file did not arrive whole; then none is kept.

        Source: ``POST /house/metrics/media`` or ``…/f_media``; URLs of
        ``POST /resources/presigned/get``, which expire.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     images = api.run.medias("ada-lab/digits/mlp-adam", keys="val/*", full=True)
        >>> images["step"].tolist()[:2]
        [43, 219]
        """
        answer = medias_api.medias(
            self._context,
            path,
            keys=keys,
            step=step,
            full=full,
            download=None if download is None else fspath(download),
        )
        return self._give(answer, frame)

    @overload
    def logs(
        self,
        path: str,
        *,
        offset: int = ...,
        level: str = ...,
        ignore_timestamp: bool = ...,
        full: bool = ...,
    ) -> F: ...
    @overload
    def logs(
        self,
        path: str,
        *,
        offset: int = ...,
        level: str = ...,
        ignore_timestamp: bool = ...,
        full: bool = ...,
        frame: Frame,
    ) -> Any: ...
    def logs(
        self,
        path: str,
        *,
        offset: int = 0,
        level: str = "INFO",
        ignore_timestamp: bool = False,
        full: bool = False,
        frame: Frame | None = None,
    ) -> Any:
        """Lines of the console log; one row each: one shard of 1000 lines, or all with ``full``.

        Args:
            path: The run.
            offset: Which shard, from 0.
            level: DEBUG, INFO, WARN or ERROR: the lowest that is wanted.
            ignore_timestamp: Leave out the timestamp column.
            full: Every shard instead.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such run.
            IncompleteError: Fewer lines came than were announced.

        Source: ``GET /house/metrics/log``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     lines = api.run.logs("ada-lab/digits/diverged", level="ERROR")
        >>> lines["tag"].unique().tolist()
        ['train']
        """
        answer = logs_api.logs(
            self._context,
            path,
            offset=offset,
            level=level,
            ignore_timestamp=ignore_timestamp,
            full=full,
        )
        return self._give(answer, frame)

    @overload
    def export_logs(
        self,
        path: str,
        *,
        start: int = ...,
        rows: int = ...,
        save: str | PathLike[str] | None = ...,
    ) -> F: ...
    @overload
    def export_logs(
        self,
        path: str,
        *,
        start: int = ...,
        rows: int = ...,
        save: str | PathLike[str] | None = ...,
        frame: Frame,
    ) -> Any: ...
    def export_logs(
        self,
        path: str,
        *,
        start: int = 0,
        rows: int = 500_000,
        save: str | PathLike[str] | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """The console log as a file on the server: its URL, one row per file of 500,000 lines.

        Args:
            path: The run.
            start: The first line, from 0.
            rows: Lines at most.
            save: Download the log itself to this ``.log`` file, too.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such run.
            IncompleteError: The file did not arrive whole; then it is not kept.

        Source: ``POST /house/metrics/log/export``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.run.export_logs("ada-lab/digits/diverged", rows=10)["rows"].tolist()
        [10]
        """
        target = None if save is None else parse_target(fspath(save), {".log": "log"})
        pieces = logs_api.export_pieces(self._context, path, start=start, rows=rows)
        if target is not None:
            exported: list[logs_api.LogPiece] = []
            write_chunks(logs_api.log_chunks(self._context, pieces, exported), target)
            pieces = iter(exported)
        answer = logs_api.export_logs(self._context, path, pieces, start=start, rows=rows)
        return self._give(answer, frame)


_BOUNDS = ("start", "end", "head", "tail", "last")


def _number(bound: Any) -> Any:
    """Take a time, of pandas too, as Unix milliseconds; UTC where it names no zone."""
    if not isinstance(bound, datetime):
        return bound
    aware = bound if bound.tzinfo else bound.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
