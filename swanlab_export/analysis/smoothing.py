"""Exponentially smoothed values, of each run and key by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Hashable


class Smoother:
    """Smooths the values of several series, each of which may come in parts.

    A smoothed value is the mean of all values up to it, in which each counts ``weight`` times as
    much as the one after it. It is debiased: the first one is the first value. This is what pandas'
    ``ewm(alpha=1 - weight, ignore_na=True).mean()`` computes.

    NaN, infinite and missing values are left out; the smoothed value there is the one before.

    Args:
        weight: From 0 (not smoothed) to below 1.
    """

    def __init__(self, weight: float) -> None:
        self._weight = float(weight)
        # Of each series the sum of its weighted values, and of the weights.
        self._sums: dict[Hashable, tuple[float, float]] = {}

    def smooth(self, series: Hashable, values: pa.Array) -> pa.Array:
        """The smoothed values of the next part of a series.

        >>> Smoother(0.5).smooth("a", pa.array([1.0, 4.0, None])).to_pylist()
        [1.0, 3.0, 3.0]
        """
        is_finite = pc.fill_null(pc.is_finite(values), False)
        finite = values.filter(is_finite)
        # Weights that add up to 1 at most: no sum is larger than its largest value.
        share = 1 - self._weight
        before, weight_before = self._sums.get(series, (0.0, 0.0))
        total = self._decaying_sums(before, pc.multiply(finite, share))
        weights = self._decaying_sums(weight_before, pa.repeat(share, len(finite)))
        self._sums[series] = (total[-1].as_py(), weights[-1].as_py())
        known = pc.if_else(pc.greater(weights, 0.0), pc.divide(total, weights), None)
        return known.take(pc.cumulative_sum(is_finite.cast(pa.int64())))

    def _decaying_sums(self, first: float, values: pa.Array) -> pa.Array:
        """The sums of the values up to each, where one counts ``weight`` times as much as the next.

        A sum of the last 1, 2, 4, … values is made of two sums of half as many: without a loop over
        the values, and as exact as one.
        """
        sums = pa.concat_arrays([pa.array([first]), values])
        count, weight = 1, self._weight
        while count < len(sums) and weight > 0:
            earlier = pc.multiply(sums.slice(0, len(sums) - count), weight)
            sums = pa.concat_arrays([sums.slice(0, count), pc.add(sums.slice(count), earlier)])
            count, weight = 2 * count, weight * weight
        return sums
