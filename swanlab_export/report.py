"""What a call has to tell besides its table: warnings, hints, odd values, and what is missing.

The caller makes a report and hands it down; it is shown once, when the call has ended.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swanlab_export.messages import quote

if TYPE_CHECKING:
    from swanlab_export.errors import SwanlabExportError


@dataclass(frozen=True)
class Failure:
    """One item that is missing from the table, such as a run, and why."""

    item: str
    error: SwanlabExportError

    def __str__(self) -> str:
        return f"{self.item}: {self.error.message}"


@dataclass
class Report:
    """Gathers what a call has to tell.

    Attributes:
        warnings: What the reader of the table must know, each once.
        hints: What may help, such as how to get the rest of a list, each once.
        failures: Items that were left out because they failed; with any, the table is incomplete.
    """

    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    _odd_values: dict[str, tuple[int, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def warn(self, text: str) -> None:
        """Add a warning."""
        if text not in self.warnings:
            self.warnings.append(text)

    def hint(self, text: str) -> None:
        """Add a hint."""
        if text not in self.hints:
            self.hints.append(text)

    def fail(self, item: object, error: SwanlabExportError) -> None:
        """Add an item that is left out."""
        self.failures.append(Failure(str(item), error))

    def odd_value(self, column: str, shown: str) -> None:
        """Count a value that is not of its column's type, and so is null in its row."""
        with self._lock:
            count, first = self._odd_values.get(column, (0, shown))
            self._odd_values[column] = (count + 1, first)

    def forget_odd_values(self) -> None:
        """Count odd values from the start, for a table that is read again."""
        with self._lock:
            self._odd_values.clear()

    def all_warnings(self) -> list[str]:
        """The warnings, with one for each column that had odd values."""
        odd = [
            f"{count} value{'s' if count > 1 else ''} of {column} "
            f"{'are' if count > 1 else 'is'} not of its type, and null in the table, such as "
            f"{quote(first)}"
            for column, (count, first) in self._odd_values.items()
        ]
        return [*self.warnings, *odd]
