"""Values that no field is declared as, for tests that put them in the place of each field."""

from __future__ import annotations

from typing import Any

ODD_VALUES: dict[str, Any] = {
    "empty": "",
    "number": 12,
    "word": "x",
    "list": [],
    "object": {},
    "true": True,
    "huge": 10**30,
    "year 1": "0001-01-01T00:00:00Z",
    "megabyte": "x" * 1_000_000,
}
