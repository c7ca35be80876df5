"""Lists: by page, by cursor, by log shard. Whole or an error, and never without end.

A list can change while its pages are read. Every item comes once. If pages disagree about the
total, or fewer items came than were announced, the list is read again and what is new is added; at
last page after page in order, because an item that new ones push back is then on a later page. An
item that came or went meanwhile may be included or not. One that was there all the time can only be
missing if, between two pages, as many items went as came, so that the total of no page shows it.

Two complete reads with the same items are the whole list, whatever its total says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from swanlab_export.errors import IncompleteError, ServerError, SwanlabExportError
from swanlab_export.messages import argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swanlab_export.client import Request
    from swanlab_export.progress import Bar, Progress
    from swanlab_export.report import Report

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_FULL_SIZE = 100
# A page that fails is read in smaller ones, as far as servers have them.
_SIZES = (100, 50)
_LEAST_SIZE = 10
_PARTS = _FULL_SIZE // _LEAST_SIZE
_READS_MAX = 4
_READS_CONCURRENT = 2
# Limits that a server cannot lift, far beyond any real list: 10,000,000 items, 20,000,000 keys,
# 100,000,000 lines.
_PAGES_MAX = 100_000
_CURSORS_MAX = 10_000
_SHARDS_MAX = 100_000
# A count that does not fit 64 bits is none.
_COUNT_MAX = 2**63 - 1
# A total may count items that the caller may not see, so that the last pages are empty.
_EMPTY_PAGES_MAX = 100
_CURSORS_WITHOUT_NEW_MAX = 10


class Sender(Protocol):
    """What pagination needs of the client."""

    def send(self, request: Request, /) -> Any:
        """Send a request and return its decoded payload."""

    def map(self, work: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        """Do ``work`` on ``items`` concurrently, results in order."""


class Tolerance(Protocol):
    """What pagination needs of ``api.partial.Partial``, which decides what may be left out."""

    is_wanted: bool

    def fetch(
        self, batch: Sequence[_Item], fetch: Callable[[list[_Item]], _Result], /
    ) -> list[tuple[list[_Item], _Result | SwanlabExportError]]:
        """Fetch a batch; if it fails because of some items, the others without them."""

    def fail(self, items: Sequence[object], error: SwanlabExportError, title: str, /) -> None:
        """Leave items out, or raise."""


# The payload of a shard, its lines, and how many there are.
_Shard = tuple[dict[str, Any], list[Any], int]


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        items: What is on it, without nulls.
        total: How many items the list has, None if that is not told.
        pages: How many pages the list has.
        least: How many items the list has at least: all, or those of all pages but the last one.
    """

    items: list[Any]
    total: int | None
    pages: int
    least: int


# Numbers of the smallest pages, and what is on them.
_Part = tuple[list[int], Page | SwanlabExportError]


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
        partial: Where the call takes it: decides whether a part of the list is an error.

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
        partial: Tolerance | None = None,
    ) -> None:
        self.total: int | None = None
        self._partial = partial
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
        page = read_page(request, self._sender.send(request), self._size)
        self.total, count = page.total, len(page.items)
        expected = min(self._size, max(0, page.least - (self._page - 1) * self._size))
        if count < expected:
            self._lack(
                f"{request}: {expected} {self._title} were announced for the page, {count} came",
                expected - count,
            )
        yield from page.items

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
        self._lack(
            f"the list of {self._title} kept changing while it was read: "
            f"total is {self._at_least}{total}, {len(seen)} came in {_READS_MAX} reads",
            most - len(seen) - read.left_out,
        )

    def _lack(self, why: str, count: int) -> None:
        """Leave out items that did not come, where that is allowed.

        Raises:
            IncompleteError: It is not.
        """
        if self._partial is None or not self._partial.is_wanted:
            gives = f"{argument('partial', True)} gives those that came"
            raise IncompleteError(why if self._partial is None else f"{why}; {gives}")
        some = f"{count} of the {self._title}" if count > 0 else f"some of the {self._title}"
        self._partial.fail([some], IncompleteError(why), self._title)

    def _is_whole(self, read: _Read, count: int, known: int) -> bool:
        """Say whether nothing can be missing after a read that began with ``known`` items."""
        totals = read.totals
        # Pages that agree, and all they announced. A read that had to be repeated also ends the
        # list if it found nothing new.
        count, known = count + read.left_out, known + read.left_out if known else 0
        is_steady = len(set(totals)) == 1 and count >= totals[0]
        if is_steady and (known in {0, count} or count == totals[0]):
            return True
        # If items only came, reading in order meets all that were there when it began.
        is_growing = totals == sorted(totals) and read.is_complete
        return read.is_in_order and is_growing and count >= totals[0]

    def _warn(self, read: _Read, count: int) -> None:
        if self._report is not None:
            self._report.warn(
                f"the list of {self._title} announces {self._at_least}{read.totals[-1]} in total, "
                f"but two complete reads gave the same {count}"
            )

    @property
    def _at_least(self) -> str:
        """What to say before a number of items, where only the number of pages is told."""
        return "at least " if self.total is None else ""

    def _read_once(self, read: _Read, seen: set[Any]) -> Iterator[Any]:
        """Yield every item that is not ``seen``; the first page says how many pages there are."""
        first = self._fetch(1)
        told = next(page for _, page in first if isinstance(page, Page))
        self.total = told.total
        with self._progress.bar(self._title, total=self.total, unit=self._title) as bar:
            yield from self._take(first, read, seen, bar)
            # Without a total, a page says whether another one follows.
            fetch_all = map if read.is_in_order or self.total is None else self._sender.map
            for page in fetch_all(self._fetch, self._further(told.pages, read)):
                yield from self._take(page, read, seen, bar)
                if read.has_ended:
                    # Further pages that bring nothing new would not end.
                    return
        read.is_complete = True

    def _take(self, parts: list[_Part], read: _Read, seen: set[Any], bar: Bar) -> Iterator[Any]:
        """Yield what is new on a page, which may have come in parts."""
        for numbers, page in parts:
            if isinstance(page, SwanlabExportError):
                self._leave_out(numbers, page, read)
                continue
            count, before = len(page.items), len(read.found) + read.left_out
            read.totals.append(page.least)
            read.is_full = count >= len(numbers) * _LEAST_SIZE
            bar.add(count)
            yield from self._new(page.items, read, seen)
            read.empty_pages += not count
            has_new = len(read.found) + read.left_out > before
            read.has_ended = read.empty_pages > _EMPTY_PAGES_MAX or not (has_new or not count)

    def _leave_out(self, numbers: list[int], error: SwanlabExportError, read: _Read) -> None:
        """Leave out the items of some of the smallest pages."""
        assert self._partial is not None  # else the error was raised where it came
        if not self._partial.is_wanted:
            self._partial.fail(numbers, error, self._title)
        first, last = (numbers[0] - 1) * _LEAST_SIZE + 1, numbers[-1] * _LEAST_SIZE
        if self.total is not None:
            last = min(last, max(first, self.total))
        read.left_out += last - first + 1
        self._partial.fail([f"{self._title} {first} to {last} of the list"], error, self._title)

    def _new(self, items: list[Any], read: _Read, seen: set[Any]) -> Iterator[Any]:
        # Taken out of the list: runs with large profiles are not held together with the next page.
        items.reverse()
        while items:
            item = items.pop()
            identity = self._identify(item)
            is_new = identity not in seen
            seen.add(identity)
            read.found.add(identity)
            if is_new:
                yield item

    def _further(self, pages: int, read: _Read) -> Iterator[int]:
        """Yield the numbers of the pages after the first; in order, as many as the list then needs."""
        page = 2
        totals = read.totals
        has_total = self.total is not None
        # A total that grows faster than the list is read would never be reached.
        most = min(_PAGES_MAX, 2 * max(pages, totals[0] // _FULL_SIZE) + 10)
        most = most if has_total else _PAGES_MAX
        while (
            page <= pages
            or (read.is_in_order and (page - 1) * _FULL_SIZE < totals[-1])
            or (not has_total and read.is_full)
        ):
            if page > most:
                raise IncompleteError(
                    f"the list of {self._title} does not end: {len(read.found)} came on "
                    f"{page - 1} pages, {totals[-1]} are announced"
                )
            yield page
            page += 1

    def _fetch(self, page: int) -> list[_Part]:
        """Fetch a page, without the smaller pages in it that fail where these may be left out."""
        numbers = list(range((page - 1) * _PARTS + 1, page * _PARTS + 1))
        if self._partial is None:
            return [(numbers, self._fetch_some(numbers))]
        parts = self._partial.fetch(numbers, self._fetch_some)
        errors = [found for _, found in parts if isinstance(found, SwanlabExportError)]
        if page == 1 and len(errors) == len(parts):
            raise errors[0]  # it is the list that is not there
        return parts

    def _fetch_some(self, numbers: list[int]) -> Page:
        """Fetch some of the smallest pages together, as one page of a list of full pages."""
        size = len(numbers) * _LEAST_SIZE
        if size in _SIZES:
            requests = [self._build((numbers[0] - 1) * _LEAST_SIZE // size + 1, size)]
        else:
            size = _LEAST_SIZE
            requests = [self._build(number, size) for number in numbers]
        found = [read_page(request, self._sender.send(request), size) for request in requests]
        items = [item for page in found for item in page.items]
        return replace(found[-1], items=items, pages=-(-found[-1].pages * size // _FULL_SIZE))


class _Read:
    """One read of a whole list.

    Attributes:
        is_in_order: Page after page, not concurrently.
        totals: The total that each page announced.
        found: The identities of its items.
        is_full: The last page has as many items as fit.
        empty_pages: How many pages were empty.
        left_out: How many items are on pages that failed.
        has_ended: The last page brought nothing new.
        is_complete: All announced pages were read.
    """

    def __init__(self, found: set[Any], *, is_in_order: bool) -> None:
        self.is_in_order = is_in_order
        self.totals: list[int] = []
        self.found = found
        self.is_full = False
        self.empty_pages = 0
        self.left_out = 0
        self.has_ended = False
        self.is_complete = False

    def agrees(self, other: _Read) -> bool:
        """Say whether both are complete and found the same items."""
        return self.is_complete and other.is_complete and self.found == other.found


def read_page(request: Request, payload: Any, size: int) -> Page:
    """Read a page of at most ``size`` items.

    Of the number of items and the number of pages, one is enough.

    Raises:
        ServerError: The payload is not a page; the message names what it lacks.
    """
    if not isinstance(payload, dict):
        raise ServerError(f"{request}: the response is {_kind(payload)}, not a page")
    total, pages = (_read_count(payload.get(name)) for name in ("total", "pages"))
    if total is None and pages is None:
        kinds = " and ".join(_kind(payload.get(name)) for name in ("total", "pages"))
        raise ServerError(f"{request}: the page's total and pages are {kinds}, not counts")
    items = payload.get("list")
    if items is not None and not isinstance(items, list):
        raise ServerError(f"{request}: the page's list is {_kind(items)}")
    if pages is None:
        pages = -(-(total or 0) // size)
    least = max(0, pages - 1) * size if total is None else total
    return Page([item for item in items or [] if item is not None], total, pages, least)


def _read_count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _COUNT_MAX
    return value if is_count else None


def fetch_by_cursor(sender: Sender, build: Callable[[str], Request]) -> Iterator[dict[str, Any]]:
    """Yield the pages of a list that names its next page by a cursor.

    Raises:
        ServerError: The server says that there is more, but not where, or names a page that was read
            before, or pages without anything new: it will not be whole the next time, either.
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
        following = str(payload.get("nextCursor") or "")
        has_more = payload.get("hasMore")
        # What says neither that there is more nor that this was all does not hide what follows.
        is_told = has_more in (True, False)
        if following in visited if not is_told else not has_more:
            return
        before = len(seen)
        lists = (value for value in payload.values() if isinstance(value, list))
        seen.update(str(item) for items in lists for item in items)
        without_new = without_new + 1 if len(seen) == before else 0
        if without_new >= _CURSORS_WITHOUT_NEW_MAX or len(visited) >= _CURSORS_MAX:
            raise ServerError(
                f"{request}: the list does not end: {len(visited)} pages came with {len(seen)} "
                "different items, and hasMore is still set"
            )
        cursor = following
        if cursor in visited:
            raise ServerError(
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
    partial: Tolerance | None = None,
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
        partial: Where the call takes it: decides whether it is an error that lines are missing.

    Raises:
        IncompleteError: A shard was empty before that, repeats the one before, or does not follow on
            from it.
        ServerError: They do not end.
    """
    log = _Log(sender, build, size, read_number, announced, partial)
    ahead: Iterator[tuple[Request, _Shard | SwanlabExportError]] = iter(())
    for shard in range(_SHARDS_MAX):
        request, found = next(ahead, None) or log.fetch(shard)
        if isinstance(found, SwanlabExportError):
            log.leave_out(shard, found)
        elif log.follows(request, found):
            yield found[0]
        if log.is_over:
            return
        if shard == 0:
            ahead = sender.map(log.fetch, range(1, -(-log.total // size)))
    raise ServerError(f"{request}: the log does not end: {log.received} lines came")


class _Log:
    """What has come of a log.

    Attributes:
        total: How many lines the server announced.
        received: How many lines came, or were left out.
        is_over: No more is to come.
    """

    def __init__(
        self,
        sender: Sender,
        build: Callable[[int], Request],
        size: int,
        read_number: Callable[[Any], Any],
        announced: int | None,
        partial: Tolerance | None,
    ) -> None:
        self.total = self.received = 0
        self.is_over = False
        self._sender = sender
        self._build = build
        self._size = size
        self._read_number = read_number
        self._announced = announced
        self._partial = partial
        self._first: list[Any] = []
        self._before: list[Any] = []
        # Once all lines have come that were announced by then: up to which number the last shard goes.
        self._room = 0

    def fetch(self, shard: int) -> tuple[Request, _Shard | SwanlabExportError]:
        """Fetch a shard; its error where it may be left out, which the first one may not."""
        request = self._build(shard)

        def fetch(_: list[int]) -> _Shard:
            return _read_shard(request, self._sender.send(request))

        if shard == 0 or self._partial is None:
            return request, fetch([shard])
        ((_, found),) = self._partial.fetch([shard], fetch)
        return request, found

    def leave_out(self, shard: int, error: SwanlabExportError) -> None:
        """Go on without a shard."""
        end = min(self.total, (shard + 1) * self._size)
        self._lack(range(shard * self._size, end), error)
        self.received, self._before = end, []
        self.is_over = end >= self.total

    def follows(self, request: Request, shard: _Shard) -> bool:
        """Count the lines of a shard; False if it has been given before."""
        _, lines, count = shard
        self.total = max(count, self.total)
        if lines and lines == self._before:
            repeats = IncompleteError(f"{request}: the shard repeats the one before it")
            self._lack(range(self.received, self.total), repeats)
            self.is_over = True
            return False
        self._first = self._first or lines[:1]
        gap = _gap(request, self._first, self._before, lines, self._read_number)
        if gap is not None:
            self._lack(range(0), gap)
        self.received += len(lines)
        self._before = lines
        self._check_end(request, lines, count)
        return True

    def _check_end(self, request: Request, lines: list[Any], count: int) -> None:
        is_ambiguous = bool(lines) and count == len(lines)
        if self._announced is not None and self.received >= self._announced:
            is_ambiguous = False
        if self.received >= count and len(lines) < self._size and not is_ambiguous:
            self.is_over = True
        elif not lines and count <= self._room:
            self.is_over = True  # it has grown since its last lines came
        elif not lines:
            came = f"{request}: {count} lines were announced, {self.received} came"
            self._lack(range(self.received, self.total), IncompleteError(came))
            self.is_over = True
        is_whole = self.received >= max(count, self._announced or 0)
        if is_whole and len(lines) < self._size:
            self._room = self.received - len(lines) + self._size

    def _lack(self, lines: range, error: SwanlabExportError) -> None:
        if self._partial is None:
            raise error
        if not self._partial.is_wanted:
            self._partial.fail(lines, error, "lines")
        name = f"lines {lines[0] + 1} to {lines[-1] + 1}" if lines else "some lines"
        self._partial.fail([name], error, "lines")


def _gap(
    request: Request,
    first: list[Any],
    before: list[Any],
    lines: list[Any],
    read_number: Callable[[Any], Any],
) -> IncompleteError | None:
    """Say that a shard does not follow on from the one before, if the lines of both are numbered.

    Numbers may begin again, as those of a run that was resumed, but not with the same line.
    """
    earlier, later = ([read_number(line) for line in part] for part in (before, lines))
    if not (_are_consecutive(earlier) and _are_consecutive(later)):
        return None
    begins_again = later[0] == read_number(first[0]) and lines[0] != first[0]
    if later[0] == earlier[-1] + 1 or begins_again:
        return None
    return IncompleteError(
        f"{request}: the shard begins with line {later[0]}, the one before it ends with line "
        f"{earlier[-1]}"
    )


def _are_consecutive(numbers: list[Any]) -> bool:
    if not numbers or not all(isinstance(number, int) for number in numbers):
        return False
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _read_shard(request: Request, payload: Any) -> _Shard:
    """Read a shard: the payload, its lines, and how many the log has."""
    if not isinstance(payload, dict):
        raise ServerError(f"{request}: the response is {_kind(payload)}, not a shard")
    lines, count = payload.get("logs") or [], payload.get("count") or 0
    if not isinstance(lines, list) or not isinstance(count, int):
        shown = f"{_kind(payload.get('logs'))} of {_kind(count)}"
        raise ServerError(f"{request}: the shard's logs and count are {shown}")
    return payload, lines, count


def _kind(value: Any) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


def in_batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Cut a stream into lists of at most ``size``.

    >>> list(in_batches("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
