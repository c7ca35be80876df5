"""Columns → the text of their cells and rows, column by column: no Python runs per row.

Missing, NaN and the infinities stay apart: null, ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` in
JSON; an empty cell, ``NaN``, ``inf`` and ``-inf`` in CSV, where an empty string is ``""``.

Times are ISO 8601 with milliseconds and ``Z``. Lists are lists in JSON, and JSON text in CSV.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.errors import OutputError
from swanlab_export.messages import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Metadata of a column whose texts are JSON: lists and objects.
IS_JSON = {"json": "true"}
# What JSON escapes.
_NOT_PLAIN = r'["\\\x00-\x1f\x7f]'
# What four digits of a year can say, in ms since 1970: from the year 0 to before the year 10000.
_FIRST_MS, _END_MS = -719_528 * 86_400_000, 2_932_897 * 86_400_000
# A part of every row: one text for all of them, or one for each.
_Piece: TypeAlias = "pa.Array | str"
# What tables and plots are drawn with, where it has two cells, as in GBK, or none at all.
_ASCII = str.maketrans(
    dict.fromkeys("─━┄–", "-")
    | dict.fromkeys("│┃", "|")
    | dict.fromkeys("┌┐└┘├┤┬┴┼", "+")
    | {"…": "~", "·": "-", "×": "x", "−": "-"}
)


class _Texts(NamedTuple):
    """The cells of a column: a text each, null where it is missing, between two that all share."""

    texts: pa.Array
    before: str = ""
    after: str = ""


def json_cells(column: pa.Array) -> pa.Array:
    """Format a column as JSON values; missing stays null."""
    return _whole(_json_texts(column))


def csv_cells(column: pa.Array, separator: str) -> pa.Array:
    """Format a column as CSV cells; missing stays null."""
    return _whole(_csv_texts(column, separator))


def json_rows(
    batch: pa.RecordBatch, between: str = ",", begin: str = "{", end: str = "}"
) -> pa.Array:
    """Format rows as JSON objects.

    Raises:
        OutputError: A time has no ISO 8601 text; names the column.
    """
    gap = " " if "\n" in between else ""
    pieces: list[_Piece] = []
    for i, (field, column) in enumerate(zip(batch.schema, batch.columns, strict=True)):
        name = field.name
        pieces.append((between if i else begin) + orjson.dumps(name).decode() + ":" + gap)
        is_json = b"json" in (field.metadata or {})
        pieces += _cells(name, column, _plain if is_json else _json_texts, "null")
    return _joined([*(pieces or [begin]), end], batch.num_rows)


def csv_rows(batch: pa.RecordBatch, separator: str, end: str = "") -> pa.Array:
    """Format rows as lines of CSV, each with ``end`` after it.

    Raises:
        OutputError: A time has no ISO 8601 text; names the column.
    """

    def render(column: pa.Array) -> _Texts:
        return _csv_texts(column, separator)

    pieces: list[_Piece] = []
    for i, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        pieces += [separator] if i else []
        pieces += _cells(name, column, render, "")
    return _joined([*pieces, end], batch.num_rows)


def _json_texts(column: pa.Array) -> _Texts:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _Texts(json_cells(column.dictionary).take(column.indices))
    if pa.types.is_floating(kind):
        return _Texts(_numbers(column, ('"NaN"', '"Infinity"', '"-Infinity"')))
    if pa.types.is_string(kind):
        return _json_strings(column)
    if pa.types.is_list(kind):
        return _Texts(_json_lists(column))
    if pa.types.is_timestamp(kind):
        return _Texts(_times(column), '"', 'Z"')
    return _plain(column)


def _csv_texts(column: pa.Array, separator: str) -> _Texts:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _Texts(csv_cells(column.dictionary, separator).take(column.indices))
    if pa.types.is_floating(kind):
        return _Texts(_numbers(column, ("NaN", "inf", "-inf")))
    if pa.types.is_string(kind):
        return _Texts(_quoted(column, separator))
    if pa.types.is_list(kind):
        return _Texts(_quoted(json_cells(column), separator))
    if pa.types.is_timestamp(kind):
        return _Texts(_times(column), after="Z")
    return _plain(column)


def _plain(column: pa.Array) -> _Texts:
    """Integers and truth values; and texts that are JSON already, as they are."""
    return _Texts(column.cast(pa.string()))


def _whole(cells: _Texts) -> pa.Array:
    """Cells as one array of texts; missing stays null."""
    texts, before, after = cells
    return pc.binary_join_element_wise(before, texts, after, "") if before + after else texts


def _cells(
    name: str, column: pa.Array, render: Callable[[pa.Array], _Texts], missing: str
) -> list[_Piece]:
    """The cells of a column, as pieces of rows; an error names the column."""
    try:
        is_encoded = pa.types.is_dictionary(column.type)
        if is_encoded and len(column.dictionary) == 1 and not column.null_count:
            text = _whole(render(column.dictionary))[0].as_py()
            return [missing if text is None else text]
        cells = render(column)
    except OutputError as error:
        raise OutputError(f"column {quote(name)} {error.message}") from None
    if cells.texts.null_count:
        return [pc.fill_null(_whole(cells), missing)]
    return [cells.before, cells.texts, cells.after]


def _joined(pieces: Iterable[_Piece], rows: int) -> pa.Array:
    """Join pieces of rows; texts that are the same in every row are joined once."""
    merged: list[_Piece] = [""]
    for piece in pieces:
        if isinstance(piece, str) and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    if len(merged) == 1:
        return pa.repeat(pa.scalar(merged[0]), rows)
    return pc.binary_join_element_wise(*merged, "")


def csv_name(name: str, separator: str) -> str:
    """Format the name of a column."""
    if name.startswith("\ufeff"):
        # At the start of a file, readers would take it for a byte order mark.
        return '"' + name.replace('"', '""') + '"'
    return str(_quoted(pa.array([name]), separator)[0].as_py())


def escape_controls(text: str) -> str:
    r"""Make visible what a terminal would obey: controls, escapes, marks that reorder text.

    >>> escape_controls("a\x1b[2Jb")
    'a\\u001b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(
        char if unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp"} else _escaped(char)
        for char in text
    )


def _escaped(char: str) -> str:
    return {"\n": "⏎", "\t": " "}.get(char) or f"\\u{ord(char):04x}"


def _numbers(column: pa.Array, names: tuple[str, str, str]) -> pa.Array:
    """Format floats; ``names`` are those of NaN, infinity and minus infinity."""
    text = _floats(column)
    if pc.all(pc.is_finite(column), min_count=0).as_py():
        return text
    infinity = pc.if_else(pc.greater(column, 0.0), names[1], names[2])
    text = pc.if_else(pc.is_inf(column), infinity, text)
    return pc.if_else(pc.is_nan(column), names[0], text)


def _floats(numbers: pa.Array) -> pa.Array:
    """The shortest text that reads back as the same number, and reads as a float."""
    text = numbers.cast(pa.string())
    if not pc.any(pc.equal(pc.floor(numbers), numbers), min_count=0).as_py():
        return text
    is_integer = pc.fill_null(pc.invert(pc.match_substring_regex(text, "[.eEn]")), False)
    return pc.if_else(is_integer, pc.binary_join_element_wise(text, "0", "."), text)


def _times(column: pa.Array) -> pa.Array:
    """Format times, which are UTC, without the Z that follows."""
    ends = pc.min_max(column.cast(pa.int64()))
    first, last = ends["min"].as_py(), ends["max"].as_py()
    if first is not None and not _FIRST_MS <= first <= last < _END_MS:
        raise OutputError(
            "holds times outside of the years 0 to 9999, which text formats cannot hold: "
            "save as .parquet or .feather"
        )
    # Without its zone, which is UTC, a time is formatted without asking for the zone's rules.
    text = column.cast(pa.timestamp("ms")).cast(pa.string()).cast(pa.binary())
    return pc.binary_replace_slice(text, 10, 11, "T").cast(pa.string())


def _json_strings(column: pa.Array) -> _Texts:
    # Bytes that JSON would escape are rare: only then does each distinct string cost a call.
    if pc.any(pc.match_substring_regex(column, _NOT_PLAIN), min_count=0).as_py():
        distinct = column.dictionary_encode()
        escaped = [orjson.dumps(value).decode() for value in distinct.dictionary.to_pylist()]
        return _Texts(pa.array(escaped, pa.string()).take(distinct.indices))
    return _Texts(column, '"', '"')


def _json_lists(column: pa.Array) -> pa.Array:
    """Join the values of each list, formatted as a column of their own."""
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    ends = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    values = pc.fill_null(json_cells(column.flatten()), "null")
    joined = pc.binary_join(pa.ListArray.from_arrays(ends, values), ",")
    cells = pc.binary_join_element_wise("[", joined, "]", "")
    return pc.if_else(column.is_valid(), cells, pa.scalar(None, pa.string()))


def _quoted(column: pa.Array, separator: str) -> pa.Array:
    """Quote the cells that need it, and the empty string, which is not a missing cell."""
    needed = pc.match_substring_regex(column, f'[{separator}"\r\n]|^$')
    if not pc.any(needed, min_count=0).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def draw_for(encoding: str | None, text: str) -> str:
    r"""Replace what a terminal of this encoding cannot draw: lines by ASCII, characters by escapes.

    In Unicode, and where there is no encoding, nothing is replaced.

    >>> draw_for("gbk", "loss│学习率│😀"), draw_for("utf-8", "│")
    ('loss|学习率|\\U0001f600', '│')
    """
    if is_unicode(encoding):
        return text
    assert encoding is not None
    return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)


def is_unicode(encoding: str | None) -> bool:
    """Say whether an encoding has every character: UTF-8, UTF-16 and the like."""
    return encoding is None or encoding.lower().startswith(("utf", "cp65001"))
