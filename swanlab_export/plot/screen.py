"""Plots in the terminal: plotext draws lines and frame; the text around them is written here.

plotext counts characters where a terminal counts cells, so that it is given no names.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rich.cells import cell_len

from swanlab_export.cells import draw_for, is_unicode
from swanlab_export.plot.lines import shorten
from swanlab_export.plot.ticks import Axis, integer_axis, log_axis, number_axis, time_axis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swanlab_export.plot.lines import Line, Panel, Plot, Span

_WIDTHS = (40, 120)
_HEIGHT = 18
# ASCII, which is one cell wide everywhere; colours that are visible on dark and on light.
_MARKERS = "*+ox#@%=s^v~"
_COLOURS = (33, 208, 34, 196, 135, 130, 205, 244, 142, 44, 25, 94)
_DOTS = "braille"
_DOTS_ACROSS = 2
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


def fitting_width() -> int:
    """The width of a plot in cells: that of the terminal, from 40 to 120."""
    low, high = _WIDTHS
    return max(low, min(high, shutil.get_terminal_size((100, 24)).columns))


def columns_of(width: int) -> int:
    """To how many columns lines are downsampled for a plot of that width."""
    return _DOTS_ACROSS * width


def print_screen(
    plot: Plot, stream: IO[str], *, width: int, is_log_scale: bool, is_coloured: bool
) -> None:
    """Draw the panels below each other, in ASCII where ``stream`` is not Unicode."""
    encoding = getattr(stream, "encoding", None)
    pens = _pens(plot, is_coloured=is_coloured, is_ascii=not is_unicode(encoding))
    for panel in plot.panels:
        for line in _panel(panel, plot, pens, width, is_log_scale=is_log_scale):
            stream.write(draw_for(encoding, line) + "\n")


def _pens(plot: Plot, *, is_coloured: bool, is_ascii: bool) -> dict[str, _Pen]:
    """Give each run its pen: a colour, else a marker, but no marker without a legend."""
    by_marker = is_ascii or (plot.has_legend and not is_coloured)
    return {
        run_id: _Pen(
            _MARKERS[number % len(_MARKERS)] if by_marker else _DOTS,
            _COLOURS[number % len(_COLOURS)] if is_coloured else None,
        )
        for number, run_id in enumerate(plot.runs)
    }


def _panel(
    panel: Panel, plot: Plot, pens: dict[str, _Pen], width: int, *, is_log_scale: bool
) -> Iterator[str]:
    """Yield a panel as lines of text."""
    x_span, y_span = panel.x_span(), panel.y_span()
    empty = "no points" if x_span is None else ""
    yield _centred(" · ".join(filter(None, [panel.key, plot.title, empty])), width)
    if x_span is None:
        return
    x_axis = _x_axis(x_span, panel, plot)
    y_axis = _y_axis(y_span, panel, is_log_scale=is_log_scale)
    yield from _frame(panel.lines, pens, x_axis, y_axis, width)
    if y_span is None:
        yield _centred("no positive values" if is_log_scale else "no finite values", width)
    yield _centred(plot.x_name + x_axis.suffix, width)
    if plot.has_legend:
        yield from _legend(
            {pens[line.run_id]: plot.runs[line.run_id] for line in panel.lines}, width
        )


def _x_axis(span: Span, panel: Panel, plot: Plot) -> Axis:
    if plot.is_time:
        return time_axis(span)
    return integer_axis(span) if panel.has_integer_x() else number_axis(span, panel.x_factor)


def _y_axis(span: Span | None, panel: Panel, *, is_log_scale: bool) -> Axis:
    if span is None:
        return Axis((0.0, 1.0), [], [])
    return log_axis(span) if is_log_scale else number_axis(span, panel.y_factor)


def _frame(
    lines: Iterable[Line], pens: dict[str, _Pen], x_axis: Axis, y_axis: Axis, width: int
) -> list[str]:
    """Draw lines into a frame with ticks, with plotext."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)
    plotext.plot_size(width, _HEIGHT)
    plotext.xlim(0, 1)
    plotext.ylim(0, 1)
    plotext.xticks(x_axis.positions(x_axis.ticks), x_axis.labels)
    plotext.yticks(y_axis.positions(y_axis.ticks), y_axis.labels)
    # An axis that nothing is drawn on would have no ticks.
    plotext.scatter([0], [0], marker=" ")
    for line in lines:
        _draw_line(line, pens[line.run_id], x_axis, y_axis)
    drawn = str(plotext.build())
    if all(pen.colour is None for pen in pens.values()):
        drawn = plotext.uncolorize(drawn)
    return [line.rstrip() for line in drawn.splitlines()]


def _draw_line(line: Line, pen: _Pen, x_axis: Axis, y_axis: Axis) -> None:
    """Draw a line, which plotext breaks at NaN; a point between two gaps fills its cell."""
    import plotext

    positions = x_axis.positions(line.x), y_axis.positions(line.y)
    plotext.plot(*positions, marker=pen.marker, color=pen.colour)
    alone = [[each[i] for i in line.alone()] for each in positions]
    if alone[0]:
        marker = _FULL_CELL if pen.marker == _DOTS else pen.marker
        plotext.scatter(*alone, marker=marker, color=pen.colour)


def _legend(names: dict[_Pen, str], width: int) -> Iterator[str]:
    """Yield the names of runs after their pens, as many in a line as fit."""
    line, used = "", 0
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
