"""Memory stays flat: however many rows there are, and however slowly they can be written."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import pytest
from raw_server import KEY, Asked, RawServer, reply, reply_json, reply_login

if TYPE_CHECKING:
    from pathlib import Path

    from forks import Forks

    from swanlab_export.sandbox import Sandbox

if sys.platform != "linux":
    pytest.skip("memory is measured as Linux counts it", allow_module_level=True)


Measure = Callable[..., float]


@pytest.fixture
def peak_mb(unmeasured_forks: Forks, tmp_path: Path) -> Measure:
    """Run a command in a process of its own: the most memory that it ever held."""

    def measure(server: Sandbox | RawServer, *words: str) -> float:
        key = KEY if isinstance(server, RawServer) else server.api_key
        access = ["--host", server.url, "--api-key", key, "-q"]
        done = unmeasured_forks.run("api", *words, *access, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.peak_mb

    return measure


def test_a_slow_disk_holds_nothing_up_in_memory(
    server: Sandbox, peak_mb: Measure, tmp_path: Path
) -> None:
    """While a slow reader takes a million points out of a pipe, they wait on the server."""
    words = ["run", "metrics", "synthetic/bench/n1000000k1", "--keys", "k0", "--all", "--save"]
    fast = peak_mb(server, *words, "fast.csv")
    pipe = tmp_path / "slow.csv"
    os.mkfifo(pipe)
    sizes: list[int] = []

    def read() -> None:
        with pipe.open("rb") as stream:
            while chunk := stream.read(4_000_000):
                sizes.append(len(chunk))
                time.sleep(0.05)

    # Where the command fails, nobody opens the pipe at its other end.
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    slow = peak_mb(server, *words, "slow.csv")
    reader.join(60)
    assert sum(sizes) == (tmp_path / "fast.csv").stat().st_size
    assert slow < fast + 30


# For each project of a server, how large the profile of a run is, and how many runs there are.
PROJECTS = {
    "small": (100, 100),
    "large": (150_000, 1200),
    "many": (100, 2000),
    "2000": (1000, 2000),
    "40000": (1000, 40_000),
}


_EXTREME = {"index": 3, "data": 0.125}
_ITEM = {
    "step": 9,
    "value": 0.5,
    "min": _EXTREME,
    "max": _EXTREME,
    "avg": 0.25,
    "median": 0.1234567,
    "stdDev": 0.7654321,
}
_SUMMARY = json.dumps({f"key{number}": _ITEM for number in range(50)})


def reply_text(text: str) -> bytes:
    """A response of the API, as text: what repeats in it was made once."""
    return reply(200, text.encode(), {"content-type": "application/json"})


def serve_runs(asked: Asked) -> bytes | None:
    """Respond with pages of 100 runs, and with summaries of 50 keys."""
    if (login := reply_login(asked)) is not None:
        return login
    if asked.path.endswith("/summaries"):
        runs = json.loads(asked.body)["experiments"]
        summaries = ",".join(f'"{run["experimentId"]}":{_SUMMARY}' for run in runs)
        return reply_text(f"{{{summaries}}}")
    if not asked.path.endswith("/runs"):
        return reply_json({"cuid": "p", "path": asked.path.removeprefix("/api/project/")})
    project = asked.path.split("/")[-2]
    size, total = PROJECTS[project]
    page = int(asked.target.partition("page=")[2].partition("&")[0])
    profile = '{"requirements":"' + "x" * size + '"}'
    runs = ",".join(
        f'{{"cuid":"r{number}","createdAt":null,"profile":{profile}}}'
        for number in range((page - 1) * 100, page * 100)
    )
    return reply_text(f'{{"list":[{runs}],"total":{total},"pages":{total // 100},"size":100}}')


@pytest.mark.parametrize("how", ["--save r.parquet", "--raw"])
def test_more_runs_take_no_more_memory(how: str, peak_mb: Measure) -> None:
    """Listing 40,000 runs holds little more than listing 2,000, as a table and as they came."""
    with RawServer(serve_runs) as server:
        few, more = (
            peak_mb(server, "run", "list", f"w/{name}", "--all", *how.split())
            for name in ("2000", "40000")
        )
    assert more < few + 40


@pytest.mark.parametrize(
    ("command", "project", "most_mb"),
    [
        ("run list w/{} --all --save r.parquet", "large", 160),
        ("run list w/{} --all --raw", "large", 160),
        ("run summary -p w/{} --save s.parquet", "many", 65),
        ("run summary -p w/{} --save s.csv", "many", 65),
        ("run summary -p w/{} --format json", "many", 65),
        ("run summary -p w/{} --raw", "many", 65),
    ],
    ids=["large runs", "large runs, raw", "parquet", "csv", "json", "summaries, raw"],
)
def test_large_responses_are_not_held_together(
    command: str, project: str, most_mb: int, peak_mb: Measure
) -> None:
    """180 MB of runs, and the summaries of 2,000 runs with 50 keys, take little more than a few do.

    A page of 15 MB is there three times while it is read: as it came, as the parser copies it, and
    as what it says; and on a busy machine the next one comes meanwhile. How much the libraries take
    depends on the machine, so it is subtracted.
    """
    with RawServer(serve_runs) as server:
        few, many = (peak_mb(server, *command.format(name).split()) for name in ("small", project))
    assert many < few + most_mb


_KEYS = [f"k{number}" for number in range(16)]
_STEPS = 250_000
_POINT = ",0.123456789,1767225600000"


@cache
def _lines(keys: int) -> bytes:
    """The lines of a file of so many keys."""
    return "".join(f"{step}{_POINT * keys}\n" for step in range(_STEPS)).encode()


def reply_file(keys: list[str]) -> bytes:
    """The response with an exported file of some keys."""
    header = ",".join(f"r-{key}_step,r-{key}_timestamp" for key in keys)
    return reply(200, f"step,{header}\n".encode() + _lines(len(keys)))


def serve_exports(asked: Asked) -> bytes | None:
    """Respond with one file of all keys, or with a file of each, as older servers do."""
    if (login := reply_login(asked)) is not None:
        return login
    if asked.path.startswith("/files/"):
        name = asked.path.removeprefix("/files/")
        return reply_file(_KEYS if name == "all" else [name])
    if asked.path.startswith("/api/experiment/"):
        return reply_json({"url": f"/files/{asked.target.partition('=')[2]}"})
    if asked.path == "/api/files/presigned/get":
        return reply_json({"urls": ["/files/all"]})
    if asked.path.startswith("/api/house/metrics/summaries/"):
        return reply_json({"scalar": [{"key": key, "step": _STEPS - 1} for key in _KEYS]})
    if asked.path.startswith("/api/project/"):
        name = asked.path.split("/")[3]
        return reply_json({"cuid": name if asked.path.count("/") == 4 else "r", "createdAt": None})
    if asked.path == "/api/house/metrics/scalar/export" and b'"new"' in asked.body:
        return reply_json({"cosKey": "all"})
    return reply_json({"message": "missing"}, 404)


def test_a_file_per_key_takes_no_more_memory_than_one_of_all(peak_mb: Measure) -> None:
    """The exports that older servers write are read concurrently, and share what one may hold."""
    words = ["--keys", ",".join(_KEYS), "--all", "--save", "x.parquet"]
    with RawServer(serve_exports) as server:
        one, files = (
            peak_mb(server, "run", "metrics", f"{name}/p/r", *words) for name in ("new", "old")
        )
    assert files < one + 40
