"""Backs up a recording, so that the sample data are a backup like any other.

Run it as `python sample_data/pack.py` to write the sample data anew from themselves, after the format
of backups has changed. Equal recordings give equal bytes: the clock stands still.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import swanlab_export as se
from swanlab_export.api.connect import Api
from swanlab_export.api.context import Context
from swanlab_export.api.outputs import FrameOutput
from swanlab_export.backups import snapshots
from swanlab_export.backups.destination import open_destination
from swanlab_export.backups.fold import fold_project
from swanlab_export.backups.index import Index
from swanlab_export.backups.scope import Account, place_of
from swanlab_export.client import Client
from swanlab_export.sandbox import Sandbox
from swanlab_export.sandbox.data import Data
from swanlab_export.settings import Settings

HERE = Path(__file__).resolve().parent
WEB_HOST = "http://127.0.0.1"
NOW_S = 1_775_001_600  # 2026-04-01T00:00:00Z
CONTENTS = ("files", "state", "tables", "swanlab-backup.json", "README.md", "accounts.json")


class Recording(Data):
    """Recorded data, on a clock that stands still."""

    def now_s(self) -> float:
        """Return the time that responses carry."""
        return NOW_S


def pack(recording: Path, into: Path) -> None:
    """Write the backup of a recording, with its accounts; what was there before is removed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "backup"
        back_up(recording, folder)
        fix(folder)
        shutil.copy(recording / "accounts.json", folder)
        into.mkdir(parents=True, exist_ok=True)
        for content in CONTENTS:
            place = into / content
            if place.is_dir():
                shutil.rmtree(place)
            shutil.move(folder / content, place)


def back_up(recording: Path, folder: Path) -> None:
    """Back up everything that ada sees of a recording."""
    with Sandbox(Recording(recording)) as server:
        settings = Settings(server.url, WEB_HOST, server.api_key, local="sandbox")
        with Client(settings) as client:
            context = Context(client, now_ms=lambda: NOW_S * 1000)
            api = Api(context, FrameOutput("arrow"), client.close)
            report = se.backup(api, to=folder, instance=True)
    failed = [row for row in report.to_pylist() if row["error"]]
    if failed:
        raise SystemExit(f"not everything was backed up: {failed[0]}")


def fix(folder: Path) -> None:
    """Write anew what says when a file was written, and drop the lock and random names."""
    destination = open_destination(folder)
    manifest = snapshots.last_manifest(destination)
    if manifest is None:
        raise SystemExit("the backup has not ended")
    for receipt in (folder / "state" / "receipts").rglob("*.json"):
        os.utime(receipt, (NOW_S, NOW_S))
    for each in Account.read(destination).projects:
        place = place_of(each)
        index = Index(destination, place.folder)
        folded = fold_project(destination, place, each["payload"], index, WEB_HOST)
        entry = manifest.project(place.project_id)
        if entry is not None:
            entry |= folded.describe()
    fixed = manifest.snapshot.partition("-")[0] + "-00000000"
    old, new = (f"{snapshots.SNAPSHOTS}/{name}" for name in (manifest.snapshot, fixed))
    shutil.move(folder / old, folder / new)
    manifest.objects = {path.replace(old, new): each for path, each in manifest.objects.items()}
    manifest.runs = (manifest.runs or "").replace(old, new)
    manifest.snapshot = fixed
    snapshots.write_manifest(destination, manifest)
    (folder / "state" / "lock.json").unlink()
    shutil.rmtree(folder / "state" / "tmp", ignore_errors=True)


if __name__ == "__main__":
    pack(HERE, HERE)
