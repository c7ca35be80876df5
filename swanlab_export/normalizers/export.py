"""The exported CSV → record batches, block by block, with columns matched by their header.

The file is wide: ``step``, then two columns per key. ``<run id>-<key>_step`` holds the *value*
despite its name, ``…_timestamp`` Unix milliseconds. Names may hold commas, quotes and newlines;
everything below the header is a number or empty.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.normalizers.values import MILLISECONDS_FROM, MILLISECONDS_TO
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# The first block is small so that the first rows of a long file are seen at once; the largest is
# big enough that parsing, not bookkeeping, takes the time.
_FIRST_BLOCK_BYTES = 64_000
_BLOCK_BYTES = 2_000_000
_LINE_BYTES_MAX = 1_000_000
_ROW = re.compile(r"\bRow #(\d+)")
_UTF8_BOM = b"\xef\xbb\xbf"


def read_export(
    chunks: Iterable[bytes],
    run_id: str,
    keys: Sequence[str],
    *,
    must_end_line: Callable[[], bool],
) -> Iterator[pa.RecordBatch]:
    """Read an export as blocks with the columns step, v0, t0, v1, t1, … in the order of ``keys``.

    Steps rise strictly over all blocks. Values and timestamps are null where a key has no point.

    Args:
        chunks: The file's bytes, cut anywhere.
        run_id: What the header calls the run.
        keys: The keys to read; further columns are skipped.
        must_end_line: Asked at the end whether to insist on a final newline: for a body with
            neither length nor chunks, nothing else tells a whole last line from a cut one.

    Raises:
        IncompleteError: The file is empty, lacks a column of ``keys``, or its last line is cut.
        ServerError: A row has too few or too many cells, or one that is not a number, or the
            steps are not in order.
    """
    blocks = _whole_lines(iter(chunks), must_end_line=must_end_line)
    header, rest = _split_header(blocks)
    parse = _Parser(header, run_id, keys)
    last_step = None
    for text in _chain(rest, blocks):
        block = parse(text)
        if block.num_rows:
            last_step = _check_steps(block.column(0), last_step)
            yield block


class _Parser:
    """Turns whole lines into a block, by what the header says."""

    def __init__(self, header: list[str], run_id: str, keys: Sequence[str]) -> None:
        self._rows = 0
        places = _places(header)
        wanted = {"step": _place(places, "step")}
        for i, key in enumerate(keys):
            wanted[f"v{i}"] = _place(places, f"{run_id}-{key}_step")
            wanted[f"t{i}"] = _place(places, f"{run_id}-{key}_timestamp")
        names = [f"skipped{i}" for i in range(len(header))]
        for name, place in wanted.items():
            names[place] = name
        types = {name: pa.float64() if name[0] == "v" else pa.int64() for name in wanted}
        self._read = pa.csv.ReadOptions(
            column_names=names, use_threads=False, block_size=2 * _BLOCK_BYTES
        )
        self._convert = pa.csv.ConvertOptions(
            column_types=types, include_columns=list(wanted), null_values=[""]
        )

    def __call__(self, text: bytes) -> pa.RecordBatch:
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(text), read_options=self._read, convert_options=self._convert
            )
        except pa.ArrowInvalid as error:
            # Arrow counts the rows of the block.
            why = _ROW.sub(lambda row: f"row {int(row[1]) + self._rows}", str(error))
            raise ServerError(f"the exported file cannot be read: {escape(why)}") from None
        self._rows += table.num_rows
        columns = [column.combine_chunks() for column in table.columns]
        scaled = [
            _scaled_to_ms(column) if name[0] == "t" else column
            for name, column in zip(table.column_names, columns, strict=True)
        ]
        return pa.record_batch(scaled, names=table.column_names)


def _whole_lines(chunks: Iterator[bytes], *, must_end_line: Callable[[], bool]) -> Iterator[bytes]:
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
        end = text.rfind(b"\n") + 1
        if end:
            yield text[:end]
            wanted = min(2 * wanted, _BLOCK_BYTES)
        elif size > _LINE_BYTES_MAX:
            raise ServerError(f"the exported file has no lines: {escape(_start(text))}")
        held, size = [text[end:]], len(text) - end
    text = b"".join(held)
    if text and must_end_line() and not text.endswith(b"\n"):
        raise IncompleteError("the download ended in the middle of a line")
    if text:
        yield text


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
        raise IncompleteError("the exported file came back empty, without even a header")
    if len(rows) != 1:
        message = f"the exported file does not begin with a header: {escape(_start(text))}"
        raise ServerError(message)
    return rows[0], text[end:]


def _header_end(text: bytes) -> int:
    """Find the first newline that no quotes enclose, and step behind it; 0 when there is none."""
    start, quotes = 0, 0
    while (at := text.find(b"\n", start)) >= 0:
        quotes += text.count(b'"', start, at)
        start = at + 1
        if quotes % 2 == 0:
            return start
    return 0


def _places(header: list[str]) -> dict[str, int]:
    """Map each header name to its column; a name that comes twice could mean either."""
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        if name in places:
            raise ServerError(f"the exported file has two columns named {escape(name)}")
        places[name] = place
    return places


def _place(places: dict[str, int], name: str) -> int:
    if name not in places:
        raise IncompleteError(f"the exported file has no column {escape(name)}")
    return places[name]


def _check_steps(steps: pa.Array, last: int | None) -> int:
    """Insist that steps are there and rise; returns the last one."""
    if steps.null_count:
        raise ServerError("the exported file has a row without a step")
    first = steps[0].as_py()
    rises = (last is None or first > last) and pc.all(
        pc.less(steps.slice(0, len(steps) - 1), steps.slice(1)), min_count=0
    ).as_py()
    if not rises:
        raise ServerError("the steps of the exported file are not in order")
    return int(steps[-1].as_py())


def _scaled_to_ms(times: pa.Array) -> pa.Array:
    """Scale Unix times of fewer than 13 digits up to milliseconds; a whole column is checked once."""
    smallest = pc.min(times).as_py()
    while smallest is not None and smallest < MILLISECONDS_FROM:
        short = pc.and_(pc.greater(times, 0), pc.less(times, MILLISECONDS_FROM))
        if not pc.any(short).as_py():
            break
        times = pc.if_else(short, pc.multiply(times, 10), times)
    if (largest := pc.max(times).as_py()) is not None and largest >= MILLISECONDS_TO:
        raise ServerError(f"the exported file has a time that is not in milliseconds: {largest}")
    return times


def _chain(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from blocks


def _start(text: bytes) -> str:
    return text[:80].decode(errors="replace")
