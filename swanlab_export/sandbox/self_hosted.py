"""The administration of a self-hosted instance, for its root user."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import current_user, refuse, refuse_change, refuse_not_found
from swanlab_export.sandbox.accounts import show_workspace
from swanlab_export.sandbox.pages import page_of
from swanlab_export.sandbox.projects import show_project

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State


def instance(state: State) -> Response:
    """Plan and licence of the instance, and whether the user is root."""
    user = current_user(state)
    if state.data.is_backup:
        return _sent(state.data.instance)
    return jsonify(
        {
            "enabled": True,
            "expired": _is_expired(state),
            "root": user["root"],
            "plan": "commercial",
            "seats": 20,
        }
    )


def usage(state: State) -> Response:
    """How much the instance holds."""
    _require_root(state)
    if state.data.is_backup:
        return _sent(state.data.usage)
    projects = state.data.projects
    return jsonify(
        {
            "users": len(state.data.users),
            "projects": len(projects),
            "experiments": sum(len(state.data.runs_of(each.project_id)) for each in projects),
            "groups": len(state.data.workspaces),
        }
    )


def users(state: State) -> Response:
    """A page of the users."""
    _require_root(state)
    if state.data.is_backup:
        return page_of(state, state.data.listed_users, lambda user: user)
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


def create_users(state: State) -> Response:
    """Create users, each once."""
    _require_root(state)
    refuse_change(state)
    body = request.get_json(silent=True) or {}
    for wanted in body.get("users") or []:
        username = str(wanted.get("username") or "")
        if not username or not wanted.get("password"):
            refuse(400, "username and password are required", "Bad_Request")
        new: dict[str, Any] = {
            "username": username,
            "name": None,
            "api_key": secrets.token_hex(10),
            "root": False,
            "profile": {},
        }
        if not state.data.add_user(new):
            refuse(409, f"user {username} exists", "Conflict")
    if state.faults.chosen("create", request.path):
        refuse(500, "the server failed after it had created the user", "Internal_Error")
    return jsonify({"success": True})


def all_projects(state: State) -> Response:
    """A page of all projects."""
    user = _require_root(state)
    search = request.args.get("search", "").lower()
    workspace, creator = request.args.get("group"), request.args.get("creator")
    if creator is not None and state.data.is_backup:
        refuse(400, "a backup does not hold who created a project", "Bad_Request")
    found = []
    for project in state.data.projects:
        members = state.data.members(project.workspace)
        owners = [name for name, role in members.items() if role == "OWNER"]
        if (
            search in project.name.lower()
            and workspace in (None, project.workspace)
            and (creator is None or creator in owners)
        ):
            found.append(project)
    return page_of(state, found, partial(show_project, state, user))


def all_workspaces(state: State) -> Response:
    """A page of all workspaces."""
    user = _require_root(state)
    search = request.args.get("search", "").lower()
    kind = request.args.get("type")
    found = [
        space
        for space in state.data.workspaces
        if search in f"{space['username']} {space['name']}".lower()
        and kind in (None, space["type"])
    ]
    return page_of(state, found, lambda space: show_workspace(state, space, user))


def _sent(payload: dict[str, Any] | None) -> Response:
    """What the server sent, where the backup holds it."""
    if payload is None:
        refuse_not_found()
    return jsonify(payload)


def _is_expired(state: State) -> bool:
    return state.faults.choice.get("licence") == "expired"


def _require_root(state: State) -> dict[str, Any]:
    user = current_user(state)
    if _is_expired(state):
        refuse(403, "the licence has expired", "License_Expired")
    if not user["root"]:
        refuse(403, "root only", "Forbidden")
    return user
