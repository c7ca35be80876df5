"""Points that wait for their turn: the same whether in memory or in a file."""

from __future__ import annotations

import gc
import tracemalloc
import warnings

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.normalizers.spool import BatchSpool


def batch(start: int, rows: int) -> pa.RecordBatch:
    """Steps from ``start`` on."""
    return pa.record_batch({"step": pa.array(range(start, start + rows), pa.int64())})


def steps(spool: BatchSpool, slot: int) -> list[int]:
    """The steps that wait in a slot, in batches of which none is empty."""
    parts = list(spool.read(slot))
    assert all(part.num_rows for part in parts)
    return [step for part in parts for step in part["step"].to_pylist()]


def held_bytes(spool: BatchSpool) -> int:
    """What the spool holds in memory."""
    entries = [entry for queue in spool._queues for _, entry in queue]
    return sum(entry.nbytes for entry in entries if isinstance(entry, pa.RecordBatch))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=25),
    st.sampled_from([0, 100, 300, 10**9]),
    st.none() | st.integers(1, 12),
)
def test_slots_are_queues(
    puts: list[tuple[int, int]], in_memory_bytes: int, tail: int | None
) -> None:
    """Each slot gives back what was put in, in order, or the last rows of it; and again.

    Whatever is put in, memory stays below the bound, and the spool knows how much it holds.
    """
    spool = BatchSpool(3, in_memory_bytes=in_memory_bytes)
    expected: list[list[int]] = [[], [], []]
    for number, (slot, rows) in enumerate(puts):
        spool.put(slot, batch(number * 100, rows))
        assert spool._held_bytes == held_bytes(spool)
        assert not rows or held_bytes(spool) <= in_memory_bytes
        expected[slot] += range(number * 100, number * 100 + rows)
        if tail is not None:
            spool.keep_last(slot, tail)
            expected[slot] = expected[slot][-tail:]
            assert spool._held_bytes == held_bytes(spool)
    for slot in range(3):
        assert steps(spool, slot) == expected[slot]
        assert steps(spool, slot) == expected[slot]
        assert spool.rows(slot) == len(expected[slot])


@pytest.mark.parametrize("in_memory_bytes", [0, 10**9])
def test_a_spool_closes_its_file(in_memory_bytes: int) -> None:
    """Nobody has to close a spool: its file goes with it, without a warning."""
    spool = BatchSpool(1, in_memory_bytes=in_memory_bytes)
    spool.put(0, batch(0, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del spool
        gc.collect()


def test_what_nobody_drops_stays_in_the_file() -> None:
    """A slot that is no longer than what is kept of it is not fetched back into memory."""
    spool = BatchSpool(1, in_memory_bytes=0)
    spool.put(0, batch(0, 5))
    for rows in (6, 5):
        spool.keep_last(0, rows)
        assert held_bytes(spool) == 0
    assert steps(spool, 0) == [0, 1, 2, 3, 4]


def test_reading_takes_one_batch_at_a_time() -> None:
    """Reading a file of many batches needs the memory of one."""
    spool = BatchSpool(1, in_memory_bytes=0)
    for number in range(50):
        spool.put(0, batch(number * 10_000, 10_000))
    tracemalloc.start()
    try:
        assert sum(part.num_rows for part in spool.read(0)) == 500_000
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10 * batch(0, 10_000).nbytes
