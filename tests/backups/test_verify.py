"""Whatever is not as it was written is found, named with its cause, and repaired."""

from __future__ import annotations

import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from backup_support import Nights
from killed_here import OneByOne, killed_at

import swanlab_export as se
from swanlab_export.api.outputs import FrameOutput
from swanlab_export.backups.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from living import LivingData

# One object of each kind; of those that end in *, the only one of that name.
KINDS = [
    "tables/metrics/lab/digits/one.parquet",
    "tables/logs/lab/digits/one.parquet",
    "tables/medias/lab/digits/one.parquet",
    "tables/runs/lab/digits.parquet",
    "tables/summary/lab/digits.parquet",
    "tables/projects.parquet",
    "state/index/lab/digits.parquet",
    "state/payloads/lab/digits/one.json.zst",
    "state/receipts/lab/digits/one.json",
    "state/projects.json",
    "swanlab-backup.json",
    "README.md",
    "files/lab/digits/one/*",
    "state/snapshots/*/runs.parquet",
    "state/snapshots/*/manifest.json",
]


def found(nights: Nights, **options: Any) -> dict[str, tuple[str, str]]:
    """What ``backup verify`` says: the cause and the cure of each object."""
    try:
        table: pa.Table = verify(FrameOutput("arrow"), nights.folder, **options)
    except se.IncompleteError:  # of a table without rows
        return {}
    return {row["object"]: (row["cause"], row["cure"]) for row in table.to_pylist()}


@pytest.fixture
def quiet(ended: Nights, recwarn: pytest.WarningsRecorder) -> Nights:
    """A backup, and warnings that are expected."""
    import warnings

    warnings.simplefilter("always", se.SwanlabExportWarning)
    return ended


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_nothing_is_wrong_with_a_backup(quiet: Nights) -> None:
    """Sizes, rows and every byte are as they were written."""
    assert found(quiet) == {}
    assert found(quiet, read="all") == {}


def test_a_cure_can_be_copied(quiet: Nights, tmp_path: Path) -> None:
    """The folder is one word of the command, whatever it is called."""
    if sys.platform == "win32":
        pytest.skip("its words are quoted otherwise")
    moved = tmp_path / "it's my backup"
    shutil.copytree(quiet.folder, moved)
    next((moved / "tables" / "metrics").rglob("*.parquet")).unlink()
    ((_, cure),) = found(Nights(quiet.world, quiet.sandbox, quiet.api, moved)).values()
    command = cure.split("`")[1]
    assert shlex.split(command) == ["backup", "verify", str(moved), "--repair"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_is_damaged_is_found_and_repaired(quiet: Nights, kind: str) -> None:
    """A flipped bit, a cut end, and an object that is missing."""
    (path,) = quiet.folder.glob(kind)
    name = path.relative_to(quiet.folder).as_posix()
    original = path.read_bytes()
    flip(path)
    assert set(found(quiet, read="all")) == {name}
    path.write_bytes(original[:-7])
    assert name in found(quiet)
    if not name.endswith(("manifest.json", "README.md")):
        path.unlink()
        assert name in found(quiet)
    cured = found(quiet, read="all", repair=True, api=quiet.api)
    assert cured[name][1] == "repaired"
    assert found(quiet, read="all") == {}
    assert quiet.run() == {}
    assert len(quiet.values("one")) == 30


@pytest.mark.parametrize("kind", ["tables/metrics", "state/receipts", "state/payloads"])
def test_objects_that_were_exchanged_are_found_and_repaired(quiet: Nights, kind: str) -> None:
    """Each is known by its sha256, and receipts, which have their own, by their paths."""
    paths = sorted((quiet.folder / kind / "lab" / "digits").iterdir())
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
    assert len(found(quiet, read="all")) == 2
    found(quiet, read="all", repair=True, api=quiet.api)
    assert found(quiet, read="all") == {}
    if kind != "state/receipts":  # whose runs are fetched again, at another time
        assert [path.read_bytes() for path in paths] == contents


def test_snapshots_that_were_exchanged_or_are_missing_are_found(
    world: LivingData, quiet: Nights
) -> None:
    """Each manifest names itself and the one before it; a repair leaves a chain without gaps."""
    for name in ("better", "best"):
        world.edit("one", name=name)
        quiet.run()
    first, second, third = sorted((quiet.folder / "state/snapshots").glob("*/manifest.json"))
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert len(found(quiet)) == 2
    first.write_bytes(contents[0])
    second.unlink()
    path = second.relative_to(quiet.folder).as_posix()
    assert {name: cause for name, (cause, _) in found(quiet).items()} == {path: "it is missing"}
    found(quiet, repair=True, api=quiet.api)
    assert found(quiet, read="all") == {}
    first.unlink()
    with pytest.warns(se.SwanlabExportWarning, match="those before it are not here"):
        assert found(quiet) == {}
    assert third.exists()


def test_what_no_manifest_names_is_told_and_removed(world: LivingData, quiet: Nights) -> None:
    """Nothing can be compared with the table of a snapshot whose manifest is damaged."""
    for name in ("better", "best"):
        world.edit("one", name=name)
        quiet.run()
    folder = quiet.folder / "state" / "snapshots"
    second = sorted(folder.iterdir())[1]
    (second / "manifest.json").write_bytes(b"{")
    with pytest.warns(se.SwanlabExportWarning, match="runs.parquet was not compared: no manifest"):
        assert len(found(quiet)) == 1
    found(quiet, repair=True, api=quiet.api)
    assert found(quiet, read="all") == {}
    assert not any(second.iterdir())


def test_what_a_backup_left_that_did_not_end_is_removed(
    world: LivingData, quiet: Nights, recwarn: pytest.WarningsRecorder
) -> None:
    """A table of a snapshot without a manifest goes, unless the manifest of a later one names it."""
    folder = quiet.folder / "state" / "snapshots"
    (named,) = folder.glob("*/runs.parquet")
    left = folder / "29990101T000000Z-0" / "runs.parquet"
    left.parent.mkdir()
    left.write_bytes(named.read_bytes())
    quiet.run()
    assert not left.exists()
    left.write_bytes(named.read_bytes())
    recwarn.clear()
    assert found(quiet) == {}
    assert not [each for each in recwarn if "was not compared" in str(each.message)]
    named.with_name("manifest.json").unlink()
    quiet.run()
    assert (left.exists(), named.exists()) == (False, True)


def test_an_index_of_another_project_is_not_read(world: LivingData, quiet: Nights) -> None:
    """A backup takes no run for one of the project that it is not in."""
    world.add_project("other")
    world.start("three", project="lab-other")
    quiet.run()
    paths = [quiet.folder / f"state/index/lab/{name}.parquet" for name in ("digits", "other")]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
    quiet.run()
    places = {(row["project_id"], row["run_id"]) for row in quiet.table("runs")}
    assert places == {("lab-digits", "one"), ("lab-digits", "two"), ("lab-other", "three")}
    assert found(quiet, read="all") == {}


def test_an_object_that_no_receipt_names_is_found(quiet: Nights) -> None:
    """Readers of the folder would take it for data."""
    stray = quiet.folder / "tables/metrics/lab/digits/stray.parquet"
    stray.write_bytes((quiet.folder / "tables/metrics/lab/digits/one.parquet").read_bytes())
    assert found(quiet) == {
        "tables/metrics/lab/digits/stray.parquet": (
            "no receipt names it",
            f"`backup verify {quiet.folder} --repair` writes it again",
        )
    }
    found(quiet, repair=True, api=quiet.api)
    assert not stray.exists()


def test_every_part_is_read_in_turn(quiet: Nights) -> None:
    """In t nights, the parts 1/t to t/t read every object once."""
    (path,) = quiet.folder.glob("files/lab/digits/one/*")
    flip(path)
    hits = [len(found(quiet, read=f"{n}/5")) for n in range(1, 6)]
    assert sorted(hits) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("read", ["0/5", "6/5", "some", "1/0"])
def test_a_part_that_is_none_is_refused(ended: Nights, read: str) -> None:
    """The message shows what is meant."""
    with pytest.raises(se.UsageError, match="read= is all, or a part such as 3/30"):
        verify(FrameOutput("arrow"), ended.folder, read=read)


def test_a_run_that_is_gone_cannot_be_repaired(world: LivingData, quiet: Nights) -> None:
    """The cure says so, and the rest of the backup stays as it is."""
    world.delete("one")
    quiet.run()
    flip(quiet.folder / "tables/metrics/lab/digits/one.parquet")
    cures = found(quiet, read="all", repair=True, api=quiet.api)
    assert [cure for _, cure in cures.values()] == ["none: the server no longer has the run"]


def test_runs_are_compared_with_the_server(world: LivingData, quiet: Nights) -> None:
    """What the next backup would fetch is named with the reason."""
    world.log("one", 99, loss=0.5)
    said = found(quiet, against_server=True, api=quiet.api)
    assert said == {
        "lab/digits/one": (
            "the server has it otherwise: the summary of 'loss' has changed",
            "`backup run` fetches it",
        )
    }


def test_a_check_while_a_backup_is_under_way_says_so(world: LivingData, quiet: Nights) -> None:
    """What has been written since the last manifest differs from it, and is right all the same."""
    world.log("one", 99, loss=0.5)
    with killed_at(quiet.folder, match="manifest.json"), OneByOne() as executor:
        quiet.run(executor=executor)
    with pytest.warns(se.SwanlabExportWarning, match="a backup is under way, or was interrupted: "):
        assert "tables/summary/lab/digits.parquet" in found(quiet)
    quiet.run()
    assert found(quiet, read="all") == {}


def test_a_receipt_that_is_lost_with_the_index_loses_no_data(
    world: LivingData, quiet: Nights
) -> None:
    """It is named; its run is fetched again, and what the server no longer has stays as it is."""
    world.delete("one")
    quiet.run()
    receipts = [f"state/receipts/lab/digits/{run_id}.json" for run_id in ("one", "two")]
    for path in receipts:
        (quiet.folder / path).unlink()
    (quiet.folder / "state/index/lab/digits.parquet").write_bytes(b"")
    assert {found(quiet)[path][0] for path in receipts} == {"it is missing"}
    cured = found(quiet, read="all", repair=True, api=quiet.api)
    assert cured[receipts[0]][1] == "none: a repair did not help, and what is there stays"
    assert cured[receipts[1]][1] == "repaired"
    left = found(quiet, read="all")
    assert set(left) == {path for path, (_, cure) in cured.items() if cure != "repaired"}
    assert (len(quiet.values("one")), len(quiet.values("two"))) == (30, 30)


def test_data_that_nothing_but_a_snapshot_knows_stay(world: LivingData, quiet: Nights) -> None:
    """Receipts, payloads and index are lost, and the server has only one of the runs."""
    world.delete("one")
    quiet.run()
    for name in ("receipts", "payloads", "index"):
        shutil.rmtree(quiet.folder / "state" / name)
    before = quiet.objects("tables/metrics") | quiet.objects("files")
    found(quiet, read="all", repair=True, api=quiet.api)
    assert quiet.objects("tables/metrics") | quiet.objects("files") == before
    assert {path.rpartition("/")[2] for path in found(quiet)} == {"one.parquet"}


def test_a_receipt_is_restored_from_the_index(world: LivingData, quiet: Nights) -> None:
    """Also that of a run that the server no longer has, whose data nothing else could name."""
    world.delete("one")
    quiet.run()
    path = quiet.folder / "state/receipts/lab/digits/one.json"
    original = path.read_bytes()
    flip(path)
    assert set(found(quiet)) == {"state/receipts/lab/digits/one.json"}
    found(quiet, repair=True, api=quiet.api)
    assert path.read_bytes() == original
    assert len(quiet.values("one")) == 30
    assert found(quiet, read="all") == {}
