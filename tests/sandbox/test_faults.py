"""Each fault, seen from a plain HTTP caller."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sandbox_tiny import Caller, column

from swanlab_export.sandbox import Sandbox, fault_help, parse_faults

if TYPE_CHECKING:
    from pathlib import Path

RUNS = "/project/team/open/runs"


def _statuses(ada: Caller, count: int, path: str = "/user/profile") -> list[int]:
    return [ada.call("GET", path).status_code for _ in range(count)]


def test_latency(sandbox: Sandbox, ada: Caller) -> None:
    """Every response waits."""
    sandbox.faults = parse_faults(["latency=80ms"])
    start = time.monotonic()
    ada.get("/user/profile")
    assert time.monotonic() - start >= 0.08


def test_every_third_response_is_429(sandbox: Sandbox, ada: Caller) -> None:
    """The third and the sixth response ask for a pause, and say for how long."""
    sandbox.faults = parse_faults(["429=3", "retry-after=0.25"])
    assert _statuses(ada, 6) == [200, 200, 429, 200, 200, 429]
    sandbox.faults = parse_faults(["429=1", "retry-after=0.25"])
    assert ada.call("GET", "/user/profile").headers["Retry-After"] == "0.25"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors(sandbox: Sandbox, ada: Caller, status: int) -> None:
    """Every second response is the chosen server error."""
    sandbox.faults = parse_faults([f"{status}=2"])
    assert _statuses(ada, 4) == [200, status, 200, status]


@pytest.mark.parametrize("generation", ["2.8", "3.1"])
def test_creation_times_are_refused(generation: str, tiny: Path) -> None:
    """A run is named without its creation time, or refused."""
    with Sandbox(tiny, generation=generation, faults=parse_faults(["strict-fields=1"])) as sandbox:
        ada = Caller(sandbox)
        body: dict[str, Any] = {"projectId": "pro1", "xType": "step", "num": 10}
        dated = column("loss", createdAt=1_700_000_000)
        undated = {name: value for name, value in dated.items() if name != "createdAt"}
        statuses = [
            ada.call("POST", "/house/metrics/scalar", body | {"columns": [ref]}).status_code
            for ref in (dated, undated)
        ]
        ada.close()
    assert statuses == [400, 200]


def test_faults_end_after_so_many_times(sandbox: Sandbox, ada: Caller) -> None:
    """A fault with a count passes."""
    sandbox.faults = parse_faults(["503=1", "times=2"])
    assert _statuses(ada, 4) == [503, 503, 200, 200]


def test_faults_keep_to_their_paths(sandbox: Sandbox, ada: Caller) -> None:
    """A fault with a path leaves other paths alone, and does not count them."""
    sandbox.faults = parse_faults(["500=1", "where=/group/"])
    assert _statuses(ada, 2) == [200, 200]
    assert _statuses(ada, 1, "/group/team") == [500]


def test_reset(sandbox: Sandbox, ada: Caller) -> None:
    """Every second connection is torn down without an response."""
    sandbox.faults = parse_faults(["reset=2"])
    assert _statuses(ada, 1) == [200]
    with pytest.raises(requests.ConnectionError):
        ada.call("GET", "/user/profile")


@pytest.mark.parametrize(("fault", "status"), [("gone", 404), ("refuse", 400)])
def test_what_a_request_names_can_be_bad(
    sandbox: Sandbox, ada: Caller, fault: str, status: int
) -> None:
    """A request whose path, query or body matches gets that status, and no other does."""
    sandbox.faults = parse_faults([f"{fault}=run1|pic"])
    body = {"projectId": "pro1", "columns": [column("pic")]}
    assert ada.call("POST", "/house/metrics/f_media", body).status_code == status
    assert ada.call("GET", f"{RUNS}/run1").status_code == status
    assert ada.call("GET", RUNS, params={"page": 1, "size": 10}).status_code == 200
    with pytest.raises(ValueError, match="not a regular expression"):
        parse_faults([f"{fault}=("])


@pytest.mark.parametrize(("fault", "start"), [("html=1", "<html"), ("empty=1", "")])
def test_not_json(sandbox: Sandbox, ada: Caller, fault: str, start: str) -> None:
    """Status 200 with a page of HTML, or with nothing."""
    sandbox.faults = parse_faults([fault])
    response = ada.call("GET", "/user/profile")
    assert response.status_code == 200
    assert response.text[:5] == start


def test_hang(sandbox: Sandbox, ada: Caller) -> None:
    """A request that gets no response."""
    sandbox.faults = parse_faults(["hang=1"])
    with pytest.raises(requests.Timeout):
        ada.call("GET", "/user/profile", timeout=0.2)


def test_request_without_a_response_is_in_flight_until_its_client_gives_up(
    sandbox: Sandbox, ada: Caller
) -> None:
    """After the client has closed the connection, its request is not counted any more."""
    sandbox.reset()
    sandbox.faults = parse_faults(["hang=1", "times=1"])
    with pytest.raises(requests.Timeout):
        ada.call("GET", "/user/profile", timeout=0.2)
    deadline = time.monotonic() + 30
    while not sandbox.requests[-1].ended and time.monotonic() < deadline:
        time.sleep(0.01)
    ada.get("/user/profile")
    assert sandbox.max_in_flight == 1


def test_redirect_to_another_host(sandbox: Sandbox, ada: Caller) -> None:
    """The response points to a host that is not the API's."""
    sandbox.faults = parse_faults(["redirect=1"])
    response = ada.call("GET", "/user/profile")
    assert response.status_code in {301, 302, 307, 308}
    assert not response.headers["Location"].startswith(sandbox.url)


def test_sessions_are_forgotten(sandbox: Sandbox, ada: Caller) -> None:
    """Every third request finds all sessions dead, until the user logs in again."""
    sandbox.faults = parse_faults(["forget=3"])
    assert _statuses(ada, 3) == [200, 200, 401]


@pytest.mark.parametrize("mode", ["length", "chunked", "neither"])
def test_download_is_cut(sandbox: Sandbox, ada: Caller, mode: str) -> None:
    """A download ends half-way, with a length, in chunks, and with neither."""
    whole = ada.export("loss", experimentName="r")
    sandbox.faults = parse_faults([f"cut={mode}", "times=1"])
    head, body = _raw_get(whole.url)
    assert ("content-length:" in head) == (mode == "length")
    assert ("transfer-encoding: chunked" in head) == (mode == "chunked")
    if mode == "chunked":
        assert not body.endswith(b"0\r\n\r\n")
    else:
        assert body == whole.content[: len(whole.content) // 2]
    assert ada.download(whole.url).content == whole.content


def _raw_get(url: str) -> tuple[str, bytes]:
    """GET by hand, until the server closes."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=60) as connection:
        lines = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        connection.sendall(lines.encode())
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
    return head.decode().lower(), body


def test_no_ranges(sandbox: Sandbox, ada: Caller) -> None:
    """Without ranges the whole file comes again."""
    whole = ada.export("loss", experimentName="r")
    sandbox.faults = parse_faults(["noranges=1"])
    again = ada.download(whole.url, Range="bytes=10-")
    assert (again.status_code, again.content) == (200, whole.content)


def test_download_without_a_length_is_whole(sandbox: Sandbox, ada: Caller) -> None:
    """Neither a length nor chunks, and still every byte."""
    whole = ada.export("loss", experimentName="r")
    sandbox.faults = parse_faults(["nolength=1"])
    head, body = _raw_get(whole.url)
    assert "content-length" not in head
    assert "transfer-encoding" not in head
    assert body == whole.content


def test_expired_url(sandbox: Sandbox, ada: Caller) -> None:
    """The first download is refused, the next one works."""
    whole = ada.export("loss", experimentName="r")
    sandbox.faults = parse_faults(["expire=1", "times=1"])
    assert ada.download(whole.url).status_code == 403
    assert ada.download(whole.url).status_code == 200


def test_expired_licence(sandbox: Sandbox, ada: Caller) -> None:
    """The instance says that its licence has run out, and root is refused."""
    sandbox.faults = parse_faults(["licence=expired"])
    assert ada.get("/self_hosted/info")["expired"] is True
    assert ada.call("GET", "/self_hosted/summary").status_code == 403


@pytest.mark.parametrize(("kind", "change"), [("grow", 1), ("shrink", -1)])
def test_lists_move_between_pages(sandbox: Sandbox, ada: Caller, kind: str, change: int) -> None:
    """After a page was served the list has one item more, or less, at its front."""
    before = [run["cuid"] for run in ada.get(RUNS, page=1, size=10)["list"]]
    sandbox.faults = parse_faults([f"moving={kind}"])
    first = ada.get(RUNS, page=1, size=10)
    assert [run["cuid"] for run in first["list"]] == before
    second = ada.get(RUNS, page=1, size=10)
    assert second["total"] == first["total"] + change
    seen = [run["cuid"] for run in second["list"]]
    assert (seen[1:] == before) if change > 0 else (seen == before[1:])


def test_list_that_moved_can_come_to_rest(sandbox: Sandbox, ada: Caller) -> None:
    """With a count the list moves so often and then stays as it is, not as it was."""
    sandbox.faults = parse_faults(["moving=shrink", "times=2"])
    totals = [ada.get(RUNS, page=1, size=10)["total"] for _ in range(5)]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] == totals[-2] < 3


def test_nulls(sandbox: Sandbox, ada: Caller) -> None:
    """Every field that may be null is null."""
    sandbox.faults = parse_faults(["nulls=1"])
    run = ada.get(f"{RUNS}/run1")
    nullable = {"slug", "description", "labels", "cluster", "job", "user", "finishedAt", "profile"}
    assert {name for name, value in run.items() if value is None} >= nullable
    assert ada.login()["userInfo"]["name"] is None
    media: dict[str, Any] = {"projectId": "pro1", "columns": [column("pic")], "step": 3}
    assert ada.post("/house/metrics/media", media)["metrics"] is None
    assert not any(ada.post("/house/metrics/f_media", media))


@pytest.mark.parametrize(
    ("path", "body", "listing"),
    [
        (
            "/project",
            {"name": "fresh", "visibility": "PRIVATE", "username": "team"},
            "/project/team?page=1&size=20&search=fresh",
        ),
        (
            "/self_hosted/users",
            {"users": [{"username": "dora", "password": "pw"}]},
            "/self_hosted/users?page=1&size=20",
        ),
    ],
)
def test_create_that_fails_after_creating(
    sandbox: Sandbox, ada: Caller, path: str, body: Any, listing: str
) -> None:
    """The response is 500, and what was asked for is there."""
    before = ada.get(listing)["total"]
    sandbox.faults = parse_faults(["create=500"])
    assert ada.call("POST", path, body).status_code == 500
    assert ada.get(listing)["total"] == before + 1


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("reordered", lambda rows: rows[0].startswith("step,r-seen_step")),
        ("missing", lambda rows: rows[0] == "step,r-loss_step,r-loss_timestamp"),
        ("short", lambda rows: len({row.count(",") for row in rows}) == 2),
        ("text", lambda rows: any(not row.split(",")[0].isdigit() for row in rows[1:])),
        ("empty", lambda rows: rows == []),
        ("half", lambda rows: 0 < len(rows) <= 4 and rows[0].startswith("step,")),
    ],
)
def test_odd_files(sandbox: Sandbox, ada: Caller, kind: str, check: Any) -> None:
    """The exported file is distorted in each of the known ways."""
    sandbox.faults = parse_faults([f"csv={kind}"])
    assert check(ada.export("loss", "seen", experimentName="r").text.splitlines())


@pytest.mark.parametrize("word", ["", "429", "429=0", "429=x", "latency=5", "cut=maybe", "nope=1"])
def test_unknown_fault_is_named(word: str) -> None:
    """What is not a fault is refused, with the list of those there are."""
    with pytest.raises(ValueError, match="latency=50ms"):
        parse_faults([word])


def test_bad_pattern_is_refused() -> None:
    """A path pattern that is no regular expression is refused when it is read."""
    with pytest.raises(ValueError, match="where"):
        parse_faults(["where=("])


def test_help_names_every_fault() -> None:
    """The help text has a line for each fault."""
    text = fault_help()
    for name in ("latency", "429", "reset", "html", "hang", "cut", "moving", "nulls", "csv"):
        assert f"{name}=" in text


def test_faults_from_the_start(tiny: Path) -> None:
    """Faults may be given when the sandbox is made."""
    with Sandbox(tiny, faults=parse_faults(["500=1", "where=/user/"])) as sandbox:
        caller = Caller(sandbox)
        assert caller.call("GET", "/user/profile").status_code == 500
        caller.close()


def test_wrong_total(sandbox: Sandbox, ada: Caller) -> None:
    """A list anresourceces more items than there are."""
    sandbox.faults = parse_faults(["total=2"])
    page = ada.get(RUNS, page=1, size=10)
    assert (page["total"], len(page["list"])) == (5, 3)


def test_where_a_download_is_cut(sandbox: Sandbox, ada: Caller) -> None:
    """The place of the cut can be chosen."""
    whole = ada.export("loss", experimentName="r")
    sandbox.faults = parse_faults(["cut=length", "cut-at=0.9"])
    _, body = _raw_get(whole.url)
    assert len(body) == int(len(whole.content) * 0.9)
