"""Record batches that wait for their turn: in memory while they are few, else in a temporary file.

An export holds all its keys row by row while the table wants them key by key; this is where the
keys wait. Each slot is a queue of its own, such as one key.
"""

from __future__ import annotations

import tempfile
import weakref
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from swanlab_export.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_MEMORY_BYTES = 8_000_000


@dataclass(frozen=True)
class _Parked:
    """Where in the file a batch is."""

    offset: int
    size_bytes: int


def open_scratch(owner: object) -> IO[bytes]:
    """Open a temporary file that lives as long as ``owner``.

    It has no name, so that nothing is left behind whatever happens.
    """
    with scratch_errors():
        file = tempfile.TemporaryFile()  # noqa: SIM115  closed with its owner
    weakref.finalize(owner, file.close)
    return file


@contextmanager
def scratch_errors() -> Iterator[None]:
    """Say that it is the temporary folder that takes no more, and not the place of the result."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the temporary folder takes nothing more ({error.strerror}): set TMPDIR to another"
        ) from None


class BatchSpool:
    """Queues of record batches; memory stays below ``in_memory_bytes`` however much is put in."""

    def __init__(self, slots: int, *, in_memory_bytes: int = _IN_MEMORY_BYTES) -> None:
        self._queues: list[deque[tuple[int, pa.RecordBatch | _Parked]]] = [
            deque() for _ in range(slots)
        ]
        self._schemas: list[pa.Schema | None] = [None] * slots
        self._rows = [0] * slots
        self._in_memory_bytes = in_memory_bytes
        self._held_bytes = 0
        self._file: IO[bytes] | None = None

    def rows(self, slot: int) -> int:
        """Count the rows that wait in ``slot``."""
        return self._rows[slot]

    def put(self, slot: int, batch: pa.RecordBatch) -> None:
        """Append ``batch`` to its queue."""
        if batch.num_rows == 0:
            return
        self._schemas[slot] = batch.schema
        self._rows[slot] += batch.num_rows
        # get_total_buffer_size would count the whole block that a slice was cut from.
        self._held_bytes += batch.nbytes
        self._queues[slot].append((batch.num_rows, batch))
        if self._held_bytes > self._in_memory_bytes:
            self._park()

    def keep_last(self, slot: int, rows: int) -> None:
        """Drop the oldest rows of ``slot`` until ``rows`` are left."""
        queue = self._queues[slot]
        while queue and self._rows[slot] - queue[0][0] >= rows:
            dropped, entry = queue.popleft()
            self._rows[slot] -= dropped
            if isinstance(entry, pa.RecordBatch):
                self._held_bytes -= entry.nbytes
        excess = self._rows[slot] - rows
        if queue and excess > 0:
            count, entry = queue.popleft()
            batch = self._load(slot, entry)
            if isinstance(entry, pa.RecordBatch):
                self._held_bytes -= entry.nbytes
            rest = batch.slice(excess)
            self._held_bytes += rest.nbytes
            self._rows[slot] -= excess
            queue.appendleft((count - excess, rest))

    def read(self, slot: int) -> Iterator[pa.RecordBatch]:
        """Yield the batches of ``slot`` in the order in which they came; they stay in the spool."""
        for _, entry in self._queues[slot]:
            yield self._load(slot, entry)

    def _load(self, slot: int, entry: pa.RecordBatch | _Parked) -> pa.RecordBatch:
        if not isinstance(entry, _Parked):
            return entry
        assert self._file is not None
        with scratch_errors():
            self._file.seek(entry.offset)
            raw = pa.py_buffer(self._file.read(entry.size_bytes))
        return pa.ipc.read_record_batch(raw, self._schemas[slot])

    def _park(self) -> None:
        """Move everything that is held in memory to the file."""
        if self._file is None:
            self._file = open_scratch(self)
        with scratch_errors():
            end = self._file.seek(0, 2)
        for queue in self._queues:
            for position, (count, entry) in enumerate(queue):
                if isinstance(entry, _Parked):
                    continue
                raw = entry.serialize()
                with scratch_errors():
                    self._file.write(raw)
                queue[position] = (count, _Parked(end, raw.size))
                end += raw.size
        self._held_bytes = 0
