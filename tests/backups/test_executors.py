"""Units in other processes: the same backup, whatever happens to a worker."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from dask_cluster import Cluster, join, open_client, run_cluster
from deadly import Deadly
from living import LivingData
from object_stores import BUCKET, KEY, SECRET, Store, use_store

import swanlab_export as se
from swanlab_export.backups.executors import Processes, open_executor
from swanlab_export.backups.unit import Task
from swanlab_export.cli.main import root
from swanlab_export.errors import OutputError, UnavailableError, UsageError
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

PROJECT = "vision-team/segmentation"
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
# A scheduler that has a unit done again whose worker has died, as it does by default.
PATIENT = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3"}


@pytest.fixture(scope="module")
def backed_up() -> Iterator[Sandbox]:
    """A server for all tests of this module, since workers keep its key in their environment."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def cluster(
    backed_up: Sandbox, tmp_path_factory: Any, running_stores: Callable[[str], Store]
) -> Iterator[Cluster]:
    """A cluster whose workers have the key, and the keys of a store but not its endpoint."""
    folder = tmp_path_factory.mktemp("cluster")
    home = {"HOME": str(folder), "SWANLAB_API_KEY": backed_up.api_key}
    keys = running_stores("rclone").environ
    del keys["AWS_ENDPOINT_URL"]
    with run_cluster(folder, environ=home | keys) as running:
        yield running


@pytest.fixture
def store(running_stores: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose keys the cluster has."""
    return use_store(running_stores("rclone"), monkeypatch)


@pytest.fixture
def connected(backed_up: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[se.Api[pa.Table]]:
    """A connection whose key is in the environment, where processes find it."""
    monkeypatch.setenv("SWANLAB_API_KEY", backed_up.api_key)
    with se.connect(host=backed_up.url, frame="arrow") as api:
        yield api


@pytest.fixture(scope="module")
def small_runs() -> Iterator[Sandbox]:
    """A server of which each unit is short, for workers that come and go: ``lab/digits``."""
    data = LivingData()
    data.add_project("digits")
    for number in range(12):
        run_id = f"run{number}"
        data.start(run_id)
        data.log_many(run_id, 20, "loss")
        data.finish(run_id)
    data.wait(days=40)
    with Sandbox(data) as running:
        yield running


@pytest.fixture
def to_small_runs(
    small_runs: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[se.Api[pa.Table]]:
    """A connection to it with two requests at a time."""
    monkeypatch.setenv("SWANLAB_API_KEY", small_runs.api_key)
    with se.connect(host=small_runs.url, frame="arrow", jobs=2) as api:
        yield api


def metrics(folder: Path) -> dict[str, bytes]:
    """The objects of points, logs and media."""
    found = [p for t in ("metrics", "logs", "medias") for p in (folder / "tables" / t).rglob("*")]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found if p.is_file()}


def test_a_cluster_writes_the_same_backup(
    connected: se.Api[pa.Table], cluster: Cluster, tmp_path: Path
) -> None:
    """Workers of a cluster write what threads write, and every run is in the report."""
    with open_executor(f"dask:{cluster.address}") as executor:
        report: Any = se.backup(connected, to=tmp_path / "dask", paths=PROJECT, executor=executor)
    in_threads: Any = se.backup(connected, to=tmp_path / "threads", paths=PROJECT)
    assert report["error"].null_count == len(report) == len(in_threads)
    assert metrics(tmp_path / "dask") == metrics(tmp_path / "threads") != {}
    assert not list((tmp_path / "dask" / "state" / "tmp").iterdir())


@pytest.fixture(scope="module", params=["processes", "dask"])
def workers(request: Any) -> str:
    """What ``--on`` names: a process, or the workers of the cluster."""
    if request.param == "processes":
        return "processes:1"
    cluster: Cluster = request.getfixturevalue("cluster")
    return f"dask:{cluster.address}"


def test_a_worker_that_is_killed(connected: se.Api[pa.Table], workers: str, tmp_path: Path) -> None:
    """A worker that dies in the middle of a unit loses nothing: the unit is done again."""
    listed = connected.run.list(PROJECT)["run_id"].to_pylist()
    with open_executor(workers) as executor:
        deadly = Deadly(executor, listed[1], tmp_path / "killed")
        report: Any = se.backup(connected, to=tmp_path / "x", paths=PROJECT, executor=deadly)
    assert (tmp_path / "killed").exists()
    assert sorted(report["run_id"].to_pylist()) == sorted(listed)
    assert report["error"].null_count == len(listed)
    se.backup(connected, to=tmp_path / "y", paths=PROJECT)
    assert metrics(tmp_path / "x") == metrics(tmp_path / "y")


def test_a_unit_that_kills_its_worker(
    connected: se.Api[pa.Table], workers: str, tmp_path: Path
) -> None:
    """A unit whose worker dies each time is named and left out; all others are done."""
    listed = connected.run.list(PROJECT)["run_id"].to_pylist()
    poison = listed[1]
    with (
        open_executor(workers) as executor,
        pytest.warns(se.SwanlabExportWarning, match=f"{poison}.*its worker was lost"),
    ):
        report: Any = se.backup(
            connected, to=tmp_path, paths=PROJECT, executor=Deadly(executor, poison)
        )
    failed = report.filter([error is not None for error in report["error"].to_pylist()])
    assert failed["run_id"].to_pylist() == [poison]
    assert sorted(report["run_id"].to_pylist()) == sorted(listed)
    receipts = {path.stem for path in (tmp_path / "state" / "receipts").rglob("*.json")}
    assert receipts == {*listed} - {poison}


def test_budget_and_key(connected: se.Api[pa.Table], backed_up: Sandbox, tmp_path: Path) -> None:
    """All processes together have at most so many requests in flight, and no task holds the key."""
    tasks: list[bytes] = []

    class Seen(Executor):
        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            tasks.append(pickle.dumps((work, args, kwargs)))
            return processes.submit(work, *args, **kwargs)

    backed_up.reset_log()
    with (
        Processes(2) as processes,
        se.connect(host=backed_up.url, frame="arrow", jobs=2) as api,
    ):
        se.backup(api, to=tmp_path / "once", paths=PROJECT, executor=Seen())
        assert 1 <= backed_up.max_in_flight <= 2
        assert len(tasks) == 6
        assert not any(backed_up.api_key.encode() in task for task in tasks)
        requests = len(backed_up.requests)
        # Where the server limits requests, units wait, and none is submitted again.
        backed_up.reset_log()
        backed_up.faults = parse_faults(["429=4", "retry-after=0"])
        try:
            report: Any = se.backup(api, to=tmp_path / "again", paths=PROJECT, executor=Seen())
            limited = len(backed_up.requests)
            # What this process asks to plan further projects counts, too.
            backed_up.reset_log()
            backed_up.faults = parse_faults(["latency=20ms"])
            paths = [PROJECT, "vision-team/secret", "ada-lab/empty", "ada-lab/digits"]
            se.backup(api, to=tmp_path / "more", paths=paths, executor=processes, tables="columns")
            assert backed_up.max_in_flight == 2
        finally:
            backed_up.faults = parse_faults([])
    assert report["error"].null_count == len(report) == 5
    assert len(tasks) == 2 * 6
    assert limited > requests


def test_a_server_that_wants_no_request(
    connected: se.Api[pa.Table], backed_up: Sandbox, tmp_path: Path
) -> None:
    """Where a unit ends while the server still wants no request, none is submitted until then."""
    submitted: list[float] = []
    until = 0.0

    class Limited(Executor):
        """As if the first unit had ended so."""

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            nonlocal until
            submitted.append(time.time())
            outcome = work(*args, **kwargs)
            if len(submitted) == 2:  # after the probe
                until = time.time() + 0.2
                outcome = replace(outcome, limited_until=until)
            done: Future[Any] = Future()
            done.set_result(outcome)
            return done

    with se.connect(host=backed_up.url, frame="arrow", jobs=1) as api:
        se.backup(api, to=tmp_path, paths=PROJECT, executor=Limited())
    assert len(submitted) == 6
    assert submitted[2] >= until


def manifests(folder: Path) -> list[dict[str, Any]]:
    """The manifests of a backup, the oldest first."""
    found = sorted((folder / "state" / "snapshots").rglob("manifest.json"))
    return [json.loads(path.read_bytes()) for path in found]


# A wait that is too long to try again: a unit in another process has no other number of retries.
REFUSING = ("429=1", "retry-after=3600")


EXECUTORS = pytest.mark.parametrize(
    "kind", [ThreadPoolExecutor, Processes], ids=["threads", "processes"]
)


@EXECUTORS
@pytest.mark.parametrize("chosen", [slice(3), slice(-3, None)], ids=["first", "last"])
def test_runs_that_the_server_never_serves(
    to_small_runs: se.Api[pa.Table],
    small_runs: Sandbox,
    kind: Callable[[int], Executor],
    chosen: slice,
    tmp_path: Path,
) -> None:
    """Three in a row, the first or the last ones, are named; all others are in the snapshot."""
    listed = to_small_runs.run.list("lab/digits", all=True)["run_id"].to_pylist()
    broken = set(listed[chosen])
    small_runs.faults = parse_faults([*REFUSING, f"where=/runs/({'|'.join(broken)})$"])
    try:
        with (
            kind(1) as executor,
            pytest.warns(se.SwanlabExportWarning, match="3 items left out: lab/digits/run"),
        ):
            report: Any = se.backup(to_small_runs, to=tmp_path, executor=executor)
    finally:
        small_runs.faults = parse_faults([])
    done = dict(zip(report["run_id"].to_pylist(), report["action"].to_pylist(), strict=True))
    assert done == {run_id: "failed" if run_id in broken else "whole" for run_id in listed}
    (manifest,) = manifests(tmp_path)
    named = {words.partition(": ")[0] for words in manifest["failed"]}
    assert named == {f"lab/digits/{run_id}" for run_id in broken}
    assert manifest["projects"][0]["counts"]["runs"] == 9


@EXECUTORS
def test_a_server_that_goes_away_meanwhile(
    to_small_runs: se.Api[pa.Table], small_runs: Sandbox, kind: type[Any], tmp_path: Path
) -> None:
    """The backup ends soon and without a manifest, and says so; the next one goes on."""

    class Watched(kind):  # type: ignore[misc]
        """The server refuses everything from the third unit on."""

        count = 0

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.count += isinstance(args[0], Task)
            if self.count == 3:
                small_runs.faults = parse_faults([*REFUSING])
            future: Future[Any] = super().submit(work, *args, **kwargs)
            return future

    lines: list[str] = []
    try:
        with Watched(1) as executor, pytest.raises(UnavailableError, match="is away; what was"):
            se.backup(to_small_runs, to=tmp_path, executor=executor, on_project=lines.append)
    finally:
        small_runs.faults = parse_faults([])
    assert manifests(tmp_path) == []
    receipts = {path.stem for path in (tmp_path / "state" / "receipts").rglob("*.json")}
    (line,) = lines
    counts = {what: int(count) for count, what in re.findall(r"(\d+) (fetched|failed|left)", line)}
    assert sum(counts.values()) == 12
    assert counts["left"] > 4
    report: Any = se.backup(to_small_runs, to=tmp_path)
    assert len(report) == 12 - len(receipts)
    (manifest,) = manifests(tmp_path)
    assert manifest["projects"][0]["counts"]["runs"] == 12


def change_worker(cluster: Cluster, change: Callable[[], object]) -> str:
    """Have one worker of the cluster do something; returns its process id."""
    with open_client(cluster) as client:
        client.wait_for_workers(2, timeout=300)
        worker = min(client.scheduler_info()["workers"])
        client.run(change, workers=[worker])
        return str(client.run(os.getpid, workers=[worker])[worker])


def test_a_worker_without_a_key(
    connected: se.Api[pa.Table], backed_up: Sandbox, cluster: Cluster, tmp_path: Path
) -> None:
    """The one worker of a cluster that finds no key is named before anything starts."""
    process = change_worker(cluster, lambda: os.environ.pop("SWANLAB_API_KEY"))
    try:
        with (
            open_executor(f"dask:{cluster.address}") as executor,
            pytest.raises(
                OutputError,
                match=rf"the worker on \S+ \(process {process}\): there is no API key for .*: set SWANLAB_API_KEY",
            ),
        ):
            se.backup(connected, to=tmp_path, paths=PROJECT, executor=executor)
    finally:
        environ = {"SWANLAB_API_KEY": backed_up.api_key}
        change_worker(cluster, lambda: os.environ.update(environ))
    assert not (tmp_path / "tables").exists()
    assert list((tmp_path / "state" / "tmp").glob("*")) == []


def test_a_worker_with_another_disk(
    connected: se.Api[pa.Table], cluster: Cluster, tmp_path: Path
) -> None:
    """A worker that writes to a folder of its own is named before anything starts."""
    here, there = tmp_path / "here", tmp_path / "there"

    class Elsewhere(Executor):
        """As if the folder of the workers were on another disk."""

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            moved = [replace(each, destination=str(there)) for each in args[:1]]
            return threads.submit(work, *moved, *args[1:], **kwargs)

    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(OutputError, match=r"the worker on .* writes to another place than '.*here'"),
    ):
        se.backup(connected, to=here, paths=PROJECT, executor=Elsewhere())
    assert not (here / "tables").exists()


def test_a_worker_with_another_version(
    connected: se.Api[pa.Table], backed_up: Sandbox, cluster: Cluster, tmp_path: Path
) -> None:
    """A worker on which another version of this package is installed is named, with both versions."""
    environ = {"SWANLAB_API_KEY": backed_up.api_key} | other_version(tmp_path)
    with (
        join(cluster, environ) as process,
        open_executor(f"dask:{cluster.address}") as executor,
        pytest.raises(OutputError) as caught,
    ):
        se.backup(connected, to=tmp_path / "x", paths=PROJECT, executor=executor)
    words = rf"the worker on \S+ \(process {process}\) has swanlab-export 0.0.9, and this is {se.__version__}"
    assert re.match(words, caught.value.message), caught.value.message
    assert not (tmp_path / "x" / "tables").exists()


def test_a_worker_with_another_python(connected: se.Api[pa.Table], tmp_path: Path) -> None:
    """A worker with another version of Python is named: what it is sent may not be readable there."""

    class Old(Executor):
        """As if this were an old Python."""

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            done: Future[Any] = Future()
            done.set_result(work(replace(args[0], python="3.9.18"), *args[1:], **kwargs))
            return done

    with pytest.raises(
        OutputError, match=r"the worker on .* runs Python 3\.\d+, and this is 3\.9:"
    ):
        se.backup(connected, to=tmp_path, paths=PROJECT, executor=Old())


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: Any) -> Iterator[Cluster]:
    """A cluster that has only those workers which join it."""
    with run_cluster(tmp_path_factory.mktemp("scheduler"), workers=0, environ=PATIENT) as running:
        yield running


def other_version(folder: Path) -> dict[str, str]:
    """The environment of a worker on which another version of this package is installed."""
    installed = folder / "site" / "swanlab_export"
    shutil.copytree(Path(se.__file__).parent, installed)
    version = '__title__ = "swanlab-export"\n__version__ = "0.0.9"\n'
    (installed / "_version.py").write_text(version, encoding="utf-8")
    return {"PYTHONPATH": str(installed.parent)}


def no_key(folder: Path) -> dict[str, str]:
    """The environment of a worker that finds no key."""
    return {"SWANLAB_API_KEY": "", "HOME": str(folder), "USERPROFILE": str(folder)}


@contextmanager
def watched_cluster(
    cluster: Cluster, watch: Callable[[int, list[str]], object]
) -> Iterator[Executor]:
    """An executor on a cluster, as a caller may pass one.

    ``watch`` is called for each unit that was submitted, with how many there were, and with the
    workers that it is only for.
    """

    class Watched(Executor):
        count = 0

        def __init__(self) -> None:
            self._client = client

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = executor.submit(work, *args, **kwargs)
            if isinstance(args[0], Task):
                self.count += 1
                watch(self.count, kwargs.get("workers", []))
            return future

    with (
        open_client(cluster) as client,
        client.get_executor(pure=False) as executor,
    ):
        yield Watched()


def test_workers_that_join_during_a_backup(
    to_small_runs: se.Api[pa.Table], small_runs: Sandbox, scheduler: Cluster, tmp_path: Path
) -> None:
    """Those that are unfit are named and get no units; others do them, even if all of them are new."""
    joined: list[int] = []
    chosen: list[list[str]] = []

    def watch(count: int, workers: list[str]) -> None:
        """Have two unfit workers join, and then another one instead of the first."""
        if count == 2:
            joined.append(stack.enter_context(join(scheduler, no_key(tmp_path))))
            joined.append(stack.enter_context(join(scheduler, other_version(tmp_path))))
        if len(workers) == 1:
            chosen.append(workers)
        if len(chosen) == 2 and len(joined) == 3:
            os.kill(joined[0], KILL)
            joined.append(stack.enter_context(join(scheduler, {})))

    with ExitStack() as stack, watched_cluster(scheduler, watch) as executor:
        joined.append(stack.enter_context(join(scheduler, {})))
        with pytest.warns(se.SwanlabExportWarning) as warned:
            report: Any = se.backup(to_small_runs, to=tmp_path / "x", executor=executor)
    said = sorted(
        re.sub(r"^the worker on \S+ ", "", str(each.message))
        for each in warned
        if str(each.message).endswith("; it gets no units")
    )
    assert len(said) == 2, said
    without_key, other = (f"(process {process})" for process in joined[1:3])
    (of_key,) = (text for text in said if text.startswith(without_key))
    assert of_key.startswith(
        f"{without_key}: there is no API key for {small_runs.url}: set SWANLAB"
    )
    (of_version,) = (text for text in said if text.startswith(other))
    words = f"{other} has swanlab-export 0.0.9, and this is {se.__version__}: install the same"
    assert of_version.startswith(words)
    assert len(joined) == 4
    assert chosen[0] != chosen[-1]
    in_threads: Any = se.backup(to_small_runs, to=tmp_path / "y")
    assert report["error"].null_count == len(report) == len(in_threads)
    assert metrics(tmp_path / "x") == metrics(tmp_path / "y") != {}


def test_units_on_another_disk(connected: se.Api[pa.Table], tmp_path: Path) -> None:
    """A process that sees another disk fails its units, writes nothing there, and is named."""
    here, there = tmp_path / "here", tmp_path / "there"

    class Elsewhere(Executor):
        """As if the probe ran on one machine and all units on another one."""

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            if isinstance(args[0], Task):
                place = replace(args[0].place, destination=str(there))
                args = (replace(args[0], place=place),)
            return processes.submit(work, *args, **kwargs)

    with Processes(1) as processes, pytest.warns(se.SwanlabExportWarning, match="another place"):
        report: Any = se.backup(connected, to=here, paths=PROJECT, executor=Elsewhere())
    words = r"the worker on \S+ \(process \d+\) writes to another place than '.*there'"
    assert len(report) == 5
    assert all(re.match(words, error) for error in report["error"].to_pylist())
    assert not there.exists()


def lose_workers(api: se.Api[pa.Table], scheduler: Cluster, to: Path) -> pa.Table:
    """Back up on a cluster whose only worker dies early."""

    def watch(count: int, _: list[str]) -> None:
        if count == 4:
            os.kill(process, KILL)

    with join(scheduler, {}) as process, watched_cluster(scheduler, watch) as executor:
        return se.backup(api, to=to, executor=executor)


def test_a_cluster_that_loses_all_workers(
    to_small_runs: se.Api[pa.Table], small_runs: Sandbox, scheduler: Cluster, tmp_path: Path
) -> None:
    """Where no worker comes back, the backup ends, and says what is left; the next one goes on."""
    with (
        se.connect(host=small_runs.url, frame="arrow", jobs=2, timeout=2) as api,
        pytest.raises(UnavailableError) as caught,
    ):
        lose_workers(api, scheduler, tmp_path)
    assert re.fullmatch(
        r"the cluster had no worker for 2 s: start one, and try again, or wait longer with timeout=; "
        r"\d runs? (was|were) fetched; left to the next backup, which goes on from there: "
        r"lab/digits \(\d+ runs\)",
        caught.value.message,
    ), caught.value.message
    assert not list((tmp_path / "state" / "tmp").iterdir())
    report: Any = se.backup(to_small_runs, to=tmp_path)
    assert report["error"].null_count == len(report) >= 8


def test_a_worker_that_comes_back(
    to_small_runs: se.Api[pa.Table],
    scheduler: Cluster,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """A cluster without workers is waited for, which is said; the backup goes on with the next one."""
    is_said, is_over = threading.Event(), threading.Event()

    class Waits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "the cluster has no worker: waiting 30 s for one" in record.getMessage():
                is_said.set()

    def come_back() -> None:
        if is_said.wait(60):
            with join(scheduler, {}):
                is_over.wait(60)

    handler = Waits()
    logger = logging.getLogger("swanlab_export")
    logger.addHandler(handler)
    another = threading.Thread(target=come_back)
    another.start()
    try:
        report: Any = lose_workers(to_small_runs, scheduler, tmp_path)
    finally:
        logger.removeHandler(handler)
        is_said.set()
        is_over.set()
        another.join()
    assert report["error"].null_count == len(report) == 12


def test_a_cluster_without_workers(
    connected: se.Api[pa.Table], backed_up: Sandbox, tmp_path: Path
) -> None:
    """A cluster in which nothing runs is an error; one that starts workers for work is none."""

    class Cluster(Executor):
        """As that of Dask, of which it is known which workers it has."""

        def __init__(self, *, starts: bool) -> None:
            self._client = self
            self._starts = starts
            self._has_work = False

        def nthreads(self) -> dict[str, int]:
            return {"tcp://127.0.0.1:1": 1} if self._has_work and self._starts else {}

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self._has_work = True
            if not self._starts:
                return Future()
            done: Future[Any] = Future()
            done.set_result(work(*args, **kwargs))
            return done

    with (
        se.connect(host=backed_up.url, frame="arrow", timeout=1) as impatient,
        pytest.raises(UnavailableError, match=r"the cluster had no worker for 1 s: .* timeout="),
    ):
        se.backup(impatient, to=tmp_path, paths=PROJECT, executor=Cluster(starts=False))
    report: Any = se.backup(connected, to=tmp_path, paths=PROJECT, executor=Cluster(starts=True))
    assert report["error"].null_count == len(report) == 5


def test_the_keys_are_nowhere(
    connected: se.Api[pa.Table],
    backed_up: Sandbox,
    cluster: Cluster,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No key is in a page or a log of a cluster, in a task, command line, log or object of ours."""
    caplog.set_level("DEBUG")
    seen: list[str] = []

    class Seen(Executor):
        """Looks at the cluster whenever a unit is submitted."""

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            seen.append(pickle.dumps((work, args, kwargs)).decode("latin-1"))
            future = executor.submit(work, *args, **kwargs)
            workers = cluster.page("/info/main/workers.html")
            links = re.findall(r'href="\.\./((?:worker|logs|call-stacks?)/[^"]+)"', workers)
            pages = ["main/logs.html", "main/exceptions.html", *links]
            seen.extend(cluster.page(f"/info/{page}") for page in pages)
            seen.extend(map(cluster.page, ("/json/identity.json", "/json/counts.json", "/metrics")))
            return future

    with open_executor(f"dask:{cluster.address}") as executor:
        report: Any = se.backup(
            connected,
            to=f"s3://{BUCKET}/night",
            paths=PROJECT,
            executor=Seen(),
            store_options={"endpoint": store.endpoint},
        )
    assert report["error"].null_count == len(report) == 5
    commands = cluster.commands()
    assert len(commands) >= 3
    seen += [*commands, cluster.log, caplog.text]
    objects = [store.read(key).decode("latin-1") for key in store.keys("night/")]
    assert len(objects) > 5
    assert "distributed.worker" in cluster.log
    for secret in (backed_up.api_key, KEY, SECRET):
        assert not [text for text in [*seen, *objects] if secret in text]


def test_a_worker_without_the_key_of_the_store(
    connected: se.Api[pa.Table], cluster: Cluster, store: Store
) -> None:
    """A worker that the store refuses is named before anything starts, and its key is not."""

    def forget() -> None:
        os.environ["AWS_SECRET_ACCESS_KEY"] = "another-secret"

    def remember() -> None:
        os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET

    process = change_worker(cluster, forget)
    try:
        with (
            open_executor(f"dask:{cluster.address}") as executor,
            pytest.raises(OutputError) as caught,
        ):
            se.backup(
                connected,
                to=f"s3://{BUCKET}/night",
                paths=PROJECT,
                executor=executor,
                store_options={"endpoint": store.endpoint},
            )
    finally:
        change_worker(cluster, remember)
    words = rf"the worker on \S+ \(process {process}\): .* the store refused the key"
    assert re.match(words, caught.value.message), caught.value.message
    assert not [word for word in ("another-secret", KEY, SECRET) if word in caught.value.message]
    assert store.keys() == []


def test_an_executor_that_breaks(connected: se.Api[pa.Table], tmp_path: Path) -> None:
    """Where an executor takes no more units, the backup ends and says so; the next one goes on."""

    class Breaks(Executor):
        """As a pool of processes of which one has died."""

        count = 0

        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.count += 1
            if self.count > 3:
                raise BrokenProcessPool("a process was terminated abruptly")
            done: Future[Any] = Future()
            done.set_result(work(*args, **kwargs))
            return done

    with pytest.raises(UnavailableError, match="has ended: BrokenProcessPool: a process was"):
        se.backup(connected, to=tmp_path, paths=PROJECT, executor=Breaks())
    receipts = list((tmp_path / "state" / "receipts").rglob("*.json"))
    assert len(receipts) == 2
    report: Any = se.backup(connected, to=tmp_path, paths=PROJECT)
    assert len(report) == 3


@contextmanager
def backup_under_way(
    backed_up: Sandbox, to: Path, on: str
) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A backup in a process of its own that is done with one project and not with the next one.

    Yields it, and what it says from there on.
    """
    words = ["backup", "run", "vision-team/secret", PROJECT, "--to", str(to)]
    options = ["--on", on, "--host", backed_up.url, "--jobs", "1"]
    with subprocess.Popen(
        [Path(sys.executable).parent / "swanlab-export", *words, *options],
        env=os.environ | {"SWANLAB_API_KEY": backed_up.api_key},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("vision-team/secret: 2 fetched; ")
        yield process, process.stderr


def test_a_scheduler_that_goes_away(
    connected: se.Api[pa.Table], backed_up: Sandbox, tmp_path: Path
) -> None:
    """Where the scheduler of a cluster is killed, the backup ends with one line; the next goes on."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    home = {"HOME": str(folder), "SWANLAB_API_KEY": backed_up.api_key}
    with run_cluster(folder, workers=1, environ=home) as running:
        on = f"dask:{running.address}"
        with backup_under_way(backed_up, tmp_path / "x", on) as (process, stderr):
            running.process.kill()
            said = stderr.read()
    assert process.returncode == 6
    assert re.fullmatch(
        r"error: the scheduler of the cluster has ended, or cannot be reached; \d runs were fetched; "
        rf"left to the next backup, which goes on from there: {PROJECT} \(\d runs?\)\n",
        said,
    ), said
    se.backup(connected, to=tmp_path / "x", paths=PROJECT)
    se.backup(connected, to=tmp_path / "y", paths=PROJECT)
    assert metrics(tmp_path / "y").items() <= metrics(tmp_path / "x").items()


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("processes:0", "N is 1 to 256"),
        ("processes", "processes:N or dask:tcp://HOST:PORT"),
        ("dask:somewhere", "processes:N or dask:tcp://HOST:PORT"),
        ("dask:tcp://127.0.0.1", "'tcp://127.0.0.1': missing port"),
        ("dask:http://127.0.0.1:8787", "'http://127.0.0.1:8787': unknown address scheme"),
        ("dask:tls://127.0.0.1:8786", "'tls://127.0.0.1:8786': TLS expects"),
    ],
)
def test_what_does_the_units_must_exist(on: str, words: str) -> None:
    """What ``--on`` names must be something that can do units."""
    with pytest.raises(UsageError, match=re.escape(words)), open_executor(on):
        pass


def test_what_is_no_scheduler(backed_up: Sandbox) -> None:
    """What listens and is no scheduler, such as the server of its pages, is not waited for long."""
    address = backed_up.url.replace("http:", "tcp:")
    words = f"what listens at '{address}' does not respond as a Dask scheduler"
    with pytest.raises(UnavailableError, match=words), open_executor(f"dask:{address}", 0.5):
        pass


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (("--api-key", "abc"), "set SWANLAB_API_KEY where they run"),
        (("--host", "sandbox"), "sandbox serve"),
    ],
)
def test_keys_that_other_processes_cannot_have(
    access: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    """A key on the command line, or of a sandbox in this process, is not handed on."""
    options = ("--to", str(tmp_path), "--on", "processes:1", *access)
    result = CliRunner().invoke(root, ["backup", "run", *options])
    assert result.exit_code == 2
    assert words in result.stderr


def test_processes_from_the_command_line(
    backed_up: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--on processes:1`` backs up with the key of the environment, and logs in once."""
    monkeypatch.setenv("SWANLAB_API_KEY", backed_up.api_key)
    backed_up.reset_log()
    words = ["backup", "run", f"{PROJECT}", "--to", str(tmp_path), "--on", "processes:1"]
    options = ["--host", backed_up.url, "--format", "jsonl", "--jobs", "1"]
    result = CliRunner().invoke(root, [*words, *options])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count('"action":"whole"') == 5
    logins = [each for each in backed_up.requests if each.path == "/login/api_key"]
    assert len(logins) == 2  # of this process, and of the one that does all units


def test_a_backup_that_is_killed_leaves_no_process(backed_up: Sandbox, tmp_path: Path) -> None:
    """Processes that do units, or wait for one, end with the backup, and let go of its streams."""
    # As it begins, each of the two has done a unit.
    with backup_under_way(backed_up, tmp_path, "processes:2") as (process, _):
        process.kill()
        process.communicate(timeout=60)  # until nobody has the stream any more
    assert process.returncode != 0
