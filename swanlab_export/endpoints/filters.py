"""Rules that choose runs, and how the server is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = ("STABLE", "CONFIG", "SCALAR")
OPERATORS = (*("EQ", "NEQ", "GT", "LT", "GTE", "LTE", "IN", "NOT IN", "CONTAIN", "NOT_CONTAIN"),)
# A run's own fields, as the runs table names them and as the server does.
_PAYLOAD_NAMES = {
    **{name: name for name in ("state", "name", "description", "show", "pin", "baseline")},
    **{name: name for name in ("colors", "labels")},
    "group": "cluster",
    "job_type": "job",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "finished_at": "finishedAt",
    "pinned_at": "pinnedAt",
}
_FIELDS = {theirs: ours for ours, theirs in _PAYLOAD_NAMES.items()}
RUN_FIELDS = tuple(_PAYLOAD_NAMES)


@dataclass(frozen=True)
class Rule:
    """One condition that a run has to meet.

    Args:
        field: A field of the run (one of ``RUN_FIELDS``), else a key.
        kind: Where the field is: STABLE (of the run itself), CONFIG or SCALAR (latest value).
        operator: One of ``OPERATORS``.
        values: What it is compared with, as text.
    """

    field: str
    kind: str
    operator: str
    values: tuple[str, ...]


def run_field(name: str) -> str | None:
    """The name of a run's own field, by either name; None where there is no such field.

    >>> run_field("createdAt"), run_field("group"), run_field("colour")
    ('created_at', 'group', None)
    """
    return name if name in _PAYLOAD_NAMES else _FIELDS.get(name)


def filter_payload(rule: Rule) -> dict[str, Any]:
    """A rule as the server reads it."""
    key = _PAYLOAD_NAMES[rule.field] if rule.kind == "STABLE" else rule.field
    return {"key": key, "type": rule.kind, "op": rule.operator, "value": list(rule.values)}
