"""Row groups, and text of odd tables."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swanlab_export import schemas
from swanlab_export.errors import OutputError
from swanlab_export.tables import Table
from swanlab_export.writers import parse_target, write_table, write_text
from swanlab_export.writers.columnar import ROW_GROUP_ROWS
from swanlab_export.writers.reading import read_table

if TYPE_CHECKING:
    from pathlib import Path


def of(columns: dict[str, list[Any]], *, is_single: bool = False) -> Table:
    """A table of one batch."""
    batch = pa.record_batch(columns)
    return Table("t", batch.schema, [batch], is_single=is_single)


@pytest.mark.parametrize("per_batch", [1000, 50_000, 300_000])
def test_row_groups_do_not_depend_on_batches(per_batch: int, tmp_path: Path) -> None:
    """Row groups have one size whatever the batches; the rows stay in order."""
    total = 2 * ROW_GROUP_ROWS + 1000
    schema = pa.schema([("step", pa.int64())])
    batches = (
        pa.record_batch({"step": list(range(start, min(start + per_batch, total)))})
        for start in range(0, total, per_batch)
    )
    path = tmp_path / "x.parquet"
    assert write_table(Table("t", schema, batches), parse_target(str(path))).rows == total
    meta = pq.read_metadata(path)
    sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    assert sizes == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 1000]
    assert pq.read_table(path)["step"].to_pylist() == list(range(total))


def test_wide_rows_end_a_row_group_early(tmp_path: Path) -> None:
    """Rows of long text are written before they fill the memory."""
    batch = pa.record_batch({"text": ["x" * 10_000] * 100})
    path = tmp_path / "x.parquet"
    write_table(Table("t", batch.schema, [batch] * 20), parse_target(str(path)))
    meta = pq.read_metadata(path)
    assert meta.num_rows == 2000
    assert meta.num_row_groups == 5


def test_times_and_steps_are_stored_as_differences(tmp_path: Path) -> None:
    """A million regular steps take next to nothing."""
    path = tmp_path / "x.parquet"
    batch = pa.record_batch({"step": pa.array(range(100_000), pa.int64())})
    write_table(Table("t", batch.schema, [batch]), parse_target(str(path)))
    assert path.stat().st_size < 5_000
    assert "DELTA_BINARY_PACKED" in pq.read_metadata(path).row_group(0).column(0).encodings


def text(table: Table, kind: str) -> str:
    """A table as text."""
    stream = io.BytesIO()
    write_text(table, stream, kind)
    return stream.getvalue().decode()


def test_text_of_odd_values() -> None:
    """Commas, quotes, line breaks, a leading =, empty and missing: all told apart."""
    odd = ["a,b", 'say "x"', "two\nlines", "=1+1", "", None, "\u200fright", "2**70"]
    table = of(
        {"odd": odd, "number": [1.0, float("nan"), float("inf"), -0.0, 1e300, None, 5e-324, 0.1]}
    )
    assert text(table, "csv") == (
        'odd,number\n"a,b",1.0\n"say ""x""",NaN\n"two\nlines",inf\n=1+1,-0.0\n"",1e+300\n'
        ",\n\u200fright,5e-324\n2**70,0.1\n"
    )
    assert text(table, "jsonl").splitlines()[:3] == [
        '{"odd":"a,b","number":1.0}',
        '{"odd":"say \\"x\\"","number":"NaN"}',
        '{"odd":"two\\nlines","number":"Infinity"}',
    ]


def test_a_table_without_columns() -> None:
    """Rows without columns are still rows."""
    batch = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    table = Table("t", batch.schema, [batch])
    assert text(table, "jsonl") == "{}\n{}\n"
    assert text(table, "csv").count("\n") == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"PAR1 not really"),
        ("x.feather", b"nothing"),
        ("x.json", b"{broken"),
        ("x.json", b'"text"'),
        ("x.csv.gz", b"not compressed"),
        ("x.csv.zst", b"not compressed"),
        ("x.jsonl", b"[1, 2]\n"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(name: str, content: bytes, tmp_path: Path) -> None:
    """Reading it is an error that names the file and the format."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OutputError, match="cannot be read as") as caught:
        read_table(parse_target(str(path)), {})
    assert str(path) in str(caught.value)


def test_lists_and_mixed_columns_read_back(tmp_path: Path) -> None:
    """JSON lists stay lists, and undeclared columns get the narrowest type that fits."""
    path = tmp_path / "x.json"
    path.write_text('[{"a": ["x"], "b": 1.0, "c": "NaN"}, {"a": null, "b": null, "c": 1.5}]')
    found = read_table(parse_target(str(path)), {})
    assert found["a"].to_pylist() == [["x"], None]
    assert found["b"].to_pylist() == [1, None]
    assert str(found["c"].to_pylist()) == "[nan, 1.5]"
    declared = read_table(parse_target(str(path)), {"b": schemas.FLOAT, "a": schemas.TEXTS})
    assert declared["b"].type == schemas.FLOAT


@pytest.mark.parametrize("name", ["x.csv", "x.json"])
def test_text_is_read_as_the_types_that_are_declared(name: str, tmp_path: Path) -> None:
    """Declared columns get their types back, keys as categories; other text stays text."""
    path = tmp_path / name
    table = of(
        {"key": ["loss", "acc", "loss"], "note": ["hello", "1.", None], "ok": [True, None, False]}
    )
    write_table(table, parse_target(str(path)))
    found = read_table(parse_target(str(path)), {"key": schemas.CATEGORY})
    assert found["key"].type == schemas.CATEGORY
    assert found["key"].to_pylist() == ["loss", "acc", "loss"]
    assert found["note"].to_pylist() == ["hello", "1.", None]
    assert found["ok"].to_pylist() == [True, None, False]


def test_categories_and_single_entities_as_text() -> None:
    """Categories are spelled as their values; one entity in JSON is one object, a line per field."""
    keys = pa.array(["a", "b", "a"]).dictionary_encode()
    batch = pa.record_batch({"key": keys})
    assert text(Table("t", batch.schema, [batch]), "csv") == "key\na\nb\na\n"
    assert text(Table("t", batch.schema, [batch]), "jsonl").splitlines()[1] == '{"key":"b"}'
    single = of({"name": ["digits"], "runs": [16]}, is_single=True)
    assert text(single, "json") == '{\n  "name": "digits",\n  "runs": 16\n}\n'
