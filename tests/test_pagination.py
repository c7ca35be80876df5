"""Lists that move, lie or break: each item once, nothing missing, or an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.api.resolve import identity
from swanlab_export.client.request import Request
from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.pagination import Pages, fetch_by_cursor, fetch_log_shards
from swanlab_export.progress import Progress

Answers = Callable[[Request], Any]


class Server:
    """Answers requests from a function, one after the other, and remembers them."""

    def __init__(self, answer: Answers) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.side_by_side: list[Any] = []

    def send(self, request: Request) -> Any:
        """Answer one request."""
        self.asked.append(dict(request.params))
        return self.answer(request)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Do the work in order, and remember what was to be done side by side."""
        self.side_by_side += (together := list(items))
        return map(work, together)


class Counted(Progress):
    """Remembers each bar: title, total, unit, and what was added to it."""

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
        """Remember the amount."""
        self.append(amount)


def in_turn(answers: Iterable[Any]) -> Answers:
    """Serve one answer after the other, whatever is asked."""
    left = iter(answers)
    return lambda _: next(left)


def build(page: int, size: int) -> Request:
    """A request for a page."""
    return Request("GET", "/list", params=(("page", page), ("size", size)))


def pages(server: Server, **options: Any) -> Pages:
    """The list of a server, all of it unless told otherwise."""
    defaults: dict[str, Any] = {"page": 1, "size": 20, "is_full": True, "progress": Progress()}
    return Pages(server, build, identity("cuid"), title="runs", **defaults | options)


def listing(items: Callable[[], list[Any]]) -> Answers:
    """Serve pages out of what the list is at that moment."""

    def answer(request: Request) -> dict[str, Any]:
        now = items()
        page, size = (int(value) for _, value in request.params)
        return {
            "list": now[(page - 1) * size : page * size],
            "total": len(now),
            "pages": -(-len(now) // size),
        }

    return answer


def runs(names: Iterable[int]) -> list[dict[str, Any]]:
    """Runs by number."""
    return [{"cuid": str(name)} for name in names]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_every_item_once(count: int) -> None:
    """A list that stands still takes one request per hundred."""
    server = Server(listing(lambda: runs(range(count))))
    assert list(pages(server)) == runs(range(count))
    assert len(server.asked) == max(1, -(-count // 100))


def test_one_page_is_one_request() -> None:
    """A page that was asked for is that page, with the total of the whole."""
    server = Server(listing(lambda: runs(range(250))))
    some = pages(server, is_full=False, page=3, size=50)
    assert some.total is None
    assert list(some) == runs(range(100, 150))
    assert some.total == 250
    assert server.asked == [{"page": 3, "size": 50}]


def test_progress_counts_what_comes() -> None:
    """One bar per read of the list, named after it, up to the total, page by page."""
    progress = Counted()
    list(pages(Server(listing(lambda: runs(range(250)))), progress=progress))
    assert progress.bars == [("runs", 250, "runs", [100, 100, 50])]


@given(st.data())
def test_a_list_that_moves_loses_nothing_that_stayed(data: st.DataObject) -> None:
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
    """As often as that takes and no oftener; what any of the reads held is in it, once."""
    answers = [{"list": runs(names), "total": total, "pages": 1} for names, total in reads]
    server = Server(in_turn(answers))
    assert list(pages(server)) == runs(dict.fromkeys(name for names, _ in reads for name in names))
    assert len(server.asked) == len(reads)


def test_a_list_that_never_holds_still_is_an_error() -> None:
    """A list that announces more than it gives, again and again, is not whole."""
    answers = [
        {"list": runs(names), "total": 200, "pages": 2}
        for names in (range(100), range(100, 199)) * 4
    ]
    server = Server(in_turn(answers))
    said = r"^the list of runs kept changing while it was read: total is 200, 199 came in 4 reads$"
    with pytest.raises(IncompleteError, match=said):
        list(pages(server))
    assert [request["page"] for request in server.asked] == [1, 2] * 4


def test_items_without_identity_are_kept() -> None:
    """Items that have no id, or that are no objects, are told apart by what they hold."""
    odd = [{"cuid": "a"}, {"name": "x"}, {"name": "y"}, "text", None, {"cuid": ["no", "text"]}]

    def answer(_: Request) -> dict[str, Any]:
        return {"list": odd, "total": 5, "pages": 1}

    assert list(pages(Server(answer))) == [item for item in odd if item is not None]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, " was not answered with a page but with null"),
        ([], " was not answered with a page but with a list"),
        ({"list": []}, ": the page's total is null, not a count"),
        ({"list": [], "total": "3", "pages": 1}, ": the page's total is a str, not a count"),
        ({"list": [], "total": True, "pages": 1}, ": the page's total is a bool, not a count"),
        ({"list": [], "total": -1, "pages": 1}, ": the page's total is a int, not a count"),
        ({"list": [], "total": 1, "pages": None}, ": the page's pages is null, not a count"),
        ({"list": {}, "total": 1, "pages": 1}, ": the page's list is a dict"),
    ],
)
def test_what_is_no_page_is_named(answer: Any, said: str) -> None:
    """The error says which request, which field, and what came: of one page, or any of all."""
    good = {"list": [], "total": 101, "pages": 2}
    for is_full, answers in ((False, [answer]), (True, [answer]), (True, [good, answer])):
        with pytest.raises(ServerError, match=f"^GET /list{said}$"):
            list(pages(Server(in_turn(answers)), is_full=is_full))


def cursor(name: str) -> Request:
    """A request for the keys behind a cursor."""
    return Request("POST", "/keys", body={"cursor": name})


def test_cursors_are_followed_to_the_end() -> None:
    """Each page names the next one, until there is no more."""
    answers = {
        "": {"keys": ["a"], "hasMore": True, "nextCursor": "1"},
        "1": {"keys": None, "hasMore": True, "nextCursor": 2},
        "2": {"keys": ["b"], "hasMore": False, "nextCursor": "1"},
    }
    server = Server(lambda request: answers[request.body["cursor"]])
    assert [page["keys"] for page in fetch_by_cursor(server, cursor)] == [["a"], None, ["b"]]


@pytest.mark.parametrize(("following", "requests"), [(None, 1), ("", 1), ("1", 2)])
def test_a_cursor_that_leads_nowhere_new_is_an_error(following: str | None, requests: int) -> None:
    """More is promised, but not where, or where it already was: no endless loop, no half list."""
    server = Server(lambda _: {"keys": [], "hasMore": True, "nextCursor": following})
    with pytest.raises(IncompleteError, match="leads nowhere new"):
        list(fetch_by_cursor(server, cursor))
    assert len(server.asked) == requests
    with pytest.raises(ServerError, match="a list, not with a page"):
        list(fetch_by_cursor(Server(lambda _: []), cursor))


def shard(number: int) -> Request:
    """A request for a shard."""
    return Request("GET", "/log", params=(("epoch", number),))


def read_log(server: Server) -> list[Any]:
    """All lines of a log whose shards hold ten."""
    return [
        line for part in fetch_log_shards(server, shard, size=10) for line in part["logs"] or []
    ]


def logging(log: list[int], growth: int = 0) -> Answers:
    """Serve shards of ten out of a log that grows after each answer."""

    def answer(request: Request) -> dict[str, Any]:
        start = int(request.params[0][1]) * 10
        found = {"logs": log[start : start + 10] or None, "count": len(log)}
        log.extend(range(len(log), len(log) + growth))
        return found

    return answer


@pytest.mark.parametrize("lines", [0, 1, 9, 10, 11, 20, 25])
def test_shards_until_all_lines_have_come(lines: int) -> None:
    """Shards are read until the announced count has come, and one more where the last was full."""
    server = Server(logging(list(range(lines))))
    assert read_log(server) == list(range(lines))
    assert server.asked == [{"epoch": number} for number in range(lines // 10 + 1)]


def test_shards_that_were_announced_come_side_by_side() -> None:
    """The first shard says how many lines there are; those behind it need not wait in line."""
    server = Server(logging(list(range(25))))
    read_log(server)
    assert server.side_by_side == [1, 2]


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
    answers = [{"logs": [1, 2], "count": 25}, {"logs": [], "count": 25}]
    with pytest.raises(IncompleteError, match=r"^GET /log: 25 lines announced, 2 came$"):
        list(fetch_log_shards(Server(in_turn(answers)), shard, size=10))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, " was answered with null, not with a shard"),
        ([], " was answered with a list, not with a shard"),
        ({"logs": {"a": 1}}, ": the shard's logs and count are a dict of a int"),
        ({"logs": [], "count": "many"}, ": the shard's logs and count are a list of a str"),
    ],
)
def test_what_is_no_shard_is_named(answer: Any, said: str) -> None:
    """Anything else than lines and a count is the server's mistake, and named so."""
    with pytest.raises(ServerError, match=f"^GET /log{said}$"):
        list(fetch_log_shards(Server(lambda _: answer), shard, size=10))
