"""Tables → files and standard output; the extension gives the format."""

from __future__ import annotations

import codecs
import gzip
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from swanlab_export.files.formats import PICTURES, Target, parse_target
from swanlab_export.files.marks import write_with_mark
from swanlab_export.files.stores import parse_store_options
from swanlab_export.limits import TEXT_FORMATS
from swanlab_export.tables import provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from swanlab_export.report import Report
    from swanlab_export.tables import Table

__all__ = [
    "PICTURES",
    "Saved",
    "Target",
    "parse_store_options",
    "parse_target",
    "write_chunks",
    "write_table",
]


@dataclass(frozen=True)
class Saved:
    """What was saved: a file or the URL of an object; ``columns`` is 0 where it is not a table."""

    path: Path | str
    rows: int
    columns: int
    size_bytes: int


def write_table(
    table: Table, target: Target, source: Mapping[str, Any], report: Report | None = None
) -> Saved:
    """Save a table, whole or not at all.

    If items were left out of it, the file says so: Parquet in its metadata, any other format in
    ``NAME.incomplete.json`` beside it.

    Args:
        table: The table; it is read to its end.
        target: Where to, and in which format.
        source: Where the data came from, for the metadata of Parquet and Feather.
        report: What was left out, known at the end of the table.

    Raises:
        OutputError: The file cannot be written.
    """

    def mark() -> bytes | None:
        left_out = [] if report is None or target.format == "parquet" else report.left_out()
        return provenance(table.name, source, left_out) if left_out else None

    # A command writes one format, and the libraries of the others take a while to import.
    with write_with_mark(target, mark) as path:
        if target.format == "parquet":
            from swanlab_export.files.parquet import write_parquet

            rows = write_parquet(table, path, source, report)
        elif target.format == "feather":
            from swanlab_export.files.feather import write_feather

            rows = write_feather(table, path, source)
        elif target.format == "excel":
            from swanlab_export.files.excel import write_excel

            rows = write_excel(table, path)
        else:
            assert target.format in TEXT_FORMATS
            from swanlab_export.files.text import write_text

            with _open(path, target.compression) as stream:
                stream.write(codecs.BOM_UTF8 if target.has_bom else b"")
                rows = write_text(table, stream, target.format)
        size_bytes = path.stat().st_size
    return Saved(target.shown, rows, len(table.schema), size_bytes)


def write_chunks(
    chunks: Iterable[bytes],
    target: Target,
    source: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> Saved:
    """Save bytes as they come, whole or not at all; see ``write_table``."""

    def mark() -> bytes | None:
        left_out = [] if report is None else report.left_out()
        return provenance("", source or {}, left_out) if left_out else None

    with write_with_mark(target, mark) as path:
        with _open(path, target.compression) as stream:
            for chunk in chunks:
                stream.write(chunk)
        size_bytes = path.stat().st_size
    return Saved(target.shown, 0, 0, size_bytes)


@contextmanager
def _open(path: Path, compression: str) -> Iterator[IO[bytes]]:
    with path.open("wb") as raw:
        if compression == "gz":
            # No name and no time in the header: equal tables give equal files.
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
                yield cast("IO[bytes]", stream)
        elif compression == "zst":
            compressed: Any = pa.CompressedOutputStream(pa.PythonFile(raw), "zstd")
            with compressed:
                yield compressed
        else:
            yield raw
