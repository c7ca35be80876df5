"""Lists: by page, by cursor, by log shard. Whole or an error.

A list can change while its pages are read. Every item comes once; where pages disagree about the
total, or fewer items came than announced, the list is read again, and what is new is added; at last
page after page in order, for what is pushed back by new items is then met again. One that came or
went meanwhile may be in or not. One that was there all the time can only be missing where, between
two pages, as many items went as came, so that no page's total tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from swanlab_export.errors import IncompleteError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swanlab_export.client import Request
    from swanlab_export.progress import Progress

PAGE_SIZES = (10, 12, 15, 20, 24, 27, 50, 100)
_FULL_SIZE = 100
_READS_MAX = 4
_READS_SIDE_BY_SIDE = 2


class Sender(Protocol):
    """What pagination needs of the client."""

    def send(self, request: Request, /) -> Any:
        """Send a request and decode its answer."""

    def map(self, work: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        """Do ``work`` on ``items`` side by side, results in order."""


class Pages:
    """The items of a list: one page of it, or all.

    Attributes:
        total: How many items the server announced; known once iteration has begun.
    """

    def __init__(
        self,
        sender: Sender,
        build: Callable[[int, int], Request],
        identify: Callable[[Any], Any],
        *,
        page: int,
        size: int,
        is_full: bool,
        title: str,
        progress: Progress,
    ) -> None:
        self.total: int | None = None
        self._sender = sender
        self._build = build
        self._identify = identify
        self._page = page
        self._size = size
        self._is_full = is_full
        self._title = title
        self._progress = progress

    def __iter__(self) -> Iterator[Any]:
        if self._is_full:
            yield from self._all()
            return
        request = self._build(self._page, self._size)
        items, self.total, _ = read_page(request, self._sender.send(request))
        expected = min(self._size, max(0, self.total - (self._page - 1) * self._size))
        if len(items) < expected:
            raise IncompleteError(
                f"{request}: {expected} {self._title} announced for the page, {len(items)} came"
            )
        yield from items

    def _all(self) -> Iterator[Any]:
        seen: set[Any] = set()
        for read in range(_READS_MAX):
            totals: list[int] = []
            before = len(seen)
            is_in_order = read >= _READS_SIDE_BY_SIDE
            for item in self._read_once(totals, is_in_order=is_in_order):
                if (identity := self._identify(item)) not in seen:
                    seen.add(identity)
                    yield item
            # Pages that agree, and all they announced: nothing can have slipped through. A read
            # that had to be repeated also ends when it found nothing new.
            is_steady = len(set(totals)) == 1 and len(seen) >= totals[0]
            if is_steady and (before == 0 or len(seen) == before or len(seen) == totals[0]):
                return
            # Where items only came, page after page meets all that were there when it began.
            if is_in_order and totals == sorted(totals) and len(seen) >= totals[0]:
                return
        least, most = min(totals), max(totals)
        total = least if least == most else f"{least} to {most}"
        raise IncompleteError(
            f"the list of {self._title} kept changing while it was read: "
            f"total is {total}, {len(seen)} came in {_READS_MAX} reads"
        )

    def _read_once(self, totals: list[int], *, is_in_order: bool) -> Iterator[Any]:
        """Read every page; the first says how many there are, the rest come side by side."""
        first = self._build(1, _FULL_SIZE)
        items, self.total, pages = read_page(first, self._sender.send(first))
        totals.append(self.total)
        with self._progress.bar(self._title, total=self.total, unit=self._title) as bar:
            bar.add(len(items))
            yield from items
            requests = self._further(pages, totals, is_in_order=is_in_order)
            fetch_all = map if is_in_order else self._sender.map
            for request, answer in fetch_all(self._fetch, requests):
                items, total, _ = read_page(request, answer)
                totals.append(total)
                bar.add(len(items))
                yield from items

    def _further(self, pages: int, totals: list[int], *, is_in_order: bool) -> Iterator[Request]:
        """Ask for the pages behind the first; in order, as many as the list has come to need."""
        page = 2
        while page <= pages or (is_in_order and (page - 1) * _FULL_SIZE < totals[-1]):
            yield self._build(page, _FULL_SIZE)
            page += 1

    def _fetch(self, request: Request) -> tuple[Request, Any]:
        return request, self._sender.send(request)


def read_page(request: Request, answer: Any) -> tuple[list[Any], int, int]:
    """Read a page: its items, the total, and the number of pages.

    Raises:
        ServerError: The answer is not a page; the message names the missing field.
    """
    if not isinstance(answer, dict):
        raise ServerError(f"{request} was not answered with a page but with {_kind(answer)}")
    numbers = []
    for name in ("total", "pages"):
        number = answer.get(name)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ServerError(f"{request}: the page's {name} is {_kind(number)}, not a count")
        numbers.append(number)
    items = answer.get("list")
    if items is not None and not isinstance(items, list):
        raise ServerError(f"{request}: the page's list is {_kind(items)}")
    return [item for item in items or [] if item is not None], numbers[0], numbers[1]


def fetch_by_cursor(sender: Sender, build: Callable[[str], Request]) -> Iterator[dict[str, Any]]:
    """Yield the pages of a list that names its next page by a cursor.

    Raises:
        IncompleteError: The server says that there is more, but not where, or where it already was.
    """
    cursor = ""
    visited = {cursor}
    while True:
        request = build(cursor)
        answer = sender.send(request)
        if not isinstance(answer, dict):
            raise ServerError(f"{request} was answered with {_kind(answer)}, not with a page")
        yield answer
        if not answer.get("hasMore"):
            return
        cursor = str(answer.get("nextCursor") or "")
        if cursor in visited:
            raise IncompleteError(f"{request}: hasMore is set, but nextCursor leads nowhere new")
        visited.add(cursor)


def fetch_log_shards(
    sender: Sender, build: Callable[[int], Request], *, size: int
) -> Iterator[dict[str, Any]]:
    """Yield the shards of a log, in order, until all lines announced have come.

    The first one says how many lines there are; as many shards as hold them come side by side.

    Raises:
        IncompleteError: A shard came back empty before that.
    """

    def fetch(shard: int) -> tuple[Request, Any]:
        request = build(shard)
        return request, sender.send(request)

    ahead: Iterator[tuple[Request, Any]] = iter(())
    shard = received = 0
    while True:
        request, answer = next(ahead, None) or fetch(shard)
        lines, count = _read_shard(request, answer)
        received += len(lines)
        yield answer
        if received >= count and len(lines) < size:
            return
        if not lines:
            raise IncompleteError(f"{request}: {count} lines announced, {received} came")
        if shard == 0:
            ahead = sender.map(fetch, range(1, -(-count // size)))
        shard += 1


def _read_shard(request: Request, answer: Any) -> tuple[list[Any], int]:
    """Read a shard: its lines, and how many the log has."""
    if not isinstance(answer, dict):
        raise ServerError(f"{request} was answered with {_kind(answer)}, not with a shard")
    lines, count = answer.get("logs") or [], answer.get("count") or 0
    if not isinstance(lines, list) or not isinstance(count, int):
        shown = f"{_kind(answer.get('logs'))} of {_kind(count)}"
        raise ServerError(f"{request}: the shard's logs and count are {shown}")
    return lines, count


def _kind(value: Any) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
