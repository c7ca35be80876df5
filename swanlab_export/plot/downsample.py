"""Lines downsampled to what a picture can show, while their points are read.

A line keeps the extremes of each column of pixels, so that neither time nor memory grow with
points that no picture can show.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

# Beyond so many points for each column a line is downsampled, which leaves no more than these.
_CROWDED = 4


class Trace:
    """One line while its points are read; downsampled whenever it has too many.

    A line gets longer, never shorter, so that columns only ever merge: a point that is left out
    early would not be visible at the end.

    Attributes:
        without_x: How many points have no x; they are left out.
        not_positive: How many values a logarithmic axis cannot show; they are gaps.
    """

    def __init__(self, columns: int, is_log_scale: bool) -> None:
        self.without_x = 0
        self.not_positive = 0
        self._columns = columns
        self._is_log_scale = is_log_scale
        self._parts: list[tuple[Floats, Floats]] = []
        self._waiting = 0
        self._is_crowded = False

    def add(self, x: Floats, y: Floats) -> None:
        """Add the next points; infinities are gaps, as NaN is."""
        has_x = np.isfinite(x)
        self.without_x += int(len(x) - np.count_nonzero(has_x))
        x, y = x[has_x], y[has_x]
        y = np.where(np.isfinite(y), y, np.nan)
        if self._is_log_scale:
            self.not_positive += int(np.count_nonzero(y <= 0))
            y = np.where(y > 0, y, np.nan)
        self._parts.append((x, y))
        self._waiting += len(x)
        self._is_crowded |= self._waiting > _CROWDED * self._columns
        if self._waiting > 2 * _CROWDED * self._columns:
            self._parts = [self.points()]
            self._waiting = len(self._parts[0][0])

    def points(self) -> tuple[Floats, Floats]:
        """The x and y of the points that are left."""
        x, y = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        return downsample(x, y, self._columns) if self._is_crowded else (x, y)


def downsample(x: Floats, y: Floats, columns: int) -> tuple[Floats, Floats]:
    """Keep the first and last point of each column, and its extremes.

    A line through these covers the same pixels as one through all points. Gaps wider than a
    column stay, since the points at a column's ends do, gap or not.

    Args:
        x: The points' x, in their order.
        y: Their values, NaN where there is a gap.
        columns: Into how many columns to divide the line; it can be down to half as many.
    """
    starts = _column_starts(x, columns)
    ends = np.append(starts[1:], len(x)) - 1
    kept = np.unique(np.concatenate([starts, ends, *_extremes(x, starts), *_extremes(y, starts)]))
    return x[kept], y[kept]


def _column_starts(x: Floats, columns: int) -> Indices:
    """The indices at which columns begin; equal shares where x goes back and forth.

    Widths are powers of two: two columns are one of the next width, wherever the line ends.
    """
    least = (float(x[-1]) - float(x[0])) / columns
    if least == np.inf or (x[1:] < x[:-1]).any():
        return np.arange(0, len(x), -(-len(x) // columns))
    if least == 0:
        return np.zeros(1, np.intp)
    column = np.floor(x / 2.0 ** math.ceil(math.log2(least)))
    return np.flatnonzero(np.diff(column, prepend=-np.inf))


def _extremes(values: Floats, starts: Indices) -> Iterator[Indices]:
    """Yield the indices of the smallest values of all columns, then of the largest; NaN is neither."""
    column = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    for best in (np.fmin, np.fmax):
        found = np.flatnonzero(values == best.reduceat(values, starts)[column])
        yield found[np.unique(column[found], return_index=True)[1]]
