"""What is fetched again: a run's facts, compared with those that its receipt has."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swanlab_export.backups.receipts import time_ms
from swanlab_export.normalizers.values import as_time_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swanlab_export.backups.receipts import Asked, Noted

_UNFINISHED = ("RUNNING", "OFFLINE")
# Points and lines may still come after a run has ended.
_SETTLED_MS = 15 * 60_000
_CHECKED_FOR_MS = 30 * 86_400_000
# Servers let the last digits of statistics vary.
_TOLERANCE = 1e-6
_CLOSE_TO_ZERO = 1e-12
_DATA = ("state", "finished_at", "root_exp_id", "root_pro_id")
_NAMES = ("name", "description", "labels", "group", "job_type", "show", "config", "updated_at")


@dataclass(frozen=True)
class Decision:
    """What is to be done about one run, and why.

    Attributes:
        action: ``whole``, ``part``, ``row`` or ``check``; see ``unit.Task``.
        parts: The tables that are fetched where a part is.
    """

    action: str
    reason: str
    asked: Asked
    parts: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Rules:
    """How runs are decided about in one backup.

    Args:
        asked: What is wanted.
        is_full: Fetch everything anew.
        recheck_ms: How often the latest steps of media and log are compared; 0 for never.
    """

    asked: Asked
    is_full: bool = False
    recheck_ms: int = 0

    def decide(
        self,
        run_id: str,
        facts: Mapping[str, Any],
        before: Noted | None,
        noted_at: str,
        last_at: str | None,
        is_offered: Callable[[str], bool],
    ) -> Decision | None:
        """Decide what is to be done about a run; None for nothing.

        Args:
            run_id: The run.
            facts: What the server says of it, with its ``summary``.
            before: What its receipt says.
            noted_at: When the server said so.
            last_at: When the project was last compared; None where that is not known.
            is_offered: Says whether the server has a table, of one that was not fetched before.
        """
        if before is None:
            return Decision("whole", "new", self.asked)
        return self._compare(run_id, facts, before, noted_at, last_at, is_offered)

    def _compare(
        self,
        run_id: str,
        facts: Mapping[str, Any],
        before: Noted,
        noted_at: str,
        last_at: str | None,
        is_offered: Callable[[str], bool],
    ) -> Decision | None:
        parts: tuple[str, ...] = ()
        if reason := self._why_whole(facts, before):
            action = "whole"
        elif parts := tuple(filter(is_offered, self.asked.missing(before.asked))):
            action, reason = "part", f"not fetched before: {', '.join(parts)}"
        elif changed := [name for name in _NAMES if _differs(name, facts, before.facts)]:
            action, reason = "row", f"changed: {', '.join(changed)}"
        elif before.gone_at is not None:
            action, reason = "row", "it is there again"
        elif self._is_due(run_id, before, noted_at, last_at):
            action, reason = "check", "checked now and then"
        else:
            return None
        return Decision(action, reason, self.asked.joined(before.asked), parts)

    def _why_whole(self, facts: Mapping[str, Any], before: Noted) -> str:
        stored = before.facts
        if self.is_full:
            return "everything was asked for anew"
        if not before.complete:
            return "a part was missing"
        if stored["state"] in _UNFINISHED:
            return f"it was {stored['state']}"
        ended_ms = _time_ms(stored["finished_at"])
        if ended_ms is not None and time_ms(before.facts_at) - ended_ms < _SETTLED_MS:
            return "it had just ended"
        for name in _DATA:
            if facts[name] != stored[name]:
                return f"{name} was {stored[name]}, is {facts[name]}"
        return summary_change(stored["summary"], facts["summary"])

    def _is_due(self, run_id: str, before: Noted, noted_at: str, last_at: str | None) -> bool:
        """Say whether it is this run's turn, once in each period; turns are spread evenly."""
        ended_ms, now_ms = _time_ms(before.facts["finished_at"]), time_ms(noted_at)
        if not self.recheck_ms or before.logged is None or ended_ms is None:
            return False
        if now_ms - ended_ms > _CHECKED_FOR_MS:
            return False
        last_ms = time_ms(max(before.facts_at, last_at or before.facts_at))
        offset = int(hashlib.sha256(run_id.encode()).hexdigest()[:12], 16) % self.recheck_ms
        return (now_ms + offset) // self.recheck_ms != (last_ms + offset) // self.recheck_ms


def _differs(name: str, facts: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Say whether a fact has changed; of a configuration that is not sent nothing is known."""
    if name == "config" and None in {facts[name], stored[name]}:
        return False
    return bool(facts[name] != stored[name])


def summary_change(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in which key two summaries of a run differ; "" where they are the same.

    Step and value are compared exactly, statistics within what servers let vary.
    """
    if stored == now:
        return ""
    for key in sorted(stored.keys() | now.keys()):
        if key not in stored or key not in now:
            return f"key {key!r} is {'new' if key in now else 'gone'}"
        if not _is_same_item(stored[key], now[key]):
            return f"the summary of {key!r} has changed"
    return ""


def _is_same_item(stored: Any, now: Any) -> bool:
    if not isinstance(stored, dict) or not isinstance(now, dict):
        return bool(stored == now)
    if any(stored.get(name) != now.get(name) for name in ("step", "value")):
        return False
    numbers = [abs(x) for x in _numbers(stored) if math.isfinite(x)]
    return _is_close(stored, now, _CLOSE_TO_ZERO * max(numbers, default=0.0))


def _is_close(stored: Any, now: Any, least: float) -> bool:
    if isinstance(stored, dict) and isinstance(now, dict):
        return stored.keys() == now.keys() and all(
            _is_close(stored[name], now[name], least) for name in stored
        )
    if isinstance(stored, list) and isinstance(now, list):
        return len(stored) == len(now) and all(
            _is_close(a, b, least) for a, b in zip(stored, now, strict=True)
        )
    if isinstance(stored, float) or isinstance(now, float):
        try:
            return math.isclose(stored, now, rel_tol=_TOLERANCE, abs_tol=least)
        except TypeError:
            return False
    return bool(stored == now)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in _numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in _numbers(each)]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [float(value)] if is_number else []


def _time_ms(value: Any) -> int | None:
    try:
        return None if value is None else as_time_ms(value)
    except (TypeError, ValueError, OverflowError):
        return None
