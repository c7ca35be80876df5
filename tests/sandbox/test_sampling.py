"""Downsampling: a line that is drawn from fewer points keeps its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from swanlab_export.sandbox.sampling import sample

if TYPE_CHECKING:
    import numpy.typing as npt


@pytest.mark.parametrize(
    ("size", "count", "kept"),
    [
        (5, 5, [0, 1, 2, 3, 4]),
        (5, 9, [0, 1, 2, 3, 4]),
        (5, 2, [0, 4]),
        (5, 1, [0]),
        (1, 1, [0]),
    ],
)
def test_few_points(size: int, count: int, kept: list[int]) -> None:
    """All points are kept where they are few, else the first and the last come first."""
    x = np.arange(size, dtype=float)
    assert sample(x, x, count).tolist() == kept


@pytest.mark.parametrize("count", [3, 10, 99, 100])
def test_number_and_order_of_points(count: int) -> None:
    """As many points as asked for, in order, both ends among them."""
    x = np.arange(101, dtype=float)
    kept = sample(x, np.sin(x), count)
    assert len(kept) == len(set(kept.tolist())) == count
    assert kept.tolist() == sorted(kept.tolist())
    assert (kept[0], kept[-1]) == (0, 100)


def test_peaks_are_kept() -> None:
    """A single peak in a flat line is among the points, wherever it is."""
    x = np.arange(1000, dtype=float)
    for peak in (1, 17, 500, 998):
        y = np.zeros(1000)
        y[peak] = 1.0
        assert peak in sample(x, y, 20)


def test_literal_example() -> None:
    """The largest triangle decides, computed by hand for one bucket of three points."""
    x, y = np.arange(5, dtype=float), np.array([0.0, 1.0, 5.0, 2.0, 0.0])
    assert sample(x, y, 3).tolist() == [0, 2, 4]


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_size_of_the_values_does_not_matter(scale: float) -> None:
    """Very large and very small values give the same points."""
    x = np.arange(200, dtype=float)
    y: npt.NDArray[np.float64] = np.sin(x / 7) * scale
    assert sample(x, y, 30).tolist() == sample(x, np.sin(x / 7), 30).tolist()


def test_same_points_as_the_plain_algorithm() -> None:
    """The points are those of a plain implementation that computes one point at a time."""
    x = np.arange(503, dtype=float)
    y = np.cumsum(np.random.default_rng(7).normal(size=503))
    assert sample(x, y, 40).tolist() == _plain_lttb(x.tolist(), y.tolist(), 40)


def _plain_lttb(x: list[float], y: list[float], count: int) -> list[int]:
    edges = np.linspace(1, len(x) - 1, count - 1).astype(int).tolist()
    chosen = [0]
    for bucket in range(count - 2):
        start, end = edges[bucket], edges[bucket + 1]
        after = range(end, edges[bucket + 2]) if bucket < count - 3 else range(end, len(x))
        mean_x = sum(x[i] for i in after) / len(after)
        mean_y = sum(y[i] for i in after) / len(after)
        last_x, last_y = x[chosen[-1]], y[chosen[-1]]
        areas = [
            abs((last_x - mean_x) * (y[i] - last_y) - (last_x - x[i]) * (mean_y - last_y))
            for i in range(start, end)
        ]
        chosen.append(start + areas.index(max(areas)))
    return [*chosen, len(x) - 1]
