"""Readers that know nothing of this program, and requests that a backup costs."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import swanlab_export as se
from swanlab_export.backups.destination import open_destination
from swanlab_export.backups.parquet import write_rows
from swanlab_export.schemas import STORED_METRICS

if TYPE_CHECKING:
    from backup_support import Nights
    from living import LivingData

README = Path(__file__).parents[2] / "README.md"
TABLES = ["runs", "configs", "summary", "columns", "metrics", "logs", "medias"]
NUMBERS = {"configs": "float", "summary": "value", "metrics": "value", "medias": "size_bytes"}


def read_pandas(folder: Path, number: str | None) -> tuple[int, float]:
    """Count rows, and sum a column."""
    frame = pd.read_parquet(folder)
    return len(frame), 0.0 if number is None else float(frame[number].sum())


def read_polars(folder: Path, number: str | None) -> tuple[int, float]:
    """The same, lazily."""
    frame = pl.scan_parquet(folder / "**" / "*.parquet")
    total = pl.lit(0.0) if number is None else pl.col(number).sum().cast(pl.Float64)
    row = frame.select(pl.len().alias("n"), total.alias("sum")).collect().row(0)
    return row[0], row[1]


def read_duckdb(folder: Path, number: str | None) -> tuple[int, float]:
    """The same in SQL."""
    total = "0.0" if number is None else f'coalesce(sum("{number}"), 0)'
    query = f"SELECT count(*), {total} FROM '{folder}/**/*.parquet'"
    (row,) = duckdb.connect().execute(query).fetchall()
    return row[0], float(row[1])


def read_dataset(folder: Path, number: str | None) -> tuple[int, float]:
    """The same with pyarrow."""
    table = ds.dataset(folder).to_table()
    total = 0.0 if number is None else pc.sum(table[number], min_count=0).as_py()
    return table.num_rows, float(total)


@pytest.mark.parametrize("name", TABLES)
def test_every_reader_sees_the_same_rows(ended: Nights, name: str) -> None:
    """pandas, polars, DuckDB and pyarrow agree, without options and without this program."""
    folder = ended.folder / "tables" / name
    readers: list[Any] = [read_pandas, read_polars, read_duckdb, read_dataset]
    found = [reader(folder, NUMBERS.get(name)) for reader in readers]
    assert found[0][0] >= 2
    assert [count for count, _ in found] == [found[0][0]] * 4
    assert [total for _, total in found] == [pytest.approx(found[0][1])] * 4


def read_with_pandas(folder: Path) -> tuple[int, float]:
    """Count rows, and sum values."""
    return read_pandas(folder, "value")


def read_with_arrow(folder: Path) -> tuple[int, float]:
    """The same with pyarrow."""
    return read_dataset(folder, "value")


def read_with_duckdb(folder: Path) -> tuple[int, float]:
    """The same in SQL, over what pyarrow opens: DuckDB itself opens a file twice in a query."""
    with duckdb.connect() as connection:
        connection.register("metrics", ds.dataset(folder))
        (row,) = connection.execute("SELECT count(*), sum(value) FROM metrics").fetchall()
    return row[0], row[1]


def read_with_polars(folder: Path) -> tuple[int, float]:
    """The same lazily, over what pyarrow opens."""
    frame = pl.scan_pyarrow_dataset(ds.dataset(folder))
    row = frame.select(pl.len().alias("n"), pl.col("value").sum().alias("sum")).collect().row(0)
    return row[0], row[1]


READERS = [read_with_pandas, read_with_arrow, read_with_duckdb, read_with_polars]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_readers_see_one_version_while_objects_are_replaced(reader: Any, tmp_path: Path) -> None:
    """Each time the old rows or the new ones, and no mixture of them."""
    if sys.platform == "win32":
        pytest.skip("Windows replaces no file that is open")
    versions = [metrics_of(number) for number in range(1, 5)]
    expected = {(table.num_rows, pc.sum(table["value"]).as_py()) for table in versions}
    destination = open_destination(tmp_path)
    ended = threading.Event()

    def put(table: pa.Table) -> None:
        path = "tables/metrics/lab/digits/one.parquet"
        write_rows(destination, path, table.schema, table.to_batches())

    def replace() -> None:
        while not ended.is_set():
            for table in versions:
                put(table)

    put(versions[0])
    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(20):
            assert reader(tmp_path / "tables" / "metrics") in expected
    finally:
        ended.set()
        thread.join()


def metrics_of(number: int) -> pa.Table:
    """A version of a run's metrics; each has another number of rows, and other values."""
    rows = 1000 + 137 * number
    values = [float((row * 7919 + number * 31) % 1009) for row in range(rows)]
    columns: dict[str, Any] = {
        "project_id": ["p"] * rows,
        "run_id": ["one"] * rows,
        "key": ["loss"] * rows,
        "step": list(range(rows)),
        "value": values,
        "timestamp": [1000 * row + number for row in range(rows)],
        "text": [None] * rows,
    }
    schema = STORED_METRICS.arrow()
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def test_rows_of_metrics_are_in_order(ended: Nights) -> None:
    """By key, then by step; and pandas gives nullable integers."""
    frame = pd.read_parquet(ended.folder / "tables/metrics/lab/digits/one.parquet")
    expected = frame.sort_values(["key", "step"], kind="stable")
    pd.testing.assert_frame_equal(frame, expected)
    assert str(frame["step"].dtype) == "Int64"
    assert frame["key"].unique().tolist() == ["__swanlab__.cpu", "acc", "loss"]


def test_what_a_run_costs(world: LivingData, nights: Nights) -> None:
    """Seven requests for up to 16 keys, with media two more and one per file."""
    world.start("plain")
    world.log_many("plain", 3, *(f"k{i}" for i in range(16)))
    world.print_line("plain", "epoch 1")
    nights.run()
    nights.sandbox.reset_log()
    world.start("another")
    world.log_many("another", 3, *(f"k{i}" for i in range(16)))
    world.show("another", "image", 1, b"png")
    world.finish("plain")
    world.wait(days=1)
    nights.run()
    paths = [request.path for request in nights.sandbox.requests]
    of_runs = [path for path in paths if "/project/" not in path or "/runs/" in path]
    fixed = {"/user/profile", "/user/ada/groups"}
    counted = [path for path in of_runs if path not in fixed]
    # The summaries of both runs come in one request.
    assert len(counted) == 1 + 7 + 7 + 3


def test_status_and_diff(world: LivingData, ended: Nights) -> None:
    """What the backup holds, and what changed between two nights."""
    from swanlab_export.api.outputs import FrameOutput
    from swanlab_export.backups.reports import diff, status

    world.log("one", 99, loss=0.5)
    world.edit("two", name="better")
    world.start("three")
    ended.run()
    output = FrameOutput("arrow")
    with pytest.warns(se.SwanlabExportWarning, match="the last backup ended"):
        (row,) = status(output, ended.folder).to_pylist()
    assert (row["path"], row["runs"], row["unfinished"]) == ("lab/digits", 3, 1)
    with pytest.warns(se.SwanlabExportWarning, match="3 runs differ"):
        rows = diff(output, ended.folder).to_pylist()
    found = {row["run_id"]: (row["change"], row["fields"], row["points"]) for row in rows}
    assert found["three"] == ("added", [], 0)
    assert found["two"] == ("changed", ["name"], 0)
    assert found["one"] == ("changed", ["summary", "metrics"], 1)
    snapshots = status(output, ended.folder, has_snapshots=True)
    assert snapshots["fetched"].to_pylist() == [2, 3]
    world.delete("one")
    ended.run()
    with pytest.warns(se.SwanlabExportWarning, match="1 runs differ"):
        rows = diff(output, ended.folder).to_pylist()
    assert [(row["run_id"], row["change"]) for row in rows] == [("one", "gone")]


def test_objects_are_joined_as_the_readme_says(ended: Nights) -> None:
    """The recipe of the README makes one file of the points of all runs, in order."""
    text = README.read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```sql\n(COPY [^`]* 's3://bucket/prefix[^`]*)```", text)
    joined = ended.folder.parent / "joined.parquet"
    query = recipe.replace("s3://bucket/prefix", str(ended.folder)).replace(
        "TO 'metrics.parquet'", f"TO '{joined}'"
    )
    duckdb.connect().execute(query)
    rows = [(row["key"], row["run_id"], row["step"]) for row in ended.table("metrics")]
    found = pq.read_table(joined, columns=["key", "run_id", "step"]).to_pylist()
    assert [tuple(row.values()) for row in found] == sorted(rows)
    assert len({run_id for _, run_id, _ in rows}) == 2
