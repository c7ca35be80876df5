"""What all nouns share: a connection, a kind of frame, and warnings."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from swanlab_export.api.frames.to_frame import check_frame, to_frame
from swanlab_export.errors import spell
from swanlab_export.writers import write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from swanlab_export.api.context import Answer, Context
    from swanlab_export.api.frames.to_frame import Frame
    from swanlab_export.tables import Table
    from swanlab_export.writers import Target

F = TypeVar("F")
_Call = TypeVar("_Call", bound="Callable[..., Any]")


class SwanlabExportWarning(UserWarning):
    """Something the caller should know, such as a list of which only a page was fetched."""


class Noun(Generic[F]):
    """Calls of one noun; they answer with ``frame``, or with what a call asks for."""

    def __init__(self, context: Context, frame: Frame) -> None:
        self._context = context
        self._frame: Frame = frame

    def _give(self, answer: Answer, frame: Frame | None) -> Any:
        if frame is not None:
            check_frame(frame)
        table = answer.to_table()
        found = to_frame(table, frame or self._frame)
        tell(table)
        return found

    def _save(self, answer: Answer, target: Target, *, is_log_scale: bool = False) -> Path:
        table = answer.to_table()
        saved = write_table(table, target, is_log_scale=is_log_scale)
        tell(table)
        return saved.path

    def _stream(self, answer: Answer) -> Iterator[pa.RecordBatch]:
        table = answer.to_table()
        yield from table
        tell(table)


def spelled_out(options: type, like: Callable[..., Any]) -> Callable[[_Call], _Call]:
    """Show ``**options`` one by one in the signature that ``help`` and notebooks read.

    Their defaults are those of ``like``; what that does not have is None.
    """

    def decorate(call: _Call) -> _Call:
        plain = inspect.signature(call)
        known = inspect.signature(like).parameters
        shown = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=known[name].default if name in known else None,
                annotation=getattr(kind, "__forward_arg__", kind),
            )
            for name, kind in options.__annotations__.items()
        ]
        own = [each for each in plain.parameters.values() if each.kind != each.VAR_KEYWORD]
        call.__signature__ = plain.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
        return call

    return decorate


def flat(paths: Iterable[str | Iterable[str]]) -> list[str]:
    """Take paths one by one or in lists, such as a column of a frame."""
    return [path for each in paths for path in ([each] if isinstance(each, str) else each)]


def tell(table: Table) -> None:
    """Warn of what the caller should know about a table."""
    for note in [*table.notes, *table.failures]:
        warn(note, depth=5)


def warn(note: str, *, depth: int) -> None:
    """Warn in the name of the line that called the API, with Python's names of arguments.

    ``depth`` counts from here to that line: here, ``tell``, ``_give``, the call, the line.
    """
    warnings.warn(spell(note), SwanlabExportWarning, stacklevel=depth)
