"""Groups of rows: how many there are, mean, spread and ends.

NaN and infinite values are left out of mean, std, min and max, and are counted by themselves. The
standard deviation has ddof 1, and is missing where there is one value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.analysis.order import sort_rows
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GROUP_STATISTICS = ("n", "mean", "std", "min", "max", "n_nonfinite")


def group_rows(table: pa.Table, by: Sequence[str], values: Sequence[str]) -> pa.Table:
    """One row per group, in the order of the groups.

    Args:
        table: The rows.
        by: Columns whose values make a group; a missing value is a group of its own.
        values: Columns of numbers.

    Returns:
        The columns ``by``, ``n`` (rows in the group), and for each of ``values`` ``<name>.n``
        (finite values), ``.mean``, ``.std``, ``.min``, ``.max`` and ``.n_nonfinite``.

    Raises:
        UsageError: A column of ``by`` holds lists.

    >>> rows = pa.table({"lr": [0.1, 0.1, 1.0], "acc": [0.5, 0.7, 0.9]})
    >>> group_rows(rows, ["lr"], ["acc"]).select(["lr", "n", "acc.mean"]).to_pylist()
    [{'lr': 0.1, 'n': 2, 'acc.mean': 0.6}, {'lr': 1.0, 'n': 1, 'acc.mean': 0.9}]
    """
    check_groups(table.select(by).schema)
    keys = [f"by{i}" for i in range(len(by))]
    numbered = pa.table(
        [
            *(one_zero(table[name]) for name in by),
            *(table[name].cast(pa.float64()) for name in values),
        ],
        [*keys, *(f"v{i}" for i in range(len(values)))],
    )
    grouped = sort_rows(aggregate(numbered, keys, len(values)), keys)
    statistics = [f"{name}.{each}" for name in values for each in GROUP_STATISTICS]
    names = [*by, "n", *statistics]
    # With what is said of them, such as that texts are JSON.
    fields = [table.schema.field(name) for name in by]
    pairs = zip(names[len(by) :], grouped.schema.types[len(by) :], strict=True)
    return pa.table(grouped.columns, schema=pa.schema([*fields, *(pa.field(*p) for p in pairs)]))


def check_groups(columns: Iterable[pa.Field]) -> None:
    """Insist that the values of columns can make groups.

    Raises:
        UsageError: A column holds lists.
    """
    for column in columns:
        if pa.types.is_list(column.type):
            name = quote(column.name)
            raise UsageError(f"{argument('group_by')}: {name} holds lists: no groups of it")


def one_zero(values: Any) -> Any:
    """The same values without a negative zero, which is no other value than zero."""
    return pc.add(values, 0.0) if pa.types.is_floating(values.type) else values


def aggregate(table: pa.Table, keys: Sequence[str], values: int) -> pa.Table:
    """Aggregate the columns ``v0``, ``v1``, … to ``0.mean`` and so on, after ``keys`` and ``n``."""
    columns = {name: table[name] for name in keys}
    wanted: list[tuple[str, str, object]] = []
    for i in range(values):
        value = table[f"v{i}"]
        is_finite = pc.is_finite(value)
        columns[f"v{i}"] = pc.if_else(is_finite, value, None)
        columns[f"odd{i}"] = pc.invert(is_finite).cast(pa.int64())
        name = f"v{i}"
        wanted += [
            (name, "count", pc.CountOptions(mode="only_valid")),
            (name, "mean", None),
            (name, "stddev", pc.VarianceOptions(ddof=1)),
            (name, "min", None),
            (name, "max", None),
            (f"odd{i}", "sum", pc.ScalarAggregateOptions(min_count=0)),
        ]
    grouped = pa.table(columns).group_by(list(keys), use_threads=False)
    found = grouped.aggregate([([], "count_all"), *wanted])
    names = {"count_all": "n"}
    for i in range(values):
        kinds = ("count", "mean", "stddev", "min", "max")
        names |= {f"v{i}_{a}": f"{i}.{b}" for a, b in zip(kinds, GROUP_STATISTICS, strict=False)}
        names[f"odd{i}_sum"] = f"{i}.n_nonfinite"
    found = found.rename_columns([names.get(name, name) for name in found.schema.names])
    statistics = [f"{i}.{each}" for i in range(values) for each in GROUP_STATISTICS]
    return found.select([*keys, "n", *statistics])
