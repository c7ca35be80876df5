"""Which columns a terminal of some width shows, and how wide each of them is.

Where the width does not hold all columns, those with the least information are left out first: empty
ones; then those that are mostly empty, the same in every row, a repetition of other columns, or URLs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GAP = 2
NARROWEST = 8
_HEADER = 20


class Information(IntEnum):
    """How much information a column has: the less, the sooner it is left out."""

    NONE = 0
    LITTLE = 1
    MUCH = 2


@dataclass(frozen=True)
class Cells:
    """A column as text; a missing cell is None."""

    name: str
    cells: Sequence[str | None]
    is_text: bool

    @property
    def is_constant(self) -> bool:
        """Whether all rows, if there are several, have one and the same value."""
        return len(self.cells) > 1 and len(set(self.cells)) == 1

    @property
    def is_url(self) -> bool:
        """Whether it holds URLs, which are of no use when cut."""
        filled = [cell for cell in self.cells if cell]
        return bool(filled) and all("://" in cell for cell in filled)


@dataclass(frozen=True)
class _Column:
    """A column that may be shown.

    Attributes:
        index: Which one it is.
        natural: How many cells of the terminal hold all of it.
        least: How many it should have at least.
        narrowest: How many it can be cut to where there is no room.
        information: How much information it has.
        is_asked_for: Whether an option asked for it.
    """

    index: int
    natural: int
    least: int
    narrowest: int
    information: Information
    is_asked_for: bool


def plan_widths(table: Sequence[Cells], width: int, *, is_chosen: bool) -> dict[int, int]:
    """Choose the columns to show; returns the width of each, by its index, in order.

    Args:
        table: All columns; at least one.
        width: Of the terminal, in cells.
        is_chosen: Whether these columns were chosen: then all are cut before one is left out.
    """
    found = [Information.MUCH] * len(table) if is_chosen else _rate(table)
    header = NARROWEST if is_chosen else _HEADER
    columns = [_measured(i, each, found[i], width, header) for i, each in enumerate(table)]
    if is_chosen and sum(column.least + GAP for column in columns) - GAP > width:
        columns = [replace(column, least=column.narrowest) for column in columns]

    def those(information: Information) -> list[_Column]:
        return [column for column in columns if column.information == information]

    widths = _first(_in_turn(those(Information.MUCH), width), width)
    # Long text matters more than columns with little information, up to two thirds of the screen.
    wanted = sum(
        max(0, min(columns[i].natural, 2 * width // 3) - cells) for i, cells in widths.items()
    )
    others = [column for column in those(Information.MUCH) if column.index not in widths]
    widths |= _fitting([*others, *those(Information.LITTLE)], _room(widths, width) - wanted)
    widths = _grown(widths, columns, _room(widths, width) + GAP)
    widths |= _fitting(those(Information.NONE), _room(widths, width))
    return dict(sorted(widths.items())) or {0: width}


def _rate(table: Sequence[Cells]) -> list[Information]:
    """Rate columns by their cells, and text also by whether earlier columns have it in each row."""
    seen: list[set[str]] = [set() for _ in table[0].cells]
    found = []
    for index, column in enumerate(table):
        found.append(_information(column, seen))
        if column.is_text:
            for known, cell in zip(seen, column.cells, strict=True):
                # The first column may be a path, which has the ids and names that it is made of.
                known.update([] if cell is None else [cell] if index else [cell, *cell.split("/")])
    return found


def _information(column: Cells, seen: Sequence[set[str]]) -> Information:
    filled = sum(1 for cell in column.cells if cell)
    if not filled and column.cells:
        return Information.NONE
    is_repeated = column.is_text and all(
        not cell or cell in known for cell, known in zip(column.cells, seen, strict=True)
    )
    is_rare = 2 * filled < len(column.cells)
    is_little = is_rare or is_repeated or column.is_constant or column.is_url
    return Information.LITTLE if filled and is_little else Information.MUCH


def _measured(
    index: int, column: Cells, information: Information, width: int, header: int
) -> _Column:
    """Measure a column; the first ``header`` cells of its name count as its content does."""
    from rich.cells import cell_len  # not needed by other formats

    filled = [cell for cell in column.cells if cell]
    name = cell_len(column.name)
    body = max([1, *map(cell_len, filled)])
    natural = max(body, name)
    if not column.is_text:
        # A number that is cut would be another number; only its header may be.
        least, narrowest = (max(body, min(name, each)) for each in (_HEADER, header))
    else:
        least = natural if column.is_url else min(natural, _least(index, filled, width))
        narrowest = min(natural, max(NARROWEST, min(name, header)))
    # Only when an option asks for them is there a summary; its system metrics come with the rest.
    is_asked_for = column.name.startswith("summary.") and "__swanlab__" not in column.name
    return _Column(index, natural, least, narrowest, information, is_asked_for)


def _least(index: int, filled: Sequence[str], width: int) -> int:
    """How wide a text should be at least: people copy paths, ids and keys, which are not cut."""
    if index == 0:
        return width
    is_token = all(cell.isascii() and " " not in cell for cell in filled)
    return max(NARROWEST, width // 2) if index == 1 or is_token else max(20, width // 5)


def _in_turn(columns: Sequence[_Column], width: int) -> list[_Column]:
    """Put columns that an option asked for after those that fill two thirds of the width."""
    starts = accumulate((column.least + GAP for column in columns), initial=0)
    first = {
        column.index
        for column, start in zip(columns, starts, strict=False)
        if not start or start + column.least + GAP <= 2 * width // 3
    }
    return sorted(columns, key=lambda each: (each.index not in first, not each.is_asked_for))


def _first(columns: Iterable[_Column], room: int) -> dict[int, int]:
    """Give the first columns their least width, and the last of them what is left."""
    widths: dict[int, int] = {}
    for column in columns:
        if column.narrowest > room:
            break
        widths[column.index] = min(column.least, room)
        room -= widths[column.index] + GAP
    return widths


def _fitting(columns: Iterable[_Column], room: int) -> dict[int, int]:
    """Give each column its least width while there is room."""
    widths: dict[int, int] = {}
    for column in columns:
        if column.least <= room:
            widths[column.index] = column.least
            room -= column.least + GAP
    return widths


def _room(widths: Mapping[int, int], width: int) -> int:
    """How wide one more column could be."""
    return width - sum(cells + GAP for cells in widths.values())


def _grown(widths: Mapping[int, int], columns: Sequence[_Column], spare: int) -> dict[int, int]:
    """Share what is left evenly among the columns that are cut."""
    grown = dict(widths)
    while spare > 0:
        cut = [i for i, cells in grown.items() if cells < columns[i].natural]
        if not cut:
            break
        share = max(1, spare // len(cut))
        for i in cut:
            more = min(share, spare, columns[i].natural - grown[i])
            grown[i] += more
            spare -= more
    return grown
