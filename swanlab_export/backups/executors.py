"""Who does the units of a backup: threads, processes, a Dask cluster, or an executor of the caller.

Units in other processes connect with the key of their own environment, and write into the
destination themselves. Before anything starts, each worker writes a probe that this process reads.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import queue
import re
import secrets
import socket
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export._version import __title__, __version__
from swanlab_export.backups.destination import open_destination, write_object
from swanlab_export.backups.layout import TEMPORARY
from swanlab_export.errors import (
    AuthenticationError,
    OutputError,
    SwanlabExportError,
    UnavailableError,
    UsageError,
)
from swanlab_export.messages import argument, printable, quote
from swanlab_export.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swanlab_export.backups.destination import Destination

T = TypeVar("T")
# A unit that ends its process so often is left out.
_ATTEMPTS = 3
_PROCESSES_MAX = 256
_CONNECT_S = 20
_ON = re.compile(r"processes:(?P<count>\d{1,4})|dask:(?P<address>[a-z]+://\S+)")


@dataclass(frozen=True)
class Place:
    """Where units write, and which server they ask: what every worker has to reach.

    The key is not here: a worker finds it in its own environment or login file.
    """

    host: str
    destination: str
    store_options: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Probe:
    """What a worker could do; ``error`` is "" where it could do everything."""

    worker: str
    path: str
    python: str
    version: str
    error: str


@contextmanager
def open_executor(on: str) -> Iterator[Executor]:
    """Open what ``--on`` names, and close it at the end.

    Raises:
        UsageError: It is neither ``processes:N`` nor ``dask:tcp://host:port``, or Dask is missing.
        UnavailableError: The scheduler of the cluster cannot be reached.
    """
    found = _ON.fullmatch(on.strip())
    if found is None:
        raise UsageError(
            f"{argument('on')} is processes:N or dask:tcp://HOST:PORT, not {quote(on)}"
        )
    if found["address"]:
        with _open_dask(found["address"]) as executor:
            yield executor
        return
    count = int(found["count"])
    if not 1 <= count <= _PROCESSES_MAX:
        raise UsageError(f"{argument('on')} processes:N: N is 1 to {_PROCESSES_MAX}")
    with Processes(count) as processes:
        yield processes


@contextmanager
def _open_dask(address: str) -> Iterator[Executor]:
    if find_spec("distributed") is None:
        raise UsageError(f"{argument('on')} dask:… needs another library: pip install distributed")
    # Only for those who have a cluster: it takes a while to import.
    distributed: Any = import_module("distributed")
    # It logs a traceback where a scheduler goes away; what we say of it is one line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Of versions that differ: the probe checks those which matter.
            warnings.simplefilter("ignore")
            client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"{argument('on')}: the Dask scheduler {quote(address)} cannot be reached: {error}"
        ) from None
    try:
        yield client.get_executor(pure=False, retries=_ATTEMPTS)
    finally:
        client.close(timeout=_CONNECT_S)


class LostUnitError(BrokenProcessPool):
    """A unit that ended its worker each time, while that did nothing else."""


class Processes(Executor):
    """Processes of this machine, each of which does one unit at a time.

    A process that ends unexpectedly is replaced, and its unit is done again, so that what was lost is known:
    one pool of all processes would lose the units of all of them.
    """

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=__title__)
        self._idle: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(_new_process())

    def submit(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a process do something."""
        return self._threads.submit(self._do, work, *args, **kwargs)

    def _do(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        process = self._idle.get()
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return process.submit(work, *args, **kwargs).result()
                except BrokenProcessPool:
                    process.shutdown(wait=False)
                    process = _new_process()
        finally:
            self._idle.put(process)
        raise LostUnitError(f"its process ended {_ATTEMPTS} times")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes, after what they are doing."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        while not self._idle.empty():
            self._idle.get().shutdown(wait, cancel_futures=cancel_futures)


def _new_process() -> ProcessPoolExecutor:
    # A forked process would have the locks of this one's threads, held by nobody.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def is_remote(executor: Executor | None) -> bool:
    """Say whether units run in other processes."""
    return executor is not None and not isinstance(executor, ThreadPoolExecutor)


def check_workers(executor: Executor, place: Place, destination: Destination) -> None:
    """Have each worker write a probe into the destination, and read it here.

    Raises:
        OutputError: A worker has no key, another version, or another destination; names it.
        UnavailableError: A cluster has no worker.
    """
    token = secrets.token_hex(8)
    try:
        for probe in _run_probes(executor, place, token):
            _check(probe, token, destination)
    finally:
        for entry in list(destination.list(TEMPORARY)):
            if entry.path.startswith(f"{TEMPORARY}/{token}-"):
                destination.remove(entry.path)


def _run_probes(executor: Executor, place: Place, token: str) -> list[Probe]:
    """Run the probe on each worker of a cluster, else once.

    Raises:
        UnavailableError: There is no worker.
    """
    client = getattr(executor, "_client", None)
    try:
        if client is None:
            return [executor.submit(write_probe, place, token).result()]
        found: dict[str, Any] = client.run(write_probe, place, token, on_error="return")
        if not found:  # a cluster may start workers once there is work
            return [executor.submit(write_probe, place, token).result(_CONNECT_S)]
    except TimeoutError:
        raise UnavailableError(
            f"the cluster had no worker for {_CONNECT_S} s: start one, and try again"
        ) from None
    except Exception as error:  # noqa: BLE001  each engine has its own
        raise OutputError(_unfit("a worker", error)) from None
    for worker, probe in found.items():
        if not isinstance(probe, Probe):
            raise OutputError(_unfit(f"the worker {worker}", probe))
    return list(found.values())


def _unfit(worker: str, error: Exception) -> str:
    """What an engine raises for a worker that lacks this package, or cannot read what it is sent."""
    return (
        f"{worker} cannot run {__title__} {__version__}: {type(error).__name__}: "
        f"{printable(str(error))}; install the same version there"
    )


def write_probe(place: Place, token: str) -> Probe:
    """Write a probe into the destination; runs on a worker."""
    worker = f"{socket.gethostname()} (process {os.getpid()})"
    path = f"{TEMPORARY}/{token}-{secrets.token_hex(8)}"
    error = ""
    try:
        load_settings(place.host, None, environ=os.environ, cwd=Path.cwd())
        destination = open_destination(place.destination, dict(place.store_options))
        write_object(destination, path, token.encode())
    except AuthenticationError:
        error = f"there is no API key for {place.host}: set SWANLAB_API_KEY there, or log in there"
    except SwanlabExportError as refused:
        error = refused.message
    return Probe(worker, path, platform.python_version(), __version__, error)


def _check(probe: Probe, token: str, destination: Destination) -> None:
    where = f"the worker on {probe.worker}"
    if probe.error:
        raise OutputError(f"{where}: {probe.error}")
    if probe.version != __version__:
        raise OutputError(
            f"{where} has {__title__} {probe.version}, and this is {__version__}: install the same "
            "version there"
        )
    here, there = (text.rpartition(".")[0] for text in (platform.python_version(), probe.python))
    if here != there:
        raise OutputError(f"{where} runs Python {there}, and this is {here}: use the same there")
    try:
        content = destination.read(probe.path)
    except FileNotFoundError:
        content = b""
    if content != token.encode():
        raise OutputError(
            f"{where} writes to another place than {quote(str(destination))} of this machine: the "
            "destination must be a folder that all share, or an object store"
        )


def absolute(destination: str) -> str:
    """The destination as a process in another folder names it."""
    return destination if "://" in destination else str(Path(destination).absolute())
