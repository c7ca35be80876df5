"""What a sandbox was asked, and how many requests were in flight."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any


@dataclass
class Recorded:
    """One request, and its response's status and end.

    Attributes:
        started: When its first byte came, by ``time.monotonic``.
        ended: When the last part of its response was handed to the socket; 0 before.
    """

    origin: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    started: float
    ended: float = 0.0
    status: int = 0


class InFlight:
    """One request that counts as in flight until ``end`` is called."""

    def __init__(self, traffic: Traffic, period: int) -> None:
        self.started = time.monotonic()
        self.record: Recorded | None = None
        self._traffic = traffic
        self._period = period
        self._is_over = False

    def end(self) -> None:
        """Stop counting the request; more calls do nothing."""
        if self._is_over:
            return
        self._is_over = True
        if self.record is not None:
            self.record.ended = time.monotonic()
        self._traffic.leave(self._period)


class Traffic:
    """Counts and records the requests of both origins."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._period = 0
        self.reset()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Wait until no request is in flight; says whether it came to that."""
        with self._lock:
            return self._lock.wait_for(lambda: self._in_flight == 0, timeout_s)

    def reset(self) -> None:
        """Forget everything; requests that are in flight now are not counted any more."""
        with self._lock:
            self._period += 1
            self._in_flight = 0
            self.max_in_flight = 0
            self.requests: list[Recorded] = []
            self.leaks: list[Recorded] = []

    def begin(self) -> InFlight:
        """Count a request whose first byte has come."""
        with self._lock:
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
            return InFlight(self, self._period)

    def leave(self, period: int) -> None:
        """Count a request no more, unless ``reset`` was called since it began."""
        with self._lock:
            if period == self._period:
                self._in_flight -= 1
                self._lock.notify_all()

    def record(self, request: Recorded, *, is_leak: bool) -> None:
        """Keep a request, and name it a leak if it carried credentials where none belong."""
        with self._lock:
            self.requests.append(request)
            if is_leak:
                self.leaks.append(request)
