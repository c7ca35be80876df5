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


class Outcome:
    """Keeps count of which runs of a call could be had, and ends it where that is no use.

    Args:
        plan: What was asked for.
        failures: Gathers what is wrong with the runs that are left out.
    """

    def __init__(self, plan: MetricsPlan, failures: list[str]) -> None:
        self._plan = plan
        self._failures = failures
        self._failed: set[str] = set()

    def fail(self, run: FoundRun, error: SwanlabExportError) -> None:
        """Take note that a run failed.

        Raises:
            SwanlabExportError: It is the only one, it may not be skipped, or no run is left.
        """
        if len(self._plan.runs) == 1:
            raise error
        if run.run_id in self._failed:
            return
        named = one_failed(run.path, error)
        self._failed.add(run.run_id)
        if not self._plan.skip_failed or len(self._failed) == len(self._plan.runs):
            raise named from None
        self._failures.append(named.message)

    def has_failed(self, run: FoundRun) -> bool:
        """Say whether a run has failed so far."""
        return run.run_id in self._failed


def chunks_of(keys: Sequence[str], size: int) -> list[list[str]]:
    """Cut keys into as many as one request takes."""
    return [list(keys[i : i + size]) for i in range(0, len(keys), size)]
