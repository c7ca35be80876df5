"""Any frame comes back as it was, in every format and through every kind of frame."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swanlab_export as se
from swanlab_export import schemas
from swanlab_export.errors import UsageError
from swanlab_export.writers.recognise import declared_types

COLUMNAR = ["parquet", "feather"]
TEXTS = ["csv", "tsv", "json", "jsonl", "csv.gz", "json.zst"]
KINDS = ["pandas", "arrow", "polars"]
slow = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))

# What looks like something else, so that whole columns of it are likely.
ALIKE = st.sampled_from(
    ["0012", "1.10", "+1", "1e5", "nan", "inf.", "", "null", "True", "2024-01-31"]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NAMES = st.sampled_from([column.name for table in schemas.DECLARED for column in table.columns])
LONG = st.integers(-(2**63), 2**63 - 1)
YEARS_MS = st.integers(-62_167_219_200_000, 253_402_300_799_999)
# Types that text spells, too: those that come back from it, and those that come back as text.
SPELLED: dict[Any, Any] = {
    schemas.INT: LONG,
    schemas.FLOAT: st.floats(),
    schemas.BOOL: st.booleans(),
    schemas.TIME: YEARS_MS,
    pa.timestamp("us"): YEARS_MS.map(lambda ms: ms * 1000 + 1),
    pa.timestamp("ns", "UTC"): LONG.filter(lambda ns: ns >= -(2**63) + 10**9),
    pa.duration("us"): LONG.filter(lambda us: us > -(2**63)),
}
AS_TEXT: dict[Any, Any] = {
    schemas.TEXT: TEXT,
    pa.string(): ALIKE,
    schemas.CATEGORY: TEXT,
    pa.date32(): st.dates(),
    pa.list_(pa.int64()): st.lists(st.none() | LONG, max_size=3),
    schemas.TEXTS: st.lists(st.none() | TEXT, max_size=3),
    pa.list_(pa.float64()): st.lists(st.none() | st.floats(), max_size=3),
    pa.decimal128(38, 3): st.decimals(-(10**9), 10**9, places=3),
}


@st.composite
def columns(draw: st.DrawFn, rows: int, kinds: dict[Any, Any]) -> pa.Array:
    """One column of some type."""
    kind = draw(st.sampled_from(list(kinds)))
    values = draw(st.lists(st.none() | kinds[kind], min_size=rows, max_size=rows))
    return pa.array(values, kind)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """A table of some columns, with names of ours or of anybody."""
    rows = draw(st.integers(0, 5))
    names = draw(st.lists(TEXT | NAMES, min_size=1, max_size=5, unique=True))
    return pa.table([draw(columns(rows, SPELLED | AS_TEXT)) for _ in names], names=names)


def shown(column: Any) -> str:
    """Values as text, in which NaN equals NaN and -0.0 is not 0.0."""
    is_time = pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type)
    # Python knows neither nanoseconds nor the year 0.
    return str((column.cast(pa.int64()) if is_time else column).to_pylist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extension", COLUMNAR)
@slow
@given(wanted=tables())
def test_columnar_files_hold_the_table(extension: str, kind: Any, wanted: pa.Table) -> None:
    """Types and values come back, also after a visit to another kind of frame."""
    with tempfile.TemporaryDirectory() as folder:
        path = se.write(wanted, f"{folder}/a.{extension}")
        found = se.read(se.write(se.read(path, kind), f"{folder}/b.{extension}"), "arrow")
    assert found.column_names == wanted.column_names
    for one, other in zip(found.columns, wanted.columns, strict=True):
        assert shown(one) == shown(other)
        # Of lists of text that are all missing, pandas has no type.
        is_lost = other.type == schemas.TEXTS and other.null_count == len(other)
        assert one.type == other.type or is_lost


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extension", TEXTS)
@slow
@given(wanted=tables())
def test_text_files_say_the_same_again(extension: str, kind: Any, wanted: pa.Table) -> None:
    """What is read from a text file is written as that very file, through any kind of frame."""
    with tempfile.TemporaryDirectory() as folder:
        path = se.write(wanted, f"{folder}/a.{extension}")
        again = se.write(se.read(path, kind), f"{folder}/b.{extension}")
        found = se.read(path, "arrow")
        assert again.read_bytes() == path.read_bytes()
    if wanted.num_rows or not extension.startswith("json"):
        assert found.column_names == wanted.column_names
        assert len(found) == len(wanted)
    # A header of ours says what its columns are, whatever they hold.
    for name in set(found.column_names) - set(declared_types(wanted.column_names)):
        column = wanted[name].combine_chunks()
        if column.type in SPELLED and column.null_count < len(column):
            assert shown(found[name]) == shown(column)
            assert found[name].type == column.type


MISSING = st.just(None)
LONGEST = dt.timedelta(days=100_000)
PANDAS: dict[str, Any] = {
    "float64": st.floats() | MISSING,
    "Int64": st.integers(-(2**63) + 1, 2**63 - 1) | MISSING,
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "boolean": st.booleans() | MISSING,
    "str": TEXT | ALIKE | MISSING,
    "category": TEXT | MISSING,
    "datetime64[ns]": st.datetimes(pd.Timestamp("1700"), pd.Timestamp("2200")) | MISSING,
    "timedelta64[us]": st.timedeltas(-LONGEST, LONGEST) | MISSING,
    "object": st.dates() | MISSING,
}
INDICES = [
    pd.RangeIndex,
    lambda rows: pd.Index(range(7, 7 + 3 * rows, 3)),
    lambda rows: pd.Index(range(rows), name="the row"),
    lambda rows: pd.Index([f"{i}." for i in range(rows)]),
    lambda rows: pd.date_range("2024", periods=rows, name="the day", unit="us"),
    lambda rows: pd.MultiIndex.from_product([[1], range(rows)], names=["a fold", None]),
]


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """A pandas frame as its user makes it."""
    rows = draw(st.integers(0, 4))
    names = draw(st.lists(TEXT | NAMES, min_size=1, max_size=4, unique=True))
    columns = {}
    for name in names:
        dtype = draw(st.sampled_from(list(PANDAS)))
        values = draw(st.lists(PANDAS[dtype], min_size=rows, max_size=rows))
        columns[name] = pd.Series(values, dtype=dtype)
    frame = pd.DataFrame(columns)
    frame.index = draw(st.sampled_from(INDICES))(rows)
    return frame


@pytest.mark.parametrize("extension", [*COLUMNAR, *TEXTS])
@slow
@given(frame=frames())
def test_frames_of_users_come_back(extension: str, frame: pd.DataFrame) -> None:
    """Every value and every index of meaning is in the file; what pandas calls missing is missing."""
    is_kept = len(frame) > 0 and not (
        frame.index.names == [None] and pd.api.types.is_integer_dtype(frame.index.dtype)
    )
    whole = frame.reset_index() if is_kept or frame.index.names != [None] else frame
    with tempfile.TemporaryDirectory() as folder:
        path = se.write(frame, f"{folder}/a.{extension}")
        found = se.read(path)
    if len(frame) or not extension.startswith("json"):
        assert list(found) == list(whole)
    for name in found:
        missing = whole[name].isna().to_numpy()
        assert np.array_equal(found[name].isna().to_numpy(), missing)
        if extension in COLUMNAR:
            one, other = found[name][~missing], whole[name][~missing]
            assert one.astype(object).tolist() == other.astype(object).tolist()


@pytest.mark.parametrize("extension", [*COLUMNAR, *TEXTS])
@slow
@given(texts=st.lists(st.text(max_size=4), min_size=1), name=st.text(max_size=3))
def test_half_characters_are_refused(extension: str, texts: list[str], name: str) -> None:
    """Any text comes back, or is refused by name where it holds half a character."""
    frame = pd.DataFrame({0: pd.Series(texts, dtype=object)})
    frame.columns = pd.Index([name], dtype=object)
    is_whole = not any("\ud800" <= char <= "\udfff" for char in name + "".join(texts))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{extension}"
        if not is_whole:
            with pytest.raises(UsageError, match="half a character") as caught:
                se.write(frame, path)
            assert str(caught.value).encode()
            return
        found = se.read(se.write(frame, path), "arrow")
    assert found.column_names == [name]
    if extension in COLUMNAR:
        assert found[0].to_pylist() == texts
