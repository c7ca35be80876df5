"""Files that are made on request, and the presigned URLs that give them."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import (
    current_user,
    refuse,
    refuse_left_out,
    refuse_not_found,
    require_project,
)
from swanlab_export.sandbox.references import body_of, columns_of, data_run

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.state import State

_LOG_ROWS_MAX = 500_000
_numbers = itertools.count(1_758_254_096)


def export_scalars(state: State) -> Response:
    """A CSV file of up to 16 columns."""
    body = body_of(state)
    columns = columns_of(body)
    wanted = []
    for ref in columns:
        run = data_run(state, ref, body["projectId"])
        refuse_left_out(state, run, "metrics", ref["key"])
        wanted.append((run, ref["key"], ref.get("experimentName") or ref["experimentId"]))
    folder = f"exports/csv/{columns[0]['experimentId']}"
    return jsonify({"cosKey": _make_file(state, folder, "csv", tuple(wanted))})


def export_column(state: State, run_id: str) -> Response:
    """The URL of a CSV file of one key, whose header names the run."""
    current_user(state)
    run = state.data.locate(run_id)
    if run is None:
        refuse_not_found()
    require_project(state, run.project_id)
    key = request.args.get("key", "")
    payload = state.data.payload(run)
    root_id = payload.get("rootExpId")
    holder = state.data.locate(root_id, payload.get("rootProId")) if root_id else run
    if holder is None or key not in state.data.keys(holder):
        refuse_not_found()
    name = _make_file(state, f"exports/csv/{run_id}", "csv", ((holder, key, payload["name"]),))
    return jsonify({"url": state.presign(name)})


def export_log(state: State) -> Response:
    """A file of the lines of a log."""
    body = body_of(state)
    run = data_run(state, body)
    refuse_left_out(state, run, "logs")
    start, rows = body.get("start"), body.get("rows")
    if not isinstance(start, int) or not isinstance(rows, int) or not 1 <= rows <= _LOG_ROWS_MAX:
        refuse(400, f"start and rows are required, rows at most {_LOG_ROWS_MAX}", "Bad_Request")
    name = _make_file(state, f"exports/log/{body['experimentId']}", "log", (run, start, rows))
    return jsonify({"cosKey": name})


def presign_media(state: State) -> Response:
    """URLs of media files of a run, in the order of their paths."""
    body = body_of(state)
    project_id, _, run_id = str(body.get("prefix") or "").partition("/")
    require_project(state, project_id)
    paths = body.get("paths")
    if not isinstance(paths, list) or not run_id:
        refuse(400, "prefix and paths are required", "Bad_Request")
    run = _holder_of_media(state, run_id, project_id)
    folder = f"exports/media/{project_id}/{run_id}"
    names = [state.keep_file(f"{folder}/{path}", ("media", (run, path))) for path in paths]
    return jsonify({"urls": [state.presign(name) for name in names]})


def presign_files(state: State) -> Response:
    """URLs of exported files, in the order of their paths."""
    paths = body_of(state).get("paths")
    if not isinstance(paths, list) or not all(path in state.files for path in paths):
        refuse_not_found()
    return jsonify({"urls": [state.presign(path) for path in paths]})


def _holder_of_media(state: State, run_id: str, project_id: str) -> Run | None:
    """The run that holds the media of a run: of a clone without any its original."""
    run = state.data.locate(run_id, project_id)
    if run is None or run.has_data:
        return run
    payload = state.data.payload(run)
    root_id = payload.get("rootExpId")
    return state.data.locate(root_id, payload.get("rootProId")) if root_id else run


def _make_file(state: State, folder: str, extension: str, content: Any) -> str:
    name = f"{folder}/swanlab-{next(_numbers)}-{secrets.token_hex(2)}.{extension}"
    return state.keep_file(name, (extension, content))
