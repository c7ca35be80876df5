"""What ``run metrics`` was asked for, checked and resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swanlab_export.api.resolve import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swanlab_export.api.resolve import FoundRun
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

    def outcome(self, failures: list[str]) -> Outcome:
        """Keep count of the runs that can be had."""
        return Outcome(len(self.runs), skip_failed=self.skip_failed, failures=failures)

    def keys_of(self, run: FoundRun) -> list[str]:
        """The keys that this run has, in the order asked for."""
        return [key for key in self.keys if run.run_id in self.having[key]]


def chunks_of(keys: Sequence[str], size: int) -> list[list[str]]:
    """Cut keys into as many as one request takes."""
    return [list(keys[i : i + size]) for i in range(0, len(keys), size)]
