"""What a call has to tell besides its table: warnings, hints, odd values, and what is missing.

The caller makes a report and hands it down; it is shown once, when the call has ended.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swanlab_export.errors import IncompleteError, NotFoundError, SwanlabExportError
from swanlab_export.messages import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

# So many failures are named in a message; all of them are in the metadata of files and frames.
NAMED_MAX = 5


@dataclass(frozen=True)
class Failure:
    """One item that is missing from the table, such as a run or a key of it, and why."""

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
        failures: Items that were left out because they failed, each once; with any, the table is
            incomplete.
        is_partial: Items that fail may be left out.
    """

    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    is_partial: bool = False
    _odd_values: dict[str, tuple[int, str]] = field(default_factory=dict)
    _alike: dict[str, dict[str, None]] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def warn(self, text: str) -> None:
        """Add a warning."""
        if text not in self.warnings:
            self.warnings.append(text)

    def warn_of(self, what: str, item: str) -> None:
        """Add an item to the warning that says the same of each of its items, each once."""
        with self._lock:
            self._alike.setdefault(what, {})[item] = None

    def hint(self, text: str) -> None:
        """Add a hint."""
        if text not in self.hints:
            self.hints.append(text)

    def fail(self, item: object, error: SwanlabExportError) -> None:
        """Add an item that is left out."""
        with self._lock:
            if str(item) not in self._failed:
                self._failed.add(str(item))
                self.failures.append(Failure(str(item), error))

    def check_left(self, count: int) -> None:
        """Insist that something is left of a call some of whose items were left out.

        Args:
            count: How much is left.

        Raises:
            SwanlabExportError: Nothing is: the error of the only item, or one that names what failed.
        """
        if count or not self.failures:
            return
        if len(self.failures) > 1:
            raise joint_error(self.failures)
        error = copy.copy(self.failures[0].error)
        error.message = str(self.failures[0])
        error.args = (error.message,)
        raise error

    def left_out(self) -> list[dict[str, str]]:
        """What is left out, and why, as the metadata of files and frames say it."""
        return [{"item": each.item, "reason": each.error.message} for each in self.failures]

    def odd_value(self, column: str, shown: str) -> None:
        """Count a value that is not of its column's type, and so is null in its row."""
        with self._lock:
            count, first = self._odd_values.get(column, (0, shown))
            self._odd_values[column] = (count + 1, first)

    @property
    def has_odd_values(self) -> bool:
        """Whether a value was not of its type."""
        return bool(self._odd_values)

    def forget_odd_values(self) -> None:
        """Count odd values from the start, for a table that is read again."""
        with self._lock:
            self._odd_values.clear()

    def all_warnings(self) -> list[str]:
        """The warnings, with one for items that are alike, and for each column with odd values."""
        alike = [
            f"{what}: {name_first(list(items), NAMED_MAX)}" for what, items in self._alike.items()
        ]
        odd = [
            f"{count} value{'s' if count > 1 else ''} of {column} "
            f"{'are' if count > 1 else 'is'} not of its type, and null in the table, such as "
            f"{quote(first)}"
            for column, (count, first) in self._odd_values.items()
        ]
        return [*self.warnings, *alike, *odd]


def count_items(count: int) -> str:
    """Count items of any kind."""
    return "1 item" if count == 1 else f"{count:,} items"


def item_of_list(number: int) -> str:
    """Name an item of a list that has no usable name of its own, by its position from 1."""
    return f"item {number} of the list"


def name_failures(failures: Sequence[Failure], most: int = NAMED_MAX) -> str:
    """Name the first few of many failures, and count the rest."""
    return name_first(list(map(str, failures)), most)


def name_first(items: Sequence[str], most: int) -> str:
    """Name the first few of many items, and count the rest."""
    named = "; ".join(items[:most])
    rest = len(items) - most
    return f"{named}; and {rest} more" if rest > 0 else named


def joint_error(
    failures: Sequence[Failure], more: str = "", *, most: int = NAMED_MAX
) -> SwanlabExportError:
    """The error that several failures are together: not found if all are, else incomplete.

    Args:
        failures: What failed.
        more: What to say after it.
        most: How many of them are named.
    """
    are_missing = all(isinstance(each.error, NotFoundError) for each in failures)
    kind = NotFoundError if are_missing else IncompleteError
    error = kind(f"{name_failures(failures, most)}{more}")
    error.__cause__ = failures[0].error
    return error
