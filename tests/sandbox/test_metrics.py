"""Metric data, keys and summaries: literal requests and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_tiny import CREATED_MS, Caller, column, experiment

from swanlab_export.sandbox import parse_faults

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox


def _scalar(*columns: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "projectId": "pro1",
        "xType": "step",
        "range": [0, 0],
        "columns": list(columns),
        "num": 1500,
    } | fields


def test_sample_leaves_out_what_is_not_finite(ada: Caller) -> None:
    """Points that are NaN or infinite are left out, as is a key that the run lacks."""
    body = _scalar(column("loss"), column("nope"), column("neg"))
    response = ada.post("/house/metrics/scalar", body)
    # The order is not that of the request.
    assert response == [
        {"key": "neg", "metrics": []},
        {
            "key": "loss",
            "metrics": [
                {"index": 0, "data": 4.0, "timestamp": CREATED_MS},
                {"index": 4, "data": 1.0, "timestamp": CREATED_MS + 4000},
            ],
        },
    ]


def test_sample_keeps_both_ends(ada: Caller) -> None:
    """Fewer points than there are: the first and the last are among them."""
    metrics = ada.post("/house/metrics/scalar", _scalar(column("loss"), num=2))[0]["metrics"]
    assert [point["index"] for point in metrics] == [0, 4]


@pytest.mark.parametrize(
    ("fields", "index"),
    [
        ({"xType": "time"}, [CREATED_MS, CREATED_MS + 4000]),
        ({"xKey": "seen"}, [10.0, 50.0]),
    ],
)
def test_other_x_axes(ada: Caller, fields: dict[str, Any], index: list[Any]) -> None:
    """The index is a time, or the value of another column at the same step."""
    response = ada.post("/house/metrics/scalar", _scalar(column("loss"), **fields))
    points = {point["timestamp"]: point["index"] for point in response[0]["metrics"]}
    assert [points[CREATED_MS], points[CREATED_MS + 4000]] == index


def test_relative_time_starts_with_the_run(ada: Caller) -> None:
    """On the relative axis the run's start is 0 and later points come after it."""
    body = _scalar(column("loss"), xType="relative_time")
    index = [point["index"] for point in ada.post("/house/metrics/scalar", body)[0]["metrics"]]
    assert index[0] == 0
    assert index == sorted(set(index))


def test_range_bounds_the_index(ada: Caller) -> None:
    """A range other than [0, 0] keeps what lies in it."""
    body = _scalar(column("loss"), range=[1, 4])
    metrics = ada.post("/house/metrics/scalar", body)[0]["metrics"]
    assert [point["index"] for point in metrics] == [4]


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"num": 1500}, 200), ({"num": 1501}, 400), ({"num": 0}, 400), ({"num": None}, 400)],
)
def test_number_of_points_is_capped(ada: Caller, fields: dict[str, Any], code: int) -> None:
    """More than 1500 points in one sample are refused."""
    body = _scalar(column("loss"), **fields)
    assert ada.call("POST", "/house/metrics/scalar", body).status_code == code


@pytest.mark.parametrize("path", ["scalar", "scalar/value", "scalar/export", "media", "f_media"])
@pytest.mark.parametrize("created", [None, 0, "2026-01-05T09:00:00.000Z", True])
def test_odd_creation_time_is_refused(ada: Caller, path: str, created: Any) -> None:
    """A column reference whose creation time is no number of seconds gives 400."""
    body = _scalar(column("loss") | {"createdAt": created})
    assert ada.call("POST", f"/house/metrics/{path}", body).status_code == 400


@pytest.mark.parametrize("path", ["summaries", "scalar/keys", "media/keys", "scalar/availability"])
def test_odd_creation_time_of_a_run_is_refused(ada: Caller, path: str) -> None:
    """A run reference whose creation time is no number of seconds gives 400."""
    body = {"experiments": [experiment(createdAt="now")], "keys": ["loss"], "limit": 10}
    assert ada.call("POST", f"/house/metrics/{path}", body).status_code == 400


def test_odd_creation_time_for_logs_is_refused(ada: Caller) -> None:
    """Logs are refused for a creation time that is no number."""
    params = {"projectId": "pro1", "experimentId": "run1", "size": 1000, "epoch": 0}
    response = ada.call("GET", "/house/metrics/log", params=params | {"createdAt": "x"})
    assert response.status_code == 400


def test_creation_time_may_be_left_out(ada: Caller) -> None:
    """Without the creation time the same data come."""
    reference = column("loss")
    del reference["createdAt"]
    body, timed = _scalar(reference), _scalar(column("loss"))
    assert ada.post("/house/metrics/scalar", body) == ada.post("/house/metrics/scalar", timed)
    params = {"projectId": "pro1", "experimentId": "run1", "size": 1000, "epoch": 0}
    assert ada.get("/house/metrics/log", **params)["count"] == 3


def test_sampled_points_per_request_are_capped(ada: Caller) -> None:
    """A sample of more than 16 columns is refused."""
    columns = [column("loss") for _ in range(17)]
    assert len(ada.post("/house/metrics/scalar", _scalar(*columns[:16]))) == 16
    assert ada.call("POST", "/house/metrics/scalar", _scalar(*columns)).status_code == 400


def test_times_can_be_left_out_of_samples(sandbox: Sandbox, ada: Caller) -> None:
    """With the switch on, sampled points have no time."""
    sandbox.faults = parse_faults(["no-timestamps=1"])
    metrics = ada.post("/house/metrics/scalar", _scalar(column("loss")))[0]["metrics"]
    assert metrics == [{"index": 0, "data": 4.0}, {"index": 4, "data": 1.0}]


def test_statistics_by_step_and_by_time(ada: Caller) -> None:
    """Each statistic carries its index, which is a time on the time axis."""
    by_step = ada.post("/house/metrics/scalar/value", _scalar(column("acc", experimentId="run2")))
    assert [each["key"] for each in by_step] == ["acc"]
    expected = {"min": 0.25, "max": 0.5, "avg": 0.375, "median": 0.375, "latest": 0.5}
    assert {name: by_step[0][name]["data"] for name in expected} == expected
    assert (by_step[0]["min"]["index"], by_step[0]["latest"]["index"]) == (0, 1)
    body = _scalar(column("acc", experimentId="run2"), xType="timestamp")
    by_time = ada.post("/house/metrics/scalar/value", body)
    assert by_time[0]["latest"] == {"index": CREATED_MS + 1000, "data": 0.5}


def test_summaries_of_many_runs(ada: Caller) -> None:
    """One call responses for many runs; a run without scalars is null."""
    body = {"experiments": [experiment("run2"), experiment("hidden")]}
    response = ada.post("/house/metrics/summaries", body)
    assert response == {
        "run2": {
            "acc": {
                "step": 1,
                "value": 0.5,
                "min": {"index": 0, "data": 0.25},
                "max": {"index": 1, "data": 0.5},
                "avg": 0.375,
                "median": 0.375,
                "stdDev": 0.125,
                "minMax": [0.25, 0.5],
            }
        },
        "hidden": None,
    }


def test_summaries_of_some_keys(ada: Caller) -> None:
    """Only the keys asked for, of the runs that have them."""
    body = {"experiments": [experiment("run1")], "keys": ["loss", "nope"]}
    assert set(ada.post("/house/metrics/summaries", body)["run1"]) == {"loss"}


def test_infinities_of_summaries_are_words(ada: Caller) -> None:
    """A value that is not finite is NaN, Inf or -Inf in a summary."""
    body = {"experiments": [experiment("run1")], "keys": ["neg"]}
    summary = ada.post("/house/metrics/summaries", body)["run1"]["neg"]
    assert (summary["value"], summary["avg"]) == ("-Inf", "NaN")
    assert summary["minMax"] == ["-Inf", "-Inf"]


def test_infinities_of_statistics_are_words(ada: Caller) -> None:
    """A value that is not finite is NaN, INF or -INF among the statistics."""
    (found,) = ada.post("/house/metrics/scalar/value", _scalar(column("neg")))
    assert found["latest"] == {"index": 0, "data": "-INF"}


def test_latest_steps_of_one_run(ada: Caller) -> None:
    """All keys of one run come with their latest steps, media and log lines among them."""
    assert ada.get("/house/metrics/summaries/pro1/run1", all="True") == {
        "scalar": [
            {"key": "__swanlab__.cpu", "step": 0},
            {"key": "loss", "step": 4},
            {"key": "neg", "step": 0},
            {"key": "seen", "step": 4},
        ],
        "media": [{"key": "pic", "step": 3}],
        "log": [{"key": "LOG", "step": 4}],
    }
    nothing = {"scalar": None, "media": None, "log": None}
    assert ada.get("/house/metrics/summaries/pro1/clone", all="True") == nothing


def test_clone_has_data_under_its_root_only(ada: Caller) -> None:
    """A clone's own id gives nothing; with the root ids passed on, its data come."""
    own = _scalar(column("loss", experimentId="clone"))
    assert ada.post("/house/metrics/scalar", own) == []
    roots = {"rootProId": "pro1", "rootExpId": "run1"}
    rooted = _scalar(column("loss", experimentId="clone", **roots))
    assert len(ada.post("/house/metrics/scalar", rooted)[0]["metrics"]) == 2
    alone = {"experiments": [experiment("clone")]}
    assert ada.post("/house/metrics/summaries", alone) == {"clone": None}
    passed = {"experiments": [experiment("clone", **roots)]}
    assert "loss" in ada.post("/house/metrics/summaries", passed)["clone"]


def test_keys_come_page_by_page(ada: Caller) -> None:
    """Following the cursor gives every scalar key once, system keys among them."""
    keys: list[str] = []
    cursor, pages = "", 0
    while True:
        body = {"experiments": [experiment()], "limit": 2, "cursor": cursor}
        page = ada.post("/house/metrics/scalar/keys", body)
        assert len(page["keys"]) <= 2
        keys += page["keys"]
        cursor, pages = page["nextCursor"], pages + 1
        if not page["hasMore"]:
            break
    assert pages == 2
    assert sorted(keys) == ["__swanlab__.cpu", "loss", "neg", "seen"]


def test_page_of_keys_is_capped(ada: Caller) -> None:
    """More than 2000 keys a page are refused."""
    body = {"experiments": [experiment()], "limit": 2001, "cursor": ""}
    assert ada.call("POST", "/house/metrics/scalar/keys", body).status_code == 400


def test_media_keys(ada: Caller) -> None:
    """Media keys are a list of their own."""
    body = {"experiments": [experiment()], "limit": 2000, "cursor": ""}
    assert ada.post("/house/metrics/media/keys", body)["keys"] == ["pic"]


def test_availability_of_many_runs(ada: Caller) -> None:
    """One call says which runs have which keys."""
    body = {"keys": ["loss", "acc", "nope"], "experiments": [experiment(), experiment("run2")]}
    response = ada.post("/house/metrics/scalar/availability", body)
    assert response == {"loss": ["run1"], "acc": ["run2"], "nope": []}


def test_outsider_gets_no_data_of_a_private_project(bob: Caller) -> None:
    """Metric data of a private project are closed to users who may not see the project."""
    reference = experiment("hidden", projectId="pro2")
    response = bob.call("POST", "/house/metrics/summaries", {"experiments": [reference]})
    assert response.status_code in {403, 404}
