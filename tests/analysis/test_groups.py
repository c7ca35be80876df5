"""Groups and smoothing, against pandas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.analysis import Smoother, group_points, group_rows
from swanlab_export.errors import UsageError

if TYPE_CHECKING:
    import swanlab_export as se

SMALL = {"slug in": ["diverged", "mlp-adam", "mlp-clone", "no-profile", "aborted"]}
SWEEP = "ada-lab/sweep"
VALUES = st.one_of(
    st.none(), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])
)


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
    grouped = frame.groupby(["config.lr", "key", "step"], dropna=False)["value"]
    expected = grouped.agg(
        n=lambda v: len(finite(v)),
        mean=lambda v: finite(v).mean(),
        std=lambda v: finite(v).std(ddof=1),
        min=lambda v: finite(v).min(),
        max=lambda v: finite(v).max(),
        n_nonfinite=lambda v: v.notna().sum() + v.isna().sum() - len(finite(v)),
    ).reset_index()
    columns = ["config.lr", "key", "step"]
    ours = ours.sort_values(columns).reset_index(drop=True)
    expected = expected.sort_values(columns).reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, expected, check_dtype=False)
    assert (ours["n"] > 1).any()
    assert ours["n_nonfinite"].sum() > 0


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
            assert mine == pytest.approx(value, rel=1e-6, abs=1e-3)


def test_series_are_smoothed_apart() -> None:
    """What one run logged is not in the mean of another."""
    smoother = Smoother(0.9)
    smoother.smooth("a", pa.array([100.0]))
    assert smoother.smooth("b", pa.array([1.0])).to_pylist() == [1.0]
