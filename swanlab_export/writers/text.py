"""JSON, JSON lines, CSV and TSV, rendered column by column: no Python runs per row.

Missing, NaN and the infinities stay apart: null, ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` in
JSON; an empty cell, ``NaN``, ``inf`` and ``-inf`` in CSV, where an empty string is ``""``.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swanlab_export.tables import Table

# Below 2 GB of text for rows of up to 30 kB: an array of strings holds no more.
_ROWS_PER_SLICE = 65_536
_NOT_PLAIN = r'["\\\x00-\x1f\x7f]'


def write_text(table: Table, stream: IO[bytes], output_format: str) -> int:
    """Write a table as text, batch by batch; counts rows."""
    if output_format == "json":
        return _write_single(table, stream) if table.is_single else _write_json(table, stream)
    if output_format == "jsonl":
        return _write_lines(stream, _lines(table, _json_rows))
    separator = "," if output_format == "csv" else "\t"
    header = separator.join(_csv_name(name, separator) for name in table.schema.names)
    stream.write(header.encode() + b"\n")

    def render(batch: pa.RecordBatch) -> pa.Array:
        return _csv_rows(batch, separator)

    return _write_lines(stream, _lines(table, render))


def json_cells(column: pa.Array) -> pa.Array:
    """Spell a column as JSON values."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return json_cells(column.dictionary).take(column.indices)
    if pa.types.is_timestamp(kind):
        return pc.binary_join_element_wise('"', _iso(column), '"', "")
    if pa.types.is_floating(kind):
        return _tokens(_floats(column), column, ('"NaN"', '"Infinity"', '"-Infinity"'))
    if pa.types.is_string(kind):
        return _json_strings(column)
    if pa.types.is_list(kind):
        return _each(column, lambda value: orjson.dumps(value).decode())
    return column.cast(pa.string())


def csv_cells(column: pa.Array, separator: str) -> pa.Array:
    """Spell a column as CSV cells; missing stays null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return csv_cells(column.dictionary, separator).take(column.indices)
    if pa.types.is_timestamp(kind):
        return _iso(column)
    if pa.types.is_floating(kind):
        return _tokens(_floats(column), column, ("NaN", "inf", "-inf"))
    if pa.types.is_list(kind):
        return _quoted(json_cells(column), separator)
    return _quoted(column, separator) if pa.types.is_string(kind) else column.cast(pa.string())


def _write_single(table: Table, stream: IO[bytes]) -> int:
    """One entity: one object, a line per field."""
    rows = 0
    for batch in table:
        for line in _json_rows(batch, ",\n  ", "{\n  ", "\n}").to_pylist():
            stream.write(line.encode() + b"\n")
            rows += 1
    return rows


def _write_json(table: Table, stream: IO[bytes]) -> int:
    """An array, one record per line."""
    rows = 0
    stream.write(b"[")
    for lines in _lines(table, _json_rows):
        stream.write(b",\n" if rows else b"\n")
        stream.write(memoryview(_text(_joined(lines, ",\n"))))
        rows += len(lines)
    stream.write(b"\n]\n" if rows else b"]\n")
    return rows


def _write_lines(stream: IO[bytes], batches: Iterator[pa.Array]) -> int:
    rows = 0
    for lines in batches:
        stream.write(memoryview(_text(pc.binary_join_element_wise(lines, "", "\n"))))
        rows += len(lines)
    return rows


def _lines(table: Table, render: Callable[[pa.RecordBatch], pa.Array]) -> Iterator[pa.Array]:
    for batch in table:
        for start in range(0, batch.num_rows, _ROWS_PER_SLICE):
            yield render(batch.slice(start, _ROWS_PER_SLICE))


def _json_rows(
    batch: pa.RecordBatch, between: str = ",", begin: str = "{", end: str = "}"
) -> pa.Array:
    gap = " " if "\n" in between else ""
    cells: list[pa.Array | str] = []
    for i, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        label = (between if i else begin) + orjson.dumps(name).decode() + ":" + gap
        cells += [label, pc.fill_null(json_cells(column), "null")]
    if not cells:
        return pa.repeat(pa.scalar(begin + end), batch.num_rows)
    return pc.binary_join_element_wise(*cells, end, "")


def _csv_rows(batch: pa.RecordBatch, separator: str) -> pa.Array:
    cells = [pc.fill_null(csv_cells(column, separator), "") for column in batch.columns]
    if not cells:
        return pa.repeat(pa.scalar(""), batch.num_rows)
    return pc.binary_join_element_wise(*cells, separator)


def _floats(column: pa.Array) -> pa.Array:
    """The shortest text that reads back as the same number, and reads as a float."""
    text = column.cast(pa.float64()).cast(pa.string())
    whole = pc.fill_null(pc.invert(pc.match_substring_regex(text, "[.eEn]")), False)
    if not pc.any(whole).as_py():
        return text
    return pc.if_else(whole, pc.binary_join_element_wise(text, "0", "."), text)


def _tokens(text: pa.Array, column: pa.Array, names: tuple[str, str, str]) -> pa.Array:
    """Spell what is not finite."""
    if pc.all(pc.is_finite(column), min_count=0).as_py():
        return text
    infinity = pc.if_else(pc.greater(column, 0.0), names[1], names[2])
    text = pc.if_else(pc.is_inf(column), infinity, text)
    return pc.if_else(pc.is_nan(column), names[0], text)


def _iso(column: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(
        pc.replace_substring(column.cast(pa.timestamp("ms")).cast(pa.string()), " ", "T"), "Z", ""
    )


def _json_strings(column: pa.Array) -> pa.Array:
    # Bytes that JSON would escape are rare: only then does each distinct string cost a call.
    if pc.any(pc.match_substring_regex(column, _NOT_PLAIN), min_count=0).as_py():
        return _each(column, lambda value: orjson.dumps(value).decode())
    return pc.binary_join_element_wise('"', column, '"', "")


def _quoted(column: pa.Array, separator: str) -> pa.Array:
    """Quote the cells that need it, and the empty string, which is not a missing cell."""
    needed = pc.match_substring_regex(column, f'[{separator}"\r\n]|^$')
    if not pc.any(needed, min_count=0).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def _each(column: pa.Array, spell: Callable[[object], str]) -> pa.Array:
    if pa.types.is_list(column.type):
        values = column.to_pylist()
        return pa.array([None if v is None else spell(v) for v in values], pa.string())
    distinct = column.dictionary_encode()
    spelled = [spell(value) for value in distinct.dictionary.to_pylist()]
    return pa.array(spelled, pa.string()).take(distinct.indices)


def _csv_name(name: str, separator: str) -> str:
    return str(_quoted(pa.array([name]), separator)[0].as_py())


def _joined(lines: pa.Array, between: str) -> pa.Array:
    """All lines in one string: every line but the last is followed by ``between``."""
    if len(lines) == 1:
        return lines
    head = pc.binary_join_element_wise(lines.slice(0, len(lines) - 1), "", between)
    return pa.concat_arrays([head, lines.slice(len(lines) - 1)])


def _text(lines: pa.Array) -> pa.Buffer:
    """The bytes of all strings, one behind the other, as they lie in memory."""
    offsets = pa.Array.from_buffers(pa.int32(), 2, [None, pa.py_buffer(_ends(lines))]).to_pylist()
    return lines.buffers()[2].slice(offsets[0], offsets[1] - offsets[0])


def _ends(lines: pa.Array) -> bytes:
    """The first and the last of the offsets of an array of strings."""
    raw = memoryview(lines.buffers()[1])
    first, last = 4 * lines.offset, 4 * (lines.offset + len(lines))
    return bytes(raw[first : first + 4]) + bytes(raw[last : last + 4])
