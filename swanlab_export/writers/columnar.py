"""Parquet and Feather: the table with its types and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swanlab_export.tables import Table

ROW_GROUP_ROWS = 524_288
# Half a million metrics fit; runs, with a hundred columns of config, must not pile up to as many.
_ROW_GROUP_BYTES = 24_000_000
# Level 1 is nearly as small as the default and takes half the time.
_ZSTD_LEVEL = 1


def write_parquet(table: Table, path: Path) -> int:
    """Write Parquet: zstd, row groups of at most half a million rows; counts rows."""
    schema = table.stamped_schema
    rows = 0
    writer = pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        # A dictionary pays for names that repeat, and only costs time for numbers.
        use_dictionary=[field.name for field in schema if _is_text(field.type)],
        # Times rise in small steps: as differences they take a fraction of the space.
        column_encoding={
            field.name: "DELTA_BINARY_PACKED" for field in schema if _is_whole(field.type)
        },
    )
    with writer:
        for group in _row_groups(table, schema):
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            rows += group.num_rows
    return rows


def write_feather(table: Table, path: Path) -> int:
    """Write an Arrow IPC file, which is Feather V2: lz4, read without copying; counts rows."""
    schema = table.stamped_schema
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=options) as writer,
    ):
        for batch in table:
            writer.write_batch(pa.record_batch(batch.columns, schema=schema))
            rows += batch.num_rows
    return rows


def _row_groups(table: Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather batches until they fill a row group."""
    held: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in table:
        held.append(batch)
        rows += batch.num_rows
        size_bytes += batch.nbytes
        if rows >= ROW_GROUP_ROWS or size_bytes >= _ROW_GROUP_BYTES:
            yield _gathered(held, schema)
            held, rows, size_bytes = [], 0, 0
    if held:
        yield _gathered(held, schema)


def _gathered(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(batches).replace_schema_metadata(schema.metadata)


def _is_text(kind: Any) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_dictionary(kind) or pa.types.is_list(kind)
    return bool(is_text)


def _is_whole(kind: Any) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_timestamp(kind))
