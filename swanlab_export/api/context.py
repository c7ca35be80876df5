"""What every command works with, and what every command gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swanlab_export.progress import Progress

if TYPE_CHECKING:
    from swanlab_export.client import Client
    from swanlab_export.tables import Table


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Context:
    """A server to ask, somebody to report progress to, and a clock."""

    client: Client
    progress: Progress = field(default_factory=Progress)
    now_ms: Callable[[], int] = _now_ms

    @property
    def web_host(self) -> str:
        """Where the web pages of this server are."""
        return self.client.settings.web_host


@dataclass(frozen=True)
class Answer:
    """What the server said, and how to turn it into a table.

    Args:
        wire: The server's answer; an iterator where it is a list, read once.
        normalize: Makes the table out of it.
        source: What was asked for: the command, its path and options. Never a secret.
        raw: Turns ``wire`` into what ``--raw`` prints, where that is not ``wire`` itself.
        notes: What the reader should know besides; may grow until the last row has come.
        failures: Parts that were left out because they failed; may grow until then, too.
    """

    wire: Any
    normalize: Callable[[Any], Table]
    source: Mapping[str, Any] = field(default_factory=dict)
    raw: Callable[[Any], Any] | None = None
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def to_table(self) -> Table:
        """Normalize the answer."""
        table = self.normalize(self.wire).with_source(self.source)
        self.notes[:0] = table.notes
        table.notes, table.failures = self.notes, self.failures
        return table

    def to_raw(self) -> Any:
        """Give what the server said, unflattened."""
        if self.raw is not None:
            return self.raw(self.wire)
        return list(self.wire) if isinstance(self.wire, Iterator) else self.wire


def _says_nothing(value: Any) -> bool:
    # Not by equality: 0 is a step.
    return value is None or value is False or value in ("", [])


def source_of(context: Context, command: str, path: object = "", **options: Any) -> dict[str, Any]:
    """Describe a call for a table's metadata; options that say nothing are left out."""
    said = {name: value for name, value in options.items() if not _says_nothing(value)}
    return {
        "host": context.client.settings.host,
        "command": command,
        "path": str(path),
        "options": said,
        "fetched_at_ms": context.now_ms(),
    }
