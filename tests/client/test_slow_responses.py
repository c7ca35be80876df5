"""Slow servers, and slow readers."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import urllib3
from raw_server import Asked, RawServer, reply, reply_login

from swanlab_export.client import Request
from swanlab_export.client.deadline import Rate, Watchdog, attach_deadlines
from swanlab_export.errors import IncompleteError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

GET = Request("GET", "/thing")
HEAD = b"HTTP/1.1 200 OK\r\n"
FAR = b"content-length: 100000\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


def send_slowly(first: bytes, again: bytes = b"x") -> Callable[[Asked], bytes | None]:
    """Send something at once, and then the same few bytes again and again."""

    def respond(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        asked.socket.sendall(first)
        while True:
            asked.socket.sendall(again)
            time.sleep(0.02)

    return respond


SLOW = {
    "status": send_slowly(b"", b"H"),
    "header": send_slowly(HEAD + b"x-long: "),
    "headers": send_slowly(HEAD, b"x: y\r\n"),
    "body": send_slowly(HEAD + FAR),
    "no length": send_slowly(HEAD + b"\r\n"),
    "100 Continue": send_slowly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk size": send_slowly(HEAD + CHUNKED, b"0"),
    "chunks": send_slowly(HEAD + CHUNKED, b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("respond", SLOW.values(), ids=SLOW.keys())
def test_a_slow_response_is_given_up(respond: Callable[[Asked], bytes | None]) -> None:
    """A byte now and then keeps no response of the API open beyond ten timeouts."""
    with RawServer(respond) as server, server.client(retries=0, timeout_s=30) as client:
        client.login()
        client.timeout_s = 0.1
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=r"did not respond in time|connection broke"):
            client.send(GET)
        assert time.monotonic() - began < 9
        assert len(server.of("/api/thing")) == 1


@pytest.mark.parametrize("respond", SLOW.values(), ids=SLOW.keys())
def test_a_slow_download_is_given_up(respond: Callable[[Asked], bytes | None]) -> None:
    """A few bytes are not progress: the attempts of a slow download end, too."""
    with (
        RawServer(respond) as server,
        server.client(retries=1, timeout_s=0.1, sleep=lambda _: None) as client,
    ):
        with pytest.raises((UnavailableError, IncompleteError)):
            list(client.download(lambda: f"{server.url}/file", "the file", needs_length=False))
        server.wait_for(2)
        assert len(server.asked) == 2


def test_a_slow_download_that_goes_on_is_given_up() -> None:
    """A few new bytes in each attempt are not progress either."""

    def respond(asked: Asked) -> bytes | None:
        start = asked.start
        headers = {"content-length": str(9000 - start), "etag": '"1"'}
        if start:
            headers["content-range"] = f"bytes {start}-8999/9000"
        asked.socket.sendall(reply(206 if start else 200, b"", headers))
        while True:
            asked.socket.sendall(b"x")
            time.sleep(0.02)

    with (
        RawServer(respond) as server,
        server.client(retries=2, timeout_s=0.5, sleep=lambda _: None) as client,
    ):
        with pytest.raises(IncompleteError, match=r"of 9,000 bytes arrived: .* in time"):
            list(client.download(lambda: f"{server.url}/file", "the file"))
        starts = [asked.start for asked in server.asked]
    assert len(starts) == 3
    assert 0 == starts[0] < starts[1] < starts[2]


def open_sockets() -> set[socket.socket]:
    """The sockets of this process that are open."""
    found = [each for each in gc.get_objects() if isinstance(each, socket.socket)]
    return {each for each in found if each.fileno() >= 0}


def test_a_limit_that_passes_as_the_headers_come(caplog: pytest.LogCaptureFixture) -> None:
    """A response that comes too late is given up with its connection, which nothing reads."""
    caplog.set_level("DEBUG", "swanlab_export.client")

    class Slow(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            time.sleep(0.5)  # within the limit of the request
            return True

    with caplog.filtering(Slow()), RawServer(lambda _: reply(200, bytes(1000))) as server:
        before = open_sockets()
        with server.client(retries=0, timeout_s=0.1) as client:
            with pytest.raises(UnavailableError, match="in time") as caught:
                list(client.download(lambda: f"{server.url}/file", "the file"))
            until = time.monotonic() + 30
            while open_sockets() - before and time.monotonic() < until:
                time.sleep(0.01)  # the server ends its side
            assert not open_sockets() - before
    assert caught.traceback  # the error is kept, and with it what it refers to


def test_a_download_may_begin_late() -> None:
    """The time that a server needs to find a file does not count as slow sending."""

    def respond(asked: Asked) -> bytes | None:
        time.sleep(1.7)
        asked.socket.sendall(reply(200, b"", {"content-length": "2000"}))
        time.sleep(1.5)
        asked.socket.sendall(bytes(10))
        return bytes(1990)

    with RawServer(respond) as server, server.client(retries=0, timeout_s=3) as client:
        chunks = list(client.download(lambda: f"{server.url}/file", "the file"))
    assert sum(map(len, chunks)) == 2000


def test_what_counts_as_slow() -> None:
    """Too few bytes within a window of waiting, which begins with the first bytes."""
    rate = Rate(0.5)
    rate.add(0.4, 10)
    rate.add(0.4, 10)
    rate.add(0.2, 500)  # 520 bytes in the first window
    rate.add(0.4, 500)
    with pytest.raises(TimeoutError, match="too few bytes"):
        rate.add(0.2, 10)


def test_a_slow_response_that_comes() -> None:
    """A response that takes longer than a timeout, but never so long for the next byte, is read."""

    def respond(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        asked.socket.sendall(HEAD + b"content-length: 5\r\n\r\n")
        for _ in range(4):
            time.sleep(0.6)
            asked.socket.sendall(b" ")
        asked.socket.sendall(b"7")
        return None

    with RawServer(respond) as server, server.client(retries=0, timeout_s=2) as client:
        assert client.send(GET) == 7


def test_a_slow_download_that_comes() -> None:
    """A download may take much longer than a timeout, as long as it comes steadily."""

    def respond(asked: Asked) -> bytes | None:
        asked.socket.sendall(reply(200, b"", {"content-length": "20000"}))
        for _ in range(20):
            time.sleep(0.12)
            asked.socket.sendall(bytes(1000))
        return None

    with RawServer(respond) as server, server.client(retries=0, timeout_s=2) as client:
        chunks = list(client.download(lambda: f"{server.url}/file", "the file"))
    assert sum(map(len, chunks)) == 20_000


def test_a_reader_may_be_slow() -> None:
    """Only waiting for the server counts, not what a caller does with what has come."""
    has_begun, reads_on = threading.Event(), threading.Event()
    sent = 0

    def respond(asked: Asked) -> bytes | None:
        nonlocal sent
        asked.socket.sendall(HEAD + b"\r\n")
        while not has_begun.wait(0.06):
            asked.socket.sendall(bytes(10))
            sent += 10
        assert reads_on.wait(30)
        asked.socket.sendall(bytes(10))
        sent += 10
        return None

    with RawServer(respond) as server, server.client(retries=0, timeout_s=2.5) as client:
        url = f"{server.url}/file"
        chunks = iter(client.download(lambda: url, "the file", needs_length=False))
        came = len(next(chunks))
        has_begun.set()
        time.sleep(2.6)
        reads_on.set()
        came += sum(map(len, chunks))
    assert came == sent > 0


def test_a_slow_proxy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow proxy is given up like a slow server."""
    with RawServer(SLOW["body"]) as server, server.client(retries=0, timeout_s=0.4) as client:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, server.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for _ in range(2):
            with pytest.raises(IncompleteError, match="in time"):
                list(client.download(lambda: "http://storage.example/file", "the file"))
        assert [asked.target for asked in server.asked] == ["http://storage.example/file"] * 2


def test_a_request_that_begins_after_its_deadline() -> None:
    """It ends at once, without a wait for its response; one without a deadline is as any other."""
    with RawServer(lambda _: reply(200, b"whole")) as server:
        pool = urllib3.HTTPConnectionPool("127.0.0.1", server.port, retries=False)
        attach_deadlines(pool)
        assert pool.request("GET", "/").data == b"whole"
        with Watchdog().limit(0.01) as deadline:
            while not deadline.has_passed:
                time.sleep(0.005)
            with pytest.raises(urllib3.exceptions.ReadTimeoutError, match="timed out"):
                pool.request("GET", "/")


def test_deadlines_keep_no_process_alive() -> None:
    """The thread that waits for deadlines ends with the program, however long they are."""
    before = set(threading.enumerate())
    with Watchdog().limit(60):
        watching = [t for t in set(threading.enumerate()) - before if "_watch" in t.name]
        assert [thread.daemon for thread in watching] == [True]
