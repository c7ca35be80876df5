"""Unpacks gzip as it comes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = 16 + zlib.MAX_WBITS
# A few bytes can unpack to a thousand times as many: they are handed on piece by piece.
_PIECE_BYTES = 1 << 20


class Gunzip:
    """One gzip file, which may be several, one behind the other.

    Attributes:
        is_whole: The last of them ended, with a checksum that was right.
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_FORMAT)

    @property
    def is_whole(self) -> bool:
        """Say whether the bytes so far are a file."""
        return self._member.eof

    def __call__(self, packed: bytes) -> Iterator[bytes]:
        """Unpack the next bytes.

        Raises:
            zlib.error: They are damaged.
        """
        while packed:
            if self._member.eof:
                # Zeros behind the end are padding, as of a tape.
                packed = packed.lstrip(b"\0")
                if not packed:
                    return
                self._member = zlib.decompressobj(_FORMAT)
            yield self._member.decompress(packed, _PIECE_BYTES)
            packed = self._member.unconsumed_tail or self._member.unused_data
