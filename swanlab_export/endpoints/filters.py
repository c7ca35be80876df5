"""Rules that choose runs: how the server is told of them, and whether a run passes.

What the server does with some rules is not known: it may refuse GT, LT and NOT_CONTAIN, and it
reads times in a zone of its own. So it is sent rules that every run passes that is wanted, and the
rules themselves are applied to what it returns.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from swanlab_export.normalizers.flatten import unwrap
from swanlab_export.normalizers.values import as_float, as_text, as_time_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("STABLE", "CONFIG", "SCALAR")
OPERATORS = (*("EQ", "NEQ", "GT", "LT", "GTE", "LTE", "IN", "NOT IN", "CONTAIN", "NOT_CONTAIN"),)
# A run's own fields, as the runs table names them and as the server does.
_PAYLOAD_NAMES = {
    **{name: name for name in ("state", "name", "description", "show", "pin", "baseline")},
    **{name: name for name in ("colors", "labels")},
    "group": "cluster",
    "job_type": "job",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "finished_at": "finishedAt",
    "pinned_at": "pinnedAt",
}
TIMES = ("created_at", "updated_at", "finished_at", "pinned_at")
# No two zones are further apart.
_ZONES = timedelta(hours=14)
_AT_LEAST, _AT_MOST = ("GT", "GTE"), ("LT", "LTE")
_ORDERS = _AT_LEAST + _AT_MOST
_INCLUSIVE = {"GT": "GTE", "LT": "LTE"}
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")
_FIELDS = {theirs: ours for ours, theirs in _PAYLOAD_NAMES.items()}
RUN_FIELDS = tuple(_PAYLOAD_NAMES)


@dataclass(frozen=True)
class Rule:
    """One condition that a run has to meet.

    Args:
        field: A field of the run (one of ``RUN_FIELDS``), else a key.
        kind: Where the field is: STABLE (of the run itself), CONFIG or SCALAR (latest value).
        operator: One of ``OPERATORS``.
        values: What it is compared with, as text.
    """

    field: str
    kind: str
    operator: str
    values: tuple[str, ...]


def run_field(name: str) -> str | None:
    """The name of a run's own field, by either name; None where there is no such field.

    >>> run_field("createdAt"), run_field("group"), run_field("colour")
    ('created_at', 'group', None)
    """
    return name if name in _PAYLOAD_NAMES else _FIELDS.get(name)


def filter_payload(rule: Rule) -> dict[str, Any]:
    """A rule as the server reads it."""
    key = _PAYLOAD_NAMES[rule.field] if rule.kind == "STABLE" else rule.field
    return {"key": key, "type": rule.kind, "op": rule.operator, "value": list(rule.values)}


def sent_filters(rule: Rule) -> list[dict[str, Any]]:
    """Filters for the server that every run passes which passes the rule; maybe none.

    >>> [sent["op"] for sent in sent_filters(Rule("lr", "CONFIG", "GT", ("0.1",)))]
    ['GTE']
    """
    if is_of_time(rule):
        return [filter_payload(wide) for wide in _widened(rule)]
    operator = _INCLUSIVE.get(rule.operator, rule.operator)
    return [filter_payload(Rule(rule.field, rule.kind, operator, rule.values))]


def is_of_time(rule: Rule) -> bool:
    """Say whether a rule is about a time of the run."""
    return rule.kind == "STABLE" and rule.field in TIMES


def read_time_ms(text: str) -> int:
    """Read the time that a rule names as Unix milliseconds: ISO 8601, or a year or month alone.

    Raises:
        ValueError: It is no time.

    >>> read_time_ms("2026-01") == read_time_ms("2026-01-01T00:00:00Z")
    True
    """
    text = text.strip()
    if _YEAR_OR_MONTH.fullmatch(text):
        text = f"{text}-01-01"[:10]
    return as_time_ms(int(text) if text.isdecimal() and len(text) > 8 else text)


def _widened(rule: Rule) -> list[Rule]:
    """Rules about a time that hold in whatever zone the server reads them."""
    if rule.operator in _ORDERS:
        times = [read_time_ms(value) for value in rule.values]
        bounds = [max(times)] if rule.operator in _AT_LEAST else [min(times)]
        operators = ["GTE" if rule.operator in _AT_LEAST else "LTE"]
    elif rule.operator in {"EQ", "IN"}:
        times = [read_time_ms(value) for value in rule.values]
        bounds, operators = [min(times), max(times)], ["GTE", "LTE"]
    else:
        return []  # nothing that holds in every zone can be excluded
    return [
        Rule(rule.field, rule.kind, operator, (_widen(bound, operator),))
        for bound, operator in zip(bounds, operators, strict=True)
    ]


def _widen(time_ms: int, operator: str) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    with suppress(OverflowError):  # at the ends of the calendar
        moment = moment - _ZONES if operator == "GTE" else moment + _ZONES
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def needs_check(rule: Rule) -> bool:
    """Say whether the server was sent a wider rule than this one."""
    return is_of_time(rule) or rule.operator in _INCLUSIVE


def passes(
    rule: Rule, run: Mapping[str, Any], summary: Mapping[str, Any] | None, *, is_complete: bool
) -> bool:
    """Say whether a run passes a rule: numbers compare as numbers, the rest as text.

    Args:
        rule: The rule.
        run: The run's payload.
        summary: The run's summary, for a rule about a metric; None where it is not at hand.
        is_complete: What the payload lacks is missing of the run, too; else nothing is known
            of it, and the run passes.
    """
    if rule.kind == "SCALAR":
        is_known, value = summary is not None, _latest(summary, rule.field)
    elif rule.kind == "CONFIG":
        is_known, value = _config_value(run, rule.field)
    else:
        name = _PAYLOAD_NAMES[rule.field]
        is_known, value = name in run, _field_value(run.get(name))
    if not is_known and not is_complete:
        return True
    if is_of_time(rule) and rule.operator not in {"CONTAIN", "NOT_CONTAIN"}:
        return _compare(_time_ms(value), rule.operator, [read_time_ms(v) for v in rule.values])
    return _compare(value, rule.operator, rule.values)


def _compare(value: Any, operator: str, wanted: Any) -> bool:
    if operator in {"EQ", "IN"}:
        return any(_equals(value, each) for each in wanted)
    if operator in {"NEQ", "NOT IN"}:
        return not any(_equals(value, each) for each in wanted)
    if operator in {"CONTAIN", "NOT_CONTAIN"}:
        found = any(_contains(value, each) for each in wanted)
        return found == (operator == "CONTAIN")
    return value is not None and all(_is_in_order(value, operator, each) for each in wanted)


def _equals(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(_text(item) == wanted for item in value)
    numbers = _numbers(value, wanted)
    return numbers[0] == numbers[1] if numbers else _text(value) == str(wanted)


def _contains(value: Any, wanted: str) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(wanted.lower() in _text(item).lower() for item in items)


def _is_in_order(value: Any, operator: str, wanted: Any) -> bool:
    left: Any
    right: Any
    left, right = _numbers(value, wanted) or (_text(value), str(wanted))
    if left == right:
        return operator in {"GTE", "LTE"}
    return bool(left > right if operator in _AT_LEAST else left < right)


def _numbers(value: Any, wanted: Any) -> tuple[float, float] | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value), float(wanted)
    except (ValueError, OverflowError):
        return None


def _text(value: Any) -> str:
    return "" if value is None else as_text(value)


def _time_ms(value: Any) -> int | None:
    try:
        return None if value is None else as_time_ms(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _field_value(value: Any) -> Any:
    """A field of the run; of labels, their names."""
    if not isinstance(value, list):
        return value
    return [item.get("name") if isinstance(item, dict) else item for item in value]


def _config_value(run: Mapping[str, Any], key: str) -> tuple[bool, Any]:
    """Whether the payload has a config, and what is at a key of it, or below names with dots."""
    profile = run.get("profile")
    config = profile.get("config") if isinstance(profile, dict) else None
    if not isinstance(config, dict):
        return False, None
    if key in config:
        return True, unwrap(config[key])
    value: Any = config
    for part in key.split("."):
        inner = unwrap(value)
        value = inner.get(part) if isinstance(inner, dict) else None
    return True, unwrap(value)


def _latest(summary: Mapping[str, Any] | None, key: str) -> float | None:
    """The latest value of a metric; None where it has none, or one that is no number."""
    item = (summary or {}).get(key)
    value = item.get("value") if isinstance(item, dict) else None
    try:
        return None if value is None else as_float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
