"""What the headers of an answer say: how long its body is, which part, packed how."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

# Not int(), which takes "²", "+5" and "5_0"; and no more digits than any file has bytes.
_LENGTH = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:([0-9]{1,18})|\*)")
_NO_RANGE = re.compile(r"bytes \*/([0-9]{1,18})")


@dataclass(frozen=True)
class Framing:
    """How a body is framed.

    Attributes:
        size_bytes: Its Content-Length; None for chunks, and where there is none that is a number.
        is_chunked: It comes in chunks, and the last one says so.
        start: Where in the file it begins, None where that is not said.
        total_bytes: How long the whole file is, as far as a part or a refused range says so.
        codings: How it is packed, in the order in which that was done; for transfer, too.
        kind: Its media type, in small letters, "" where none is named.
    """

    size_bytes: int | None
    is_chunked: bool
    start: int | None
    total_bytes: int | None
    codings: tuple[str, ...]
    kind: str

    @property
    def is_framed(self) -> bool:
        """Say whether a body that is cut would be seen to be."""
        return self.is_chunked or self.size_bytes is not None

    @property
    def is_page(self) -> bool:
        """Say whether it is a page for a browser, which is what a proxy or a login answers."""
        return self.kind in {"text/html", "application/xhtml+xml"}


def read_framing(answer: requests.Response) -> Framing:
    """Read the headers of an answer; what is not well-formed counts as not said."""
    headers = answer.headers
    # Alone, as http.client reads it: whatever else stands there, it does not take apart.
    transfer = headers.get("transfer-encoding", "").strip().lower()
    is_chunked = transfer == "chunked"
    packed = () if transfer in {"", "chunked", "identity"} else (f"{transfer} (transfer)",)
    length = _LENGTH.fullmatch(headers.get("content-length", "").strip())
    said = headers.get("content-range", "").strip()
    part, refused = _RANGE.fullmatch(said), _NO_RANGE.fullmatch(said)
    total = part[2] if part else refused[1] if refused else None
    return Framing(
        size_bytes=int(length[0]) if length and not is_chunked else None,
        is_chunked=is_chunked,
        start=int(part[1]) if part else None,
        total_bytes=None if total is None else int(total),
        codings=_words(headers.get("content-encoding", "")) + packed,
        kind=headers.get("content-type", "").partition(";")[0].strip().lower(),
    )


def _words(header: str) -> tuple[str, ...]:
    words = (word.strip().lower() for word in header.split(","))
    return tuple(word for word in words if word not in {"", "identity"})


def header_text(answer: requests.Response, name: str) -> str:
    """Read a header that may hold more than ASCII; "" where it is missing."""
    text = str(answer.headers.get(name, ""))
    with suppress(UnicodeError):
        # Headers are read as Latin-1, but what is sent is mostly UTF-8.
        text = text.encode("latin-1").decode()
    return text
