"""What is written reads back equal, in every format; golden text; atomic publishing."""

from __future__ import annotations

import io
import tempfile
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swanlab_export import schemas
from swanlab_export.errors import OutputError
from swanlab_export.tables import Table
from swanlab_export.writers import parse_target, write_table, write_text
from swanlab_export.writers.publish import publish
from swanlab_export.writers.reading import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELDS = {
    "text": schemas.TEXT,
    "whole": schemas.INT,
    "number": schemas.FLOAT,
    "truth": schemas.BOOL,
    "time": schemas.TIME,
    "names": schemas.TEXTS,
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(
    st.tuples(
        st.none() | TEXT,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 4_000_000_000_000),
        st.none() | st.lists(TEXT, max_size=3),
    ),
    max_size=12,
)


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(FIELDS)
    arrays = [pa.array(list(c), kind) for c, kind in zip(columns, FIELDS.values(), strict=True)]
    return pa.table(arrays, names=list(FIELDS))


@pytest.mark.parametrize(
    "extension", ["parquet", "feather", "csv", "tsv", "json", "jsonl", "csv.gz", "json.zst"]
)
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(ROWS)
def test_what_is_written_reads_back_equal(extension: str, rows: list[tuple[Any, ...]]) -> None:
    """NaN, infinities, missing, empty, unicode and controls survive every format."""
    wanted = _table(rows)
    with tempfile.TemporaryDirectory() as folder:
        target = parse_target(f"{folder}/t.{extension}")
        write_table(Table("t", wanted.schema, wanted.to_batches()), target)
        found = read_table(target, FIELDS)
    if extension.startswith("json") and not rows:
        return  # an empty array names no columns
    for name, kind in FIELDS.items():
        assert found.schema.field(name).type.equals(kind)
        one, other = found[name].to_pylist(), wanted[name].to_pylist()
        assert repr(one) == repr(other)


def test_golden_text() -> None:
    """Every format spells values as documented."""
    columns = {
        "s": pa.array(["", None, '=a,"b"\n'], schemas.TEXT),
        "f": pa.array([1.0, float("nan"), float("-inf")], schemas.FLOAT),
        "t": pa.array([0, None, 1], schemas.TIME),
    }
    table = pa.table(columns)
    spelled = {}
    for name in ("csv", "jsonl"):
        out = io.BytesIO()
        write_text(Table("t", table.schema, table.to_batches()), out, name)
        spelled[name] = out.getvalue().decode()
    assert spelled["csv"] == (
        's,f,t\n"",1.0,1970-01-01T00:00:00.000Z\n,NaN,\n"=a,""b""\n",-inf,1970-01-01T00:00:00.001Z\n'
    )
    assert spelled["jsonl"].splitlines() == [
        '{"s":"","f":1.0,"t":"1970-01-01T00:00:00.000Z"}',
        '{"s":null,"f":"NaN","t":null}',
        '{"s":"=a,\\"b\\"\\n","f":"-Infinity","t":"1970-01-01T00:00:00.001Z"}',
    ]


def _interrupted(schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    yield pa.record_batch([pa.array([1])], schema=schema)
    raise KeyboardInterrupt


@pytest.mark.parametrize("extension", ["parquet", "csv", "json.gz"])
def test_an_interrupted_write_leaves_the_old_file(extension: str, tmp_path: Path) -> None:
    """Nothing but the old file is there afterwards."""
    path = tmp_path / f"t.{extension}"
    path.write_bytes(b"old")
    schema = pa.schema([("a", pa.int64())])
    with pytest.raises(KeyboardInterrupt):
        write_table(Table("t", schema, _interrupted(schema)), parse_target(str(path)))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_links_stay_and_modes_are_kept(tmp_path: Path) -> None:
    """A link still leads to the file, and the file keeps its mode."""
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    with publish(link) as part:
        part.write_bytes(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_place_that_vanished_is_named(tmp_path: Path) -> None:
    """A folder that is gone when it comes to writing is an error in plain words."""
    with pytest.raises(OutputError, match="missing"), publish(tmp_path / "gone" / "t.csv"):
        pass


def test_frames_of_the_reader_have_types(tmp_path: Path) -> None:
    """Without declared types, text gets the narrowest type that fits."""
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d\n1,1.5,true,9223372036854775808\n2,NaN,,1\n")
    found = read_table(parse_target(str(path)), {})
    assert [str(kind) for kind in found.schema.types] == ["int64", "double", "bool", "string"]
    assert isinstance(found.to_pandas(), pd.DataFrame)
