"""A presigned file, byte by byte: whole or an error, taken up again where it broke."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl

import requests
import urllib3

from swanlab_export.client.failures import bare_url, describe_failure
from swanlab_export.client.framing import Framing, read_framing
from swanlab_export.client.gunzip import Gunzip
from swanlab_export.client.masking import Mask, printable
from swanlab_export.client.request import describe_start
from swanlab_export.client.retry import PASSING_STATUSES, Attempts, is_passing
from swanlab_export.client.session import redirect_target
from swanlab_export.errors import IncompleteError, NotFoundError, ServerError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

# Slower than this is no download: what drips is given up, see ``Patience``.
LEAST_BYTES_PER_S = 1024
REDIRECTS_MAX = 5
_CHUNK_BYTES = 256 * 1024
_MOMENT_S = 0.05
_SHOWN_BYTES = 2000
# Shorter values of a query are no signatures, but words such as "host".
_SECRET_CHARS_MIN = 12


class _Client(Protocol):
    """What a download needs of the client."""

    retries: int

    def slot(self) -> AbstractContextManager[None]: ...

    def open_file(self, url: str, headers: dict[str, str]) -> requests.Response: ...

    def back_off(self, attempts: Attempts, answer: requests.Response | None = None) -> None: ...


class _BrokenError(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, why: str, answer: requests.Response | None = None) -> None:
        super().__init__(why)
        self.answer = answer


class Download:
    """Iterates over the bytes of a file; stop early and the connection is dropped.

    It ends where the announced size is reached, or the last chunk has come. Less is taken up again
    with a range, as often as the client's retries allow without getting further.

    Attributes:
        is_framed: The end of the file is known: a length was announced, or chunks came, of which
            the last says so. Known from the first bytes on; where it is false, the reader has to
            check the end itself.
        size_bytes: The announced size, None where there is none; known from the first bytes on.
    """

    def __init__(
        self, client: _Client, find_url: Callable[[], str], what: str, *, must_be_framed: bool
    ) -> None:
        self.is_framed = True
        self.size_bytes: int | None = None
        self._client = client
        self._find_url = find_url
        # It may name a file as the server does.
        self._what = printable(what)
        self._must_be_framed = must_be_framed
        self._received = 0
        self._checksum = 0
        self._again = 0
        self._waited_s = 0.0
        self._tag = ""
        self._takes_ranges = True
        self._codings: tuple[str, ...] = ()
        self._gunzip: Gunzip | None = None

    def __iter__(self) -> Iterator[bytes]:
        attempts = Attempts(self._client.retries)
        while True:
            before, self._waited_s = self._received, 0.0
            try:
                yield from self._attempt()
            except _BrokenError as broken:
                if self._received - before > self._waited_s * LEAST_BYTES_PER_S:
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
        answer = self._open(url)
        try:
            if answer.status_code == 416:
                self._check_nothing_is_left(answer)
            else:
                for raw in self._read(answer, url):
                    self._received += len(raw)
                    self._checksum = zlib.crc32(raw, self._checksum)
                    yield from filter(None, self._gunzip(raw)) if self._gunzip else (raw,)
            is_empty = self.is_framed and not self._received
            if self._gunzip is not None and not self._gunzip.is_whole and not is_empty:
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
        """Ask for what is missing, and follow redirects: nothing secret is sent on."""
        for _ in range(REDIRECTS_MAX + 1):
            answer = self._ask(url)
            if not answer.is_redirect:
                break
            answer.close()
            url = redirect_target(answer)
        else:
            message = f"{self._what} was redirected more than {REDIRECTS_MAX} times"
            raise ServerError(message)
        status = answer.status_code
        if status in {200, 206} or (status == 416 and self._received):
            return answer
        answer.close()
        why = f"{bare_url(url)} answered {status}"
        # A presigned URL that has expired is refused with 403; the next attempt has a new one.
        if status in PASSING_STATUSES or status == 403:
            raise _BrokenError(why, answer)
        kind = NotFoundError if status == 404 else ServerError
        raise kind(f"{self._what}: {why}", status=status)

    def _ask(self, url: str) -> requests.Response:
        headers = {"accept-encoding": "identity"}
        if self._received and self._takes_ranges:
            headers["range"] = f"bytes={self._received}-"
            if self._tag:
                headers["if-range"] = self._tag
        try:
            return self._client.open_file(url, headers)
        except requests.RequestException as error:
            message = f"{bare_url(url)}: {describe_failure(error)}"
            if is_passing(error):
                raise _BrokenError(message) from None
            kind = ServerError if isinstance(error, ValueError) else UnavailableError
            raise kind(f"{self._what}: {message}") from None

    def _read(self, answer: requests.Response, url: str) -> Iterator[bytes]:
        """Yield the bytes of an answer that are new, and check that it is all there is."""
        framing = read_framing(answer)
        self._check_kind(answer, framing, url)
        is_part = answer.status_code == 206
        self._place(answer, framing, is_part=is_part)
        skip = 0 if is_part else self._received
        for raw in self._pieces(answer):
            # The server began again: what is already out must be the same bytes.
            head, rest = raw[:skip], raw[skip:]
            if head:
                self._again = zlib.crc32(head, self._again)
                skip -= len(head)
                if not skip and self._again != self._checksum:
                    raise self._changed()
            if rest:
                yield rest
        if skip:
            raise _BrokenError(f"{bare_url(answer.url)}: it came back shorter than before")
        self._check_size(answer, is_part=is_part)

    def _pieces(self, answer: requests.Response) -> Iterator[bytes]:
        """Yield bytes as they come; the place in flight is given back while they are looked at."""
        is_over, broken = False, None
        while not is_over:
            parts: list[bytes] = []
            with self._client.slot():
                began = time.monotonic()
                try:
                    is_over = _gather(answer, parts)
                except (urllib3.exceptions.HTTPError, OSError) as error:
                    # What came before it counts: it is not asked for again.
                    is_over = True
                    broken = _BrokenError(f"{bare_url(answer.url)}: {describe_failure(error)}")
                self._waited_s += time.monotonic() - began
            if parts:
                yield b"".join(parts)
        if broken is not None:
            raise broken

    def _check_kind(self, answer: requests.Response, framing: Framing, url: str) -> None:
        """Refuse what is no file, or packed in a way that is not known here."""
        if framing.codings not in {(), ("gzip",), ("x-gzip",)}:
            packed = printable(", ".join(framing.codings))
            raise ServerError(f"{self._what} came packed as {packed}, which was not asked for")
        if framing.is_page and not url.partition("?")[0].lower().endswith((".html", ".htm")):
            came = describe_start(framing.kind, _first_bytes(answer), _signature_of(url, answer))
            raise ServerError(
                f"{self._what}: {bare_url(url)} was answered with {came}, which is a page and no "
                "file: is there a proxy in between?"
            )

    def _place(self, answer: requests.Response, framing: Framing, *, is_part: bool) -> None:
        """Take note of what an answer says, and insist that it goes on with the same file."""
        tag = answer.headers.get("etag", "")
        if is_part and framing.start != self._received:
            raise ServerError(f"{self._what}: the server sent another part than was asked for")
        if is_part and self._received and tag and self._tag not in {"", tag}:
            raise self._changed()
        size = framing.total_bytes if is_part else framing.size_bytes
        if not self._received:
            self.size_bytes, self._codings = size, framing.codings
            self._gunzip = Gunzip() if framing.codings else None
        elif size is not None and self.size_bytes not in {None, size}:
            sizes = f"{size:,} bytes now, {self.size_bytes:,} before"
            raise _BrokenError(f"{bare_url(answer.url)}: its size is {sizes}")
        elif not is_part and framing.codings != self._codings:
            raise _BrokenError(f"{bare_url(answer.url)}: it came back packed in another way")
        self.size_bytes = size if self.size_bytes is None else self.size_bytes
        # What ends with a part is known in any case: it is asked what comes behind it.
        self.is_framed = is_part or framing.is_framed or self.size_bytes is not None
        self._tag = self._tag if is_part and self._received else tag
        self._again = 0

    def _check_size(self, answer: requests.Response, *, is_part: bool) -> None:
        """Insist that an answer that has ended was the end of the file."""
        size = self.size_bytes
        if size is not None and self._received > size:
            sizes = f"{self._received:,} bytes came, {size:,} were announced"
            raise IncompleteError(f"{self._what}: {sizes}")
        # A part that does not say how long the whole is may be the last one, or not.
        if self._received != size and (size is not None or is_part):
            raise _BrokenError(f"{bare_url(answer.url)}: it ended too early")

    def _check_nothing_is_left(self, answer: requests.Response) -> None:
        """Take a range behind the end for the end, where that is where the bytes so far end."""
        total = read_framing(answer).total_bytes
        if total == self._received and self.size_bytes in {None, total}:
            self.size_bytes, self.is_framed = total, True
            return
        self._takes_ranges = False
        raise _BrokenError(f"{bare_url(answer.url)} has no byte {self._received:,}")

    def _changed(self) -> IncompleteError:
        return IncompleteError(f"{self._what}: the file changed while it was read")

    def _given_up(self, why: str) -> Exception:
        if not self._received:
            return UnavailableError(f"{self._what}: {why}")
        size = f" of {self.size_bytes:,}" if self.size_bytes is not None else ""
        got = f"{self._received:,}{size} bytes arrived"
        return IncompleteError(f"{self._what}: the download broke off, {got}: {why}")


def _gather(answer: requests.Response, parts: list[bytes]) -> bool:
    """Read what comes within a moment, up to a chunk, but something; true at the end.

    TLS hands out 16 KiB at a time: each by itself would cost more to pass on than to read.
    """
    left = _CHUNK_BYTES
    until = time.monotonic() + _MOMENT_S
    while left > 0:
        part = answer.raw.read1(left, decode_content=False)
        if not part:
            return True
        parts.append(part)
        left -= len(part)
        if time.monotonic() > until:
            break
    return False


def _first_bytes(answer: requests.Response) -> bytes:
    try:
        return next(answer.iter_content(_SHOWN_BYTES), b"")
    except requests.RequestException:
        return b""


def _signature_of(url: str, answer: requests.Response) -> Mask:
    """Mask what a page may quote of the URL that was asked for."""
    secrets: set[str] = set()
    for each in (url, answer.url):
        query = each.partition("?")[2]
        values = (value for _, value in parse_qsl(query))
        secrets |= {query, *(value for value in values if len(value) >= _SECRET_CHARS_MIN)}
    return Mask(secrets)
