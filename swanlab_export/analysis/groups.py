"""Groups of rows, and of the points of runs: how many there are, mean, spread and ends.

NaN and infinite values are left out of mean, std, min and max, and are counted by themselves. The
standard deviation has ddof 1, and is missing where there is one value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.analysis.order import sort_rows
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    for name in by:
        if pa.types.is_list(table.schema.field(name).type):
            raise UsageError(f"{argument('group_by')}: {quote(name)} holds lists: no groups of it")
    keys = [f"by{i}" for i in range(len(by))]
    numbered = pa.table(
        [*(table[name] for name in by), *(table[name].cast(pa.float64()) for name in values)],
        [*keys, *(f"v{i}" for i in range(len(values)))],
    )
    grouped = sort_rows(_aggregate(numbered, keys, len(values)), keys)
    statistics = [f"{name}.{each}" for name in values for each in GROUP_STATISTICS]
    return grouped.rename_columns([*by, "n", *statistics])


def group_points(
    points: pa.Table, groups: pa.Table, axis: str, *, is_smoothed: bool = False
) -> pa.Table:
    """One row per group of runs, key and step, in this order.

    A step that only some runs of a group have is a row with a smaller ``n``: the means of a group
    whose runs are of different length change where a run ends. Where a run has several points at
    one step, the last one counts.

    Args:
        points: Points of runs: run_id, key, the axis, value, and with ``is_smoothed`` smoothed.
        groups: ``run_id``, each once, and the columns that make a group.
        axis: Which column is the step: ``step`` or ``x``.
        is_smoothed: Add the mean of the smoothed values, as ``smoothed``.

    Returns:
        The columns that make a group, key, the axis, n, mean, std, min, max, n_nonfinite, and
        smoothed.

    >>> points = pa.table({"run_id": ["a", "b"], "key": ["k", "k"], "step": [0, 0], "value": [1.0, 3]})
    >>> groups = pa.table({"run_id": ["a", "b"], "lr": [0.1, 0.1]})
    >>> group_points(points, groups, "step").select(["step", "n", "mean"]).to_pylist()
    [{'step': 0, 'n': 2, 'mean': 2.0}]
    """
    by = [name for name in groups.schema.names if name != "run_id"]
    values = ["value", "smoothed"] if is_smoothed else ["value"]
    # The groups are numbered: a key or a step may be named like one of their columns.
    distinct = _number_groups(groups, by)
    numbers = distinct["group"].combine_chunks()
    at = pc.index_in(
        points["run_id"].cast(pa.string()), value_set=groups["run_id"].combine_chunks()
    )
    plain = pa.table(
        {
            "run": at,
            "key": points["key"].cast(pa.string()),
            "axis": points[axis],
            **{f"v{i}": points[name] for i, name in enumerate(values)},
        }
    ).combine_chunks()
    last = plain.group_by(["run", "key", "axis"], use_threads=False).aggregate(
        [(f"v{i}", "last", pc.ScalarAggregateOptions(skip_nulls=False)) for i in range(len(values))]
    )
    rows = pa.table(
        [
            numbers.take(last["run"].combine_chunks()),
            last["key"],
            last["axis"],
            *(last[f"v{i}_last"] for i in range(len(values))),
        ],
        ["group", "key", "axis", *(f"v{i}" for i in range(len(values)))],
    )
    found = _aggregate(rows, ["group", "key", "axis"], len(values))
    # Keys stay in the order in which they came, and so do groups.
    order = pc.unique(plain["key"])
    found = found.append_column("order", pc.index_in(found["key"], value_set=order))
    found = sort_rows(found, ["group", "order", "axis"])
    firsts = distinct.group_by("group", use_threads=False).aggregate(
        [(name, "first", pc.ScalarAggregateOptions(skip_nulls=False)) for name in _numbered(by)]
    )
    where = pc.index_in(found["group"], value_set=firsts["group"].combine_chunks())
    columns = {name: firsts[f"{each}_first"].take(where) for name, each in _pairs(by)}
    named = list(columns.items())
    named += [("key", found["key"]), (axis, found["axis"])]
    named += [(each, found[f"0.{each}"]) for each in GROUP_STATISTICS]
    if is_smoothed:
        named.append(("smoothed", found["1.mean"]))
    return pa.table([column for _, column in named], [name for name, _ in named])


def _numbered(by: Sequence[str]) -> list[str]:
    return [f"by{i}" for i in range(len(by))]


def _pairs(by: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(by, _numbered(by), strict=True))


def _number_groups(groups: pa.Table, by: Sequence[str]) -> pa.Table:
    """The group columns of each run, with the number of its group: in the order of the groups."""
    keyed = pa.table([groups[name] for name in by], _numbered(by))
    keyed = keyed.append_column("row", pa.array(range(len(keyed)), pa.int64()))
    ordered = sort_rows(keyed, _numbered(by))
    numbers: list[int] = []
    before: tuple[object, ...] | None = None
    for row in zip(*(ordered[each].to_pylist() for each in _numbered(by)), strict=True):
        is_new = before is None or repr(row) != repr(before)
        numbers.append((numbers[-1] if numbers else -1) + is_new)
        before = row
    ordered = ordered.append_column("group", pa.array(numbers, pa.int64()))
    return sort_rows(ordered, ["row"])


def _aggregate(table: pa.Table, keys: Sequence[str], values: int) -> pa.Table:
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
