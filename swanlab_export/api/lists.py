"""Lists: which part is wanted, and a result that knows how much there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from swanlab_export.api.arrange import EVERYTHING, Arrangement
from swanlab_export.api.context import Members, Result
from swanlab_export.api.resource import read_integer
from swanlab_export.errors import UsageError
from swanlab_export.limits import PAGE_SIZE, PAGE_SIZES
from swanlab_export.messages import argument
from swanlab_export.pagination import Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from swanlab_export.api.context import Context
    from swanlab_export.api.partial import Partial
    from swanlab_export.client import Request
    from swanlab_export.report import Report
    from swanlab_export.tables import Table

# A database would fail on more in its own words.
_PAGE_MAX = 2**31 - 1


@dataclass(frozen=True)
class Paging:
    """Which part of a list is wanted: all of it, its first items, or one page.

    Args:
        all: Everything; else the page of this number and size.
        page: Page number, from 1.
        page_size: Items per page.
        arrangement: Order and choice of the rows of the whole list.
    """

    all: bool
    page: int
    page_size: int
    arrangement: Arrangement = EVERYTHING

    @classmethod
    def parse(
        cls,
        all: bool | None,
        page: int | None,
        page_size: int | None,
        arrangement: Arrangement = EVERYTHING,
    ) -> Self:
        """Check the arguments of a list; with none of them everything is wanted.

        Raises:
            UsageError: A number is out of range, or arguments exclude each other.
        """
        is_paged = page is not None or page_size is not None
        page = None if page is None else read_integer("page", page)
        page_size = None if page_size is None else read_integer("page_size", page_size)
        if page is not None and not 1 <= page <= _PAGE_MAX:
            raise UsageError(f"{argument('page')} is from 1 to {_PAGE_MAX}")
        if page_size is not None and page_size not in PAGE_SIZES:
            sizes = ", ".join(map(str, PAGE_SIZES))
            raise UsageError(f"{argument('page_size')} is one of {sizes}, not {page_size}")
        arranged = arrangement.given()
        for name, given in ({"all": all} | arranged).items():
            if given and is_paged:
                other = argument("page" if page is not None else "page_size")
                given_name = argument(name, True) if name == "all" else argument(name)
                raise UsageError(f"{other} and {given_name} exclude each other")
        wants_all = (all if all is not None else not is_paged) or any(arranged.values())
        return cls(wants_all, page or 1, page_size or PAGE_SIZE, arrangement)

    def options(self) -> dict[str, Any]:
        """Describe it for a table's source."""
        if self.all:
            return {"all": True, **self.arrangement.options()}
        return {"page": self.page, "page_size": self.page_size}


def list_result(
    context: Context,
    report: Report,
    paging: Paging,
    build: Callable[[int, int], Request],
    identify: Callable[[Any], Any],
    title: str,
    normalize: Callable[[Iterable[Any]], Table],
    source: Mapping[str, Any],
    partial: Partial,
    instead: Callable[[Pages], Iterable[Any]] = iter,
) -> Result:
    """Give the result of a list, which says how much of the list it holds.

    Args:
        context: The server.
        report: Gets a hint where there is more than was asked for.
        paging: Which part is wanted.
        build: Makes the request for a page, from its number and size.
        identify: Tells items apart.
        title: What the items are called, for messages and progress.
        normalize: Makes the table.
        source: Where the data come from.
        partial: Decides whether a part of what is wanted is an error.
        instead: Yields the items of the pages, or others where the server has no such list.
    """
    pages = Pages(
        context.client,
        build,
        identify,
        page=paging.page,
        size=paging.page_size,
        all=paging.all,
        title=title,
        progress=context.progress,
        report=report,
        partial=partial,
    )
    arrangement = paging.arrangement
    items = _Counted(arrangement.first(instead(pages)))

    def hint_at_rest() -> None:
        is_page = not paging.all and not report.failures
        if pages.total is not None and items.count < pages.total and is_page:
            rest = f"{argument('all', True)} fetches the rest"
            report.hint(f"{items.count} of {pages.total} {title}; {rest}")

    def table() -> Table:
        made = arrangement.apply(normalize(items))
        made.total = None if arrangement.group_by else pages.total
        hint_at_rest()
        return made

    def raw_members() -> Iterator[tuple[str, Any]]:
        yield "list", iter(items)
        hint_at_rest()
        yield "total", pages.total

    return Result(table, lambda: Members(raw_members()), source)


class _Counted:
    """Counts the items that go through it."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.count = 0
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.count += 1
            yield item
