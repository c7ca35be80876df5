"""Parquet and Feather: the table with its types, its types in pandas, and its source."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from swanlab_export.tables import PROVENANCE, decode_batch, describe, provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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
    rows = 0
    writer = pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        # A dictionary saves space for names that repeat, and only costs time for numbers.
        use_dictionary=[field.name for field in schema if _is_text(field.type)],
        # Times rise in small steps: as differences they take a fraction of the space.
        column_encoding={
            field.name: "DELTA_BINARY_PACKED" for field in schema if _is_integer(field.type)
        },
    )
    with writer:
        for group in _row_groups(table, schema):
            writer.write_table(group)
            rows += group.num_rows
        if report is not None and report.failures:
            what = provenance(table.name, source, report.left_out())
            writer.add_key_value_metadata(_replaced(schema, what))
    return rows


def _replaced(schema: pa.Schema, what: bytes) -> dict[str, bytes]:
    """The metadata of an open file with another provenance, also in the Arrow schema it holds."""
    schema = schema.with_metadata({**schema.metadata, PROVENANCE.encode(): what})
    return {PROVENANCE: what, "ARROW:schema": base64.b64encode(schema.serialize())}


def write_feather(table: Table, path: Path, source: Mapping[str, Any]) -> int:
    """Write an Arrow IPC file, which is Feather V2: lz4, read without copying; counts rows."""
    schema = describe(table.schema, table.name, source)
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=options) as writer,
    ):
        for batch in table:
            writer.write_batch(decode_batch(batch, schema))
            rows += batch.num_rows
    return rows


def _row_groups(table: Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather batches until they fill a row group; what is too much goes into the next one."""
    held: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    bytes_max = max(_ROW_GROUP_BYTES, _BYTES_PER_COLUMN * len(schema))
    for batch in table:
        held.append(decode_batch(batch, schema))
        rows += batch.num_rows
        size_bytes += held[-1].nbytes
        if rows < ROW_GROUP_ROWS and size_bytes < bytes_max:
            continue
        gathered = pa.Table.from_batches(held)
        complete = rows - rows % ROW_GROUP_ROWS if rows >= ROW_GROUP_ROWS else rows
        for start in range(0, complete, ROW_GROUP_ROWS):
            yield gathered.slice(start, min(ROW_GROUP_ROWS, complete - start))
        rest = gathered.slice(complete)
        held, rows, size_bytes = rest.to_batches(), rest.num_rows, rest.nbytes
    if held:
        yield pa.Table.from_batches(held)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_list(kind))


def _is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_timestamp(kind))
