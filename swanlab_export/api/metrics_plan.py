"""What ``run metrics`` was asked for, checked and resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swanlab_export.api.resolve import FoundRun, one_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swanlab_export.errors import SwanlabExportError
    from swanlab_export.normalizers.metrics import Layout
    from swanlab_export.normalizers.selection import Selection


@dataclass(frozen=True)
class MetricsPlan:
    """What was asked for, checked and resolved: from here on only data are fetched."""

    runs: list[FoundRun]
    keys: list[str]
    having: dict[str, set[str]]
    x_axis: str
    x_key: str | None
    selection: Selection
    layout: Layout
    sample: int
    skip_failed: bool
    announced: Callable[[], dict[str, dict[str, int]]]  # run → key → its latest step

    def keys_of(self, run: FoundRun) -> list[str]:
        """The keys that this run has, in the order asked for."""
        return [key for key in self.keys if run.run_id in self.having[key]]


def give_up(
    plan: MetricsPlan, run: FoundRun, error: SwanlabExportError, failures: list[str]
) -> None:
    """A run of many that failed ends it, unless it may be skipped."""
    if len(plan.runs) == 1:
        raise error
    named = one_failed(run.path, error)
    if not plan.skip_failed:
        raise named from None
    failures.append(named.message)


def chunks_of(keys: Sequence[str], size: int) -> list[list[str]]:
    """Cut keys into as many as one request takes."""
    return [list(keys[i : i + size]) for i in range(0, len(keys), size)]
