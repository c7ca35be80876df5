"""After a backup that was interrupted: receipts say again what lies beside them.

A unit puts one object after the other in place, and then writes its receipt. Killed in between, it is
repeated by the next backup, as long as the server has the run. Where it no longer has it, or sends
fewer points than before, the objects stay: they must have a receipt, or be removed. Removed is only
what is known never to have had one; a receipt may also be lost, and then its data may be all that is
left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swanlab_export.backups import snapshots
from swanlab_export.backups.destination import hash_object, listed_entries, write_object
from swanlab_export.backups.fetching import read_payload
from swanlab_export.backups.index import Index
from swanlab_export.backups.layout import UNFINISHED_FILE, run_file
from swanlab_export.backups.receipts import Stored
from swanlab_export.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.receipts import Receipt, Row
    from swanlab_export.backups.scope import Account
    from swanlab_export.files.store_objects import Entry

INTERRUPTED = "a backup was interrupted while it wrote the run: its tables may be of two versions"


def recover(destination: Destination, account: Account) -> None:
    """Have each object of a run named by a receipt as it is, and remove those of runs without one.

    Costs a list of all objects, and reads those that were replaced without a new receipt.
    """
    for project in account.projects:
        folder = project["folder"]
        index = Index(destination, folder)
        found = {entry.path: entry for entry in listed_entries(destination, folder)}
        named: set[str] = set()
        files: set[str] = set()
        for entry, _, receipt in list(index.receipts()):
            current = _adopt(destination, receipt, entry, found)
            if current is not receipt:
                write_object(destination, entry.path, current.dump())
            named |= {str(stored.path) for stored in current.all_objects()}
            files.add(run_file(entry.path, folder))
        unnamed = found.keys() - named
        lost = _lost_files(destination, project["project_id"], index) if unnamed else set()
        if lost is not None:
            for path in unnamed:
                file = run_file(path, folder)
                if file in files or file not in lost:
                    destination.remove(path)


def _lost_files(destination: Destination, project_id: str, index: Index) -> set[str] | None:
    """What the objects of runs are called that had a receipt; None where that is not known."""
    # An object of a run whose receipt cannot be read is not one of no run.
    if index.is_damaged or any(index.spare(path) is None for path in index.broken):
        return None
    try:
        before = decode(destination.read(UNFINISHED_FILE))["snapshot_before"]
        if before is not None:
            snapshots.read_manifest(destination, before)
        return snapshots.find_held(destination, project_id)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _adopt(
    destination: Destination, receipt: Receipt, entry: Entry, found: dict[str, Entry]
) -> Receipt:
    """The receipt of a run with its objects as they lie there; itself where it has them so."""
    changes: dict[str, Any] = {}
    objects = dict(receipt.objects)
    for name, stored in receipt.objects.items():
        there = found.get(str(stored.path))
        if there is None or not _may_differ(there, stored, entry):
            continue
        try:
            size, sha256 = hash_object(destination, there.path)
            if sha256 == stored.sha256:
                continue
            rows = 1
            if name == "payload":
                read_payload(destination, there.path)
            else:
                rows, found_out = _read_rows(destination, name, there.path)
                changes |= found_out
        except (OSError, ValueError, pa.ArrowException):
            continue  # it is damaged, as ``verify`` says
        objects[name] = Stored(there.path, rows, size, sha256)
    if objects == receipt.objects:
        return receipt
    return replace(receipt, objects=objects, complete=False, missing=[INTERRUPTED], **changes)


def _may_differ(there: Entry, stored: Stored, receipt: Entry) -> bool:
    """Say whether an object may have been replaced: by its size, and in a folder by its time."""
    has_times = there.version.isdigit() and receipt.version.isdigit()
    is_later = has_times and int(there.version) > int(receipt.version)
    return is_later or there.size != stored.bytes


def _read_rows(destination: Destination, name: str, path: str) -> tuple[int, dict[str, Any]]:
    """Read a whole table of a run; returns its rows, and what its receipt has of it besides."""
    points: dict[str, int] = {}
    latest: dict[str, int | None] = {}
    files: dict[str, Row] = {}
    rows = 0
    for table in _groups(destination, path):
        rows += table.num_rows
        if name == "metrics":
            counted = table.group_by("key").aggregate([([], "count_all"), ("step", "max")])
            for row in counted.to_pylist():
                key = row["key"]
                points[key] = points.get(key, 0) + row["count_all"]
                steps = [s for s in (latest.get(key), row["step_max"]) if s is not None]
                latest[key] = max(steps, default=None)
        elif name == "medias":
            for row in table.filter(pc.is_valid(table["file"])).to_pylist():
                files[row["path"]] = {
                    "path": row["file"],
                    "bytes": row["size_bytes"],
                    "sha256": row["sha256"],
                    "source": row["path"],
                }
    of_table: dict[str, dict[str, Any]] = {
        "metrics": {"points": points, "latest": latest},
        "medias": {"files": [*files.values()]},
    }
    return rows, of_table.get(name, {})


def _groups(destination: Destination, path: str) -> Iterator[pa.Table]:
    """Yield the row groups of an object, whose checksums must be right."""
    with (
        destination.open(path) as file,
        pq.ParquetFile(file, page_checksum_verification=True) as parquet,
    ):
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group)
