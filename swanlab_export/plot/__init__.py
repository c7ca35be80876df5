"""Plots of metrics: a panel per key and a line per run, as a picture or in the terminal.

The libraries that draw are in the extra ``plot``, and imported only where they draw.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import IO, TYPE_CHECKING

from swanlab_export.errors import UsageError
from swanlab_export.messages import argument
from swanlab_export.plot import picture, screen
from swanlab_export.plot.lines import gather_plot, x_column
from swanlab_export.schemas import METRICS, parse_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swanlab_export.report import Report
    from swanlab_export.schemas import TableSchema
    from swanlab_export.tables import Table


def check_plottable(
    table: TableSchema, fields: str | Sequence[str] | None = None, *, is_picture: bool = True
) -> None:
    """Refuse a plot that cannot be drawn, before any request.

    Args:
        table: The declared table, with the column ``x`` where another x axis was asked for.
        fields: The columns that were chosen; None for all.
        is_picture: It is to be a picture, not a plot in the terminal.

    Raises:
        UsageError: It is not the long metrics table, or a library that draws is missing.
    """
    chosen = table.names if fields is None else parse_names(fields, "fields")
    _check_columns(table.name, x_column(table.names), chosen)
    # The terminal's ticks are matplotlib's, too.
    for library in ("matplotlib.figure",) if is_picture else ("plotext", "matplotlib.ticker"):
        try:
            import_module(library)
        except ImportError:
            name = f"{argument('save')} of a plot" if is_picture else argument("format", "plot")
            needed = "matplotlib" if is_picture else "matplotlib 'plotext<6'"
            raise UsageError(f"{name} needs other libraries: pip install {needed}") from None


def draw_picture(
    table: Table, extension: str, report: Report, *, is_log_scale: bool = False
) -> bytes:
    """Draw the metrics table (long), one panel per key; a gap where a value is NaN.

    Args:
        table: The table; it is read to its end.
        extension: ``.png``, ``.svg`` or ``.pdf``.
        report: Warns of what the picture cannot show.
        is_log_scale: The y axes are logarithmic.

    Raises:
        UsageError: The table is not a long metrics table.
    """
    _check(table)
    plot = gather_plot(table, report, columns=picture.COLUMNS, is_log_scale=is_log_scale)
    with _silent():
        return picture.draw_figure(plot, extension[1:].lower(), report, is_log_scale=is_log_scale)


def print_plot(
    table: Table,
    stream: IO[str],
    report: Report,
    *,
    is_log_scale: bool = False,
    is_coloured: bool = False,
) -> None:
    """Draw the metrics table (long) in the terminal.

    Args:
        table: The table; it is read to its end.
        stream: Where to.
        report: Warns of what the plot cannot show.
        is_log_scale: The y axes are logarithmic.
        is_coloured: Runs differ by colour, else by marker.

    Raises:
        UsageError: The table is not a long metrics table.
    """
    _check(table)
    width = screen.fitting_width()
    columns = screen.columns_of(width)
    plot = gather_plot(table, report, columns=columns, is_log_scale=is_log_scale)
    with _silent():
        screen.print_screen(
            plot, stream, width=width, is_log_scale=is_log_scale, is_coloured=is_coloured
        )


def _check(table: Table) -> None:
    x = "step" if table.x_axis == "step" else "x"
    _check_columns(table.name, x, table.schema.names)


def _check_columns(table: str, x: str, columns: Sequence[str]) -> None:
    needed = ["run_id", "key", x, "value"]
    if table != METRICS.name or not set(needed) <= set(columns):
        raise UsageError(
            f"a plot needs the long layout with {', '.join(needed)}: "
            f"leave out {argument('layout', 'wide')} and {argument('fields')}"
        )


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what matplotlib says of glyphs, fonts and layouts from stderr; reports say it once."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)
