"""Metric data, media, logs and files: literal requests and bodies."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sandbox_tiny import CREATED_MS, Caller, column, experiment

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


def test_scalar_values_tokens_and_missing_keys(ada: Caller) -> None:
    """Odd numbers come as tokens, a key that is not there is left out, the order is not ours."""
    body = _scalar(column("loss"), column("nope"), column("neg"))
    answer = ada.post("/house/metrics/scalar", body)
    assert [each["key"] for each in answer] != ["loss", "neg"]
    assert {each["key"]: each["metrics"] for each in answer} == {
        "neg": [{"index": 0, "data": "-INF", "timestamp": CREATED_MS}],
        "loss": [
            {"index": 0, "data": 4.0, "timestamp": CREATED_MS},
            {"index": 1, "data": "NaN", "timestamp": CREATED_MS + 1000},
            {"index": 2, "data": "INF", "timestamp": CREATED_MS + 2000},
            {"index": 4, "data": 1.0, "timestamp": CREATED_MS + 4000},
        ],
    }


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
    answer = ada.post("/house/metrics/scalar", _scalar(column("loss"), **fields))
    points = {point["timestamp"]: point["index"] for point in answer[0]["metrics"]}
    assert [points[CREATED_MS], points[CREATED_MS + 4000]] == index


def test_relative_time_starts_with_the_run(ada: Caller) -> None:
    """On the relative axis the run's start is 0 and later points come after it."""
    body = _scalar(column("loss"), xType="relative_time")
    index = [point["index"] for point in ada.post("/house/metrics/scalar", body)[0]["metrics"]]
    assert index[0] == 0
    assert index == sorted(set(index))


def test_range_bounds_the_index(ada: Caller) -> None:
    """A range other than [0, 0] keeps what lies in it."""
    body = _scalar(column("loss"), range=[1, 2])
    metrics = ada.post("/house/metrics/scalar", body)[0]["metrics"]
    assert [point["index"] for point in metrics] == [1, 2]


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"num": 1500}, 200), ({"num": 1501}, 400), ({"num": 0}, 400), ({"num": None}, 400)],
)
def test_number_of_points_is_capped(ada: Caller, fields: dict[str, Any], code: int) -> None:
    """More than 1500 points in one sample are refused."""
    body = _scalar(column("loss"), **fields)
    assert ada.call("POST", "/house/metrics/scalar", body).status_code == code


@pytest.mark.parametrize("noun", ["scalar", "scalar/value", "scalar/export", "media", "f_media"])
@pytest.mark.parametrize("created", [None, 0, "2026-01-05T09:00:00.000Z", True])
def test_created_at_is_required(ada: Caller, noun: str, created: Any) -> None:
    """A column reference without the creation time in seconds gives 400."""
    body = _scalar(column("loss") | {"createdAt": created})
    assert ada.call("POST", f"/house/metrics/{noun}", body).status_code == 400


@pytest.mark.parametrize("noun", ["summaries", "scalar/keys", "media/keys", "scalar/availability"])
def test_created_at_is_required_of_runs(ada: Caller, noun: str) -> None:
    """A run reference without the creation time gives 400."""
    reference = experiment()
    del reference["createdAt"]
    body = {"experiments": [reference], "keys": ["loss"], "limit": 10, "cursor": ""}
    assert ada.call("POST", f"/house/metrics/{noun}", body).status_code == 400


def test_created_at_is_required_of_logs(ada: Caller) -> None:
    """Logs need the creation time as well."""
    params = {"projectId": "pro1", "experimentId": "run1", "size": 1000, "epoch": 0}
    answer = ada.call("GET", "/house/metrics/log", params=params | {"level": "INFO"})
    assert answer.status_code == 400


@pytest.mark.parametrize(("count", "code"), [(16, 200), (17, 400)])
def test_sixteen_columns_at_most(ada: Caller, count: int, code: int) -> None:
    """An export of more than 16 columns is refused."""
    body = {"projectId": "pro1", "columns": [column("loss") for _ in range(count)]}
    assert ada.call("POST", "/house/metrics/scalar/export", body).status_code == code


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
    """One call answers for many runs; a run without scalars is null."""
    body = {"experiments": [experiment("run2"), experiment("hidden")]}
    answer = ada.post("/house/metrics/summaries", body)
    assert answer == {
        "run2": {
            "acc": {
                "step": 1,
                "value": 0.5,
                "min": {"index": 0, "data": 0.25},
                "max": {"index": 1, "data": 0.5},
                "avg": 0.375,
                "median": 0.375,
                "stdDev": 0.125,
                "minMax": 0.25,
            }
        },
        "hidden": None,
    }


def test_summaries_of_some_keys(ada: Caller) -> None:
    """Only the keys asked for, of the runs that have them."""
    body = {"experiments": [experiment("run1")], "keys": ["loss", "nope"]}
    assert set(ada.post("/house/metrics/summaries", body)["run1"]) == {"loss"}


def test_clone_has_data_under_its_root_only(ada: Caller) -> None:
    """A clone's own id gives nothing; with the root ids passed on, its data come."""
    own = _scalar(column("loss", experimentId="clone"))
    assert ada.post("/house/metrics/scalar", own) == []
    roots = {"rootProId": "pro1", "rootExpId": "run1"}
    rooted = _scalar(column("loss", experimentId="clone", **roots))
    assert len(ada.post("/house/metrics/scalar", rooted)[0]["metrics"]) == 4
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
    answer = ada.post("/house/metrics/scalar/availability", body)
    assert answer == {"loss": ["run1"], "acc": ["run2"], "nope": []}


def test_exported_file_is_exact(ada: Caller) -> None:
    """The CSV: odd names quoted, empty cells where a key has no point, odd numbers spelled out."""
    answer = ada.export("loss", "neg", experimentName='a "b", c')
    assert answer.content.decode() == (
        'step,"a ""b"", c-loss_step","a ""b"", c-loss_timestamp",'
        '"a ""b"", c-neg_step","a ""b"", c-neg_timestamp"\n'
        f"0,4,{CREATED_MS},-Inf,{CREATED_MS}\n"
        f"1,NaN,{CREATED_MS + 1000},,\n"
        f"2,Inf,{CREATED_MS + 2000},,\n"
        f"4,1,{CREATED_MS + 4000},,\n"
    )
    assert answer.headers["Content-Length"] == str(len(answer.content))


def test_exported_columns_follow_the_request(ada: Caller) -> None:
    """Columns come in the order asked for, and a key that is not there is an empty pair."""
    header, *rows = ada.export("seen", "nope", "loss", experimentName="r").text.splitlines()
    assert header == (
        "step,r-seen_step,r-seen_timestamp,r-nope_step,r-nope_timestamp,"
        "r-loss_step,r-loss_timestamp"
    )
    assert rows[0] == f"0,10,{CREATED_MS},,,4,{CREATED_MS}"


def test_media_of_one_step(ada: Caller) -> None:
    """Media of a step, with the steps there are; a step without media has null metrics."""
    body = {"projectId": "pro1", "columns": [column("pic")], "step": 3}
    assert ada.post("/house/metrics/media", body) == {
        "steps": [3],
        "step": 3,
        "metrics": [
            {
                "key": "pic",
                "data": ["pic-3-0.png", "pic-3-1.png"],
                "more": [{"caption": "x"}, None],
            }
        ],
    }
    assert ada.post("/house/metrics/media", body | {"step": 9})["metrics"] is None


def test_media_of_all_steps(ada: Caller) -> None:
    """All steps of each key; a key without media is a null."""
    body = {"projectId": "pro1", "columns": [column("pic"), column("nope")]}
    answer = ada.post("/house/metrics/f_media", body)
    more = [{"caption": "x"}, None]
    entry = {"index": 3, "data": ["pic-3-0.png", "pic-3-1.png"], "more": more}
    assert [each for each in answer if each] == [{"key": "pic", "metrics": [entry]}]
    assert len(answer) == 2


def test_media_urls_keep_the_order(sandbox: Sandbox, ada: Caller) -> None:
    """Presigned media URLs come in the order of the paths, on the other origin."""
    paths = ["pic-3-1.png", "pic-3-0.png"]
    urls = ada.post("/resources/presigned/get", {"prefix": "pro1/run1", "paths": paths})["urls"]
    assert all(url.startswith(sandbox.storage_url) for url in urls)
    assert [ada.download(url).content[4] for url in urls] == [1, 0]


@pytest.mark.parametrize(("shard", "lines"), [(0, ["one", "two"]), (1, ["three", "four"])])
def test_logs_by_shard(ada: Caller, shard: int, lines: list[str]) -> None:
    """A shard holds ``size`` lines; every line has a number, a level, a tag and a time."""
    answer = _logs(ada, size=2, epoch=shard, level="DEBUG")
    assert [line["message"] for line in answer["logs"]] == lines
    assert answer["count"] == 4
    assert set(answer["logs"][0]) == {"epoch", "level", "message", "tag", "timestamp"}


def test_log_level_is_the_lowest_wanted(ada: Caller) -> None:
    """WARN gives warnings and errors."""
    answer = _logs(ada, size=1000, epoch=0, level="WARN")
    assert [line["message"] for line in answer["logs"]] == ["three", "four"]


def _logs(ada: Caller, **params: Any) -> Any:
    return ada.get("/house/metrics/log", **(experiment() | params))


def test_log_export(ada: Caller) -> None:
    """A part of the log as a file."""
    body = experiment() | {"start": 1, "rows": 2}
    cos_key = ada.post("/house/metrics/log/export", body)["cosKey"]
    url = ada.post("/files/presigned/get", {"paths": [cos_key]})["urls"][0]
    assert ada.download(url).text == "two\nthree\n"
    too_many = body | {"rows": 500_001}
    assert ada.call("POST", "/house/metrics/log/export", too_many).status_code == 400


def test_outsider_gets_no_data_of_a_private_project(bob: Caller) -> None:
    """Metric data of a private project are closed to whoever may not see the project."""
    reference = experiment("hidden", projectId="pro2")
    answer = bob.call("POST", "/house/metrics/summaries", {"experiments": [reference]})
    assert answer.status_code in {403, 404}


@pytest.mark.parametrize("name", ["Cookie", "Authorization"])
def test_storage_refuses_credentials(sandbox: Sandbox, ada: Caller, name: str) -> None:
    """A presigned URL asked for with a cookie or a key is refused, and the leak is noted."""
    cos_key = ada.post(
        "/house/metrics/scalar/export", {"projectId": "pro1", "columns": [column("loss")]}
    )["cosKey"]
    url = ada.post("/files/presigned/get", {"paths": [cos_key]})["urls"][0]
    assert sandbox.leaks == []
    assert ada.download(url, **{name: "sid=1"}).status_code == 400
    assert len(sandbox.leaks) == 1
    assert ada.download(url).status_code == 200


def test_storage_wants_the_signature(ada: Caller) -> None:
    """Without the signature that was handed out there is no file."""
    cos_key = ada.post(
        "/house/metrics/scalar/export", {"projectId": "pro1", "columns": [column("loss")]}
    )["cosKey"]
    url = ada.post("/files/presigned/get", {"paths": [cos_key]})["urls"][0]
    bare, _, signature = url.partition("?")
    assert ada.download(bare).status_code == 403
    assert ada.download(f"{bare}?{signature[:-4]}0000").status_code == 403


def test_download_can_be_taken_up(ada: Caller) -> None:
    """A range gives the rest of the file, with its place in the whole."""
    whole = ada.export("loss", experimentName="r")
    rest = ada.download(whole.url, Range="bytes=10-")
    assert rest.status_code == 206
    assert rest.content == whole.content[10:]
    size = len(whole.content)
    assert rest.headers["Content-Range"] == f"bytes 10-{size - 1}/{size}"


def test_range_from_the_start_and_beyond_the_end(ada: Caller) -> None:
    """A range from byte 0 is partial content, one past the end is refused."""
    whole = ada.export("loss", experimentName="r")
    assert ada.download(whole.url, Range="bytes=0-4").content == whole.content[:5]
    assert ada.download(whole.url, Range="bytes=99999-").status_code == 416


def test_compressed_download_is_the_same_file(sandbox: Sandbox, ada: Caller) -> None:
    """With compression on the bytes differ and the content does not."""
    from swanlab_export.sandbox import parse_faults

    plain = ada.export("loss", experimentName="r").content
    sandbox.faults = parse_faults(["gzip=1"])
    answer = ada.export("loss", experimentName="r")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.content == plain
    raw = requests.get(answer.url, stream=True, timeout=10)
    assert gzip.decompress(raw.raw.read()) == plain
    raw.close()
