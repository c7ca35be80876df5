"""Lists that change, are wrong or do not end: each item once, nothing missing, or an error."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.api.partial import Partial
from swanlab_export.client.request import Request
from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.pagination import Pages, fetch_by_cursor, fetch_log_shards
from swanlab_export.progress import Progress
from swanlab_export.report import Report

Respond = Callable[[Request], Any]


class Server:
    """Responds to requests with a function, one after the other, and records them."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.asked: list[dict[str, Any]] = []
        self.concurrent: list[Any] = []

    def send(self, request: Request) -> Any:
        """Respond to one request."""
        self.asked.append(dict(request.params))
        return self.respond(request)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Do the work in order, and record what was to be done concurrently."""
        for item in items:
            self.concurrent.append(item)
            yield work(item)


class Counted(Progress):
    """Records each progress bar: title, total, unit, and what was added to it."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, int | None, str, list[int]]] = []

    @contextmanager
    def bar(self, title: str, *, total: int | None, unit: str) -> Iterator[Any]:
        """Open a bar that is its own list of amounts."""
        amounts = _Amounts()
        self.bars.append((title, total, unit, amounts))
        yield amounts


class _Amounts(list[int]):
    def add(self, amount: int) -> None:
        """Record the amount."""
        self.append(amount)


def in_turn(payloads: Iterable[Any]) -> Respond:
    """Send one payload after the other, whatever is requested."""
    left = iter(payloads)
    return lambda _: next(left)


def build(page: int, size: int) -> Request:
    """A request for a page."""
    return Request("GET", "/list", params=(("page", page), ("size", size)))


def identify(item: Any) -> Any:
    """Return the id of a run, or else its content."""
    name = item.get("cuid") if isinstance(item, dict) else None
    return name if isinstance(name, str) else str(item)


def pages(server: Server, **options: Any) -> Pages:
    """The list of a server, all of it by default."""
    defaults: dict[str, Any] = {"page": 1, "size": 20, "all": True, "progress": Progress()}
    return Pages(server, build, identify, title="runs", **defaults | options)


def listing(items: Callable[[], list[Any]]) -> Respond:
    """Serve pages out of what the list is at that moment."""

    def respond(request: Request) -> dict[str, Any]:
        now = items()
        page, size = (int(value) for _, value in request.params)
        return {
            "list": now[(page - 1) * size : page * size],
            "total": len(now),
            "pages": -(-len(now) // size),
        }

    return respond


def runs(names: Iterable[int]) -> list[dict[str, Any]]:
    """Runs by number."""
    return [{"cuid": str(name)} for name in names]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_every_item_once(count: int) -> None:
    """A list that does not change takes one request per hundred items."""
    server = Server(listing(lambda: runs(range(count))))
    assert list(pages(server)) == runs(range(count))
    assert len(server.asked) == max(1, -(-count // 100))


def test_one_page_is_one_request() -> None:
    """A page that is wanted is that page, with the total of the whole."""
    server = Server(listing(lambda: runs(range(250))))
    some = pages(server, all=False, page=3, size=50)
    assert some.total is None
    assert list(some) == runs(range(100, 150))
    assert some.total == 250
    assert server.asked == [{"page": 3, "size": 50}]


def test_progress_counts_what_comes() -> None:
    """One progress bar per read of the list, named after it, up to the total, page by page."""
    progress = Counted()
    list(pages(Server(listing(lambda: runs(range(250)))), progress=progress))
    assert progress.bars == [("runs", 250, "runs", [100, 100, 50])]


@given(st.data())
def test_a_list_that_changes_loses_nothing_that_stayed(data: st.DataObject) -> None:
    """Items come and go between pages: each at most once, and all that were always there."""
    stay = list(range(220))
    now = stay.copy()
    moves = data.draw(st.lists(st.tuples(st.booleans(), st.integers(0, 220)), max_size=4))
    names = iter(range(1000, 2000))

    def current() -> list[Any]:
        if moves:
            is_new, place = moves.pop()
            if is_new:
                now.insert(min(place, len(now)), next(names))
            elif now[min(place, len(now) - 1)] not in stay:
                now.pop(min(place, len(now) - 1))
        return runs(now)

    found = [int(run["cuid"]) for run in pages(Server(listing(current)))]
    assert len(found) == len(set(found))
    assert set(stay) <= set(found)


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param([(range(6), 5)], id="more than announced, by pages that agree"),
        pytest.param([(range(5), 6), (range(6), 6)], id="the rest came with the second read"),
        pytest.param(
            [(range(5), 6), (range(1, 7), 6), (range(1, 7), 6)],
            id="something new came with the second read, nothing with the third",
        ),
    ],
)
def test_a_list_is_read_until_nothing_can_be_missing(reads: list[tuple[range, int]]) -> None:
    """As often as needed and no more; what any of the reads held is in it, once."""
    payloads = [{"list": runs(names), "total": total, "pages": 1} for names, total in reads]
    server = Server(in_turn(payloads))
    assert list(pages(server)) == runs(dict.fromkeys(name for names, _ in reads for name in names))
    assert len(server.asked) == len(reads)


def test_a_list_that_keeps_changing_is_an_error() -> None:
    """A list that announces more than it gives, and other items each time, is not whole."""
    payloads = [
        {"list": runs(names), "total": 200, "pages": 2}
        for last in (190, 195, 198, 199)
        for names in (range(100), range(100, last))
    ]
    server = Server(in_turn(payloads))
    said = r"^the list of runs kept changing while it was read: total is 200, 199 came in 4 reads$"
    with pytest.raises(IncompleteError, match=said):
        list(pages(server))
    assert [request["page"] for request in server.asked] == [1, 2] * 4
    # The last two reads are page after page.
    assert server.concurrent == [2, 2]


def test_a_list_that_grows_by_a_page_while_it_is_read_in_order() -> None:
    """What was added behind the last page is read, too: the total of each page says so."""
    before = [
        {"list": runs(names), "total": 200, "pages": 2}
        for last in (190, 195)
        for names in (range(100), range(100, last))
    ]
    grown = [
        {"list": runs(range(100)), "total": 200, "pages": 2},
        {"list": runs(range(100, 200)), "total": 201, "pages": 3},
        {"list": runs([200]), "total": 201, "pages": 3},
    ]
    server = Server(in_turn([*before, *grown]))
    assert [run["cuid"] for run in pages(server)] == [str(number) for number in range(201)]


def test_items_without_identity_are_kept() -> None:
    """Items without an id, or that are not objects, are compared by their content."""
    odd = [{"cuid": "a"}, {"name": "x"}, {"name": "y"}, "text", None, {"cuid": ["no", "text"]}]

    def respond(_: Request) -> dict[str, Any]:
        return {"list": odd, "total": 5, "pages": 1}

    assert list(pages(Server(respond))) == [item for item in odd if item is not None]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, ": the response is null, not a page"),
        ([], ": the response is a list, not a page"),
        ({"list": []}, ": the page's total and pages are null and null, not counts"),
        (
            {"list": [], "total": True, "pages": -1},
            ": the page's total and pages are a bool and a int, not counts",
        ),
        ({"list": {}, "total": 1, "pages": 1}, ": the page's list is a dict"),
    ],
)
def test_what_is_not_a_page_is_named(payload: Any, said: str) -> None:
    """The error says which request, which field, and what came: for one page, or any of all."""
    good = {"list": [], "total": 101, "pages": 2}
    for reads_all, payloads in ((False, [payload]), (True, [payload]), (True, [good, payload])):
        with pytest.raises(ServerError, match=f"^GET /list{said}$"):
            list(pages(Server(in_turn(payloads)), all=reads_all))


NO_COUNTS: list[Any] = [None, "", "3", "soon", True, -1, 2.5, [], {}, 10**30]


@pytest.mark.parametrize("odd", NO_COUNTS, ids=map(str, range(len(NO_COUNTS))))
@pytest.mark.parametrize("count", [0, 1, 100, 101, 250])
@pytest.mark.parametrize("name", ["total", "pages"])
def test_one_odd_count_of_a_page_is_no_error(name: str, count: int, odd: Any) -> None:
    """The other one tells where the list ends; without a total, a page that is not full does, too."""
    serve = listing(lambda: runs(range(count)))
    server = Server(lambda request: serve(request) | {name: odd})
    found = pages(server)
    assert list(found) == runs(range(count))
    assert found.total == (None if name == "total" else count)
    is_asked_once_more = name == "total" and count == 100
    assert len(server.asked) == max(1, -(-count // 100)) + is_asked_once_more
    some = pages(server, all=False, page=2, size=50)
    assert list(some) == runs(range(50, min(count, 100)))


@pytest.mark.parametrize("others", [{"total": 250}, {"pages": 3}], ids=["total", "pages"])
def test_a_list_with_an_odd_count_is_checked(others: dict[str, int]) -> None:
    """What the other count announces must come: all items, or all of each page but the last."""
    numbers = iter(range(1000))

    def respond(request: Request) -> dict[str, Any]:
        page = int(request.params[0][1])
        # Another one each time, so that no two reads agree.
        first = [*runs(range(98)), {"cuid": f"new {next(numbers)}"}]
        found = {1: first, 2: runs(range(100, 190))}.get(page, [])
        return {"list": found, "total": "x", "pages": "x", **others}

    with pytest.raises(IncompleteError, match="kept changing"):
        list(pages(Server(respond)))


def test_a_list_without_a_total_goes_on_to_a_page_that_is_not_full() -> None:
    """Even if there are more pages than announced."""
    serve = listing(lambda: runs(range(250)))
    server = Server(lambda request: serve(request) | {"total": None, "pages": 1})
    assert list(pages(server)) == runs(range(250))


@pytest.mark.parametrize("total", [101, 150, 1000])
def test_two_reads_that_agree_are_the_whole_list(total: int) -> None:
    """Two complete reads with the same items are the list, with a warning about its total."""
    items = runs(range(100))

    def respond(request: Request) -> dict[str, Any]:
        page = int(request.params[0][1])
        found = items if page == 1 else []
        return {"list": found, "total": total, "pages": -(-total // 100)}

    report = Report()
    server = Server(respond)
    assert list(pages(server, report=report)) == items
    assert len(server.asked) == 2 * -(-total // 100)
    assert report.warnings == [
        f"the list of runs announces {total} in total, but two complete reads gave the same 100"
    ]
    assert list(pages(Server(respond))) == items


def test_a_page_that_is_missing_is_not_the_end() -> None:
    """Items after an empty page belong to the list, too."""
    found = {1: runs(range(100)), 3: runs(range(100, 150))}

    def respond(request: Request) -> dict[str, Any]:
        page = int(request.params[0][1])
        return {"list": found.get(page, []), "total": 250, "pages": 3}

    assert len(list(pages(Server(respond), report=Report()))) == 150


@pytest.mark.parametrize("later", [runs(range(100)), []], ids=["the same page", "empty pages"])
def test_a_list_that_claims_a_billion_pages(later: list[Any]) -> None:
    """Pages without a new item end the read, whatever was announced."""

    def respond(request: Request) -> dict[str, Any]:
        page = int(request.params[0][1])
        return {
            "list": runs(range(100)) if page == 1 else later,
            "total": 100 * 10**9,
            "pages": 10**9,
        }

    server = Server(respond)
    with pytest.raises(IncompleteError, match="100 came in 4 reads"):
        list(pages(server, report=Report()))
    assert len(server.asked) < 500


def test_a_list_without_end_of_which_a_part_fails() -> None:
    """Pages without a new item end the read, also where items before them are left out."""

    def respond(request: Request) -> dict[str, Any]:
        page, size = (int(value) for _, value in request.params)
        if page == 1 and size > 10:
            raise ServerError("refused", status=400)
        if (page, size) == (3, 10):
            raise ServerError("refused", status=400)
        return {"list": runs(range(size)), "total": 10**11, "pages": 10**9}

    server = Server(respond)
    partial = Partial(Report(), is_wanted=True)
    assert len(list(pages(server, report=Report(), partial=partial))) == 100
    assert len(server.asked) < 500


def test_a_total_that_grows_without_end() -> None:
    """A list that announces more with every page does not end, and is an error."""
    names = iter(range(10**9))

    def respond(request: Request) -> dict[str, Any]:
        page = int(request.params[0][1])
        items = runs(next(names) for _ in range(100))
        return {"list": items, "total": 100 * (page + 5), "pages": 2}

    server = Server(respond)
    with pytest.raises(IncompleteError, match="the list of runs does not end"):
        list(pages(server))
    assert len(server.asked) < 100


def test_a_list_with_new_items_for_ever() -> None:
    """A list longer than any can be is an error, though every page has something new."""
    numbers = iter(range(10**9))

    def respond(_: Request) -> dict[str, Any]:
        return {"list": [next(numbers)], "total": 100 * 10**9, "pages": 10**9}

    some = Pages(
        Server(respond), build, lambda item: item, page=1, size=20, all=True, title="runs",
        progress=Progress(),
    )  # fmt: skip
    with pytest.raises(IncompleteError, match="does not end: 100000 came on 100000 pages"):
        deque(some, maxlen=0)


def test_a_cursor_with_new_items_for_ever() -> None:
    """More pages than any list of keys has are an error, though each has something new."""
    numbers = iter(range(10**9))

    def respond(_: Request) -> dict[str, Any]:
        number = next(numbers)
        return {"keys": [number], "hasMore": True, "nextCursor": number + 1}

    with pytest.raises(ServerError, match="does not end: 10000 pages came"):
        deque(fetch_by_cursor(Server(respond), cursor), maxlen=0)


def test_a_cursor_without_end() -> None:
    """A cursor that is always new, but brings nothing new, is an error."""
    numbers = iter(range(10**9))
    server = Server(lambda _: {"keys": ["a"], "hasMore": True, "nextCursor": str(next(numbers))})
    with pytest.raises(ServerError, match="the list does not end"):
        list(fetch_by_cursor(server, cursor))
    assert len(server.asked) < 20


def cursor(name: str) -> Request:
    """A request for the keys behind a cursor."""
    return Request("POST", "/keys", body={"cursor": name})


@pytest.mark.parametrize("odd", [None, "", [], "soon", {}, 12, {"more": 1}])
def test_an_odd_word_about_more_pages_does_not_end_a_list(odd: Any) -> None:
    """The next page that is named is read; it is the last one if it names no new one."""
    payloads = {
        "": {"keys": ["a"], "hasMore": odd, "nextCursor": "1"},
        "1": {"keys": ["b"], "hasMore": odd, "nextCursor": "1"},
    }
    server = Server(lambda request: payloads[request.body["cursor"]])
    assert [page["keys"] for page in fetch_by_cursor(server, cursor)] == [["a"], ["b"]]


def test_cursors_are_followed_to_the_end() -> None:
    """Each page names the next one, until there is no more."""
    payloads = {
        "": {"keys": ["a"], "hasMore": True, "nextCursor": "1"},
        "1": {"keys": None, "hasMore": True, "nextCursor": 2},
        "2": {"keys": ["b"], "hasMore": False, "nextCursor": "1"},
    }
    server = Server(lambda request: payloads[request.body["cursor"]])
    assert [page["keys"] for page in fetch_by_cursor(server, cursor)] == [["a"], None, ["b"]]


def test_a_long_list_of_cursors_has_something_new_on_each_page() -> None:
    """However many pages there are, they are read as long as they hold what was not there before."""

    def respond(request: Request) -> Any:
        number = int(request.body["cursor"] or 0)
        return {"keys": [number], "hasMore": number < 60, "nextCursor": number + 1}

    pages = fetch_by_cursor(Server(respond), cursor)
    assert [page["keys"][0] for page in pages] == list(range(61))


@pytest.mark.parametrize(("following", "requests"), [(None, 1), ("", 1), ("1", 2)])
def test_a_cursor_that_names_no_new_page_is_an_error(following: str | None, requests: int) -> None:
    """More is promised, but not where, or where it already was: no endless loop, no half list."""
    server = Server(lambda _: {"keys": [], "hasMore": True, "nextCursor": following})
    with pytest.raises(ServerError, match="names no page that is new"):
        list(fetch_by_cursor(server, cursor))
    assert len(server.asked) == requests
    with pytest.raises(ServerError, match="is a list, not a page"):
        list(fetch_by_cursor(Server(lambda _: []), cursor))


def shard(number: int) -> Request:
    """A request for a shard."""
    return Request("GET", "/log", params=(("epoch", number),))


def read_log(server: Server) -> list[Any]:
    """All lines of a log whose shards hold ten."""
    shards = fetch_log_shards(server, shard, size=10, read_number=lambda line: line)
    return [line for part in shards for line in part["logs"] or []]


def logging(log: list[int], growth: int = 0) -> Respond:
    """Serve shards of ten out of a log that grows after each response."""

    def respond(request: Request) -> dict[str, Any]:
        start = int(request.params[0][1]) * 10
        found = {"logs": log[start : start + 10] or None, "count": len(log)}
        log.extend(range(len(log), len(log) + growth))
        return found

    return respond


@pytest.mark.parametrize(
    ("lines", "requests"), [(0, 1), (1, 2), (9, 2), (10, 2), (11, 2), (20, 3), (25, 3)]
)
def test_shards_until_all_lines_have_come(lines: int, requests: int) -> None:
    """Shards are read to the announced count; one more if the last was full or may not be last."""
    server = Server(logging(list(range(lines))))
    assert read_log(server) == list(range(lines))
    assert server.asked == [{"epoch": number} for number in range(requests)]


def test_a_log_whose_lines_were_announced_elsewhere() -> None:
    """A short shard that has all of them is the last, and no further one is asked for."""
    server = Server(logging(list(range(9))))
    read = fetch_log_shards(server, shard, size=10, read_number=lambda line: line, announced=9)
    assert [line for part in read for line in part["logs"]] == list(range(9))
    assert server.asked == [{"epoch": 0}]


def test_a_log_without_end() -> None:
    """A log that grows with every shard, for longer than any log can be, is an error."""

    def respond(request: Request) -> dict[str, Any]:
        number = int(request.params[0][1])
        return {"logs": [number], "count": number + 2}

    shards = fetch_log_shards(Server(respond), shard, size=1, read_number=lambda line: line)
    with pytest.raises(ServerError, match="the log does not end: 100000 lines came"):
        deque(islice(shards, 100_001), maxlen=0)


@pytest.mark.parametrize(
    ("counts", "announced", "is_error"),
    [
        ((7, 8), None, False),
        ((7, 10), None, False),
        ((8, 8), None, True),
        ((7, 11), None, True),
        ((7, 8), 8, True),
    ],
    ids=["grew", "grew to its end", "a line is missing", "the next shard is", "announced before"],
)
def test_a_log_that_grows_while_it_is_looked_for_more(
    counts: tuple[int, int], announced: int | None, is_error: bool
) -> None:
    """What had come was the whole log at its time, if there was room for the new lines in its shard."""
    parts = [list(range(7)), []]
    payloads = [{"logs": part, "count": count} for part, count in zip(parts, counts, strict=True)]
    server = Server(lambda request: payloads[int(dict(request.params)["epoch"])])
    shards = fetch_log_shards(
        server, shard, size=10, read_number=lambda line: line, announced=announced
    )
    if is_error:
        with pytest.raises(IncompleteError, match="lines were announced, 7 came"):
            deque(shards, maxlen=0)
    else:
        assert [part["logs"] for part in shards] == parts


def test_shards_that_announce_just_their_own_lines() -> None:
    """A count that is the number of lines in the shard does not end the log after a short shard."""
    parts = [[1, 2], [3], []]
    server = Server(in_turn({"logs": part, "count": len(part)} for part in parts))
    assert read_log(server) == [1, 2, 3]


@pytest.mark.parametrize(("count", "requests"), [(25, 2), (10, 2), (10**12, 2)])
def test_a_shard_that_repeats_the_one_before_is_an_error(count: int, requests: int) -> None:
    """A server that sends a shard twice, within the log or after its end, gives no whole log."""
    server = Server(lambda _: {"logs": list(range(10)), "count": count})
    with pytest.raises(IncompleteError, match="repeats the one before it"):
        read_log(server)
    assert len(server.asked) == requests


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([range(10), range(5, 15)], "begins with line 5, the one before it ends with line 9"),
        ([range(10), range(20, 30)], "begins with line 20, the one before it ends with line 9"),
        ([range(10), range(10, 20), range(10)], "begins with line 0, the one before it ends"),
    ],
    ids=["overlap", "gap", "the first again"],
)
def test_shards_that_do_not_follow_on_are_an_error(parts: list[range], said: str) -> None:
    """Numbered lines that come twice, or are left out, between two shards are no whole log."""
    server = Server(in_turn({"logs": list(part), "count": 30} for part in parts))
    with pytest.raises(IncompleteError, match=said):
        read_log(server)


@pytest.mark.parametrize("number", [None, "7"])
def test_lines_without_numbers_are_read(number: Any) -> None:
    """Lines that are not numbered, or oddly, are a log all the same."""
    parts = [["a"] * 10, ["b"] * 10, ["c"]]
    server = Server(in_turn({"logs": part, "count": 21} for part in parts))
    shards = fetch_log_shards(server, shard, size=10, read_number=lambda _: number)
    assert [part["logs"] for part in shards] == parts


def test_numbers_that_begin_again() -> None:
    """A resumed run may number its lines from the start again: other lines, one log."""
    parts = [[(number, part) for number in range(10)] for part in range(3)]
    server = Server(in_turn({"logs": part, "count": 30} for part in [*parts, []]))
    shards = fetch_log_shards(server, shard, size=10, read_number=lambda line: line[0])
    assert [part["logs"] for part in shards] == [*parts, []]


def test_announced_shards_are_fetched_concurrently() -> None:
    """The first shard says how many lines there are; the others are fetched concurrently."""
    server = Server(logging(list(range(25))))
    read_log(server)
    assert server.concurrent == [1, 2]


@pytest.mark.parametrize("lines", [10, 25])
def test_a_log_that_grows_is_read_to_its_end(lines: int) -> None:
    """Lines that are printed meanwhile follow, in order, until a shard is not full."""
    log = list(range(lines))
    server = Server(logging(log, growth=3))
    found = read_log(server)
    assert found == log[: len(found)]
    assert len(found) > lines
    assert len(found) % 10


def test_a_log_that_ends_early_is_an_error() -> None:
    """Fewer lines than announced are not a log."""
    payloads = [{"logs": [1, 2], "count": 25}, {"logs": [], "count": 25}]
    with pytest.raises(IncompleteError, match=r"^GET /log: 25 lines were announced, 2 came$"):
        read_log(Server(in_turn(payloads)))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, ": the response is null, not a shard"),
        ([], ": the response is a list, not a shard"),
        ({"logs": {"a": 1}}, ": the shard's logs and count are a dict of a int"),
        ({"logs": [], "count": "many"}, ": the shard's logs and count are a list of a str"),
    ],
)
def test_what_is_not_a_shard_is_named(payload: Any, said: str) -> None:
    """Anything else than lines and a count is the server's mistake, and named so."""
    with pytest.raises(ServerError, match=f"^GET /log{said}$"):
        read_log(Server(lambda _: payload))


class Failing(Server):
    """A server that refuses some shards."""

    def __init__(self, respond: Respond, refused: set[int]) -> None:
        super().__init__(respond)
        self._refused = refused

    def send(self, request: Request) -> Any:
        """Refuse, or respond."""
        if int(request.params[0][1]) in self._refused:
            raise ServerError("refused", status=400)
        return super().send(request)


@pytest.mark.parametrize(
    ("refused", "kept", "left_out"),
    [
        ({1}, [*range(10), *range(20, 25)], ["lines 11 to 20"]),
        ({2}, [*range(20)], ["lines 21 to 25"]),
        ({1, 2}, [*range(10)], ["lines 11 to 20", "lines 21 to 25"]),
    ],
    ids=["middle", "end", "both"],
)
def test_shards_that_fail_can_be_left_out(
    refused: set[int], kept: list[int], left_out: list[str]
) -> None:
    """The lines of the other shards come, and those that do not are named."""
    report = Report()
    server = Failing(logging(list(range(25))), refused)
    shards = fetch_log_shards(
        server,
        shard,
        size=10,
        read_number=lambda line: line,
        partial=Partial(report, is_wanted=True),
    )
    assert [line for part in shards for line in part["logs"] or []] == kept
    assert [each["item"] for each in report.left_out()] == left_out


@pytest.mark.parametrize("number", [0, 1], ids=["first", "further"])
def test_a_shard_that_fails_is_an_error_otherwise(number: int) -> None:
    """The first shard tells how many lines there are, so it is never left out."""
    is_wanted = number == 0
    shards = fetch_log_shards(
        Failing(logging(list(range(25))), {number}),
        shard,
        size=10,
        read_number=lambda line: line,
        partial=Partial(Report(), is_wanted=is_wanted),
    )
    with pytest.raises((ServerError, IncompleteError), match="refused"):
        list(shards)


def test_lines_that_a_log_lacks_can_be_left_out() -> None:
    """A log that ends too early is given as far as it comes, and says which lines it lacks."""
    report = Report()
    lines = list(range(15))
    server = Server(
        lambda request: {
            "logs": lines[int(request.params[0][1]) * 10 :][:10] or None,
            "count": 30,
        }
    )
    shards = fetch_log_shards(
        server,
        shard,
        size=10,
        read_number=lambda line: line,
        partial=Partial(report, is_wanted=True),
    )
    assert [line for part in shards for line in part["logs"] or []] == lines
    assert [each["item"] for each in report.left_out()] == ["lines 16 to 30"]


def test_a_shard_that_repeats_can_end_what_is_given() -> None:
    """A log whose shards repeat is given up to there, and says which lines it lacks."""
    report = Report()
    lines = list(range(10))
    shards = fetch_log_shards(
        Server(lambda _: {"logs": lines, "count": 30}),
        shard,
        size=10,
        read_number=lambda _: None,
        partial=Partial(report, is_wanted=True),
    )
    assert [line for part in shards for line in part["logs"]] == lines
    assert [each["item"] for each in report.left_out()] == ["lines 11 to 30"]


@pytest.mark.parametrize(
    ("bad", "kept", "left_out"),
    [(3, 25, "1 to 10"), (13, 25, "11 to 20"), (33, 30, "31 to 35")],
    ids=["first page", "middle", "last page"],
)
def test_pages_that_fail_can_be_left_out(bad: int, kept: int, left_out: str) -> None:
    """Of a page with an item that the server cannot give, the other parts are given."""
    report = Report()

    def respond(request: Request) -> Any:
        page, size = (int(value) for _, value in request.params)
        found = range((page - 1) * size, min(page * size, 35))
        if bad in found:
            raise ServerError("refused", status=400)
        return {"list": [{"id": i} for i in found], "total": 35, "pages": -(-35 // size)}

    pages = Pages(
        Server(respond),
        lambda page, size: Request("GET", "/x", (("page", str(page)), ("size", str(size)))),
        lambda item: item["id"],
        page=1,
        size=20,
        all=True,
        title="runs",
        progress=Progress(),
        report=report,
        partial=Partial(report, is_wanted=True),
    )
    assert len(list(pages)) == kept
    assert [each["item"] for each in report.left_out()] == [f"runs {left_out} of the list"]


@pytest.mark.parametrize(
    ("total", "reads", "warnings"),
    [
        (35, 1, []),
        (36, 2, ["announces 36 in total, but two complete reads gave the same 25"]),
    ],
    ids=["nothing else is missing", "one is missing"],
)
def test_what_was_left_out_counts_as_read(total: int, reads: int, warnings: list[str]) -> None:
    """A list is whole without the ten items of a part that failed, but not without one more."""
    report = Report()

    def respond(request: Request) -> Any:
        page, size = (int(value) for _, value in request.params)
        found = range((page - 1) * size, min(page * size, 35))
        if 13 in found:
            raise ServerError("refused", status=400)
        return {"list": [{"cuid": str(i)} for i in found], "total": total, "pages": 1}

    server = Server(respond)
    found = list(pages(server, report=report, partial=Partial(report, is_wanted=True)))
    assert len(found) == 25
    assert server.asked.count({"page": 1, "size": 100}) == reads
    assert [each["item"] for each in report.left_out()] == ["runs 11 to 20 of the list"]
    assert len(report.warnings) == len(warnings)
    assert all(map(str.endswith, report.warnings, warnings))
