"""Login, the user who is logged in, and workspaces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import jsonify, request

from swanlab_export.sandbox.access import current_user, refuse, refuse_not_found

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.state import State


def login(state: State) -> Response:
    """Open a session for the user of an API key."""
    key = request.headers.get("authorization", "")
    user = next((user for user in state.data.users if user["api_key"] == key), None)
    if user is None:
        refuse(401, "API Key不存在", "Unauthorized")
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


def profile(state: State) -> Response:
    """The profile of the user who asks."""
    shown: dict[str, Any] = current_user(state)["profile"]
    return jsonify(shown)


def workspace(state: State, username: str) -> Response:
    """One workspace."""
    user = current_user(state)
    space = state.data.workspace(username)
    if space is None:
        refuse_not_found()
    return jsonify(show_workspace(state, space, user))


def workspaces_of(state: State, username: str) -> Response:
    """The workspaces that a user is a member of."""
    user = current_user(state)
    found = state.data.workspaces_of(username)
    return jsonify([show_workspace(state, space, user) for space in found])


def own_workspaces(state: State) -> Response:
    """The workspaces of the user who asks, in the form of the oldest servers."""
    user = current_user(state)
    found = state.data.workspaces_of(user["username"])
    shown = [show_workspace(state, space, user) for space in found]
    names = ("name", "username", "role")
    return jsonify({"list": [{name: space[name] for name in names} for space in shown]})


def show_workspace(state: State, space: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    """A workspace as ``user`` sees it."""
    role = state.data.role(space["username"], user["username"], space.get("role"))
    return space | {"role": role}
