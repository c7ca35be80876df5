"""Files that are made on request, and the presigned URLs that give them."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import (
    current_user,
    refuse,
    refuse_not_found,
    require_project,
)
from swanlab_export.sandbox.references import body_of, columns_of, data_id

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State

_LOG_ROWS_MAX = 500_000
_numbers = itertools.count(1_758_254_096)


def export_scalars(state: State) -> Response:
    """A CSV file of up to 16 columns."""
    columns = columns_of(body_of(state))
    wanted = [
        (data_id(state, ref), ref["key"], ref.get("experimentName") or ref["experimentId"])
        for ref in columns
    ]
    folder = f"exports/csv/{columns[0]['experimentId']}"
    return jsonify({"cosKey": _make_file(state, folder, "csv", tuple(wanted))})


def export_column(state: State, run_id: str) -> Response:
    """The URL of a CSV file of one key, whose header names the run."""
    current_user(state)
    run = state.data.run_by_id.get(run_id)
    if run is None:
        refuse_not_found()
    require_project(state, run["projectId"])
    key = request.args.get("key", "")
    holder = run.get("rootExpId") or run_id
    if key not in state.data.keys(holder):
        refuse_not_found()
    name = _make_file(state, f"exports/csv/{run_id}", "csv", ((holder, key, run["name"]),))
    return jsonify({"url": state.presign(name)})


def export_log(state: State) -> Response:
    """A file of the lines of a log."""
    body = body_of(state)
    run_id = data_id(state, body)
    start, rows = body.get("start"), body.get("rows")
    if not isinstance(start, int) or not isinstance(rows, int) or not 1 <= rows <= _LOG_ROWS_MAX:
        refuse(400, f"start and rows are required, rows at most {_LOG_ROWS_MAX}", "Bad_Request")
    name = _make_file(state, f"exports/log/{run_id}", "log", (run_id, start, rows))
    return jsonify({"cosKey": name})


def presign_media(state: State) -> Response:
    """URLs of media files of a run, in the order of their paths."""
    body = body_of(state)
    project_id, _, run_id = str(body.get("prefix") or "").partition("/")
    require_project(state, project_id)
    paths = body.get("paths")
    if not isinstance(paths, list) or not run_id:
        refuse(400, "prefix and paths are required", "Bad_Request")
    run = state.data.run_by_id.get(run_id) or {}
    # The media of a clone are held by its original, too.
    project_id = run.get("rootProId") or project_id
    run_id = run.get("rootExpId") or run_id
    folder = f"exports/media/{project_id}/{run_id}"
    names = [
        state.keep_file(f"{folder}/{path}", ("media", (project_id, run_id, path))) for path in paths
    ]
    return jsonify({"urls": [state.presign(name) for name in names]})


def presign_files(state: State) -> Response:
    """URLs of exported files, in the order of their paths."""
    paths = body_of(state).get("paths")
    if not isinstance(paths, list) or not all(path in state.files for path in paths):
        refuse_not_found()
    return jsonify({"urls": [state.presign(path) for path in paths]})


def _make_file(state: State, folder: str, extension: str, content: Any) -> str:
    name = f"{folder}/swanlab-{next(_numbers)}-{secrets.token_hex(2)}.{extension}"
    return state.keep_file(name, (extension, content))
