"""What a plot shows: the rows of a metrics table as panels of lines, a panel per key, a line per run."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from swanlab_export.cells import escape_controls
from swanlab_export.plot.downsample import Trace
from swanlab_export.schemas import X

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from swanlab_export.plot.downsample import Floats, Indices
    from swanlab_export.report import Report
    from swanlab_export.tables import Table

    Span = tuple[float, float]

LEGEND_MAX = 12
_NAME_CELLS = 40
# Beyond this, sums and differences may be out of the range of floats.
HUGE = 1e300
_FACTOR = 1e10
# Beyond these years no library draws dates; nothing was logged then.
_TIMES_MS = tuple(np.array(["1900", "3000"], "datetime64[ms]").astype(np.float64))


@dataclass(frozen=True)
class Line:
    """Points of one run and key in their order; ``y`` is NaN where the line has a gap.

    On a time axis ``x`` is in milliseconds since 1970.
    """

    run_id: str
    x: Floats
    y: Floats

    def alone(self) -> Indices:
        """The indices of points with gaps on both sides."""
        is_gap = np.isnan(self.y)
        beside = np.concatenate([[True], is_gap, [True]])
        return np.flatnonzero(~is_gap & beside[:-2] & beside[2:])


@dataclass(frozen=True)
class Panel:
    """One key, as it is shown, and a line per run that has it.

    The lines' numbers have been divided by ``x_factor`` and ``y_factor``, which are not 1 only near
    the largest floats, where no axis can be computed.
    """

    key: str
    lines: list[Line]
    x_factor: float = 1.0
    y_factor: float = 1.0

    def x_span(self) -> Span | None:
        """First and last x, gaps included: a run that diverged is shown up to its last step."""
        return _span([line.x for line in self.lines])

    def has_integer_x(self) -> bool:
        """Whether all x are integers, such as steps or epochs: so are the ticks, then."""
        return self.x_factor == 1 and all(bool((line.x % 1 == 0).all()) for line in self.lines)

    def y_span(self) -> Span | None:
        """The smallest and the largest value; None where there are only gaps."""
        return _span([line.y[~np.isnan(line.y)] for line in self.lines])


@dataclass(frozen=True)
class Plot:
    """All that is drawn.

    Args:
        panels: In the order of their keys in the table; at least one.
        runs: The names of the runs by id, in the order of the table.
        x_axis: ``step``, ``time``, ``relative_time`` or a key.
        is_time: The x axis is one of times.
    """

    panels: list[Panel]
    runs: dict[str, str]
    x_axis: str
    is_time: bool

    @property
    def has_legend(self) -> bool:
        """Several runs are named, unless the names would leave no room for the lines."""
        return len(self.runs) > 1 and self.has_few_runs

    @property
    def has_few_runs(self) -> bool:
        """Whether a legend can name all runs."""
        return len(self.runs) <= LEGEND_MAX

    @property
    def title(self) -> str:
        """The name of the only run."""
        return next(iter(self.runs.values())) if len(self.runs) == 1 else ""

    @property
    def x_name(self) -> str:
        """The label of the x axis."""
        return "time (UTC)" if self.is_time else show(self.x_axis)


def gather_plot(table: Table, report: Report, *, columns: int, is_log_scale: bool) -> Plot:
    """Read a long metrics table to its end.

    Args:
        table: With run_id, key, value and step, or x where another axis was asked for.
        report: Warns of what the plot leaves out.
        columns: How many columns to downsample lines to; twice the columns of pixels lose nothing.
        is_log_scale: Values that are not positive are gaps.
    """
    axis = x_column(table.schema.names)
    traces: dict[str, dict[str, Trace]] = {}
    for batch in table:
        for key, run_id, points in _split(batch, axis):
            trace = traces.setdefault(key, {}).setdefault(run_id, Trace(columns, is_log_scale))
            trace.add(_numbers(points[axis]), _numbers(points["value"]))
    panels = list(_panels(table, traces, is_log_scale=is_log_scale))
    ids = dict.fromkeys(line.run_id for panel in panels for line in panel.lines)
    for warning in _warnings(traces, table.x_axis, len(ids)):
        report.warn(warning)
    is_time = pa.types.is_timestamp(table.schema.field(axis).type)
    return Plot(panels, _labels(ids, table.run_names), table.x_axis, is_time)


def x_column(columns: Collection[str]) -> str:
    """The column with the x axis: ``x`` where another axis than the step was asked for."""
    return X.name if X.name in columns else "step"


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


def _split(batch: pa.RecordBatch, axis: str) -> Iterator[tuple[str, str, pa.RecordBatch]]:
    """Split a batch by key and run; a batch with one of each is not copied."""
    keys, run_ids = (_encoded(batch[name]) for name in ("key", "run_id"))
    codes = keys.indices.to_numpy().astype(np.int64) * len(run_ids.dictionary)
    codes += run_ids.indices.to_numpy()
    points = batch.select([axis, "value"])
    if (codes != codes[0]).any():
        order = np.argsort(codes, kind="stable")
        codes, points = codes[order], points.take(pa.array(order))
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
        key, run = divmod(int(codes[start]), len(run_ids.dictionary))
        part = points.slice(start, end - start)
        yield keys.dictionary[key].as_py(), run_ids.dictionary[run].as_py(), part


def _encoded(column: pa.Array) -> pa.DictionaryArray:
    is_encoded = pa.types.is_dictionary(column.type)
    return column if is_encoded else column.dictionary_encode()


def _numbers(column: pa.Array) -> Floats:
    """Numbers to draw; times that no axis can show are NaN."""
    if not pa.types.is_timestamp(column.type):
        found: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return found
    times = _numbers(column.cast(pa.int64()))
    first, last = _TIMES_MS
    return np.where((times >= first) & (times <= last), times, np.nan)


def _panels(
    table: Table, traces: dict[str, dict[str, Trace]], *, is_log_scale: bool
) -> Iterator[Panel]:
    """Build panels of lines; without any points, empty panels of the keys that were asked for."""
    for key, of_key in traces.items():
        lines = (Line(run_id, *trace.points()) for run_id, trace in of_key.items())
        panel = Panel(show(key), [line for line in lines if len(line.x)])
        yield _rescaled(panel, is_log_scale=is_log_scale)
    if not traces:
        yield from (Panel(show(key), []) for key in table.keys or [""])


def _rescaled(panel: Panel, *, is_log_scale: bool) -> Panel:
    """Divide numbers that are too large to compute with; their logarithms never are."""
    x_factor = _factor(panel.x_span())
    y_factor = 1.0 if is_log_scale else _factor(panel.y_span())
    lines = [Line(line.run_id, line.x / x_factor, line.y / y_factor) for line in panel.lines]
    return Panel(panel.key, lines, x_factor, y_factor)


def _factor(span: Span | None) -> float:
    return _FACTOR if span and max(map(abs, span)) > HUGE else 1.0


def _span(parts: list[Floats]) -> Span | None:
    values = np.concatenate([*parts, []])
    return (float(values.min()), float(values.max())) if len(values) else None


def _labels(run_ids: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Name runs by their display names; where two are equal, with their ids."""
    shown = {run_id: shorten(show(names.get(run_id) or run_id), _NAME_CELLS) for run_id in run_ids}
    counts = Counter(shown.values())
    return {
        run_id: name if counts[name] == 1 else f"{name} ({show(run_id)})"
        for run_id, name in shown.items()
    }


def _warnings(traces: dict[str, dict[str, Trace]], x_axis: str, runs: int) -> Iterator[str]:
    """Say what the plot leaves out."""
    for name, of_key in traces.items():
        key = show(name)
        if hidden := sum(trace.not_positive for trace in of_key.values()):
            yield f"{hidden:,} values of {key} are not positive, and are not shown on a logarithmic axis"
        if lost := sum(trace.without_x for trace in of_key.values()):
            yield f"{lost:,} points of {key} have no {show(x_axis)} and are not in the plot"
    if runs > LEGEND_MAX:
        yield f"{runs} runs are drawn without a legend, which names {LEGEND_MAX} at most"
