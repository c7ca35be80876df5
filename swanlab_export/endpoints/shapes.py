"""What payloads look like, and where one differs: in words that hold no value of it.

A shape is a word for a scalar (``TEXT``, ``TIME``, …), a list ``[shape]``, an object
``{"name": shape}`` whose other fields are not declared (``"name?"`` may be missing), or one of
``Nullable``, ``Names`` (an object whose names are the user's own) and ``Words``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY = "anything"
TEXT = "text"
INTEGER = "an integer"
NUMBER = "a number"
TRUTH = "true or false"
TIME = "a time in ISO 8601"
UNIX_MS = "a Unix time in milliseconds"
URL = "a URL or a path"
_NUMBER_WORDS = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity"}
_YEARS_MS = range(10**12, 10**13)
# A name that a developer gave, and not what a user typed.
_FIELD_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,30}(_[A-Za-z0-9]{1,20}){0,4}")
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "an integer",
    float: "a decimal number",
    type(None): "null",
}


@dataclass(frozen=True)
class Nullable:
    """A shape, or null."""

    shape: Any


@dataclass(frozen=True)
class Names:
    """An object whose names are the user's own, and so are never shown."""

    shape: Any


@dataclass(frozen=True)
class Words:
    """One of some words, which may be null."""

    words: tuple[str, ...]


def differences(payload: Any, shape: Any, private: set[str]) -> list[str]:
    """Describe where a payload differs from its shape, each difference once.

    Args:
        payload: What came.
        shape: What is declared.
        private: Names of the user's, which are not shown even as the name of a field.

    >>> differences({"name": 5, "more": None}, {"name": TEXT, "createdAt": TIME}, set())
    ['name is an integer, not text', 'createdAt is missing', 'more (null) is not declared']
    """
    return list(dict.fromkeys(_compare(payload, shape, "", private)))


def _compare(payload: Any, shape: Any, path: str, private: set[str]) -> Iterator[str]:
    if isinstance(shape, Nullable):
        if payload is not None:
            yield from _compare(payload, shape.shape, path, private)
    elif not _is_of_kind(payload, shape):
        yield f"{path or 'the payload'} is {_kind(payload)}, not {_describe(shape)}"
    elif isinstance(shape, list):
        for item in payload:
            yield from _compare(item, shape[0], f"{path}[]", private)
    elif isinstance(shape, Names):
        for value in payload.values():
            yield from _compare(value, shape.shape, f"{path}{{}}", private)
    elif isinstance(shape, dict):
        yield from _compare_fields(payload, shape, path, private)


def _is_of_kind(payload: Any, shape: Any) -> bool:
    if isinstance(shape, list):
        return isinstance(payload, list)
    if isinstance(shape, dict | Names):
        return isinstance(payload, dict)
    if isinstance(shape, Words):
        return payload is None or payload in shape.words
    return shape == ANY or _fits(payload, shape)


def _describe(shape: Any) -> str:
    if isinstance(shape, Words):
        return f"one of {', '.join(shape.words)}"
    return "a list" if isinstance(shape, list) else shape if isinstance(shape, str) else "an object"


def _compare_fields(
    payload: dict[str, Any], shape: dict[str, Any], path: str, private: set[str]
) -> Iterator[str]:
    declared = {name.removesuffix("?"): of_name for name, of_name in shape.items()}
    within = f"{path}." if path else ""
    for name, of_name in declared.items():
        if name in payload:
            yield from _compare(payload[name], of_name, within + name, private)
        elif name in shape:
            yield f"{within}{name} is missing"
    for name in sorted(payload.keys() - declared.keys()):
        is_shown = _FIELD_NAME.fullmatch(name) and name not in private
        shown = name if is_shown else "(a name that is not shown)"
        yield f"{within}{shown} ({_kind(payload[name])}) is not declared"


def _kind(value: Any) -> str:
    return "empty text" if value == "" else _KINDS[type(value)]


def _fits(value: Any, shape: str) -> bool:
    if isinstance(value, str):
        # Self-hosted servers presign paths of their own.
        is_url = shape == URL and value.startswith(("http://", "https://", "/"))
        is_number = shape == NUMBER and value.lower() in _NUMBER_WORDS
        return shape == TEXT or is_url or is_number or (shape == TIME and _is_time(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return shape == TRUTH and isinstance(value, bool)
    if shape == UNIX_MS:
        return int(value) in _YEARS_MS
    return shape == NUMBER or (shape == INTEGER and float(value).is_integer())


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).year > 1
    except ValueError:
        return False
