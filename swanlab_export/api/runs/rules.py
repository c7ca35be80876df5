"""What a rule may compare its field with: what cannot match is an error, before any request."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.endpoints.filters import (
    FIELD_TYPES,
    NULL_OPERATORS,
    Rule,
    as_number,
    read_time_ms,
    time_text,
)
from swanlab_export.errors import UsageError
from swanlab_export.limits import RUN_STATES
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swanlab_export.report import Report

_CONTAINING = ("CONTAIN", "NOT_CONTAIN")
_ORDERS = ("GT", "GTE", "LT", "LTE")
_NEARLY = 0.7


def settle(rule: Rule, index: int, now_ms: int) -> Rule:
    """The rule with states in upper case, and times before now as times.

    Args:
        rule: The rule.
        index: Its index, for the message.
        now_ms: What a time such as ``-7d`` is counted from.

    Raises:
        UsageError: The field cannot be compared like this; names it and what it takes.
    """
    if rule.operator in NULL_OPERATORS or rule.kind == "CONFIG":
        return rule
    kind = schemas.FLOAT if rule.kind == "SCALAR" else FIELD_TYPES.get(rule.field, schemas.TEXT)
    if rule.column == "state":
        _refuse_order(rule, index, "is a word")
        values = rule.values if rule.operator in _CONTAINING else map(_settle_state, rule.values)
        return _settled(rule, index, values, f"one of {', '.join(RUN_STATES)}")
    if kind == schemas.TEXTS:
        _refuse_order(rule, index, "is a list of words")
    if kind == schemas.BOOL:
        _refuse_order(rule, index, "is true or false")
        return _settled(rule, index, map(_settle_truth, rule.values), "true or false")
    if kind == schemas.TIME and rule.operator not in _CONTAINING:
        times = (_settle_time(value, now_ms) for value in rule.values)
        example = "a time such as 2026-03-01T12:00:00Z, or -7d for seven days ago (s, m, h, d, w)"
        return _settled(rule, index, times, example)
    if pa.types.is_floating(kind):
        example = "a number of seconds such as 3600" if rule.kind == "STABLE" else "a number"
        return _settled(rule, index, map(_settle_number, rule.values), example)
    return rule


def warn_of_states(rules: Iterable[Rule], report: Report) -> None:
    """Warn of states that are none of those that are known; newer servers may have more."""
    for rule in rules:
        if rule.column != "state" or rule.operator in _CONTAINING:
            continue
        for value in rule.values:
            if value not in RUN_STATES:
                known = ", ".join(RUN_STATES)
                report.warn(f"{quote(value)} is none of the states that are known: {known}")


def _settled(rule: Rule, index: int, values: Iterable[str | None], takes: str) -> Rule:
    """The rule with these values; one that is None cannot be compared with."""
    settled = []
    for given, value in zip(rule.values, values, strict=True):
        if value is None:
            raise UsageError(
                f"{argument('where')}: rule {index} compares {rule.column} with {quote(given)}, "
                f"but {rule.column} takes {takes}"
            )
        settled.append(value)
    return replace(rule, values=tuple(settled))


def _refuse_order(rule: Rule, index: int, why: str) -> None:
    if rule.operator in _ORDERS:
        raise UsageError(
            f"{argument('where')}: rule {index}: {rule.column} {why}, which is not greater or "
            "less than another: it takes = != in, not in, ~ and !~"
        )


def _settle_state(value: str) -> str | None:
    """A state in upper case; a word that is like none of them as it is."""
    word = value.strip().upper()
    if word in RUN_STATES:
        return word
    is_word = word.replace("_", "").isalpha()
    is_near = difflib.get_close_matches(word, RUN_STATES, 1, _NEARLY)
    return value.strip() if is_word and not is_near else None


def _settle_truth(value: str) -> str | None:
    word = value.strip().lower()
    word = {"1": "true", "0": "false", "1.0": "true", "0.0": "false"}.get(word, word)
    return word if word in {"true", "false"} else None


def _settle_time(value: str, now_ms: int) -> str | None:
    """A time as it is; one before now as a time."""
    try:
        read_time_ms(value)
    except (ValueError, OverflowError):
        pass
    else:
        return value
    try:
        return time_text(read_time_ms(value, now_ms))
    except (ValueError, OverflowError):
        return None


def _settle_number(value: str) -> str | None:
    return None if as_number(value) is None else value
