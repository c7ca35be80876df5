"""Login, workspaces, projects, runs, users and self-hosted administration."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request

from swanlab_export.sandbox.filters import OPERATORS, field_of, group, passes, sort_key
from swanlab_export.sandbox.house import latest_value
from swanlab_export.sandbox.state import (
    State,
    current_user,
    may_see,
    page_of,
    refuse,
    require_project,
)

if TYPE_CHECKING:
    from flask import Response


_NULLABLE = ("slug", "description", "labels", "cluster", "job", "user", "finishedAt", "profile")
# Who may create projects in a workspace.
_WRITERS = ("OWNER", "MEMBER")


def entities(state: State) -> Blueprint:
    """Build the routes over ``state``."""
    routes = Blueprint("entities", __name__)
    for rule, method, view in (
        ("/login/api_key", "POST", _login),
        ("/group/<username>", "GET", _workspace),
        ("/user/<username>/groups", "GET", _workspaces),
        ("/user/profile", "GET", _profile),
        ("/project/<workspace>", "GET", _projects),
        ("/project", "POST", _create_project),
        ("/project/<workspace>/<name>", "GET", _project),
        ("/project/<workspace>/<name>/runs", "GET", _runs),
        ("/project/<workspace>/<name>/runs/<run>", "GET", _run),
        ("/project/<workspace>/<name>/runs/shows", "POST", _shows),
        ("/experiment/<run_id>/column", "GET", _columns),
        ("/self_hosted/info", "GET", _instance),
        ("/self_hosted/summary", "GET", _usage),
        ("/self_hosted/users", "GET", _users),
        ("/self_hosted/users", "POST", _create_user),
        ("/self_hosted/projects", "GET", _all_projects),
        ("/self_hosted/groups", "GET", _all_workspaces),
    ):
        routes.add_url_rule(rule, f"{method} {rule}", partial(view, state), methods=[method])
    return routes


def _login(state: State) -> Response:
    key = request.headers.get("authorization", "")
    user = next((user for user in state.data.users if user["api_key"] == key), None)
    if user is None:
        refuse(401, "invalid api key", "Invalid_API_Key")
    assert user is not None
    expires = datetime.now(UTC) + timedelta(days=7, hours=1)
    return jsonify(
        {
            "sid": state.open_session(user["username"]),
            "expiredAt": expires.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "userInfo": {
                "username": user["username"],
                "name": None if state.faults.has("nulls") else user["name"],
            },
        }
    )


def _workspace(state: State, username: str) -> Response:
    user = current_user(state)
    space = state.data.workspace(username)
    if space is None:
        refuse(404, f"workspace {username} not found")
    assert space is not None
    return jsonify(_shown_workspace(space, user))


def _workspaces(state: State, username: str) -> Response:
    user = current_user(state)
    spaces = [space for space in state.data.workspaces if username in space["members"]]
    return jsonify([_shown_workspace(space, user) for space in spaces])


def _shown_workspace(space: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    role = space["members"].get(user["username"], "VISITOR")
    shown = {name: space[name] for name in ("username", "name", "type", "comment", "profile")}
    return shown | {"role": role}


def _profile(state: State) -> Response:
    profile: dict[str, Any] = current_user(state)["profile"]
    return jsonify(profile)


def _projects(state: State, workspace: str) -> Response:
    user = current_user(state)
    if state.data.workspace(workspace) is None:
        refuse(404, f"workspace {workspace} not found")
    search = request.args.get("search", "").lower()
    found = [
        project
        for project in state.data.projects
        if project["workspace"] == workspace
        and may_see(state, project, user)
        and search in project["name"].lower()
    ]
    sort = request.args.get("sort")
    if sort == "name":
        found.sort(key=lambda project: str(project["name"]))
    else:
        found.sort(key=lambda project: str(project["createdAt"]), reverse=True)
    return page_of(state, found, partial(_shown_project, state, user))


def _project(state: State, workspace: str, name: str) -> Response:
    user, project = _find_project(state, workspace, name)
    return jsonify(_shown_project(state, user, project))


def _find_project(state: State, workspace: str, name: str) -> tuple[Any, dict[str, Any]]:
    user = current_user(state)
    project = state.data.project(workspace, name)
    if project is None:
        refuse(404, f"project {workspace}/{name} not found")
    assert project is not None
    if not may_see(state, project, user):
        refuse(403, "you may not see this project", "Forbidden")
    return user, project


def _shown_project(state: State, user: Any, project: dict[str, Any]) -> dict[str, Any]:
    space = state.data.workspace(project["workspace"]) or {
        "members": {},
        "type": "TEAM",
        "name": "",
    }
    runs = state.data.runs_of(project["cuid"])
    people = {(run.get("user") or {}).get("username") for run in runs[:1000]} - {None}
    return {
        **{n: project[n] for n in ("cuid", "name", "visibility", "description")},
        "username": project["workspace"],
        "path": f"{project['workspace']}/{project['name']}",
        "group": {"type": space["type"], "username": project["workspace"], "name": space["name"]},
        "projectLabels": None if state.faults.has("nulls") else project["labels"],
        "_count": {
            "experiments": len(runs),
            "contributors": len(people),
            "collaborators": len(space["members"]),
            "clones": 0,
        },
        "createdAt": project["createdAt"],
        "updatedAt": project["updatedAt"],
        "role": space["members"].get(user["username"], "VISITOR"),
    }


def _create_project(state: State) -> Response:
    user = current_user(state)
    body = request.get_json(silent=True) or {}
    name, workspace = str(body.get("name") or ""), str(body.get("username") or "")
    if not re.fullmatch(r"[0-9a-zA-Z\-_.+]{1,100}", name):
        refuse(400, "invalid project name")
    space = state.data.workspace(workspace)
    if space is None:
        refuse(404, f"workspace {workspace} not found")
    assert space is not None
    if space["members"].get(user["username"]) not in _WRITERS:
        refuse(403, "you may not create projects here", "Forbidden")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with state.data.lock:
        if state.data.project(workspace, name) is not None:
            refuse(409, f"project {workspace}/{name} exists", "Conflict")
        project: dict[str, Any] = {
            "cuid": secrets.token_hex(10),
            "name": name,
            "workspace": workspace,
            "visibility": body.get("visibility") or "PRIVATE",
            "description": body.get("description") or "",
            "labels": [],
            "createdAt": now,
            "updatedAt": now,
        }
        state.data.projects.append(project)
    if state.faults.chosen("create", request.path):
        refuse(500, "the server failed after it had created the project")
    return jsonify(_shown_project(state, user, project))


def _shown_run(state: State, run: dict[str, Any], *, is_full: bool) -> dict[str, Any]:
    shown = {name: value for name, value in run.items() if name != "projectId"}
    profile = shown.get("profile")
    if isinstance(profile, dict) and not is_full:
        shown["profile"] = {"config": profile.get("config")}
    if state.faults.has("nulls"):
        shown |= dict.fromkeys(_NULLABLE)
    return shown


def _runs(state: State, workspace: str, name: str) -> Response:
    _, project = _find_project(state, workspace, name)
    runs = state.data.runs_of(project["cuid"])
    return page_of(state, runs, partial(_shown_run, state, is_full=False))


def _run(state: State, workspace: str, name: str, run: str) -> Response:
    _, project = _find_project(state, workspace, name)
    found = state.data.run(project["cuid"], run)
    if found is None:
        refuse(404, f"run {run} not found")
    assert found is not None
    return jsonify(_shown_run(state, found, is_full=True))


def _shows(state: State, workspace: str, name: str) -> Response:
    _, project = _find_project(state, workspace, name)
    body = request.get_json(silent=True) or {}
    latest = partial(latest_value, state)
    runs = list(state.data.runs_of(project["cuid"]))
    for rule in body.get("filters") or []:
        if not {"key", "type", "op", "value"} <= rule.keys():
            refuse(400, "a filter lacks a field")
        if rule["op"] not in OPERATORS or not isinstance(rule["value"], list):
            refuse(400, "invalid filter")
        if rule.get("active"):
            runs = [r for r in runs if passes(field_of(r, rule, latest), rule["op"], rule["value"])]
    for rule in reversed(body.get("sorts") or []):
        runs.sort(
            key=lambda run, rule=rule: sort_key(field_of(run, rule, latest)),  # type: ignore[misc]
            reverse=rule.get("order") == "DESC",
        )
    keys = [partial(_field_of_pair, rule, latest) for rule in body.get("groups") or []]
    pairs = [(run, _shown_run(state, run, is_full=False)) for run in runs]
    return jsonify(_seconds(group(pairs, keys)))


def _field_of_pair(rule: dict[str, Any], latest: Any, pair: tuple[Any, Any]) -> Any:
    return field_of(pair[0], rule, latest)


def _seconds(grouped: Any) -> Any:
    if isinstance(grouped, dict):
        return {name: _seconds(part) for name, part in grouped.items()}
    return [shown for _, shown in grouped]


def _columns(state: State, run_id: str) -> Response:
    current_user(state)
    if run_id not in state.data.run_by_id:
        refuse(404, f"run {run_id} not found")
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


def _instance(state: State) -> Response:
    user = current_user(state)
    is_expired = state.faults.choice.get("licence") == "expired"
    return jsonify(
        {
            "enabled": True,
            "expired": is_expired,
            "root": user["root"],
            "plan": "commercial",
            "seats": 20,
        }
    )


def _root(state: State) -> dict[str, Any]:
    user = current_user(state)
    if state.faults.choice.get("licence") == "expired":
        refuse(403, "the licence has expired", "License_Expired")
    if not user["root"]:
        refuse(403, "root only", "Forbidden")
    return user


def _usage(state: State) -> Response:
    _root(state)
    return jsonify(
        {
            "users": len(state.data.users),
            "projects": len(state.data.projects),
            "experiments": len(state.data.runs),
            "groups": len(state.data.workspaces),
        }
    )


def _users(state: State) -> Response:
    _root(state)
    return page_of(
        state,
        state.data.users,
        lambda user: {
            "username": user["username"],
            "name": user["name"],
            "email": user["profile"].get("email"),
            "isRoot": user["root"],
        },
    )


def _create_user(state: State) -> Response:
    _root(state)
    body = request.get_json(silent=True) or {}
    for wanted in body.get("users") or []:
        username = str(wanted.get("username") or "")
        if not username or not wanted.get("password"):
            refuse(400, "username and password are required")
        with state.data.lock:
            if state.data.user(username) is not None:
                refuse(409, f"user {username} exists", "Conflict")
            key = secrets.token_hex(10)
            new: dict[str, Any] = {
                "username": username,
                "name": None,
                "api_key": key,
                "root": False,
                "profile": {},
            }
            state.data.users.append(new)
    if state.faults.chosen("create", request.path):
        refuse(500, "the server failed after it had created the user")
    return jsonify({"success": True})


def _all_projects(state: State) -> Response:
    user = _root(state)
    search = request.args.get("search", "").lower()
    workspace, creator = request.args.get("group"), request.args.get("creator")
    found = []
    for project in state.data.projects:
        space = state.data.workspace(project["workspace"]) or {"members": {}}
        owners = [name for name, role in space["members"].items() if role == "OWNER"]
        if (
            search in project["name"].lower()
            and workspace in (None, project["workspace"])
            and (creator is None or creator in owners)
        ):
            found.append(project)
    return page_of(state, found, partial(_shown_project, state, user))


def _all_workspaces(state: State) -> Response:
    user = _root(state)
    search = request.args.get("search", "").lower()
    kind = request.args.get("type")
    found = [
        space
        for space in state.data.workspaces
        if search in f"{space['username']} {space['name']}".lower()
        and kind in (None, space["type"])
    ]
    return page_of(state, found, lambda space: _shown_workspace(space, user))
