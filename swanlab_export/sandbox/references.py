"""Bodies of requests for metric data, and the references to runs and columns in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flask import request

from swanlab_export.sandbox.access import current_user, refuse, require_project

if TYPE_CHECKING:
    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.state import State

COLUMNS_MAX = 16


def body_of(state: State) -> dict[str, Any]:
    """The body of a request whose user may see the projects in it."""
    current_user(state)
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        refuse(400, "the body is not an object", "Bad_Request")
    for reference in (body, *(body.get("experiments") or [])):
        require_project(state, reference.get("projectId"))
    return body


def data_run(state: State, reference: dict[str, Any], project_id: Any = None) -> Run | None:
    """The run that holds the data: a clone's own where it has any, else its original's."""
    data_id = check_reference(state, reference)
    projects = [reference.get("projectId"), project_id]
    found = state.data.locate(str(reference.get("experimentId") or ""), *projects)
    if found is None or (not found.has_data and reference.get("rootExpId")):
        return state.data.locate(data_id, reference.get("rootProId"), *projects)
    return found


def check_reference(state: State, reference: dict[str, Any]) -> str:
    """Refuse an odd reference; the id under which the data of a run are known to a client."""
    # The creation time may be left out; servers before 3.1 did not know it, and may refuse it.
    if state.faults.has("strict-fields") and "createdAt" in reference:
        refuse(400, "property createdAt should not exist", "Bad_Request")
    created = reference.get("createdAt", 1)
    is_time = isinstance(created, int) and not isinstance(created, bool) and created > 0
    if state.generation == "3.1" and not is_time:
        refuse(400, "createdAt must be a time in seconds", "Bad_Request")
    return str(reference.get("rootExpId") or reference.get("experimentId") or "")


def columns_of(body: dict[str, Any], most: int | None = COLUMNS_MAX) -> list[dict[str, Any]]:
    """The column references of a body, at most ``most``."""
    columns = body.get("columns")
    if not body.get("projectId") or not isinstance(columns, list) or not columns:
        refuse(400, "projectId and columns are required", "Bad_Request")
    if most is not None and len(columns) > most:
        refuse(400, f"at most {most} columns", "Bad_Request")
    return columns


def number(value: Any, infinity: str) -> Any:
    """A number as JSON holds it; what is not finite is a word."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else infinity if value > 0 else f"-{infinity}"
    return value
