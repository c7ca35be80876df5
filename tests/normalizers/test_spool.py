"""Points that wait for their turn: the same whether in memory or in a file."""

from __future__ import annotations

import gc
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
    """The steps that wait in a slot."""
    return [step for part in spool.read(slot) for step in part["step"].to_pylist()]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=25),
    st.sampled_from([0, 100, 10**9]),
    st.none() | st.integers(1, 12),
)
def test_slots_are_queues(
    puts: list[tuple[int, int]], in_memory_bytes: int, tail: int | None
) -> None:
    """Each slot gives back what was put in, in order, or the last rows of it; and again."""
    spool = BatchSpool(3, in_memory_bytes=in_memory_bytes)
    expected: list[list[int]] = [[], [], []]
    for number, (slot, rows) in enumerate(puts):
        spool.put(slot, batch(number * 100, rows))
        expected[slot] += range(number * 100, number * 100 + rows)
        if tail is not None:
            spool.keep_last(slot, tail)
            expected[slot] = expected[slot][-tail:]
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
