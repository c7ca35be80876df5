"""Generated runs of any size, for benchmarks and tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swanlab_export.sandbox.data import Data, Points

if TYPE_CHECKING:
    from pathlib import Path

_CREATED = "2026-01-01T00:00:00.000Z"
_CREATED_MS = 1_767_225_600_000
_SHAPE = re.compile(r"n(\d{1,8})k(\d{1,3})")
# How many runs each generated project has; ``bench`` has one for every shape that is asked for.
_RUNS = {"bench": 0, "many40": 40, "list2000": 2000, "list100000": 100_000}
_MANY_STEPS = 5000


class SyntheticData(Data):
    """The recorded data, and the workspace ``synthetic`` beside them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.workspaces.append(
            {
                "username": "synthetic",
                "name": "Synthetic",
                "type": "TEAM",
                "comment": "generated",
                "members": {user["username"]: "OWNER" for user in self.users},
                "profile": {},
            }
        )
        for name in _RUNS:
            self.projects.append(
                {
                    "cuid": f"synthetic-{name}",
                    "name": name,
                    "workspace": "synthetic",
                    "visibility": "PUBLIC",
                    "description": "",
                    "labels": [],
                    "createdAt": _CREATED,
                    "updatedAt": _CREATED,
                }
            )

    def runs_of(self, project_id: str) -> Sequence[dict[str, Any]]:  # type: ignore[override]
        """The runs of a project; generated ones are made when they are read."""
        name = project_id.removeprefix("synthetic-")
        return _Runs(name, _RUNS[name]) if name in _RUNS else super().runs_of(project_id)

    def run(self, project_id: str, name: str) -> dict[str, Any] | None:
        """Find a run; one of ``bench`` is generated from its name."""
        if project_id == "synthetic-bench":
            return _run("bench", name) if _SHAPE.fullmatch(name) else None
        if project_id.startswith("synthetic-"):
            number = name.rpartition("-")[2]
            return _run(project_id.removeprefix("synthetic-"), name) if number.isdigit() else None
        return super().run(project_id, name)

    def keys(self, run_id: str) -> list[str]:
        """The keys of a run."""
        if shape := _SHAPE.fullmatch(run_id):
            return [f"k{i}" for i in range(int(shape[2]))]
        return ["acc", "loss"] if run_id.startswith("many40-") else super().keys(run_id)

    def points(self, run_id: str, key: str) -> Points | None:
        """The points of a key."""
        if key not in self.keys(run_id):
            return None
        if shape := _SHAPE.fullmatch(run_id):
            return _points(int(shape[1]), key)
        if run_id.startswith("many40-"):
            return _points(_MANY_STEPS, key)
        return super().points(run_id, key)


class _Runs(Sequence[dict[str, Any]]):
    """A list whose runs are generated when they are read."""

    def __init__(self, project: str, count: int) -> None:
        self._project = project
        self._range = range(count)

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [_run(self._project, f"{self._project}-{i}") for i in self._range[place]]
        return _run(self._project, f"{self._project}-{self._range[place]}")


def _run(project: str, run_id: str) -> dict[str, Any]:
    number = sum(map(ord, run_id))
    return {
        "cuid": run_id,
        "slug": None,
        "name": run_id,
        "type": "CHAPTER",
        "description": None,
        "show": True,
        "state": "FINISHED",
        "labels": [],
        "cluster": None,
        "job": None,
        "user": {"username": "ada", "name": "Ada"},
        "rootProId": None,
        "rootExpId": None,
        "createdAt": _CREATED,
        "updatedAt": _CREATED,
        "finishedAt": _CREATED,
        "projectId": f"synthetic-{project}",
        "profile": {"config": {f"p{i}": number * i / 7 for i in range(10)} | {"seed": number}},
    }


@lru_cache(maxsize=64)
def _points(count: int, key: str) -> Points:
    steps = np.arange(count)
    # Digits as a real loss has them, at the price of one multiplication.
    values = ((steps * 2654435761 + len(key) + ord(key[-1])) % 1_000_003) / 1_000_003
    return {
        "step": pa.array(steps),
        "value": pa.array(values),
        "timestamp": pa.array(_CREATED_MS + steps * 100),
    }
