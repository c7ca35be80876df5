"""A dataset in format 1, such as a backup or the sample data, read only as far as is asked for.

Paths of objects are found in its index and never computed. Names and slugs of the runs of a project
are held in memory, and where the objects of each run are: about 500 bytes per run. Payloads, points
and lines are read from the objects of the run that they belong to.

A backup may be renewed while it is served. What was read is kept only as long as its object is the
same, so that each table of a run is of one version, and the next request sees what a backup wrote.

What was read is compared with the checksums that a backup holds: those of the pages of tables, and
the sha256 of payloads and files. What differs, and what is missing, is an error that names the object.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

FORMAT = 1
_ABOUT = "swanlab-backup.json"
_PROJECTS = "state/projects.json"
_ACCOUNTS = "accounts.json"
_SNAPSHOTS = "state/snapshots/"
_MANIFEST = "/manifest.json"
# There while a backup is under way, and after one that was interrupted.
_UNFINISHED = "state/unfinished.json"
_DATA_COLUMNS = ("payload", "metrics", "logs", "medias")
_RUN_COLUMNS = ("run_id", "slug", "root_exp_id", *_DATA_COLUMNS, "gone_at", "complete", "receipt")

# What reading an object that is missing, cut off or otherwise damaged raises.
_UNREADABLE = (OSError, ValueError, LookupError, pa.ArrowException)

Points = dict[str, pa.Array]
_Parsed = TypeVar("_Parsed")


class DatasetError(ValueError):
    """What was to be served is not a dataset that can be served; the message says why."""


class DamagedError(DatasetError):
    """An object of a dataset is not as it was written.

    Attributes:
        what: What is wrong with which object.
        cure: What can help.
    """

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}: {cure}")
        self.what = what
        self.cure = cure


class MissingError(DamagedError):
    """An object of a dataset is missing."""


class Source(Protocol):
    """Where the objects of a dataset are."""

    def list(self, prefix: str) -> Sequence[str]:
        """The paths of the objects whose paths begin with ``prefix``."""

    def read(self, path: str) -> bytes:
        """The bytes of an object; FileNotFoundError where there is none."""

    def open(self, path: str) -> BinaryIO:
        """An object as a file that can be read from any place."""

    def version(self, path: str) -> str:
        """Another text once an object may be another one; FileNotFoundError where there is none.

        Of a folder, whose path ends in ``/``: once its last member may be another one.
        """


class Folder:
    """The objects of a dataset in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def __repr__(self) -> str:
        return str(self._root)

    def list(self, prefix: str) -> Sequence[str]:
        """The paths of the files whose paths begin with ``prefix``."""
        below = self._root / prefix.rpartition("/")[0]
        found = (path for path in below.rglob("*") if path.is_file())
        paths = sorted(path.relative_to(self._root).as_posix() for path in found)
        return [path for path in paths if path.startswith(prefix)]

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        return self._find(path).read_bytes()

    def open(self, path: str) -> BinaryIO:
        """A file, open."""
        return self._find(path).open("rb")

    def version(self, path: str) -> str:
        """What the system says of a file, or of the last member of a folder."""
        found = self._find(path)
        if path.endswith("/"):
            found /= max((entry.name for entry in os.scandir(found)), default="")
        about = found.stat()
        return f"{found.name} {about.st_ino} {about.st_mtime_ns} {about.st_size}"

    def _find(self, path: str) -> Path:
        parts = PurePath(path)
        if parts.anchor or ".." in parts.parts:  # of a dataset that somebody else has made
            raise FileNotFoundError(path)
        return self._root / path


@dataclass(frozen=True)
class Run:
    """One run, and the paths of the objects that hold its data; None where it has none.

    Attributes:
        gone_at: Since when its server no longer has it.
        complete: Nothing of it is missing.
        receipt: What says what is missing, and what its objects must be.
    """

    run_id: str
    project_id: str
    payload: str | None = None
    metrics: str | None = None
    logs: str | None = None
    medias: str | None = None
    gone_at: str | None = None
    complete: bool = True
    receipt: str | None = None

    @property
    def has_data(self) -> bool:
        """Whether it has points, lines or media of its own."""
        return any((self.metrics, self.logs, self.medias))


class Index(Sequence[Run]):
    """The runs of one project, the newest first."""

    def __init__(self, project_id: str, table: pa.Table) -> None:
        self._project_id = project_id
        self._columns = {name: table[name].combine_chunks() for name in table.column_names}

    def __len__(self) -> int:
        return len(self._columns["run_id"])

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        found = {name: column[place].as_py() for name, column in self._columns.items()}
        del found["slug"], found["root_exp_id"]
        return Run(project_id=self._project_id, **found)

    def find(self, name: str, *columns: str) -> Run | None:
        """The first run that has ``name`` in one of the columns."""
        for column in columns:
            place = pc.index(self._columns[column], name).as_py()
            if place >= 0:
                found: Run = self[place]
                return found
        return None


class Dataset:
    """A dataset in format 1.

    Raises:
        DatasetError: It is none, it is in a newer format, or its first backup has not ended.
        DamagedError: What it begins with cannot be read; so it is with all that is read later.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.RLock()
        self._indexes: dict[str, tuple[str | None, Index]] = {}
        self.about = self._check_format()
        self._contents_version = self._version(_PROJECTS)
        found = self._json(_PROJECTS)
        if found is None:
            raise DatasetError(f"{source!r} is incomplete: no backup into it has ended")
        self.contents: dict[str, Any] = found
        self.accounts: dict[str, Any] | None = self._json(_ACCOUNTS)
        # Payloads can have hundreds of KB, and points tens of MB.
        self._payload = lru_cache(maxsize=32)(self._read_payload)
        self._points = lru_cache(maxsize=8)(self._read_points)
        self._levels = lru_cache(maxsize=4)(self._read_levels)
        self._medias = lru_cache(maxsize=32)(self._read_medias)
        self._manifest = lru_cache(maxsize=1)(self._read_manifest)

    def cure(self, option: str = "") -> str:
        """What helps where an object is missing or damaged."""
        return f"`backup verify {self._source!r} --repair{option}` can help"

    def refresh(self) -> bool:
        """Read again what there is beside runs, where it may be another; says whether it is."""
        with self._lock:
            version = self._version(_PROJECTS)
            if version == self._contents_version:
                return False
            contents = self._json(_PROJECTS)
            if contents is None:  # it was removed, and what was read is all that is known
                return False
            self._contents_version, self.contents = version, contents
            return True

    def version(self, path: str | None) -> str | None:
        """Another text once an object may be another one; None where there is none."""
        return None if path is None else self._version(path)

    def is_loaded(self, project_id: str) -> bool:
        """Whether the runs of a project have been asked for."""
        return project_id in self._indexes

    def runs(self, project_id: str, path: str | None) -> Index:
        """The runs of a project, from its index at ``path``."""
        with self._lock:
            version = self.version(path)
            known, index = self._indexes.get(project_id, (None, None))
            if index is None or version != known:
                index = Index(project_id, self._read_index(None if version is None else path))
                self._indexes[project_id] = version, index
            return index

    def payload(self, run: Run) -> dict[str, Any]:
        """What the server sent about a run: run, listed, summary, columns and keys."""
        if run.payload is None:
            return {}
        return self._payload(run.payload, self._version(run.payload), run.receipt)

    def keys(self, run: Run) -> list[str]:
        """The keys that a run has points of, in order."""
        if run.metrics is None:
            return []
        found: list[str] = self._table(
            run.metrics, lambda file: pc.unique(file.read(["key"])["key"]).to_pylist()
        )
        return found

    def points(self, run: Run, key: str) -> Points | None:
        """The points of a key in step order: step, value, timestamp, and text for words."""
        if run.metrics is None:
            return None
        return self._points(run.metrics, self._version(run.metrics), key)

    def line_count(self, run: Run) -> int:
        """How many lines the log of a run has."""
        if run.logs is None:
            return 0
        count: int = self._table(run.logs, lambda file: file.metadata.num_rows)
        return count

    def lines_above(self, run: Run, low: Sequence[str]) -> npt.NDArray[np.int64]:
        """The places of the log lines whose level is not one of ``low``."""
        if run.logs is None or not low:
            return np.arange(self.line_count(run))
        levels = self._levels(run.logs, self._version(run.logs))
        return np.flatnonzero(~pc.is_in(levels, pa.array(low)).to_numpy(False))

    def lines(self, run: Run, places: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """The log lines at ``places``, which are in order, as the server sends them."""
        if run.logs is None or not len(places):
            return []
        table = self._table(run.logs, lambda file: _take(file, places))
        times = table["timestamp"].cast(pa.int64()).to_pylist()
        names = [name for name in table.column_names if name not in {"project_id", "run_id"}]
        return [_line(*each) for each in zip(table.select(names).to_pylist(), times, strict=True)]

    def medias(self, run: Run) -> list[dict[str, Any]]:
        """The media items of a run: key, step, item, path, caption, text, file and more."""
        return [] if run.medias is None else self._medias(run.medias, self._version(run.medias))

    def missing(self, run: Run) -> list[str]:
        """What of a run is not in the backup though it was asked for, in words."""
        if run.complete or run.receipt is None:
            return []
        found: list[str] = self._parse(run.receipt, lambda content: _load(content)["missing"])
        return found

    @property
    def failed(self) -> dict[str, list[str]]:
        """What failed in the last backup, by the path of its run or project, and why."""
        failed: dict[str, list[str]] = {}
        for text in self._manifest(self._version(_SNAPSHOTS)).get("failed", []):
            path, _, why = text.partition(": ")
            failed.setdefault(path, []).append(why)
        return failed

    def is_begun(self, index: str) -> bool:
        """Whether a project has no index yet, since its first backup has not ended."""
        if self._version(index) is not None:
            return False
        projects = self._manifest(self._version(_SNAPSHOTS)).get("projects", [])
        if any(index in each["objects"] for each in projects):
            raise MissingError(f"{index} is missing", self.cure())
        return True

    def file(self, item: dict[str, Any]) -> bytes:
        """The bytes of the file of a media item."""
        return self._parse(item["file"], lambda content: content, item["sha256"])

    def _check_format(self) -> dict[str, Any]:
        about = self._json(_ABOUT)
        found = about.get("format") if isinstance(about, dict) else None
        if not isinstance(found, int):
            raise DatasetError(f"{self._source!r} is not a backup: it has no {_ABOUT}")
        if found > FORMAT:
            raise DatasetError(
                f"{self._source!r} is a backup in format {found}, and this version reads format "
                f"{FORMAT}: a newer version is needed"
            )
        assert isinstance(about, dict)
        return about

    def _json(self, path: str) -> Any:
        """What an object says; None where it is not there."""
        try:
            return self._parse(path, _load)
        except MissingError:
            return None

    def _version(self, path: str) -> str | None:
        try:
            return self._source.version(path)
        except FileNotFoundError:
            return None

    def _parse(
        self, path: str, parse: Callable[[bytes], _Parsed], sha256: str | None = None
    ) -> _Parsed:
        """What is made of the bytes of an object, which have this sha256 where that is known."""

        def read() -> _Parsed:
            content = self._source.read(path)
            if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
                raise ValueError("its sha256 is another one")
            return parse(content)

        return self._try(path, read)

    def _table(self, path: str, read: Callable[[pq.ParquetFile], _Parsed]) -> _Parsed:
        """What is read of a table."""

        def read_open() -> _Parsed:
            with (
                self._source.open(path) as stream,
                pq.ParquetFile(stream, page_checksum_verification=True) as file,
            ):
                return read(file)

        return self._try(path, read_open)

    def _try(self, path: str, read: Callable[[], _Parsed], *, is_again: bool = False) -> _Parsed:
        """What is read of an object; it is read again in case a backup has just replaced it.

        Raises:
            DamagedError: It is missing, or not as it was written.
        """
        try:
            return read()
        except FileNotFoundError:
            raise MissingError(f"{path} is missing", self.cure()) from None
        except _UNREADABLE as error:
            if is_again:
                why = " ".join(str(error).split())
                # What is as long as it was is found only by a check that reads it.
                cure = self.cure(" --read all")
                raise DamagedError(f"{path} cannot be read: {why}", cure) from None
        return self._try(path, read, is_again=True)

    def _read_index(self, path: str | None) -> pa.Table:
        if path is None:
            return pa.table({name: pa.array([], pa.string()) for name in _RUN_COLUMNS})
        table = self._table(path, lambda file: file.read(list(_RUN_COLUMNS)))
        gone_at = table["gone_at"]
        if pa.types.is_timestamp(gone_at.type):
            gone_at = _iso(gone_at)
        return table.set_column(table.schema.get_field_index("gone_at"), "gone_at", gone_at)

    # What follows is kept as long as the version of an object is the same.

    def _read_manifest(self, version: str | None) -> dict[str, Any]:
        """What the last backup has left, as it says; empty where none has ended."""
        del version
        paths = [path for path in self._source.list(_SNAPSHOTS) if path.endswith(_MANIFEST)]
        found: dict[str, Any] = self._parse(max(paths), _load) if paths else {}
        return found

    def _read_payload(self, path: str, version: str | None, receipt: str | None) -> dict[str, Any]:
        del version
        try:
            return self._read_checked(path, receipt)
        except DamagedError:
            if self._json(_UNFINISHED) is None:  # else a backup may have ended in this moment
                return self._read_checked(path, receipt)
        # A backup writes a payload first and then its receipt: until it has ended they may differ.
        return self._read_checked(path, None)

    def _read_checked(self, path: str, receipt: str | None) -> dict[str, Any]:
        sha256 = None
        if receipt is not None:
            with suppress(DamagedError):  # without its hash, a payload can still be read
                sha256 = self._parse(receipt, _hash_of_payload)
        found: dict[str, Any] = self._parse(path, _unpack, sha256)
        return found

    def _read_points(self, path: str, version: str | None, key: str) -> Points | None:
        del version
        table = self._table(path, lambda file: _read_groups_of(file, key))
        table = table.filter(pc.equal(table["key"], key)).combine_chunks()
        if not table.num_rows:
            return None
        points = {name: table[name].combine_chunks() for name in ("step", "value", "text")}
        return points | {"timestamp": table["timestamp"].cast(pa.int64()).combine_chunks()}

    def _read_levels(self, path: str, version: str | None) -> pa.ChunkedArray:
        del version
        return self._table(path, lambda file: file.read(["level"])["level"])

    def _read_medias(self, path: str, version: str | None) -> list[dict[str, Any]]:
        del version
        items: list[dict[str, Any]] = self._table(path, lambda file: file.read().to_pylist())
        return items


def _load(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise ValueError("it is not JSON") from None


def _hash_of_payload(receipt: bytes) -> str:
    return str(_load(receipt)["objects"]["payload"]["sha256"])


def _unpack(packed: bytes) -> Any:
    return _load(pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read())


def _read_groups_of(file: pq.ParquetFile, key: str) -> pa.Table:
    """The row groups that can have points of a key."""
    column = file.schema_arrow.get_field_index("key")
    groups = [
        number
        for number in range(file.num_row_groups)
        if _can_hold(file.metadata.row_group(number).column(column).statistics, key)
    ]
    return file.read_row_groups(groups, ["key", "step", "value", "timestamp", "text"])


def _take(file: pq.ParquetFile, places: npt.NDArray[np.int64]) -> pa.Table:
    """The rows at ``places``, which are in order; only their row groups are read."""
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    ends = np.cumsum(sizes)
    groups = np.unique(np.searchsorted(ends, places, side="right"))
    table = file.read_row_groups(groups.tolist())
    # Where each place lies among the row groups that were read.
    starts = np.concatenate([[0], np.cumsum(np.array(sizes)[groups])[:-1]])
    group_of = np.searchsorted(ends, places, side="right")
    offsets = places - (ends - np.array(sizes))[group_of]
    return table.take(pa.array(starts[np.searchsorted(groups, group_of)] + offsets))


def _line(row: dict[str, Any], time_ms: int | None) -> dict[str, Any]:
    """A log line as the server sends it."""
    more = row.pop("more", None)
    rest = json.loads(more) if more else {}
    return {"epoch": row.pop("line"), **row, "timestamp": time_ms, **rest}


def _iso(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Format times, which are UTC, without asking for the rules of their zone: Windows has none."""
    text = times.cast(pa.timestamp(times.type.unit)).cast(pa.string())
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    return pc.binary_join_element_wise(text, "Z", "")


def _can_hold(statistics: Any, key: str) -> bool:
    """Whether a row group can have points of a key; those without statistics can."""
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= key <= statistics.max)
