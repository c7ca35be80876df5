"""Which runs are wanted: one parser for the command line's rules and Python's.

Three forms with the same meaning::

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

from swanlab_export.endpoints.filters import (
    KINDS,
    OPERATORS,
    RUN_FIELDS,
    Rule,
    is_of_time,
    read_time_ms,
    run_field,
)
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote

Where = str | Iterable[Any] | Mapping[str, Any] | None

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
# In a mapping the sign ends the name, which may contain spaces and signs itself.
_LAST_SIGN = re.compile(r"\s*(==|!=|>=|<=|!~|=|>|<|~|(?<=\s)not\s+in|(?<=\s)in)$", re.IGNORECASE)
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def parse_where(where: Where) -> tuple[Rule, ...]:
    """Read rules in any form; all of them have to hold. ``where`` and its files are read once.

    Raises:
        UsageError: A rule has no meaning; the message gives its index.

    >>> parse_where(["state=FINISHED", "config.lr >= 0.001"])[1]
    Rule(field='lr', kind='CONFIG', operator='GTE', values=('0.001',))
    >>> parse_where({"state in": ["CRASHED", "ABORTED"]})[0].operator
    'IN'
    """
    if where is None:
        return ()
    if not isinstance(where, Iterable):
        kind = type(where).__name__
        raise UsageError(f"{argument('where')} is a mapping or rules, not a {kind}")
    parts = [where] if isinstance(where, str | Mapping) else where
    found = [rule for part in parts for rule in _parse_part(part)]
    if not found:
        raise UsageError(f"{argument('where')} has no rule")
    return tuple(_check(rule, index) for index, rule in enumerate(found))


def read_where(where: Where) -> tuple[Rule, ...]:
    """Parse rules that are to be applied: what a time is compared with has to be one.

    Raises:
        UsageError: A rule has no meaning; the message gives its index.
    """
    rules = parse_where(where)
    for index, rule in enumerate(rules):
        if not is_of_time(rule) or rule.operator in {"CONTAIN", "NOT_CONTAIN"}:
            continue
        for value in rule.values:
            try:
                read_time_ms(value)
            except (ValueError, OverflowError):
                raise UsageError(
                    f"{argument('where')}: rule {index} compares {rule.field} with "
                    f"{quote(value)}, which is no time such as 2026-03-01T12:00:00Z"
                ) from None
    return rules


def _parse_part(part: Any) -> list[Any]:
    """Rules in the server's own form, not checked yet."""
    if isinstance(part, Mapping):
        return [part] if {"key", "op"} <= part.keys() else _parse_mapping(part)
    if not isinstance(part, str):
        raise UsageError(f"{argument('where')}: {quote(repr(part))} is not a rule")
    text = part.strip()
    if text.startswith(("[", "{")):
        return _parse_json(text, "the text")
    if match := _SIGN.search(text):
        if text[match.end() : match.end() + 1] in tuple("=<>~!"):
            raise UsageError(f"{argument('where')}: {quote(text)} has two operators in a row")
        return [_parse_words(text[: match.start()], match.group(1), text[match.end() :])]
    return _parse_file(text)


def _parse_mapping(mapping: Mapping[str, Any]) -> list[Any]:
    rules = []
    for name, value in mapping.items():
        text = str(name).strip()
        match = _LAST_SIGN.search(text)
        key, sign = (text[: match.start()], match.group(1)) if match else (text, "=")
        rules.append(_parse_words(key, sign, value))
    return rules


def _parse_words(name: str, sign: str, value: Any) -> dict[str, Any]:
    operator = _SIGNS[" ".join(sign.lower().split())]
    key, kind = name.strip(), "STABLE"
    for prefix, of_prefix in _PREFIXES.items():
        if key.startswith(prefix):
            key, kind = key.removeprefix(prefix), of_prefix
    if kind == "STABLE" and run_field(key) is None:
        raise UsageError(
            f"{argument('where')}: {quote(key)} is not a field of a run; use one of "
            f"{', '.join(RUN_FIELDS)}, config.<key> or summary.<key>"
        )
    if isinstance(value, str) and operator in {"IN", "NOT IN"}:
        value = [item.strip() for item in value.split(",")]
    if getattr(value, "ndim", 0) == 1:  # an array or a Series
        value = value.tolist()
    values = list(value) if isinstance(value, list | tuple | set) else [value]
    return {"key": key, "type": kind, "op": operator, "value": values}


def _parse_json(text: str, where: str) -> list[Any]:
    try:
        rules = json.loads(text)
    except ValueError as error:
        message = f"{argument('where')}: {where} is not JSON: {quote(str(error))}"
        raise UsageError(message) from None
    return rules if isinstance(rules, list) else [rules]


def _parse_file(name: str) -> list[Any]:
    try:
        raw = Path(name).read_bytes()
        text = raw.decode("utf-16" if raw.startswith(_UTF16_BOMS) else "utf-8-sig")
    except (OSError, ValueError):
        raise UsageError(
            f"{argument('where')}: {quote(name)} is neither a rule such as config.lr>=0.001, "
            "nor a JSON array of rules, nor a file that can be read"
        ) from None
    return _parse_json(text, f"the file {quote(name)}")


def _check(rule: Any, index: int) -> Rule:
    """Check a rule in the server's own form."""

    def refuse(why: str) -> UsageError:
        return UsageError(f"{argument('where')}: rule {index} {why}")

    if not isinstance(rule, Mapping):
        raise refuse("is not an object")
    if missing := {"key", "type", "op", "value"} - rule.keys():
        raise refuse(f"lacks {', '.join(sorted(missing))}")
    key, kind, operator = rule["key"], rule["type"], rule["op"]
    if not isinstance(key, str) or not key:
        raise refuse("has a key that is not a name")
    if kind not in KINDS:
        raise refuse(f"has type {quote(str(kind))}, not one of {', '.join(KINDS)}")
    if operator not in OPERATORS:
        raise refuse(f"has op {quote(str(operator))}, not one of {', '.join(OPERATORS)}")
    field = run_field(key) if kind == "STABLE" else key
    if field is None:
        raise refuse(f"has key {quote(key)}, not one of {', '.join(RUN_FIELDS)}")
    return Rule(field, kind, operator, _check_values(rule["value"], kind, operator, refuse))


def _check_values(
    given: Any, kind: str, operator: str, refuse: Callable[[str], UsageError]
) -> tuple[str, ...]:
    """Check what a rule compares with, and write it as the server compares it."""
    if not isinstance(given, list):
        raise refuse("has a value that is not a list")
    if not given:
        raise refuse("has no value")
    values = tuple(_as_word(value) for value in given)
    if kind == "SCALAR" and not all(map(_is_number, values)):
        raise refuse(f"compares a metric with {quote(', '.join(values))}, which is not a number")
    if operator in {"GT", "LT", "GTE", "LTE"} and not all(value.strip() for value in values):
        raise refuse("has nothing to compare with")
    return values


def _as_word(value: Any) -> str:
    """Write a value as the server compares it: numbers of numpy and times of pandas, too."""
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
