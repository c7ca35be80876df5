"""``api.run.logs`` and ``api.run.export_logs``: console logs, by line and as a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.context import Result
from swanlab_export.api.outputs import refuse_store_options
from swanlab_export.api.partial import Partial
from swanlab_export.api.resource import F, Resource, check_choice, read_integer
from swanlab_export.api.runs.downloads import open_download, presign
from swanlab_export.api.runs.find import find_run
from swanlab_export.api.runs.points import columns_of_runs, join_columns, parse_columns
from swanlab_export.endpoints import logs as endpoint
from swanlab_export.endpoints.metrics import read_export_path
from swanlab_export.errors import ServerError, SwanlabExportError, UsageError
from swanlab_export.files import parse_target, write_chunks
from swanlab_export.limits import LOG_EXPORT_LINES_MAX, LOG_LEVELS, LOG_SHARD_LINES
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.details import normalize_logs
from swanlab_export.normalizers.rows import build_table
from swanlab_export.pagination import fetch_log_shards
from swanlab_export.spool import open_scratch, scratch_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.files import Target
    from swanlab_export.report import Report

# No log is longer, and each 500,000 lines cost an export.
_LINES_MAX = 100_000_000
_CHUNK_BYTES = 256 * 1024


class RunLogs(Resource[F]):
    """Console logs."""

    def logs(
        self,
        path: str,
        *,
        offset: int | None = None,
        level: str = "INFO",
        ignore_timestamp: bool = False,
        all: bool | None = None,
        partial: bool = False,
        run_columns: str | Sequence[str] | None = None,
    ) -> F:
        """Lines of the console log; one row each.

        Args:
            path: The run.
            offset: Only this shard of 1000 lines, from 0.
            level: DEBUG, INFO, WARN or ERROR: the lowest that is wanted.
            ignore_timestamp: Leave out the timestamp column.
            all: Every shard; the default unless ``offset`` is given.
            partial: Leave out shards that fail, and say which.
            run_columns: Columns of the run to add to each row: ``"state,config.lr"``.

        Raises:
            NotFoundError: There is no such run.
            IncompleteError: Fewer lines came than were announced.

        Source: ``GET /house/metrics/log``. All shards are read at the lowest level, at which the
        announced count is that of all lines, and the level is chosen afterwards.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     lines = api.run.logs("ada-lab/digits/diverged", level="ERROR")
        >>> lines["tag"].unique().tolist()
        ['train']
        """
        ref = self._context.run_ref(path)
        offset = None if offset is None else read_integer("offset", offset)
        if offset is not None and not 0 <= offset <= _LINES_MAX:
            raise UsageError(f"{argument('offset')} is from 0 to {_LINES_MAX}")
        if all and offset:
            raise UsageError(f"{argument('offset')} and {argument('all', True)} exclude each other")
        level = check_choice("level", level, LOG_LEVELS)
        shard = None if all or (all is None and offset is None) else offset or 0
        added = parse_columns(run_columns, "run_columns")
        report = self._output.begin(schemas.LOGS)
        run = find_run(self._context, ref, report)
        columns = columns_of_runs(self._context, [run], added, "run_columns")
        if shard is None:
            left_out = Partial(report, is_wanted=partial)
            shards = _fetch_shards(self._context, run, left_out)
        else:
            shards = iter([_fetch_shard(self._context, run, shard, level)])

        def lines() -> Iterator[Any]:
            for payload in shards:
                yield from _at_level(endpoint.read_lines(payload), level)
                if shard is not None:
                    _report_rest(payload, shard, report)

        result = Result(
            lambda: join_columns(
                normalize_logs(lines(), report, run.run_id, has_timestamp=not ignore_timestamp),
                columns,
                report,
            ),
            lambda: list(shards),
            self._context.source(
                "run logs",
                ref,
                offset=shard,
                level=level,
                all=shard is None,
                ignore_timestamp=ignore_timestamp,
                partial=partial,
                run_columns=added,
            ),
        )
        return self._output.deliver(result, report)

    def export_logs(
        self,
        path: str,
        *,
        start: int = 0,
        rows: int | None = None,
        save: str | PathLike[str] | None = None,
        partial: bool = False,
        store_options: Mapping[str, str] | None = None,
    ) -> F:
        """The console log as files on the server, with their URLs; one row per 500,000 lines.

        Args:
            path: The run.
            start: The first line, from 0.
            rows: Lines at most; by default 500,000, or with ``save`` all of them.
            save: Download the log itself to this ``.log`` file (also ``.log.gz``, ``.log.zst``),
                whole or not at all. Then the column rows counts the lines that came.
            partial: Leave out files of 500,000 lines that fail, and say which lines they hold.
            store_options: Options of the object store, where ``save`` is a URL such as s3://….

        Raises:
            NotFoundError: There is no such run.
            IncompleteError: The file did not arrive whole; then it is not kept.

        Source: ``POST /house/metrics/log/export``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.run.export_logs("ada-lab/digits/diverged")["rows"].tolist()
        [500000]
        """
        ref = self._context.run_ref(path)
        start = read_integer("start", start)
        rows = None if rows is None else read_integer("rows", rows)
        if not 0 <= start <= _LINES_MAX:
            raise UsageError(f"{argument('start')} is from 0 to {_LINES_MAX}")
        if rows is not None and not 1 <= rows <= _LINES_MAX:
            raise UsageError(f"{argument('rows')} is from 1 to {_LINES_MAX}")
        if save is None:
            refuse_store_options(store_options)
        target = None if save is None else _parse_log_target(fspath(save), store_options)
        report = self._output.begin(schemas.LOG_EXPORTS, is_final=target is not None)
        run = find_run(self._context, ref, report)
        context = self._context
        exported: list[_Piece] = []
        left_out = Partial(report, is_wanted=partial)
        source = context.source("run export-logs", ref, start=start, rows=rows, partial=partial)
        if target is None:
            most = LOG_EXPORT_LINES_MAX if rows is None else rows
            exported += _export_pieces(context, run, start, most, left_out)
            _report_more(context, run, start + most, report)
        else:
            pieces = _export_pieces(context, run, start, rows or _LINES_MAX, left_out)
            chunks = _chunks(context, pieces, exported, left_out, is_open_ended=rows is None)
            write_chunks(_checked(chunks, report), target, source, report)
            if not exported:
                _report_empty(context, run, start, report)
            if rows is not None and sum(piece.rows for piece in exported) >= rows:
                _report_more(context, run, start + rows, report)
        made = [
            {"run_id": run.run_id, "start": piece.start, "rows": piece.rows, "url": piece.url}
            for piece in exported
        ]
        result = Result(
            lambda: build_table(schemas.LOG_EXPORTS, made, report),
            lambda: made,
            source,
        )
        return self._output.deliver(result, report)


def _fetch_shard(context: Context, run: FoundRun, shard: int, level: str) -> dict[str, Any]:
    payload = context.client.send(endpoint.logs_page(run.source, shard, level))
    if not isinstance(payload, dict):
        kind = type(payload).__name__
        raise ServerError(f"the server sent a {kind} where log lines were expected")
    return payload


def _fetch_shards(context: Context, run: FoundRun, partial: Partial) -> Iterator[dict[str, Any]]:
    with context.progress.bar("log", total=None, unit="lines") as bar:
        for payload in fetch_log_shards(
            context.client,
            lambda shard: endpoint.logs_page(run.source, shard, LOG_LEVELS[0]),
            size=LOG_SHARD_LINES,
            read_number=endpoint.read_number,
            partial=partial,
        ):
            bar.add(len(endpoint.read_lines(payload)))
            yield payload


def _at_level(lines: Iterable[Any], level: str) -> Iterator[Any]:
    """Choose lines at ``level`` or above; a line of an unknown level is one of them."""
    wanted = LOG_LEVELS[LOG_LEVELS.index(level) :]
    for line in lines:
        found = endpoint.read_level(line)
        if found in wanted or found not in LOG_LEVELS:
            yield line


def _report_rest(payload: dict[str, Any], shard: int, report: Report) -> None:
    """Say that a shard is a part of a log, or behind its end."""
    count = endpoint.read_count(payload)
    if count > LOG_SHARD_LINES:
        rest = f"{argument('all', True)} fetches the rest"
        report.hint(f"shard {shard} of a log of {count} lines; {rest}")
    elif shard and not endpoint.read_lines(payload):
        report.warn(f"shard {shard} is behind the end of a log of {count} lines")


def _report_more(context: Context, run: FoundRun, end: int, report: Report) -> None:
    """Say that a log goes on behind the lines that were asked for, where the server tells."""
    shard, lines_before = divmod(end, LOG_SHARD_LINES)
    try:
        lines = endpoint.read_lines(_fetch_shard(context, run, shard, LOG_LEVELS[0]))
    except SwanlabExportError:
        return  # the files are what was asked for
    if len(lines) > lines_before:
        report.hint(f"the log goes on: {argument('start', str(end))} exports its next lines")


def _report_empty(context: Context, run: FoundRun, start: int, report: Report) -> None:
    """Say why no line of a log came: it has none, or the first that was asked for is behind its end."""
    log = f"the log of {run.ref}"
    length = _fetch_length(context, run) if start else 0
    if length == 0:
        report.warn(f"{log} has no lines")
    elif length is not None and length > start:
        report.warn(f"no line came of {log}, which has {length} lines")
    else:
        whole = log if length is None else f"a log of {length} lines"
        report.warn(f"{argument('start', str(start))} is behind the end of {whole}")


def _fetch_length(context: Context, run: FoundRun) -> int | None:
    """Fetch how many lines a log has; None where the server does not tell."""
    try:
        payload = _fetch_shard(context, run, 0, LOG_LEVELS[0])
        came, count = len(endpoint.read_lines(payload)), endpoint.read_count(payload)
    except SwanlabExportError:
        return None  # the file is what was asked for
    # The count of a full shard can be that of its own lines.
    return max(came, count) if count > came or came < LOG_SHARD_LINES else None


@dataclass(frozen=True)
class _Piece:
    """A part of a log that one export can contain, and where it can be downloaded."""

    start: int
    rows: int
    path: str
    url: str


def _parse_log_target(save: str, store_options: Mapping[str, str] | None) -> Target:
    target = parse_target(save, {".log": "log"}, store_options=store_options)
    if target.format != "log":
        raise UsageError(f"{argument('save')} {quote(save)}: a log is saved as a .log file")
    return target


def _export_pieces(
    context: Context, run: FoundRun, start: int, rows: int, partial: Partial
) -> Iterator[_Piece]:
    """Have a log written to files on the server, of at most 500,000 lines each, in order."""
    for first in range(start, start + rows, LOG_EXPORT_LINES_MAX):
        count = min(LOG_EXPORT_LINES_MAX, start + rows - first)

        def export(_: list[int], first: int = first, count: int = count) -> _Piece:
            payload = endpoint.fetch_log_export(context.client, run.source, first, count)
            file = read_export_path(payload, f"the log of {run.ref}")
            return _Piece(first, count, file, presign(context.client, [file])[0])

        ((_, piece),) = partial.fetch([first], export)
        if isinstance(piece, SwanlabExportError):
            partial.fail([_lines_of(first, count)], piece, "lines")
        else:
            yield piece


def _lines_of(first: int, count: int) -> str:
    return f"lines {first} to {first + count - 1}"


def _checked(chunks: Iterable[bytes], report: Report) -> Iterator[bytes]:
    """Yield bytes; that all of them are left out is an error."""
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        yield chunk
    report.check_left(size_bytes)


def _chunks(
    context: Context,
    pieces: Iterable[_Piece],
    saved: list[_Piece],
    partial: Partial,
    *,
    is_open_ended: bool,
) -> Iterator[bytes]:
    """Yield the bytes of the log itself, piece after piece, until a piece has no line.

    Args:
        context: The server.
        pieces: The pieces.
        saved: Gathers those that have any line, with the lines that came.
        partial: Decides whether a piece that fails is an error.
        is_open_ended: A piece with fewer lines than it could have is the last one.
    """
    with context.progress.bar("log", total=None, unit="B") as bar:
        ends_line = True
        for piece in pieces:
            lines = size_bytes = 0
            chunks: Iterable[bytes] = open_download(
                context.client, piece.path, "the log", piece.url
            )
            if partial.is_wanted:
                try:
                    chunks = _kept(chunks)
                except SwanlabExportError as error:
                    partial.fail([_lines_of(piece.start, piece.rows)], error, "lines")
                    continue
            for chunk in filter(None, chunks):
                if not size_bytes and not ends_line:
                    yield b"\n"  # a line of one piece must not go on in the next
                size_bytes += len(chunk)
                lines += chunk.count(b"\n")
                ends_line = chunk.endswith(b"\n")
                bar.add(len(chunk))
                yield chunk
            if not size_bytes:
                return
            lines += not ends_line
            saved.append(replace(piece, rows=lines))
            if is_open_ended and lines < piece.rows:
                return


def _kept(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Read all chunks into a temporary file, so that none is used of a file that is not whole."""
    kept = _Kept()
    with scratch_errors():
        kept.file.writelines(chunks)
        kept.file.seek(0)
    return iter(lambda: kept.file.read(_CHUNK_BYTES), b"")


class _Kept:
    """Owns a temporary file."""

    def __init__(self) -> None:
        self.file = open_scratch(self)
