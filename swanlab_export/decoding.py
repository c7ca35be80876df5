"""JSON as servers send it and backups keep it: no number is rounded, and no text is refused."""

from __future__ import annotations

import json
from typing import Any

import orjson

_CHUNK_BYTES = 64 * 1024
# orjson reads integers beyond 64 bits as floats, which would round them.
_LONG_INTEGER = b"0" * 19
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)


def decode(body: bytes) -> Any:
    """Read JSON.

    Half of a character, such as a cut emoji, and bytes that are not UTF-8 become U+FFFD: no table
    could hold them, and they must not hide the rest.

    Raises:
        ValueError: It is not JSON.
    """
    if not _has_long_integer(body):
        try:
            return orjson.loads(body)
        except ValueError:
            pass  # json, below, accepts more
    try:
        return _sanitize(json.loads(body.decode("utf-8-sig", errors="replace")))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _has_long_integer(body: bytes) -> bool:
    """Say whether so many digits follow one another: a regular expression takes ten times longer."""
    size = len(_LONG_INTEGER)
    return any(
        _LONG_INTEGER in body[at : at + _CHUNK_BYTES + size - 1].translate(_ZEROS)
        for at in range(0, len(body), _CHUNK_BYTES)
    )


def _sanitize(value: Any) -> Any:
    """Replace lone surrogates, in names, too."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_sanitize(item) for item in value]
    if isinstance(value, dict):
        return {_sanitize(name): _sanitize(item) for name, item in value.items()}
    return value
