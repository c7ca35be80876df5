"""Exports, media, logs and the files behind presigned URLs: literal requests and bodies."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sandbox_tiny import CREATED_MS, Caller, column, experiment

from swanlab_export.sandbox import parse_faults

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox


@pytest.mark.parametrize(("count", "code"), [(16, 200), (17, 400)])
def test_sixteen_columns_at_most(ada: Caller, count: int, code: int) -> None:
    """An export of more than 16 columns is refused."""
    body = {"projectId": "pro1", "columns": [column("loss") for _ in range(count)]}
    assert ada.call("POST", "/house/metrics/scalar/export", body).status_code == code


def test_exported_file_is_exact(ada: Caller) -> None:
    """The CSV: odd names quoted, empty cells where a key has no point, numbers that are not finite as words."""
    response = ada.export("loss", "neg", experimentName='a "b", c')
    assert response.content.decode() == (
        'step,"a ""b"", c-loss_step","a ""b"", c-loss_timestamp",'
        '"a ""b"", c-neg_step","a ""b"", c-neg_timestamp"\n'
        f"0,4,{CREATED_MS},-Inf,{CREATED_MS}\n"
        f"1,NaN,{CREATED_MS + 1000},,\n"
        f"2,Inf,{CREATED_MS + 2000},,\n"
        f"4,1,{CREATED_MS + 4000},,\n"
    )
    assert response.headers["Content-Length"] == str(len(response.content))


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
    response = ada.post("/house/metrics/f_media", body)
    more = [{"caption": "x"}, None]
    entry = {"index": 3, "data": ["pic-3-0.png", "pic-3-1.png"], "more": more}
    assert [each for each in response if each] == [{"key": "pic", "metrics": [entry]}]
    assert len(response) == 2


def test_media_urls_keep_the_order(sandbox: Sandbox, ada: Caller) -> None:
    """Presigned media URLs come in the order of the paths, on the other origin."""
    paths = ["pic-3-1.png", "pic-3-0.png"]
    urls = ada.post("/resources/presigned/get", {"prefix": "pro1/run1", "paths": paths})["urls"]
    assert all(url.startswith(sandbox.storage_url) for url in urls)
    assert [ada.download(url).content[4] for url in urls] == [1, 0]


@pytest.mark.parametrize(("shard", "lines"), [(0, ["one", "two"]), (1, ["three", "four"])])
def test_logs_by_shard(ada: Caller, shard: int, lines: list[str]) -> None:
    """A shard holds ``size`` lines; every line has a number, a level, a tag and a time."""
    response = _logs(ada, size=2, epoch=shard, level="DEBUG")
    assert [line["message"] for line in response["logs"]] == lines
    assert response["count"] == 4
    assert set(response["logs"][0]) == {"epoch", "level", "message", "tag", "timestamp"}


def test_log_level_is_the_lowest_wanted(ada: Caller) -> None:
    """WARN gives warnings and errors."""
    response = _logs(ada, size=1000, epoch=0, level="WARN")
    assert [line["message"] for line in response["logs"]] == ["three", "four"]


def test_count_of_a_shard_can_be_that_of_its_lines(sandbox: Sandbox, ada: Caller) -> None:
    """With the switch on, a shard counts its own lines only."""
    sandbox.faults = parse_faults(["shard-count=1"])
    assert [_logs(ada, size=3, epoch=i, level="DEBUG")["count"] for i in range(3)] == [3, 1, 0]


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


def test_url_can_be_a_path_on_the_api_host(sandbox: Sandbox, ada: Caller) -> None:
    """With the switch on, what is presigned is a path, and the API host gives the file there."""
    expected = ada.export("loss", experimentName="r").content
    sandbox.faults = parse_faults(["relative-presign=1"])
    body = {"projectId": "pro1", "columns": [column("loss", experimentName="r")]}
    cos_key = ada.post("/house/metrics/scalar/export", body)["cosKey"]
    (url,) = ada.post("/files/presigned/get", {"paths": [cos_key]})["urls"]
    assert re.fullmatch(
        r"/swanlab-private/exports/csv/run1/swanlab-\d+-\w{4}\.csv\?X-Amz-Expires=300&\S+", url
    )
    response = ada.download(sandbox.url + url)
    assert (response.status_code, response.content) == (200, expected)
    assert sandbox.leaks == []
    paths = {"prefix": "pro1/run1", "paths": ["pic-3-0.png"]}
    (url,) = ada.post("/resources/presigned/get", paths)["urls"]
    assert ada.download(sandbox.url + url).content[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["Cookie", "Authorization"])
def test_path_on_the_api_host_refuses_credentials(sandbox: Sandbox, ada: Caller, name: str) -> None:
    """A presigned path that is asked for with a cookie or a key gives 403, and is a leak."""
    sandbox.faults = parse_faults(["relative-presign=1"])
    body = {"prefix": "pro1/run1", "paths": ["pic-3-0.png"]}
    (url,) = ada.post("/resources/presigned/get", body)["urls"]
    assert ada.download(sandbox.url + url, **{name: "sid=1"}).status_code == 403
    assert [leak.path for leak in sandbox.leaks] == [url.partition("?")[0]]
    assert ada.download(sandbox.url + url.replace("Signature=", "Signature=0")).status_code == 403
    assert ada.download(sandbox.url + url).status_code == 200


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


def test_download_can_be_resumed(ada: Caller) -> None:
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
    plain = ada.export("loss", experimentName="r").content
    sandbox.faults = parse_faults(["gzip=1"])
    response = ada.export("loss", experimentName="r")
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.content == plain
    raw = requests.get(response.url, stream=True, timeout=60)
    assert gzip.decompress(raw.raw.read()) == plain
    raw.close()
