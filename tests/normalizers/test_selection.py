"""Which points a range selects, on each axis."""

from __future__ import annotations

import pyarrow as pa
import pytest

from swanlab_export.normalizers.selection import Selection

STEPS = pa.array([0, 1, 2, 3, 4], pa.int64())
VALUES = pa.array([0.5, None, 2.5, float("nan"), 4.5], pa.float64())
TIMES = pa.array([10, 11, None, 13, 14], pa.int64())
X = pa.array([0.0, 0.25, 0.5, None, 1.0], pa.float64())


@pytest.mark.parametrize(
    ("selection", "steps"),
    [
        (Selection(), [0, 2, 3, 4]),
        (Selection("step", 1, 3), [2, 3]),
        (Selection("step", 2, None), [2, 3, 4]),
        (Selection("step", None, 2), [0, 2]),
        (Selection("timestamp", 10, 13), [0, 3]),
        (Selection("timestamp", 11, None), [3, 4]),
        (Selection("timestamp", None, 14), [0, 3, 4]),
        (Selection("custom", 0.25, 1), [2, 4]),
        (Selection("custom", 0.3, None), [2, 4]),
        (Selection("custom", None, 0.75), [0, 2]),
        (Selection(head=1), [0, 2, 3, 4]),
    ],
)
def test_a_range_on_each_axis(selection: Selection, steps: list[int]) -> None:
    """Bounds are inclusive; no value is no point, NaN is one, and a null is in no range."""
    mask = selection.mask(STEPS, VALUES, TIMES, X).to_pylist()
    assert mask == [step in steps for step in range(5)]


def test_integer_bounds_stay_exact() -> None:
    """Steps beyond what floats hold exactly are not confused with their neighbours."""
    steps = pa.array([2**53, 2**53 + 1, 2**53 + 2], pa.int64())
    values = pa.array([0.0, 0.0, 0.0])
    mask = Selection("step", 2**53 + 1, 2**53 + 1).mask(steps, values, steps, None)
    assert mask.to_pylist() == [False, True, False]


@pytest.mark.parametrize(
    ("selection", "is_everything"),
    [
        (Selection(), True),
        (Selection("timestamp"), True),
        (Selection(tail=1), True),
        (Selection(start=0), False),
        (Selection(end=0), False),
        (Selection(head=1), False),
    ],
)
def test_what_asks_for_everything(selection: Selection, is_everything: bool) -> None:
    """No bound and no head; the tail is applied elsewhere."""
    assert selection.is_everything() is is_everything


@pytest.mark.parametrize(
    ("selection", "is_past"),
    [
        (Selection("step", None, 6), False),
        (Selection("step", None, 5), False),
        (Selection("step", None, 4), True),
        (Selection("step", 4, None), False),
        (Selection("timestamp", None, 4), False),
        (Selection("custom", None, 4), False),
    ],
)
def test_where_nothing_wanted_can_follow(selection: Selection, is_past: bool) -> None:
    """Behind the last step of a range of steps, which may come again; never on other axes."""
    assert selection.is_past(5) is is_past
    assert selection.is_past(None) is False


@pytest.mark.parametrize(
    ("selection", "has_last_step"),
    [
        (Selection("step", None, 0), True),
        (Selection("step", 0, None), False),
        (Selection("timestamp", None, 6), False),
    ],
)
def test_ranges_that_end_at_a_step(selection: Selection, has_last_step: bool) -> None:
    """Only they can end before the file does."""
    assert selection.has_last_step() is has_last_step
