"""Exported points → a sample: as many as asked for, evenly spaced, from the first to the last."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from swanlab_export.normalizers.sampling import sample_evenly

NAN, INF = float("nan"), float("inf")


def points(
    steps: list[int], values: list[float | None] | None = None, x: list[float] | None = None
) -> pa.RecordBatch:
    """Points of a key, whose values are their steps unless others are given."""
    columns = {
        "step": pa.array(steps, pa.int64()),
        "value": pa.array(steps if values is None else values, pa.float64()),
        "timestamp": pa.array([1000 + step for step in steps], pa.int64()),
    }
    return pa.record_batch(columns if x is None else columns | {"x": pa.array(x, pa.float64())})


def sampled(
    batches: list[pa.RecordBatch], most: int, *, is_time: bool = False
) -> tuple[dict[str, list[Any]], int]:
    """The columns of the sample, and how many points are left out."""
    chosen, left_out = sample_evenly(lambda: batches, most, is_time=is_time)
    return chosen.to_pydict(), left_out


@pytest.mark.parametrize(
    ("most", "steps"),
    [
        (1, [0]),
        (2, [0, 9]),
        (3, [0, 4, 9]),
        (4, [0, 3, 6, 9]),
        (9, [0, 1, 2, 3, 4, 5, 6, 7, 9]),
        (10, list(range(10))),
        (100, list(range(10))),
    ],
)
def test_points_are_evenly_spaced(most: int, steps: list[int]) -> None:
    """The first and the last point are among them, wherever the batches begin."""
    for size in (1, 3, 10):
        batches = [points(list(range(i, min(i + size, 10)))) for i in range(0, 10, size)]
        found, left_out = sampled(batches, most)
        assert (found["step"], left_out) == (steps, 0)
        assert found["value"] == steps


def test_what_is_not_finite_is_left_out_and_counted() -> None:
    """NaN, infinities and missing values are no points of a sample."""
    batches = [points([0, 1, 2], [0.5, NAN, None]), points([3, 4], [INF, 1.5])]
    found, left_out = sampled(batches, 10)
    assert (found["step"], found["value"], left_out) == ([0, 4], [0.5, 1.5], 3)


def test_points_on_another_axis_have_no_step() -> None:
    """X is the key of the axis or the time, as in a sample of the server; it must be finite, too."""
    found, left_out = sampled([points([0, 1, 2], x=[0.1, NAN, 0.3])], 10)
    assert (found["step"], found["x"], left_out) == ([None, None], [0.1, 0.3], 1)
    found, _ = sampled([points([0, 1])], 10, is_time=True)
    assert (found["step"], found["x"]) == ([None, None], [1000, 1001])


def test_words_are_sampled_where_they_are_wanted() -> None:
    """A value that is a word counts as a point, if the words come in a column of their own."""
    batch = points([0, 1, 2], [0.5, None, NAN])
    batch = batch.append_column("text", pa.array([None, "high", None]))
    for has_text, steps in ((True, [0, 1]), (False, [0])):
        chosen, _ = sample_evenly(lambda: [batch], 10, is_time=False, has_text=has_text)
        assert chosen.to_pydict()["step"] == steps
