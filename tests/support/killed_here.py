"""Ends a backup in this process as SIGKILL would: from a moment on, it can change no file."""

from __future__ import annotations

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """The process would be gone by now."""


class Killer:
    """Counts what changes a folder, and lets nothing change it from the n-th such change on."""

    def __init__(self, folder: Path, nth: int, match: str) -> None:
        self._changes = 0
        self._folder = str(folder)
        self._nth = nth
        self._match = match

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        """Count what Python is about to do; see ``sys.addaudithook``.

        Raises:
            Killed: It is too late for a change.
        """
        is_write = event == "open" and bool(args[2] & _WRITES)
        if not (is_write or event in _CHANGES):
            return
        path = args[1] if event == "os.rename" else args[0]
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if not name.startswith(self._folder):
            return
        self._changes += self._match in name or self._changes >= self._nth
        if self._changes >= self._nth:
            raise Killed


# A hook cannot be removed: there is one, for the killer of the moment.
_killers: list[Killer] = []
_is_hooked: list[bool] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _killers:
        _killers[-1].note(event, args)


@contextmanager
def killed_at(folder: Path, nth: int = 1, match: str = "") -> Iterator[None]:
    """Let the n-th change of a path with ``match``, and all that follow it, raise ``Killed``."""
    if not _is_hooked:
        sys.addaudithook(_hook)
        _is_hooked.append(True)
    _killers.append(Killer(folder, nth, match))
    try:
        yield
    except Killed:
        pass
    finally:
        _killers.pop()


class OneByOne(ThreadPoolExecutor):
    """Does each unit when it is submitted, so that each run of a test does the same."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
