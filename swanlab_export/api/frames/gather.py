"""Frames of every kind → tables: types that every format knows, metadata kept, or a clear no."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.api.frames.attrs import read_attrs
from swanlab_export.api.frames.held import held_type
from swanlab_export.api.frames.to_frame import first_line
from swanlab_export.errors import UsageError, argument
from swanlab_export.refs import escape
from swanlab_export.tables import Stamp, Table, read_stamp
from swanlab_export.writers.recognise import columns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_REFUSED = (ValueError, TypeError, OverflowError, NotImplementedError)


def gather(frame: Any, *, has_metadata: bool) -> Table:
    """Make a table of a frame, without changing a value.

    Args:
        frame: A pandas or polars DataFrame, an Arrow table or record batch.
        has_metadata: It goes where ``.attrs`` are kept; otherwise they may hold anything.

    Raises:
        UsageError: It is no frame, or a column cannot be kept as it is; names the column.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, pa.Table):
        columns = zip(frame.schema, frame.columns, strict=True)
        return _build(columns, read_stamp(frame.schema), frame.schema.metadata)
    if _is_frame_of("pandas", frame):
        from swanlab_export.api.frames.from_pandas import named_series, series_to_arrow

        stamp = read_attrs(frame.attrs, has_source=has_metadata)
        return _build(_converted(named_series(frame), series_to_arrow), stamp)
    if _is_frame_of("polars", frame):
        series = ((column.name, column) for column in frame.iter_columns())
        return _build(_converted(series, _polars_to_arrow), Stamp())
    kind = type(frame).__name__
    hint = {"Series": ": give frame.to_frame()", "LazyFrame": ": give frame.collect()"}
    raise UsageError(
        f"{argument('frame')} is a DataFrame or an Arrow table, not {kind}{hint.get(kind, '')}"
    )


def _is_frame_of(library: str, frame: Any) -> bool:
    """Ask without importing anything: whose frame it is has been imported."""
    module = sys.modules.get(library)
    return module is not None and isinstance(frame, module.DataFrame)


def _converted(
    columns: Iterable[tuple[str, Any]], convert: Callable[[Any], Any]
) -> Iterator[tuple[pa.Field, Any]]:
    for name, column in columns:
        try:
            array = convert(column)
        except UsageError as error:
            raise _refusal(name, error.message) from None
        except UnicodeError:
            raise _refusal(name, "holds half a character (a lone surrogate)") from None
        except _REFUSED as error:
            why = f"({column.dtype}) holds what no column can: {first_line(error)}"
            raise _refusal(name, why) from None
        yield _field(name, array.type), array


def _polars_to_arrow(series: Any) -> Any:
    import polars as pl

    if series.dtype == pl.Object:
        raise TypeError("they are objects of Python")
    # On the way, a name could not hold a null character.
    return series.alias("").to_arrow()


def _build(
    columns: Iterable[tuple[pa.Field, Any]],
    stamp: Stamp,
    metadata: Mapping[bytes, bytes] | None = None,
) -> Table:
    tables = {table.name: columns_of(table) for table in schemas.DECLARED}
    declared = [column.field() for column in tables.get(stamp.table, ())]
    fields, arrays = [], []
    for given, array in columns:
        field = _kept_field(given, declared)
        try:
            arrays.append(array.cast(field.type))
        except _REFUSED as error:
            raise _refusal(given.name, f"cannot be kept as it is: {first_line(error)}") from None
        fields.append(field)
    _check_names([field.name for field in fields])
    schema = pa.schema(fields, metadata)
    # The parts of a file share their categories.
    arrays = [_distinct_categories(array) for array in arrays]
    gathered = pa.Table.from_arrays(arrays, schema=schema).unify_dictionaries()
    is_single = stamp.single and gathered.num_rows == 1
    batches = gathered.to_batches()
    return Table(stamp.table, schema, batches, source=stamp.source, is_single=is_single)


def _kept_field(given: pa.Field, declared: Iterable[pa.Field]) -> pa.Field:
    """The field that a file gets; meaning and unit come from the table that it is of."""
    known = next((field for field in declared if field.name == given.name), None)
    if pa.types.is_null(given.type) and known is not None:
        return known
    kind = held_type(given.type)
    if kind is None:
        raise _refusal(given.name, f"holds {given.type}, which cannot be kept")
    kept = given.with_type(kind)
    same = next((f for f in declared if f.name == kept.name and f.type == kind), None)
    return kept if kept.metadata or same is None else same


def _distinct_categories(column: Any) -> Any:
    """Number categories anew where one is missing or there twice, as Arrow allows."""
    if not pa.types.is_dictionary(column.type):
        return column
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [chunk.dictionary for chunk in chunks]
    if all(len(part.unique().drop_null()) == len(part) for part in parts):
        return column
    return column.cast(schemas.TEXT).dictionary_encode().cast(column.type)


def _check_names(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"{argument('frame')} has two columns called {escape(twice)}, its index included: "
            "rename one, or leave out the index with frame.reset_index(drop=True)"
        )


def _field(name: str, kind: pa.DataType) -> pa.Field:
    try:
        return pa.field(name, kind)
    except UnicodeError:
        raise _refusal(name, "is called by half a character (a lone surrogate)") from None


def _refusal(name: str, why: str) -> UsageError:
    return UsageError(
        f"{argument('frame')}: column {escape(name)} {why}; "
        "make it plain text, numbers or times first, or leave it out"
    )
