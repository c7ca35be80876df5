"""``run metrics``: points of one run or many, sampled or in full, long or wide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.api.exports import download_file, exported_path, presigned_urls
from swanlab_export.api.ranges import Range, check_x_axis, plan_selection
from swanlab_export.api.resolve import (
    FoundRun,
    fetch_summaries,
    find_keys,
    in_batches,
    one_failed,
    parse_keys,
)
from swanlab_export.api.run import find_many
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import (
    SwanlabExportError,
    UsageError,
    argument,
)
from swanlab_export.normalizers import metrics as normalizer
from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.metrics import ExportFilter, Layout
from swanlab_export.normalizers.spool import BatchSpool
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from swanlab_export.api.filters import Where
    from swanlab_export.client.download import Download
    from swanlab_export.normalizers.selection import Selection
    from swanlab_export.progress import Bar


@dataclass(frozen=True)
class _Plan:
    """What was asked for, checked and resolved: from here on only data are fetched."""

    runs: list[FoundRun]
    keys: list[str]
    having: dict[str, set[str]]
    x_axis: str
    x_key: str | None
    selection: Selection
    layout: Layout
    sample: int
    skip_failed: bool

    def keys_of(self, run: FoundRun) -> list[str]:
        """The keys that this run has, in the order asked for."""
        return [key for key in self.keys if run.run_id in self.having[key]]


def metrics(
    context: Context,
    paths: Sequence[str],
    *,
    keys: str | Sequence[str],
    project: str | None = None,
    where: Where = None,
    full: bool = False,
    sample: int = endpoint.SAMPLE_MAX,
    x_axis: str = "step",
    range_query: Range | None = None,
    layout: str = "long",
    ignore_timestamp: bool = False,
    skip_failed: bool = False,
) -> Answer:
    """Points of metrics, one row per run, key and step (``wide``: per run and step).

    Sampled by the server unless ``full`` or a range is asked for; then every point is downloaded
    and streams through. See the public ``run.metrics`` for all arguments.
    """
    patterns = parse_keys(keys)
    check_x_axis(x_axis)
    if layout not in {"long", "wide"}:
        raise UsageError(f"{argument('layout')} is long or wide")
    if sample < 1:
        raise UsageError(f"{argument('sample')} must be at least 1")
    selection = plan_selection(range_query, x_axis, context.now_ms(), is_full=full)
    is_full = full or range_query is not None
    runs, failures = find_many(context, paths, project, where, skip_failed=skip_failed)
    x_key = None if x_axis in {"step", "time", "relative_time"} else x_axis
    found, having = find_keys(context, runs, patterns, "SCALAR")
    if x_key is not None:
        _, having_x = find_keys(context, runs, [x_key], "SCALAR")
        having = {key: ids & having_x[x_key] for key, ids in having.items()}
    x_type = None if x_axis == "step" else schemas.TIME if x_axis == "time" else schemas.FLOAT
    plan = _Plan(
        runs,
        found,
        having,
        x_axis,
        x_key,
        selection,
        Layout(
            tuple(run.run_id for run in runs),
            tuple(found),
            x_type,
            is_wide=layout == "wide",
            has_timestamp=not ignore_timestamp,
        ),
        min(sample, endpoint.SAMPLE_MAX),
        skip_failed,
    )
    source = source_of(
        context,
        "run metrics",
        ", ".join(paths) or project,
        keys=patterns,
        full=full,
        sample=None if is_full else plan.sample,
        x_axis=x_axis,
        layout=layout,
        range=None if range_query is None else str(range_query),
    )
    notes = _notes(plan, sample, is_full=is_full)
    wire = _full_wire if is_full else _sample_wire
    return Answer(
        plan,
        lambda plan: _table(context, plan, notes, failures, is_full=is_full),
        source,
        raw=lambda plan: wire(context, plan),
    )


def _notes(plan: _Plan, sample: int, *, is_full: bool) -> list[str]:
    notes = []
    if sample > endpoint.SAMPLE_MAX and not is_full:
        notes.append(
            f"{argument('sample')} is capped at {endpoint.SAMPLE_MAX}; "
            f"{argument('full')} fetches every point"
        )
    count = len(plan.runs)
    notes.extend(
        f"{len(plan.having[key])} of {count} runs have {key}"
        for key in plan.keys
        if len(plan.having[key]) < count
    )
    notes.extend(plan.layout.notes())
    return notes


def _table(
    context: Context, plan: _Plan, notes: list[str], failures: list[str], *, is_full: bool
) -> Table:
    parts = _full_parts if is_full else _sample_parts
    table = Table("metrics", plan.layout.schema(), parts(context, plan, failures), notes=notes)
    table.names = {run.run_id: run.name for run in plan.runs}
    table.failures = failures
    return table


def _give_up(plan: _Plan, run: FoundRun, error: SwanlabExportError, failures: list[str]) -> None:
    """A run of many that failed ends it, unless it may be skipped."""
    if len(plan.runs) == 1:
        raise error
    named = one_failed(run.path, error)
    if not plan.skip_failed:
        raise named from None
    failures.append(named.message)


# --- sampled ---------------------------------------------------------------------------------


def _fetch_samples(context: Context, plan: _Plan, run: FoundRun) -> list[Any]:
    keys = plan.keys_of(run)
    fetch = partial(
        endpoint.fetch_sample,
        context.client,
        run.source,
        points=plan.sample,
        x_axis="step" if plan.x_key else plan.x_axis,
        x_key=plan.x_key,
    )
    return list(context.client.map(fetch, _chunks(keys, endpoint.COLUMNS_MAX)))


def _sample_wire(context: Context, plan: _Plan) -> Any:
    answers = [_fetch_samples(context, plan, run) for run in plan.runs]
    return [series for of_run in answers for wire in of_run for series in wire or []]


def _sample_parts(context: Context, plan: _Plan, failures: list[str]) -> Iterator[pa.RecordBatch]:
    def fetch(run: FoundRun) -> dict[str, pa.RecordBatch] | SwanlabExportError:
        try:
            found: dict[str, pa.RecordBatch] = {}
            for wire in _fetch_samples(context, plan, run):
                found |= normalizer.read_sample(
                    wire, plan.x_axis, has_x_column=plan.layout.x_type is not None
                )
        except SwanlabExportError as error:
            return error
        return found

    with context.progress.bar("runs", total=len(plan.runs), unit="runs") as bar:
        for run, found in zip(plan.runs, context.client.map(fetch, plan.runs), strict=True):
            bar.add(1)
            if isinstance(found, SwanlabExportError):
                _give_up(plan, run, found, failures)
                continue
            keys = plan.keys_of(run)
            if plan.layout.is_wide:
                block = normalizer.sample_block(found, keys)
                yield plan.layout.wide_batch(run.run_id, keys, block)
                continue
            for key in keys:
                if key in found:
                    yield plan.layout.long_batch(run.run_id, key, found[key])


# --- in full ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """One export: at most 16 columns of one run, the x axis among them."""

    run: FoundRun
    keys: list[str]
    columns: list[str]
    x_place: int | None


class _Exports:
    """Downloads exports and counts what comes, for all workers of one call."""

    def __init__(self, context: Context, plan: _Plan, bar: Bar, *, is_single: bool) -> None:
        self._plan = plan
        self._bar = bar
        self._is_single = is_single
        self._rows = self._size_bytes = 0
        self._announced = context.client.begin(lambda: _announced_steps(context, plan))

    def blocks(self, task: _Task, download: Download) -> Iterator[pa.RecordBatch]:
        """Yield the selected blocks of one export, and check at the end that it was whole."""
        # Before the download takes its place in flight, which this answer may need.
        announced = self._announced().get(task.run.run_id, {})
        chosen = ExportFilter(task.keys, task.x_place, self._plan.selection)
        blocks = read_export(
            self._counted(download),
            task.run.run_id,
            task.columns,
            must_end_line=lambda: not download.is_framed,
        )
        for block in chosen.select(blocks):
            self._rows += block.num_rows
            self._bar.note(f"{self._rows:,} rows, {self._size_bytes / 1e6:,.1f} MB")
            yield block
        chosen.check_whole(announced)

    def spool_by_key(self, task: _Task, download: Download) -> BatchSpool:
        """Download an export, and sort its points into one slot per key."""
        tail = self._plan.selection.tail
        return normalizer.spool_keys(self.blocks(task, download), len(task.keys), tail=tail)

    def _counted(self, download: Download) -> Iterator[bytes]:
        """Count bytes; the bar of a single export measures them, that of many counts exports."""
        is_sized = False
        for chunk in download:
            self._size_bytes += len(chunk)
            if self._is_single:
                if not is_sized and download.size_bytes is not None:
                    self._bar.expect(download.size_bytes)
                    is_sized = True
                self._bar.add(len(chunk))
            yield chunk
        if not self._is_single:
            self._bar.add(1)


def _open_export(context: Context, task: _Task) -> Download:
    """Have one export written, and open its download."""
    return download_file(context, _export(context, task), _what(task))


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
                yield task, download_file(context, path, _what(task), urls.get(path))
            else:
                yield task, path


def _announced_steps(context: Context, plan: _Plan) -> dict[str, dict[str, int | None]]:
    """What the summaries say is the latest step of each key: an export must reach it."""
    announced: dict[str, dict[str, int | None]] = {}
    for run, summary in fetch_summaries(context, plan.runs, plan.keys):
        steps = {key: item.get("step") for key, item in (summary or {}).items() if item}
        announced[run.run_id] = {k: s for k, s in steps.items() if isinstance(s, int)}
    return announced


def _tasks(plan: _Plan) -> Iterator[_Task]:
    for run in plan.runs:
        keys = plan.keys_of(run)
        yield from (_task(run, some, plan.x_key) for some in _chunks(keys, _width(plan)))


def _task(run: FoundRun, keys: list[str], x_key: str | None) -> _Task:
    columns = keys if x_key is None or x_key in keys else [*keys, x_key]
    return _Task(run, keys, columns, None if x_key is None else columns.index(x_key))


def _width(plan: _Plan) -> int:
    """How many keys fit into one export: the x axis takes a place of its own."""
    return endpoint.COLUMNS_MAX - (plan.x_key is not None)


def _full_wire(context: Context, plan: _Plan) -> Any:
    """The exported files as they are, for ``--raw``."""

    def fetch(task: _Task) -> dict[str, Any]:
        text = b"".join(_open_export(context, task)).decode()
        return {"experimentId": task.run.run_id, "keys": task.columns, "csv": text}

    return list(context.client.map(fetch, list(_tasks(plan))))


def _full_parts(context: Context, plan: _Plan, failures: list[str]) -> Iterator[pa.RecordBatch]:
    tasks = list(_tasks(plan))
    is_single = len(tasks) == 1
    total, unit = (None, "B") if is_single else (len(tasks), "exports")
    with context.progress.bar("metrics", total=total, unit=unit) as bar:
        bar.note("the server writes the export")
        exports = _Exports(context, plan, bar, is_single=is_single)
        is_lone = is_single and plan.selection.tail is None
        if is_lone and (plan.layout.is_wide or len(tasks[0].keys) == 1):
            yield from _lone_parts(context, plan, tasks, exports)
        else:
            yield from _spooled_parts(context, plan, tasks, exports, failures)


def _lone_parts(
    context: Context, plan: _Plan, tasks: list[_Task], exports: _Exports
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
    plan: _Plan,
    tasks: list[_Task],
    exports: _Exports,
    failures: list[str],
) -> Iterator[pa.RecordBatch]:
    """Download many exports side by side, and give out their points in the order asked for."""

    def fetch(
        opened: tuple[_Task, Download | SwanlabExportError],
    ) -> BatchSpool | SwanlabExportError:
        task, download = opened
        if isinstance(download, SwanlabExportError):
            return download
        try:
            return exports.spool_by_key(task, download)
        except SwanlabExportError as error:
            return error

    failed: set[str] = set()
    of_run: list[tuple[_Task, BatchSpool]] = []
    spools = context.client.map(fetch, _downloads(context, tasks))
    for task, spool in zip(tasks, spools, strict=True):
        if isinstance(spool, SwanlabExportError):
            if task.run.run_id not in failed:
                _give_up(plan, task.run, spool, failures)
            failed.add(task.run.run_id)
        of_run.append((task, spool)) if isinstance(spool, BatchSpool) else None
        if task is not _last_of(tasks, task.run):
            continue
        if task.run.run_id not in failed:
            yield from _run_parts(plan, of_run)
        of_run = []


def _last_of(tasks: list[_Task], run: FoundRun) -> _Task:
    return next(task for task in reversed(tasks) if task.run is run)


def _run_parts(plan: _Plan, of_run: list[tuple[_Task, BatchSpool]]) -> Iterator[pa.RecordBatch]:
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
    plan: _Plan,
    tasks: list[_Task],
    streams: Sequence[Iterator[pa.RecordBatch]],
    widths: Sequence[int],
) -> Iterator[pa.RecordBatch]:
    keys = [key for task in tasks for key in task.keys]
    for block in normalizer.merge_on_step(streams, widths):
        yield plan.layout.wide_batch(tasks[0].run.run_id, keys, block)


def _chunks(keys: Sequence[str], size: int) -> list[list[str]]:
    return [list(keys[i : i + size]) for i in range(0, len(keys), size)]
