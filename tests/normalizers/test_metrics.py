"""Exports of one run side by side, what they must hold, and odd samples."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.normalizers.metrics import (
    ExportFilter,
    merge_on_step,
    read_sample,
    sample_block,
)
from swanlab_export.normalizers.selection import Selection

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
    """Every step comes once, in order, with the values of all exports that have it."""
    merged = merge_on_step([_blocks(steps, size) for steps in streams], [1] * len(streams))
    rows = [row for block in merged for row in block.to_pylist()]
    assert [row["step"] for row in rows] == sorted(set().union(*streams))
    for row in rows:
        for i, steps in enumerate(streams):
            assert row[f"v{i}"] == (row["step"] if row["step"] in steps else None)


def test_merging_keeps_the_x_axis() -> None:
    """Each export brings the x axis for its own steps; together they have it for all."""

    def block(steps: list[int], x: list[float | None]) -> pa.RecordBatch:
        whole = pa.array(steps, pa.int64())
        axis = pa.array(x, pa.float64())
        return pa.record_batch({"step": whole, "x": axis, "v0": whole.cast("float64"), "t0": whole})

    streams = [[block([0, 2], [0.0, 0.2])], [block([1, 2], [0.1, None])]]
    (merged,) = merge_on_step(streams, [1, 1])
    assert merged["x"].to_pylist() == [0.0, 0.1, 0.2]
    empty = pa.record_batch(
        {name: pa.nulls(2, kind) for name, kind in (("v0", pa.float64()), ("t0", pa.int64()))}
        | {"step": pa.array([0, 1], pa.int64())}
    )
    assert list(merge_on_step([[empty]], [1])) == []


@pytest.mark.parametrize(
    ("announced", "why"),
    [({"b": 9}, "ends at step 4, but the server announced step 9"), ({"c": 0}, "holds no point")],
)
def test_an_export_must_reach_what_was_announced(announced: dict[str, int], why: str) -> None:
    """Each key has to reach its latest step, however its points are spread over blocks."""
    blocks = [
        pa.record_batch(
            {
                "step": pa.array(steps, pa.int64()),
                **{f"v{i}": pa.array(v, pa.float64()) for i, v in enumerate(values)},
                **{f"t{i}": pa.nulls(2, pa.int64()) for i in range(3)},
            }
        )
        for steps, values in (
            ([0, 1], [[1, 2], [None, 1], [None, None]]),
            ([4, 5], [[3, 4], [5, None], [None, None]]),
        )
    ]
    export = ExportFilter(["a", "b", "c"], None, Selection())
    assert sum(block.num_rows for block in export.select(blocks)) == 4
    assert export.last_steps == [5, 4, None]
    export.check_whole({"a": 5, "b": 4, "c": None})
    with pytest.raises(IncompleteError, match=why):
        export.check_whole(announced)


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        ("text", "a list of series"),
        ([{"metrics": []}], "of which key"),
        ([{"key": "a", "metrics": [{"index": "x", "data": 1}]}], "not made of numbers"),
        ([{"key": "a", "metrics": [{"index": 1, "data": {}}]}], "not made of numbers"),
        ([{"key": "a", "metrics": [5]}], "a point"),
        ([{"key": "a", "metrics": [{"index": 2**70, "data": 1}]}], "not made of numbers"),
    ],
)
def test_samples_that_cannot_be_read(wire: Any, why: str) -> None:
    """The error says what was expected."""
    with pytest.raises(ServerError, match=why):
        read_sample(wire, "step", has_x_column=False)


def test_samples_side_by_side_on_an_axis_with_gaps() -> None:
    """Points of an x stay in their order; NaN comes after numbers, and no x at all last."""
    points = [
        {"index": x, "data": float(i), "timestamp": 1_700_000_000_000}
        for i, x in enumerate([None, "NaN", 2.0, 1.0, 2.0])
    ]
    found = read_sample([{"key": "a", "metrics": points}], "epoch", has_x_column=True)
    block = sample_block(found, ["a", "b"])
    assert block["v0"].to_pylist() == [3.0, 2.0, 4.0, 1.0, 0.0]
    assert block["v1"].null_count == 5
    assert sample_block({}, ["a"]).num_rows == 0
