"""Who asks, and what they may see; refusals as SwanLab sends them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NoReturn

from flask import abort, jsonify, make_response, request

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State

_NOT_FOUND = {"code": "Not_Found", "message": "资源未找到"}


def refuse(status: int, message: str, code: str) -> NoReturn:
    """End a request with the error body that SwanLab sends."""
    abort(_refusal(status, {"code": code, "message": message}))


def refuse_not_found() -> NoReturn:
    """End a request for what is not there: a missing object and a missing endpoint look the same."""
    abort(not_found())


def not_found(*_: object) -> Response:
    """The response to a request for what is not there."""
    return _refusal(404, _NOT_FOUND)


def _refusal(status: int, body: dict[str, str]) -> Response:
    response = make_response(jsonify(body), status)
    response.headers["traceid"] = secrets.token_hex(8)
    return response


def current_user(state: State) -> dict[str, Any]:
    """The user of the session cookie; 401 where the session has died."""
    username = state.sessions.get(request.cookies.get("sid", ""))
    user = None if username is None else state.data.user(username)
    if user is None:
        refuse(401, "Unauthorized", "Not_Login")
    return user


def may_see(state: State, project: dict[str, Any], user: dict[str, Any]) -> bool:
    """Whether a project is shown to a user."""
    space = state.data.workspace(project["workspace"]) or {"members": {}}
    return project["visibility"] == "PUBLIC" or user["username"] in space["members"]


def require_project(state: State, project_id: Any) -> None:
    """Refuse with 403 a user who may not see a project."""
    found = next((p for p in state.data.projects if p["cuid"] == project_id), None)
    if found is not None and not may_see(state, found, current_user(state)):
        refuse(403, "you may not see this project", "Forbidden")


def find_project(state: State, workspace: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The user who asks, and the project that they ask for."""
    user = current_user(state)
    project = state.data.project(workspace, name)
    if project is None:
        refuse_not_found()
    if not may_see(state, project, user):
        refuse(403, "you may not see this project", "Forbidden")
    return user, project
