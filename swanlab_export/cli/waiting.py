"""Progress bars of a command, and a line where nothing is shown for a while before the first."""

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
        self._timer = threading.Timer(_QUIET_S, say, ["waiting for the server"])
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @contextmanager
    def bar(self, title: str, *, total: int | None, unit: str) -> Iterator[Bar]:
        """Draw a bar, which shows from now on that something happens."""
        self._timer.cancel()
        with self._bars.bar(title, total=total, unit=unit) as drawn:
            yield drawn
