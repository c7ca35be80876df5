"""Which columns a table has, and which of them a terminal shows, in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from swanlab_export.cells import csv_cells
from swanlab_export.schemas import RUNS
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = 2
# What a text is cut to before a column is left out, and its header, which is cut in front.
_SHORTEST = 20
_SHORTEST_CHOSEN = 8
# What headers of numbers are cut to where what was asked for has no room else.
_SHORTEST_NUMBER = 14
# The order of the columns of runs: what tells them apart, what came out, what else there is.
_RUNS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"project|name",
        r"config\..*",
        r"summary\.(?!__swanlab__\.).*",
        r"state",
        r"created_at|duration_s",
        r"path",
        r"(?!url$).*",
        r"url",
    )
)
# What there is always room for, however many configs come before it.
_WANTED = (_RUNS[0], _RUNS[2], _RUNS[3])
# Of groups of runs: what makes them, then mean and spread of each summary, and what says less.
_GROUPS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"(?!summary\.).*",
        r"summary\..*\.(mean|std)",
        r"summary\..*\.(min|max)",
        r".*",
    )
)
# Of projects: whose it is, how large it is, and when it changed.
_PROJECTS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"workspace",
        r"name",
        r"count\..*",
        r"updated_at|created_at",
        r"visibility|description|role",
        r"path",
        r"(?!url$).*",
        r"url",
    )
)

# Of endpoints: what came of it, and where it is expected.
_ENDPOINTS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (r"endpoint", r"result", r"differences", r"generation|status", r".*")
)


@dataclass(frozen=True, eq=False)
class Column:
    """A column as text; a missing cell is None."""

    name: str
    cells: Sequence[str | None]
    kind: pa.DataType

    @property
    def is_empty(self) -> bool:
        """Whether there are rows, and none has a value."""
        return bool(self.cells) and not any(self.cells)

    @property
    def is_constant(self) -> bool:
        """Whether all rows, if there are several, have one and the same value."""
        return len(self.cells) > 1 and len(set(self.cells)) == 1 and not self.is_empty

    @property
    def is_number(self) -> bool:
        """Whether it is aligned at its end."""
        return bool(pa.types.is_integer(self.kind) or pa.types.is_floating(self.kind))

    def width(self) -> int:
        """How many cells of the terminal hold every value."""
        from rich.cells import cell_len  # not needed by other formats

        return max([1, *(cell_len(cell) for cell in self.cells if cell)])

    def telling(self) -> int:
        """How wide it is at least for values that differ to look different."""
        from rich.cells import cell_len

        cells = sorted({cell for cell in self.cells if cell})
        # Behind what two share, one more tells them apart, and the next may be the sign of a cut.
        least = (cell_len(a[: _shared(a, b)]) + 3 for a, b in pairwise(cells))
        return min(max(least, default=0), self.width())

    def needs(self, width: int, shortest: int) -> int:
        """How wide it is at least in a terminal of ``width``.

        A part of a number, of a time or of a URL would be of no use, and people copy ids and keys;
        other texts, and headers, can be cut to ``shortest``.
        """
        from rich.cells import cell_len

        body = self.width()
        filled = [cell for cell in self.cells if cell]
        is_token = all(cell.isascii() and " " not in cell for cell in filled)
        is_whole = pa.types.is_primitive(self.kind) or (
            shortest == _SHORTEST
            and ((is_token and body <= width // 2) or (filled and all("://" in c for c in filled)))
        )
        header = min(cell_len(self.name), shortest)
        return max(header, body if is_whole else min(body, shortest))


def _shared(first: str, second: str) -> int:
    """How many characters two texts begin with that are the same."""
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def list_columns(table: Table) -> Table:
    """List the columns of a table: column, type, filled, example; one row per column.

    ``filled`` counts the rows that have a value, and ``example`` is the first one, as in CSV. The
    table is read to its end.
    """
    filled = dict.fromkeys(table.schema.names, 0)
    examples: dict[str, str] = {}
    for batch in table:
        for name, column in zip(table.schema.names, batch.columns, strict=True):
            found = column.drop_null()
            filled[name] += len(found)
            if name not in examples and len(found):
                (examples[name],) = csv_cells(found[:1], "\0").to_pylist()
    columns = {
        "column": pa.array(filled, pa.string()),
        "type": pa.array(map(str, table.schema.types), pa.string()),
        "filled": pa.array(filled.values(), pa.int64()),
        "example": pa.array(map(examples.get, filled), pa.string()),
    }
    batch = pa.record_batch(columns)
    return Table("columns_of_table", batch.schema, [batch])


def sort_columns(columns: Sequence[Column], table: str) -> list[Column]:
    """Put the columns of runs in the order in which people compare runs; of other tables, too.

    In other tables the name of the run comes first, with what was asked for of the run; then the
    columns in their order.
    """
    order = {"projects": _PROJECTS, "groups": _GROUPS, "endpoints": _ENDPOINTS}.get(table)
    if order is not None:
        return sorted(columns, key=lambda column: _rank(column, order))
    if table != "runs":
        return _with_name_first(columns)
    names = [column.cells for column in columns if column.name == "name"]
    is_named = names and None not in names[0] and len(set(names[0])) == len(names[0])

    def rank(column: Column) -> int:
        if column.name == "run_id" and not is_named:
            return 0
        found = _rank(column, _RUNS)
        # A config of a few runs tells the others nothing.
        is_rare = 2 * sum(map(bool, column.cells)) < len(column.cells)
        return len(_RUNS) - 2 if is_rare and found else found

    return sorted(columns, key=rank)


def _rank(column: Column, order: Sequence[re.Pattern[str]]) -> int:
    return next(i for i, each in enumerate(order) if each.fullmatch(column.name))


def _with_name_first(columns: Sequence[Column]) -> list[Column]:
    names = [column.name for column in columns]
    if not {"run_id", "run_name"} <= set(names):
        return list(columns)
    run_id, at = columns[names.index("run_id")], names.index("run_name")
    # What else comes after the name is what the server sent beyond the declared columns.
    of_runs = {"run_name", *RUNS.names}
    first = [c for c in columns[at:] if c.name in of_runs or c.name.startswith("config.")]
    if len(set(columns[at].cells)) < len(set(run_id.cells)):
        first.insert(1, run_id)
    rest = [each for each in columns if each not in first and each is not run_id]
    return [*first, *rest, *([] if run_id in first else [run_id])]


def choose_columns(
    columns: Sequence[Column], width: int, *, is_chosen: bool, asked_for: Sequence[str] = ()
) -> list[tuple[Column, int]]:
    """Choose the columns that fit, in order, each with its least width; at least one.

    Empty columns and those with one value in all rows come only where there are no others.

    Args:
        columns: In the order in which they are shown; at least one.
        width: Of the terminal, in cells.
        is_chosen: Whether these columns were chosen: then all are cut before one is left out.
        asked_for: Names of those that others are left out for.
    """
    if not is_chosen:
        columns = [each for each in columns if not (each.is_empty or each.is_constant)] or columns
    least = {column: column.needs(width, _SHORTEST) for column in columns}
    if not is_chosen:  # cut further, cells of the first column could be the same
        least[columns[0]] = max(least[columns[0]], min(columns[0].telling(), width // 2))
    if is_chosen and sum(least.values()) + GAP * (len(least) - 1) > width:
        least = {column: column.needs(width, _SHORTEST_CHOSEN) for column in columns}
    # Options asked for an order and for summaries: configs before them must not take all of the width.
    first = [] if is_chosen else [c for c in columns if c.name in asked_for]
    wanted = [] if is_chosen else [c for c in columns if _is_wanted(c.name)]
    if sum(least[column] + GAP for column in {*first, *wanted}) > width + GAP:
        short = {c: c.needs(width, _SHORTEST_NUMBER) for c in columns if c.is_number}
        least |= short
    kept = _fitting(first, {}, least, width)
    room = min(width, 2 * width // 3 + sum(cells + GAP for cells in kept.values()))
    kept = _fitting(wanted, kept, least, room)
    kept = _fitting(columns, kept, least, width) or {columns[0]: width}
    return [(column, kept[column]) for column in columns if column in kept]


def _is_wanted(name: str) -> bool:
    return any(each.fullmatch(name) for each in _WANTED)


def _fitting(
    columns: Iterable[Column], kept: dict[Column, int], least: dict[Column, int], width: int
) -> dict[Column, int]:
    """Add columns while there is room for them."""
    kept = dict(kept)
    room = width + GAP - sum(cells + GAP for cells in kept.values())
    for column in columns:
        if column not in kept and least[column] + GAP <= room:
            kept[column] = least[column]
            room -= least[column] + GAP
    return kept
