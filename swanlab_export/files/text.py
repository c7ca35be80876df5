"""JSON, JSON lines, CSV and TSV, batch by batch.

A missing value in a CSV of one column is an empty line: no other text is left that could not be a
value. Readers that skip empty lines must be told not to (``skip_blank_lines=False`` in pandas).
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

import pyarrow as pa

from swanlab_export.cells import csv_name, csv_rows, json_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import ReadableBuffer, SupportsWrite

    from swanlab_export.tables import Table

# Below 2 GB of text for rows of up to 30 kB: an array of strings holds no more.
_ROWS_PER_SLICE = 65_536


def write_text(table: Table, stream: SupportsWrite[ReadableBuffer], output_format: str) -> int:
    """Write a table as text, batch by batch; counts rows.

    Raises:
        OutputError: A time has no ISO 8601 text; names the column.
    """
    batches = iter(table)
    # What fails before its first row has written nothing.
    batches = chain(list(islice(batches, 1)), batches)
    if output_format == "json":
        return _write_single(batches, stream) if table.is_single else _write_json(batches, stream)
    if output_format == "jsonl":
        return _write_lines(batches, stream, lambda batch: json_rows(batch, end="}\n"))
    separator = "," if output_format == "csv" else "\t"
    header = separator.join(csv_name(name, separator) for name in table.schema.names)
    stream.write(header.encode() + b"\n")
    return _write_lines(batches, stream, lambda batch: csv_rows(batch, separator, "\n"))


def _write_single(batches: Iterator[pa.RecordBatch], stream: SupportsWrite[ReadableBuffer]) -> int:
    """One entity: one object, a line per field."""
    return _write_lines(batches, stream, lambda batch: json_rows(batch, ",\n  ", "{\n  ", "\n}\n"))


def _write_json(batches: Iterator[pa.RecordBatch], stream: SupportsWrite[ReadableBuffer]) -> int:
    """An array, one record per line."""
    stream.write(b"[")
    rows = _write_lines(batches, stream, lambda batch: json_rows(batch, begin=",\n{"), skip=1)
    stream.write(b"\n]\n" if rows else b"]\n")
    return rows


def _write_lines(
    batches: Iterator[pa.RecordBatch],
    stream: SupportsWrite[ReadableBuffer],
    render: Callable[[pa.RecordBatch], pa.Array],
    skip: int = 0,
) -> int:
    """Write the rows one behind the other, without the first ``skip`` bytes."""
    rows = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS_PER_SLICE):
            lines = render(batch.slice(start, _ROWS_PER_SLICE))
            stream.write(memoryview(_text(lines))[0 if rows else skip :])
            rows += len(lines)
    return rows


def _text(lines: pa.Array) -> pa.Buffer:
    """The bytes of all strings, one behind the other, as they lie in memory."""
    offsets = pa.Array.from_buffers(pa.int32(), 2, [None, pa.py_buffer(_ends(lines))]).to_pylist()
    return lines.buffers()[2].slice(offsets[0], offsets[1] - offsets[0])


def _ends(lines: pa.Array) -> bytes:
    """The first and the last of the offsets of an array of strings."""
    raw = memoryview(lines.buffers()[1])
    first, last = 4 * lines.offset, 4 * (lines.offset + len(lines))
    return bytes(raw[first : first + 4]) + bytes(raw[last : last + 4])
