"""When to repeat a request, and how long to wait before it."""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import requests

from swanlab_export.client.failures import is_bad_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
RETRY_AFTER_MAX_S = 120.0
SLOWDOWNS_PER_RETRY = 3
_BASE_S = 0.5
_CAP_S = 30.0


def is_passing(error: requests.RequestException) -> bool:
    """Say whether a failed connection may work the next time; a bad certificate will not.

    Other failures of TLS pass: a handshake that was cut off, a record that was damaged on its way.
    """
    if is_bad_certificate(error):
        return False
    return isinstance(
        error,
        requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError,
    )


def never_arrived(error: requests.RequestException) -> bool:
    """Say whether the request surely did not reach the server: no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    return "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)


def backoff_s(attempt: int) -> float:
    """How long to wait after failed attempt number ``attempt``, from 0, before jitter."""
    return min(_CAP_S, _BASE_S * 2.0**attempt)


def with_jitter(seconds: float) -> float:
    """Spread the waits of many clients; never shorter than half."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311  not a secret


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Read a Retry-After header, in seconds or as a date; None where it says nothing."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now_s
        except (ValueError, TypeError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)


@dataclass
class Attempts:
    """What one request has been through, and whether it may try again.

    A failure and a 429 are counted apart: eight workers that share a limit refuse each other's
    requests by chance, several times in a row, while the server is in the best of health.
    """

    retries: int
    failures: int = 0
    slowdowns: int = 0

    @property
    def are_spent(self) -> bool:
        """Say whether it is time to give up."""
        return self.failures > self.retries or self.slowdowns > SLOWDOWNS_PER_RETRY * self.retries

    def count(self, status: int | None) -> None:
        """Count an attempt that ended with a status, None for no answer."""
        if status == 429:
            self.slowdowns += 1
        else:
            self.failures += 1

    def restart(self) -> None:
        """Forget what was counted: the last attempt got further."""
        self.failures = self.slowdowns = 0

    def wait_s(self, status: int | None, asked_s: float | None) -> float:
        """How long to wait before the next attempt, given what the server asks for.

        A server that fails and asks to come back at once is not believed: it would see all
        attempts within a moment, and nothing will have changed.
        """
        if asked_s is None:
            return with_jitter(backoff_s(max(self.failures, self.slowdowns) - 1))
        if status != 429:
            return max(asked_s, with_jitter(backoff_s(self.failures - 1)))
        if self.slowdowns < 2:
            return asked_s
        # What the server asked for was too short for this request before.
        return max(asked_s, with_jitter(backoff_s(self.slowdowns - 2)))


class Pause:
    """A pause that all workers keep, from the moment that one of them is told to slow down."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._until = 0.0
        self._lock = threading.Lock()

    def extend(self, seconds: float) -> None:
        """Pause for ``seconds`` from now, or longer where somebody already does."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def wait(self) -> None:
        """Wait until the pause is over, however often it is extended."""
        while (left := self._until - time.monotonic()) > 0:
            self._sleep(left)
