"""The Arrow types of users' frames → those that hold the same values in every file and frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from swanlab_export.schemas import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

_DECIMAL_DIGITS_MAX = 38


def held_type(kind: pa.DataType) -> pa.DataType | None:
    """Find the type that holds the same values in every file; None where there is none.

    Text, binary and lists have one type each, categories are of text, and times and durations count
    at least milliseconds, as Parquet does. Numbers keep their width.

    >>> held_type(pa.list_(pa.large_string()))
    ListType(list<item: string>)
    >>> held_type(pa.timestamp("s", "Asia/Tokyo"))
    TimestampType(timestamp[ms, tz=Asia/Tokyo])
    >>> held_type(pa.month_day_nano_interval()) is None
    True
    """
    return next((find(kind) for test, find in _HELD if test(kind)), None)


def _itself(kind: pa.DataType) -> pa.DataType:
    return kind


def _text(_: pa.DataType) -> pa.DataType:
    return TEXT


def _binary(_: pa.DataType) -> pa.DataType:
    return pa.binary()


def _date(_: pa.DataType) -> pa.DataType:
    return pa.date32()


def _time(_: pa.DataType) -> pa.DataType:
    return pa.time32("ms")


def _timestamp(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp(_unit(kind), kind.tz)


def _duration(kind: pa.DataType) -> pa.DataType:
    return pa.duration(_unit(kind))


def _unit(kind: pa.DataType) -> str:
    return "ms" if kind.unit == "s" else str(kind.unit)


def _decimal(kind: pa.DataType) -> pa.DataType | None:
    is_short = kind.precision <= _DECIMAL_DIGITS_MAX
    return pa.decimal128(kind.precision, kind.scale) if is_short else None


def _category(kind: pa.DataType) -> pa.DataType | None:
    inner = held_type(kind.value_type)
    return pa.dictionary(pa.int32(), TEXT, kind.ordered) if inner == TEXT else inner


def _list(kind: pa.DataType) -> pa.DataType | None:
    inner = held_type(kind.value_type)
    return None if inner is None else pa.list_(_plain(inner))


def _fixed_list(kind: pa.DataType) -> pa.DataType | None:
    inner = held_type(kind.value_type)
    return None if inner is None else pa.list_(_plain(inner), kind.list_size)


def _struct(kind: pa.DataType) -> pa.DataType | None:
    found = {field.name: held_type(field.type) for field in kind}
    if not found or len(found) < kind.num_fields or None in found.values():
        return None
    return pa.struct([(name, _plain(inner)) for name, inner in found.items()])


def _plain(kind: pa.DataType) -> pa.DataType:
    """Inside of lists and objects, categories are text."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


_HELD: tuple[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], pa.DataType | None]], ...
] = (
    (pa.types.is_boolean, _itself),
    (pa.types.is_integer, _itself),
    (pa.types.is_floating, _itself),
    (pa.types.is_string, _text),
    (pa.types.is_large_string, _text),
    (pa.types.is_string_view, _text),
    (pa.types.is_null, _text),
    (pa.types.is_timestamp, _timestamp),
    (pa.types.is_dictionary, _category),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_list_view, _list),
    (pa.types.is_large_list_view, _list),
    (pa.types.is_fixed_size_list, _fixed_list),
    (pa.types.is_struct, _struct),
    (pa.types.is_binary, _binary),
    (pa.types.is_large_binary, _binary),
    (pa.types.is_binary_view, _binary),
    (pa.types.is_fixed_size_binary, _binary),
    (pa.types.is_date32, _itself),
    (pa.types.is_date64, _date),
    (pa.types.is_time32, _time),
    (pa.types.is_time64, _itself),
    (pa.types.is_duration, _duration),
    (pa.types.is_decimal, _decimal),
)
