"""Exported points → as many as a sample has, where the server draws no samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def sample_evenly(
    read: Callable[[], Iterable[pa.RecordBatch]],
    most: int,
    *,
    is_time: bool,
    has_text: bool = False,
) -> tuple[pa.RecordBatch, int]:
    """Choose at most ``most`` points of a key, evenly spaced, the first and the last among them.

    Args:
        read: Reads the points of the key (step, value, timestamp, maybe x) from the start.
        most: How many points at most.
        is_time: The axis ``x`` is the time of each point.
        has_text: Values that are no numbers are wanted as text.

    Returns:
        The points as ``read_sample`` gives them, and how many are left out because their value, or
        their x, is not finite.
    """
    finite = [_finite(points, has_text=has_text).num_rows for points in read()]
    left_out = sum(points.num_rows for points in read()) - sum(finite)
    positions = _positions(sum(finite), most)
    chosen: list[pa.RecordBatch] = []
    start = 0
    for points in (_finite(points, has_text=has_text) for points in read()):
        end = start + points.num_rows
        inside = [position - start for position in positions if start <= position < end]
        chosen.append(_on_axis(points.take(pa.array(inside, pa.int64())), is_time=is_time))
        start = end
    tables = [pa.Table.from_batches([points]) for points in chosen]
    sample = pa.concat_tables(tables, promote_options="default")
    # Not by ``to_batches``: without a point there would be none.
    columns = [column.combine_chunks() for column in sample.columns]
    return pa.record_batch(columns, schema=sample.schema), left_out


def _positions(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return [0] if most == 1 else [i * (count - 1) // (most - 1) for i in range(most)]


def _finite(points: pa.RecordBatch, *, has_text: bool) -> pa.RecordBatch:
    names = [name for name in ("value", "x") if name in points.schema.names]
    for name in names:
        is_kept = pc.fill_null(pc.is_finite(points[name]), False)
        if name == "value" and has_text and "text" in points.schema.names:
            is_kept = pc.or_(is_kept, points["text"].is_valid())
        points = points.filter(is_kept)
    return points


def _on_axis(points: pa.RecordBatch, *, is_time: bool) -> pa.RecordBatch:
    """Put points on another axis than the step as a sample has them: their step is not known."""
    columns = dict(zip(points.schema.names, points.columns, strict=True))
    if is_time:
        columns["x"] = columns["timestamp"]
    if "x" in columns:
        columns["step"] = pa.nulls(points.num_rows, schemas.INT)
    return pa.record_batch(columns)
