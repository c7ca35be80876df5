"""Groups of the points of runs: what the runs of a group have at each step."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.analysis.columns import encode
from swanlab_export.analysis.groups import GROUP_STATISTICS, aggregate, one_zero
from swanlab_export.analysis.order import sort_rows
from swanlab_export.spool import BatchSpool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# How many points are aggregated at once, and of how many of them the ranges of steps are chosen.
_PART_ROWS = 200_000
_SAMPLED_ROWS = 100


class PointGroups:
    """The points of groups of runs: one row per group, key and step, in this order; read once.

    A step that only some runs of a group have is a row with a smaller ``n``: the means of a group
    whose runs are of different length change where a run ends. Where a run has several points at
    one step, the last one counts.

    The points wait in a temporary file, and are aggregated by group, key and range of steps: memory
    does not grow with their number, unless very many are at one step.

    Args:
        points: Points of runs, in batches of one run and key: run_id, key, the axis, value, and with
            ``is_smoothed`` smoothed.
        groups: ``run_id``, each once, and then the columns that make a group.
        keys: All keys, in the order of the rows.
        axis: The column that is the step: ``step`` or ``x``.
        is_smoothed: Add the mean of the smoothed values, as ``smoothed``.
        part_rows: How many points are aggregated at once.

    Attributes:
        schema: The columns that make a group, key, the axis, n, mean, std, min, max, n_nonfinite,
            and smoothed.
        left_out: How many points have nothing on the axis, and are at no step; known at the end.

    >>> batch = pa.record_batch({"run_id": ["a"], "key": ["k"], "step": [0], "value": [1.0]})
    >>> groups = pa.table({"run_id": ["a"], "lr": [0.1]})
    >>> rows = PointGroups([batch], groups, ["k"], batch.schema.field("step"))
    >>> [each.select(["lr", "step", "n", "mean"]).to_pylist() for each in rows]
    [[{'lr': 0.1, 'step': 0, 'n': 1, 'mean': 1.0}]]
    """

    def __init__(
        self,
        points: Iterable[pa.RecordBatch],
        groups: pa.Table,
        keys: Sequence[str],
        axis: pa.Field,
        *,
        is_smoothed: bool = False,
        part_rows: int = _PART_ROWS,
    ) -> None:
        run_ids, *columns = groups.columns
        _, *fields = groups.schema
        by = [field.name for field in fields]
        fields += [pa.field("key", pa.string()), axis]
        kinds = {name: pa.float64() for name in GROUP_STATISTICS} | dict.fromkeys(
            ("n", "n_nonfinite"), pa.int64()
        )
        fields += [pa.field(name, kind) for name, kind in kinds.items()]
        fields += [pa.field("smoothed", pa.float64())] if is_smoothed else []
        self.schema = pa.schema(fields)
        self._points = points
        self._axis = axis.name
        self._values = ["value", "smoothed"] if is_smoothed else ["value"]
        self._keys = list(keys)
        self._run_ids = run_ids.to_pylist()
        self._group_of, self._distinct = _number_groups(
            pa.table([one_zero(column) for column in columns], names=by)
        )
        self._spool = BatchSpool(len(self._distinct) * len(self._keys))
        self._repeating: set[int] = set()
        self._part_rows = part_rows
        self.left_out = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._gather()
        for group, key, queue in self._queues():
            for part in self._parts(queue):
                yield self._rows(group, key, part, has_repeats=queue in self._repeating)

    def points_of_runs(self) -> Iterator[pa.RecordBatch]:
        """The points of the runs, after the rows of the groups have been read.

        Each batch is of one run and key: the columns of its group, run_id, key, the axis, value, and
        smoothed.
        """
        for group, key, queue in self._queues():
            for batch in self._spool.read(queue):
                run_id = self._run_ids[batch["run"][0].as_py()]
                columns = [
                    *self._of_group(group, batch.num_rows).items(),
                    ("run_id", _repeated(pa.scalar(run_id, pa.string()), batch.num_rows)),
                    ("key", _repeated(pa.scalar(key), batch.num_rows)),
                    (self._axis, batch["axis"]),
                    *((name, batch[f"v{i}"]) for i, name in enumerate(self._values)),
                ]
                # A group may be made by a column that is called as one of these.
                yield pa.record_batch([values for _, values in columns], [n for n, _ in columns])

    def _queues(self) -> Iterator[tuple[int, str, int]]:
        """Yield each group and key with its queue in the spool."""
        for queue in range(len(self._distinct) * len(self._keys)):
            group, key = divmod(queue, len(self._keys))
            yield group, self._keys[key], queue

    def _gather(self) -> None:
        """Sort the points into a queue per group and key."""
        runs = {run_id: i for i, run_id in enumerate(self._run_ids)}
        keys = {key: i for i, key in enumerate(self._keys)}
        last: tuple[int, int] | None = None
        end: pa.Array | None = None
        for batch in self._points:
            run, key = runs[batch["run_id"][0].as_py()], keys[batch["key"][0].as_py()]
            queue = self._group_of[run] * len(keys) + key
            if missing := batch[self._axis].null_count:
                self.left_out += missing
                batch = batch.filter(batch[self._axis].is_valid())  # noqa: PLW2901
                if not batch.num_rows:
                    continue
            axis = one_zero(batch[self._axis])
            before = [end] if last == (run, key) else []
            if not _increases(pa.concat_arrays([*before, axis])):
                self._repeating.add(queue)
            last, end = (run, key), axis.slice(len(axis) - 1)
            columns = {"run": pa.repeat(pa.scalar(run, pa.int32()), len(axis)), "axis": axis}
            columns |= {f"v{i}": batch[name] for i, name in enumerate(self._values)}
            self._spool.put(queue, pa.record_batch(columns))

    def _parts(self, queue: int) -> Iterator[pa.Table]:
        """Yield the points of a group and key by ranges of the axis, each in memory as a whole."""
        rows = self._spool.rows(queue)
        if not rows:
            return
        bounds = self._bounds(queue, -(-rows // self._part_rows))
        for low, high in pairwise([None, *bounds, None]):
            some = [
                batch.filter(_between(batch["axis"], low, high))
                for batch in self._spool.read(queue)
            ]
            yield pa.Table.from_batches(some)

    def _bounds(self, queue: int, parts: int) -> list[pa.Scalar]:
        """Choose where ranges of the axis begin that have about equally many points."""
        if parts == 1:
            return []
        stride = max(1, self._part_rows // _SAMPLED_ROWS)
        sampled = [
            batch["axis"].take(pa.array(range(0, batch.num_rows, stride), pa.int64()))
            for batch in self._spool.read(queue)
        ]
        some = pa.concat_arrays(sampled)
        if pa.types.is_floating(some.type):
            some = some.filter(pc.is_finite(some))
        ordered = some.take(pc.sort_indices(some))
        bounds = [ordered[len(ordered) * i // parts] for i in range(1, parts) if len(ordered)]
        return list(dict.fromkeys(bounds))

    def _rows(self, group: int, key: str, points: pa.Table, *, has_repeats: bool) -> pa.RecordBatch:
        values = [f"v{i}" for i in range(len(self._values))]
        if has_repeats:
            options = pc.ScalarAggregateOptions(skip_nulls=False)
            kept = points.group_by(["run", "axis"], use_threads=False)
            last = kept.aggregate([(name, "last", options) for name in values])
            points = last.rename_columns([n.removesuffix("_last") for n in last.schema.names])
        found = sort_rows(aggregate(points, ["axis"], len(values)), ["axis"])
        columns = list(self._of_group(group, len(found)).values())
        columns.append(_repeated(pa.scalar(key), len(found)))
        wanted = ["axis", *(f"0.{name}" for name in GROUP_STATISTICS)]
        wanted += ["1.mean"] if len(values) > 1 else []
        columns += [found[name].combine_chunks() for name in wanted]
        pairs = zip(self.schema, columns, strict=True)
        fields = [field.with_type(column.type) for field, column in pairs]
        return pa.record_batch(columns, schema=pa.schema(fields))

    def _of_group(self, group: int, rows: int) -> dict[str, pa.Array]:
        """What makes a group, in so many rows."""
        row = self._distinct.slice(group, 1)
        return {name: _repeated(row[name][0], rows) for name in row.schema.names}


def _repeated(value: pa.Scalar, rows: int) -> pa.Array:
    """One value in each row; text is there once."""
    if not pa.types.is_string(value.type):
        return pa.repeat(value, rows)
    zeros = pa.repeat(pa.scalar(0, pa.int32()), rows)
    return encode(zeros, pa.repeat(value, 1))


def _increases(axis: pa.Array) -> bool:
    """Whether each is larger than the one before: then none is there twice."""
    larger = pc.all(pc.less(axis.slice(0, len(axis) - 1), axis.slice(1)), skip_nulls=False)
    return larger.as_py() is True


def _between(axis: pa.Array, low: pa.Scalar | None, high: pa.Scalar | None) -> pa.Array:
    """Which are at or above ``low`` and below ``high``; NaN is above all bounds."""
    is_there = pa.repeat(True, len(axis))
    if low is not None:
        is_there = pc.invert(pc.fill_null(pc.less(axis, low), False))
    if high is not None:
        is_there = pc.and_(is_there, pc.fill_null(pc.less(axis, high), False))
    return is_there


def _number_groups(columns: pa.Table) -> tuple[list[int], pa.Table]:
    """The number of each row's group, and the groups themselves, in order of their values."""
    names = [f"by{i}" for i in range(columns.num_columns)]
    rows = pa.array(range(len(columns)), pa.int64())
    # Times as integers: as objects of Python they would need pandas, which the command line keeps out.
    plain = [
        each.cast(pa.int64()) if pa.types.is_timestamp(each.type) else each
        for each in columns.columns
    ]
    ordered = sort_rows(pa.table([*plain, rows], [*names, "row"]), names)
    numbers = [0] * len(columns)
    firsts: list[int] = []
    before: str | None = None
    for row in ordered.to_pylist():
        at = row.pop("row")
        if before != repr(row):
            before = repr(row)
            firsts.append(at)
        numbers[at] = len(firsts) - 1
    return numbers, columns.take(pa.array(firsts, pa.int64()))
