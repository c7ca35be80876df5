"""Plots of metrics: a panel per key and a line per run, as a picture or in the terminal.

The libraries that draw are in the extra ``plot``, and imported only where they draw.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import IO, TYPE_CHECKING

from swanlab_export.errors import UsageError, argument
from swanlab_export.writers.plot import picture, screen
from swanlab_export.writers.plot.lines import gather_plot, x_axis_of, x_column
from swanlab_export.writers.publish import publish
from swanlab_export.writers.saved import Saved

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from swanlab_export.tables import Table
    from swanlab_export.writers.formats import Target

_NEEDED = "needs the drawing libraries: pip install 'swanlab-export[plot]'"


def check_plottable(
    columns: Collection[str], *, x_axis: str = "step", is_picture: bool = True
) -> None:
    """Insist that a metrics table with these columns can be drawn; asks no server.

    Args:
        columns: Names of the columns that the table has or will have.
        x_axis: ``step``, ``time``, ``relative_time`` or a key.
        is_picture: It is to be a picture, not a look in the terminal.

    Raises:
        UsageError: A column is missing, or the library that draws is.
    """
    needed = ["run_id", "key", x_column(x_axis), "value"]
    if not set(needed) <= set(columns):
        raise UsageError(
            f"a plot needs the long layout with {', '.join(needed)}: "
            f"leave out {argument('layout')} wide and {argument('fields')}"
        )
    try:
        # The terminal's ticks are matplotlib's, too.
        for library in ("matplotlib.figure",) if is_picture else ("plotext", "matplotlib.ticker"):
            import_module(library)
    except ImportError:
        name = argument("save") + " of a plot" if is_picture else argument("format") + " plot"
        raise UsageError(f"{name} {_NEEDED}") from None


def write_plot(table: Table, target: Target, *, is_log_scale: bool = False) -> Saved:
    """Save a plot of the metrics table (long), one panel per key; a gap where a value is NaN.

    What the picture cannot show is added to the table's notes.

    Raises:
        UsageError: The table is not a long metrics table, or matplotlib is missing.
    """
    _check(table, is_picture=True)
    plot = gather_plot(table, columns=picture.COLUMNS, is_log_scale=is_log_scale)
    kind = target.path.suffix[1:].lower()
    with publish(target.path) as part, _silent():
        picture.save_picture(plot, part, kind, is_log_scale=is_log_scale)
        size_bytes = part.stat().st_size
    table.notes.extend(plot.notes)
    return Saved(target.path, plot.rows, len(table.schema), size_bytes)


def print_plot(table: Table, stream: IO[str], *, is_log_scale: bool = False) -> None:
    """Draw a quick look at the metrics table (long) in the terminal.

    Raises:
        UsageError: The table is not a long metrics table, or plotext is missing.
    """
    _check(table, is_picture=False)
    width = screen.fitting_width()
    plot = gather_plot(table, columns=screen.columns_of(width), is_log_scale=is_log_scale)
    with _silent():
        screen.print_screen(plot, stream, width=width, is_log_scale=is_log_scale)
    table.notes.extend(plot.notes)


def _check(table: Table, *, is_picture: bool) -> None:
    columns = table.schema.names if table.name == "metrics" else []
    check_plottable(columns, x_axis=x_axis_of(table), is_picture=is_picture)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep from stderr what matplotlib says of glyphs, fonts and layouts; our notes say it once."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)
