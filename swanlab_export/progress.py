"""Progress reporters: one that says nothing, and one that draws tqdm bars on stderr."""

from __future__ import annotations

import warnings
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


# Of things that are counted: how fast they come is no help, and leaves the bar no room.
_COUNTED = (
    "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}{postfix}]"
)
# The bars that are on the screen.
_on_screen: set[Any] = set()


def clear_bars() -> None:
    """Clear the lines of bars, so that a message begins a line; bars are drawn again as they move."""
    for bar in list(_on_screen):
        bar.clear(nolock=True)  # a thread that is in the middle of drawing must not hold it up


@contextmanager
def cleared_bars() -> Iterator[None]:
    """Clear the lines of bars, and have none drawn until the block ends."""
    bars = list(_on_screen)
    with bars[0].get_lock() if bars else nullcontext():  # all bars share it
        for bar in bars:
            bar.clear(nolock=True)
        yield


class Bar(Protocol):
    """Counts one thing that is under way; safe to call from several threads."""

    def add(self, amount: int) -> None:
        """Count ``amount`` more units as done."""

    def expect(self, amount: int) -> None:
        """Raise the total by ``amount``: one more part has said how big it is."""

    def describe(self, text: str) -> None:
        """Show ``text`` behind the bar, such as a count of rows."""


class Progress:
    """Says nothing: the default, so that no caller asks whether a bar exists."""

    @contextmanager
    def bar(self, title: str, *, total: int | None, unit: str) -> Iterator[Bar]:
        """Open a bar of ``total`` units: None where it is not known, 0 where parts will say it."""
        del title, total, unit
        yield _Silent()


class TqdmProgress(Progress):
    """Draws bars with tqdm: on stderr in a terminal, as widgets in a notebook."""

    @contextmanager
    def bar(self, title: str, *, total: int | None, unit: str) -> Iterator[Bar]:
        """Draw a bar; bytes are scaled to kB and MB, and have a rate."""
        tqdm = _import_tqdm()
        is_bytes = unit == "B"
        with tqdm(
            desc=title,
            total=total,
            unit=unit if is_bytes else f" {unit}",
            unit_scale=is_bytes,
            bar_format=None if is_bytes or total is None else _COUNTED,
            leave=False,
            dynamic_ncols=True,
        ) as drawn:
            _on_screen.add(drawn)
            try:
                yield _Drawn(drawn)
            finally:
                _on_screen.discard(drawn)


def _import_tqdm() -> Any:
    """The bar for where we are; in a notebook without ipywidgets a plain one, without a warning."""
    # tqdm takes 20 ms to import: only who watches a bar pays.
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm


class _Silent:
    def add(self, amount: int) -> None:
        """Count nothing."""

    def expect(self, amount: int) -> None:
        """Expect nothing."""

    def describe(self, text: str) -> None:
        """Show nothing."""


class _Drawn:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def add(self, amount: int) -> None:
        """Move the bar on."""
        self._bar.update(amount)

    def expect(self, amount: int) -> None:
        """Lengthen the bar."""
        self._bar.total = (self._bar.total or 0) + amount

    def describe(self, text: str) -> None:
        """Show ``text`` behind the bar: at once while nothing moves, else at its next redraw."""
        self._bar.set_postfix_str(text, refresh=self._bar.n == 0)
