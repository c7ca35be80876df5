"""Projects: lists, one, and a new one."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import (
    current_user,
    find_project,
    refuse,
    refuse_change,
    refuse_not_found,
)
from swanlab_export.sandbox.data import Project
from swanlab_export.sandbox.pages import page_of

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State

# The roles that may create projects in a workspace.
_WRITERS = ("OWNER", "MEMBER")


def projects(state: State, workspace: str) -> Response:
    """A page of the projects of a workspace that the user may see."""
    user = current_user(state)
    if state.data.workspace(workspace) is None:
        refuse_not_found()
    search = request.args.get("search", "").lower()
    found = [
        project
        for project in state.data.projects
        if project.workspace == workspace
        and state.data.may_see(project, user["username"])
        and search in project.name.lower()
    ]
    if request.args.get("sort") == "name":
        found.sort(key=lambda project: project.name)
    else:
        found.sort(key=lambda project: str(project.payload.get("createdAt")), reverse=True)
    return page_of(state, found, partial(show_project, state, user))


def project(state: State, workspace: str, name: str) -> Response:
    """One project."""
    user, found = find_project(state, workspace, name)
    return jsonify(show_project(state, user, found))


def show_project(state: State, user: Any, project: Project) -> dict[str, Any]:
    """A project as ``user`` sees it."""
    role = state.data.role(project.workspace, user["username"], project.payload.get("role"))
    nulls = {"projectLabels": None} if state.faults.has("nulls") else {}
    return state.data.project_payload(project) | {"role": role} | nulls


def create_project(state: State) -> Response:
    """Create a project, once."""
    user = current_user(state)
    refuse_change(state)
    body = request.get_json(silent=True) or {}
    name, workspace = str(body.get("name") or ""), str(body.get("username") or "")
    if not re.fullmatch(r"[0-9a-zA-Z\-_.+]{1,100}", name):
        refuse(400, "invalid project name", "Bad_Request")
    space = state.data.workspace(workspace)
    if space is None:
        refuse_not_found()
    members = state.data.members(workspace)
    if members.get(user["username"]) not in _WRITERS:
        refuse(403, "you may not create projects here", "Forbidden")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    payload: dict[str, Any] = {
        "cuid": secrets.token_hex(10),
        "name": name,
        "username": workspace,
        "path": f"{workspace}/{name}",
        "visibility": body.get("visibility") or "PRIVATE",
        "description": body.get("description") or "",
        "group": {name: space[name] for name in ("type", "username", "name")},
        "projectLabels": [],
        "_count": {
            "experiments": 0,
            "contributors": 0,
            "collaborators": len(members),
            "clones": 0,
        },
        "createdAt": now,
        "updatedAt": now,
    }
    created = Project(payload["cuid"], workspace, name, payload)
    if not state.data.add_project(created):
        refuse(409, f"project {workspace}/{name} exists", "Conflict")
    if state.faults.chosen("create", request.path):
        refuse(500, "the server failed after it had created the project", "Internal_Error")
    return jsonify(show_project(state, user, created))
