"""Metrics: payloads as a server sends them → golden tables, long and wide."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.metrics import (
    ExportFilter,
    Layout,
    merge_on_step,
    read_sample,
    sample_block,
    split_keys,
)
from swanlab_export.normalizers.selection import Selection
from swanlab_export.report import Report
from swanlab_export.tables import decode_batch

pytestmark = pytest.mark.core

RUN_ID = "b8h3exk33i5dtthhnmq2k"
# Sparse and dense keys, a key with a comma, NaN and an infinity, a point with no time.
CSV = (
    f"step,{RUN_ID}-loss_step,{RUN_ID}-loss_timestamp,"
    f'"{RUN_ID}-a,b_step","{RUN_ID}-a,b_timestamp"\n'
    "0,2.5,1768176001502,,\n"
    "1,NaN,1768176001755,0.25,1768176001756\n"
    "3,-inf,1768176002013,,\n"
    "10,,,1e-300,\n"
).encode()


def at(ms: int) -> datetime:
    """A time of the table."""
    return datetime.fromtimestamp(ms / 1000, UTC)


T0, T1, T1B, T3 = (at(1768176000000 + ms) for ms in (1502, 1755, 1756, 2013))


def shown(batches: list[pa.RecordBatch], layout: Layout) -> list[dict[str, Any]]:
    """Rows, with NaN as a word: it does not equal itself."""
    decoded = [decode_batch(batch, layout.schema) for batch in batches]
    rows = pa.Table.from_batches(decoded, schema=layout.schema).to_pylist()
    return [
        {k: "NaN" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for row in rows
    ]


def from_csv(
    layout: Layout, selection: Selection, *, csv: bytes = CSV, x_key: str | None = None
) -> list[dict[str, Any]]:
    """Read the export, however its bytes are cut, as the table that ``layout`` asks for."""
    keys = list(layout.keys)
    columns = keys if x_key is None else [*keys, x_key]
    chunks = [csv[i : i + 7] for i in range(0, len(csv), 7)]
    blocks = read_export(chunks, RUN_ID, columns, Report(), must_end_line=lambda: True)
    chosen = list(
        ExportFilter(keys, None if x_key is None else len(keys), selection).select(blocks)
    )
    if layout.is_wide:
        merged = merge_on_step([chosen], [len(keys)], Report())
        return shown([layout.wide_batch(RUN_ID, keys, block) for block in merged], layout)
    batches: dict[int, list[pa.RecordBatch]] = {i: [] for i in range(len(keys))}
    for block in chosen:
        for i, points in split_keys(block, len(keys)):
            batches[i].append(layout.long_batch(RUN_ID, keys[i], points))
    return shown([batch for i in batches for batch in batches[i]], layout)


def long_row(key: str, step: int | None, value: Any, time: datetime | None) -> dict[str, Any]:
    """A row of the long table."""
    return {"run_id": RUN_ID, "key": key, "step": step, "value": value, "timestamp": time}


def test_an_export_as_a_long_table() -> None:
    """Key after key in the order asked for; a cell that is empty is no row, NaN is one."""
    layout = Layout((RUN_ID,), ("a,b", "loss"))
    assert from_csv(layout, Selection()) == [
        long_row("a,b", 1, 0.25, T1B),
        long_row("a,b", 10, 1e-300, None),
        long_row("loss", 0, 2.5, T0),
        long_row("loss", 1, "NaN", T1),
        long_row("loss", 3, -math.inf, T3),
    ]


def test_an_export_as_a_wide_table() -> None:
    """Step after step; a key without a point there is null, which NaN is not."""
    layout = Layout((RUN_ID,), ("loss", "a,b"), is_wide=True)

    def row(step: int, loss: Any, ab: Any, loss_at: Any, ab_at: Any) -> dict[str, Any]:
        names = ("run_id", "step", "loss", "a,b", "loss_timestamp", "a,b_timestamp")
        return dict(zip(names, (RUN_ID, step, loss, ab, loss_at, ab_at), strict=True))

    assert from_csv(layout, Selection()) == [
        row(0, 2.5, None, T0, None),
        row(1, "NaN", 0.25, T1, T1B),
        row(3, -math.inf, None, T3, None),
        row(10, None, 1e-300, None, None),
    ]


@pytest.mark.parametrize(
    ("selection", "steps"),
    [
        (Selection("step", 1, 3), [("loss", 1), ("loss", 3), ("a,b", 1)]),
        (
            Selection("timestamp", 1768176001755, None),
            [("loss", 1), ("loss", 3), ("a,b", 1)],
        ),
        (Selection(head=1), [("loss", 0), ("a,b", 1)]),
        (Selection("step", 1, None, head=1), [("loss", 1), ("a,b", 1)]),
    ],
)
def test_a_range_of_an_export(selection: Selection, steps: list[tuple[str, int]]) -> None:
    """Bounds are inclusive, on every key by itself; a point with no time is in no range of it."""
    layout = Layout((RUN_ID,), ("loss", "a,b"))
    everything = from_csv(layout, Selection())
    assert from_csv(layout, selection) == [
        row for row in everything if (row["key"], row["step"]) in steps
    ]


# An epoch that is missing at a step, one without a point, and one that holds two steps.
ON_EPOCHS = (
    f"step,{RUN_ID}-loss_step,{RUN_ID}-loss_timestamp,{RUN_ID}-epoch_step,{RUN_ID}-epoch_timestamp\n"
    "0,2.5,1768176001502,0,1\n"
    "1,1.5,1768176001755,0.5,1\n"
    "2,1.25,1768176001756,,\n"
    "3,,,0.75,1\n"
    "4,0.5,,1,1\n"
    "5,0.25,1768176002013,1,1\n"
).encode()


@pytest.mark.parametrize(
    ("selection", "steps"),
    [
        (Selection(), [0, 1, 2, 4, 5]),
        (Selection("custom", 0.25, None), [1, 4, 5]),
        (Selection("custom", None, 0.75), [0, 1]),
        (Selection("custom", 0.5, 1, head=2), [1, 4]),
        (Selection("step", 1, 4), [1, 2, 4]),
    ],
)
def test_an_export_on_another_axis(selection: Selection, steps: list[int]) -> None:
    """Each point comes with its x, which a custom range goes by; long rows keep their step."""
    rows = [
        (0, 0.0, 2.5, T0),
        (1, 0.5, 1.5, T1),
        (2, None, 1.25, T1B),
        (4, 1.0, 0.5, None),
        (5, 1.0, 0.25, T3),
    ]
    chosen = [row for row in rows if row[0] in steps]
    long = Layout((RUN_ID,), ("loss",), pa.float64())
    assert from_csv(long, selection, csv=ON_EPOCHS, x_key="epoch") == [
        long_row("loss", step, value, time) | {"x": x} for step, x, value, time in chosen
    ]
    wide = Layout((RUN_ID,), ("loss",), pa.float64(), is_wide=True)
    assert from_csv(wide, selection, csv=ON_EPOCHS, x_key="epoch") == [
        {"run_id": RUN_ID, "x": x, "loss": value, "loss_timestamp": time}
        for _, x, value, time in chosen
    ]


def test_no_points_keep_every_column() -> None:
    """A key without a point gives zero rows of declared types."""
    layout = Layout((RUN_ID,), ("loss",))
    assert from_csv(layout, Selection("step", 100, None)) == []
    types = {field.name: field.type for field in layout.schema}
    assert types["step"] == pa.int64()
    assert types["value"] == pa.float64()
    assert types["timestamp"] == pa.timestamp("ms", tz="UTC")


SAMPLE: list[Any] = [
    {
        "key": "acc",
        "metrics": [
            {"index": 0, "data": "NaN", "timestamp": 1768176001502},
            {"index": 5, "data": "-INF", "timestamp": None},
            {"index": 6, "data": None, "timestamp": 1768176001755},
        ],
    },
    None,
    {"key": "loss", "metrics": [{"index": 5, "data": 1, "timestamp": 1768176001755}]},
    {"key": "gone", "metrics": None},
]


def test_a_sample_as_a_long_table() -> None:
    """NaN and infinities come as words; a null value is no point; keys may come in any order."""
    layout = Layout((RUN_ID,), ("loss", "acc"))
    found = read_sample(SAMPLE, Report(), "step", has_x_column=False)
    batches = [layout.long_batch(RUN_ID, key, found[key]) for key in layout.keys]
    assert shown(batches, layout) == [
        long_row("loss", 5, 1.0, T1),
        long_row("acc", 0, "NaN", T0),
        long_row("acc", 5, -math.inf, None),
    ]


def test_a_sample_as_a_wide_table() -> None:
    """Keys are merged on their step; one that was left out is null throughout."""
    keys = ["loss", "acc", "missing"]
    layout = Layout((RUN_ID,), tuple(keys), is_wide=True, has_timestamp=False)
    block = sample_block(read_sample(SAMPLE, Report(), "step", has_x_column=False), keys, Report())
    assert shown([layout.wide_batch(RUN_ID, keys, block)], layout) == [
        {"run_id": RUN_ID, "step": 0, "loss": None, "acc": "NaN", "missing": None},
        {"run_id": RUN_ID, "step": 5, "loss": 1.0, "acc": -math.inf, "missing": None},
    ]


@pytest.mark.parametrize(
    ("x_axis", "x_type", "expected"),
    [
        ("epoch", pa.float64(), [0.0, 5.0]),
        ("time", pa.timestamp("ms", tz="UTC"), [at(0), at(5)]),
    ],
)
def test_a_sample_on_another_axis(x_axis: str, x_type: pa.DataType, expected: list[Any]) -> None:
    """There the index is x, and the step is not known."""
    layout = Layout((RUN_ID,), ("acc",), x_type)
    points = read_sample(SAMPLE, Report(), x_axis, has_x_column=True)["acc"]
    rows = shown([layout.long_batch(RUN_ID, "acc", points)], layout)
    assert [row["x"] for row in rows] == expected
    assert [row["step"] for row in rows] == [None, None]


def test_points_whose_x_is_nan_stay_in_their_order() -> None:
    """Several keys may have such points: they share rows, the first with the first."""
    points = [{"index": "NaN", "data": i} for i in range(8)]
    payload = [{"key": "a", "metrics": points}, {"key": "b", "metrics": points[:2]}]
    block = sample_block(
        read_sample(payload, Report(), "epoch", has_x_column=True), ["a", "b"], Report()
    )
    assert block["v0"].to_pylist() == [*range(8)]
    assert block["v1"].to_pylist() == [0, 1, *[None] * 6]
