"""Backups in object stores: the same objects as in a folder, whatever the store does."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from living import LivingData
from object_stores import BUCKET, KEY, SECRET, Proxy, Store
from raw_server import RawServer, reply

import swanlab_export as se
from swanlab_export.backups.destination import open_destination, write_object
from swanlab_export.cli.main import root
from swanlab_export.errors import IncompleteError, OutputError, UsageError
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forks import Forks
    from raw_server import Asked

URL = f"s3://{BUCKET}/night"
PROJECT = "lab/digits"


@pytest.fixture(scope="module")
def five_runs() -> Iterator[Sandbox]:
    """A server with a project of five small runs: each object takes a store a while."""
    data = LivingData()
    data.add_project("digits")
    for number in range(5):
        run_id = f"run{number}"
        data.start(run_id)
        data.log_many(run_id, 20, "loss", "acc")
        data.print_line(run_id, "epoch 1")
        data.show(run_id, "image", 1, b"\x89PNG" + run_id.encode())
        data.finish(run_id)
    data.wait(days=40)
    with Sandbox(data) as sandbox:
        yield sandbox


@pytest.fixture
def server(five_runs: Sandbox) -> Sandbox:
    """The same, without faults or recorded requests."""
    five_runs.reset()
    return five_runs


def tables(folder: Path) -> dict[str, bytes]:
    """The objects below ``tables`` and ``files`` of a backup in a folder."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if path.is_file() and name.startswith(("tables/", "files/"))
    }


def stored(store: Store) -> dict[str, bytes]:
    """The same of a backup in a store."""
    found = {key.removeprefix("night/"): key for key in store.keys("night/")}
    return {
        name: store.read(key)
        for name, key in found.items()
        if name.startswith(("tables/", "files/"))
    }


def test_a_bucket_holds_what_a_folder_holds(
    store: Store, api: se.Api[pa.Table], tmp_path: Path
) -> None:
    """A backup in a store has the same bytes as one on disk; rclone, too, finds no difference."""
    in_folder: Any = se.backup(api, to=tmp_path, paths=PROJECT)
    in_bucket: Any = se.backup(api, to=URL, paths=PROJECT)
    columns = ["path", "action", "reason", "rows", "error"]
    reports = [each.select(columns).sort_by("path") for each in (in_folder, in_bucket)]
    assert reports[0].equals(reports[1])
    expected = tables(tmp_path)
    # When a backup was made stands in the tables of runs and projects.
    dated = [name for name in expected if re.search("/runs/|projects|workspaces", name)]
    found = stored(store)
    assert found.keys() == expected.keys()
    assert {n: b for n, b in found.items() if n not in dated} == {
        n: b for n, b in expected.items() if n not in dated
    }
    rclone = os.path.join(os.path.dirname(sys.executable), "rclone")  # noqa: PTH118, PTH120
    remote = f":s3,provider=Other,env_auth=true,endpoint='{store.endpoint}':{BUCKET}/night/tables"
    words = [rclone, "check", "--download", str(tmp_path / "tables" / "metrics")]
    checked = subprocess.run(
        [*words, f"{remote}/metrics"],
        env=os.environ | {"RCLONE_CONFIG": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_a_backup_in_a_store_is_served(store: Store, api: se.Api[pa.Table]) -> None:
    """Commands read a backup in a store as they read the server, by ranges of its objects."""
    se.backup(api, to=URL, paths=PROJECT)
    run = f"{PROJECT}/{api.run.list(PROJECT)['run_id'][0].as_py()}"
    with se.connect(host=f"backup:{URL}", frame="arrow") as stored_api:
        for served, expected in (
            (stored_api.run.list(PROJECT), api.run.list(PROJECT)),
            (
                stored_api.run.metrics(run, keys="*", all=True),
                api.run.metrics(run, keys="*", all=True),
            ),
        ):
            assert served.drop(["url"] if "url" in served.column_names else []).equals(
                expected.drop(["url"] if "url" in expected.column_names else [])
            )
    status = CliRunner().invoke(root, ["backup", "status", URL, "--format", "jsonl"])
    assert (status.exit_code, f'"path":"{PROJECT}"' in status.stdout) == (0, True)
    verified = CliRunner().invoke(root, ["backup", "verify", URL, "--read", "all"])
    assert (verified.exit_code, verified.stdout) == (0, "[]\n"), verified.stderr


def test_options_reach_the_store_of_a_host(
    store: Store, api: se.Api[pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options that are not in the environment are given with the host, too."""
    se.backup(api, to=URL, paths=PROJECT)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    option = ["--store-option", f"endpoint={store.endpoint}"]
    words = ["api", "run", "list", PROJECT, "--format", "jsonl", "--host", f"backup:{URL}"]
    result = CliRunner().invoke(root, [*words, *option])
    assert (result.exit_code, result.stdout.count("\n")) == (0, 5), result.stderr


def test_nothing_new_writes_a_manifest_and_nothing_else(
    store: Store, api: se.Api[pa.Table], server: Sandbox
) -> None:
    """A second backup adds one object to the store, and no lock stays."""
    se.backup(api, to=URL, paths=PROJECT)
    before = set(store.keys())
    server.reset_log()
    report: Any = se.backup(api, to=URL, paths=PROJECT)
    assert report.num_rows == 0
    (new,) = set(store.keys()) - before
    assert re.fullmatch("night/state/snapshots/[^/]+/manifest.json", new)
    assert "night/state/lock.json" not in before


def test_a_lock_that_is_held_is_respected(store: Store, api: se.Api[pa.Table]) -> None:
    """While one backup runs, another one says whose it is, and changes nothing."""
    destination = open_destination(URL)
    with destination.lock():
        before = store.keys()
        with pytest.raises(IncompleteError, match=f"process {os.getpid()} on .*, since "):
            se.backup(api, to=URL, paths=PROJECT)
        assert store.keys() == before
    assert store.keys() == []


def test_snapshots_of_a_store_are_compared(open_store: Store, api: se.Api[pa.Table]) -> None:
    """`backup diff` names the runs that the second of two snapshots has more."""
    listed = api.run.list(PROJECT)["name"].to_pylist()
    for where in (f"name={listed[0]}", None):
        se.backup(api, to=URL, paths=PROJECT, where=where)
    result = CliRunner().invoke(root, ["backup", "diff", URL, "--format", "jsonl"])
    assert result.exit_code == 0, result.stderr
    assert "4 runs differ" in result.stderr
    added = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert [row["change"] for row in added] == ["added"] * 4
    assert open_store.keys("night/state/snapshots/")


def test_a_lock_that_is_not_renewed_ends(open_store: Store, api: se.Api[pa.Table]) -> None:
    """A lock that nobody renewed for ten minutes, by the clock of the store, is that of a dead process.

    What that process had under a temporary name is removed, too.
    """
    open_store.client.put_object(Bucket=BUCKET, Key="night/state/tmp/clock-1", Body=b"{}")
    open_store.client.put_object(Bucket=BUCKET, Key="night/state/lock.json", Body=b'{"token": "a"}')

    def age(asked: Asked) -> bytes | None:
        if asked.method != "HEAD" or not asked.path.endswith("/lock.json"):
            return None
        response = proxy.forward(asked)
        return re.sub(rb"(last-modified: )[^\r]*", rb"\1Wed, 01 Jan 2025 00:00:00 GMT", response)

    proxy = Proxy(open_store, age)
    with RawServer(proxy) as server:
        se.backup(api, to=URL, paths=PROJECT, store_options={"endpoint": server.url})
    assert open_store.keys("night/state/lock") == open_store.keys("night/state/tmp") == []
    assert open_store.keys("night/tables/")


def test_a_lock_that_was_copied_with_a_folder_is_none(
    store: Store, api: se.Api[pa.Table], tmp_path: Path
) -> None:
    """The process that it names wrote to the folder, and not to the store."""
    with open_destination(tmp_path).lock():
        content = (tmp_path / "state" / "lock.json").read_bytes()
    store.client.put_object(Bucket=BUCKET, Key="night/state/lock.json", Body=content)
    se.backup(api, to=URL, paths=PROJECT)
    assert store.keys("night/state/lock") == []


@pytest.mark.parametrize("gone", ["/lock.json", "/clock-"])
def test_a_lock_that_is_released_at_that_moment(
    open_store: Store, api: se.Api[pa.Table], gone: str
) -> None:
    """A lock that is released while it is looked at is none; one whose owner cleans up is held."""
    open_store.client.put_object(Bucket=BUCKET, Key="night/state/lock.json", Body=b'{"token": "a"}')
    heads: list[str] = []

    def lose(asked: Asked) -> bytes | None:
        if asked.method != "HEAD" or gone not in asked.path:
            return None
        heads.append(asked.path)
        # First it is seen whether there is a lock, or whether the probe was kept.
        return reply(404) if len(heads) == 2 else None

    with RawServer(Proxy(open_store, lose)) as server:
        options = {"endpoint": server.url}
        if gone == "/lock.json":
            se.backup(api, to=URL, paths=PROJECT, store_options=options)
        else:
            with pytest.raises(IncompleteError, match="another backup writes to"):
                se.backup(api, to=URL, paths=PROJECT, store_options=options)
    assert len(heads) >= 2


def test_credentials_that_expire(
    open_store: Store, api: se.Api[pa.Table], server: Sandbox, tmp_path: Path
) -> None:
    """A store that stops taking the key half-way ends the backup; the next one goes on from there."""
    committed: list[str] = []

    def expire(asked: Asked) -> bytes | None:
        if asked.method != "PUT":
            return None
        if not committed:
            committed.extend(["yes"] if "/receipts/" in asked.path else [])
            return None
        text = f"<Error><Code>ExpiredToken</Code><Message>{SECRET} is old</Message></Error>"
        return reply(403, text.encode(), {"content-type": "application/xml"})

    with (
        RawServer(Proxy(open_store, expire)) as proxy,
        se.connect(host=server.url, api_key=server.api_key, jobs=1) as slow,
        pytest.raises(OutputError) as caught,
    ):
        se.backup(slow, to=URL, paths=PROJECT, store_options={"endpoint": proxy.url})
    assert "refused the key" in caught.value.message
    assert SECRET not in caught.value.message
    kept = len(open_store.keys("night/state/receipts/"))
    report: Any = se.backup(api, to=URL, paths=PROJECT)
    listed = api.run.list(PROJECT)
    assert 0 < kept < len(listed)
    assert len(report) == len(listed) - kept
    se.backup(api, to=tmp_path, paths=PROJECT)
    assert stored(open_store).keys() == tables(tmp_path).keys()


def test_points_are_read_by_ranges(moto: Store, api: se.Api[pa.Table]) -> None:
    """Of a run with many points, what is read are the parts of its object that hold the key."""
    se.backup(api, to=URL, paths=PROJECT)
    run_id = api.run.list(PROJECT)["run_id"][0].as_py()
    name = f"night/tables/metrics/{PROJECT}/{run_id}.parquet"
    points = pq.read_table(io.BytesIO(moto.read(name)))
    loss = points.filter(pc.equal(points["key"], "loss"))
    large = io.BytesIO()
    with pq.ParquetWriter(large, points.schema) as writer:
        writer.write_table(loss)
        for number in range(20):  # after it in the order of keys
            steps = pa.array(range(40_000))
            values = pa.array(np.random.default_rng(number).random(40_000))
            other = {"key": f"other/{number:02}", "run_id": run_id, "step": steps, "value": values}
            columns = [
                each
                if isinstance(each := other.get(field.name), pa.Array)
                else pa.repeat(pa.scalar(each, field.type), 40_000)
                for field in points.schema
            ]
            writer.write_table(pa.table(columns, schema=points.schema))
    moto.client.put_object(Bucket=BUCKET, Key=name, Body=large.getvalue())
    read: list[int] = []

    def count(asked: Asked) -> bytes:
        response = proxy.forward(asked)
        read.extend([len(response)] if asked.path.endswith(name) else [])
        return response

    proxy = Proxy(moto, count)
    with (
        RawServer(proxy) as server,
        se.connect(
            host=f"backup:{URL}", frame="arrow", store_options={"endpoint": server.url}
        ) as served,
    ):
        found = served.run.metrics(f"{PROJECT}/{run_id}", keys="loss", all=True)
    assert found["value"].equals(loss["value"])
    assert 0 < sum(read) < len(large.getvalue()) / 3


def refuse(status: int, code: str, words: str) -> bytes:
    """What a store says that refuses something."""
    text = f"<Error><Code>{code}</Code><Message>{words}, {SECRET}</Message></Error>"
    return reply(status, text.encode(), {"content-type": "application/xml"})


FAULTS: dict[str, tuple[bytes | str, str]] = {
    "403": (refuse(403, "AccessDenied", "not you"), "refused the key .*AccessDenied: not you"),
    "500": (refuse(500, "InternalError", "try later"), "InternalError: try later"),
    "503": (refuse(503, "SlowDown", "reduce your rate"), "SlowDown: reduce your rate"),
    "skew": (
        refuse(403, "RequestTimeTooSkewed", "the difference is too large"),
        "the clock of this machine .*RequestTimeTooSkewed: the difference",
    ),
    "keeps nothing": (reply(200, b"", {"etag": '"x"'}), "did not keep"),
    "keeps a part": ("part", "says that it kept"),
    "cut": ("cut", r"http://127.0.0.1:\d+ ended the connection"),
}


class Faulty:
    """The fault of a store at the objects of data, ``times`` times."""

    def __init__(self, store: Store, fault: bytes | str, times: float) -> None:
        self._proxy = Proxy(store, lambda _: None)
        self._fault = fault
        self._left = times

    def __call__(self, asked: Asked) -> bytes | None:
        """Respond with the fault, else as the store."""
        if asked.method != "PUT" or "/tables/metrics/" not in asked.path or self._left <= 0:
            return self._proxy(asked)
        self._left -= 1
        if self._fault == "cut":
            return None
        if self._fault == "part":
            return self._proxy(replace(asked, body=asked.body[:-7]))
        assert isinstance(self._fault, bytes)
        return self._fault


@pytest.mark.parametrize(("fault", "words"), list(FAULTS.values()), ids=list(FAULTS))
def test_faults_end_a_backup(
    open_store: Store,
    api: se.Api[pa.Table],
    fault: bytes | str,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A store that takes no data ends the backup, in its words and without keys; no run counts."""
    caplog.set_level("DEBUG")
    with RawServer(Faulty(open_store, fault, inf)) as server, pytest.raises(OutputError) as caught:
        se.backup(api, to=URL, paths=PROJECT, store_options={"endpoint": server.url})
    assert re.search(words, caught.value.message), caught.value.message
    assert "\n" not in caught.value.message
    assert open_store.keys("night/state/receipts/") == open_store.keys("night/state/lock") == []
    seen = [caught.value.message, caplog.text, *map(str, map(open_store.read, open_store.keys()))]
    assert not [text for text in seen if SECRET in text]


@pytest.mark.parametrize("name", ["500", "503", "cut"])
def test_faults_that_pass(open_store: Store, api: se.Api[pa.Table], name: str) -> None:
    """A store that fails twice has the same objects in the end."""
    with RawServer(Faulty(open_store, FAULTS[name][0], 2)) as server:
        report: Any = se.backup(api, to=URL, paths=PROJECT, store_options={"endpoint": server.url})
    assert report["error"].null_count == len(report) == len(api.run.list(PROJECT))


def test_killed_in_the_middle(
    open_store: Store, server: Sandbox, api: se.Api[pa.Table], tmp_path: Path
) -> None:
    """A backup that was killed leaves nothing that the next one would not complete."""
    committed: list[str] = []

    def hold(asked: Asked) -> bytes | None:
        if asked.method == "PUT" and "/receipts/" in asked.path:
            committed.append(asked.path)
            if len(committed) > 2:
                process.kill()
                store.over.wait(60)
        return None

    words = ["backup", "run", PROJECT, "--to", URL, "--host", server.url]
    access = ["--api-key", server.api_key, "--jobs", "1"]
    with RawServer(Proxy(open_store, hold)) as store:
        option = ["--store-option", f"endpoint={store.url}"]
        command = [sys.executable, "-m", "swanlab_export", *words, *access, *option]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        process.wait(60)
    assert process.returncode not in {0, 1}
    assert 2 <= len(open_store.keys("night/state/receipts/")) < 5
    open_store.client.delete_object(
        Bucket=BUCKET, Key="night/state/lock.json"
    )  # or wait ten minutes
    se.backup(api, to=URL, paths=PROJECT)
    se.backup(api, to=tmp_path, paths=PROJECT)
    complete, again = stored(open_store), tables(tmp_path)
    assert complete.keys() == again.keys()
    metrics = [name for name in again if name.startswith("tables/metrics/")]
    assert [complete[name] for name in metrics] == [again[name] for name in metrics]


def test_killed_in_the_middle_of_an_upload(
    moto: Store, world: LivingData, living: Sandbox, unmeasured_forks: Forks, tmp_path: Path
) -> None:
    """What is left are invisible parts, and objects that a repair finds and completes."""
    if sys.platform == "win32":
        pytest.skip("needs a fork")

    def hold(asked: Asked) -> bytes:
        if "partNumber=2" in asked.target:
            killed.send_signal(signal.SIGKILL)
            server.over.wait()
        return proxy.forward(asked)

    words = ["backup", "run", "--to", URL, "--host", living.url]
    world.start("one")
    world.log_many("one", 3, "loss")
    world.finish("one")
    world.wait(days=1)
    environ = dict(os.environ) | {"SWANLAB_API_KEY": "ada0123456789abcdefgh"}
    assert unmeasured_forks.run(*words, cwd=tmp_path, environ=environ).returncode == 0
    world.start("two")
    world.log_many("two", 3, "loss")
    image = os.urandom(9 << 20)
    world.show("two", "image", 1, image)
    world.finish("two")
    world.wait(days=1)
    proxy = Proxy(moto, lambda _: None)
    with RawServer(hold) as server:
        environ |= {"AWS_ENDPOINT_URL": server.url}
        killed = unmeasured_forks.start(*words, cwd=tmp_path, environ=environ)
        assert killed.finish().returncode == -signal.SIGKILL
    assert len(moto.uploads()) == 1
    left = "tables/metrics/lab/digits/two.parquet"
    assert [key for key in moto.keys("night/") if "two" in key] == [f"night/{left}"]
    moto.client.delete_object(Bucket=BUCKET, Key="night/state/lock.json")  # or wait ten minutes
    check = ["backup", "verify", URL, "--format", "jsonl"]
    environ |= {"AWS_ENDPOINT_URL": moto.endpoint, "SWANLAB_API_HOST": living.url}
    checked = unmeasured_forks.run(*check, cwd=tmp_path, environ=environ)
    assert [orjson.loads(line)["object"] for line in checked.stdout.splitlines()] == [left]
    repaired = unmeasured_forks.run(*check, "--repair", cwd=tmp_path, environ=environ)
    assert (repaired.returncode, '"cure":"repaired"' in repaired.stdout) == (0, True)
    (key,) = moto.keys("night/files/lab/digits/two/")
    assert moto.read(key) == image
    for again in ([*check, "--read", "all"], [*words, "--format", "jsonl"]):
        done = unmeasured_forks.run(*again, cwd=tmp_path, environ=environ)
        assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("to", "words"),
    [
        (f"s3://{KEY}:x@lab/night", "keys are read from the environment"),
        ("ftp://lab/night", "object stores are"),
        ("s3://lab/../night", "no name of an object"),
    ],
)
def test_destinations_that_cannot_be(to: str, words: str) -> None:
    """What is no bucket is refused, without what may be a key."""
    with pytest.raises(UsageError, match=words) as caught:
        open_destination(to)
    assert KEY not in caught.value.message


@pytest.mark.parametrize("command", ["status", "diff", "verify"])
def test_destinations_are_named_as_the_help_does(command: str) -> None:
    """The message names the argument as the help of the command writes it."""
    result = CliRunner().invoke(root, ["backup", command, "s3:///night"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: DEST 's3:///night' has no bucket"), result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["backup", "status", "s3://nowhere/night"],
        ["backup", "diff", "s3://nowhere/night"],
        ["backup", "verify", "s3://nowhere/night"],
        ["api", "run", "list", PROJECT, "--host", "backup:s3://nowhere/night"],
    ],
    ids=["status", "diff", "verify", "host"],
)
def test_a_bucket_that_is_missing(open_store: Store, words: list[str]) -> None:
    """That there is no such bucket is said, and not that it holds no backup."""
    result = CliRunner().invoke(root, words)
    assert result.exit_code == 1
    assert "the store has no such bucket: NoSuchBucket: " in result.output, result.output
    assert "error: 's3://nowhere/night/" in result.output


def test_a_refusal_says_why(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key is named with the words of the store, when a backup is only looked at."""
    if store.name == "moto":
        pytest.skip("it looks at no key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    result = CliRunner().invoke(root, ["backup", "status", URL])
    assert result.exit_code == 1
    words = r"error: 's3://lab/night/swanlab-backup.json': the store refused the key of the environment: "
    assert re.fullmatch(rf"{words}SignatureDoesNotMatch: [^\n]*\n", result.output), result.output
    assert "another-secret" not in result.output


def test_a_refusal_without_words(open_store: Store) -> None:
    """Where a store says a status alone, no colon is left behind it."""
    with RawServer(lambda _: reply(403)) as server, pytest.raises(OutputError) as caught:
        open_destination(URL, {"endpoint": server.url}).find("x")
    assert caught.value.message.endswith(": 403 Forbidden"), caught.value.message


def test_another_region(open_store: Store) -> None:
    """A bucket of another region names the option for it, and which region that is."""
    text = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region is wrong; expecting &#39;eu-north-1&#39;.</Message></Error>"
    response = reply(400, text.encode(), {"content-type": "application/xml"})
    with RawServer(lambda _: response) as server:
        words = ["backup", "status", URL, "--store-option", f"endpoint={server.url}"]
        result = CliRunner().invoke(root, words)
    assert result.exit_code == 1
    assert "--store-option region is not that of the bucket: " in result.output, result.output
    assert result.output.endswith("expecting 'eu-north-1'.\n")


def test_ranges_and_objects(store: Store) -> None:
    """Any range of an object can be read, and what is missing is no error until it is read."""
    destination = open_destination(f"s3://{BUCKET}")
    assert destination.is_empty()
    content = bytes(range(256)) * 20_000
    size, sha256 = write_object(destination, "tables/a", content)
    assert (size, len(sha256)) == (len(content), 64)
    assert not destination.is_empty()
    with destination.open("tables/a") as file:
        file.seek(-300, 2)
        assert file.read(600) == content[-300:]
        file.seek(3_000_001)
        assert file.read(5) == content[3_000_001:3_000_006]
        assert file.tell() == 3_000_006
        assert file.seek(-len(content) - 1, 2) == 0
    assert list(destination.list("tables")) == [destination.find("tables/a")]
    destination.remove("tables/a")
    destination.remove("tables/a")
    assert destination.find("tables/a") is None
    for read in (destination.read, destination.open):
        with pytest.raises(FileNotFoundError):
            read("tables/a")
