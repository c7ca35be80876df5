"""Processor and memory use while training: measured once, kept, and replayed ever after.

A measurement differs each time it is made. To keep the recording reproducible, it is made
only with `record.py --measure` and kept in measured.json beside this file.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from recorder import Recorder

KEYS = ("__swanlab__.cpu.pct", "__swanlab__.mem", "__swanlab__.mem.proc")


class Meter:
    """Gives each run its samples, out of measured.json or off the machine."""

    def __init__(self, path: Path, *, measure: bool) -> None:
        self.path = path
        self.measure = measure
        known = {} if measure else json.loads(path.read_text(encoding="utf-8"))
        self.samples: dict[str, list[list[float]]] = known
        self._used: dict[str, int] = {}
        self._clock = (time.perf_counter(), time.process_time())

    def sample(self, recorder: Recorder) -> None:
        """Record the next sample of this run at its present step."""
        mine = self.samples.setdefault(recorder.run_id, [])
        if self.measure:
            mine.append(self._read())
        used = self._used.get(recorder.run_id, 0)
        self._used[recorder.run_id] = used + 1
        for key, value in zip(KEYS, mine[used % len(mine)], strict=True):
            recorder.point(key, value)

    def save(self) -> None:
        """Keep what was measured."""
        if self.measure:
            rows = (f"{json.dumps(run)}: {json.dumps(v)}" for run, v in self.samples.items())
            self.path.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")

    def _read(self) -> list[float]:
        """Return this process's share of a core, memory in use in %, and its own in MB."""
        import psutil  # needed to measure only

        wall, used = time.perf_counter(), time.process_time()
        share = (used - self._clock[1]) / max(wall - self._clock[0], 1e-6)
        self._clock = (wall, used)
        own_mb = psutil.Process().memory_info().rss / 2**20
        return [round(100 * share, 1), psutil.virtual_memory().percent, round(own_mb, 1)]
