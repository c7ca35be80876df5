"""Sampled points: what the server picks out of each metric."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from swanlab_export.api.metrics_plan import MetricsPlan, chunks_of, give_up
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import SwanlabExportError
from swanlab_export.normalizers import metrics as normalizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.api.resolve import FoundRun


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


def sample_wire(context: Context, plan: MetricsPlan) -> Any:
    """The samples as the server sent them, for ``--raw``."""
    answers = [_fetch_samples(context, plan, run) for run in plan.runs]
    return [series for of_run in answers for wire in of_run for series in wire or []]


def sample_parts(
    context: Context, plan: MetricsPlan, failures: list[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the sampled points, in rows of the table; what failed and may goes to ``failures``."""

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
                give_up(plan, run, found, failures)
                continue
            keys = plan.keys_of(run)
            if plan.layout.is_wide:
                block = normalizer.sample_block(found, keys)
                yield plan.layout.wide_batch(run.run_id, keys, block)
                continue
            for key in keys:
                if key in found:
                    yield plan.layout.long_batch(run.run_id, key, found[key])
