"""Runs: lists, filters, one run, and its columns."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Response, jsonify, request

from swanlab_export.sandbox.access import (
    current_user,
    damaged_body,
    find_project,
    refuse,
    refuse_begun,
    refuse_not_found,
    require_project,
)
from swanlab_export.sandbox.dataset import DamagedError
from swanlab_export.sandbox.filters import (
    DISPUTED_OPERATORS,
    OPERATORS,
    field_of,
    group,
    passes,
    sort_key,
)
from swanlab_export.sandbox.pages import page_of
from swanlab_export.sandbox.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.state import State

_NULLABLE = ("slug", "description", "labels", "cluster", "job", "user", "finishedAt", "profile")


def runs(state: State, workspace: str, name: str) -> Response:
    """A page of the runs of a project, each with its full profile."""
    _, project = find_project(state, workspace, name)
    refuse_begun(state, project)
    return page_of(state, state.data.runs_of(project.project_id), partial(_show_listed, state))


def run(state: State, workspace: str, name: str, run: str) -> Response:
    """One run, by id or slug."""
    _, project = find_project(state, workspace, name)
    refuse_begun(state, project)
    found = state.data.run(project.project_id, run)
    if found is None:
        refuse_not_found()
    return jsonify(_show(state, state.data.payload(found)))


def filtered_runs(state: State, workspace: str, name: str) -> Response:
    """The runs of a project that pass all filters, sorted and grouped."""
    _, project = find_project(state, workspace, name)
    refuse_begun(state, project)
    body = request.get_json(silent=True) or {}
    if state.generation == "2.6" and body.keys() - {"filters"}:
        refuse(400, "only filters are known", "Bad_Request")
    rules = body.get("filters") or []
    for rule in rules:
        _check_filter(state, rule)
    rules = [rule for rule in rules if rule.get("active")]
    sorts, groups = body.get("sorts") or [], body.get("groups") or []
    found = [
        _Match(
            run,
            _default_order(payload),
            [sort_key(_field(state, rule, run, payload)) for rule in sorts],
            [_field(state, rule, run, payload) for rule in groups],
        )
        for run in state.data.runs_of(project.project_id)
        for payload in [_listed(state, run)]
        # Pinned runs come whatever the filter says, and so does what nobody can judge.
        if payload.get("pin")
        or "cuid" not in payload
        or all(_passes(state, rule, run, payload) for rule in rules)
    ]
    found.sort(key=lambda match: match.order, reverse=True)
    for place, rule in reversed(list(enumerate(sorts))):
        found.sort(
            key=lambda match, place=place: match.sorts[place],  # type: ignore[misc]
            reverse=rule.get("order") == "DESC",
        )
    keys = [lambda match, place=place: match.groups[place] for place in range(len(groups))]
    nested = group(found, keys, lambda match: match.run)
    show = partial(_show_listed, state)
    return Response(_write_json(nested, show), mimetype="application/json")


class _Match(NamedTuple):
    """A run that passes, and by what it is sorted and grouped; its payload is read again."""

    run: Run
    order: tuple[bool, str, str]
    sorts: list[tuple[int, float, str]]
    groups: list[Any]


def _write_json(nested: Any, show: Callable[[Run], Any]) -> Iterator[str]:
    """JSON of nested groups, piece by piece, so that no more than one run is held."""
    if isinstance(nested, dict):
        yield "{"
        for number, (name, part) in enumerate(nested.items()):
            yield f"{', ' if number else ''}{json.dumps(name)}: "
            yield from _write_json(part, show)
        yield "}"
        return
    yield "["
    for number, run in enumerate(nested):
        yield f"{', ' if number else ''}{json.dumps(show(run))}"
    yield "]"


def columns(state: State, run_id: str) -> Response:
    """A page of the columns of a run, the latest first."""
    current_user(state)
    run = state.data.locate(run_id)
    if run is None:
        refuse_not_found()
    require_project(state, run.project_id)
    listed = state.data.columns(run)
    if listed is None:
        refuse_not_found()
    search = request.args.get("search", "").lower()
    kind, origin = request.args.get("type"), request.args.get("class")
    found = [
        column
        for column in listed
        if search in str(column["name"]).lower()
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


def _passes(state: State, rule: dict[str, Any], run: Run, payload: dict[str, Any]) -> bool:
    try:
        return passes(_field(state, rule, run, payload), rule)
    except DamagedError:
        raise
    except ValueError:
        refuse(400, "invalid time", "Bad_Request")


def _field(state: State, rule: dict[str, Any], run: Run, payload: dict[str, Any]) -> Any:
    if rule["type"] != "SCALAR":
        return field_of(payload, rule)
    value = summary_of(state, run).get(rule["key"], {}).get("value")
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _show_listed(state: State, run: Run) -> dict[str, Any]:
    return _show(state, _listed(state, run))


def _listed(state: State, run: Run) -> dict[str, Any]:
    """A run as a list has it; the error in its place, so that the other runs can be had."""
    try:
        return state.data.listed(run)
    except DamagedError as error:
        return damaged_body(error)


def _show(state: State, payload: dict[str, Any]) -> dict[str, Any]:
    return payload | dict.fromkeys(_NULLABLE) if state.faults.has("nulls") else payload
