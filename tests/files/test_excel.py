"""Excel workbooks: what the cells hold, and what a sheet cannot hold."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from typing import TYPE_CHECKING, Any

import openpyxl
import pyarrow as pa
import pytest
from openpyxl.utils.escape import unescape

from swanlab_export.errors import OutputError
from swanlab_export.files import parse_target, write_table
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import swanlab_export as se


def of(columns: dict[str, Any]) -> Table:
    """A table of one batch."""
    batch = pa.record_batch(columns)
    return Table("metrics", batch.schema, [batch])


def cells_of(path: Path) -> list[list[Any]]:
    """The cells of the only sheet of a workbook."""
    (sheet,) = openpyxl.load_workbook(path).worksheets
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


def saved(columns: dict[str, Any], folder: Path) -> list[list[Any]]:
    """The cells of a table that was saved."""
    path = folder / "x.xlsx"
    write_table(of(columns), parse_target(str(path)), {})
    return cells_of(path)


def test_values_have_the_types_of_excel(tmp_path: Path) -> None:
    """Numbers, booleans and dates are what they are; lists are JSON; missing cells are empty."""
    times = pa.array([1_767_225_600_123, None], pa.timestamp("ms", "UTC"))
    columns = {
        "text": ["学习率", None],
        "step": [7, None],
        "value": [0.1, None],
        "ok": [True, None],
        "at": times,
        "labels": pa.array([["a", "b"], None], pa.list_(pa.string())),
    }
    header, first, *rest = saved(columns, tmp_path)
    assert header == list(columns)
    at = datetime(2026, 1, 1, 0, 0, 0, 123_000)  # noqa: DTZ001  Excel has no zones
    assert first == ["学习率", 7, 0.1, True, at, '["a","b"]']
    assert rest == []


@pytest.mark.parametrize(
    "text",
    ["=1+1", '=HYPERLINK("http://x")', "+1", "@SUM(1)", "https://swanlab.cn", "mailto:a@b",
     "{=A1}", "00123", "1e5", "TRUE", "2026-01-01", "a\x00b\x1b", "_x0041_", " x ", "a\nb"],
)  # fmt: skip
def test_text_stays_text(text: str, tmp_path: Path) -> None:
    """No text becomes a formula, a link, a number or a date, and none is changed."""
    path = tmp_path / "x.xlsx"
    write_table(of({"name": [text]}), parse_target(str(path)), {})
    (sheet,) = openpyxl.load_workbook(path).worksheets
    cell = sheet["A2"]
    # Excel has escapes for characters that XML has not.
    assert ascii(unescape(cell.value)) == ascii(text)
    assert cell.data_type == "s"
    assert cell.hyperlink is None


def test_what_excel_would_change_is_text(tmp_path: Path) -> None:
    """Integers of more than 15 digits, NaN, infinities and times before 1900 keep their text."""
    columns = {
        "seed": [2**53 + 1, -(10**15)],
        "value": [float("nan"), float("-inf")],
        "at": pa.array([-3_000_000_000_000, 0], pa.timestamp("ms", "UTC")),
    }
    rows = saved(columns, tmp_path)[1:]
    assert rows[0] == ["9007199254740993", "NaN", "1874-12-07T18:40:00.000Z"]
    assert rows[1] == ["-1000000000000000", "-inf", datetime(1970, 1, 1)]  # noqa: DTZ001
    (row,) = saved({"value": [1.7976931348623157e308]}, tmp_path)[1:]
    assert row == ["1.7976931348623157e+308"], "no number of 16 digits is that large"


def test_more_rows_than_a_sheet_has(tmp_path: Path) -> None:
    """A row too many is an error that names Parquet, and the old file stays."""
    path = tmp_path / "x.xlsx"
    path.write_bytes(b"old")

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"step": [1]})
        yield pa.record_batch({"step": pa.array(range(1_048_575), pa.int64())})

    table = Table("metrics", pa.schema([("step", pa.int64())]), batches())
    with pytest.raises(OutputError, match=r"1,048,576: save it as \.parquet"):
        write_table(table, parse_target(str(path)), {})
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["x.xlsx"]


def test_more_columns_than_a_sheet_has(tmp_path: Path) -> None:
    """A column too many is an error that names Parquet; as many as there are fit."""
    schema = pa.schema([(str(i), pa.int64()) for i in range(16_385)])
    with pytest.raises(OutputError, match=r"16,385 columns, .* 16,384: save it as \.parquet"):
        write_table(Table("t", schema, []), parse_target(str(tmp_path / "x.xlsx")), {})
    full = Table("t", pa.schema(list(schema)[:-1]), [])
    assert write_table(full, parse_target(str(tmp_path / "x.xlsx")), {}).columns == 16_384


def test_a_text_longer_than_a_cell(tmp_path: Path) -> None:
    """It is not cut silently: the error names the column and Parquet."""
    with pytest.raises(OutputError, match=r"32,768 characters in 'message'.*\.parquet"):
        saved({"message": ["x" * 32_768]}, tmp_path)
    assert saved({"message": ["x" * 32_767]}, tmp_path)[1] == ["x" * 32_767]


def test_a_folder_that_vanishes_meanwhile(tmp_path: Path) -> None:
    """Where the workbook cannot be opened at the end, the message names it as for other formats."""
    folder = tmp_path / "results"
    folder.mkdir()

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"step": [1]})
        shutil.rmtree(folder)

    table = Table("metrics", pa.schema([("step", pa.int64())]), batches())
    with pytest.raises(OutputError, match=r"x\.xlsx'.*missing"):
        write_table(table, parse_target(str(folder / "x.xlsx")), {})


def test_equal_tables_give_equal_files(tmp_path: Path) -> None:
    """No time of writing is in the file."""
    for name in ("a.xlsx", "b.xlsx"):
        write_table(of({"step": [1]}), parse_target(str(tmp_path / name)), {})
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_a_table_of_the_api(api: se.Api[pa.Table], tmp_path: Path) -> None:
    """Runs with their configs are saved, row by row, as the frame has them."""
    expected = api.run.list("ada-lab/digits")
    path = api.using(save=tmp_path / "runs.xlsx").run.list("ada-lab/digits")
    header, *rows = cells_of(path)
    assert header == expected.column_names
    assert [row[0] for row in rows] == expected.column(0).to_pylist()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files are removed, also after an error."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    saved({"message": ["x"]}, tmp_path)
    with pytest.raises(OutputError):
        saved({"message": ["x" * 32_768]}, tmp_path)
    assert list(folder.iterdir()) == []
    assert [path.name for path in tmp_path.glob("*x*")] == ["x.xlsx"]


def test_without_the_library_the_message_says_what_to_install() -> None:
    """The library is looked for before anything is sent."""
    code = (
        "import importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'xlsxwriter' else found(name, *a)\n"
        "from swanlab_export.files import parse_target\n"
        "parse_target('x.xlsx')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install xlsxwriter" in done.stderr
