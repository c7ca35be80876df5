"""Further columns of points: of their runs, of their times, and smoothed. Batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.analysis.smoothing import Smoother

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def join_runs(batch: pa.RecordBatch, runs: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with the columns of their runs after their own; ``run_id`` names the run of a row.

    Text columns are dictionary-encoded: a value is there once, and not in every row.

    Args:
        batch: The rows.
        runs: ``run_id``, each once, and the columns to add.
    """
    ids = batch["run_id"]
    known = runs["run_id"]
    # Most batches are of one run, which is looked up once.
    if pa.types.is_dictionary(ids.type):
        runs = runs.take(pc.index_in(ids.dictionary, value_set=known))
        at = ids.indices
    else:
        at = pc.index_in(ids, value_set=known)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, values in zip(runs.schema.names, runs.columns, strict=True):
        if name != "run_id":
            is_text = pa.types.is_string(values.type)
            columns[name] = (
                pa.DictionaryArray.from_arrays(at, values) if is_text else values.take(at)
            )
    return pa.record_batch(columns)


def add_times(batches: Iterable[pa.RecordBatch], *, is_relative: bool) -> Iterator[pa.RecordBatch]:
    """Points with their time as ``x``: UTC, or seconds since the first point of the run and key.

    Each batch has points of one run and key, with their timestamp.
    """
    starts: dict[tuple[str, str], int] = {}
    for batch in batches:
        times = batch["timestamp"]
        if is_relative:
            times = times.cast(pa.int64())
            first = pc.min(times).as_py()
            if first is not None:
                starts.setdefault(_series(batch), first)
            start = starts.get(_series(batch))
            times = pc.divide(pc.subtract(times, start).cast(pa.float64()), 1000.0)
        yield batch.append_column("x", times)


def add_smoothed(batches: Iterable[pa.RecordBatch], weight: float) -> Iterator[pa.RecordBatch]:
    """Points with their smoothed value, of each run and key by itself; see ``Smoother``.

    Each batch has points of one run and key.
    """
    smoother = Smoother(weight)
    for batch in batches:
        yield batch.append_column("smoothed", smoother.smooth(_series(batch), batch["value"]))


def _series(batch: pa.RecordBatch) -> tuple[str, str]:
    return batch["run_id"][0].as_py(), batch["key"][0].as_py()
