"""One value of a payload → one value of a column's declared type.

A value that does not fit its declared type is null in its row, and the report counts it: a guess
would be a wrong number in a table, and an error would deny all other rows. Only ids, and payloads
of another kind than expected, are errors.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from swanlab_export import schemas
from swanlab_export.errors import ServerError
from swanlab_export.messages import printable, quote
from swanlab_export.report import item_of_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from swanlab_export.report import Report

T = TypeVar("T")
_Item = TypeVar("_Item")

_NOT_JSON = re.compile("NaN|Infinity")
_TRUTH_VALUES = {"true": 1.0, "false": 0.0}
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Below this a Unix time has fewer than 13 digits, and is in seconds or another larger unit.
MILLISECONDS_FROM = 10**12
# The end of the year 9999; what is greater is in a smaller unit than milliseconds.
MILLISECONDS_TO = 253_402_300_800_000
# The start of the year 2: year 1 is how some servers write that there is no time.
MILLISECONDS_LEAST = -62_104_060_800_000
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def as_object(payload: Any, what: str) -> Mapping[str, Any]:
    """Return the payload, which must be an object.

    Raises:
        ServerError: It is something else.
    """
    if not isinstance(payload, dict):
        raise _wrong_kind(payload, what)
    return payload


def as_list(payload: Any, what: str) -> list[Any]:
    """Return the payload, which must be a list, or null for an empty one.

    Raises:
        ServerError: It is something else.
    """
    if payload is None:
        return []
    if isinstance(payload, dict):
        refuse_error(payload, what)
    if not isinstance(payload, list):
        raise _wrong_kind(payload, what)
    return payload


def as_entity(payload: Any, what: str, id_name: str) -> Mapping[str, Any]:
    """Return the payload, which must be an object with an id in the field ``id_name``.

    Raises:
        ServerError: It is something else, with the server's words where it has any.
    """
    fields = as_object(payload, what)
    value = fields.get(id_name)
    if value == "" or isinstance(value, bool) or not isinstance(value, str | int):
        refuse_error(fields, what)
        raise ServerError(f"the server sent {what} without {quote(id_name)}")
    return fields


def read_each(items: Iterable[_Item], read: Callable[[_Item], T], report: Report) -> Iterator[T]:
    """Yield what is read of each item of a list.

    Raises:
        ServerError: One cannot be read, and may not be left out.
    """
    for number, item in enumerate(items, 1):
        try:
            found = read(item)
        except ServerError as error:
            if not report.is_partial:
                raise
            report.fail(item_of_list(number), error)
        else:
            yield found


def refuse_error(fields: Mapping[str, Any], what: str) -> None:
    """Refuse an error of the server that came as a successful response.

    Raises:
        ServerError: ``fields`` has a code and a message; the error has both.
    """
    if not isinstance(fields.get("message"), str) or "code" not in fields:
        return
    code = fields["code"] if isinstance(fields["code"], str | int) else ""
    words = [str(code), fields["message"], fields.get("detail")]
    said = ": ".join(printable(word) for word in words if isinstance(word, str) and word)
    message = f"the server sent an error where {what} was expected: {said}"
    raise ServerError(message, code=str(code))


def _wrong_kind(payload: Any, what: str) -> ServerError:
    return ServerError(f"the server sent {_KINDS[type(payload)]} where {what} was expected")


def as_text(value: Any) -> str:
    """Format a value as text: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def exact_json(value: Any, option: int = 0) -> bytes:
    """Format what a server sent as JSON, with integers beyond 64 bits, and NaN, as they are.

    Args:
        value: What the server sent.
        option: ``OPT_SORT_KEYS``, ``OPT_INDENT_2`` and ``OPT_APPEND_NEWLINE`` of orjson.

    >>> exact_json([2**70, float("nan"), None])
    b'[1180591620717411303424,NaN,null]'
    """
    found = b""
    with suppress(TypeError):  # integers beyond 64 bits
        found = orjson.dumps(value, option=option)
    if found and b"null" not in found:
        return found
    is_indented, is_sorted = option & orjson.OPT_INDENT_2, option & orjson.OPT_SORT_KEYS
    text = json.dumps(
        value,
        ensure_ascii=False,
        sort_keys=bool(is_sorted),
        indent=2 if is_indented else None,
        separators=None if is_indented else (",", ":"),
    )
    # orjson makes null of NaN and infinities, which are no JSON but may have been sent.
    if found and not _NOT_JSON.search(text):
        return found
    return (text + ("\n" if option & orjson.OPT_APPEND_NEWLINE else "")).encode()


class JsonText(str):
    """A list or an object as JSON text: in JSON formats it is what it is, and no string."""

    __slots__ = ()


def as_json(value: Any) -> JsonText:
    """Format a list or an object as JSON text."""
    return JsonText(as_text(value))


def as_float(value: Any) -> float:
    """Read a number, a truth value as 0 or 1, or a token such as ``"NaN"`` or ``"-INF"``."""
    if isinstance(value, str):
        number = float(_digits(value))
        if math.isinf(number) and any(c.isdigit() for c in value):
            raise OverflowError(value)
        return number
    if not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)


def as_point(value: Any) -> float:
    """Read the value of a point: a number, or a truth value, also as a word, as 0 or 1."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return _TRUTH_VALUES[word] if word in _TRUTH_VALUES else as_float(value)


def as_int(value: Any) -> int:
    """Read an integer that fits 64 bits, also where it is written as a decimal such as ``5.0``."""
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, str):
        value = _int_of_text(_digits(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(value)
    return value


def _int_of_text(text: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    # The magnitude comes first: 1e999999999 as an integer would fill the memory.
    if not number.is_finite() or number.adjusted() > 18 or number != number.to_integral_value():
        raise ValueError(text)
    return int(number)


def _digits(text: str) -> str:
    """Refuse what only Python reads as a number."""
    if "_" in text:
        raise ValueError(text)
    return text


def as_bool(value: Any) -> bool:
    """Read a truth value; 0 and 1 are accepted."""
    if value in (True, False):
        return bool(value)
    raise ValueError(value)


def as_time_ms(value: Any) -> int:
    """Read a time as Unix milliseconds, from ISO 8601 (UTC where it names no zone) or a number."""
    if isinstance(value, str):
        parsed = datetime.fromisoformat(value)
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return check_calendar((aware - _EPOCH) // _MILLISECOND)
    return scale_to_ms(as_int(value))


def as_unix_ms(value: Any) -> int:
    """Read the time of a point as Unix milliseconds: a number, which may be text, or ISO 8601."""
    try:
        return scale_to_ms(int(value) if isinstance(value, float) else as_int(value))
    except ValueError:
        return as_time_ms(value)


def scale_to_ms(time: int) -> int:
    """Scale a Unix time of fewer than 13 digits up to milliseconds."""
    while 0 < time < MILLISECONDS_FROM:
        time *= 10
    return check_calendar(time)


def check_calendar(time_ms: int) -> int:
    """Return a time, which must be in the years 2 to 9999."""
    if not MILLISECONDS_LEAST <= time_ms < MILLISECONDS_TO:
        raise ValueError(time_ms)
    return time_ms


def as_fields(value: Any) -> Mapping[str, Any]:
    """Read an object."""
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


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


def reader_of(arrow_type: pa.DataType) -> Callable[[Any], Any]:
    """What reads values of a declared type."""
    return _READERS[arrow_type]


def read_value(column: str, arrow_type: pa.DataType, value: Any, report: Report) -> Any:
    """Read ``value`` as ``arrow_type``; null, and what is not of that type, become None.

    Args:
        column: Its column, for the report.
        arrow_type: The declared type.
        value: What the server sent.
        report: Counts values that are not of their type.
    """
    return read_as(reader_of(arrow_type), column, value, report)


def read_as(read: Callable[[Any], T], column: str, value: Any, report: Report) -> T | None:
    """Read ``value`` by a reader of one's own; see ``read_value``."""
    if value is None:
        return None
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError):
        report.odd_value(column, as_text(value))
        return None
