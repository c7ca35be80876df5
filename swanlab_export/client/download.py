"""A presigned file, byte by byte: whole or an error, taken up again where it broke."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import requests
import urllib3

from swanlab_export.client.failures import bare_url, describe_failure
from swanlab_export.client.retry import PASSING_STATUSES, Attempts
from swanlab_export.errors import IncompleteError, NotFoundError, ServerError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_CHUNK_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class _Client(Protocol):
    """What a download needs of the client."""

    storage: requests.Session
    retries: int
    timeouts_s: tuple[float, float]

    def slot(self) -> AbstractContextManager[None]: ...

    def back_off(self, attempts: Attempts, answer: requests.Response | None = None) -> None: ...


class _BrokenError(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, why: str, answer: requests.Response | None = None) -> None:
        super().__init__(why)
        self.answer = answer


class Download:
    """Iterates over the bytes of a file; stop early and the connection is dropped.

    Attributes:
        is_framed: The server announced a length or sent chunks, so a cut is always seen. Known
            from the first bytes on; where it is false, the reader has to check the end itself.
        size_bytes: The announced size, None where there is none; known from the first bytes on.
    """

    def __init__(
        self, client: _Client, find_url: Callable[[], str], what: str, *, must_be_framed: bool
    ) -> None:
        self.is_framed = True
        self.size_bytes: int | None = None
        self._client = client
        self._find_url = find_url
        self._what = what
        self._must_be_framed = must_be_framed
        self._received = 0
        self._checksum = 0
        self._again = 0
        self._tag = ""
        self._gunzip: zlib._Decompress | None = None

    def __iter__(self) -> Iterator[bytes]:
        attempts = Attempts(self._client.retries)
        while True:
            before = self._received
            try:
                yield from self._attempt()
            except _BrokenError as broken:
                if self._received > before:
                    attempts.restart()
                attempts.count(None if broken.answer is None else broken.answer.status_code)
                if attempts.are_spent:
                    raise self._given_up(str(broken)) from None
                self._client.back_off(attempts, broken.answer)
            else:
                return

    def _attempt(self) -> Iterator[bytes]:
        """Read what is still missing."""
        url = self._find_url()
        with self._client.slot():
            answer = self._open(url)
            try:
                for raw in self._read(answer):
                    self._received += len(raw)
                    self._checksum = zlib.crc32(raw, self._checksum)
                    yield self._gunzip.decompress(raw) if self._gunzip else raw
                if self._gunzip is not None and not self._gunzip.eof:
                    raise IncompleteError(f"{self._what}: its compressed data ended too early")
                if self._must_be_framed and not self.is_framed and self._gunzip is None:
                    raise IncompleteError(
                        f"{self._what} came with neither a length nor chunks, so nothing tells "
                        "whether it is whole: is there an old proxy in between?"
                    )
            except zlib.error:
                raise IncompleteError(f"{self._what}: its compressed data are damaged") from None
            finally:
                # Closing does not drain: who stops early does not pay for the rest.
                answer.close()

    def _open(self, url: str) -> requests.Response:
        headers = {"accept-encoding": "identity"}
        if self._received:
            headers["range"] = f"bytes={self._received}-"
            if self._tag:
                headers["if-range"] = self._tag
        try:
            answer = self._client.storage.get(
                url, headers=headers, stream=True, timeout=self._client.timeouts_s
            )
        except requests.RequestException as error:
            message = f"{bare_url(url)}: {describe_failure(error)}"
            if isinstance(error, requests.exceptions.SSLError):
                raise UnavailableError(f"{self._what}: {message}") from None
            raise _BrokenError(message) from None
        if answer.status_code in {200, 206}:
            return answer
        answer.close()
        why = f"{bare_url(url)} answered {answer.status_code}"
        # A presigned URL that has expired is refused with 403; the next attempt has a new one.
        if answer.status_code in PASSING_STATUSES or answer.status_code == 403:
            raise _BrokenError(why, answer)
        kind = NotFoundError if answer.status_code == 404 else ServerError
        raise kind(f"{self._what}: {why}", status=answer.status_code)

    def _read(self, answer: requests.Response) -> Iterator[bytes]:
        """Yield the bytes of an answer that are new."""
        skip = self._place(answer)
        head = b""
        try:
            for raw in answer.raw.stream(_CHUNK_BYTES, decode_content=False):
                if not skip:
                    yield raw
                    continue
                # The server began again: what is already out must be the same bytes.
                head, rest = raw[:skip], raw[skip:]
                self._again = zlib.crc32(head, self._again)
                skip -= len(head)
                if not skip and self._again != self._checksum:
                    raise IncompleteError(f"{self._what}: the file changed while it was read")
                if rest:
                    yield rest
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _BrokenError(f"{bare_url(answer.url)}: {describe_failure(error)}") from None
        if skip:
            raise _BrokenError(f"{bare_url(answer.url)}: it came back shorter than before")

    def _place(self, answer: requests.Response) -> int:
        """Take note of the headers; returns how many bytes are to be skipped."""
        length = answer.headers.get("content-length")
        is_chunked = "chunked" in answer.headers.get("transfer-encoding", "").lower()
        self.is_framed = length is not None or is_chunked
        if answer.status_code == 206:
            start = answer.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
            if start != str(self._received):
                raise ServerError(f"{self._what}: the server sent another part than was asked for")
            return 0
        self.size_bytes = int(length) if length is not None and length.isdigit() else None
        self._tag = answer.headers.get("etag", "")
        self._again = 0
        if not self._received and "gzip" in answer.headers.get("content-encoding", "").lower():
            self._gunzip = zlib.decompressobj(_GZIP)
        return self._received

    def _given_up(self, why: str) -> Exception:
        if not self._received:
            return UnavailableError(f"{self._what}: {why}")
        size = f" of {self.size_bytes:,}" if self.size_bytes is not None else ""
        got = f"{self._received:,}{size} bytes arrived"
        return IncompleteError(f"{self._what}: the download broke off, {got}: {why}")
