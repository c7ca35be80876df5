"""NaN is a value and missing is missing, also in pandas, which has one NaN for both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import swanlab_export as se
from swanlab_export.api.frames.to_frame import to_frame
from swanlab_export.sandbox import Sandbox
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = "ada-lab/digits/diverged"
FORMATS = ["parquet", "feather", "csv", "tsv", "json", "jsonl", "csv.gz", "jsonl.zst"]
NAN = math.nan


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


def ours(values: list[float | None], kind: Any = None) -> pd.DataFrame:
    """A pandas frame of ours with one column of floats."""
    batch = pa.record_batch({"value": pa.array(values, kind or pa.float64())})
    found: pd.DataFrame = to_frame(Table("t", batch.schema, [batch]), "pandas")
    return found


def written(frame: Any, folder: Path, name: str = "x.parquet") -> list[float | None]:
    """What a file holds of the first column."""
    found: list[float | None] = se.read(se.write(frame, folder / name), "arrow")[0].to_pylist()
    return found


@pytest.mark.parametrize("extension", FORMATS)
def test_a_diverged_run_keeps_its_nan(extension: str, api: Any, tmp_path: Path) -> None:
    """Frame → file holds as many NaN and as few missing values as the streamed file."""
    streamed = api.run.metrics(RUN, keys="loss", full=True, save=str(tmp_path / f"a.{extension}"))
    frame = api.run.metrics(RUN, keys="loss", full=True)
    for path in (streamed, se.write(frame, tmp_path / f"b.{extension}")):
        value = se.read(path, "arrow")["value"]
        assert pc.sum(pc.is_nan(value)).as_py() == 253
        assert value.null_count == 0
    again = se.read(se.write(se.read(streamed), tmp_path / f"c.{extension}"), "arrow")["value"]
    assert pc.sum(pc.is_nan(again)).as_py() == 253


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("frame", ["pandas", "arrow", "polars"])
def test_missing_and_nan_in_one_column(frame: Any, extension: str, tmp_path: Path) -> None:
    """Both stay what they are through every kind of frame and every format."""
    path = se.write(pa.table({"value": [1.0, None, NAN, -math.inf]}), tmp_path / f"a.{extension}")
    again = se.write(se.read(path, frame), tmp_path / f"b.{extension}")
    assert str(se.read(again, "arrow")["value"].to_pylist()) == "[1.0, None, nan, -inf]"


def test_pandas_sees_both_as_nan() -> None:
    """Columns are numpy's floats, and ``isna`` and ``dropna`` do what analysts expect."""
    frame = ours([1.0, None, NAN])
    assert frame["value"].dtype == np.float64
    assert frame["value"].isna().tolist() == [False, True, True]
    assert frame.dropna()["value"].tolist() == [1.0]
    assert frame["value"].mean() == 1.0


@pytest.mark.parametrize(
    "work",
    [
        lambda frame: frame.copy(),
        lambda frame: frame[frame["value"] != 1.0],
        lambda frame: frame.sort_values("value"),
        lambda frame: frame * 2 + 1,
        lambda frame: -frame,
        lambda frame: pd.concat([frame.iloc[:2], frame.iloc[2:]]),
        lambda frame: frame.merge(pd.DataFrame({"i": [0, 1, 2, 3]}), left_index=True, right_on="i"),
        lambda frame: frame.astype("float32"),
        lambda frame: frame.astype("float16"),
        lambda frame: frame.astype(object),
        lambda frame: pd.DataFrame({"value": frame["value"].tolist()}),
        lambda frame: frame.set_index("value"),
        lambda frame: frame.T.T,
        lambda frame: frame.assign(other="x").T.T,
    ],
)
def test_a_nan_stays_a_value(work: Any, tmp_path: Path) -> None:
    """Whatever an analyst does with the rows, one NaN and one missing value come out."""
    frame = work(ours([1.0, None, NAN, 2.0]))
    value = se.read(se.write(frame, tmp_path / "x.parquet"), "arrow")["value"]
    assert value.null_count == 1
    assert pc.sum(pc.is_nan(value)).as_py() == 1


def test_rows_that_pandas_adds_are_missing(tmp_path: Path) -> None:
    """What a reindex or an outer join has no value for is missing, beside NaN that are values."""
    frame = ours([1.0, NAN])
    assert str(written(frame.reindex([0, 1, 2]), tmp_path)) == "[1.0, nan, None]"
    frame["key"] = [0, 1]
    joined = frame.merge(pd.DataFrame({"key": [1, 5]}), on="key", how="outer")
    assert str(written(joined, tmp_path)) == "[1.0, nan, None]"


@pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
def test_nan_that_a_user_made_is_missing(kind: str, tmp_path: Path) -> None:
    """In a frame of floats of the user's own, NaN is missing, as pandas has it."""
    frame = pd.DataFrame({"value": np.array([0.5, NAN, -NAN], dtype=kind)})
    assert written(frame, tmp_path) == [0.5, None, None]
    assert written(pd.DataFrame({"value": [0.5, None, NAN]}, dtype=object), tmp_path) == [
        0.5,
        None,
        None,
    ]


def test_nan_in_types_that_tell_it_from_missing(tmp_path: Path) -> None:
    """Arrow's type in pandas, and polars, keep NaN and missing as they are."""
    arrow = pd.ArrowDtype(pa.float64())
    series = pd.Series(pd.array(pa.array([1.0, None, NAN]), dtype=arrow))
    assert str(written(series.to_frame("value"), tmp_path)) == "[1.0, None, nan]"
    assert str(written(pl.DataFrame({"value": [1.0, None, NAN]}), tmp_path)) == "[1.0, None, nan]"
    nested = pd.DataFrame({"value": [[1.0, None, NAN], None]})
    assert str(written(nested, tmp_path)) == "[[1.0, None, nan], None]"


def test_files_hold_the_plain_nan(tmp_path: Path) -> None:
    """The mark by which pandas' NaN are told apart is in no file."""
    for kind in (pa.float64(), pa.float32(), pa.float16()):
        path = se.write(ours([NAN, 1.0], kind), tmp_path / "x.feather")
        value = se.read(path, "arrow")["value"].to_numpy()
        assert value[:1].tobytes() == value.dtype.type(NAN).tobytes()
