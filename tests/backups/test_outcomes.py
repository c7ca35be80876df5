"""What can go wrong with a destination, a server or a name, and what then happens."""

from __future__ import annotations

import math
import sys
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from backup_support import Nights
from living import LivingData
from object_stores import Proxy, Store
from raw_server import RawServer, reply

import swanlab_export as se
from swanlab_export.backups.destination import open_destination
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from raw_server import Asked

    from swanlab_export.sandbox.dataset import Run


BIG = 2**70  # beyond 64 bits, and with the numbers that follow beyond what a float holds


def rewrite(folder: Path, **changes: Any) -> None:
    """Change what the format file says."""
    path = folder / "swanlab-backup.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | changes))


def test_a_backup_of_another_server_is_refused(ended: Nights) -> None:
    """Each server has a backup of its own; both are named, and nothing is asked."""
    rewrite(ended.folder, host="https://api.swanlab.cn")
    with pytest.raises(
        se.UsageError, match=r"of https://api.swanlab.cn, not of http://127"
    ) as info:
        ended.run()
    assert info.value.exit_code == 2
    assert ended.sandbox.requests == []


def test_a_newer_format_is_refused(ended: Nights) -> None:
    """What a later version wrote is not touched."""
    rewrite(ended.folder, format=2)
    with pytest.raises(se.UsageError, match="in format 2, and this version reads format 1"):
        ended.run()


def test_a_lock_that_is_held_is_named(ended: Nights) -> None:
    """A second backup into the same folder ends at once, and says who writes there."""
    with (
        open_destination(ended.folder).lock(),
        pytest.raises(se.IncompleteError, match=r"another backup writes to .*: process \d+ on "),
    ):
        ended.run()
    assert ended.run() == {}


def test_a_full_disk_ends_the_backup_and_loses_nothing(world: LivingData, ended: Nights) -> None:
    """The error is about the disk, exit 1; with room again, the next backup is complete."""
    if sys.platform == "win32":
        pytest.skip("Windows has no limits of a process")
    import resource

    before = ended.objects("tables")
    world.start("three")
    world.log_many("three", 1500, "loss")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    try:
        with pytest.raises(se.OutputError, match="the file would be larger than is allowed"):
            ended.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.objects("tables") == before
    assert ended.objects("state/tmp") == {}
    assert ended.run() == {"three": ("whole", "new")}


def test_an_odd_latest_step_denies_no_points(tmp_path: Path) -> None:
    """The points of that run cannot be checked against it, which is said."""

    class Odd(LivingData):
        def summary(self, run: Run) -> dict[str, Any] | None:
            found = super().summary(run) or {}
            return {key: item | {"step": "soon"} for key, item in found.items()}

    world = Odd()
    world.add_project("digits")
    world.start("one")
    world.log_many("one", 5, "loss")
    with Sandbox(world) as sandbox, Nights.of(world, sandbox, tmp_path) as nights:
        with pytest.warns(se.SwanlabExportWarning) as warned:
            assert nights.run() == {"one": ("whole", "new")}
        assert len(nights.values("one")) == 5
    words = "the points of lab/digits/one could not be checked against the latest step"
    assert [each for each in warned if words in str(each.message)]


def test_a_file_without_a_url_denies_no_other(world: LivingData, tmp_path: Path) -> None:
    """Where the server sends something else than a URL for a file, the others come; it is named."""
    world.start("one")
    for step in (1, 2, 3):
        world.show("one", "image", step, b"\x89PNG%d" % step)

    def change(asked: Asked) -> bytes | None:
        if not asked.path.endswith("/resources/presigned/get"):
            return None
        response = proxy.forward(replace(asked, headers={**asked.headers, "accept-encoding": ""}))
        urls = orjson.loads(response.partition(b"\r\n\r\n")[2])["urls"]
        paths = orjson.loads(asked.body)["paths"]
        shown = [None if "/002-" in path else url for path, url in zip(paths, urls, strict=True)]
        return reply(200, orjson.dumps({"urls": shown}), {"content-type": "application/json"})

    with Sandbox(world) as sandbox:
        proxy = Proxy(Store("sandbox", sandbox.url), change)
        with (
            RawServer(proxy) as server,
            se.connect(host=server.url, api_key=sandbox.api_key, frame="arrow", retries=0) as api,
            pytest.warns(se.SwanlabExportWarning, match=r"media 'media/image/002-.*png': 1 files"),
        ):
            se.backup(api, to=tmp_path)
    assert len(list((tmp_path / "files").rglob("*.png"))) == 2


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="where nobody may write is of Linux")
def test_a_destination_that_cannot_be_written_is_named(nights: Nights) -> None:
    """Exit 1, with the folder and the reason."""
    with pytest.raises(se.OutputError, match=r"'/proc/self/backup/state/lock\.json' cannot be"):
        se.backup(nights.api, to="/proc/self/backup")


def test_a_clock_that_goes_back_keeps_snapshots_in_order(world: LivingData, ended: Nights) -> None:
    """Names of snapshots rise with each backup, whatever the server's clock says."""
    for hours in (-48, 30, -1000):
        world.wait(hours=hours)
        ended.run()
    names = sorted(path.name for path in (ended.folder / "state" / "snapshots").iterdir())
    manifests = [
        orjson.loads((ended.folder / "state/snapshots" / name / "manifest.json").read_bytes())
        for name in names
    ]
    assert [each["previous"] for each in manifests] == [None, *names[:-1]]


def test_a_clock_at_the_end_of_the_calendar(world: LivingData, ended: Nights) -> None:
    """Later backups find a later name."""
    world.now_ms = round(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1000
    for _ in range(3):
        ended.run()
    names = [path.name for path in (ended.folder / "state" / "snapshots").iterdir()]
    assert len({name.partition("-")[0] for name in names}) == 4


def test_names_that_differ_in_case_alone_have_folders_of_their_own(
    world: LivingData, nights: Nights
) -> None:
    """Projects and runs of such names do not meet, on no file system."""
    world.add_project("Digits")
    for project in ("lab-digits", "lab-Digits"):
        for name in ("run", "RUN"):
            world.start(f"{name}-{project}", project=project)
            world.log(f"{name}-{project}", 0, loss=float(len(nights.sandbox.requests)))
    world.start("a=1 ..~é", project="lab-digits")
    world.log("a=1 ..~é", 0, loss=7.0)
    assert len(nights.run()) == 5
    files = [path.casefold() for path in nights.objects("tables")]
    assert len(set(files)) == len(files)
    assert not [path for path in files if "=" in path or "/.." in path]
    assert nights.values("a=1 ..~é") == [7.0]
    assert len({row["run_id"] for row in nights.table("metrics")}) == 5


def test_a_project_that_is_renamed_keeps_its_folder(world: LivingData, ended: Nights) -> None:
    """Its rows say the new name; a new project of the old name gets a folder of its own."""
    before = ended.objects("tables/metrics")
    world.rename_project("lab", "digits", "numbers")
    world.add_project("digits", cuid="second")
    world.start("three", project="second")
    world.log("three", 0, loss=1.0)
    assert ended.run() == {"three": ("whole", "new")}
    after = ended.objects("tables/metrics")
    assert after.keys() - before.keys() == {"tables/metrics/lab/digits~second/three.parquet"}
    runs = ended.runs()
    assert (runs["one"]["path"], runs["three"]["path"]) == ("lab/numbers/one", "lab/digits/three")
    assert "/@lab/numbers/runs/one/chart" in runs["one"]["url"]
    assert {row["path"] for row in ended.table("projects.parquet")} == {"lab/digits", "lab/numbers"}


def test_a_run_that_moved_is_in_both_projects(world: LivingData, ended: Nights) -> None:
    """It is gone from the one, with its data, and new in the other."""
    world.add_project("archive")
    world.move("one", "lab-archive")
    report: Any = se.backup(ended.api, to=ended.folder)
    assert set(zip(report["path"].to_pylist(), report["action"].to_pylist(), strict=True)) == {
        ("lab/digits/one", "gone"),
        ("lab/archive/one", "whole"),
    }
    rows = [row for row in ended.table("runs") if row["run_id"] == "one"]
    gone = {row["project_id"]: row["backup.gone_at"] is not None for row in rows}
    assert gone == {"lab-digits": True, "lab-archive": False}


def test_a_slug_that_is_used_again_is_another_run(world: LivingData, ended: Nights) -> None:
    """Runs are told apart by their ids."""
    world.start("first", slug="best")
    ended.run()
    world.delete("first")
    world.start("second", slug="best")
    found = ended.run()
    assert found["first"] == ("gone", "the server no longer has it")
    assert found["second"] == ("whole", "new")
    assert [row["slug"] for row in ended.runs().values()].count("best") == 2


def test_one_run_that_fails_leaves_the_others(world: LivingData, ended: Nights) -> None:
    """It is named with exit 5, its old data stay, and it is fetched the next night."""
    for run_id in ("one", "two"):
        world.log(run_id, 99, loss=0.5)
    ended.sandbox.faults = parse_faults(["refuse=runs/one"])
    with pytest.warns(se.SwanlabExportWarning, match="1 item left out: lab/digits/one: "):
        found = ended.run()
    assert {run_id: action for run_id, (action, _) in found.items()} == {
        "one": "failed",
        "two": "whole",
    }
    assert (len(ended.values("one")), len(ended.values("two"))) == (30, 31)
    ended.sandbox.faults = parse_faults([])
    assert ended.run() == {"one": ("whole", "the summary of 'loss' has changed")}


def test_a_part_that_fails_leaves_the_rest_of_the_run(world: LivingData, ended: Nights) -> None:
    """A file that cannot be had is named; the run is incomplete until a later night has it."""
    world.show("one", "image", 9, b"new")
    world.log("one", 99, loss=0.5)
    ended.sandbox.faults = parse_faults(["gone=009-.*png"])
    with pytest.warns(se.SwanlabExportWarning, match=r"media 'media/image/009-.*png': "):
        ended.run()
    assert len(ended.values("one")) == 31
    files = [row["file"] is not None for row in ended.table("medias") if row["run_id"] == "one"]
    assert files == [True, False]
    assert ended.runs()["one"]["backup.complete"] is False
    ended.sandbox.faults = parse_faults([])
    assert ended.run() == {"one": ("whole", "a part was missing")}
    downloads = [r for r in ended.sandbox.requests if r.path.endswith(".png")]
    assert len(downloads) == 1  # what is there is not fetched again
    assert ended.runs()["one"]["backup.complete"] is True


def test_a_server_that_is_away_keeps_what_is_there(world: LivingData, tmp_path: Path) -> None:
    """Exit 6, and nothing is written."""
    with Sandbox(world) as sandbox, Nights.of(world, sandbox, tmp_path / "backup") as nights:
        nights.end_two_runs()
        before = nights.objects()
        sandbox.stop()
        with pytest.raises(se.UnavailableError) as info:
            nights.run()
        assert info.value.exit_code == 6
        assert nights.objects() == before


@pytest.mark.parametrize("path", ["/project/lab/more/runs", "/project/lab/more"])
def test_a_project_that_the_server_never_serves(
    world: LivingData, ended: Nights, path: str
) -> None:
    """It is named, and its runs stay; those of other projects are in the snapshot."""
    world.add_project("more")
    for run_id, project in (("other", "lab-more"), ("three", "lab-digits")):
        world.start(run_id, project=project)
        world.log(run_id, 0, loss=1.0)
    paths = ["lab/digits", "lab/more"]
    assert {*ended.run(paths=paths)} == {"other", "three"}
    world.log("three", 1, loss=0.5)
    ended.sandbox.faults = parse_faults(["500=1", f"where=^{path}$"])
    with pytest.warns(
        se.SwanlabExportWarning, match="1 item left out: lab/more: GET .* status 500"
    ):
        found = ended.run(paths=paths)
    assert {*found} == {"three"}
    assert len(ended.values("three")) == 2
    assert ended.runs()["other"]["backup.gone_at"] is None


def test_a_missing_run_that_the_server_never_serves(world: LivingData, ended: Nights) -> None:
    """A run that is listed no more is gone only if it is not found; it denies its project nothing."""
    world.start("three")
    world.log("three", 0, loss=1.0)
    world.delete("one")
    ended.sandbox.faults = parse_faults(["500=1", "where=/runs/one$"])
    with pytest.warns(se.SwanlabExportWarning, match="1 item left out: lab/digits/one: .* 500"):
        assert ended.run() == {"three": ("whole", "new")}
    assert ended.runs()["one"]["backup.gone_at"] is None


def test_numbers_that_json_hardly_holds_are_exact(world: LivingData, nights: Nights) -> None:
    """Integers beyond 64 bits, NaN and infinities come back as they were, and change nothing."""
    labels = [{"name": "best", "colors": [BIG + 68]}]
    world.add_project("odd", number=BIG + 66, nothing=None)
    world.start("one", project="lab-odd", number=BIG + 67, labels=labels)
    world.edit_config("one", big=BIG + 70, list=[BIG + 65, None])
    world.start("two", project="lab-odd")
    world.edit_config("two", nan=math.nan, inf=-math.inf)
    for run_id in ("one", "two"):
        world.log(run_id, 1, loss=0.5)
        world.finish(run_id)
    world._runs["one"].columns["loss"]["error"] = BIG + 71
    world.wait(days=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", se.SwanlabExportWarning)
        assert nights.run() == {"one": ("whole", "new"), "two": ("whole", "new")}
        world.wait(days=1)
        before = nights.objects("tables") | nights.objects("state/receipts")
        assert nights.run() == {}
        assert nights.objects("tables") | nights.objects("state/receipts") == before
        world.edit("one", name="renamed")
        assert nights.run() == {"one": ("row", "changed: name")}
        with se.connect(host=f"backup:{nights.folder}", frame="arrow") as served:
            for of in (nights.api, served):
                rows = {row["run_id"]: row for row in of.run.list("lab/odd", all=True).to_pylist()}
                one, two = rows["one"], rows["two"]
                assert (one["config.big"], one["number"]) == (str(BIG + 70), str(BIG + 67))
                assert one["config.list"] == f"[{BIG + 65},null]"
                assert math.isnan(two["config.nan"])
                assert two["config.inf"] == -math.inf
                (column,) = of.run.columns("lab/odd/one", all=True).to_pylist()
                assert column["error"] == str(BIG + 71)
                (project,) = of.project.list(workspace="lab", search="odd").to_pylist()
                assert project["number"] == str(BIG + 66)
    configs = {row["key"]: row for row in nights.table("configs")}
    assert (configs["big"]["text"], configs["inf"]["float"]) == (str(BIG + 70), -math.inf)
    assert math.isnan(configs["nan"]["float"])
    kept = {row["key"]: row.get("float") for row in nights.receipt("two", "lab-odd")["configs"]}
    assert (kept["nan"], kept["inf"]) == ("NaN", "-Infinity")
