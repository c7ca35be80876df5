"""Every point: exports of at most 16 keys of a run, downloaded side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export import schemas
from swanlab_export.api.exports import download_file, exported_path, presigned_urls
from swanlab_export.api.keys import fetch_summaries
from swanlab_export.api.metrics_plan import MetricsPlan, chunks_of
from swanlab_export.api.resolve import FoundRun, in_batches
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import SwanlabExportError
from swanlab_export.normalizers import metrics as normalizer
from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.metrics import ExportFilter
from swanlab_export.normalizers.selection import Selection
from swanlab_export.normalizers.values import as_object, read_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.client.download import Download
    from swanlab_export.normalizers.spool import BatchSpool
    from swanlab_export.progress import Bar

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class _Task:
    """One export: at most 16 columns of one run, the x axis among them."""

    run: FoundRun
    keys: list[str]
    columns: list[str]
    x_place: int | None
    is_last: bool  # of its run


class _Exports:
    """Downloads exports and counts what comes, for all workers of one call."""

    def __init__(self, plan: MetricsPlan, bar: Bar, *, is_single: bool) -> None:
        self._plan = plan
        self._bar = bar
        self._is_single = is_single
        self._rows = self._size_bytes = 0
        self._announced = plan.announced()

    def blocks(
        self, task: _Task, download: Download, kept: list[bytes] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the selected blocks of one export, and check at the end that it was whole.

        ``kept`` gathers the bytes themselves, where somebody wants them.
        """
        chosen = ExportFilter(task.keys, task.x_place, self._plan.selection)
        blocks = read_export(
            self._counted(download, kept),
            task.run.run_id,
            task.columns,
            must_end_line=lambda: not download.is_framed,
        )
        for block in chosen.select(blocks):
            self._rows += block.num_rows
            self._bar.note(f"{self._rows:,} rows, {self._size_bytes / 1e6:,.1f} MB")
            yield block
        announced = self._announced.get(task.run.run_id, {})
        chosen.check_whole(announced, must_be_announced=not download.is_framed)

    def spool_by_key(self, task: _Task, download: Download) -> BatchSpool:
        """Download an export, and sort its points into one slot per key."""
        tail = self._plan.selection.tail
        return normalizer.spool_keys(self.blocks(task, download), len(task.keys), tail=tail)

    def _counted(self, download: Download, kept: list[bytes] | None) -> Iterator[bytes]:
        """Count bytes; the bar of a single export measures them, that of many counts exports."""
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


def _open_export(context: Context, task: _Task) -> Download:
    """Have one export written, and open its download."""
    return _download(context, task, _export(context, task))


def _download(context: Context, task: _Task, path: str, url: str | None = None) -> Download:
    # The announced steps and the end of the last line tell whether it is whole.
    return download_file(context, path, _what(task), url, must_be_framed=False)


def _export(context: Context, task: _Task) -> str:
    wire = endpoint.fetch_export(context.client, task.run.source, task.columns)
    return exported_path(wire, _what(task))


def _what(task: _Task) -> str:
    return f"the export of {task.run.path}"


def _downloads(
    context: Context, tasks: Sequence[_Task]
) -> Iterator[tuple[_Task, Download | SwanlabExportError]]:
    """Have many exports written side by side, and presign as many at once as are in flight."""

    def export(task: _Task) -> str | SwanlabExportError:
        try:
            return _export(context, task)
        except SwanlabExportError as error:
            return error

    done = zip(tasks, context.client.map(export, tasks), strict=True)
    for some in in_batches(done, context.client.jobs):
        paths = [path for _, path in some if isinstance(path, str)]
        try:
            urls = dict(zip(paths, presigned_urls(context, paths), strict=True))
        except SwanlabExportError:
            urls = {}  # each download asks for its own, and fails in the name of its run
        for task, path in some:
            if isinstance(path, str):
                yield task, _download(context, task, path, urls.get(path))
            else:
                yield task, path


def announced_steps(
    context: Context, runs: Sequence[FoundRun], keys: Sequence[str]
) -> dict[str, dict[str, int]]:
    """What the summaries say is the latest step of each key: an export must reach it."""
    announced: dict[str, dict[str, int]] = {}
    for run, summary in fetch_summaries(context, runs, keys):
        items = {k: as_object(item, "a summary") for k, item in (summary or {}).items() if item}
        steps = {k: read_value("step", schemas.INT, item.get("step")) for k, item in items.items()}
        announced[run.run_id] = {key: step for key, step in steps.items() if step is not None}
    return announced


def _tasks(plan: MetricsPlan) -> Iterator[_Task]:
    for run in plan.runs:
        parts = chunks_of(plan.keys_of(run), _width(plan))
        for keys in parts:
            x_key = plan.x_key
            columns = keys if x_key is None or x_key in keys else [*keys, x_key]
            x_place = None if x_key is None else columns.index(x_key)
            yield _Task(run, keys, columns, x_place, is_last=keys is parts[-1])


def _width(plan: MetricsPlan) -> int:
    """How many keys fit into one export: the x axis takes a place of its own."""
    return endpoint.COLUMNS_MAX - (plan.x_key is not None)


def full_wire(context: Context, plan: MetricsPlan, failures: list[str]) -> Any:
    """The exported files as they are, for ``--raw``: whole, whatever range was asked for."""
    tasks = list(_tasks(plan))
    with context.progress.bar("metrics", total=len(tasks), unit="exports") as bar:
        exports = _Exports(replace(plan, selection=Selection()), bar, is_single=False)

        def read(task: _Task, download: Download) -> dict[str, Any]:
            kept: list[bytes] = []
            for _ in exports.blocks(task, download, kept):
                pass
            text = b"".join(kept).decode()
            return {"experimentId": task.run.run_id, "keys": task.columns, "csv": text}

        by_run = _each_run(context, plan, tasks, failures, read)
        return [wire for of_run in by_run for _, wire in of_run]


def full_parts(
    context: Context, plan: MetricsPlan, failures: list[str]
) -> Iterator[pa.RecordBatch]:
    """Yield every wanted point, in rows of the table; what failed and may goes to ``failures``."""
    tasks = list(_tasks(plan))
    is_single = len(tasks) == 1
    total, unit = (None, "B") if is_single else (len(tasks), "exports")
    with context.progress.bar("metrics", total=total, unit=unit) as bar:
        bar.note("the server writes the export")
        exports = _Exports(plan, bar, is_single=is_single)
        is_lone = is_single and plan.selection.tail is None
        if is_lone and (plan.layout.is_wide or len(tasks[0].keys) == 1):
            yield from _lone_parts(context, plan, tasks, exports)
        else:
            yield from _spooled_parts(context, plan, tasks, exports, failures)


def _lone_parts(
    context: Context, plan: MetricsPlan, tasks: list[_Task], exports: _Exports
) -> Iterator[pa.RecordBatch]:
    """Pass one export through, whose rows come in the order in which they are wanted."""
    task = tasks[0]
    blocks = exports.blocks(task, _open_export(context, task))
    if plan.layout.is_wide:
        yield from _wide(plan, tasks, [blocks], [len(task.keys)])
        return
    for block in blocks:
        for _, points in normalizer.split_keys(block, 1):
            yield plan.layout.long_batch(task.run.run_id, task.keys[0], points)


def _spooled_parts(
    context: Context,
    plan: MetricsPlan,
    tasks: list[_Task],
    exports: _Exports,
    failures: list[str],
) -> Iterator[pa.RecordBatch]:
    """Download many exports side by side, and give out their points in the order asked for."""
    for of_run in _each_run(context, plan, tasks, failures, exports.spool_by_key):
        yield from _run_parts(plan, of_run)


def _each_run(
    context: Context,
    plan: MetricsPlan,
    tasks: list[_Task],
    failures: list[str],
    read: Callable[[_Task, Download], _Read],
) -> Iterator[list[tuple[_Task, _Read]]]:
    """Download and read all exports side by side; yield those of each run that could be had."""
    outcome = plan.outcome(failures)

    def fetch(opened: tuple[_Task, Download | SwanlabExportError]) -> _Read | SwanlabExportError:
        task, download = opened
        if isinstance(download, SwanlabExportError):
            return download
        try:
            return read(task, download)
        except SwanlabExportError as error:
            return error

    of_run: list[tuple[_Task, _Read]] = []
    done = context.client.map(fetch, _downloads(context, tasks))
    for task, found in zip(tasks, done, strict=True):
        if isinstance(found, SwanlabExportError):
            outcome.fail(task.run.path, found)
        else:
            of_run.append((task, found))
        if task.is_last:
            if not outcome.has_failed(task.run.path):
                yield of_run
            of_run = []


def _run_parts(
    plan: MetricsPlan, of_run: list[tuple[_Task, BatchSpool]]
) -> Iterator[pa.RecordBatch]:
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
    plan: MetricsPlan,
    tasks: list[_Task],
    streams: Sequence[Iterator[pa.RecordBatch]],
    widths: Sequence[int],
) -> Iterator[pa.RecordBatch]:
    keys = [key for task in tasks for key in task.keys]
    for block in normalizer.merge_on_step(streams, widths):
        yield plan.layout.wide_batch(tasks[0].run.run_id, keys, block)
