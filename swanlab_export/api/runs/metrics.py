"""``api.run.metrics``: points of one run or many, sampled or in full, long or wide."""

from __future__ import annotations

from functools import partial as bind
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from swanlab_export.api.context import Result
from swanlab_export.api.outputs import FileOutput, refuse_store_options
from swanlab_export.api.partial import Partial
from swanlab_export.api.resource import F, Output, Resource, flat
from swanlab_export.api.runs.find import Wanted, find_runs
from swanlab_export.api.runs.points import (
    columns_of_runs,
    finish_points,
    grouped_points,
    parse_columns,
    with_names,
    with_projects,
)
from swanlab_export.errors import UsageError
from swanlab_export.limits import SAMPLE_MAX
from swanlab_export.messages import argument, quote
from swanlab_export.plot import PlotOptions
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from os import PathLike
    from pathlib import Path

    from swanlab_export.api.runs.filters import Where


class MetricsOptions(TypedDict, total=False):
    """The arguments of ``metrics`` that do not decide what it returns."""

    project: str | Sequence[str] | None
    where: Where
    all: bool
    sample: int
    x_axis: str
    range_type: str | None
    range_start: float | datetime | None
    range_end: float | datetime | None
    range_head: int | None
    range_tail: int | None
    range_last: int | None
    layout: Literal["long", "wide"]
    ignore_timestamp: bool
    partial: bool
    text: bool
    smooth: float | None
    group_by: str | Sequence[str] | None
    run_columns: str | Sequence[str] | None


class RunMetrics(Resource[F]):
    """Points of metrics."""

    @overload
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        save: None = ...,
        **options: Unpack[MetricsOptions],
    ) -> F: ...
    @overload
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        save: PathLike[str],
        log_scale: bool = ...,
        title: str | None = ...,
        size: str | tuple[float, float] | None = ...,
        color_by: str | None = ...,
        **options: Unpack[MetricsOptions],
    ) -> Path: ...
    @overload
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        save: str,
        store_options: Mapping[str, str] | None = ...,
        log_scale: bool = ...,
        title: str | None = ...,
        size: str | tuple[float, float] | None = ...,
        color_by: str | None = ...,
        **options: Unpack[MetricsOptions],
    ) -> Path | str: ...
    def metrics(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str],
        save: str | PathLike[str] | None = None,
        store_options: Mapping[str, str] | None = None,
        log_scale: bool = False,
        title: str | None = None,
        size: str | tuple[float, float] | None = None,
        color_by: str | None = None,
        project: str | Sequence[str] | None = None,
        where: Where = None,
        all: bool = False,
        sample: int = SAMPLE_MAX,
        x_axis: str = "step",
        range_type: str | None = None,
        range_start: float | datetime | None = None,
        range_end: float | datetime | None = None,
        range_head: int | None = None,
        range_tail: int | None = None,
        range_last: int | None = None,
        layout: Literal["long", "wide"] = "long",
        ignore_timestamp: bool = False,
        partial: bool = False,
        text: bool = False,
        smooth: float | None = None,
        group_by: str | Sequence[str] | None = None,
        run_columns: str | Sequence[str] | None = None,
    ) -> F | Path | str:
        """Points of metrics; one row per run, key and step, sorted so.

        Args:
            paths: Runs, workspace/project/run or web pages, one by one or in lists; or give
                ``project``.
            keys: ``"loss,acc"``, a list, or patterns such as ``"train/*"``.
            save: Write to this file instead, and return its path. The extension gives the format;
                ``.png``, ``.svg`` and ``.pdf`` draw a panel per key and a line per run, and a
                notebook shows the picture where the call is the last line of a cell. A URL such
                as ``s3://bucket/loss.parquet`` is an object of a store; see ``using``.
            store_options: Options of the object store, where ``save`` is a URL such as s3://….
            log_scale: Pictures have a logarithmic axis.
            title: Of the picture; by default the name of the only run.
            size: Width and height of the picture in inches, such as ``"6x4"`` or ``(6, 4)``.
            color_by: A column of the runs that gives the lines their colours: ``"config.lr"``. With
                ``group_by``, a group whose runs have one value has its colour, too.
            project: All runs of a project.
            where: Only runs that pass; see ``filter``.
            all: Every point, instead of a sample; a range gives every point in it, too.
            sample: Points per key at most, up to 1500. NaN and infinite ones are left out, which a
                warning says where the summary of the key shows them; ``all`` has them in any case.
            x_axis: ``"step"``, ``"time"``, ``"relative_time"``, or a key, as column ``x``.
            range_type: What start and end are: ``"step"``, ``"timestamp"`` (Unix ms, UTC) or
                ``"custom"`` (values of the x axis).
            range_start: The first, inclusive; a time makes it a range of timestamps.
            range_end: The last, inclusive.
            range_head: The first so many points of each key.
            range_tail: The last so many points of each key.
            range_last: Points of the last so many ms.
            layout: ``"long"``, or ``"wide"``: one row per run and step, one column per key.
            ignore_timestamp: Leave out the timestamp column.
            partial: Leave out runs and keys that fail, and say which.
            text: Add a column text (in the wide layout one per key, such as ``note_text``) that has
                the values which are no numbers: words of STRING columns. Their value is missing.
            smooth: A weight from 0 to below 1 adds ``smoothed`` to every point: the mean of the
                finite values of the run and key so far, each of which counts ``smooth`` times as
                much as the next one; debiased. The values stay as they are. Of a range, the first
                smoothed value is its first one.
            group_by: Columns of the runs whose values make a group: ``"config.lr"``. A row is then
                a group, key and step of all points: n, mean, std (ddof 1), min and max of the
                finite values, and n_nonfinite. A step that only some runs have is a row with a
                smaller n; of several points of a run at one step the last one counts. Pictures have
                a line with a band of ± std per group, over thin lines of its runs, without the
                steps that half of these lack. The points wait in a temporary file: memory does not
                grow with their number.
            run_columns: Columns of the runs to add to each row: ``"state,config.lr"``.

        Returns:
            run_id, key, step, value, timestamp (UTC), x on another axis than the step, and
            run_name; runs of several projects have a column project before these. On the axes
            of all points, ``"relative_time"`` is in seconds since the first of them of the run
            and key.

        Raises:
            NotFoundError: A run does not exist, or no run has a key; names the closest ones.
            IncompleteError: Less arrived than was announced, or one of several runs failed.

        Source: ``POST /house/metrics/scalar``, or the CSV of ``…/scalar/export``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     points = api.run.metrics("ada-lab/digits/diverged", keys="loss", all=True)
        >>> len(points)
        440
        """
        # These take a while to import, and no other command needs them.
        from swanlab_export.api.runs import export
        from swanlab_export.api.runs import sample as sampling
        from swanlab_export.api.runs.plan import Query, resolve
        from swanlab_export.api.runs.ranges import Range

        wanted = Wanted.parse(self._context, flat(paths), project, where)
        by = parse_columns(group_by, "group_by")
        added = parse_columns(run_columns, "run_columns")
        bounds = Range.parse(range_type, range_start, range_end, range_head, range_tail, range_last)
        query = Query.parse(
            keys,
            bounds,
            all=all,
            sample=sample,
            x_axis=x_axis,
            layout=layout,
            has_timestamp=not ignore_timestamp,
            partial=partial,
            now_ms=self._context.now_ms(),
            has_text=text,
            smooth=smooth,
            group_by=by,
            run_columns=added,
            has_projects=wanted.has_projects,
        )
        plot = PlotOptions.parse(log_scale=log_scale, title=title, size=size, color_by=color_by)
        if save is None:
            plot.refuse(f"pictures: see {argument('save')}")
            refuse_store_options(store_options)
        output: Output[Any] = (
            self._output if save is None else FileOutput(save, plot, store_options=store_options)
        )
        report = self._output.report = output.begin(query.declared())
        context = self._context
        left_out = Partial(report, is_wanted=partial)
        colour_by = parse_columns(
            None if output.color_by is None else [output.color_by], "color_by"
        )
        with_profile = bool(by or added or colour_by)
        runs = find_runs(context, wanted, left_out, report, with_profile=with_profile)
        named = wanted.projects
        colours = columns_of_runs(context, runs, colour_by, "color_by", named).to_pydict()
        if len(colours) > 2:
            raise UsageError(f"{argument('color_by')} {quote(colour_by[0])} is several columns")
        groups = columns_of_runs(context, runs, by, "group_by", named)
        columns = columns_of_runs(context, runs, added, "run_columns", named)
        if query.layout == "long":
            columns = with_names(runs, columns)
        if query.has_projects:
            columns = with_projects(runs, columns)
        find_steps = bind(export.announced_steps, context.client, report=report, is_partial=partial)
        plan = resolve(context, query, runs, find_steps, left_out, report)
        fetch_raw = export.fetch_raw_exports if query.is_full else sampling.fetch_raw_samples
        options = query.options() | {"range": None if bounds is None else str(bounds)}
        attempts = count()

        def table() -> Table:
            if query.is_full:
                can_restart = output.can_restart and next(attempts) == 0
                batches = export.exported_batches(context, plan, can_restart=can_restart)
            else:
                batches = sampling.sampled_batches(context, plan)
            points = Table(
                "metrics",
                plan.layout.schema,
                batches,
                run_names={run.run_id: run.name for run in runs},
                run_values=dict(zip(colours["run_id"], list(colours.values())[-1], strict=True))
                if colour_by
                else {},
                x_axis=query.x_axis,
                keys=plan.keys,
            )
            if by:
                finished = finish_points(points, query, columns.select(["run_id"]), report)
                return grouped_points(finished, query, groups, report)
            return finish_points(points, query, columns, report)

        result = Result(
            table,
            lambda: fetch_raw(context, plan),
            context.source("run metrics", wanted, **options, **wanted.options()),
        )
        delivered: F | Path | str = output.deliver(result, report)
        return delivered
