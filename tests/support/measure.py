"""What a process takes, for benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# The official client has an environment of its own, which `make bench` creates.
OFFICIAL_PYTHON = str(
    Path(__file__).parents[2] / ".venv" / "referees" / "0.10.3" / "bin" / "python"
)
OFFICIAL_LOOP = """
import sys
from swanlab.api import Api
api = Api(api_key=sys.argv[2], host=sys.argv[1])
for run in list(api.runs('synthetic/many40')):
    found = run.metrics(keys=['loss', 'acc'], all=True)
    assert all(len(series['metrics']) == 5000 for series in found['list'])
"""


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(words: list[str], folder: Path, env: dict[str, str]) -> Cost:
    """Run a program and see what it takes, children included."""
    if sys.platform != "linux":
        raise SystemExit("time and memory are measured as Linux counts them")
    began = time.perf_counter()
    process = subprocess.Popen(
        words, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words[:8])} failed:\n{said.decode()[-800:]}")
    wall_s = time.perf_counter() - began
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
