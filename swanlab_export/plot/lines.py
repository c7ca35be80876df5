"""What a plot shows: a table of metrics as panels of lines, a panel per key, a line per run or group."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.cells import cell_len, set_cell_size

from swanlab_export.cells import csv_cells, escape_controls
from swanlab_export.plot.downsample import Trace, downsample
from swanlab_export.schemas import X

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from swanlab_export.plot import PlotOptions
    from swanlab_export.plot.downsample import Floats
    from swanlab_export.report import Report
    from swanlab_export.tables import Table

    Span = tuple[float, float]

LEGEND_MAX = 20
_NAME_CELLS = 40
# No library computes axes near the largest and smallest floats, and nobody means such numbers: the
# former are left out, the latter are zero.
_LARGEST, _SMALLEST = 1e100, 1e-100
# Beyond these years no library draws dates; nothing was logged then.
_TIMES_MS = tuple(np.array(["1900", "3000"], "datetime64[ms]").astype(np.float64))
MISSING, NOT_FINITE, SEVERAL = "missing", "not finite", "several"


@dataclass(frozen=True)
class Line:
    """Points of one run or group, and key, in their order; ``y`` is NaN where the line has a gap.

    On a time axis ``x`` is in milliseconds since 1970.

    Attributes:
        name: The run's id, or the group.
        x: Where the points are.
        y: Their values, or means.
        std: The standard deviations, of groups.
        smoothed: The smoothed values, where they were asked for.
        n, n_nonfinite: Of groups, how many of their runs have a point there.
    """

    name: str
    x: Floats
    y: Floats
    std: Floats | None = None
    smoothed: Floats | None = None
    n: Floats | None = None
    n_nonfinite: Floats | None = None

    def alone(self) -> Any:
        """The indices of points with gaps on both sides."""
        is_gap = np.isnan(self.y)
        beside = np.concatenate([[True], is_gap, [True]])
        return np.flatnonzero(~is_gap & beside[:-2] & beside[2:])

    @property
    def centre(self) -> Floats:
        """What is drawn of a group, with its band around it: the smoothed means, if there are any."""
        return self.y if self.smoothed is None else self.smoothed

    def band(self, shown: Span) -> tuple[Floats, Floats] | None:
        """One standard deviation around what is drawn within ``shown``; None where there is no band."""
        if self.std is None:
            return None
        low, high = shown
        is_shown = (self.centre >= low) & (self.centre <= high)
        std = np.where(is_shown, self.std, np.nan)
        return None if np.isnan(std).all() else (self.centre - std, self.centre + std)


@dataclass(frozen=True)
class Panel:
    """One key, as it is shown.

    Attributes:
        key: The key.
        lines: A line per run or group that has it.
        behind: Of groups, the lines of their runs, which pictures have behind them.
    """

    key: str
    lines: list[Line]
    behind: list[Line] = field(default_factory=list)

    @property
    def every_line(self) -> list[Line]:
        """The lines, and those behind them."""
        return [*self.lines, *self.behind]

    def x_span(self) -> Span | None:
        """First and last x, gaps included: a run that diverged is shown up to its last step."""
        x = np.concatenate([[], *(line.x for line in self.every_line)])
        return (float(x.min()), float(x.max())) if len(x) else None

    def has_integer_x(self) -> bool:
        """Whether all x are integers, such as steps or epochs: so are the ticks, then."""
        return all(bool((line.x % 1 == 0).all()) for line in self.every_line)

    def values(self) -> list[Floats]:
        """The values of each run that has any, or of each group whose runs are not here."""
        alone = [line for line in self.lines if line.std is None or np.isnan(line.std).all()]
        runs = [*alone, *self.behind] if self.behind else self.lines
        each = (line.y[~np.isnan(line.y)] for line in runs)
        return [values for values in each if len(values)]


@dataclass(frozen=True)
class Plot:
    """All that is drawn.

    Attributes:
        panels: In the order of their keys in the table; at least one.
        names: What each line is called.
        labels: What the legend calls it, in the order of the legend; lines may share one.
        x_axis: ``step``, ``time``, ``relative_time`` or a key.
        is_time: The x axis is one of times.
        title: Above all panels.
        colour_by: The column that gives the lines their colours; empty where each has its own.
        values: What each line has in that column, where these are numbers; only finite ones.
        is_grouped: The lines are groups, with bands.
    """

    panels: list[Panel]
    names: dict[str, str]
    labels: dict[str, str]
    x_axis: str
    is_time: bool
    title: str = ""
    colour_by: str = ""
    values: dict[str, float] = field(default_factory=dict)
    is_grouped: bool = False

    @property
    def legend(self) -> list[str]:
        """The names of the legend; none where there is only one, or more than it can hold."""
        names = list(dict.fromkeys(self.labels.values()))
        return names if 1 < len(names) <= LEGEND_MAX else []

    @property
    def x_name(self) -> str:
        """The label of the x axis."""
        return "time (UTC)" if self.is_time else show(self.x_axis)


def gather_plot(table: Table, report: Report, options: PlotOptions, *, points: int) -> Plot:
    """Read a table of metrics, long or grouped, to its end.

    Args:
        table: With run_id, key, value and step, or x where another axis was asked for; of groups,
            with the groups' columns before key, and mean and std for value.
        report: Warns of what the plot leaves out.
        options: Whether values that are not positive are gaps, and so on.
        points: How many points of one panel can be seen: of more, lines are downsampled.
    """
    axis = X.name if X.name in table.schema.names else "step"
    is_grouped = "std" in table.schema.names
    more = [name for name in ("std", "smoothed") if name in table.schema.names]
    counts = ["n", "n_nonfinite"] if is_grouped else []
    traces = _read_traces(table, [axis, value_column(table.schema.names), *more, *counts])
    behind, runs_of = _read_behind(table, axis, points)
    panels = [
        Panel(
            show(key),
            [line for line in _lines(of_key, [*more, *counts], points) if len(line.x)],
            behind.get(key, []),
        )
        for key, of_key in traces.items()
    ] or [Panel(show(key), []) for key in table.keys or [""]]
    if is_grouped:
        panels = [_of_most_runs(panel, runs_of, report) for panel in panels]
    _warn_without_x(traces, show(table.x_axis), report)
    panels = [_drawable(panel, report, is_log=options.log_scale) for panel in panels]
    is_time = pa.types.is_timestamp(table.schema.field(axis).type)
    labels = _labels([line.name for panel in panels for line in panel.lines], table.run_names)
    title = options.title or (next(iter(labels.values())) if len(labels) == 1 else "")
    of_runs = [line.name for panel in panels for line in panel.behind]
    names = labels | _labels(of_runs, table.run_names)
    values: dict[str, float] = {}
    if options.color_by:
        labels, values = _coloured(names, table.run_values, runs_of)
    plot = Plot(
        panels,
        names,
        labels,
        table.x_axis,
        is_time,
        show(title),
        show(options.color_by or ""),
        values,
        is_grouped,
    )
    if len(set(labels.values())) > LEGEND_MAX and not values:
        report.hint(options.hint_of_many(len(labels)))
    if not plot.legend:
        for reason in (MISSING, NOT_FINITE):
            if count := list(labels.values()).count(reason):
                report.warn(
                    f"{plot.colour_by}, which gives the colours, is {reason} for {count} lines"
                )
    return plot


def _read_traces(table: Table, columns: list[str]) -> dict[str, dict[str, Trace]]:
    """Read the points of each key and run, or group; of the columns, the first one is x."""
    traces: dict[str, dict[str, Trace]] = {}
    for batch in table:
        for key, name, part in _split(batch, columns):
            traces.setdefault(key, {}).setdefault(name, Trace()).add(_points(part))
    return traces


def _points(batch: pa.RecordBatch) -> Floats:
    """The columns as numbers; of the first one, those that no axis can show are missing."""
    x, *others = map(_numbers, batch.columns)
    return np.vstack([np.where(np.abs(x) <= _LARGEST, x, np.nan), *others])


def _read_behind(
    table: Table, axis: str, points: int
) -> tuple[dict[str, list[Line]], dict[str, list[str]]]:
    """Read the points of the runs of groups: their lines by key, and which runs each group has.

    The points of a line come together, and are downsampled before those of the next one come.
    """
    lines: dict[str, list[Line]] = {}
    runs_of: dict[str, dict[str, None]] = {}
    bins = max(16, points // (4 * max(1, len(table.run_names))))

    def key_and_run(batch: pa.RecordBatch) -> tuple[str, str]:
        # By its place: a group may be made by the column run_id, too.
        run_ids = batch.column(batch.schema.names.index("key") - 1)
        return batch["key"][0].as_py(), run_ids[0].as_py()

    for (key, run), batches in groupby(table.points_of_runs, key_and_run):
        trace = Trace()
        for batch in batches:
            count = batch.schema.names.index("key") - 1
            (group,) = _group_names(batch.slice(0, 1), count).to_pylist()
            runs_of.setdefault(group, {})[run] = None
            value = "smoothed" if "smoothed" in batch.schema.names else "value"
            trace.add(_points(batch.select([axis, value])))
        line = Line(run, *downsample(trace.points(), bins))
        if len(line.x):
            lines.setdefault(key, []).append(line)
    return lines, {group: list(runs) for group, runs in runs_of.items()}


def _of_most_runs(panel: Panel, runs_of: Mapping[str, Sequence[str]], report: Report) -> Panel:
    """Leave out what half of the runs of a group lack, and runs that are a group by themselves.

    Where runs have logged at other steps than each other, a line through all of them would go up and
    down with whose turn it is; and where most have ended, it is no longer about the group.
    """
    runs = {line.name: line for line in panel.behind}
    lines, uneven = [], []
    for line in panel.lines:
        of_group = [runs[name] for name in runs_of.get(line.name, ()) if name in runs]
        assert line.n is not None
        assert line.n_nonfinite is not None
        is_kept = 2 * (line.n + line.n_nonfinite) > len(of_group)
        if not is_kept.all():
            uneven.append(line.name)
        smoothed = None if line.smoothed is None else line.smoothed[is_kept]
        std = None if line.std is None else line.std[is_kept]
        lines.append(Line(line.name, line.x[is_kept], line.y[is_kept], std, smoothed))
    if uneven:
        some = ", ".join(uneven[:3]) + ", …" * (len(uneven) > 3)
        report.warn(
            f"{panel.key}: lines of groups leave out where no more than half of their runs have a "
            f"point ({some})"
        )
    alone = {names[0] for names in runs_of.values() if len(names) == 1}
    behind = [line for line in panel.behind if line.name not in alone]
    return Panel(panel.key, [line for line in lines if len(line.x)], behind)


def value_column(names: Iterable[str]) -> str:
    """The column with the values: ``mean`` of groups."""
    return "value" if "value" in names else "mean"


def show(text: str) -> str:
    """A name as a plot shows it, on one line and without marks that reorder text."""
    return escape_controls("".join(char for char in text if unicodedata.category(char) != "Cf"))


def shorten(text: str, cells: int) -> str:
    """Leave out the middle of a text that is wider than ``cells``: names often differ at the end.

    >>> shorten("mlp-with-a-long-name-seed-3", 13)
    'mlp-wi…seed-3'
    """
    if cell_len(text) <= cells:
        return text
    head, tail = (set_cell_size(part, (cells - 1) // 2) for part in (text, text[::-1]))
    return f"{head.rstrip()}…{tail[::-1].lstrip()}"


def _split(batch: pa.RecordBatch, columns: list[str]) -> Iterator[tuple[str, str, pa.RecordBatch]]:
    """Split a batch by key and run, or group; a batch with one of each is not copied."""
    keys, names = _encoded(batch["key"]), _encoded(_line_names(batch))
    codes = keys.indices.to_numpy().astype(np.int64) * len(names.dictionary)
    codes += names.indices.to_numpy()
    points = batch.select(columns)
    if (codes != codes[0]).any():
        order = np.argsort(codes, kind="stable")
        codes, points = codes[order], points.take(pa.array(order))
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
        key, name = divmod(int(codes[start]), len(names.dictionary))
        part = points.slice(start, end - start)
        yield keys.dictionary[key].as_py(), names.dictionary[name].as_py(), part


def _line_names(batch: pa.RecordBatch) -> pa.Array:
    """The run of each row; of groups, their fields with their values."""
    if value_column(batch.schema.names) == "value":
        return batch["run_id"]
    return _group_names(batch, batch.schema.names.index("key"))


def _group_names(batch: pa.RecordBatch, count: int) -> pa.Array:
    """The fields of groups, which are the first ``count`` columns, with their values."""
    parts = [
        pc.binary_join_element_wise(
            f"{name.removeprefix('config.')}=",
            pc.fill_null(_texts(batch.column(i)), MISSING),
            "",
        )
        for i, name in enumerate(batch.schema.names[:count])
    ]
    return pc.binary_join_element_wise(*parts, ", ")


def _texts(column: pa.Array) -> pa.Array:
    """Format a column; times without asking for the rules of their zone: Windows has none."""
    is_time = pa.types.is_timestamp(column.type)
    return csv_cells(column, "\0") if is_time else column.cast(pa.string())


def _encoded(column: pa.Array) -> pa.DictionaryArray:
    is_encoded = pa.types.is_dictionary(column.type)
    return column if is_encoded else column.dictionary_encode()


def _numbers(column: pa.Array) -> Floats:
    """Numbers to draw; times that no axis can show, and numbers beyond all axes, are NaN."""
    if not pa.types.is_timestamp(column.type):
        found: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return np.where(np.abs(found) < _SMALLEST, 0.0, found)
    times = _numbers(column.cast(pa.int64()))
    first, last = _TIMES_MS
    return np.where((times >= first) & (times <= last), times, np.nan)


def _lines(of_key: dict[str, Trace], more: list[str], points: int) -> Iterator[Line]:
    bins = max(16, points // (4 * len(of_key)))
    for name, trace in of_key.items():
        x, y, *others = downsample(trace.points(), bins)
        yield Line(name, x, y, **dict(zip(more, others, strict=True)))


def _warn_without_x(traces: Mapping[str, Mapping[str, Trace]], x_axis: str, report: Report) -> None:
    for key, of_key in traces.items():
        if lost := sum(trace.without_x for trace in of_key.values()):
            report.warn(f"{lost:,} points of {show(key)} have no {x_axis} and are not in the plot")


def _drawable(panel: Panel, report: Report, *, is_log: bool) -> Panel:
    """Make gaps of values that the y axis cannot show, with a warning."""
    lines, large, not_positive = [], 0, 0
    for line in panel.every_line:
        with np.errstate(invalid="ignore"):
            is_not_positive = is_log & (line.y <= 0)
            is_large = (np.abs(line.y) > _LARGEST) & ~is_not_positive
        large += bool(is_large.any())
        not_positive += bool(is_not_positive.any())
        lines.append(replace(line, y=np.where(is_large | is_not_positive, np.nan, line.y)))
    if not_positive:
        report.warn(
            f"{panel.key}: values that are not positive, of {not_positive} lines, are not shown on a "
            "logarithmic axis"
        )
    if large:
        report.warn(f"{panel.key}: values beyond 1e100, of {large} lines, are not shown")
    return Panel(panel.key, lines[: len(panel.lines)], lines[len(panel.lines) :])


def _labels(names: Iterable[str], run_names: Mapping[str, str]) -> dict[str, str]:
    """Name each run by its display name; where two are equal, with their ids."""
    shown = {name: shorten(show(run_names.get(name) or name), _NAME_CELLS) for name in names}
    counts = Counter(shown.values())
    return {
        name: text if counts[text] == 1 else f"{text} ({show(name)})"
        for name, text in shown.items()
    }


def _coloured(
    names: Iterable[str], values: Mapping[str, Any], runs_of: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], dict[str, float]]:
    """Name lines by what colours them, in its order; numbers are returned, too.

    A group has the value of its runs, where these have one.
    """
    of_groups = {name: [values.get(run) for run in runs] for name, runs in runs_of.items()}
    mixed = [name for name, of_runs in of_groups.items() if len(set(map(repr, of_runs))) > 1]
    values = {**values, **{name: of_runs[0] for name, of_runs in of_groups.items()}}
    found = {name: values.get(name) for name in names if name not in mixed}
    numbers = {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    known = [name for name, value in found.items() if value is not None]
    if len(numbers) < len(known):
        numbers = {}
    rest = {name: NOT_FINITE for name, number in numbers.items() if not math.isfinite(number)}
    rest |= {name: MISSING for name, value in found.items() if value is None}
    rest |= dict.fromkeys(mixed, SEVERAL)
    numbers = {name: _in_range(number) for name, number in numbers.items() if name not in rest}
    known = sorted(numbers, key=lambda name: numbers[name]) or known
    labels = {name: shorten(show(str(found[name])), _NAME_CELLS) for name in known}
    return labels | rest, numbers


def _in_range(number: float) -> float:
    """The number, or the closest one that scales can have."""
    return 0.0 if abs(number) < _SMALLEST else max(-_LARGEST, min(_LARGEST, number))
