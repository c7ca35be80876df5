"""Downloads: whole, resumed where they broke, or an error that says how much came."""

from __future__ import annotations

import gzip
import random
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from swanlab_export.client import Client
from swanlab_export.errors import (
    IncompleteError,
    NotFoundError,
    ServerError,
    UnavailableError,
)
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.core

BODY = random.Random(1).randbytes(300_000)
ETAG = 'etag: "v1"\r\n'
LENGTH = f"content-length: {len(BODY)}\r\n{ETAG}"


class Storage:
    """A raw server that sends a planned response to one connection after another."""

    def __init__(self) -> None:
        self.plan: list[bytes] = []
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/file?X-Signature=abc"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536).decode())
                if self.plan:
                    connection.sendall(self.plan.pop(0))

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):  # only Linux ends a wait for connections in this way
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def storage() -> Iterator[Storage]:
    """A storage for one test."""
    server = Storage()
    yield server
    server.close()


def response(status: str, headers: str, body: bytes = b"") -> bytes:
    """The bytes of a response."""
    return f"HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n".encode() + body


def part(start: int, end: int | None = None) -> bytes:
    """The rest of the file from ``start`` on, cut at ``end``."""
    headers = (
        f"content-length: {len(BODY) - start}\r\n"
        f"content-range: bytes {start}-{len(BODY) - 1}/{len(BODY)}\r\n"
        f"{ETAG}"
    )
    return response("206 Partial Content", headers, BODY[start:end])


def fetch(storage: Storage, *, retries: int = 3) -> bytes:
    """Download the file, waiting for nothing."""
    settings = Settings("http://127.0.0.1:9", "", "key")
    with Client(settings, retries=retries, timeout_s=5, sleep=lambda _: None) as client:
        return b"".join(client.download(lambda: storage.url, "the file"))


def test_a_whole_file(storage: Storage) -> None:
    """One request, with neither cookie nor key."""
    storage.plan = [response("200 OK", LENGTH, BODY)]
    assert fetch(storage) == BODY
    (asked,) = storage.asked
    assert "cookie" not in asked.lower()
    assert "authorization" not in asked.lower()
    assert "accept-encoding: identity" in asked.lower()


def test_it_is_resumed_where_it_broke(storage: Storage) -> None:
    """The rest is requested, with the ETag of what has come, and appended."""
    storage.plan = [
        response("200 OK", LENGTH, BODY[:100_000]),
        part(100_000, 200_000),
        part(200_000),
    ]
    assert fetch(storage) == BODY
    assert "range: bytes=100000-" in storage.asked[1].lower()
    assert 'if-range: "v1"' in storage.asked[1].lower()
    assert "range: bytes=200000-" in storage.asked[2].lower()


def test_it_starts_again_if_ranges_are_ignored(storage: Storage) -> None:
    """Bytes that have come already are skipped, and must be the same."""
    storage.plan = [response("200 OK", LENGTH, BODY[:100_000]), response("200 OK", LENGTH, BODY)]
    assert fetch(storage) == BODY


def test_a_file_that_changed_meanwhile_is_an_error(storage: Storage) -> None:
    """Half of one file and half of another are refused."""
    other = b"x" + BODY[1:]
    storage.plan = [response("200 OK", LENGTH, BODY[:100_000]), response("200 OK", LENGTH, other)]
    with pytest.raises(IncompleteError, match="changed while it was read"):
        fetch(storage)


def test_another_part_than_was_requested(storage: Storage) -> None:
    """A part from another position is refused."""
    storage.plan = [response("200 OK", LENGTH, BODY[:100_000]), part(100_001)]
    with pytest.raises(ServerError, match="another part"):
        fetch(storage)


def test_a_file_that_came_back_shorter(storage: Storage) -> None:
    """Fewer bytes than had come before are a broken attempt, not an end."""
    short = response(
        "200 OK", "transfer-encoding: chunked\r\n", b"a\r\n" + BODY[:10] + b"\r\n0\r\n\r\n"
    )
    storage.plan = [response("200 OK", LENGTH, BODY[:100_000]), short, short, short]
    with pytest.raises(IncompleteError, match=r"100,000 of 300,000 bytes .*shorter than before"):
        fetch(storage, retries=2)


def test_a_file_that_came_back_with_another_size(storage: Storage) -> None:
    """Another length than before is a failed attempt, as a page of an error would be."""
    other = response("200 OK", "content-length: 10\r\n", BODY[:10])
    storage.plan = [
        response("200 OK", LENGTH, BODY[:100_000]),
        other,
        response("200 OK", LENGTH, BODY),
    ]
    assert fetch(storage, retries=2) == BODY


def test_progress_allows_new_attempts(storage: Storage) -> None:
    """Ten breaks are no reason to give up while each attempt gets further."""
    cuts = range(0, 300_000, 30_000)
    storage.plan = [
        response("200 OK", LENGTH, BODY[:30_000]),
        *(part(cut, cut + 30_000) for cut in cuts[1:]),
    ]
    assert fetch(storage, retries=1) == BODY
    assert len(storage.asked) == 10


def test_giving_up_says_how_much_came(storage: Storage) -> None:
    """Bytes that came and bytes announced stand in the message; the signature does not."""
    storage.plan = [response("200 OK", LENGTH, BODY[:1000])]
    with pytest.raises(IncompleteError, match=r"1,000 of 300,000 bytes arrived") as caught:
        fetch(storage, retries=1)
    assert "abc" not in str(caught.value)
    with pytest.raises(UnavailableError) as nothing:
        fetch(storage, retries=1)
    assert "abc" not in str(nothing.value)


@pytest.mark.parametrize(
    "status", ["403 Forbidden", "404 Not Found", "408 Late", "500 Oops", "503 Busy", "429 Slow"]
)
def test_transient_refusals_are_repeated(status: str, storage: Storage) -> None:
    """After an expired URL or a busy server the file is presigned again, for each attempt."""
    urls: list[str] = []
    storage.plan = [response(status, "content-length: 0\r\n"), response("200 OK", LENGTH, BODY)]
    settings = Settings("http://127.0.0.1:9", "", "key")

    def sign() -> str:
        urls.append(storage.url)
        return storage.url

    with Client(settings, retries=1, sleep=lambda _: None) as client:
        assert b"".join(client.download(sign, "the file")) == BODY
    assert len(urls) == 2


@pytest.mark.parametrize("retries", [0, 3])
def test_a_file_that_is_not_there(retries: int, storage: Storage) -> None:
    """An object that is missing twice is missing."""
    storage.plan = [response("404 Not Found", "content-length: 0\r\n")] * 3
    with pytest.raises(NotFoundError, match="status 404"):
        fetch(storage, retries=retries)
    assert len(storage.asked) == (2 if retries else 1)


def test_other_refusals_are_not_repeated(storage: Storage) -> None:
    """A file that is gone is not requested again."""
    storage.plan = [response("410 Gone", "content-length: 0\r\n")]
    with pytest.raises(ServerError, match="status 410"):
        fetch(storage)
    assert len(storage.asked) == 1


def test_compressed_files_are_decompressed(storage: Storage) -> None:
    """A file that is sent compressed is decompressed, also after a break."""
    packed = gzip.compress(BODY)
    headers = f"content-length: {len(packed)}\r\ncontent-encoding: gzip\r\n"
    storage.plan = [response("200 OK", headers, packed[:1000]), response("200 OK", headers, packed)]
    assert fetch(storage) == BODY


@pytest.mark.parametrize("damage", ["short", "wrong"])
def test_damaged_compressed_files(damage: str, storage: Storage) -> None:
    """Compressed data that end early, or are damaged, are not a file."""
    packed = gzip.compress(BODY)[:5000] if damage == "short" else b"\x1f\x8b\x08" + BODY[:5000]
    headers = f"content-length: {len(packed)}\r\ncontent-encoding: gzip\r\n"
    storage.plan = [response("200 OK", headers, packed)]
    with pytest.raises(IncompleteError, match="compressed data"):
        fetch(storage)


def test_stopping_early_closes_the_connection(storage: Storage) -> None:
    """Who has read enough does not wait for the rest."""
    storage.plan = [response("200 OK", LENGTH, BODY)]
    settings = Settings("http://127.0.0.1:9", "", "key")
    with Client(settings, jobs=1) as client:
        for _ in range(2):
            storage.plan = [response("200 OK", LENGTH, BODY)]
            chunks = iter(client.download(lambda: storage.url, "the file"))
            assert next(chunks)
            chunks.close()  # type: ignore[attr-defined]


def test_whether_a_cut_would_be_seen(storage: Storage) -> None:
    """A length or chunks say where a file ends; without either the reader checks the end."""
    settings = Settings("http://127.0.0.1:9", "", "key")
    chunked = b"4\r\nabcd\r\n0\r\n\r\n"
    with Client(settings) as client:
        for headers, body, has_length in (
            ("content-length: 4\r\n", b"abcd", True),
            ("transfer-encoding: chunked\r\n", chunked, True),
            ("", b"abcd", False),
        ):
            storage.plan = [response("200 OK", headers, body)]
            download = client.download(lambda: storage.url, "the file", needs_length=False)
            assert b"".join(download) == b"abcd"
            assert download.has_length is has_length


def test_a_file_that_may_be_cut_is_refused(storage: Storage) -> None:
    """With neither a length nor chunks nothing tells a whole file from a cut one."""
    settings = Settings("http://127.0.0.1:9", "", "key")
    with Client(settings) as client:
        storage.plan = [response("200 OK", "", b"abcd")]
        with pytest.raises(IncompleteError, match="neither a length nor chunks"):
            list(client.download(lambda: storage.url, "the file"))
