"""Points and summaries with columns of their runs, smoothed, in groups, and on axes of time."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result
    from forks import Forks

    from swanlab_export.sandbox import Sandbox

DIGITS, SWEEP = "ada-lab/digits", "ada-lab/sweep"
DIVERGED, LINEAR = f"{DIGITS}/diverged", f"{DIGITS}/linear"
SMALL = {"config.lr": 0.3, "config.hidden": "[8]", "config.optimizer": "sgd"}


def rows(done: Result) -> list[dict[str, str]]:
    """The rows that a command printed as CSV."""
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_the_name_of_the_run_is_there_without_asking(api: se.Api[pa.Table]) -> None:
    """It is the last declared column of long points and of summaries."""
    for table in (
        api.run.metrics(DIVERGED, keys="acc", x_axis="time"),
        api.run.metrics(DIVERGED, keys="loss", all=True, ignore_timestamp=True),
    ):
        assert table.column_names[-1] == "run_name"
        assert set(table["run_name"].to_pylist()) == {"diverged"}
        assert table.schema.field("run_name").type == pa.string()
    found = api.run.summary(DIVERGED, keys="loss")
    assert found["run_name"].to_pylist() == ["diverged"]
    assert "run_name" not in api.run.metrics(DIVERGED, keys="acc", layout="wide").column_names


def test_columns_of_the_run_are_in_each_row(
    api: se.Api[pa.Table], call: Callable[..., Result]
) -> None:
    """In points, summaries, logs and media, of the type that they have in the table of runs."""
    add = "state,config.lr"
    tables = [
        api.run.metrics(DIVERGED, keys="acc", run_columns=add),
        api.run.metrics(DIVERGED, keys="acc", layout="wide", run_columns=add),
        api.run.summary(DIVERGED, run_columns=add),
        api.run.logs(DIVERGED, run_columns=add),
    ]
    for table in tables:
        assert table.column_names[-2:] == ["state", "config.lr"]
        assert set(table["config.lr"].to_pylist()) == {1.5}
    words = ("--run-columns", "state", "--run-columns", "path", "--all", "--format", "csv")
    done = call("run", "medias", f"{DIGITS}/mlp-adam", "--keys", "val/*", *words)
    assert "the table has a column path already; that of the run is in path__2" in done.stderr
    media = rows(done)
    assert media[0]["state"] == "FINISHED"
    assert media[0]["path__2"].startswith(DIGITS)


def test_runs_of_a_project_have_their_configs(api: se.Api[pa.Table]) -> None:
    """Each row has the values of its own run, of all runs of a project as of named ones."""
    found = api.run.summary(project=SWEEP, keys="val/acc", run_columns="config.seed,config.lr")
    expected = api.run.list(SWEEP).select(["run_id", "config.seed", "config.lr"]).to_pandas()
    joined = found.to_pandas().merge(expected, on="run_id", suffixes=("", "_of_run"))
    assert len(joined) == 130
    assert (joined["config.seed"] == joined["config.seed_of_run"]).all()
    assert (joined["config.lr"] == joined["config.lr_of_run"]).all()


def test_several_projects_have_a_column(api: se.Api[pa.Table], call: Callable[..., Result]) -> None:
    """It comes first, for named runs as for ``-p A -p B``; keys that are given twice add up."""
    points = api.run.metrics(DIVERGED, f"{SWEEP}/adam-lr0-03-h32-s2", keys="acc")
    assert points.column_names[0] == "project"
    assert set(points["project"].to_pylist()) == {DIGITS, SWEEP}
    words = ("--keys", "acc", "--keys", "val/acc", "--format", "csv")
    found = rows(call("run", "summary", "-p", SWEEP, "-p", DIGITS, *words))
    assert {(row["project"], row["key"]) for row in found} == {
        (project, key) for project in (SWEEP, DIGITS) for key in ("acc", "val/acc")
    }


def test_summaries_are_sorted_and_limited(call: Callable[..., Result]) -> None:
    """The rows of all runs, and not of the first ones."""
    words = ("--keys", "val/acc", "--sort", "-value", "--limit", "2", "--format", "csv")
    best = [float(row["value"]) for row in rows(call("run", "summary", "-p", SWEEP, *words))]
    every = rows(call("run", "summary", "-p", SWEEP, "--keys", "val/acc", "--format", "csv"))
    assert best == sorted((float(row["value"]) for row in every), reverse=True)[:2]


def test_smoothed_values_are_those_of_pandas(api: se.Api[pa.Table]) -> None:
    """Every point, with NaN and infinite values left out of the mean, of each run by itself."""
    points = api.run.metrics(DIVERGED, LINEAR, keys="loss,acc", smooth=0.9).to_pandas()
    assert len(points) == len(api.run.metrics(DIVERGED, LINEAR, keys="loss,acc", all=True))
    finite = points["value"].where(points["value"].abs() < float("inf"))
    series = [points["run_id"], points["key"]]
    means = finite.groupby(series, sort=False).transform(
        lambda values: values.ewm(alpha=0.1, ignore_na=True).mean()
    )
    pd.testing.assert_series_equal(points["smoothed"], means, check_names=False)
    assert points["value"].isna().any()


def test_points_of_groups(api: se.Api[pa.Table], call: Callable[..., Result]) -> None:
    """Per group, key and step, as pandas computes it from all points; smoothed before."""
    ours = api.run.metrics(
        project=SWEEP, where=SMALL, keys="val/acc", group_by="config.lr", smooth=0.5
    ).to_pandas()
    points = api.run.metrics(project=SWEEP, where=SMALL, keys="val/acc", smooth=0.5).to_pandas()
    grouped = points.groupby("step")
    assert ours["n"].tolist() == [5] * len(ours)
    for name, expected in (
        ("mean", grouped["value"].mean()),
        ("std", grouped["value"].std()),
        ("min", grouped["value"].min()),
        ("max", grouped["value"].max()),
        ("smoothed", grouped["smoothed"].mean()),
    ):
        assert ours[name].tolist() == pytest.approx(expected.tolist())
    rules = [word for name, value in SMALL.items() for word in ("-f", f"{name}={value}")]
    words = ("--keys", "val/acc", "--group-by", "config.lr", "--format", "csv")
    done = rows(call("run", "metrics", "-p", SWEEP, *rules, *words))
    assert list(done[0]) == [
        *("config.lr", "key", "step", "n", "mean", "std", "min", "max", "n_nonfinite")
    ]
    assert [float(row["mean"]) for row in done] == pytest.approx(ours["mean"].tolist())


def test_runs_are_groups(call: Callable[..., Result], api: se.Api[pa.Table]) -> None:
    """By ``run_id``, alone and with other columns, each run is a group of its own."""
    runs = [LINEAR, f"{DIGITS}/mlp-adam", f"{DIGITS}/mlp-clone"]
    last = api.run.metrics(runs, keys="acc", range_tail=1)
    expected = dict(zip(last["run_id"].to_pylist(), last["value"].to_pylist(), strict=True))
    for by in ("run_id", "run_id,state", "state,run_id"):
        words = ["--keys", "acc", "--range-tail", "1", "--group-by", by, "--format", "csv"]
        found = rows(call("run", "metrics", *runs, *words))
        assert list(found[0])[: by.count(",") + 1] == by.split(",")
        assert {row["run_id"]: float(row["mean"]) for row in found} == pytest.approx(expected)
        assert {row["n"] for row in found} == {"1"}


def test_groups_of_times(forks: Forks, server: Sandbox, tmp_path: Path) -> None:
    """Also on the command line, which keeps pandas out."""
    access = ["--host", server.url, "--api-key", server.api_key, "--format", "csv"]
    words = ["--keys", "acc", "--range-tail", "1", "--group-by", "created_at", *access]
    done = forks.run("api", "run", "metrics", LINEAR, DIVERGED, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = [line.split(",")[:3] for line in done.stdout.splitlines()[1:]]
    assert found == [
        ["2026-01-05T09:00:00.000Z", "acc", "439"],
        ["2026-01-20T14:00:00.000Z", "acc", "439"],
    ]


def test_groups_of_lists_are_refused(call: Callable[..., Result]) -> None:
    """Lists make no groups, as in lists of runs."""
    done = call("run", "metrics", "-p", DIGITS, "--keys", "acc", "--group-by", "labels")
    assert done.exit_code == 2
    assert "--group-by: 'labels' holds lists: no groups of it" in done.output


def test_points_that_are_nowhere_on_the_axis(api: se.Api[pa.Table]) -> None:
    """They are in no group, which is said: together they are no step."""
    runs = [f"{DIGITS}/mlp-adam", LINEAR]
    points = api.run.metrics(runs, keys="loss", x_axis="val/acc", all=True)
    missing = points["x"].null_count
    assert missing > 0
    with pytest.warns(se.SwanlabExportWarning) as warned:
        found = api.run.metrics(runs, keys="loss", x_axis="val/acc", group_by="state")
    assert found["x"].null_count == 0
    assert pc.sum(found["n"]).as_py() + missing <= len(points)
    said = f"{missing:,} points have no val/acc and are in no group"
    assert said in [str(each.message) for each in warned]


@pytest.mark.parametrize("option", ["--run-columns", "--group-by"])
@pytest.mark.parametrize("column", ["group", "config.optimizer", "job_type"])
def test_texts_that_are_missing_are_saved(
    call: Callable[..., Result], tmp_path: Path, option: str, column: str
) -> None:
    """Parquet takes texts that runs lack, and gives what CSV has."""
    words = ["run", "metrics", "-p", DIGITS, "--keys", "loss", "--all", option, column]
    for name in ("x.parquet", "x.csv"):
        done = call(*words, "--save", str(tmp_path / name))
        assert done.exit_code == 0, done.output
    found = pd.read_parquet(tmp_path / "x.parquet")[column]
    printed = pd.read_csv(tmp_path / "x.csv")[column]
    assert found.isna().any()
    assert found.isna().tolist() == printed.isna().tolist()
    assert found.dropna().tolist() == printed.dropna().tolist()


def test_runs_that_never_meet_are_told(api: se.Api[pa.Table]) -> None:
    """A group whose runs have no step in common is a warning."""
    with pytest.warns(se.SwanlabExportWarning, match="no two runs of a group have a point at"):
        found = api.run.metrics(DIVERGED, LINEAR, keys="loss", x_axis="time", group_by="state")
    assert max(found["n"].to_pylist()) == 1


def test_times_of_all_points(api: se.Api[pa.Table]) -> None:
    """``time`` is the timestamp, ``relative_time`` the seconds since the first point of the key."""
    points = api.run.metrics(DIVERGED, keys="loss,acc", all=True, x_axis="time")
    assert points["x"].to_pylist() == points["timestamp"].to_pylist()
    relative = api.run.metrics(DIVERGED, keys="loss,acc", all=True, x_axis="relative_time")
    frame = relative.to_pandas()
    starts = frame.groupby("key")["timestamp"].transform("min")
    assert frame["x"].tolist() == pytest.approx((frame["timestamp"] - starts).dt.total_seconds())
    bare = api.run.metrics(
        DIVERGED, keys="loss", range_tail=3, x_axis="time", ignore_timestamp=True
    )
    assert bare.column_names == ["run_id", "key", "step", "value", "x", "run_name"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"smooth": 1}, "smooth= is from 0 to below 1, not 1"),
        ({"smooth": 0.5, "layout": "wide"}, "smooth= is for the long layout"),
        ({"group_by": "state", "layout": "wide"}, "group_by= is for the long layout"),
        ({"group_by": "summary.acc"}, "group_by= takes columns of runs"),
        ({"group_by": "state", "run_columns": "name"}, "run_columns= is for points of runs"),
        ({"all": True, "x_axis": "time", "layout": "wide"}, "is for the long layout"),
    ],
)
def test_what_cannot_be_asked_of_points(
    api: se.Api[pa.Table], server: Sandbox, arguments: dict[str, Any], why: str
) -> None:
    """It is refused before any request."""
    with pytest.raises(se.UsageError) as caught:
        api.run.metrics(DIVERGED, keys="loss", **arguments)
    assert why in caught.value.message
    assert server.requests == []


def test_columns_that_no_run_has(call: Callable[..., Result]) -> None:
    """A config that no run of the project has is exit 4, another column exit 2."""
    words = ("run", "metrics", LINEAR, "--keys", "loss", "--run-columns")
    done = call(*words, "config.lrr")
    assert done.exit_code == 4
    assert "no config key 'lrr' in the 16 runs of ada-lab/digits; there are 'lr'" in done.stderr
    done = call(*words, "stat")
    assert done.exit_code == 2
    assert "--run-columns: no column 'stat'; there are state" in done.stderr


def test_a_project_is_no_run(call: Callable[..., Result]) -> None:
    """The error says how all of its runs are named."""
    done = call("run", "metrics", DIGITS, "--keys", "loss")
    assert done.exit_code == 2
    assert f"'{DIGITS}' is a project; --project {DIGITS} means all its runs" in done.stderr


def test_an_option_of_one_value_is_given_once(call: Callable[..., Result]) -> None:
    """The first value would be dropped without a word."""
    done = call("run", "list", DIGITS, "--format", "csv", "--format", "json")
    assert done.exit_code == 2
    assert "--format is given twice, and takes one value" in done.stderr
