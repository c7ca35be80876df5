"""Axes of plots: how far they go, where their ticks are, and what is written there.

Locators are matplotlib's, for the terminal too: they choose round numbers and round times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import dates as _dates
from matplotlib import ticker

from swanlab_export.messages import argument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swanlab_export.plot.lines import Panel, Span
    from swanlab_export.report import Report

dates: Any = _dates  # which has no types
# Lines that leave the others less than this part of the axis are cut off.
_FLAT = 1 / 6
# So many times larger than those of one or two other lines, values are those of a run that diverged.
_FAR = 1e6
_LONG = 1e9
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Axis:
    """From the smallest to the largest number, its kind, and where to put about how many ticks.

    Attributes:
        span: Its limits; times are in milliseconds since 1970.
        kind: ``integer``, ``number``, ``log`` or ``time``.
    """

    span: Span
    kind: str

    def locator(self, count: int) -> Any:
        """Finds about ``count`` round positions."""
        if self.kind == "time":
            return dates.AutoDateLocator(minticks=3, maxticks=max(3, count), tz="UTC")
        if self.kind == "log" and (decades := _decades(self.span)) >= 2:
            return ticker.LogLocator(subs=(1, 2, 5) if decades == 2 else (1,), numticks=count)
        steps = [1, 2, 5, 10] if self.kind == "integer" else [1, 2, 2.5, 5, 10]
        return ticker.MaxNLocator(count, steps=steps, integer=self.kind == "integer")

    def formatter(self, locator: Any) -> Any:
        """Labels those positions."""
        if self.kind == "time":
            return dates.ConciseDateFormatter(locator, tz="UTC")
        return _Numbers(is_log=self.kind == "log")

    def ticks(self, count: int) -> tuple[list[float], list[str], str]:
        """Positions within the span, their labels, and what all labels have in common."""
        locator, ends = self.locator(count), self.span
        if self.kind == "time":
            ends = dates.num2date([end / _DAY_MS for end in ends], tz="UTC")
        found = np.array(locator.tick_values(*ends), float)
        ticks = found * (_DAY_MS if self.kind == "time" else 1)
        # Rounding may leave a tick a little beyond the end that it is at.
        within = np.abs(self.positions(ticks) - 0.5) <= 0.5 + 1e-9
        formatter = self.formatter(locator)
        labels = list(formatter.format_ticks(found[within].tolist()))
        return ticks[within].tolist(), labels, formatter.get_offset()

    def positions(self, values: Any) -> Any:
        """The positions of values on the axis, from 0 to 1."""
        low, high, found = (np.asarray(part, float) for part in (*self.span, values))
        if self.kind == "log":
            # Locators give ticks at zero, too, which are nowhere on this axis.
            with np.errstate(divide="ignore", invalid="ignore"):
                low, high, found = np.log10(low), np.log10(high), np.log10(found)
        return (found - low) / (high - low)


def x_axis(span: Span, panel: Panel, *, is_time: bool) -> Axis:
    """An axis from the first to the last point, gaps included, with a margin."""
    low, high = span
    margin = (high - low) * 0.02 or (1000.0 if is_time else max(abs(low) * 0.01, 1.0))
    kind = "time" if is_time else "integer" if panel.has_integer_x() else "number"
    return Axis((low - margin, high + margin), kind)


def y_axis(span: Span, *, is_log_scale: bool) -> Axis:
    """An axis from the smallest to the largest value, with a margin."""
    low, high = map(math.log10, span) if is_log_scale else span
    margin = (high - low) * 0.05 or (0.1 if is_log_scale else max(abs(low) * 0.05, 1e-300))
    if is_log_scale:
        return Axis((10 ** (low - margin), 10 ** (high + margin)), "log")
    return Axis((low - margin, high + margin), "number")


def show_limits(
    panel: Panel, names: Mapping[str, str], report: Report, *, is_log_scale: bool
) -> Span | None:
    """The values that a panel shows, with a warning of the lines that go beyond them.

    Args:
        panel: Which panel it is.
        names: What the lines are called.
        report: Gets the warning.
        is_log_scale: All values are shown.

    Returns:
        The smallest and the largest; None where there are no values.
    """
    values = panel.values()
    if not values:
        return None
    whole = float(min(map(np.min, values))), float(max(map(np.max, values)))
    shown = whole if is_log_scale else find_limits(values)
    if shown != whole:
        low, high = shown
        beyond = [line for line in panel.every_line if ((line.y < low) | (line.y > high)).any()]
        some = ", ".join([names[line.name] for line in beyond[:3]] + ["…"] * (len(beyond) > 3))
        report.warn(
            f"{panel.key}: values from {whole[0]:.3g} to {whole[1]:.3g} would flatten the other lines; "
            f"what is beyond the axis is marked at its edge ({some}); {argument('log_scale', 'True')} "
            "shows all values above 0 and up to 1e100"
        )
    return _with_bands(panel, shown, is_log_scale=is_log_scale)


def _with_bands(panel: Panel, shown: Span, *, is_log_scale: bool) -> Span:
    """Make room for bands, but no more than there is already for values.

    A logarithmic axis has no place for their lower ends, which may be negative.
    """
    low, high = shown
    room = math.inf if is_log_scale else (high - low) / 2
    for line in panel.lines:
        if (band := line.band(shown)) is not None:
            low = low if is_log_scale else min(low, max(np.nanmin(band[0]), shown[0] - room))
            high = max(high, min(np.nanmax(band[1]), shown[1] + room))
    return float(low), float(high)


def find_limits(values: Sequence[Any]) -> Span:
    """The values to show of lines: all, or without few lines and points that are far from the rest.

    A line's own range is that of 98 % of its values, and the range of the lines is that of two
    thirds of them at least. Whatever leaves that range less than a sixth of the axis is cut off.
    One of two or three lines does not count if its values are a million times larger.

    Args:
        values: Of each line, without gaps; none is empty.
    """
    ordered = [np.sort(each) for each in values]
    lows, highs = (np.array([each[end] for each in ordered]) for end in (0, -1))
    usual = _without_diverged(ordered)
    outliers = len(usual) // 3
    low = np.sort([each[len(each) // 100] for each in usual])[outliers]
    high = np.sort([each[-1 - len(each) // 100] for each in usual])[-1 - outliers]
    room = (high - low) * (1 / _FLAT - 1)
    if not room > 0 or max(low - lows.min(), highs.max() - high) <= room:
        return float(lows.min()), float(highs.max())
    bottom = lows[lows >= low - room].min(initial=low)
    top = highs[highs <= high + room].max(initial=high)
    return float(bottom), float(top)


def _without_diverged(ordered: Sequence[Any]) -> Sequence[Any]:
    """Two or three lines without one that is far larger than the others; more lines as they are."""
    if not 2 <= len(ordered) <= 3:
        return ordered
    sizes = [max(-each[0], each[-1]) for each in ordered]
    *_, usual, largest = sorted(sizes)
    if largest <= _FAR * usual:
        return ordered
    return [each for each, size in zip(ordered, sizes, strict=True) if size < largest]


class _Numbers(ticker.Formatter):
    """Numbers with separators of thousands, and as few digits as keep them distinct."""

    def __init__(self, *, is_log: bool) -> None:
        self._is_log = is_log

    def __call__(self, x: float, pos: int | None = None) -> str:
        del pos
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Format the ticks of one axis alike; very large and very small ones are abbreviated."""
        step = 0.0 if self._is_log else min(np.diff(sorted(values)), default=0.0)
        # Locators give 5e-17 for zero.
        numbers = [0.0 if abs(value) < step * 1e-6 else float(value) for value in values]
        formatted = ([_label(number, digits) for number in numbers] for digits in range(4, 18))
        return next(labels for labels in formatted if len(set(labels)) == len(set(numbers)))


def _label(number: float, digits: int) -> str:
    if abs(number) < _LONG and number.is_integer():
        return f"{number + 0.0:,.0f}"
    return f"{number:,.{digits}g}"


def _decades(span: Span) -> int:
    """How many powers of ten it holds."""
    low, high = (math.log10(end) for end in span)
    return math.floor(high) - math.ceil(low) + 1
