"""Flat rows → a table: the types of what is not declared, and where rows wait."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from swanlab_export import schemas
from swanlab_export.errors import OutputError
from swanlab_export.normalizers.rows import build_table
from swanlab_export.report import Report
from swanlab_export.schemas import Column, TableSchema

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

THINGS = TableSchema(
    "things",
    "one row per thing",
    (
        Column("name", schemas.TEXT, "what it is called"),
        Column("size", schemas.INT, "how large it is"),
    ),
    families=("b.", "a."),
)
MOST = 2**63 - 1
EXACT = 2**53  # up to here floats hold every integer


@pytest.mark.parametrize(
    ("values", "arrow_type", "found"),
    [
        ([None, None], schemas.TEXT, [None, None]),
        ([None, True], schemas.BOOL, [None, True]),
        ([None, 1], schemas.INT, [None, 1]),
        ([None, 0.5], schemas.FLOAT, [None, 0.5]),
        ([None, "x"], schemas.TEXT, [None, "x"]),
        ([MOST, -MOST - 1], schemas.INT, [MOST, -MOST - 1]),
        ([MOST + 1, 1], schemas.TEXT, [str(MOST + 1), "1"]),
        ([-MOST - 2, 1], schemas.TEXT, [str(-MOST - 2), "1"]),
        ([1, 0.5], schemas.FLOAT, [1.0, 0.5]),
        ([EXACT, 0.5], schemas.FLOAT, [float(EXACT), 0.5]),
        ([-EXACT, 0.5], schemas.FLOAT, [float(-EXACT), 0.5]),
        ([EXACT + 1, 0.5], schemas.TEXT, [str(EXACT + 1), "0.5"]),
        ([-EXACT - 1, 0.5], schemas.TEXT, [str(-EXACT - 1), "0.5"]),
        ([EXACT + 1, 1], schemas.INT, [EXACT + 1, 1]),
        ([True, 1], schemas.TEXT, ["true", "1"]),
        ([True, 0.5], schemas.TEXT, ["true", "0.5"]),
        ([1, "x"], schemas.TEXT, ["1", "x"]),
        ([[1], {}], schemas.TEXT, ["[1]", "{}"]),
    ],
)
def test_an_undeclared_column_holds_every_value_exactly(
    values: list[Any], arrow_type: pa.DataType, found: list[Any]
) -> None:
    """Its type is the narrowest that all values fit unrounded, in whatever order they come."""
    for given, expected in ((values, found), (values[::-1], found[::-1])):
        column = build_table(THINGS, [{"odd": value} for value in given], Report()).to_arrow()[
            "odd"
        ]
        assert column.type == arrow_type
        assert column.to_pylist() == expected


def test_the_order_of_columns() -> None:
    """Declared ones, then families in their order, then all others; by the alphabet in each."""
    table = build_table(THINGS, [{"z": 1, "a.2": 1, "b.9": 1, "a.1": 1, "c": 1}], Report())
    assert table.schema.names == ["name", "size", "b.9", "a.1", "a.2", "c", "z"]


@pytest.mark.parametrize(
    ("rows", "arrow_type"),
    [
        ([], schemas.FLOAT),
        ([{}], schemas.FLOAT),
        ([{"b.loss": None}], schemas.FLOAT),
        ([{"b.loss": 1}], schemas.FLOAT),
        ([{"b.loss": "x"}], schemas.TEXT),
    ],
)
def test_an_expected_column_is_there_without_values(
    rows: list[dict[str, Any]], arrow_type: pa.DataType
) -> None:
    """It is one of floats, unless a row holds something that is none."""
    table = build_table(THINGS, rows, Report(), expected=["b.loss"])
    assert table.schema.names == ["name", "size", "b.loss"]
    assert table.to_arrow()["b.loss"].type == arrow_type


@pytest.mark.parametrize("count", [0, 1, 999])
def test_a_short_table_never_touches_the_disk(
    count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Up to a thousand rows wait in memory: no temporary folder is needed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    rows = [{"name": str(i), "size": i} for i in range(count)]
    assert build_table(THINGS, rows, Report()).to_arrow().to_pylist() == rows
    with pytest.raises(OutputError, match=r"^the temporary folder cannot be written to \(No such"):
        build_table(THINGS, rows + [{"name": "one more"}] * 1000, Report())


def test_large_rows_wait_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows of a few megabytes are written to the disk, however few there are, and come back."""
    rows = [{"name": str(i), "b.profile": str(i) * 300_000, "size": i} for i in range(60)]
    table = build_table(THINGS, rows, Report())
    batches = list(table)
    assert len(batches) > 1
    assert max(batch.nbytes for batch in batches) < 12_000_000
    assert table.to_arrow().to_pylist() == [
        {"name": row["name"], "size": row["size"], "b.profile": row["b.profile"]} for row in rows
    ]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"^the temporary folder cannot be written to"):
        build_table(THINGS, rows, Report())


def test_odd_values_are_null_and_counted() -> None:
    """A value that is not of its declared type is null in its row; the others stay."""
    report = Report()
    rows = [{"size": size} for size in (1, "x", 2.5, None, "", 4)]
    table = build_table(THINGS, rows, report)
    assert table.to_arrow()["size"].to_pylist() == [1, None, None, None, None, 4]
    (said,) = report.all_warnings()
    assert said.startswith("3 values of size ")
    assert "'x'" in said


def test_names_that_differ_only_in_case() -> None:
    """All of them stay, with one warning per table that names them."""
    report = Report()
    rows = [{"b.Model": 1, "b.model": 2, "NAME": 3}, {"b.Model": 4}]
    assert build_table(THINGS, rows, report).to_arrow()["b.Model"].to_pylist() == [1, 4]
    (said,) = report.warnings
    assert said == (
        "names of columns differ only in upper and lower case: 'name' and 'NAME'; "
        "'b.Model' and 'b.model'"
    )
    many = {name: 1 for i in range(7) for name in (f"k{i}", f"K{i}")}
    report = Report()
    build_table(THINGS, [many], report)
    (said,) = report.warnings
    assert said.endswith("'K4' and 'k4'; and 2 more")
