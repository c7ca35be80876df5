"""What all resources share: a connection, and an output that decides what calls return."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Iterable, Iterator
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    NoReturn,
    Protocol,
    SupportsFloat,
    SupportsIndex,
    TypeVar,
)

from swanlab_export.client import Call
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        given = [list(map(plain, args))]
        named = [{name: plain(value) for name, value in kwargs.items()}]
        del args, kwargs  # one may be a password, and traces show the variables of this function
        with Call():
            return method(*given.pop(), **named.pop())

    return called


def plain(value: Any) -> Any:
    """A number, time, truth value or column of numpy, pandas, polars or Arrow, as Python has it.

    What can be read only once becomes a list, since more than one place reads it.
    """
    if isinstance(value, Iterator) and not hasattr(value, "read"):
        return list(value)
    if type(value).__name__ == "datetime64":  # of nanoseconds, it would be an integer
        value = value.astype("datetime64[us]")
    for name in ("tolist", "to_list", "to_pylist", "as_py"):
        if callable(convert := getattr(value, name, None)):
            found = convert()
            return value if found is None else found  # a missing value is not an argument left out
    return value


def check_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """Accept one of ``choices``, in upper or lower case.

    Raises:
        UsageError: It is none of them.
    """
    for choice in choices:
        if str(value).upper() == choice.upper():
            return choice
    raise UsageError(f"{argument(name)} is one of {', '.join(choices)}, not {quote(str(value))}")


def read_integer(name: str, value: Any) -> int:
    """Accept an integer, also as a float, such as ``8 / 2``.

    Raises:
        UsageError: It has a fraction, or is a truth value, a text, a time or nothing.

    >>> read_integer("limit", 4.0)
    4
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise UsageError(f"{argument(name)} is an integer, not {quote(str(value))}")
    return operator.index(value)


def read_number(name: str, value: Any) -> float:
    """Accept a number; an integer stays one, and is exact.

    Raises:
        UsageError: It is a truth value, a text, a time or nothing.

    >>> read_number("smooth", 0.5), read_number("range_start", 2**53 + 1)
    (0.5, 9007199254740993)
    """
    try:
        if isinstance(value, SupportsIndex) and not isinstance(value, bool):
            return operator.index(value)
        if isinstance(value, SupportsFloat) and not isinstance(value, bool):
            return float(value)
    except TypeError:  # a missing value of numpy
        pass
    raise UsageError(f"{argument(name)} is a number, not {quote(str(value))}")


def flat(paths: Iterable[str | Iterable[str]]) -> list[str]:
    """Accept paths one by one or in lists, such as a column of a frame."""
    found: list[str] = []
    for each in paths:
        if isinstance(each, str) or not isinstance(each, Iterable):
            found.append(each)
        else:
            found += each
    return found
