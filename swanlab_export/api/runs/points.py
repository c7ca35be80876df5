"""Tables about runs with more columns: of the runs themselves, of time, smoothed; or in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export import schemas
from swanlab_export.analysis import PointGroups
from swanlab_export.analysis.columns import add_smoothed, add_times, join_runs
from swanlab_export.analysis.groups import check_groups
from swanlab_export.api.runs.survey import Place, check_keys
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.runs import Home, normalize_runs_of_projects
from swanlab_export.patterns import is_pattern
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.api.runs.plan import Query
    from swanlab_export.refs import ProjectRef
    from swanlab_export.tables import Table


def parse_columns(names: str | Sequence[str] | None, name: str) -> list[str]:
    """Read names of columns of runs.

    Raises:
        UsageError: A name is empty, or it is a summary, which is no column of a run by itself.
    """
    found = [] if names is None else schemas.parse_names(names, name)
    for each in found:
        if each.startswith("summary."):
            raise UsageError(
                f"{argument(name)} takes columns of runs, such as state or config.lr, not {quote(each)}"
            )
    return found


def columns_of_runs(
    context: Context,
    runs: Sequence[FoundRun],
    names: Sequence[str],
    name: str,
    projects: Sequence[ProjectRef] = (),
) -> pa.Table:
    """The columns ``names`` of the runs, after ``run_id``.

    Args:
        context: The server.
        runs: The runs, with their configs.
        names: Columns of the table of runs, or patterns.
        name: The argument that named them.
        projects: Other projects that were named; a run of one of them may have a config, too.

    Raises:
        UsageError: There is no such column; names similar ones.
        NotFoundError: No run of the projects has such a config; names the closest ones.
    """
    if not names:
        return pa.table({"run_id": pa.array([run.run_id for run in runs], pa.string())})
    homes = {run.ref.project: Home(run.ref.project, run.source.project_id) for run in runs}
    rows = ((homes[run.ref.project], run.payload, None) for run in runs)
    table = normalize_runs_of_projects(
        rows, Report(), context.web_host, has_projects=len(homes) > 1
    )

    def check_absent(columns: Sequence[str]) -> None:
        configs = [column.removeprefix("config.") for column in columns]
        places = [Place(ref, lambda: "") for ref in dict.fromkeys([*homes, *projects])]
        check_keys(context, places, configs=configs)

    table.check_absent = check_absent
    whole = table.complete([each for each in names if not is_pattern(each)], name)
    chosen = schemas.parse_fields(names, whole.schema.names, name)
    if name != "group_by":  # each table has it
        chosen = [each for each in chosen if each != "run_id"]
    else:
        check_groups(whole.schema.field(each) for each in chosen)
    return whole.to_arrow().select(["run_id", *chosen])


def with_names(runs: Sequence[FoundRun], columns: pa.Table) -> pa.Table:
    """The columns of runs with the name of each run before them."""
    names = pa.array([run.name for run in runs], pa.string())
    return columns.add_column(1, schemas.RUN_NAME.field(), names)


def with_projects(runs: Sequence[FoundRun], columns: pa.Table) -> pa.Table:
    """The columns of runs with the project of each run before them."""
    projects = pa.array([str(run.ref.project) for run in runs], pa.string())
    return columns.add_column(1, "project", projects)


def join_columns(table: Table, columns: pa.Table, report: Report) -> Table:
    """A table whose rows are about runs, with columns of the runs; ``project`` comes first.

    A column that is named like one of the table gets a number; the report warns of it.
    """
    names = table.schema.names
    added = columns.schema.names[1:]
    if not added:
        # Each batch would look its runs up among all of them: with 20,000 runs, that took 90 MB.
        return table
    renamed = [_free_name(name, names) for name in added]
    for name, new in zip(added, renamed, strict=True):
        if name != new:
            report.warn(f"the table has a column {name} already; that of the run is in {new}")
    columns = columns.rename_columns(["run_id", *renamed])
    whole = [column.combine_chunks() for column in columns.columns]
    runs = pa.record_batch(whole, schema=columns.schema)
    fields = [*table.schema, *list(columns.schema)[1:]]
    fields.sort(key=lambda field: field.name != "project")
    return table.with_rows(pa.schema(fields), join_runs(table, runs, fields))


def with_snapshot(table: Table, now_ms: int) -> Table:
    """A table whose first column is when the call began."""
    field = schemas.SNAPSHOT_AT.field()
    schema = pa.schema([field, *table.schema])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in table:
            times = pa.repeat(pa.scalar(now_ms, pa.int64()), batch.num_rows).cast(field.type)
            fields = pa.schema([field, *batch.schema])
            yield pa.record_batch([times, *batch.columns], schema=fields)

    return table.with_rows(schema, batches())


def _free_name(name: str, taken: Sequence[str]) -> str:
    count, free = 1, name
    while free in taken:
        count += 1
        free = f"{name}__{count}"
    return free


def finish_points(table: Table, query: Query, columns: pa.Table, report: Report) -> Table:
    """The table of points with all columns that were asked for.

    Args:
        table: The points, as the server has them.
        query: What was asked for.
        columns: The columns of the runs.
        report: Gets warnings.
    """
    schema, batches = table.schema, iter(table)
    if query.derives_x:
        batches = add_times(batches, is_relative=query.x_axis == "relative_time")
        x = schemas.X_TIME if query.x_axis == "time" else schemas.X
        schema = schema.append(x.field())
    if query.derives_x and not query.has_timestamp:
        at = schema.get_field_index("timestamp")
        schema = schema.remove(at)
        batches = (batch.select(schema.names) for batch in batches)
    if query.smooth is not None:
        batches = add_smoothed(batches, query.smooth)
        schema = schema.append(schemas.SMOOTHED.field())
    return join_columns(table.with_rows(schema, batches), columns, report)


def grouped_points(table: Table, query: Query, columns: pa.Table, report: Report) -> Table:
    """The points of groups of runs: a row per group, key and step, or value of the x axis.

    Args:
        table: All points, as ``finish_points`` makes them.
        query: What was asked for.
        columns: The columns that make a group.
        report: Gets a warning where the runs of no group meet at any step.
    """
    axis = "step" if query.x_type is None else "x"
    is_smoothed = query.smooth is not None
    field = table.schema.field(axis)
    groups = PointGroups(table, columns, table.keys, field, is_smoothed=is_smoothed)

    def batches() -> Iterator[pa.RecordBatch]:
        most = 0
        for batch in groups:
            most = max(most, pc.max(batch["n"]).as_py())
            yield batch
        if groups.left_out:
            report.warn(f"{groups.left_out:,} points have no {query.x_axis} and are in no group")
        if most == 1 and len(columns) > 1:
            report.warn(f"no two runs of a group have a point at the same {axis}: each n is 1")

    grouped = table.with_rows(groups.schema, batches())
    grouped.name = schemas.METRICS_BY_GROUP.name
    grouped.points_of_runs = groups.points_of_runs()
    return grouped
