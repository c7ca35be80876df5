"""What is written reads back equal, in every format, with the readers that people have."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swanlab_export import schemas
from swanlab_export.files import parse_target, write_table
from swanlab_export.frames import to_frame
from swanlab_export.tables import Table

SCHEMA = pa.schema(
    [
        ("text", schemas.TEXT),
        ("integer", schemas.INT),
        ("number", schemas.FLOAT),
        ("truth", schemas.BOOL),
        ("time", schemas.TIME),
        ("names", schemas.TEXTS),
    ]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(
    st.tuples(
        st.none() | TEXT,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 4_000_000_000_000),
        st.none() | st.lists(st.none() | TEXT, max_size=3),
    ),
    max_size=12,
)
TOKENS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
round_trip = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


def table_of(rows: list[tuple[Any, ...]]) -> Table:
    """A table of one batch."""
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(list(c), field.type) for c, field in zip(columns, SCHEMA, strict=True)]
    return Table("runs", SCHEMA, [pa.record_batch(arrays, schema=SCHEMA)])


def written(rows: list[tuple[Any, ...]], extension: str, folder: str) -> Path:
    """The file of a table."""
    return Path(write_table(table_of(rows), parse_target(f"{folder}/t.{extension}"), {}).path)


def same(one: Any, other: Any) -> bool:
    """Compare, with NaN equal to itself."""
    return repr(one) == repr(other)


@round_trip
@given(ROWS)
def test_parquet_and_feather(rows: list[tuple[Any, ...]]) -> None:
    """NaN, infinities, missing, empty, unicode and controls are the same for Arrow and pandas."""
    wanted = table_of(rows).to_arrow()
    with tempfile.TemporaryDirectory() as folder:
        parquet, feather = (written(rows, kind, folder) for kind in ("parquet", "feather"))
        arrow = [pq.read_table(parquet), pa.ipc.open_file(feather).read_all()]
        pandas = [pd.read_parquet(parquet), pd.read_feather(feather)]
    for table in arrow:
        assert table.schema.equals(SCHEMA)
        assert same(table.to_pylist(), wanted.to_pylist())
    for frame in pandas:
        pd.testing.assert_frame_equal(frame, to_frame(table_of(rows), "pandas", {}))


def parsed(value: Any, field: pa.Field) -> Any:
    """The value that a JSON value stands for."""
    if value is None:
        return None
    if field.type == schemas.FLOAT:
        return TOKENS[value] if isinstance(value, str) else float(value)
    if field.type == schemas.TIME:
        return pd.Timestamp(value).value // 1_000_000
    return value


@pytest.mark.parametrize("extension", ["json", "jsonl", "json.zst", "jsonl.gz"])
@round_trip
@given(ROWS)
def test_json(extension: str, rows: list[tuple[Any, ...]]) -> None:
    """Python's own parser gives every cell; lists are lists, and what is not finite is a token."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(rows, extension, folder)
        if extension.endswith(".zst"):
            content = pa.CompressedInputStream(str(path), "zstd").read()
        else:
            content = (
                gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            )
    lines = content.decode().splitlines() if extension.startswith("jsonl") else []
    found = [json.loads(line) for line in content.decode().split("\n")[:-1]] if lines else []
    if not extension.startswith("jsonl"):
        found = json.loads(content)
    assert [list(record) for record in found] == [SCHEMA.names] * len(rows)
    values = [
        tuple(parsed(value, field) for value, field in zip(each.values(), SCHEMA, strict=True))
        for each in found
    ]
    assert same(values, rows)


def cell_of(value: Any, field: pa.Field) -> Any:
    """The value that a CSV cell stands for; an empty cell is missing unless it is text."""
    if field.type == schemas.BOOL:
        return value == "true"
    if field.type == schemas.INT:
        return int(value)
    if field.type == schemas.FLOAT:
        return float(value)
    if field.type == schemas.TIME:
        return pd.Timestamp(value).value // 1_000_000
    return json.loads(value) if field.type == schemas.TEXTS else value


@pytest.mark.parametrize(("extension", "separator"), [("csv", ","), ("tsv", "\t"), ("csv.gz", ",")])
@round_trip
@given(ROWS)
def test_csv(extension: str, separator: str, rows: list[tuple[Any, ...]]) -> None:
    """Python's own parser gives every cell, and lists as JSON; NaN and missing stay apart."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(rows, extension, folder)
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = content.decode().replace("\0", "\ufffd")  # which the parser of Python 3.11 refuses
    header, *found = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    assert header == SCHEMA.names
    for cells, row in zip(found, rows, strict=True):
        for cell, value, field in zip(cells, row, SCHEMA, strict=True):
            if value is None:
                assert not cell
            else:
                wanted = value.replace("\0", "\ufffd") if isinstance(value, str) else value
                assert same(cell_of(cell, field), wanted)


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)
FILLED = st.lists(
    st.tuples(
        st.none() | PLAIN.filter(lambda text: text not in {"NaN", "inf", "-inf"}),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 4_000_000_000_000),
        st.none() | st.lists(PLAIN, max_size=3),
    ),
    min_size=1,
    max_size=12,
)


@round_trip
@given(FILLED)
def test_csv_in_pandas_and_polars(rows: list[tuple[Any, ...]]) -> None:
    """Both read the same numbers, truth values and text, to the last digit, and what is missing."""
    dtypes = {"text": str, "integer": "Int64", "number": "float64", "truth": "boolean"}
    types = {"text": pl.String, "integer": pl.Int64, "number": pl.Float64, "truth": pl.Boolean}
    with tempfile.TemporaryDirectory() as folder:
        path = written(rows, "csv", folder)
        frame = pd.read_csv(
            path,
            dtype=dtypes,  # type: ignore[arg-type]
            keep_default_na=False,
            na_values={name: [""] for name in ("integer", "truth")} | {"number": ["", "NaN"]},
        )
        other = pl.read_csv(path, schema_overrides=types)
    for place, name in enumerate(("text", "integer", "number", "truth")):
        wanted = [row[place] for row in rows]
        assert same(other[name].to_list(), wanted)
        if name == "text":
            wanted = [value or "" for value in wanted]
        elif name == "number":
            wanted = [math.nan if value is None else value for value in wanted]
        else:
            wanted = [pd.NA if value is None else value for value in wanted]
        assert same(frame[name].tolist(), wanted)
