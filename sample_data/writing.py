"""Writes the recorded data in the shape that the sandbox reads."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from recorder import Recorder

WORDS = pa.dictionary(pa.int32(), pa.string())
POINTS = pa.schema(
    [
        ("run_id", WORDS),
        ("key", WORDS),
        ("step", pa.int64()),
        ("value", pa.float64()),
        ("timestamp", pa.int64()),
    ]
)
LINES = pa.schema(
    [
        ("run_id", WORDS),
        ("epoch", pa.int64()),
        ("level", WORDS),
        ("tag", WORDS),
        ("message", pa.string()),
        ("timestamp", pa.int64()),
    ]
)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document that people can read."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object per line."""
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def write_recordings(root: Path, project_ids: list[str], recorders: list[Recorder]) -> None:
    """Write metrics, logs, media and columns; what an earlier recording left is removed."""
    for name in ("metrics", "logs", "media"):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
    ordered = sorted(recorders, key=lambda r: r.run_id)
    for project_id in project_ids:
        mine = [r for r in ordered if r.project_id == project_id]
        _write_points(root / "metrics" / f"{project_id}.parquet", mine)
        _write_lines(root / "logs" / f"{project_id}.parquet", mine)
        for recorder in mine:
            _write_files(root / "media" / project_id / recorder.run_id, recorder.files)
    write_jsonl(root / "media.jsonl", [row for r in recorders for row in r.media])


def _write_points(path: Path, recorders: list[Recorder]) -> None:
    """Write the points sorted by run, key and step."""
    columns: dict[str, list[Any]] = {name: [] for name in POINTS.names}
    for recorder in recorders:
        for key in sorted(recorder.series):
            series = recorder.series[key]
            columns["run_id"] += [recorder.run_id] * len(series.steps)
            columns["key"] += [key] * len(series.steps)
            columns["step"] += series.steps
            columns["value"] += series.values
            columns["timestamp"] += series.times_ms
    pq.write_table(
        pa.table(columns, schema=POINTS),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["run_id", "key"],
        column_encoding={
            "step": "DELTA_BINARY_PACKED",
            "timestamp": "DELTA_BINARY_PACKED",
            "value": "BYTE_STREAM_SPLIT",
        },
        row_group_size=65_536,
    )


def _write_lines(path: Path, recorders: list[Recorder]) -> None:
    """Write the log lines, run after run."""
    lines = [line for recorder in recorders for line in recorder.logs]
    table = pa.Table.from_pylist(lines, schema=LINES)
    pq.write_table(table, path, compression="zstd", compression_level=19)


def _write_files(folder: Path, files: dict[str, bytes]) -> None:
    if files:
        folder.mkdir(parents=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)
