"""``backup verify``: is everything there, and as it was written? What is not can be repaired."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.api.context import Result
from swanlab_export.backups import snapshots
from swanlab_export.backups.destination import (
    Folder,
    hash_object,
    listed_sizes,
    open_destination,
)
from swanlab_export.backups.index import Index
from swanlab_export.backups.layout import (
    FORMAT_FILE,
    PROJECTS_FILE,
    RECEIPTS,
    RUN_TABLES,
    SNAPSHOTS,
    UNFINISHED_FILE,
    check_format,
    payload_path,
    receipt_path,
    run_file,
)
from swanlab_export.backups.parquet import count_rows
from swanlab_export.errors import IncompleteError, OutputError, UsageError
from swanlab_export.limits import JOBS
from swanlab_export.messages import argument, quote, shell_word
from swanlab_export.normalizers.rows import build_table

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from os import PathLike

    from swanlab_export.api.connect import Api
    from swanlab_export.api.resource import Output
    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.receipts import Receipt, Row
    from swanlab_export.backups.snapshots import Manifest
    from swanlab_export.files.store_objects import Entry

F = TypeVar("F")
# How many are held at a time: a project may have 100,000 runs.
_RECEIPTS_AT_ONCE = 500
# How many one thread compares before the next one gets some.
_OBJECTS_AT_ONCE = 16
# On this disk, smaller objects come faster from one thread than through a queue to several.
_LARGE_BYTES = 1 << 18
_REPAIRED = "repaired"
_PART = re.compile(r"(\d{1,6})/(\d{1,6})")


class Expected(NamedTuple):
    """What an object must be; ``rows`` and ``sha256`` are None where that is not known."""

    path: str
    size: int
    rows: int | None
    sha256: str | None
    owner: Owner


@dataclass(frozen=True)
class Owner:
    """What an object belongs to: a run, a project, or the whole backup."""

    project_id: str = ""
    folder: str = ""
    run_id: str = ""
    is_gone: bool = False

    def __str__(self) -> str:
        return f"{self.folder}/{self.run_id}" if self.run_id else self.folder


@dataclass(frozen=True)
class Problem:
    """An object that is not as it was written.

    Attributes:
        can_repair: It can be made or fetched again.
        spare: Of a receipt, the text that the index has of it.
    """

    path: str
    owner: Owner
    cause: str
    can_repair: bool = True
    spare: str | None = None


@dataclass
class Compared:
    """How much was compared."""

    objects: int = 0
    rows: int = 0
    hashes: int = 0
    hashed_bytes: int = 0
    has_snapshot: bool = True
    unknown: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = f"; the rows of {self.rows:,}" if self.rows else ""
        hashes = f"; the sha256 of {self.hashes:,} ({self.hashed_bytes / 1e6:,.1f} MB)"
        return (
            f"compared {self.objects:,} objects: whether they are there and their sizes"
            f"{rows}{hashes if self.hashes else '; no bytes were read'}"
        )


def verify(
    output: Output[F],
    folder: str | PathLike[str],
    *,
    read: str | None = None,
    api: Api[Any] | None = None,
    against_server: bool = False,
    repair: bool = False,
    jobs: int = JOBS,
    store_options: Mapping[str, str] | None = None,
) -> F:
    """Which objects of a backup are not as they were written; one row each.

    Args:
        output: What becomes of the table.
        folder: The backup.
        read: ``"all"`` reads every byte; ``"3/30"`` the third of thirty parts, so that in thirty
            nights everything is read once. By default sizes and rows are compared.
        api: A connection to the server, for the next two.
        against_server: Compare each run with the server, too.
        repair: Fetch or write again what is not as it was written.
        jobs: How many objects are read at once.
        store_options: Options of the object store that it is in.

    Raises:
        UsageError: The folder holds no backup, or ``read`` is no part.
        IncompleteError: Another backup writes to the folder.
    """
    chosen = _parse_read(read)
    destination = check_backup(folder, store_options)
    report = output.begin(schemas.BACKUP_VERIFY, is_final=repair)
    checks = _Checks(destination, chosen, jobs)
    problems = checks.run()
    cures: dict[str, str] = {}
    if repair and problems:
        assert api is not None
        # A check alone does not need what a backup does.
        from swanlab_export.backups.repair import Repair

        Repair(api.context, destination, problems, report).run()
        again = {problem.path for problem in _Checks(destination, chosen, jobs).run()}
        cures = {each.path: _REPAIRED for each in problems if each.path not in again}
    failed = "none: a repair did not help, and what is there stays" if repair else None
    rows = [_row(each, destination, cures.get(each.path, failed)) for each in problems]
    if against_server:
        assert api is not None
        from swanlab_export.backups.repair import compare_with_server

        rows += compare_with_server(api.context, destination, report)
    report.hint(str(checks.compared))
    for text in checks.compared.unknown:
        report.warn(text)
    if not checks.compared.has_snapshot:
        # What nobody has written to the end is not whole, however right its objects are.
        why = "no backup has ended here yet: the first is under way, or was interrupted"
        report.fail(destination, IncompleteError(why))
    left = sum(row["cure"] != _REPAIRED for row in rows)
    if left:
        what = "1 object is" if left == 1 else f"{left:,} objects are"
        report.fail(
            destination, IncompleteError(f"{what} not as written: see the causes and cures")
        )
    result = Result(
        lambda: build_table(schemas.BACKUP_VERIFY, rows, report),
        lambda: rows,
        {"command": "backup verify", "path": str(destination)},
    )
    return output.deliver(result, report)


def check_backup(
    folder: str | PathLike[str], store_options: Mapping[str, str] | None = None
) -> Destination:
    """Open a backup, of which anything may be damaged.

    Raises:
        UsageError: There is none.
    """
    destination = open_destination(folder, store_options, called="DEST")
    if destination.find(FORMAT_FILE) is None and not snapshots.list_snapshots(destination):
        check_format(destination, None)
    return destination


def _parse_read(read: str | None) -> Callable[[str], bool]:
    """Say of each path whether its bytes are read.

    Raises:
        UsageError: ``read`` is neither a part nor ``all``.
    """
    if read is None:
        return lambda _: False
    if read == "all":
        return lambda _: True
    found = _PART.fullmatch(read)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"{argument('read')} is all, or a part such as 3/30, not {quote(read)}")
    part, parts = int(found[1]) - 1, int(found[2])
    return lambda path: int(hashlib.sha256(path.encode()).hexdigest()[:12], 16) % parts == part


def _row(problem: Problem, destination: Destination, cure: str | None) -> Row:
    if cure is None or (problem.owner.is_gone and cure != _REPAIRED):
        again = f"`backup verify {shell_word(str(destination))} --repair`"
        cure = f"{again} writes it again" if problem.can_repair else "none: it is lost"
        if problem.owner.is_gone:
            cure = "none: the server no longer has the run"
        elif problem.owner.run_id and problem.can_repair:
            cure = f"{again} fetches the run again"
        elif problem.path.startswith(f"{SNAPSHOTS}/"):
            cure = f"{again} makes a new snapshot: what this one said of its time is lost"
    return {
        "object": problem.path,
        "run": str(problem.owner) or None,
        "cause": problem.cause,
        "cure": cure,
    }


class _Checks:
    """Compares the objects of a backup with what receipts and manifests say of them."""

    def __init__(self, destination: Destination, reads: Callable[[str], bool], jobs: int) -> None:
        self.compared = Compared()
        self._destination = destination
        self._reads = reads
        self._jobs = jobs
        self._held: dict[str, set[str] | None] = {}

    def run(self) -> list[Problem]:
        """All problems, by the paths of their objects."""
        found = {problem.path: problem for problem in self._all()}
        return [found[path] for path in sorted(found)]

    def _all(self) -> Iterator[Problem]:
        manifest = yield from self._manifests()
        folders: dict[str, str] = {}
        if manifest is not None:
            yield from self._compare(_of_manifest(manifest))
            folders = {each["folder"]: each["project_id"] for each in manifest.projects}
        listed = self._receipts()
        for folder in sorted(folders.keys() | listed.keys()):
            yield from self._project(folders.get(folder, ""), folder, listed.pop(folder, []))
        yield from self._kept()

    def _manifests(self) -> Generator[Problem, None, Manifest | None]:
        """Check all snapshots; returns the last manifest, None if it is not as it was written."""
        names = snapshots.list_snapshots(self._destination)
        last: Manifest | None = None
        named: dict[str, Expected] = {}
        for name in names:
            path = f"{SNAPSHOTS}/{name}/manifest.json"
            self.compared.objects += 1
            try:
                last = snapshots.read_manifest(self._destination, name)
            except ValueError as error:
                last = None
                yield Problem(path, Owner(), f"it is not as it was written: {error}")
                continue
            if (before := last.previous) is not None and before not in names:
                yield from self._missing_manifest(before, is_oldest=name == names[0])
            if last.runs is not None:
                named[last.runs] = _expected(last.runs, last.objects[last.runs], Owner())
        yield from self._compare(named.values())
        for path in snapshots.find_unnamed(self._destination, named):
            if path.split("/")[-2] <= max(names, default=""):  # else a backup is under way
                self.compared.unknown.append(f"{path} was not compared: no manifest names it")
        if self._destination.find(UNFINISHED_FILE) is not None:
            self.compared.unknown.append(
                "a backup is under way, or was interrupted: what it has written may be named here, and "
                "is right once it, or the next one, has ended"
            )
        if not names:
            self.compared.has_snapshot = False
        elif last is None:
            self.compared.unknown.append(
                "the tables of projects were not compared: the last manifest cannot be read"
            )
            yield from self._first_files()
        return last

    def _first_files(self) -> Iterator[Problem]:
        """Check what a repair reads first, without the last manifest."""
        # With what asks a server, which a check else does without.
        from swanlab_export.backups.scope import Account

        before = snapshots.last_manifest(self._destination)
        if before is not None:  # this file stays as the first backup wrote it
            about = before.objects[FORMAT_FILE]
            yield from self._compare([_expected(FORMAT_FILE, about, Owner())])
        try:
            Account.read(self._destination)
        except OutputError as error:
            yield Problem(PROJECTS_FILE, Owner(), error.message)

    def _missing_manifest(self, name: str, *, is_oldest: bool) -> Iterator[Problem]:
        """A snapshot that a later one names; those before the oldest may have been removed."""
        if is_oldest:
            told = f"snapshot {name} and those before it are not here: they were removed, or lost"
            self.compared.unknown.append(told)
        else:
            yield Problem(f"{SNAPSHOTS}/{name}/manifest.json", Owner(), "it is missing")

    def _receipts(self) -> dict[str, list[Entry]]:
        """The receipts of each folder of a project, whether or not a manifest names it."""
        found: dict[str, list[Entry]] = {}
        for entry in self._destination.list(RECEIPTS):
            folder = entry.path.removeprefix(f"{RECEIPTS}/").rpartition("/")[0]
            found.setdefault(folder, []).append(entry)
        return found

    def _project(self, project_id: str, folder: str, entries: list[Entry]) -> Iterator[Problem]:
        """Check the receipts of a project, and what they name."""
        index = Index(self._destination, folder, entries)
        unread = index.broken | dict.fromkeys(index.lost, "it is missing")
        for path, why in unread.items():
            owner = _owner(project_id, path, folder)
            yield Problem(path, owner, why, spare=index.spare(path))
        sizes = listed_sizes(self._destination, folder)
        receipts = index.receipts()
        while some := list(islice(receipts, _RECEIPTS_AT_ONCE)):
            expected: list[Expected] = []
            for entry, text, receipt in some:
                owner = Owner(
                    receipt.project_id, folder, receipt.run_id, is_gone=receipt.gone_at is not None
                )
                if self._reads(entry.path) and entry.path not in unread:
                    sizes[entry.path] = entry.size
                    sha256 = hashlib.sha256(text.encode()).hexdigest()
                    expected.append(Expected(entry.path, entry.size, None, sha256, owner))
                else:
                    self.compared.objects += 1
                expected += _of_receipt(receipt, owner)
            yield from self._compare(expected, sizes)
            for each in expected:
                sizes.pop(each.path, None)
        for path in index.broken.keys() - unread.keys():
            yield Problem(path, _owner(project_id, path, folder), index.broken[path])
        unread |= index.broken
        for path in sizes:
            owner = _owner(project_id, path, folder)
            payload = payload_path(folder, owner.run_id)
            if path.startswith("tables/"):
                # Data of a run whose receipt is lost are not removed: they may be all that is left.
                is_lost = payload in sizes or self._was_held(project_id, owner.run_id)
                stray = owner if is_lost else Owner(project_id, folder)
                yield Problem(path, stray, "no receipt names it")
            elif path == payload and (lost := receipt_path(folder, owner.run_id)) not in unread:
                yield Problem(lost, owner, "it is missing")

    def _was_held(self, project_id: str, file: str) -> bool:
        """Say whether a run may have had a receipt, by what its objects are called."""
        if not project_id:  # no manifest tells which project it is
            return True
        if project_id not in self._held:
            try:
                self._held[project_id] = snapshots.find_held(self._destination, project_id)
            except (OSError, ValueError, pa.ArrowException):
                self._held[project_id] = None
        held = self._held[project_id]
        return held is None or file in held

    def _compare(
        self, expected: Iterable[Expected], sizes: Mapping[str, int] | None = None
    ) -> Iterator[Problem]:
        """Compare objects, several at a time; ``sizes`` are those of objects that were listed."""
        found = list(expected)
        is_local = isinstance(self._destination, Folder)

        def judge(part: Iterable[Expected]) -> list[tuple[str, bool, int | None]]:
            return [self._judge(each, sizes or {}) for each in part]

        def has_thread(each: Expected) -> bool:
            return not is_local or (each.size >= _LARGE_BYTES and self._reads(each.path))

        queued = [each for each in found if has_thread(each)]
        at_once = 1 if is_local else _OBJECTS_AT_ONCE
        parts = [queued[i : i + at_once] for i in range(0, len(queued), at_once)]
        with ThreadPoolExecutor(self._jobs) as pool:
            judged = chain.from_iterable(pool.map(judge, parts))
            for each in found:
                one = next(judged) if has_thread(each) else self._judge(each, sizes or {})
                cause, had_rows, read = one
                self.compared.objects += 1
                self.compared.rows += had_rows
                self.compared.hashes += read is not None
                self.compared.hashed_bytes += read or 0
                if cause:
                    yield Problem(each.path, each.owner, cause)

    def _judge(self, expected: Expected, sizes: Mapping[str, int]) -> tuple[str, bool, int | None]:
        """Say what is wrong with an object, whether rows were counted, and how much was read."""
        if cause := self._size_cause(expected, sizes.get(expected.path)):
            return cause, False, None
        if expected.sha256 is not None and self._reads(expected.path):
            # Of the same bytes, the rows are those that were counted when they were written.
            size, sha256 = hash_object(self._destination, expected.path, expected.size)
            cause = "" if sha256 == expected.sha256 else "its bytes are not those that were written"
            return cause, False, size
        has_rows = expected.rows is not None
        return self._rows_cause(expected) if has_rows else "", has_rows, None

    def _size_cause(self, expected: Expected, size: int | None) -> str:
        if size is None:
            entry = self._destination.find(expected.path)
            if entry is None:
                return "it is missing"
            size = entry.size
        if size != expected.size:
            return f"it has {size:,} bytes, not {expected.size:,}"
        return ""

    def _rows_cause(self, expected: Expected) -> str:
        try:
            rows = count_rows(self._destination, expected.path, expected.size)
        except (pa.ArrowException, OSError) as error:
            return f"its footer cannot be read: {quote(str(error))}"
        return "" if rows == expected.rows else f"it has {rows:,} rows, not {expected.rows:,}"

    def _kept(self) -> Iterator[Problem]:
        """Versions that were refused are named after their content."""
        for entry in self._destination.list("state/kept"):
            self.compared.objects += 1
            if self._reads(entry.path):
                name = entry.path.rpartition("/")[2].partition(".")[0]
                if not hash_object(self._destination, entry.path)[1].startswith(name):
                    cause = "its bytes are not those that were written"
                    yield Problem(entry.path, Owner(), cause, can_repair=False)


def _of_receipt(receipt: Receipt, owner: Owner) -> Iterator[Expected]:
    for name, stored in receipt.objects.items():
        if stored.path:
            rows = stored.rows if name in RUN_TABLES else None
            yield Expected(stored.path, stored.bytes, rows, stored.sha256, owner)
    for file in receipt.files:
        yield Expected(file["path"], file["bytes"], None, file["sha256"], owner)


def _of_manifest(manifest: Manifest) -> Iterator[Expected]:
    for path, about in manifest.objects.items():
        if not path.startswith(SNAPSHOTS):
            yield _expected(path, about, Owner())
    for project in manifest.projects:
        owner = Owner(project["project_id"], project["folder"])
        for path, about in project["objects"].items():
            yield _expected(path, about, owner)


def _expected(path: str, about: dict[str, Any], owner: Owner) -> Expected:
    return Expected(path, about["bytes"], about.get("rows"), about["sha256"], owner)


def _owner(project_id: str, path: str, folder: str) -> Owner:
    return Owner(project_id, folder, run_file(path, folder))
