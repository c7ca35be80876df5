"""Parquet: the table with its types, its types in pandas, and its source."""

from __future__ import annotations

from base64 import b64encode
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from swanlab_export.tables import decode_batch, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from swanlab_export.report import Report
    from swanlab_export.tables import Table

# As many as DuckDB writes: readers skip and share work by row group.
ROW_GROUP_ROWS = 122_880
# So many rows of long texts would not fit into memory: a group ends at this many bytes. But each
# column of each group costs a reader a header, statistics and an encoding of its own, so that a
# table of hundreds of columns gets larger groups.
_ROW_GROUP_BYTES = 4_000_000
_BYTES_PER_COLUMN = 128_000
# Level 1 is nearly as small as the default and takes half the time.
_ZSTD_LEVEL = 1


def write_parquet(
    table: Table, path: Path, source: Mapping[str, Any], report: Report | None = None
) -> int:
    """Write Parquet: zstd, row groups of one size whatever the batches; counts rows.

    ``report`` says at the end what was left out, and so do the metadata.
    """
    schema = describe(table.schema, table.name, source)
    batches = iter(table)
    first = next(batches, None)
    # Text that is dictionary-encoded is written as it is, which takes a third less time ...
    encoded = schema if first is None else _keep_dictionaries(schema, first)
    rows = 0
    writer = pq.ParquetWriter(
        path,
        encoded,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        # A dictionary saves space for names that repeat, and only costs time for numbers.
        use_dictionary=[field.name for field in schema if _is_text(field.type)],
        # Times rise in small steps: as differences they take a fraction of the space.
        column_encoding={
            field.name: "DELTA_BINARY_PACKED" for field in schema if _is_integer(field.type)
        },
        store_schema=False,
    )
    with writer:
        for group in _row_groups(chain([] if first is None else [first], batches), encoded):
            writer.write_table(group)
            rows += group.num_rows
        if report is not None and report.failures:
            schema = describe(table.schema, table.name, source, report.left_out())
        # ... but readers find the schema of plain text, as if that had been written.
        arrow_schema = {"ARROW:schema": b64encode(schema.serialize())}
        writer.add_key_value_metadata(arrow_schema | schema.metadata)
    return rows


def _keep_dictionaries(schema: pa.Schema, batch: pa.RecordBatch) -> pa.Schema:
    """The schema with those text columns dictionary-encoded that are so in the batch."""
    fields = [
        field.with_type(column.type) if pa.types.is_dictionary(column.type) else field
        for field, column in zip(schema, batch.columns, strict=True)
    ]
    return pa.schema(fields)


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather batches until they fill a row group; what is too much goes into the next one."""
    held: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    bytes_max = max(_ROW_GROUP_BYTES, _BYTES_PER_COLUMN * len(schema))
    for batch in batches:
        rest = decode_batch(batch, schema)
        while rest.num_rows:
            held.append(rest.slice(0, ROW_GROUP_ROWS - rows))
            rest = rest.slice(held[-1].num_rows)
            rows += held[-1].num_rows
            size_bytes += held[-1].nbytes
            if rows == ROW_GROUP_ROWS or size_bytes >= bytes_max:
                yield _row_group(held)
                held, rows, size_bytes = [], 0, 0
    if held:
        yield _row_group(held)


def _row_group(batches: list[pa.RecordBatch]) -> pa.Table:
    """Join batches; a column can only be written as it is if all of it has one dictionary."""
    return pa.Table.from_batches(batches).unify_dictionaries()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_list(kind))


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_timestamp(kind))
