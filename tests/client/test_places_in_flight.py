"""What holds a place in flight, and what is over when the client is."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from raw_server import Asked, RawServer, reply, reply_json, reply_login

from swanlab_export.client import Request
from swanlab_export.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GET = Request("GET", "/thing")
BODY = bytes(3_000_000)


def answer(asked: Asked) -> bytes | None:
    """A session, a file, or an empty object."""
    if asked.path == "/file":
        return reply(200, BODY)
    return reply_login(asked) or reply_json({})


@pytest.mark.timeout(20)
def test_downloads_that_wait_for_their_reader_hold_no_place() -> None:
    """Ten files read side by side, by one thread and with two places, all come to their end."""
    with RawServer(answer) as server, server.client(jobs=2) as client:
        files = [iter(client.download(lambda: f"{server.url}/file", "f")) for _ in range(10)]
        received = [len(next(file)) for file in files]
        for i, file in enumerate(files):
            received[i] += sum(map(len, file))
    assert received == [len(BODY)] * 10


@pytest.mark.timeout(20)
def test_requests_between_the_pieces_of_a_download() -> None:
    """With a single place, whoever reads a file may ask for something else in between."""
    with RawServer(answer) as server, server.client(jobs=1) as client:
        for chunk in client.download(lambda: f"{server.url}/file", "the file"):
            assert chunk
            assert client.send(GET) == {}


def test_places_bound_what_is_asked_at_once() -> None:
    """Eight threads that download and ask with two places never have three requests under way."""
    now, most = 0, 0
    lock = threading.Lock()

    def counted(asked: Asked) -> bytes | None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return reply(200, b"abc") if asked.path == "/file" else answer(asked)

    def work(number: int) -> int:
        if number % 2:
            client.send(GET)
        return sum(map(len, client.download(lambda: f"{server.url}/file", "the file")))

    with (
        RawServer(counted) as server,
        server.client(jobs=2) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        assert list(pool.map(work, range(40))) == [3] * 40
    assert most == 2


def ends_with_the_client(
    server: RawServer, work: Callable[[], object], ready: Callable[[], bool], close: object
) -> None:
    """Start work, close the client when it is under way, and see the work end."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        deadline = time.monotonic() + 10
        while not ready():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.05)
        sent = len(server.asked)
        assert callable(close)
        close()
        with pytest.raises(UsageError, match="is closed"):
            running.result(5)
    time.sleep(0.05)
    assert len(server.asked) == sent


@pytest.mark.parametrize("status", [429, 503])
def test_waits_end_with_the_client(status: int) -> None:
    """Whoever waits before another attempt stops when the client is closed, and sends nothing."""

    def refuse(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(status, b"{}", {"retry-after": "60"})

    with RawServer(refuse) as server:
        client = server.client()
        asked = "/api/thing"
        ends_with_the_client(
            server, lambda: client.send(GET), lambda: bool(server.of(asked)), client.close
        )


def test_retries_end_with_the_client() -> None:
    """A request that hangs when the client is closed runs into its timeout, and is not repeated."""

    def hang(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is None:
            server.over.wait(10)
        return login

    with RawServer(hang) as server:
        client = server.client(timeout_s=0.3)
        ends_with_the_client(
            server, lambda: client.send(GET), lambda: bool(server.of("/api/thing")), client.close
        )


def test_waiting_for_a_place_ends_with_the_client() -> None:
    """Whoever gets a place of a client that was closed meanwhile does not use it."""
    with RawServer(answer) as server:
        client = server.client(jobs=1)
        client.login()
        with client.slot():
            running = ThreadPoolExecutor(1).submit(client.send, GET)
            while not client._slots._waiting:
                time.sleep(0.001)
            client.close()
        with pytest.raises(UsageError, match="is closed"):
            running.result(5)
        assert len(server.asked) == 1


def test_a_download_ends_with_the_client() -> None:
    """Whoever reads on after the client was closed is told so."""
    with RawServer(answer) as server:
        client = server.client()
        chunks: Iterator[bytes] = iter(client.download(lambda: f"{server.url}/file", "f"))
        assert next(chunks)
        client.close()
        with pytest.raises(UsageError, match="is closed"):
            list(chunks)
