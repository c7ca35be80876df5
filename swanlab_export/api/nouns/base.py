"""What all nouns share: a connection, a kind of frame, and warnings."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from swanlab_export.api.frames import check_frame, to_frame
from swanlab_export.errors import spell_arguments
from swanlab_export.writers import write_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from swanlab_export.api.context import Answer, Context
    from swanlab_export.api.frames import Frame
    from swanlab_export.tables import Table
    from swanlab_export.writers import Target

F = TypeVar("F")


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

    def _save(self, answer: Answer, target: Target) -> Path:
        table = answer.to_table()
        saved = write_table(table, target)
        tell(table)
        return saved.path

    def _stream(self, answer: Answer) -> Iterator[pa.RecordBatch]:
        table = answer.to_table()
        yield from table
        tell(table)


def tell(table: Table) -> None:
    """Warn of what the caller should know about a table."""
    for note in [*table.notes, *table.failures]:
        warn(note, depth=5)


def warn(note: str, *, depth: int) -> None:
    """Warn in the name of the line that called the API, with Python's names of arguments.

    ``depth`` counts from here to that line: here, ``tell``, ``_give``, the call, the line.
    """
    warnings.warn(spell_arguments(note), SwanlabExportWarning, stacklevel=depth)
