"""Files read back by pandas, polars and DuckDB alone give the frames that the API gives."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swanlab_export import schemas
from swanlab_export.errors import UsageError
from swanlab_export.files import parse_target, write_table
from swanlab_export.frames import check_frame, to_frame
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = {"host": "https://swanlab.cn", "options": {"keys": ["loss"]}, "fetched_at_ms": 1}
METRICS = schemas.METRICS
TABLES = [
    *schemas.DECLARED,
    replace(METRICS, columns=(*METRICS.columns, schemas.X)),
    replace(METRICS, columns=(*METRICS.columns, schemas.X_TIME)),
    replace(schemas.MEDIAS, columns=(*schemas.MEDIAS.columns, *schemas.MEDIA_FILES)),
]
IDS = [f"{declared.name}-{len(declared.columns)}" for declared in TABLES]
# Undeclared columns, as configurations bring them.
EXTRA = {
    "config.seed": schemas.INT,
    "config.lr": schemas.FLOAT,
    "config.is_debug": schemas.BOOL,
    "config.名字": schemas.TEXT,
}
VALUES: dict[pa.DataType, list[Any]] = {
    schemas.TEXT: ["run-a", "", None, "é\n", "run-a"],
    schemas.INT: [2**53 + 1, -(2**63), None, 2**63 - 1, 0],
    schemas.FLOAT: [0.1, float("nan"), None, float("inf"), float("-inf")],
    schemas.BOOL: [True, False, None, True, False],
    schemas.TIME: [0, 253_402_300_799_999, None, -1, 1_767_600_000_123],
    schemas.TEXTS: [["a", "é"], [], None, ["", "b"], ["c"]],
}
CASES = {"no rows": [], "one row": [0], "one row of nulls": [2], "rows": [0, 1, 2, 3, 4]}


def table_of(declared: schemas.TableSchema, rows: list[int]) -> Table:
    """A declared table with extra columns and with some of the rows of ``VALUES``."""
    extra = [] if declared.is_closed else [pa.field(*each) for each in EXTRA.items()]
    schema = pa.schema([*declared.arrow(), *extra])
    arrays = []
    for field in schema:
        values = [VALUES[field.type][row] for row in rows]
        cells = values if field.nullable else [0 if each is None else each for each in values]
        arrays.append(pa.array(cells, field.type))
    return Table(declared.name, schema, [pa.record_batch(arrays, schema=schema)])


def save(table: Table, folder: Path, name: str) -> str:
    """Save a table, and give the name of the file."""
    return str(write_table(table, parse_target(str(folder / name)), SOURCE).path)


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
@pytest.mark.parametrize("declared", TABLES, ids=IDS)
def test_files_read_back_as_the_frames_of_the_api(
    declared: schemas.TableSchema, rows: list[int], tmp_path: Path
) -> None:
    """Values, types, columns and index are equal in Parquet, Feather and frames of every table."""
    table = table_of(declared, rows)
    frame = to_frame(table, "pandas", SOURCE)
    parquet, feather = (save(table, tmp_path, f"t.{kind}") for kind in ("parquet", "feather"))
    for found in (pd.read_parquet(parquet), pd.read_feather(feather)):
        pd.testing.assert_frame_equal(found, frame, check_column_type=True)
    assert frame.shape == (len(rows), len(table.schema))
    assert list(frame.columns) == table.schema.names
    assert list(frame.index) == list(range(len(rows)))
    polars.testing.assert_frame_equal(pl.read_parquet(parquet), to_frame(table, "polars", SOURCE))


@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
@pytest.mark.parametrize("declared", TABLES, ids=IDS)
def test_types_in_pandas_follow_the_schema(declared: schemas.TableSchema, rows: list[int]) -> None:
    """A column has the same type whatever its values are; only an own number is a plain int64."""
    own = {"item", "start", "rows"}
    types = {
        schemas.TEXT: pd.Series(["a"]).dtype,
        schemas.INT: pd.Int64Dtype(),
        schemas.FLOAT: "float64",
        schemas.BOOL: pd.BooleanDtype(),
        schemas.TIME: pd.DatetimeTZDtype("ms", "UTC"),
        schemas.TEXTS: "object",
    }
    table = table_of(declared, rows)
    frame = to_frame(table, "pandas", {})
    for field in table.schema:
        expected = "int64" if field.name in own else types[field.type]
        assert frame[field.name].dtype == expected, field.name


def test_values_in_pandas_are_exact() -> None:
    """Integers have all digits, missing ones are NA, and missing floats are NaN as NaN is."""
    frame = to_frame(table_of(schemas.SUMMARY, [0, 1, 2, 3, 4]), "pandas", {})
    assert frame["step"].tolist() == [2**53 + 1, -(2**63), pd.NA, 2**63 - 1, 0]
    assert frame["value"].isna().tolist() == [False, True, True, False, False]
    assert frame["value"].tolist()[3:] == [float("inf"), float("-inf")]


def test_encoded_batches_are_decoded(tmp_path: Path) -> None:
    """Text that is dictionary-encoded within the program is plain text in files and frames."""
    plain = table_of(METRICS, [0, 1, 4])
    encoded = [
        pa.record_batch(
            [c.dictionary_encode() if c.type == schemas.TEXT else c for c in batch.columns],
            names=batch.schema.names,
        )
        for batch in plain
    ]
    table = Table("metrics", plain.schema, [*encoded, *plain])
    parquet, feather = (save(table, tmp_path, f"t.{kind}") for kind in ("parquet", "feather"))
    assert pq.read_schema(parquet).equals(plain.schema)
    frame = to_frame(table, "pandas", SOURCE)
    assert frame["run_id"].tolist() == ["run-a", "", "run-a"] * 2
    for found in (pd.read_parquet(parquet), pd.read_feather(feather)):
        pd.testing.assert_frame_equal(found, frame, check_column_type=True)
    polars.testing.assert_frame_equal(pl.read_parquet(parquet), to_frame(table, "polars", SOURCE))
    query = f"select run_id, key, step, typeof(run_id) from '{parquet}'"
    assert duckdb.execute(query).fetchall() == [
        (name, name, step, "VARCHAR")
        for name, step in zip(frame["run_id"], frame["step"], strict=True)
    ]
    for batch in to_frame(table, "batches", SOURCE):
        assert batch.schema.equals(plain.schema)


def test_files_say_where_they_are_from(tmp_path: Path) -> None:
    """The metadata hold the table's name, the source, and meaning and unit of each column."""
    path = save(table_of(METRICS, [0]), tmp_path, "t.parquet")
    schema = pq.read_schema(path)
    assert json.loads(schema.metadata[b"swanlab_export"]) == {"table": "metrics", "source": SOURCE}
    assert schema.field("timestamp").metadata == {
        b"meaning": b"when the point was logged",
        b"unit": b"UTC",
    }


def test_frames_say_where_they_are_from() -> None:
    """Pandas has source, table and total in ``.attrs``, Arrow and batches the metadata of files."""
    table = Table("metrics", METRICS.arrow(), [], total=7)
    attrs = SOURCE | {"table": "metrics", "total": 7}
    assert to_frame(table, "pandas", SOURCE).attrs == attrs
    found = to_frame(table_of(METRICS, [0]), "arrow", SOURCE)
    (batch,) = to_frame(table_of(METRICS, [0]), "batches", SOURCE)
    for schema in (found.schema, batch.schema):
        held = json.loads(schema.metadata[b"swanlab_export"])
        assert held == {"table": "metrics", "source": SOURCE}
    pd.testing.assert_frame_equal(found.to_pandas(), to_frame(table_of(METRICS, [0]), "pandas", {}))


def test_batches_are_made_when_they_are_read() -> None:
    """Nothing is asked of a table before its first batch is read, and then no more than that."""
    asked = []

    def batches() -> Any:
        for number in range(3):
            asked.append(number)
            yield from table_of(METRICS, [0])

    frame = to_frame(Table("metrics", METRICS.arrow(), batches()), "batches", {})
    assert asked == []
    assert next(frame).num_rows == 1
    assert asked == [0]


def test_a_kind_of_frame_that_does_not_exist_is_refused() -> None:
    """The message names those that do."""
    with pytest.raises(
        UsageError, match="frame= is one of pandas, arrow, polars, batches, not 'x'"
    ):
        check_frame("x")
    for kind in ("pandas", "arrow", "polars", "batches"):
        check_frame(kind)


def test_names_that_libraries_find_odd_are_kept() -> None:
    """Empty names, names with a null character or of two columns in other cases stay as they are."""
    schema = pa.schema([(name, schemas.INT) for name in ("", "a\0b", "step", "Step")])
    table = Table("runs", schema, [pa.record_batch([[1], [2], [3], [4]], schema=schema)])
    for kind in ("pandas", "polars"):
        assert list(to_frame(table, kind, {}).columns) == schema.names


WITH_RUN = [each for each in schemas.DECLARED if "run_id" in each.names]


@pytest.mark.parametrize("other", WITH_RUN, ids=[each.name for each in WITH_RUN])
def test_tables_join_without_a_cast(other: schemas.TableSchema, tmp_path: Path) -> None:
    """Metrics join any table of runs, by run and where it has one by key, in every library."""
    on = [name for name in ("run_id", "key") if name in other.names]
    left, right = table_of(METRICS, [0]), table_of(other, [0]).select(on)
    one, two = (save(each, tmp_path, f"{i}.parquet") for i, each in enumerate((left, right)))
    assert pd.read_parquet(one).merge(pd.read_parquet(two), on=on)["value"].tolist() == [0.1]
    assert pl.read_parquet(one).join(pl.read_parquet(two), on=on)["value"].to_list() == [0.1]
    query = f"select value from '{one}' join '{two}' using ({', '.join(on)})"
    assert duckdb.execute(query).fetchall() == [(0.1,)]


def test_duckdb_reads_the_values(tmp_path: Path) -> None:
    """Integers, missing values, NaN, infinities, times and lists are what they were."""
    path = save(table_of(schemas.RUNS, [0, 1, 2, 3]), tmp_path, "t.parquet")
    query = (
        f"""select "config.seed", duration_s, "show", epoch_ms(created_at), labels from '{path}'"""
    )
    rows = duckdb.execute(query).fetchall()
    assert [row[0] for row in rows] == [2**53 + 1, -(2**63), None, 2**63 - 1]
    assert [str(row[1]) for row in rows] == ["0.1", "nan", "None", "inf"]
    assert [row[2] for row in rows] == [True, False, None, True]
    assert [row[3] for row in rows] == [0, 253_402_300_799_999, None, -1]
    assert [row[4] for row in rows] == [["a", "é"], [], None, ["", "b"]]
