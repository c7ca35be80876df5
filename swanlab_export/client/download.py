"""A presigned file as bytes: whole or an error, resumed where it broke."""

from __future__ import annotations

import gzip
import os
import re
import time
import zlib
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

import requests
import urllib3

from swanlab_export.client.calls import hold_open
from swanlab_export.client.deadline import LEAST_BYTES_PER_S, Rate
from swanlab_export.client.redact import Redactor, bare_url
from swanlab_export.client.response import (
    Response,
    describe_start,
    media_type,
    quote_words,
    redirect_target,
)
from swanlab_export.client.retry import Attempts, is_transient, is_transient_failure
from swanlab_export.client.session import describe_failure
from swanlab_export.errors import IncompleteError, NotFoundError, ServerError, UnavailableError
from swanlab_export.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from contextlib import AbstractContextManager

    from swanlab_export.client.concurrency import Permit

REDIRECTS_MAX = 5
_CHUNK_BYTES = 256 * 1024
_MOMENT_S = 0.05
_SHOWN_BYTES = 2000
# Shorter values of a query are not signatures, but words such as "host".
_SECRET_CHARS_MIN = 12
# Not int(), which takes "²", "+5" and "5_0"; and no more digits than any file has bytes.
_LENGTH = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:([0-9]{1,18})|\*)")
_NO_RANGE = re.compile(r"bytes \*/([0-9]{1,18})")


class _Client(Protocol):
    """What a download needs of the client."""

    retries: int
    timeout_s: float

    def permit(self) -> AbstractContextManager[Permit]: ...

    def check_open(self) -> None: ...

    def open_file(self, url: str, headers: dict[str, str]) -> tuple[requests.Response, Any]: ...

    def limit_read(self, sock: Any) -> AbstractContextManager[Any]: ...

    def back_off(self, attempts: Attempts, why: str, response: Response | None) -> None: ...


class _BrokenError(Exception):
    """An attempt failed in a way in which another may not.

    ``error`` is raised if there is no other.
    """

    def __init__(
        self, why: str, response: Response | None = None, error: Exception | None = None
    ) -> None:
        super().__init__(why)
        self.response = response
        self.error = error


class Download:
    """Iterates over the bytes of a file; the connection is closed if the iteration stops early.

    It ends at the announced size, or with the last chunk. After a break, the rest is requested if
    the server says by a strong ETag that it is the same file. Otherwise the file is read again from
    its start, and what was handed out before must be the same bytes. There are as many attempts
    without progress as the client has retries.

    Attributes:
        has_length: The end of the file is known: its length was announced, or it comes in chunks, of
            which the last says so. Known from the first bytes on; if it is false, the reader has
            to check the end itself.
        size_bytes: The announced size, None if there is none; known from the first bytes on.
    """

    def __init__(
        self, client: _Client, find_url: Callable[[], str], what: str, *, needs_length: bool
    ) -> None:
        self.has_length = True
        self.size_bytes: int | None = None
        self._client = client
        self._find_url = find_url
        # It may name a file as the server does.
        self._what = printable(what)
        self._needs_length = needs_length
        self._received = 0
        self._checksum = 0
        self._waited_s = 0.0
        self._etag = ""
        self._was_missing = False

    def __iter__(self) -> Iterator[bytes]:
        attempts = Attempts(self._client.retries)
        while True:
            before, self._waited_s = self._received, 0.0
            attempt = self._attempt()
            try:
                with hold_open(partial(_close_unless_read, attempt)):
                    yield from attempt
                    self._client.check_open()
            except _BrokenError as broken:
                if self._received - before > self._waited_s * LEAST_BYTES_PER_S:
                    attempts.restart()
                attempts.count(None if broken.response is None else broken.response.status)
                if attempts.are_spent:
                    raise (broken.error or self._given_up(str(broken))) from None
                self._client.back_off(attempts, str(broken), broken.response)
            else:
                return

    def _attempt(self) -> Generator[bytes, None, None]:
        """Read what is still missing."""
        url = self._find_url()
        with self._client.permit() as permit, closing(self._open(url)) as part:
            while not part.is_over:
                self._client.check_open()
                data = b"".join(part.read())
                self._waited_s += part.waited_s
                self._received += len(data)
                self._checksum = zlib.crc32(data, self._checksum)
                if data:
                    # The caller may have to send another request before it reads on.
                    with permit.unused():
                        yield data
                if part.failure is not None:
                    raise part.failure
            self._check_end(part)

    def _open(self, url: str) -> _Part:
        """Request what is missing, and follow redirects: nothing secret is sent."""
        asks_range = bool(self._received and self._etag)
        headers = {"accept-encoding": "identity"}
        if asks_range:
            headers |= {"range": f"bytes={self._received}-", "if-range": self._etag}
        for _ in range(REDIRECTS_MAX + 1):
            response, sock = self._request(url, headers)
            if not response.is_redirect:
                break
            response.close()
            url = redirect_target(response.url, response.headers)
        else:
            message = f"{self._what} was redirected more than {REDIRECTS_MAX} times"
            raise ServerError(message)
        try:
            self._check_status(response, sock, asks_range=asks_range)
            return self._continue(response, sock, asks_range=asks_range)
        except BaseException:
            response.close()
            raise

    def _request(self, url: str, headers: dict[str, str]) -> tuple[requests.Response, Any]:
        try:
            return self._client.open_file(url, headers)
        except requests.RequestException as error:
            message = f"{bare_url(url)}: {describe_failure(error)}"
            if is_transient_failure(error):
                raise _BrokenError(message) from None
            kind = ServerError if isinstance(error, ValueError) else UnavailableError
            raise kind(f"{self._what}: {message}") from None

    def _check_status(self, response: requests.Response, sock: Any, *, asks_range: bool) -> None:
        status = response.status_code
        if status in {200, 206} or (status == 416 and asks_range):
            return
        why = f"{bare_url(response.url)} failed with status {status}"
        refusal = Response(status, response.url, response.headers, b"")
        if status == 404:
            error = NotFoundError(f"{self._what}: {why}", status=status)
            if self._was_missing:
                raise error
            # The object may not be there yet: it is presigned and requested once more.
            self._was_missing = True
            raise _BrokenError(why, refusal, error)
        # A presigned URL that has expired is refused with 403; the next attempt has a new one.
        if is_transient(status) or status == 403:
            raise _BrokenError(why, refusal)
        with self._client.limit_read(sock):
            refusal = replace(refusal, body=_first_bytes(response))
        words = quote_words(refusal, _signatures_of(response.url))
        raise ServerError(f"{self._what}: {why}: {words}", status=status)

    def _continue(self, response: requests.Response, sock: Any, *, asks_range: bool) -> _Part:
        """Check that a response is of this file, and say what of it is still to be read."""
        says = _Headers(response.headers)
        self._check_kind(response, sock, says)
        is_part = response.status_code != 200
        if asks_range and is_part and (says.etag != self._etag or says.is_gzip):
            self._start_again(response, "is another file now, or does not say that it is the same")
        if response.status_code == 416:
            if says.total_bytes != self._received or self.size_bytes not in {None, self._received}:
                self._start_again(response, f"has no byte {self._received:,}")
            self.size_bytes, self.has_length = says.total_bytes, True
            return self._part(response, sock, start=self._received, is_over=True)
        start = self._received if asks_range and is_part else 0
        if is_part and says.start != start:
            raise ServerError(f"{self._what}: the server sent another part than was requested")
        size = says.total_bytes if is_part else says.size_bytes
        if self._received and size is not None and self.size_bytes not in {None, size}:
            sizes = f"{size:,} bytes now, {self.size_bytes:,} before"
            self._start_again(response, f"has another size, {sizes}")
        self.size_bytes = size if not self._received or size is not None else self.size_bytes
        # What ends with a part is known in any case: what follows it is requested next.
        self.has_length = is_part or says.has_length or self.size_bytes is not None
        if self._needs_length and not self.has_length:
            raise IncompleteError(
                f"{self._what} came with neither a length nor chunks, so nothing tells "
                "whether it is whole: is there an old proxy in between?"
            )
        self._etag = "" if says.is_gzip else says.etag
        return self._part(response, sock, start=start, is_gzip=says.is_gzip)

    def _part(
        self,
        response: requests.Response,
        sock: Any,
        *,
        start: int,
        is_gzip: bool = False,
        is_over: bool = False,
    ) -> _Part:
        skip, checksum = self._received - start, self._checksum
        return _Part(self._client, self._what, response, sock, skip, checksum, is_gzip, is_over)

    def _start_again(self, response: requests.Response, why: str) -> None:
        """Have the next attempt read the file from its start."""
        self._etag = ""
        raise _BrokenError(f"{bare_url(response.url)} {why}")

    def _check_kind(self, response: requests.Response, sock: Any, says: _Headers) -> None:
        """Refuse a page in place of a file, and encodings that are not known here."""
        if says.unknown_coding:
            raise ServerError(
                f"{self._what} came encoded as {printable(says.unknown_coding)}, "
                "which was not requested"
            )
        path = response.url.partition("?")[0].lower()
        if says.is_page and not path.endswith((".html", ".htm")):
            redact = _signatures_of(response.url)
            with self._client.limit_read(sock):
                came = describe_start(says.media_type, _first_bytes(response), redact)
            raise ServerError(
                f"{self._what}: {bare_url(response.url)} responded with {came}, which is a page "
                "and not a file: is there a proxy in between?"
            )

    def _check_end(self, part: _Part) -> None:
        """Insist that a response that has ended was the end of the file."""
        if part.skip:
            raise _BrokenError(f"{part.url}: the file is shorter than before")
        size = self.size_bytes
        if size is not None and self._received > size:
            sizes = f"{self._received:,} bytes came, {size:,} were announced"
            raise IncompleteError(f"{self._what}: {sizes}")
        # A part that does not say how long the whole is may be the last one, or not.
        if self._received != size and (size is not None or part.is_part):
            raise _BrokenError(f"{part.url}: it ended too early")

    def _given_up(self, why: str) -> Exception:
        if not self._received:
            return UnavailableError(f"{self._what}: {why}")
        size = f" of {self.size_bytes:,}" if self.size_bytes is not None else ""
        got = f"{self._received:,}{size} bytes arrived"
        return IncompleteError(f"{self._what}: the download broke off, {got}: {why}")


class _Part:
    """One response of a storage, as far as it has been read.

    Attributes:
        is_over: It ended, or failed.
        failure: How it failed, None if it did not.
        skip: How many bytes are still to come that were handed out before.
        waited_s: How long the last read took.
    """

    def __init__(
        self,
        client: _Client,
        what: str,
        response: requests.Response,
        sock: Any,
        skip: int,
        checksum: int,
        is_gzip: bool,
        is_over: bool,
    ) -> None:
        self.is_over = is_over
        self.failure: Exception | None = None
        self.skip = skip
        self.waited_s = 0.0
        self.is_part = response.status_code != 200
        self.url = bare_url(response.url)
        self._client = client
        self._what = what
        self._response = response
        self._sock = sock
        self._checksum = checksum
        self._skipped_checksum = 0
        self._rate = Rate(client.timeout_s)
        self._process = os.getpid()
        self._read_some = response.raw.read1
        if is_gzip:
            # urllib3 would take compressed data that end too early for the whole.
            reader: Any = _Reader(response.raw)
            self._read_some = gzip.GzipFile(fileobj=reader).read1

    def close(self) -> None:
        """Close the connection unless it was read to its end: the rest is not waited for."""
        self._response.close()

    def read(self) -> Iterator[bytes]:
        """Yield what comes within a moment, without what was handed out before."""
        self.waited_s = 0.0
        parts: list[bytes] = []
        began = time.monotonic()
        try:
            self._read(parts)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            how = "ended too early" if isinstance(error, EOFError) else "are damaged"
            self.failure = IncompleteError(f"{self._what}: its compressed data {how}")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # What came before counts: it is not requested again.
            self.failure = _BrokenError(f"{self.url}: {describe_failure(error)}")
        self.is_over = self.is_over or self.failure is not None
        self.waited_s = time.monotonic() - began
        for part in parts:
            yield self._without_known(part)

    def _read(self, parts: list[bytes]) -> None:
        """Read up to a chunk, but something.

        TLS hands out 16 KiB at a time: each by itself would cost more to pass on than to read.
        """
        if os.getpid() != self._process:
            raise OSError("the connection belongs to the process that this one was forked from")
        left, until = _CHUNK_BYTES, time.monotonic() + _MOMENT_S
        with self._client.limit_read(self._sock) as deadline:
            while left > 0 and not self.is_over:
                began, before = time.monotonic(), self._response.raw.tell()
                data = self._read_some(left)
                now = time.monotonic()
                if deadline.has_passed:
                    raise TimeoutError("timed out")
                self.is_over = not data
                parts.append(data)
                left -= len(data)
                self._rate.add(now - began, self._response.raw.tell() - before)
                if now > until:
                    break

    def _without_known(self, data: bytes) -> bytes:
        """Cut off what was handed out before, which must be the same bytes."""
        known, new = data[: self.skip], data[self.skip :]
        if known:
            self._skipped_checksum = zlib.crc32(known, self._skipped_checksum)
            self.skip -= len(known)
            if not self.skip and self._skipped_checksum != self._checksum:
                raise IncompleteError(f"{self._what}: the file changed while it was read")
        return new


class _Reader:
    """What ``gzip`` reads from: of a few bytes it needs all, otherwise those that have come."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def read(self, size: int) -> Any:
        """Read exactly so many bytes if they are few, otherwise at most so many."""
        if size >= 16:
            return self._raw.read1(size)
        data = self._raw.read(size)
        # urllib3 notices only at the next read that the body ended before its length.
        return data + self._raw.read(size - len(data)) if 0 < len(data) < size else data


class _Headers:
    """What the headers of a storage say of a body; what is not well-formed counts as not said.

    Attributes:
        size_bytes: The length of the body as the file has it, None if that is not said.
        start: Where in the file it begins, None if that is not said.
        total_bytes: The length of the whole file, as far as a part or a refused range says it.
        has_length: A body that is cut would be seen to be.
        is_gzip: It is compressed.
        unknown_coding: Any other encoding.
        etag: A strong ETag, "" if there is none.
        media_type: In small letters, "" if none is named.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        # Alone, as http.client reads it: whatever else is named, it does not decode.
        transfer = headers.get("transfer-encoding", "").strip().lower()
        is_chunked = transfer == "chunked"
        codings = [word.strip().lower() for word in headers.get("content-encoding", "").split(",")]
        codings = [word for word in codings if word not in {"", "identity"}]
        self.is_gzip = codings in (["gzip"], ["x-gzip"])
        self.unknown_coding = "" if self.is_gzip else ", ".join(codings)
        if transfer not in {"", "chunked", "identity"}:
            self.unknown_coding = f"{transfer} (transfer)"
        length = _LENGTH.fullmatch(headers.get("content-length", "").strip())
        self.has_length = is_chunked or length is not None
        is_known = length is not None and not is_chunked and not self.is_gzip
        self.size_bytes = int(length[0]) if length is not None and is_known else None
        said = headers.get("content-range", "").strip()
        part, refused = _RANGE.fullmatch(said), _NO_RANGE.fullmatch(said)
        total = part[2] if part else refused[1] if refused else None
        self.start = int(part[1]) if part else None
        self.total_bytes = None if total is None else int(total)
        etag = headers.get("etag", "").strip()
        self.etag = etag if etag.startswith('"') and etag.isascii() and etag.isprintable() else ""
        self.media_type = media_type(headers)

    @property
    def is_page(self) -> bool:
        """Say whether it is a page for a browser, which is what a proxy or a login responds with."""
        return self.media_type in {"text/html", "application/xhtml+xml"}


def _close_unless_read(attempt: Generator[bytes, None, None]) -> None:
    """Close an attempt that waits to be read on; what another thread reads now ends by itself."""
    with suppress(ValueError):
        attempt.close()


def _first_bytes(response: requests.Response) -> bytes:
    try:
        return next(response.iter_content(_SHOWN_BYTES), b"")
    except requests.RequestException:
        return b""


def _signatures_of(url: str) -> Redactor:
    """Redact what a page may quote of the URL that was requested."""
    query = url.partition("?")[2]
    values = (value for _, value in parse_qsl(query))
    return Redactor({query, *(value for value in values if len(value) >= _SECRET_CHARS_MIN)})
