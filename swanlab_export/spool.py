"""Record batches that wait until they are read: in memory while few, else in a temporary file.

An export holds all its keys row by row while the table holds them key by key; the points of each
key wait here, in a queue of their own.
"""

from __future__ import annotations

import contextlib
import os
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

IN_MEMORY_BYTES = 8_000_000
_scratch: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()


@dataclass(frozen=True)
class _Stored:
    """Where in the file a batch is."""

    offset: int
    size_bytes: int
    schema: pa.Schema


def open_scratch(owner: object) -> IO[bytes]:
    """Open a temporary file that lives as long as ``owner``.

    It has no name, so that nothing is left behind however the program ends.
    """
    with scratch_errors():
        file = tempfile.TemporaryFile()  # noqa: SIM115  closed with its owner
    weakref.finalize(owner, _close, file)
    _scratch.add(file)
    return file


def _close(file: IO[bytes]) -> None:
    """Close a file whose content is no longer needed, even where the disk is full."""
    with contextlib.suppress(OSError):
        file.close()


@contextmanager
def scratch_errors() -> Iterator[None]:
    """Turn an OSError into one that names the temporary folder, not the place of the result."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the temporary folder cannot be written to ({error.strerror}): "
            "set TMPDIR to another folder"
        ) from None


class BatchSpool:
    """Queues of record batches; memory stays below ``in_memory_bytes`` however much is put in."""

    def __init__(self, queues: int, *, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self._queues: list[deque[tuple[int, pa.RecordBatch | _Stored]]] = [
            deque() for _ in range(queues)
        ]
        self._rows = [0] * queues
        self._in_memory_bytes = in_memory_bytes
        self._held_bytes = 0
        self._file: IO[bytes] | None = None

    def rows(self, queue: int) -> int:
        """Count the rows that wait in ``queue``."""
        return self._rows[queue]

    def put(self, queue: int, batch: pa.RecordBatch) -> None:
        """Append ``batch`` to its queue."""
        if batch.num_rows == 0:
            return
        self._rows[queue] += batch.num_rows
        # get_total_buffer_size would count the whole block that a slice was cut from.
        self._held_bytes += batch.nbytes
        self._queues[queue].append((batch.num_rows, batch))
        if self._held_bytes > self._in_memory_bytes:
            self._store()

    def keep_last(self, queue: int, rows: int) -> None:
        """Drop the oldest rows of ``queue`` until ``rows`` are left."""
        entries = self._queues[queue]
        while entries and self._rows[queue] - entries[0][0] >= rows:
            dropped, entry = entries.popleft()
            self._rows[queue] -= dropped
            if isinstance(entry, pa.RecordBatch):
                self._held_bytes -= entry.nbytes
        excess = self._rows[queue] - rows
        if entries and excess > 0:
            count, entry = entries.popleft()
            batch = self._load(entry)
            if isinstance(entry, pa.RecordBatch):
                self._held_bytes -= entry.nbytes
            rest = batch.slice(excess)
            self._held_bytes += rest.nbytes
            self._rows[queue] -= excess
            entries.appendleft((count - excess, rest))

    def read(self, queue: int) -> Iterator[pa.RecordBatch]:
        """Yield the batches of ``queue`` in the order in which they came; they stay in the spool."""
        for _, entry in self._queues[queue]:
            yield self._load(entry)

    def _load(self, entry: pa.RecordBatch | _Stored) -> pa.RecordBatch:
        if not isinstance(entry, _Stored):
            return entry
        assert self._file is not None
        with scratch_errors():
            self._file.seek(entry.offset)
            raw = pa.py_buffer(self._file.read(entry.size_bytes))
        return pa.ipc.read_record_batch(raw, entry.schema)

    def _store(self) -> None:
        """Move everything that is held in memory to the file."""
        if self._file is None:
            self._file = open_scratch(self)
        with scratch_errors():
            end = self._file.seek(0, 2)
        for queue in self._queues:
            for position, (count, entry) in enumerate(queue):
                if isinstance(entry, _Stored):
                    continue
                raw = entry.serialize()
                with scratch_errors():
                    self._file.write(raw)
                queue[position] = (count, _Stored(end, raw.size, entry.schema))
                end += raw.size
        self._held_bytes = 0


def _let_go() -> None:
    """Give up the files of the process that this one was forked from.

    The two would share the place where each file is read on, and what one has buffered both would
    write.
    """
    for file in list(_scratch):
        with contextlib.suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, file.fileno())
            os.close(nothing)


# Windows does not fork.
getattr(os, "register_at_fork", dict)(after_in_child=_let_go)
