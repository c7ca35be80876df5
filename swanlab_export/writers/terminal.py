"""``--format table``: a table to read in a terminal, drawn by rich."""

from __future__ import annotations

import unicodedata
from itertools import islice
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from swanlab_export.writers.text import csv_cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swanlab_export.tables import Table

ROWS_MAX = 1000
_CELL_MIN = 10


def write_terminal(table: Table, stream: IO[str], *, width: int, is_tty: bool) -> None:
    """Draw a table; what does not fit, columns or rows, is counted in a line below."""
    from rich.console import Console

    console = Console(
        file=stream,
        width=width,
        highlight=False,
        markup=False,
        force_terminal=is_tty or False,
        legacy_windows=False,
    )
    names = table.schema.names
    rows = list(islice(_rows(table), ROWS_MAX + 1))
    if table.is_single and rows:
        _draw(console, ["field", "value"], list(zip(names, rows[0], strict=True)), [False, False])
        return
    shown = rows[:ROWS_MAX]
    widths = _widths(names, shown, width)
    fitting = len(widths)
    right = [_is_number(table.schema.field(name).type) for name in names[:fitting]]
    _draw(console, names[:fitting], [row[:fitting] for row in shown], right, widths)
    if fitting < len(names):
        console.print(
            f"… and {len(names) - fitting} more columns: --fields chooses, --save has all"
        )
    if len(rows) > ROWS_MAX:
        console.print(f"… and more rows than {ROWS_MAX}: --save has all")
    if not rows:
        console.print("no rows")


def neutralise(text: str) -> str:
    """Show what a terminal would obey: controls, escapes, marks that turn text around."""
    return "".join(
        char if unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp"} else _spelled(char)
        for char in text
    )


def _spelled(char: str) -> str:
    return {"\n": "⏎", "\t": " "}.get(char) or f"\\u{ord(char):04x}"


def _rows(table: Table) -> Iterator[Sequence[str]]:
    for batch in table:
        for start in range(0, batch.num_rows, ROWS_MAX):
            part = batch.slice(start, ROWS_MAX)
            cells = [_spell(column) for column in part.columns]
            yield from zip(*cells, strict=True)


def _spell(column: pa.Array) -> list[str]:
    # A separator that no cell holds: nothing is quoted for people.
    if pa.types.is_string(column.type):
        cells = column.to_pylist()
    else:
        cells = csv_cells(column, "\0").to_pylist()
    return ["" if cell is None else neutralise(cell) for cell in cells]


def _widths(names: Sequence[str], rows: list[Sequence[str]], width: int) -> list[int]:
    """Give each of the first columns that fit beside each other its width."""
    widths: list[int] = []
    for i, name in enumerate(names):
        longest = max([len(name), *(len(row[i]) for row in rows[:100])])
        wanted = min(longest, max(_CELL_MIN, width // 4))
        if sum(widths) + 3 * len(widths) + wanted > width and widths:
            return widths
        widths.append(wanted)
    return widths


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _draw(
    console: object,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[bool],
    widths: Sequence[int | None] = (None, None),
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Drawing
    from rich.text import Text

    assert isinstance(console, Console)
    drawing = Drawing(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1))
    for name, is_right, width in zip(names, right, widths, strict=True):
        drawing.add_column(
            neutralise(name),
            justify="right" if is_right else "left",
            overflow="ellipsis",
            no_wrap=True,
            width=width,
        )
    for row in rows:
        drawing.add_row(*(Text(cell) for cell in row))
    console.print(drawing)
