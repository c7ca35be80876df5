"""A folder that holds a backup, while something else changes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from swanlab_export.backups.destination import open_destination

if TYPE_CHECKING:
    from pathlib import Path


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
