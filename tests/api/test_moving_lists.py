"""Lists that change while their pages are read: what must not get lost, and when to give up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from swanlab_export.client import Request
from swanlab_export.errors import IncompleteError
from swanlab_export.pagination import Pages
from swanlab_export.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Moving:
    """A server with a list of numbers, that moves before each response."""

    def __init__(self, count: int, move: Callable[[list[int], int], None]) -> None:
        self.items = list(range(count))
        self.asked: list[int] = []
        self._move = move

    def send(self, request: Request) -> Any:
        """Return a page, after a move."""
        page, size = (int(value) for _, value in request.params)
        self._move(self.items, len(self.asked))
        self.asked.append(page)
        return {
            "list": [{"cuid": str(n)} for n in self.items[(page - 1) * size : page * size]],
            "total": len(self.items),
            "pages": -(-len(self.items) // size),
        }

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Do the work in the worst order: the last page first."""
        return reversed([work(item) for item in reversed(list(items))])  # type: ignore[no-any-return]


def read(server: Moving, **options: Any) -> list[int]:
    """The numbers that came, in order."""
    defaults: dict[str, Any] = {"page": 1, "size": 20, "all": True}
    pages = Pages(
        server,
        lambda page, size: Request("GET", "/list", params=(("page", page), ("size", size))),
        lambda item: item["cuid"],
        title="runs",
        progress=Progress(),
        **defaults | options,
    )
    return [int(item["cuid"]) for item in pages]


@pytest.mark.parametrize("count", [250, 295, 300, 950])
def test_a_list_that_never_stops_growing_is_whole(count: int) -> None:
    """New runs before every response: all that were there at the start come, each once."""
    new = iter(range(10_000, 20_000))
    found = read(Moving(count, lambda items, _: items.insert(0, next(new))))
    assert len(found) == len(set(found))
    assert set(range(count)) <= set(found)


def test_a_list_that_outgrows_its_pages_is_followed() -> None:
    """Reading in order goes on for as many pages as the list has come to need."""
    new = iter(range(10_000, 20_000))
    server = Moving(293, lambda items, _: items.insert(0, next(new)))
    read(server)
    assert server.asked == [1, 3, 2, 1, 3, 2, 1, 2, 3, 4]


def test_a_list_that_never_stops_shrinking_is_an_error() -> None:
    """Runs that go before every response pull others past the reader: that cannot be whole."""
    with pytest.raises(IncompleteError, match=r"total is \d+ to \d+, \d+ came in 4 reads"):
        read(Moving(950, lambda items, _: items.remove(items[0])))


def test_what_moved_once_is_read_again() -> None:
    """A run that goes pulls one across a border: a further read has it, the next finds no more."""

    def move(items: list[int], responses: int) -> None:
        if responses == 1:
            items.remove(5)

    server = Moving(250, move)
    assert set(read(server)) >= set(range(250)) - {5}
    assert len(server.asked) == 9


def test_two_moves_that_hide_each_other_once_the_read_is_repeated() -> None:
    """One goes and then one comes: pages disagree, and the repeated read has all that stayed."""

    def move(items: list[int], responses: int) -> None:
        if responses == 1:
            items.remove(5)
        if responses == 2:
            items.append(999)

    assert set(read(Moving(250, move))) >= set(range(250)) - {5}


@pytest.mark.parametrize(("page", "size", "count"), [(1, 20, 19), (2, 20, 39), (3, 10, 29)])
def test_a_page_that_holds_less_than_announced_is_an_error(
    page: int, size: int, count: int
) -> None:
    """One page is checked against the total as the whole list is."""

    class Short(Moving):
        def send(self, request: Request) -> Any:
            return super().send(request) | {"total": count + 1}

    with pytest.raises(
        IncompleteError, match=f"{size} runs were announced for the page, {size - 1}"
    ):
        read(Short(count, lambda *_: None), page=page, size=size, all=False)


@pytest.mark.parametrize(("page", "expected"), [(2, 20), (3, 10), (4, 0)])
def test_the_last_page_may_be_short(page: int, expected: int) -> None:
    """The last page holds the rest, and one behind the end nothing."""
    assert len(read(Moving(50, lambda *_: None), page=page, size=20, all=False)) == expected
