"""What holds a permit for active requests, and what ends with the client."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from raw_server import Asked, RawServer, reply, reply_json, reply_login

from swanlab_export.client import Request
from swanlab_export.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GET = Request("GET", "/thing")
BODY = bytes(1_000_000)


def respond(asked: Asked) -> bytes | None:
    """A session, a file, or an empty object."""
    if asked.path == "/file":
        return reply(200, BODY)
    return reply_login(asked) or reply_json({})


@pytest.mark.timeout(120)
def test_downloads_that_are_not_read_lend_their_permits() -> None:
    """Four files read in turn, by one thread and with two permits, all come to their end."""
    with RawServer(respond) as server, server.client(jobs=2) as client:
        files = [iter(client.download(lambda: f"{server.url}/file", "f")) for _ in range(4)]
        received = [len(next(file)) for file in files]
        for i, file in enumerate(files):
            received[i] += sum(map(len, file))
    assert received == [len(BODY)] * 4


@pytest.mark.timeout(120)
def test_requests_between_the_pieces_of_a_download() -> None:
    """With a single permit, the reader of a file may send other requests in between."""
    with RawServer(respond) as server, server.client(jobs=1) as client:
        chunks = iter(client.download(lambda: f"{server.url}/file", "the file"))
        received = 0
        for _ in range(2):
            received += len(next(chunks))
            assert client.send(GET) == {}
        assert received < len(BODY)
        assert received + sum(map(len, chunks)) == len(BODY)


@pytest.mark.timeout(120)
def test_a_download_that_is_read_again_lends_nothing() -> None:
    """Once more of a file is read, its permit is in use, however long the server takes."""
    order: list[str] = []

    def slow(asked: Asked) -> bytes | None:
        if asked.path != "/file":
            order.append(asked.path)
            return respond(asked)
        whole = reply(200, BODY)
        asked.socket.sendall(whole[:-1000])
        assert is_asked.wait(60)
        time.sleep(0.9)  # longer than it takes until the permit of an unread file is lent
        order.append("the end of the file")
        return whole[-1000:]

    def read() -> int:
        for chunk in chunks:
            received.append(len(chunk))
        return sum(received)

    is_asked, received = threading.Event(), list[int]()
    with RawServer(slow) as server, server.client(jobs=1) as client:
        client.send(GET)
        chunks = iter(client.download(lambda: f"{server.url}/file", "the file"))
        with ThreadPoolExecutor(2) as pool:
            reading = pool.submit(read)
            while sum(received) < len(BODY) // 2:
                assert not reading.done()
                time.sleep(0.01)
            other = pool.submit(client.send, Request("GET", "/other"))
            is_asked.set()
            assert reading.result() == len(BODY)
            assert other.result() == {}
    assert order[2:] == ["the end of the file", "/api/other"]


def test_permits_bound_the_active_requests() -> None:
    """Eight threads with two permits never have three requests active."""
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
        return reply(200, b"abc") if asked.path == "/file" else respond(asked)

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


def test_one_job_is_one_request_at_a_time() -> None:
    """With one job, a response has been sent to its end before the next request comes."""
    now, most = 0, 0
    lock = threading.Lock()
    body = b"[" + b"1," * 20_000 + b"1]"

    def counted(asked: Asked) -> bytes | None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        data = reply_login(asked) or reply(200, body)
        # All but the last byte: with that, the client may go on.
        asked.socket.sendall(data[:-1])
        time.sleep(0.001)
        with lock:
            now -= 1
        return data[-1:]

    def work(number: int) -> int:
        if number % 2:
            return len(client.send(GET))
        return sum(map(len, client.download(lambda: f"{server.url}/file", "f"))) // 2

    with (
        RawServer(counted) as server,
        server.client(jobs=1) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        assert list(pool.map(work, range(200))) == [20_001] * 200
    assert most == 1


def test_a_download_holds_its_permit_to_its_end() -> None:
    """With one job, no request comes while a file is still being sent."""
    is_sending = threading.Event()
    overlaps: list[str] = []

    def in_pieces(asked: Asked) -> bytes | None:
        if asked.path != "/file":
            if is_sending.is_set():
                overlaps.append(asked.path)
            return respond(asked)
        is_sending.set()
        asked.socket.sendall(reply(200, b"", {"content-length": str(len(BODY))}))
        for at in range(0, len(BODY), 100_000):
            if at + 100_000 >= len(BODY):
                is_sending.clear()
            asked.socket.sendall(BODY[at : at + 100_000])
            time.sleep(0.005)
        return None

    with (
        RawServer(in_pieces) as server,
        server.client(jobs=1) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        client.login()
        file = pool.submit(lambda: b"".join(client.download(lambda: f"{server.url}/file", "f")))
        assert is_sending.wait(60)
        assert pool.submit(client.send, GET).result(60) == {}
        assert file.result(60) == BODY
    assert overlaps == []


def ends_with_the_client(
    server: RawServer, work: Callable[[], object], ready: Callable[[], bool], close: object
) -> None:
    """Start work, close the client when it is active, and see the work end."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        deadline = time.monotonic() + 60
        while not ready():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.05)
        sent = len(server.asked)
        assert callable(close)
        close()
        with pytest.raises(ClosedError, match="is closed"):
            running.result(30)  # less than the server asks to wait
    time.sleep(0.05)
    assert len(server.asked) == sent


@pytest.mark.parametrize("status", [429, 503])
def test_waits_end_with_the_client(status: int) -> None:
    """A wait before another attempt ends when the client is closed, and nothing is sent."""

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
            server.over.wait(60)
        return login

    with RawServer(hang) as server:
        client = server.client(timeout_s=0.3)
        ends_with_the_client(
            server, lambda: client.send(GET), lambda: bool(server.of("/api/thing")), client.close
        )


def test_waiting_for_a_permit_ends_with_the_client() -> None:
    """A permit of a client that was closed meanwhile is not used."""
    with RawServer(respond) as server:
        client = server.client(jobs=1)
        client.login()
        has_begun = threading.Event()

        def send() -> object:
            has_begun.set()
            return client.send(GET)

        with client.permit():
            running = ThreadPoolExecutor(1).submit(send)
            assert has_begun.wait(60)
            time.sleep(0.1)
            client.close()
        with pytest.raises(ClosedError, match="is closed"):
            running.result(60)
        assert len(server.asked) == 1


def test_a_download_ends_with_the_client() -> None:
    """Reading on after the client was closed is an error."""
    with RawServer(respond) as server:
        client = server.client()
        chunks: Iterator[bytes] = iter(client.download(lambda: f"{server.url}/file", "f"))
        assert next(chunks)
        client.close()
        with pytest.raises(ClosedError, match="is closed"):
            list(chunks)
