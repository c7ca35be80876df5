"""The typed table that every command returns: an Arrow schema, and record batches.

Batches are made when they are asked for, so that a table of ten million points need not be in
memory as a whole.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from swanlab_export._version import __title__, __version__
from swanlab_export.patterns import is_pattern
from swanlab_export.schemas import KEY_TYPES, no_column, pandas_column, parse_fields, parse_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


# The name of the metadata that ``provenance`` gives.
PROVENANCE = "swanlab_export"


class RestartError(Exception):
    """Raised from the iteration of a table whose rows must be read again, in another order."""


class Table:
    """A table whose rows are still to come.

    Iterating yields non-empty record batches; a table whose data stream from a server can be
    iterated once. An error in the middle of the stream is raised from the iteration, so a writer
    must not replace a file before it has ended.

    Args:
        name: Which declared table this is, such as ``metrics``; see ``schemas``.
        schema: The columns, in order, with their types. In the batches, text columns may be
            dictionary-encoded.
        batches: Where the rows come from.
        is_single: The table is about one entity: text formats print one object, not a list.
        total: How many rows the server has, where that is known.
        run_names: Display names of runs by id, for people who look at a plot.
        run_values: What gives the lines of a plot their colours, by id.
        x_axis: What the x axis of a plot is called: ``step``, ``time``, ``relative_time`` or a key.
        keys: The keys that were asked for, which a plot without points names.
        points_of_runs: Of a table of groups, the points that they are made of, with the columns of
            the group; to be read after the rows, and only by a plot.

    Attributes:
        asked_for: The columns that make a group, or give the order of the rows; a terminal leaves
            out others for them.
        check_absent: Refuses columns of keys (``config.lr``) that no run has at all, where the
            table may lack the column only because none of its rows has the key.
    """

    def __init__(
        self,
        name: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        *,
        is_single: bool = False,
        total: int | None = None,
        run_names: Mapping[str, str] | None = None,
        run_values: Mapping[str, Any] | None = None,
        x_axis: str = "step",
        keys: Sequence[str] = (),
        points_of_runs: Iterable[pa.RecordBatch] = (),
    ) -> None:
        self.name = name
        self.schema = schema
        self.is_single = is_single
        self.total = total
        self.run_names = dict(run_names or {})
        self.run_values = dict(run_values or {})
        self.x_axis = x_axis
        self.keys = tuple(keys)
        self.points_of_runs = points_of_runs
        self.asked_for: Sequence[str] = ()
        self.check_absent: Callable[[Sequence[str]], None] | None = None
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return (batch for batch in self._batches if batch.num_rows)

    def __repr__(self) -> str:
        return f"Table({self.name!r}, columns={self.schema.names})"

    def select(self, fields: str | Sequence[str]) -> Table:
        """Keep ``fields``, in their order.

        Raises:
            UsageError: The table has no such column; names similar ones.
        """
        whole = self.complete(parse_names(fields, "fields"), "fields")
        names = parse_fields(fields, whole.schema.names)
        schema = pa.schema([whole.schema.field(name) for name in names])
        return whole.with_rows(schema, (batch.select(names) for batch in whole))

    def complete(self, names: Iterable[str], argument_name: str) -> Table:
        """The table with empty columns for keys that runs can have, but none of its rows has.

        Args:
            names: Columns that are needed; patterns need none.
            argument_name: The argument that named them.

        Raises:
            UsageError: There is no such column; names similar ones.
            NotFoundError: A key that no run has; names the closest ones.
        """
        known = self.schema.names
        absent = [name for name in names if name not in known]
        if argument_name == "fields":
            absent = [name for name in absent if not is_pattern(name)]
        for name in absent:
            if not name.startswith(tuple(KEY_TYPES)) or self.check_absent is None:
                has_keys = self.check_absent is not None and argument_name in {"sort", "fields"}
                raise no_column(name, known, argument_name, has_keys=has_keys)
        if not absent or self.check_absent is None:
            return self
        self.check_absent(absent)
        fields = [pa.field(name, KEY_TYPES[name.partition(".")[0] + "."]) for name in absent]

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self:
                empty = [pa.nulls(batch.num_rows, field.type) for field in fields]
                schema = pa.schema([*batch.schema, *fields])
                yield pa.record_batch([*batch.columns, *empty], schema=schema)

        return self.with_rows(pa.schema([*self.schema, *fields]), batches())

    def with_rows(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Table:
        """The same table with other columns and rows."""
        other = copy.copy(self)
        other.schema = schema
        other._batches = batches  # noqa: SLF001  of the same class
        return other

    def to_arrow(self) -> pa.Table:
        """Gather all batches into one Arrow table, with plain text columns."""
        return pa.Table.from_batches(
            [decode_batch(batch, self.schema) for batch in self], self.schema
        )


def decode_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Replace dictionary-encoded columns by plain ones, and take over the metadata of ``schema``."""
    columns = [
        column.cast(field.type) if column.type != field.type else column
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.record_batch(columns, schema=schema)


def provenance(
    name: str, source: Mapping[str, Any], left_out: Sequence[Mapping[str, str]] = ()
) -> bytes:
    """What files and frames say of themselves, as JSON: table, source, and what was left out.

    Args:
        name: Which declared table it is; empty where it is none.
        source: Where the data came from.
        left_out: The items that are missing, each with its reason.
    """
    what: dict[str, Any] = {"table": name} if name else {}
    what["source"] = dict(source)
    if left_out:
        what |= {"incomplete": True, "left_out": list(left_out)}
    return orjson.dumps(what)


def describe(
    schema: pa.Schema,
    name: str,
    source: Mapping[str, Any],
    left_out: Sequence[Mapping[str, str]] = (),
) -> pa.Schema:
    """Add the metadata of files and frames: the type of each column in pandas, and the source.

    With the former, ``pd.read_parquet`` and ``pd.read_feather`` give what the API gives. Both are
    known before the first row, since a file is opened with them.

    Args:
        schema: The columns.
        name: Which declared table they are of.
        source: Where the data came from; nothing here reads it back.
        left_out: What is missing, where that is known before the first row.
    """
    pandas = {
        "index_columns": [],
        "column_indexes": [],
        "columns": [pandas_column(field) for field in schema],
        "creator": {"library": __title__, "version": __version__},
        "pandas_version": "2.2.0",  # the format is that of this version and later ones
    }
    return schema.with_metadata(
        {"pandas": orjson.dumps(pandas), PROVENANCE: provenance(name, source, left_out)}
    )
