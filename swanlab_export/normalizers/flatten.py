"""Nested objects of a payload → flat column names, losing nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from swanlab_export.messages import quote
from swanlab_export.normalizers.values import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WRAPPED = {"value", "desc", "sort"}
_NAMES_SHOWN = 5

Row = dict[str, Any]


@lru_cache(maxsize=1024)  # the fields of an object come again with each of its kind
def snake_case(name: str) -> str:
    """Format a name of a payload as a column name.

    >>> snake_case("createdAt"), snake_case("rootProId"), snake_case("_count")
    ('created_at', 'root_pro_id', 'count')
    """
    return _HUMP.sub("_", name).lower().lstrip("_") or name


def flatten_fields(payload: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten what the server named: ``.`` between levels, snake_case, lists as JSON text."""
    for name, value in payload.items():
        column = prefix + snake_case(str(name))
        if isinstance(value, dict) and value:
            yield from flatten_fields(value, f"{column}.")
        else:
            yield column, _leaf(value)


def flatten_config(payload: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Flatten what the user named: names as they are, wrapped values unwrapped."""
    for name, wrapped in payload.items():
        value = unwrap(wrapped)
        if isinstance(value, dict) and value:
            yield from flatten_config(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _leaf(value)


def put(row: Row, column: str, value: Any, warnings: set[str]) -> None:
    """Set a column of ``row``; where two values have one name, both stay, with a warning."""
    name, count = column, 1
    while name in row:
        count += 1
        name = f"{column}__{count}"
    if count > 1:
        warnings.add(f"two values are named {column}; the second is in {name}")
    row[name] = value


def case_warnings(names: Iterable[str]) -> list[str]:
    """Warn of names that differ only in upper and lower case, in one sentence or none."""
    same: dict[str, list[str]] = {}
    for name in names:
        same.setdefault(name.casefold(), []).append(name)
    met = [group for group in same.values() if len(group) > 1]
    if not met:
        return []
    shown = "; ".join(" and ".join(map(quote, group)) for group in met[:_NAMES_SHOWN])
    more = f"; and {len(met) - _NAMES_SHOWN} more" if len(met) > _NAMES_SHOWN else ""
    return [f"names of columns differ only in upper and lower case: {shown}{more}"]


def unwrap(value: Any) -> Any:
    """``{"value": 0.1, "desc": "", "sort": 0}`` → 0.1; a dict of the user's own stays."""
    return value["value"] if isinstance(value, dict) and value.keys() == _WRAPPED else value


def _leaf(value: Any) -> Any:
    """Keep scalars; format lists and empty objects as JSON text."""
    return as_json(value) if isinstance(value, list | dict) else value
