"""Every point: exports of at most 16 keys of a run, downloaded concurrently."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from swanlab_export.api.partial import GivenUpError, GoneError, Partial, can_be_split
from swanlab_export.api.runs.downloads import open_download, presign
from swanlab_export.api.runs.keys import no_such_key, warn_of_missing
from swanlab_export.api.runs.plan import Plan, Steps, chunks_of
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.client import NOT_CHECKED, NotOfferedError
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import NotFoundError, ServerError, SwanlabExportError
from swanlab_export.limits import EXPORT_COLUMNS_MAX
from swanlab_export.messages import quote
from swanlab_export.normalizers import metrics as normalizer
from swanlab_export.normalizers.export import BLOCK_BYTES, LackingError, read_export
from swanlab_export.normalizers.metrics import ExportFilter
from swanlab_export.normalizers.ordering import StepOrder, in_step_order
from swanlab_export.normalizers.sampling import sample_evenly
from swanlab_export.normalizers.selection import Reach, Selection
from swanlab_export.pagination import in_batches
from swanlab_export.report import Report
from swanlab_export.spool import IN_MEMORY_BYTES
from swanlab_export.tables import RestartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.client import Client, Download
    from swanlab_export.progress import Bar
    from swanlab_export.spool import BatchSpool

_Read = TypeVar("_Read")
# Keys that failed together, and how.
_Failed = list[tuple[list[str], SwanlabExportError]]
# Smaller blocks take more time to parse than they save memory.
_BLOCK_BYTES_LEAST = 400_000
# How long to wait before an export is requested again that lacks what was announced.
_PAUSES_S = (0.5, 3.0)
_COLUMN_FILES = "a file per column"


@dataclass(frozen=True)
class _Task:
    """One export: at most 16 columns of one run, the x axis among them.

    Older servers write a file per column, and put the name of the run in its header.
    """

    run: FoundRun
    keys: list[str]
    columns: list[str]
    x_index: int | None
    has_file_per_column: bool
    is_last: bool  # of its run

    def of_keys(self, keys: list[str], x_key: str | None) -> _Task:
        """The export of these keys alone, and of the key that is the x axis, if it is one."""
        columns = keys if x_key is None or x_key in keys else [*keys, x_key]
        x_index = None if x_key is None else columns.index(x_key)
        return replace(self, keys=keys, columns=columns, x_index=x_index)

    def __str__(self) -> str:
        return f"the export of {self.run.ref}"

    @property
    def files(self) -> int:
        """How many files hold it."""
        return len(self.columns) if self.has_file_per_column else 1


class _Exports:
    """Downloads exports and counts what comes, for all workers of one call.

    The progress of a single file is in bytes, that of many runs in runs, and that of one run in the
    files of its keys.
    """

    def __init__(
        self, plan: Plan, selection: Selection, tasks: Sequence[_Task], bar: Bar, jobs: int
    ) -> None:
        # Exports that wait for one before them share the memory that a single one may take, and so
        # do those that are parsed concurrently.
        self._in_memory_bytes = IN_MEMORY_BYTES // max(1, min(len(tasks), 2 * jobs))
        self._block_bytes = max(BLOCK_BYTES // max(1, min(len(tasks), jobs)), _BLOCK_BYTES_LEAST)
        self._selection = selection
        self._bar = bar
        self._is_single = _is_single(tasks)
        self._left = Counter(task.run.run_id for task in tasks)
        self._is_by_run = len(self._left) > 1
        self._lock = threading.Lock()
        self._rows = self._size_bytes = 0
        self._announced = plan.announced()
        self._report = plan.report
        self._has_text = plan.query.has_text
        self._reach = Reach()

    def blocks(
        self, task: _Task, downloads: Sequence[Download], kept: list[bytes] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the selected blocks of one export, and check at the end that it was whole.

        ``kept`` gathers the bytes themselves, where they are wanted.
        """
        chosen = ExportFilter(task.keys, task.x_index, self._selection)
        for block in chosen.select(self._read(task, downloads, kept)):
            self._rows += block.num_rows
            size = "" if self._is_single else f", {self._size_bytes / 1e6:,.1f} MB"
            self._bar.describe(f"{self._rows:,} rows{size}")
            yield block
        announced = self._announced.get(task.run.run_id, {})
        has_length = all(download.has_length for download in downloads)
        chosen.check_whole(announced, must_be_announced=not has_length)
        if chosen.stopped_early:
            chosen.reach.end_early(announced)
        with self._lock:
            self._reach.add(chosen.reach)
        self._finish(task)

    def warn_of_range(self) -> None:
        """Say which range the keys have, where the one that was asked for has no point."""
        ranges = self._reach.describe(self._selection.axis)
        if ranges and not self._reach.has_points:
            self._report.warn(f"no point is in the range: {ranges}")

    def spool_by_key(self, task: _Task, downloads: Sequence[Download]) -> BatchSpool:
        """Download an export, and sort its points into one queue per key."""
        tail = self._selection.tail
        return normalizer.spool_keys(
            self.blocks(task, downloads),
            len(task.keys),
            tail=tail,
            in_memory_bytes=self._in_memory_bytes,
        )

    def _read(
        self, task: _Task, downloads: Sequence[Download], kept: list[bytes] | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the blocks of one export, merged on the step where each column has a file."""

        def read(download: Download, columns: list[str]) -> Iterator[pa.RecordBatch]:
            return read_export(
                self._counted(download, kept),
                None if task.has_file_per_column else task.run.run_id,
                columns,
                self._report,
                must_end_line=lambda: not download.has_length,
                has_text=self._has_text,
                block_bytes=self._block_bytes,
            )

        if len(downloads) == 1:
            return read(downloads[0], task.columns)
        files = zip(downloads, task.columns, strict=True)
        in_order = [
            in_step_order(read(download, [column]), in_memory_bytes=self._in_memory_bytes)
            for download, column in files
        ]
        # A file per column: those of a key and of its x axis.
        return normalizer.join_axis(*in_order)

    def _counted(self, download: Download, kept: list[bytes] | None) -> Iterator[bytes]:
        """Count bytes."""
        is_begun = False
        for chunk in download:
            self._size_bytes += len(chunk)
            if self._is_single:
                if not is_begun:
                    self._bar.describe("")
                    self._bar.expect(download.size_bytes or 0)
                    is_begun = True
                self._bar.add(len(chunk))
            if kept is not None:
                kept.append(chunk)
            yield chunk

    def _finish(self, task: _Task) -> None:
        """Count an export, or the run of which it was the last one to come."""
        with self._lock:
            self._left[task.run.run_id] -= 1
            is_counted = not self._is_by_run or self._left[task.run.run_id] == 0
        if is_counted and not self._is_single:
            self._bar.add(1)


def announced_steps(
    client: Client,
    runs: Sequence[FoundRun],
    keys: Sequence[str],
    report: Report,
    *,
    is_partial: bool,
) -> Steps:
    """What the summaries say is the latest step of each key: an export must reach it.

    A run without a summary has no announced step, and its export is checked by its length. So are
    the exports of runs of which the server does not tell, with a warning; where parts may be left
    out, also those of runs of which it tells what cannot be read.
    """
    found: dict[str, Mapping[str, Any] | SwanlabExportError] = {}
    steps: Steps = {}
    named = ((run.run_id, run.source) for run in runs)
    # Of its own: a run that cannot be checked is not left out.
    checks, told = Partial(Report(), is_wanted=True), Report()
    try:
        found |= join_summaries(client, named, lambda _: keys, told, checks)
    except NotOfferedError as error:
        found = dict.fromkeys((run.run_id for run in runs), error)
    refused = [error for error in found.values() if isinstance(error, SwanlabExportError)]
    _check_refusals(refused, is_partial=is_partial)
    untold = [run for run in runs if isinstance(found[run.run_id], SwanlabExportError)]
    of_runs = client.map(partial(_latest, client), untold)
    for run, latest in zip(untold, of_runs, strict=True):
        found[run.run_id] = latest
    missing = [error for error in found.values() if isinstance(error, SwanlabExportError)]
    _check_refusals(missing, is_partial=is_partial)
    odd: list[SwanlabExportError] = []
    for run_id, summary in found.items():
        if not isinstance(summary, SwanlabExportError):
            try:
                steps[run_id] = endpoint.read_latest_steps(summary)
            except ServerError as error:
                odd.append(error)
    if missing or odd:
        why = [*refused, *odd][0].message
        report.warn(
            f"the exports of {len(missing) + len(odd)} of {len(runs)} runs could not be checked "
            f"against the latest step, which the server does not tell: {why}"
        )
    if told.has_odd_values:
        report.warn(
            "the exports of some runs could not be checked against the latest step, because "
            "their summaries are no objects"
        )
    return steps


def _latest(client: Client, run: FoundRun) -> dict[str, Any] | SwanlabExportError:
    """Ask for the latest steps of one run."""
    try:
        return endpoint.read_latest(endpoint.fetch_latest(client, run.source), "SCALAR")
    except SwanlabExportError as refused:
        return refused


def _check_refusals(errors: Sequence[SwanlabExportError], *, is_partial: bool) -> None:
    """Raise an error that is not just that a server does not tell."""
    for error in errors:
        is_bad = is_partial and can_be_split(error)
        if not (error.status in NOT_CHECKED or is_bad or isinstance(error, GivenUpError)):
            raise error


def fetch_raw_exports(context: Context, plan: Plan) -> list[dict[str, Any]]:
    """The exported files as they are: whole, whatever range was asked for."""

    def use(tasks: list[_Task]) -> Iterator[dict[str, Any]]:
        with _bar(context, tasks) as bar:
            exports = _Exports(plan, Selection(), tasks, bar, context.client.jobs)

            def read(task: _Task, downloads: Sequence[Download]) -> dict[str, Any]:
                kept: list[bytes] = []
                for _ in exports.blocks(task, downloads, kept):
                    pass
                text = b"".join(kept).decode()
                return endpoint.label_run(task.run.run_id, {"keys": task.columns, "csv": text})

            for of_run in _each_run(context.client, plan, tasks, read):
                yield from (payload for _, payload in of_run)

    return list(_with_tasks(context.client, plan, use))


def exported_batches(
    context: Context, plan: Plan, *, can_restart: bool
) -> Iterator[pa.RecordBatch]:
    """Yield every wanted point, in rows of the table, each key in step order.

    Raises:
        RestartError: Only if ``can_restart``: rows were yielded, and then an earlier step came.
    """

    def use(tasks: list[_Task]) -> Iterator[pa.RecordBatch]:
        with _bar(context, tasks) as bar:
            bar.describe("the server writes the export")
            exports = _Exports(plan, plan.query.selection, tasks, bar, context.client.jobs)
            if _is_streamable(plan, tasks):
                yield from _stream_export(context.client, plan, tasks[0], exports, can_restart)
            else:
                for of_run in _each_run(context.client, plan, tasks, exports.spool_by_key):
                    yield from _run_batches(plan, of_run)
            exports.warn_of_range()

    yield from _with_tasks(context.client, plan, use)


def exported_samples(
    context: Context, plan: Plan
) -> Iterator[tuple[FoundRun, dict[str, pa.RecordBatch]]]:
    """Yield for each run the points of each key as a sample has them, evenly spaced."""
    client = context.client
    steps = announced_steps(
        client, plan.runs, plan.keys, plan.report, is_partial=plan.partial.is_wanted
    )
    plan = replace(plan, announced=lambda: steps)
    is_time = plan.query.x_axis == "time"

    def use(tasks: list[_Task]) -> Iterator[tuple[FoundRun, dict[str, pa.RecordBatch]]]:
        left_out = 0
        with _bar(context, tasks) as bar:
            exports = _Exports(plan, Selection(), tasks, bar, context.client.jobs)

            def read(
                task: _Task, downloads: Sequence[Download]
            ) -> dict[str, tuple[pa.RecordBatch, int]]:
                spool = exports.spool_by_key(task, downloads)
                return {
                    key: sample_evenly(
                        partial(spool.read, i),
                        plan.query.sample,
                        is_time=is_time,
                        has_text=plan.query.has_text,
                    )
                    for i, key in enumerate(task.keys)
                    if spool.rows(i)
                }

            for of_run in _each_run(client, plan, tasks, read):
                found = {key: each for _, by_key in of_run for key, each in by_key.items()}
                left_out += sum(count for _, count in found.values())
                yield of_run[0][0].run, {key: points for key, (points, _) in found.items()}
        if left_out:
            plan.report.warn(f"{left_out} points are left out because they are not finite")

    yield from _with_tasks(client, plan, use)


def _bar(context: Context, tasks: list[_Task]) -> AbstractContextManager[Bar]:
    """The bar that ``_Exports`` moves."""
    if _is_single(tasks):
        return context.progress.bar("metrics", total=None, unit="B")
    runs = len({task.run.run_id for task in tasks})
    if runs > 1:
        return context.progress.bar("metrics", total=runs, unit="runs")
    return context.progress.bar("metrics", total=len(tasks), unit="files")


def _is_single(tasks: Sequence[_Task]) -> bool:
    return len(tasks) == 1 and tasks[0].files == 1


def _is_streamable(plan: Plan, tasks: list[_Task]) -> bool:
    """Say whether the rows of the one file are those of the table, in its order."""
    if not _is_single(tasks) or plan.unsure or plan.query.selection.tail is not None:
        return False
    # Keys that may be left out cannot be part of rows that have already been given.
    return len(tasks[0].keys) == 1 or (plan.layout.is_wide and not plan.partial.is_wanted)


def _with_tasks(
    client: Client, plan: Plan, use: Callable[[list[_Task]], Iterator[_Read]]
) -> Iterator[_Read]:
    """Export with as many keys a file as the server can; how many shows at the first export."""
    tasks = list(_tasks(client, plan))
    try:
        yield from use(tasks)
    except NotOfferedError:
        if tasks[0].has_file_per_column:
            raise
        yield from use(list(_tasks(client, plan)))


def _stream_export(
    client: Client, plan: Plan, task: _Task, exports: _Exports, can_restart: bool
) -> Iterator[pa.RecordBatch]:
    """Pass one export through, whose rows come in the order in which they are wanted.

    Whether they do shows at the last row. Who cannot start again waits for it.
    """

    def open_blocks() -> Iterator[pa.RecordBatch]:
        try:
            downloads = _open_export(client, task)
        except NotFoundError as error:
            if _may_lack_files(client, task, [error]):
                _refuse_exports(client, task, error)
            raise
        return exports.blocks(task, downloads)

    if can_restart:
        blocks = _while_whole(client, open_blocks())
    else:
        blocks = _until_whole(client, lambda: begun(in_step_order(open_blocks())))
    if plan.layout.is_wide:
        yield from _wide(plan, [task], [blocks], [len(task.keys)])
        return
    for block in blocks:
        for _, points in normalizer.split_keys(block, 1):
            yield plan.layout.long_batch(task.run.run_id, task.keys[0], points)


def _while_whole(client: Client, blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield blocks as they come, as long as no step comes after a greater one.

    At the end, the announced steps must have come; else the export is read again after a pause.
    """
    order = StepOrder()
    try:
        for block in blocks:
            order.add(block["step"])
            if not order.is_in_order:
                raise RestartError
            yield block
    except LackingError as error:
        if not client.retries:
            raise
        client.wait(_PAUSES_S[0], error.message)
        raise RestartError from None


def _until_whole(client: Client, read: Callable[[], _Read]) -> _Read:
    """Read an export, and again after a pause if it lacks what was announced.

    The points of a run that goes on are counted before they can be exported.
    """
    for pause_s in _PAUSES_S[: client.retries]:
        try:
            return read()
        except LackingError as error:
            client.wait(pause_s, error.message)
    return read()


def begun(items: Iterator[_Read]) -> Iterator[_Read]:
    """An iterator that has begun, so that what fails before its first item fails here."""
    first = list(islice(items, 1))
    return chain(first, items)


def _open_export(client: Client, task: _Task) -> list[Download]:
    """Have an export written, and open its files."""
    return _open(client, task, _export(client, task))


def _tasks(client: Client, plan: Plan) -> Iterator[_Task]:
    x_key = plan.query.x_key
    is_split = endpoint.lacks_export(client)
    # The x axis is a column of its own.
    width = 1 if is_split else EXPORT_COLUMNS_MAX - (x_key is not None)
    for run in plan.runs:
        parts = chunks_of(plan.keys_of(run), width)
        for keys in parts:
            task = _Task(run, keys, keys, None, is_split, is_last=keys is parts[-1])
            yield task.of_keys(keys, x_key)


def _export(client: Client, task: _Task) -> list[str]:
    """Have the files of an export written: paths to presign, or URLs where each column has one."""
    if task.has_file_per_column:
        return [_column_url(client, task, column) for column in task.columns]
    payload = endpoint.fetch_export(client, task.run.source, task.columns)
    return [endpoint.read_export_path(payload, str(task))]


def _column_url(client: Client, task: _Task, column: str) -> str:
    payload = endpoint.fetch_column_file(client, task.run.source, column)
    client.capabilities.learn(_COLUMN_FILES, is_offered=True)
    return endpoint.read_column_url(payload, str(task))


def _may_lack_files(client: Client, task: _Task, errors: Sequence[SwanlabExportError]) -> bool:
    """Say whether a server without exports may lack files of columns, too: it gave none so far.

    The path of such a file names a run, so that its 404 alone does not tell which of both is missing.
    """
    if not task.has_file_per_column or client.capabilities.offers(_COLUMN_FILES):
        return False
    return all(
        isinstance(error, NotFoundError | GivenUpError) and not isinstance(error, GoneError)
        for error in errors
    )


def _refuse_exports(client: Client, task: _Task, error: SwanlabExportError) -> NoReturn:
    """Say that a server exports in no way, as far as what was asked for shows.

    Raises:
        NotOfferedError: It lacks the export; says how the file of a column failed.
    """
    try:
        endpoint.fetch_export(client, task.run.source, task.columns)
    except NotOfferedError as lacking:
        message = f"{lacking.message}; the older way: {error.message}"
        raise NotOfferedError(message, status=lacking.status) from None
    raise error


def _open(
    client: Client, task: _Task, written: list[str], urls: Mapping[str, str] | None = None
) -> list[Download]:
    """Open the files of an export; ``urls`` has those that are presigned already."""
    # The announced steps and the end of the last line tell whether it is whole.
    if not task.has_file_per_column:
        known = urls or {}
        return [
            open_download(client, path, str(task), known.get(path), needs_length=False)
            for path in written
        ]

    def open_column(column: str, first: str) -> Download:
        fresh = [first]
        return client.download(
            lambda: fresh.pop() if fresh else _column_url(client, task, column),
            f"{task}, key {quote(column)}",
            needs_length=False,
        )

    return [open_column(column, url) for column, url in zip(task.columns, written, strict=True)]


def _open_all(
    client: Client, plan: Plan, tasks: Sequence[_Task]
) -> Iterator[tuple[_Task, list[Download] | SwanlabExportError]]:
    """Have exports written concurrently, and presign as many at once as are in flight."""

    def export(task: _Task) -> list[str] | SwanlabExportError:
        if plan.partial.is_given_up:
            return GivenUpError("not requested")  # the reader says why
        if (gone := plan.gone.get(task.run.run_id)) is not None:
            return gone
        try:
            return _export(client, task)
        except SwanlabExportError as error:
            return error

    written = zip(tasks, client.map(export, tasks), strict=True)
    for some in in_batches(written, client.jobs):
        paths = [
            path
            for task, files in some
            if isinstance(files, list) and not task.has_file_per_column
            for path in files
        ]
        try:
            urls = dict(zip(paths, presign(client, paths), strict=True)) if paths else {}
        except SwanlabExportError:
            urls = {}  # each download asks for its own, and fails in the name of its run
        for task, files in some:
            if isinstance(files, list):
                yield task, _open(client, task, files, urls)
            else:
                yield task, files


def _each_run(
    client: Client,
    plan: Plan,
    tasks: list[_Task],
    read: Callable[[_Task, Sequence[Download]], _Read],
) -> Iterator[list[tuple[_Task, _Read]]]:
    """Download and read all exports concurrently; yield those of each run that did not fail.

    Raises:
        NotOfferedError: The server does not export so many keys at a time.
    """
    fetch = _Reader(client, plan, read)
    of_run: list[tuple[_Task, _Read]] = []
    failed: _Failed = []
    failures = _Failures(client, plan)
    results = client.map(fetch, _open_all(client, plan, tasks))
    absent: dict[str, set[str]] = {key: set() for key in plan.keys}
    for task, parts in zip(tasks, results, strict=True):
        for keys, found in parts:
            if found is None:
                absent[keys[0]].add(task.run.run_id)
            elif isinstance(found, SwanlabExportError):
                failed.append((keys, found))
            else:
                of_run.append((task.of_keys(keys, plan.query.x_key), found))
        if task.is_last or not plan.partial.is_wanted:
            failures.leave_out(task, failed, is_all=not of_run)
            failed = []
        if task.is_last:
            if of_run:
                yield of_run
            of_run = []
    failures.check()
    _check_absent(client, plan, absent)


class _Failures:
    """Leaves out what failed, once it is known that the server exports at all."""

    def __init__(self, client: Client, plan: Plan) -> None:
        self._client = client
        self._plan = plan
        self._waiting: list[tuple[_Task, _Failed, bool]] = []
        self._is_in_doubt = True

    def leave_out(self, task: _Task, failed: _Failed, *, is_all: bool) -> None:
        """Leave out keys of the run of a task, or the run; see ``Plan.leave_out``."""
        if failed:
            self._waiting.append((task, failed, is_all))
        errors = [error for _, of_task, _ in self._waiting for _, error in of_task]
        self._is_in_doubt &= _may_lack_files(self._client, task, errors)
        if not self._is_in_doubt:
            for each, of_task, is_whole in self._waiting:
                self._plan.leave_out(each.run, of_task, is_all=is_whole)
            self._waiting.clear()

    def check(self) -> None:
        """Check at the end that any export came, if all those that failed were not found.

        Raises:
            NotOfferedError: The server exports in no way.
        """
        if self._waiting:
            task, failed, _ = self._waiting[0]
            _refuse_exports(self._client, task, failed[0][1])


class _Reader(Generic[_Read]):
    """Reads the exports of one call, in several threads.

    Called with an export whose files are open, or with the error in their place, it returns keys
    with what was read of them, with their error, or with None where the run has no such key.
    """

    def __init__(
        self, client: Client, plan: Plan, read: Callable[[_Task, Sequence[Download]], _Read]
    ) -> None:
        self._client = client
        self._plan = plan
        self._read = read
        self._gone: dict[str, _Task] = {}  # run → what it failed with first

    def __call__(
        self, opened: tuple[_Task, list[Download] | SwanlabExportError]
    ) -> list[tuple[list[str], _Read | SwanlabExportError | None]]:
        task, downloads = opened
        if (gone := self._plan.gone.get(task.run.run_id)) is not None:
            return [(task.keys, gone)]
        # The first attempt takes what is open; a further one, and one with fewer keys, exports anew.
        first = [downloads]

        def read_once(part: _Task) -> _Read:
            if not first:
                return self._read(part, _open_export(self._client, part))
            downloads = first.pop()
            if isinstance(downloads, SwanlabExportError):
                raise downloads
            return self._read(part, downloads)

        def read_keys(keys: list[str]) -> _Read | GoneError | None:
            part = task.of_keys(keys, self._plan.query.x_key)
            try:
                if len(keys) < len(task.keys):
                    return read_once(part)
                return _until_whole(self._client, lambda: read_once(part))
            except NotFoundError as error:
                return self._find_missing(part, error)

        return self._plan.partial.fetch(task.keys, read_keys)

    def _find_missing(self, part: _Task, error: NotFoundError) -> GoneError | None:
        """Return the error of a run that is gone, or None where the run just lacks the key.

        Raises:
            NotFoundError: Neither; or the run is gone, which counts as one bad item.
        """
        missing = self._plan.what_is_missing(self._client, part.run, error)
        if isinstance(missing, GoneError):
            if self._gone.setdefault(part.run.run_id, part) is part:
                raise missing from None
            return missing
        if self._plan.may_lack(part.run, part.keys):
            return None
        raise error


def _check_absent(client: Client, plan: Plan, absent: Mapping[str, set[str]]) -> None:
    """Warn of keys that only some runs have, where only their exports told.

    Raises:
        NotFoundError: No run has one of them.
    """
    if plan.having is None or not plan.unsure:
        return
    having = {key: plan.having[key] - absent[key] for key in plan.keys}
    for key, ids in having.items():
        if absent[key] and not ids:
            raise no_such_key(client, plan.runs, key, "SCALAR")
    warn_of_missing(having, len(plan.runs), plan.report, plan.query.x_key)


def _run_batches(plan: Plan, of_run: list[tuple[_Task, BatchSpool]]) -> Iterator[pa.RecordBatch]:
    if not plan.layout.is_wide:
        for task, spool in of_run:
            for i, key in enumerate(task.keys):
                for points in spool.read(i):
                    yield plan.layout.long_batch(task.run.run_id, key, points)
        return
    streams = [
        map(normalizer.as_block, spool.read(i))
        for task, spool in of_run
        for i in range(len(task.keys))
    ]
    yield from _wide(plan, [task for task, _ in of_run], streams, [1] * len(streams))


def _wide(
    plan: Plan,
    tasks: list[_Task],
    streams: Sequence[Iterator[pa.RecordBatch]],
    widths: Sequence[int],
) -> Iterator[pa.RecordBatch]:
    keys = [key for task in tasks for key in task.keys]
    for block in normalizer.merge_on_step(streams, widths, plan.report):
        yield plan.layout.wide_batch(tasks[0].run.run_id, keys, block)
