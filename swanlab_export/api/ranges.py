"""Range queries: the rules, checked before any request, and what they select."""

from __future__ import annotations

import math
from dataclasses import dataclass

from swanlab_export.errors import UsageError, argument
from swanlab_export.normalizers.selection import Selection
from swanlab_export.normalizers.values import MILLISECONDS_TO, scale_to_ms

BUILTIN_AXES = ("step", "time", "relative_time")
RANGE_TYPES = ("step", "timestamp", "custom")


@dataclass(frozen=True)
class Range:
    """A range as asked for; ``type`` is None where only head, tail or last was given."""

    axis: str | None = None
    start: float | None = None
    end: float | None = None
    head: int | None = None
    tail: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        said = {name: value for name, value in vars(self).items() if value is not None}
        return ", ".join(f"{name}={value}" for name, value in said.items())


def check_x_axis(x_axis: str) -> None:
    """Refuse names of axes that read as something else than a key."""
    if not x_axis.strip():
        raise UsageError(f"{argument('x_axis')} is empty")
    if x_axis in {"auto", "timestamp"}:
        axes = ", ".join(BUILTIN_AXES)
        raise UsageError(f"{argument('x_axis')} is one of {axes} or a metric key, not {x_axis!r}")


def plan_selection(query: Range | None, x_axis: str, now_ms: int, *, is_full: bool) -> Selection:
    """Check a range query and say which points it selects.

    Raises:
        UsageError: Arguments exclude each other, or a bound is not one; names the argument.
    """
    if (is_full or query is not None) and x_axis in {"time", "relative_time"}:
        why = argument("full") if is_full else "a range"
        raise UsageError(f"{argument('x_axis')} {x_axis} is only for sampled points, not for {why}")
    if query is None:
        return Selection()
    _check(query, x_axis)
    if query.last is not None:
        return Selection("timestamp", now_ms - query.last, None, query.head, query.tail)
    axis = query.axis or "step"
    start, end = query.start, query.end
    if axis == "timestamp":
        start = None if start is None else scale_to_ms(int(start))
        end = None if end is None else scale_to_ms(int(end))
    if start is not None and end is not None and start > end:
        raise UsageError(f"{argument('range_start')} is greater than {argument('range_end')}")
    return Selection(axis, start, end, query.head, query.tail)


def _check(query: Range, x_axis: str) -> None:
    if query.axis is not None and query.axis not in RANGE_TYPES:
        raise UsageError(f"{argument('range_type')} is one of {', '.join(RANGE_TYPES)}")
    if query.head is not None and query.tail is not None:
        raise UsageError(
            f"{argument('range_head')} and {argument('range_tail')} exclude each other"
        )
    if query.last is not None and (query.start is not None or query.end is not None):
        raise UsageError(
            f"{argument('range_last')} excludes {argument('range_start')} and "
            f"{argument('range_end')}"
        )
    for name in ("head", "tail", "last"):
        count = getattr(query, name)
        if count is not None and count < 1:
            raise UsageError(f"{argument(f'range_{name}')} must be at least 1")
        if count is not None and count >= 2**63:
            raise UsageError(f"{argument(f'range_{name}')} is beyond any count")
    if query.axis == "custom" and x_axis in BUILTIN_AXES:
        raise UsageError(
            f"{argument('range_type')} custom filters on a key: name it with {argument('x_axis')}"
        )
    for name in ("start", "end"):
        _check_bound(f"range_{name}", getattr(query, name), query.axis)


def _check_bound(name: str, bound: float | None, axis: str | None) -> None:
    if bound is None:
        return
    if not math.isfinite(bound):
        raise UsageError(f"{argument(name)} must be a finite number")
    if axis == "custom":
        return
    if bound < 0 or bound != int(bound):
        raise UsageError(f"{argument(name)} must be a whole number, 0 or more")
    if bound >= (MILLISECONDS_TO if axis == "timestamp" else 2**63):
        raise UsageError(f"{argument(name)} is beyond any step or time")
