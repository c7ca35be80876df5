"""Files → tables: the inverse of every writer.

Parquet and Feather hold their types and source. Text holds neither: a column that a declared table
has gets its declared type, any other the narrowest type that all its cells fit.
"""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from swanlab_export.errors import OutputError
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swanlab_export.writers.formats import Target

_TIME = pa.timestamp("ms", tz="UTC")
_WHOLE = r"^-?(0|[1-9]\d*)$"
_NUMBER = r"^(-?(\d+\.?\d*([eE][-+]?\d+)?|inf|Infinity)|NaN)$"
_ISO = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def read_table(source: Target, declared: Mapping[str, pa.DataType]) -> pa.Table:
    """Read a file that a writer here has written, or one of the same form.

    Args:
        source: The file, as ``parse_target`` reads its name.
        declared: Types of the columns that are declared somewhere.

    Raises:
        OutputError: The file cannot be read, or is not what its name says.
    """
    try:
        if source.format == "parquet":
            return pq.read_table(source.path)
        if source.format == "feather":
            with pa.memory_map(str(source.path)) as mapped:
                return pa.ipc.open_file(mapped).read_all()
        raw = _decompressed(source.path.read_bytes(), source.compression)
        if source.format in {"json", "jsonl"}:
            return _from_json(raw, source.format, declared)
        return _from_csv(raw, "," if source.format == "csv" else "\t", declared)
    except (pa.ArrowInvalid, ValueError, OSError) as error:
        shown = escape(str(source.path))
        raise OutputError(f"{shown} cannot be read as {source.format}: {error}") from None


def _decompressed(raw: bytes, compression: str) -> bytes:
    if compression == "gz":
        return gzip.decompress(raw)
    if compression == "zst":
        with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
            return bytes(stream.read())
    return raw


def _from_csv(raw: bytes, separator: str, declared: Mapping[str, pa.DataType]) -> pa.Table:
    parse = pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    names = _csv_names(raw, separator)
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        # An empty string is quoted; a cell with nothing in it is missing.
        quoted_strings_can_be_null=False,
    )
    text = pa.csv.read_csv(io.BytesIO(raw), parse_options=parse, convert_options=convert)
    columns = {
        name: _typed(text[name].combine_chunks(), declared.get(name), is_json=False)
        for name in text.column_names
    }
    return pa.table(columns)


def _csv_names(raw: bytes, separator: str) -> list[str]:
    import csv

    rows = csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=separator)
    return next(rows, [])


def _from_json(raw: bytes, output_format: str, declared: Mapping[str, pa.DataType]) -> pa.Table:
    if output_format == "jsonl":
        rows: Any = [orjson.loads(line) for line in raw.splitlines() if line]
    else:
        rows = orjson.loads(raw)
    rows = rows if isinstance(rows, list) else [rows]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("it holds no objects")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({n: _json_column([row.get(n) for row in rows], declared.get(n)) for n in names})


def _json_column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is not None and pa.types.is_list(kind):
        return pa.array(values, kind)
    if any(isinstance(value, list) for value in values):
        return pa.array(values, pa.list_(pa.string()))
    plain = {type(value) for value in values if value is not None}
    if plain <= {str}:
        return _typed(pa.array(values, pa.string()), kind, is_json=True)
    if plain <= {float, str}:
        # The tokens of what is not finite stand among numbers.
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kind is not None and not pa.types.is_dictionary(kind):
        return pa.array(values, kind)
    return pa.array(values)


def _typed(text: pa.Array, kind: pa.DataType | None, *, is_json: bool) -> pa.Array:
    """Cast a column of text to its declared type, else to the narrowest one that fits."""
    if kind is not None and pa.types.is_dictionary(kind):
        return text.dictionary_encode()
    if kind is not None and pa.types.is_list(kind):
        values = text.to_pylist()
        return pa.array([None if v is None else orjson.loads(v) for v in values], kind)
    if kind is not None:
        return text.cast(kind)
    return text.cast(_narrowest(text.drop_null(), is_json=is_json))


def _narrowest(present: pa.Array, *, is_json: bool) -> pa.DataType:
    """Find the narrowest type that all cells fit; JSON says itself what is a number."""
    kinds = [(_ISO, _TIME)]
    if not is_json and _all_match(present, _NUMBER):
        # Whole numbers beyond int64 stay text: a float would round them.
        kinds = [
            (_WHOLE, pa.int64() if _fits_int64(present) else pa.string()),
            (_NUMBER, pa.float64()),
        ]
    elif not is_json:
        kinds.append(("^(true|false)$", pa.bool_()))
    found = (kind for pattern, kind in kinds if len(present) and _all_match(present, pattern))
    return next(found, pa.string())


def _fits_int64(present: pa.Array) -> bool:
    try:
        present.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _all_match(column: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())
