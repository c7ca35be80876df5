"""What belongs to one run: columns, series, media and console logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.normalizers.entities import fill_row
from swanlab_export.normalizers.flatten import Row
from swanlab_export.normalizers.rows import build_table
from swanlab_export.normalizers.values import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.tables import Table

SYSTEM_PREFIX = "__swanlab__"


def normalize_columns(wire: Iterable[Any], run_id: str, *, is_single: bool = False) -> Table:
    """Columns of a run, one row each: ``GET /experiment/{id}/column``."""
    notes: list[str] = []
    rows = (fill_row(as_object(item, "a column"), notes, {"run_id": run_id}) for item in wire)
    return build_table(schemas.COLUMNS, rows, is_single=is_single, notes=notes)


def normalize_series(keys: Iterable[str], run_id: str, metric_type: str) -> Table:
    """Keys of a run, one row each: ``POST /house/metrics/{scalar,media}/keys``."""
    rows: Iterator[Row] = (
        {"run_id": run_id, "key": key, "class": key_class(key, metric_type), "type": metric_type}
        for key in keys
    )
    return build_table(schemas.SERIES, rows)


def key_class(key: str, metric_type: str) -> str:
    """Say whether a key was logged by the user or measured by SwanLab."""
    is_system = metric_type == "SCALAR" and key.startswith(SYSTEM_PREFIX)
    return "SYSTEM" if is_system else "CUSTOM"


def normalize_medias(items: Iterable[MediaItem], run_id: str) -> Table:
    """Media items, one row per key, step and item: ``POST /house/metrics/{media,f_media}``."""
    notes: list[str] = []
    rows = (fill_row(more, notes, {"run_id": run_id, **known}) for known, more in items)
    return build_table(schemas.MEDIAS, rows, notes=notes)


MediaItem = tuple[Row, "Mapping[str, Any]"]


def media_items(key: str, step: Any, wire: Any) -> Iterator[MediaItem]:
    """The items that one key holds at one step, each with what else was logged with it."""
    entry = {} if wire is None else as_object(wire, "media of a key")
    extras = as_list(entry.get("more"), "a list of captions")
    for place, path in enumerate(as_list(entry.get("data"), "a list of files")):
        if path is None:
            continue  # no file, but the captions go by place
        more = extras[place] if place < len(extras) else None
        known = {"key": key, "step": step, "item": place, "path": path}
        yield known, more if isinstance(more, dict) else {} if more is None else {"more": more}


def normalize_logs(wire: Iterable[Any], run_id: str, *, has_timestamp: bool = True) -> Table:
    """Log lines, one row each: ``GET /house/metrics/log``."""
    notes: list[str] = []
    table = build_table(
        schemas.LOGS,
        (_log_row(as_object(line, "a log line"), run_id, notes) for line in wire),
        notes=notes,
    )
    if has_timestamp:
        return table
    return table.select([name for name in table.schema.names if name != "timestamp"])


def _log_row(wire: Mapping[str, Any], run_id: str, notes: list[str]) -> Row:
    rest = dict(wire)
    return fill_row(rest, notes, {"run_id": run_id, "line": rest.pop("epoch", None)})
