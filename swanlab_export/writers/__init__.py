"""Tables → files and standard output; the format goes by the extension."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from swanlab_export.writers.columnar import write_feather, write_parquet
from swanlab_export.writers.formats import PICTURES, TEXT_FORMATS, Target, parse_target
from swanlab_export.writers.publish import publish
from swanlab_export.writers.saved import Saved
from swanlab_export.writers.terminal import write_terminal
from swanlab_export.writers.text import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from swanlab_export.tables import Table

__all__ = [
    "PICTURES",
    "Saved",
    "Target",
    "parse_target",
    "publish",
    "write_chunks",
    "write_table",
    "write_terminal",
    "write_text",
]


def write_table(table: Table, target: Target, *, is_log_scale: bool = False) -> Saved:
    """Save a table, whole or not at all; as a picture, of the metrics table, where that is asked.

    Raises:
        OutputError: The file cannot be written.
        UsageError: What should be a picture is not the long metrics table.
    """
    if target.format == "plot":
        # Only who draws pays for what draws.
        from swanlab_export.writers.plot import write_plot

        return write_plot(table, target, is_log_scale=is_log_scale)
    with publish(target.path) as path:
        if target.format == "parquet":
            rows = write_parquet(table, path)
        elif target.format == "feather":
            rows = write_feather(table, path)
        else:
            assert target.format in TEXT_FORMATS
            with _open(path, target.compression) as stream:
                rows = write_text(table, stream, target.format)
        size_bytes = path.stat().st_size
    return Saved(target.path, rows, len(table.schema), size_bytes)


def write_chunks(chunks: Iterable[bytes], target: Target) -> Saved:
    """Save bytes as they come, whole or not at all."""
    with publish(target.path) as path:
        with _open(path, target.compression) as stream:
            for chunk in chunks:
                stream.write(chunk)
        size_bytes = path.stat().st_size
    return Saved(target.path, 0, 0, size_bytes)


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
