"""Sampled points: what the server picks out of each metric."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.runs.plan import Plan, chunks_of
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import SwanlabExportError
from swanlab_export.limits import EXPORT_COLUMNS_MAX, SAMPLE_MAX
from swanlab_export.messages import argument
from swanlab_export.normalizers import metrics as normalizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.find import FoundRun

_Read = TypeVar("_Read")


def fetch_raw_samples(context: Context, plan: Plan) -> list[dict[str, Any]]:
    """The samples as the server sent them, each with the id of its run."""
    return [
        endpoint.label_run(run.run_id, series)
        for run, payloads in _each_run(context, plan, lambda payloads: payloads)
        for payload in payloads
        for series in payload or []
        if series is not None
    ]


def sampled_batches(context: Context, plan: Plan) -> Iterator[pa.RecordBatch]:
    """Yield the sampled points, in rows of the table."""
    has_x_column = plan.layout.x_type is not None

    def read(payloads: list[Any]) -> dict[str, pa.RecordBatch]:
        found: dict[str, pa.RecordBatch] = {}
        for payload in payloads:
            found |= normalizer.read_sample(
                payload, plan.report, plan.query.x_axis, has_x_column=has_x_column
            )
        return found

    longest = 0
    for run, by_key in _each_run(context, plan, read):
        keys = plan.keys_of(run)
        found = {key: by_key[key] for key in keys if key in by_key}
        longest = max([longest, *(points.num_rows for points in found.values())])
        if plan.layout.is_wide:
            yield plan.layout.wide_batch(
                run.run_id, keys, normalizer.sample_block(found, keys, plan.report)
            )
            continue
        for key, points in found.items():
            yield plan.layout.long_batch(run.run_id, key, points)
    # A caller who asked for fewer points expects no more.
    if longest >= plan.query.sample == SAMPLE_MAX:
        rest = f"{argument('all', True)} fetches every point"
        plan.report.hint(f"a sample of at most {SAMPLE_MAX} points per key; {rest}")


def _each_run(
    context: Context, plan: Plan, read: Callable[[list[Any]], _Read]
) -> Iterator[tuple[FoundRun, _Read]]:
    """Fetch and read the samples of all runs concurrently; yield those that did not fail."""
    outcome = plan.outcome()

    def fetch(run: FoundRun) -> _Read | SwanlabExportError:
        try:
            return read(_fetch_samples(context, plan, run))
        except SwanlabExportError as error:
            return error

    with context.progress.bar("runs", total=len(plan.runs), unit="runs") as bar:
        for run, found in zip(plan.runs, context.client.map(fetch, plan.runs), strict=True):
            bar.add(1)
            if isinstance(found, SwanlabExportError):
                outcome.fail(run.ref, found)
            else:
                yield run, found


def _fetch_samples(context: Context, plan: Plan, run: FoundRun) -> list[Any]:
    x_key = plan.query.x_key
    fetch = partial(
        endpoint.fetch_sample,
        context.client,
        run.source,
        points=plan.query.sample,
        x_axis="step" if x_key else plan.query.x_axis,
        x_key=x_key,
    )
    return list(context.client.map(fetch, chunks_of(plan.keys_of(run), EXPORT_COLUMNS_MAX)))
