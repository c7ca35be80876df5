"""Exports of one run side by side."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from swanlab_export.normalizers.metrics import merge_on_step

STEPS = st.sets(st.integers(0, 30), max_size=15).map(sorted)


def _blocks(steps: list[int], size: int) -> list[pa.RecordBatch]:
    parts = [steps[i : i + size] for i in range(0, len(steps), size)]
    return [
        pa.record_batch(
            {
                "step": pa.array(part, pa.int64()),
                "v0": pa.array(part, pa.float64()),
                "t0": pa.array(part, pa.int64()),
            }
        )
        for part in parts
    ]


@settings(deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.integers(1, 6))
def test_merging_equals_a_naive_merge(streams: list[list[int]], size: int) -> None:
    """Every step comes once, in order, with the values of all exports that have it."""
    merged = merge_on_step([_blocks(steps, size) for steps in streams], [1] * len(streams))
    rows = [row for block in merged for row in block.to_pylist()]
    assert [row["step"] for row in rows] == sorted(set().union(*streams))
    for row in rows:
        for i, steps in enumerate(streams):
            assert row[f"v{i}"] == (row["step"] if row["step"] in steps else None)
