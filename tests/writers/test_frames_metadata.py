"""What a frame carries beside its values: index, names, units, where it came from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import swanlab_export as se
from swanlab_export import schemas
from swanlab_export.errors import UsageError
from swanlab_export.sandbox import Sandbox
from swanlab_export.tables import read_stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNAR = ["parquet", "feather"]
FORMATS = [*COLUMNAR, "csv", "tsv", "json", "jsonl"]
PROJECT = "ada-lab/digits"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One sandbox for the module."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(server: Sandbox) -> Iterator[se.Api[pd.DataFrame]]:
    """The Python door."""
    with se.connect(host=server.url, api_key=server.api_key) as connected:
        yield connected


FRAME = pd.DataFrame({"lr": [0.1, 0.1, 0.2], "opt": ["a", "b", "a"], "loss": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        (FRAME.groupby("lr").agg(n=("loss", "count")), {"lr": [0.1, 0.2], "n": [2, 1]}),
        (
            FRAME.groupby(["lr", "opt"]).mean(),
            {"lr": [0.1, 0.1, 0.2], "opt": ["a", "b", "a"], "loss": [1.0, 2.0, 3.0]},
        ),
        (FRAME.set_index("opt")[["loss"]], {"opt": ["a", "b", "a"], "loss": [1.0, 2.0, 3.0]}),
        (FRAME[["loss"]].rename_axis("row"), {"row": [0, 1, 2], "loss": [1.0, 2.0, 3.0]}),
        (pd.DataFrame({"a": [1, 2]}, index=["x", "y"]), {"index": ["x", "y"], "a": [1, 2]}),
        (pd.DataFrame({"a": [1.5]}, index=[0.25]), {"index": [0.25], "a": [1.5]}),
        (
            pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([("x", 1)])),
            {"level_0": ["x"], "level_1": [1], "a": [1]},
        ),
        (FRAME[FRAME["loss"] != 2.0][["loss"]], {"loss": [1.0, 3.0]}),
        (FRAME[FRAME["loss"] > 1.0][["loss"]], {"loss": [2.0, 3.0]}),
        (FRAME.sort_values("loss", ascending=False)[["loss"]], {"loss": [3.0, 2.0, 1.0]}),
        (FRAME[:0].groupby("lr").mean(numeric_only=True), {"lr": [], "loss": []}),
        (pd.DataFrame({"a": []}, index=pd.Index([], dtype=object)), {"a": []}),
    ],
)
def test_an_index_becomes_columns(
    frame: pd.DataFrame, wanted: dict[str, Any], extension: str, tmp_path: Path
) -> None:
    """A named index, or one of anything but row numbers, comes first; row numbers are left out."""
    found = se.read(se.write(frame, tmp_path / f"x.{extension}"), "arrow")
    if extension == "json" and not len(frame):
        wanted = {}
    if extension != "jsonl" or len(frame):
        assert found.to_pydict() == wanted


def test_an_index_called_like_a_column(tmp_path: Path) -> None:
    """Two columns of one name are refused, with the way out."""
    with pytest.raises(UsageError, match=r"two columns called 'lr'.*reset_index\(drop=True\)"):
        se.write(FRAME.set_index("lr", drop=False), tmp_path / "x.csv")


@pytest.mark.parametrize("extension", COLUMNAR)
@pytest.mark.parametrize("frame", ["pandas", "arrow"])
def test_meaning_unit_and_source_come_back(
    frame: Any, extension: str, api: Any, tmp_path: Path
) -> None:
    """A file written from a frame says as much of its columns as the streamed file."""
    wanted = api.run.list(PROJECT, size=100, frame="arrow")
    path = se.write(api.run.list(PROJECT, size=100, frame=frame), tmp_path / f"a.{extension}")
    path = se.write(se.read(path, frame), tmp_path / f"b.{extension}")
    found = se.read(path, "arrow")
    for name in wanted.column_names:
        field, asked = found.schema.field(name), wanted.schema.field(name)
        assert (field.type, field.metadata) == (asked.type, asked.metadata), name
    assert found.schema.field("duration_s").metadata[b"unit"] == b"s"
    stamp, first = read_stamp(found.schema), read_stamp(wanted.schema)
    assert (stamp.table, stamp.single) == ("runs", False)
    assert {**stamp.source, "fetched_at_ms": 0} == {**first.source, "fetched_at_ms": 0}


def test_attrs_name_the_table(api: Any, tmp_path: Path) -> None:
    """``.attrs`` of pandas hold the table's name and, of one entity, that it is one."""
    assert api.run.list(PROJECT, size=100).attrs["table"] == "runs"
    info = api.project.info(PROJECT)
    assert info.attrs["single"] is True
    again = se.read(se.write(info, tmp_path / "x.parquet"))
    assert again.attrs == info.attrs
    table = se.write(api.project.info(PROJECT, frame="arrow"), tmp_path / "y.json")
    assert isinstance(orjson.loads(table.read_bytes()), dict)


def test_one_entity_is_one_object(api: Any, tmp_path: Path) -> None:
    """JSON of one entity is an object, as on the command line, and stays one when read and written."""
    info = api.project.info(PROJECT)
    path = se.write(info, tmp_path / "x.json")
    assert orjson.loads(path.read_bytes())["name"] == "digits"
    again = se.write(se.read(path), tmp_path / "y.json")
    assert again.read_bytes() == path.read_bytes()
    for rows in (pd.concat([info, info]), info[:0]):
        rows.attrs = info.attrs
        listed = orjson.loads(se.write(rows, tmp_path / "z.json").read_bytes())
        assert isinstance(listed, list)


@pytest.mark.parametrize("extension", COLUMNAR)
def test_categories_keep_their_order(extension: str, tmp_path: Path) -> None:
    """Ordered categories come back ordered, in their order, with those that no row has."""
    sizes = pd.CategoricalDtype(["small", "big", "huge"], ordered=True)
    frame = pd.DataFrame({"size": pd.Categorical(["big", "small", None], dtype=sizes)})
    again = se.read(se.write(frame, tmp_path / f"x.{extension}"))
    assert again["size"].cat.ordered
    assert list(again["size"].cat.categories) == ["small", "big", "huge"]
    assert (again["size"] < "big").tolist() == [False, True, False]


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("rows", [0, 2])
def test_labels_that_nobody_gave_are_lists(
    rows: int, extension: str, api: Any, tmp_path: Path
) -> None:
    """Of a table of ours, a column without any value keeps its declared type."""
    frame = api.run.list(PROJECT, size=100)[:rows]
    frame["labels"] = None
    found = se.read(se.write(frame, tmp_path / f"x.{extension}"), "arrow")
    if rows or not extension.startswith("json"):
        assert found.schema.field("labels").type == schemas.TEXTS
        assert found.schema.field("created_at").type == schemas.TIME


def test_metadata_of_others_stay(tmp_path: Path) -> None:
    """What an Arrow table says of itself and of its columns is in the file, too."""
    field = pa.field("a", pa.int64(), nullable=False, metadata={"unit": "m"})
    schema = pa.schema([field], {"author": "me"})
    table = pa.Table.from_pydict({"a": [1]}, schema)
    found = se.read(se.write(table, tmp_path / "x.parquet"), "arrow").schema
    assert found.field("a").equals(field, check_metadata=True)
    assert found.metadata[b"author"] == b"me"
    assert se.read(tmp_path / "x.parquet").attrs == {}


@pytest.mark.parametrize("stamp", [b"{broken", b"[1]", b'{"source": 1}', b'{"table": "x"}'])
def test_a_foreign_stamp_is_no_error(stamp: bytes, tmp_path: Path) -> None:
    """Metadata under our name that we have not written are as good as none."""
    table = pa.table({"a": [1]}).replace_schema_metadata({"swanlab_export": stamp})
    path = se.write(table, tmp_path / "x.parquet")
    assert se.read(path).attrs.get("table", "") in {"", "x"}


def test_an_index_that_pandas_noted_in_arrow(tmp_path: Path) -> None:
    """A table that pandas gave to Arrow with its index gives pandas that index back."""
    table = pa.Table.from_pandas(FRAME.set_index("opt"))
    path = se.write(table, tmp_path / "x.parquet")
    assert se.read(path, "arrow").column_names == ["lr", "loss", "opt"]
    assert se.read(path).index.name == "opt"


ATTRS: dict[Any, Any] = {
    "when": pd.Timestamp("2024-01-01", tz="UTC"),
    "day": dt.date(2024, 1, 1),
    "count": np.int64(3),
    "share": np.float32(0.5),
    "is_ok": np.bool_(True),
    "steps": np.arange(2),
    "none": None,
    "undefined": float("nan"),
    "least": -np.inf,
    "nested": {"a": [{1: (True, 2.5)}]},
    "file": Path("a/b"),
}


@pytest.mark.parametrize("extension", COLUMNAR)
def test_attrs_become_json(extension: str, tmp_path: Path) -> None:
    """Times become ISO 8601, numbers of numpy plain ones, and what is not finite its token."""
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = dict(ATTRS)
    assert se.read(se.write(frame, tmp_path / f"x.{extension}")).attrs == {
        "when": "2024-01-01T00:00:00+00:00",
        "day": "2024-01-01",
        "count": 3,
        "share": 0.5,
        "is_ok": True,
        "steps": [0, 1],
        "none": None,
        "undefined": "NaN",
        "least": "-Infinity",
        "nested": {"a": [{"1": [True, 2.5]}]},
        "file": "a/b",
    }


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value", [object(), FRAME, 2**70, "\ud800", {"\ud800": 1}, {1, 2}, np.datetime64("2024"), 1j]
)
def test_attrs_that_no_file_keeps(value: Any, tmp_path: Path) -> None:
    """They are refused by name where they would be written; text has no place for any."""
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"mine": value}
    for extension in COLUMNAR:
        with pytest.raises(UsageError, match=r"^frame=: .attrs\['mine'\] .*make it text"):
            se.write(frame, tmp_path / f"x.{extension}")
    assert se.read(se.write(frame, tmp_path / "x.csv")).attrs == {}


def test_attrs_without_an_end(tmp_path: Path) -> None:
    """A list that holds itself is refused like any other thing that is no JSON."""
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"mine": LOOP}
    with pytest.raises(UsageError, match="mine"):
        se.write(frame, tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("frame", "kind"), [("pandas", pd.DataFrame), ("arrow", pa.Table), ("polars", pl.DataFrame)]
)
@pytest.mark.parametrize("extension", FORMATS)
def test_every_kind_of_frame_can_be_read(
    extension: str, frame: Any, kind: Any, tmp_path: Path
) -> None:
    """``read`` gives the kind of frame asked for, with the same values."""
    path = se.write(pa.table({"a": [1, None], "b": ["x", ""]}), tmp_path / f"x.{extension}")
    found = se.read(path, frame)
    assert isinstance(found, kind)
    assert len(found) == 2
    assert isinstance(se.read(path), pd.DataFrame)


def test_a_kind_of_frame_that_there_is_not(tmp_path: Path) -> None:
    """An unknown kind is refused before the file is looked for."""
    with pytest.raises(UsageError, match="frame= is pandas, arrow or polars"):
        se.read(tmp_path / "x.csv", "numpy")  # type: ignore[call-overload]
