"""Steps that come again or out of order: every row is kept, and the tables are in order."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.metrics import (
    ExportFilter,
    Layout,
    as_block,
    merge_on_step,
    sample_block,
    split_keys,
    spool_keys,
)
from swanlab_export.normalizers.ordering import StepOrder, StepReader, in_step_order
from swanlab_export.normalizers.selection import Selection
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOADS = Path(__file__).parents[1] / "payloads"
STEPS = st.lists(st.none() | st.integers(-3, 12), max_size=30)


def block(steps: list[int | None], first: int = 0) -> pa.RecordBatch:
    """Points whose values say in which order they came."""
    numbers = range(first, first + len(steps))
    return pa.record_batch(
        {
            "step": pa.array(steps, pa.int64()),
            "v0": pa.array(numbers, pa.float64()),
            "t0": pa.nulls(len(steps), pa.int64()),
        }
    )


def blocks_of(steps: list[int | None], size: int) -> list[pa.RecordBatch]:
    """The same points in blocks of ``size``."""
    return [block(steps[i : i + size], i) for i in range(0, len(steps), size)]


def shown(batches: Iterator[pa.RecordBatch] | list[pa.RecordBatch]) -> list[tuple[Any, Any]]:
    """Steps and values."""
    rows = [row for batch in batches for row in batch.to_pylist()]
    return [(row["step"], row.get("v0", row.get("value"))) for row in rows]


def stably_sorted(steps: list[int | None]) -> list[tuple[int | None, float]]:
    """Steps in order, missing ones last, each with the order in which it came."""
    rows = [(step, float(i)) for i, step in enumerate(steps)]
    return sorted(rows, key=lambda row: (row[0] is None, row[0] or 0))


@settings(deadline=None)
@given(STEPS, st.integers(1, 7))
def test_order_is_followed_over_blocks(steps: list[int | None], size: int) -> None:
    """A step is late that is not greater than all before it; less or missing is out of order."""
    order = StepOrder()
    for part in blocks_of(steps, size):
        order.add(part["step"])
    known = [step for step in steps if step is not None]
    late = [i for i in range(1, len(known)) if known[i] <= max(known[:i])]
    assert order.late == len(late)
    assert order.is_in_order == (steps == sorted(known))


@settings(deadline=None)
@given(STEPS, st.integers(1, 7))
def test_sorting_is_stable(steps: list[int | None], size: int) -> None:
    """Rows come in step order, however they came, and those of one step as they came."""
    parts = blocks_of(steps, size)
    assert shown(in_step_order(parts)) == stably_sorted(steps)
    spool = spool_keys(parts, 1, tail=None)
    assert shown(spool.read(0)) == stably_sorted(steps)


def test_a_file_in_order_comes_back_as_it_is() -> None:
    """Its blocks are not touched."""
    parts = blocks_of([0, 1, 1, 2, 5], 2)
    assert list(in_step_order(parts)) == parts


def test_a_large_file_is_sorted_in_parts() -> None:
    """More rows than are sorted at once are in order, too, and stable, in batches."""
    steps: list[int | None] = [*range(400_000), *range(200_000, 600_000), *[7] * 300_000]
    batches = list(in_step_order(blocks_of(steps, 70_000)))
    found = pa.Table.from_batches(batches)
    expected = stably_sorted(steps)
    assert found["step"].to_pylist() == [step for step, _ in expected]
    assert found["v0"].to_pylist() == [value for _, value in expected]
    assert len(batches) > 10


def test_random_steps_of_many_parts() -> None:
    """Each step is whole in one batch, wherever its rows were."""
    random.seed(7)
    steps: list[int | None] = [random.randrange(300_000) for _ in range(700_000)]
    last = -1
    total = 0
    for batch in in_step_order(blocks_of(steps, 300_000)):
        found = batch["step"].to_pylist()
        assert found[0] > last
        last = found[-1]
        total += len(found)
    assert total == len(steps)


@given(STEPS, st.integers(1, 5))
def test_a_reader_gives_whole_steps(steps: list[int | None], size: int) -> None:
    """Rows of one step that are spread over batches are taken together."""
    rows = stably_sorted(steps)
    reader = StepReader(blocks_of([step for step, _ in rows], size))
    taken: list[list[int | None]] = []
    while reader.fill():
        taken.append(reader.take(reader.last_step())["step"].to_pylist())
    assert [step for part in taken for step in part] == [step for step, _ in rows]
    firsts = [part[0] for part in taken]
    assert len(set(firsts)) == len(firsts)
    assert all(set(a).isdisjoint(b) for a, b in itertools.pairwise(taken))


@settings(deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=3), st.integers(1, 6))
def test_the_wide_layout_has_the_last_of_each_step(
    streams: list[list[int | None]], size: int
) -> None:
    """One row per step, with each key's last point of it; a warning counts the others."""
    report = Report()
    in_order = [in_step_order(blocks_of(steps, size)) for steps in streams]
    rows = [
        row
        for merged in merge_on_step(in_order, [1] * len(streams), report)
        for row in merged.to_pylist()
    ]
    every = {step for steps in streams for step in steps}
    assert [row["step"] for row in rows] == sorted(every, key=lambda s: (s is None, s or 0))
    for i, steps in enumerate(streams):
        last = {step: float(number) for number, step in enumerate(steps)}
        assert {row["step"]: row[f"v{i}"] for row in rows if row[f"v{i}"] is not None} == last
    left_out = sum(len(steps) - len(set(steps)) for steps in streams)
    points = "1 point" if left_out == 1 else f"{left_out} points"
    said = (
        f"{points} with a step that comes again are left out: "
        "the wide layout has the last point of each step"
    )
    assert report.warnings == ([said] if left_out else [])


def repeated(times: list[int | None], values: list[float | None]) -> pa.RecordBatch:
    """Points of one step."""
    return pa.record_batch(
        {
            "step": pa.array([4] * len(times), pa.int64()),
            "x": pa.array([0.5, None, None][: len(times)], pa.float64()),
            "v0": pa.array(values, pa.float64()),
            "t0": pa.array(times, pa.int64()),
            "odd0": pa.array([None if value is not None else "word" for value in values]),
        }
    )


@pytest.mark.parametrize(
    ("times", "values", "value"),
    [
        ([30, 10, 20], [1, 2, 3], 1),
        ([10, 30, 30], [1, 2, 3], 3),
        ([None, None, None], [1, 2, 3], 3),
        ([10, None, None], [1, 2, 3], 1),
        ([10, 30, 20], [1, None, 3], None),
    ],
    ids=["latest first", "same time", "no times", "one time", "a word"],
)
def test_the_last_of_a_step(
    times: list[int | None], values: list[float | None], value: float | None
) -> None:
    """It is the one with the latest time, else the last of the file; a word is a point, too."""
    (merged,) = merge_on_step([[repeated(times, values)]], [1], Report())
    assert merged["v0"].to_pylist() == [value]
    assert merged["x"].to_pylist() == [0.5]
    assert merged["step"].to_pylist() == [4]


def test_a_sample_has_the_last_of_a_step_in_the_wide_layout() -> None:
    """As an export does, with the same warning."""
    points = pa.record_batch(
        {
            "step": pa.array([1, 1, 2], pa.int64()),
            "value": pa.array([0.1, 0.2, 0.3]),
            "timestamp": pa.array([20, 10, 30], pa.int64()),
        }
    )
    report = Report()
    merged = sample_block({"a": points}, ["a"], report)
    assert shown([merged]) == [(1, 0.1), (2, 0.3)]
    assert report.warnings[0].startswith("1 point with a step that comes again")


def resumed(selection: Selection | None = None) -> Iterator[pa.RecordBatch]:
    """The payload of a run that was resumed from an older checkpoint."""
    raw = (PAYLOADS / "export_resumed.csv").read_bytes()
    keys = ["train/loss"]
    blocks = read_export([raw], "exp", keys, Report(), must_end_line=lambda: True)
    return ExportFilter(keys, None, selection or Selection()).select(blocks)


def test_a_resumed_run_as_a_long_table() -> None:
    """All rows, by step, those of one step in the order in which they were logged."""
    layout = Layout(("r",), ("train/loss",))
    spool = spool_keys(resumed(), 1, tail=None)
    batches = [layout.long_batch("r", "train/loss", points) for points in spool.read(0)]
    assert shown(batches) == [(0, 3.0), (1, 2.5), (1, 2.6), (2, 2.2), (2, 2.1), (3, 2.0)]
    alone = [points for each in in_step_order(resumed()) for _, points in split_keys(each, 1)]
    assert shown(alone) == shown(batches)


def test_a_resumed_run_as_a_wide_table() -> None:
    """One row per step, with what was logged last."""
    spool = spool_keys(resumed(), 1, tail=None)
    merged = merge_on_step([map(as_block, spool.read(0))], [1], Report())
    assert shown(merged) == [(0, 3.0), (1, 2.6), (2, 2.1), (3, 2.0)]


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection("step", 1, 1), [(1, 2.5), (1, 2.6)]),
        (Selection("step", None, 2), [(0, 3.0), (1, 2.5), (1, 2.6), (2, 2.2), (2, 2.1)]),
        (Selection(head=2), [(0, 3.0), (1, 2.5)]),
    ],
)
def test_a_range_of_a_resumed_run(selection: Selection, found: list[tuple[int, float]]) -> None:
    """Every point in the range is found, also those that were logged again."""
    assert shown(spool_keys(resumed(selection), 1, tail=None).read(0)) == found


def test_the_last_points_of_a_resumed_run() -> None:
    """They are the last of the file, in step order."""
    assert shown(spool_keys(resumed(), 1, tail=3).read(0)) == [(1, 2.6), (2, 2.1), (3, 2.0)]


def test_a_range_does_not_end_early_once_steps_went_back() -> None:
    """While steps are in order a step beyond the range ends it; afterwards nothing does."""
    selection = Selection("step", None, 5)
    in_order = iter(blocks_of([0, 1, 6, 7, 8, 9], 3))
    export = ExportFilter(["a"], None, selection)
    assert len(list(export.select(in_order))) == 1
    assert export.stopped_early is True
    gone_back = iter(blocks_of([3, 1, 6, 2, 8, 9], 3))
    export = ExportFilter(["a"], None, selection)
    assert [step for step, value in shown(export.select(gone_back)) if value is not None] == [
        3,
        1,
        2,
    ]
    assert export.stopped_early is False


def test_the_latest_step_is_the_greatest() -> None:
    """What was announced is reached, whatever came after it."""
    export = ExportFilter(["a"], None, Selection())
    list(export.select(blocks_of([0, 900, 3, None, -5], 2)))
    assert export.last_steps == [900]
    export.check_whole({"a": 900})
    below = ExportFilter(["a"], None, Selection())
    list(below.select(blocks_of([-5, 0, -3], 1)))
    assert below.last_steps == [0]


def test_a_word_counts_as_a_point() -> None:
    """A key of words reaches its latest step, and each is a row without a value."""
    raw = b"step,r-a_step,r-a_timestamp,r-b_step,r-b_timestamp\n0,x,10,,\n1,,,1,1\n2,y,,,\n"
    keys = ["a", "b"]

    def chosen(selection: Selection) -> tuple[ExportFilter, list[pa.RecordBatch]]:
        export = ExportFilter(keys, None, selection)
        blocks = read_export([raw], "r", keys, Report(), must_end_line=lambda: True)
        return export, list(export.select(blocks))

    export, blocks = chosen(Selection())
    export.check_whole({"a": 2, "b": 1})
    spool = spool_keys(blocks, 2, tail=None)
    assert shown(spool.read(0)) == [(0, None), (2, None)]
    assert shown(spool.read(1)) == [(1, 1.0)]
    merged = merge_on_step([map(as_block, spool.read(i)) for i in range(2)], [1, 1], Report())
    assert [row["step"] for each in merged for row in each.to_pylist()] == [0, 1, 2]
    alone = merge_on_step([blocks], [2], Report())
    assert [row["step"] for each in alone for row in each.to_pylist()] == [0, 1, 2]
    for selection, steps in (
        (Selection("step", 1, None), [2]),
        (Selection(head=1), [0]),
        (Selection("step", 1, 1), []),
    ):
        _, blocks = chosen(selection)
        found = [points for each in blocks for i, points in split_keys(each, 2) if i == 0]
        assert [step for step, _ in shown(found)] == steps
