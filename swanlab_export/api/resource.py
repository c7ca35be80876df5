"""What all resources share: a connection, and an output that decides what calls return."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from swanlab_export.client import Call
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from swanlab_export.api.context import Context, Result
    from swanlab_export.report import Report
    from swanlab_export.schemas import TableSchema

F = TypeVar("F")
F_co = TypeVar("F_co", covariant=True)


class Output(Protocol[F_co]):
    """What becomes of a result: a frame in Python, text or a file on the command line.

    Attributes:
        report: What the latest call has to tell.
    """

    report: Report

    @property
    def can_restart(self) -> bool:
        """Whether the table may be read again from the start; not where rows are printed at once."""

    @property
    def color_by(self) -> str | None:
        """The column of the runs that gives the lines of a plot their colours."""

    def begin(self, table: TableSchema, *, is_final: bool = False) -> Report:
        """Check the arguments about output against the declared table, before any request.

        Args:
            table: The declared table that the call returns.
            is_final: The call creates or downloads something, and must not fail afterwards.

        Returns:
            The report of this call.

        Raises:
            UsageError: The output cannot be made from this table.
        """

    def deliver(self, result: Result, report: Report) -> F_co:
        """Hand over the result, and show the report."""


class Resource(Generic[F]):
    """The calls of one resource; what they return is decided by the output."""

    def __init_subclass__(cls) -> None:
        """Have each call of a resource close what it opens, however it ends."""
        super().__init_subclass__()
        for name, found in list(vars(cls).items()):
            if inspect.isfunction(found) and not name.startswith("_"):
                setattr(cls, name, _as_call(found))

    def __init__(self, context: Context, output: Output[F]) -> None:
        self._context = context
        self._output = output

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._context.client.settings.name!r})"

    def __reduce__(self) -> NoReturn:
        # A copy would need the key, which must not get into files or other processes.
        raise TypeError("a connection cannot be pickled: connect again where it is needed")


def _as_call(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        given, named = [args], [kwargs]
        del args, kwargs  # one may be a password, and traces show the variables of this function
        with Call():
            return method(*given.pop(), **named.pop())

    return called


def check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """Accept one of ``choices``, in upper or lower case.

    Raises:
        UsageError: It is none of them.
    """
    for choice in choices:
        if value.upper() == choice.upper():
            return choice
    raise UsageError(f"{argument(name)} is one of {', '.join(choices)}, not {quote(value)}")


def flat(paths: Iterable[str | Iterable[str]]) -> list[str]:
    """Accept paths one by one or in lists, such as a column of a frame."""
    return [path for each in paths for path in ([each] if isinstance(each, str) else each)]
