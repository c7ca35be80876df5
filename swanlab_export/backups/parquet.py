"""The Parquet files of a backup: one schema per table, and equal bytes for equal rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from swanlab_export import schemas
from swanlab_export.files.parquet import ROW_GROUP_ROWS
from swanlab_export.normalizers.values import exact_json
from swanlab_export.schemas import pandas_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swanlab_export.backups.destination import Destination, Pending

RUNS_PER_GROUP = 2000
_ZSTD_LEVEL = 3
# Footers of most objects are shorter, so that one read gets them.
_FOOTER_BYTES = 8192
_END_BYTES = 8


class ParquetObject:
    """A Parquet file that is being written.

    Values are PLAIN, since BYTE_STREAM_SPLIT is refused by Spark's default reader; steps and times
    are differences, which takes a fraction of the space. Pages have checksums. What Arrow would say
    of its own types is left out: every reader finds them by itself, and it would take 2 KB per object.

    Args:
        pending: The object.
        schema: The columns.
        metadata: What else the schema says.
    """

    def __init__(
        self, pending: Pending, schema: pa.Schema, metadata: dict[str, Any] | None = None
    ) -> None:
        self.pending = pending
        self.rows = 0
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self.schema = schema.remove_metadata()
        self._metadata = _describe(schema, metadata or {})
        texts = [f.name for f in self.schema if f.type in {schemas.TEXT, schemas.TEXTS}]
        integers = [f.name for f in self.schema if f.type in {schemas.INT, schemas.TIME}]
        self._writer = pq.ParquetWriter(
            pending,
            self.schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=[name for name in texts if name != "receipt_json"],
            column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
            store_schema=False,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; row groups end at a size of their own, whatever the batches."""
        self._held.append(batch)
        self._held_rows += batch.num_rows
        while self._held_rows >= ROW_GROUP_ROWS:
            gathered = pa.Table.from_batches(self._held)
            self._write(gathered.slice(0, ROW_GROUP_ROWS))
            self._held = gathered.slice(ROW_GROUP_ROWS).to_batches()
            self._held_rows -= ROW_GROUP_ROWS

    def end_group(self) -> None:
        """End the row group here."""
        if self._held_rows:
            self._write(pa.Table.from_batches(self._held))
        self._held, self._held_rows = [], 0

    def finish(self) -> tuple[int, str]:
        """End the file; returns its size and sha256."""
        self.end_group()
        self._writer.add_key_value_metadata(self._metadata)
        self._writer.close()
        return self.pending.finish()

    def discard(self) -> None:
        """Give it up, unless it is in its place."""
        self._writer.is_open = False  # else it would write its end when it is collected
        self.pending.discard()

    def _write(self, table: pa.Table) -> None:
        rows = pa.table(table.columns, schema=self.schema)
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self.rows += table.num_rows


def _describe(schema: pa.Schema, more: dict[str, Any]) -> dict[str, bytes]:
    """Have ``pd.read_parquet`` give integers that may be missing, as frames of ours have them."""
    pandas = {
        "index_columns": [],
        "column_indexes": [],
        "columns": [pandas_column(field) for field in schema],
        "pandas_version": "2.2.0",
    }
    found = {name: exact_json(each) for name, each in more.items()}
    return {"pandas": orjson.dumps(pandas)} | found


def write_rows(
    destination: Destination,
    path: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    metadata: dict[str, Any] | None = None,
) -> tuple[int, int, str]:
    """Write one table, whole or not at all; returns its rows, its size and its sha256."""
    written = ParquetObject(destination.create(path), schema, metadata)
    try:
        for batch in batches:
            written.write(batch)
        size, sha256 = written.finish()
        written.pending.place()
    finally:
        written.discard()
    return written.rows, size, sha256


def count_rows(destination: Destination, path: str, size: int) -> int:
    """How many rows an object of ``size`` bytes has, as its footer says.

    Raises:
        ArrowException: It has no such footer.
        OSError: It cannot be read.
    """
    end = destination.read_range(path, max(0, size - _FOOTER_BYTES), size)
    footer_bytes = int.from_bytes(end[-_END_BYTES:-4], "little") + _END_BYTES
    if len(end) < footer_bytes <= size:
        end = destination.read_range(path, size - footer_bytes, size)
    return int(pq.read_metadata(pa.BufferReader(end)).num_rows)


def read_rows(destination: Destination, path: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table, a row group at a time."""
    with destination.open(path) as file, pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group).to_batches()
