"""What a check found, fetched or written again; and what the server has otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from swanlab_export.backups import snapshots
from swanlab_export.backups.decide import Rules
from swanlab_export.backups.destination import write_object
from swanlab_export.backups.layout import (
    FORMAT_FILE,
    PROJECTS_FILE,
    RECEIPTS,
    SNAPSHOTS,
    dump_json,
    index_path,
)
from swanlab_export.backups.receipts import Asked
from swanlab_export.backups.run import Backup, Wish
from swanlab_export.backups.scope import Account, Scope
from swanlab_export.client import Call
from swanlab_export.decoding import decode
from swanlab_export.refs import ProjectRef, parse_project

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from swanlab_export.api.context import Context
    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.receipts import Row
    from swanlab_export.backups.snapshots import Manifest
    from swanlab_export.backups.verify import Problem
    from swanlab_export.report import Report


def compare_with_server(
    context: Context, destination: Destination, report: Report
) -> Iterator[Row]:
    """What the next backup would fetch of the projects that are in the backup, and why."""
    account = Account.read(destination)
    scope = Scope(projects=tuple(_refs(account)))
    asked = _last_asked(destination)
    wish = Wish(scope, (), Rules(asked), frozenset(), is_dry_run=True)
    for row in Backup(context, destination, wish, None, report).rows():
        project = account.project(row["project_id"])
        folder = "" if project is None else project["folder"]
        yield {
            "object": row["path"],
            "run": f"{folder}/{row['run_id']}",
            "cause": f"the server has it otherwise: {row['reason']}",
            "cure": "`backup run` fetches it",
        }


def _refs(account: Account, project_ids: Collection[str] | None = None) -> Iterator[ProjectRef]:
    for each in account.projects:
        if project_ids is None or each["project_id"] in project_ids:
            yield ProjectRef(each["workspace"], each["name"])


def _last_asked(destination: Destination) -> Asked:
    """What of each run was asked for last time."""
    manifest = snapshots.last_manifest(destination)
    return Asked() if manifest is None else Asked.parse(manifest.asked)


class Repair:
    """Has objects fetched or written again, as a backup of their projects alone."""

    def __init__(
        self,
        context: Context,
        destination: Destination,
        problems: list[Problem],
        report: Report,
    ) -> None:
        self._context = context
        self._destination = destination
        self._problems = problems
        self._report = report

    def run(self) -> None:
        """Remove what is wrong and can be made again, and then make it."""
        destination = self._destination
        with destination.lock():
            self._restore()
            manifest = snapshots.last_manifest(destination)
            forced: dict[str, set[str]] = {}
            for problem in self._problems:
                owner = problem.owner
                if owner.project_id and owner.run_id:
                    forced.setdefault(owner.project_id, set()).add(owner.run_id)
                elif owner.project_id:
                    forced.setdefault(owner.project_id, set())
                self._make_room(problem)
            snapshots.mend_chain(destination)
        account = Account.read(destination)
        if manifest is None or any(p.path.startswith(SNAPSHOTS) for p in self._problems):
            for each in account.projects:
                forced.setdefault(each["project_id"], set())
        scope = Scope(projects=tuple(_refs(account, forced)))
        wish = Wish(scope, (), Rules(_last_asked(destination), is_full=True), frozenset(), False)
        backup = Backup(self._context, destination, wish, None, self._report, forced=forced)
        with Call():
            for _ in backup.rows():
                pass

    def _make_room(self, problem: Problem) -> None:
        """Remove what is wrong, so that it is made again; of a receipt the index may have the text."""
        destination = self._destination
        if problem.spare is not None:
            write_object(destination, problem.path, problem.spare.encode())
        elif problem.can_repair and not (
            problem.owner.run_id and not problem.path.startswith(f"{RECEIPTS}/")
        ):
            destination.remove(problem.path)
        if problem.path.startswith(SNAPSHOTS):
            for manifest in list(snapshots.readable_manifests(destination)):
                if manifest.runs == problem.path:  # nothing can be compared with it any more
                    destination.remove(manifest.path)

    def _restore(self) -> None:
        """Write the files again without which nothing can be read."""
        destination = self._destination
        manifest = snapshots.last_manifest(destination)
        if manifest is None:
            return
        bad = {problem.path for problem in self._problems}
        if FORMAT_FILE in bad:
            write_object(destination, FORMAT_FILE, dump_json(manifest.format_file))
        if PROJECTS_FILE in bad:
            account = _rebuild_account(destination, manifest)
            write_object(destination, PROJECTS_FILE, dump_json(account.dump()))
        self._problems = [
            each for each in self._problems if each.path not in {FORMAT_FILE, PROJECTS_FILE}
        ]


def _rebuild_account(destination: Destination, manifest: Manifest) -> Account:
    """Find out again which project has which folder; the rest is asked of the server."""
    account = Account()
    for each in manifest.projects:
        ref = parse_project(each["path"])
        account.folders.setdefault(ref.workspace, each["folder"].partition("/")[0])
        account.projects.append(
            {
                "project_id": each["project_id"],
                "workspace": ref.workspace,
                "name": ref.project,
                "folder": each["folder"],
                "index": index_path(each["folder"]),
                "payload": _indexed_payload(destination, each["folder"]),
                "seen_at": each["seen_at"],
            }
        )
    account.projects = [each for each in account.projects if each["payload"] is not None]
    return account


def _indexed_payload(destination: Destination, folder: str) -> Any:
    """What the server said of a project, as its index has it; None where that cannot be read."""
    try:
        with destination.open(index_path(folder)) as file:
            metadata = pq.read_schema(file).metadata or {}
        return decode(metadata[b"swanlab_backup"])["project"]
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None
