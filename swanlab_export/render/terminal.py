"""``--format table``: a table to read in a terminal, drawn by rich.

For people, not for programs: floats are rounded, long text is cut, and what does not fit is counted
below the table.
"""

from __future__ import annotations

import math
import re
from io import StringIO
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from swanlab_export.cells import csv_cells, draw_for, escape_controls, is_unicode
from swanlab_export.render.columns import GAP, Column, choose_columns, sort_columns
from swanlab_export.tables import decode_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table as Drawing
    from rich.text import Text

    from swanlab_export.tables import Table

ROWS_MAX = 1000
_MISSING = "–"
_FLOAT_DIGITS = 6
# Of a value of a single entity; a file in it, such as its requirements, may have hundreds.
_LINES_MAX = 10


def write_terminal(
    table: Table, stream: IO[str], *, width: int, is_coloured: bool, is_chosen: bool = False
) -> None:
    """Draw a table; what does not fit, columns or rows, is counted below it.

    Nothing is drawn before the table has been read to its end: an error leaves no half of it.

    Args:
        table: Rows, drawn below each other; or a single entity, drawn as fields and values.
        stream: Where to.
        width: Of the terminal, in cells.
        is_coloured: Whether it understands bold and dim.
        is_chosen: Whether these columns were chosen: then none is left out in favour of others.
    """
    rows, total = _read(table)
    encoding = getattr(stream, "encoding", None)
    rows = _encodable(rows, encoding)
    console = _console(width, is_coloured=is_coloured)
    if not rows.schema.names:
        _print(console, "no columns")
    elif table.is_single and total == 1:
        _draw_entity(console, rows)
    else:
        _draw_rows(console, rows, table, total=total, is_chosen=is_chosen)
    assert isinstance(console.file, StringIO)
    # Not written by rich, which takes a broken pipe for a reason to exit.
    lines = console.file.getvalue().split("\n")[:-1]
    stream.writelines(f"{draw_for(encoding, line.rstrip())}\n" for line in lines)


def _read(table: Table) -> tuple[pa.Table, int]:
    """Keep the rows to show, and count all: a table may fail at its last row."""
    kept: list[pa.RecordBatch] = []
    total = 0
    for batch in table:
        if total < ROWS_MAX:
            kept.append(decode_batch(batch.slice(0, ROWS_MAX - total), table.schema))
        total += batch.num_rows
    return pa.Table.from_batches(kept, schema=table.schema), total


def _encodable(rows: pa.Table, encoding: str | None) -> pa.Table:
    """Replace what the terminal cannot draw in texts and names, before they are measured."""
    if is_unicode(encoding):
        return rows
    columns = [
        pa.array(
            [None if text is None else draw_for(encoding, text) for text in column.to_pylist()],
            field.type,
        )
        if pa.types.is_string(field.type)
        else column
        for field, column in zip(rows.schema, rows.columns, strict=True)
    ]
    return pa.table(columns, names=[draw_for(encoding, name) for name in rows.schema.names])


def _format(column: pa.ChunkedArray) -> list[str | None]:
    """Format a column for people; a missing cell stays None."""
    kind = column.type
    if pa.types.is_list(kind):
        lists = column.to_pylist()
        return [None if each is None else ", ".join(map(str, each)) for each in lists]
    if pa.types.is_string(kind):
        return list(column.to_pylist())
    # A separator that no cell holds: nothing is quoted for people.
    cells = [cell for chunk in column.chunks for cell in csv_cells(chunk, "\0").to_pylist()]
    if pa.types.is_floating(kind):
        return [None if cell is None else _rounded(cell) for cell in cells]
    return _times(cells) if pa.types.is_timestamp(kind) else cells


def _rounded(cell: str) -> str:
    """Round a float unless it is short, integral or not finite; it still reads as a float."""
    digits = re.sub(r"e.*|\D", "", cell).strip("0")
    if len(digits) <= _FLOAT_DIGITS or cell.endswith(".0"):
        return cell
    value = float(cell)
    size = math.floor(math.log10(abs(value)))
    if not -_FLOAT_DIGITS < size < 15:
        mantissa, _, exponent = f"{value:.{_FLOAT_DIGITS - 1}e}".partition("e")
        return f"{_without_zeros(mantissa)}e{int(exponent):+}"
    return _without_zeros(f"{value:.{max(1, _FLOAT_DIGITS - 1 - size)}f}")


def _without_zeros(number: str) -> str:
    integer, _, digits = number.partition(".")
    return f"{integer}.{digits.rstrip('0') or '0'}"


def _times(cells: Sequence[str | None]) -> list[str | None]:
    """A space for the ``T``, and milliseconds only where two times differ in nothing else."""
    known = {cell for cell in cells if cell is not None}
    short = {cell: re.sub(r"\.\d+", "", cell) for cell in known}
    if len(set(short.values())) < len(known):
        short = {cell: cell for cell in known}
    return [None if cell is None else short[cell].replace("T", " ") for cell in cells]


def _draw_rows(
    console: Console, rows: pa.Table, table: Table, *, total: int, is_chosen: bool
) -> None:
    columns = [
        _column(field, column, 4 * console.width)
        for field, column in zip(rows.schema, rows.columns, strict=True)
    ]
    if not is_chosen:
        columns = sort_columns(columns, table.name)
    shown = choose_columns(columns, console.width, is_chosen=is_chosen, asked_for=table.asked_for)
    drawing = _drawing()
    for column, least in shown:
        drawing.add_column(
            _text(_ending(column.name, max(least, column.width()))),
            justify="right" if column.is_number else "left",
            overflow="ellipsis",
            # The width of others is what is left for them.
            no_wrap=column.width() <= least,
        )
    for row in zip(*(column.cells for column, _ in shown), strict=True):
        drawing.add_row(*(_text(cell, no_wrap=True) for cell in row))
    console.print(drawing)
    _remark(console, columns, {column for column, _ in shown}, rows=rows.num_rows, total=total)


def _column(field: pa.Field, column: pa.ChunkedArray, chars: int) -> Column:
    cells = [
        None if cell is None else escape_controls(_clipped(cell, chars)) for cell in _format(column)
    ]
    return Column(escape_controls(field.name), cells, field.type)


def _clipped(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[:chars] + "…"


def _remark(
    console: Console, columns: Sequence[Column], shown: set[Column], *, rows: int, total: int
) -> None:
    """Say what is not shown, and how to see it."""
    if total == 0:
        _print(console, "no rows")
        return
    if total > rows:
        _print(console, f"… {_counted(total - rows, 'row')}: --save has all")
    hidden = [column for column in columns if column not in shown]
    constant = [f"{c.name}={_clipped(c.cells[0] or '', 40)}" for c in hidden if c.is_constant]
    others = [c.name for c in hidden if not (c.is_constant or c.is_empty)]
    if constant:
        where = "all rows" if rows == total else "these rows"
        _print(console, f"the same in {where}: {', '.join(constant)}", no_wrap=True)
    if others:
        _print(console, f"not shown: {', '.join(others)}", no_wrap=True)
    if hidden:
        kinds = {"constant": len(constant), "empty": len(hidden) - len(constant) - len(others)}
        which = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        count = _counted(len(hidden), "column") + (which and f" ({which})")
        _print(console, f"… {count}: --fields lists them, --save has all")


def _counted(count: int, what: str) -> str:
    return f"{count:,} more {what}{'' if count == 1 else 's'}"


def _draw_entity(console: Console, rows: pa.Table) -> None:
    """Draw fields and values; what is too wide continues on the next line."""
    values = [_folded(_format(column)[0], 4 * console.width) for column in rows.columns]
    drawing = _drawing()
    drawing.add_column("field", overflow="fold", max_width=max(1, console.width // 2))
    drawing.add_column("value", overflow="fold")
    for name, (text, _) in zip(rows.schema.names, values, strict=True):
        drawing.add_row(_text(escape_controls(name)), _text(text))
    console.print(drawing)
    if any(is_cut for _, is_cut in values):
        _print(console, "… more of long values: --save has all")


def _folded(value: str | None, chars: int) -> tuple[str | None, bool]:
    """Keep line breaks, of many lines the first, and of each what fits; is there more?"""
    if value is None:
        return None, False
    lines = re.split("\r?\n", value.rstrip("\r\n"))
    shown = lines[:_LINES_MAX]
    is_cut = len(lines) > _LINES_MAX or any(len(line) > chars for line in shown)
    text = [escape_controls(_clipped(line, chars)) for line in shown]
    if len(lines) > _LINES_MAX:
        text.append(f"… {_counted(len(lines) - _LINES_MAX, 'line')}")
    return "\n".join(text), is_cut


def _console(width: int, *, is_coloured: bool) -> Console:
    from rich.console import Console  # imported where it is needed: other formats start faster

    return Console(
        file=StringIO(),
        width=width,
        height=100,  # rich takes a width only together with a height where TERM is dumb
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=is_coloured,
        no_color=not is_coloured,
        force_jupyter=False,
        legacy_windows=False,
    )


def _drawing() -> Drawing:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Drawing

    # With the line between columns, which is a blank, a gap is GAP wide.
    return Drawing(
        box=SIMPLE_HEAD,
        header_style="bold",
        padding=(0, GAP - 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )


def _ending(name: str, width: int) -> str:
    """Cut the front of a name: names of one family differ at their ends."""
    from rich.cells import cell_len

    if cell_len(name) <= width:
        return name
    end = name[-width:]
    while cell_len(end) >= width:
        end = end[1:]
    return f"…{end}"


def _text(cell: str | None, *, no_wrap: bool | None = None) -> Text:
    from rich.text import Text

    return Text(_MISSING, style="dim") if cell is None else Text(cell, no_wrap=no_wrap)


def _print(console: Console, text: str, *, no_wrap: bool = False) -> None:
    from rich.text import Text

    console.print(Text(text, style="dim"), no_wrap=no_wrap, overflow="ellipsis")
