"""Memory stays flat: however many rows there are, and however slowly they can be written."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from swanlab_export.sandbox import Sandbox

# Reports the peak on its way out, when everything that was held has been held.
_MEASURED = (
    "import atexit, resource, sys\n"
    "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    "atexit.register(lambda: sys.stderr.write(f'peak {peak()}\\n'))\n"
    "from swanlab_export.cli import main\n"
    "main()"
)


def peak_mb(server: Sandbox, folder: Path, *words: str) -> float:
    """Run a command in a process of its own; the most memory that it ever held."""
    access = ["--host", server.url, "--api-key", server.api_key, "-q"]
    # A shell in between, for the peak of a process begins with that of the one that made it.
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" "$@"', sys.executable, "-c", _MEASURED, "api", *words, *access],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split("peak ")[1]) / 1024


def test_fifty_times_the_runs_are_no_fifty_times_the_memory(
    server: Sandbox, tmp_path: Path
) -> None:
    """Listing 100,000 runs to Parquet holds little more than listing 2,000."""
    few, many = (
        peak_mb(
            server, tmp_path, "run", "list", f"synthetic/{name}", "--all", "--save", "r.parquet"
        )
        for name in ("list2000", "list100000")
    )
    assert many < few + 50


def test_a_slow_disk_holds_nothing_up_in_memory(server: Sandbox, tmp_path: Path) -> None:
    """While a slow reader takes a million points out of a pipe, they wait on the server."""
    words = ["run", "metrics", "synthetic/bench/n1000000k1", "--keys", "k0", "--all", "--save"]
    fast = peak_mb(server, tmp_path, *words, "fast.csv")
    pipe = tmp_path / "slow.csv"
    os.mkfifo(pipe)
    sizes: list[int] = []

    def read() -> None:
        with pipe.open("rb") as stream:
            while chunk := stream.read(4_000_000):
                sizes.append(len(chunk))
                time.sleep(0.05)

    reader = threading.Thread(target=read)
    reader.start()
    slow = peak_mb(server, tmp_path, *words, "slow.csv")
    reader.join()
    assert sum(sizes) == (tmp_path / "fast.csv").stat().st_size
    assert slow < fast + 30
