"""Points of metrics → the metrics table, long or wide. Columnar from end to end.

An export is read block by block. The long table holds one key after the other, the wide one all
exports of a run merged on their steps: blocks that have to wait for that wait in a spool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export import schemas
from swanlab_export.errors import IncompleteError, ServerError
from swanlab_export.messages import quote
from swanlab_export.normalizers.export import LackingError
from swanlab_export.normalizers.flatten import Row, case_warnings, put
from swanlab_export.normalizers.ordering import (
    StepOrder,
    StepReader,
    rises,
    sort_queue,
)
from swanlab_export.normalizers.selection import Reach
from swanlab_export.normalizers.values import (
    INT64_MIN,
    as_float,
    as_int,
    as_list,
    as_object,
    as_point,
    as_text,
    as_unix_ms,
    check_calendar,
    read_as,
)
from swanlab_export.report import Report
from swanlab_export.spool import IN_MEMORY_BYTES, BatchSpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from swanlab_export.normalizers.selection import Selection

_ID = pa.dictionary(pa.int32(), schemas.TEXT)


def _repeated(name: str, rows: int) -> pa.Array:
    """``name`` in every row, as an index into a dictionary that holds nothing else."""
    indices = _zeros(rows.bit_length()).slice(0, rows)
    return pa.DictionaryArray.from_arrays(indices, pa.array([name], schemas.TEXT), safe=False)


@lru_cache(maxsize=4)
def _zeros(bits: int) -> pa.Array:
    """As many as a power of two: batches have a few sizes."""
    return pa.repeat(pa.scalar(0, pa.int32()), 1 << bits)


@dataclass(frozen=True)
class Layout:
    """The shape of the metrics table that was asked for.

    Args:
        run_ids: All runs of the table, in order.
        keys: All keys of the table, in order.
        x_type: Type of the ``x`` column, None where the axis is the step.
        is_wide: One column per key, instead of one row per key.
        has_timestamp: Keep when each point was logged.
        has_text: Have a column of the values that are no numbers.
    """

    run_ids: tuple[str, ...]
    keys: tuple[str, ...]
    x_type: pa.DataType | None = None
    is_wide: bool = False
    has_timestamp: bool = True
    has_text: bool = False

    @cached_property
    def schema(self) -> pa.Schema:
        """The table's schema, known before the first point is."""
        declared = {column.name: column.field() for column in schemas.POINTS}
        x = (schemas.X if self.x_type == schemas.FLOAT else schemas.X_TIME).field()
        if not self.is_wide:
            fields = [declared[name] for name in ("run_id", "key", "step", "value")]
            fields += [schemas.TEXT_VALUE.field()] if self.has_text else []
            fields += [declared["timestamp"]] if self.has_timestamp else []
            return pa.schema(fields + ([x] if self.x_type else []))
        names, _ = self._wide_names()
        kinds = [schemas.FLOAT]
        kinds += [schemas.TEXT] if self.has_text else []
        kinds += [schemas.TIME] if self.has_timestamp else []
        of_keys = [pa.field(name, kinds[i // len(self.keys)]) for i, name in enumerate(names)]
        axis = x if self.x_type else declared["step"]
        return pa.schema([declared["run_id"], axis, *of_keys])

    @cached_property
    def _batch_schema(self) -> pa.Schema:
        """The schema of the batches: ids and keys are dictionary-encoded in them."""
        encoded = {"run_id"} if self.is_wide else {"run_id", "key"}
        fields = [field.with_type(_ID) if field.name in encoded else field for field in self.schema]
        return pa.schema(fields)

    def warnings(self) -> list[str]:
        """Warn of columns of a wide table that have other names than their keys, or similar ones.

        A key may be named ``step``.
        """
        if not self.is_wide:
            return []
        return [*sorted(self._wide_names()[1]), *case_warnings(self.schema.names)]

    def _wide_names(self) -> tuple[list[str], set[str]]:
        """Name the columns of values, then of texts and times, each by a name of its own."""
        row: Row = {"run_id": None, "x" if self.x_type else "step": None}
        warnings: set[str] = set()
        times = [f"{key}_timestamp" for key in self.keys] if self.has_timestamp else []
        texts = [f"{key}_text" for key in self.keys] if self.has_text else []
        for name in (*self.keys, *texts, *times):
            put(row, name, None, warnings)
        return list(row)[2:], warnings

    def long_batch(self, run_id: str, key: str, points: pa.RecordBatch) -> pa.RecordBatch:
        """Build rows of the long table from the points of one key."""
        columns = [
            _repeated(run_id, points.num_rows),
            _repeated(key, points.num_rows),
            points["step"],
            points["value"],
        ]
        if self.has_text:
            columns.append(_column_or_nulls(points, "text"))
        if self.has_timestamp:
            columns.append(points["timestamp"].cast(schemas.TIME))
        if self.x_type:
            columns.append(points["x"].cast(self.x_type))
        return pa.record_batch(columns, schema=self._batch_schema)

    def wide_batch(self, run_id: str, keys: Sequence[str], block: pa.RecordBatch) -> pa.RecordBatch:
        """Build rows of the wide table from merged blocks (step, x, v0, t0, …) of one run."""
        rows = block.num_rows
        position = {key: i for i, key in enumerate(keys)}
        axis = block["x"].cast(self.x_type) if self.x_type else block["step"]
        values = [
            block[f"v{position[key]}"] if key in position else pa.nulls(rows, schemas.FLOAT)
            for key in self.keys
        ]
        times = [
            block[f"t{position[key]}"].cast(schemas.TIME)
            if key in position
            else pa.nulls(rows, schemas.TIME)
            for key in self.keys
        ]
        columns = [_repeated(run_id, rows), axis, *values]
        if self.has_text:
            columns += (_column_or_nulls(block, f"odd{position.get(key)}") for key in self.keys)
        columns += times if self.has_timestamp else []
        return pa.record_batch(columns, schema=self._batch_schema)


def _column_or_nulls(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of texts, which is not there if it would have none."""
    is_there = name in batch.schema.names
    return batch[name] if is_there else pa.nulls(batch.num_rows, schemas.TEXT)


class ExportFilter:
    """Takes the wanted points out of the blocks of one export, and checks that none is missing.

    Args:
        keys: The keys that were asked for, in the order of the block's columns.
        x_column: Which of the block's columns is the x axis, None where it is the step.
        selection: Which points are wanted.
    """

    def __init__(self, keys: Sequence[str], x_column: int | None, selection: Selection) -> None:
        self.keys = keys
        self.last_steps: list[int | None] = [None] * len(keys)
        self.stopped_early = False
        self._x_column = x_column
        self._selection = selection
        self._taken = [0] * len(keys)
        self.reach = Reach()
        self._order = StepOrder()

    def select(self, blocks: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield blocks (step, x, v0, t0, …) with every point that is not wanted set to null."""
        for block in blocks:
            yield self._select(block)
            if self._has_enough(block["step"]):
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
            LackingError: The file ended before that.
            IncompleteError: Nothing tells whether it ended before that.
        """
        for key, last in zip(self.keys, self.last_steps, strict=True):
            latest = announced.get(key)
            if latest is None and must_be_announced and not self.stopped_early:
                raise IncompleteError(
                    f"the export of {quote(key)} came with neither a length nor chunks, and no "
                    "step is announced that it would have to reach: nothing tells if it is whole"
                )
            if not self.stopped_early and latest is not None and (last is None or last < latest):
                ended = "holds no point" if last is None else f"ends at step {last}"
                raise LackingError(
                    f"the export of {quote(key)} {ended}, but the server announced step {latest}"
                )

    def _select(self, block: pa.RecordBatch) -> pa.RecordBatch:
        steps = block["step"]
        is_everything = self._selection.is_everything()
        highest = pc.max(steps).as_py()
        x = block[f"v{self._x_column}"] if self._x_column is not None else None
        columns = {"step": steps}
        if x is not None:
            columns["x"] = x
        for i in range(len(self.keys)):
            values, times, odd = block[f"v{i}"], block[f"t{i}"], _odd(block, i)
            points = values if odd is None else pc.if_else(odd.is_valid(), 0.0, values)
            self._follow(i, steps, points, highest)
            if not (is_everything and times.null_count >= points.null_count):
                mask = self._limit(i, self._selection.mask(steps, points, times, x))
                if not (is_everything or self.reach.has_points):
                    axis = self._selection.values(steps, times, x)
                    self.reach.see(self.keys[i], axis.filter(points.is_valid()), mask)
                values, times = pc.if_else(mask, values, None), pc.if_else(mask, times, None)
                odd = None if odd is None else pc.if_else(mask, odd, None)
            columns[f"v{i}"], columns[f"t{i}"] = values, times
            if odd is not None:
                columns[f"odd{i}"] = odd
        return pa.record_batch(columns)

    def _follow(self, i: int, steps: pa.Array, points: pa.Array, highest: int | None) -> None:
        """Keep the latest step of a key."""
        if points.null_count:
            highest = pc.max(steps.filter(points.is_valid())).as_py()
        before = self.last_steps[i]
        if highest is not None:
            self.last_steps[i] = highest if before is None else max(highest, before)

    def _limit(self, i: int, mask: pa.Array) -> pa.Array:
        """Keep the first ``head`` points of a key, over all blocks."""
        if self._selection.head is None:
            return mask
        numbers = pc.add(pc.cumulative_sum(mask.cast(pa.int64())), self._taken[i])
        self._taken[i] += pc.sum(mask).as_py()
        return pc.and_(mask, pc.less_equal(numbers, self._selection.head))

    def _has_enough(self, steps: pa.Array) -> bool:
        head = self._selection.head
        if head is not None and all(taken >= head for taken in self._taken):
            return True
        if not self._selection.has_last_step():
            return False
        self._order.add(steps)
        return self._order.is_in_order and self._selection.is_past(steps[-1].as_py())


def _odd(block: pa.RecordBatch, i: int) -> pa.Array | None:
    """The texts of the points of a key whose value is no number; None if there are none."""
    name = f"odd{i}"
    return block[name] if name in block.schema.names else None


def _has_point(block: pa.RecordBatch, i: int) -> pa.Array:
    """Mark the rows where a key has a point."""
    is_number, odd = block[f"v{i}"].is_valid(), _odd(block, i)
    return is_number if odd is None else pc.or_(is_number, odd.is_valid())


def split_keys(block: pa.RecordBatch, count: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Take a selected block apart: for each key, its points (step, value, timestamp, x, text)."""
    has_x = "x" in block.schema.names
    for i in range(count):
        columns = {"step": block["step"], "value": block[f"v{i}"], "timestamp": block[f"t{i}"]}
        if has_x:
            columns["x"] = block["x"]
        if (texts := _odd(block, i)) is not None:
            columns["text"] = texts
        points = pa.record_batch(columns)
        if points["value"].null_count:
            points = points.filter(_has_point(block, i))
        yield i, points


def spool_keys(
    blocks: Iterable[pa.RecordBatch],
    count: int,
    *,
    tail: int | None,
    in_memory_bytes: int = IN_MEMORY_BYTES,
) -> BatchSpool:
    """Gather the points of each key, in step order, into a queue of its own.

    With ``tail`` only the last points of each key, in the order of the file.
    """
    spool, order = BatchSpool(count, in_memory_bytes=in_memory_bytes), StepOrder()
    for block in blocks:
        order.add(block["step"])
        for i, points in split_keys(block, count):
            spool.put(i, points)
            if tail is not None:
                spool.keep_last(i, tail)
    if order.is_in_order:
        return spool
    in_order = BatchSpool(count, in_memory_bytes=in_memory_bytes)
    for i in range(count):
        for points in sort_queue(spool, i):
            in_order.put(i, points)
    return in_order


def merge_on_step(
    streams: Sequence[Iterable[pa.RecordBatch]], widths: Sequence[int], report: Report
) -> Iterator[pa.RecordBatch]:
    """Merge blocks (step, x, v0, t0, …) of several exports of one run on their steps.

    Each stream must be in step order, as ``spool_keys`` and ``in_step_order`` make it. Columns are
    numbered through over all exports; rows without any point are left out. Where a key
    has several points at one step, the last by its timestamp stays, else the last of the file.
    """
    readers = [StepReader(stream) for stream in streams]
    left_out = 0
    while live := [reader for reader in readers if reader.fill()]:
        cut = min(reader.last_step() for reader in live)
        parts = []
        for reader, width in zip(readers, widths, strict=True):
            part = reader.take(cut) if reader.batch is not None else None
            if part is not None:
                part, repeated = _last_of_steps(part, width)
                left_out += repeated
            parts.append(part)
        yield from _align(parts, widths)
    _warn_of_repeated(left_out, report)


def join_axis(
    points: Iterable[pa.RecordBatch], axis: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield every point of a key (step, v0, t0) with what an axis has at its step (v1, t1).

    Both streams must be in step order. Several points at one step all stay; of several values of
    the axis there, the last counts.
    """
    left, right = StepReader(points), StepReader(axis)
    while left.fill():
        has_axis = right.fill()
        cut = min(left.last_step(), right.last_step()) if has_axis else left.last_step()
        block = left.take(cut)
        there = _last_of_steps(right.take(cut), 1)[0] if has_axis else None
        if not block.num_rows:
            continue
        names = [name for name in ("step", "v0", "t0", "odd0") if name in block.schema.names]
        columns = {name: block[name] for name in names}
        for name, kind in (("v", schemas.FLOAT), ("t", schemas.INT)):
            columns[f"{name}1"] = pa.nulls(block.num_rows, kind)
            if there is not None:
                rows = pc.index_in(block["step"], value_set=there["step"])
                columns[f"{name}1"] = there[f"{name}0"].take(rows)
        yield pa.record_batch(columns)
    # The rest of the axis is read, too: its file has to be whole.
    while right.fill():
        right.take(right.last_step())


def _last_of_steps(block: pa.RecordBatch, width: int) -> tuple[pa.RecordBatch, int]:
    """Keep one row per step of a sorted block; returns how many points had to go."""
    if rises(block["step"]):
        return block, 0
    steps = pc.unique(block["step"])
    # A number per step, since a missing step equals no other.
    numbers = pc.index_in(block["step"], value_set=steps)
    columns = {"step": steps}
    left_out = 0
    if "x" in block.schema.names:
        rows = _last_rows(numbers, block["x"].is_valid(), None)
        columns["x"] = _at(block["x"], rows, numbers, len(steps))
    for i in range(width):
        has_point = _has_point(block, i)
        rows = _last_rows(numbers, has_point, block[f"t{i}"])
        left_out += pc.sum(has_point, min_count=0).as_py() - len(rows)
        for name in ("v", "t"):
            columns[f"{name}{i}"] = _at(block[f"{name}{i}"], rows, numbers, len(steps))
        if (texts := _odd(block, i)) is not None:
            columns[f"odd{i}"] = _at(texts, rows, numbers, len(steps))
    return pa.record_batch(columns), left_out


def _last_rows(numbers: pa.Array, is_wanted: pa.Array, times: pa.Array | None) -> pa.Array:
    """Find the row of the last wanted point of each step, by its time and then by its position."""
    rows = pc.indices_nonzero(is_wanted)
    points = {"number": numbers.take(rows), "row": rows}
    keys = [("number", "ascending"), ("row", "ascending")]
    if times is not None:
        # A point without a time counts as the oldest.
        points["time"] = pc.fill_null(times.take(rows), INT64_MIN)
        keys.insert(1, ("time", "ascending"))
    order = pc.sort_indices(pa.table(points), sort_keys=keys)
    numbers, rows = points["number"].take(order), rows.take(order)
    is_last = pc.not_equal(numbers.slice(0, max(len(rows) - 1, 0)), numbers.slice(1))
    return rows.filter(pa.concat_arrays([is_last, pa.array([True] * min(len(rows), 1))]))


def _at(column: pa.Array, rows: pa.Array, numbers: pa.Array, count: int) -> pa.Array:
    """The chosen rows of a column, each at the number of its step; null at the other steps."""
    every = pa.array(range(count), numbers.type)
    return column.take(rows).take(pc.index_in(every, value_set=numbers.take(rows)))


def _align(
    parts: Sequence[pa.RecordBatch | None], widths: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    """Join the columns of parts that cover the same span of steps."""
    present = [part["step"] for part in parts if part is not None]
    steps = present[0]
    if len(present) > 1:
        steps = pc.unique(pa.chunked_array(present))
        steps = steps.take(pc.sort_indices(steps))
    columns: dict[str, pa.Array] = {"step": steps}
    has_point: pa.Array = pa.repeat(pa.scalar(value=False), len(steps))
    number = 0
    for part, width in zip(parts, widths, strict=True):
        found = _spread(part, steps, is_alone=len(present) == 1)
        if found is not None and "x" in found.schema.names:
            x = columns.get("x")
            columns["x"] = found["x"] if x is None else pc.coalesce(x, found["x"])
        for i in range(width):
            for name, kind in (("v", schemas.FLOAT), ("t", schemas.INT)):
                nothing = pa.nulls(len(steps), kind)
                columns[f"{name}{number}"] = nothing if found is None else found[f"{name}{i}"]
            if found is not None:
                has_point = pc.or_(has_point, _has_point(found, i))
                if (texts := _odd(found, i)) is not None:
                    columns[f"odd{number}"] = texts
            number += 1
    x = columns.pop("x", None)
    block = pa.record_batch(columns if x is None else columns | {"x": x})
    if not pc.all(has_point, min_count=0).as_py():
        block = block.filter(has_point)
    if block.num_rows:
        yield block


def _spread(
    part: pa.RecordBatch | None, steps: pa.Array, *, is_alone: bool
) -> pa.RecordBatch | None:
    """The rows of a part at ``steps``, with nulls at steps that it lacks."""
    if part is None or is_alone:
        return part
    return part.take(pc.index_in(steps, value_set=part["step"]))


def read_sample(
    payload: Any, report: Report, x_axis: str, *, has_x_column: bool, has_text: bool = False
) -> dict[str, pa.RecordBatch]:
    """Read sampled points, by key: ``POST /house/metrics/scalar``.

    On the step axis ``index`` is the step; on any other it is x, and the step is not known. With
    ``has_text``, values that are no numbers are not odd: they are wanted as text.
    """
    by_key: dict[str, pa.RecordBatch] = {}
    for series in as_list(payload, "a list of series"):
        if series is None:
            continue
        key = as_object(series, "a series").get("key")
        if not isinstance(key, str):
            raise ServerError("the server sent points without the name of their key")
        by_key[key] = _read_points(
            series.get("metrics"), report, x_axis, has_x_column=has_x_column, has_text=has_text
        )
    return by_key


def _read_points(
    payload: Any, report: Report, x_axis: str, *, has_x_column: bool, has_text: bool
) -> pa.RecordBatch:
    # At most 1500 points per key come this way, so a loop is fast enough.
    points = [
        as_object(point, "a point")
        for point in as_list(payload, "a list of points")
        if point is not None
    ]
    points = [point for point in points if point.get("data") is not None]

    def column(field: str, name: str, read: Callable[[Any], Any], kind: pa.DataType) -> pa.Array:
        return pa.array([read_as(read, name, point.get(field), report) for point in points], kind)

    uncounted = Report() if has_text else report
    values = [read_as(as_point, "value", point.get("data"), uncounted) for point in points]
    columns = {
        "value": pa.array(values, schemas.FLOAT),
        "timestamp": column("timestamp", "timestamp", as_unix_ms, schemas.INT),
    }
    if not has_x_column:
        columns["step"] = column("index", "step", as_int, schemas.INT)
    else:
        is_time = x_axis == "time"
        read, kind = (_as_time_on_axis, schemas.INT) if is_time else (as_float, schemas.FLOAT)
        columns["step"] = pa.nulls(len(points), schemas.INT)
        columns["x"] = column("index", "x", read, kind)
    if None in values:
        texts = [
            as_text(point["data"]) if value is None else None
            for value, point in zip(values, points, strict=True)
        ]
        columns["text"] = pa.array(texts, schemas.TEXT)
    batch = pa.record_batch(columns)
    # The sort is stable, and leaves points alone whose step is not known.
    return batch.take(pc.sort_indices(batch["step"]))


def sample_block(
    by_key: Mapping[str, pa.RecordBatch], keys: Sequence[str], report: Report
) -> pa.RecordBatch:
    """Merge the sampled points of one run on their step or x.

    Several points of a key may share an x (an epoch, say): they stay apart, in their order. Of
    several at one step the last stays, as in ``merge_on_step``.
    """
    axis = "x" if any("x" in points.schema.names for points in by_key.values()) else "step"
    blocks = {key: as_block(by_key[key]) for key in keys if key in by_key}
    if axis == "step":
        blocks = _last_points(blocks, report)
    positions = {key: _numbered(block[axis].to_pylist()) for key, block in blocks.items()}
    rows = sorted({position for of_key in positions.values() for position in of_key}, key=_rank)
    if not blocks:
        # Without a point there is no telling which axis was asked for; either has no row.
        columns = {"step": pa.array([], schemas.INT), "x": pa.array([], schemas.INT)}
    else:
        kind = next(iter(blocks.values()))[axis].type
        columns = {axis: pa.array([row[0] for row in rows], kind)}
    for i, key in enumerate(keys):
        of_key = positions.get(key, {})
        at = pa.array([of_key.get(row) for row in rows], pa.int64())
        for name, kind in (("v", schemas.FLOAT), ("t", schemas.INT)):
            source = blocks[key][f"{name}0"] if key in blocks else pa.nulls(0, kind)
            columns[f"{name}{i}"] = source.take(at)
        texts = _odd(blocks[key], 0) if key in blocks else None
        if texts is not None:
            columns[f"odd{i}"] = texts.take(at)
    return pa.record_batch(columns)


def _last_points(blocks: Mapping[str, pa.RecordBatch], report: Report) -> dict[str, pa.RecordBatch]:
    """Keep one point per key and step."""
    found = {key: _last_of_steps(block, 1) for key, block in blocks.items()}
    _warn_of_repeated(sum(left_out for _, left_out in found.values()), report)
    return {key: block for key, (block, _) in found.items()}


def _warn_of_repeated(left_out: int, report: Report) -> None:
    if left_out:
        points = "1 point" if left_out == 1 else f"{left_out} points"
        report.warn(
            f"{points} with a step that comes again are left out: "
            "the wide layout has the last point of each step"
        )


def _numbered(axis: list[Any]) -> dict[tuple[Any, int], int]:
    """Tell points apart that share an x: each by its x, and how many of that x came before it."""
    counts: dict[Any, int] = {}
    positions = {}
    for row, value in enumerate(axis):
        # One NaN for all: each is a different object, and none equals another.
        x = math.nan if value != value else value  # noqa: PLR0124
        counts[x] = counts.get(x, -1) + 1
        positions[x, counts[x]] = row
    return positions


def _rank(position: tuple[Any, int]) -> tuple[int, float, int]:
    """Sort points by x; those without one come last, before them those whose x is NaN."""
    x, number = position
    if x is None:
        return (2, 0, number)
    return (1, 0, number) if x != x else (0, x, number)  # noqa: PLR0124  only NaN differs from itself


def _as_time_on_axis(value: Any) -> int:
    """Read x as a time; it is not scaled, since its unit is not known."""
    return check_calendar(int(value) if isinstance(value, float) else as_int(value))


def as_block(points: pa.RecordBatch) -> pa.RecordBatch:
    """Turn the points of one key into a block (step, x, v0, t0) again."""
    names = {"value": "v0", "timestamp": "t0", "text": "odd0"}
    return points.rename_columns([names.get(name, name) for name in points.schema.names])
