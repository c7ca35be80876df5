"""Rules that choose runs: how the server is told of them, and whether a run passes.

What the server does with some rules is not known: it may refuse GT, LT and NOT_CONTAIN, it reads
times in a zone of its own, and it compares lists and objects in configs in a way of its own. So it
is sent rules that every run passes that is wanted, and the rules themselves are applied to what it
returns.

Whether a config key has lists is only known from the runs. No list passes GT, GTE, LT or LTE, so
these are sent; other rules about configs are not. If no rule is sent, all runs are listed, 100 in a
request: at 50 ms a request, 0.3 s instead of 0.1 s for 2000 runs, and 7 s instead of 0.6 s for
100,000. Up to 100 runs, it is one request either way, as it is where another rule is sent.

For GT and LT about a metric this takes the summaries of the chosen runs, one request for 200 of
them: at 50 ms a request, 0.17 s instead of 0.12 s. To send NEQ beside GTE would save it, if servers
were known to compare metrics with it as numbers: as text, 0.50 is not 0.5.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.normalizers.flatten import flatten_config, unwrap
from swanlab_export.normalizers.values import as_float, as_text, as_time_ms, check_calendar

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("STABLE", "CONFIG", "SCALAR")
OPERATORS = (*("EQ", "NEQ", "GT", "LT", "GTE", "LTE", "IN", "NOT IN", "CONTAIN", "NOT_CONTAIN"),)
# No server has these; they are applied here alone.
NULL_OPERATORS = ("IS NULL", "IS NOT NULL")
# The fields that the server has filters for, as the runs table names them and as the server does.
_PAYLOAD_NAMES = {
    **{name: name for name in ("state", "name", "description", "show", "pin", "baseline")},
    **{name: name for name in ("colors", "labels", "user.username")},
    "group": "cluster",
    "job_type": "job",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "finished_at": "finishedAt",
    "pinned_at": "pinnedAt",
}
_UNDECLARED = {
    **dict.fromkeys(("pin", "baseline"), schemas.BOOL),
    **dict.fromkeys(("colors", "project", "run_name"), schemas.TEXT),
    **dict.fromkeys(("pinned_at", schemas.SNAPSHOT_AT.name), schemas.TIME),
}
FIELD_TYPES = {column.name: column.arrow_type for column in schemas.RUNS_AS_JSON.columns}
FIELD_TYPES |= _UNDECLARED
# What else a server sends is a column, too, of which only the runs tell.
_COLUMN = re.compile(r"[a-z][a-z0-9_]*(\.[^.]+)*")
_NEARLY = 0.7
# No two zones are further apart.
_ZONES = timedelta(hours=14)
_AT_LEAST, _AT_MOST = ("GT", "GTE"), ("LT", "LTE")
_ORDERS = _AT_LEAST + _AT_MOST
_INCLUSIVE = {"GT": "GTE", "LT": "LTE"}
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")
_AGO = re.compile(r"-\s*(\d{1,6})\s*([smhdw])", re.IGNORECASE)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_FIELDS = {theirs: ours for ours, theirs in _PAYLOAD_NAMES.items()}
RUN_FIELDS = tuple(FIELD_TYPES)


@dataclass(frozen=True)
class Rule:
    """One condition that a run has to meet.

    Args:
        field: A field of the run (a column of the runs table), else a key.
        kind: Where the field is: STABLE (of the run itself), CONFIG or SCALAR (latest value).
        operator: One of ``OPERATORS`` or ``NULL_OPERATORS``.
        values: What it is compared with, as text.
    """

    field: str
    kind: str
    operator: str
    values: tuple[str, ...]

    @property
    def column(self) -> str:
        """The column of the runs table that the rule is about."""
        return {"CONFIG": "config.", "SCALAR": "summary."}.get(self.kind, "") + self.field


def run_field(name: str) -> str | None:
    """The name of a run's own field, by either name; None where there is no such field.

    >>> run_field("createdAt"), run_field("group"), run_field("colour"), run_field("tags")
    ('created_at', 'group', None, 'tags')
    """
    if name in FIELD_TYPES or name in _FIELDS:
        return _FIELDS.get(name, name)
    is_near = "." not in name and difflib.get_close_matches(name, FIELD_TYPES, 1, _NEARLY)
    return name if _COLUMN.fullmatch(name) and not is_near else None


def is_undeclared(rule: Rule) -> bool:
    """Say whether a rule is about a field that runs have only if the server sends it."""
    return rule.kind == "STABLE" and rule.field not in FIELD_TYPES


def filter_payload(rule: Rule) -> dict[str, Any]:
    """A rule as the server reads it, where it has a filter for it."""
    key = _PAYLOAD_NAMES.get(rule.field, rule.field) if rule.kind == "STABLE" else rule.field
    return {"key": key, "type": rule.kind, "op": rule.operator, "value": list(rule.values)}


def sent_filters(rule: Rule) -> list[dict[str, Any]]:
    """Filters for the server that every run passes which passes the rule; maybe none.

    >>> [sent["op"] for sent in sent_filters(Rule("lr", "CONFIG", "GT", ("0.1",)))]
    ['GTE']
    """
    if not _has_filter(rule):
        return []
    if is_of_time(rule):
        return [filter_payload(wide) for wide in _widened(rule)]
    operator = _INCLUSIVE.get(rule.operator, rule.operator)
    return [filter_payload(Rule(rule.field, rule.kind, operator, rule.values))]


def is_of_time(rule: Rule) -> bool:
    """Say whether a rule is about a time of the run."""
    return rule.kind == "STABLE" and FIELD_TYPES.get(rule.field) == schemas.TIME


def _has_filter(rule: Rule) -> bool:
    """Say whether the server has filters of this kind."""
    is_known = rule.kind != "STABLE" or rule.field in _PAYLOAD_NAMES
    if rule.kind == "CONFIG" and rule.operator not in _ORDERS:
        return False  # how a server compares lists is not known
    return is_known and rule.operator not in NULL_OPERATORS


def read_time_ms(text: str, now_ms: int | None = None) -> int:
    """Read the time that a rule names as Unix milliseconds: ISO 8601, or a year or month alone.

    With ``now_ms`` also a time before it, such as ``-7d``, in s, m, h, d or w.

    Raises:
        ValueError: It is no time.

    >>> read_time_ms("2026-01") == read_time_ms("2026-01-01T00:00:00Z")
    True
    >>> read_time_ms("-1m", 1_772_000_000_000)
    1771999940000
    """
    text = text.strip()
    if now_ms is not None and (ago := _AGO.fullmatch(text)):
        return check_calendar(now_ms - int(ago[1]) * _UNITS_S[ago[2].lower()] * 1000)
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
    return _iso(moment)


def time_text(time_ms: int) -> str:
    """A time as rules name it: ISO 8601 in UTC."""
    return _iso(datetime.fromtimestamp(time_ms / 1000, UTC))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def needs_check(rule: Rule) -> bool:
    """Say whether the server was sent a wider rule than this one, or none."""
    return is_of_time(rule) or rule.operator in _INCLUSIVE or not _has_filter(rule)


def needs_columns(rule: Rule) -> bool:
    """Say whether a rule is about a column that is made from the payload, such as a duration."""
    name = _PAYLOAD_NAMES.get(rule.field, ".")
    return rule.kind == "STABLE" and "." in name


def read_compared(
    rule: Rule,
    run: Mapping[str, Any],
    summary: Mapping[str, Any] | None,
    columns: Mapping[str, Any],
) -> tuple[bool, Any]:
    """Whether it is known what a run has in the field of a rule, and the value, None if missing.

    Args:
        rule: The rule.
        run: The run's payload.
        summary: The run's summary, for a rule about a metric; None where it is not at hand.
        columns: The run as a row of its table, for a rule that ``needs_columns``.
    """
    if rule.kind == "SCALAR":
        return summary is not None, _latest(summary, rule.field)
    if rule.kind == "CONFIG":
        return _config_value(run, rule.field)
    if needs_columns(rule):
        return rule.field in columns, columns.get(rule.field)
    name = _PAYLOAD_NAMES[rule.field]
    return name in run, _field_value(run.get(name))


def passes(
    rule: Rule,
    run: Mapping[str, Any],
    summary: Mapping[str, Any] | None,
    columns: Mapping[str, Any],
    *,
    is_complete: bool,
) -> bool:
    """Say whether a run passes a rule: numbers compare as numbers, the rest as text.

    Args:
        rule: The rule.
        run: The run's payload.
        summary: The run's summary; see ``read_compared``.
        columns: The run as a row of its table; see ``read_compared``.
        is_complete: What the payload lacks is missing of the run, too; else nothing is known
            of it, and the run passes.
    """
    is_known, value = read_compared(rule, run, summary, columns)
    if not is_known and not is_complete:
        return True
    if rule.operator in NULL_OPERATORS:
        return is_missing(rule, value) == (rule.operator == "IS NULL")
    if is_of_time(rule) and rule.operator not in {"CONTAIN", "NOT_CONTAIN"}:
        return _compare(_time_ms(value), rule.operator, [read_time_ms(v) for v in rule.values])
    return _compare(value, rule.operator, rule.values)


def is_missing(rule: Rule, value: Any) -> bool:
    """Say whether the field of a rule has no value; an empty list is one in a config alone."""
    return value is None or (value == [] and rule.kind != "CONFIG")


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
    """Say whether a value, or an element of a list, is what a rule names."""
    items = value if isinstance(value, list) else []
    return any(_is_same(each, wanted) for each in (value, *items))


def _is_same(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return _is_list(value, wanted)
    numbers = _numbers(value, wanted)
    is_same_number = numbers is not None and numbers[0] == numbers[1]
    return is_same_number or _text(value) == wanted  # NaN, too


def _is_list(value: list[Any], wanted: Any) -> bool:
    """Say whether a list is what a text such as ``[64, 32]`` says."""
    try:
        return bool(json.loads(wanted) == value)
    except ValueError:
        return False


def _contains(value: Any, wanted: str) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(wanted.lower() in _text(item).lower() for item in items)


def _is_in_order(value: Any, operator: str, wanted: Any) -> bool:
    """Compare numbers with numbers, also where they are written as text, and words with words."""
    left, right = as_number(value), as_number(wanted)
    if (left is None) != (right is None) or isinstance(value, bool | list | dict):
        return False
    ends: tuple[Any, Any] = (_text(value), wanted) if left is None else (left, right)
    if ends[0] == ends[1]:
        return operator in {"GTE", "LTE"}
    return bool(ends[0] > ends[1] if operator in _AT_LEAST else ends[0] < ends[1])


def _numbers(value: Any, wanted: Any) -> tuple[float, float] | None:
    if isinstance(value, bool | str):
        return None
    left, right = as_number(value), as_number(wanted)
    return None if left is None or right is None else (left, right)


def as_number(value: Any) -> float | None:
    """The number that a value is, or that a text reads as; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return as_float(value)
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
    config = _config(run)
    if config is None:
        return False, None
    if key in config:
        return True, unwrap(config[key])
    value: Any = config
    for part in key.split("."):
        inner = unwrap(value)
        value = inner.get(part) if isinstance(inner, dict) else None
    return True, unwrap(value)


def config_keys(run: Mapping[str, Any]) -> list[str]:
    """The keys of the run's config, with dots where it is nested."""
    return [name for name, _ in flatten_config(_config(run) or {}, "")]


def _config(run: Mapping[str, Any]) -> dict[str, Any] | None:
    profile = run.get("profile")
    config = profile.get("config") if isinstance(profile, dict) else None
    return config if isinstance(config, dict) else None


def _latest(summary: Mapping[str, Any] | None, key: str) -> float | None:
    """The latest value of a metric; None where it has none, or one that is no number."""
    item = (summary or {}).get(key)
    value = item.get("value") if isinstance(item, dict) else None
    try:
        return None if value is None else as_float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
