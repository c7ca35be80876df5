"""A backup that is killed at any moment: after one more, everything is as if it never was."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backup_support import objects
from living import LivingData

import swanlab_export as se
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL are of Unix")

WORKER = Path(__file__).parents[1] / "support" / "killed_worker.py"
# What happens just after each step of a unit, and of the backup.
STEPS = {
    "1 facts are noted": ["http.client.send", "/runs/one"],
    "2 the data are fetched": ["open", "state/tmp/"],
    "3 objects are written": ["os.rename", "tables/metrics", "one"],
    "4 objects are in place": ["os.rename", "state/receipts", "one"],
    "5 the receipt is written": ["os.rename", "state/receipts", "two"],
    "6 the tables are written": ["os.rename", "tables/runs"],
    "6 all but the manifest": ["os.rename", "manifest.json"],
}


@pytest.fixture(scope="module")
def world() -> LivingData:
    """Three runs, of which one goes on."""
    data = LivingData()
    data.add_project("digits")
    for run_id in ("one", "two", "three"):
        data.start(run_id)
        data.log_many(run_id, 20, "loss", "acc")
        data.print_line(run_id, "epoch 1")
        data.show(run_id, "image", 1, run_id.encode())
    data.wait(hours=1)
    data.finish("one")
    data.finish("two")
    data.wait(days=40)
    return data


@pytest.fixture(scope="module")
def living(world: LivingData) -> Iterator[Sandbox]:
    """The server of ``world``, whose clock stands still."""
    with Sandbox(world) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def undisturbed(living: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What lies in a backup that was never killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with se.connect(host=living.url, api_key=living.api_key) as api:
        se.backup(api, to=folder)
    return objects(folder)


@pytest.fixture(scope="module")
def kill(living: Sandbox) -> Iterator[Callable[..., dict[str, Any]]]:
    """Make a backup in a process that is killed just before the n-th event that matches."""
    process = subprocess.Popen(
        [sys.executable, WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def run(folder: Path, match: list[str], nth: int, server: Sandbox = living) -> dict[str, Any]:
        asked = {"folder": str(folder), "host": server.url, "key": server.api_key}
        stdin.write(json.dumps(asked | {"match": match, "nth": nth}) + "\n")
        stdin.flush()
        found: dict[str, Any] = json.loads(stdout.readline())
        return found

    yield run
    stdin.close()
    process.wait(timeout=60)
    stdout.close()


def check_goes_on(living: Sandbox, folder: Path, undisturbed: dict[str, bytes]) -> int:
    """Make one undisturbed backup, and compare; returns how many runs it had to fetch."""
    with se.connect(host=living.url, api_key=living.api_key, frame="arrow") as api:
        report: Any = se.backup(api, to=folder)
    now = objects(folder)
    for below in ("tables/", "files/", "state/payloads/", "state/receipts/"):
        mine, theirs = (
            {path: content for path, content in each.items() if path.startswith(below)}
            for each in (now, undisturbed)
        )
        assert mine == theirs
    assert not [path for path in now if path.startswith("state/tmp")]
    folders = {path.rpartition("/")[0] for path in now if path.startswith("state/snapshots")}
    assert all(f"{each}/manifest.json" in now for each in folders)
    count: int = report.num_rows
    return count


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_each_step(
    step: str, kill: Any, living: Sandbox, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """The next backup goes on, needs no flag, and ends with the same bytes."""
    assert kill(tmp_path, STEPS[step], 1) == {"killed": True, "events": 0}
    check_goes_on(living, tmp_path, undisturbed)


def test_killed_at_random_moments(
    kill: Any, living: Sandbox, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """Whatever the moment, of a first backup or of one after another that was killed."""
    events = kill(tmp_path / "counted", [], 0)["events"]
    assert events > 100
    chosen = random.Random(7)
    for night in range(10):
        folder = tmp_path / str(night)
        for _ in range(3):
            assert kill(folder, [], chosen.randrange(1, events // 4))["killed"]
        check_goes_on(living, folder, undisturbed)
        shutil.rmtree(folder)


def test_only_units_in_flight_are_repeated(
    kill: Any, living: Sandbox, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """What has a receipt and has ended is not fetched again."""
    assert kill(tmp_path, ["os.rename", "tables/runs"], 1)["killed"]
    repeated = check_goes_on(living, tmp_path, undisturbed)
    assert repeated == 1  # the run that goes on


@pytest.mark.parametrize("nth", [1, 5, 11])
def test_no_more_is_repeated_than_was_under_way(kill: Any, nth: int, tmp_path: Path) -> None:
    """With two requests at once, four units are under way; what had a receipt is not asked for."""
    data = LivingData()
    data.add_project("digits")
    for number in range(12):
        data.start(f"run{number}")
        data.log_many(f"run{number}", 3, "loss")
        data.finish(f"run{number}")
    data.wait(days=40)
    with Sandbox(data) as server:
        assert kill(tmp_path, ["os.rename", "state/receipts"], nth, server)["killed"]
        asked = fetched_from(server)
        committed = {path.stem for path in (tmp_path / "state/receipts").rglob("*.json")}
        assert len(committed) == nth - 1
        server.reset_log()
        with se.connect(host=server.url, api_key=server.api_key) as api:
            se.backup(api, to=tmp_path)
        again = fetched_from(server)
    assert again == {f"run{number}" for number in range(12)} - committed
    assert len(asked & again) <= 4


def fetched_from(server: Sandbox) -> set[str]:
    """The runs that were fetched."""
    paths = [request.path for request in server.requests]
    return {path.rpartition("/")[2] for path in paths if "/digits/runs/" in path}
