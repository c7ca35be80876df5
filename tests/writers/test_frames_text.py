"""Text files: nothing is lost in CSV, and what only looks like a number stays text."""

from __future__ import annotations

import gzip
import math
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

import swanlab_export as se
from swanlab_export import schemas
from swanlab_export.errors import OutputError, UsageError
from swanlab_export.tables import Table
from swanlab_export.writers import parse_target, write_table
from swanlab_export.writers.formats import parse_source
from swanlab_export.writers.recognise import declared_types

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["csv", "tsv", "json", "jsonl"]
NAN = math.nan


def cells(path: Path, content: str) -> Any:
    """What ``read`` makes of a file of one column."""
    path.write_text(content, encoding="utf-8")
    return se.read(path, "arrow")[0]


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.csv.gz"])
@pytest.mark.parametrize(
    "values", [[1.0, None, 2.0], ["x", None, "", None], [None, 1, None], [None, True]]
)
def test_one_column_keeps_its_missing_rows(values: list[Any], name: str, tmp_path: Path) -> None:
    """In a table of one column a missing cell is an empty line, which counts when it is read."""
    path = se.write(pa.table({"a": values}), tmp_path / name)
    assert se.read(path, "arrow")["a"].to_pylist() == values


def test_pandas_reads_the_missing_rows_if_told(tmp_path: Path) -> None:
    """The reader that skips empty lines by default finds them when told not to."""
    path = se.write(pa.table({"a": [1.5, None, 2.5]}), tmp_path / "x.csv")
    assert len(pd.read_csv(path, skip_blank_lines=False)) == 3


@pytest.mark.parametrize("column", ["code", "value", "step", "line"])
@pytest.mark.parametrize("extension", TEXTS)
@pytest.mark.parametrize(
    "texts",
    [
        ["0012", "0450"],
        ["1.10", "2.0"],
        ["+1", "2"],
        ["1e5", "12e4"],
        ["1e+400", "1.0"],
        ["1e-400", "1.0"],
        ["18446744073709551616", "1"],
        ["9007199254740993", "1.5"],
        ["0.10000000000000001", "1.5"],
        ["1.", ".5"],
        ["0x10", "1"],
        [" 1", "2"],
        ["1_000", "2"],
        ["nan", "None"],
        ["True", "FALSE"],
        ["2024-01-31", "2024-02-01"],
        ["2024-02-30T00:00:00.000Z"],
        ["2024-01-31T00:00:00Z"],
        ["12:00:00"],
        ["-PT0.000S"],
        ["PT99999999999999999999.000S"],
        ["[1,2]", '{"a":1}'],
    ],
)
def test_text_that_looks_like_something_else_stays_text(
    texts: list[str], extension: str, column: str, tmp_path: Path
) -> None:
    """Only what a type spells exactly so is of that type, whatever the column is called."""
    path = se.write(pa.table({column: texts}), tmp_path / f"x.{extension}")
    assert se.read(path, "arrow")[column].to_pylist() == texts


@pytest.mark.parametrize(
    ("content", "kind", "values"),
    [
        ("a\n1\n-2\n\n", "int64", [1, -2, None]),
        ("a\n1\n2.5\n", "double", [1.0, 2.5]),
        ("a\n1e-05\n1.5e+20\n", "double", [1e-05, 1.5e20]),
        ("a\n1000000000000000.0\ninf\n", "double", [1e15, math.inf]),
        ("a\n-0\n0\n", "double", [0.0, 0.0]),
        ("a\ntrue\nfalse\n", "bool", [True, False]),
        ("a\nPT90.500S\n-PT0.001S\n", "duration[ms]", None),
        ("a\n2024-01-31T00:00:00.000Z\n", "timestamp[ms, tz=UTC]", None),
        ("a\n2024-01-31T00:00:00.000001\n", "timestamp[us]", None),
        ('a\n""\n\n', "string", ["", None]),
    ],
)
def test_what_other_tools_write(content: str, kind: str, values: Any, tmp_path: Path) -> None:
    """Numbers in the shortest form of any tool are numbers."""
    found = cells(tmp_path / "x.csv", content)
    assert str(found.type) == kind
    assert values is None or found.to_pylist() == values


@pytest.mark.parametrize("text", ["null", '["a", "b"]', "[1]", "none", '{"a":1}'])
def test_labels_that_are_no_list_of_ours(text: str, tmp_path: Path) -> None:
    """In a column declared as lists, a text that no list is spelled as stays what it is."""
    found = se.read(se.write(pa.table({"labels": [text]}), tmp_path / "x.csv"), "arrow")
    assert found["labels"].to_pylist() == [text]


@pytest.mark.parametrize("extension", TEXTS)
def test_the_names_of_our_columns_are_free(extension: str, tmp_path: Path) -> None:
    """A frame of somebody's own may call its columns as ours are called, and keeps its types."""
    frame = pa.table(
        {
            "line": [0.25, 0.5],
            "rows": [1.5, None],
            "name": [0.25, 0.5],
            "type": [1, 2],
            "show": [1.5, 2.5],
            "labels": ["x", "y"],
            "group": [1, 2],
            "created_at": ["today", "then"],
            "min": [1, 2],
        }
    )
    assert se.read(se.write(frame, tmp_path / f"x.{extension}"), "arrow").equals(frame)


@pytest.mark.parametrize("extension", TEXTS)
@pytest.mark.parametrize("kind", ["float", "time"])
def test_metrics_may_be_called_anything(kind: str, extension: str, tmp_path: Path) -> None:
    """In a wide table a metric called ``name`` or ``line`` is a number, also where all are missing."""
    keys = ["name", "line", "rows", "show", "labels", "type", "path", "value"]
    axis = schemas.X.field() if kind == "float" else schemas.METRICS.arrow().field("step")
    schema = pa.schema(
        [schemas.METRICS.arrow().field("run_id"), axis]
        + [(key, schemas.FLOAT) for key in keys]
        + [(f"{key}_timestamp", schemas.TIME) for key in keys]
    )
    row = dict.fromkeys(schema.names) | {"run_id": "0012", "line": 0.25, "name": 1.0}
    table = pa.Table.from_pylist([row], schema)
    path = tmp_path / f"x.{extension}"
    write_table(Table("metrics", schema, table.to_batches()), parse_target(str(path)))
    found = se.read(path, "arrow")
    assert found.to_pylist() == [row]
    assert found.schema.types == schema.types


@pytest.mark.parametrize("extension", TEXTS)
@pytest.mark.parametrize("table", schemas.DECLARED, ids=lambda table: table.name)
def test_our_tables_have_their_types_back(table: Any, extension: str, tmp_path: Path) -> None:
    """Every declared table is recognised by its header, with what the server sent beyond it."""
    schema = pa.schema([*table.arrow(), pa.field("more.of_it", pa.string())])
    row = {field.name: VALUES.get(field.type, "0012") for field in schema}
    for rows in ([row, dict.fromkeys(row)], [dict.fromkeys(row)]):
        gathered = pa.Table.from_pylist(rows, schema)
        found = se.read(se.write(gathered, tmp_path / f"x.{extension}"), "arrow")
        assert found.schema.types == schema.types
        assert found.to_pylist() == gathered.to_pylist()


VALUES: dict[Any, Any] = {
    schemas.INT: 1,
    schemas.FLOAT: 1.0,
    schemas.BOOL: True,
    schemas.TIME: pa.scalar(1, schemas.TIME).as_py(),
    schemas.TEXTS: ["0012", ""],
}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["run_id", "key"], {"run_id": schemas.TEXT, "key": schemas.TEXT}),
        (
            ["key", "value", "x"],
            {"key": schemas.CATEGORY, "value": schemas.FLOAT, "x": schemas.FLOAT},
        ),
        (["name", "config.lr"], {"name": schemas.TEXT}),
        (["name", "score"], {}),
        (["index"], {}),
        ([], {}),
    ],
)
def test_a_header_tells_whose_it_is(names: list[str], found: dict[str, Any]) -> None:
    """Chosen columns of a table keep their types as far as all tables agree; others have none."""
    assert declared_types(names) == found


@pytest.mark.parametrize(
    ("name", "content"), [("x.csv", "a,b\n1,2\n"), ("x.json", '[{"a":1,"b":2}]')]
)
def test_the_mark_of_utf8_is_no_part_of_a_name(name: str, content: str, tmp_path: Path) -> None:
    """Files that begin with a byte order mark read like any other."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8-sig")
    assert se.read(path).to_dict("list") == {"a": [1], "b": [2]}
    frame = pd.DataFrame({"\ufeffa": [1], 'b"\ufeff': [2]})
    assert list(se.read(se.write(frame, path))) == list(frame)


@pytest.mark.parametrize("extension", [*TEXTS, "parquet", "feather", "csv.gz"])
def test_a_frame_of_nothing(extension: str, tmp_path: Path) -> None:
    """A frame without columns is written and read like any other."""
    path = se.write(pd.DataFrame(), tmp_path / f"x.{extension}")
    assert se.read(path).shape == (0, 0)


def test_objects_without_names(tmp_path: Path) -> None:
    """JSON objects that hold nothing are still there, or missing, where they were."""
    path = tmp_path / "x.jsonl"
    assert cells(path, '{"a":{}}\n{"a":null}\n').to_pylist() == [{}, None]


def test_cells_longer_than_a_block(tmp_path: Path) -> None:
    """A cell of megabytes, with line breaks, is a cell."""
    frame = pa.table({"a": ["x" * 3_000_000 + "\n", "y"], "b": [1, 2]})
    assert se.read(se.write(frame, tmp_path / "x.csv"), "arrow").equals(frame)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.csv", b"", "it is empty"),
        ("x.csv", b"a,a\n1,2\n", "two columns are called 'a'"),
        ("x.csv", b"a,b\n1\n", "Expected 2 columns"),
        ("x.csv", b"a\n\xff\n", "utf-8"),
        ("x.csv", b'"' + b"a" * 200_000 + b'"\n1\n', "field larger"),
        ("x.csv.gz", gzip.compress(b"a\n1\n" * 99)[:-9], "ended before"),
        ("x.json", b'[{"a":[1,"b"]}]', "column 'a' holds values of several kinds"),
        ("x.json", b'[{"a":-1},{"a":18446744073709551615}]', "more than 64 bits"),
        ("x.json", b'[{"a":9007199254740993},{"a":1.5}]', "column 'a'"),
        ("x.json", b'{"a":' * 900 + b"1" + b"}" * 900, "recursion"),
    ],
)
def test_broken_files_are_errors_in_words(
    name: str, content: bytes, why: str, tmp_path: Path
) -> None:
    """Whatever a file holds, an error names the file, what it should be, and why it is not."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OutputError, match=why) as caught:
        se.read(path)
    assert f"'{path}' cannot be read as" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Reading it says so, in every format."""
    for name in ("x.csv", "x.parquet", "x.feather"):
        with pytest.raises(OutputError, match="there is no such file"):
            se.read(tmp_path / name)


def test_reading_asks_nothing_of_the_folder() -> None:
    """A file can be read where nobody may write; messages speak of ``path=``."""
    assert parse_source("/proc/sys/x.csv").format == "csv"
    with pytest.raises(OutputError, match="no such file"):
        se.read("/proc/sys/x.csv")
    for use in (se.read, lambda path: se.write(pd.DataFrame(), path)):
        with pytest.raises(UsageError, match=r"^path= 'x.xlsx': the extension"):
            use("x.xlsx")
    with pytest.raises(UsageError, match=r"^path=: no permission to write"):
        se.write(pd.DataFrame(), "/proc/sys/x.csv")
    with pytest.raises(UsageError, match=r"^save=: no permission to write"):
        parse_target("/proc/sys/x.csv")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder with the name of a file is not read as one, nor a name that no file can have."""
    (tmp_path / "x.parquet").mkdir()
    for name, why in (("x.parquet", "is a folder"), ("a\0.csv", "is not a file name")):
        with pytest.raises(UsageError, match=f"^path= .*{why}"):
            se.read(tmp_path / name)
