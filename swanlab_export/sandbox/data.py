"""What a sandbox serves: recorded runs from files, and what is created while it runs."""

from __future__ import annotations

import json
import threading
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Points = dict[str, pa.Array]
_METRICS = pa.schema(
    {
        "run_id": pa.string(),
        "key": pa.string(),
        "step": pa.int64(),
        "value": pa.float64(),
        "timestamp": pa.int64(),
    }
)
_LOGS = pa.schema(
    {
        "run_id": pa.string(),
        "epoch": pa.int64(),
        "level": pa.string(),
        "tag": pa.string(),
        "message": pa.string(),
        "timestamp": pa.int64(),
    }
)


def default_folder() -> Path:
    """The sample data: inside an installed package, else in the checkout."""
    installed = Path(__file__).parent / "_sample_data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "sample_data"


class Data:
    """One folder of recorded data; points and logs are read when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.RLock()
        self._folder = folder
        self.users: list[dict[str, Any]] = self._json("users.json")
        self.workspaces: list[dict[str, Any]] = self._json("workspaces.json")
        self.projects: list[dict[str, Any]] = self._json("projects.json")
        self.runs: list[dict[str, Any]] = self._lines("runs.jsonl")
        self.columns: list[dict[str, Any]] = self._lines("columns.jsonl")
        self.media: list[dict[str, Any]] = self._lines("media.jsonl")
        self.run_by_id = {run["cuid"]: run for run in self.runs}
        self._created: list[tuple[list[dict[str, Any]], dict[str, Any]]] = []
        self._table = cache(self._read_table)
        self._slice = cache(self._read_slice)

    def reset(self) -> None:
        """Remove the users and projects that were created."""
        with self.lock:
            for items, created in self._created:
                items.remove(created)
            self._created.clear()

    def add_user(self, user: dict[str, Any]) -> bool:
        """Create a user; False if the name is taken."""
        with self.lock:
            return self.user(user["username"]) is None and self._add(self.users, user)

    def add_project(self, project: dict[str, Any]) -> bool:
        """Create a project; False if the name is taken."""
        with self.lock:
            found = self.project(project["workspace"], project["name"])
            return found is None and self._add(self.projects, project)

    def _add(self, items: list[dict[str, Any]], created: dict[str, Any]) -> bool:
        items.append(created)
        self._created.append((items, created))
        return True

    def user(self, username: str) -> dict[str, Any] | None:
        """Find a user."""
        return next((user for user in self.users if user["username"] == username), None)

    def workspace(self, username: str) -> dict[str, Any] | None:
        """Find a workspace."""
        return next((space for space in self.workspaces if space["username"] == username), None)

    def project(self, workspace: str, name: str) -> dict[str, Any] | None:
        """Find a project."""
        return next(
            (p for p in self.projects if (p["workspace"], p["name"]) == (workspace, name)), None
        )

    def runs_of(self, project_id: str) -> list[dict[str, Any]]:
        """The runs of a project, newest first."""
        found = [run for run in self.runs if run["projectId"] == project_id]
        return sorted(found, key=lambda run: str(run["createdAt"]), reverse=True)

    def run(self, project_id: str, name: str) -> dict[str, Any] | None:
        """Find a run by its id or slug."""
        return next(
            (r for r in self.runs_of(project_id) if name in (r["cuid"], r.get("slug"))), None
        )

    def keys(self, run_id: str) -> list[str]:
        """The scalar keys of a run, in order."""
        run = self.run_by_id.get(run_id)
        if run is None:
            return []
        return sorted(pc.unique(self._of_run("metrics", run)["key"]).to_pylist())

    def media_keys(self, run_id: str) -> list[str]:
        """The media keys of a run, in order."""
        return sorted({item["key"] for item in self.media if item["runId"] == run_id})

    def points(self, run_id: str, key: str) -> Points | None:
        """The points of a key: step, value and timestamp, in step order."""
        run = self.run_by_id.get(run_id)
        if run is None:
            return None
        table = self._of_run("metrics", run)
        table = table.filter(pc.equal(table["key"], key))
        if table.num_rows == 0:
            return None
        return {n: table[n].combine_chunks() for n in ("step", "value", "timestamp")}

    def log(self, run_id: str) -> list[dict[str, Any]]:
        """The lines of a run's console log."""
        run = self.run_by_id.get(run_id)
        if run is None:
            return []
        lines: list[dict[str, Any]] = self._of_run("logs", run).drop_columns(["run_id"]).to_pylist()
        return lines

    def media_file(self, project_id: str, run_id: str, path: str) -> bytes | None:
        """The bytes of a media file; nothing outside of the folder."""
        root = (self._folder / "media").resolve()
        file = (root / project_id / run_id / path).resolve()
        return file.read_bytes() if file.is_relative_to(root) and file.is_file() else None

    def _of_run(self, kind: str, run: dict[str, Any]) -> pa.Table:
        with self.lock:
            return self._slice(kind, run["projectId"], run["cuid"])

    def _read_slice(self, kind: str, project_id: str, run_id: str) -> pa.Table:
        table = self._table(kind, project_id)
        return table.filter(pc.equal(table["run_id"], run_id))

    def _read_table(self, kind: str, project_id: str) -> pa.Table:
        path = self._folder / kind / f"{project_id}.parquet"
        if path.is_file():
            table = pq.read_table(path)
            plain = [
                pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
                for f in table.schema
            ]
            return table.cast(pa.schema(plain))
        return (_METRICS if kind == "metrics" else _LOGS).empty_table()

    def _json(self, name: str) -> Any:
        return json.loads((self._folder / name).read_text(encoding="utf-8"))

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self._folder / name
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
