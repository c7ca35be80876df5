"""A dataset in format 1, such as a backup or the sample data, read only as far as is asked for.

Paths of objects are found in its index and never computed. Names and slugs of the runs of a project
are held in memory, and where the objects of each run are: about 400 bytes per run. Payloads, points
and lines are read from the objects of the run that they belong to.

A backup may be renewed while it is served. What was read is kept only as long as its object is the
same, so that each table of a run is of one version, and the next request sees what a backup wrote.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

FORMAT = 1
_ABOUT = "swanlab-backup.json"
_PROJECTS = "state/projects.json"
_ACCOUNTS = "accounts.json"
_SNAPSHOTS = "state/snapshots/"
_MANIFEST = "/manifest.json"
_DATA_COLUMNS = ("payload", "metrics", "logs", "medias")
_RUN_COLUMNS = ("run_id", "slug", "root_exp_id", *_DATA_COLUMNS, "gone_at", "complete", "receipt")

Points = dict[str, pa.Array]


class DatasetError(ValueError):
    """What was to be served is not a dataset that can be served; the message says why."""


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
        receipt: Of a run of which something is missing, what says so.
    """

    run_id: str
    project_id: str
    payload: str | None = None
    metrics: str | None = None
    logs: str | None = None
    medias: str | None = None
    gone_at: str | None = None
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
        self._failures = lru_cache(maxsize=1)(self._read_failures)

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
        return {} if run.payload is None else self._payload(run.payload, self._version(run.payload))

    def keys(self, run: Run) -> list[str]:
        """The keys that a run has points of, in order."""
        if run.metrics is None:
            return []
        with self._parquet(run.metrics) as file:
            found: list[str] = pc.unique(file.read(["key"])["key"]).to_pylist()
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
        with self._parquet(run.logs) as file:
            count: int = file.metadata.num_rows
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
        with self._parquet(run.logs) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            groups = np.unique(np.searchsorted(ends, places, side="right"))
            table = file.read_row_groups(groups.tolist())
        # Where each place lies among the row groups that were read.
        starts = np.concatenate([[0], np.cumsum(np.array(sizes)[groups])[:-1]])
        group_of = np.searchsorted(ends, places, side="right")
        offsets = places - (ends - np.array(sizes))[group_of]
        table = table.take(pa.array(starts[np.searchsorted(groups, group_of)] + offsets))
        times = table["timestamp"].cast(pa.int64()).to_pylist()
        names = [name for name in table.column_names if name not in {"project_id", "run_id"}]
        return [_line(*each) for each in zip(table.select(names).to_pylist(), times, strict=True)]

    def medias(self, run: Run) -> list[dict[str, Any]]:
        """The media items of a run: key, step, item, path, caption, text, file and more."""
        return [] if run.medias is None else self._medias(run.medias, self._version(run.medias))

    def missing(self, run: Run) -> list[str]:
        """What of a run is not in the backup though it was asked for, in words."""
        found: list[str] = [] if run.receipt is None else self._json(run.receipt)["missing"]
        return found

    @property
    def failed(self) -> dict[str, str]:
        """What failed in the last backup, by the path of its run or project, and why."""
        return self._failures(self._version(_SNAPSHOTS))

    def read(self, path: str) -> bytes | None:
        """The bytes of an object; None where it is not there."""
        try:
            return self._source.read(path)
        except FileNotFoundError:
            return None

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
        found = self.read(path)
        try:
            return None if found is None else json.loads(found)
        except ValueError:
            raise DatasetError(f"{self._source!r}: {path} is not JSON") from None

    def _version(self, path: str) -> str | None:
        try:
            return self._source.version(path)
        except FileNotFoundError:
            return None

    @contextmanager
    def _parquet(self, path: str) -> Iterator[pq.ParquetFile]:
        with self._source.open(path) as stream, pq.ParquetFile(stream) as file:
            yield file

    def _read_index(self, path: str | None) -> pa.Table:
        if path is None:
            return pa.table({name: pa.array([], pa.string()) for name in _RUN_COLUMNS})
        with self._parquet(path) as file:
            table = file.read(list(_RUN_COLUMNS))
        gone_at = table["gone_at"]
        if pa.types.is_timestamp(gone_at.type):
            gone_at = _iso(gone_at)
        # Of runs that are whole, no receipt is asked for.
        receipt = pc.if_else(table["complete"], None, table["receipt"])
        for name, column in (("gone_at", gone_at), ("receipt", receipt)):
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table.drop_columns("complete")

    # What follows is kept as long as the version of an object is the same.

    def _read_failures(self, version: str | None) -> dict[str, str]:
        del version
        paths = [path for path in self._source.list(_SNAPSHOTS) if path.endswith(_MANIFEST)]
        manifest = self._json(max(paths)) if paths else {}
        texts = (text.partition(": ") for text in manifest.get("failed", []))
        return {path: why for path, _, why in texts}

    def _read_payload(self, path: str, version: str | None) -> dict[str, Any]:
        del version
        packed = pa.BufferReader(self._source.read(path))
        found: dict[str, Any] = json.loads(pa.CompressedInputStream(packed, "zstd").read())
        return found

    def _read_points(self, path: str, version: str | None, key: str) -> Points | None:
        del version
        with self._parquet(path) as file:
            column = file.schema_arrow.get_field_index("key")
            groups = [
                number
                for number in range(file.num_row_groups)
                if _can_hold(file.metadata.row_group(number).column(column).statistics, key)
            ]
            table = file.read_row_groups(groups, ["key", "step", "value", "timestamp", "text"])
        table = table.filter(pc.equal(table["key"], key)).combine_chunks()
        if not table.num_rows:
            return None
        points = {name: table[name].combine_chunks() for name in ("step", "value", "text")}
        return points | {"timestamp": table["timestamp"].cast(pa.int64()).combine_chunks()}

    def _read_levels(self, path: str, version: str | None) -> pa.ChunkedArray:
        del version
        with self._parquet(path) as file:
            return file.read(["level"])["level"]

    def _read_medias(self, path: str, version: str | None) -> list[dict[str, Any]]:
        del version
        with self._parquet(path) as file:
            items: list[dict[str, Any]] = file.read().to_pylist()
        return items


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
