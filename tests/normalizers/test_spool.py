"""Batches that wait in a spool: the same whether in memory or in a file."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import warnings

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems import needs_fork, needs_posix, run_forked

from swanlab_export import schemas
from swanlab_export.errors import OutputError
from swanlab_export.normalizers.rows import build_table
from swanlab_export.report import Report
from swanlab_export.spool import BatchSpool, open_scratch


def batch(start: int, rows: int) -> pa.RecordBatch:
    """Steps from ``start`` on."""
    return pa.record_batch({"step": pa.array(range(start, start + rows), pa.int64())})


def steps(spool: BatchSpool, queue: int) -> list[int]:
    """The steps that wait in a queue, in batches of which none is empty."""
    parts = list(spool.read(queue))
    assert all(part.num_rows for part in parts)
    return [step for part in parts for step in part["step"].to_pylist()]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=25),
    st.sampled_from([0, 100, 300, 10**9]),
    st.none() | st.integers(1, 12),
)
def test_queues_keep_their_order(
    puts: list[tuple[int, int]], in_memory_bytes: int, tail: int | None
) -> None:
    """Each queue gives back what was put in, in order, or the last rows of it; and again."""
    spool = BatchSpool(3, in_memory_bytes=in_memory_bytes)
    expected: list[list[int]] = [[], [], []]
    for number, (queue, rows) in enumerate(puts):
        spool.put(queue, batch(number * 100, rows))
        expected[queue] += range(number * 100, number * 100 + rows)
        if tail is not None:
            spool.keep_last(queue, tail)
            expected[queue] = expected[queue][-tail:]
    for queue in range(3):
        assert steps(spool, queue) == expected[queue]
        assert steps(spool, queue) == expected[queue]
        assert spool.rows(queue) == len(expected[queue])


@pytest.mark.parametrize("tail", [None, 15_000])
def test_memory_is_bounded(tail: int | None) -> None:
    """Whatever is put in, and dropped again, memory stays below the bound."""
    bound = 2 * batch(0, 10_000).nbytes
    before = pa.total_allocated_bytes()
    spool = BatchSpool(2, in_memory_bytes=bound)
    for number in range(50):
        spool.put(number % 2, batch(number * 10_000, 10_000))
        if tail is not None:
            spool.keep_last(number % 2, tail)
        assert pa.total_allocated_bytes() - before <= bound + batch(0, 10_000).nbytes


def test_batches_of_one_queue_may_differ() -> None:
    """A batch that has waited in the file has its own columns."""
    spool = BatchSpool(1, in_memory_bytes=0)
    odd = batch(5, 2).append_column("odd0", pa.array([True, False]))
    for each in (batch(0, 2), odd, batch(9, 1)):
        spool.put(0, each)
    assert [part.schema.names for part in spool.read(0)] == [["step"], ["step", "odd0"], ["step"]]


@pytest.mark.parametrize("in_memory_bytes", [0, 10**9])
def test_a_spool_closes_its_file(in_memory_bytes: int) -> None:
    """A spool needs no closing: its file goes with it, without a warning."""
    spool = BatchSpool(1, in_memory_bytes=in_memory_bytes)
    spool.put(0, batch(0, 10))
    gc.collect()  # before: what other tests have left may warn, too
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del spool
        gc.collect()


def test_keeping_all_rows_leaves_the_file_alone() -> None:
    """A queue that is no longer than what is kept of it is not read back into memory."""
    spool = BatchSpool(1, in_memory_bytes=0)
    spool.put(0, batch(0, 5))
    gc.collect()  # what other tests have left would be freed meanwhile
    before = pa.total_allocated_bytes()
    for rows in (6, 5):
        spool.keep_last(0, rows)
        assert pa.total_allocated_bytes() <= before
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


@needs_fork
def test_a_fork_shares_no_file() -> None:
    """A process that is forked neither moves the place where a file is read on, nor writes to it."""

    class Owner:
        """Has a temporary file."""

    owner = Owner()
    file = open_scratch(owner)
    rows = [{"run_id": f"r{number}"} for number in range(3000)]
    table = iter(build_table(schemas.RUNS, rows, Report()))
    first = next(table)
    file.write(b"buffered ")

    def disturb() -> bool:
        file.close()
        with pytest.raises(EOFError):
            next(table)
        return True

    assert run_forked(disturb)
    file.write(b"once")
    file.seek(0)
    assert file.read() == b"buffered once"
    assert first.num_rows + sum(batch.num_rows for batch in table) == 3000


@needs_posix
@pytest.mark.parametrize("kind", ["batches", "rows"])
def test_a_full_temporary_folder_is_named_once(kind: str) -> None:
    """The error names the folder, and what is then closed says nothing more."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(
            OutputError, match="the temporary folder cannot be written to"
        ) as caught:
            fill(kind)
        del caught
        gc.collect()  # what cannot be closed would be an error here
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(kind: str) -> None:
    """Spool more than 5,000 bytes."""
    if kind == "batches":
        spool = BatchSpool(1, in_memory_bytes=0)
        for number in range(50):
            spool.put(0, batch(number, 2000))
    else:
        build_table(schemas.RUNS, ({"run_id": f"r{i}" * 3} for i in range(3000)), Report())
