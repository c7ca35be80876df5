"""Console logs: by shard, in full, and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.api.exports import download_file, exported_path, presigned_urls
from swanlab_export.api.paging import check_choice
from swanlab_export.api.resolve import FoundRun, find_run
from swanlab_export.endpoints import run as endpoint
from swanlab_export.errors import ServerError, UsageError, argument
from swanlab_export.normalizers.details import normalize_logs
from swanlab_export.normalizers.rows import build_table
from swanlab_export.pagination import fetch_log_shards

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swanlab_export.tables import Table

# No log is longer, and each 500,000 lines cost an export.
_LINES_MAX = 100_000_000
LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")


def logs(
    context: Context,
    path: str,
    *,
    offset: int = 0,
    level: str = "INFO",
    ignore_timestamp: bool = False,
    full: bool = False,
) -> Answer:
    """Lines of a run's console log, one row each: one shard of 1000 lines, or all of them.

    All of them are read at the lowest level, at which the announced count is that of all lines,
    and chosen here.
    """
    if not 0 <= offset <= _LINES_MAX:
        raise UsageError(f"{argument('offset')} is from 0 to {_LINES_MAX}")
    if full and offset:
        raise UsageError(f"{argument('offset')} and {argument('full', True)} exclude each other")
    level = check_choice("level", level, LEVELS)
    run = find_run(context, path)
    source = source_of(
        context,
        "run logs",
        path,
        offset=None if full else offset,
        level=level,
        full=full,
        ignore_timestamp=ignore_timestamp,
    )
    shards = _shards(context, run) if full else _shard(context, run, offset, level)
    notes: list[str] = []

    def normalize(shards: Iterator[dict[str, Any]]) -> Table:
        lines = _lines(shards, level, notes, offset=None if full else offset)
        return normalize_logs(lines, run.run_id, has_timestamp=not ignore_timestamp)

    return Answer(shards, normalize, source, notes=notes)


def _lines(
    shards: Iterator[dict[str, Any]], level: str, notes: list[str], *, offset: int | None
) -> Iterator[Any]:
    """The lines of a log at ``level`` or above; a line of a level unknown here is one of them.

    ``offset`` says which shard was asked for, None for all.
    """
    wanted = LEVELS[LEVELS.index(level) :]
    for shard in shards:
        lines = [line for line in shard.get("logs") or [] if line is not None]
        for line in lines:
            found = str(line.get("level")).upper() if isinstance(line, dict) else ""
            if found in wanted or found not in LEVELS:
                yield line
        count = shard.get("count")
        if offset is None or not isinstance(count, int):
            continue
        if count > endpoint.LOG_SHARD_ROWS:
            rest = f"{argument('full', True)} fetches the rest"
            notes.append(f"shard {offset} of a log of {count} lines; {rest}")
        elif not lines and offset:
            notes.append(f"shard {offset} is behind the end of a log of {count} lines")


@dataclass(frozen=True)
class LogPiece:
    """A part of a log that one export can hold, and where it can be downloaded."""

    run_id: str
    start: int
    rows: int
    path: str
    url: str


def export_logs(
    context: Context, path: str, pieces: Iterable[LogPiece], *, start: int, rows: int
) -> Answer:
    """The files that a log was exported to, one row per file, with its download URL."""
    made = [
        {"run_id": piece.run_id, "start": piece.start, "rows": piece.rows, "url": piece.url}
        for piece in pieces
    ]
    return Answer(
        made,
        lambda made: build_table(schemas.LOG_EXPORTS, made),
        source_of(context, "run export-logs", path, start=start, rows=rows),
    )


def export_pieces(
    context: Context, path: str, *, start: int = 0, rows: int = endpoint.LOG_EXPORT_ROWS_MAX
) -> Iterator[LogPiece]:
    """Have a log written to files on the server, of at most 500,000 lines each, in order."""
    if not 0 <= start <= _LINES_MAX:
        raise UsageError(f"{argument('start')} is from 0 to {_LINES_MAX}")
    if not 1 <= rows <= _LINES_MAX:
        raise UsageError(f"{argument('rows')} is from 1 to {_LINES_MAX}")
    run = find_run(context, path)
    for first in range(start, start + rows, endpoint.LOG_EXPORT_ROWS_MAX):
        count = min(endpoint.LOG_EXPORT_ROWS_MAX, start + rows - first)
        wire = endpoint.fetch_log_export(context.client, run.source, first, count)
        file = exported_path(wire, f"the log of {path}")
        yield LogPiece(run.run_id, first, count, file, presigned_urls(context, [file])[0])


def log_chunks(
    context: Context, pieces: Iterable[LogPiece], exported: list[LogPiece] | None = None
) -> Iterator[bytes]:
    """Yield the bytes of the log itself, piece after piece, until a piece has no line.

    ``exported`` gathers the pieces that have any, where somebody wants them.
    """
    with context.progress.bar("log", total=None, unit="B") as bar:
        ends_line = True
        for piece in pieces:
            size_bytes = 0
            for chunk in filter(None, download_file(context, piece.path, "the log", piece.url)):
                if not size_bytes and not ends_line:
                    yield b"\n"  # a line of one piece must not go on in the next
                size_bytes += len(chunk)
                ends_line = chunk.endswith(b"\n")
                bar.add(len(chunk))
                yield chunk
            if not size_bytes:
                return
            if exported is not None:
                exported.append(piece)


def _shard(context: Context, run: FoundRun, offset: int, level: str) -> Iterator[dict[str, Any]]:
    wire = context.client.send(endpoint.logs_page(run.source, offset, level))
    if not isinstance(wire, dict):
        raise ServerError(f"the server sent {type(wire).__name__} where log lines were expected")
    yield wire


def _shards(context: Context, run: FoundRun) -> Iterator[dict[str, Any]]:
    with context.progress.bar("log", total=None, unit="lines") as bar:
        for wire in fetch_log_shards(
            context.client,
            lambda shard: endpoint.logs_page(run.source, shard, LEVELS[0]),
            size=endpoint.LOG_SHARD_ROWS,
        ):
            bar.add(len(wire.get("logs") or []))
            yield wire
