"""The declared tables themselves, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swanlab_export import schemas
from swanlab_export.errors import UsageError
from swanlab_export.messages import closest, quote
from swanlab_export.normalizers.rows import build_table

if TYPE_CHECKING:
    from swanlab_export.report import Report
    from swanlab_export.tables import Table


def describe_tables(name: str | None, report: Report) -> Table:
    """The declared columns of the table ``name``, or of all tables; one row each.

    Raises:
        UsageError: There is no such table; names similar ones.
    """
    known = {table.name: table for table in schemas.DECLARED}
    if name is not None and name not in known:
        there = ", ".join(closest(name, list(known), len(known)))
        raise UsageError(f"no table {quote(name)}; there are {there}")
    chosen = known.values() if name is None else [known[name]]
    rows = (
        {
            "table": table.name,
            "column": column.name,
            "type": str(column.arrow_type),
            "unit": column.unit or None,
            "meaning": column.meaning,
            "grain": table.grain,
        }
        for table in chosen
        for column in table.columns
    )
    return build_table(schemas.TABLES, rows, report)
