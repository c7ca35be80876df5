"""Units in other processes: the same backup, whatever happens to a worker."""

from __future__ import annotations

import os
import pickle
import re
import signal
import sys
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from dask_cluster import Cluster, run_cluster

import swanlab_export as se
from swanlab_export.backups.executors import Processes, open_executor
from swanlab_export.cli.main import root
from swanlab_export.errors import OutputError, UnavailableError, UsageError
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

PROJECT = "vision-team/segmentation"


@pytest.fixture(scope="module")
def backed_up() -> Iterator[Sandbox]:
    """A server for all tests of this module, since workers keep its key in their environment."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def cluster(backed_up: Sandbox, tmp_path_factory: Any) -> Iterator[Cluster]:
    """A cluster whose workers have the key."""
    folder = tmp_path_factory.mktemp("cluster")
    home = {"HOME": str(folder), "SWANLAB_API_KEY": backed_up.api_key}
    with run_cluster(folder, environ=home) as running:
        yield running


@pytest.fixture
def connected(backed_up: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[se.Api[pa.Table]]:
    """A connection whose key is in the environment, where processes find it."""
    monkeypatch.setenv("SWANLAB_API_KEY", backed_up.api_key)
    with se.connect(host=backed_up.url, frame="arrow") as api:
        yield api


def metrics(folder: Path) -> dict[str, bytes]:
    """The objects of points, logs and media."""
    found = [p for t in ("metrics", "logs", "medias") for p in (folder / "tables" / t).rglob("*")]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found if p.is_file()}


class Deadly(Executor):
    """An executor that kills the worker of a unit, as often as it is tried."""

    def __init__(self, executor: Executor, run_id: str) -> None:
        self._executor = executor
        self._run_id = run_id

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit, with what kills before it."""
        return self._executor.submit(_kill_first, self._run_id, work, *args, **kwargs)


def _kill_first(run_id: str, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if getattr(args[0], "run_id", None) == run_id:
        if sys.platform == "win32":
            os.abort()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(*args, **kwargs)


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


def test_a_unit_that_kills_its_process(connected: se.Api[pa.Table], tmp_path: Path) -> None:
    """A unit whose process dies each time is named and left out; all others are done."""
    listed = connected.run.list(PROJECT)
    poison = listed["run_id"][1].as_py()
    connected.using("arrow")
    with (
        Processes(2) as processes,
        pytest.warns(se.SwanlabExportWarning, match=f"{poison}.*its worker was lost"),
    ):
        report: Any = se.backup(
            connected, to=tmp_path, paths=PROJECT, executor=Deadly(processes, poison)
        )
    failed = report.filter([error is not None for error in report["error"].to_pylist()])
    assert failed["run_id"].to_pylist() == [poison]
    assert len(report) == len(listed)
    assert not list((tmp_path / "state" / "receipts").rglob(f"{poison}*"))


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
        se.backup(api, to=tmp_path, paths=PROJECT, executor=Seen())
    assert 1 <= backed_up.max_in_flight <= 2
    assert len(tasks) == 6
    assert not any(backed_up.api_key.encode() in task for task in tasks)


def test_a_worker_without_a_key(
    connected: se.Api[pa.Table], backed_up: Sandbox, tmp_path: Path, monkeypatch: Any
) -> None:
    """A worker that finds no key is named before anything starts."""
    monkeypatch.delenv("SWANLAB_API_KEY")
    with (
        Processes(1) as processes,
        pytest.raises(OutputError, match=r"the worker on .*process \d+.*: .*key"),
    ):
        se.backup(connected, to=tmp_path, paths=PROJECT, executor=processes)
    assert not (tmp_path / "tables").exists()


def test_a_scheduler_that_goes_away(
    connected: se.Api[pa.Table], backed_up: Sandbox, tmp_path: Path
) -> None:
    """Where the scheduler of a cluster is killed, the backup ends, and the next one goes on."""
    folder = tmp_path / "cluster"
    folder.mkdir()

    def kill(line: str) -> None:
        running.scheduler.kill()

    home = {"HOME": str(folder), "SWANLAB_API_KEY": backed_up.api_key}
    with (
        run_cluster(folder, workers=1, environ=home) as running,
        open_executor(f"dask:{running.address}") as executor,
        pytest.raises(UnavailableError, match="has ended"),
    ):
        se.backup(
            connected,
            to=tmp_path / "x",
            paths=[PROJECT, "ada-lab/digits"],
            executor=executor,
            on_project=kill,
        )
    se.backup(connected, to=tmp_path / "x", paths=PROJECT)
    se.backup(connected, to=tmp_path / "y", paths=PROJECT)
    assert metrics(tmp_path / "y").items() <= metrics(tmp_path / "x").items()


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("processes:0", "N is 1 to 256"),
        ("processes", "processes:N or dask:tcp://HOST:PORT"),
        ("dask:somewhere", "processes:N or dask:tcp://HOST:PORT"),
    ],
)
def test_what_does_the_units_must_exist(on: str, words: str) -> None:
    """What ``--on`` names must be something that can do units."""
    with pytest.raises(UsageError, match=re.escape(words)), open_executor(on):
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
    """``--on processes:1`` backs up with the key of the environment."""
    monkeypatch.setenv("SWANLAB_API_KEY", backed_up.api_key)
    words = ["backup", "run", f"{PROJECT}", "--to", str(tmp_path), "--on", "processes:1"]
    result = CliRunner().invoke(root, [*words, "--host", backed_up.url, "--format", "jsonl"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count('"action":"whole"') == 5
