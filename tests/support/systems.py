"""What only some systems have: marks for tests that need it, and doubles for tests elsewhere."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_Test = TypeVar("_Test", bound="Callable[..., object]")
needs_posix = pytest.mark.skipif(
    sys.platform == "win32",
    reason="Windows has no signals, permissions, named pipes, shells and pseudo terminals of POSIX",
)
needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has /proc and /dev/full"
)
SHARING_VIOLATION = 32


def needs_fork(test: _Test) -> _Test:
    """Mark a test that forks, which Python warns of where there are threads."""
    skipped = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    marked: _Test = skipped(pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")(test))
    return marked


def run_forked(work: Callable[[], bool]) -> bool:
    """Run work in a forked process; true if it returned true within a minute."""
    if sys.platform == "win32":
        pytest.skip("Windows does not fork")
    child = os.fork()
    if child == 0:
        threading.Timer(60, os._exit, (2,)).start()
        is_good = False
        try:
            is_good = work()
        finally:
            os._exit(0 if is_good else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class DeniedError(PermissionError):
    """What Windows raises for a file that is open: 5 is access denied, 32 a sharing violation."""

    def __init__(self, winerror: int) -> None:
        super().__init__(errno.EACCES, "Access is denied")
        self.winerror = winerror


def refuse_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the system calls of Windows: what is open can be neither renamed, replaced nor removed."""

    def guard(name: str, count: int) -> None:
        call: Callable[..., Any] = getattr(os, name)

        def guarded(*args: Any, **options: Any) -> Any:
            if any(_is_open(os.fspath(path)) for path in args[:count]):
                raise DeniedError(SHARING_VIOLATION)
            if name == "rename" and Path(args[1]).exists() and args[0] != args[1]:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            return call(*args, **options)

        monkeypatch.setattr(os, name, guarded)

    for name, count in (("rename", 2), ("replace", 2), ("unlink", 1), ("remove", 1)):
        guard(name, count)


def _is_open(path: str) -> bool:
    """Say whether this process has a file open, or one inside of a folder."""
    found = set()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found.add(Path(f"/proc/self/fd/{number}").readlink())
        except OSError:
            continue
    here = Path(path).absolute()
    return any(each == here or here in each.parents for each in found)
