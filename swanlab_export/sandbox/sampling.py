"""Downsampling by largest triangle three buckets (LTTB)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def sample(x: Floats, y: Floats, count: int) -> npt.NDArray[np.int64]:
    """Positions of at most ``count`` points that keep the shape of a line of finite points.

    The first and the last point are among them; each bucket between gives the point that spans
    the largest triangle with the point before it and the mean of the next bucket.
    """
    size = len(x)
    if count >= size:
        return np.arange(size)
    if count < 3:
        return np.array([0, size - 1])[:count]
    edges = np.linspace(1, size - 1, count - 1).astype(np.int64)
    # Values of any size, without an overflow in the areas.
    x, y = _scale(x), _scale(y)
    next_means = zip(_next_means(x, edges), _next_means(y, edges), strict=True)
    chosen = [0]
    bounds = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    for (start, end), (next_x, next_y) in zip(bounds, next_means, strict=True):
        last_x, last_y = x.item(chosen[-1]), y.item(chosen[-1])
        width, height = last_x - next_x, next_y - last_y
        offset = width * last_y + height * last_x
        areas = np.abs(width * y[start:end] + height * x[start:end] - offset)
        chosen.append(start + int(areas.argmax()))
    return np.array([*chosen, size - 1])


def _next_means(values: Floats, edges: npt.NDArray[np.int64]) -> list[float]:
    """The mean of the bucket after each bucket; after the last one, the last value."""
    means = np.add.reduceat(values[:-1], edges[:-1]) / np.diff(edges)
    return [*means[1:].tolist(), values.item(-1)]


def _scale(values: Floats) -> Floats:
    scaled = values / (float(np.abs(values).max()) or 1.0)
    shifted: Floats = scaled - scaled[0]
    return shifted
