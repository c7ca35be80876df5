"""Rules that are applied here: what a run passes, and what a server is sent instead."""

from __future__ import annotations

from typing import Any

import pytest

import swanlab_export as se
from swanlab_export.api.runs.filters import read_where
from swanlab_export.endpoints.filters import passes, read_time_ms, sent_filters
from swanlab_export.normalizers.runs import run_columns
from swanlab_export.refs import ProjectRef

CONFIG = {
    "lr": {"value": 0.1, "desc": "", "sort": 0},
    "on": {"value": True, "desc": "", "sort": 1},
    "opt": {"value": {"name": "adam", "betas": [0.9, 0.99]}, "desc": "", "sort": 2},
    "plain": 3,
    "sizes": [64, 32],
    "nested": [[1, 2], "0.10", float("nan")],
    "empty": [],
    "digits": "10",
    "a.b": "dotted",
}
RUN: dict[str, Any] = {
    "cuid": "r",
    "slug": "base",
    "type": "CHAPTER",
    "user": {"username": "ada"},
    "name": "Base line",
    "state": "FINISHED",
    "cluster": None,
    "show": True,
    "labels": [{"name": "good"}, {"name": "to keep"}],
    "createdAt": "2026-03-01T00:00:00.500Z",
    "finishedAt": None,
    "profile": {"config": CONFIG, "metadata": {"cores": 2}},
}
SUMMARY = {"loss": {"value": 0.5}, "acc": {"value": "NaN"}}
NOW_MS = 1_772_582_400_000  # 2026-03-04T00:00:00Z
PASSING = [
    *("state=FINISHED", "state!=CRASHED", "state in CRASHED,FINISHED", "state not in CRASHED"),
    *("name~base", "name!~top", "labels=good", "labels~keep", "labels!=bad", "show=true"),
    *("config.lr=0.10", "config.lr>=0.1", "config.lr<0.2", "config.on=true", "config.plain>2"),
    *("config.opt.name=adam", "config.a.b=dotted", "config.none!=1", "config.opt.betas~0.99"),
    *("summary.loss<=0.5", "summary.loss>0.4", "summary.none!=1", "summary.acc!=1"),
    *("created_at>=2026-03-01", "created_at<2026-03-01T00:00:00.501Z", "created_at<2026-04"),
    *("created_at=2026-03-01T08:00:00.500+08:00", "created_at!=2026-03-01", "created_at>2026"),
    *("created_at<=1772323200500", "finished_at!=2026-01-01", "created_at~2026-03"),
    *("created_at>=-3d", "created_at<-71h", "state=finished", "state in crashed,Finished"),
    *("run_id in r,q", "slug=base", "path=team/proj/r", "user.username~ad", "type=CHAPTER"),
    *("duration_s is null", "finished_at is null", "state is not null", "config.none is null"),
    *("config.lr IS NOT NULL", "group is null", "config.sizes=[64,32]", "config.sizes=[64, 32]"),
    *("config.sizes=64.0", "config.sizes!=65", "config.sizes in 1,32", "config.sizes not in 6,4"),
    *("config.nested=[1, 2]", "config.nested!=1", "config.nested=0.10", "config.nested!=0.1"),
    *("config.nested=NaN", "config.empty=[]", "config.empty is not null", "config.empty!=0"),
    *("config.sizes=64", "config.digits>9", "metadata.cores>=2", "summary.none is null"),
    *("'state=FINISHED'", '"config.lr>=0.1"', "url~/@team/proj/runs/base"),
]
FAILING = [
    *("state=CRASHED", "state!=FINISHED", "state in CRASHED", "state not in FINISHED", "name~top"),
    *("name!~BASE", "labels=keep", "labels!=good", "show=false", "group=x", "group>a"),
    *("config.lr>0.1", "config.lr<0.1", "config.lr!=0.1", "config.none>0", "config.opt.name=sgd"),
    *("summary.loss<0.5", "summary.loss>0.5", "summary.none<1", "summary.acc>0", "summary.acc=0"),
    *("created_at>2026-03-01T00:00:00.5Z", "created_at<2026-03-01", "created_at=2026-03-01"),
    *("finished_at>2026-01-01", "finished_at=2026-01-01", "created_at!~2026"),
    *("created_at>=-2d", "run_id in q", "slug!=base", "duration_s>0", "duration_s is not null"),
    *("config.none is not null", "labels is null", "config.lr>high", "config.lr<high"),
    *("config.opt.name>0.1", "config.sizes=[64]", "config.sizes>1", "config.on>0"),
    *("config.sizes!=64", "config.sizes not in 1,64", "config.sizes!=[64,32]", "config.nested=1"),
    *("config.nested!=[1,2]", "config.empty is null", "config.empty=", "config.sizes is null"),
    *("metadata.cores>2", "user.username=bob"),
]


@pytest.mark.parametrize("text", [*PASSING, *FAILING])
def test_what_a_run_passes(text: str) -> None:
    """Numbers compare as numbers, times as times in UTC, and everything else as text."""
    (rule,) = read_where(text, NOW_MS)
    columns = run_columns(RUN, ProjectRef("team", "proj"), "https://swan")
    assert passes(rule, RUN, SUMMARY, columns, is_complete=True) == (text in PASSING)


def test_no_labels_are_missing_labels() -> None:
    """A server may send an empty list for them, or leave them out."""
    for run in (RUN | {"labels": []}, {"cuid": "r"}):
        for text, expected in (("labels is null", True), ("labels is not null", False)):
            (rule,) = read_where(text, NOW_MS)
            assert passes(rule, run, None, {}, is_complete=True) == expected


@pytest.mark.parametrize(
    "text", ["group=x", "config.lr>1", "summary.loss>1", "created_at>2027", "slug=x"]
)
def test_what_is_not_known_passes(text: str) -> None:
    """What the payload of a filter does not hold was judged by the server; a list holds all."""
    (rule,) = read_where(text, NOW_MS)
    assert passes(rule, {"cuid": "r"}, None, {}, is_complete=False)
    assert not passes(rule, {"cuid": "r"}, None, {}, is_complete=True)


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
    ("created_at>=-1d", [("GTE", ["2026-03-02T10:00:00.000Z"])]),
    ("slug=x", []),
    ("config.hidden=[64, 32]", []),
    ("config.hidden=64", []),
    ("config.hidden!=64", []),
    ("config.hidden in 64,32", []),
    ("config.hidden not in 64", []),
    ("config.tag~a", []),
    ("config.tag!~a", []),
    ("config.lr is null", []),
    ("user.username=ada", [("EQ", ["ada"])]),
    ("state=finished", [("EQ", ["FINISHED"])]),
    ("created_at<9999-12-31T23:00:00Z", [("LTE", ["9999-12-31T23:00:00.000Z"])]),
]


@pytest.mark.parametrize(("text", "sent"), SENT, ids=[text for text, _ in SENT])
def test_what_is_sent_holds_in_every_zone(text: str, sent: list[tuple[str, list[str]]]) -> None:
    """GT and LT are sent as GTE and LTE, and bounds of times 14 hours wider."""
    (rule,) = read_where(text, NOW_MS)
    assert [(each["op"], each["value"]) for each in sent_filters(rule)] == sent


REFUSED: list[tuple[Any, str]] = [
    (["state=FINISHED", "created_at>soon"], "rule 1 compares created_at with 'soon', but"),
    ("created_at>=-7y", "created_at takes a time such as 2026-03-01T12:00:00Z, or -7d"),
    ("state=FINSHED", "compares state with 'FINSHED', but state takes one of RUNNING, FINISHED"),
    ("state in CRASHED,crash", "compares state with 'crash'"),
    ("state=[FINISHED,CRASHED]", "state takes one of"),
    ("state>FINISHED", "state is a word, which is not greater or less"),
    ("labels<a", "labels is a list of words"),
    ("show=maybe", "show takes true or false"),
    ("show>true", "show is true or false, which is not greater or less"),
    ("duration_s>1h", "duration_s takes a number of seconds such as 3600"),
    ("summary.acc=high", "compares a metric with 'high'"),
    ("stat=FINISHED", "'stat' is not a field of a run; there are state,"),
    ({"config.lr": "> 0.1"}, "the operator belongs to the name, as in {'config.lr >=': 0.1}"),
    ({"state": ["CRASHED", "ABORTED"]}, "state is compared with a list: {'state in': "),
    ({"config.lr is null": False}, "'config.lr is null' takes True, not 'False'"),
]


@pytest.mark.parametrize(("where", "why"), REFUSED, ids=[str(where) for where, _ in REFUSED])
def test_what_cannot_match_is_refused(where: Any, why: str) -> None:
    """A field that does not exist, or is compared with what it cannot be, is named with what it takes."""
    with pytest.raises(se.UsageError) as caught:
        read_where(where, NOW_MS)
    assert why in caught.value.message


def test_missing_values_of_python_are_null() -> None:
    """``None`` means that there is no value, and times without a zone are in UTC."""
    assert read_where({"config.x": None}, NOW_MS) == read_where("config.x is null", NOW_MS)
    assert read_where({"group !=": None}, NOW_MS) == read_where("group is not null", NOW_MS)
    assert read_time_ms("2026-03-01T00:00:00") == read_time_ms("2026-03-01T08:00:00+08:00")
