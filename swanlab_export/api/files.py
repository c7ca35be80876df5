"""``write`` and ``read``: frames to files and back, in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.api.frames import arrow_to_pandas
from swanlab_export.errors import UsageError, argument
from swanlab_export.tables import METADATA_KEY, Table
from swanlab_export.writers import parse_target, write_table
from swanlab_export.writers.reading import read_table

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import pandas as pd


# Of a name that two tables declare, the first counts; ``x`` is a float wherever it is not a time.
_DECLARED = {
    column.name: column.arrow_type
    for table in reversed(schemas.DECLARED)
    for column in table.columns
    # Only of the metrics table are run ids and keys categories; text cannot tell.
    if not pa.types.is_dictionary(column.arrow_type)
}


def write(frame: Any, path: str | os.PathLike[str]) -> Path:
    """Save a frame, whole or not at all; the extension says the format.

    Args:
        frame: A pandas or polars DataFrame, or an Arrow table.
        path: .parquet .feather .arrow .csv .tsv .json .jsonl, text also .gz and .zst.

    Returns:
        The path.

    Raises:
        UsageError: The extension is unknown, or ``frame`` is not a frame.
        OutputError: The file cannot be written.

    >>> import tempfile, pandas as pd
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = write(pd.DataFrame({"step": [1], "value": [0.5]}), f"{folder}/x.csv")
    ...     list(read(saved).columns)
    ['step', 'value']
    """
    gathered, source = _gather(frame)
    stamp = orjson.loads((gathered.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    source = source or stamp.get("source", {})
    plain = _in_our_types(gathered.replace_schema_metadata(None))
    table = Table(stamp.get("table", ""), plain.schema, plain.to_batches(), source=source)
    return write_table(table, parse_target(str(path))).path


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a file that this package saved, with the types that it had.

    Parquet and Feather also bring back ``.attrs``; text formats hold no metadata.

    Raises:
        UsageError: The extension is unknown.
        OutputError: The file cannot be read.
    """
    gathered = read_table(parse_target(str(path)), _DECLARED)
    stamp = orjson.loads((gathered.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    found = arrow_to_pandas(gathered)
    found.attrs.update(stamp.get("source", {}))
    return found


def _in_our_types(gathered: pa.Table) -> pa.Table:
    """Cast what pandas and polars spell otherwise: large strings, views, other precisions."""
    fields = [pa.field(field.name, _our_type(field.type)) for field in gathered.schema]
    return gathered.cast(pa.schema(fields))


def _our_type(kind: pa.DataType) -> pa.DataType:
    is_text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if is_text or pa.types.is_null(kind):
        return schemas.TEXT
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(pa.field("item", _our_type(kind.value_type)))
    if pa.types.is_dictionary(kind) and _our_type(kind.value_type) == schemas.TEXT:
        return schemas.CATEGORY
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return schemas.INT
    if pa.types.is_floating(kind):
        return schemas.FLOAT
    return schemas.TIME if pa.types.is_timestamp(kind) and kind.tz else kind


def _gather(frame: Any) -> tuple[pa.Table, dict[str, Any]]:
    if isinstance(frame, pa.Table):
        return frame, {}
    if hasattr(frame, "attrs") and hasattr(frame, "dtypes"):
        source = {str(name): value for name, value in frame.attrs.items()}
        return pa.Table.from_pandas(frame, preserve_index=False), source
    if hasattr(frame, "to_arrow"):
        return frame.to_arrow(), {}
    kind = type(frame).__name__
    raise UsageError(f"{argument('frame')} is a DataFrame or an Arrow table, not {kind}")
