"""What ``run metrics`` was asked for: checked first, then resolved to runs and keys."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from swanlab_export import schemas
from swanlab_export.api.partial import GoneError, count_others, is_of_item, refusal
from swanlab_export.api.resource import check_choice, read_integer, read_number
from swanlab_export.api.runs.keys import find_having, match_keys, warn_of_missing
from swanlab_export.api.runs.ranges import check_x_axis
from swanlab_export.endpoints import runs as run_endpoint
from swanlab_export.errors import NotFoundError, UsageError
from swanlab_export.limits import EXPORT_COLUMNS_MAX, LAYOUTS, SAMPLE_MAX, X_AXES
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.metrics import Layout
from swanlab_export.normalizers.selection import Selection
from swanlab_export.report import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.api.partial import Partial
    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.api.runs.ranges import Range
    from swanlab_export.client import Client
    from swanlab_export.errors import SwanlabExportError
    from swanlab_export.report import Report
    from swanlab_export.schemas import TableSchema

Steps = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Query:
    """Which points are wanted, and in which form; nothing of it needs a request."""

    patterns: list[str]
    is_full: bool
    sample: int
    x_axis: str
    selection: Selection
    layout: str
    has_timestamp: bool
    partial: bool
    has_text: bool = False
    smooth: float | None = None
    group_by: tuple[str, ...] = ()
    run_columns: tuple[str, ...] = ()
    has_projects: bool = False

    @classmethod
    def parse(
        cls,
        keys: str | Sequence[str],
        bounds: Range | None,
        *,
        all: bool,
        sample: int,
        x_axis: str,
        layout: str,
        has_timestamp: bool,
        partial: bool,
        now_ms: int,
        has_text: bool = False,
        smooth: float | None = None,
        group_by: Sequence[str] = (),
        run_columns: Sequence[str] = (),
        has_projects: bool = False,
    ) -> Self:
        """Check the arguments.

        Raises:
            UsageError: One of them has no meaning, or two exclude each other.
        """
        patterns = schemas.parse_names(keys, "keys")
        is_full = all or bounds is not None or smooth is not None or bool(group_by)
        check_x_axis(x_axis)
        layout = check_choice("layout", layout, LAYOUTS)
        is_derived = is_full and x_axis in {"time", "relative_time"}
        for name, given in (
            ("smooth", smooth is not None),
            ("group_by", group_by),
            ("x_axis", is_derived),
        ):
            if given and layout == "wide":
                shown = f"{argument(name)} {x_axis} of all points" if is_derived else argument(name)
                raise UsageError(f"{shown} is for the long layout")
        if group_by and run_columns:
            raise UsageError(
                f"{argument('run_columns')} is for points of runs: {argument('group_by')} has "
                "the columns that make a group"
            )
        if group_by and has_text:
            raise UsageError(f"{argument('text')} is for points of runs, not of groups")
        smooth = None if smooth is None else read_number("smooth", smooth)
        if smooth is not None and not 0 <= smooth < 1:
            raise UsageError(f"{argument('smooth')} is from 0 to below 1, not {smooth:g}")
        sample = read_integer("sample", sample)
        if sample < 1:
            raise UsageError(f"{argument('sample')} must be at least 1")
        selection = Selection() if bounds is None else bounds.select(x_axis, now_ms)
        return cls(
            patterns,
            is_full,
            min(sample, SAMPLE_MAX),
            x_axis,
            selection,
            layout,
            has_timestamp,
            partial,
            has_text,
            smooth,
            tuple(group_by),
            tuple(run_columns),
            has_projects,
        )

    @property
    def derives_x(self) -> bool:
        """Whether the x axis is made of the timestamps of all points."""
        return self.is_full and self.x_axis in {"time", "relative_time"}

    @property
    def x_key(self) -> str | None:
        """The key that is the x axis, None where the axis is step or time."""
        return None if self.x_axis in X_AXES else self.x_axis

    @property
    def x_type(self) -> pa.DataType | None:
        """The type of the column ``x``, None where the axis is the step."""
        if self.x_axis == "step":
            return None
        return schemas.TIME if self.x_axis == "time" else schemas.FLOAT

    def declared(self) -> TableSchema:
        """The declared columns of the table; a wide one has a column per key besides."""
        run_id, key, step, value, timestamp = schemas.POINTS
        x = schemas.X_TIME if self.x_axis == "time" else schemas.X
        if self.group_by:
            return self._declared_groups(x)
        if self.layout == "wide":
            axis = step if self.x_type is None else x
            grain = "one row per run and step"
            declared = replace(
                schemas.METRICS, grain=grain, columns=(run_id, axis), is_closed=False
            )
        else:
            columns = [run_id, key, step, value]
            if self.has_text:
                columns.append(schemas.TEXT_VALUE)
            if self.has_timestamp:
                columns.append(timestamp)
            if self.x_type is not None:
                columns.append(x)
            if self.smooth is not None:
                columns.append(schemas.SMOOTHED)
            columns.append(schemas.RUN_NAME)
            is_closed = not self.run_columns
            declared = replace(schemas.METRICS, columns=tuple(columns), is_closed=is_closed)
        return schemas.with_project(declared) if self.has_projects else declared

    def _declared_groups(self, x: schemas.Column) -> TableSchema:
        """The declared columns of groups, beside those that make a group."""
        key, step, *statistics = schemas.METRICS_BY_GROUP.columns
        axis = step if self.x_type is None else x
        smoothed = [] if self.smooth is None else [schemas.SMOOTHED]
        columns = (key, axis, *statistics, *smoothed)
        return replace(schemas.METRICS_BY_GROUP, columns=columns)

    def options(self) -> dict[str, Any]:
        """Describe it for the table's source."""
        return {
            "keys": self.patterns,
            "all": self.is_full,
            "sample": None if self.is_full else self.sample,
            "x_axis": self.x_axis,
            "layout": self.layout,
            "ignore_timestamp": not self.has_timestamp,
            "partial": self.partial,
            "text": self.has_text,
            "smooth": self.smooth,
            "group_by": list(self.group_by),
            "run_columns": list(self.run_columns),
        }


@dataclass(frozen=True)
class Plan:
    """A query with the runs and keys that it means: from here on only data are fetched."""

    query: Query
    runs: list[FoundRun]
    keys: list[str]
    having: dict[str, set[str]] | None  # not asked for where the response itself tells
    unsure: set[str]  # runs whose keys the server does not tell
    announced: Callable[[], Steps]  # run → key → its latest step
    layout: Layout
    partial: Partial
    report: Report
    # Runs that were asked for because data of theirs were not found; None for those that are there.
    gone: dict[str, GoneError | None] = field(default_factory=dict)

    def leave_out(
        self,
        run: FoundRun,
        failed: Sequence[tuple[Sequence[str], SwanlabExportError]],
        *,
        is_all: bool,
    ) -> None:
        """Leave out the keys of a run that failed, or the run where no other key is left.

        Raises:
            SwanlabExportError: Nothing may be left out; says what would be given otherwise.
        """
        for keys, error in failed:
            if not self.partial.is_wanted and len(self.runs) > 1 and is_of_item(error):
                others = count_others(len(self.runs) - 1, "runs")
                raise refusal([Failure(str(run.ref), error)], others)
            if is_all and self.partial.is_wanted:
                self.partial.fail([run.ref], error, "runs")
                return
            self.partial.fail([f"{run.ref}, key {quote(key)}" for key in keys], error, "keys")

    def what_is_missing(self, client: Client, run: FoundRun, error: NotFoundError) -> NotFoundError:
        """Tell a run that is gone from a key that is missing, where that makes a difference."""
        if not self.partial.is_wanted and run.run_id not in self.unsure:
            return error
        if run.run_id not in self.gone:
            gone = None
            try:
                run_endpoint.fetch_run(client, run.ref)
            except NotFoundError:
                gone = GoneError(error.message, status=error.status)
            self.gone.setdefault(run.run_id, gone)
        return self.gone[run.run_id] or error

    def may_lack(self, run: FoundRun, keys: Sequence[str]) -> bool:
        """Say whether a run that is there, and has no data of keys, may just lack them.

        Of several keys one alone can be missing, and the others have data.
        """
        return run.run_id in self.unsure and len(keys) == 1

    def keys_of(self, run: FoundRun) -> list[str]:
        """The keys that this run has, in the order asked for."""
        having = self.having
        return [key for key in self.keys if having is None or run.run_id in having[key]]

    def with_having(self, client: Client) -> Plan:
        """The same plan, with what the server says which runs have which keys.

        Raises:
            NotFoundError: No run has a key; names the closest ones.
        """
        x_key = self.query.x_key
        asked = self.keys if x_key is None else list(dict.fromkeys([*self.keys, x_key]))
        unsure: set[str] = set()
        having = find_having(client, self.runs, asked, "SCALAR", self.partial, unsure)
        if x_key is not None:
            having = {key: having[key] & having[x_key] for key in self.keys}
        if not unsure:  # else the data themselves tell how many runs have a key
            warn_of_missing(having, len(self.runs), self.report, x_key)
        return replace(self, having=having, unsure=unsure)


def resolve(
    context: Context,
    query: Query,
    runs: list[FoundRun],
    find_steps: Callable[[list[FoundRun], list[str]], Steps],
    partial: Partial,
    report: Report,
) -> Plan:
    """Find the keys that are meant, and for exports which runs have them.

    Args:
        context: The server.
        query: What was asked for.
        runs: The runs that it is about.
        find_steps: Fetches the latest steps that the server announces.
        partial: Decides what it means that runs or keys fail.
        report: Gets warnings.

    Raises:
        NotFoundError: No run has a key; names the closest ones.
    """
    client = context.client
    keys = match_keys(client, runs, query.patterns, "SCALAR", partial)
    # Before any export is begun: what the export of a run that goes on then contains beyond the
    # announced steps is no contradiction, while the other way round it would look cut.
    announced = client.submit(lambda: find_steps(runs, keys)) if query.is_full else dict
    layout = Layout(
        tuple(run.run_id for run in runs),
        tuple(keys),
        None if query.derives_x else query.x_type,
        is_wide=query.layout == "wide",
        has_timestamp=query.has_timestamp or query.derives_x,
        has_text=query.has_text,
    )
    for warning in layout.warnings():
        report.warn(warning)
    plan = Plan(query, runs, keys, None, set(), announced, layout, partial, report)
    # A sample tells by itself which keys a run has; to know them saves requests only where each
    # run may have a few of many keys.
    is_sparse = len(runs) > 1 and len(keys) > EXPORT_COLUMNS_MAX
    return plan.with_having(client) if query.is_full or is_sparse else plan


def chunks_of(keys: Sequence[str], size: int) -> list[list[str]]:
    """Cut keys into as many as one request takes."""
    return [list(keys[i : i + size]) for i in range(0, len(keys), size)]
