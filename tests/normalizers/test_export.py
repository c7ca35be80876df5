"""The reader of exported CSV, against the csv module of the standard library."""

from __future__ import annotations

import csv
import io
import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swanlab_export.errors import IncompleteError, ServerError, SwanlabExportError
from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.values import scale_to_ms

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


HEADER = b"step,run1-a_step,run1-a_timestamp\n"
NO_HEADER = "the exported file does not begin with a header: "


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the exported file came back empty, without even a header"),
        (b"step,run1-a_step\n", "the exported file has no column 'run1-a_timestamp'"),
        (b"<html>\n", "the exported file has no column 'step'"),
        (b"\n" + HEADER, "the exported file has no column 'step'"),
        (b"step," + HEADER, "the exported file has two columns named 'step'"),
        (b'step,"run1-a_step"!,x\n', NO_HEADER + "'step,\"run1-a_step\"!,x.*'"),
        (b'step,"run1-a_step\n', NO_HEADER + "'step,\"run1-a_step.*'"),
        (HEADER + b"1,2,3\n1,2,3\n", "the steps of the exported file are not in order"),
        (HEADER + b"2,2,3\n1,2,3\n", "the steps of the exported file are not in order"),
        (HEADER + b",2,3\n", "the exported file has a row without a step"),
        (HEADER + b"1,2\n", "the exported file cannot be read: .*row 1: .*1,2.*"),
        (HEADER + b"x,2,3\n", "the exported file cannot be read: .*'x'.*"),
        (
            HEADER + b"1,2,253402300799999\n2,2,253402300800000\n",
            "the exported file has a time that is not in milliseconds: 253402300800000",
        ),
        (HEADER + b"1,2", "the download ended in the middle of a line"),
    ],
)
def test_odd_files_are_refused(raw: bytes, said: str) -> None:
    """What is not such a file is an error that says why, and shows what came."""
    with pytest.raises(SwanlabExportError, match=f"^{said}$"):
        _read(raw, ["a"])


def test_columns_are_found_by_their_header() -> None:
    """Whatever the order of the file, and whatever else it holds: keys in the order asked for."""
    raw = (
        b"note,run1-b_timestamp,run1-b_step,step,run1-x_step,run1-a_timestamp,run1-a_step\n"
        b"odd,1700000000001,2.5,7,more,1700000000002,1.5\n"
    )
    (block,) = read_export([raw], RUN_ID, ["a", "b"], must_end_line=lambda: True)
    assert block.schema.names == ["step", "v0", "t0", "v1", "t1"]
    assert _read(raw, ["a", "b"]) == [[7, 1.5, 1_700_000_000_002, 2.5, 1_700_000_000_001]]


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    """A file that begins with one is read like any other."""
    raw = b"\xef\xbb\xbf" + HEADER + b"1,2,1700000000000\n"
    assert _read(raw, ["a"]) == [[1, 2.0, 1_700_000_000_000]]


def test_names_may_hold_newlines_and_quotes() -> None:
    """A header goes on over as many lines as its quotes enclose."""
    keys = ['a\n"b"\n\n,c', "d\r\ne\rf"]
    rows = [[1, (2.5, 1_700_000_000_000), (3.5, 1_700_000_000_000)]]
    expected = [[1, 2.5, 1_700_000_000_000, 3.5, 1_700_000_000_000]]
    for size in (1, 7, 1000):
        assert _read(_written(keys, rows), keys, size) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"14999,1,\n", "not in order"),
        (b"0,1,\n", "not in order"),
        (b"x,1,\n", "row 15001: .*'x'"),
        (b"15000,1\n", "row 15001: .*15000,1"),
    ],
)
def test_a_mistake_in_a_later_block(line: bytes, said: str) -> None:
    """Steps rise, and rows are counted, over the whole file, however it is cut into blocks."""
    rows = [b"%d,1,1700000000000\n" % i for i in range(15_000)]
    chunks = [HEADER + b"".join(rows[:5000]), b"".join(rows[5000:]), line]
    blocks = read_export(chunks, RUN_ID, ["a"], must_end_line=lambda: True)
    assert [next(blocks).num_rows, next(blocks).num_rows] == [5000, 10_000]
    with pytest.raises(ServerError, match=said):
        next(blocks)


def test_times_are_scaled_up_one_by_one() -> None:
    """Seconds and milliseconds in one column each become what they would be alone."""
    times = [1_700_000_000, 1_700_000_000_000, None, 0, 1, -5, 999_999_999_999, 10**12, 10**13]
    raw = HEADER + b"".join(
        b"%d,1,%s\n" % (step, b"" if time is None else b"%d" % time)
        for step, time in enumerate(times)
    )
    found = [time for _, _, time in _read(raw, ["a"])]
    assert found == [None if time is None else scale_to_ms(time) for time in times]
    assert found[:2] == [1_700_000_000_000, 1_700_000_000_000]


def test_a_line_without_an_end_counts_only_when_it_must_not_end() -> None:
    """With a length to go by, the last newline may be missing, even that of the header."""
    raw = HEADER + b"1,2,1700000000000"
    assert len(_read(raw, ["a"], must_end=False)) == 1
    assert _read(HEADER.rstrip(), ["a"], must_end=False) == []
    with pytest.raises(IncompleteError):
        _read(raw, ["a"])


@pytest.mark.parametrize("rows", [10, 5000])
def test_blocks_do_not_depend_on_chunks(rows: int) -> None:
    """A file of any size is read the same in one chunk, in many, and with its header in pieces."""
    raw = HEADER + b"".join(b"%d,%d.5,%d\n" % (i, i, 1_700_000_000_000 + i) for i in range(rows))
    expected = [[i, i + 0.5, 1_700_000_000_000 + i] for i in range(rows)]
    for size in (1000, 100_000, len(raw)):
        assert _read(raw, ["a"], size) == expected


def test_blocks_grow() -> None:
    """The first rows are seen at once, and a long file still comes in a few large blocks."""
    lines = [b"%07d,0.12345678,1700000000000\n" % i for i in range(200_000)]
    raw = HEADER + b"".join(lines)
    chunks = (raw[i : i + 10_000] for i in range(0, len(raw), 10_000))
    blocks = read_export(chunks, RUN_ID, ["a"], must_end_line=lambda: True)
    sizes = [block.num_rows * len(lines[0]) for block in blocks]
    assert sum(sizes) == len(raw) - len(HEADER)
    assert sizes[0] < 100_000
    assert all(size < 2 * before + 20_000 for before, size in itertools.pairwise(sizes))
    assert max(sizes) > 1_000_000
    assert len(sizes) < 10


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
    assert _read(HEADER + b"\n\n", ["a"], 100) == []
