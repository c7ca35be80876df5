"""Plots in the terminal: plotext draws lines and frame; the text around them is written here.

plotext counts characters where a terminal counts cells, so that it is given no names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np
from rich.cells import cell_len

from swanlab_export.cells import draw_for, is_unicode
from swanlab_export.plot import axes
from swanlab_export.plot.lines import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.plot.axes import Axis
    from swanlab_export.plot.lines import Line, Panel, Plot
    from swanlab_export.report import Report

# Points of a panel at most: plotext takes about 50 µs for each.
POINTS = 12_000
_WIDTHS = (40, 120)
_HEIGHT = 18
_TICKS = 5
# ASCII, which is one cell wide everywhere; colours that people with any colour vision tell apart, and
# that are visible on dark and on light: after them, lines differ by markers, too.
_MARKERS = "*+ox#@%=s^v~abcdefgh"
_COLOURS = (33, 208, 36, 220, 74, 175, 166, 244)
_DOTS = "braille"
_FULL_CELL = "⣿"


@dataclass(frozen=True)
class _Pen:
    """What the lines of a run are drawn with."""

    marker: str
    colour: int | None

    @property
    def text(self) -> str:
        """What the legend shows."""
        return "──" if self.marker == _DOTS else self.marker

    def painted(self) -> str:
        """The same in its colour."""
        return self.text if self.colour is None else f"\x1b[38;5;{self.colour}m{self.text}\x1b[0m"


def print_screen(
    plot: Plot,
    stream: IO[str],
    report: Report,
    *,
    width: int,
    is_log_scale: bool,
    is_coloured: bool,
) -> None:
    """Draw the panels below each other, in ASCII where ``stream`` is not Unicode."""
    encoding = getattr(stream, "encoding", None)
    low, high = _WIDTHS
    width = max(low, min(high, width))
    pens = _pens(plot, is_coloured=is_coloured, is_ascii=not is_unicode(encoding))
    for panel in plot.panels:
        for line in _panel(panel, plot, pens, width, report, is_log_scale=is_log_scale):
            stream.write(draw_for(encoding, line) + "\n")


def _pens(plot: Plot, *, is_coloured: bool, is_ascii: bool) -> dict[str, _Pen]:
    """Give each name of the legend its pen: a colour, else a marker, but none without a legend."""
    names = plot.legend or [""]
    by_marker = is_ascii or (len(names) > 1 and not is_coloured)
    pens = {
        name: _Pen(
            _MARKERS[number] if by_marker or number >= len(_COLOURS) else _DOTS,
            _COLOURS[number % len(_COLOURS)] if is_coloured else None,
        )
        for number, name in enumerate(names)
    }
    return {line: pens[label if plot.legend else ""] for line, label in plot.labels.items()}


def _panel(
    panel: Panel,
    plot: Plot,
    pens: dict[str, _Pen],
    width: int,
    report: Report,
    *,
    is_log_scale: bool,
) -> Iterator[str]:
    """Yield a panel as lines of text."""
    span = panel.x_span()
    empty = "no points" if span is None else ""
    key = f"mean of {panel.key}" if plot.is_grouped else panel.key
    yield _centred(" · ".join(filter(None, [key, plot.title, empty])), width)
    if span is None:
        return
    x_axis = axes.x_axis(span, panel, is_time=plot.is_time)
    limits = axes.show_limits(panel, plot.names, report, is_log_scale=is_log_scale)
    y_axis = None if limits is None else axes.y_axis(limits, is_log_scale=is_log_scale)
    drawn, common = _frame(panel.lines, pens, x_axis, y_axis, width)
    yield from drawn
    if limits is None:
        yield _centred("no positive values" if is_log_scale else "no finite values", width)
    yield _centred(plot.x_name + (common and f", {common}"), width)
    if plot.legend:
        names = {pens[line.name]: plot.labels[line.name] for line in panel.lines}
        order = sorted(names, key=lambda pen: plot.legend.index(names[pen]))
        yield from _legend({pen: names[pen] for pen in order}, plot.colour_by, width)


def _frame(
    lines: Iterable[Line], pens: dict[str, _Pen], x_axis: Axis, y_axis: Axis | None, width: int
) -> tuple[list[str], str]:
    """Draw lines into a frame with ticks, with plotext; also what the labels of x have in common."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)
    plotext.plot_size(width, _HEIGHT)
    plotext.xlim(0, 1)
    plotext.ylim(0, 1)
    ticks, labels, common = x_axis.ticks(_TICKS)
    plotext.xticks(x_axis.positions(ticks).tolist(), labels)
    ticks, labels, _ = y_axis.ticks(_TICKS) if y_axis else ([], [], "")
    plotext.yticks(y_axis.positions(ticks).tolist() if y_axis else [], labels)
    # An axis that nothing is drawn on would have no ticks.
    plotext.scatter([0], [0], marker=" ")
    for line in lines:
        if y_axis:
            _draw_line(line, pens[line.name], x_axis, y_axis)
    drawn = str(plotext.build())
    if all(pen.colour is None for pen in pens.values()):
        drawn = plotext.uncolorize(drawn)
    return [line.rstrip() for line in drawn.splitlines()], common


def _draw_line(line: Line, pen: _Pen, x_axis: Axis, y_axis: Axis) -> None:
    """Draw a line, which plotext breaks at NaN; a point between two gaps fills its cell.

    Values beyond the axis are drawn at its edge.
    """
    import plotext

    y = line.y if line.smoothed is None else line.smoothed
    across, up = x_axis.positions(line.x), np.clip(y_axis.positions(y), 0, 1)
    plotext.plot(across.tolist(), up.tolist(), marker=pen.marker, color=pen.colour)
    alone = line.alone()
    if len(alone):
        marker = _FULL_CELL if pen.marker == _DOTS else pen.marker
        plotext.scatter(across[alone].tolist(), up[alone].tolist(), marker=marker, color=pen.colour)


def _legend(names: Mapping[_Pen, str], colour_by: str, width: int) -> Iterator[str]:
    """Yield the names of lines after their pens, as many in a line as fit."""
    line, used = colour_by and f"  {colour_by}:", cell_len(colour_by) + 3 * bool(colour_by)
    for pen, name in names.items():
        cells = 2 + cell_len(pen.text) + 1 + cell_len(name)
        if used and used + cells > width:
            yield line
            line, used = "", 0
        line, used = f"{line}  {pen.painted()} {name}", used + cells
    yield line


def _centred(text: str, width: int) -> str:
    shown = shorten(text, width)
    return " " * ((width - cell_len(shown)) // 2) + shown
