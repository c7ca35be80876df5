"""Connections: never the response to another request, in this process or a forked one."""

from __future__ import annotations

import gc
import gzip
import json
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import FunctionType, ModuleType
from typing import Any

import pytest
from raw_server import Asked, RawServer, reply, reply_json, reply_login
from systems import needs_fork, run_forked

from swanlab_export.client import Client, Request
from swanlab_export.errors import (
    ClosedError,
    IncompleteError,
    ServerError,
    UnavailableError,
    UncertainError,
)
from swanlab_export.settings import Settings

GET = Request("GET", "/thing")
BODY = bytes(range(256)) * 4000
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


def numbered(number: int) -> Request:
    """A request whose response names it."""
    return Request("GET", f"/number/{number}")


def respond(asked: Asked) -> bytes | None:
    """Respond with a login, or with the path that was requested."""
    return reply_login(asked) or reply_json(asked.path)


def check_numbers(client: Client, count: int) -> bool:
    """Send some requests; true if each gets its own response."""
    numbers = range(count)
    payloads = client.map(client.send, [numbered(number) for number in numbers])
    return list(payloads) == [f"/api/number/{number}" for number in numbers]


def is_ended(asked: Asked) -> bool:
    """Wait until the client has ended the connection of a request; false if it does not."""
    until = time.monotonic() + 60
    while asked.socket.fileno() >= 0 and time.monotonic() < until:
        time.sleep(0.01)
    return asked.socket.fileno() < 0


inherited: list[Client] = []


def check_inherited(count: int) -> bool:
    """Do the same with the client that this process has inherited."""
    return check_numbers(inherited[0], count)


@needs_fork
def test_forked_processes_have_their_own_connections() -> None:
    """Four forked processes and their parent send many requests, and each gets its own response."""
    with RawServer(respond) as server, server.client(jobs=2, retries=0) as client:
        assert check_numbers(client, 20)
        inherited[:] = [client]
        with multiprocessing.get_context("fork").Pool(4) as pool:
            others = pool.map_async(check_inherited, [60] * 8)
            assert check_numbers(client, 100)
            assert others.get(60) == [True] * 8


@needs_fork
def test_a_fork_while_permits_and_locks_are_held() -> None:
    """A process that is forked while other threads log in and hold all permits is not blocked."""
    held = {"path": ""}
    is_held, let_go = threading.Event(), threading.Event()

    def hold(asked: Asked) -> bytes | None:
        if asked.path.endswith(held["path"]) and not is_held.is_set():
            is_held.set()
            assert let_go.wait(90)
        return respond(asked)

    with RawServer(hold) as server, server.client(jobs=1) as client:
        for held["path"] in ("/api_key", "/thing"):
            is_held.clear()
            let_go.clear()
            thread = threading.Thread(target=client.send, args=(GET,))
            thread.start()
            assert is_held.wait(30)
            assert run_forked(lambda: client.send(numbered(1)) == "/api/number/1")
            let_go.set()
            thread.join()


def locks_of(client: Client) -> list[Any]:
    """Every lock of a client, wherever it is."""
    found: dict[int, Any] = {id(client): client}
    new = [client]
    while new:
        new = [
            each
            for each in gc.get_referents(*new)
            if id(each) not in found and not isinstance(each, type | ModuleType | FunctionType)
        ]
        found |= {id(each): each for each in new}
    kinds = (type(threading.Lock()), type(threading.RLock()))
    return [each for each in found.values() if isinstance(each, kinds)]


@needs_fork
def test_a_fork_while_another_thread_holds_a_lock() -> None:
    """A lock that another thread holds at that moment is not the lock of the fork."""
    request = Request("GET", "/thing", since="2.8")

    def respond_late(asked: Asked) -> bytes | None:
        is_first = asked.path == "/api/thing" and len(server.of("/api/thing")) == 1
        return reply(429, b"", {"retry-after": "0"}) if is_first else respond(asked)

    def use() -> bool:
        found = client.send(request)
        client.close()
        return bool(found == "/api/thing")

    for number in count():
        with RawServer(respond_late) as server, server.client() as client:
            locks = locks_of(client)
            if number == len(locks):
                break
            with ThreadPoolExecutor(1) as other:
                other.submit(locks[number].acquire).result()
                assert run_forked(use), locks[number]
                other.submit(locks[number].release).result()
    assert number > 5


@needs_fork
def test_a_slow_response_in_a_fork() -> None:
    """Limits in time hold in a fork, too, though the thread that watches them is not there."""

    def send_slowly(asked: Asked) -> bytes | None:
        if not asked.path.endswith("/slow"):
            return respond(asked)
        while True:
            asked.socket.sendall(b"H")
            time.sleep(0.02)

    def is_given_up() -> bool:
        try:
            client.send(Request("GET", "/slow"))
        except UnavailableError:
            return True
        return False

    with RawServer(send_slowly) as server, server.client(retries=0) as client:
        client.send(GET)
        client.timeout_s = 0.1
        assert run_forked(is_given_up)


@needs_fork
def test_a_closed_client_is_closed_in_a_fork() -> None:
    """A process that is forked after the client was closed cannot use it either."""

    def is_refused() -> bool:
        try:
            client.send(GET)
        except ClosedError:
            return True
        return False

    with RawServer(respond) as server:
        client = server.client()
        client.close()
        assert run_forked(is_refused)
    assert server.asked == []


@needs_fork
def test_a_download_that_a_fork_has_inherited() -> None:
    """A download that is read on in a forked process is whole there, and in its parent, too."""

    def serve(asked: Asked) -> bytes | None:
        start = asked.start
        headers = {"etag": '"1"', "content-length": str(len(BODY) - start)}
        if start:
            headers["content-range"] = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        return reply(206 if start else 200, BODY[start:], headers)

    with RawServer(serve) as server, server.client(retries=1, sleep=lambda _: None) as client:
        chunks = iter(client.download(lambda: f"{server.url}/file", "the file"))
        first = next(chunks)
        assert len(first) < len(BODY)
        assert run_forked(lambda: first + b"".join(chunks) == BODY)
        assert len(server.asked) == 2
        assert first + b"".join(chunks) == BODY
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [101, 102, 103, 199])
def test_a_status_below_200_is_not_the_response(status: int) -> None:
    """A provisional status ends the connection, and the request is repeated on another one."""
    hints = HINTS.replace(b"103", str(status).encode())

    def hint(asked: Asked) -> bytes | None:
        if asked.path.endswith("/1") and len(server.of(asked.path)) == 1:
            asked.socket.sendall(hints)
            time.sleep(0.05)
        return respond(asked)

    with RawServer(hint) as server, server.client(retries=1, sleep=lambda _: None) as client:
        assert [client.send(numbered(number)) for number in range(4)] == [
            f"/api/number/{number}" for number in range(4)
        ]


def test_100_continue_is_read_over() -> None:
    """The response after 100 Continue is the response."""

    def hint(asked: Asked) -> bytes | None:
        asked.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 3)
        return respond(asked)

    with RawServer(hint) as server, server.client(retries=0) as client:
        assert client.send(GET) == "/api/thing"


def test_endless_provisional_responses() -> None:
    """A server that never gets beyond 103 is given up, for reads, files and creates."""

    def hint(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        asked.socket.sendall(HINTS)
        return HINTS * 100

    create = Request("POST", "/project", body={}, repeatable=False)
    with RawServer(hint) as server, server.client(retries=2, sleep=lambda _: None) as client:
        with pytest.raises(UnavailableError, match="a status below 200") as caught:
            client.send(GET)
        assert len(server.of("/api/thing")) == 3
        assert all(is_ended(asked) for asked in server.of("/api/thing"))
        assert caught.traceback  # the error is kept, and with it what it refers to
        with pytest.raises(UnavailableError, match="a status below 200"):
            list(client.download(lambda: f"{server.url}/file", "the file"))
        with pytest.raises(UncertainError, match="a status below 200"):
            client.send(create)
        assert len(server.of("/api/project")) == 1


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
def test_a_second_response_to_one_request(size: int, is_late: bool) -> None:
    """What a server sends after a response is not taken for the response to the next request."""
    received, sent_again = threading.Event(), threading.Event()

    def twice(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        payload = reply_json([asked.path, "x" * size])
        asked.socket.sendall(payload if is_late else payload + payload[:1000])
        if is_late:
            assert received.wait(30)
            asked.socket.sendall(payload[:1000])
        sent_again.set()
        return payload[1000:]

    with RawServer(twice) as server, server.client(retries=0) as client:
        for number in range(2):
            assert client.send(numbered(number)) == [f"/api/number/{number}", "x" * size]
            received.set()
            assert sent_again.wait(30)
            time.sleep(0.3)  # in which the system delivers it


def test_no_content() -> None:
    """204 is a response without a payload, and its connection is used again."""

    def empty(asked: Asked) -> bytes | None:
        return reply_login(asked) or b"HTTP/1.1 204 No Content\r\n\r\n"

    with RawServer(empty) as server, server.client(retries=0) as client:
        assert [client.send(GET) for _ in range(3)] == [None] * 3
    assert server.accepted == 1


def test_presigned_urls_that_are_paths() -> None:
    """A path is one of the API host, without /api, key and cookie; a redirect may be one, too."""

    def serve(asked: Asked) -> bytes | None:
        if asked.path == "/bucket/x":
            return reply(302, b"", {"location": "/bucket/y?X-Amz-Signature=2"})
        return reply_login(asked) or reply(200, b"abc")

    with RawServer(serve) as server, server.client() as client:
        client.login()
        url = "/bucket/x?X-Amz-Signature=1"
        assert b"".join(client.download(lambda: url, "the file")) == b"abc"
        files = server.asked[1:]
    assert [asked.target for asked in files] == [url, "/bucket/y?X-Amz-Signature=2"]
    assert not any({"authorization", "cookie"} & asked.headers.keys() for asked in files)


def test_a_redirect_to_a_path_stays_on_its_server() -> None:
    """A path in a redirect is one of the server that sent it, not of the API."""

    def serve(asked: Asked) -> bytes | None:
        if asked.path == "/first":
            return reply(302, b"", {"location": "/second"})
        return reply(200, b"abc")

    with RawServer(serve) as storage, Client(Settings("http://127.0.0.1:9", "", "k")) as client:
        assert b"".join(client.download(lambda: f"{storage.url}/first", "the file")) == b"abc"
    assert [asked.path for asked in storage.asked] == ["/first", "/second"]


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "compressed"])
def test_a_response_that_is_too_large(*, is_compressed: bool) -> None:
    """A response beyond the limit, decompressed, is an error that names the limit, at once."""
    body = json.dumps("x" * 3_000_000).encode()

    def serve(asked: Asked) -> bytes | None:
        if is_compressed:
            sent, headers = gzip.compress(body), {"content-encoding": "gzip"}
        else:
            sent, headers = body, {}
        return reply_login(asked) or reply(200, sent, headers)

    with RawServer(serve) as server:
        with server.client() as client:
            assert len(client.send(GET)) == 3_000_000
        with server.client(max_response_bytes=2 * 1024**2) as client:
            with pytest.raises(ServerError, match=r"larger than 2 MB, the limit that max_response"):
                client.send(GET)
            create = Request("POST", "/project", body={}, repeatable=False)
            with pytest.raises(UncertainError, match="larger than 2 MB"):
                client.send(create)
        assert len(server.of("/api/thing")) == 2


def test_a_response_without_end() -> None:
    """A body that never ends is read up to the limit."""

    def serve(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        asked.socket.sendall(b"HTTP/1.1 200 OK\r\n\r\n[")
        while True:
            asked.socket.sendall(b"1," * 50_000)

    with (
        RawServer(serve) as server,
        server.client(max_response_bytes=2 * 1024**2) as client,
        pytest.raises(ServerError, match="larger than 2 MB"),
    ):
        client.send(GET)


def test_a_closed_client_keeps_no_connection() -> None:
    """Idle connections are closed with the client, not some time later."""
    with RawServer(respond) as server:
        client = server.client()
        assert client.send(GET) == "/api/thing"
        connection = server.asked[-1].socket
        client.close()
        until = time.monotonic() + 30
        while connection.fileno() >= 0 and time.monotonic() < until:
            time.sleep(0.01)
        assert connection.fileno() < 0
        assert repr(client)  # it is still there


def test_a_given_up_download_keeps_no_connection() -> None:
    """The rest of a file that turns out to be another one is not waited for, nor kept open."""

    def serve(asked: Asked) -> bytes | None:
        head = reply(200, b"", {"content-length": "1000000"})
        if len(server.asked) == 1:
            asked.socket.sendall(head + b"a" * 50)
            return None
        return head + b"b" * 300_000

    with (
        RawServer(serve) as server,
        Client(Settings("http://127.0.0.1:9", "", "k"), sleep=lambda _: None) as client,
    ):
        with pytest.raises(IncompleteError, match="changed while it was read") as caught:
            b"".join(client.download(lambda: f"{server.url}/file", "the file"))
        connection = server.asked[-1].socket
        until = time.monotonic() + 30
        while connection.fileno() >= 0 and time.monotonic() < until:
            time.sleep(0.01)
        assert connection.fileno() < 0
    assert caught.traceback  # the error is kept, and with it what it refers to
