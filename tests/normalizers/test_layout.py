"""The shape of the metrics table: names, types, and what fills the columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from swanlab_export import schemas
from swanlab_export.normalizers.metrics import Layout, join_axis
from swanlab_export.tables import decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = ["run_id", "key", "step", "value", "timestamp"]
FLOATS, TIMES = schemas.FLOAT, schemas.TIME
TYPES = {
    "run_id": schemas.TEXT,
    "key": schemas.TEXT,
    "step": schemas.INT,
    "value": FLOATS,
    "timestamp": TIMES,
    "a": FLOATS,
    "a_timestamp": TIMES,
}


@pytest.mark.parametrize(
    ("options", "names", "x_type"),
    [
        ({}, LONG, None),
        ({"has_timestamp": False}, LONG[:4], None),
        ({"x_type": FLOATS}, [*LONG, "x"], FLOATS),
        ({"x_type": TIMES, "has_timestamp": False}, [*LONG[:4], "x"], TIMES),
        ({"x_type": FLOATS, "is_wide": True}, ["run_id", "x", "a", "a_timestamp"], FLOATS),
        ({"x_type": TIMES, "is_wide": True}, ["run_id", "x", "a", "a_timestamp"], TIMES),
        ({"is_wide": True}, ["run_id", "step", "a", "a_timestamp"], None),
        ({"is_wide": True, "has_timestamp": False}, ["run_id", "step", "a"], None),
    ],
)
def test_columns(options: dict[str, Any], names: list[str], x_type: pa.DataType | None) -> None:
    """Declared columns with their types; x comes where another axis than the step is asked for."""
    layout = Layout(("r",), ("a",), **options)
    found = [(field.name, field.type) for field in layout.schema]
    assert found == [(name, x_type if name == "x" else TYPES[name]) for name in names]
    assert layout.warnings() == []


@pytest.mark.parametrize(
    ("keys", "x_type", "names", "renamed"),
    [
        (("run_id", "step"), None, ["run_id", "step", "run_id__2", "step__2"], ["run_id", "step"]),
        (("x", "key"), None, ["run_id", "step", "x", "key"], []),
        (("x", "step"), FLOATS, ["run_id", "x", "x__2", "step"], ["x"]),
    ],
)
def test_keys_that_are_named_like_columns(
    keys: tuple[str, ...], x_type: pa.DataType | None, names: list[str], renamed: list[str]
) -> None:
    """In a wide table they get names of their own, and a warning says which."""
    layout = Layout(("r",), keys, x_type, is_wide=True, has_timestamp=False)
    assert layout.schema.names == names
    assert layout.warnings() == [
        f"two values are named {name}; the second is in {name}__2" for name in renamed
    ]
    assert Layout(("r",), keys, x_type).warnings() == []


def test_keys_that_are_named_like_times() -> None:
    """Keys come first, so it is the times that get other names."""
    layout = Layout(("r",), ("a_timestamp", "a"), is_wide=True)
    times = ["a_timestamp_timestamp", "a_timestamp__2"]
    assert layout.schema.names == ["run_id", "step", "a_timestamp", "a", *times]
    assert [field.type for field in layout.schema][2:] == [FLOATS, FLOATS, TIMES, TIMES]
    assert layout.warnings() == [
        "two values are named a_timestamp; the second is in a_timestamp__2"
    ]


def test_keys_that_differ_only_in_case() -> None:
    """A wide table has a column of each, and a warning: some programs take them for one."""
    said = "names of columns differ only in upper and lower case: 'Loss' and 'loss'"
    keys = ("Loss", "acc", "loss")
    wide = Layout(("r",), keys, is_wide=True, has_timestamp=False)
    assert wide.warnings() == [said]
    assert Layout(("r",), keys).warnings() == []


BLOCK = pa.record_batch(
    {
        "step": pa.array([3, 4], pa.int64()),
        "x": pa.array([7, None], pa.int64()),
        "v0": pa.array([0.5, None], FLOATS),
        "t0": pa.array([1000, None], pa.int64()),
        "v1": pa.array([1.5, 2.5], FLOATS),
        "t1": pa.array([2000, 3000], pa.int64()),
    }
)


@pytest.mark.parametrize(
    ("x_type", "name", "axis"),
    [
        (None, "step", [3, 4]),
        (FLOATS, "x", [7.0, None]),
        (TIMES, "x", [datetime.fromtimestamp(0.007, UTC), None]),
    ],
)
def test_a_block_as_wide_rows(x_type: pa.DataType | None, name: str, axis: list[Any]) -> None:
    """Columns go by key, in the order of the table; a key that the run lacks is null in it."""
    layout = Layout(("r", "s"), ("a", "missing", "b"), x_type, is_wide=True)
    batch = layout.wide_batch("s", ["b", "a"], BLOCK)
    assert decode_batch(batch, layout.schema).schema == layout.schema
    assert batch.to_pydict() == {
        "run_id": ["s", "s"],
        name: axis,
        "a": [1.5, 2.5],
        "missing": [None, None],
        "b": [0.5, None],
        "a_timestamp": [datetime.fromtimestamp(s, UTC) for s in (2, 3)],
        "missing_timestamp": [None, None],
        "b_timestamp": [datetime.fromtimestamp(1, UTC), None],
    }
    bare = Layout(("r", "s"), ("key", "b"), x_type, is_wide=True, has_timestamp=False)
    assert bare.wide_batch("r", ["b", "key"], BLOCK).to_pydict() == {
        "run_id": ["r", "r"],
        name: axis,
        "key": [1.5, 2.5],
        "b": [0.5, None],
    }


def test_an_axis_that_begins_earlier_and_goes_on() -> None:
    """Every point stays, the axis has nulls where it lacks a step, and it is read to its end."""

    def stream(*batches: list[int]) -> Iterator[pa.RecordBatch]:
        for steps in batches:
            values = pa.array([float(step) for step in steps])
            yield pa.record_batch({"step": steps, "v0": values, "t0": pa.array(steps, pa.int64())})
            read.append(steps[-1])

    read: list[int] = []
    axis = stream([0, 1], [5, 5], [7, 9], [11])
    blocks = list(join_axis(stream([5, 5, 6], [8, 9]), axis))
    found = pa.Table.from_batches(blocks).to_pydict()
    assert found["step"] == [5, 5, 6, 8, 9]
    assert found["v1"] == [5.0, 5.0, None, None, 9.0]
    assert found["t1"] == [5, 5, None, None, 9]
    assert 11 in read
    (block,) = join_axis(stream([5, 6]), iter(()))
    assert block.to_pydict()["v1"] == [None, None]
