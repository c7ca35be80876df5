"""What an error or an early stop leaves open: nothing, even while its trace is kept."""

from __future__ import annotations

import gc
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from raw_server import Asked, RawServer, reply, reply_login

import swanlab_export as se
from swanlab_export._version import __title__
from swanlab_export.client import Call
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY = "synthetic/many40"


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The garbage collector, which closes things at any time, does not run."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def threads() -> set[threading.Thread]:
    """Those that fetch: they are named after the package."""
    return {each for each in threading.enumerate() if each.name.startswith(__title__)}


def sockets() -> set[str]:
    """The open sockets of this process, of sandboxes in it, too."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:  # that of the folder itself
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def left(count: Callable[[], set[Any]], before: set[Any]) -> set[Any]:
    """What stays, however long one waits; what is under way may end in its own time."""
    until = time.monotonic() + 30
    while (found := count() - before) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def open_places() -> tuple[set[threading.Thread], set[str]]:
    """Threads and sockets as they are before."""
    return threads(), sockets() if sys.platform == "linux" else set()


def assert_nothing_is_left(before: tuple[set[threading.Thread], set[str]]) -> None:
    """No thread and no socket is there that was not before."""
    assert left(threads, before[0]) == set()
    if sys.platform == "linux":
        assert left(sockets, before[1]) == set()


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["gone=many40-7\\b", "where=scalar/export"], {"all": True}),
        (["gone=many40-7\\b", "where=scalar$"], {"sample": 5}),
        (["cut=neither", "cut-at=.3", "where=export"], {"all": True}),
    ],
    ids=["export", "sample", "cut"],
)
def test_an_error_in_the_middle_of_many_runs(
    words: list[str], options: dict[str, Any], server: Sandbox
) -> None:
    """Its threads and connections end with the call, while somebody looks at the error."""
    before = open_places()
    server.faults = parse_faults(words)
    with se.connect(host=server.url, api_key=server.api_key, retries=0) as api:
        with pytest.raises(se.SwanlabExportError) as caught:
            api.run.metrics(project=MANY, keys="loss", **options)
        assert left(threads, before[0]) == set()
    assert_nothing_is_left(before)
    assert caught.value.__traceback__ is not None


def test_an_error_while_batches_are_read(server: Sandbox) -> None:
    """The call of batches goes on until they end, and not longer."""
    before = open_places()
    server.faults = parse_faults(["gone=many40-30\\b", "where=scalar/export"])
    with se.connect(
        host=server.url, api_key=server.api_key, retries=0, jobs=3, frame="batches"
    ) as api:
        batches = api.run.metrics(project=MANY, keys="loss", all=True)
        assert next(batches).num_rows > 0
        with pytest.raises(se.SwanlabExportError) as caught:
            list(batches)
        assert left(threads, before[0]) == set()
    assert_nothing_is_left(before)
    assert caught.value.__traceback__ is not None


def test_a_file_that_waits_to_be_read_on_is_closed_with_its_call() -> None:
    """The server sees the end of the connection, although the reader is kept."""
    has_ended = threading.Event()

    def respond(asked: Asked) -> bytes | None:
        if asked.path != "/file":
            return reply_login(asked)
        asked.socket.sendall(reply(200, bytes(1_000_000))[:500_000])
        asked.socket.settimeout(30)
        with suppress(ConnectionError):  # what was not read makes a reset of the end
            assert asked.socket.recv(1) == b""
        has_ended.set()
        return None

    with RawServer(respond) as server, server.client(jobs=1) as client:
        with Call():
            chunks = iter(client.download(lambda: f"{server.url}/file", "the file"))
            next(chunks)
        assert has_ended.wait(30)
        with pytest.raises(se.ClosedError):
            list(chunks)


def test_a_wait_ends_with_its_call() -> None:
    """No thread waits for the next attempt of a call that has ended."""
    before = threads()
    with RawServer(reply_login) as server, server.client() as client:
        with Call():
            client.submit(lambda: client.wait(100, "a long one"))
        assert left(threads, before) == set()
