"""Faults and older habits of servers that can be switched on, to see how a client behaves.

Every fault takes effect on requests whose path matches ``where`` and at most ``times`` times.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

_HELP = {
    "latency": "latency=50ms: wait before every response",
    "429": "429=N: every Nth response is 429, with Retry-After",
    "500": "500=N (also 502, 503, 504): every Nth response has that status",
    "reset": "reset=N: every Nth connection is reset",
    "html": "html=N: every Nth response is a page of HTML with status 200",
    "empty": "empty=N: every Nth response is empty with status 200",
    "hang": "hang=N: every Nth request gets no response",
    "redirect": "redirect=N: every Nth response redirects to another host",
    "forget": "forget=N: sessions are forgotten every N requests",
    "cut": "cut=length|chunked|neither: downloads end half-way",
    "expire": "expire=N: every Nth download URL has expired",
    "nolength": "nolength=1: downloads have neither a content length nor chunks",
    "gzip": "gzip=1: downloads are compressed",
    "noranges": "noranges=1: downloads cannot be resumed",
    "relative-presign": "relative-presign=1: a presigned URL is a path on the API host",
    "no-timestamps": "no-timestamps=1: sampled points come without their times",
    "seconds": "seconds=1: sampled points come with their times in seconds",
    "shard-count": "shard-count=1: the count of a log shard is that of its own lines",
    "strict-operators": "strict-operators=1: the filters GT, LT and NOT_CONTAIN are refused",
    "strict-fields": "strict-fields=1: the creation time of a run in a request is refused",
    "moving": "moving=grow|shrink: lists change between pages",
    "lenient": "lenient=1: downloads take cookies, which the official client sends",
    "nulls": "nulls=1: every field that may be null is null",
    "create": "create=500: a create responds 500 after it has created",
    "licence": "licence=expired: the licence of the instance has expired",
    "total": "total=N: lists announce N items more than there are (N may be negative)",
    "cut-at": "cut-at=0.9: where downloads are cut, as a part of their size",
    "gone": "gone=REGEX: what requests name that match, in path, query or body, is not found",
    "refuse": "refuse=REGEX: requests that match, in path, query or body, are refused with 400",
    "csv": "csv=reordered|missing|short|text|empty|half: the exported file is odd",
}
_STATUSES = ("429", "500", "502", "503", "504")
# Faults that hit what a request names, with their status.
NAMED = {"gone": 404, "refuse": 400}
_CHOICES = {
    "cut": ("length", "chunked", "neither"),
    "moving": ("grow", "shrink"),
    "create": ("500",),
    "licence": ("expired",),
    "csv": ("reordered", "missing", "short", "text", "empty", "half"),
}
_EVERY = (*_STATUSES, "reset", "html", "empty", "hang", "redirect", "forget", "expire")
_SWITCHES = (
    *("lenient", "nolength", "gzip", "noranges", "nulls"),
    *("relative-presign", "no-timestamps", "seconds", "shard-count"),
    *("strict-operators", "strict-fields"),
)


@dataclass
class Faults:
    """What goes wrong; nothing by default.

    Attributes:
        latency_s: Wait before every response.
        every: Fault name → it hits every Nth request; see ``fault_help``.
        choice: Fault name → which kind of it.
        named: Fault name → a pattern of the requests that it hits.
        where: Only requests whose path matches this pattern count.
        times: Each fault hits at most this many times.
        retry_after: What 429 says in its Retry-After header.
        cut_at: Where downloads are cut, as a part of their size.
        total_off: How many items more than there are lists announce.
    """

    latency_s: float = 0.0
    every: dict[str, int] = field(default_factory=dict)
    choice: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    where: str = ""
    times: int = 1_000_000_000
    retry_after: str = "0.2"
    cut_at: float = 0.5
    total_off: int = 0
    _counts: dict[str, int] = field(default_factory=dict, repr=False)
    _hits: dict[str, int] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def hits(self, name: str, path: str) -> bool:
        """Count a request; whether the fault ``name`` hits it."""
        period = self.every.get(name)
        if period is None or not self.is_meant(path):
            return False
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            return self._counts[name] % period == 0 and self._spend(name)

    def chosen(self, name: str, path: str) -> str:
        """The kind of the fault ``name`` that hits a request; empty for none."""
        if name not in self.choice or not self.is_meant(path):
            return ""
        with self._lock:
            return self.choice[name] if self._spend(name) else ""

    def set_pattern(self, name: str, text: str) -> None:
        """Set which requests the fault ``name``, or with ``where`` any fault, hits."""
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"{name}={text!r} is not a regular expression: {error}") from None
        if name == "where":
            self.where = text
        else:
            self.named[name] = text

    def names(self, name: str, path: str, text: str) -> bool:
        """Whether the fault ``name`` hits a request, of which ``text`` is path, query and body."""
        pattern = self.named.get(name)
        if pattern is None or not self.is_meant(path) or re.search(pattern, text) is None:
            return False
        with self._lock:
            return self._spend(name)

    def is_meant(self, path: str) -> bool:
        """Whether faults take effect on a path."""
        return re.search(self.where, path) is not None

    def has(self, name: str) -> bool:
        """Whether a switch is on."""
        return name in self.choice

    def _spend(self, name: str) -> bool:
        if self._hits.get(name, 0) >= self.times:
            return False
        self._hits[name] = self._hits.get(name, 0) + 1
        return True


def fault_help() -> str:
    """List the faults, one a line."""
    extra = ["where=REGEX: only paths that match", "times=N: each fault at most N times"]
    extra.append("retry-after=VALUE: what 429 says")
    return "\n".join([*_HELP.values(), *extra])


def parse_faults(words: list[str]) -> Faults:
    """Read faults such as ``latency=50ms`` or ``429=3``; see ``fault_help``.

    Raises:
        ValueError: A word is not a fault; the message lists what there is.
    """
    faults = Faults()
    for word in words:
        name, _, value = word.partition("=")
        if name == "latency" and re.fullmatch(r"\d+(\.\d+)?ms", value):
            faults.latency_s = float(value[:-2]) / 1000
        elif name in _EVERY and value.isdigit() and int(value) > 0:
            faults.every[name] = int(value)
        elif value in _CHOICES.get(name, ()) or (name in _SWITCHES and value == "1"):
            faults.choice[name] = value
        elif name in {*NAMED, "where"} and value:
            faults.set_pattern(name, value)
        elif name == "cut-at" and re.fullmatch(r"0?\.\d+", value):
            faults.cut_at = float(value)
        elif name == "total" and re.fullmatch(r"-?\d+", value):
            faults.total_off = int(value)
        elif name == "times" and value.isdigit():
            faults.times = int(value)
        elif name == "retry-after" and value:
            faults.retry_after = value
        else:
            raise ValueError(f"{word!r} is not a fault; there are\n{fault_help()}")
    return faults
