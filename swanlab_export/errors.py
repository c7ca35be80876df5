"""The errors of this package. Each class owns the exit code that the command line ends with.

    SwanlabExportError              1   anything below; catch this one
    ├── UsageError                  2   an argument is wrong; nothing was sent
    ├── AuthenticationError         3   no key, a bad key, or a key that may not do this
    ├── NotFoundError               4   no such workspace, project, run or key
    ├── IncompleteError             5   fewer bytes, rows or runs arrived than were announced
    ├── UnavailableError            6   the server cannot be reached or is failing; try later
    ├── ServerError                 1   the server refused, or answered what it should not
    │   └── UncertainError          1   a create failed after it may have reached the server
    └── OutputError                 1   the result could not be written

Messages name arguments by ``argument("range_head")`` and calls by ``command("run series")``: Python
callers read ``range_head=`` and ``api.run.series``, and the command line shows ``--range-head`` and
```run series``` in their place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

# Private-use characters: no server text or user input that reaches a message keeps them.
_ARGUMENT, _COMMAND, _END = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"([{_ARGUMENT}{_COMMAND}])(\\w[\\w -]*)(=?)([^{_END}]*){_END}")


def argument(name: str, value: str | bool | None = None) -> str:
    """Name an argument inside a message, in a form that each door spells its own way."""
    return f"{_ARGUMENT}{name}{'' if value is None else f'={value}'}{_END}"


def command(words: str) -> str:
    """Name a command, such as ``run series``, inside a message."""
    return f"{_COMMAND}{words}{_END}"


@dataclass(frozen=True)
class Spelling:
    """How one door spells arguments, with a value or ``""``, and commands."""

    argument: Callable[[str, str], str]
    command: Callable[[str], str]


def _keyword(name: str, value: str) -> str:
    return f"{name}={value if value in {'', 'True'} else repr(value)}"


PYTHON = Spelling(_keyword, lambda words: "api." + words.replace("-", "_").replace(" ", "."))


def spell(message: str, spelling: Spelling = PYTHON) -> str:
    """Spell the arguments and commands named in ``message``; by default as Python does.

    >>> spell(f"give {argument('keys')} or {argument('full', True)}, see {command('run series')}")
    'give keys= or full=True, see api.run.series'
    """

    def replace(match: re.Match[str]) -> str:
        kind, name, _, value = match.groups()
        return spelling.command(name) if kind == _COMMAND else spelling.argument(name, value)

    return _MARKED.sub(replace, message)


# What a shell says of a program that SIGINT ended; 128 and its number for any signal.
EXIT_INTERRUPTED = 130


class SwanlabExportError(Exception):
    """Base of every error that this package raises on purpose.

    ``method``, ``path`` and ``status`` say which request failed, where one did; ``code`` and
    ``trace_id`` are the server's own, for a report to its operators.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        path: str = "",
        status: int | None = None,
        code: str = "",
        trace_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = path
        self.status = status
        self.code = code
        self.trace_id = trace_id

    def __str__(self) -> str:
        return spell(self.message)


class UsageError(SwanlabExportError):
    """An argument cannot be right; raised before any request is sent."""

    exit_code = 2


class AuthenticationError(SwanlabExportError):
    """There is no key, the server refuses it, or it may not do what was asked."""

    exit_code = 3


class NotFoundError(SwanlabExportError):
    """The workspace, project, run or key does not exist."""

    exit_code = 4


class IncompleteError(SwanlabExportError):
    """Less arrived than was announced, or a part of what was asked for failed."""

    exit_code = 5


class UnavailableError(SwanlabExportError):
    """The server cannot be reached or keeps failing; the same call may work later."""

    exit_code = 6


class ServerError(SwanlabExportError):
    """The server refused the request, or answered something that is not its protocol."""


class UncertainError(ServerError):
    """A create failed after it may have reached the server: look before you repeat it."""


class OutputError(SwanlabExportError):
    """The result could not be written."""
