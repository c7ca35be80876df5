"""Rules that no run passes, and keys that no run has: an error, or a word about what there is."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from click.testing import Result

    from swanlab_export.sandbox import Sandbox

DIGITS, SWEEP, EMPTY = "ada-lab/digits", "ada-lab/sweep", "ada-lab/empty"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("config.lrr>0.1", "no config key 'lrr' in the 16 runs of ada-lab/digits; there are 'lr'"),
        ("config.lrr!=0.1", "no config key 'lrr'"),
        ("config.lrr is null", "no config key 'lrr'"),
        ("summary.val/accc>0", "no metric key 'val/accc' in the 16 runs"),
        ("summary.val/accc!=0", "there are 'val/acc'"),
    ],
)
def test_a_key_that_no_run_has_is_not_found(
    call: Callable[..., Result], rule: str, why: str
) -> None:
    """A rule about such a key ends with exit 4 and near misses, whether runs pass it or not."""
    done = call("run", "filter", DIGITS, "-f", rule)
    assert done.exit_code == 4
    assert why in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("rule", "there"),
    [
        ("name=nobody", "name is "),
        ("config.lr>99", "config.lr is 0.003 to 1.5 (missing in 2)"),
        ("config.tag=none", "config.tag is "),
        ("summary.val/acc>99", "summary.val/acc is "),
        ("created_at<2001", "created_at is 2026-"),
        ("duration_s>1e9", "duration_s is "),
    ],
)
def test_a_filter_that_matches_nothing_says_what_there_is(
    call: Callable[..., Result], rule: str, there: str
) -> None:
    """It is no error: standard error says how many runs there are, and their values of the field."""
    done = call("run", "filter", DIGITS, "-f", rule)
    assert (done.exit_code, done.stdout.split()) == (0, ["[]"])
    assert "no run passes the filter: ada-lab/digits has 16 runs; " in done.stderr
    assert there in done.stderr


def test_a_number_compared_with_a_word_is_refused(api: se.Api[pa.Table]) -> None:
    """The error says which numbers the runs have."""
    with pytest.raises(se.UsageError, match="with 'high', but it is a number in all"):
        api.run.filter(DIGITS, "config.lr>high")


def test_an_unknown_state_is_sent_with_a_warning(call: Callable[..., Result]) -> None:
    """Newer servers may have more states than the five."""
    done = call("run", "filter", DIGITS, "-f", "state=QUEUED")
    assert done.exit_code == 0
    assert "'QUEUED' is none of the states that are known: RUNNING, FINISHED" in done.stderr


def test_an_empty_project_has_no_keys_to_miss(call: Callable[..., Result]) -> None:
    """Where there is no run, a key that none has is no error."""
    done = call("run", "filter", "ada-lab/empty", "-f", "config.lrr=1")
    assert done.exit_code == 0
    assert "no run passes the filter: ada-lab/empty has no runs" in done.stderr


@pytest.mark.parametrize(
    "where",
    [
        {"slug": "diverged"},
        {"path": "ada-lab/digits/{}"},
        {"run_id in": ["{}", "other"]},
        {"name": "diverged", "duration_s >": 0, "user.username": "ada"},
        {"url ~": "/runs/diverged/"},
        {"state": "finished", "config.学习率 is null": True, "name": "diverged"},
        {"project": DIGITS, "run_name": "diverged", "snapshot_at >=": "-1h"},
        {"config ~": '"lr":1.5', "metadata ~": "record.py", "more ~": "colors"},
        {"metadata.command": "record.py", "labels.colors is not null": True, "config.lr": 1.5},
    ],
)
def test_every_printed_column_can_be_filtered_by(
    api: se.Api[pa.Table], where: dict[str, Any]
) -> None:
    """Also those that the server has no filter for, and those that are made from others."""
    run_id = api.run.info("ada-lab/digits/diverged")["run_id"][0].as_py()
    filled = {
        name: [each.format(run_id) for each in value]
        if isinstance(value, list)
        else value.format(run_id)
        if isinstance(value, str)
        else value
        for name, value in where.items()
    }
    assert api.run.filter(DIGITS, filled)["run_id"].to_pylist() == [run_id]


@pytest.mark.parametrize("rule", ["priority=1", "priority is null", "metadata.host!=a"])
def test_a_field_that_no_run_has(call: Callable[..., Result], rule: str) -> None:
    """A server may send more fields than are declared, so the runs tell which there are."""
    done = call("run", "filter", DIGITS, "-f", rule)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"no field '{rule[:8]}" in done.stderr
    assert "in the 16 runs of ada-lab/digits; there are '" in done.stderr
    done = call("run", "filter", EMPTY, "-f", rule)
    assert (done.exit_code, done.stdout) == (0, "[]\n")


def test_one_of_several_projects_may_have_no_run_that_passes(api: se.Api[pa.Table]) -> None:
    """Only if none of them has one is it explained; a key of one project is a key."""
    for projects in ([SWEEP, DIGITS], [DIGITS, EMPTY, SWEEP]):
        for rule in ("config.dropout is not null", "summary.samples_seen > 0", "name=diverged"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = api.run.filter(projects, rule)
            assert set(found["project"].to_pylist()) == {DIGITS}
    found = api.run.filter([SWEEP, DIGITS], "config.dropout is null")
    assert set(found["project"].to_pylist()) == {SWEEP, DIGITS}
    where = {"slug": "adam-lr0-03-h32-s2"}
    for projects in ([SWEEP, DIGITS], [DIGITS, SWEEP]):
        summary = api.run.summary(
            project=projects, where=where, keys="val/acc", run_columns="config.dropout"
        )
        assert summary["config.dropout"].to_pylist() == [None]


def test_no_project_has_a_run_that_passes(call: Callable[..., Result]) -> None:
    """Each that has runs is explained; a key that none of them has is an error."""
    words = ("run", "filter", "-p", EMPTY, "-p", SWEEP, "-p", DIGITS, "-f")
    done = call(*words, "config.dropout>99")
    assert (done.exit_code, done.stdout) == (0, "[]\n")
    assert "ada-lab/empty has no runs" in done.stderr
    assert "ada-lab/digits has 16 runs; config.dropout is 0.1" in done.stderr
    assert "no config key 'dropout' in the 130 runs of ada-lab/sweep" in done.stderr
    for rule in ("config.dropoutt>99", "config.dropoutt is null"):
        done = call(*words, rule)
        assert (done.exit_code, done.stdout) == (4, "")
        assert "16 runs of" in done.stderr or "146 runs of ada-lab/empty, " in done.stderr
        assert "'dropout'" in done.stderr


def test_keys_are_asked_for_only_where_one_may_be_missing(
    api: se.Api[pa.Table], server: Sandbox
) -> None:
    """A filter whose runs have all of its keys costs the one request of the filter."""
    api.run.filter(DIGITS, {"config.lr >=": 0.1, "summary.val/acc >=": 0.1})
    paths = [request.path for request in server.requests]
    assert not [path for path in paths if path.endswith(("/keys", "/runs"))]


def test_rules_choose_runs_of_other_calls(call: Callable[..., Result]) -> None:
    """The points and summaries of no run are empty, with the same words about it."""
    done = call("run", "summary", "-p", DIGITS, "-f", "name=nobody")
    assert done.exit_code == 0
    assert "no run passes the filter: ada-lab/digits has 16 runs" in done.stderr
    assert "has no runs" not in done.stderr
