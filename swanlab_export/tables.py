"""The typed table that every command answers with: an Arrow schema, and record batches.

Batches are made when they are asked for, so a table of ten million points never stands in memory
unless somebody wants it there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

METADATA_KEY = b"swanlab_export"


@dataclass(frozen=True)
class Stamp:
    """What the metadata of a schema, and so of Parquet and Feather files, say of their table.

    Args:
        table: Which table of the documentation it is; empty where it is none.
        single: It is about one entity.
        source: Where the data came from.
    """

    table: str = ""
    single: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)


def stamp_schema(schema: pa.Schema, stamp: Stamp) -> pa.Schema:
    """Put a stamp into the metadata, beside what else they hold."""
    held = {"table": stamp.table, "single": stamp.single, "source": dict(stamp.source)}
    return schema.with_metadata({**(schema.metadata or {}), METADATA_KEY: orjson.dumps(held)})


def read_stamp(schema: pa.Schema) -> Stamp:
    """Read the stamp of a schema; of one that nobody here has stamped, an empty one."""
    try:
        found = orjson.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
        return Stamp(
            str(found.get("table", "")), found.get("single") is True, dict(found["source"])
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Stamp()


class Table:
    """A table on its way out.

    Iterating yields non-empty record batches of ``schema``; a table whose data stream from a
    server can be iterated once. An error in the middle of the stream is raised from the
    iteration, so whoever writes must not publish before it has ended.

    Args:
        name: Which table of the documentation this is, such as ``metrics``.
        schema: The columns, in order, with their types.
        batches: Where the rows come from.
        source: Where the data came from: host, path, options, time. Never a secret. It is kept
            in the schema's metadata, and so in Parquet and Feather files.
        is_single: The table is about one entity: text formats print one object, not a list.
        total: How many rows the server has in all, where that is known and differs from what
            was asked for.
        notes: What the reader should know besides (hints, warnings); may grow during iteration.

    Attributes:
        names: What ids of runs are called, for people who look at a plot; in no file.
        failures: Parts that were left out because they failed, one line each. A table with any is
            not whole, and the command line ends with the exit code of ``IncompleteError``.
    """

    def __init__(
        self,
        name: str,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        *,
        source: Mapping[str, Any] | None = None,
        is_single: bool = False,
        total: int | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.name = name
        self.source = dict(source or {})
        self.schema = schema
        self.is_single = is_single
        self.total = total
        self.notes = [] if notes is None else notes
        self.names: dict[str, str] = {}
        self.failures: list[str] = []
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return (batch for batch in self._batches if batch.num_rows)

    def __repr__(self) -> str:
        return f"Table({self.name!r}, columns={self.schema.names})"

    @property
    def stamped_schema(self) -> pa.Schema:
        """The schema with the table's name and source in its metadata, as files hold it."""
        return stamp_schema(self.schema, Stamp(self.name, self.is_single, self.source))

    def with_source(self, source: Mapping[str, Any]) -> Table:
        """Say where the data came from."""
        self.source = {**self.source, **source}
        return self

    def select(self, fields: list[str]) -> Table:
        """Keep ``fields``, in their order; the caller has checked that they exist."""
        schema = pa.schema([self.schema.field(name) for name in fields])
        chosen = Table(
            self.name,
            schema,
            (batch.select(fields) for batch in self),
            source=self.source,
            is_single=self.is_single,
            total=self.total,
            notes=self.notes,
        )
        chosen.names = self.names
        chosen.failures = self.failures
        return chosen

    def to_arrow(self) -> pa.Table:
        """Gather all batches into one Arrow table, with the source in its metadata."""
        gathered = pa.Table.from_batches(self, schema=self.schema)
        return gathered.cast(self.stamped_schema)
