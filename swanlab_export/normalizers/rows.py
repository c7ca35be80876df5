"""Flat rows → a table: declared columns first, then whatever else the rows hold.

The type of an undeclared column follows from all rows, so no batch can be made before the last row
has been seen. Rows beyond the first thousand, or the first few megabytes, wait in a temporary file:
a list of 100,000 runs needs no more memory than a list of 2,000.
"""

from __future__ import annotations

import pickle
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.cells import IS_JSON
from swanlab_export.normalizers.flatten import case_warnings
from swanlab_export.normalizers.values import (
    INT64_MAX,
    INT64_MIN,
    JsonText,
    as_float,
    as_text,
    read_as,
    reader_of,
)
from swanlab_export.spool import IN_MEMORY_BYTES, open_scratch, scratch_errors
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swanlab_export.normalizers.flatten import Row
    from swanlab_export.report import Report
    from swanlab_export.schemas import TableSchema

_ROWS_PER_BATCH = 1000
# What a value needs beside its text, roughly.
_VALUE_BYTES = 16
# Beyond this a float64 no longer holds every integer.
_EXACT_FLOAT = 2**53
_BOOL, _INT, _WIDE_INT, _FLOAT, _TEXT, _JSON = 1, 2, 4, 8, 16, 32


def build_table(
    declared: TableSchema,
    rows: Iterable[Row],
    report: Report,
    *,
    is_single: bool = False,
    expected: Iterable[str] = (),
) -> Table:
    """Gather flat rows into a table of ``declared``.

    Args:
        declared: The declared columns; they are there even for zero rows.
        rows: Flat rows; a declared column may be missing from a row, an undeclared one may come.
        report: Counts values that are not of the type of their declared column: they are null.
        is_single: The table is about one entity.
        expected: Undeclared columns of floats that are there even if no row has them.
    """
    spool = _Spool(declared, expected, report)
    for row in rows:
        spool.add(row)
    spool.close()
    schema = spool.schema()
    for warning in case_warnings(schema.names):
        report.warn(warning)
    return Table(declared.name, schema, spool, is_single=is_single)


class _Spool:
    """Rows in order, in memory or in a temporary file, and the kinds of their undeclared values."""

    def __init__(self, declared: TableSchema, expected: Iterable[str], report: Report) -> None:
        self._declared = declared
        self._report = report
        self._readers = {column.name: reader_of(column.arrow_type) for column in declared.columns}
        self._kinds = dict.fromkeys(expected, _FLOAT)
        self._rows: list[Row] = []
        self._size_bytes = 0
        self._file: IO[bytes] | None = None
        self._chunks = 0

    def add(self, row: Row) -> None:
        read: Row = {}
        for name, value in row.items():
            if (reader := self._readers.get(name)) is not None:
                read[name] = read_as(reader, name, value, self._report)
            else:
                self._kinds[name] = self._kinds.get(name, 0) | _kind(value)
                read[name] = value
            self._size_bytes += _VALUE_BYTES + (len(value) if isinstance(value, str) else 0)
        self._rows.append(read)
        if len(self._rows) >= _ROWS_PER_BATCH or self._size_bytes > IN_MEMORY_BYTES:
            self._spill()

    def close(self) -> None:
        """End the rows; a short table never touches the disk."""
        if self._file is not None and self._rows:
            self._spill()

    def schema(self) -> pa.Schema:
        fields = list(self._declared.arrow())
        families = self._declared.families
        ranked = sorted((_rank(name, families), name) for name in self._kinds)
        extra = [_field(name, self._kinds[name]) for _, name in ranked]
        return pa.schema([*fields, *extra])

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        schema = self.schema()
        for rows in self._chunks_of_rows():
            columns = [_column(field, rows) for field in schema]
            yield pa.record_batch(columns, schema=schema)

    def _spill(self) -> None:
        if self._file is None:
            self._file = open_scratch(self)
        with scratch_errors():
            pickle.dump(self._rows, self._file, protocol=pickle.HIGHEST_PROTOCOL)
        self._chunks += 1
        self._rows = []
        self._size_bytes = 0

    def _chunks_of_rows(self) -> Iterator[list[Row]]:
        if self._file is None:
            yield self._rows
            return
        with scratch_errors():
            self._file.seek(0)
        for _ in range(self._chunks):
            yield pickle.load(self._file)  # noqa: S301  written above, by this very object


def _rank(name: str, families: tuple[str, ...]) -> int:
    """Say which family a column belongs to; columns of none come last."""
    return next((i for i, start in enumerate(families) if name.startswith(start)), len(families))


def _field(name: str, kinds: int) -> pa.Field:
    """The field of an undeclared column; one of lists or objects alone says so."""
    return pa.field(name, _narrowest(kinds), metadata=IS_JSON if kinds == _JSON else None)


def _kind(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, JsonText):
        return _JSON
    if isinstance(value, bool):
        return _BOOL
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            return _TEXT
        return _INT if abs(value) <= _EXACT_FLOAT else _INT | _WIDE_INT
    return _FLOAT if isinstance(value, float) else _TEXT


def _narrowest(kinds: int) -> pa.DataType:
    """Find the narrowest type that holds every value exactly."""
    if kinds == _BOOL:
        return schemas.BOOL
    if kinds and not kinds & ~(_INT | _WIDE_INT):
        return schemas.INT
    if kinds and not kinds & ~(_INT | _FLOAT):
        return schemas.FLOAT
    return schemas.TEXT


def _column(field: pa.Field, rows: list[Row]) -> pa.Array:
    convert: dict[pa.DataType, Callable[[Any], Any]] = {
        schemas.TEXT: as_text,
        schemas.FLOAT: as_float,
    }
    read = convert.get(field.type, lambda value: value)
    values = (row.get(field.name) for row in rows)
    return pa.array(
        [None if value is None else read(value) for value in values],
        type=field.type,
    )
