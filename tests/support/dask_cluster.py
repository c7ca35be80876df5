"""A Dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_START_S = 60
_ATTEMPTS_OF_WORKERS = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}


@dataclass
class Cluster:
    """A cluster that runs."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


@contextmanager
def run_cluster(
    folder: Path, *, workers: int = 2, environ: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Start a cluster, whose workers have these variables; stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # Processes that are killed leave broken coverage data.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with ExitStack() as stack:
        head = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        scheduler = subprocess.Popen(head, cwd=folder, env=plain | _ATTEMPTS_OF_WORKERS, **quiet)
        stack.callback(_end, scheduler)
        words = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory"]
        started = [
            subprocess.Popen(
                [*dask, "worker", address, *words, str(folder / f"worker{number}")],
                cwd=folder,
                env=plain | dict(environ or {}),
                **quiet,
            )
            for number in range(workers)
        ]
        for each in started:
            stack.callback(_end, each)
        _wait(address, workers)
        yield Cluster(address, scheduler, started)


def _wait(address: str, workers: int) -> None:
    from distributed import Client  # takes a while to import

    with Client(address, timeout=_START_S, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(workers, timeout=_START_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
