"""Sampled points: what the server picks out of each metric."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.metrics_plan import MetricsPlan, chunks_of
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import SwanlabExportError, argument
from swanlab_export.normalizers import metrics as normalizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.api.resolve import FoundRun

_Read = TypeVar("_Read")


def _fetch_samples(context: Context, plan: MetricsPlan, run: FoundRun) -> list[Any]:
    keys = plan.keys_of(run)
    fetch = partial(
        endpoint.fetch_sample,
        context.client,
        run.source,
        points=plan.sample,
        x_axis="step" if plan.x_key else plan.x_axis,
        x_key=plan.x_key,
    )
    return list(context.client.map(fetch, chunks_of(keys, endpoint.COLUMNS_MAX)))


def sample_wire(context: Context, plan: MetricsPlan, failures: list[str]) -> Any:
    """The samples as the server sent them, each with the id of its run, for ``--raw``."""
    return [
        {"experimentId": run.run_id, **series}
        for run, wires in _each_run(context, plan, failures, lambda wires: wires)
        for wire in wires
        for series in wire or []
        if series is not None
    ]


def sample_parts(
    context: Context, plan: MetricsPlan, notes: list[str], failures: list[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the sampled points, in rows of the table; what failed and may goes to ``failures``."""
    has_x_column = plan.layout.x_type is not None

    def read(wires: list[Any]) -> dict[str, pa.RecordBatch]:
        found: dict[str, pa.RecordBatch] = {}
        for wire in wires:
            found |= normalizer.read_sample(wire, plan.x_axis, has_x_column=has_x_column)
        return found

    longest = 0
    for run, found in _each_run(context, plan, failures, read):
        longest = max([longest, *(points.num_rows for points in found.values())])
        keys = plan.keys_of(run)
        if plan.layout.is_wide:
            yield plan.layout.wide_batch(run.run_id, keys, normalizer.sample_block(found, keys))
            continue
        for key in keys:
            if key in found:
                yield plan.layout.long_batch(run.run_id, key, found[key])
    # Who asked for fewer knows.
    if longest >= plan.sample == endpoint.SAMPLE_MAX:
        rest = f"{argument('full', True)} fetches every point"
        notes.append(f"a sample of at most {plan.sample} points per key; {rest}")


def _each_run(
    context: Context,
    plan: MetricsPlan,
    failures: list[str],
    read: Callable[[list[Any]], _Read],
) -> Iterator[tuple[FoundRun, _Read]]:
    """Fetch and read the samples of all runs side by side; yield those that could be had."""
    outcome = plan.outcome(failures)

    def fetch(run: FoundRun) -> _Read | SwanlabExportError:
        try:
            return read(_fetch_samples(context, plan, run))
        except SwanlabExportError as error:
            return error

    with context.progress.bar("runs", total=len(plan.runs), unit="runs") as bar:
        for run, found in zip(plan.runs, context.client.map(fetch, plan.runs), strict=True):
            bar.add(1)
            if isinstance(found, SwanlabExportError):
                outcome.fail(run.path, found)
            else:
                yield run, found
