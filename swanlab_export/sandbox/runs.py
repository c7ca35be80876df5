"""Runs: lists, filters, one run, and its columns."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import (
    current_user,
    find_project,
    refuse,
    refuse_not_found,
    require_project,
)
from swanlab_export.sandbox.filters import (
    DISPUTED_OPERATORS,
    OPERATORS,
    field_of,
    group,
    passes,
    sort_key,
)
from swanlab_export.sandbox.pages import page_of

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State

_NULLABLE = ("slug", "description", "labels", "cluster", "job", "user", "finishedAt", "profile")


def runs(state: State, workspace: str, name: str) -> Response:
    """A page of the runs of a project, each with its full profile."""
    _, project = find_project(state, workspace, name)
    return page_of(state, state.data.runs_of(project["cuid"]), partial(_show_run, state))


def run(state: State, workspace: str, name: str, run: str) -> Response:
    """One run, by id or slug."""
    _, project = find_project(state, workspace, name)
    found = state.data.run(project["cuid"], run)
    if found is None:
        refuse_not_found()
    return jsonify(_show_run(state, found))


def filtered_runs(state: State, workspace: str, name: str) -> Response:
    """The runs of a project that pass all filters, sorted and grouped."""
    _, project = find_project(state, workspace, name)
    body = request.get_json(silent=True) or {}
    if state.generation == "2.6" and body.keys() - {"filters"}:
        refuse(400, "only filters are known", "Bad_Request")
    found = sorted(state.data.runs_of(project["cuid"]), key=_default_order, reverse=True)
    for rule in body.get("filters") or []:
        _check_filter(state, rule)
        if rule.get("active"):
            # Pinned runs come whatever the filter says.
            found = [r for r in found if r.get("pin") or _passes(state, r, rule)]
    for rule in reversed(body.get("sorts") or []):
        found.sort(
            key=lambda run, rule=rule: sort_key(_field(state, rule, run)),  # type: ignore[misc]
            reverse=rule.get("order") == "DESC",
        )
    keys = [partial(_field, state, rule) for rule in body.get("groups") or []]
    return jsonify(group(found, keys, partial(_show_run, state)))


def columns(state: State, run_id: str) -> Response:
    """A page of the columns of a run, the latest first."""
    current_user(state)
    if run_id not in state.data.run_by_id:
        refuse_not_found()
    require_project(state, state.data.run_by_id[run_id]["projectId"])
    search = request.args.get("search", "").lower()
    kind, origin = request.args.get("type"), request.args.get("class")
    found = [
        {name: value for name, value in column.items() if name != "runId"}
        for column in reversed(state.data.columns)
        if column["runId"] == run_id
        and search in str(column["name"]).lower()
        and kind in (None, column["type"])
        and origin in (None, column["class"])
    ]
    return page_of(state, found, lambda column: column)


def _default_order(run: dict[str, Any]) -> tuple[bool, str, str]:
    return bool(run.get("pin")), str(run.get("pinnedAt") or ""), str(run.get("createdAt") or "")


def _check_filter(state: State, rule: dict[str, Any]) -> None:
    if not {"key", "type", "op", "value"} <= rule.keys():
        refuse(400, "a filter lacks a field", "Bad_Request")
    is_strict = state.faults.has("strict-operators")
    known = OPERATORS - DISPUTED_OPERATORS if is_strict else OPERATORS
    if rule["op"] not in known or not isinstance(rule["value"], list):
        refuse(400, "invalid filter", "Bad_Request")


def _passes(state: State, run: dict[str, Any], rule: dict[str, Any]) -> bool:
    try:
        return passes(_field(state, rule, run), rule)
    except ValueError:
        refuse(400, "invalid time", "Bad_Request")


def _field(state: State, rule: dict[str, Any], run: dict[str, Any]) -> Any:
    if rule["type"] == "SCALAR":
        points = state.data.points(run["cuid"], rule["key"])
        return None if points is None else points["value"][-1].as_py()
    return field_of(run, rule)


def _show_run(state: State, run: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in run.items() if name != "projectId"}
    if state.faults.has("nulls"):
        shown |= dict.fromkeys(_NULLABLE)
    return shown
