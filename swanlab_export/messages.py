"""How messages name arguments and commands, and how they quote text that is not ours.

The same message is read by Python callers (``range_head=``, ``api.run.series``) and on the command
line (``--range-head``, ``run series``). Which of the two is said is decided where the message is
made, by the interface of the current context: Python, unless the command line has set its own.
"""

from __future__ import annotations

import difflib
import shlex
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DOTS = "•••"
_QUOTED_MAX = 200


class Secret(str):
    """A text that shows as dots where the variables of a trace are printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return DOTS


@dataclass(frozen=True)
class Interface:
    """How one interface writes arguments (with a value or ``""``) and commands.

    ``program`` is what starts the program in a shell.
    """

    argument: Callable[[str, str], str]
    command: Callable[[str], str]
    program: str = "swanlab-export"


def _keyword(name: str, value: str) -> str:
    is_plain = value in {"", "True"} or value.isdecimal()
    return f"{name}={value if is_plain else repr(value)}"


PYTHON = Interface(_keyword, lambda words: "api." + words.replace("-", "_").replace(" ", "."))
# Threads that work for a call run in a copy of its context, see ``client.concurrency``.
interface: ContextVar[Interface] = ContextVar("interface", default=PYTHON)


def argument(name: str, value: str | bool | None = None) -> str:
    """Name an argument as the current interface writes it.

    >>> argument("range_head"), argument("all", True), argument("host", "sandbox")
    ('range_head=', 'all=True', "host='sandbox'")
    >>> argument("start", "10")
    'start=10'
    """
    return interface.get().argument(name, "" if value is None else str(value))


def command(words: str) -> str:
    """Name a command, such as ``run series``, as the current interface writes it.

    >>> command("run export-logs")
    'api.run.export_logs'
    """
    return interface.get().command(words)


def shell_command(words: str) -> str:
    """Name a command to type in a shell, such as ``login``; it has no counterpart in Python.

    >>> shell_command("login")
    '`swanlab-export login`'
    """
    return f"`{interface.get().program} {words}`"


def one_line(text: str) -> str:
    r"""Replace control characters by escapes, newlines too: what a server named begins no line.

    >>> one_line("a\tb\n")
    'a\\tb\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable(text: str) -> str:
    r"""Replace control characters by escapes, and cut a long text.

    >>> printable("a\tb")
    'a\\tb'
    """
    shown = one_line(text[: _QUOTED_MAX + 1])
    return shown if len(shown) <= _QUOTED_MAX else f"{shown[:_QUOTED_MAX]}…"


def quote(text: str) -> str:
    """Quote ``text`` in a message: see ``printable``."""
    return f"'{printable(text)}'"


def shell_word(text: str) -> str:
    """Write ``text`` as one word of a command that a message shows, to be copied.

    >>> shell_word("backup"), shell_word("my backup")
    ('backup', "'my backup'")
    """
    if sys.platform == "win32":
        from subprocess import list2cmdline  # takes a while to import

        return list2cmdline([text])
    return shlex.quote(text)


def closest(name: str, known: Sequence[str], count: int = 5) -> list[str]:
    """Find names that may be meant: those that contain ``name``, then similar ones, else the first.

    >>> closest("los", ["acc", "loss", "val/loss"])
    ['loss', 'val/loss']
    """
    containing = [each for each in known if name.lower() in each.lower()]
    similar = difflib.get_close_matches(name, known, count, 0.4)
    return (list(dict.fromkeys([*containing, *similar])) or list(known))[:count]
