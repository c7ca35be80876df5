"""Concurrent work, in the context of its caller: messages name arguments as its interface does."""

from __future__ import annotations

import contextvars
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from swanlab_export._version import __title__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_concurrently(
    work: Callable[[_Item], _Result], items: Iterable[_Item], jobs: int
) -> Iterator[_Result]:
    """Yield the results of ``work`` in the order of the items; the first error ends it.

    At most two items for each job are taken ahead, so that the results of an endless list never
    pile up.
    """
    pending: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix=__title__)
    try:
        for item in items:
            # A context cannot be entered by two threads: each item has its own copy.
            pending.append(pool.submit(contextvars.copy_context().run, work, item))
            if len(pending) >= 2 * jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def submit(work: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start ``work`` in the background; the function that is returned waits for its result."""
    pool = ThreadPoolExecutor(1, thread_name_prefix=__title__)
    future = pool.submit(contextvars.copy_context().run, work)
    pool.shutdown(wait=False)
    return future.result
