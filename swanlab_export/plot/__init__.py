"""Plots of metrics: a panel per key and a line per run, as a picture or in the terminal.

The libraries that draw are in the extra ``plot``, and imported only where they draw.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import IO, TYPE_CHECKING, Self, TypedDict

from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote
from swanlab_export.schemas import METRICS, METRICS_BY_GROUP, X, parse_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swanlab_export.report import Report
    from swanlab_export.schemas import TableSchema
    from swanlab_export.tables import Table

# In inches: what a page holds, and what a picture needs for its names.
_SIZES = (2.0, 40.0)
# Of a plot that goes neither to a terminal nor through a pager.
SCREEN_WIDTH = 100


class PlotArguments(TypedDict, total=False):
    """What a plot can be told, in Python and on the command line."""

    log_scale: bool
    title: str | None
    size: str | tuple[float, float] | None
    color_by: str | None


@dataclass(frozen=True)
class PlotOptions:
    """The arguments of a plot, checked.

    Attributes:
        log_scale: The y axes are logarithmic.
        title: Above all panels; else the only run.
        size: Width and height of the picture in inches; else it goes by the number of panels.
        color_by: A column of the runs, such as ``config.lr``, that gives the lines their colours.
    """

    log_scale: bool = False
    title: str | None = None
    size: tuple[float, float] | None = None
    color_by: str | None = None

    @classmethod
    def parse(
        cls,
        *,
        log_scale: bool = False,
        title: str | None = None,
        size: str | tuple[float, float] | None = None,
        color_by: str | None = None,
    ) -> Self:
        """Check the arguments.

        Raises:
            UsageError: One of them has no meaning.
        """
        if not isinstance(log_scale, bool):
            raise UsageError(
                f"{argument('log_scale')} is True or False, not {quote(str(log_scale))}"
            )
        for name, text in (("title", title), ("color_by", color_by)):
            if not isinstance(text, str | None):
                raise UsageError(f"{argument(name)} is a text, not {quote(str(text))}")
        return cls(log_scale, title, None if size is None else _parse_size(size), color_by)

    def refuse(self, where: str) -> None:
        """Refuse options where nothing is drawn.

        Raises:
            UsageError: One is given; ``where`` says what it would be for.
        """
        for name, value in vars(self).items():
            if value not in {None, False}:
                raise UsageError(f"{argument(name)} is for {where}")

    def hint_of_many(self, lines: int) -> str:
        """What to do where a legend cannot name all lines."""
        return (
            f"{lines} lines are drawn without a legend; {argument('color_by', 'config.NAME')} "
            "colours them by a config with few values, or with numbers"
        )


def _parse_size(size: str | tuple[float, float]) -> tuple[float, float]:
    low, high = _SIZES
    try:
        width, height = map(float, re.split("[x×]", size) if isinstance(size, str) else size)
    except (TypeError, ValueError):
        width = height = 0.0
    if not (low <= width <= high and low <= height <= high):
        raise UsageError(
            f"{argument('size')} is width and height in inches, such as 6x4, each from {low:g} to "
            f"{high:g}, not {quote(str(size))}"
        )
    return width, height


def check_plottable(
    table: TableSchema,
    fields: str | Sequence[str] | None = None,
    *,
    is_picture: bool = True,
) -> None:
    """Refuse a plot that cannot be drawn, before any request.

    Args:
        table: The declared table, with the column ``x`` where another x axis was asked for.
        fields: The columns that were chosen; None for all.
        is_picture: It is to be a picture, not a plot in the terminal.

    Raises:
        UsageError: It is not a table of metrics that can be drawn, or a library is missing.
    """
    chosen = table.names if fields is None else parse_names(fields, "fields")
    _check_columns(table.name, X.name if X.name in table.names else "step", chosen)
    # The terminal's ticks are matplotlib's, too.
    libraries = ["matplotlib.figure", "matplotlib.ticker", "tsdownsample"]
    try:
        with _silent():  # where it finds no folder of its own to write to, it says so at length
            for library in libraries if is_picture else [*libraries, "plotext"]:
                import_module(library)
    except ImportError:
        name = f"{argument('save')} of a plot" if is_picture else argument("format", "plot")
        needed = "matplotlib tsdownsample" + ("" if is_picture else " 'plotext<6'")
        raise UsageError(f"{name} needs other libraries: pip install {needed}") from None


def draw_picture(
    table: Table, extension: str, report: Report, options: PlotOptions | None = None
) -> bytes:
    """Draw the metrics table (long, or of groups), one panel per key; a gap where a value is NaN.

    The runs of groups are thin lines behind them.

    Args:
        table: The table; it is read to its end.
        extension: ``.png``, ``.svg`` or ``.pdf``.
        report: Warns of what the picture cannot show.
        options: How to draw it.

    Raises:
        UsageError: The table is not one of metrics.
    """
    from swanlab_export.plot import picture
    from swanlab_export.plot.lines import gather_plot

    _check(table)
    options = options or PlotOptions()
    plot = gather_plot(table, report, options, points=picture.POINTS)
    with _silent():
        return picture.draw_figure(plot, extension[1:].lower(), report, options)


def print_plot(
    table: Table,
    stream: IO[str],
    report: Report,
    options: PlotOptions | None = None,
    *,
    width: int = SCREEN_WIDTH,
    is_coloured: bool = False,
) -> None:
    """Draw the metrics table (long, or of groups) in the terminal.

    Args:
        table: The table; it is read to its end.
        stream: Where to.
        report: Warns of what the plot cannot show.
        options: How to draw it.
        width: The width of the terminal; at least 40 and at most 120 cells of it are used.
        is_coloured: Runs differ by colour, else by marker.

    Raises:
        UsageError: The table is not one of metrics.
    """
    from swanlab_export.plot import screen
    from swanlab_export.plot.lines import gather_plot

    _check(table)
    options = options or PlotOptions()
    plot = gather_plot(table, report, options, points=screen.POINTS)
    with _silent():
        screen.print_screen(
            plot,
            stream,
            report,
            width=width,
            is_log_scale=options.log_scale,
            is_coloured=is_coloured,
        )


def _check(table: Table) -> None:
    x = "step" if table.x_axis == "step" else X.name
    _check_columns(table.name, x, table.schema.names)


def _check_columns(table: str, x: str, columns: Sequence[str]) -> None:
    needed = ["run_id", "key", x, "value"]
    if table == METRICS_BY_GROUP.name:
        needed = ["key", x, "mean", "std"]
    if table not in {METRICS.name, METRICS_BY_GROUP.name} or not set(needed) <= set(columns):
        raise UsageError(
            f"a plot needs the long layout with {', '.join(needed)}: "
            f"leave out {argument('layout', 'wide')} and {argument('fields')}"
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what matplotlib says of glyphs, fonts and layouts from stderr; reports say it once."""
    import logging
    import warnings

    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)
