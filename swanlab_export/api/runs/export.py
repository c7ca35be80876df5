"""Every point: exports of at most 16 keys of a run, downloaded concurrently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.runs.downloads import open_download, presign
from swanlab_export.api.runs.find import FoundRun, in_batches
from swanlab_export.api.runs.plan import Plan, Steps, chunks_of
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import SwanlabExportError
from swanlab_export.limits import EXPORT_COLUMNS_MAX
from swanlab_export.normalizers import metrics as normalizer
from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.metrics import ExportFilter
from swanlab_export.normalizers.ordering import StepOrder, in_step_order
from swanlab_export.normalizers.selection import Selection
from swanlab_export.report import Report
from swanlab_export.tables import RestartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.client import Client, Download
    from swanlab_export.progress import Bar
    from swanlab_export.spool import BatchSpool

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class _Task:
    """One export: at most 16 columns of one run, the x axis among them."""

    run: FoundRun
    keys: list[str]
    columns: list[str]
    x_index: int | None
    is_last: bool  # of its run

    def __str__(self) -> str:
        return f"the export of {self.run.ref}"


class _Exports:
    """Downloads exports and counts what comes, for all workers of one call."""

    def __init__(self, plan: Plan, selection: Selection, bar: Bar, *, is_single: bool) -> None:
        self._selection = selection
        self._bar = bar
        self._is_single = is_single
        self._rows = self._size_bytes = 0
        self._announced = plan.announced()
        self._report = plan.report

    def blocks(
        self, task: _Task, download: Download, kept: list[bytes] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the selected blocks of one export, and check at the end that it was whole.

        ``kept`` gathers the bytes themselves, where they are wanted.
        """
        chosen = ExportFilter(task.keys, task.x_index, self._selection)
        blocks = read_export(
            self._counted(download, kept),
            task.run.run_id,
            task.columns,
            self._report,
            must_end_line=lambda: not download.has_length,
        )
        for block in chosen.select(blocks):
            self._rows += block.num_rows
            self._bar.describe(f"{self._rows:,} rows, {self._size_bytes / 1e6:,.1f} MB")
            yield block
        announced = self._announced.get(task.run.run_id, {})
        chosen.check_whole(announced, must_be_announced=not download.has_length)

    def spool_by_key(self, task: _Task, download: Download) -> BatchSpool:
        """Download an export, and sort its points into one queue per key."""
        tail = self._selection.tail
        return normalizer.spool_keys(self.blocks(task, download), len(task.keys), tail=tail)

    def _counted(self, download: Download, kept: list[bytes] | None) -> Iterator[bytes]:
        """Count bytes; the progress of a single export is in bytes, that of many in exports."""
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
        if not self._is_single:
            self._bar.add(1)


def announced_steps(client: Client, runs: Sequence[FoundRun], keys: Sequence[str]) -> Steps:
    """What the summaries say is the latest step of each key: an export must reach it."""
    named = ((run.run_id, run.source) for run in runs)
    # A run without a summary has no announced step, and its export is checked by its length.
    summaries = join_summaries(client, named, lambda _: keys, Report())
    return {run_id: endpoint.read_latest_steps(summary) for run_id, summary in summaries}


def fetch_raw_exports(context: Context, plan: Plan) -> list[dict[str, Any]]:
    """The exported files as they are: whole, whatever range was asked for."""
    tasks = list(_tasks(plan))
    with context.progress.bar("metrics", total=len(tasks), unit="exports") as bar:
        exports = _Exports(plan, Selection(), bar, is_single=False)

        def read(task: _Task, download: Download) -> dict[str, Any]:
            kept: list[bytes] = []
            for _ in exports.blocks(task, download, kept):
                pass
            text = b"".join(kept).decode()
            return endpoint.label_run(task.run.run_id, {"keys": task.columns, "csv": text})

        by_run = _each_run(context.client, plan, tasks, read)
        return [payload for of_run in by_run for _, payload in of_run]


def exported_batches(
    context: Context, plan: Plan, *, can_restart: bool
) -> Iterator[pa.RecordBatch]:
    """Yield every wanted point, in rows of the table, each key in step order.

    Raises:
        RestartError: Only if ``can_restart``: rows were yielded, and then an earlier step came.
    """
    tasks = list(_tasks(plan))
    is_single = len(tasks) == 1
    total, unit = (None, "B") if is_single else (len(tasks), "exports")
    with context.progress.bar("metrics", total=total, unit=unit) as bar:
        bar.describe("the server writes the export")
        exports = _Exports(plan, plan.query.selection, bar, is_single=is_single)
        is_streamable = is_single and plan.query.selection.tail is None
        if is_streamable and (plan.layout.is_wide or len(tasks[0].keys) == 1):
            yield from _stream_export(context.client, plan, tasks[0], exports, can_restart)
        else:
            for of_run in _each_run(context.client, plan, tasks, exports.spool_by_key):
                yield from _run_batches(plan, of_run)


def _stream_export(
    client: Client, plan: Plan, task: _Task, exports: _Exports, can_restart: bool
) -> Iterator[pa.RecordBatch]:
    """Pass one export through, whose rows come in the order in which they are wanted.

    Whether they do shows at the last row. Who cannot start again waits for it.
    """
    blocks = exports.blocks(task, _open(client, task, _export(client, task)))
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


def _tasks(plan: Plan) -> Iterator[_Task]:
    x_key = plan.query.x_key
    width = EXPORT_COLUMNS_MAX - (x_key is not None)  # the x axis is a column of its own
    for run in plan.runs:
        parts = chunks_of(plan.keys_of(run), width)
        for keys in parts:
            columns = keys if x_key is None or x_key in keys else [*keys, x_key]
            x_index = None if x_key is None else columns.index(x_key)
            yield _Task(run, keys, columns, x_index, is_last=keys is parts[-1])


def _export(client: Client, task: _Task) -> str:
    payload = endpoint.fetch_export(client, task.run.source, task.columns)
    return endpoint.read_export_path(payload, str(task))


def _open(client: Client, task: _Task, path: str, url: str | None = None) -> Download:
    # The announced steps and the end of the last line tell whether it is whole.
    return open_download(client, path, str(task), url, needs_length=False)


def _open_all(
    client: Client, tasks: Sequence[_Task]
) -> Iterator[tuple[_Task, Download | SwanlabExportError]]:
    """Have exports written concurrently, and presign as many at once as are in flight."""

    def export(task: _Task) -> str | SwanlabExportError:
        try:
            return _export(client, task)
        except SwanlabExportError as error:
            return error

    written = zip(tasks, client.map(export, tasks), strict=True)
    for some in in_batches(written, client.jobs):
        paths = [path for _, path in some if isinstance(path, str)]
        try:
            urls = dict(zip(paths, presign(client, paths), strict=True)) if paths else {}
        except SwanlabExportError:
            urls = {}  # each download asks for its own, and fails in the name of its run
        for task, path in some:
            if isinstance(path, str):
                yield task, _open(client, task, path, urls.get(path))
            else:
                yield task, path


def _each_run(
    client: Client,
    plan: Plan,
    tasks: list[_Task],
    read: Callable[[_Task, Download], _Read],
) -> Iterator[list[tuple[_Task, _Read]]]:
    """Download and read all exports concurrently; yield those of each run that did not fail."""
    outcome = plan.outcome()

    def fetch(opened: tuple[_Task, Download | SwanlabExportError]) -> _Read | SwanlabExportError:
        task, download = opened
        if isinstance(download, SwanlabExportError):
            return download
        try:
            return read(task, download)
        except SwanlabExportError as error:
            return error

    of_run: list[tuple[_Task, _Read]] = []
    results = client.map(fetch, _open_all(client, tasks))
    for task, found in zip(tasks, results, strict=True):
        if isinstance(found, SwanlabExportError):
            outcome.fail(task.run.ref, found)
        else:
            of_run.append((task, found))
        if task.is_last:
            if not outcome.has_failed(task.run.ref):
                yield of_run
            of_run = []


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
