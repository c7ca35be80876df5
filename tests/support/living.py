"""A server whose runs start, log, end, and are renamed and deleted, by a clock that a test moves."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import pickle
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np
import pyarrow as pa

from swanlab_export.sandbox.data import Data, Project
from swanlab_export.sandbox.dataset import Points, Run
from swanlab_export.sandbox.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

_BEGAN_MS = 1_772_000_000_000  # 2026-02-25T06:13:20Z
_SYSTEM = "__swanlab__"
# What changes of a server while it lives.
_CHANGES = (
    *("now_ms", "users", "workspaces", "projects", "instance", "usage", "listed_users"),
    *("_members", "_runs"),
)


@dataclass
class LivingRun:
    """One run: what the server says of it, and what it has logged."""

    payload: dict[str, Any]
    project_id: str
    points: dict[str, list[tuple[int, float, int]]] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    media: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Of keys of which nothing was logged or lost since they were summarized.
    summaries: dict[str, Any] = field(default_factory=dict)


class _Nothing:
    """A dataset with one user and nothing else."""

    _OBJECTS: ClassVar[dict[str, Any]] = {
        "swanlab-backup.json": {"format": 1},
        "state/projects.json": {"projects": [], "workspaces": []},
        "accounts.json": {
            "users": [
                {
                    "username": "ada",
                    "name": "Ada",
                    "api_key": "ada0123456789abcdefgh",
                    "root": True,
                    "profile": {"bio": "Counts."},
                }
            ],
            "members": {},
        },
    }

    def list(self, prefix: str) -> Sequence[str]:
        """The objects whose paths begin with ``prefix``."""
        return [path for path in self._OBJECTS if path.startswith(prefix)]

    def read(self, path: str) -> bytes:
        """Read an object."""
        if path not in self._OBJECTS:
            raise FileNotFoundError(path)
        return json.dumps(self._OBJECTS[path]).encode()

    def open(self, path: str) -> BinaryIO:
        """Open an object."""
        return io.BytesIO(self.read(path))

    def version(self, path: str) -> str:
        """Always the same."""
        return path


class LivingData(Data):
    """Data that change: a script calls what happens, each at the time of ``now_ms``.

    There is one user, ``ada``, with one workspace, ``lab``.

    Attributes:
        now_ms: The time of the server's clock.
    """

    def __init__(self) -> None:
        super().__init__(_Nothing())
        self.now_ms = _BEGAN_MS
        self._versions = itertools.count()
        self._runs: dict[str, LivingRun] = {}
        self.add_workspace("lab")

    def save(self) -> bytes:
        """All that has happened, for ``restore``."""
        return pickle.dumps({name: getattr(self, name) for name in _CHANGES})

    def restore(self, saved: bytes) -> None:
        """Have everything as it was."""
        self.reset()
        vars(self).update(pickle.loads(saved))

    def version(self, runs: Iterable[Run | None]) -> int:
        """Another number each time: anything may have changed."""
        del runs
        return next(self._versions)

    def now_s(self) -> float:
        """The time that responses carry."""
        return self.now_ms / 1000

    def wait(self, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass."""
        self.now_ms += round((minutes * 60 + hours * 3600 + days * 86_400) * 1000)

    def add_workspace(self, username: str) -> None:
        """Create a workspace."""
        space = {"username": username, "name": username.title(), "type": "TEAM", "comment": ""}
        self.workspaces.append(space | {"profile": {}})
        self._members[username] = {"ada": "OWNER"}

    def add_project(self, name: str, *, workspace: str = "lab", **fields: Any) -> bool:  # type: ignore[override]
        """Create a project; its id is its path, unless ``cuid`` says another one."""
        payload = {
            "cuid": f"{workspace}-{name}",
            "name": name,
            "username": workspace,
            "path": f"{workspace}/{name}",
            "group": {"type": "TEAM", "username": workspace, "name": workspace.title()},
            "visibility": "PRIVATE",
            "description": None,
            "projectLabels": [],
            "_count": {"experiments": 0, "contributors": 1, "collaborators": 1, "clones": 0},
            "createdAt": self._time(),
            "updatedAt": None,
            **fields,
        }
        self.projects.append(Project(payload["cuid"], workspace, name, payload))
        return True

    def rename_project(self, workspace: str, name: str, new: str) -> None:
        """Give a project another name."""
        found = self.project(workspace, name)
        assert found is not None
        changed = {"name": new, "path": f"{workspace}/{new}"}
        place = self.projects.index(found)
        self.projects[place] = Project(found.project_id, workspace, new, found.payload | changed)

    def remove_project(self, workspace: str, name: str) -> None:
        """Delete a project with its runs."""
        found = self.project(workspace, name)
        assert found is not None
        self.projects.remove(found)
        for run_id, run in list(self._runs.items()):
            if run.project_id == found.project_id:
                del self._runs[run_id]

    def start(self, run_id: str, *, project: str = "lab-digits", **fields: Any) -> None:
        """Begin a run."""
        payload = {
            "cuid": run_id,
            "slug": None,
            "name": run_id,
            "type": "CHAPTER",
            "description": None,
            "show": True,
            "state": "RUNNING",
            "labels": [],
            "cluster": None,
            "job": None,
            "user": {"username": "ada", "name": "Ada"},
            "rootProId": None,
            "rootExpId": None,
            "createdAt": self._time(),
            "updatedAt": self._time(),
            "finishedAt": None,
            "profile": {"config": {"lr": 0.1}, "metadata": {"os": "x"}, "requirements": "a==1\n"},
            **fields,
        }
        self._runs[run_id] = LivingRun(payload, project)

    def log(self, run_id: str, step: int, **values: float) -> None:
        """Log a point of each key; ``cpu`` is one of the system's."""
        run = self._runs[run_id]
        for name, value in values.items():
            key = f"{_SYSTEM}.{name}" if name == "cpu" else name
            run.points.setdefault(key, []).append((step, value, self.now_ms + step))
            run.summaries.pop(key, None)
            self._note_column(run, key, "FLOAT")

    def log_many(self, run_id: str, steps: int, *keys: str) -> None:
        """Log the next points of some keys."""
        for key in keys:
            begin = len(self._runs[run_id].points.get(key, []))
            for step in range(begin, begin + steps):
                # As many digits as a real loss has.
                self.log(run_id, step, **{key: ((step * 2_654_435_761) % 1_000_003) / 1_000_003})

    def print_line(self, run_id: str, text: str, level: str = "INFO") -> None:
        """Print a line on the console."""
        lines = self._runs[run_id].lines
        line = {"epoch": len(lines) + 1, "level": level, "message": text, "tag": "train"}
        lines.append(line | {"timestamp": self.now_ms})

    def show(self, run_id: str, key: str, step: int, content: bytes, caption: str = "") -> None:
        """Log an image."""
        run = self._runs[run_id]
        path = f"media/image/{step:03d}-{hashlib.sha256(content).hexdigest()[:8]}.png"
        run.files[path] = content
        more = [{"caption": caption}] if caption else None
        run.media.append({"key": key, "step": step, "data": [path], "more": more})
        self._note_column(run, key, "IMAGE")

    def finish(self, run_id: str, state: str = "FINISHED") -> None:
        """End a run."""
        self.edit(run_id, state=state, finishedAt=self._time())

    def resume(self, run_id: str) -> None:
        """Let a run go on."""
        self.edit(run_id, state="RUNNING", finishedAt=None)

    def edit(self, run_id: str, **fields: Any) -> None:
        """Change what the server says of a run."""
        run = self._runs[run_id]
        run.payload = run.payload | fields

    def edit_config(self, run_id: str, **config: Any) -> None:
        """Change the configuration of a run."""
        profile = self._runs[run_id].payload["profile"]
        self.edit(run_id, profile=profile | {"config": profile["config"] | config})

    def lose_points(self, run_id: str, key: str, count: int) -> None:
        """Lose the last points of a key; none is left where it had no more."""
        points = self._runs[run_id].points
        self._runs[run_id].summaries.pop(key, None)
        points[key] = points[key][:-count]
        if not points[key]:
            del points[key]

    def delete(self, run_id: str) -> None:
        """Delete a run."""
        del self._runs[run_id]

    def move(self, run_id: str, project: str) -> None:
        """Move a run to another project."""
        self._runs[run_id].project_id = project

    def runs_of(self, project_id: str) -> Sequence[Run]:
        """The runs of a project, newest first."""
        found = [run for run in self._runs.values() if run.project_id == project_id]
        found.sort(key=lambda run: str(run.payload["cuid"]))
        found.sort(key=lambda run: str(run.payload["createdAt"]), reverse=True)
        return [Run(run.payload["cuid"], project_id) for run in found]

    def run(self, project_id: str, name: str) -> Run | None:
        """Find a run of a project by its id or slug."""
        runs = self.runs_of(project_id)
        by_slug = (run for run in runs if self._runs[run.run_id].payload["slug"] == name)
        return next((run for run in runs if run.run_id == name), None) or next(by_slug, None)

    def locate(self, run_id: str, *project_ids: Any) -> Run | None:
        """Find a run by its id."""
        del project_ids
        found = self._runs.get(run_id)
        return None if found is None else Run(run_id, found.project_id)

    def payload(self, run: Run) -> dict[str, Any]:
        """A run as the server sends it alone."""
        return self._runs[run.run_id].payload

    def listed(self, run: Run) -> dict[str, Any]:
        """A run as the server sends it in a list: of its profile the configuration alone."""
        payload = self._runs[run.run_id].payload
        return payload | {"profile": {"config": payload["profile"]["config"]}}

    def summary(self, run: Run) -> dict[str, Any] | None:
        """The summary of each key, as it is now."""
        known = self._runs[run.run_id].summaries
        for key in self.keys(run):
            if key not in known and (points := self.points(run, key)) is not None:
                known[key] = summarize(points)
        return {key: known[key] for key in self.keys(run)}

    def latest(self, run: Run) -> None:
        """Found anew with each request."""
        del run

    def columns(self, run: Run) -> list[dict[str, Any]] | None:
        """The columns of a run."""
        return list(self._runs[run.run_id].columns.values())

    def keys(self, run: Run) -> list[str]:
        """The scalar keys of a run."""
        return sorted(self._runs[run.run_id].points)

    def media_keys(self, run: Run) -> list[str]:
        """The media keys of a run."""
        return sorted({item["key"] for item in self.media(run)})

    def points(self, run: Run, key: str) -> Points | None:
        """The points of a key in the order in which they were logged."""
        found = self._runs[run.run_id].points.get(key)
        if not found:
            return None
        steps, values, times = zip(*found, strict=True)
        return {
            "step": pa.array(steps, pa.int64()),
            "value": pa.array(values, pa.float64()),
            "timestamp": pa.array(times, pa.int64()),
        }

    def line_count(self, run: Run) -> int:
        """How many lines the log of a run has."""
        return len(self._runs[run.run_id].lines)

    def lines_above(self, run: Run, low: Sequence[str]) -> npt.NDArray[np.int64]:
        """The places of the log lines whose level is not one of ``low``."""
        lines = self._runs[run.run_id].lines
        return np.array([i for i, line in enumerate(lines) if line["level"] not in low], np.int64)

    def lines(self, run: Run, places: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """The log lines at ``places``."""
        return [self._runs[run.run_id].lines[place] for place in places.tolist()]

    def media(self, run: Run) -> list[dict[str, Any]]:
        """What a run logged as media."""
        return self._runs[run.run_id].media

    def media_file(self, run: Run, path: str) -> bytes | None:
        """The bytes of a media file."""
        return self._runs[run.run_id].files.get(path)

    def _note_column(self, run: LivingRun, key: str, kind: str) -> None:
        origin = "SYSTEM" if key.startswith(_SYSTEM) else "CUSTOM"
        column = {"key": key, "name": key, "class": origin, "type": kind}
        run.columns.setdefault(key, column | {"createdAt": self._time()})

    def _time(self) -> str:
        moment = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
