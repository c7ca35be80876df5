"""Which runs are wanted: one parser for the command line's rules and Python's.

Three spellings, all meaning the same::

    state=FINISHED                  config.lr>=0.001        the shorthand
    {"state": "FINISHED", "config.lr >=": 1e-3}             a Python mapping
    [{"key": "lr", "type": "CONFIG", "op": "GTE", "value": ["0.001"]}]    the server's own rules
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swanlab_export.errors import UsageError, argument
from swanlab_export.refs import escape

Where = str | Iterable[Any] | Mapping[str, Any] | None
Rule = dict[str, Any]

TYPES = ("STABLE", "CONFIG", "SCALAR")
OPERATORS = (*("EQ", "NEQ", "GT", "LT", "GTE", "LTE", "IN", "NOT IN", "CONTAIN", "NOT_CONTAIN"),)
# The server's names of a run's own fields, and what the runs table calls them.
_STABLE = {
    **{name: name for name in ("state", "name", "description", "show", "pin", "baseline")},
    **{name: name for name in ("colors", "cluster", "job", "labels")},
    **{name: name for name in ("createdAt", "updatedAt", "finishedAt", "pinnedAt")},
    "group": "cluster",
    "job_type": "job",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "finished_at": "finishedAt",
}
_PREFIXES = {"config.": "CONFIG", "summary.": "SCALAR", "scalar.": "SCALAR"}
_SIGNS = {
    "==": "EQ",
    "=": "EQ",
    "!=": "NEQ",
    ">=": "GTE",
    "<=": "LTE",
    ">": "GT",
    "<": "LT",
    "!~": "NOT_CONTAIN",
    "~": "CONTAIN",
    "not in": "NOT IN",
    "in": "IN",
}
_SIGN = re.compile(r"\s*(==|!=|>=|<=|!~|=|>|<|~|\s+not\s+in\s+|\s+in\s+)\s*", re.IGNORECASE)

# Of a mapping the sign ends the name, which may hold spaces and signs itself.
_LAST_SIGN = re.compile(r"\s*(==|!=|>=|<=|!~|=|>|<|~|(?<=\s)not\s+in|(?<=\s)in)$", re.IGNORECASE)


def filter_rules(where: Where) -> list[Rule]:
    """Read filters in any spelling as the server's rules; all of them have to hold.

    Raises:
        UsageError: A rule cannot be meant; the message gives its index.

    >>> filter_rules(["state=FINISHED", "config.lr >= 0.001"])[1]
    {'key': 'lr', 'type': 'CONFIG', 'op': 'GTE', 'value': ['0.001']}
    >>> filter_rules({"state in": ["CRASHED", "ABORTED"]})[0]["op"]
    'IN'
    """
    if where is None:
        return []
    if not isinstance(where, Iterable):
        kind = type(where).__name__
        raise UsageError(f"{argument('where')} is a mapping or rules, not a {kind}")
    parts = [where] if isinstance(where, str | Mapping) else list(where)
    found: list[Any] = [rule for part in parts for rule in _rules_of(part)]
    if not found:
        raise UsageError(f"{argument('where')} holds no rule")
    return [_checked(rule, index) for index, rule in enumerate(found)]


def _rules_of(part: Any) -> list[Any]:
    if isinstance(part, Mapping):
        return [part] if {"key", "op"} <= part.keys() else _from_mapping(part)
    if not isinstance(part, str):
        raise UsageError(f"{argument('where')}: {escape(repr(part))} is not a rule")
    text = part.strip()
    if text.startswith(("[", "{")):
        return _from_json(text, "the text")
    if match := _SIGN.search(text):
        if text[match.end() : match.end() + 1] in tuple("=<>~!"):
            raise UsageError(f"{argument('where')}: {escape(text)} has two operators in a row")
        return [_from_words(text[: match.start()], match.group(1), text[match.end() :])]
    return _from_file(text)


def _from_mapping(mapping: Mapping[str, Any]) -> list[Any]:
    rules = []
    for name, value in mapping.items():
        text = str(name).strip()
        match = _LAST_SIGN.search(text)
        key, sign = (text[: match.start()], match.group(1)) if match else (text, "=")
        rules.append(_from_words(key, sign, value))
    return rules


def _from_words(name: str, sign: str, value: Any) -> Rule:
    op = _SIGNS[" ".join(sign.lower().split())]
    key, kind = name.strip(), "STABLE"
    for prefix, of_prefix in _PREFIXES.items():
        if key.startswith(prefix):
            key, kind = key.removeprefix(prefix), of_prefix
    if kind == "STABLE" and key not in _STABLE:
        raise UsageError(
            f"{argument('where')}: {escape(key)} is not a field of a run; use one of "
            f"{', '.join(_STABLE)}, config.<key> or summary.<key>"
        )
    if isinstance(value, str) and op in {"IN", "NOT IN"}:
        value = [item.strip() for item in value.split(",")]
    if getattr(value, "ndim", 0) == 1:  # an array or a Series
        value = value.tolist()
    values = value if isinstance(value, list | tuple | set) else [value]
    return {"key": _STABLE.get(key, key), "type": kind, "op": op, "value": [*map(_word, values)]}


def _word(value: Any) -> str:
    """Spell a value as the server compares it: numbers of numpy and times of pandas, too."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        text = aware.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    plain = value.item() if hasattr(value, "item") else value
    try:
        return json.dumps(plain, ensure_ascii=False)
    except TypeError:
        kind = type(value).__name__
        message = f"{argument('where')}: a {kind} is no value to compare with"
        raise UsageError(message) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_json(text: str, where: str) -> list[Any]:
    try:
        rules = json.loads(text)
    except ValueError as error:
        message = f"{argument('where')}: {where} is not JSON: {escape(str(error))}"
        raise UsageError(message) from None
    return rules if isinstance(rules, list) else [rules]


def _from_file(name: str) -> list[Any]:
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UsageError(
            f"{argument('where')}: {escape(name)} is neither a rule such as config.lr>=0.001, "
            "nor a JSON array of rules, nor a file that can be read"
        ) from None
    return _from_json(text, f"the file {escape(name)}")


def _checked(rule: Any, index: int) -> Rule:
    """Check a rule in the server's own form."""

    def refuse(why: str) -> UsageError:
        return UsageError(f"{argument('where')}: rule {index} {why}")

    if not isinstance(rule, Mapping):
        raise refuse("is not an object")
    if missing := {"key", "type", "op", "value"} - rule.keys():
        raise refuse(f"lacks {', '.join(sorted(missing))}")
    if not isinstance(rule["key"], str) or not rule["key"]:
        raise refuse("has a key that is not a name")
    if rule["type"] not in TYPES:
        raise refuse(f"has type {escape(str(rule['type']))}, not one of {', '.join(TYPES)}")
    if rule["op"] not in OPERATORS:
        raise refuse(f"has op {escape(str(rule['op']))}, not one of {', '.join(OPERATORS)}")
    if rule["type"] == "STABLE" and rule["key"] not in _STABLE.values():
        known = ", ".join(sorted(set(_STABLE.values())))
        raise refuse(f"has key {escape(rule['key'])}, not one of {known}")
    values = _checked_values(rule, refuse)
    return {"key": rule["key"], "type": rule["type"], "op": rule["op"], "value": values}


def _checked_values(rule: Mapping[str, Any], refuse: Callable[[str], UsageError]) -> list[str]:
    """Check what a rule compares with, and spell it as the server compares it."""
    if not isinstance(rule["value"], list):
        raise refuse("has a value that is not a list")
    if not rule["value"]:
        raise refuse("has no value")
    values = [_word(value) for value in rule["value"]]
    if rule["type"] == "SCALAR" and not all(map(_is_number, values)):
        raise refuse(f"compares a metric with {escape(', '.join(values))}, which is no number")
    if rule["op"] in {"GT", "LT", "GTE", "LTE"} and not all(value.strip() for value in values):
        raise refuse("has nothing to compare with")
    return values
