"""Paging and other arguments that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swanlab_export.api.context import Answer
from swanlab_export.errors import UsageError, argument
from swanlab_export.pagination import PAGE_SIZES, Pages
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from swanlab_export.tables import Table


# What fits everywhere; a database would fail on more in its own words.
_PAGE_MAX = 2**31 - 1


@dataclass(frozen=True)
class Paging:
    """Which part of a list is wanted: one page, or all of it."""

    page: int = 1
    size: int = 20
    full: bool = False

    def check(self) -> tuple[int, int]:
        """Refuse pages that cannot be, before any request."""
        if not 1 <= self.page <= _PAGE_MAX:
            raise UsageError(f"{argument('page')} is from 1 to {_PAGE_MAX}")
        if self.size not in PAGE_SIZES:
            sizes = ", ".join(map(str, PAGE_SIZES))
            raise UsageError(f"{argument('size')} is one of {sizes}, not {self.size}")
        if self.full and self.page != 1:
            raise UsageError(f"{argument('page')} and {argument('full', True)} exclude each other")
        return self.page, self.size

    def options(self) -> dict[str, Any]:
        """What a table's source says of it."""
        return {"full": True} if self.full else {"page": self.page, "size": self.size}


def list_answer(
    pages: Pages,
    normalize: Callable[[Iterable[Any]], Table],
    source: Mapping[str, Any],
    what: str,
) -> Answer:
    """Answer with a list; the table, and what the server said, know how much of it there is."""
    notes: list[str] = []

    def note(count: int) -> None:
        if pages.total is not None and count < pages.total:
            rest = f"{argument('full', True)} fetches the rest"
            notes.append(f"{count} of {pages.total} {what}; {rest}")

    def make(items: Pages) -> Table:
        counted = _Counted(items)
        table = normalize(counted)
        table.total = items.total
        note(counted.count)
        return table.with_source({"total": items.total})

    def raw(items: Pages) -> Any:
        found = list(items)
        note(len(found))
        return {"list": found, "total": items.total}

    return Answer(pages, make, source, raw, notes)


class _Counted:
    """Counts the items that go through it."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.count = 0
        self._items = items

    def __iter__(self) -> Any:
        for item in self._items:
            self.count += 1
            yield item


def check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """Accept one of ``choices`` in any case."""
    if value.upper() not in choices:
        raise UsageError(f"{argument(name)} is one of {', '.join(choices)}, not {escape(value)}")
    return value.upper()
