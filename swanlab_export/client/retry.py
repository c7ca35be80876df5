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

from swanlab_export.client.session import is_bad_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_AFTER_MAX_S = 120.0
SLOWDOWNS_PER_RETRY = 3
_BASE_S = 0.5
_CAP_S = 30.0
_DAY_S = 86_400.0


def is_transient(status: int) -> bool:
    """Say whether the same request may succeed later.

    501, 505 and 511 are no failures of the moment: the server cannot do it at all, or a network
    wants a login first.
    """
    return status in {408, 425, 429} or (500 <= status < 600 and status not in {501, 505, 511})


def is_transient_failure(error: requests.RequestException) -> bool:
    """Say whether a failed connection may work the next time; a bad certificate will not.

    Other failures of TLS may: a handshake that was cut off, a record damaged on its way.
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
    """Return how long to wait after failed attempt number ``attempt``, from 0, before jitter."""
    return min(_CAP_S, _BASE_S * 2.0**attempt)


def with_jitter(seconds: float) -> float:
    """Spread the waits of many clients; never shorter than half."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311  not a secret


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """Read a Retry-After header, in seconds or as a date; None if it says nothing."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now_s
        except (ValueError, TypeError, OverflowError, OSError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)


def describe_wait(seconds: float) -> str:
    """Format a wait that a server asks for, without hundreds of digits."""
    return f"{seconds:.0f} s" if seconds <= _DAY_S else "more than a day"


@dataclass
class Attempts:
    """What was tried for one request, and whether it may be tried again.

    A failure and a 429 are counted separately: eight workers that share a limit cause each other's
    429 several times in a row while the server works well.
    """

    retries: int
    failures: int = 0
    slowdowns: int = 0

    @property
    def are_spent(self) -> bool:
        """Say whether it is time to give up."""
        return self.failures > self.retries or self.slowdowns > SLOWDOWNS_PER_RETRY * self.retries

    def count(self, status: int | None) -> None:
        """Count an attempt that ended with a status, None for no response."""
        if status == 429:
            self.slowdowns += 1
        else:
            self.failures += 1

    def restart(self) -> None:
        """Count from zero again: the last attempt made progress."""
        self.failures = self.slowdowns = 0

    def wait_s(self, status: int | None, asked_s: float | None) -> float:
        """Return how long to wait before the next attempt, given what the server asks for.

        A server that fails and asks for no wait at all is not followed: it would see all attempts
        within a moment, and nothing will have changed.
        """
        if asked_s is None:
            return with_jitter(backoff_s(max(self.failures, self.slowdowns) - 1))
        if status != 429:
            return max(asked_s, with_jitter(backoff_s(self.failures - 1)))
        if self.slowdowns < 2:
            return asked_s
        # What the server asked for was too short for this request before.
        return max(asked_s, with_jitter(backoff_s(self.slowdowns - 2)))

    def describe(self, status: int | None, wait_s: float, why: str) -> str:
        """Say that the next attempt follows after a wait."""
        number, most = (
            (self.slowdowns, SLOWDOWNS_PER_RETRY * self.retries)
            if status == 429
            else (self.failures, self.retries)
        )
        return f"retrying in {wait_s:.0f} s ({number}/{most}): {status or why}"


class Pause:
    """A pause that all workers keep from the moment when one of them gets a 429."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._until = 0.0
        self._lock = threading.Lock()

    def extend(self, seconds: float) -> None:
        """Pause for ``seconds`` from now, unless the pause is longer already."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """How long the pause still lasts, in seconds."""
        return max(0.0, self._until - time.monotonic())

    def wait(self) -> None:
        """Wait until the pause is over, however often it is extended."""
        while (left := self.left_s) > 0:
            self._sleep(left)
