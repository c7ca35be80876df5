"""Receipts: what a backup knows of one run. Writing it commits the run's unit."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import orjson
import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.backups.layout import CHOSEN_TABLES, FORMAT
from swanlab_export.decoding import decode
from swanlab_export.normalizers.values import as_float, exact_json

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from swanlab_export.schemas import TableSchema

Row = dict[str, Any]
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True)
class Asked:
    """What of a run is wanted.

    Args:
        tables: Those of ``CHOSEN_TABLES`` that are; the others always are.
        keys: Names and patterns of scalar keys; None for all, those of the system too.
        media: Fetch the files of media, too.
    """

    tables: tuple[str, ...] = CHOSEN_TABLES
    keys: tuple[str, ...] | None = None
    media: bool = True

    @classmethod
    def parse(cls, payload: dict[str, Any]) -> Self:
        """Read it from a receipt."""
        keys = payload["keys"]
        return cls(
            tuple(payload["tables"]), None if keys is None else tuple(keys), payload["media"]
        )

    def dump(self) -> dict[str, Any]:
        """What a receipt says of it."""
        return {"tables": self.tables, "keys": self.keys, "media": self.media}

    def joined(self, other: Asked) -> Asked:
        """What either of two wants."""
        keys = None
        if self.keys is not None and other.keys is not None:
            keys = tuple(sorted({*self.keys, *other.keys}))
        tables = tuple(name for name in CHOSEN_TABLES if name in {*self.tables, *other.tables})
        return Asked(tables, keys, self.media or other.media)

    def without(self, tables: Container[str]) -> Asked:
        """The same without some tables."""
        return replace(self, tables=tuple(name for name in self.tables if name not in tables))

    def missing(self, before: Asked) -> tuple[str, ...]:
        """The tables that have to be fetched where ``before`` was asked for last time."""
        if self == before:
            return ()
        wanted = [name for name in self.tables if name not in before.tables]
        if "metrics" in self.tables and self.joined(before).keys != before.keys:
            wanted.append("metrics")
        if "medias" in self.tables and self.media and not before.media:
            wanted.append("medias")
        return tuple(name for name in CHOSEN_TABLES if name in wanted)


class Stored(NamedTuple):
    """One object of a run: where it is, and what it must be; ``path`` is None where it has no row."""

    path: str | None = None
    rows: int = 0
    bytes: int = 0
    sha256: str | None = None


class Noted(NamedTuple):
    """What of a receipt tells whether its run has changed; see ``Receipt``."""

    facts: dict[str, Any]
    facts_at: str
    asked: Asked
    complete: bool
    logged: dict[str, dict[str, Any]] | None
    gone_at: str | None

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read it from the text of a receipt, which is checked like a whole one.

        Raises:
            ValueError: It is none.
        """
        return _parse(
            raw,
            lambda payload: cls(
                payload["facts"],
                payload["facts_at"],
                Asked.parse(payload["asked"]),
                payload["complete"],
                payload["logged"],
                payload["gone_at"],
            ),
        )


@dataclass(frozen=True)
class Receipt:
    """What a backup knows of one run.

    Attributes:
        facts: What the server said before the run was fetched; see ``plan``.
        facts_at: When that was, by the server's clock.
        asked: What was wanted, without what the server does not offer: it is fetched once it does.
        objects: Each table's object, and ``payload``.
        files: Files of media.
        latest: The latest step of each key.
        points: How many points each key has.
        logged: What the server named as the latest steps of media and log.
        complete: Everything that was asked for is there.
        missing: What is not, in words.
        gone_at: Since when the server no longer has the run.
        row, configs, summary, columns: Its rows in the tables of its project.
    """

    project_id: str
    run_id: str
    workspace: str
    project: str
    slug: str | None
    facts: dict[str, Any]
    facts_at: str
    asked: Asked
    objects: dict[str, Stored]
    files: list[dict[str, Any]]
    latest: dict[str, int | None]
    points: dict[str, int]
    logged: dict[str, dict[str, Any]] | None
    complete: bool
    missing: list[str]
    gone_at: str | None
    row: Row
    configs: list[Row]
    summary: list[Row]
    columns: list[Row]
    format: int = field(default=FORMAT)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a receipt.

        Raises:
            ValueError: It is none.
        """
        return _parse(raw, cls._read)

    @classmethod
    def _read(cls, payload: dict[str, Any]) -> Self:
        objects = payload.pop("objects")
        files = objects.pop("files")
        return cls(
            **payload
            | {
                "asked": Asked.parse(payload["asked"]),
                "objects": {name: Stored(**each) for name, each in objects.items()},
                "files": files,
            }
        )

    def dump(self) -> bytes:
        """Write it as JSON, with the hash of the rest at its end; equal receipts give equal bytes."""
        payload: dict[str, Any] = {
            each.name: getattr(self, each.name) for each in dataclasses.fields(self)
        }
        objects = {name: each._asdict() for name, each in self.objects.items()}
        payload["asked"] = self.asked.dump()
        payload["objects"] = objects | {"files": payload.pop("files")}
        text = exact_json(payload, orjson.OPT_SORT_KEYS)
        return text[:-1] + _seal_of(text)

    @cached_property
    def rows(self) -> int:
        """Points, log lines and media."""
        return sum(stored.rows for name, stored in self.objects.items() if name != "payload")

    @cached_property
    def bytes(self) -> int:
        """The size of its objects."""
        of_objects = sum(stored.bytes for stored in self.objects.values())
        return of_objects + sum(int(file["bytes"]) for file in self.files)

    def all_objects(self) -> list[Stored]:
        """Every object that it names, files of media too."""
        files = [Stored(file["path"], 0, file["bytes"], file["sha256"]) for file in self.files]
        return [stored for stored in self.objects.values() if stored.path] + files


def _parse(raw: bytes, read: Callable[[Any], _Parsed]) -> _Parsed:
    """Read something of a receipt.

    Raises:
        ValueError: It is none.
    """
    try:
        return read(_unseal(raw))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from None


def _unseal(raw: bytes) -> Any:
    """Read the text of a receipt, which must have the hash that it says.

    Raises:
        ValueError: It has another one, or is not JSON.
    """
    payload = decode(raw)
    if (sealed := payload.pop("sha256", None)) is not None and raw != _seal(raw, sealed):
        raise ValueError("it is not as it was written")
    return payload


def _seal_of(text: bytes) -> bytes:
    """The end of a receipt, in the place of its last brace."""
    return b',"sha256":"' + hashlib.sha256(text).hexdigest().encode() + b'"}'


def _seal(raw: bytes, sealed: Any) -> bytes:
    """What a receipt with this hash must be, given everything but its end."""
    end = len(b',"sha256":""}') + len(str(sealed))
    text = raw[:-end] + b"}"
    return raw[:-end] + _seal_of(text)


def time_text(time_ms: int) -> str:
    """Format a time as receipts have it.

    >>> time_text(0)
    '1970-01-01T00:00:00.000Z'
    """
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_ms(text: str) -> int:
    """Read a time of a receipt as Unix milliseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def json_rows(table: pa.Table, declared: TableSchema) -> list[Row]:
    """The declared columns of a table as rows for a receipt: times in ms, NaN as text.

    Columns that the table lacks are left out; ``build_rows`` makes nulls of them.
    """
    names = [column.name for column in declared.columns if column.name in table.schema.names]
    plain = table.select(names)
    for i, name in enumerate(names):
        if plain.schema.field(i).type == schemas.TIME:
            plain = plain.set_column(i, name, plain[name].cast(schemas.INT))
    rows: list[Row] = plain.to_pylist()
    floats = [column.name for column in declared.columns if column.arrow_type == schemas.FLOAT]
    for row in rows:
        for name in floats:
            if (value := row.get(name)) is not None:
                row[name] = json_float(value)
    return rows


def json_float(value: float) -> float | str:
    """A number as JSON holds it exactly.

    >>> json_float(float("-inf")), json_float(0.5)
    ('-Infinity', 0.5)
    """
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def build_rows(rows: Sequence[Row], declared: TableSchema) -> pa.RecordBatch:
    """The rows of receipts as a batch of their table."""
    return pa.record_batch(
        [_array(column, (row.get(column.name) for row in rows)) for column in declared.columns],
        schema=declared.arrow(),
    )


def _array(column: schemas.Column, values: Iterable[Any]) -> pa.Array:
    if column.arrow_type == schemas.TIME:
        return pa.array(list(values), schemas.INT).cast(schemas.TIME)
    if column.arrow_type == schemas.FLOAT:
        return pa.array([None if v is None else as_float(v) for v in values], schemas.FLOAT)
    return pa.array(list(values), column.arrow_type)
