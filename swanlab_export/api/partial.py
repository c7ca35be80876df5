"""What it means that some items of a call fail: the call ends, or ``partial`` leaves them out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from swanlab_export.client import NotOfferedError
from swanlab_export.errors import (
    AuthenticationError,
    IncompleteError,
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
    UncertainError,
)
from swanlab_export.messages import argument
from swanlab_export.normalizers.export import LackingError
from swanlab_export.report import NAMED_MAX, Failure, item_of_list, joint_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swanlab_export.report import Report

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
BAD_ITEMS_MAX = 20
# Statuses with which a server refuses a request because of something that it names.
_REFUSALS = {400, 404, 422}


class GivenUpError(IncompleteError):
    """An item was not requested, because so many others had failed before."""


class GoneError(NotFoundError):
    """All items of a batch belong to something that is gone, so there is nothing to split."""


class Partial:
    """Decides what it means that items of one call fail; safe to use from several threads.

    Args:
        report: Gets the items that are left out.
        is_wanted: Items that fail may be left out.
    """

    def __init__(self, report: Report, *, is_wanted: bool) -> None:
        self.is_wanted = is_wanted
        report.is_partial = report.is_partial or is_wanted
        self._report = report
        self._bad = 0
        self._lock = threading.Lock()

    def anew(self) -> Partial:
        """The same, for further requests about the same items, which count anew."""
        return Partial(self._report, is_wanted=self.is_wanted)

    @property
    def is_given_up(self) -> bool:
        """Whether so many items failed that no more are requested."""
        return self._bad >= BAD_ITEMS_MAX

    def fetch(
        self, batch: Sequence[_Item], fetch: Callable[[list[_Item]], _Result]
    ) -> list[tuple[list[_Item], _Result | SwanlabExportError]]:
        """Fetch a batch of items; if it fails because of some of them, the others without them.

        A batch is halved down to the items that fail, unless items must not fail; and only where
        the server refuses what is in the batch, or sends what cannot be read, never while the
        server is unavailable. After ``BAD_ITEMS_MAX`` bad items the rest is given up.

        Returns:
            The items that were fetched together, in order, with what came or their error.

        Raises:
            SwanlabExportError: Something failed that is not a matter of these items.
        """
        items = list(batch)
        if self.is_given_up:
            why = f"not requested, because {BAD_ITEMS_MAX} items before it had failed"
            return [(items, GivenUpError(why))]
        try:
            return [(items, fetch(items))]
        except SwanlabExportError as error:
            if not is_of_item(error):
                raise
            if not self.is_wanted or len(items) == 1 or not can_be_split(error):
                with self._lock:
                    self._bad += 1
                return [(items, error)]
        half = len(items) // 2
        return [*self.fetch(items[:half], fetch), *self.fetch(items[half:], fetch)]

    def fail(self, items: Sequence[object], error: SwanlabExportError, title: str) -> None:
        """Leave out items that failed together.

        Args:
            items: What they are called.
            error: How they failed.
            title: What such items are, in the plural.

        Raises:
            SwanlabExportError: Items must not fail, or it is not a matter of these items.
        """
        if not is_of_item(error):
            raise error
        if not self.is_wanted:
            raise batch_error(error, title) if len(items) > 1 else error
        for item in items:
            self._report.fail(item, error)

    def fail_one(self, item: object, error: SwanlabExportError, total: int, title: str) -> None:
        """Leave out one of ``total`` items that were requested one by one; see ``fail``."""
        is_one_of_many = total > 1 and is_of_item(error) and not isinstance(error, UnavailableError)
        if is_one_of_many and not self.is_wanted:
            raise refusal([Failure(str(item), error)], count_others(total - 1, title))
        self.fail([item], error, title)

    def fail_of_batch(
        self, item: object, error: SwanlabExportError, total: int, title: str
    ) -> None:
        """Leave out one of ``total`` items that were requested together; see ``fail``."""
        if total > 1 and not self.is_wanted:
            raise batch_error(error, title)
        self.fail([item], error, title)

    def each(
        self, items: Iterable[_Item], read: Callable[[_Item], _Result]
    ) -> Iterator[tuple[_Item, _Result]]:
        """Yield each item of a list with what is read of it; those of which it cannot are left out."""
        for number, item in enumerate(items, 1):
            try:
                found = read(item)
            except SwanlabExportError as error:
                self.fail([item_of_list(number)], error, "items")
            else:
                yield item, found


def refusal(
    failures: Sequence[Failure], others: str, *, most: int = NAMED_MAX
) -> SwanlabExportError:
    """The error of a call some of whose items failed, with what ``partial`` would give."""
    gives = f"{argument('partial', True)} gives what can be had of {others}"
    more = f"; {gives}" if others else ""
    return joint_error(failures, more, most=most)


def batch_error(error: SwanlabExportError, title: str) -> SwanlabExportError:
    """The error of a batch of which ``partial`` would give the items that do not fail."""
    if not can_be_split(error):
        return error
    is_refused = isinstance(error, ServerError) and error.status in _REFUSALS
    kind = IncompleteError if is_refused else type(error)
    gives = f"{argument('partial', True)} gives the {title} that can be had"
    batch = kind(f"{error.message}; {gives}")
    batch.__cause__ = error
    return batch


def count_others(count: int, title: str) -> str:
    """Say what is left beside items that failed: "the other 39 runs"; empty where nothing is.

    >>> count_others(39, "runs"), count_others(1, "runs")
    ('the other 39 runs', 'the other run')
    """
    if count < 1:
        return ""
    return f"the other {count:,} {title}" if count > 1 else f"the other {title.removesuffix('s')}"


def is_of_item(error: SwanlabExportError) -> bool:
    """Say whether an error concerns what was requested, and not the whole call."""
    if isinstance(error, AuthenticationError):
        return error.status == 403
    kinds = (IncompleteError, NotFoundError, ServerError, UnavailableError)
    return isinstance(error, kinds) and not isinstance(error, NotOfferedError | UncertainError)


def can_be_split(error: SwanlabExportError) -> bool:
    """Say whether a batch that failed like this may have items that do not fail."""
    if isinstance(error, GoneError):
        return False
    if isinstance(error, ServerError | NotFoundError):
        # Without a bad status it is the payload that is bad.
        return error.status in _REFUSALS or error.status is None or error.status < 300
    return isinstance(error, LackingError)
