"""A folder that holds a backup, while something else changes it."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import pytest
from systems import needs_linux, refuse_what_is_open

import swanlab_export as se
from swanlab_export.api.outputs import FrameOutput
from swanlab_export.backups.destination import open_destination
from swanlab_export.backups.layout import Names
from swanlab_export.backups.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from backup_support import Nights
    from living import LivingData


DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}


@pytest.mark.parametrize(
    "name",
    [
        "aux",
        "AUX.x",
        "aux.x=1",
        "nul.tar.gz",
        "con .x",
        "com1. ",
        "lpt0",
        "a:b",
        "a?b*",
        "a\\b",
        "a ",
        "a.",
        "..",
        ".a",
        "_a",
        "a=1",
        "数字",
        "A" * 300,
        "con." + "数字" * 100,
    ],
)
def test_names_that_every_system_takes(name: str) -> None:
    """No name of a folder is refused by Windows, or read as something else by a reader of folders."""
    names = Names()
    for found in (names.take(name), names.take(name, "id"), Names({name}).take(name)):
        assert re.fullmatch(r"[0-9A-Za-z+(,@-][0-9A-Za-z._+(),@ ~-]{0,119}", found)
        assert found.partition(".")[0].rstrip(" ").lower() not in DEVICES
        assert not found.endswith((".", " "))
    assert names.take(name.upper(), "other") not in {name, name.upper()}


def test_objects_that_vanish_are_not_listed(tmp_path: Path) -> None:
    """An object that is removed while a folder is listed is not there, which is no error."""
    folder = tmp_path / "state" / "tmp"
    folder.mkdir(parents=True)
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(20):
                (folder / str(number)).touch()
            for number in range(20):
                (folder / str(number)).unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        destination = open_destination(tmp_path)
        for _ in range(500):
            assert {entry.size for entry in destination.list("state")} <= {0}
    finally:
        ended.set()
        thread.join()


@needs_linux
def test_nothing_is_replaced_while_it_is_open(
    world: LivingData,
    ended: Nights,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Windows refuses that: a backup is renewed and repaired there, and read meanwhile, too."""
    refuse_what_is_open(monkeypatch)
    with se.connect(host=f"backup:{ended.folder}", frame="arrow") as served:
        assert served.run.metrics("lab/digits/one", keys="loss", all=True).num_rows == 30
        world.log("one", 99, loss=0.5)
        assert set(ended.run(full=True)) == {"one", "two"}
        for name in ("tables/summary/lab/digits.parquet", "tables/metrics/lab/digits/one.parquet"):
            (ended.folder / name).write_bytes(b"")
        verify(FrameOutput("arrow"), ended.folder, read="all", repair=True, api=ended.api)
    assert len(ended.values("one")) == 31
