"""A dataset is read as far as is asked for, and no further."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sandbox_tiny import INDEX, LOG, Caller, column, write_json, write_payload, write_tiny

from swanlab_export.sandbox import Sandbox
from swanlab_export.sandbox.dataset import Dataset, Folder, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MANY = 100_000


class Watched:
    """A folder that notes which objects are read, and how many bytes of each."""

    def __init__(self, root: Path) -> None:
        self._folder = Folder(root)
        self.read_bytes: dict[str, int] = {}

    def list(self, prefix: str) -> Sequence[str]:
        """The paths below ``prefix``."""
        return self._folder.list(prefix)

    def read(self, path: str) -> bytes:
        """An object, noted."""
        found = self._folder.read(path)
        self._note(path, len(found))
        return found

    def open(self, path: str) -> BinaryIO:
        """An object, whose reads are noted."""
        with self._folder.open(path) as stream:
            name = stream.name
        watched = self

        class Noted(io.BufferedReader):
            def read(self, size: int | None = -1, /) -> bytes:
                found = super().read(size)
                watched._note(path, len(found))
                return found

        return Noted(io.FileIO(name))

    def version(self, path: str) -> str:
        """What tells whether an object is another one, which reads nothing of it."""
        return self._folder.version(path)

    def _note(self, path: str, count: int) -> None:
        self.read_bytes[path] = self.read_bytes.get(path, 0) + count

    def taken(self) -> set[str]:
        """The objects that were read since the last call, but the two that every start reads."""
        found = {
            path for path in self.read_bytes if path.startswith(("state/", "tables/", "files/"))
        }
        self.read_bytes.clear()
        return found


@pytest.fixture
def watched(tiny: Path) -> Watched:
    """The tiny dataset, watched."""
    return Watched(tiny)


@pytest.fixture
def caller(watched: Watched) -> Iterator[Caller]:
    """The root user on a sandbox over it, logged in."""
    with Sandbox(watched) as sandbox:
        found = Caller(sandbox)
        assert watched.taken() == {"state/projects.json"}
        yield found
        found.close()


def test_a_project_is_read_without_its_runs(watched: Watched, caller: Caller) -> None:
    """Workspaces and projects need nothing that is about runs."""
    caller.get("/project/team", page=1, size=20)
    caller.get("/project/team/open")
    caller.get("/group/team")
    assert watched.taken() == set()


def test_one_run_reads_its_payload(watched: Watched, caller: Caller) -> None:
    """The index of its project says where it is; no other run is read."""
    caller.get("/project/team/open/runs/first")
    assert watched.taken() == {"state/index/team/open.parquet", "state/payloads/run1.json.zst"}
    caller.get("/project/team/open/runs/run2")
    assert watched.taken() == {"state/payloads/run2.json.zst"}


def test_points_of_one_run_read_its_metrics(watched: Watched, caller: Caller) -> None:
    """Metrics of one run read its object alone, and only the row groups that can have the key."""
    caller.get("/project/team/open/runs/run1")
    watched.taken()
    caller.export("seen")
    assert watched.taken() == {"tables/metrics/run1.parquet"}
    caller.post(
        "/house/metrics/scalar", {"projectId": "pro1", "num": 9, "columns": [column("seen")]}
    )
    assert watched.taken() == set()


def test_lines_and_media_read_their_own_tables(watched: Watched, caller: Caller) -> None:
    """A log reads the table of its lines, media the table of its items and the file itself."""
    caller.get("/project/team/open/runs/run1")
    watched.taken()
    params = {"projectId": "pro1", "experimentId": "run1", "size": 1000, "epoch": 0}
    assert len(caller.get("/house/metrics/log", **params)["logs"]) == len(LOG) - 1
    assert watched.taken() == {"tables/logs/run1.parquet"}
    body = {"prefix": "pro1/run1", "paths": ["pic-3-0.png"]}
    caller.download(caller.post("/resources/presigned/get", body)["urls"][0])
    assert watched.taken() == {"tables/medias/run1.parquet", "files/run1/0.png"}


def test_row_groups_of_other_keys_are_left_out(tmp_path: Path) -> None:
    """Of a large object, a key's points need the row groups that can hold it."""
    keys = np.repeat(["a", "b", "c", "d"], 50_000)
    values = np.random.default_rng(0).random(len(keys))
    times = pa.array(np.arange(len(keys)), pa.timestamp("ms", "UTC"))
    table = pa.table({"key": keys, "step": np.arange(len(keys)), "value": values})
    table = table.append_column("timestamp", times).append_column("text", pa.nulls(len(keys)))
    pq.write_table(table, tmp_path / "m.parquet", row_group_size=50_000, use_dictionary=["key"])
    write_json(tmp_path, "swanlab-backup.json", {"format": 1})
    write_json(tmp_path, "state/projects.json", {})
    watched = Watched(tmp_path)
    points = Dataset(watched).points(Run("r", "p", metrics="m.parquet"), "c")
    assert points is not None
    assert len(points["step"]) == 50_000
    whole = (tmp_path / "m.parquet").stat().st_size
    assert watched.read_bytes["m.parquet"] < whole / 3


def test_what_lies_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    """An index that names a path outside of the dataset finds nothing there."""
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (tmp_path / "data").mkdir()
    folder = Folder(tmp_path / "data")
    for path in ("../secret", str(tmp_path / "secret")):
        with pytest.raises(FileNotFoundError):
            folder.read(path)


def test_a_page_of_many_runs(tmp_path: Path) -> None:
    """Of 100,000 runs, a page reads the payloads of its own runs, and memory stays small."""
    folder = write_tiny(tmp_path)
    write_payload(folder, "state/payloads/one.json.zst", {"run": {"cuid": "x"}, "summary": {}})
    ids = pa.array(f"{number:021}" for number in range(MANY))
    paths = pa.array(f"state/payloads/team/open/{number:021}.json.zst" for number in range(MANY))
    one = pa.repeat("state/payloads/one.json.zst", MANY)
    columns: dict[str, Any] = {name: pa.nulls(MANY, pa.string()) for name in INDEX.names}
    columns |= {"run_id": ids, "metrics": paths, "logs": paths, "medias": paths, "payload": one}
    table = pa.table(columns, schema=INDEX)
    pq.write_table(table, folder / "state/index/team/open.parquet", row_group_size=2000)
    del table, columns, ids, paths, one
    watched = Watched(folder)
    before = pa.total_allocated_bytes()
    with Sandbox(watched) as sandbox:
        caller = Caller(sandbox)
        page = caller.get("/project/team/open/runs", page=MANY // 100, size=100)
        caller.close()
    assert (len(page["list"]), page["total"]) == (100, MANY)
    assert watched.taken() - {"state/projects.json"} == {
        "state/index/team/open.parquet",
        "state/payloads/one.json.zst",
    }
    assert pa.total_allocated_bytes() - before < 60e6


def test_a_clone_whose_original_is_not_there(tmp_path: Path) -> None:
    """A request that names the original alone finds the clone that holds its data."""
    folder = write_tiny(tmp_path)
    path = folder / "state/index/team/open.parquet"
    table = pq.read_table(path)
    names = pa.array(
        ["run1-lost" if run == "run1" else None for run in table["run_id"].to_pylist()]
    )
    place = table.schema.get_field_index("root_exp_id")
    pq.write_table(table.set_column(place, "root_exp_id", names), path)
    with Sandbox(folder) as sandbox:
        caller = Caller(sandbox)
        body = {
            "projectId": "pro9",
            "num": 9,
            "columns": [column("seen", experimentId="run1-lost")],
        }
        found = caller.post("/house/metrics/scalar", body)
        caller.close()
    assert json.dumps(found).count("index") == 2
