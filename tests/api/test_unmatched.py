"""Rules that no run passes, and keys that no run has: an error, or a word about what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from click.testing import Result

    from swanlab_export.sandbox import Sandbox

DIGITS = "ada-lab/digits"


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
