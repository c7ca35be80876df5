"""Receipts folded into the tables and the index of their project, which can always be made anew."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from swanlab_export import schemas
from swanlab_export.backups.layout import PROJECT_TABLES, index_path, project_object
from swanlab_export.backups.parquet import RUNS_PER_GROUP, ParquetObject
from swanlab_export.backups.receipts import Row, build_rows, time_ms
from swanlab_export.pagination import in_batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.index import Index
    from swanlab_export.backups.receipts import Receipt
    from swanlab_export.backups.unit import ProjectPlace
    from swanlab_export.files.store_objects import Entry

SCHEMAS = {
    "runs": schemas.STORED_RUNS,
    "configs": schemas.STORED_CONFIGS,
    "summary": schemas.STORED_SUMMARY,
    "columns": schemas.STORED_COLUMNS,
    "index": schemas.BACKUP_INDEX,
}
_UNFINISHED = ("RUNNING", "OFFLINE")
# Receipts take much more memory than their rows in Arrow; a divisor of RUNS_PER_GROUP.
_RECEIPTS_AT_ONCE = 200
Item = tuple["Entry", str, "Receipt"]


@dataclass
class Counts:
    """What a project holds."""

    runs: int = 0
    complete: int = 0
    unfinished: int = 0
    incomplete: int = 0
    gone: int = 0
    rows: int = 0
    bytes: int = 0

    def add(self, receipt: Receipt) -> None:
        """Count a run."""
        self.runs += 1
        self.complete += receipt.complete
        self.incomplete += not receipt.complete
        self.unfinished += receipt.row.get("state") in _UNFINISHED and receipt.gone_at is None
        self.gone += receipt.gone_at is not None
        self.rows += receipt.rows
        self.bytes += receipt.bytes


@dataclass
class Folded:
    """The tables of a project as they were written, and what they hold."""

    counts: Counts = field(default_factory=Counts)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return asdict(self)


def fold_project(
    destination: Destination, place: ProjectPlace, payload: Any, index: Index, web_host: str
) -> Folded:
    """Write the tables and the index of a project from its receipts; few runs are held at a time."""
    folder = place.folder
    paths = {name: project_object(name, folder) for name in PROJECT_TABLES}
    paths["index"] = index_path(folder)
    about = {
        "project": payload,
        "workspace": place.workspace,
        "name": place.name,
        "project_id": place.project_id,
    }
    folded = Folded()
    with ExitStack() as cleanup:
        parts: dict[str, ParquetObject] = {}
        for name, path in paths.items():
            metadata = {"swanlab_backup": about} if name == "index" else None
            part = ParquetObject(destination.create(path), SCHEMAS[name].arrow(), metadata)
            cleanup.callback(part.discard)
            parts[name] = part
        for items in in_batches(index.receipts(), _RECEIPTS_AT_ONCE):
            for _, _, receipt in items:
                folded.counts.add(receipt)
            for name, part in parts.items():
                rows = list(_rows(name, items, place, web_host))
                part.write(build_rows(rows, SCHEMAS[name]))
                if folded.counts.runs % RUNS_PER_GROUP == 0:
                    part.end_group()
        for name, path in paths.items():
            size, sha256 = parts[name].finish()
            folded.objects[path] = {"rows": parts[name].rows, "bytes": size, "sha256": sha256}
        # The index comes last: as long as it is not current, the tables are made again.
        for part in parts.values():
            part.pending.place()
    return folded


def _rows(name: str, items: list[Item], place: ProjectPlace, web_host: str) -> Iterator[Row]:
    for entry, text, receipt in items:
        ids = {"project_id": receipt.project_id, "run_id": receipt.run_id}
        if name == "index":
            yield _index_row(entry, text, receipt)
        elif name == "runs":
            page = receipt.slug or receipt.run_id
            yield receipt.row | {
                "path": f"{place}/{receipt.run_id}",
                "url": f"{web_host}/@{place}/runs/{page}/chart",
                "backup.seen_at": time_ms(receipt.facts_at),
                "backup.gone_at": _time(receipt.gone_at),
                "backup.complete": receipt.complete,
            }
        else:
            for row in getattr(receipt, name):
                yield row | ids


def _index_row(entry: Entry, text: str, receipt: Receipt) -> Row:
    paths = {name: stored.path for name, stored in receipt.objects.items()}
    return (
        receipt.row
        | paths
        | {
            "project_id": receipt.project_id,
            "run_id": receipt.run_id,
            "receipt": entry.path,
            "receipt_size": entry.size,
            "receipt_version": entry.version,
            "receipt_json": text,
            "gone_at": _time(receipt.gone_at),
            "complete": receipt.complete,
        }
    )


def snapshot_rows(place: ProjectPlace, index: Index) -> Iterator[Row]:
    """What a snapshot says of each run of a project."""
    for _, _, receipt in index.receipts():
        row = {k: v for k, v in receipt.row.items() if k not in {"config", "metadata"}}
        objects = receipt.objects
        yield {
            "path": f"{place}/{receipt.run_id}",
            "project_id": receipt.project_id,
            "run_id": receipt.run_id,
            "name": receipt.row.get("name"),
            "gone_at": _time(receipt.gone_at),
            "points": objects["metrics"].rows,
            "lines": objects["logs"].rows,
            "items": objects["medias"].rows,
            "row": _json(row).decode(),
            "config": _hash(receipt.row.get("config")),
            "metadata": _hash(receipt.row.get("metadata")),
            "summary": _hash(receipt.summary),
            "columns": _hash(receipt.columns),
            **{name: (objects[name].sha256 or "")[:16] for name in ("metrics", "logs", "medias")},
        }


def _time(text: str | None) -> int | None:
    return None if text is None else time_ms(text)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _hash(value: Any) -> str:
    return hashlib.sha256(_json(value)).hexdigest()[:16]
