"""Writes what was recorded as far as a sandbox reads it, so that it can be backed up (``pack.py``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from recorder import to_ms

from swanlab_export.sandbox.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from recorder import Recorder, Series

TEXT, INT, TIME = pa.string(), pa.int64(), pa.timestamp("ms", "UTC")
IDS = {"project_id": TEXT, "run_id": TEXT}
POINTS = pa.schema(
    IDS | {"key": TEXT, "step": INT, "value": pa.float64(), "timestamp": TIME, "text": TEXT}
)
LINES = pa.schema(
    IDS | {"line": INT, "level": TEXT, "timestamp": TIME, "tag": TEXT, "message": TEXT}
)
ITEMS = pa.schema(
    IDS
    | {"key": TEXT, "step": INT, "item": INT, "path": TEXT, "caption": TEXT, "text": TEXT}
    | {"file": TEXT, "more": TEXT}
)
INDEX = pa.schema(
    IDS
    | dict.fromkeys(("slug", "root_exp_id", "root_pro_id", "name", "state"), TEXT)
    | {"created_at": TIME, "gone_at": TEXT, "complete": pa.bool_()}
    | dict.fromkeys(("payload", "metrics", "logs", "medias"), TEXT)
)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document that people can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def write_dataset(
    root: Path,
    projects: Sequence[dict[str, Any]],
    runs: Sequence[dict[str, Any]],
    recorders: Sequence[Recorder],
    contents: dict[str, Any],
) -> None:
    """Write all runs of all projects."""
    recorder_of = {recorder.run_id: recorder for recorder in recorders}
    entries = []
    for project in projects:
        mine = [run for run in runs if run["projectId"] == project["cuid"]]
        mine.sort(key=lambda run: str(run["cuid"]))
        mine.sort(key=lambda run: str(run["createdAt"]), reverse=True)
        rows = [_write_run(root, project["path"], run, recorder_of) for run in mine]
        index = f"state/index/{project['path']}.parquet"
        _write_table(root, index, INDEX, rows)
        names = {"project_id": project["cuid"], "workspace": project["username"]}
        entries.append(names | {"name": project["name"], "index": index, "payload": project})
    write_json(root / "state" / "projects.json", contents | {"projects": entries})
    write_json(root / "swanlab-backup.json", {"format": 1, "host": "sandbox"})


def _write_run(
    root: Path, project: str, run: dict[str, Any], recorder_of: dict[str, Recorder]
) -> dict[str, Any]:
    """Write the objects of a run; returns its row of the index."""
    ids = {"project_id": run["projectId"], "run_id": run["cuid"]}
    name = f"{project}/{run['cuid']}"
    # The data of a clone are those of its original, and its columns are listed as its own.
    recorder = recorder_of.get(run["cuid"])
    holder = recorder or recorder_of[run["rootExpId"]]
    payload = f"state/payloads/{name}.json.zst"
    _write_payload(
        root / payload,
        {
            "run": {key: value for key, value in run.items() if key != "projectId"},
            "listed": None,
            "summary": {} if recorder is None else _summarize(recorder),
            "columns": list(reversed(holder.columns.values())),
            "keys": None,
        },
    )
    points = [] if recorder is None else _points(recorder)
    lines = [] if recorder is None else recorder.logs
    items = [] if recorder is None else _write_files(root, name, recorder)
    return {
        **ids,
        **{key: run[key] for key in ("slug", "name", "state")},
        "root_exp_id": run["rootExpId"],
        "root_pro_id": run["rootProId"],
        "created_at": to_ms(run["createdAt"]),
        "complete": True,
        "payload": payload,
        "metrics": _write_rows(root, f"tables/metrics/{name}.parquet", POINTS, ids, points),
        "logs": _write_rows(root, f"tables/logs/{name}.parquet", LINES, ids, lines),
        "medias": _write_rows(root, f"tables/medias/{name}.parquet", ITEMS, ids, items),
    }


def _summarize(recorder: Recorder) -> dict[str, Any]:
    found = {}
    for key, series in sorted(recorder.series.items()):
        columns = {"step": series.steps, "value": series.values}
        found[key] = summarize({name: pa.array(values) for name, values in columns.items()})
    return found


def _points(recorder: Recorder) -> list[dict[str, Any]]:
    """The points by key and step."""

    def rows(key: str, series: Series) -> list[dict[str, Any]]:
        together = zip(series.steps, series.values, series.times_ms, strict=True)
        return [
            {"key": key, "step": step, "value": value, "timestamp": time}
            for step, value, time in together
        ]

    return [row for key in sorted(recorder.series) for row in rows(key, recorder.series[key])]


def _write_files(root: Path, name: str, recorder: Recorder) -> list[dict[str, Any]]:
    """Write the images; returns the media items by key and step."""
    items = []
    for entry in sorted(recorder.media, key=lambda entry: (entry["key"], entry["step"])):
        for number, path in enumerate(entry["data"]):
            body = recorder.files[path]
            file = f"files/{name}/{path}"
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(body)
            more = (entry["more"] or {number: None})[number] or {}
            known = {"key": entry["key"], "step": entry["step"], "item": number, "path": path}
            items.append(known | {"caption": more.get("caption"), "file": file})
    return items


def _write_payload(path: Path, payload: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write(text.encode())


def _write_rows(
    root: Path, path: str, schema: pa.Schema, ids: dict[str, str], rows: list[dict[str, Any]]
) -> str | None:
    """Write rows of a run; a table without any has no object."""
    if not rows:
        return None
    _write_table(root, path, schema, [ids | row for row in rows])
    return path


def _write_table(root: Path, path: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), place)
