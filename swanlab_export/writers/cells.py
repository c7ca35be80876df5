"""Columns → the text of their cells and rows, column by column: no Python runs per row.

Missing, NaN and the infinities stay apart: null, ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` in
JSON; an empty cell, ``NaN``, ``inf`` and ``-inf`` in CSV, where an empty string is ``""``.

Times are ISO 8601 with the digits of their unit, in UTC with ``Z`` where they have a zone. What JSON
has no value for is quoted: times, dates, durations (``PT1.500S``), decimals. Lists and objects are
JSON, in CSV as a text of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.errors import UsageError
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable

_NOT_PLAIN = r'["\\\x00-\x1f\x7f]'
_PLAIN = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_date32,
    pa.types.is_time,
)
# Digits behind the second, and how many of the unit are a day.
_DIGITS = {"ms": 3, "us": 6, "ns": 9}
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
# What four digits of a year can say, in days since 1970: 0000-01-01 to 9999-12-31.
_FIRST_DAY, _LAST_DAY = -719_528, 2_932_896


def json_cells(column: pa.Array) -> pa.Array:
    """Spell a column as JSON values; missing stays null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return json_cells(column.dictionary).take(column.indices)
    if pa.types.is_floating(kind):
        return _numbers(column, ('"NaN"', '"Infinity"', '"-Infinity"'))
    if pa.types.is_string(kind):
        return _json_strings(column)
    if pa.types.is_nested(kind):
        return _json_objects(column) if pa.types.is_struct(kind) else _json_lists(column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string())
    return pc.binary_join_element_wise('"', _spelled(column), '"', "")


def csv_cells(column: pa.Array, separator: str) -> pa.Array:
    """Spell a column as CSV cells; missing stays null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return csv_cells(column.dictionary, separator).take(column.indices)
    if pa.types.is_floating(kind):
        return _numbers(column, ("NaN", "inf", "-inf"))
    if pa.types.is_string(kind):
        return _quoted(column, separator)
    if pa.types.is_nested(kind):
        return _quoted(json_cells(column), separator)
    return _spelled(column)


def is_spelled(kind: pa.DataType) -> bool:
    """Say whether text can hold values of a type."""
    if pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return is_spelled(kind.value_type)
    if pa.types.is_struct(kind):
        return all(is_spelled(field.type) for field in kind)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return kind.unit in _DIGITS
    return any(holds(kind) for holds in _PLAIN)


def json_rows(
    batch: pa.RecordBatch, between: str = ",", begin: str = "{", end: str = "}"
) -> pa.Array:
    """Spell rows as JSON objects."""
    gap = " " if "\n" in between else ""
    cells: list[pa.Array | str] = []
    for i, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        label = (between if i else begin) + orjson.dumps(name).decode() + ":" + gap
        cells += [label, pc.fill_null(_of(name, column, json_cells), "null")]
    if not cells:
        return pa.repeat(pa.scalar(begin + end), batch.num_rows)
    return pc.binary_join_element_wise(*cells, end, "")


def csv_rows(batch: pa.RecordBatch, separator: str) -> pa.Array:
    """Spell rows as lines of CSV, without their ends."""

    def render(column: pa.Array) -> pa.Array:
        return csv_cells(column, separator)

    columns = zip(batch.schema.names, batch.columns, strict=True)
    cells = [pc.fill_null(_of(name, column, render), "") for name, column in columns]
    if not cells:
        return pa.repeat(pa.scalar(""), batch.num_rows)
    return pc.binary_join_element_wise(*cells, separator)


def _of(name: str, column: pa.Array, render: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The cells of a column, which an error names."""
    try:
        return render(column)
    except UsageError as error:
        raise UsageError(f"column {escape(name)} {error.message}") from None


def _spelled(column: pa.Array) -> pa.Array:
    """What needs no quotes in CSV: truth values, whole numbers, decimals, times of all kinds."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _iso(column)
    if pa.types.is_duration(kind):
        return _durations(column)
    if pa.types.is_date(kind):
        _check_years(column.cast(pa.int32()), 1)
    return column.cast(pa.string())


def _numbers(column: pa.Array, names: tuple[str, str, str]) -> pa.Array:
    """Spell floats, and by ``names`` NaN, infinity and its opposite."""
    numbers = column.cast(pa.float64())
    text = _floats(numbers)
    if pc.all(pc.is_finite(numbers), min_count=0).as_py():
        return text
    infinity = pc.if_else(pc.greater(numbers, 0.0), names[1], names[2])
    text = pc.if_else(pc.is_inf(numbers), infinity, text)
    return pc.if_else(pc.is_nan(numbers), names[0], text)


def _floats(numbers: pa.Array) -> pa.Array:
    """The shortest text that reads back as the same number, and reads as a float."""
    text = numbers.cast(pa.string())
    whole = pc.fill_null(pc.invert(pc.match_substring_regex(text, "[.eEn]")), False)
    if not pc.any(whole).as_py():
        return text
    return pc.if_else(whole, pc.binary_join_element_wise(text, "0", "."), text)


def _iso(column: pa.Array) -> pa.Array:
    unit = column.type.unit
    if unit != "ns":  # 64 bits of nanoseconds reach from 1677 to 2262
        _check_years(column.cast(pa.int64()), _PER_DAY[unit])
    # Without its zone, a time that has one is in UTC.
    text = pc.replace_substring(column.cast(pa.timestamp(unit)).cast(pa.string()), " ", "T")
    return text if column.type.tz is None else pc.binary_join_element_wise(text, "Z", "")


def _check_years(counts: pa.Array, per_day: int) -> None:
    ends = pc.min_max(counts)
    first, last = ends["min"].as_py(), ends["max"].as_py()
    if first is None or (first >= _FIRST_DAY * per_day and last < (_LAST_DAY + 1) * per_day):
        return
    raise UsageError(
        "holds times outside of the years 0 to 9999, which text formats cannot: "
        "save as .parquet or .feather"
    )


def _durations(column: pa.Array) -> pa.Array:
    """ISO 8601, in seconds alone: ``PT90.500S``, ``-PT0.001S``."""
    digits = _DIGITS[column.type.unit]

    def spell(ticks: int) -> str:
        seconds, rest = divmod(abs(ticks), 10**digits)
        return f"{'-' if ticks < 0 else ''}PT{seconds}.{rest:0{digits}}S"

    return _each(column.cast(pa.int64()), spell)


def _json_strings(column: pa.Array) -> pa.Array:
    # Bytes that JSON would escape are rare: only then does each distinct string cost a call.
    if pc.any(pc.match_substring_regex(column, _NOT_PLAIN), min_count=0).as_py():
        return _each(column, lambda value: orjson.dumps(value).decode())
    return pc.binary_join_element_wise('"', column, '"', "")


def _json_lists(column: pa.Array) -> pa.Array:
    """Join the values of each list, spelled as a column of their own."""
    column = column.cast(pa.list_(column.type.value_type))
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    ends = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    values = pc.fill_null(json_cells(column.flatten()), "null")
    joined = pc.binary_join(pa.ListArray.from_arrays(ends, values), ",")
    return _where_valid(column, pc.binary_join_element_wise("[", joined, "]", ""))


def _json_objects(column: pa.Array) -> pa.Array:
    names = [field.name for field in column.type]
    batch = pa.record_batch(column.flatten(), names=names)
    return _where_valid(column, json_rows(batch))


def _where_valid(column: pa.Array, cells: pa.Array) -> pa.Array:
    return pc.if_else(column.is_valid(), cells, pa.scalar(None, pa.string()))


def _quoted(column: pa.Array, separator: str) -> pa.Array:
    """Quote the cells that need it, and the empty string, which is not a missing cell."""
    needed = pc.match_substring_regex(column, f'[{separator}"\r\n]|^$')
    if not pc.any(needed, min_count=0).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def csv_name(name: str, separator: str) -> str:
    """Spell the name of a column."""
    if name.startswith("\ufeff"):
        # At the start of a file, it would be taken for the mark of UTF-8.
        return '"' + name.replace('"', '""') + '"'
    return str(_quoted(pa.array([name]), separator)[0].as_py())


def _each(column: pa.Array, spell: Callable[[Any], str]) -> pa.Array:
    """Spell every distinct value once."""
    distinct = column.dictionary_encode()
    spelled = [spell(value) for value in distinct.dictionary.to_pylist()]
    return pa.array(spelled, pa.string()).take(distinct.indices)
