"""The exported CSV → record batches, block by block, with columns matched by their header.

The file is wide: ``step``, then two columns per key. ``<run>-<key>_step`` holds the *value* despite
its name, ``…_timestamp`` Unix milliseconds. Names may hold commas, quotes and newlines; below the
header nearly everything is a number or empty, and what is not is read cell by cell.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.messages import quote
from swanlab_export.normalizers.ordering import StepOrder
from swanlab_export.normalizers.values import (
    MILLISECONDS_FROM,
    MILLISECONDS_LEAST,
    MILLISECONDS_TO,
    as_int,
    as_point,
    as_unix_ms,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swanlab_export.report import Report

# The first block is small so that the first rows of a long file are seen at once; the largest is
# big enough that parsing, not bookkeeping, takes the time.
_FIRST_BLOCK_BYTES = 64_000
BLOCK_BYTES = 2_000_000
_LINE_BYTES_MAX = 1_000_000
_ROW = re.compile(r"\bRow #(\d+)")
_UTF8_BOM = b"\xef\xbb\xbf"
_COLUMNS = {"s": "step", "v": "value", "t": "timestamp"}


class LackingError(IncompleteError):
    """An exported file lacks a key, or its latest points; it may have them a moment later."""


def read_export(
    chunks: Iterable[bytes],
    prefix: str | None,
    keys: Sequence[str],
    report: Report,
    *,
    must_end_line: Callable[[], bool],
    has_text: bool = False,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[pa.RecordBatch]:
    """Read an export as blocks with the columns step, v0, t0, v1, t1, … in the order of ``keys``.

    Rows come in the order of the file, each of them. Values and timestamps are null where a key has
    no point. Where a value is no number, it is null, too, and a column ``odd0``, ``odd1``, … of the
    block has its text: the key has a point there.

    Args:
        chunks: The file's bytes, cut anywhere.
        prefix: What the header puts before the keys: the name of the run that was asked with.
            Without it, a column is found by its key alone.
        keys: The keys to read; further columns are skipped.
        report: Counts odd values, and rows that are not in step order.
        must_end_line: Asked at the end whether to insist on a final newline: for a body with
            neither a length nor chunks, nothing else tells a whole last line from a cut one.
        has_text: Values that are no numbers are wanted as text, and so are not odd.
        block_bytes: How many bytes are parsed at once; in memory they take several times as many.

    Raises:
        LackingError: The file lacks a column of ``keys``.
        IncompleteError: The file is empty, or its last line is cut.
        ServerError: The file has no header, or a row has too few or too many cells.
    """
    blocks = _whole_lines(iter(chunks), block_bytes, must_end_line=must_end_line)
    header, rest = _split_header(blocks)
    parse = _Parser(header, prefix, keys, report, has_text=has_text)
    order = StepOrder()
    before = b""
    try:
        for text in _chain(rest, blocks):
            if not text.endswith(b"\n"):
                _check_last_line(before + text, header)
            block = parse(text)
            before = _last_lines(text)
            del text  # a block is large, and need not wait for the next one
            if block.num_rows:
                order.add(block.column(0))
                yield block
    finally:
        if order.late:
            rows = "1 row" if order.late == 1 else f"{order.late} rows"
            of_run = "" if prefix is None else f" of {quote(prefix)}"
            report.warn(
                f"the export{of_run} has {rows} with a step that came before, or out of order; "
                "all rows are kept"
            )


class _Parser:
    """Turns whole lines into a block, by what the header says."""

    def __init__(
        self,
        header: list[str],
        prefix: str | None,
        keys: Sequence[str],
        report: Report,
        *,
        has_text: bool,
    ) -> None:
        self._rows = 0
        self._has_text = has_text
        self._report = report
        positions = _positions(header)
        wanted = {"step": _position(positions, "step")}
        for i, key in enumerate(keys):
            wanted[f"v{i}"] = _find(positions, prefix, f"{key}_step")
            wanted[f"t{i}"] = _find(positions, prefix, f"{key}_timestamp")
        names = [f"skipped{i}" for i in range(len(header))]
        for name, position in wanted.items():
            names[position] = name
        self._types = {name: pa.float64() if name[0] == "v" else pa.int64() for name in wanted}
        self._names = names

    def __call__(self, text: bytes) -> pa.RecordBatch:
        try:
            columns = self._parse(text, self._types)
            odd: dict[str, pa.Array] = {}
        except pa.ArrowInvalid:
            columns, odd = self._parse_cells(text)
        for name, column in columns.items():
            if name[0] == "t":
                columns[name] = self._scaled_to_ms(column)
        return pa.record_batch(columns | odd)

    def _parse(self, text: bytes, types: dict[str, pa.DataType]) -> dict[str, pa.Array]:
        convert = pa.csv.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=[""],
            strings_can_be_null=True,
        )
        # As one block: a quoted cell may hold newlines.
        read = pa.csv.ReadOptions(
            column_names=self._names, use_threads=False, block_size=len(text) + 1
        )
        table = pa.csv.read_csv(pa.BufferReader(text), read_options=read, convert_options=convert)
        self._rows += table.num_rows
        steps = table.column("step")
        for _ in range(steps.null_count):
            self._report.odd_value("step", "")
        return {
            name: column.combine_chunks()
            for name, column in zip(table.column_names, table.columns, strict=True)
        }

    def _parse_cells(self, text: bytes) -> tuple[dict[str, pa.Array], dict[str, pa.Array]]:
        """Read each column by itself, and the odd columns cell by cell."""
        try:
            # Not as text: a word need not be UTF-8.
            cells = self._parse(text, dict.fromkeys(self._types, pa.binary()))
        except pa.ArrowInvalid as error:
            # Arrow counts the rows of the block.
            why = _ROW.sub(lambda row: f"row {int(row[1]) + self._rows}", str(error))
            raise ServerError(f"the exported file cannot be read: {quote(why)}") from None
        columns = {name: self._converted(name, column) for name, column in cells.items()}
        odd = {}
        for name, column in columns.items():
            if name[0] == "v" and column.null_count > cells[name].null_count:
                odd[f"odd{name[1:]}"] = _text(pc.if_else(column.is_null(), cells[name], None))
        return columns, odd

    def _converted(self, name: str, cells: pa.Array) -> pa.Array:
        try:
            return cells.cast(pa.string()).cast(self._types[name])
        except pa.ArrowInvalid:
            pass
        distinct = cells.value_counts()
        found = [self._cell(name, *cell.values()) for cell in distinct.to_pylist()]
        at = pc.index_in(cells, value_set=distinct.field("values"))
        return pa.array(found, self._types[name]).take(at)

    def _cell(self, name: str, raw: bytes | None, count: int) -> Any:
        """Read a cell, or count it as odd as often as it occurs."""
        if raw is None:
            return None
        text = raw.decode(errors="replace")
        try:
            return _CELLS[name[0]](text)
        except (TypeError, ValueError, OverflowError):
            if not (self._has_text and name[0] == "v"):
                for _ in range(count):
                    self._report.odd_value(_COLUMNS[name[0]], text)
            return None

    def _scaled_to_ms(self, times: pa.Array) -> pa.Array:
        """Scale Unix times of fewer than 13 digits up to milliseconds; odd ones become null."""
        least, greatest = pc.min_max(times).as_py().values()
        if least is None or (least >= MILLISECONDS_FROM and greatest < MILLISECONDS_TO):
            return times
        is_time = pc.and_(
            pc.greater_equal(times, MILLISECONDS_LEAST), pc.less(times, MILLISECONDS_TO)
        )
        for time in times.filter(pc.invert(is_time)).drop_null().to_pylist():
            self._report.odd_value("timestamp", str(time))
        times = pc.if_else(is_time, times, None)
        while True:
            short = pc.and_(pc.greater(times, 0), pc.less(times, MILLISECONDS_FROM))
            if not pc.any(short).as_py():
                return times
            times = pc.if_else(short, pc.multiply(times, 10), times)


_CELLS: dict[str, Callable[[str], Any]] = {
    "s": as_int,
    "v": as_point,
    "t": as_unix_ms,
}


def _text(cells: pa.Array) -> pa.Array:
    """Cells as text; bytes that are not UTF-8 become U+FFFD."""
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:
        texts = [raw and raw.decode(errors="replace") for raw in cells.to_pylist()]
        return pa.array(texts, pa.string())


def _whole_lines(
    chunks: Iterator[bytes], block_bytes: int, *, must_end_line: Callable[[], bool]
) -> Iterator[bytes]:
    """Cut the bytes anew, into growing blocks that end where a line ends."""
    wanted = _FIRST_BLOCK_BYTES
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size < wanted:
            continue
        text = b"".join(held)
        end = _last_line_end(text)
        if not end and size > _LINE_BYTES_MAX:
            raise ServerError(f"the exported file has no lines: {quote(_start(text))}")
        held, size = [text[end:]], len(text) - end
        if end:
            text = text[:end]  # nothing else of it is kept meanwhile
            yield text
            wanted = min(2 * wanted, block_bytes)
    text = b"".join(held)
    if text and must_end_line() and not text.endswith(b"\n"):
        raise IncompleteError("the download ended in the middle of a line")
    if text:
        yield text


def _last_line_end(text: bytes) -> int:
    """Find the end of the last line, which is not inside quotes; 0 when there is none."""
    last = end = text.rfind(b"\n") + 1
    if b'"' not in text:  # much faster than to count them
        return end
    while end and text.count(b'"', 0, end) % 2:
        end = text.rfind(b"\n", 0, text.rfind(b'"', 0, end)) + 1
    # A cell of many lines may go on; quotes that never end are no reason to wait for ever.
    return end or (last if len(text) > _LINE_BYTES_MAX else 0)


def _split_header(blocks: Iterator[bytes]) -> tuple[list[str], bytes]:
    """Take the header off; its names may hold newlines, inside quotes."""
    text = b""
    for block in blocks:
        text += block
        if (end := _header_end(text)) or len(text) > _LINE_BYTES_MAX:
            break
    else:
        end = len(text)
    try:
        decoded = text[:end].removeprefix(_UTF8_BOM).decode()
        rows = list(csv.reader(io.StringIO(decoded, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if not text:
        raise IncompleteError("the exported file is empty, without even a header")
    if len(rows) != 1:
        message = f"the exported file does not begin with a header: {quote(_start(text))}"
        raise ServerError(message)
    return rows[0], text[end:]


def _header_end(text: bytes) -> int:
    """Find the first newline that is not inside quotes, and return what follows it; else 0."""
    start, quotes = 0, 0
    while (at := text.find(b"\n", start)) >= 0:
        quotes += text.count(b'"', start, at)
        start = at + 1
        if quotes % 2 == 0:
            return start
    return 0


def _last_lines(text: bytes) -> bytes:
    """Return the last lines of a block, about as many as a first block has, but one at least."""
    cut = len(text) - _FIRST_BLOCK_BYTES
    return text if cut <= 0 else text[text.rfind(b"\n", 0, cut) + 1 :]


def _check_last_line(text: bytes, header: list[str]) -> None:
    """Insist that the last line, which has no end, has all cells and a whole last time.

    Its length is confirmed, but a server may have confirmed the length of a cut file.
    """
    try:
        rows = list(csv.reader(io.StringIO(text.decode(errors="replace"), newline="")))
    except csv.Error:
        return  # a cell that is longer than the module reads; the parser decides
    *above, last = rows
    if len(last) < len(header):
        raise IncompleteError("the exported file ends in the middle of its last line")
    is_time = [name.endswith("_timestamp") for name in header]
    if not is_time[-1] or not any(last[-2:]):
        return
    times = [row[-1] for row in reversed(above) if row]
    times += [cell for cell, is_one in zip(last[:-1], is_time, strict=False) if is_one]
    neighbour = next(filter(None, times), None)
    if neighbour is not None and len(last[-1]) != len(neighbour):
        raise IncompleteError("the exported file ends in the middle of its last time")


def _positions(header: list[str]) -> dict[str, int]:
    """Map each header name to its column; a name that comes twice could mean either."""
    positions: dict[str, int] = {}
    for position, name in enumerate(header):
        if name in positions:
            raise ServerError(f"the exported file has two columns named {quote(name)}")
        positions[name] = position
    return positions


def _position(positions: dict[str, int], name: str) -> int:
    if name not in positions:
        raise LackingError(f"the exported file has no column {quote(name)}")
    return positions[name]


def _find(positions: dict[str, int], prefix: str | None, name: str) -> int:
    """Find the column of a key, by the run's name before it or else by its end alone."""
    if prefix is not None:
        return _position(positions, f"{prefix}-{name}")
    found = [each for each in positions if each.endswith(f"-{name}")]
    if len(found) > 1:
        raise ServerError(f"the exported file has two columns that end in {quote(f'-{name}')}")
    return _position(positions, found[0] if found else f"-{name}")


def _chain(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from blocks


def _start(text: bytes) -> str:
    return text[:80].decode(errors="replace")
