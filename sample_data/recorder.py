"""What one run leaves behind: its points, log lines, images and columns, on a simulated clock."""

from __future__ import annotations

import hashlib
import re
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

SYSTEM_NAMES = {
    "__swanlab__.cpu.pct": "CPU Utilization (%)",
    "__swanlab__.mem": "System Memory Utilization (%)",
    "__swanlab__.mem.proc": "Process Memory In Use (non-swap) (MB)",
}


def make_id(*parts: object) -> str:
    """Return 21 lower-case letters and digits that depend on the parts alone."""
    number = int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest())
    letters = "0123456789abcdefghijklmnopqrstuvwxyz"
    out = ""
    while len(out) < 21:
        number, digit = divmod(number, 36)
        out += letters[digit]
    return out


def to_iso(time_ms: int) -> str:
    """Return Unix milliseconds as ISO 8601 in UTC."""
    text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def to_ms(iso: str) -> int:
    """Return an ISO 8601 time in UTC as Unix milliseconds."""
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


def format_traceback() -> str:
    """Return the traceback of the exception at hand, its paths shortened to file names."""
    return re.sub(r'File "[^"]*?([^/\\"]+)"', r'File "\1"', traceback.format_exc())


@dataclass
class Series:
    """The points of one key, in the order they were made."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)


class Recorder:
    """Collects what a run reports; `at(step)` moves its clock."""

    def __init__(self, project_id: str, run_id: str, start: str, step_ms: int) -> None:
        self.project_id = project_id
        self.run_id = run_id
        self.start_ms = to_ms(start)
        self.step_ms = step_ms
        self.now_ms = self.start_ms
        self.step = 0
        self.series: dict[str, Series] = {}
        self.logs: list[dict[str, Any]] = []
        self.media: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.columns: dict[str, dict[str, Any]] = {}
        self._rng = np.random.default_rng(int(run_id, 36) % 2**32)

    def at(self, step: int) -> None:
        """Set the step; its time is a little uneven, as steps are, and never goes back."""
        self.step = step
        jitter = int(self._rng.integers(0, max(1, self.step_ms // 16)))
        self.now_ms = max(self.now_ms, self.start_ms + 1500 + step * self.step_ms + jitter)

    def point(self, key: str, value: float) -> None:
        """Record one number, as precise as float32."""
        if key not in self.series:
            self.series[key] = Series()
            self._add_column(key, "FLOAT")
        series = self.series[key]
        with np.errstate(over="ignore"):
            series.values.append(float(np.float32(value)))
        series.steps.append(self.step)
        series.times_ms.append(self.now_ms)

    def log(self, level: str, message: str, tag: str = "train") -> None:
        """Record one line of the log."""
        line = {
            "line": len(self.logs) + 1,
            "level": level,
            "timestamp": self.now_ms,
            "tag": tag,
            "message": message,
        }
        self.logs.append(line)

    def images(self, key: str, pngs: list[bytes], captions: list[str | None] | None) -> None:
        """Record the images of one key at this step; without captions `more` is null."""
        paths = []
        for png in pngs:
            stem = key.replace("/", "-").replace(" ", "-")
            digest = hashlib.sha256(png).hexdigest()[:8]
            paths.append(f"{stem}-step{self.step}-{len(paths)}-{digest}.png")
            self.files[paths[-1]] = png
        more = None if captions is None else [c and {"caption": c} for c in captions]
        self.media.append({"key": key, "step": self.step, "data": paths, "more": more})
        if key not in self.columns:
            self._add_column(key, "IMAGE")

    def _add_column(self, key: str, kind: str) -> None:
        system = key.startswith("__swanlab__")
        self.columns[key] = {
            "key": key,
            "name": SYSTEM_NAMES.get(key, key),
            "class": "SYSTEM" if system else "CUSTOM",
            "type": kind,
            "createdAt": to_iso(self.now_ms),
        }
