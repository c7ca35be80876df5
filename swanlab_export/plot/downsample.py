"""Lines downsampled to what a picture can show, while their points are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Twice the columns of pixels of the widest panel: how many bins a line keeps while it is read.
_BINS = 2304
_CROWDED = 8 * _BINS
# Bins are computed from this many positions: the library panics where x hardly differ.
_POSITIONS = 2.0**40


class Trace:
    """One line while its points are read; downsampled whenever it has too many.

    Each point is a column of numbers: x, y, and what else belongs to it. Points are downsampled in
    portions of the same size, however they arrive, so that equal data are equal lines.

    Attributes:
        without_x: How many points have no x; they are left out.
    """

    def __init__(self) -> None:
        self.without_x = 0
        self._parts: list[Floats] = []
        self._waiting = 0

    def add(self, points: Floats) -> None:
        """Add the next points; infinite numbers are gaps, as NaN is."""
        has_x = np.isfinite(points[0])
        self.without_x += int(len(has_x) - np.count_nonzero(has_x))
        points = np.where(np.isfinite(points), points, np.nan)[:, has_x]
        while self._waiting + points.shape[1] > _CROWDED:
            room = _CROWDED - self._waiting
            self._parts = [downsample(np.hstack([*self._parts, points[:, :room]]), _BINS)]
            self._waiting = self._parts[0].shape[1]
            points = points[:, room:]
        self._parts.append(points)
        self._waiting += points.shape[1]

    def points(self) -> Floats:
        """The points that are left, in their order."""
        return np.hstack(self._parts)


def downsample(points: Floats, bins: int) -> Floats:
    """Keep the first, the last, the lowest and the highest point of each bin, and a gap in it.

    A line through these covers the same pixels as one through all points, if bins are no wider than
    pixels. Bins, at least two, are of equal width; where x goes back and forth, of equally many points.
    """
    import tsdownsample

    library: Any = tsdownsample  # which has no types
    if points.shape[1] <= 4 * bins:
        return points
    x, y = points[0], np.ascontiguousarray(points[1])
    given: tuple[Floats, ...] = (y,)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        place = (x - x[0]) / (x[-1] - x[0]) * _POSITIONS
        if (np.diff(place) >= 0).all():  # not so where it is NaN
            # Distinct, since the library leaves out points that are at the same place as the last.
            given = (place + np.arange(len(y)), y)
    kept = [np.array([0, len(y) - 1]), library.M4Downsampler().downsample(*given, n_out=4 * bins)]
    if np.isnan(y).any():
        found = library.NaNMinMaxDownsampler().downsample(*given, n_out=2 * bins)
        kept.append(found[np.isnan(y[found])])
    return points[:, np.unique(np.concatenate(kept).astype(np.intp))]
