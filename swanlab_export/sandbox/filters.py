"""Filters, groups and sorts over runs, as the server answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OPERATORS = (
    *("EQ", "NEQ", "GT", "LT", "GTE", "LTE"),
    *("IN", "NOT IN", "CONTAIN", "NOT_CONTAIN"),
)
_LABELS = "labels"


def field_of(run: dict[str, Any], rule: dict[str, Any], latest: Callable[[str, str], Any]) -> Any:
    """What a rule speaks of: a field of the run, a config value or a metric's latest value."""
    key = rule["key"]
    if rule["type"] == "SCALAR":
        return latest(run["cuid"], key)
    if rule["type"] == "CONFIG":
        return _config(run, key)
    if key == _LABELS:
        return [label["name"] for label in run.get(_LABELS) or []]
    return run.get(key)


def passes(value: Any, op: str, wanted: list[str]) -> bool:
    """Compare as the server does: numbers as numbers, everything else as text."""
    if op in {"EQ", "IN"}:
        return any(_equal(value, each) for each in wanted)
    if op in {"NEQ", "NOT IN"}:
        return not any(_equal(value, each) for each in wanted)
    if op == "CONTAIN":
        return any(_contains(value, each) for each in wanted)
    if op == "NOT_CONTAIN":
        return not any(_contains(value, each) for each in wanted)
    return value is not None and all(_ordered(value, op, each) for each in wanted)


def group(runs: list[Any], keys: Sequence[Callable[[Any], Any]]) -> Any:
    """Nest runs into dicts by each key in turn."""
    if not keys:
        return runs
    parts: dict[str, list[Any]] = {}
    for run in runs:
        parts.setdefault(_text(keys[0](run)), []).append(run)
    return {name: group(part, keys[1:]) for name, part in parts.items()}


def sort_key(value: Any) -> tuple[int, float, str]:
    """An order over values of any kind: missing, then numbers, then text."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return 2, 0.0, str(value)


def _config(run: dict[str, Any], key: str) -> Any:
    profile = run.get("profile") or {}
    value: Any = profile.get("config") or {}
    if key in value:
        return _unwrapped(value[key])
    for part in key.split("."):
        value = _unwrapped(value)
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return _unwrapped(value)


def _unwrapped(value: Any) -> Any:
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
