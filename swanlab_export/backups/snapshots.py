"""Snapshots: what the backup held when a backup ended. The manifest is its last object."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swanlab_export.backups.destination import write_object
from swanlab_export.backups.layout import FORMAT, SNAPSHOTS, dump_json, marked_name, safe_name
from swanlab_export.errors import UsageError
from swanlab_export.messages import closest, quote

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from swanlab_export.backups.destination import Destination

_MANIFEST = "manifest.json"
_STAMP = "%Y%m%dT%H%M%SZ"
# A clock of a server that says the end of the calendar leaves room for later names.
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass
class Manifest:
    """What belongs together, as one backup left it.

    Attributes:
        snapshot: Its name.
        previous: The name of the one before it.
        began_at, ended_at: When the backup began and ended, by the server's clock.
        scope: The paths that were asked for; empty for everything.
        asked: What of each run was asked for.
        projects: Of each project its path, folder, counts and objects, and when it was last
            compared with the server.
        objects: Objects of the whole backup, with their sizes and hashes.
        runs: The path of the table of all runs, here or in an earlier snapshot.
        changes: How many runs were fetched and so on.
        failed: What could not be backed up, in words.
        format_file: What the format file says.
    """

    snapshot: str
    previous: str | None
    began_at: str
    ended_at: str
    scope: list[str]
    asked: dict[str, Any]
    projects: list[dict[str, Any]]
    objects: dict[str, dict[str, Any]]
    runs: str | None
    changes: dict[str, int]
    failed: list[str]
    format_file: dict[str, Any]
    program: str
    format: int = FORMAT
    sha256: str = field(default="")

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{SNAPSHOTS}/{self.snapshot}/{_MANIFEST}"

    def project(self, project_id: str) -> dict[str, Any] | None:
        """What it says of a project."""
        return next((each for each in self.projects if each["project_id"] == project_id), None)

    def total(self, name: str) -> int:
        """A count over all projects."""
        return sum(each["counts"][name] for each in self.projects)

    def hash(self) -> str:
        """The hash of everything else that it says."""
        return hashlib.sha256(dump_json(vars(self) | {"sha256": ""})).hexdigest()


def new_name(now: str, previous: Manifest | None) -> str:
    """Name a snapshot after the time; later than the one before, even if a clock went back.

    Args:
        now: The time, as receipts have it.
        previous: The snapshot before.
    """
    moment = min(datetime.fromisoformat(now).replace(microsecond=0), _LATEST)
    if previous is not None:
        before = datetime.strptime(previous.snapshot.partition("-")[0], _STAMP).replace(tzinfo=UTC)
        moment = max(moment, before + timedelta(seconds=1))
    return f"{moment.strftime(_STAMP)}-{secrets.token_hex(4)}"


def write_manifest(destination: Destination, manifest: Manifest) -> None:
    """Write the last object of a snapshot."""
    manifest.sha256 = manifest.hash()
    write_object(destination, manifest.path, dump_json(vars(manifest)))


def list_snapshots(destination: Destination) -> list[str]:
    """The names of all snapshots that are complete, in order."""
    ending = f"/{_MANIFEST}"
    found = (entry.path for entry in destination.list(SNAPSHOTS))
    return sorted(path.split("/")[-2] for path in found if path.endswith(ending))


def read_manifest(destination: Destination, name: str) -> Manifest:
    """Read the manifest of a snapshot.

    Raises:
        ValueError: It is not as it was written.
    """
    try:
        manifest = Manifest(**orjson.loads(destination.read(f"{SNAPSHOTS}/{name}/{_MANIFEST}")))
    except (TypeError, OSError) as error:
        raise ValueError(str(error)) from None
    if manifest.hash() != manifest.sha256:
        raise ValueError("it is not as it was written")
    if manifest.snapshot != name:
        raise ValueError(f"it is the manifest of {manifest.snapshot}")
    return manifest


def last_manifest(destination: Destination) -> Manifest | None:
    """The manifest of the last snapshot that can be read."""
    return next(readable_manifests(destination), None)


def readable_manifests(destination: Destination) -> Iterator[Manifest]:
    """Yield manifests, the last first; those that cannot be read are left out."""
    for name in reversed(list_snapshots(destination)):
        try:
            yield read_manifest(destination, name)
        except ValueError:
            continue


def remove_unfinished(destination: Destination) -> None:
    """Remove what a backup wrote that ended before its manifest; only who holds the lock may."""
    paths = [entry.path for entry in destination.list(SNAPSHOTS)]
    ended = {path.split("/")[-2] for path in paths if path.endswith(f"/{_MANIFEST}")}
    if any(path.split("/")[-2] not in ended for path in paths):
        # The manifest of its own may be lost, and those of later snapshots still name it.
        named = {str(manifest.runs) for manifest in readable_manifests(destination)}
        for path in find_unnamed(destination, named):
            destination.remove(path)


def find_unnamed(destination: Destination, named: Container[str]) -> Iterator[str]:
    """Yield the paths of tables of snapshots, but for those that manifests name."""
    for entry in destination.list(SNAPSHOTS):
        if not entry.path.endswith(f"/{_MANIFEST}") and entry.path not in named:
            yield entry.path


def find_held(destination: Destination, project_id: str) -> set[str]:
    """What the objects of all runs of a project are called that any snapshot has.

    Each of these runs had a receipt once.

    Raises:
        ArrowException, OSError, ValueError: A snapshot cannot be read.
    """
    manifests = (read_manifest(destination, name) for name in list_snapshots(destination))
    held: set[str] = set()
    for path in sorted({manifest.runs for manifest in manifests if manifest.runs is not None}):
        with (
            destination.open(path) as file,
            pq.ParquetFile(file, page_checksum_verification=True) as parquet,
        ):
            for batch in parquet.iter_batches(columns=["project_id", "run_id"]):
                of_project = pc.equal(batch["project_id"], project_id)
                for run_id in batch["run_id"].filter(of_project).to_pylist():
                    held |= {safe_name(run_id), marked_name(run_id)}
    return held


def mend_chain(destination: Destination) -> None:
    """Have each manifest name the one before it that is there."""
    before: str | None = None
    for manifest in reversed(list(readable_manifests(destination))):
        if manifest.previous != before:
            manifest.previous = before
            write_manifest(destination, manifest)
        before = manifest.snapshot


def find_snapshot(destination: Destination, name: str) -> Manifest:
    """Find a snapshot by its name, or by the beginning of it.

    Raises:
        UsageError: There is none, or several.
    """
    names = list_snapshots(destination)
    found = [each for each in names if each.startswith(name)]
    if len(found) != 1:
        why = "several snapshots begin with" if found else "there is no snapshot"
        there = ", ".join(map(quote, found[:5] or closest(name, names)))
        raise UsageError(f"{why} {quote(name)}; there are {there}")
    try:
        return read_manifest(destination, found[0])
    except ValueError as error:
        raise UsageError(f"the manifest of {quote(found[0])} cannot be read: {error}") from None
