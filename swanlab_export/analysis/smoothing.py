"""Exponentially smoothed values, of each run and key by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyarrow as pa

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
        self._weight = weight
        self._states: dict[Hashable, tuple[float, float]] = {}

    def smooth(self, series: Hashable, values: pa.Array) -> pa.Array:
        """The smoothed values of the next part of a series.

        >>> Smoother(0.5).smooth("a", pa.array([1.0, 4.0, None])).to_pylist()
        [1.0, 3.0, 3.0]
        """
        total, weights = self._states.get(series, (0.0, 0.0))
        found: list[float | None] = []
        for value in values.to_pylist():
            if value is not None and math.isfinite(value):
                total = total * self._weight + value
                weights = weights * self._weight + 1
            found.append(total / weights if weights else None)
        self._states[series] = (total, weights)
        return pa.array(found, pa.float64())
