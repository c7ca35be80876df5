"""Places in flight, given out in the order in which they are asked for."""

from __future__ import annotations

import threading
from collections import deque


class Slots:
    """A fair semaphore.

    ``threading.Semaphore`` lets the thread that gives a place back take it again before the one
    that waits has woken up: eight busy workers then starve the one request they all depend on.
    Here a place that is given back belongs to whoever has waited longest.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            self._waiting.append(turn)
        try:
            turn.wait()
        except BaseException:
            self._leave(turn)
            raise

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._give_back()

    def _leave(self, turn: threading.Event) -> None:
        """Stop waiting, after Ctrl-C; the place may have come in the same moment."""
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._give_back()

    def _give_back(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._free += 1
