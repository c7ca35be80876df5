"""Feather: the table with its types, its types in pandas, and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export.tables import decode_batch, describe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from swanlab_export.tables import Table


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
