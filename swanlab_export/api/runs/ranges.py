"""Range queries: the rules, checked before any request, and what they select."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from swanlab_export.api.resource import check_choice, read_integer, read_number
from swanlab_export.errors import UsageError
from swanlab_export.limits import RANGE_TYPES, X_AXES
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.selection import Selection
from swanlab_export.normalizers.values import MILLISECONDS_TO, scale_to_ms

Bound = float | datetime | None


@dataclass(frozen=True)
class Range:
    """A range of points; ``axis`` is None where no bound needs one."""

    axis: str | None = None
    start: float | None = None
    end: float | None = None
    head: int | None = None
    tail: int | None = None
    last: int | None = None

    @classmethod
    def parse(
        cls,
        range_type: str | None,
        start: Bound,
        end: Bound,
        head: int | None,
        tail: int | None,
        last: int | None,
    ) -> Self | None:
        """Read the arguments of a range; None where none is given.

        A bound that is a time makes it a range of timestamps.

        Raises:
            UsageError: There is no such type of range, or a time is no bound of it.
        """
        if all(given is None for given in (range_type, start, end, head, tail, last)):
            return None
        axis = None if range_type is None else check_choice("range_type", range_type, RANGE_TYPES)
        for name, bound in (("range_start", start), ("range_end", end)):
            if isinstance(bound, datetime):
                axis = axis or "timestamp"
                if axis != "timestamp":
                    needed = argument("range_type", "timestamp")
                    raise UsageError(f"{argument(name)} is a time, which needs {needed}")
        counts = {"range_head": head, "range_tail": tail, "range_last": last}
        return cls(
            axis,
            _as_number("range_start", start),
            _as_number("range_end", end),
            *(None if n is None else read_integer(name, n) for name, n in counts.items()),
        )

    def __str__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value is not None}
        return ", ".join(f"{name}={value}" for name, value in given.items())

    def select(self, x_axis: str, now_ms: int) -> Selection:
        """Say which points are in the range.

        Raises:
            UsageError: Arguments exclude each other, or a bound is not one; names the argument.
        """
        self._check(x_axis)
        if self.last is not None:
            return Selection("timestamp", now_ms - self.last, None, self.head, self.tail)
        start, end = self.start, self.end
        if self.axis == "timestamp":
            start = None if start is None else scale_to_ms(int(start))
            end = None if end is None else scale_to_ms(int(end))
        if start is not None and end is not None and start > end:
            raise UsageError(f"{argument('range_start')} is greater than {argument('range_end')}")
        return Selection(self.axis or "step", start, end, self.head, self.tail)

    def _check(self, x_axis: str) -> None:
        if self.head is not None and self.tail is not None:
            raise UsageError(
                f"{argument('range_head')} and {argument('range_tail')} exclude each other"
            )
        if self.last is not None and (self.start is not None or self.end is not None):
            raise UsageError(
                f"{argument('range_last')} excludes {argument('range_start')} and "
                f"{argument('range_end')}"
            )
        for name in ("head", "tail", "last"):
            _check_count(f"range_{name}", getattr(self, name))
        if self.axis == "custom" and x_axis in X_AXES:
            raise UsageError(
                f"{argument('range_type')} custom filters by a key: name it with "
                f"{argument('x_axis')}"
            )
        for name in ("start", "end"):
            _check_bound(f"range_{name}", getattr(self, name), self.axis)


def check_x_axis(x_axis: str) -> None:
    """Refuse an axis that no points have."""
    if not x_axis.strip():
        raise UsageError(f"{argument('x_axis')} is empty")
    if x_axis in {"auto", "timestamp"}:
        axes = ", ".join(X_AXES)
        raise UsageError(
            f"{argument('x_axis')} is one of {axes} or a metric key, not {quote(x_axis)}"
        )


def _as_number(name: str, bound: Bound) -> float | None:
    """A time, of pandas too, as Unix milliseconds; UTC where it names no zone."""
    if not isinstance(bound, datetime):
        return None if bound is None else read_number(name, bound)
    aware = bound if bound.tzinfo else bound.replace(tzinfo=UTC)
    try:
        return round(aware.timestamp() * 1000)
    except ValueError:  # the time of pandas that is none
        raise UsageError(f"{argument(name)} is a time that is missing") from None


def _check_count(name: str, count: int | None) -> None:
    if count is not None and count < 1:
        raise UsageError(f"{argument(name)} must be at least 1")
    if count is not None and count >= 2**63:
        raise UsageError(f"{argument(name)} is too large: it has to fit 64 bits")


def _check_bound(name: str, bound: float | None, axis: str | None) -> None:
    if bound is None:
        return
    if not math.isfinite(bound):
        raise UsageError(f"{argument(name)} must be a finite number")
    if axis == "custom":
        return
    if bound < 0 or bound != int(bound):
        raise UsageError(f"{argument(name)} must be an integer, 0 or more")
    if axis == "timestamp" and bound >= MILLISECONDS_TO:
        raise UsageError(f"{argument(name)} is beyond the year 9999")
    if bound >= 2**63:
        raise UsageError(f"{argument(name)} is too large: it has to fit 64 bits")
