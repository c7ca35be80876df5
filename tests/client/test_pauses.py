"""Servers that ask for a wait: how long it is, who keeps it, and how often they are asked."""

from __future__ import annotations

import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from raw_server import Asked, RawServer, reply, reply_json, reply_login

from swanlab_export.client import Request
from swanlab_export.client.retry import Attempts, retry_after_s
from swanlab_export.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

GET = Request("GET", "/thing")
PAST = formatdate(1_000_000_000, usegmt=True)
USELESS = ["0", "-5", "nan", "-inf", PAST]


@pytest.mark.parametrize("header", USELESS)
@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_server_is_not_asked_at_once_again(status: int, header: str) -> None:
    """Whatever wait it asks for, a server that fails gets at least the usual waits."""
    waits: list[float] = []

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(status, b"{}", {"retry-after": header})

    with (
        RawServer(respond) as server,
        server.client(retries=3, sleep=waits.append) as client,
        pytest.raises(UnavailableError),
    ):
        client.send(GET)
    assert [least <= wait for least, wait in zip((0.25, 0.5, 1.0), waits, strict=True)] == [
        True
    ] * 3


@pytest.mark.parametrize("header", USELESS)
def test_a_failing_storage_is_not_asked_at_once_again(header: str) -> None:
    """The same goes for downloads."""
    waits: list[float] = []
    with (
        RawServer(lambda _: reply(503, b"", {"retry-after": header})) as server,
        server.client(retries=2, sleep=waits.append) as client,
        pytest.raises(UnavailableError, match="status 503"),
    ):
        list(client.download(lambda: f"{server.url}/file", "the file"))
    assert [least <= wait for least, wait in zip((0.25, 0.5), waits, strict=True)] == [True] * 2


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7200", "7200 s"), ("inf", "more than a day"), ("1e308", "more than a day")],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_storage_that_asks_for_hours_is_named(status: int, header: str, wait: str) -> None:
    """It is the storage that asks, not the API, and without the signature."""
    with (
        RawServer(lambda _: reply(status, b"", {"retry-after": header})) as server,
        RawServer(reply_login) as api,
        api.client() as client,
        pytest.raises(UnavailableError, match=f"{server.url} asks to wait {wait} before"),
    ):
        list(client.download(lambda: f"{server.url}/file?X-Signature=abc", "the file"))


@pytest.mark.parametrize("header", ["7200", "1e308"])
def test_a_wait_that_is_refused_holds_up_nothing_else(header: str) -> None:
    """A 429 that asks for hours ends its request alone: others are sent without a pause."""

    def respond(asked: Asked) -> bytes | None:
        if asked.path == "/api/refused":
            return reply(429, b"{}", {"retry-after": header})
        return reply_login(asked) or reply_json(1)

    with RawServer(respond) as server, server.client(sleep=pytest.fail) as client:
        with pytest.raises(UnavailableError, match="asks to wait"):
            client.send(Request("GET", "/refused"))
        assert client.paused_s == 0
        assert client.send(GET) == 1


@pytest.mark.parametrize("header", ["soon", "nan", "", "Mon, 32 Foo 99999 25:61:61", "\xb2"])
def test_retry_after_that_says_nothing(header: str) -> None:
    """What is neither seconds nor a date is no time to wait."""
    assert retry_after_s(header, 0.0) is None


def test_the_first_short_wait_is_kept() -> None:
    """The first 429 of a request is followed exactly; after the second the wait is longer."""
    attempts = Attempts(5)
    attempts.count(429)
    assert attempts.wait_s(429, 0.01) == 0.01
    attempts.count(429)
    assert attempts.wait_s(429, 0.01) >= 0.25


@pytest.fixture
def pause_begun(caplog: pytest.LogCaptureFixture) -> Iterator[threading.Event]:
    """Set when the client logs that a pause has begun: until then, requests may be sent."""
    begun = threading.Event()

    class Note(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.getMessage().startswith("retrying"):
                begun.set()
            return True

    with caplog.filtering(Note()):
        yield begun


def test_all_workers_keep_a_pause_together(pause_begun: threading.Event) -> None:
    """After one 429 no worker starts a request before it is over, refused or not."""
    workers, pause_s = 4, 0.3
    all_there = threading.Barrier(workers, timeout=60)
    paused_at: list[float] = []

    def respond(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        if asked.number > workers + 1:
            return reply_json(1)
        number = all_there.wait()
        if number == 0:
            paused_at.append(time.monotonic())
            return reply(429, b"{}", {"retry-after": str(pause_s)})
        assert pause_begun.wait(60)
        return reply_json(1)

    with RawServer(respond) as server, server.client(jobs=workers) as client:
        assert list(client.map(client.send, [GET] * 12)) == [1] * 12
        later = server.of("/api/thing")[workers:]
    assert len(later) == 12 - workers + 1
    assert min(asked.at for asked in later) >= paused_at[0] + pause_s


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Switch between threads so often that every order of two steps occurs.

    New threads are not traced meanwhile, for coverage or a debugger: Python refuses to install
    two trace functions at the same moment, and with such switches that moment comes.
    """
    interval, trace = sys.getswitchinterval(), threading.gettrace()
    threading.settrace(None)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    threading.settrace(trace)


@pytest.mark.usefixtures("hasty_threads")
@pytest.mark.parametrize("path", ["/api/thing", "/file"])
@pytest.mark.parametrize("_round", range(6))  # the order of the threads differs
def test_waiting_for_a_permit_keeps_the_pause_too(
    path: str, _round: int, pause_begun: threading.Event
) -> None:
    """The permit of a request that gets a 429 is not used before the pause is over."""
    jobs, threads, pause_s = 2, 8, 0.2
    paused_at: list[float] = []

    def respond(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        if asked.number == 2:
            # Until the other permit is taken, too; then the other threads begin to wait.
            while len(server.of(path)) < jobs:
                time.sleep(0.001)
            time.sleep(0.05)
            paused_at.append(time.monotonic())
            return reply(429, b"{}", {"retry-after": str(pause_s)})
        assert pause_begun.wait(60)
        return reply_json(1)

    def work(_: int) -> object:
        if path == "/file":
            return b"".join(client.download(lambda: f"{server.url}/file", "the file"))
        return client.send(GET)

    with (
        RawServer(respond) as server,
        server.client(jobs=jobs) as client,
        ThreadPoolExecutor(threads) as pool,
    ):
        client.login()
        assert len(list(pool.map(work, range(threads)))) == threads
        later = [asked.at for asked in server.of(path) if asked.at > paused_at[0]]
    assert min(later) >= paused_at[0] + pause_s


def test_a_server_with_a_limit_rarely_refuses() -> None:
    """A server that accepts some requests in a window refuses each worker at most once in it."""
    per_window, window_s, workers, wanted = 6, 0.3, 8, 24
    lock = threading.Lock()
    windows: dict[int, int] = {}
    refused = 0

    def respond(asked: Asked) -> bytes | None:
        nonlocal refused
        if (login := reply_login(asked)) is not None:
            return login
        with lock:
            window, into = divmod(time.monotonic(), window_s)
            windows[int(window)] = windows.get(int(window), 0) + 1
            if windows[int(window)] <= per_window:
                return reply_json(1)
            refused += 1
        return reply(429, b"{}", {"retry-after": f"{window_s - into + 0.01:.3f}"})

    with RawServer(respond) as server, server.client(jobs=workers) as client:
        assert list(client.map(client.send, [GET] * wanted)) == [1] * wanted
    assert refused <= workers * len(windows)
    assert sum(windows.values()) == wanted + refused


def test_a_wait_for_what_is_not_complete_yet_is_said() -> None:
    """A wait of more than two seconds before something is asked again is visible, a short one is not."""
    said: list[str] = []
    slept: list[float] = []
    with (
        RawServer(reply_login) as server,
        server.client(sleep=slept.append, on_wait=said.append) as client,
    ):
        client.wait(0.5, "the export lacks step 3")
        client.wait(3, "the export lacks step 3")
    assert slept == [0.5, 3]
    assert said == ["asking again in 3 s: the export lacks step 3"]
