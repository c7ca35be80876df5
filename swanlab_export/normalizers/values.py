"""One wire value → one value of a column's declared type.

A value that does not fit its declared type is an error that names the column: a guess here would
be a wrong number in somebody's table. The same holds for a list or an object that is neither
that nor null.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.errors import ServerError
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Below this a Unix time has fewer than 13 digits, and is in seconds or something like it.
MILLISECONDS_FROM = 10**12
# The end of the year 9999; what is greater is in other units than milliseconds.
MILLISECONDS_TO = 253_402_300_800_000
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def as_object(wire: Any, what: str) -> Mapping[str, Any]:
    """Insist that the server sent an object."""
    if not isinstance(wire, dict):
        raise _wrong_kind(wire, what)
    return wire


def as_list(wire: Any, what: str) -> list[Any]:
    """Insist that the server sent a list, or null for an empty one."""
    if wire is None:
        return []
    if not isinstance(wire, list):
        raise _wrong_kind(wire, what)
    return wire


def _wrong_kind(wire: Any, what: str) -> ServerError:
    return ServerError(f"the server sent {_KINDS[type(wire)]} where {what} was expected")


def as_text(value: Any) -> str:
    """Spell a value as text: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_float(value: Any) -> float:
    """Read a number, or a token such as ``"NaN"`` or ``"-INF"``."""
    if isinstance(value, str):
        return float(_digits(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)


def as_int(value: Any) -> int:
    """Read a whole number that fits 64 bits."""
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, str):
        value = int(_digits(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(value)
    return value


def _digits(text: str) -> str:
    """Refuse what only Python takes for a number."""
    if "_" in text:
        raise ValueError(text)
    return text


def as_bool(value: Any) -> bool:
    """Read a truth value; 0 and 1 are taken for one."""
    if value in (True, False):
        return bool(value)
    raise ValueError(value)


def as_time_ms(value: Any) -> int:
    """Read a time as Unix milliseconds, from ISO 8601 (UTC where it names no zone) or a number."""
    if isinstance(value, str):
        parsed = datetime.fromisoformat(value)
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return (aware - _EPOCH) // _MILLISECOND
    return scale_to_ms(as_int(value))


def scale_to_ms(time: int) -> int:
    """Scale a Unix time of fewer than 13 digits up to milliseconds; four digits hold every year."""
    while 0 < time < MILLISECONDS_FROM:
        time *= 10
    if abs(time) >= MILLISECONDS_TO:
        raise ValueError(time)
    return time


def as_texts(value: Any) -> list[str | None]:
    """Read a list of names."""
    if not isinstance(value, list):
        raise TypeError(value)
    return [None if item is None else as_text(item) for item in value]


_READERS: dict[pa.DataType, Callable[[Any], Any]] = {
    schemas.TEXT: as_text,
    schemas.INT: as_int,
    schemas.FLOAT: as_float,
    schemas.BOOL: as_bool,
    schemas.TIME: as_time_ms,
    schemas.TEXTS: as_texts,
}


def read_value(column: str, arrow_type: pa.DataType, value: Any) -> Any:
    """Read ``value`` as ``arrow_type``; null stays null.

    Raises:
        ServerError: The value does not fit, with the column's name.
    """
    if value is None:
        return None
    try:
        return _READERS[arrow_type](value)
    except (TypeError, ValueError, OverflowError):
        shown = escape(as_text(value))
        message = f"the server sent {shown} as {column}, which is not {arrow_type}"
        raise ServerError(message) from None
