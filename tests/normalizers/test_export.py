"""The reader of exported CSV, against the csv module of the standard library."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swanlab_export.errors import IncompleteError, SwanlabExportError
from swanlab_export.normalizers.export import read_export

RUN_ID = "run1"
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.none() | st.floats(width=64)
TIMES = st.integers(1_000_000_000_000, 4_000_000_000_000)


@st.composite
def exports(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    """Keys, and rows of a step with a value and a time for each key."""
    keys = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    steps = sorted(draw(st.sets(st.integers(0, 10**9), max_size=20)))
    rows = []
    for step in steps:
        values = draw(st.lists(VALUES, min_size=len(keys), max_size=len(keys)))
        rows.append([step, *((v, None if v is None else draw(TIMES)) for v in values)])
    return keys, rows


def _written(keys: list[str], rows: list[list[Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    suffixes = ("step", "timestamp")
    writer.writerow(["step", *(f"{RUN_ID}-{key}_{suffix}" for key in keys for suffix in suffixes)])
    for step, *points in rows:
        cells = ["" if cell is None else repr(cell) for point in points for cell in point]
        out.write(",".join([str(step), *cells]) + "\n")
    return out.getvalue().encode()


def _read(raw: bytes, keys: list[str], size: int = 7, *, must_end: bool = True) -> list[list[Any]]:
    chunks = [raw[i : i + size] for i in range(0, len(raw), size)]
    blocks = read_export(chunks, RUN_ID, keys, must_end_line=lambda: must_end)
    columns = [f"{kind}{i}" for i in range(len(keys)) for kind in "vt"]
    rows = [row for block in blocks for row in block.to_pylist()]
    return [[row["step"], *(row[name] for name in columns)] for row in rows]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


@settings(deadline=None)
@given(exports(), st.integers(1, 64))
def test_it_agrees_with_the_csv_module(
    export: tuple[list[str], list[list[Any]]], size: int
) -> None:
    """Odd names, gaps, NaN and infinities come out as they went in, wherever bytes are cut."""
    keys, rows = export
    expected = [[step, *(cell for point in points for cell in point)] for step, *points in rows]
    found = _read(_written(keys, rows), keys, size)
    assert len(found) == len(expected)
    assert all(
        _same(a, b) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True)
    )


@settings(deadline=None)
@given(exports(), st.data())
def test_a_cut_is_an_error_or_ends_a_line(
    export: tuple[list[str], list[list[Any]]], data: st.DataObject
) -> None:
    """A file cut anywhere inside a line is refused; cut between lines it is a shorter file."""
    keys, rows = export
    raw = _written(keys, rows)
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    try:
        found = _read(cut, keys)
    except SwanlabExportError:
        return
    assert cut.endswith(b"\n")
    assert len(found) < len(rows) or not rows


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b"step,run1-a_step\n", "no column"),
        (b"step,run1-a_step,run1-a_timestamp\n1,2,3\n1,2,3\n", "not in order"),
        (b"step,run1-a_step,run1-a_timestamp\n,2,3\n", "without a step"),
        (b"step,run1-a_step,run1-a_timestamp\n1,2\n", "cannot be read"),
        (b"step,run1-a_step,run1-a_timestamp\nx,2,3\n", "cannot be read"),
        (b"step,step,run1-a_step,run1-a_timestamp\n", "two columns"),
        (b"<html>\n", "no column"),
    ],
)
def test_odd_files_are_refused(raw: bytes, said: str) -> None:
    """What is not such a file is an error that says why."""
    with pytest.raises(SwanlabExportError, match=said):
        _read(raw, ["a"])


def test_short_times_are_scaled_up() -> None:
    """Unix seconds become milliseconds."""
    raw = b"step,run1-a_step,run1-a_timestamp\n1,2,1700000000\n"
    assert _read(raw, ["a"]) == [[1, 2.0, 1_700_000_000_000]]


def test_a_line_without_an_end_counts_only_when_it_must_not_end() -> None:
    """With a length to go by, the last newline may be missing."""
    raw = b"step,run1-a_step,run1-a_timestamp\n1,2,1700000000000"
    assert len(_read(raw, ["a"], must_end=False)) == 1
    with pytest.raises(IncompleteError):
        _read(raw, ["a"])


@pytest.mark.parametrize("rows", [10, 5000])
def test_blocks_do_not_depend_on_chunks(rows: int) -> None:
    """A file of any size is read the same in one chunk, in many, and with its header in pieces."""
    raw = b"step,run1-a_step,run1-a_timestamp\n" + b"".join(
        b"%d,%d.5,%d\n" % (i, i, 1_700_000_000_000 + i) for i in range(rows)
    )
    expected = [[i, i + 0.5, 1_700_000_000_000 + i] for i in range(rows)]
    for size in (1000, 100_000, len(raw)):
        assert _read(raw, ["a"], size) == expected


def test_a_long_line_is_waited_for() -> None:
    """A header longer than a chunk is no mistake; a megabyte without a line is."""
    key = "k" * 120_000
    raw = f"step,run1-{key}_step,run1-{key}_timestamp\n1,2.0,1700000000000\n".encode()
    assert _read(raw, [key], 50_000) == [[1, 2.0, 1_700_000_000_000]]
    with pytest.raises(SwanlabExportError, match="has no lines"):
        _read(b"x" * 2_000_000, ["a"], 100_000)


def test_quotes_that_never_end() -> None:
    """A header whose quotes never close is refused, however long it goes on."""
    raw = b'step,"run1-a_step\n' + b"1,2,3\n" * 300_000
    with pytest.raises(SwanlabExportError, match="does not begin with a header"):
        _read(raw, ["a"], 100_000)


def test_a_header_that_is_no_text() -> None:
    """Bytes that are no UTF-8 are refused, and shown harmlessly."""
    with pytest.raises(SwanlabExportError, match="does not begin with a header"):
        _read(b"\xff\xfe\x1b[2J\n1,2,3\n", ["a"])


def test_empty_lines_are_no_rows() -> None:
    """A file of a header and empty lines holds no point."""
    assert _read(b"step,run1-a_step,run1-a_timestamp\n\n\n", ["a"], 100) == []
