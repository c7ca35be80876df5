"""Several exports of one run, what they must hold, and odd samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.normalizers.metrics import (
    ExportFilter,
    as_block,
    merge_on_step,
    read_sample,
    sample_block,
    split_keys,
    spool_keys,
)
from swanlab_export.normalizers.selection import Reach, Selection
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable

STEPS = st.sets(st.integers(0, 30), max_size=15).map(sorted)


def _blocks(steps: list[int], size: int) -> list[pa.RecordBatch]:
    parts = [steps[i : i + size] for i in range(0, len(steps), size)]
    return [
        pa.record_batch(
            {
                "step": pa.array(part, pa.int64()),
                "v0": pa.array(part, pa.float64()),
                "t0": pa.array(part, pa.int64()),
            }
        )
        for part in parts
    ]


@settings(deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.integers(1, 6))
def test_merging_equals_a_naive_merge(streams: list[list[int]], size: int) -> None:
    """Every step comes once, in order, with the values of all exports that have it.

    All blocks have the same columns, also those behind the end of an export.
    """
    merged = merge_on_step(
        [_blocks(steps, size) for steps in streams], [1] * len(streams), Report()
    )
    blocks = list(merged)
    columns = [pa.field("step", pa.int64())]
    for i in range(len(streams)):
        columns += [pa.field(f"v{i}", pa.float64()), pa.field(f"t{i}", pa.int64())]
    assert all(block.schema == pa.schema(columns) for block in blocks)
    rows = [row for block in blocks for row in block.to_pylist()]
    assert [row["step"] for row in rows] == sorted(set().union(*streams))
    for row in rows:
        for i, steps in enumerate(streams):
            assert row[f"v{i}"] == (row["step"] if row["step"] in steps else None)


def test_a_step_with_an_odd_value_alone_stays() -> None:
    """A point whose value is no number is a row; a step at which no export has a point is none."""

    def block(steps: list[int], values: list[float | None], **marks: Any) -> pa.RecordBatch:
        whole = pa.array(steps, pa.int64())
        numbers = pa.array(values, pa.float64())
        return pa.record_batch({"step": whole, "v0": numbers, "t0": whole, **marks})

    odd = block([0, 2], [None, 2.0], odd0=pa.array(["word", None]))
    gap = block([1, 2], [None, 2.5])
    (merged,) = merge_on_step([[odd], [gap]], [1, 1], Report())
    assert merged["step"].to_pylist() == [0, 2]


def test_merging_keeps_the_x_axis() -> None:
    """Each export brings the x axis for its own steps; together they have it for all."""

    def block(steps: list[int], x: list[float | None]) -> pa.RecordBatch:
        whole = pa.array(steps, pa.int64())
        axis = pa.array(x, pa.float64())
        return pa.record_batch({"step": whole, "x": axis, "v0": whole.cast("float64"), "t0": whole})

    streams = [[block([0, 2], [0.0, 0.2])], [block([1, 2], [0.1, None])]]
    (merged,) = merge_on_step(streams, [1, 1], Report())
    assert merged["x"].to_pylist() == [0.0, 0.1, 0.2]
    empty = pa.record_batch(
        {name: pa.nulls(2, kind) for name, kind in (("v0", pa.float64()), ("t0", pa.int64()))}
        | {"step": pa.array([0, 1], pa.int64())}
    )
    assert list(merge_on_step([[empty]], [1], Report())) == []


def _points(
    steps: list[int], *values: list[float | None], x: list[float | None] | None = None
) -> pa.RecordBatch:
    """A block of an export; a point's time is its step and a thousand."""
    columns = {"step": pa.array(steps, pa.int64())}
    if x is not None:
        columns["x"] = pa.array(x, pa.float64())
    for i, of_key in enumerate(values):
        times = [None if v is None else 1000 + step for v, step in zip(of_key, steps, strict=True)]
        columns[f"v{i}"] = pa.array(of_key, pa.float64())
        columns[f"t{i}"] = pa.array(times, pa.int64())
    return pa.record_batch(columns)


# Key a has a point at each step, b has three.
BLOCKS = [
    _points([0, 1, 2], [0, 1, 2], [None, None, None]),
    _points([3, 4, 5], [3, 4, 5], [None, 4, 5]),
    _points([6, 7, 8], [6, 7, 8], [None, 7, None]),
]


@pytest.mark.parametrize(
    ("selection", "reads", "is_early", "of_a", "of_b"),
    [
        (Selection(), 3, False, range(9), [4, 5, 7]),
        (Selection(head=1), 2, True, [0], [4]),
        (Selection(head=2), 2, True, [0, 1], [4, 5]),
        (Selection(head=3), 3, True, [0, 1, 2], [4, 5, 7]),
        (Selection(head=4), 3, False, [0, 1, 2, 3], [4, 5, 7]),
        (Selection("step", 2, 7, head=4), 3, True, [2, 3, 4, 5], [4, 5, 7]),
        (Selection("step", None, 1), 1, True, [0, 1], []),
        (Selection("step", None, 2), 2, True, [0, 1, 2], []),
        (Selection("step", None, 5), 3, True, range(6), [4, 5]),
        (Selection("step", None, 6), 3, True, range(7), [4, 5]),
        (Selection("step", 5, None), 3, False, [5, 6, 7, 8], [5, 7]),
        (Selection("timestamp", None, 1004), 3, False, range(5), [4]),
        (Selection("timestamp", 1004, None, head=1), 2, True, [4], [4]),
    ],
)
def test_what_is_selected_and_when_it_is_enough(
    selection: Selection, reads: int, is_early: bool, of_a: Iterable[int], of_b: Iterable[int]
) -> None:
    """The first points of each key, over all blocks; none is read once nothing can be wanted.

    The last step of a range may come again in the next block.

    What was not read to its end is not measured by what was announced.
    """
    left = iter(BLOCKS)
    export = ExportFilter(["a", "b"], None, selection)
    assert export.stopped_early is False
    found: list[list[tuple[int, float, int]]] = [[], []]
    for block in export.select(left):
        for i, points in split_keys(block, 2):
            found[i] += zip(*(points[n].to_pylist() for n in points.schema.names), strict=True)
    assert found == [[(step, step, 1000 + step) for step in steps] for steps in (of_a, of_b)]
    assert 3 - len(list(left)) == reads
    assert export.stopped_early is is_early
    if is_early:
        export.check_whole({"a": 99, "b": 99})
    else:
        with pytest.raises(IncompleteError):
            export.check_whole({"a": 99})


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection("step", 50, None), "'a' has steps from 0 to 8; 'b' has steps from 4 to 7"),
        (
            Selection("timestamp", None, 900),
            (
                "'a' has times from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:01.008Z; "
                "'b' has times from 1970-01-01T00:00:01.004Z to 1970-01-01T00:00:01.007Z"
            ),
        ),
    ],
)
def test_the_reach_of_keys_without_a_point_in_range(selection: Selection, said: str) -> None:
    """What was read and is not in the range still tells from where to where each key goes."""
    export = ExportFilter(["a", "b"], None, selection)
    list(export.select(BLOCKS))
    assert not export.reach.has_points
    assert export.reach.describe(selection.axis) == said


def test_the_reach_of_keys_that_were_not_read_to_the_end() -> None:
    """The end is the step that was announced; where none was, it is not known."""
    later = [_points([5, 6], [5, 6], [5, 6]), _points([7, 8], [7, 8], [7, 8])]
    export = ExportFilter(["a", "b"], None, Selection("step", None, 4))
    list(export.select(later))
    assert export.stopped_early
    export.reach.end_early({"a": 99})
    assert export.reach.describe("step") == "'a' has steps from 5 to 99; 'b' has steps from 5 on"


@pytest.mark.parametrize("is_first", [True, False])
def test_the_reach_of_keys_in_several_files(is_first: bool) -> None:
    """The points of all files of a run are one range, and one point in range is enough."""
    parts = [Reach(), Reach(), Reach()]
    parts[0].see("a", pa.array([3, 4]), pa.array([False, False]))
    parts[1].see("a", pa.array([1, 2]), pa.array([False, False]))
    parts[2].see("b", pa.array([5, 6]), pa.array([False, False]))
    parts[2].end_early({})
    found = Reach()
    for part in parts:
        found.add(part)
    assert found.describe("step") == "'a' has steps from 1 to 4; 'b' has steps from 5 on"
    assert not found.has_points
    for key, ending in zip("cdef", ["to 0", "to 0", "to 0", "; and 1 more"], strict=True):
        found.see(key, pa.array([0]), pa.array([False]))
        assert found.describe("step").endswith(ending)
    inside = Reach()
    inside.see("c", pa.array([7]), pa.array([True]))
    one, other = (inside, found) if is_first else (found, inside)
    one.add(other)
    assert one.has_points


@pytest.mark.parametrize(
    ("announced", "said"),
    [
        ({"a": 10}, "'a' ends at step 9, but the server announced step 10"),
        ({"b": 9}, "'b' ends at step 4, but the server announced step 9"),
        ({"c": 0}, "'c' holds no point, but the server announced step 0"),
    ],
)
def test_an_export_must_reach_what_was_announced(announced: dict[str, int], said: str) -> None:
    """Each key has to reach its latest step, however its points are spread over blocks."""
    blocks = [
        _points([0, 1, 2], [1, 2, 3], [None, 1, None], [None, None, None]),
        _points([3, 4, 5], [1, 2, 3], [2, 3, None], [None, None, None]),
        _points([7, 8, 9], [1, 2, 3], [None, None, None], [None, None, None]),
    ]
    export = ExportFilter(["a", "b", "c"], None, Selection())
    assert list(export.select(blocks)) == blocks
    assert export.last_steps == [9, 4, None]
    export.check_whole({"a": 9, "b": 4, "c": None})
    with pytest.raises(IncompleteError, match=f"^the export of {said}$"):
        export.check_whole(announced)


def test_an_export_that_nothing_measures_is_an_error() -> None:
    """Where the download has no length, the latest step of every key has to be announced."""
    export = ExportFilter(["a", "b"], None, Selection())
    list(export.select(BLOCKS))
    export.check_whole({"a": 8, "b": 7}, must_be_announced=True)
    said = (
        r"^the export of 'b' came with neither a length nor chunks, and no step is announced that "
        r"it would have to reach: nothing tells if it is whole$"
    )
    with pytest.raises(IncompleteError, match=said):
        export.check_whole({"a": 8}, must_be_announced=True)
    early = ExportFilter(["a", "b"], None, Selection(head=1))
    list(early.select(BLOCKS))
    early.check_whole({}, must_be_announced=True)


@pytest.mark.parametrize(
    ("tail", "of_a", "of_b"),
    [
        (None, range(9), [4, 5, 7]),
        (2, [7, 8], [5, 7]),
        (4, [5, 6, 7, 8], [4, 5, 7]),
    ],
)
def test_keys_wait_one_by_one(tail: int | None, of_a: Iterable[int], of_b: Iterable[int]) -> None:
    """Each key's points are kept by themselves, all or the last ones of each, and merge again."""
    spool = spool_keys(BLOCKS, 2, tail=tail)
    waiting = [list(spool.read(i)) for i in range(2)]
    found = [
        [step for points in of_key for step in points["step"].to_pylist()] for of_key in waiting
    ]
    assert found == [list(of_a), list(of_b)]
    merged = merge_on_step([map(as_block, of_key) for of_key in waiting], [1, 1], Report())
    rows = [row for block in merged for row in block.to_pylist()]
    assert [row["step"] for row in rows] == sorted({*of_a, *of_b})
    for row in rows:
        for i, steps in enumerate((of_a, of_b)):
            expected = (row["step"], 1000 + row["step"]) if row["step"] in steps else (None, None)
            assert (row[f"v{i}"], row[f"t{i}"]) == expected


def test_points_keep_their_x_while_they_wait() -> None:
    """The x axis goes with each key's points, and with none of its own."""
    block = _points([0, 1, 2], [0.5, None, 2.5], [None, 1.5, None], x=[0.1, 0.2, None])
    spool = spool_keys([block], 2, tail=None)
    (a,), (b,) = (list(spool.read(i)) for i in range(2))
    assert a.to_pydict() == {
        "step": [0, 2],
        "value": [0.5, 2.5],
        "timestamp": [1000, 1002],
        "x": [0.1, None],
    }
    assert as_block(b).to_pydict() == {"step": [1], "v0": [1.5], "t0": [1001], "x": [0.2]}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("text", "the server sent text where a list of series was expected"),
        (["text"], "the server sent text where a series was expected"),
        ([{"metrics": []}], "the server sent points without the name of their key"),
        (
            [{"key": "a", "metrics": "x"}],
            "the server sent text where a list of points was expected",
        ),
        ([{"key": "a", "metrics": [5]}], "the server sent a number where a point was expected"),
    ],
)
def test_samples_that_cannot_be_read(payload: Any, said: str) -> None:
    """The error says what was expected."""
    with pytest.raises(ServerError, match=f"^{said}$"):
        read_sample(payload, Report(), "step", has_x_column=False)


@pytest.mark.parametrize(
    ("field", "column", "value", "found"),
    [
        ("data", "value", "word", None),
        ("data", "value", "", None),
        ("data", "value", {}, None),
        ("data", "value", True, 1.0),
        ("data", "value", False, 0.0),
        ("data", "value", "-Infinity", -math.inf),
        ("data", "value", 10**400, None),
        ("index", "step", "x", None),
        ("index", "step", 2**70, None),
        ("index", "step", "5.0", 5),
        ("index", "step", 5.0, 5),
        ("index", "step", 0.5, None),
        ("timestamp", "timestamp", "soon", None),
        ("timestamp", "timestamp", "", None),
        ("timestamp", "timestamp", 1_700_000_000, 1_700_000_000_000),
        ("timestamp", "timestamp", 1_700_000_000.5, 1_700_000_000_000),
        ("timestamp", "timestamp", 10**15, None),
    ],
)
def test_odd_values_of_a_sample(field: str, column: str, value: Any, found: Any) -> None:
    """What is not of its type is null and counted; the point and all others stay."""
    odd = {"index": 1, "data": 1, "timestamp": 1_700_000_000_000} | {field: value}
    report = Report()
    payload = [{"key": "a", "metrics": [odd, {"index": 7, "data": 2}]}]
    points = read_sample(payload, report, "step", has_x_column=False)["a"]
    assert points.num_rows == 2
    assert found in points[column].to_pylist()
    said = [f"1 value of {column} "] if found is None else []
    assert [each[: len(said[0]) if said else None] for each in report.all_warnings()] == said


@pytest.mark.parametrize(
    ("x_axis", "value"), [("epoch", "x"), ("time", "x"), ("time", 10**15), ("time", True)]
)
def test_odd_values_of_another_axis(x_axis: str, value: Any) -> None:
    """An x that is not of its type is null and counted."""
    report = Report()
    payload = [{"key": "a", "metrics": [{"index": value, "data": 1}]}]
    points = read_sample(payload, report, x_axis, has_x_column=True)["a"]
    assert points["x"].to_pylist() == [None]
    assert report.all_warnings()[0].startswith("1 value of x ")


POINTS: list[list[Any]] = [
    [],
    [None],
    [{}],
    [{"index": None, "data": None, "timestamp": None}],
    [{"index": None, "data": 1, "timestamp": None}],
    [{"index": 1, "data": 1, "timestamp": 1_700_000_000}],
]


@pytest.mark.parametrize("metrics", POINTS)
@pytest.mark.parametrize(
    ("x_axis", "types"),
    [
        ("step", {"step": pa.int64()}),
        ("time", {"step": pa.int64(), "x": pa.int64()}),
        ("epoch", {"step": pa.int64(), "x": pa.float64()}),
    ],
)
def test_the_types_of_a_sample(
    metrics: list[Any], x_axis: str, types: dict[str, pa.DataType]
) -> None:
    """They do not depend on which points there are, nor on whether there are any."""
    payload = [{"key": "a", "metrics": metrics}]
    found = read_sample(payload, Report(), x_axis, has_x_column=x_axis != "step")
    assert {field.name: field.type for field in found["a"].schema} == {
        "value": pa.float64(),
        "timestamp": pa.int64(),
        **types,
    }
    block = sample_block(found, ["a", "missing"], Report())
    name, arrow_type = list(types.items())[-1]
    assert [(field.name, field.type) for field in block.schema] == [
        (name, arrow_type),
        ("v0", pa.float64()),
        ("t0", pa.int64()),
        ("v1", pa.float64()),
        ("t1", pa.int64()),
    ]


def test_no_samples_at_all() -> None:
    """Without any key there is no telling the axis: both have no rows."""
    block = sample_block({}, ["a"], Report())
    assert block.num_rows == 0
    assert [(field.name, field.type) for field in block.schema] == [
        ("step", pa.int64()),
        ("x", pa.int64()),
        ("v0", pa.float64()),
        ("t0", pa.int64()),
    ]


def test_samples_on_an_axis_with_gaps() -> None:
    """Points of an x stay in their order; NaN comes after numbers, and no x at all last."""
    points = [
        {"index": x, "data": float(i), "timestamp": 1_700_000_000_000}
        for i, x in enumerate([None, "NaN", 2.0, 1.0, 2.0])
    ]
    found = read_sample([{"key": "a", "metrics": points}], Report(), "epoch", has_x_column=True)
    block = sample_block(found, ["a", "b"], Report())
    assert block["v0"].to_pylist() == [3.0, 2.0, 4.0, 1.0, 0.0]
    assert block["v1"].null_count == 5


@given(st.permutations([None, None, "NaN", "NaN", *range(8)]))
def test_samples_are_put_in_the_order_of_their_axis(order: list[Any]) -> None:
    """However they come: numbers rise, then those whose x is NaN, then those without one."""
    points = [{"index": x, "data": i} for i, x in enumerate(order)]
    found = read_sample([{"key": "a", "metrics": points}], Report(), "epoch", has_x_column=True)
    block = sample_block(found, ["a"], Report())
    axis = block["x"].to_pylist()
    assert axis[:8] == [*range(8)]
    assert all(x is not None and math.isnan(x) for x in axis[8:10])
    assert axis[10:] == [None, None]
    came = [order[int(i)] for i in block["v0"].to_pylist()]
    assert came == [*range(8), "NaN", "NaN", None, None]
    assert block["v0"].to_pylist()[10:] == [i for i, x in enumerate(order) if x is None]
