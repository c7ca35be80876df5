"""Row groups of Parquet, and the text of odd tables, to the letter."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swanlab_export import schemas
from swanlab_export.errors import OutputError
from swanlab_export.files import parse_target, write_table
from swanlab_export.files.parquet import ROW_GROUP_ROWS
from swanlab_export.files.text import write_text
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.core


def of(columns: dict[str, Any], *, is_single: bool = False) -> Table:
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
    assert write_table(Table("t", schema, batches), parse_target(str(path)), {}).rows == total
    meta = pq.read_metadata(path)
    sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    assert sizes == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 1000]
    assert pq.read_table(path)["step"].to_pylist() == list(range(total))


def test_wide_rows_end_a_row_group_early(tmp_path: Path) -> None:
    """Rows of long text are written before they fill the memory, 10 MB of them at once."""
    batch = pa.record_batch({"text": ["x" * 100_000] * 100})
    path = tmp_path / "x.parquet"
    write_table(Table("t", batch.schema, [batch] * 20), parse_target(str(path)), {})
    meta = pq.read_metadata(path)
    assert meta.num_rows == 2000
    assert meta.num_row_groups == 20


def test_hundreds_of_columns_have_few_row_groups(tmp_path: Path) -> None:
    """Readers pay for each column of each row group: 500 columns of floats have one for 16,000 rows."""
    column = pa.array(range(1000), pa.float64())
    batch = pa.record_batch([column] * 500, names=[f"config.{i}" for i in range(500)])
    path = tmp_path / "x.parquet"
    write_table(Table("t", batch.schema, [batch] * 40), parse_target(str(path)), {})
    meta = pq.read_metadata(path)
    sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    assert sizes == [16_000, 16_000, 8_000]


def test_times_and_steps_are_stored_as_differences(tmp_path: Path) -> None:
    """A million regular steps take next to no space."""
    path = tmp_path / "x.parquet"
    batch = pa.record_batch({"step": pa.array(range(100_000), pa.int64())})
    write_table(Table("t", batch.schema, [batch]), parse_target(str(path)), {})
    assert path.stat().st_size < 5_000
    assert "DELTA_BINARY_PACKED" in pq.read_metadata(path).row_group(0).column(0).encodings


def test_text_that_repeats_is_stored_once(tmp_path: Path) -> None:
    """Ids and keys are dictionary-encoded within Parquet, and plain strings for its readers."""
    path = tmp_path / "x.parquet"
    write_table(of({"run_id": ["h6rami2506r6f4xzfo4ei"] * 100_000}), parse_target(str(path)), {})
    assert path.stat().st_size < 5_000
    assert "RLE_DICTIONARY" in pq.read_metadata(path).row_group(0).column(0).encodings
    assert pq.read_schema(path).field("run_id").type == schemas.TEXT


def test_encoded_text_is_written_as_plain_text_is(tmp_path: Path) -> None:
    """Rows, types, metadata and row groups are equal, whatever names batches have in common."""
    rows = ROW_GROUP_ROWS // 8
    schema = pa.schema([("run_id", schemas.TEXT), ("labels", schemas.TEXTS), ("n", schemas.INT)])
    names: list[list[str | None]] = [
        ["a", "b"],
        ["b"],
        ["c", None],
        ["é", "a", ""],
        [None],
        ["a"] * 3,
    ]
    plain = []
    for number in range(20):
        ids: list[str | None] = [*names[number % len(names)] * rows][:rows]
        cells: list[list[Any]] = [ids, [["x", None]] * rows, [number] * rows]
        arrays = [pa.array(each, field.type) for each, field in zip(cells, schema, strict=True)]
        plain.append(pa.record_batch(arrays, schema=schema))
    encoded = [
        batch.set_column(0, "run_id", batch["run_id"].dictionary_encode()) for batch in plain
    ]
    paths = []
    for name, batches in (("plain", plain), ("encoded", encoded), ("again", encoded)):
        paths.append(tmp_path / f"{name}.parquet")
        write_table(Table("metrics", schema, batches), parse_target(str(paths[-1])), {})
    first, second = (pq.ParquetFile(path) for path in paths[:2])
    assert first.read().equals(second.read(), check_metadata=True)
    assert first.metadata.metadata == second.metadata.metadata
    assert first.schema.equals(second.schema)
    for file in (first, second):
        groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        assert [group.num_rows for group in groups] == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 4 * rows]
        assert all("RLE_DICTIONARY" in group.column(0).encodings for group in groups)
        assert [group.column(0).statistics.max for group in groups] == ["é", "é", "b"]
        # All of it: 50 times as many bytes where a dictionary ends in the middle of a group.
        assert max(group.column(0).total_uncompressed_size for group in groups) < 30_000
    assert paths[1].read_bytes() == paths[2].read_bytes()


def text(table: Table, kind: str) -> str:
    """A table as text."""
    stream = io.BytesIO()
    write_text(table, stream, kind)
    return stream.getvalue().decode()


def test_golden_text() -> None:
    """Every format has values as documented."""
    columns = {
        "s": pa.array(["", None, '=a,"b"\n'], schemas.TEXT),
        "f": pa.array([1.0, float("nan"), float("-inf")], schemas.FLOAT),
        "t": pa.array([0, None, 1], schemas.TIME),
        "l": pa.array([["a", None, '"'], [], None], schemas.TEXTS),
    }
    assert text(of(columns), "csv") == (
        's,f,t,l\n"",1.0,1970-01-01T00:00:00.000Z,"[""a"",null,""\\""""]"\n'
        ',NaN,,[]\n"=a,""b""\n",-inf,1970-01-01T00:00:00.001Z,\n'
    )
    assert text(of(columns), "jsonl").splitlines() == [
        '{"s":"","f":1.0,"t":"1970-01-01T00:00:00.000Z","l":["a",null,"\\""]}',
        '{"s":null,"f":"NaN","t":null,"l":[]}',
        '{"s":"=a,\\"b\\"\\n","f":"-Infinity","t":"1970-01-01T00:00:00.001Z","l":null}',
    ]
    assert text(of(columns), "json") == (
        "[\n" + ",\n".join(text(of(columns), "jsonl").splitlines()) + "\n]\n"
    )
    assert text(of(columns), "tsv").startswith('s\tf\tt\tl\n""\t1.0\t')


def test_text_of_odd_values() -> None:
    """Commas, quotes, line breaks, a leading =, empty and missing all differ."""
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


def test_names_of_columns_in_csv() -> None:
    """Names are quoted as cells are, and one that begins like a byte order mark always is."""
    table = of({'\ufeff"a"': [1], "b,c": [2]})
    assert text(table, "csv") == '"\ufeff""a""","b,c"\n1,2\n'


def test_a_table_without_columns() -> None:
    """Rows without columns are still rows."""
    batch = pa.RecordBatch.from_struct_array(pa.array([{}, {}], pa.struct([])))
    table = Table("t", batch.schema, [batch])
    assert text(table, "jsonl") == "{}\n{}\n"
    assert text(table, "csv").count("\n") == 3


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize(
    "time_ms", [253_402_300_800_000, -62_167_219_200_001], ids=["late", "early"]
)
def test_a_time_that_text_cannot_hold(kind: str, time_ms: int) -> None:
    """A year beyond 9999 is an error that names the column and the formats that can hold it."""
    table = of({"created_at": pa.array([0, time_ms], schemas.TIME)})
    with pytest.raises(OutputError, match=r"^column 'created_at' holds times .* \.parquet"):
        text(table, kind)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_the_first_and_the_last_time_of_text(kind: str) -> None:
    """The years 0 to 9999 are written, to their last millisecond."""
    ends = pa.array([-62_167_219_200_000, 253_402_300_799_999], schemas.TIME)
    found = text(of({"created_at": ends}), kind)
    assert "0000-01-01T00:00:00.000Z" in found
    assert "9999-12-31T23:59:59.999Z" in found


def test_encoded_columns_and_single_entities_as_text() -> None:
    """Encoded text is written as its values; one entity in JSON is one object, a line per field."""
    keys = pa.array(["a", None, "a"]).dictionary_encode()
    batch = pa.record_batch({"key": keys, "n": [1, 2, 3]})
    table = Table("t", pa.schema([("key", schemas.TEXT), ("n", schemas.INT)]), [batch])
    assert text(table, "csv") == "key,n\na,1\n,2\na,3\n"
    assert text(table, "jsonl").splitlines()[:2] == ['{"key":"a","n":1}', '{"key":null,"n":2}']
    single = of({"name": ["digits"], "runs": [16]}, is_single=True)
    assert text(single, "json") == '{\n  "name": "digits",\n  "runs": 16\n}\n'


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize(
    "name", ["mlp", 'a,"b"\t\n', "", None], ids=["plain", "odd", "empty", "no"]
)
def test_a_text_that_all_rows_share(name: str | None, kind: str) -> None:
    """A name that is there once, for all rows, is written as it is where each row has its own."""
    at = pa.array([0, 0, 0], pa.int32())
    encoded = pa.DictionaryArray.from_arrays(at, pa.array([name], pa.string()))
    with_null = pa.DictionaryArray.from_arrays(
        pa.array([0, None, 0], pa.int32()), pa.array([name], pa.string())
    )
    columns = {"run": encoded, "step": pa.array([1, None, 3]), "key": with_null, "name": encoded}
    plain = {column: values.cast(values.type) for column, values in columns.items()}
    for column in ("run", "key", "name"):
        plain[column] = plain[column].cast(pa.string())
    assert text(of(columns), kind) == text(of(plain), kind)
    assert text(of({"run": encoded}), kind) == text(of({"run": plain["run"]}), kind)
