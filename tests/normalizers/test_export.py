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
from swanlab_export.report import Report

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


def _read(
    raw: bytes,
    keys: list[str],
    size: int = 7,
    *,
    must_end: bool = True,
    report: Report | None = None,
    prefix: str | None = RUN_ID,
) -> list[list[Any]]:
    chunks = [raw[i : i + size] for i in range(0, len(raw), size)]
    found = Report() if report is None else report
    blocks = read_export(chunks, prefix, keys, found, must_end_line=lambda: must_end)
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


def test_odd_values_are_marked_where_they_are() -> None:
    """A word is marked, and neither an empty cell nor a number; a key without words has no marks."""
    header = b"step,run1-a_step,run1-a_timestamp,run1-b_step,run1-b_timestamp\n"
    rows = b"0,1.5,1700000000000,2,1700000000000\n1,,,3,1700000000000\n2,word,1700000000000,,\n"
    raw = [header + rows]
    (block,) = read_export(raw, RUN_ID, ["a", "b"], Report(), must_end_line=lambda: True)
    assert block["v0"].to_pylist() == [1.5, None, None]
    assert block["odd0"].to_pylist() == [None, None, "word"]
    assert "odd1" not in block.schema.names


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
        (b"", "the exported file is empty, without even a header"),
        (b"step,run1-a_step\n", "the exported file has no column 'run1-a_timestamp'"),
        (b"<html>\n", "the exported file has no column 'step'"),
        (b"\n" + HEADER, "the exported file has no column 'step'"),
        (b"step," + HEADER, "the exported file has two columns named 'step'"),
        (b'step,"run1-a_step"!,x\n', NO_HEADER + "'step,\"run1-a_step\"!,x.*'"),
        (b'step,"run1-a_step\n', NO_HEADER + "'step,\"run1-a_step.*'"),
        (HEADER + b"1,2\n", "the exported file cannot be read: .*row 1: .*1,2.*"),
        (HEADER + b"1,2,3,4\n", "the exported file cannot be read: .*row 1: .*1,2,3,4.*"),
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
    (block,) = read_export([raw], RUN_ID, ["a", "b"], Report(), must_end_line=lambda: True)
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


def test_a_mistake_in_a_later_block() -> None:
    """Rows are counted over the whole file, however it is cut into blocks."""
    rows = [b"%d,1,1700000000000\n" % i for i in range(15_000)]
    chunks = [HEADER + b"".join(rows[:5000]), b"".join(rows[5000:]), b"15000,1\n"]
    blocks = read_export(chunks, RUN_ID, ["a"], Report(), must_end_line=lambda: True)
    assert [next(blocks).num_rows, next(blocks).num_rows] == [5000, 10_000]
    with pytest.raises(ServerError, match=r"row 15001: .*15000,1"):
        next(blocks)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (b"true", 1.0),
        (b"False", 0.0),
        (b"INF", math.inf),
        (b"-Infinity", -math.inf),
        (b" 0.5 ", 0.5),
        (b"word", None),
        (b'"two, words\nand ""more"""', None),
        (b"\xff", None),
        (b"1_0", None),
        (b"x" * 1_000_000, None),
    ],
    ids=["true", "False", "INF", "-Infinity", "blanks", "word", "lines", "bytes", "1_0", "long"],
)
def test_cells_that_are_no_numbers(cell: bytes, value: float | None) -> None:
    """Truth values are 1 and 0; a word is null and counted, and all other cells stay."""
    raw = HEADER + b"0,0.5,1700000000000\n1," + cell + b",1700000000001\n2,,\n3,2.5,\n"
    report = Report()
    assert _read(raw, ["a"], 1000, report=report) == [
        [0, 0.5, 1_700_000_000_000],
        [1, value, 1_700_000_000_001],
        [2, None, None],
        [3, 2.5, None],
    ]
    said = report.all_warnings()
    assert len(said) == (value is None)
    assert all(each.startswith("1 value of value ") for each in said)


def test_a_word_is_a_point() -> None:
    """The block marks it, since its value is as null as that of a key without a point."""
    raw = HEADER + b"0,word,\n1,,\n2,0.5,\n"
    (block,) = read_export([raw], RUN_ID, ["a"], Report(), must_end_line=lambda: True)
    assert block["v0"].to_pylist() == [None, None, 0.5]
    assert block["odd0"].to_pylist() == ["word", None, None]


def test_words_are_counted_one_by_one() -> None:
    """The same word in many rows, in several blocks, counts as often as it occurs."""
    lines = [b"%d,%s,1700000000000\n" % (i, b"warm-up" if i % 3 else b"1") for i in range(9000)]
    report = Report()
    found = _read(HEADER + b"".join(lines), ["a"], 60_000, report=report)
    assert [value for _, value, _ in found] == [None if i % 3 else 1.0 for i in range(9000)]
    (said,) = report.all_warnings()
    assert said.startswith("6000 values of value ")
    assert "'warm-up'" in said


@pytest.mark.parametrize(
    ("cell", "step", "shown"),
    [
        (b"5.0", 5, None),
        (b"1e1", 10, None),
        (b"9007199254740993.0", 9_007_199_254_740_993, None),
        (b"5.5", None, "'5.5'"),
        (b"x", None, "'x'"),
        (b"", None, "''"),
        (b"99999999999999999999", None, "'99999999999999999999'"),
    ],
)
def test_steps_that_are_no_integers(cell: bytes, step: int | None, shown: str | None) -> None:
    """A step may be written as a decimal; what is none is null and counted."""
    report = Report()
    raw = HEADER + b"0.0,0.5,1700000000000\n" + cell + b",1.5,1700000000001\n"
    assert [row[:2] for row in _read(raw, ["a"], report=report)] == [[0, 0.5], [step, 1.5]]
    said = report.all_warnings()
    assert len(said) == (shown is not None)
    assert all(each.startswith("1 value of step ") and str(shown) in each for each in said)


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        (b"1700000000001.0", 1_700_000_000_001),
        (b"2023-11-14T22:13:20Z", 1_700_000_000_000),
        (b"soon", None),
        (b"253402300799999", 253_402_300_799_999),
        (b"253402300800000", None),
        (b"-62104060800001", None),
        (b"0001-01-01T00:00:00Z", None),
    ],
)
def test_times_that_are_no_milliseconds(cell: bytes, time: int | None) -> None:
    """ISO 8601 and decimals are read; what is no time, or beyond the calendar, is null."""
    report = Report()
    raw = HEADER + b"0,0.5,1700000000000\n1,1.5," + cell + b"\n2,2.5,1700000000\n"
    found = [row[2] for row in _read(raw, ["a"], report=report)]
    assert found == [1_700_000_000_000, time, 1_700_000_000_000]
    said = report.all_warnings()
    assert len(said) == (time is None)
    assert all(each.startswith("1 value of timestamp ") for each in said)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([0, 1, 2], None),
        ([0, 1, 1, 2], "1 row"),
        ([0, 1, 2, 1, 2, 3], "2 rows"),
        ([2, 1, 0], "2 rows"),
    ],
)
def test_steps_that_come_again_or_go_back(steps: list[int], said: str | None) -> None:
    """Every row stays, in the order of the file, and a warning counts them."""
    report = Report()
    raw = HEADER + b"".join(b"%d,%d,1700000000000\n" % (step, i) for i, step in enumerate(steps))
    found = _read(raw, ["a"], report=report)
    assert [(row[0], row[1]) for row in found] == [(step, i) for i, step in enumerate(steps)]
    message = (
        f"the export of 'run1' has {said} with a step that came before, or out of order; "
        "all rows are kept"
    )
    assert report.all_warnings() == ([message] if said else [])


def test_steps_are_compared_over_all_blocks() -> None:
    """Rows are counted over the whole file, or as far as it was read."""
    lines = [b"%d,1,1700000000000\n" % (i if i < 8000 else i - 4000) for i in range(16_000)]
    raw = HEADER + b"".join(lines)
    chunks = [raw[i : i + 40_000] for i in range(0, len(raw), 40_000)]
    report = Report()
    blocks = read_export(chunks, RUN_ID, ["a"], report, must_end_line=lambda: True)
    assert sum(block.num_rows for block in blocks) == 16_000
    assert "has 4000 rows with a step" in report.warnings[0]
    for limit, warnings in ((1, 0), (10_000, 1)):
        report = Report()
        blocks = read_export(chunks, RUN_ID, ["a"], report, must_end_line=lambda: True)
        rows = 0
        while rows < limit:
            rows += next(blocks).num_rows
        blocks.close()  # type: ignore[attr-defined]  # a generator
        assert len(report.warnings) == warnings


@pytest.mark.parametrize(
    ("prefix", "keys", "said"),
    [
        ("exp", ["train/loss", "acc"], None),
        (None, ["acc"], None),
        (None, ["train/loss"], None),
        (None, ["loss"], "has no column '-loss_step'"),
        (None, ["b"], "has two columns that end in '-b_step'"),
        ("other", ["acc"], "has no column 'other-acc_step'"),
    ],
)
def test_the_name_before_the_keys(prefix: str | None, keys: list[str], said: str | None) -> None:
    """Without a name a key is found by its end, if only one column ends so."""
    names = ["exp-train/loss", "exp-acc", "exp-b", "exp-a-b"]
    header = "step," + ",".join(f"{name}_step,{name}_timestamp" for name in names)
    raw = f"{header}\n3,1,1700000000000,2,1700000000000,3,1700000000000,4,1700000000000\n".encode()
    if said is None:
        values = {"train/loss": 1.0, "acc": 2.0}
        (row,) = _read(raw, keys, prefix=prefix)
        assert row[1::2] == [values[key] for key in keys]
        return
    with pytest.raises(SwanlabExportError, match=said):
        _read(raw, keys, prefix=prefix)


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


TWO_KEYS = b"step,run1-a_step,run1-a_timestamp,run1-b_step,run1-b_timestamp\n"
TWO_ROWS = b"1,2,1700000000000,3,1700000000001\n2,2,1700000000002,3,1700000000003"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (TWO_ROWS, None),
        (TWO_ROWS + b"\n3,2,1700000000002,,", None),
        (TWO_ROWS + b"\n3,,,2,1700000000002", None),
        (TWO_ROWS[:-1], "in the middle of its last time"),
        (TWO_ROWS[:-13], "in the middle of its last time"),
        (TWO_ROWS[:-14], "in the middle of its last line"),
        (TWO_ROWS + b"\n3", "in the middle of its last line"),
        (TWO_ROWS[:33] + b"", None),
        (TWO_ROWS[:32], "in the middle of its last time"),
        (TWO_ROWS + b'\n3,"word\n",1700000000004,"more, words",1700000000005', None),
    ],
    ids=["whole", "gap", "gap before", "digit", "time", "cell", "line", "one", "one cut", "words"],
)
def test_a_last_line_without_an_end_must_be_whole(raw: bytes, said: str | None) -> None:
    """It has all cells, and its last time as many digits as those beside or above it."""
    for size in (7, 1000):
        if said is None:
            assert _read(TWO_KEYS + raw, ["a", "b"], size, must_end=False)
            continue
        with pytest.raises(IncompleteError, match=f"^the exported file ends {said}$"):
            _read(TWO_KEYS + raw, ["a", "b"], size, must_end=False)


@pytest.mark.parametrize(
    "lines",
    [
        b"".join(b"%05d,1,1700000000000\n" % i for i in range(10_000)),
        b"1," + b"x" * 70_000 + b",1700000000000\n",
    ],
    ids=["many lines", "a long line"],
)
def test_a_cut_last_time_in_a_block_of_its_own(lines: bytes) -> None:
    """The times above may have been read long before."""
    chunks = [HEADER + lines, b"10000,1,17000000"]
    with pytest.raises(IncompleteError, match="in the middle of its last time"):
        list(read_export(chunks, RUN_ID, ["a"], Report(), must_end_line=lambda: False))


def test_a_long_cell_in_a_last_line_without_an_end() -> None:
    """A cell that is longer than the csv module reads is read, and nothing is wrong with the line."""
    raw = HEADER + b"1,2.0,1700000000000\n2," + b"x" * 140_000 + b",1700000000001"
    assert [row[1] for row in _read(raw, ["a"], must_end=False)] == [2.0, None]


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
    blocks = read_export(chunks, RUN_ID, ["a"], Report(), must_end_line=lambda: True)
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
