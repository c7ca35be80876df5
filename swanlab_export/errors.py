"""The errors of this package. Each class owns the exit code that the command line ends with.

SwanlabExportError              1   anything below; catch this one
├── UsageError                  2   an argument is wrong; nothing was sent
├── AuthenticationError         3   no key, a bad key, or a key that may not do this
├── NotFoundError               4   no such workspace, project, run or key
├── IncompleteError             5   fewer bytes, rows or runs arrived than were announced
├── UnavailableError            6   the server cannot be reached or is failing; try later
├── ServerError                 1   the server refused, or sent what it should not
│   └── UncertainError          1   a create failed after it may have reached the server
├── OutputError                 1   the result could not be written
└── ClosedError                 1   the connection was closed before or during the call
"""

from __future__ import annotations

from typing import ClassVar

# What a shell says of a program that SIGINT ended; 128 and its number for any signal.
EXIT_INTERRUPTED = 130


class SwanlabExportError(Exception):
    """Base of the errors of this package.

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
    """The server refused the request, or sent something that is not its protocol."""


class UncertainError(ServerError):
    """A create failed after it may have reached the server: look before you repeat it."""


class OutputError(SwanlabExportError):
    """The result could not be written."""


class ClosedError(SwanlabExportError):
    """The connection was closed before or during the call."""


class SwanlabExportWarning(UserWarning):
    """Something that the caller should know, such as a value that was not of its column's type."""
