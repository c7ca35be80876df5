"""``backup status`` and ``backup diff``: what a backup holds, and what has changed between two."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from swanlab_export import schemas
from swanlab_export.api.context import Result
from swanlab_export.backups import snapshots
from swanlab_export.backups.destination import open_destination
from swanlab_export.backups.fold import Counts
from swanlab_export.backups.index import Index
from swanlab_export.backups.layout import UNFINISHED_FILE, check_format
from swanlab_export.backups.parquet import read_rows
from swanlab_export.backups.scope import Account
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument
from swanlab_export.normalizers.rows import build_table

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from os import PathLike

    from swanlab_export.api.resource import Output
    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.receipts import Row
    from swanlab_export.backups.snapshots import Manifest

F = TypeVar("F")
_HASHES = ("config", "metadata", "summary", "columns", "metrics", "logs", "medias")
_COUNTS = ("points", "lines", "items")


def status(
    output: Output[F],
    folder: str | PathLike[str],
    *,
    has_snapshots: bool = False,
    store_options: Mapping[str, str] | None = None,
) -> F:
    """What a backup holds, one row per project; or its snapshots, one row each.

    Args:
        output: What becomes of the table.
        folder: The backup.
        has_snapshots: List snapshots.
        store_options: Options of the object store that it is in.

    Raises:
        UsageError: The folder holds no backup.
    """
    destination = open_destination(folder, store_options, called="DEST")
    about = check_format(destination, None) or {}
    declared = schemas.BACKUP_SNAPSHOTS if has_snapshots else schemas.BACKUP_STATUS
    report = output.begin(declared)
    last = snapshots.last_manifest(destination)
    if has_snapshots:
        manifests = list(snapshots.readable_manifests(destination))
        rows = [_snapshot_row(each) for each in reversed(manifests)]
    else:
        rows = [] if last is None else [_project_row(each) for each in last.projects]
        rows += _begun_rows(destination, {row["project_id"] for row in rows})
    if last is None:
        report.warn("no backup has ended here yet: the first is under way, or was interrupted")
    elif not has_snapshots:
        report.hint(f"of {about.get('host')}; the last backup ended {last.ended_at}")
        for failure in last.failed:
            report.warn(f"the last backup failed for {failure}")
        if destination.find(UNFINISHED_FILE) is not None:
            report.warn(
                "a later backup is under way, or was interrupted; of projects that were there, what "
                "it has fetched is not counted"
            )
    result = Result(
        lambda: build_table(declared, rows, report),
        lambda: rows,
        {"command": "backup status", "path": str(destination)},
    )
    return output.deliver(result, report)


def _project_row(entry: dict[str, Any]) -> Row:
    return {
        **{name: entry[name] for name in ("path", "project_id", "folder", "seen_at")},
        **entry["counts"],
    }


def _begun_rows(destination: Destination, known: Container[str]) -> Iterator[Row]:
    """Rows of projects whose first backup has not ended, from their receipts."""
    for project in Account.read(destination).projects:
        if project["project_id"] in known:
            continue
        counts = Counts()
        for _, _, receipt in Index(destination, project["folder"]).receipts():
            counts.add(receipt)
        yield {
            "path": f"{project['workspace']}/{project['name']}",
            **{name: project[name] for name in ("project_id", "folder")},
            **asdict(counts),
        }


def _snapshot_row(manifest: Manifest) -> Row:
    return {
        "snapshot": manifest.snapshot,
        "began_at": manifest.began_at,
        "fetched": manifest.changes["fetched"],
        "failed": manifest.changes["failed"],
        **{name: manifest.total(name) for name in ("runs", "gone", "rows", "bytes")},
    }


def diff(
    output: Output[F],
    folder: str | PathLike[str],
    first: str = "",
    second: str = "",
    *,
    store_options: Mapping[str, str] | None = None,
) -> F:
    """Which runs differ between two snapshots, and in what; one row each.

    Args:
        output: What becomes of the table.
        folder: The backup.
        first: The earlier snapshot, by its name or the beginning of it; by default the one before
            ``second``.
        second: The later one; by default the last.
        store_options: Options of the object store that it is in.

    Raises:
        UsageError: There is no such snapshot.
    """
    destination = open_destination(folder, store_options, called="DEST")
    check_format(destination, None)
    report = output.begin(schemas.BACKUP_DIFF)
    names = snapshots.list_snapshots(destination)
    if not names or (len(names) < 2 and not first):
        raise UsageError(
            f"there is {'only one' if names else 'no'} snapshot, and two are compared: the next backup "
            "adds one"
        )
    later = snapshots.find_snapshot(destination, second or names[-1])
    place = names.index(later.snapshot)
    if not first and place == 0:
        raise UsageError(f"{argument('first')}: no snapshot is earlier than {later.snapshot}")
    earlier = snapshots.find_snapshot(destination, first or names[place - 1])
    if earlier.snapshot > later.snapshot:
        earlier, later = later, earlier
    rows = [] if earlier.runs == later.runs else list(_changes(destination, earlier, later))
    report.hint(f"{earlier.snapshot} and {later.snapshot}: {len(rows)} runs differ")
    result = Result(
        lambda: build_table(schemas.BACKUP_DIFF, rows, report),
        lambda: rows,
        {"command": "backup diff", "path": f"{destination} {earlier.snapshot} {later.snapshot}"},
    )
    return output.deliver(result, report)


def _changes(destination: Destination, earlier: Manifest, later: Manifest) -> Iterator[Row]:
    before = {(row["project_id"], row["run_id"]): row for row in _runs(destination, earlier)}
    for row in _runs(destination, later):
        found = before.pop((row["project_id"], row["run_id"]), None)
        counts = {name: row[name] - (found[name] if found else 0) for name in _COUNTS}
        known = {"path": row["path"], "run_id": row["run_id"], "name": row["name"], **counts}
        if found is None:
            yield known | {"change": "added", "fields": []}
        elif row["gone_at"] is not None and found["gone_at"] is None:
            yield known | {"change": "gone", "fields": []}
        elif fields := _differences(found, row):
            yield known | {"change": "changed", "fields": fields}
    for row in before.values():  # a run stays in a backup for ever, unless somebody removes it
        counts = {name: -row[name] for name in _COUNTS}
        known = {"path": row["path"], "run_id": row["run_id"], "name": row["name"], **counts}
        yield known | {"change": "gone", "fields": []}


def _runs(destination: Destination, manifest: Manifest) -> Iterator[Row]:
    if manifest.runs is None:
        return
    for batch in read_rows(destination, manifest.runs):
        yield from batch.to_pylist()


def _differences(before: Row, row: Row) -> list[str]:
    """The fields in which a run differs."""
    names = [name for name in ("path", *_HASHES) if before[name] != row[name]]
    if (before["gone_at"] is None) != (row["gone_at"] is None):
        names.append("gone_at")
    if before["row"] != row["row"]:
        old, new = orjson.loads(before["row"]), orjson.loads(row["row"])
        names += sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return names
