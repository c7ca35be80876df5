"""Who does the units of a backup: threads, processes, a Dask cluster, or an executor of the caller.

Units in other processes connect with the key of their own environment, and write into the
destination themselves. Before anything starts, each worker writes a probe that this process reads;
who joins later shows before its first unit what it can do (``workers.py``).
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import queue
import re
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from swanlab_export._version import __title__, __version__
from swanlab_export.backups.destination import write_object
from swanlab_export.backups.layout import TEMPORARY
from swanlab_export.backups.workers import Place, Probe, elsewhere, write_probe
from swanlab_export.errors import OutputError, UnavailableError, UsageError
from swanlab_export.files.stores import interruptible
from swanlab_export.limits import TIMEOUT_S
from swanlab_export.messages import argument, printable, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swanlab_export.backups.destination import Destination

T = TypeVar("T")
# A unit that ends its process so often is left out.
_ATTEMPTS = 3
_PROCESSES_MAX = 256
_CLOSE_S = 20
# What a probe may take where the destination is slow.
_PROBE_S = 120
# How often one looks whether a cluster still has workers, while nothing comes from it.
LOOK_EVERY_S = 2.0
_ON = re.compile(r"processes:(?P<count>\d{1,4})|dask:(?P<address>[a-z]+://\S+)")


@contextmanager
def open_executor(on: str, timeout_s: float = TIMEOUT_S) -> Iterator[Executor]:
    """Open what ``--on`` names, and close it at the end.

    Args:
        on: ``processes:N`` or ``dask:tcp://host:port``.
        timeout_s: How long to wait for the scheduler of a cluster, in seconds.

    Raises:
        UsageError: It is neither, or Dask is missing.
        UnavailableError: The scheduler of the cluster cannot be reached.
    """
    found = _ON.fullmatch(on.strip())
    if found is None:
        raise UsageError(
            f"{argument('on')} is processes:N or dask:tcp://HOST:PORT, not {quote(on)}"
        )
    if found["address"]:
        with _open_dask(found["address"], timeout_s) as executor:
            yield executor
        return
    count = int(found["count"])
    if not 1 <= count <= _PROCESSES_MAX:
        raise UsageError(f"{argument('on')} processes:N: N is 1 to {_PROCESSES_MAX}")
    with Processes(count) as processes:
        yield processes


@contextmanager
def _open_dask(address: str, timeout_s: float) -> Iterator[Executor]:
    if find_spec("distributed") is None:
        raise UsageError(f"{argument('on')} dask:… needs another library: pip install distributed")
    # Only for those who have a cluster: it takes a while to import.
    distributed: Any = import_module("distributed")
    # It logs a traceback where a scheduler goes away; what we say of it is one line. Some of its
    # loggers have a level of their own.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in {"distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # Of versions that differ: the probe checks those which matter.
            warnings.simplefilter("ignore")
            # What listens there may be no scheduler, and never respond as one.
            client = interruptible(
                lambda: _connect(distributed, address, timeout_s), within_s=2 * timeout_s
            )
    except (ValueError, TypeError) as error:
        raise UsageError(f"{argument('on')} {quote(address)}: {printable(str(error))}") from None
    except TimeoutError:
        raise UnavailableError(
            f"{argument('on')}: what listens at {quote(address)} does not respond as a Dask "
            "scheduler: is it the port of its pages?"
        ) from None
    except OSError as error:
        raise UnavailableError(
            f"{argument('on')}: the Dask scheduler {quote(address)} cannot be reached: {error}"
        ) from None
    try:
        yield client.get_executor(pure=False, retries=_ATTEMPTS)
    finally:
        client.close(timeout=_CLOSE_S)


def _connect(distributed: Any, address: str, timeout_s: float) -> Any:
    """Connect to a scheduler."""
    # A client that nobody closed is ended by the garbage collector. If that happens while this one
    # starts, in the same thread, both wait for a lock of the library for ever: so it happens before.
    gc.collect()
    return distributed.Client(address, timeout=timeout_s, set_as_default=False)


class Cluster(Executor):
    """The workers of a Dask cluster, but those which have shown that they cannot do units.

    Args:
        executor: Of the library, as ``distributed.Client.get_executor`` gives it.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._client: Any = getattr(executor, "_client", None)
        self._left_out: set[str] = set()
        self._chosen: WeakKeyDictionary[Future[Any], set[str]] = WeakKeyDictionary()

    def submit(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a worker do something."""
        if not self._left_out:
            return self._executor.submit(work, *args, **kwargs)
        chosen = self.workers()
        future = self._executor.submit(work, *args, workers=sorted(chosen), **kwargs)
        self._chosen[future] = chosen
        return future

    @property
    def is_restricted(self) -> bool:
        """Some of its workers were left out."""
        return bool(self._left_out)

    def run(self, work: Callable[..., T], /, *args: Any, timeout_s: float) -> dict[str, Any]:
        """Have each worker do something; returns by address what it returned, or its error.

        Raises:
            TimeoutError: One did not do it in time.
        """
        return interruptible(
            lambda: self._client.run(work, *args, on_error="return"), within_s=timeout_s
        )

    def workers(self) -> set[str]:
        """The addresses of the workers that may do units."""
        return {*self._client.nthreads()} - self._left_out

    def leave_out(self, worker: str) -> None:
        """Have a worker do nothing of what is submitted from now on."""
        self._left_out.add(worker)

    def stranded(self, futures: Iterable[Future[T]]) -> list[Future[T]]:
        """Those of ``futures`` that wait for workers which are all gone: others may have come."""
        workers = self.workers()
        return [each for each in futures if workers.isdisjoint(self._chosen.get(each, workers))]

    def wait_for_worker(self, timeout_s: float, announce: Callable[[str, float], None]) -> None:
        """Return as soon as there is a worker, which is announced where it takes a while.

        Args:
            timeout_s: How long to wait, in seconds.
            announce: Says what is waited for, and for how many seconds.

        Raises:
            UnavailableError: There is none in time.
        """
        until: float | None = None
        but = " but those that were left out" if self._left_out else ""
        while not self.workers():
            if until is None:
                until = time.monotonic() + timeout_s
                said = f"the cluster has no worker{but}: waiting {timeout_s:.0f} s for one"
                announce(said, timeout_s)
            elif time.monotonic() >= until:
                raise UnavailableError(
                    f"the cluster had no worker{but} for {timeout_s:.0f} s: start one, and try "
                    f"again, or wait longer with {argument('timeout')}"
                )
            time.sleep(min(LOOK_EVERY_S, timeout_s))


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
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Have this process end when its parent does, however that ends: else it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def end() -> None:
        connection.wait([sentinel])
        os._exit(1)  # a unit may be ended at any step

    threading.Thread(target=end, daemon=True).start()


def is_remote(executor: Executor | None) -> bool:
    """Say whether units run in other processes."""
    return executor is not None and not isinstance(executor, ThreadPoolExecutor)


def adopt(executor: Executor | None) -> Executor | None:
    """The executor that a caller gave; of one of Dask, it is known which workers there are."""
    is_cluster = hasattr(executor, "_client") and not isinstance(executor, Cluster)
    return Cluster(executor) if executor is not None and is_cluster else executor


def check_workers(
    executor: Executor,
    place: Place,
    destination: Destination,
    timeout_s: float,
    announce: Callable[[str, float], None],
) -> None:
    """Have each worker write a probe into the destination, and read it here.

    Args:
        executor: Has the workers: all of a cluster are asked, one of any other executor.
        place: What they have to reach.
        destination: The place as this process reaches it.
        timeout_s: How long to wait for the first worker of a cluster, in seconds.
        announce: Says what is waited for, and for how many seconds.

    Raises:
        OutputError: A worker has no key, another version, or another destination; names it.
        UnavailableError: A cluster has no worker.
    """
    write_object(destination, place.probe, place.token.encode())
    try:
        for probe in _run_probes(executor, place, timeout_s, announce):
            _check(probe, place, destination)
    finally:
        for entry in list(destination.list(TEMPORARY)):
            if entry.path.startswith(f"{place.probe}-"):
                destination.remove(entry.path)


def _run_probes(
    executor: Executor,
    place: Place,
    timeout_s: float,
    announce: Callable[[str, float], None],
) -> list[Probe]:
    """Run the probe on each worker of a cluster, else once.

    Raises:
        UnavailableError: There is no worker.
    """
    try:
        if not isinstance(executor, Cluster):
            return [executor.submit(write_probe, place).result()]
        if not executor.workers():  # a cluster may start workers once there is work
            future = executor.submit(write_probe, place)
            executor.wait_for_worker(timeout_s, announce)
            return [future.result(timeout_s + _PROBE_S)]
        found = executor.run(write_probe, place, timeout_s=timeout_s + _PROBE_S)
    except TimeoutError:
        raise UnavailableError(
            f"a worker of the cluster did nothing for {timeout_s + _PROBE_S:.0f} s"
        ) from None
    except UnavailableError:
        raise
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


def _check(probe: Probe, place: Place, destination: Destination) -> None:
    if probe.error:
        raise OutputError(probe.error)
    try:
        content = destination.read(probe.path)
    except FileNotFoundError:
        content = b""
    if content != place.token.encode():
        raise OutputError(f"{probe.worker}{elsewhere(str(destination))}")


def absolute(destination: str) -> str:
    """The destination as a process in another folder names it."""
    return destination if "://" in destination else str(Path(destination).absolute())
