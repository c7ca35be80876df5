"""A backup that was killed while it wrote a run which the server then no longer has."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from killed_here import OneByOne, killed_at

import swanlab_export as se
from swanlab_export.api.outputs import FrameOutput
from swanlab_export.backups.destination import open_destination
from swanlab_export.backups.parquet import write_rows
from swanlab_export.backups.recovery import INTERRUPTED
from swanlab_export.backups.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backup_support import Nights
    from living import LivingData


def damage(nights: Nights) -> Any:
    """What ``backup verify --read all`` finds."""
    return verify(FrameOutput("arrow"), nights.folder, read="all").to_pylist()


def kill_and_delete(world: LivingData, ended: Nights, match: str) -> None:
    """Back up a new version of a run, be killed at a path, and have the run deleted."""
    world.log_many("one", 5, "loss")
    world.print_line("one", "more")
    world.show("one", "image", 9, b"another picture")
    world.edit("one", name="a name that is much longer than before")
    with killed_at(ended.folder, match=match), OneByOne() as executor:
        ended.run(executor=executor)
    world.delete("one")
    assert ended.run() == {"one": ("gone", "the server no longer has it")}


@pytest.mark.filterwarnings("ignore::swanlab_export.SwanlabExportWarning")
@pytest.mark.parametrize("match", ["tables/logs", "tables/medias", "state/receipts"])
def test_a_version_that_is_there_in_part_has_a_receipt(
    world: LivingData, ended: Nights, match: str
) -> None:
    """Each table is whole, of one version or the other; the receipt says so, and it is complete."""
    kill_and_delete(world, ended, match)
    assert damage(ended) == []
    receipt = ended.receipt("one")
    assert (receipt["complete"], receipt["missing"]) == (False, [INTERRUPTED])
    assert len(ended.values("one")) == receipt["points"]["loss"] == 35
    assert receipt["latest"]["loss"] == 34
    lines = [row["line"] for row in ended.table("logs") if row["run_id"] == "one"]
    assert lines == ([1] if match == "tables/logs" else [1, 2])
    files = [row["file"] for row in ended.table("medias") if row["run_id"] == "one"]
    assert files == [file["path"] for file in receipt["objects"]["files"]]
    assert ended.run() == {}


@pytest.mark.filterwarnings("ignore::swanlab_export.SwanlabExportWarning")
def test_a_run_that_was_never_whole_leaves_nothing(world: LivingData, ended: Nights) -> None:
    """Objects that were in place before their receipt are removed."""
    before = ended.objects("tables/metrics") | ended.objects("tables/logs")
    world.start("three")
    world.log_many("three", 5, "loss")
    world.print_line("three", "epoch 1")
    with killed_at(ended.folder, match="state/receipts"), OneByOne() as executor:
        ended.run(executor=executor)
    assert "tables/metrics/lab/digits/three.parquet" in ended.objects("tables")
    world.delete("three")
    assert ended.run() == {}
    assert ended.objects("tables/metrics") | ended.objects("tables/logs") == before
    assert not [path for path in ended.objects() if "three" in path]
    assert damage(ended) == []


def lose_receipt(ended: Nights, run_id: str) -> None:
    """Lose a receipt, and the index that has it, too."""
    (ended.folder / f"state/receipts/lab/digits/{run_id}.json").unlink()
    index = ended.folder / "state/index/lab/digits.parquet"
    index.write_bytes(index.read_bytes()[:-9])


def interrupt(world: LivingData, ended: Nights, run_id: str) -> None:
    """Be killed just before the receipt of a new run, which the server then no longer has."""
    world.start(run_id)
    world.log_many(run_id, 5, "loss")
    with (
        killed_at(ended.folder, match=f"state/receipts/lab/digits/{run_id}"),
        OneByOne() as executor,
    ):
        ended.run(executor=executor)
    world.delete(run_id)


@pytest.mark.filterwarnings("ignore::swanlab_export.SwanlabExportWarning")
@pytest.mark.parametrize("has_night_between", [False, True])
def test_what_had_a_receipt_that_is_lost_is_never_removed(
    world: LivingData, ended: Nights, has_night_between: bool
) -> None:
    """The server no longer has the run: its objects are all that is left of it."""
    world.delete("one")
    ended.run()
    before = {path: content for path, content in ended.objects().items() if "/one" in path}
    lose_receipt(ended, "one")
    if has_night_between:  # which writes an index without the run
        ended.run()
    interrupt(world, ended, "three")
    ended.run()
    left = {path: content for path, content in ended.objects().items() if "/one" in path}
    del before["state/receipts/lab/digits/one.json"]
    assert left == before
    interrupt(world, ended, "four")
    ended.run()
    # What was never whole is still told from it.
    assert not [path for path in ended.objects() if "four" in path]


@pytest.mark.filterwarnings("ignore::swanlab_export.SwanlabExportWarning")
def test_nothing_is_removed_where_a_snapshot_cannot_be_read(
    world: LivingData, ended: Nights
) -> None:
    """It may be the one that had the run."""
    interrupt(world, ended, "three")
    (manifest,) = ended.folder.glob("state/snapshots/*/manifest.json")
    content = manifest.read_bytes()
    manifest.write_bytes(content[:-9])
    ended.run()
    assert "tables/metrics/lab/digits/three.parquet" in ended.objects()


def test_a_table_that_is_given_up_leaves_nothing(tmp_path: Path, capfd: Any) -> None:
    """No temporary object, and no words of a library that still wants to write its end."""
    schema = pa.schema({"step": pa.int64()})

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([pa.array(range(2**20))], schema)
        raise se.UnavailableError("the server is away")

    with pytest.raises(se.UnavailableError):
        write_rows(open_destination(tmp_path), "tables/x.parquet", schema, batches())
    gc.collect()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert capfd.readouterr().err == ""
