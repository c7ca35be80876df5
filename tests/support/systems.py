"""What only some systems have: marks for tests that need it, and doubles for tests elsewhere."""

from __future__ import annotations

import errno
import sys

import pytest

needs_posix = pytest.mark.skipif(
    sys.platform == "win32",
    reason="Windows has no signals, permissions, named pipes, shells and pseudo terminals of POSIX",
)
needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has /proc and /dev/full"
)


class DeniedError(PermissionError):
    """What Windows raises for a file that is open: 5 is access denied, 32 a sharing violation."""

    def __init__(self, winerror: int) -> None:
        super().__init__(errno.EACCES, "Access is denied")
        self.winerror = winerror
