"""Rules that are applied here: what a run passes, and what a server is sent instead."""

from __future__ import annotations

from typing import Any

import pytest

import swanlab_export as se
from swanlab_export.api.runs.filters import read_where
from swanlab_export.endpoints.filters import passes, read_time_ms, sent_filters

CONFIG = {
    "lr": {"value": 0.1, "desc": "", "sort": 0},
    "on": {"value": True, "desc": "", "sort": 1},
    "opt": {"value": {"name": "adam", "betas": [0.9, 0.99]}, "desc": "", "sort": 2},
    "plain": 3,
    "a.b": "dotted",
}
RUN: dict[str, Any] = {
    "cuid": "r",
    "name": "Base line",
    "state": "FINISHED",
    "cluster": None,
    "show": True,
    "labels": [{"name": "good"}, {"name": "to keep"}],
    "createdAt": "2026-03-01T00:00:00.500Z",
    "finishedAt": None,
    "profile": {"config": CONFIG},
}
SUMMARY = {"loss": {"value": 0.5}, "acc": {"value": "NaN"}}
PASSING = [
    *("state=FINISHED", "state!=CRASHED", "state in CRASHED,FINISHED", "state not in CRASHED"),
    *("name~base", "name!~top", "labels=good", "labels~keep", "labels!=bad", "show=true"),
    *("config.lr=0.10", "config.lr>=0.1", "config.lr<0.2", "config.on=true", "config.plain>2"),
    *("config.opt.name=adam", "config.a.b=dotted", "config.none!=1", "config.opt.betas~0.99"),
    *("summary.loss<=0.5", "summary.loss>0.4", "summary.none!=1", "summary.acc!=1"),
    *("created_at>=2026-03-01", "created_at<2026-03-01T00:00:00.501Z", "created_at<2026-04"),
    *("created_at=2026-03-01T08:00:00.500+08:00", "created_at!=2026-03-01", "created_at>2026"),
    *("created_at<=1772323200500", "finished_at!=2026-01-01", "created_at~2026-03"),
]
FAILING = [
    *("state=CRASHED", "state!=FINISHED", "state in CRASHED", "state not in FINISHED", "name~top"),
    *("name!~BASE", "labels=keep", "labels!=good", "show=false", "group=x", "group>a"),
    *("config.lr>0.1", "config.lr<0.1", "config.lr!=0.1", "config.none>0", "config.opt.name=sgd"),
    *("summary.loss<0.5", "summary.loss>0.5", "summary.none<1", "summary.acc>0", "summary.acc=0"),
    *("created_at>2026-03-01T00:00:00.5Z", "created_at<2026-03-01", "created_at=2026-03-01"),
    *("finished_at>2026-01-01", "finished_at=2026-01-01", "created_at!~2026"),
]


@pytest.mark.parametrize("text", [*PASSING, *FAILING])
def test_what_a_run_passes(text: str) -> None:
    """Numbers compare as numbers, times as times in UTC, and everything else as text."""
    (rule,) = read_where(text)
    assert passes(rule, RUN, SUMMARY, is_complete=True) == (text in PASSING)


@pytest.mark.parametrize("text", ["group=x", "config.lr>1", "summary.loss>1", "created_at>2027"])
def test_what_is_not_known_passes(text: str) -> None:
    """What the payload of a filter does not hold was judged by the server; a list holds all."""
    (rule,) = read_where(text)
    assert passes(rule, {"cuid": "r"}, None, is_complete=False)
    assert not passes(rule, {"cuid": "r"}, None, is_complete=True)


SENT: list[tuple[str, list[tuple[str, list[str]]]]] = [
    ("config.lr>0.1", [("GTE", ["0.1"])]),
    ("config.lr<0.1", [("LTE", ["0.1"])]),
    ("config.lr<=0.1", [("LTE", ["0.1"])]),
    ("name!~x", [("NOT_CONTAIN", ["x"])]),
    ("created_at>2026-03-01T00:00:00Z", [("GTE", ["2026-02-28T10:00:00.000Z"])]),
    ("created_at<=2026-03-01T00:00:00Z", [("LTE", ["2026-03-01T14:00:00.000Z"])]),
    (
        "created_at in 2026-03-01,2026-03-03",
        [("GTE", ["2026-02-28T10:00:00.000Z"]), ("LTE", ["2026-03-03T14:00:00.000Z"])],
    ),
    ("created_at!=2026-03-01", []),
    ("created_at~2026", []),
    ("created_at<9999-12-31T23:00:00Z", [("LTE", ["9999-12-31T23:00:00.000Z"])]),
]


@pytest.mark.parametrize(("text", "sent"), SENT, ids=[text for text, _ in SENT])
def test_what_is_sent_holds_in_every_zone(text: str, sent: list[tuple[str, list[str]]]) -> None:
    """GT and LT are sent as GTE and LTE, and bounds of times 14 hours wider."""
    (rule,) = read_where(text)
    assert [(each["op"], each["value"]) for each in sent_filters(rule)] == sent


def test_a_time_that_is_none_is_refused() -> None:
    """What a time is compared with has to be one; the message gives the index of the rule."""
    with pytest.raises(se.UsageError, match="rule 1 compares created_at with 'soon'"):
        read_where(["state=FINISHED", "created_at>soon"])
    assert read_time_ms("2026-03-01T00:00:00") == read_time_ms("2026-03-01T08:00:00+08:00")
