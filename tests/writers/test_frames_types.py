"""Frames that analysts make: every type is kept exactly, or refused in words that name the column."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import swanlab_export as se
from swanlab_export.errors import UsageError
from swanlab_export.tables import Table
from swanlab_export.writers import parse_target, write_table

if TYPE_CHECKING:
    from pathlib import Path

COLUMNAR = ["parquet", "feather"]
TEXTS = ["csv", "tsv", "json", "jsonl"]
BERLIN = "Europe/Berlin"
D = Decimal

KEPT: dict[str, Any] = {
    "int8": pa.array([1, None], pa.int8()),
    "uint64": pa.array([2**64 - 1, None], pa.uint64()),
    "float16": pa.array([0.5, None], pa.float16()),
    "float32": pa.array([0.1, None], pa.float32()),
    "ms": pa.array([1, None], pa.timestamp("ms", "UTC")),
    "us": pa.array([1, None], pa.timestamp("us")),
    "ns": pa.array([1, None], pa.timestamp("ns", BERLIN)),
    "date": pa.array([dt.date(2024, 2, 29), None]),
    "time_us": pa.array([1, None], pa.time64("us")),
    "time_ns": pa.array([1, None], pa.time64("ns")),
    "time_ms": pa.array([1, None], pa.time32("ms")),
    "duration_ms": pa.array([-1, None], pa.duration("ms")),
    "duration_ns": pa.array([10**18 + 1, None], pa.duration("ns")),
    "decimal": pa.array([D("1.10"), None]),
    "binary": pa.array([b"\xff\0", None]),
    "ints": pa.array([[1, None], None]),
    "pair": pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
    "times": pa.array([[dt.datetime(2024, 1, 1)], None]),  # noqa: DTZ001
    "struct": pa.array([{"a": 1, "b": [0.5]}, None]),
    "structs": pa.array([[{"a": D("1.5"), "b": "x"}], []]),
}


@pytest.mark.parametrize("extension", COLUMNAR)
@pytest.mark.parametrize("frame", ["pandas", "arrow", "polars"])
def test_columnar_formats_keep_types(frame: Any, extension: str, tmp_path: Path) -> None:
    """Widths, units, zones and nesting come back, whichever kind of frame they went through."""
    wanted = pa.table(KEPT)
    path = se.write(wanted, tmp_path / f"x.{extension}")
    assert se.read(path, "arrow").equals(wanted)
    again = se.read(se.write(se.read(path, frame), tmp_path / f"y.{extension}"), "arrow")
    # Times of day are of one unit in polars, and of one in pandas: another type, the same values.
    changed = {"pandas": {"time_ms"}, "polars": {"time_ms", "time_us"}}.get(frame, set())
    for name in wanted.column_names:
        assert again[name].cast(wanted[name].type).equals(wanted[name]), name
        assert again[name].type == wanted[name].type or name in changed, name


@pytest.mark.parametrize("extension", TEXTS)
def test_text_spells_every_type(extension: str, tmp_path: Path) -> None:
    """What has a spelling of its own comes back with its type, the rest as the text of it."""
    spelled = {
        "int8": [1, None],
        "float16": [0.5, None],
        "float32": [0.10000000149011612, None],
        "ms": KEPT["ms"].to_pylist(),
        "us": KEPT["us"].to_pylist(),
        "ns": KEPT["ns"].to_pylist(),
        "date": ["2024-02-29", None],
        "time_us": ["00:00:00.000001", None],
        "time_ns": ["00:00:00.000000001", None],
        "time_ms": ["00:00:00.001", None],
        "duration_ms": KEPT["duration_ms"].to_pylist(),
        "duration_ns": KEPT["duration_ns"].to_pylist(),
        "decimal": ["1.10", None],
    }
    frame = pa.table({name: KEPT[name] for name in spelled})
    found = se.read(se.write(frame, tmp_path / f"x.{extension}"), "arrow")
    assert found.to_pydict() == spelled
    assert found.schema.field("ns").type == pa.timestamp("ns", "UTC")
    assert found.schema.field("duration_ns").type == pa.duration("ns")


def test_json_is_json(tmp_path: Path) -> None:
    """Any JSON parser reads what is written: quotes around all but numbers, lists and objects."""
    frame = pa.table({name: column for name, column in KEPT.items() if name != "binary"})
    row = orjson.loads(se.write(frame, tmp_path / "x.json").read_bytes())[0]
    assert row["uint64"] == 2**64 - 1
    assert row["ns"] == "1970-01-01T00:00:00.000000001Z"
    assert row["us"] == "1970-01-01T00:00:00.000001"
    assert row["duration_ms"] == "-PT0.001S"
    assert row["times"] == ["2024-01-01T00:00:00.000000"]
    assert row["structs"] == [{"a": "1.5", "b": "x"}]
    found = se.read(tmp_path / "x.json", "arrow")
    for name in ("uint64", "ints", "pair", "times", "struct"):
        assert found[name].to_pylist() == KEPT[name].to_pylist()


def test_lists_and_objects_in_csv_are_json(tmp_path: Path) -> None:
    """A cell holds the JSON of it, NaN included, and reads back as that text."""
    frame = pa.table({"a": [[1.5, None, float("nan")]], "b": [{"x": 'say "1"'}], "c": [[]]})
    path = se.write(frame, tmp_path / "x.tsv")
    texts = {"a": ['[1.5,null,"NaN"]'], "b": ['{"x":"say \\"1\\""}'], "c": ["[]"]}
    assert se.read(path, "arrow").to_pydict() == texts


NEW_YEAR = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
NAIVE = dt.datetime(2024, 1, 1, microsecond=1)  # noqa: DTZ001
DAY = dt.date(2024, 1, 1)
FRAMES: dict[str, tuple[Any, list[Any]]] = {
    "naive": (pd.DataFrame({"a": pd.Series([NAIVE, None], dtype="datetime64[us]")}), [NAIVE, None]),
    "zone": (pd.DataFrame({"a": pd.to_datetime([NEW_YEAR]).tz_convert(BERLIN)}), [NEW_YEAR]),
    "offset": (pd.DataFrame({"a": pd.to_datetime(["2024-01-01T02:00+02:00"])}), [NEW_YEAR]),
    "dates": (pd.DataFrame({"a": [DAY, None]}), [DAY, None]),
    "durations": (
        pd.DataFrame({"a": pd.to_timedelta(["1.5s", None])}),
        [dt.timedelta(seconds=1.5), None],
    ),
    "seconds": (pd.DataFrame({"a": np.array([DAY], "M8[s]")}), [NAIVE.replace(microsecond=0)]),
    "sparse": (pd.DataFrame({"a": pd.arrays.SparseArray([1.5, np.nan])}), [1.5, None]),
    "numbers": (pd.DataFrame({"a": [1, 2.5, None]}, dtype=object), [1.0, 2.5, None]),
    "truths": (pd.DataFrame({"a": [True, None, False]}), [True, None, False]),
    "tuples": (pd.DataFrame({"a": [(1, 2), None]}), [[1, 2], None]),
    "arrays": (pd.DataFrame({"a": [np.array([1, 2]), None]}), [[1, 2], None]),
    "objects": (
        pd.DataFrame({"a": [{"x": 1.5, "y": ["z"]}, None]}),
        [{"x": 1.5, "y": ["z"]}, None],
    ),
    "categories": (pd.DataFrame({"a": pd.Categorical([3, 1, None])}), [3, 1, None]),
    "empty": (pd.DataFrame({"a": pd.Series([], dtype=object)}), []),
    "nothing": (pd.DataFrame({"a": [None, None]}), [None, None]),
    "numbered columns": (pd.DataFrame({0: [1], 1: [2]}), [1]),
    "polars": (pl.DataFrame({"a": [DAY, None], "b": [dt.time(1), None]}), [DAY, None]),
    "enum": (pl.DataFrame({"a": pl.Series(["x"], dtype=pl.Enum(["y", "x"]))}), ["x"]),
    "categories in lists": (
        pl.DataFrame({"a": pl.Series([["x"]], dtype=pl.List(pl.Categorical))}),
        [["x"]],
    ),
    "batch": (pa.record_batch({"a": [1, None]}), [1, None]),
    "views": (pa.table({"a": pa.array(["x", None], pa.string_view())}), ["x", None]),
    "days": (pa.table({"a": pa.array([86_400_000], pa.date64())}), [dt.date(1970, 1, 2)]),
    "a missing category": (
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["x", None]))}),
        ["x", None],
    ),
    "a category twice": (
        pa.table({"a": pa.DictionaryArray.from_arrays([0, 1], ["x", "x"], ordered=True)}),
        ["x", "x"],
    ),
    "parts": (
        pa.concat_tables([pa.table({"a": pa.array([x, "b"]).dictionary_encode()}) for x in "ac"]),
        ["a", "b", "c", "b"],
    ),
}


@pytest.mark.parametrize("extension", [*COLUMNAR, *TEXTS])
@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_analysts_are_written(name: str, extension: str, tmp_path: Path) -> None:
    """Columnar formats give the same values back; every kind of frame can be read from all."""
    frame, values = FRAMES[name]
    path = se.write(frame, tmp_path / f"x.{extension}")
    assert len(se.read(path)) == len(se.read(path, "polars")) == len(values)
    found = se.read(path, "arrow")
    assert len(found) == len(values)
    if extension in COLUMNAR:
        assert found[0].to_pylist() == values


class Colour(enum.Enum):
    """Something that is no value of a table."""

    RED = 1


REFUSED: dict[str, Any] = {
    "mixed": pd.DataFrame({"bad": [1, "a"]}),
    "truth and number": pd.DataFrame({"bad": [True, 1]}, dtype=object),
    "text and bytes": pd.DataFrame({"bad": ["a", b"b"]}),
    "date and time": pd.DataFrame({"bad": [DAY, NAIVE]}),
    "zone or none": pd.DataFrame({"bad": [NAIVE, NEW_YEAR]}, dtype=object),
    "zone of a time of day": pd.DataFrame({"bad": [dt.time(1, tzinfo=dt.UTC)]}),
    "nanoseconds": pd.DataFrame({"bad": [pd.Timestamp(1), "x"]}).iloc[:1],
    "nanoseconds of a duration": pd.DataFrame({"bad": [pd.Timedelta(1), "x"]}).iloc[:1],
    "objects of several forms": pd.DataFrame({"bad": [{"a": 1}, {"b": 1}]}),
    "objects without names": pd.DataFrame({"bad": [{}]}),
    "sets": pd.DataFrame({"bad": [{1}]}),
    "lists of several kinds": pd.DataFrame({"bad": [[1, "a"]]}),
    "frames": pd.DataFrame({"bad": [pd.DataFrame()]}),
    "matrices": pd.DataFrame({"bad": [np.zeros((2, 2))]}),
    "complex": pd.DataFrame({"bad": [1j]}),
    "long double": pd.DataFrame({"bad": np.array([1], np.longdouble)}),
    "intervals": pd.DataFrame({"bad": pd.interval_range(0, 2)}),
    "bins": pd.DataFrame({"bad": pd.cut(pd.Series([1, 2]), 2)}),
    "periods": pd.DataFrame({"bad": pd.period_range("2024", periods=1)}),
    "instances": pd.DataFrame({"bad": [Colour.RED]}),
    "uuids": pd.DataFrame({"bad": [UUID(int=1)]}),
    "huge": pd.DataFrame({"bad": [2**64]}),
    "long decimals": pd.DataFrame({"bad": [D(10) ** 39 + D("0.5")]}),
    "surrogate": pd.DataFrame({"bad": pd.Series(["\ud800"], dtype=object)}),
    "far seconds": pa.table({"bad": pa.array([2**62], pa.timestamp("s"))}),
    "months": pa.table({"bad": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}),
    "map": pa.table({"bad": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))}),
    "twice": pa.table({"bad": pa.array([{}], pa.struct([("a", pa.int8()), ("a", pa.int8())]))}),
    "polars objects": pl.DataFrame({"bad": pl.Series([Colour.RED], dtype=pl.Object)}),
    "polars 128 bits": pl.DataFrame({"bad": pl.Series([1], dtype=pl.Int128)}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_refused(name: str, tmp_path: Path) -> None:
    """The error is a usage error that names the column and what to do; nothing is written."""
    for extension in (*COLUMNAR, *TEXTS):
        with pytest.raises(UsageError, match=r"^frame=: column 'bad' .* first, or leave it out$"):
            se.write(REFUSED[name], tmp_path / f"x.{extension}")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_value_is_shown() -> None:
    """The refusal says which value would come back as what."""
    frame = pd.DataFrame({"bad": [{"a": 1}, {"b": 1}]})
    with pytest.raises(
        UsageError, match=r"holds {'a': 1}, which would come back as {'a': 1, 'b': None}"
    ):
        se.write(frame, "x.csv")


@pytest.mark.parametrize("extension", TEXTS)
@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array([b"x"]), "holds binary"),
        (pa.array([[b"x"]]), "holds list<item: binary>"),
        (pa.array([253_402_300_800_000], pa.timestamp("ms", "UTC")), "the years 0 to 9999"),
        (pa.array([-62_167_219_200_001], pa.timestamp("ms")), "the years 0 to 9999"),
        (pa.array([[2**60]], pa.list_(pa.timestamp("us"))), "the years 0 to 9999"),
        (pa.array([2_932_897], pa.date32()), "the years 0 to 9999"),
    ],
)
def test_what_text_cannot_hold(column: Any, why: str, extension: str, tmp_path: Path) -> None:
    """Text refuses binary and distant years, and names the column; columnar formats keep them."""
    frame = pa.table({"bad": column})
    with pytest.raises(UsageError, match=f"^column 'bad' .*{why}.*save as .parquet"):
        se.write(frame, tmp_path / f"x.{extension}")
    assert list(tmp_path.iterdir()) == []
    assert se.read(se.write(frame, tmp_path / "x.parquet"), "arrow").equals(frame)


@pytest.mark.parametrize("extension", TEXTS)
def test_the_first_and_the_last_year(extension: str, tmp_path: Path) -> None:
    """The ends of what four digits can say come back."""
    ends = pa.array([-62_167_219_200_000, 253_402_300_799_999], pa.timestamp("ms", "UTC"))
    frame = pa.table({"a": ends})
    assert se.read(se.write(frame, tmp_path / f"x.{extension}"), "arrow").equals(frame)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (pd.Series([1], name="a"), r"not Series: give frame.to_frame\(\)"),
        (pl.Series([1]), r"not Series: give frame.to_frame\(\)"),
        (pl.LazyFrame({"a": [1]}), r"not LazyFrame: give frame.collect\(\)"),
        ({"a": [1]}, "not dict"),
        (None, "not NoneType"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns called 'a'"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "two columns called '1'"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns called 'a'"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "of 2 levels"),
        (pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)), "half a character"),
    ],
)
def test_what_is_no_frame(frame: Any, why: str, tmp_path: Path) -> None:
    """Something else than a frame, or a frame with unusable names, is refused with a hint."""
    with pytest.raises(UsageError, match=f"^frame=.*{why}"):
        se.write(frame, tmp_path / "x.csv")


def test_foreign_types_are_read_as_far_as_a_frame_has_them(tmp_path: Path) -> None:
    """What polars or pandas cannot hold is refused by name of the kind of frame; Arrow holds it."""
    months = pa.table({"a": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    broken = pa.table({"a": [1]}).replace_schema_metadata({"pandas": "{"})
    for frame, foreign in (("polars", months), ("pandas", broken)):
        path = tmp_path / f"{frame}.feather"
        write_table(Table("", foreign.schema, foreign.to_batches()), parse_target(str(path)))
        assert se.read(path, "arrow").equals(foreign)
        with pytest.raises(UsageError, match=f"frame= {frame} cannot hold this table"):
            se.read(path, frame)  # type: ignore[call-overload]
