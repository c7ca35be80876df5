"""Axes, and the positions and labels of their ticks.

Positions are matplotlib's, for the terminal too: it chooses round numbers and round times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from swanlab_export.plot.lines import HUGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swanlab_export.plot.downsample import Floats
    from swanlab_export.plot.lines import Span

_LONG = 1e9
_TICKS_MAX = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Axis:
    """From the smallest to the largest number, with ticks and their labels."""

    span: Span
    ticks: Sequence[float]
    labels: list[str]
    suffix: str = ""
    is_log: bool = False

    def positions(self, values: Sequence[float] | Floats) -> list[float]:
        """The positions of values on the axis, from 0 to 1; plotext cannot compute with large ones."""
        low, high, found = (np.asarray(part, float) for part in (*self.span, values))
        if self.is_log:
            low, high, found = np.log10(low), np.log10(high), np.log10(found)
        found = (found - low) / (high - low) if high > low else 0.5 + 0 * found
        return [float(position) for position in found]


def integer_axis(span: Span) -> Axis:
    """Integers, with all digits where they are not too long."""
    ticks = _ticks(span, is_integer=True)
    labels = _format(ticks) if is_long(span) else [f"{tick:,.0f}" for tick in ticks]
    return Axis(span, ticks, labels)


def number_axis(span: Span, factor: float = 1.0) -> Axis:
    """Round numbers, labelled with their product with ``factor``."""
    ticks = _ticks(span)
    return Axis(span, ticks, _format([tick * factor for tick in ticks]))


def log_axis(span: Span) -> Axis:
    """Powers of ten on a logarithmic axis; round numbers where it is too short for two."""
    powers = decades(span, _TICKS_MAX)
    ticks = powers if len(powers) > 1 else _ticks(span)
    return Axis(span, ticks, _format(ticks), is_log=True)


def time_axis(span: Span) -> Axis:
    """Ticks at round times; the common day, or else the year of the first, is named once."""
    first, last = (_EPOCH + timedelta(milliseconds=ms) for ms in span)
    times = _round_times(first, last)
    ticks = [(when - _EPOCH) / timedelta(milliseconds=1) for when in times]
    if all(when.time() == time() for when in times):
        return Axis(span, ticks, [f"{when:%Y-%m-%d}" for when in times])
    precision = "minutes"
    if any(when.second or when.microsecond for when in times):
        precision = "milliseconds" if any(when.microsecond for when in times) else "seconds"
    clocks = [when.time().isoformat(precision) for when in times]
    if first.date() == last.date():
        return Axis(span, ticks, clocks, f", {first:%Y-%m-%d}")
    labels = [f"{when:%m-%d} {clock}" for when, clock in zip(times, clocks, strict=True)]
    return Axis(span, ticks, labels, f", {first:%Y}")


def _round_times(first: datetime, last: datetime) -> list[datetime]:
    from matplotlib import dates

    if first == last:
        return [first]
    library: Any = dates  # which has no types
    found = library.AutoDateLocator(minticks=3, maxticks=6, tz=UTC).tick_values(first, last)
    times = library.num2date(found, tz=UTC)
    return [when for when in times if first <= when <= last] or [first]


def is_long(span: Span) -> bool:
    """Whether integers are too long to be written with all digits."""
    return max(map(abs, span)) > _LONG


def decades(span: Span, count: int) -> list[float]:
    """Powers of ten, about ``count``: of more, every second, third and so on."""
    low, high = math.ceil(math.log10(span[0])), math.floor(math.log10(span[1]))
    return [10.0**power for power in range(low, high + 1, max(1, (high - low) // count))]


def _ticks(span: Span, *, is_integer: bool = False) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    low, high = span
    if low == high or high > HUGE:
        return sorted({low, high})
    locator = MaxNLocator(_TICKS_MAX, steps=[1, 2, 2.5, 5, 10], integer=is_integer)
    found = np.asarray(locator.tick_values(low, high), float)
    found[np.abs(found) < (high - low) * 1e-9] = 0.0
    return [tick for tick in found.tolist() if low <= tick <= high] or [low]


def _format(numbers: Sequence[float]) -> list[str]:
    """Format numbers with as few digits as keep them distinct; no zero is negative."""
    formatted = ([f"{number + 0.0:.{digits}g}" for number in numbers] for digits in range(4, 18))
    return next(labels for labels in formatted if len(set(labels)) == len(set(numbers)))
