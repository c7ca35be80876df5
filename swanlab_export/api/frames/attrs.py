"""``.attrs`` of pandas frames → what the metadata of a file can hold of them."""

from __future__ import annotations

import math
from datetime import date, time
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from swanlab_export.errors import UsageError, argument
from swanlab_export.refs import escape
from swanlab_export.tables import Stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKENS = {math.inf: "Infinity", -math.inf: "-Infinity"}


def read_attrs(attrs: Mapping[Any, Any], *, has_source: bool) -> Stamp:
    """Read the table's name, whether it is about one entity, and with ``has_source`` the rest.

    Names become text, times ISO 8601, numbers of numpy plain ones, and what is not finite is spelled
    as in JSON.

    Raises:
        UsageError: JSON has no value for one; names it.
    """
    rest = {str(name): value for name, value in attrs.items()}
    table = rest.pop("table") if isinstance(rest.get("table"), str) else ""
    single = rest.pop("single") if isinstance(rest.get("single"), bool) else False
    source = {}
    for name, value in rest.items() if has_source else ():
        try:
            source[_scalar(name)] = _plain(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{argument('frame')}: .attrs[{escape(name)}] {error}, which no file keeps: "
                "make it text, delete it, or save as text, which has no place for .attrs"
            ) from None
    return Stamp(table, single, source)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_scalar(str(name)): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if getattr(getattr(value, "dtype", None), "kind", None) in {"b", "i", "u", "f", "U"}:
        # Scalars and arrays of numpy, which nobody has to import for this.
        return _plain(value.tolist())
    return _scalar(fspath(value) if isinstance(value, PathLike) else value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        value.encode()
        return str(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else _TOKENS.get(value, "NaN")
    # Whole numbers as far as 64 bits reach.
    is_kept = value is None or isinstance(value, bool)
    if is_kept or (isinstance(value, int) and -(2**63) <= value < 2**64):
        return value
    raise TypeError(f"holds {escape(repr(value))[1:-1]}")
