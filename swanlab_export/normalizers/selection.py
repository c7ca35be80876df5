"""Which points of each key are wanted: a range on one axis, then the first or last N."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.messages import quote
from swanlab_export.report import NAMED_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Selection:
    """A range query, applied on this side because the server only exports everything.

    ``start`` and ``end`` are inclusive; on the timestamp axis they are Unix milliseconds.
    ``head`` and ``tail`` count points **per key**, after the range, in the order of the file.
    """

    axis: str = "step"
    start: float | None = None
    end: float | None = None
    head: int | None = None
    tail: int | None = None

    def is_everything(self) -> bool:
        """Say whether every point is wanted; ``tail`` is applied elsewhere."""
        return self.start is None and self.end is None and self.head is None

    def has_last_step(self) -> bool:
        """Say whether the range ends at a step."""
        return self.axis == "step" and self.end is not None

    def is_past(self, last_step: int | None) -> bool:
        """Say whether no later step than ``last_step`` is wanted, nor that step once more."""
        if last_step is None or self.end is None:
            return False
        return self.axis == "step" and last_step > self.end

    def mask(
        self, steps: pa.Array, values: pa.Array, times: pa.Array, x: pa.Array | None
    ) -> pa.Array:
        """Mark the points of one key that are in range; head and tail are not applied here."""
        axis = self.values(steps, times, x)
        wanted = pc.is_valid(values)
        # A null on the axis is in no range.
        if self.start is not None:
            wanted = pc.and_(
                wanted, pc.fill_null(pc.greater_equal(axis, self._bound(self.start)), False)
            )
        if self.end is not None:
            wanted = pc.and_(
                wanted, pc.fill_null(pc.less_equal(axis, self._bound(self.end)), False)
            )
        return wanted

    def values(self, steps: pa.Array, times: pa.Array, x: pa.Array | None) -> pa.Array:
        """The values that the range is about."""
        return {"step": steps, "timestamp": times, "custom": x}[self.axis]

    def _bound(self, bound: float) -> pa.Scalar:
        return pa.scalar(bound, pa.float64()) if self.axis == "custom" else pa.scalar(int(bound))


@dataclass
class Reach:
    """From where to where the points of each key go, for who asked for a range without a point.

    Attributes:
        has_points: Whether a point is in the range; then the rest is not needed, nor complete.
    """

    has_points: bool = False
    _ends: dict[str, tuple[float, float]] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)

    def see(self, key: str, axis: pa.Array, is_wanted: pa.Array) -> None:
        """Follow a key, from values of its points and which of them are in the range."""
        self.has_points = self.has_points or bool(pc.any(is_wanted).as_py())
        if not self.has_points:
            ends = pc.min_max(axis)
            self._widen(key, ends["min"].as_py(), ends["max"].as_py())

    def end_early(self, latest_steps: Mapping[str, int | None]) -> None:
        """Note that not all points were read: the latest steps are those that are announced."""
        for key, (low, _) in list(self._ends.items()):
            latest = latest_steps.get(key)
            if latest is None:
                self._unread.add(key)
            else:
                self._widen(key, low, latest)

    def add(self, other: Reach) -> None:
        """Add what was seen in another file."""
        self.has_points = self.has_points or other.has_points
        self._unread |= other._unread
        for key, (low, high) in other._ends.items():
            self._widen(key, low, high)

    def describe(self, axis: str) -> str:
        """Say which range each key has; empty where no key has a point."""
        ends = list(self._ends.items())
        named = [self._describe(key, axis, *each) for key, each in ends[:NAMED_MAX]]
        rest = len(ends) - NAMED_MAX
        return "; ".join([*named, *([f"and {rest} more"] if rest > 0 else [])])

    def _describe(self, key: str, axis: str, low: float, high: float) -> str:
        what = {"step": "steps", "timestamp": "times"}.get(axis, "values of the x axis")
        if key in self._unread:
            return f"{quote(key)} has {what} from {_show(low, axis)} on"
        return f"{quote(key)} has {what} from {_show(low, axis)} to {_show(high, axis)}"

    def _widen(self, key: str, low: float | None, high: float | None) -> None:
        if low is None or high is None:
            return
        known = self._ends.get(key, (low, high))
        self._ends[key] = (min(low, known[0]), max(high, known[1]))


def _show(value: float, axis: str) -> str:
    if axis == "timestamp":
        moment = datetime.fromtimestamp(int(value) // 1000, UTC)
        milliseconds = moment.replace(microsecond=int(value) % 1000 * 1000)
        return milliseconds.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{value:g}" if axis == "custom" else f"{value}"
