"""Limits in time that a server cannot extend by sending a few bytes now and then.

The timeout of a socket starts again with each byte. So a deadline shuts the socket down when it
has passed, whatever is being read at that moment: headers, the size of a chunk, or a body.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_BYTES_PER_S = 1024
_IDLE_S = 10.0
_current = threading.local()


class Deadline:
    """One limit in time.

    Attributes:
        sock: The socket that it is for, once there is one.
        has_passed: It has passed, and the socket was shut down.
    """

    def __init__(self, seconds: float, sock: Any = None) -> None:
        self.at = time.monotonic() + seconds
        self.sock = sock
        self.has_passed = False

    def end(self) -> None:
        """Shut the socket down, which ends every read of it."""
        self.has_passed = True
        # A TLS connection within a TLS proxy keeps its socket in an attribute.
        sock = (
            self.sock
            if isinstance(self.sock, socket.socket)
            else getattr(self.sock, "socket", None)
        )
        if sock is not None:
            with suppress(OSError):
                # Not that of SSLSocket, which would read on without TLS.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Watchdog:
    """Ends deadlines that have passed, with one thread that runs while there are any."""

    def __init__(self) -> None:
        self._deadlines: set[Deadline] = set()
        self._changed = threading.Condition()
        self._wakes_at: float | None = None

    @contextmanager
    def limit(self, seconds: float, sock: Any = None) -> Iterator[Deadline]:
        """Limit what is done within to so many seconds.

        Without ``sock``, the limit is for the connection that this thread uses within.
        """
        deadline = Deadline(seconds, sock)
        with self._changed:
            self._deadlines.add(deadline)
            if self._wakes_at is None:
                threading.Thread(target=self._watch, daemon=True).start()
                self._wakes_at = deadline.at
            elif deadline.at < self._wakes_at:
                self._changed.notify()
        _current.deadline = deadline
        try:
            yield deadline
        finally:
            _current.deadline = None
            with self._changed:
                self._deadlines.discard(deadline)

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for deadline in [each for each in self._deadlines if each.at <= now]:
                    self._deadlines.discard(deadline)
                    deadline.end()
                wait_s = min((each.at - now for each in self._deadlines), default=_IDLE_S)
                self._wakes_at = now + wait_s
                if not self._changed.wait(wait_s) and not self._deadlines:
                    self._wakes_at = None
                    return


class Rate:
    """Insists on a minimum of bytes in each window of waiting, from the first bytes on."""

    def __init__(self, window_s: float) -> None:
        self._length_s = window_s
        self._window_s = 0.0
        self._bytes: int | None = None

    def add(self, waited_s: float, count: int) -> None:
        """Count a wait and what it brought.

        Raises:
            TimeoutError: Too few bytes came within a window.
        """
        if self._bytes is None:
            self._bytes = count
            return
        self._window_s += waited_s
        self._bytes += count
        if self._window_s < self._length_s:
            return
        if self._bytes < LEAST_BYTES_PER_S * self._length_s:
            raise TimeoutError("timed out: too few bytes come")
        self._window_s, self._bytes = 0.0, 0


def attach_deadlines(pool: Any) -> None:
    """Have the connections of a pool tell the current deadline which socket they use."""
    # Threads share a pool: what one of them has done already stays as it is.
    pool.ConnectionCls = _watched(pool.ConnectionCls)


def _attach(sock: Any) -> None:
    deadline = getattr(_current, "deadline", None)
    if deadline is not None:
        deadline.sock = sock
        if deadline.has_passed:
            raise TimeoutError("timed out")


class _Watched:
    """A connection that can be ended while its headers are awaited: nothing else reaches it then."""

    sock: Any

    def getresponse(self) -> Any:
        _attach(self.sock)
        return super().getresponse()  # type: ignore[misc]


@cache
def _watched(kind: type) -> type:
    """The same kind of connection (plain, with TLS, through a SOCKS proxy) as a watched one."""
    if issubclass(kind, _Watched):
        return kind
    return type(f"Watched{kind.__name__}", (_Watched, kind), {})
