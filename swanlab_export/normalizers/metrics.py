"""Points of metrics → the metrics table, long or wide. Columnar from end to end.

An export is read block by block. The long table wants one key after the other, the wide one all
exports of a run side by side: what has to wait for that waits in a spool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export import schemas
from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.normalizers.flatten import Row, put
from swanlab_export.normalizers.spool import BatchSpool
from swanlab_export.normalizers.values import as_float, as_int, as_list, as_object, scale_to_ms
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from swanlab_export.normalizers.selection import Selection


class _Names:
    """Names that a column repeats, as one list that all its batches share."""

    def __init__(self, names: Sequence[str]) -> None:
        self._list = pa.array(names, schemas.TEXT)
        self._places = {name: place for place, name in enumerate(names)}

    def repeated(self, name: str, rows: int) -> pa.Array:
        """``name`` in every row, as an index into the list."""
        indices = pa.repeat(pa.scalar(self._places[name], pa.int32()), rows)
        return pa.DictionaryArray.from_arrays(indices, self._list)


@dataclass(frozen=True)
class Layout:
    """The shape of the metrics table that was asked for.

    Args:
        run_ids: All runs of the table, in order.
        keys: All keys of the table, in order.
        x_type: Type of the ``x`` column, None where the axis is the step.
        is_wide: One column per key, instead of one row per key.
        has_timestamp: Keep when each point was logged.
    """

    run_ids: tuple[str, ...]
    keys: tuple[str, ...]
    x_type: pa.DataType | None = None
    is_wide: bool = False
    has_timestamp: bool = True

    @cached_property
    def schema(self) -> pa.Schema:
        """The table's schema, known before the first point is."""
        declared = {column.name: column.field() for column in schemas.METRICS.columns}
        x = (schemas.X if self.x_type == schemas.FLOAT else schemas.X_TIME).field()
        if not self.is_wide:
            names = [name for name in declared if self.has_timestamp or name != "timestamp"]
            return pa.schema([declared[name] for name in names] + ([x] if self.x_type else []))
        names, _ = self._wide_names()
        values = [pa.field(name, schemas.FLOAT) for name in names[: len(self.keys)]]
        times = [pa.field(name, schemas.TIME) for name in names[len(self.keys) :]]
        axis = x if self.x_type else declared["step"]
        return pa.schema([declared["run_id"], axis, *values, *times])

    @cached_property
    def _run_names(self) -> _Names:
        return _Names(self.run_ids)

    @cached_property
    def _key_names(self) -> _Names:
        return _Names(self.keys)

    def notes(self) -> list[str]:
        """Say which columns of a wide table had to be renamed: a key may be named ``step``."""
        return sorted(self._wide_names()[1]) if self.is_wide else []

    def _wide_names(self) -> tuple[list[str], set[str]]:
        """Name the columns of values and then of times, each by a name of its own."""
        row: Row = {"run_id": None, "x" if self.x_type else "step": None}
        notes: set[str] = set()
        times = [f"{key}_timestamp" for key in self.keys] if self.has_timestamp else []
        for name in (*self.keys, *times):
            put(row, name, None, notes)
        return list(row)[2:], notes

    def long_batch(self, run_id: str, key: str, points: pa.RecordBatch) -> pa.RecordBatch:
        """Dress the points of one key as rows of the long table."""
        columns = [
            self._run_names.repeated(run_id, points.num_rows),
            self._key_names.repeated(key, points.num_rows),
            points["step"],
            points["value"],
        ]
        if self.has_timestamp:
            columns.append(points["timestamp"].cast(schemas.TIME))
        if self.x_type:
            columns.append(points["x"].cast(self.x_type))
        return pa.record_batch(columns, schema=self.schema)

    def wide_batch(self, run_id: str, keys: Sequence[str], block: pa.RecordBatch) -> pa.RecordBatch:
        """Dress merged blocks (step, x, v0, t0, …) of one run as rows of the wide table."""
        rows = block.num_rows
        place = {key: i for i, key in enumerate(keys)}
        axis = block["x"].cast(self.x_type) if self.x_type else block["step"]
        values = [
            block[f"v{place[key]}"] if key in place else pa.nulls(rows, schemas.FLOAT)
            for key in self.keys
        ]
        times = [
            block[f"t{place[key]}"].cast(schemas.TIME)
            if key in place
            else pa.nulls(rows, schemas.TIME)
            for key in self.keys
        ]
        columns = [self._run_names.repeated(run_id, rows), axis, *values]
        return pa.record_batch(columns + (times if self.has_timestamp else []), schema=self.schema)


class ExportFilter:
    """Takes the wanted points out of the blocks of one export, and notices what is missing.

    Args:
        keys: The keys that were asked for, in the order of the block's columns.
        x_place: Which of the block's columns is the x axis, None where it is the step.
        selection: Which points are wanted.
    """

    def __init__(self, keys: Sequence[str], x_place: int | None, selection: Selection) -> None:
        self.keys = keys
        self.last_steps: list[int | None] = [None] * len(keys)
        self.stopped_early = False
        self._x_place = x_place
        self._selection = selection
        self._taken = [0] * len(keys)

    def select(self, blocks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield blocks (step, x, v0, t0, …) with every point that is not wanted set to null."""
        for block in blocks:
            yield self._select(block)
            if self._has_enough(block):
                self.stopped_early = True
                return

    def check_whole(
        self, announced: Mapping[str, int | None], *, must_be_announced: bool = False
    ) -> None:
        """Insist that every key reached the latest step that its summary announced.

        Args:
            announced: For each key its latest step; what is not known cannot be checked.
            must_be_announced: Nothing else tells whether the file is whole, so it must be known.

        Raises:
            IncompleteError: The file ended before that.
        """
        for key, last in zip(self.keys, self.last_steps, strict=True):
            latest = announced.get(key)
            if latest is None and must_be_announced and not self.stopped_early:
                raise IncompleteError(
                    f"the export of {escape(key)} came with neither a length nor chunks, and no "
                    "step is announced that it would have to reach: nothing tells if it is whole"
                )
            if not self.stopped_early and latest is not None and (last is None or last < latest):
                ended = "holds no point" if last is None else f"ends at step {last}"
                raise IncompleteError(
                    f"the export of {escape(key)} {ended}, but the server announced step {latest}"
                )

    def _select(self, block: pa.RecordBatch) -> pa.RecordBatch:
        steps = block["step"]
        is_everything = self._selection.is_everything()
        x = block[f"v{self._x_place}"] if self._x_place is not None else None
        columns = {"step": steps}
        if x is not None:
            columns["x"] = x
        for i in range(len(self.keys)):
            values, times = block[f"v{i}"], block[f"t{i}"]
            self._note_last(i, steps, values)
            if is_everything and times.null_count >= values.null_count:
                columns[f"v{i}"], columns[f"t{i}"] = values, times
                continue
            mask = self._limit(i, self._selection.mask(steps, values, times, x))
            columns[f"v{i}"] = pc.if_else(mask, values, None)
            columns[f"t{i}"] = pc.if_else(mask, times, None)
        return pa.record_batch(columns)

    def _note_last(self, i: int, steps: pa.Array, values: pa.Array) -> None:
        if values.null_count == 0:
            self.last_steps[i] = steps[-1].as_py()
        elif values.null_count < len(values):
            self.last_steps[i] = pc.max(steps.filter(values.is_valid())).as_py()

    def _limit(self, i: int, mask: pa.Array) -> pa.Array:
        """Keep the first ``head`` points of a key, over all blocks."""
        if self._selection.head is None:
            return mask
        places = pc.add(pc.cumulative_sum(mask.cast(pa.int64())), self._taken[i])
        self._taken[i] += pc.sum(mask).as_py()
        return pc.and_(mask, pc.less_equal(places, self._selection.head))

    def _has_enough(self, block: pa.RecordBatch) -> bool:
        head = self._selection.head
        if head is not None and all(taken >= head for taken in self._taken):
            return True
        return self._selection.is_past(block["step"][-1].as_py())


def split_keys(block: pa.RecordBatch, count: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Take a selected block apart: for each key, its points (step, value, timestamp, x)."""
    has_x = "x" in block.schema.names
    for i in range(count):
        columns = {"step": block["step"], "value": block[f"v{i}"], "timestamp": block[f"t{i}"]}
        if has_x:
            columns["x"] = block["x"]
        points = pa.record_batch(columns)
        if points["value"].null_count:
            points = points.filter(points["value"].is_valid())
        yield i, points


def spool_keys(blocks: Iterable[pa.RecordBatch], count: int, *, tail: int | None) -> BatchSpool:
    """Gather the points of each key into a slot of its own; with ``tail`` only the last ones."""
    spool = BatchSpool(count)
    for block in blocks:
        for i, points in split_keys(block, count):
            spool.put(i, points)
            if tail is not None:
                spool.keep_last(i, tail)
    return spool


def merge_on_step(
    streams: Sequence[Iterable[pa.RecordBatch]], widths: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    """Merge blocks (step, x, v0, t0, …) of several exports of one run, each in step order.

    Columns are numbered through over all exports; rows without any value are left out.
    """
    readers = [_Reader(stream) for stream in streams]
    while True:
        live = [reader for reader in readers if reader.fill()]
        if not live:
            return
        cut = min(reader.last_step() for reader in live)
        parts = [reader.take(cut) if reader.block is not None else None for reader in readers]
        yield from _align(parts, widths)


class _Reader:
    """One export under way: the block that is not yet merged."""

    def __init__(self, stream: Iterable[pa.RecordBatch]) -> None:
        self.block: pa.RecordBatch | None = None
        self._stream = iter(stream)

    def fill(self) -> bool:
        while self.block is None or self.block.num_rows == 0:
            self.block = next(self._stream, None)
            if self.block is None:
                return False
        return True

    def last_step(self) -> int:
        assert self.block is not None
        return int(self.block["step"][-1].as_py())

    def take(self, cut: int) -> pa.RecordBatch:
        assert self.block is not None
        count = pc.sum(pc.less_equal(self.block["step"], cut)).as_py()
        taken, self.block = self.block.slice(0, count), self.block.slice(count)
        return taken


def _align(
    parts: Sequence[pa.RecordBatch | None], widths: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    """Put parts that cover the same span of steps side by side."""
    present = [part["step"] for part in parts if part is not None]
    steps = pc.unique(pa.chunked_array(present))
    steps = steps.take(pc.sort_indices(steps))
    columns: dict[str, pa.Array] = {"step": steps}
    x = None
    number = 0
    for part, width in zip(parts, widths, strict=True):
        at = None if part is None else pc.index_in(steps, value_set=part["step"])
        if part is not None and "x" in part.schema.names:
            found = part["x"].take(at)
            x = found if x is None else pc.coalesce(x, found)
        for i in range(width):
            for name, kind in (("v", schemas.FLOAT), ("t", schemas.INT)):
                source = pa.nulls(len(steps), kind) if part is None else part[f"{name}{i}"].take(at)
                columns[f"{name}{number}"] = source
            number += 1
    if x is not None:
        columns["x"] = x
    block = pa.record_batch(columns)
    has_point: pa.Array = pa.repeat(pa.scalar(value=False), block.num_rows)
    for i in range(number):
        has_point = pc.or_(has_point, block[f"v{i}"].is_valid())
    block = block.filter(has_point)
    if block.num_rows:
        yield block


def read_sample(wire: Any, x_axis: str, *, has_x_column: bool) -> dict[str, pa.RecordBatch]:
    """Read sampled points, by key: ``POST /house/metrics/scalar``.

    On the step axis ``index`` is the step; on any other it is x, and the step is not known.
    """
    by_key: dict[str, pa.RecordBatch] = {}
    for series in as_list(wire, "a list of series"):
        if series is None:
            continue
        key = as_object(series, "a series").get("key")
        if not isinstance(key, str):
            raise ServerError("the server sent points without saying of which key")
        by_key[key] = _read_points(series.get("metrics"), x_axis, has_x_column=has_x_column)
    return by_key


def _read_points(wire: Any, x_axis: str, *, has_x_column: bool) -> pa.RecordBatch:
    # At most 1500 points per key come this way, so a loop does no harm.
    points = [
        as_object(point, "a point")
        for point in as_list(wire, "a list of points")
        if point is not None
    ]

    def column(name: str, read: Callable[[Any], Any], arrow_type: pa.DataType) -> pa.Array:
        found = (point.get(name) for point in points)
        return pa.array([None if value is None else read(value) for value in found], arrow_type)

    try:
        columns = {
            "value": column("data", as_float, schemas.FLOAT),
            "timestamp": column("timestamp", _as_unix_ms, schemas.INT),
        }
        if not has_x_column:
            columns["step"] = column("index", as_int, schemas.INT)
        else:
            x = (int, schemas.INT) if x_axis == "time" else (as_float, schemas.FLOAT)
            columns["step"] = pa.nulls(len(points), schemas.INT)
            columns["x"] = column("index", *x)
    except (TypeError, ValueError, OverflowError):
        raise ServerError("the server sent a point that is not made of numbers") from None
    batch = pa.record_batch(columns)
    batch = batch.filter(batch["value"].is_valid())
    # The sort is stable, and leaves points alone whose step is not known.
    return batch.take(pc.sort_indices(batch["step"]))


def sample_block(by_key: Mapping[str, pa.RecordBatch], keys: Sequence[str]) -> pa.RecordBatch:
    """Put the sampled points of one run side by side, on their step or x.

    Several points of a key may share an x (an epoch, say): they stay apart, in their order.
    """
    axis = "x" if any("x" in points.schema.names for points in by_key.values()) else "step"
    places = {key: _numbered(by_key[key][axis].to_pylist()) for key in keys if key in by_key}
    rows = sorted({place for of_key in places.values() for place in of_key}, key=_rank)
    if not places:
        # Without a point there is no telling which axis was asked for; either has no row.
        columns = {"step": pa.array([], schemas.INT), "x": pa.array([], schemas.INT)}
    else:
        kind = by_key[next(iter(places))][axis].type
        columns = {axis: pa.array([row[0] for row in rows], kind)}
    for i, key in enumerate(keys):
        of_key = places.get(key, {})
        at = pa.array([of_key.get(row) for row in rows], pa.int64())
        for name, column, kind in (("v", "value", schemas.FLOAT), ("t", "timestamp", schemas.INT)):
            source = by_key[key][column] if key in by_key else pa.nulls(0, kind)
            columns[f"{name}{i}"] = source.take(at)
    return pa.record_batch(columns)


def _numbered(axis: list[Any]) -> dict[tuple[Any, int], int]:
    """Give each point a place of its own: its x, and how many of that x came before it."""
    counts: dict[Any, int] = {}
    places = {}
    for row, value in enumerate(axis):
        # One NaN for all: each is a different object, and none equals another.
        x = math.nan if value != value else value  # noqa: PLR0124
        counts[x] = counts.get(x, -1) + 1
        places[x, counts[x]] = row
    return places


def _rank(place: tuple[Any, int]) -> tuple[int, float, int]:
    """Sort places by x; those without one come last, before them those whose x is NaN."""
    x, number = place
    if x is None:
        return (2, 0, number)
    return (1, 0, number) if x != x else (0, x, number)  # noqa: PLR0124  only NaN differs from itself


def _as_unix_ms(value: Any) -> int:
    return scale_to_ms(int(value))


def as_block(points: pa.RecordBatch) -> pa.RecordBatch:
    """Dress the points of one key as a block (step, x, v0, t0) again."""
    names = {"value": "v0", "timestamp": "t0"}
    return points.rename_columns([names.get(name, name) for name in points.schema.names])
