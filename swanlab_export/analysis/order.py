"""The rows of a table in another order, fewer of them, and the columns that tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.cells import json_cells
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

# Columns that say which row it is, and when; they stay where all rows have the same.
_IDENTIFYING = {"snapshot_at", "path", "project", "run_id", "name", "username", "key"}


def sort_rows(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The rows in the order of ``keys``, the first one first; equal rows stay in their order.

    Args:
        table: The table.
        keys: Names of columns; ``-`` before a name means descending. Missing values come last in
            either direction, and NaN before them.

    Raises:
        UsageError: A column holds lists, which have no order.

    >>> sort_rows(pa.table({"a": [2, None, 3]}), ["-a"])["a"].to_pylist()
    [3, 2, None]
    """
    if not keys:
        return table
    by = []
    for key in keys:
        name = key if key in table.schema.names else key.removeprefix("-")
        if pa.types.is_list(table.schema.field(name).type):
            raise UsageError(f"{argument('sort')}: {quote(name)} holds lists, which have no order")
        by.append((name, "ascending" if name == key else "descending"))
    return table.take(pc.sort_indices(table, sort_keys=by))


def limit_rows(table: pa.Table, limit: int | None) -> pa.Table:
    """The first ``limit`` rows, or all."""
    return table if limit is None else table.slice(0, limit)


def varying_columns(table: pa.Table) -> list[str]:
    """Names of the columns that say which row it is, and of those that differ between rows.

    >>> varying_columns(pa.table({"name": ["a"] * 2, "lr": [1, 2], "seed": [7, 7]}))
    ['name', 'lr']
    """
    names = table.schema.names
    return [name for name in names if name in _IDENTIFYING or _differs(table[name])]


def _differs(column: pa.ChunkedArray) -> bool:
    if pa.types.is_list(column.type):
        column = pa.chunked_array([json_cells(chunk) for chunk in column.chunks], pa.string())
    return bool(pc.count_distinct(column, mode="all").as_py() > 1)
