"""A Dask cluster on this machine: a process with the scheduler, and processes of workers.

Not only imported: a process of its own runs ``main``, so that a cluster can be killed as a whole.
A worker that is killed is started anew, as nannies and Kubernetes do.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONFIG = {
    # The scheduler gives a unit up with the first worker that it loses.
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    # On a busy machine a worker that is started anew takes a while to connect, and is not tried twice.
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "300s",
    # Nor is it given up where it takes longer than the 15 s that it otherwise has.
    "DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1 hour",
}
_START_S = 60


@dataclass
class Cluster:
    """A cluster that runs.

    Attributes:
        address: Of its scheduler.
        web: Where the scheduler's pages are.
        folder: Where its processes run; ``log`` has what they say.
    """

    address: str
    web: str
    folder: Path
    process: subprocess.Popen[str]

    @property
    def log(self) -> str:
        """What the scheduler and the workers said."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def commands(self) -> list[str]:
        """The command lines of its processes, which any user of the machine can see."""
        psutil: Any = import_module("psutil")
        head = psutil.Process(self.process.pid)
        return [" ".join(each.cmdline()) for each in (head, *head.children(recursive=True))]

    def page(self, path: str) -> str:
        """A page of the scheduler, which may be one about an error."""
        return requests.get(self.web + path, timeout=_START_S).text


@contextmanager
def run_cluster(
    folder: Path, *, workers: int = 2, environ: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Start a cluster whose processes have these variables; stop it at the end."""
    # Processes that are killed leave broken coverage data.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    paths = os.pathsep.join([str(Path(__file__).parent), plain.get("PYTHONPATH", "")])
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, str(workers)],
            cwd=folder,
            env=plain
            | _CONFIG
            | {"PYTHONPATH": paths.strip(os.pathsep), "DASK_TEMPORARY_DIRECTORY": str(folder)}
            | dict(environ or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:
            assert process.stdout is not None
            try:
                said = json.loads(process.stdout.readline())
                yield Cluster(said["address"], said["web"], folder, process)
            finally:
                process.kill()  # its workers end with it


def open_client(cluster: Cluster) -> Any:
    """A client of a cluster."""
    from distributed import Client  # takes a while to import

    # One that nobody closed must not end while this one starts: see ``backups/executors.py``.
    gc.collect()
    return Client(cluster.address, set_as_default=False)  # type: ignore[no-untyped-call]


@contextmanager
def join(cluster: Cluster, environ: Mapping[str, str]) -> Iterator[int]:
    """Have one more worker in a cluster, with these variables; yields its process id."""
    words = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with (
        open_client(cluster) as client,
        subprocess.Popen(
            [sys.executable, "-m", "dask", "worker", cluster.address, *words],
            cwd=cluster.folder,
            env=os.environ | {"DASK_TEMPORARY_DIRECTORY": str(cluster.folder)} | dict(environ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as worker,
    ):
        try:
            # By its id: their number also grows when one that was killed before is back.
            deadline = time.monotonic() + _START_S
            while worker.pid not in client.run(os.getpid, on_error="ignore").values():
                assert time.monotonic() < deadline, "the worker did not join"
                time.sleep(0.05)
            yield worker.pid
        finally:
            worker.terminate()  # it says goodbye


def main() -> None:
    """Run a cluster until standard input ends."""
    from distributed import LocalCluster  # takes a while to import

    open_cluster: Any = LocalCluster
    with open_cluster(
        n_workers=int(sys.argv[1]),
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=False,
        local_directory=os.getcwd(),  # noqa: PTH109
    ) as cluster:
        web = f"http://127.0.0.1:{cluster.scheduler.http_server.port}"
        sys.stdout.write(json.dumps({"address": cluster.scheduler_address, "web": web}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
