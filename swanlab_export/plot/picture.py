"""Plots as pictures, drawn by matplotlib."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len

from swanlab_export.messages import argument
from swanlab_export.plot.fonts import choose_fonts
from swanlab_export.plot.lines import shorten
from swanlab_export.plot.ticks import decades, is_long

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from swanlab_export.plot.downsample import Floats
    from swanlab_export.plot.lines import Line, Panel, Plot, Span
    from swanlab_export.report import Report

# Width and height in inches of a panel, by the number of panels in a row.
_PANEL_INCHES = {1: (8.0, 3.2), 2: (6.0, 2.8), 3: (5.0, 2.5)}
_PANELS_MAX = 60
_CELLS_PER_INCH = 11
_DPI = 144
# Twice the columns of pixels of the widest panel.
COLUMNS = 2 * int(_PANEL_INCHES[1][0] * _DPI)
_FEW_POINTS = 30
_MANY_DECADES = 20
_TICKS_MAX = 8
# Without time, random numbers or the user's own settings: equal data give equal bytes.
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "swanlab-export",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "legend.fontsize": "small",
    "legend.frameon": False,
}


def draw_figure(plot: Plot, kind: str, report: Report, *, is_log_scale: bool) -> bytes:
    """Draw a plot; returns the picture.

    Args:
        plot: What to draw.
        kind: png, svg or pdf.
        report: Warns of what the picture cannot show.
        is_log_scale: The y axes are logarithmic.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        families, missing = choose_fonts(_words(plot))
        mpl.rcdefaults()
        # The last is for viewers of .svg that have none of them.
        fonts = {"font.family": [*families, "sans-serif"], "font.sans-serif": families}
        settings: Any = _SETTINGS | fonts
        mpl.rcParams.update(settings)
        figure = _draw(plot, is_log_scale=is_log_scale)
        drawn = io.BytesIO()
        figure.savefig(drawn, format=kind, dpi=_DPI, metadata=_UNDATED.get(kind))
    if missing and kind != "svg":
        report.warn(
            f"no installed font has {shorten(missing, 20)}, drawn as boxes; "
            f"{argument('save', 'NAME.svg')} keeps them as text"
        )
    if len(plot.panels) > _PANELS_MAX:
        report.warn(
            f"the first {_PANELS_MAX} of {len(plot.panels)} keys are drawn; choose others with "
            f"{argument('keys')}"
        )
    return drawn.getvalue()


def _words(plot: Plot) -> str:
    """All names that a picture shows."""
    runs = plot.runs.values() if plot.title or plot.has_legend else []
    return "".join([plot.x_name, *(panel.key for panel in plot.panels), *runs])


def _draw(plot: Plot, *, is_log_scale: bool) -> Figure:
    from matplotlib.figure import Figure

    panels = plot.panels[:_PANELS_MAX]
    across = 1 if len(panels) <= 4 else 2 if len(panels) <= 12 else 3
    down = -(-len(panels) // across)
    width, height = _PANEL_INCHES[across]
    aside = _legend_cells(plot) / _CELLS_PER_INCH
    figure = Figure(figsize=(across * width + aside, down * height), layout="constrained")
    colours = dict(zip(plot.runs, _colours(len(plot.runs)), strict=True))
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for axis in axes[len(panels) :]:
        axis.remove()
    for panel, axis in zip(panels, axes, strict=False):
        cells = int(width * _CELLS_PER_INCH)
        axis.set_title(_plain(shorten(panel.key, cells)))
        axis.set_xlabel(_plain(shorten(plot.x_name, cells)))
        _draw_panel(axis, panel, plot, colours, is_log_scale=is_log_scale)
    if plot.title:
        figure.suptitle(_plain(plot.title), fontweight="bold")
    if plot.has_legend:
        _add_legend(figure, plot, colours)
    return figure


def _draw_panel(
    axis: Axes, panel: Panel, plot: Plot, colours: dict[str, Any], *, is_log_scale: bool
) -> None:
    x_span, y_span = panel.x_span(), panel.y_span()
    if x_span is not None:
        _span_x(axis, x_span, panel, plot)
    else:
        axis.set_xticks([])
    if y_span is None:
        axis.set_yticks([])
        axis.text(0.5, 0.5, _why_empty(x_span, is_log_scale), ha="center", transform=axis.transAxes)
        return
    if is_log_scale:
        _span_log_y(axis, y_span)
    _label_factor(axis.xaxis, panel.x_factor)
    _label_factor(axis.yaxis, panel.y_factor)
    for line in panel.lines:
        _draw_line(axis, line, plot, colours[line.run_id])


def _draw_line(axis: Axes, line: Line, plot: Plot, colour: Any) -> None:
    """Draw a line, with dots where a point is between two gaps, or where points are few."""
    has_dots = np.count_nonzero(~np.isnan(line.y)) < _FEW_POINTS
    axis.plot(
        _positions(line.x, plot),
        line.y,
        color=colour,
        linewidth=1.0 if plot.has_few_runs else 0.7,
        marker=".",
        markersize=5.0,
        markevery=None if has_dots else line.alone().tolist(),
    )


def _span_x(axis: Axes, span: Span, panel: Panel, plot: Plot) -> None:
    """Let the x axis cover all points, gaps included, and choose its ticks."""
    low, high = span
    margin = (high - low) * 0.02 or (1000.0 if plot.is_time else max(abs(low) * 0.01, 1.0))
    axis.set_xlim(*_positions(np.array([low - margin, high + margin]), plot))
    if plot.is_time:
        _tick_times(axis)
    elif panel.has_integer_x():
        _tick_integers(axis, span)


def _span_log_y(axis: Axes, span: Span) -> None:
    """Make the y axis logarithmic; its margins and ticks stay within the range of floats."""
    from matplotlib import ticker

    axis.set_yscale("log")
    low, high = np.log10(span)
    margin = (high - low) * 0.05 or 0.1
    axis.set_ylim(10.0 ** max(low - margin, -320), 10.0 ** min(high + margin, 308.25))
    if high - low > _MANY_DECADES or high > 280:
        axis.yaxis.set_major_locator(ticker.FixedLocator(decades(span, _TICKS_MAX)))
        axis.yaxis.set_minor_locator(ticker.NullLocator())


def _tick_times(axis: Axes) -> None:
    from matplotlib import dates

    library: Any = dates  # which has no types
    locator = library.AutoDateLocator(tz="UTC")
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(library.ConciseDateFormatter(locator, tz="UTC"))


def _tick_integers(axis: Axes, span: Span) -> None:
    from matplotlib import ticker

    axis.xaxis.set_major_locator(ticker.MaxNLocator(_TICKS_MAX, steps=[1, 2, 5, 10], integer=True))
    if not is_long(span):
        axis.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))


def _label_factor(axis: Axis, factor: float) -> None:
    """Label ticks with the numbers before rescaling."""
    if factor != 1:
        axis.set_major_formatter(lambda value, _: f"{float(value) * factor:g}")


def _positions(x: Floats, plot: Plot) -> Any:
    return x.astype("datetime64[ms]") if plot.is_time else x


def _why_empty(x_span: Span | None, is_log_scale: bool) -> str:
    if x_span is None:
        return "no points"
    return "no positive values" if is_log_scale else "no finite values"


def _colours(count: int) -> list[Any]:
    """Colours, as distinct as their number allows."""
    import matplotlib as mpl

    if count <= 20:
        # Pairs of a strong and a pale colour: the strong ones first.
        return list(mpl.colormaps["tab20"](np.r_[0:20:2, 1:20:2]))[:count]
    return list(mpl.colormaps["turbo"](np.linspace(0.03, 0.95, count)))


def _legend_cells(plot: Plot) -> int:
    return 6 + max(map(cell_len, plot.runs.values())) if plot.has_legend else 0


def _add_legend(figure: Figure, plot: Plot, colours: dict[str, Any]) -> None:
    """Name the runs to the right of the panels, where no name covers a line."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colours[run_id]) for run_id in plot.runs]
    legend = figure.legend(handles, ["run"] * len(handles), loc="outside right upper")
    # Set afterwards, since legends leave out labels that begin with an underscore.
    for text, name in zip(legend.get_texts(), plot.runs.values(), strict=True):
        text.set_text(_plain(name))


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollars as formulas."""
    return text.replace("$", r"\$")
