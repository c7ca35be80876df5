"""Generated runs of any size, for benchmarks and tests."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from swanlab_export.sandbox.data import Data, Project
from swanlab_export.sandbox.dataset import Points, Run
from swanlab_export.sandbox.summaries import summarize

if TYPE_CHECKING:
    from pathlib import Path

    from swanlab_export.sandbox.dataset import Source

_CREATED = "2026-01-01T00:00:00.000Z"
_CREATED_MS = 1_767_225_600_000
_PREFIX = "synthetic-"
_SHAPE = re.compile(r"n(\d{1,8})k(\d{1,3})")
# How many runs each generated project has; ``bench`` has one for every shape that is asked for.
_RUNS = {
    "bench": 0,
    "many40": 40,
    "many200": 200,
    "many2000": 2000,
    "many100000": 100_000,
    "points1m": 1,
    "points5m": 1,
    "list2000": 2000,
    "list100000": 100_000,
}
# The keys of each of their runs, and how many points a key has.
_LOGGED = {
    "many40": (["acc", "loss"], 5000),
    "many200": (["acc", "loss"], 5000),
    "many2000": (["acc", "loss"], 5000),
    "many100000": (["acc", "loss"], 5000),
    "points1m": ([f"k{i}" for i in range(40)], 25_000),
    "points5m": ([f"k{i}" for i in range(40)], 125_000),
}
# A run of ``bench`` with what is rare: words and truth values, steps that are written as decimals,
# and those that come again after it was resumed; steps, values and texts by key.
_ODD = "odd"
_ODD_POINTS: dict[str, tuple[list[float], list[float | None], list[str | None]]] = {
    "decimal": ([0.0, 1.0, 2.0], [0.5, 0.25, 0.125], [None] * 3),
    "infinite": ([0, 1], [math.inf, -math.inf], [None] * 2),
    "resumed": ([0, 1, 2, 3, 2, 3, 4], [8.0, 7.0, 6.0, 5.0, 6.5, 5.5, 4.5], [None] * 7),
    "words": ([0, 1, 2, 3, 4], [None, None, None, 7.0, 0.5], ["warm", "true", "a, b", None, None]),
}
# What a run of ``bench`` logged as TEXT: as files where the server keeps them as files.
_NOTES = ("The loss falls, slowly.", "It rises again: a smaller learning rate helps.")


class SyntheticData(Data):
    """The recorded data, and the workspace ``synthetic`` beside them."""

    def __init__(self, source: Source | Path) -> None:
        super().__init__(source)
        self._members["synthetic"] = {user["username"]: "OWNER" for user in self.users}

    def _take_contents(self) -> None:
        super()._take_contents()
        space = {"username": "synthetic", "name": "Synthetic", "type": "TEAM"}
        self.workspaces.append(space | {"comment": "generated", "profile": {}})
        for name in _RUNS:
            self.projects.append(Project(_PREFIX + name, "synthetic", name, self._describe(name)))

    def _describe(self, name: str) -> dict[str, Any]:
        return {
            "cuid": _PREFIX + name,
            "name": name,
            "username": "synthetic",
            "path": f"synthetic/{name}",
            "group": {"type": "TEAM", "username": "synthetic", "name": "Synthetic"},
            "visibility": "PUBLIC",
            "description": "",
            "projectLabels": [],
            "_count": {
                "experiments": _RUNS[name],
                "contributors": min(_RUNS[name], 1),
                "collaborators": len(self.users),
                "clones": 0,
            },
            "createdAt": _CREATED,
            "updatedAt": _CREATED,
        }

    def runs_of(self, project_id: str) -> Sequence[Run]:
        """The runs of a project; generated ones are made when they are read."""
        name = project_id.removeprefix(_PREFIX)
        return _Runs(name, _RUNS[name]) if name in _RUNS else super().runs_of(project_id)

    def run(self, project_id: str, name: str) -> Run | None:
        """Find a run; one of ``bench`` is generated from its name."""
        if not project_id.startswith(_PREFIX):
            return super().run(project_id, name)
        is_there = (
            name == _ODD or _SHAPE.fullmatch(name)
            if project_id == _PREFIX + "bench"
            else name.rpartition("-")[2].isdigit()
        )
        return Run(name, project_id) if is_there else None

    def locate(self, run_id: str, *project_ids: Any) -> Run | None:
        """Find a run by its id."""
        is_of_bench = run_id == _ODD or _SHAPE.fullmatch(run_id)
        project = "bench" if is_of_bench else run_id.rpartition("-")[0]
        if project in _RUNS:
            return Run(run_id, _PREFIX + project)
        return super().locate(run_id, *project_ids)

    def payload(self, run: Run) -> dict[str, Any]:
        """A run as a server sends it."""
        return _describe_run(run.run_id) if _is_generated(run) else super().payload(run)

    def listed(self, run: Run) -> dict[str, Any]:
        """A run as a server sends it in a list."""
        return _describe_run(run.run_id) if _is_generated(run) else super().listed(run)

    def keys(self, run: Run) -> list[str]:
        """The keys of a run."""
        if not _is_generated(run):
            return super().keys(run)
        return _logged(run.run_id)[0]

    def points(self, run: Run, key: str) -> Points | None:
        """The points of a key."""
        if not _is_generated(run):
            return super().points(run, key)
        if run.run_id == _ODD:
            return _odd_points(key)
        keys, count = _logged(run.run_id)
        return _points(count, key) if key in keys else None

    def summary(self, run: Run) -> dict[str, Any] | None:
        """The summary of each key; all runs of a generated project have the same."""
        if not _is_generated(run) or run.run_id == _ODD:
            return super().summary(run)
        keys, count = _logged(run.run_id)
        return {key: _summary(count, key) for key in keys}

    def media_keys(self, run: Run) -> list[str]:
        """The media keys of a run."""
        if not _is_generated(run):
            return super().media_keys(run)
        return sorted({item["key"] for item in self.media(run)})

    def media(self, run: Run) -> list[dict[str, Any]]:
        """What a run logged as media: one of ``bench`` two texts."""
        if not _is_generated(run):
            return super().media(run)
        return [
            {"key": "note", "step": step, "data": [_note_path(step)], "more": [{"caption": "note"}]}
            for step in range(len(_NOTES) if _SHAPE.fullmatch(run.run_id) else 0)
        ]

    def media_file(self, run: Run, path: str) -> bytes | None:
        """The bytes of a media file."""
        if not _is_generated(run):
            return super().media_file(run, path)
        files = {_note_path(step): text.encode() for step, text in enumerate(_NOTES)}
        return files.get(path)


def _note_path(step: int) -> str:
    return f"media/text/{step:03d}-0123abcd.txt"


class _Runs(Sequence[Run]):
    """A list whose runs are generated when they are read."""

    def __init__(self, project: str, count: int) -> None:
        self._project = project
        self._range = range(count)

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in self._range[place]]
        return Run(f"{self._project}-{self._range[place]}", _PREFIX + self._project)


def _logged(run_id: str) -> tuple[list[str], int]:
    """The keys of a run, and how many points each has."""
    if run_id == _ODD:
        return list(_ODD_POINTS), 0
    if shape := _SHAPE.fullmatch(run_id):
        return [f"k{i}" for i in range(int(shape[2]))], int(shape[1])
    return _LOGGED.get(run_id.rpartition("-")[0], ([], 0))


def _is_generated(run: Run) -> bool:
    return run.project_id.startswith(_PREFIX)


def _describe_run(run_id: str) -> dict[str, Any]:
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
        "profile": {"config": {f"p{i}": number * i / 7 for i in range(10)} | {"seed": number}},
    }


def _odd_points(key: str) -> Points | None:
    if key not in _ODD_POINTS:
        return None
    steps, values, texts = _ODD_POINTS[key]
    return {
        "step": pa.array(steps),
        "value": pa.array(values, pa.float64()),
        "timestamp": pa.array([_CREATED_MS + 100 * i for i in range(len(steps))]),
        "text": pa.array([text and f'"{text}"' for text in texts], pa.string()),
    }


@lru_cache(maxsize=64)
def _summary(count: int, key: str) -> dict[str, Any]:
    return summarize(_points(count, key))


@lru_cache(maxsize=64)
def _points(count: int, key: str) -> Points:
    steps = np.arange(count)
    # Digits as a real loss has them, at the price of one multiplication.
    values = ((steps * 2654435761 + len(key) + ord(key[-1])) % 1_000_003) / 1_000_003
    if key in {"acc", "loss"}:
        # A loss falls, and is a number of 32 bits; an accuracy counts how many of 10,000 are right.
        loss = 2 * np.exp(-5 * steps / count) + 0.1 + values / 20
        values = loss.astype(np.float32).astype(float)
        values = np.round((1 - values / 2.2) * 10_000) / 10_000 if key == "acc" else values
    return {
        "step": pa.array(steps),
        "value": pa.array(values),
        "timestamp": pa.array(_CREATED_MS + steps * 100),
    }
