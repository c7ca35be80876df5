"""The header of a text file → the declared types of its columns.

Text holds no types, so its header must say whose they are. A name alone says little: ``name``,
``line`` and ``type`` are columns of ours, and columns and metrics of everybody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swanlab_export import schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_TIME_OF = "_timestamp"
_FURTHER = {"metrics": (schemas.X_TIME, schemas.X), "medias": schemas.MEDIA_FILES}


def declared_types(names: Sequence[str]) -> dict[str, pa.DataType]:
    """Find the tables that a header can be of, and the types that they all give its columns.

    A header is of a table if it begins with all of its columns, or consists only of columns that
    the table declares or announces (``config.*``). Any other header is of none: ``{}``.

    >>> declared_types(["run_id", "key", "step", "value", "timestamp"])["key"]
    DictionaryType(dictionary<values=string, indices=int32, ordered=0>)
    >>> declared_types(["run_id", "key"])["key"]
    DataType(string)
    >>> declared_types(["name", "score"])
    {}
    """
    tables = [table for table in schemas.DECLARED if table.columns]
    whole = [table for table in tables if list(names[: len(table.names)]) == table.names]
    if whole:
        return _types(max(whole, key=lambda table: len(table.columns)), names)
    if names[0:1] == ["run_id"] and names[1:2] in (["step"], ["x"]):
        return _wide_types(names)
    candidates = [_types(table, names) for table in tables if _consists_of(table, names)]
    return {name: kind for name in names if (kind := _common(name, candidates)) is not None}


def columns_of(table: schemas.TableSchema) -> tuple[schemas.Column, ...]:
    """Give the columns of a table, and those that it only has when they are asked for."""
    return (*table.columns, *_FURTHER.get(table.name, ()))


def _types(table: schemas.TableSchema, names: Sequence[str]) -> dict[str, pa.DataType]:
    columns = columns_of(table)
    return {column.name: column.arrow_type for column in columns if column.name in names}


def _wide_types(names: Sequence[str]) -> dict[str, pa.DataType]:
    """Of a wide table of metrics, a key may have any name; its times tell it."""
    found = _types(schemas.METRICS, names[:2])
    for name in names[2:]:
        if f"{name}{_TIME_OF}" in names:
            found |= {name: schemas.FLOAT, f"{name}{_TIME_OF}": schemas.TIME}
    return found


def _consists_of(table: schemas.TableSchema, names: Sequence[str]) -> bool:
    known = _types(table, names)
    return bool(known) and all(
        name in known or (table.families and name.startswith(table.families)) for name in names
    )


def _common(name: str, candidates: Sequence[dict[str, pa.DataType]]) -> pa.DataType | None:
    kinds = {types[name] for types in candidates if name in types}
    if kinds == {schemas.TEXT, schemas.CATEGORY}:
        return schemas.TEXT
    return kinds.pop() if len(kinds) == 1 else None
