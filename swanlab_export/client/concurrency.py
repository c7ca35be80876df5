"""Permits for requests in flight; concurrent work, in the context of its caller.

In a copy of the context, messages name arguments as the interface of the caller does.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from swanlab_export._version import __title__
from swanlab_export.client.calls import hold_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


# How many bytes of responses a concurrent map may hold, roughly: in memory they take a few times more.
AHEAD_BYTES = 8 * 1024**2
_received_bytes = contextvars.ContextVar("received_bytes", default=0)
# A download whose bytes are not read for so long lends its permit to a request that waits for one.
_LENDING_S = 0.5


class Permits:
    """Permits for requests in flight.

    A download keeps its permit until its last byte, for until then the server is busy with it. But
    the reader of a download may have to send another request before it reads on, and several
    downloads may be read in turn: so a download that is not read lends its permit after a moment,
    and waits for one again before it is read on.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._unread: dict[Permit, float] = {}  # since when its download has not been read
        self._changed = threading.Condition()

    @contextmanager
    def hold(self) -> Iterator[Permit]:
        """Hold a permit."""
        permit = Permit(self)
        self.take()
        try:
            yield permit
        finally:
            self.give_back(permit)

    def take(self) -> None:
        """Wait for a permit."""
        with self._changed:
            while not self._free:
                longest = min(self._unread, key=self._unread.__getitem__, default=None)
                left_s = None
                if longest is not None:
                    left_s = self._unread[longest] + _LENDING_S - time.monotonic()
                    if left_s <= 0:
                        del self._unread[longest]
                        longest.is_lent = True
                        return
                self._changed.wait(left_s)
            self._free -= 1

    def give_back(self, permit: Permit) -> None:
        """Free a permit, unless it was lent."""
        with self._changed:
            self._unread.pop(permit, None)
            self._free += not permit.is_lent
            self._changed.notify()

    def pause(self, permit: Permit) -> None:
        """Allow a permit to be lent."""
        with self._changed:
            self._unread[permit] = time.monotonic()
            self._changed.notify()

    def resume(self, permit: Permit) -> None:
        """Have a permit again, waiting for one if it was lent."""
        with self._changed:
            self._unread.pop(permit, None)
        if permit.is_lent:
            self.take()
            permit.is_lent = False


class Permit:
    """A permit that is held; ``is_lent`` while another request has it."""

    def __init__(self, permits: Permits) -> None:
        self.is_lent = False
        self._permits = permits

    @contextmanager
    def unused(self) -> Iterator[None]:
        """Allow it to be lent within the block; who gives up there need not have it again."""
        self._permits.pause(self)
        yield
        self._permits.resume(self)


def map_concurrently(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    jobs: int,
    ahead_bytes: int = AHEAD_BYTES,
) -> Iterator[_Result]:
    """Yield the results of ``work`` in the order of the items; the first error ends it.

    Its threads end with the iteration, or with the call where that is left in its middle.

    At most two items for each job are taken ahead, so that the results of an endless list never
    pile up; and fewer where responses are large, so that together they hold about
    ``ahead_bytes``. How large they are is known from the last ones, at first from the one that the
    caller received: that is the first page of a list.
    """
    pending: deque[tuple[Future[_Result], contextvars.Context]] = deque()
    sizes = deque([_received_bytes.get()], jobs)
    most = jobs

    def next_result() -> _Result:
        future, context = pending.popleft()
        result = future.result()
        sizes.append(context[_received_bytes])
        return result

    pool = ThreadPoolExecutor(jobs, thread_name_prefix=__title__)
    with hold_open(lambda: pool.shutdown(wait=False, cancel_futures=True)):
        for item in items:
            # A context cannot be entered by two threads: each item has its own copy.
            context = contextvars.copy_context()
            context.run(_received_bytes.set, 0)
            pending.append((pool.submit(context.run, work, item), context))
            while len(pending) >= max(1, min(most, ahead_bytes // max(1, *sizes))):
                yield next_result()
                most = 2 * jobs
        while pending:
            yield next_result()


def received(size_bytes: int) -> None:
    """Have a concurrent map know how large a response is that this thread received."""
    _received_bytes.set(size_bytes)


def submit(work: Callable[[], _Result]) -> Callable[..., _Result]:
    """Start ``work`` in the background; the function that is returned waits for its result.

    With ``timeout=`` it waits for at most so many seconds, and raises TimeoutError then.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix=__title__)
    future = pool.submit(contextvars.copy_context().run, work)
    pool.shutdown(wait=False)
    return future.result
