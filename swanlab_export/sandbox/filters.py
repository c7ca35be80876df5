"""Filters, groups and sorts over runs, with the outcome that the server gives."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Named by the documentation, sent by no client: a server may or may not know them.
DISPUTED_OPERATORS = frozenset({"GT", "LT", "NOT_CONTAIN"})
OPERATORS = DISPUTED_OPERATORS | {"EQ", "NEQ", "GTE", "LTE", "IN", "NOT IN", "CONTAIN"}
_LABELS = "labels"
_TIMES = ("createdAt", "updatedAt", "finishedAt", "pinnedAt")
_ZONE = timezone(timedelta(hours=8))


def field_of(run: dict[str, Any], rule: dict[str, Any]) -> Any:
    """The value that a rule names: a field of the run or a config value."""
    key = rule["key"]
    if rule["type"] == "CONFIG":
        return _config(run, key)
    if key == _LABELS:
        return [label["name"] for label in run.get(_LABELS) or []]
    value: Any = run
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def passes(value: Any, rule: dict[str, Any]) -> bool:
    """Whether a value passes a filter: numbers as numbers, times as times, the rest as text.

    Raises:
        ValueError: A time is compared with what is no time.
    """
    op, wanted = rule["op"], rule["value"]
    if rule["type"] == "STABLE" and rule["key"] in _TIMES:
        value = _milliseconds(value) if value else None
        wanted = [str(_milliseconds(each.removesuffix("Z"))) for each in wanted]
    if op in {"EQ", "IN"}:
        return any(_equal(value, each) for each in wanted)
    if op in {"NEQ", "NOT IN"}:
        return not any(_equal(value, each) for each in wanted)
    if op == "CONTAIN":
        return any(_contains(value, each) for each in wanted)
    if op == "NOT_CONTAIN":
        return not any(_contains(value, each) for each in wanted)
    return value is not None and all(_ordered(value, op, each) for each in wanted)


def group(runs: list[Any], keys: Sequence[Callable[[Any], Any]], show: Callable[[Any], Any]) -> Any:
    """Nest runs into dicts by each key in turn."""
    if not keys:
        return [show(run) for run in runs]
    parts: dict[str, list[Any]] = {}
    for run in runs:
        parts.setdefault(_text(keys[0](run)), []).append(run)
    return {name: group(part, keys[1:], show) for name, part in parts.items()}


def sort_key(value: Any) -> tuple[int, float, str]:
    """An order over values of any kind: missing, then numbers, then text."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return 2, 0.0, str(value)


def _milliseconds(text: str) -> int:
    """A time without a zone is read as UTC+8, as the server does."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_ZONE)
    return round(moment.timestamp() * 1000)


def _config(run: dict[str, Any], key: str) -> Any:
    profile = run.get("profile") or {}
    value: Any = profile.get("config") or {}
    if key in value:
        return _unwrap(value[key])
    for part in key.split("."):
        value = _unwrap(value)
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return _unwrap(value)


def _unwrap(value: Any) -> Any:
    is_wrapped = isinstance(value, dict) and "value" in value and "sort" in value
    return value["value"] if is_wrapped else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, list):
        return wanted in value
    numbers = _numbers(value, wanted)
    return numbers[0] == numbers[1] if numbers else _text(value) == wanted


def _contains(value: Any, wanted: str) -> bool:
    if isinstance(value, list):
        return any(wanted.lower() in str(item).lower() for item in value)
    return wanted.lower() in _text(value).lower()


def _ordered(value: Any, op: str, wanted: str) -> bool:
    numbers = _numbers(value, wanted)
    left, right = numbers or (_text(value), wanted)
    outcomes = {"GT": left > right, "LT": left < right, "GTE": left >= right, "LTE": left <= right}
    return bool(outcomes[op])


def _numbers(value: Any, wanted: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value), float(wanted)
    except ValueError:
        return None
