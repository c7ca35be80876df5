"""Tables of metrics for tests of plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

Point = tuple[str, str, int, float | None]


def metrics(points: Sequence[Point], *, x: pa.Array | None = None, **labels: Any) -> Table:
    """A long metrics table of (run, key, step, value), with dictionary-encoded text."""
    columns = list(zip(*points, strict=True)) or [()] * 4
    names = ["run_id", "key", "step", "value"]
    kinds = [schemas.TEXT, schemas.TEXT, schemas.INT, schemas.FLOAT]
    arrays = [pa.array(list(column), kind) for column, kind in zip(columns, kinds, strict=True)]
    if x is not None:
        arrays.append(x)
        names.append("x")
    batch = pa.record_batch(arrays, names=names)
    encoded = [each.dictionary_encode() if each.type == schemas.TEXT else each for each in arrays]
    return Table("metrics", batch.schema, [pa.record_batch(encoded, names=names)], **labels)


def line(values: Sequence[float | None], run: str = "r", key: str = "loss") -> list[Point]:
    """The points of one run and key, at the steps from 0 on."""
    return [(run, key, step, value) for step, value in enumerate(values)]


def runs_of(count: int, points: int = 4) -> list[Point]:
    """Some runs that go straight up, each a little steeper."""
    return [
        point
        for run in range(count)
        for point in line([i * (run + 1.0) for i in range(points)], f"run-{run}")
    ]
