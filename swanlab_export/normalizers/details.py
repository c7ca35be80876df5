"""What belongs to one run: columns, series, media and console logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.normalizers.entities import fill_row
from swanlab_export.normalizers.flatten import Row
from swanlab_export.normalizers.rows import build_table
from swanlab_export.normalizers.values import as_entity, as_object, as_text, read_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.report import Report
    from swanlab_export.tables import Table

SYSTEM_PREFIX = "__swanlab__"
_EXTENSION = re.compile(r"\.[A-Za-z]\w{0,9}")
# No file name is longer.
_PATH_MAX = 4096


def normalize_columns(
    payload: Iterable[Any], report: Report, run_id: str, *, is_single: bool = False
) -> Table:
    """Columns of a run, one row each: ``GET /experiment/{id}/column``."""

    def row(item: Any) -> Row:
        return fill_row(as_entity(item, "a column", "key"), report, {"run_id": run_id})

    rows = read_each(payload, row, report)
    return build_table(schemas.COLUMNS, rows, report, is_single=is_single)


def normalize_series(keys: Iterable[str], report: Report, run_id: str, metric_type: str) -> Table:
    """Keys of a run, one row each: ``POST /house/metrics/{scalar,media}/keys``."""
    rows: Iterator[Row] = (
        {"run_id": run_id, "key": key, "class": key_class(key, metric_type), "type": metric_type}
        for key in keys
    )
    return build_table(schemas.SERIES, rows, report)


def key_class(key: str, metric_type: str) -> str:
    """Say whether a key was logged by the user or measured by SwanLab."""
    is_system = metric_type == "SCALAR" and key.startswith(SYSTEM_PREFIX)
    return "SYSTEM" if is_system else "CUSTOM"


def normalize_medias(items: Iterable[MediaItem], report: Report, run_id: str) -> Table:
    """Media items, one row per key, step and item: ``POST /house/metrics/{media,f_media}``."""
    rows = (fill_row(more, report, {"run_id": run_id, **known}) for known, more in items)
    return build_table(schemas.MEDIAS, rows, report)


MediaItem = tuple[Row, "Mapping[str, Any]"]


def media_items(key: str, step: Any, payload: Any, report: Report) -> Iterator[MediaItem]:
    """The items that one key holds at one step, each with what else was logged with it.

    Each has either a ``path``, of a file on the server, or a ``text``, the item itself.
    """
    entry = {} if payload is None else as_object(payload, "media of a key")
    extras = entry.get("more")
    if extras is not None and not isinstance(extras, list):
        report.odd_value("caption", as_text(extras))
        extras = None
    files = entry.get("data")
    if files is not None and not isinstance(files, list):
        report.odd_value("path", as_text(files))
        yield {"key": key, "step": step, "item": None, "path": None, "text": None}, {}
        return
    for number, data in enumerate(files or []):
        if data is None:
            continue  # no file, but captions are matched by their position
        more = extras[number] if extras is not None and number < len(extras) else None
        content = as_text(data)
        is_file = is_path(content)
        known = {
            "key": key,
            "step": step,
            "item": number,
            "path": content if is_file else None,
            "text": None if is_file else content,
        }
        yield known, more if isinstance(more, dict) else {} if more is None else {"more": more}


def is_path(content: str) -> bool:
    """Say whether an item of media is the path of a file, and not a text itself.

    A path has no blanks, and a folder or an extension; older servers send texts as they are.

    >>> is_path("media/image/003-1f3a9c0b.png"), is_path("a.png"), is_path("the answer is 42.")
    (True, True, False)
    """
    if len(content) > _PATH_MAX or len(content.split()) != 1 or content != content.strip():
        return False
    return "/" in content or _EXTENSION.search(content) is not None


def normalize_logs(
    lines: Iterable[Any], report: Report, run_id: str, *, has_timestamp: bool = True
) -> Table:
    """Log lines, one row each: ``GET /house/metrics/log``."""
    rows = (_log_row(as_object(line, "a log line"), run_id, report) for line in lines)
    if has_timestamp:
        return build_table(schemas.LOGS, rows, report)
    table = build_table(schemas.LOGS, (row | {"timestamp": None} for row in rows), report)
    return table.select([name for name in table.schema.names if name != "timestamp"])


def _log_row(payload: Mapping[str, Any], run_id: str, report: Report) -> Row:
    rest = dict(payload)
    return fill_row(rest, report, {"run_id": run_id, "line": rest.pop("epoch", None)})
