"""``run metrics``: points of one run or many, sampled or in full, long or wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swanlab_export import schemas
from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.api.keys import find_having, match_keys, missing_notes, parse_keys
from swanlab_export.api.metrics_full import announced_steps, full_parts, full_wire
from swanlab_export.api.metrics_plan import MetricsPlan
from swanlab_export.api.metrics_sample import sample_parts, sample_wire
from swanlab_export.api.ranges import Range, check_x_axis, plan_selection
from swanlab_export.api.run import find_many, many_options
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import UsageError, argument
from swanlab_export.normalizers.metrics import Layout
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swanlab_export.api.filters import Where


def metrics(
    context: Context,
    paths: Sequence[str],
    *,
    keys: str | Sequence[str],
    project: str | None = None,
    where: Where = None,
    full: bool = False,
    sample: int = endpoint.SAMPLE_MAX,
    x_axis: str = "step",
    range_query: Range | None = None,
    layout: str = "long",
    ignore_timestamp: bool = False,
    skip_failed: bool = False,
) -> Answer:
    """Points of metrics, one row per run, key and step (``wide``: per run and step).

    Sampled by the server unless ``full`` or a range is asked for; then every point is downloaded
    and streams through. See the public ``run.metrics`` for all arguments.
    """
    patterns = parse_keys(keys)
    check_x_axis(x_axis)
    if layout not in {"long", "wide"}:
        raise UsageError(f"{argument('layout')} is long or wide")
    if sample < 1:
        raise UsageError(f"{argument('sample')} must be at least 1")
    selection = plan_selection(range_query, x_axis, context.now_ms(), is_full=full)
    is_full = full or range_query is not None
    runs, failures = find_many(context, paths, project, where, skip_failed=skip_failed)
    x_key = None if x_axis in {"step", "time", "relative_time"} else x_axis
    found = match_keys(context, runs, patterns, "SCALAR")
    # Before any export is begun: what the export of a run that goes on then holds beyond the
    # announced steps is no contradiction, while the other way round it would look cut.
    begin = context.client.begin
    announced = begin(lambda: announced_steps(context, runs, found)) if is_full else dict
    asked = found if x_key is None else list(dict.fromkeys([*found, x_key]))
    having = find_having(context, runs, asked, "SCALAR")
    if x_key is not None:
        having = {key: having[key] & having[x_key] for key in found}
    x_type = None if x_axis == "step" else schemas.TIME if x_axis == "time" else schemas.FLOAT
    plan = MetricsPlan(
        runs,
        found,
        having,
        x_axis,
        x_key,
        selection,
        Layout(
            tuple(run.run_id for run in runs),
            tuple(found),
            x_type,
            is_wide=layout == "wide",
            has_timestamp=not ignore_timestamp,
        ),
        min(sample, endpoint.SAMPLE_MAX),
        skip_failed,
        announced,
    )
    source = source_of(
        context,
        "run metrics",
        ", ".join(paths) or project,
        keys=patterns,
        full=full,
        sample=None if is_full else plan.sample,
        x_axis=x_axis,
        layout=layout,
        range=None if range_query is None else str(range_query),
        ignore_timestamp=ignore_timestamp,
        **many_options(project, where, skip_failed=skip_failed),
    )
    notes = _notes(plan)

    def normalize(plan: MetricsPlan) -> Table:
        parts = (
            full_parts(context, plan, failures)
            if is_full
            else sample_parts(context, plan, notes, failures)
        )
        table = Table("metrics", plan.layout.schema, parts)
        table.names = {run.run_id: run.name for run in plan.runs}
        return table

    wire = full_wire if is_full else sample_wire
    return Answer(
        plan, normalize, source, lambda plan: wire(context, plan, failures), notes, failures
    )


def _notes(plan: MetricsPlan) -> list[str]:
    lacking = missing_notes(plan.having, len(plan.runs), plan.x_key)
    return [*lacking, *plan.layout.notes()]
