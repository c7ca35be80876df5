"""What was saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Saved:
    """What was saved; ``columns`` is 0 where the file is not a table."""

    path: Path
    rows: int
    columns: int
    size_bytes: int
