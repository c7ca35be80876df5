"""Tables of metrics for tests of plots."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.analysis import PointGroups
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def grouped(points: Sequence[Point], groups: Mapping[str, Any], **labels: Any) -> Table:
    """The groups of runs, with the points of the runs; the points of a run and key come together."""
    of_runs = [metrics(list(each)) for _, each in groupby(points, lambda point: point[:2])]
    keys = list(dict.fromkeys(point[1] for point in points))
    field = pa.field("step", schemas.INT)
    rows = PointGroups((batch for each in of_runs for batch in each), pa.table(groups), keys, field)
    behind = rows.points_of_runs()
    return Table("metrics_by_group", rows.schema, rows, points_of_runs=behind, **labels)
