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
    """Lines of a run's console log, one row each: one shard of 1000 lines, or all of them."""
    if offset < 0:
        raise UsageError(f"{argument('offset')} must be 0 or more")
    level = check_choice("level", level, LEVELS)
    run = find_run(context, path)
    source = source_of(context, "run logs", path, offset=offset, level=level, full=full)
    shards = _shards(context, run, level) if full else _shard(context, run, offset, level)
    counts: list[int] = []

    def normalize(shards: Iterator[dict[str, Any]]) -> Any:
        lines = (line for shard in _noting(shards, counts) for line in shard.get("logs") or [])
        table = normalize_logs(
            (line for line in lines if line is not None),
            run.run_id,
            has_timestamp=not ignore_timestamp,
        )
        table.total = max(counts, default=None)
        if not full and table.total is not None and table.total > endpoint.LOG_SHARD_ROWS:
            rest = f"{argument('full', True)} fetches the rest"
            table.notes.append(f"shard {offset} of a log of {table.total} lines; {rest}")
        return table

    return Answer(shards, normalize, source)


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
    if start < 0:
        raise UsageError(f"{argument('start')} must be 0 or more")
    if rows < 1:
        raise UsageError(f"{argument('rows')} must be at least 1")
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
        for piece in pieces:
            size_bytes = 0
            for chunk in download_file(context, piece.path, "the log", piece.url):
                size_bytes += len(chunk)
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


def _shards(context: Context, run: FoundRun, level: str) -> Iterator[dict[str, Any]]:
    with context.progress.bar("log", total=None, unit="lines") as bar:
        for wire in fetch_log_shards(
            context.client,
            lambda shard: endpoint.logs_page(run.source, shard, level),
            size=endpoint.LOG_SHARD_ROWS,
        ):
            bar.add(len(wire.get("logs") or []))
            yield wire


def _noting(shards: Iterator[dict[str, Any]], counts: list[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        if isinstance(shard.get("count"), int):
            counts.append(shard["count"])
        yield shard
