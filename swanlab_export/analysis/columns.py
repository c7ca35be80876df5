"""Further columns of points: of their runs, of their times, and smoothed. Batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.analysis.smoothing import Smoother

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def join_runs(
    batches: Iterable[pa.RecordBatch], runs: pa.RecordBatch, fields: Sequence[pa.Field]
) -> Iterator[pa.RecordBatch]:
    """Rows with the columns of their runs; ``run_id`` names the run of a row.

    Text columns are dictionary-encoded: a value is there once, and not in every row.

    Args:
        batches: The rows, which have columns of the same types in each batch.
        runs: ``run_id``, each once, and the columns to add.
        fields: All columns, in the order in which they are wanted.
    """
    known = runs["run_id"]
    added = [name for name in runs.schema.names if name != "run_id"]
    found, dictionary, schema = runs, None, None
    for batch in batches:
        ids = batch["run_id"]
        if not pa.types.is_dictionary(ids.type):
            at = pc.index_in(ids, value_set=known)
        else:
            at = ids.indices
            # Many batches are of one run, which is looked up once.
            if dictionary is None or not dictionary.equals(ids.dictionary):
                dictionary = ids.dictionary
                found = runs.take(pc.index_in(dictionary, value_set=known))
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name in added:
            values = found[name]
            is_text = pa.types.is_string(values.type)
            columns[name] = encode(at, values) if is_text else values.take(at)
        if schema is None:
            schema = pa.schema([field.with_type(columns[field.name].type) for field in fields])
        yield pa.record_batch([columns[field.name] for field in fields], schema=schema)


def encode(at: pa.Array, values: pa.Array) -> pa.DictionaryArray:
    """Text of which each value is there once: for each row the value at ``at``, an integer or null.

    A missing value is so in the row: Parquet takes no null among the values.
    """
    if values.null_count:
        kept = values.drop_null()
        at, values = pc.index_in(values, value_set=kept).take(at), kept
    return pa.DictionaryArray.from_arrays(at, values, safe=False)


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
