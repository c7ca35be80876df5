"""Lists: by page, by cursor, by log shard. Whole or an error, and never without end.

A list can change while its pages are read. Every item comes once. If pages disagree about the
total, or fewer items came than were announced, the list is read again and what is new is added; at
last page after page in order, because an item that new ones push back is then on a later page. An
item that came or went meanwhile may be included or not. One that was there all the time can only be
missing if, between two pages, as many items went as came, so that the total of no page shows it.

Two complete reads with the same items are the whole list, whatever its total says.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from swanlab_export.errors import IncompleteError, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swanlab_export.client import Request
    from swanlab_export.progress import Progress
    from swanlab_export.report import Report

_Item = TypeVar("_Item")
_FULL_SIZE = 100
_READS_MAX = 4
_READS_CONCURRENT = 2
# Limits that a server cannot lift, far beyond any real list: 10,000,000 items, 20,000,000 keys,
# 100,000,000 lines.
_PAGES_MAX = 100_000
_CURSORS_MAX = 10_000
_SHARDS_MAX = 100_000
# A total may count items that the caller may not see, so that the last pages are empty.
_EMPTY_PAGES_MAX = 100
_CURSORS_WITHOUT_NEW_MAX = 10


class Sender(Protocol):
    """What pagination needs of the client."""

    def send(self, request: Request, /) -> Any:
        """Send a request and return its decoded payload."""

    def map(self, work: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        """Do ``work`` on ``items`` concurrently, results in order."""


class Pages:
    """The items of a list: one page of it, or all.

    Args:
        sender: Sends the requests.
        build: Makes the request for a page, given its number and size.
        identify: Returns what tells an item from all others.
        page: The page that is wanted, unless ``all`` are.
        size: Its size.
        all: Read the whole list.
        title: What the items are called in messages.
        progress: Gets a progress bar for each read of the whole list.
        report: Gets a warning if the list is whole but its total is wrong.

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
        all: bool,  # noqa: A002  as the command line calls it
        title: str,
        progress: Progress,
        report: Report | None = None,
    ) -> None:
        self.total: int | None = None
        self._sender = sender
        self._build = build
        self._identify = identify
        self._page = page
        self._size = size
        self._reads_all = all
        self._title = title
        self._progress = progress
        self._report = report

    def __iter__(self) -> Iterator[Any]:
        if self._reads_all:
            yield from self._all()
            return
        request = self._build(self._page, self._size)
        items, self.total, _ = read_page(request, self._sender.send(request))
        expected = min(self._size, max(0, self.total - (self._page - 1) * self._size))
        if len(items) < expected:
            raise IncompleteError(
                f"{request}: {expected} {self._title} were announced for the page, "
                f"{len(items)} came"
            )
        yield from items

    def _all(self) -> Iterator[Any]:
        seen: set[Any] = set()
        before: _Read | None = None
        for number in range(_READS_MAX):
            # What the first read finds is what is seen: one set serves both, until it is copied.
            read = _Read(seen if number == 0 else set(), is_in_order=number >= _READS_CONCURRENT)
            known = len(seen)
            yield from self._read_once(read, seen)
            if self._is_whole(read, len(seen), known):
                return
            if before is not None and before.agrees(read) and len(read.found) == len(seen):
                self._warn(read, len(seen))
                return
            read.found = set(read.found)
            before = read
        least, most = min(read.totals), max(read.totals)
        total = least if least == most else f"{least} to {most}"
        raise IncompleteError(
            f"the list of {self._title} kept changing while it was read: "
            f"total is {total}, {len(seen)} came in {_READS_MAX} reads"
        )

    def _is_whole(self, read: _Read, count: int, known: int) -> bool:
        """Say whether nothing can be missing after a read that began with ``known`` items."""
        totals = read.totals
        # Pages that agree, and all they announced. A read that had to be repeated also ends the
        # list if it found nothing new.
        is_steady = len(set(totals)) == 1 and count >= totals[0]
        if is_steady and (known in {0, count} or count == totals[0]):
            return True
        # If items only came, reading in order meets all that were there when it began.
        is_growing = totals == sorted(totals) and read.is_complete
        return read.is_in_order and is_growing and count >= totals[0]

    def _warn(self, read: _Read, count: int) -> None:
        if self._report is not None:
            self._report.warn(
                f"the list of {self._title} announces {read.totals[-1]} in total, but two complete "
                f"reads gave the same {count}"
            )

    def _read_once(self, read: _Read, seen: set[Any]) -> Iterator[Any]:
        """Yield every item that is not ``seen``; the first page says how many pages there are."""
        first = self._build(1, _FULL_SIZE)
        items, self.total, pages = read_page(first, self._sender.send(first))
        read.totals.append(self.total)
        with self._progress.bar(self._title, total=self.total, unit=self._title) as bar:
            bar.add(len(items))
            yield from self._new(items, read, seen)
            requests = self._further(pages, read)
            fetch_all = map if read.is_in_order else self._sender.map
            for request, payload in fetch_all(self._fetch, requests):
                items, total, _ = read_page(request, payload)
                read.totals.append(total)
                bar.add(len(items))
                before = len(read.found)
                yield from self._new(items, read, seen)
                read.empty_pages += not items
                if read.empty_pages > _EMPTY_PAGES_MAX or (items and len(read.found) == before):
                    # Further pages that bring nothing new would not end.
                    return
        read.is_complete = True

    def _new(self, items: list[Any], read: _Read, seen: set[Any]) -> Iterator[Any]:
        for item in items:
            identity = self._identify(item)
            is_new = identity not in seen
            seen.add(identity)
            read.found.add(identity)
            if is_new:
                yield item

    def _further(self, pages: int, read: _Read) -> Iterator[Request]:
        """Build requests for the pages after the first; in order, as many as the list then needs."""
        page = 2
        totals = read.totals
        # A total that grows faster than the list is read would never be reached.
        most = min(_PAGES_MAX, 2 * max(pages, totals[0] // _FULL_SIZE) + 10)
        while page <= pages or (read.is_in_order and (page - 1) * _FULL_SIZE < totals[-1]):
            if page > most:
                raise IncompleteError(
                    f"the list of {self._title} does not end: {len(read.found)} came on "
                    f"{page - 1} pages, {totals[-1]} are announced"
                )
            yield self._build(page, _FULL_SIZE)
            page += 1

    def _fetch(self, request: Request) -> tuple[Request, Any]:
        return request, self._sender.send(request)


class _Read:
    """One read of a whole list.

    Attributes:
        is_in_order: Page after page, not concurrently.
        totals: The total that each page announced.
        found: The identities of its items.
        empty_pages: How many pages were empty.
        is_complete: All announced pages were read.
    """

    def __init__(self, found: set[Any], *, is_in_order: bool) -> None:
        self.is_in_order = is_in_order
        self.totals: list[int] = []
        self.found = found
        self.empty_pages = 0
        self.is_complete = False

    def agrees(self, other: _Read) -> bool:
        """Say whether both are complete and found the same items."""
        return self.is_complete and other.is_complete and self.found == other.found


def read_page(request: Request, payload: Any) -> tuple[list[Any], int, int]:
    """Read a page: its items, the total, and the number of pages.

    Raises:
        ServerError: The payload is not a page; the message names the missing field.
    """
    if not isinstance(payload, dict):
        raise ServerError(f"{request}: the response is {_kind(payload)}, not a page")
    numbers = []
    for name in ("total", "pages"):
        number = payload.get(name)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ServerError(f"{request}: the page's {name} is {_kind(number)}, not a count")
        numbers.append(number)
    items = payload.get("list")
    if items is not None and not isinstance(items, list):
        raise ServerError(f"{request}: the page's list is {_kind(items)}")
    return [item for item in items or [] if item is not None], numbers[0], numbers[1]


def fetch_by_cursor(sender: Sender, build: Callable[[str], Request]) -> Iterator[dict[str, Any]]:
    """Yield the pages of a list that names its next page by a cursor.

    Raises:
        IncompleteError: The server says that there is more, but not where, or names a page that was
            read before, or pages without anything new.
    """
    cursor = ""
    visited = {cursor}
    seen: set[str] = set()
    without_new = 0
    while True:
        request = build(cursor)
        payload = sender.send(request)
        if not isinstance(payload, dict):
            raise ServerError(f"{request}: the response is {_kind(payload)}, not a page")
        yield payload
        if not payload.get("hasMore"):
            return
        before = len(seen)
        lists = (value for value in payload.values() if isinstance(value, list))
        seen.update(str(item) for items in lists for item in items)
        without_new = without_new + 1 if len(seen) == before else 0
        if without_new >= _CURSORS_WITHOUT_NEW_MAX or len(visited) >= _CURSORS_MAX:
            raise IncompleteError(
                f"{request}: the list does not end: {len(visited)} pages came with {len(seen)} "
                "different items, and hasMore is still set"
            )
        cursor = str(payload.get("nextCursor") or "")
        if cursor in visited:
            raise IncompleteError(
                f"{request}: hasMore is set, but nextCursor names no page that is new"
            )
        visited.add(cursor)


def fetch_log_shards(
    sender: Sender,
    build: Callable[[int], Request],
    *,
    size: int,
    read_number: Callable[[Any], Any],
    announced: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the shards of a log, in order, until all lines have come.

    The first one says how many lines there are; as many shards as hold them are fetched
    concurrently. Some servers announce the lines of the shard alone: after a short shard that
    announces just its own, the next one is requested, too.

    Args:
        sender: Sends the requests.
        build: Makes the request for a shard, given its number.
        size: How many lines a shard holds.
        read_number: Returns the number of a line; anything else than an integer if it has none.
        announced: How many lines there are, where the server said so elsewhere.

    Raises:
        IncompleteError: A shard was empty before that, repeats the one before, does not follow on
            from it, or they do not end.
    """

    def fetch(shard: int) -> tuple[Request, Any]:
        request = build(shard)
        return request, sender.send(request)

    ahead: Iterator[tuple[Request, Any]] = iter(())
    received = 0
    first: list[Any] = []
    before: list[Any] = []
    for shard in range(_SHARDS_MAX):
        request, payload = next(ahead, None) or fetch(shard)
        lines, count = _read_shard(request, payload)
        if lines and lines == before:
            raise IncompleteError(f"{request}: the shard repeats the one before it")
        first = first or lines[:1]
        _check_follows(request, first, before, lines, read_number)
        received += len(lines)
        yield payload
        is_ambiguous = bool(lines) and count == len(lines)
        if announced is not None and received >= announced:
            is_ambiguous = False
        if received >= count and len(lines) < size and not is_ambiguous:
            return
        if not lines:
            raise IncompleteError(f"{request}: {count} lines were announced, {received} came")
        if shard == 0:
            ahead = sender.map(fetch, range(1, -(-count // size)))
        before = lines
    raise IncompleteError(f"{request}: the log does not end: {received} lines came")


def _check_follows(
    request: Request,
    first: list[Any],
    before: list[Any],
    lines: list[Any],
    read_number: Callable[[Any], Any],
) -> None:
    """Insist that a shard follows on from the one before, if the lines of both are numbered.

    Numbers may begin again, as those of a run that was resumed, but not with the same line.
    """
    earlier, later = ([read_number(line) for line in part] for part in (before, lines))
    if not (_are_consecutive(earlier) and _are_consecutive(later)):
        return
    begins_again = later[0] == read_number(first[0]) and lines[0] != first[0]
    if later[0] != earlier[-1] + 1 and not begins_again:
        raise IncompleteError(
            f"{request}: the shard begins with line {later[0]}, the one before it ends with line "
            f"{earlier[-1]}"
        )


def _are_consecutive(numbers: list[Any]) -> bool:
    if not numbers or not all(isinstance(number, int) for number in numbers):
        return False
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _read_shard(request: Request, payload: Any) -> tuple[list[Any], int]:
    """Read a shard: its lines, and how many the log has."""
    if not isinstance(payload, dict):
        raise ServerError(f"{request}: the response is {_kind(payload)}, not a shard")
    lines, count = payload.get("logs") or [], payload.get("count") or 0
    if not isinstance(lines, list) or not isinstance(count, int):
        shown = f"{_kind(payload.get('logs'))} of {_kind(count)}"
        raise ServerError(f"{request}: the shard's logs and count are {shown}")
    return lines, count


def _kind(value: Any) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def in_batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Cut a stream into lists of at most ``size``."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
