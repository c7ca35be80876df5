"""What a backup keeps of a run's payload: its configuration, as rows and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from swanlab_export.normalizers.flatten import flatten_config, unwrap
from swanlab_export.normalizers.values import INT64_MAX, INT64_MIN, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swanlab_export.normalizers.flatten import Row


def config_rows(payload: Any) -> Iterator[Row]:
    """The configuration of a run, one row per name, each value in the column of its type."""
    for key, value in flatten_config(_part(payload, "config"), ""):
        yield {"key": key, **_typed(value)}


def profile_json(payload: Any, name: str) -> str | None:
    """A part of a run's profile as JSON, wrapped values unwrapped and names in order."""
    found = _part(payload, name)
    if not found:
        return None
    return json.dumps(_unwrapped(found), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _part(payload: Any, name: str) -> dict[str, Any]:
    profile = payload.get("profile") if isinstance(payload, dict) else None
    found = profile.get(name) if isinstance(profile, dict) else None
    return found if isinstance(found, dict) else {}


def _typed(value: Any) -> Row:
    if value is None:
        return {"type": "null"}
    if isinstance(value, bool):
        return {"type": "bool", "bool": value}
    if isinstance(value, int):
        if INT64_MIN <= value <= INT64_MAX:
            return {"type": "int", "int": value}
        return {"type": "int", "text": str(value)}
    if isinstance(value, float):
        return {"type": "float", "float": value}
    return {"type": "text", "text": as_text(value)}


def _unwrapped(value: Any) -> Any:
    inner = unwrap(value)
    if isinstance(inner, dict):
        return {str(name): _unwrapped(each) for name, each in inner.items()}
    return inner
