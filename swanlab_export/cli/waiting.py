"""Progress bars of a command, a line where nothing is shown for a while, and data between both."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Self

from swanlab_export.progress import Bar, Progress, TqdmProgress, cleared_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import ReadableBuffer

_QUIET_S = 2.0


class VisibleProgress(Progress):
    """Draws bars; names and keys are looked up without one, and a slow server makes that long.

    Args:
        say: Prints a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._bars = TqdmProgress()
        self._say = say
        self._drawn = 0
        self._is_over = False
        self._timer = self._start_timer("waiting for the server")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._timer.cancel()

    @contextmanager
    def bar(self, title: str, *, total: int | None, unit: str) -> Iterator[Bar]:
        """Draw a bar, which shows while it is there that something happens."""
        self._timer.cancel()
        self._drawn += 1
        try:
            with self._bars.bar(title, total=total, unit=unit) as drawn:
                yield drawn
        finally:
            self._drawn -= 1
            if not self._drawn and not self._is_over:
                self._timer = self._start_timer("still working")

    def _start_timer(self, text: str) -> threading.Timer:
        timer = threading.Timer(_QUIET_S, self._say, [text])
        timer.daemon = True
        timer.start()
        return timer


class WholeLines:
    """A terminal that gets data line by line, while bars may be drawn in it: they are cleared first.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write the lines that are whole, and keep the rest."""
        whole, newline, self._rest = (self._rest + bytes(data)).rpartition(b"\n")
        self._print(whole + newline)
        return memoryview(data).nbytes

    def finish(self) -> None:
        """Write the rest."""
        self._print(self._rest)

    def _print(self, text: bytes) -> None:
        if text:
            with cleared_bars():
                self._stream.write(text)
                self._stream.flush()
