"""What a call holds open: threads and connections, closed when it ends, however it ends.

A generator that is left in its middle closes what it holds when Python finds it. After an error,
whose trace leads to that generator, this may be when the garbage collector runs, and then in any
order: first the socket, which warns that nobody closed it, and then what would have closed it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Self

from swanlab_export.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Token


class Call:
    """One call, from its first request on; its threads belong to it, too.

    As a context manager it ends with the block, unless it is kept.

    Attributes:
        has_ended: Nothing more is requested for it.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self._is_kept = False
        self._outer: Token[Call | None] | None = None
        # Without a lock, which a forked process could find held: each step is one of a dict.
        self._open: dict[object, Callable[[], object]] = {}

    def __enter__(self) -> Self:
        self._outer = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._outer is not None
        _current.reset(self._outer)
        if not self._is_kept:
            self.end()

    def keep(self) -> None:
        """Go on after the block, until ``end``."""
        self._is_kept = True

    @contextmanager
    def resumed(self) -> Iterator[None]:
        """Have what is opened within the block belong to this call."""
        outer = _current.set(self)
        try:
            yield
        finally:
            _current.reset(outer)

    def end(self) -> None:
        """Close what is open, the last one first; threads end with what they are waiting for."""
        self.has_ended = True
        with suppress(KeyError):  # nothing is left
            while True:
                self._open.popitem()[1]()

    def add(self, key: object, close: Callable[[], object]) -> None:
        """Have something closed at the end."""
        self._open[key] = close

    def discard(self, key: object) -> None:
        """Forget what was closed."""
        self._open.pop(key, None)


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call | None:
    """The call that this thread works for, None outside of any."""
    return _current.get()


def check_call() -> None:
    """Insist that the call goes on that this thread works for.

    Raises:
        ClosedError: It has ended, so that nobody waits for the result.
    """
    _check(_current.get())


def _check(call: Call | None) -> None:
    if call is not None and call.has_ended:
        raise ClosedError("the call has ended")


@contextmanager
def hold_open(close: Callable[[], object]) -> Iterator[None]:
    """Close something after the block, or when the call ends if that comes first.

    Raises:
        ClosedError: The call has ended.
    """
    call, key = _current.get(), object()
    try:
        if call is not None:
            call.add(key, close)
        _check(call)  # the end may have come before what was added
        yield
        _check(call)  # what was closed by it has not come to an end of its own
    finally:
        if call is not None:
            call.discard(key)
        close()
