"""Groups and smoothing, against pandas."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.analysis import PointGroups, Smoother, group_rows
from swanlab_export.errors import UsageError
from swanlab_export.tables import decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import swanlab_export as se

SMALL = {"slug in": ["diverged", "mlp-adam", "mlp-clone", "no-profile", "aborted"]}
SWEEP = "ada-lab/sweep"
VALUES = st.one_of(
    st.none(), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])
)


def batches(points: pa.Table) -> Iterator[pa.RecordBatch]:
    """The points in batches of one run and key."""
    seen: list[tuple[str, str]] = []
    starts: list[int] = []
    for i, each in enumerate(zip(*(points[n].to_pylist() for n in ("run_id", "key")), strict=True)):
        if not seen or seen[-1] != each:
            seen.append(each)
            starts.append(i)
    for start, end in pairwise([*starts, len(points)] if starts else []):
        yield from points.slice(start, end - start).combine_chunks().to_batches()


def group_points(points: pa.Table, groups: pa.Table, axis: str, **options: Any) -> pa.Table:
    """All rows of the groups; keys in the order in which they come."""
    keys = list(dict.fromkeys(points["key"].to_pylist()))
    field = points.schema.field(axis)
    rows = PointGroups(batches(points), groups, keys, field, **options)
    return pa.Table.from_batches([decode_batch(each, rows.schema) for each in rows], rows.schema)


def finite(values: pd.Series[Any]) -> pd.Series[Any]:
    """The values that count."""
    return values[values.map(lambda value: value is not None and math.isfinite(value))]


def test_groups_of_runs_are_those_of_pandas(api: se.Api[pa.Table]) -> None:
    """Mean, std (ddof 1), min and max over the seeds of the sweep."""
    runs = api.run.list(SWEEP, summary="val/acc,val/loss")
    by, values = ["config.lr", "config.hidden"], ["summary.val/acc", "summary.val/loss"]
    ours = group_rows(runs, by, values).to_pandas()
    theirs = runs.to_pandas().groupby(by, dropna=False)
    assert len(ours) == theirs.ngroups > 5
    for value in values:
        expected = theirs[value].agg(["count", "mean", "std", "min", "max"]).reset_index()
        for mine, name in zip(
            ("n", "mean", "std", "min", "max"), expected.columns[2:], strict=True
        ):
            pd.testing.assert_series_equal(
                ours[f"{value}.{mine}"], expected[name], check_names=False, check_dtype=False
            )
    assert ours["n"].sum() == len(runs)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), VALUES), max_size=30))
def test_what_is_not_finite_is_counted_by_itself(rows: list[tuple[Any, Any]]) -> None:
    """It is in no mean; a missing value is in no count but that of the rows."""
    table = pa.table(
        {
            "g": pa.array([g for g, _ in rows], pa.string()),
            "v": pa.array([v for _, v in rows], pa.float64()),
        }
    )
    found = {row["g"]: row for row in group_rows(table, ["g"], ["v"]).to_pylist()}
    assert set(found) == {g for g, _ in rows}
    for group, row in found.items():
        values = [v for g, v in rows if g == group]
        there = [v for v in values if v is not None]
        good = pd.Series([v for v in there if math.isfinite(v)], dtype="float64")
        assert row["n"] == len(values)
        assert row["v.n"] == len(good)
        assert row["v.n_nonfinite"] == len(there) - len(good)
        expected = [good.mean(), good.std(ddof=1), good.min(), good.max()]
        for name, value in zip(("mean", "std", "min", "max"), expected, strict=True):
            mine = row[f"v.{name}"]
            if pd.isna(value):
                assert mine is None
            else:
                assert mine == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_points_of_groups_are_those_of_pandas(api: se.Api[pa.Table]) -> None:
    """Per group, key and step; runs of different length give smaller groups at their ends."""
    runs = api.run.filter("ada-lab/digits", SMALL).select(["run_id", "config.lr"])
    points = api.run.metrics(project="ada-lab/digits", where=SMALL, keys="loss,val/loss", all=True)
    ours = group_points(points, runs, "step").to_pandas()
    frame = points.to_pandas().merge(runs.to_pandas(), on="run_id")
    frame = frame.drop_duplicates(["run_id", "key", "step"], keep="last")
    is_finite = frame["value"].abs() < math.inf
    frame = frame.assign(finite=frame["value"].where(is_finite), odd=~is_finite)
    expected = (
        frame.groupby(["config.lr", "key", "step"], dropna=False)
        .agg(
            n=("finite", "count"),
            mean=("finite", "mean"),
            std=("finite", "std"),
            min=("finite", "min"),
            max=("finite", "max"),
            n_nonfinite=("odd", "sum"),
        )
        .reset_index()
    )
    columns = ["config.lr", "key", "step"]
    ours = ours.sort_values(columns).reset_index(drop=True)
    expected = expected.sort_values(columns).reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, expected, check_dtype=False)
    assert (ours["n"] > 1).any()
    assert ours["n_nonfinite"].sum() > 0


def test_a_negative_zero_is_zero() -> None:
    """Of groups as of the axis, as pandas has it."""
    rows = pa.table({"lr": [0.0, -0.0, 1.0], "v": [1.0, 3.0, 5.0]})
    found = group_rows(rows, ["lr"], ["v"])
    assert found.select(["lr", "v.mean"]).to_pydict() == {"lr": [0.0, 1.0], "v.mean": [2.0, 5.0]}
    points = pa.table(
        {"run_id": ["a", "b"], "key": ["k"] * 2, "x": [0.0, -0.0], "value": [1.0, 3.0]}
    )
    groups = pa.table({"run_id": ["a", "b"], "lr": [0.0, -0.0]})
    assert group_points(points, groups, "x")["n"].to_pylist() == [2]


def test_the_last_point_of_a_step_counts() -> None:
    """A run is one of its group at each step, however often it has logged there."""
    points = pa.table(
        {"run_id": ["a", "a", "b"], "key": ["k"] * 3, "step": [0, 0, 0], "value": [1.0, 5.0, 7.0]}
    )
    groups = pa.table({"run_id": ["a", "b"], "key": ["same", "same"]})
    found = group_points(points, groups, "step")
    assert found.column_names[:3] == ["key", "key", "step"]
    assert found["n"].to_pylist() == [2]
    assert found["mean"].to_pylist() == [6.0]


def test_keys_keep_their_order_and_groups_have_theirs() -> None:
    """Groups are in order of their values, missing ones last; keys as they were asked for."""
    points = pa.table(
        {
            "run_id": ["a", "a", "b", "c"],
            "key": ["z", "y", "z", "z"],
            "step": [1, 1, 1, 0],
            "value": [1.0, 2.0, 3.0, 4.0],
        }
    )
    groups = pa.table({"run_id": ["a", "b", "c"], "lr": [0.5, None, 0.1]})
    found = group_points(points, groups, "step").to_pylist()
    assert [(row["lr"], row["key"]) for row in found] == [
        (0.1, "z"), (0.5, "z"), (0.5, "y"), (None, "z"),
    ]  # fmt: skip
    assert group_points(points.slice(0, 0), groups, "step").num_rows == 0


POINTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.none(), st.integers(-3, 3).map(float), st.just(math.nan)),
        st.one_of(st.floats(-1e3, 1e3), st.sampled_from([math.nan, math.inf, None])),
    ),
    max_size=30,
)


@given(POINTS, st.integers(1, 8))
def test_points_are_aggregated_in_parts(rows: list[tuple[str, Any, Any]], part: int) -> None:
    """Whatever the order and repeats of the axis are, parts give what pandas gives of all.

    Points that have nothing on the axis are at no step.
    """
    rows = sorted(rows, key=lambda row: row[0])
    points = pa.table(
        {
            "run_id": pa.array([run for run, _, _ in rows], pa.string()),
            "key": pa.array(["k"] * len(rows), pa.string()),
            "x": pa.array([x for _, x, _ in rows], pa.float64()),
            "value": pa.array([value for _, _, value in rows], pa.float64()),
        }
    )
    groups = pa.table({"run_id": ["a", "b", "c"], "g": ["one", "two", "two"]})
    found = group_points(points, groups, "x", part_rows=part).to_pylist()
    last: dict[tuple[str, str, str], Any] = {}
    for run, x, value in rows:
        if x is not None:
            last["one" if run == "a" else "two", str(x), run] = value
    at: dict[tuple[str, str], list[Any]] = {}
    for (group, place, _), value in last.items():
        at.setdefault((group, place), []).append(value)
    assert {(row["g"], str(row["x"])) for row in found} == set(at)
    assert len(found) == len(at)
    for row in found:
        values = at[row["g"], str(row["x"])]
        good = finite(pd.Series(values, dtype="float64"))
        assert (row["n"], row["n_nonfinite"]) == (
            len(good),
            sum(value is not None for value in values) - len(good),
        )
        expected = (good.mean(), good.std(), good.min(), good.max())
        mine = [row[name] for name in ("mean", "std", "min", "max")]
        assert [math.nan if each is None else each for each in mine] == pytest.approx(
            expected, rel=1e-9, abs=1e-9, nan_ok=True
        )
    places = [row["x"] for row in found if row["g"] == "two" and row["x"] == row["x"]]
    assert places == sorted(places)


def test_a_step_is_repeated_across_batches() -> None:
    """The last point of a step counts, also where the next batch begins with it."""
    parts = [([0, 1], [1.0, 2.0]), ([1, 2], [8.0, 3.0])]
    found = [
        pa.record_batch({"run_id": ["a"] * 2, "key": ["k"] * 2, "step": steps, "value": values})
        for steps, values in parts
    ]
    groups = pa.table({"run_id": ["a"], "g": [True]})
    rows = PointGroups(found, groups, ["k"], found[0].schema.field("step"))
    (batch,) = rows
    assert batch["step"].to_pylist() == [0, 1, 2]
    assert batch["mean"].to_pylist() == [1.0, 8.0, 3.0]
    assert batch["n"].to_pylist() == [1, 1, 1]


def test_the_points_of_the_runs_are_at_hand_afterwards() -> None:
    """Each batch has the columns of the group, the run, and the points as they came."""
    points = pa.table(
        {
            "run_id": ["a", "a", "b"],
            "key": ["k"] * 3,
            "step": [0, 0, 0],
            "value": [1.0, 5.0, 7.0],
            "smoothed": [1.0, 3.0, 7.0],
        }
    )
    groups = pa.table({"run_id": ["a", "b"], "lr": [0.1, 0.1]})
    field = points.schema.field("step")
    rows = PointGroups(batches(points), groups, ["k"], field, is_smoothed=True)
    assert [each["smoothed"].to_pylist() for each in rows] == [[5.0]]
    found = [each.to_pylist() for each in rows.points_of_runs()]
    expected = [{"lr": 0.1} | row for row in points.to_pylist()]
    assert found == [expected[:2], expected[2:]]


def test_memory_does_not_grow_with_the_points() -> None:
    """Points wait in a temporary file, and a part of them is aggregated at a time."""
    size, runs = 50_000, 30
    values = pa.array([float(i % 7) for i in range(size)])
    steps = pa.array(range(size), pa.int64())
    before = pa.total_allocated_bytes()
    held: list[int] = []

    def points() -> Iterator[pa.RecordBatch]:
        for run in range(runs):
            ids, keys = (pa.array([text] * size).dictionary_encode() for text in (str(run), "k"))
            yield pa.record_batch({"run_id": ids, "key": keys, "step": steps, "value": values})
            held.append(pa.total_allocated_bytes() - before)

    groups = pa.table({"run_id": [str(run) for run in range(runs)], "g": [1] * runs})
    rows = PointGroups(points(), groups, ["k"], pa.field("step", pa.int64()), part_rows=100_000)
    counts = []
    for batch in rows:
        counts.append(batch["n"].to_pylist())
        held.append(pa.total_allocated_bytes() - before)
    assert [n for count in counts for n in count] == [runs] * size
    assert len(counts) > 5
    # All points at once would be 40 MB.
    assert max(held) < 20e6


def test_no_groups_of_lists() -> None:
    """A column of lists is refused, by its name."""
    with pytest.raises(UsageError, match="'tags' holds lists"):
        group_rows(pa.table({"tags": [["a"]]}), ["tags"], [])


@given(st.lists(VALUES, max_size=30), st.floats(0, 0.99), st.integers(0, 30))
def test_smoothing_is_that_of_pandas(values: list[Any], weight: float, cut: int) -> None:
    """``ewm`` with debiased weights, in one part or in two."""
    smoother = Smoother(weight)
    parts = [values[:cut], values[cut:]]
    ours = [
        each
        for part in parts
        for each in smoother.smooth(("run", "key"), pa.array(part, pa.float64())).to_pylist()
    ]
    series = pd.Series(values, dtype="float64").replace([math.inf, -math.inf], math.nan)
    theirs = series.ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean()
    for mine, value in zip(ours, theirs, strict=True):
        if pd.isna(value):
            assert mine is None
        else:
            assert mine == pytest.approx(value, rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("weight", [0, 0.01, 0.9, 0.999999])
def test_long_series_are_smoothed_exactly(weight: float) -> None:
    """Tens of thousands of values, of any size, are those of pandas to the last digits."""
    values = pd.Series([(i * 7919 % 1000) * 10.0 ** (i % 16 - 8) for i in range(20_000)])
    values[::97] = math.nan
    smoother = Smoother(weight)
    parts = [smoother.smooth("a", pa.array(values[i : i + 6000])) for i in range(0, 20_000, 6000)]
    ours = pa.concat_arrays(parts).to_pandas()
    theirs = values.ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean()
    pd.testing.assert_series_equal(ours, theirs, check_names=False, rtol=1e-9)


def test_the_largest_values_are_smoothed() -> None:
    """Their sum would be more than a float can be."""
    found = Smoother(0.9).smooth("a", pa.array([1.7e308] * 30)).to_pylist()
    assert found == pytest.approx([1.7e308] * 30)


def test_series_are_smoothed_apart() -> None:
    """What one run logged is not in the mean of another."""
    smoother = Smoother(0.9)
    smoother.smooth("a", pa.array([100.0]))
    assert smoother.smooth("b", pa.array([1.0])).to_pylist() == [1.0]
