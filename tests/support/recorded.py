"""The sample data as they lie in their files, read without our code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2] / "sample_data"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class RecordedRun:
    """One run: its project, what a server sends of it, and its row of the index."""

    path: str
    payload: dict[str, Any]
    columns: Rows
    index: dict[str, Any]

    def read(self, kind: str) -> pa.Table:
        """Its metrics, logs or medias; empty where it has none."""
        path = self.index[kind]
        return pa.table({}) if path is None else pq.read_table(ROOT / path)

    def rows(self, kind: str) -> Rows:
        """The same, as rows."""
        rows: Rows = self.read(kind).to_pylist()
        return rows

    def points(self, key: str) -> Rows:
        """The points of a key."""
        points: Rows = self.read("metrics").filter(pc.field("key") == key).to_pylist()
        return points


def read_json(name: str) -> Any:
    """The content of a file of JSON."""
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


@cache
def recorded_runs() -> tuple[RecordedRun, ...]:
    """Every run of the sample data."""
    found = []
    for project in read_json("state/projects.json")["projects"]:
        path = f"{project['workspace']}/{project['name']}"
        for row in pq.read_table(ROOT / project["index"]).to_pylist():
            with pa.input_stream(str(ROOT / row["payload"]), compression="zstd") as stream:
                sent = json.loads(stream.read())
            found.append(RecordedRun(path, sent["run"], sent["columns"], row))
    return tuple(found)


def recorded_run(path: str) -> RecordedRun:
    """One run, by its project and slug."""
    project, _, slug = path.rpartition("/")
    return next(r for r in recorded_runs() if (r.path, r.payload["slug"]) == (project, slug))
