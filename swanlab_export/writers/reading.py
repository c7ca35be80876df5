"""Files → tables: the inverse of every writer.

Parquet and Feather hold their types and source. Text holds neither: columns of a table that is
recognised by its header get their declared types, all others the narrowest type that all their
cells fit (``recognise``, ``narrow``).
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from swanlab_export.errors import OutputError
from swanlab_export.refs import escape
from swanlab_export.schemas import FLOAT, TEXT
from swanlab_export.tables import Stamp, stamp_schema
from swanlab_export.writers.narrow import typed
from swanlab_export.writers.recognise import declared_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swanlab_export.writers.formats import Target

_BOM = b"\xef\xbb\xbf"
_BLOCK_BYTES_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1
_TOKENS = {"NaN", "Infinity", "-Infinity"}
# What Arrow, JSON, CSV, gzip and Python say of a file that is broken.
_UNREADABLE = (pa.ArrowException, ValueError, csv.Error, EOFError, zlib.error, RecursionError)


def read_table(source: Target, declared: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Read a file that a writer here has written, or one of the same form.

    Args:
        source: The file, as ``parse_source`` reads its name.
        declared: Types of columns of a text file; by default those that its header tells.

    Raises:
        OutputError: The file cannot be read, or is not what its name says.
    """
    shown = escape(str(source.path))
    try:
        if source.format == "parquet":
            with pq.ParquetFile(source.path) as opened:
                return opened.read()
        if source.format == "feather":
            with pa.memory_map(str(source.path)) as mapped:
                return pa.ipc.open_file(mapped).read_all()
        raw = _decompressed(source.path.read_bytes(), source.compression).removeprefix(_BOM)
        if source.format in {"json", "jsonl"}:
            return _from_json(raw, source.format, declared)
        return _from_csv(raw, "," if source.format == "csv" else "\t", declared)
    except FileNotFoundError:
        raise OutputError(f"{shown} cannot be read: there is no such file") from None
    except OSError as error:
        raise OutputError(
            f"{shown} cannot be read as {source.format}: {error.strerror or error}"
        ) from None
    except _UNREADABLE as error:
        raise OutputError(f"{shown} cannot be read as {source.format}: {error}") from None


def _decompressed(raw: bytes, compression: str) -> bytes:
    if compression == "gz":
        return gzip.decompress(raw)
    if compression == "zst":
        with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
            return bytes(stream.read())
    return raw


def _from_csv(raw: bytes, separator: str, declared: Mapping[str, pa.DataType] | None) -> pa.Table:
    if not raw:
        raise ValueError("it is empty")
    names = _csv_names(raw, separator)
    if not names:
        return pa.table({})
    text = pa.csv.read_csv(
        io.BytesIO(raw),
        # In one block, however long a cell is.
        read_options=pa.csv.ReadOptions(block_size=min(len(raw) + 1, _BLOCK_BYTES_MAX)),
        parse_options=pa.csv.ParseOptions(
            delimiter=separator,
            newlines_in_values=True,
            # The missing cell of a table of one column.
            ignore_empty_lines=len(names) > 1,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, TEXT),
            null_values=[""],
            strings_can_be_null=True,
            # An empty string is quoted; a cell with nothing in it is missing.
            quoted_strings_can_be_null=False,
        ),
    )
    types = declared_types(names) if declared is None else declared
    return pa.table(
        [
            typed(column.combine_chunks(), types.get(name), is_json=False)
            for name, column in zip(names, text.columns, strict=True)
        ],
        names=names,
    )


def _csv_names(raw: bytes, separator: str) -> list[str]:
    lines = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", newline="")
    names = next(csv.reader(lines, delimiter=separator), [])
    _check_distinct(names)
    return names


def _check_distinct(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two columns are called {escape(twice)}")


def _from_json(
    raw: bytes, output_format: str, declared: Mapping[str, pa.DataType] | None
) -> pa.Table:
    if output_format == "jsonl":
        rows: Any = [orjson.loads(line) for line in raw.splitlines() if line]
    else:
        rows = orjson.loads(raw)
    is_single = isinstance(rows, dict)
    rows = rows if isinstance(rows, list) else [rows]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("it holds no objects")
    names = list(dict.fromkeys(name for row in rows for name in row))
    types = declared_types(names) if declared is None else declared
    columns = {}
    for name in names:
        try:
            columns[name] = _json_column([row.get(name) for row in rows], types.get(name))
        except ValueError as error:
            raise ValueError(f"column {escape(name)} {error}") from None
    found = pa.table(columns)
    # One object was one entity, and is written so again.
    return found.cast(stamp_schema(found.schema, Stamp(single=True))) if is_single else found


def _json_column(values: Sequence[Any], kind: pa.DataType | None) -> pa.Array:
    """Find the type that JSON values have in common; raises ValueError where there is none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return typed(pa.array(values, TEXT), kind, is_json=True)
    if kinds == {list}:
        return _json_lists(values, kind)
    if kinds == {dict}:
        return _json_objects(values)
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int}:
        return _json_whole(values)
    if kinds <= {int, float} or (kinds <= {int, float, str} and _are_tokens(values)):
        # The tokens of what is not finite stand among numbers.
        return pa.array([float(v) if isinstance(v, str) else v for v in values], FLOAT)
    raise ValueError("holds values of several kinds")


def _json_whole(values: Sequence[int | None]) -> pa.Array:
    present = [value for value in values if value is not None]
    is_big = max(present) > _INT64_MAX
    if is_big and min(present) < 0:
        raise ValueError("holds whole numbers that need more than 64 bits")
    return pa.array(values, pa.uint64() if is_big else pa.int64())


def _are_tokens(values: Sequence[Any]) -> bool:
    return {value for value in values if isinstance(value, str)} <= _TOKENS


def _json_lists(values: Sequence[list[Any] | None], kind: pa.DataType | None) -> pa.Array:
    inner = kind.value_type if kind is not None and pa.types.is_list(kind) else None
    found = _json_column([value for row in values for value in row or ()], inner)
    ends = accumulate((len(row or ()) for row in values), initial=0)
    # A list begins where the one before it ends; a missing one begins nowhere.
    rows = [*values, []]
    begins = [None if row is None else end for row, end in zip(rows, ends, strict=True)]
    return pa.ListArray.from_arrays(pa.array(begins, pa.int32()), found)


def _json_objects(values: Sequence[dict[str, Any] | None]) -> pa.Array:
    names = list(dict.fromkeys(name for row in values for name in row or ()))
    if not names:
        return pa.array(values, pa.struct([]))
    fields = [_json_column([(row or {}).get(n) for row in values], None) for n in names]
    is_missing = pa.array([row is None for row in values])
    return pa.StructArray.from_arrays(fields, names, mask=is_missing)
