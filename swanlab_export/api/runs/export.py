"""Every point: exports of at most 16 keys of a run, downloaded concurrently."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.runs.downloads import open_download, presign
from swanlab_export.api.runs.keys import no_such_key
from swanlab_export.api.runs.plan import Plan, Steps, chunks_of
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.client import NotOfferedError
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import NotFoundError, SwanlabExportError
from swanlab_export.limits import EXPORT_COLUMNS_MAX
from swanlab_export.messages import quote
from swanlab_export.normalizers import metrics as normalizer
from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.metrics import ExportFilter
from swanlab_export.normalizers.ordering import StepOrder, in_step_order
from swanlab_export.normalizers.sampling import sample_evenly
from swanlab_export.normalizers.selection import Selection
from swanlab_export.pagination import in_batches
from swanlab_export.report import Report
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
# Statuses of a server, or a firewall in front of it, that does not tell a thing at all.
_NOT_TOLD = {400, 403, 404, 418}


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

    def __init__(self, plan: Plan, selection: Selection, tasks: Sequence[_Task], bar: Bar) -> None:
        self._selection = selection
        self._bar = bar
        self._is_single = _is_single(tasks)
        self._left = Counter(task.run.run_id for task in tasks)
        self._is_by_run = len(self._left) > 1
        self._lock = threading.Lock()
        self._rows = self._size_bytes = 0
        self._announced = plan.announced()
        self._report = plan.report

    def blocks(
        self, task: _Task, downloads: Sequence[Download], kept: list[bytes] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the selected blocks of one export, and check at the end that it was whole.

        ``kept`` gathers the bytes themselves, where they are wanted.
        """
        chosen = ExportFilter(task.keys, task.x_index, self._selection)
        for block in chosen.select(self._read(task, downloads, kept)):
            self._rows += block.num_rows
            self._bar.describe(f"{self._rows:,} rows, {self._size_bytes / 1e6:,.1f} MB")
            yield block
        announced = self._announced.get(task.run.run_id, {})
        has_length = all(download.has_length for download in downloads)
        chosen.check_whole(announced, must_be_announced=not has_length)
        self._finish(task)

    def spool_by_key(self, task: _Task, downloads: Sequence[Download]) -> BatchSpool:
        """Download an export, and sort its points into one queue per key."""
        tail = self._selection.tail
        return normalizer.spool_keys(self.blocks(task, downloads), len(task.keys), tail=tail)

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
            )

        if len(downloads) == 1:
            return read(downloads[0], task.columns)
        files = zip(downloads, task.columns, strict=True)
        in_order = [in_step_order(read(download, [column])) for download, column in files]
        return normalizer.merge_on_step(in_order, [1] * len(downloads), self._report)

    def _counted(self, download: Download, kept: list[bytes] | None) -> Iterator[bytes]:
        """Count bytes."""
        is_sized = False
        for chunk in download:
            self._size_bytes += len(chunk)
            if self._is_single:
                if not is_sized and download.size_bytes is not None:
                    self._bar.expect(download.size_bytes)
                    is_sized = True
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
    client: Client, runs: Sequence[FoundRun], keys: Sequence[str], report: Report
) -> Steps:
    """What the summaries say is the latest step of each key: an export must reach it."""
    named = ((run.run_id, run.source) for run in runs)
    try:
        # A run without a summary has no announced step, and its export is checked by its length.
        summaries = list(join_summaries(client, named, lambda _: keys, Report()))
    except SwanlabExportError as error:
        if error.status not in _NOT_TOLD:
            raise
        summaries = _latest_of_each(client, runs, error, report)
    return {run_id: endpoint.read_latest_steps(summary) for run_id, summary in summaries}


def _latest_of_each(
    client: Client, runs: Sequence[FoundRun], error: SwanlabExportError, report: Report
) -> list[tuple[str, Mapping[str, Any]]]:
    """Ask for the latest steps run by run; a run of which the server does not tell has none."""

    def fetch(run: FoundRun) -> dict[str, Any] | None:
        try:
            return endpoint.read_latest(endpoint.fetch_latest(client, run.source), "SCALAR")
        except SwanlabExportError as refused:
            if refused.status not in _NOT_TOLD:
                raise
            return None

    found = list(zip(runs, client.map(fetch, runs), strict=True))
    missing = sum(latest is None for _, latest in found)
    if missing:
        report.warn(
            f"the exports of {missing} of {len(found)} runs could not be checked against the "
            f"latest step, which the server does not tell: {error.message}"
        )
    return [(run.run_id, latest or {}) for run, latest in found]


def fetch_raw_exports(context: Context, plan: Plan) -> list[dict[str, Any]]:
    """The exported files as they are: whole, whatever range was asked for."""

    def use(tasks: list[_Task]) -> Iterator[dict[str, Any]]:
        with _bar(context, tasks) as bar:
            exports = _Exports(plan, Selection(), tasks, bar)

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
            exports = _Exports(plan, plan.query.selection, tasks, bar)
            if _is_streamable(plan, tasks):
                yield from _stream_export(context.client, plan, tasks[0], exports, can_restart)
                return
            for of_run in _each_run(context.client, plan, tasks, exports.spool_by_key):
                yield from _run_batches(plan, of_run)

    yield from _with_tasks(context.client, plan, use)


def exported_samples(
    context: Context, plan: Plan
) -> Iterator[tuple[FoundRun, dict[str, pa.RecordBatch]]]:
    """Yield for each run the points of each key as a sample has them, evenly spaced."""
    client = context.client
    steps = announced_steps(client, plan.runs, plan.keys, plan.report)
    plan = replace(plan, announced=lambda: steps)
    is_time = plan.query.x_axis == "time"

    def use(tasks: list[_Task]) -> Iterator[tuple[FoundRun, dict[str, pa.RecordBatch]]]:
        left_out = 0
        with _bar(context, tasks) as bar:
            exports = _Exports(plan, Selection(), tasks, bar)

            def read(
                task: _Task, downloads: Sequence[Download]
            ) -> dict[str, tuple[pa.RecordBatch, int]]:
                spool = exports.spool_by_key(task, downloads)
                return {
                    key: sample_evenly(partial(spool.read, i), plan.query.sample, is_time=is_time)
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
    return plan.layout.is_wide or len(tasks[0].keys) == 1


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
    blocks = exports.blocks(task, _open(client, task, _export(client, plan, task)))
    blocks = _while_in_order(blocks) if can_restart else in_step_order(blocks)
    if plan.layout.is_wide:
        yield from _wide(plan, [task], [blocks], [len(task.keys)])
        return
    for block in blocks:
        for _, points in normalizer.split_keys(block, 1):
            yield plan.layout.long_batch(task.run.run_id, task.keys[0], points)


def _while_in_order(blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield blocks as they come, as long as no step comes after a greater one."""
    order = StepOrder()
    for block in blocks:
        order.add(block["step"])
        if not order.is_in_order:
            raise RestartError
        yield block


def _tasks(client: Client, plan: Plan) -> Iterator[_Task]:
    x_key = plan.query.x_key
    is_split = endpoint.lacks_export(client)
    # The x axis is a column of its own.
    width = 1 if is_split else EXPORT_COLUMNS_MAX - (x_key is not None)
    for run in plan.runs:
        parts = chunks_of(plan.keys_of(run), width)
        for keys in parts:
            columns = keys if x_key is None or x_key in keys else [*keys, x_key]
            x_index = None if x_key is None else columns.index(x_key)
            yield _Task(run, keys, columns, x_index, is_split, is_last=keys is parts[-1])


def _export(client: Client, plan: Plan, task: _Task) -> list[str]:
    """Have the files of an export written: paths to presign, or URLs where each column has one."""
    source = task.run.source
    if not task.has_file_per_column:
        return [
            endpoint.read_export_path(
                endpoint.fetch_export(client, source, task.columns), str(task)
            )
        ]
    try:
        return [_column_url(client, task, column) for column in task.columns]
    except NotFoundError:
        if task.run.run_id in plan.unsure:
            raise
        # The key is there, so it is the endpoint that is missing, as the newer one is.
        endpoint.fetch_export(client, source, task.columns)
        raise


def _column_url(client: Client, task: _Task, column: str) -> str:
    payload = endpoint.fetch_column_file(client, task.run.source, column)
    return endpoint.read_column_url(payload, str(task))


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
        try:
            return _export(client, plan, task)
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
    outcome = plan.outcome()

    def fetch(
        opened: tuple[_Task, list[Download] | SwanlabExportError],
    ) -> _Read | SwanlabExportError:
        task, downloads = opened
        if isinstance(downloads, SwanlabExportError):
            return downloads
        try:
            return read(task, downloads)
        except SwanlabExportError as error:
            return error

    of_run: list[tuple[_Task, _Read]] = []
    results = client.map(fetch, _open_all(client, plan, tasks))
    absent = dict.fromkeys(plan.keys, 0)
    for task, found in zip(tasks, results, strict=True):
        if isinstance(found, NotOfferedError):
            raise found
        if isinstance(found, NotFoundError) and task.run.run_id in plan.unsure:
            absent[task.keys[0]] += 1
        elif isinstance(found, SwanlabExportError):
            outcome.fail(task.run.ref, found)
        else:
            of_run.append((task, found))
        if task.is_last:
            if of_run and not outcome.has_failed(task.run.ref):
                yield of_run
            of_run = []
    _check_absent(client, plan, absent)


def _check_absent(client: Client, plan: Plan, absent: Mapping[str, int]) -> None:
    """Warn of keys that some runs turned out not to have.

    Raises:
        NotFoundError: No run has one of them.
    """
    for key, count in absent.items():
        if count and count == len(plan.runs):
            raise no_such_key(client, plan.runs, key, "SCALAR")
        if count:
            plan.report.warn(f"{len(plan.runs) - count} of {len(plan.runs)} runs have {key}")


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
