"""Which runs are wanted: one parser for the command line's rules and Python's.

Three forms with the same meaning::

    state=FINISHED                  config.lr>=0.001        the shorthand
    {"state": "FINISHED", "config.lr >=": 1e-3}             a Python mapping
    [{"key": "lr", "type": "CONFIG", "op": "GTE", "value": ["0.001"]}]    the server's own rules

Operators: ``= != >= <= > <``, ``in`` and ``not in`` (values separated by commas, in double
quotes where they hold one), ``~`` (contains) and ``!~``, ``is null`` and ``is not null``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swanlab_export.api.resource import plain
from swanlab_export.api.runs.rules import settle
from swanlab_export.endpoints.filters import (
    KINDS,
    NULL_OPERATORS,
    OPERATORS,
    RUN_FIELDS,
    Rule,
    run_field,
)
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, closest, quote
from swanlab_export.patterns import unquote
from swanlab_export.schemas import split_names

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
_NULL = re.compile(r"\s+is\s+(not\s+)?null$", re.IGNORECASE)
# In a mapping the sign ends the name, which may contain spaces and signs itself.
_LAST_SIGN = re.compile(r"\s*(==|!=|>=|<=|!~|=|>|<|~|(?<=\s)not\s+in|(?<=\s)in)$", re.IGNORECASE)
# A value that begins so was probably meant to hold the sign.
_BEGINS_WITH_SIGN = re.compile(r"\s*(==|!=|>=|<=|!~|=|>|<|~)\s*\S")
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


def read_where(where: Where, now_ms: int) -> tuple[Rule, ...]:
    """Parse rules that are to be applied: a field has to be compared with what it can be.

    Args:
        where: The rules, in any form.
        now_ms: What times such as ``-7d`` are counted from.

    Raises:
        UsageError: A rule has no meaning, or cannot match; the message gives its index.

    >>> read_where(["state=finished", "created_at>=-1d"], 1_772_000_000_000)[1].values
    ('2026-02-24T06:13:20.000Z',)
    """
    rules = enumerate(parse_where(where))
    return tuple(settle(rule, index, now_ms) for index, rule in rules)


def _parse_part(part: Any) -> list[Any]:
    """Rules in the server's own form, not checked yet."""
    if isinstance(part, Mapping):
        return [part] if {"key", "op"} <= part.keys() else _parse_mapping(part)
    if not isinstance(part, str):
        raise UsageError(f"{argument('where')}: {quote(repr(part))} is not a rule")
    text = unquote(part)
    if text.startswith(("[", "{")):
        return _parse_json(text, "the text")
    if match := _NULL.search(text):
        return [_null_rule(text[: match.start()], is_null=not match[1])]
    if match := _SIGN.search(text):
        if text[match.end() : match.end() + 1] in tuple("=<>~!"):
            raise UsageError(f"{argument('where')}: {quote(text)} has two operators in a row")
        return [_parse_words(text[: match.start()], match.group(1), text[match.end() :])]
    return _parse_file(text)


def _parse_mapping(mapping: Mapping[str, Any]) -> list[Any]:
    rules = []
    for name, value in mapping.items():
        text = str(name).strip()
        if match := _NULL.search(text):
            rules.append(_null_rule(text[: match.start()], is_null=not match[1], value=value))
            continue
        match = _LAST_SIGN.search(text)
        key, sign = (text[: match.start()], match.group(1)) if match else (text, "=")
        if value is None and sign in {"=", "==", "!="}:
            rules.append(_null_rule(key, is_null=sign != "!="))
            continue
        if not match and isinstance(value, str) and _BEGINS_WITH_SIGN.match(value):
            raise UsageError(
                f"{argument('where')}: {quote(key)} is compared with {quote(value)}: the operator "
                f"belongs to the name, as in {{{f'{key} >='!r}: 0.1}}"
            )
        rules.append(_parse_words(key, sign, value))
    return rules


def _parse_words(name: str, sign: str, value: Any) -> dict[str, Any]:
    operator = _SIGNS[" ".join(sign.lower().split())]
    field = _field(name)
    if isinstance(value, str) and operator in {"IN", "NOT IN"}:
        value = split_names(value, "where")
    value = plain(value)
    is_list = isinstance(value, list | tuple | set)
    if is_list and operator not in {"IN", "NOT IN"}:
        raise UsageError(
            f"{argument('where')}: {name.strip()} is compared with a list: "
            f"{{{f'{name.strip()} in'!r}: [...]}} means one of several values"
        )
    return field | {"op": operator, "value": list(value) if is_list else [value]}


def _field(name: str) -> dict[str, Any]:
    """What a rule is about: a field of the run, or a key of its config or summary.

    Raises:
        UsageError: There is no such field; names similar ones.
    """
    key = name.strip()
    for prefix, kind in _PREFIXES.items():
        if key.startswith(prefix):
            return {"key": key.removeprefix(prefix), "type": kind}
    if run_field(key) is None:
        near = closest(key, RUN_FIELDS, len(RUN_FIELDS))
        raise UsageError(
            f"{argument('where')}: {quote(key)} is not a field of a run; there are "
            f"{', '.join(near)}, config.<key> and summary.<key>"
        )
    return {"key": key, "type": "STABLE"}


def _null_rule(name: str, *, is_null: bool, value: Any = True) -> dict[str, Any]:
    if value is not True:
        given = f"{name.strip()} is null"
        raise UsageError(f"{argument('where')}: {quote(given)} takes True, not {quote(str(value))}")
    return _field(name) | {"op": "IS NULL" if is_null else "IS NOT NULL", "value": []}


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
    if operator not in (*OPERATORS, *NULL_OPERATORS):
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
    if operator in NULL_OPERATORS:
        return ()
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
    value = plain(value)
    if isinstance(value, str):
        return value
    try:
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            text = aware.astimezone(UTC).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # pandas has a time that is none
        kind = type(value).__name__
        message = f"{argument('where')}: a {kind} is no value to compare with"
        raise UsageError(message) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
