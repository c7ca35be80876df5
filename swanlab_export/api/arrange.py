"""Order, choice and groups of the rows of a list: over all of its rows, never over a page."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow as pa

from swanlab_export.analysis import group_rows, limit_rows, sort_rows, varying_columns
from swanlab_export.api.resource import read_integer
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument
from swanlab_export.schemas import parse_names
from swanlab_export.tables import decode_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swanlab_export.tables import Table

_Item = TypeVar("_Item")
# What the official client calls the newest first.
_OFFICIAL = {"create": "-created_at"}


@dataclass(frozen=True)
class Arrangement:
    """How the rows of a table are to be grouped, ordered and cut.

    Args:
        sort: Names of columns, the first one first; ``-`` before a name means descending.
        limit: Only so many rows.
        varying: Only the columns that say which row it is, and those that differ between rows.
        group_by: Columns whose values make a group; a row is then a group.
    """

    sort: tuple[str, ...] = ()
    limit: int | None = None
    varying: bool = False
    group_by: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        sort: str | Sequence[str] | None,
        limit: int | None,
        *,
        varying: bool = False,
        group_by: str | Sequence[str] | None = None,
    ) -> Self:
        """Check the arguments.

        Raises:
            UsageError: A name is empty, or the limit is none.
        """
        if limit is not None:
            limit = min(read_integer("limit", limit), sys.maxsize)
            if limit < 1:
                raise UsageError(f"{argument('limit')} must be at least 1")
        keys = [] if sort is None else parse_names(sort, "sort")
        by = [] if group_by is None else parse_names(group_by, "group_by")
        return cls(tuple(_OFFICIAL.get(key, key) for key in keys), limit, varying, tuple(by))

    @property
    def needs_all(self) -> bool:
        """Whether each row of the table has to be there before the first one is known."""
        return bool(self.sort or self.varying or self.group_by)

    def given(self) -> dict[str, bool]:
        """Which arguments were given, by their names."""
        values = {"sort": self.sort, "limit": self.limit, "varying": self.varying}
        return {name: bool(value) for name, value in (values | {"group_by": self.group_by}).items()}

    def first(self, items: Iterable[_Item]) -> Iterable[_Item]:
        """The items that rows are made of: the first ones, where these are what is wanted."""
        return items if self.needs_all or self.limit is None else islice(items, self.limit)

    def apply(self, table: Table, *, title: str = "groups") -> Table:
        """The table that was asked for; its rows are read at once where all are needed.

        Args:
            table: All rows.
            title: The name of the table, where a row is a group.

        Raises:
            UsageError: There is no such column, or it holds lists.
            NotFoundError: It is a key that no run has; names the closest ones.
        """
        if not self.needs_all:
            return table if self.limit is None else _cut(table, self.limit)
        rows, name = table, table.name
        if self.group_by:
            rows = rows.complete(self.group_by, "group_by")
            data = group_rows(rows.to_arrow(), self.group_by, _summaries(rows))
            rows, name = _of_rows(rows, data), title
            rows.check_absent = None  # no group has a column that it does not have
        named = [_name(key, rows.schema.names) for key in self.sort]
        rows = rows.complete(named, "sort")
        data = limit_rows(sort_rows(rows.to_arrow(), self.sort), self.limit)
        if self.varying:
            data = data.select(varying_columns(data))
        arranged = _of_rows(rows, data)
        arranged.name, arranged.asked_for = name, [*self.group_by, *named]
        return arranged

    def options(self) -> dict[str, Any]:
        """Describe it for a table's source."""
        return {
            "sort": list(self.sort),
            "limit": self.limit,
            "varying": self.varying,
            "group_by": list(self.group_by),
        }


EVERYTHING = Arrangement()


def _name(key: str, known: Sequence[str]) -> str:
    """The column that a key of the order names."""
    return key if key in known else key.removeprefix("-")


def _summaries(table: Table) -> list[str]:
    """The columns of numbers whose mean a group has: the summaries that were asked for."""
    return [
        field.name
        for field in table.schema
        if field.name.startswith("summary.") and pa.types.is_floating(field.type)
    ]


def _of_rows(table: Table, data: pa.Table) -> Table:
    return table.with_rows(data.schema, data.to_batches())


def _cut(table: Table, limit: int) -> Table:
    """The first rows of a table, the rest of which is not read."""

    def batches() -> Iterator[pa.RecordBatch]:
        left = limit
        for batch in table:
            yield decode_batch(batch.slice(0, left), table.schema)
            left -= batch.num_rows
            if left <= 0:
                return

    return table.with_rows(table.schema, batches())
