"""Which points of each key are wanted: a range on one axis, then the first or last N."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


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
        axis = {"step": steps, "timestamp": times, "custom": x}[self.axis]
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

    def _bound(self, bound: float) -> pa.Scalar:
        return pa.scalar(bound, pa.float64()) if self.axis == "custom" else pa.scalar(int(bound))
