"""Summaries: the latest value and the statistics of each key of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import current_user, refuse, require_project
from swanlab_export.sandbox.references import body_of, data_id
from swanlab_export.sandbox.scalars import statistics_of

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State


def summaries(state: State) -> Response:
    """The summaries of many runs; the oldest servers take a bare list of them."""
    references, keys = _asked(state)
    response: dict[str, Any] = {}
    for reference in references:
        run_id = data_id(state, reference)
        found = {
            key: _summary(state, run_id, key)
            for key in state.data.keys(run_id)
            if keys is None or key in keys
        }
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
    media: dict[str, int] = {}
    for item in state.data.media:
        if item["runId"] == run_id:
            media[item["key"]] = max(item["step"], media.get(item["key"], 0))
    lines = len(state.data.log(run_id))
    latest = {
        "scalar": {key: _latest_step(state, run_id, key) for key in state.data.keys(run_id)},
        "media": media,
        "log": {"LOG": lines} if lines else {},
    }
    return jsonify(
        {
            kind: [{"key": key, "step": step} for key, step in steps.items()] or None
            for kind, steps in latest.items()
        }
    )


def _latest_step(state: State, run_id: str, key: str) -> int:
    points = state.data.points(run_id, key)
    assert points is not None
    step: int = points["step"][-1].as_py()
    return step


def _summary(state: State, run_id: str, key: str) -> dict[str, Any]:
    """Summarize a key, once: recorded runs do not change."""
    if (run_id, key) not in state.summaries:
        points = state.data.points(run_id, key)
        assert points is not None
        found = statistics_of(points, "step", "Inf")
        state.summaries[run_id, key] = {
            "step": found["latest"]["index"],
            "value": found["latest"]["data"],
            "min": found["min"],
            "max": found["max"],
            "avg": found["avg"],
            "median": found["median"],
            "stdDev": found["std"],
            "minMax": [found["min"]["data"], found["max"]["data"]],
        }
    return state.summaries[run_id, key]
