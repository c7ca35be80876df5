"""Lists that move, lie or break: each item once, nothing missing, or an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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

    def send(self, request: Request) -> Any:
        """Answer one request."""
        self.asked.append(dict(request.params))
        return self.answer(request)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Do the work in order."""
        return map(work, items)


def build(page: int, size: int) -> Request:
    """A request for a page."""
    return Request("GET", "/list", params=(("page", page), ("size", size)))


def pages(server: Server, **options: Any) -> Pages:
    """The list of a server, all of it unless told otherwise."""
    given_options = {"page": 1, "size": 20, "is_full": True} | options
    return Pages(
        server, build, identity("cuid"), title="runs", progress=Progress(), **given_options
    )


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
    assert list(some) == runs(range(100, 150))
    assert some.total == 250
    assert server.asked == [{"page": 3, "size": 50}]


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


def test_a_list_that_never_holds_still_is_an_error() -> None:
    """A list that announces more than it gives, again and again, is not whole."""

    def answer(_: Request) -> dict[str, Any]:
        return {"list": runs(range(5)), "total": 6, "pages": 1}

    server = Server(answer)
    with pytest.raises(IncompleteError, match="total is 6, 5 came"):
        list(pages(server))
    assert 2 <= len(server.asked) <= 10


def test_items_without_identity_are_kept() -> None:
    """Items that have no id, or that are no objects, are told apart by what they hold."""
    odd = [{"cuid": "a"}, {"name": "x"}, {"name": "y"}, "text", None, {"cuid": ["no", "text"]}]

    def answer(_: Request) -> dict[str, Any]:
        return {"list": odd, "total": 5, "pages": 1}

    assert list(pages(Server(answer))) == [item for item in odd if item is not None]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "with null"),
        ([], "with a list"),
        ({"list": []}, "total is null"),
        ({"list": [], "total": "3", "pages": 1}, "total is a str"),
        ({"list": [], "total": True, "pages": 1}, "total is a bool"),
        ({"list": [], "total": -1, "pages": 1}, "total is a int, not a count"),
        ({"list": [], "total": 1, "pages": None}, "pages is null"),
        ({"list": {}, "total": 1, "pages": 1}, "list is a dict"),
    ],
)
def test_what_is_no_page_is_named(answer: Any, why: str) -> None:
    """The error says which field is what."""
    with pytest.raises(ServerError, match=why):
        list(pages(Server(lambda _: answer)))


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


@pytest.mark.parametrize("following", [None, "", "1"])
def test_a_cursor_that_leads_nowhere_new_is_an_error(following: str | None) -> None:
    """More is promised, but not where, or where it already was: no endless loop, no half list."""
    server = Server(lambda _: {"keys": [], "hasMore": True, "nextCursor": following})
    with pytest.raises(IncompleteError, match="leads nowhere new"):
        list(fetch_by_cursor(server, cursor))
    with pytest.raises(ServerError, match="a list, not with a page"):
        list(fetch_by_cursor(Server(lambda _: []), cursor))


def shard(number: int) -> Request:
    """A request for a shard."""
    return Request("GET", "/log", params=(("epoch", number),))


@pytest.mark.parametrize("lines", [0, 1, 9, 10, 11, 20, 25])
def test_shards_until_all_lines_have_come(lines: int) -> None:
    """Shards are read until the announced count has come, and one more where the last was full."""
    log = list(range(lines))

    def answer(request: Request) -> dict[str, Any]:
        start = int(request.params[0][1]) * 10
        return {"logs": log[start : start + 10] or None, "count": lines}

    found = [
        line
        for part in fetch_log_shards(Server(answer), shard, size=10)
        for line in part["logs"] or []
    ]
    assert found == log


def test_a_log_that_ends_early_is_an_error() -> None:
    """Fewer lines than announced are not a log."""
    answers = iter([{"logs": [1, 2], "count": 25}, {"logs": [], "count": 25}])
    with pytest.raises(IncompleteError, match="25 lines announced, 2 came"):
        list(fetch_log_shards(Server(lambda _: next(answers)), shard, size=10))


@pytest.mark.parametrize("answer", [None, [], {"logs": {"a": 1}}, {"logs": [], "count": "many"}])
def test_what_is_no_shard_is_named(answer: Any) -> None:
    """Anything else than lines and a count is the server's mistake, and named so."""
    with pytest.raises(ServerError, match="shard"):
        list(fetch_log_shards(Server(lambda _: answer), shard, size=10))
