"""Summaries: the latest value and the statistics of each key of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import current_user, refuse, require_project
from swanlab_export.sandbox.references import body_of, data_run
from swanlab_export.sandbox.scalars import statistics_of

if TYPE_CHECKING:
    import pyarrow as pa
    from flask import Response

    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.state import State


def summaries(state: State) -> Response:
    """The summaries of many runs; the oldest servers take a bare list of them."""
    references, keys = _asked(state)
    response: dict[str, Any] = {}
    for reference in references:
        run = data_run(state, reference)
        summary = {} if run is None else summary_of(state, run)
        found = {key: item for key, item in summary.items() if keys is None or key in keys}
        if state.faults.has("nulls"):
            found = {}
        # A run without data is null on new servers and left out by old ones.
        if found or state.generation == "3.1":
            response[reference["experimentId"]] = found or None
    return jsonify(response)


def _asked(state: State) -> tuple[list[dict[str, Any]], list[str] | None]:
    if state.generation != "2.6":
        body = body_of(state)
        return references_of(body), body.get("keys")
    current_user(state)
    references = request.get_json(silent=True)
    if not isinstance(references, list) or not references:
        refuse(400, "a list of runs is required", "Bad_Request")
    for reference in references:
        require_project(state, reference.get("projectId"))
    return references, None


def references_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that a body refers to."""
    references = body.get("experiments")
    if not isinstance(references, list) or not references:
        refuse(400, "experiments are required", "Bad_Request")
    return references


def latest_steps(state: State, project_id: str, run_id: str) -> Response:
    """Every key of one run with its latest step."""
    current_user(state)
    require_project(state, project_id)
    run = state.data.locate(run_id, project_id)
    latest = {} if run is None else state.data.latest(run) or _find_latest(state, run)
    return jsonify(
        {
            kind.lower(): [{"key": k, "step": s} for k, s in latest.get(kind, {}).items()] or None
            for kind in ("SCALAR", "MEDIA", "LOG")
        }
    )


def _find_latest(state: State, run: Run) -> dict[str, dict[str, Any]]:
    media: dict[str, int] = {}
    for item in state.data.media(run):
        media[item["key"]] = max(item["step"], media.get(item["key"], 0))
    lines = state.data.line_count(run)
    return {
        "SCALAR": {key: item["step"] for key, item in summary_of(state, run).items()},
        "MEDIA": media,
        "LOG": {"LOG": lines} if lines else {},
    }


def summary_of(state: State, run: Run) -> dict[str, Any]:
    """The summary of each key of a run, computed once where the server's is not known."""
    sent = state.data.summary(run)
    if sent is not None:
        return sent
    if run not in state.summaries:
        state.summaries[run] = {key: _compute(state, run, key) for key in state.data.keys(run)}
    return state.summaries[run]


def _compute(state: State, run: Run, key: str) -> dict[str, Any]:
    points = state.data.points(run, key)
    return {} if points is None else summarize(points)


def summarize(points: dict[str, pa.Array]) -> dict[str, Any]:
    """The summary of a key, as a server sends it."""
    found = statistics_of(points, "step", "Inf")
    return {
        "step": found["latest"]["index"],
        "value": found["latest"]["data"],
        "min": found["min"],
        "max": found["max"],
        "avg": found["avg"],
        "median": found["median"],
        "stdDev": found["std"],
        "minMax": [found["min"]["data"], found["max"]["data"]],
    }
