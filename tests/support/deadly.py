"""Units that kill the process which does them: what a worker without memory or power looks like."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadly(Executor):
    """An executor that kills the worker of a unit.

    Args:
        executor: Does all units.
        run_id: The unit that kills.
        once: A file that does not exist: the unit kills the first time only. None for each time.
    """

    def __init__(self, executor: Executor, run_id: str, once: Path | None = None) -> None:
        self._executor = executor
        self._run_id = run_id
        self._once = once

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit, with what kills in the middle of it."""
        once = "" if self._once is None else str(self._once)
        return self._executor.submit(kill_in, self._run_id, once, work, *args, **kwargs)


def kill_in(run_id: str, once: str, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do the work; kill this process as soon as the named unit writes its first object."""
    if getattr(args[0], "run_id", None) == run_id and not (once and Path(once).exists()):
        sys.addaudithook(_die_at_write(once))
    return work(*args, **kwargs)


def _die_at_write(once: str) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event != "os.rename" or f"{os.sep}tables{os.sep}" not in str(args[1]):
            return
        if once:
            Path(once).touch()
        if sys.platform == "win32":
            os.abort()
        os.kill(os.getpid(), signal.SIGKILL)

    return hook
