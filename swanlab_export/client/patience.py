"""How slowly an answer may come: a server that sends a byte a second is given up, too.

The timeout of a socket starts anew with each byte. So every byte of an answer, its headers and its
chunks' sizes included, is read through a stream that also looks at the clock.
"""

from __future__ import annotations

import http.client
import io
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from urllib3 import PoolManager


@dataclass(frozen=True)
class Patience:
    """How long to wait for one answer, besides the wait for its next byte.

    Only the time spent on waiting counts, not what a reader does between two reads.

    Args:
        window_s: From its first byte on, so long a wait must bring ``least_bytes``.
        least_bytes: How many bytes a window must bring, at least.
        total_s: How long all waits may take together.
    """

    window_s: float = math.inf
    least_bytes: int = 0
    total_s: float = math.inf


class Watched(io.RawIOBase):
    """A stream that raises TimeoutError where it comes slower than patience has it."""

    def __init__(self, raw: io.RawIOBase, patience: Patience) -> None:
        super().__init__()
        self._raw = raw
        self._patience = patience
        self._has_begun = False
        self._waited_s = 0.0
        self._window_s = 0.0
        self._window_bytes = 0

    def readable(self) -> bool:
        """Say so: nothing is ever written here."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Read what is there, or wait for the next bytes."""
        began = time.monotonic()
        count = self._raw.readinto(buffer)
        self._note(time.monotonic() - began, count or 0)
        return count

    def _note(self, waited_s: float, count: int) -> None:
        patience = self._patience
        self._waited_s += waited_s
        if self._has_begun:
            self._window_s += waited_s
        self._has_begun = True
        self._window_bytes += count
        is_over = self._window_s >= patience.window_s
        if self._waited_s > patience.total_s or (
            is_over and self._window_bytes < patience.least_bytes
        ):
            # urllib3 makes of it what it makes of the timeout of a socket.
            raise TimeoutError("timed out: too few bytes come")
        if is_over:
            self._window_s, self._window_bytes = 0.0, 0

    def close(self) -> None:
        """Close what is read from."""
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is watched from its first byte on."""

    patience: ClassVar[Patience]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = io.BufferedReader(Watched(self.fp.detach(), self.patience))


def watch(pools: PoolManager, patience: Patience) -> None:
    """Have every answer that comes through these connections watched."""
    answer = type("Answer", (_Answer,), {"patience": patience})
    pools.pool_classes_by_scheme = {
        scheme: _watched(pool, answer) for scheme, pool in pools.pool_classes_by_scheme.items()
    }


def _watched(pool: Any, answer: type[_Answer]) -> Any:
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": answer})
    return type("Pool", (pool,), {"ConnectionCls": connection})
