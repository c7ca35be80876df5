"""What a console takes: how wide it is, and whether it shows colours."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO

_WIDTH = 120
# Of the Windows console: escape sequences are obeyed, not shown.
_TAKES_ESCAPES = 4


def width(without: int = _WIDTH) -> int:
    """The width of the terminal, also where stdout goes through a pager; ``without`` any, that."""
    given = os.environ.get("COLUMNS", "")
    widths = [int(given)] if given.isascii() and given.isdigit() else []
    for stream in (1, 2, 0):
        with suppress(OSError):
            widths.append(os.get_terminal_size(stream).columns)
    return next(filter(None, widths), without)


def takes_colours(stream: IO[str]) -> bool:
    """Say whether text on a stream may be coloured or bold.

    That is so in a terminal, unless NO_COLOR or CLICOLOR=0 say otherwise; CLICOLOR_FORCE asks for it
    everywhere.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    if os.environ.get("CLICOLOR") == "0" or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty() and _obeys_escapes(stream)


def _obeys_escapes(stream: IO[str]) -> bool:
    """Let a Windows console obey escape sequences; older ones cannot."""
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        handle = msvcrt.get_osfhandle(stream.fileno())
        mode = ctypes.c_uint32()
        kernel = ctypes.windll.kernel32
        if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
            return True  # a terminal that is no console, such as that of Git Bash
        return bool(kernel.SetConsoleMode(handle, mode.value | _TAKES_ESCAPES))
    return True
