"""Saving to object stores: the same bytes as on disk, complete or not there, and no secrets."""

from __future__ import annotations

import gzip
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from object_stores import BUCKET, KEY, SECRET, Proxy, Store
from raw_server import RawServer, reply, reply_part
from systems import needs_posix

import swanlab_export as se
from swanlab_export.errors import OutputError, UsageError
from swanlab_export.files import parse_target, write_table
from swanlab_export.files.marks import marking
from swanlab_export.files.store_objects import StoreObjects
from swanlab_export.files.stores import (
    CLIENT_OPTIONS,
    STORE_OPTIONS,
    interruptible,
    parse_store_url,
    put_file,
)
from swanlab_export.files.stores import open_store as open_bucket
from swanlab_export.sandbox import parse_faults
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from raw_server import Asked

    from swanlab_export.sandbox import Sandbox

LIST = ("run", "list", "ada-lab/digits")
SHORT = Table("metrics", pa.schema({"step": pa.int64()}), [pa.record_batch({"step": [1, 2]})])


@pytest.mark.parametrize("extension", ["parquet", "feather", "csv.gz", "xlsx", "json.zst"])
def test_an_object_holds_the_bytes_of_a_file(store: Store, tmp_path: Path, extension: str) -> None:
    """Saving to a store gives the same bytes as saving to a disk, on each kind of server."""
    file, url = tmp_path / f"x.{extension}", f"s3://{BUCKET}/nightly/x.{extension}"
    for name in (str(file), url):
        write_table(SHORT, parse_target(name), {})
    assert store.keys() == [f"nightly/x.{extension}"]
    assert store.read(f"nightly/x.{extension}") == file.read_bytes()


def test_a_command_saves_to_a_store(store: Store, call: Callable[..., Result]) -> None:
    """The command line names the object that it saved, and prints nothing else."""
    result = call(*LIST, "--save", f"s3://{BUCKET}/runs.jsonl")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"saved s3://{BUCKET}/runs.jsonl (16 rows × " in result.stderr
    assert store.read("runs.jsonl").count(b"\n") == 16


def test_a_large_object_arrives_in_parts(store: Store, tmp_path: Path) -> None:
    """A file of many parts is one object, equal to the file."""
    batch = pa.record_batch({"message": [os.urandom(500_000).hex() for _ in range(20)]})
    table = Table("logs", batch.schema, [batch])
    url = f"s3://{BUCKET}/large.jsonl"
    saved = write_table(table, parse_target(url), {})
    write_table(table, parse_target(str(tmp_path / "large.jsonl")), {})
    assert (saved.path, saved.size_bytes) == (url, 20 * 1_000_015)
    assert store.read("large.jsonl") == (tmp_path / "large.jsonl").read_bytes()


def test_python_gets_the_url(
    store: Store, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that save to a store return the URL; options may be given instead of the environment."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    url = f"s3://{BUCKET}/runs.parquet"
    options = {"endpoint": store.endpoint}
    picture, wanted = f"s3://{BUCKET}/loss.png", {"keys": "loss", "range_head": 3}
    with se.connect(host=server.url, api_key=server.api_key) as api:
        saving = api.using(save=url, store_options=options)
        assert saving.run.list("ada-lab/digits") == url
        expected = api.run.list("ada-lab/digits")
        run: Any = partial(api.run.metrics, "ada-lab/digits/mlp-long", **wanted)
        assert run(save=picture, store_options=options) == picture
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(store.read("runs.parquet"))), expected)
    assert store.read("loss.png").startswith(b"\x89PNG")


def test_a_log_is_saved_to_a_store(store: Store, call: Callable[..., Result]) -> None:
    """A console log goes to a store as it goes to a disk."""
    words = ("run", "export-logs", "ada-lab/digits/mlp-long", "--rows", "10")
    result = call(*words, "--save", f"s3://{BUCKET}/run.log.gz")
    assert result.exit_code == 0, result.stderr
    assert gzip.decompress(store.read("run.log.gz")).count(b"\n") == 10


def test_a_failed_call_leaves_the_old_object(
    store: Store, server: Sandbox, call: Callable[..., Result]
) -> None:
    """Where the data are incomplete, the store is as it was."""
    store.client.put_object(Bucket=BUCKET, Key="loss.parquet", Body=b"old")
    server.faults = parse_faults(["cut=length"])
    words = ("run", "metrics", "ada-lab/digits/mlp-long", "--keys", "loss", "--all")
    result = call(*words, "--save", f"s3://{BUCKET}/loss.parquet")
    assert result.exit_code == 5, result.stderr
    assert (store.keys(), store.read("loss.parquet")) == (["loss.parquet"], b"old")


def test_an_object_is_overwritten(store: Store, call: Callable[..., Result]) -> None:
    """Saving again gives the object of the last save, as with a file."""
    store.client.put_object(Bucket=BUCKET, Key="runs.csv", Body=b"old" * 100_000)
    result = call(*LIST, "--fields", "name", "--save", f"s3://{BUCKET}/runs.csv")
    assert result.exit_code == 0, result.stderr
    assert store.keys() == ["runs.csv"]
    assert store.read("runs.csv").startswith(b"name\n")


@needs_posix
def test_an_interrupted_upload_is_invisible(moto: Store, server: Sandbox, tmp_path: Path) -> None:
    """Ctrl-C in the middle of an upload ends the command with 130, and the old object stays."""
    moto.client.put_object(Bucket=BUCKET, Key="loss.csv", Body=b"old")

    def hold(asked: Asked) -> bytes:
        if asked.method == "PUT":
            process.send_signal(signal.SIGINT)
            over.wait()
        return reply(200, moto.read("loss.csv"))

    over = Event()
    words = ["api", *LIST, "--save", f"s3://{BUCKET}/loss.csv", "--host", server.url]
    with RawServer(_of_store(hold)) as store:
        options = ["--api-key", server.api_key, "--store-option", f"endpoint={store.url}"]
        command = [sys.executable, "-m", "swanlab_export", *words, *options]
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            over.set()
    assert (process.returncode, "saved" in said, "Traceback" in said) == (130, False, False), said
    assert (moto.read("loss.csv"), list(tmp_path.iterdir())) == (b"old", [])


def test_files_of_media_are_not_for_a_store(call: Callable[..., Result], server: Sandbox) -> None:
    """Downloads go into a folder; a URL is refused before any request, and is no folder's name."""
    words = ("run", "medias", "ada-lab/digits/mlp-adam", "--keys", "*", "--all")
    result = call(*words, "--download", f"s3://{BUCKET}/media")
    assert (result.exit_code, server.requests) == (2, [])
    assert "--download is a folder of this machine" in result.stderr


def test_a_missing_bucket_is_found_before_the_work(
    store: Store, server: Sandbox, call: Callable[..., Result]
) -> None:
    """Nothing is asked of SwanLab for an object that has no bucket."""
    result = call(*LIST, "--save", "s3://nowhere/runs.parquet")
    assert result.exit_code == 1
    assert "no such bucket" in result.stderr
    assert server.requests == []


def test_a_wrong_key_is_named(
    store: Store, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that refuses the key says so; the key is not in the message."""
    if store.name == "moto":
        pytest.skip("it accepts every key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-of-a-store")
    result = call(*LIST, "--save", f"s3://{BUCKET}/runs.parquet")
    assert result.exit_code == 1
    assert "refused the key" in result.stderr
    assert KEY not in result.stderr
    assert "wrong-secret" not in result.stderr


def test_the_keys_are_nowhere(store: Store, call: Callable[..., Result]) -> None:
    """Keys of a store are in no log, message, trace or object, and in no text of what holds them."""
    url = f"s3://{BUCKET}/runs.parquet"
    saved = call(*LIST, "--save", url, "--debug")
    failed = call(*LIST, "--save", "s3://nowhere/runs.parquet", "--debug")
    assert (saved.exit_code, failed.exit_code) == (0, 1)
    assert re.search(rf"debug: store: write [\d,]+ bytes to {url}: \d+ ms", saved.stderr)
    assert "Traceback" in failed.stderr
    metadata = pq.read_metadata(io.BytesIO(store.read("runs.parquet"))).metadata
    assert b"swanlab_export" in metadata
    target = parse_target(url)
    seen = [saved.output, failed.output, store.read("runs.parquet").decode("latin-1")]
    seen += [str(metadata), repr(target), repr(StoreObjects(f"s3://{BUCKET}")), str(vars(target))]
    assert not [text for text in seen for secret in (KEY, SECRET) if secret in text]


def test_a_killed_upload_is_invisible(moto: Store, tmp_path: Path) -> None:
    """What a process that was killed has uploaded is no object."""
    code = (
        "from swanlab_export.files.stores import *; "
        f"put_file(open_store('s3://{BUCKET}', {{}}), 'large', open({str(tmp_path / 'x')!r}, 'rb'), '')"
    )
    with (tmp_path / "x").open("wb") as file:
        file.truncate(1024**3)
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not moto.uploads():
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    assert moto.keys() == []


PARTS = {
    "expired": (
        lambda: _refusal(403, "ExpiredToken", f"{SECRET} is old"),
        "refused the key .*ExpiredToken: ••• is old",
    ),
    "403": (lambda: _refusal(403, "AccessDenied", "not you"), "refused the key .*AccessDenied"),
    "500": (lambda: _refusal(500, "InternalError", "try later"), "InternalError: try later"),
    "503": (lambda: _refusal(503, "SlowDown", "reduce your rate"), "SlowDown: reduce"),
    "skew": (lambda: _refusal(403, "RequestTimeTooSkewed", "too large"), "the clock of this"),
    "cut": (lambda: None, "ended the connection"),
    "keeps nothing": (lambda: reply(200, b"", {"etag": '"x"'}), "."),
}


@pytest.mark.parametrize(("fault", "words"), list(PARTS.values()), ids=list(PARTS))
def test_faults_in_the_middle_of_an_upload(
    open_store: Store, tmp_path: Path, fault: Callable[[], bytes | None], words: str
) -> None:
    """Where a later part of a large object fails, the old object stays, and nothing else is there."""
    open_store.client.put_object(Bucket=BUCKET, Key="large", Body=b"old")
    parts: list[str] = []

    def respond(asked: Asked) -> bytes | None:
        if asked.method != "PUT" or "partNumber=2" not in asked.target:
            return proxy.forward(asked)
        parts.append(asked.target)
        return fault()

    proxy = Proxy(open_store, respond)
    with (tmp_path / "x").open("w+b") as file:
        file.truncate(17 * 1024**2)
        with RawServer(respond) as server, pytest.raises(OutputError, match=words) as caught:
            put_file(open_store_of(server.url), "large", file, "s3://lab/large")
    assert SECRET not in caught.value.message
    assert parts
    assert (open_store.keys(), open_store.read("large")) == (["large"], b"old")


def test_an_upload_that_ends_with_an_error_in_a_success(open_store: Store, tmp_path: Path) -> None:
    """Stores may say 200 to the end of an upload, and in its body that they kept nothing."""

    def respond(asked: Asked) -> bytes | None:
        if asked.method == "POST" and "uploadId=" in asked.target:
            return _refusal(200, "InternalError", "try later")
        return proxy.forward(asked)

    proxy = Proxy(open_store, respond)
    with (tmp_path / "x").open("w+b") as file:
        file.truncate(9 * 1024**2)
        with RawServer(respond) as server, pytest.raises(OutputError):
            put_file(open_store_of(server.url), "large", file, "s3://lab/large")
    assert open_store.keys() == []


def open_store_of(endpoint: str) -> Any:
    """The bucket of a server."""
    return open_bucket(f"s3://{BUCKET}", {"endpoint": endpoint})


def test_a_bucket_in_the_name_of_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an endpoint that names the bucket, requests name the object alone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    options = {"virtual_hosted_style_request": "true", "region": "cn-hangzhou"}
    with RawServer(_of_store(_keep_all)) as server:
        url = f"s3://{BUCKET}/a b/ü~1.csv"
        target = parse_target(url, store_options=options | {"endpoint": server.url})
        saved = write_table(SHORT, target, {})
    assert saved.path == url
    puts = [asked for asked in server.asked if asked.method == "PUT"]
    assert [unquote(asked.target) for asked in puts] == ["/a b/ü~1.csv"]
    assert f"Credential={KEY}/" in puts[0].headers["authorization"]
    assert "/cn-hangzhou/s3/" in puts[0].headers["authorization"]
    assert not [asked for asked in server.asked if SECRET in str(asked)]


def _of_store(respond: Callable[[Asked], bytes | None]) -> Callable[[Asked], bytes | None]:
    """Respond to lists of objects, so that only what follows is at fault."""
    empty = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

    def choose(asked: Asked) -> bytes | None:
        if asked.method == "GET":
            return reply(200, empty, {"content-type": "application/xml"})
        return respond(asked)

    return choose


def _refusal(status: int, code: str, message: str) -> bytes:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return reply(status, text.encode(), {"content-type": "application/xml"})


def _keep_nothing(asked: Asked) -> bytes:
    return reply(200, b"", {"etag": '"x"'}) if asked.method == "PUT" else reply(404)


def _keep_all(asked: Asked) -> bytes:
    time_ = "Wed, 01 Jan 2025 00:00:00 GMT"
    size = len(b"step\n1\n2\n")
    if asked.method == "PUT":
        return reply(200, b"", {"etag": '"x"'})
    if "incomplete" in asked.path:
        return reply(404)
    return reply(200, b"", {"content-length": str(size), "last-modified": time_, "etag": '"x"'})


def _keep_a_part(asked: Asked) -> bytes:
    if asked.method == "PUT":
        return reply(200, b"", {"etag": '"x"'})
    time_ = "Wed, 01 Jan 2025 00:00:00 GMT"
    return reply(200, b"", {"content-length": "3", "last-modified": time_, "etag": '"x"'})


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        pytest.param(
            lambda _: _refusal(403, "AccessDenied", f"not you, {SECRET}"),
            ["refused the key", "AccessDenied: not you, •••"],
            id="403",
        ),
        pytest.param(
            lambda _: _refusal(500, "InternalError", "try later"), ["InternalError"], id="500"
        ),
        pytest.param(
            lambda _: _refusal(503, "SlowDown", "reduce your rate"), ["SlowDown"], id="503"
        ),
        pytest.param(
            lambda _: _refusal(404, "ContainerNotFound", "none"),  # Azure's words
            ["no such bucket: ContainerNotFound: none"],
            id="container",
        ),
        pytest.param(
            lambda _: _refusal(403, "ExpiredToken", "it is old"),
            ["refused the key", "ExpiredToken: it is old"],
            id="expired",
        ),
        pytest.param(
            lambda _: _refusal(403, "RequestTimeTooSkewed", "too large"),
            ["the clock of this machine", "RequestTimeTooSkewed: too large"],
            id="skew",
        ),
        pytest.param(
            lambda _: None, ["s3://lab/x.csv': http://127.0.0.1:", " ended the"], id="cut"
        ),
        pytest.param(
            lambda _: reply(502, b"<p>bad gateway</p>"), ["502 Bad Gateway: <p>"], id="page"
        ),
        pytest.param(lambda _: reply(301), ["incorrectly configured region"], id="region"),
        pytest.param(_keep_nothing, ["did not keep it"], id="keeps nothing"),
        pytest.param(_keep_a_part, ["kept 3 bytes of"], id="keeps a part"),
    ],
)
def test_faults_of_a_store_are_errors(
    respond: Callable[[Asked], bytes | None], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a store refuses, or says that it kept and did not, is an error in its words."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with RawServer(_of_store(respond)) as server:
        target = parse_target(f"s3://{BUCKET}/x.csv", store_options={"endpoint": server.url})
        with pytest.raises(OutputError) as caught:
            write_table(SHORT, target, {})
    assert all(each in caught.value.message for each in words), caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9 cannot be reached: Connection refused"),
        ("http://nowhere.invalid", "http://nowhere.invalid cannot be reached: failed to lookup"),
    ],
)
def test_a_store_that_is_away_is_found_before_the_work(
    call: Callable[..., Result],
    server: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
    words: str,
) -> None:
    """A store that cannot be reached is an error, and why, before anything is asked of SwanLab."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    options = ("--store-option", f"endpoint={endpoint}")
    result = call(*LIST, "--save", f"s3://{BUCKET}/x.csv", *options)
    assert (result.exit_code, server.requests) == (1, [])
    assert words in result.stderr


def test_a_store_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not respond is an error after the time that is given."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    def wait(_: Asked) -> None:
        server.over.wait()

    with RawServer(wait) as server:
        options = {"endpoint": server.url, "timeout": "50ms"}
        with pytest.raises(
            OutputError, match=rf"{server.url} did not respond in time: store_options= timeout"
        ):
            parse_target(f"s3://{BUCKET}/x.csv", store_options=options)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("s3://key:secret@lab/x.csv", {}, "keys are read from the environment"),
        ("s3://lab/x.csv?region=x", {}, "options are given with"),
        ("s3:///x.csv", {}, "no bucket"),
        ("s3://lab//x.csv", {}, "no name of an object"),
        ("s3://lab/../x.csv", {}, "no name of an object"),
        ("ftp://lab/x.csv", {}, "object stores are s3://, gs://, az://"),
        ("s3://lab/x.doc", {}, "the extension must be one of"),
        ("s3://lab/x.csv", {"regoin": "x"}, "regoin: s3:// has no such option; closest: region"),
        ("gs://lab/x.csv", {"user-agent": "x"}, "closest: user_agent"),
        ("az://lab/x.csv", {"azure_account": "x"}, "closest: account_name"),
        ("s3://lab/x.csv", {"allow_http": "yes"}, "allow_http is true or false, not 'yes'"),
        ("s3://lab/x.csv", {"region": "x", "AWS_REGION": "y"}, "AWS_REGION is given twice"),
        ("s3://lab/x.csv", {"timeout": "x"}, "failed to parse"),
        ("s3://lab/x.csv", {"aws_secret_access_key": SECRET}, "is a secret, which would be seen"),
        ("s3://lab/x.csv", {"endpoint": f"https://me:{SECRET}@lab"}, "a user or a password before"),
        (
            "s3://lab/x.csv",
            {"endpoint": "127.0.0.1:9000"},
            "is a URL such as http://127.0.0.1:9000",
        ),
        ("s3://lab/x.csv", {"endpoint": "http://lab:x"}, "is a URL such as"),
        ("s3://lab/x.csv", {"endpoint": "http:///x"}, "is a URL such as"),
        ("s3://lab/x.csv", {"endpoint": "http://la b"}, "is a URL such as"),
        ("s3://lab/x.csv", {"region": ""}, "region has no value"),
        ("az://lab/x.csv", {}, "needs an account: set AZURE_STORAGE_ACCOUNT_NAME"),
        ("oss://lab/x.csv", {}, "the protocol of S3 are s3://, with store_options= endpoint"),
        ("gs://lab/x.csv", {"proxy_url": f"http://{SECRET}@lab:3128/"}, "a user or a password"),
        ("x.csv", {"region": "x"}, "is for URLs"),
    ],
)
def test_what_cannot_be_right_is_refused(name: str, options: dict[str, str], words: str) -> None:
    """A URL or an option that cannot be right is a usage error, without secrets in it."""
    with pytest.raises(UsageError, match=words) as caught:
        parse_target(name, store_options=options)
    assert "key:secret" not in caught.value.message
    assert SECRET not in caught.value.message


def test_an_endpoint_that_the_environment_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint is never another one than the option says: the library prefers a variable."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match=r"name two servers.*unset it"):
        parse_target("s3://lab/x.csv", store_options={"endpoint": "http://127.0.0.1:10"})


def test_an_endpoint_of_the_environment_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable without http:// is named, where the library would panic."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL is a URL such as http"):
        parse_target("s3://lab/x.csv")


def test_no_key_in_the_environment() -> None:
    """Where neither the environment nor the machine has a key, the message names the variables."""
    with RawServer(lambda _: reply(404)) as server:
        options = {"endpoint": server.url, "metadata_endpoint": server.url}
        with pytest.raises(OutputError, match="no key in the environment, such as AWS_ACCESS_KEY"):
            parse_target("s3://lab/x.csv", store_options=options)


@pytest.mark.parametrize("code", ["SecondLevelDomainForbidden", "PathStyleDomainForbidden"])
def test_a_store_that_wants_the_bucket_in_the_host(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Stores that refuse paths with the bucket are no question of the key: the options are named."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with RawServer(lambda _: _refusal(403, code, "use virtual hosted style")) as server:
        options = {"endpoint": server.url}
        words = rf"store_options= virtual_hosted_style_request=true, .*{code}: use"
        with pytest.raises(OutputError, match=words):
            parse_target("s3://lab/x.csv", store_options=options)


def test_the_protocol_of_google(
    open_store: Store, api: se.Api[pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's stores speak a protocol like that of S3; their token is in the environment."""
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "token-of-google")
    url, options = "gs://lab/a b/ü.csv", {"base_url": open_store.endpoint}
    assert api.using(save=url, store_options=options).run.list("ada-lab/digits") == url
    assert open_store.read("a b/ü.csv").startswith(b"path,run_id,")
    missing = "gs://nowhere/x.csv"
    with pytest.raises(OutputError, match="no such bucket"):
        api.using(save=missing, store_options=options).run.list("ada-lab/digits")


VALUES = {
    "checksum_algorithm": "SHA256",
    "server_side_encryption": "AES256",
    "authority_host": "https://login.example",
} | dict.fromkeys(("endpoint", "base_url", "proxy_url"), "http://127.0.0.1:9")


@pytest.mark.parametrize("scheme", list(STORE_OPTIONS))
def test_the_library_knows_every_option(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option that is offered is one of the library, which sends nothing before it is used."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lab")
    for name in (*STORE_OPTIONS[scheme], *CLIENT_OPTIONS):
        value = "5s" if name.endswith("timeout") else VALUES.get(name, "true")
        if name == "service_account":  # a file, which is read at once
            with pytest.raises(UsageError, match="open service account file"):
                open_bucket(f"{scheme}://lab", {name: str(tmp_path / "missing.json")})
        else:
            open_bucket(f"{scheme}://lab", {name: value})


def test_options_where_nothing_is_saved(api: se.Api[pa.Table], server: Sandbox) -> None:
    """Options of a store are refused where they would have no effect."""
    run, options = "ada-lab/digits/mlp-long", {"region": "x"}
    calls: list[Any] = [
        partial(api.using, "arrow"),
        partial(api.run.metrics, run, keys="loss"),
        partial(api.run.export_logs, run),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="store_options= is for save= with a URL"):
            call(store_options=options)
    assert server.requests == []


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("secret_access_key=abc", "set it in the environment"),
        ("AWS_ACCESS_KEY_ID=abc", "set it in the environment"),
        ("region", "NAME=VALUE"),
        ("=x", "NAME=VALUE"),
    ],
)
def test_secrets_are_not_options(call: Callable[..., Result], pair: str, words: str) -> None:
    """A list of processes shows options, so that keys are none of them."""
    result = call(*LIST, "--save", "s3://lab/x.csv", "--store-option", pair)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "abc" not in result.stderr


def test_options_of_a_store_need_a_store(call: Callable[..., Result]) -> None:
    """Options that would be ignored are refused, and so is one that is given twice."""
    result = call(*LIST, "--store-option", "region=x")
    assert (result.exit_code, "is for object stores" in result.stderr) == (2, True)
    twice = ("--store-option", "region=x", "--store-option", "region=y")
    result = call(*LIST, "--save", "s3://lab/x.csv", *twice)
    assert (result.exit_code, "given twice" in result.stderr) == (2, True)


def test_an_incomplete_object_has_its_mark_beside_it(
    store: Store, server: Sandbox, call: Callable[..., Result]
) -> None:
    """``NAME.incomplete.json`` is an object, too, which the next complete save removes."""
    words = ("run", "metrics", "ada-lab/digits/mlp-adam", "--keys", "loss,acc", "--all")
    server.faults = parse_faults(['refuse="key":"acc"'])
    result = call(*words, "--partial", "--save", f"s3://{BUCKET}/x.csv")
    assert result.exit_code == 5, result.stderr
    assert sorted(store.keys()) == ["x.csv", "x.csv.incomplete.json"]
    assert b'"incomplete":true' in store.read("x.csv.incomplete.json")
    server.faults = parse_faults([])
    assert call(*words, "--save", f"s3://{BUCKET}/x.csv").exit_code == 0
    assert store.keys() == ["x.csv"]


def test_a_store_without_its_library(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra, the message names what to install."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    result = call(*LIST, "--save", "s3://lab/x.csv")
    assert (result.exit_code, "pip install obstore" in result.stderr) == (2, True)


def test_a_container_is_opened_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's containers are opened by their own names; nothing is sent before they are used."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "lab")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    assert type(open_bucket("az://nightly", {})).__name__ == "AzureStore"


def test_ranges_that_a_store_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that is refused is an error in the words of the store."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with RawServer(lambda _: _refusal(400, "InvalidRange", "not so")) as server:
        objects = StoreObjects(f"s3://{BUCKET}", {"endpoint": server.url})
        with pytest.raises(OutputError, match="InvalidRange: not so"):
            objects.read_range("x", 0, 5)


def test_a_mark_that_stays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What says that an object is incomplete must not stay beside a complete one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    said = {"content-length": "3", "last-modified": "Wed, 01 Jan 2025 00:00:00 GMT", "etag": "x"}
    with RawServer(lambda _: reply(200, b"", said)) as server:
        found = parse_store_url(
            f"s3://{BUCKET}/x.incomplete.json", {"endpoint": server.url}, called="save"
        )
        with pytest.raises(OutputError, match="could not be removed"):
            found.remove()


def fail_with_a_mark(place: Path) -> None:
    """Set a mark for something that then fails."""
    with marking(place) as mark:
        mark(b"new")
        raise OutputError("failed")


def test_a_new_mark_goes_with_what_failed(tmp_path: Path) -> None:
    """A mark that was set for a file which then failed is removed; one from before stays."""
    place = tmp_path / "x.csv.incomplete.json"
    for content in (None, b"old"):
        if content is not None:
            place.write_bytes(content)
        with pytest.raises(OutputError):
            fail_with_a_mark(place)
        assert place.exists() == (content is not None)


OBJECT = {"last-modified": "Wed, 01 Jan 2025 00:00:00 GMT", "etag": '"1"'}


@contextmanager
def objects_of(
    respond: Callable[[Asked], bytes | None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[StoreObjects]:
    """The objects of a store that responds like this."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with RawServer(respond) as server:
        yield StoreObjects(f"s3://{BUCKET}", {"endpoint": server.url})


@pytest.mark.parametrize("count", [1, 1000])
def test_a_list_that_repeats_is_an_error(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that names a further page for ever, with the same objects, is no endless list."""
    entry = "<Contents><Key>{}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
    entry += "<ETag>x</ETag><Size>1</Size></Contents>"
    entries = "".join(entry.format(f"a/{number}") for number in range(count))

    def respond(asked: Asked) -> bytes:
        more = f"<NextContinuationToken>t{asked.number}</NextContinuationToken>"
        page = (
            f"<ListBucketResult><IsTruncated>true</IsTruncated>{more}{entries}</ListBucketResult>"
        )
        return reply(200, page.encode(), {"content-type": "application/xml"})

    with (
        objects_of(respond, monkeypatch) as objects,
        pytest.raises(OutputError, match="has an object twice, and may not end"),
    ):
        deque(objects.list("a"), maxlen=0)


def test_a_wait_for_a_store_can_be_limited() -> None:
    """Where the library itself would wait for ever, it ends at a time, in any thread."""
    over = Event()
    with ThreadPoolExecutor(1) as pool:
        for call in (interruptible, lambda *a, **o: pool.submit(interruptible, *a, **o).result()):
            with pytest.raises(TimeoutError, match="no end after 0 s"):
                call(over.wait, within_s=0.05)
            assert call(lambda: 7, within_s=10) == 7
        over.set()


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"content-length": str(10**11)}, b"", "100,000,000,000 bytes are more than an object"),
        (
            {"content-range": "bytes 2-6/10", "content-length": "9"},
            b"123456789",
            "more bytes came than the 5 that were announced",
        ),
    ],
    ids=["object", "range"],
)
def test_an_object_is_not_larger_than_announced_or_allowed(
    headers: dict[str, str], body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would take as much memory as a store says, and end the process if it has not."""
    status = 206 if "content-range" in headers else 200
    with objects_of(lambda _: reply(status, body, OBJECT | headers), monkeypatch) as objects:
        read = (
            partial(objects.read, "x") if status == 200 else partial(objects.read_range, "x", 2, 7)
        )
        with pytest.raises(OutputError, match=said):
            read()


@pytest.mark.parametrize("change", ["tag", "size"])
def test_ranges_are_of_one_version(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that is replaced while its ranges are read is an error, and no mixture."""
    versions = [bytes(3_000_000), bytes([1]) * (3_000_000 + (change == "size"))]

    def respond(asked: Asked) -> bytes:
        number = min(len(server_asked), 1)
        server_asked.append(asked)
        start, end = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        tag = {"etag": f'"{number}"'} if change == "tag" else {}
        return reply_part(versions[number], start, end + 1, headers=OBJECT | tag)

    server_asked: list[Asked] = []
    with objects_of(respond, monkeypatch) as objects, objects.open("x", 3_000_000) as file:
        assert file.read(10) == bytes(10)
        with pytest.raises(OSError, match="was replaced while it was read"):
            file.read()
        with objects.open("x", 2_999_999) as another, pytest.raises(OSError, match="was replaced"):
            another.read(10)  # since its size was asked
