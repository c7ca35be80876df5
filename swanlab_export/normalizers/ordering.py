"""The order of steps: checked as blocks come, and made where a file is not in order.

A run that was resumed from an older checkpoint logs steps twice, and later ones before earlier
ones. Every row is kept; the tables are in step order nevertheless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.normalizers.values import INT64_MAX
from swanlab_export.spool import IN_MEMORY_BYTES, BatchSpool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Rows that are sorted in memory at once, and rows of a sorted batch.
_SORTED_ROWS = 2**19
_BATCH_ROWS = 50_000


class StepOrder:
    """Follows the steps of one file.

    Attributes:
        is_in_order: No step was less than one before it, and none was missing.
        late: How many rows had a step that was not greater than all before it.
    """

    def __init__(self) -> None:
        self.is_in_order = True
        self.late = 0
        self._highest: int | None = None

    def add(self, steps: pa.Array) -> None:
        """Take the next steps of the file into account; there is at least one."""
        if self._rises(steps):
            self._highest = steps[-1].as_py()
        else:
            self._count(steps)

    def _rises(self, steps: pa.Array) -> bool:
        """Say whether each step is greater than all before it; true for nearly every file."""
        if not rises(steps):
            return False
        return self._highest is None or steps[0].as_py() > self._highest

    def _count(self, steps: pa.Array) -> None:
        if steps.null_count:
            self.is_in_order = False
            steps = steps.drop_null()
        if not len(steps):
            return
        highest = pc.cumulative_max(steps, start=self._highest)
        first = pa.array([self._highest], pa.int64())
        before = pa.concat_arrays([first, highest.slice(0, len(steps) - 1)])
        self.late += pc.sum(pc.less_equal(steps, before), min_count=0).as_py()
        if pc.any(pc.less(steps, before), min_count=0).as_py():
            self.is_in_order = False
        self._highest = highest[-1].as_py()


def rises(steps: pa.Array) -> bool:
    """Say whether each step is greater than the one before it, and none is missing."""
    if steps.null_count:
        return False
    pairs = pc.less(steps.slice(0, max(len(steps) - 1, 0)), steps.slice(1))
    return bool(pc.all(pairs, min_count=0).as_py())


def in_step_order(
    blocks: Iterable[pa.RecordBatch], *, in_memory_bytes: int = IN_MEMORY_BYTES
) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of one file in step order, after the last of them has come."""
    spool, order = BatchSpool(1, in_memory_bytes=in_memory_bytes), StepOrder()
    for block in blocks:
        order.add(block["step"])
        spool.put(0, block)
    yield from spool.read(0) if order.is_in_order else sort_queue(spool, 0)


def sort_queue(spool: BatchSpool, queue: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a queue in step order, those without a step last.

    Rows of one step stay in the order in which they came, and in one batch.
    """
    # At least this many rows go to each part, so there are never more parts than queues.
    parts = BatchSpool(spool.rows(queue) // _SORTED_ROWS + 1)
    count = rows = 0
    held: list[pa.RecordBatch] = []
    for batch in spool.read(queue):
        held.append(batch)
        rows += batch.num_rows
        if rows >= _SORTED_ROWS:
            _put_sorted(parts, count, held)
            count, rows, held = count + 1, 0, []
    if held:
        _put_sorted(parts, count, held)
        count += 1
    readers = [StepReader(parts.read(part)) for part in range(count)]
    while live := [reader for reader in readers if reader.fill()]:
        cut = min(reader.last_step() for reader in live)
        yield _sorted([reader.take(cut) for reader in live])


def _put_sorted(parts: BatchSpool, part: int, batches: list[pa.RecordBatch]) -> None:
    """Append sorted batches to a part; each ends where a step ends."""
    rest = _sorted(batches)
    while rest.num_rows > _BATCH_ROWS:
        count = _rows_up_to(rest, rest["step"][_BATCH_ROWS].as_py())
        parts.put(part, rest.slice(0, count))
        rest = rest.slice(count)
    parts.put(part, rest)


def _sorted(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Sort by step; the sort is stable, and puts rows without a step last."""
    batch = _joined(batches)
    return batch.take(pc.sort_indices(batch["step"]))


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Join batches, of which some may have columns that others lack."""
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    (batch,) = pa.concat_tables(tables, promote_options="default").combine_chunks().to_batches()
    return batch


def _rows_up_to(batch: pa.RecordBatch, step: int | None) -> int:
    """Count the rows of a sorted batch up to a step, which is None behind all steps."""
    if step is None or step == INT64_MAX:
        return int(batch.num_rows)
    return int(pc.sum(pc.less_equal(batch["step"], step), min_count=0).as_py())


class StepReader:
    """A stream of batches in step order, of which all rows up to a step can be taken."""

    def __init__(self, stream: Iterable[pa.RecordBatch]) -> None:
        self.batch: pa.RecordBatch | None = None
        self._next: pa.RecordBatch | None = None
        self._stream = (batch for batch in stream if batch.num_rows)

    def fill(self) -> bool:
        """Have a batch to take from, which holds all rows of its last step; False at the end."""
        while self.batch is None or not self.batch.num_rows:
            batch = self._next if self._next is not None else next(self._stream, None)
            if batch is None:
                return False
            self._next = next(self._stream, None)
            if self._next is not None and _step(self._next, 0) == _step(batch, -1):
                # The rows of this step go on in the next batch.
                whole = pc.sum(pc.less(batch["step"], _step(batch, -1)), min_count=0).as_py()
                self._next = _joined([batch.slice(whole), self._next])
                batch = batch.slice(0, whole)
            self.batch = batch
        return True

    def last_step(self) -> int:
        """The last step of the batch."""
        assert self.batch is not None
        return _step(self.batch, -1)

    def take(self, cut: int) -> pa.RecordBatch:
        """Take the rows of the batch whose step is ``cut`` or less."""
        assert self.batch is not None
        count = _rows_up_to(self.batch, cut)
        taken, self.batch = self.batch.slice(0, count), self.batch.slice(count)
        return taken


def _step(batch: pa.RecordBatch, row: int) -> int:
    """The step of a row; one that is missing comes after all others."""
    step = batch["step"][row].as_py()
    return INT64_MAX if step is None else step
