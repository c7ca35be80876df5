"""Metric data: samples, values, exports, summaries, keys, media and logs."""

from __future__ import annotations

import math
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from flask import Blueprint, jsonify, request

from swanlab_export.sandbox.state import State, current_user, refuse, require_project

if TYPE_CHECKING:
    import pyarrow as pa
    from flask import Response

COLUMNS_MAX = 16
SAMPLE_MAX = 1500
_LEVELS = {"DEBUG": 0, "INFO": 1, "WARN": 2, "ERROR": 3}


def house(state: State) -> Blueprint:
    """Build the routes over ``state``."""
    routes = Blueprint("house", __name__)
    for rule, method, view in (
        ("/house/metrics/scalar", "POST", _scalar),
        ("/house/metrics/scalar/value", "POST", _values),
        ("/house/metrics/scalar/export", "POST", _export),
        ("/house/metrics/summaries", "POST", _summaries),
        ("/house/metrics/<kind>/keys", "POST", _keys),
        ("/house/metrics/<kind>/availability", "POST", _availability),
        ("/house/metrics/media", "POST", _media),
        ("/house/metrics/f_media", "POST", _all_media),
        ("/house/metrics/log", "GET", _log),
        ("/house/metrics/log/export", "POST", _export_log),
        ("/resources/presigned/get", "POST", _presign_media),
        ("/files/presigned/get", "POST", _presign_files),
    ):
        routes.add_url_rule(rule, f"{method} {rule}", partial(view, state), methods=[method])
    return routes


def latest_value(state: State, run_id: str, key: str) -> Any:
    """The latest value of a metric, for filters."""
    points = state.data.points(run_id, key)
    return None if points is None else points["value"][-1].as_py()


def _body(state: State) -> dict[str, Any]:
    current_user(state)
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        refuse(400, "the body is not an object")
    assert isinstance(body, dict)
    for reference in (body, *(body.get("experiments") or [])):
        require_project(state, reference.get("projectId"))
    return body


def _data_id(ref: dict[str, Any]) -> str:
    """Which run holds the data of a reference: a clone's live under its root id."""
    created = ref.get("createdAt")
    if not isinstance(created, int) or isinstance(created, bool) or created <= 0:
        refuse(400, "createdAt is required")
    return str(ref.get("rootExpId") or ref.get("experimentId") or "")


def _columns_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    columns = body.get("columns")
    if not body.get("projectId") or not isinstance(columns, list) or not columns:
        refuse(400, "projectId and columns are required")
    assert isinstance(columns, list)
    if len(columns) > COLUMNS_MAX:
        refuse(400, f"at most {COLUMNS_MAX} columns")
    return columns


def _token(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    return value


def _scalar(state: State) -> Response:
    body = _body(state)
    columns = _columns_of(body)
    count = body.get("num")
    if not isinstance(count, int) or not 1 <= count <= SAMPLE_MAX:
        refuse(400, f"num must be 1 to {SAMPLE_MAX}")
    assert isinstance(count, int)
    found = [_sample(state, body, column, count) for column in columns]
    # In another order than asked, and without the keys that are not there.
    answer = [each for each in reversed(found) if each is not None]
    return jsonify(answer or (None if state.faults.has("nulls") else []))


def _sample(state: State, body: dict[str, Any], ref: dict[str, Any], count: int) -> Any:
    run_id = _data_id(ref)
    points = state.data.points(run_id, ref["key"])
    if points is None:
        return None
    steps, values = points["step"].to_numpy(), points["value"].to_numpy()
    times = points["timestamp"].to_numpy()
    index: Any = steps
    if x_key := body.get("xKey"):
        other = state.data.points(run_id, x_key)
        if other is None:
            return {"key": ref["key"], "metrics": []}
        known = dict(zip(other["step"].to_pylist(), other["value"].to_pylist(), strict=True))
        keep = np.array([step in known for step in steps])
        steps, values, times = steps[keep], values[keep], times[keep]
        index = np.array([known[step] for step in steps])
    elif body.get("xType") == "time":
        index = times
    elif body.get("xType") == "relative_time":
        index = (times - ref["createdAt"] * 1000) / 1000
    if body.get("range") not in (None, [0, 0]):
        low, high = body["range"]
        inside = (index >= low) & (index <= high)
        index, values, times = index[inside], values[inside], times[inside]
    chosen = np.unique(np.linspace(0, len(values) - 1, min(count, len(values))).astype(int))
    metrics = [
        {
            "index": _token(index[i].item()),
            "data": _token(values[i].item()),
            "timestamp": times[i].item(),
        }
        for i in (chosen if len(values) else [])
    ]
    return {"key": ref["key"], "metrics": metrics}


def _statistics(points: dict[str, pa.Array], axis: str) -> dict[str, Any]:
    index, values = points[axis].to_numpy(), points["value"].to_numpy()
    finite = np.flatnonzero(np.isfinite(values))
    if not len(finite):
        low = high = len(values) - 1
        middle = mean = spread = math.nan
    else:
        low, high = finite[values[finite].argmin()], finite[values[finite].argmax()]
        chosen = values[finite]
        mean, middle, spread = float(chosen.mean()), float(np.median(chosen)), float(chosen.std())

    def at(place: Any) -> dict[str, Any]:
        return {"index": index[place].item(), "data": _token(values[place].item())}

    return {
        "min": at(low),
        "max": at(high),
        "latest": at(-1),
        "avg": _token(mean),
        "median": _token(middle),
        "std": _token(spread),
    }


def _values(state: State) -> Response:
    body = _body(state)
    axis = "timestamp" if body.get("xType") == "timestamp" else "step"
    answer = []
    for ref in _columns_of(body):
        points = state.data.points(_data_id(ref), ref["key"])
        if points is None:
            continue
        found = _statistics(points, axis)
        del found["std"]
        for name in ("avg", "median"):
            found[name] = {"index": found["latest"]["index"], "data": found[name]}
        answer.append({"key": ref["key"], **found})
    return jsonify(answer[::-1])


def _summaries(state: State) -> Response:
    body = _body(state)
    wanted = body.get("keys")
    answer: dict[str, Any] = {}
    for ref in body.get("experiments") or []:
        run_id = _data_id(ref)
        keys = state.data.keys(run_id)
        found = {
            key: _summary(state, run_id, key) for key in keys if wanted is None or key in wanted
        }
        answer[ref["experimentId"]] = None if state.faults.has("nulls") else found or None
    return jsonify(answer)


def _summary(state: State, run_id: str, key: str) -> dict[str, Any]:
    """Summarize a metric, once: recorded runs do not change."""
    if (run_id, key) not in state.summaries:
        state.summaries[run_id, key] = _summarized(state, run_id, key)
    return state.summaries[run_id, key]


def _summarized(state: State, run_id: str, key: str) -> dict[str, Any]:
    points = state.data.points(run_id, key)
    assert points is not None
    found = _statistics(points, "step")
    spread = None
    if isinstance(found["max"]["data"], float) and isinstance(found["min"]["data"], float):
        spread = found["max"]["data"] - found["min"]["data"]
    return {
        "step": found["latest"]["index"],
        "value": found["latest"]["data"],
        "min": found["min"],
        "max": found["max"],
        "avg": found["avg"],
        "median": found["median"],
        "stdDev": found["std"],
        "minMax": spread,
    }


def _experiments(body: dict[str, Any]) -> list[str]:
    refs = body.get("experiments")
    if not isinstance(refs, list) or not refs:
        refuse(400, "experiments are required")
    assert isinstance(refs, list)
    return [_data_id(ref) for ref in refs]


def _keys_of(state: State, kind: str, run_id: str) -> list[str]:
    if kind not in {"scalar", "media"}:
        refuse(404, "no such kind of metrics")
    return state.data.keys(run_id) if kind == "scalar" else state.data.media_keys(run_id)


def _keys(state: State, kind: str) -> Response:
    body = _body(state)
    keys = sorted({key for run_id in _experiments(body) for key in _keys_of(state, kind, run_id)})
    limit = body.get("limit")
    if not isinstance(limit, int) or not 1 <= limit <= 2000:
        refuse(400, "limit must be 1 to 2000")
    assert isinstance(limit, int)
    start = int(body.get("cursor") or 0)
    # Smaller pages than asked for, so that a client that stops after the first one is found out.
    end = start + min(limit, 5)
    more = end < len(keys)
    return jsonify(
        {
            "keys": keys[start:end],
            "hasMore": more,
            "nextCursor": str(end) if more else "",
        }
    )


def _availability(state: State, kind: str) -> Response:
    body = _body(state)
    ids = _experiments(body)
    having = {run_id: set(_keys_of(state, kind, run_id)) for run_id in ids}
    keys = body.get("keys") or []
    return jsonify({key: [run_id for run_id in ids if key in having[run_id]] for key in keys})


def _export(state: State) -> Response:
    columns = _columns_of(_body(state))
    wanted = [
        (_data_id(ref), ref["key"], ref.get("experimentName") or ref["experimentId"])
        for ref in columns
    ]
    return jsonify({"cosKey": _keep(state, ("csv", tuple(wanted)))})


def _export_log(state: State) -> Response:
    body = _body(state)
    run_id = _data_id(body)
    start, rows = body.get("start"), body.get("rows")
    if not isinstance(start, int) or not isinstance(rows, int) or not 1 <= rows <= 500_000:
        refuse(400, "start and rows are required, rows at most 500000")
    return jsonify({"cosKey": _keep(state, ("log", (run_id, start, rows)))})


def _keep(state: State, what: Any) -> str:
    name = f"exports/{secrets.token_hex(12)}"
    state.files[name] = what
    return name


def _media(state: State) -> Response:
    body = _body(state)
    columns = _columns_of(body)
    items = _media_items(state, columns)
    steps = sorted({item["step"] for item in items})
    step = body.get("step")
    step = steps[0] if step is None and steps else step
    metrics = [
        {"key": item["key"], "data": item["data"], "more": item["more"]}
        for item in items
        if item["step"] == step
    ]
    shown = None if state.faults.has("nulls") else metrics or None
    return jsonify({"steps": steps, "step": step, "metrics": shown})


def _all_media(state: State) -> Response:
    columns = _columns_of(_body(state))
    items = _media_items(state, columns)
    answer: list[Any] = []
    is_null = state.faults.has("nulls")
    for ref in reversed(columns):
        metrics = [
            {"index": item["step"], "data": item["data"], "more": item["more"]}
            for item in items
            if item["key"] == ref["key"]
        ]
        answer.append({"key": ref["key"], "metrics": metrics} if metrics and not is_null else None)
    return jsonify(answer)


def _media_items(state: State, columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = {(_data_id(ref), ref["key"]) for ref in columns}
    return [item for item in state.data.media if (item["runId"], item["key"]) in wanted]


def _log(state: State) -> Response:
    current_user(state)
    args = request.args
    require_project(state, args.get("projectId"))
    ref = {"createdAt": int(args["createdAt"]) if args.get("createdAt", "").isdigit() else None}
    run_id = _data_id(
        {**ref, "experimentId": args.get("experimentId"), "rootExpId": args.get("rootExpId")}
    )
    level = _LEVELS.get(args.get("level", "INFO"))
    size, shard = args.get("size", ""), args.get("epoch", "")
    if level is None or not size.isdigit() or not shard.isdigit():
        refuse(400, "invalid level, size or epoch")
    assert level is not None
    lines = [line for line in state.data.log(run_id) if _LEVELS.get(line["level"], 1) >= level]
    start = int(shard) * int(size)
    return jsonify({"logs": lines[start : start + int(size)] or None, "count": len(lines)})


def _presign_media(state: State) -> Response:
    body = _body(state)
    project_id, _, run_id = str(body.get("prefix") or "").partition("/")
    require_project(state, project_id)
    paths = body.get("paths")
    if not isinstance(paths, list) or not run_id:
        refuse(400, "prefix and paths are required")
    assert isinstance(paths, list)
    run = state.data.run_by_id.get(run_id) or {}
    # Media of a clone are kept with its original, too.
    project_id = run.get("rootProId") or project_id
    run_id = run.get("rootExpId") or run_id
    return jsonify(
        {"urls": [_sign(state, _keep(state, ("media", (project_id, run_id, p)))) for p in paths]}
    )


def _presign_files(state: State) -> Response:
    paths = _body(state).get("paths")
    if not isinstance(paths, list) or not all(path in state.files for path in paths):
        refuse(404, "no such file")
    assert isinstance(paths, list)
    return jsonify({"urls": [_sign(state, path) for path in paths]})


def _sign(state: State, name: str) -> str:
    return f"{state.storage_url}/{name}?X-Signature={state.signature(name)}"
