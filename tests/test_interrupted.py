"""Stopped at any moment: the old file or the new one, whole, and nothing else."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METRICS = ["run", "metrics", "-p", "ada-lab/digits", "--keys", "loss,acc", "--all"]
LIST = ["run", "list", "ada-lab/sweep", "--all"]
MEDIA = ["run", "medias", "ada-lab/digits/mlp-long", "--keys", "val/confusion", "--all"]
# The first moments are those of start-up, the last ones are after the end.
MOMENTS_S = [0.0, 0.05, 0.1, *(random.Random(7).uniform(0.15, 0.9) for _ in range(9))]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """A server that takes its time, so that there is something to interrupt."""
    with Sandbox(faults=parse_faults(["latency=40ms"])) as sandbox:
        yield sandbox


def start(server: Sandbox, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command that saves to ``out.parquet``."""
    access = ["--host", server.url, "--api-key", server.api_key, "-q"]
    command = [sys.executable, "-m", "swanlab_export", "api", *words, "--save", "out.parquet"]
    return subprocess.Popen([*command, *access], cwd=folder, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("moment_s", MOMENTS_S)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_moment(
    number: signal.Signals, code: int, moment_s: float, server: Sandbox, tmp_path: Path
) -> None:
    """Ctrl-C and SIGTERM leave the old file, or came too late and the new one is whole."""
    words = METRICS if moment_s * 1000 % 2 < 1 else LIST
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    process = start(server, tmp_path, *words)
    time.sleep(moment_s)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"], said
    # Before Python itself has begun, the signal simply kills.
    assert process.returncode in {0, code, -number}, said
    if process.returncode == 0:
        assert pq.read_metadata(out).num_rows > 100
    else:
        assert out.read_bytes() == b"old"
        assert moment_s < 0.1 or "Traceback" not in said


@pytest.mark.parametrize("moment_s", MOMENTS_S[4:8])
def test_an_interrupted_download_leaves_no_files(
    moment_s: float, server: Sandbox, tmp_path: Path
) -> None:
    """Media come all or none, and the folder keeps what was in it."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    process = start(server, tmp_path, *MEDIA, "--download", "media")
    time.sleep(moment_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    left = sorted(path.name for path in folder.rglob("*") if path.is_file())
    if process.returncode == 0:
        assert len(left) == 7
    else:
        assert process.returncode == 130, said
        assert left == ["mine.txt"]
        assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_no_room_to_wait_in(server: Sandbox, tmp_path: Path) -> None:
    """Where the temporary folder takes nothing, the message says so and the old file stays."""
    (tmp_path / "out.parquet").write_bytes(b"old")
    limit = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        "from swanlab_export.cli import main; main()"
    )
    access = ["--host", server.url, "--api-key", server.api_key, "--save", "out.parquet"]
    done = subprocess.run(
        [sys.executable, "-c", limit, "api", *METRICS, *access],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "larger than is allowed" in done.stderr
    assert (tmp_path / "out.parquet").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
