"""Progress bars of a command, and a line where nothing is shown for a while."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from swanlab_export.progress import Bar, Progress, TqdmProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
