"""Plots as pictures, drawn by matplotlib."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from swanlab_export.messages import argument
from swanlab_export.plot import axes
from swanlab_export.plot.colours import GREY, colour_scale, line_styles
from swanlab_export.plot.fonts import choose_fonts, pdf_font_type
from swanlab_export.plot.lines import LEGEND_MAX, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

    from swanlab_export.plot import PlotOptions
    from swanlab_export.plot.lines import Line, Panel, Plot, Span
    from swanlab_export.report import Report

# Points of a panel at most: all lines at once have more than the picture can show.
POINTS = 400_000
# Width and height in inches of a panel, by the number of panels in a row.
_PANEL_INCHES = {1: (8.0, 4.0), 2: (5.5, 2.8), 3: (4.5, 2.5)}
_PANELS_MAX = 30
_CELLS_PER_INCH = 11
# What the labels of a y axis need.
_LEFT_INCHES = 0.35
_DPI = 144
_FEW_POINTS = 30
_TITLE_LINES = 3
# How opaque bands are.
_BAND = 0.2
# Of an axis at most, and so that their labels have room beside each other.
_TICKS, _TICKS_PER_INCH = 8, 1.4
_MARKS = 12
# Of a legend, in points, and lines of it per point of its size.
_FONT, _FONT_LEAST, _LINE = 8.5, 4.0, 1.75
# Without time, random numbers or the user's own settings: equal data give equal bytes.
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "swanlab-export",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.labelsize": "small",
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
    "legend.frameon": False,
}


def draw_figure(plot: Plot, kind: str, report: Report, options: PlotOptions) -> bytes:
    """Draw a plot; returns the picture.

    Args:
        plot: What to draw.
        kind: png, svg or pdf.
        report: Warns of what the picture cannot show.
        options: How to draw it.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        families, missing = choose_fonts(_words(plot))
        mpl.rcdefaults()
        # The last is for viewers of .svg that have none of them.
        fonts = {"font.family": [*families, "sans-serif"], "font.sans-serif": families}
        settings: Any = _SETTINGS | fonts | {"pdf.fonttype": pdf_font_type(families)}
        mpl.rcParams.update(settings)
        figure = _draw(plot, report, options)
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
    keys = [panel.key for panel in plot.panels]
    return "".join([plot.x_name, *keys, plot.title, plot.colour_by, *plot.legend])


def _draw(plot: Plot, report: Report, options: PlotOptions) -> Figure:
    from matplotlib.figure import Figure

    panels = plot.panels[:_PANELS_MAX]
    across = 1 if len(panels) <= 3 else 2 if len(panels) <= 12 else 3
    down = -(-len(panels) // across)
    width, height = _PANEL_INCHES[across]
    size = options.size or (across * width, down * height)
    figure = Figure(figsize=size, layout="constrained")
    styles = line_styles(plot)
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for axis in every[len(panels) :]:
        axis.remove()
    legend = None
    if plot.legend or (len(plot.labels) == 1 and _of_groups(plot)):
        legend = _add_legend(figure, plot, styles, report)
    beside = 1.0 if legend is None else 1 - legend.get_window_extent().width / figure.bbox.width
    cells = max(4, int((beside * size[0] / across - _LEFT_INCHES) * _CELLS_PER_INCH))
    ticks = int(size[0] / across * _TICKS_PER_INCH * (2 / 3 if plot.legend else 1))
    for panel, axis in zip(panels, every, strict=False):
        axis.set_title(_plain(shorten(panel.key, cells)))
        axis.set_xlabel(_plain(shorten(plot.x_name, cells)))
        _draw_panel(axis, panel, plot, styles, report, ticks, is_log=options.log_scale)
    if plot.title:
        _add_title(figure, plot.title, beside, report)
    if not plot.legend and len(set(plot.values.values())) > 1:
        bar = figure.colorbar(colour_scale(plot), ax=every[: len(panels)], aspect=40, pad=0.02)
        bar.set_label(_plain(plot.colour_by))
        bar.outline.set_visible(False)
    return figure


def _draw_panel(
    axis: Axes,
    panel: Panel,
    plot: Plot,
    styles: dict[str, dict[str, Any]],
    report: Report,
    ticks: int,
    *,
    is_log: bool,
) -> None:
    span = panel.x_span()
    if span is None:
        axis.set_xticks([])
    else:
        shown = axes.x_axis(span, panel, is_time=plot.is_time)
        _set_axis(axis, "x", shown, max(2, min(_TICKS, ticks)))
    limits = axes.show_limits(panel, plot.names, report, is_log_scale=is_log)
    if limits is None:
        axis.set_yticks([])
        axis.text(0.5, 0.5, _why_empty(span, is_log), ha="center", transform=axis.transAxes)
        return
    _set_axis(axis, "y", axes.y_axis(limits, is_log_scale=is_log), _TICKS - 1)
    pale = 0.5 if len(panel.behind) <= LEGEND_MAX else 0.25
    for line in panel.behind:
        _draw_behind(axis, line, plot, styles.get(line.name, {"color": GREY}) | {"alpha": pale})
    # Where one line has many points, the others are before it.
    for line in sorted(panel.lines, key=lambda line: -len(line.x)):
        _draw_line(axis, line, plot, styles[line.name], len(panel.lines), limits)
        for is_beyond, place, mark in (
            (line.y > limits[1], 1, "^"),
            (line.y < limits[0], 0, "v"),
        ):
            _mark(axis, line, plot, np.flatnonzero(is_beyond), place, mark, styles[line.name])


def _set_axis(axis: Axes, name: str, shown: axes.Axis, ticks: int) -> None:
    """Set limits, ticks and labels."""
    from matplotlib.ticker import NullLocator

    if shown.kind == "log":
        axis.set_yscale("log")
    ends = np.array(shown.span)
    limits: Any = ends.astype("datetime64[ms]") if shown.kind == "time" else ends
    axis.set(**{f"{name}lim": limits})
    half = axis.xaxis if name == "x" else axis.yaxis
    locator = shown.locator(ticks)
    half.set_major_locator(locator)
    half.set_major_formatter(shown.formatter(locator))
    half.set_minor_locator(NullLocator())


def _draw_line(
    axis: Axes, line: Line, plot: Plot, style: dict[str, Any], lines: int, limits: Span
) -> None:
    """Draw one of some lines, with dots where a point is between two gaps, or where points are few."""
    x = _positions(line.x, plot)
    has_dots = np.count_nonzero(~np.isnan(line.y)) < _FEW_POINTS
    width = 1.2 if lines <= LEGEND_MAX else 0.7
    # Beside smoothed values the others are pale; those of a group are its band.
    pale = style | {"alpha": 0.35 if line.std is None else 0.0}
    axis.plot(
        x,
        line.y,
        **(style if line.smoothed is None else pale),
        linewidth=width,
        marker=".",
        markersize=5.0,
        markevery=None if has_dots else line.alone().tolist(),
    )
    if line.smoothed is not None:
        axis.plot(x, line.smoothed, **style, linewidth=1.3 * width)
    if (band := line.band(limits)) is not None:
        # Those of many groups overlap.
        alpha = max(0.4 * _BAND, min(_BAND, 2.5 * _BAND / lines))
        axis.fill_between(x, *band, color=style["color"], alpha=alpha, linewidth=0)


def _draw_behind(axis: Axes, line: Line, plot: Plot, style: dict[str, Any]) -> None:
    """Draw a run of a group, thin."""
    axis.plot(
        _positions(line.x, plot),
        line.y,
        **style,
        linewidth=0.6,
        marker=".",
        markersize=2.0,
        markevery=line.alone().tolist(),
        zorder=1.5,
    )


def _mark(
    axis: Axes, line: Line, plot: Plot, beyond: Any, place: int, mark: str, style: dict[str, Any]
) -> None:
    """Mark at the edge where a line is beyond it."""
    if not len(beyond):
        return
    some = beyond[:: -(-len(beyond) // _MARKS)]
    axis.plot(
        _positions(line.x[some], plot),
        np.full(len(some), place),
        mark,
        color=style["color"],
        markersize=5.0,
        clip_on=False,
        transform=axis.get_xaxis_transform(),
    )


def _positions(x: Any, plot: Plot) -> Any:
    return x.astype("datetime64[ms]") if plot.is_time else x


def _why_empty(x_span: Any, is_log_scale: bool) -> str:
    if x_span is None:
        return "no points"
    return "no positive values" if is_log_scale else "no finite values"


def _add_title(figure: Figure, title: str, width: float, report: Report) -> None:
    """Write the title above the panels, in as many lines as that part of the page needs."""
    drawn = figure.suptitle(_plain(title), x=width / 2, fontweight="bold")
    room = 0.96 * width * figure.bbox.width
    characters = min(len(title), int(figure.get_figwidth() * _CELLS_PER_INCH * 2))
    lines = [title]
    while drawn.get_window_extent().width > room and characters > 4:
        lines = textwrap.wrap(title, characters, max_lines=_TITLE_LINES, placeholder="…")
        drawn.set_text(_plain("\n".join(lines)))
        characters -= 1
    if lines[-1:] and lines[-1].endswith("…") and not title.endswith("…"):
        report.warn(f"the title is shortened: a larger {argument('size')} has room for more")


def _add_legend(
    figure: Figure, plot: Plot, styles: dict[str, dict[str, Any]], report: Report
) -> Legend | None:
    """Name the lines to the right of the panels, within the page, where no name covers a line."""
    from matplotlib.lines import Line2D

    names = plot.legend
    more = _of_groups(plot)
    width, height = figure.get_size_inches()
    lines = len(names) + len(more) + 2 * bool(plot.colour_by)
    font = min(_FONT, float(height) * 72 / (lines * _LINE + 1))
    if font < _FONT_LEAST:
        report.warn(f"the legend has no room for {len(names)} names: a larger "
                    f"{argument('size')} would have")  # fmt: skip
        return None
    cells = int(width / 3 * _CELLS_PER_INCH * _FONT / font)
    first = {label: name for name, label in reversed(plot.labels.items())}
    handles: list[Any] = [
        Line2D([], [], **{"linewidth": 1.5} | styles[first[name]]) for name in names
    ]
    handles += more.values()
    names = [*names, *more]
    legend = figure.legend(
        handles,
        ["line"] * len(handles),
        loc="outside right upper",
        fontsize=font,
        title=_plain(shorten(plot.colour_by, cells)) or None,
        title_fontsize=font,
    )
    # Set afterwards, since legends leave out labels that begin with an underscore.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(_plain(shorten(name, max(8, cells))))
    return legend


def _of_groups(plot: Plot) -> dict[str, Any]:
    """What the legend says of bands, and of the runs behind groups, with what it shows of them."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: dict[str, Any] = {}
    every = [line for panel in plot.panels for line in panel.lines]
    if any(line.std is not None and not np.isnan(line.std).all() for line in every):
        handles["mean ± std"] = Patch(color=GREY, alpha=2 * _BAND, linewidth=0)
    if not plot.colour_by and any(panel.behind for panel in plot.panels):
        handles["single runs"] = Line2D([], [], color=GREY, linewidth=0.6)
    return handles


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollars as formulas."""
    return text.replace("$", r"\$")
