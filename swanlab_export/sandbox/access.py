"""Who asks, and what they may see; refusals as SwanLab sends them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NoReturn

from flask import abort, jsonify, make_response, request

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.data import Project
    from swanlab_export.sandbox.dataset import DamagedError, Run
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


def damaged(error: DamagedError) -> Response:
    """The response to a request for what a backup no longer holds as it was written.

    No client repeats it: 422 is about what was asked for, and not about the moment.
    """
    return _refusal(422, damaged_body(error))


def damaged_body(error: DamagedError) -> dict[str, str]:
    """What is sent in place of something that cannot be read."""
    return {"code": "Damaged", "message": f"in this backup {error.what}", "detail": error.cure}


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


def require_project(state: State, project_id: Any) -> None:
    """Refuse with 403 a user who may not see a project."""
    found = state.data.project_of(project_id)
    if found is not None and not state.data.may_see(found, current_user(state)["username"]):
        refuse(403, "you may not see this project", "Forbidden")


def refuse_left_out(state: State, run: Run | None, kind: str, key: str = "") -> None:
    """Refuse to respond as if there were no metrics, logs or medias, where a backup lacks them."""
    if run is not None and state.data.left_out(run, kind, key):
        what = f"points of {key}" if kind == "metrics" else kind
        refuse(410, f"this backup does not hold the {what} of {run.run_id}", "Left_Out")


def refuse_begun(state: State, project: Project) -> None:
    """Refuse to respond as if a project had no runs, where its first backup has not ended yet."""
    if state.data.is_begun(project):
        path = f"{project.workspace}/{project.name}"
        refuse(
            410, f"this backup does not hold the runs of {path} yet: it has not ended", "Left_Out"
        )


def refuse_change(state: State) -> None:
    """Refuse to create anything in a backup."""
    if state.data.is_backup:
        refuse(403, "this is a backup: it can be read, and nothing be created in it", "Read_Only")


def find_project(state: State, workspace: str, name: str) -> tuple[dict[str, Any], Project]:
    """The user who asks, and the project that they ask for."""
    user = current_user(state)
    project = state.data.project(workspace, name)
    if project is None:
        refuse_not_found()
    if not state.data.may_see(project, user["username"]):
        refuse(403, "you may not see this project", "Forbidden")
    return user, project
