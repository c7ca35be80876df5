"""Columns of text → columns of the type that wrote them.

Nothing that a text says is changed: a column is of a type only if that type, or another tool in its
shortest way, spells all cells as they stand. ``0012``, ``1.10``, ``+1`` and whole numbers beyond 64
bits stay text. So do dates, times of day and decimals: what looks like one is more often a text.
"""

from __future__ import annotations

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.schemas import BOOL, FLOAT, INT, TEXT
from swanlab_export.writers.cells import csv_cells, json_cells

_WHOLE = r"^(0|-?[1-9]\d*)$"
_NUMBER = r"^(-?(0|[1-9]\d*)(\.(0|\d*[1-9]))?|-?[1-9](\.\d*[1-9])?e[-+]\d+|-?inf|NaN)$"
_TRUTH = "^(true|false)$"
_NOT_FINITE = "^(NaN|-?Infinity)$"
_UNITS = {3: "ms", 6: "us", 9: "ns"}


def typed(text: pa.Array, kind: pa.DataType | None, *, is_json: bool) -> pa.Array:
    """Give a column of text the type that all its cells fit, the narrowest if there are several.

    The declared type decides where the cells do not: of text that looks like numbers, of categories,
    of lists, and where everything is missing. Numbers, truth values and times tell themselves.

    Args:
        text: The cells; of JSON only those that are texts, for it says itself what is a number.
        kind: The type of the column in the table that it belongs to, where that is known.
        is_json: Spelled as in JSON, not as in CSV.
    """
    if text.null_count == len(text):
        return pa.nulls(len(text), kind or TEXT)
    if kind is not None and pa.types.is_dictionary(kind):
        return text.dictionary_encode().cast(kind)
    if kind == TEXT:
        return text
    if kind is not None and pa.types.is_list(kind) and not is_json:
        return _as_lists(text, kind)
    spelled = [_as_token] if is_json else [_as_whole, _as_number, _as_truth]
    for attempt in (*spelled, _as_time, _as_duration):
        found = attempt(text)
        if found is not None:
            return found
    return text


def _as_whole(text: pa.Array) -> pa.Array | None:
    return _parsed(text, INT) if _all_match(text, _WHOLE) else None


def _as_number(text: pa.Array) -> pa.Array | None:
    if not _all_match(text, _NUMBER):
        return None
    found = text.cast(FLOAT)
    spelled = csv_cells(found, ",")
    # Others write 1 or 1e-05 where we write 1.0 or 0.00001; no digit may get lost on the way.
    differs = pc.not_equal(spelled, text)
    same = pc.equal(_digits(spelled.filter(differs)), _digits(text.filter(differs)))
    return found if pc.all(same, min_count=0).as_py() else None


def _digits(numbers: pa.Array) -> pa.Array:
    return pc.utf8_trim(pc.replace_substring_regex(numbers, "e.*|[-.]", ""), characters="0")


def _as_truth(text: pa.Array) -> pa.Array | None:
    return text.cast(BOOL) if _all_match(text, _TRUTH) else None


def _as_token(text: pa.Array) -> pa.Array | None:
    return text.cast(FLOAT) if _all_match(text, _NOT_FINITE) else None


def _as_time(text: pa.Array) -> pa.Array | None:
    for unit in _UNITS.values():
        for zone in ("UTC", None):
            found = _parsed(text, pa.timestamp(unit, zone))
            if found is not None and _is_same(found, text):
                return found
    return None


def _as_duration(text: pa.Array) -> pa.Array | None:
    for digits, unit in _UNITS.items():
        if _all_match(text, rf"^-?PT\d+\.\d{{{digits}}}S$"):
            ticks = _parsed(pc.replace_substring_regex(text, "[PTS.]", ""), INT)
            found = None if ticks is None else ticks.cast(pa.duration(unit))
            return found if found is not None and _is_same(found, text) else None
    return None


def _as_lists(text: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        values = [None if cell is None else orjson.loads(cell) for cell in text.to_pylist()]
        found = pa.array(values, kind)
    except (pa.ArrowException, ValueError, TypeError):
        return text
    same = pc.equal(json_cells(found), text)
    return found if same.null_count == text.null_count and pc.all(same).as_py() else text


def _parsed(text: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        return None


def _is_same(found: pa.Array, text: pa.Array) -> bool:
    """Say whether the writer spells ``found`` as ``text`` does."""
    return bool(pc.all(pc.equal(csv_cells(found, ","), text), min_count=0).as_py())


def _all_match(text: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(text, pattern), min_count=0).as_py())
