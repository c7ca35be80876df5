"""What a running sandbox knows: data, sessions, faults, and what it was asked."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import abort, g, jsonify, make_response, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Response

    from swanlab_export.sandbox.data import Data
    from swanlab_export.sandbox.faults import Faults

PAGE_SIZES = (10, 12, 15, 20, 24, 27, 50, 100)


@dataclass
class Recorded:
    """One request as it came, and when it was answered with what."""

    origin: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    started: float
    ended: float = 0.0
    status: int = 0


@dataclass
class State:
    """Shared by both origins of a sandbox."""

    data: Data
    faults: Faults
    storage_url: str = ""
    sessions: dict[str, str] = field(default_factory=dict)
    requests: list[Recorded] = field(default_factory=list)
    leaks: list[Recorded] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)
    summaries: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    in_flight: int = 0
    max_in_flight: int = 0
    pages_served: int = 0
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def signature(self, name: str) -> str:
        """What a presigned URL of a file carries."""
        return hashlib.sha256(f"{self.secret}/{name}".encode()).hexdigest()[:32]

    def open_session(self, username: str) -> str:
        """Log a user in."""
        sid = secrets.token_hex(16)
        self.sessions[sid] = username
        return sid


def refuse(status: int, message: str, code: str = "") -> Any:
    """End a request with the error body that SwanLab sends."""
    body = jsonify({"code": code or str(status), "message": message})
    answer = make_response(body, status)
    answer.headers["traceid"] = secrets.token_hex(8)
    abort(answer)


def current_user(state: State) -> dict[str, Any]:
    """Who the session cookie belongs to; 401 where it is dead."""
    username = state.sessions.get(request.cookies.get("sid", ""))
    user = None if username is None else state.data.user(username)
    if user is None:
        refuse(401, "Unauthorized", "Not_Login")
    g.user = user
    assert user is not None
    return user


def may_see(state: State, project: dict[str, Any], user: dict[str, Any]) -> bool:
    """Say whether a project is shown to a user."""
    space = state.data.workspace(project["workspace"]) or {"members": {}}
    return project["visibility"] == "PUBLIC" or user["username"] in space["members"]


def require_project(state: State, project_id: Any) -> None:
    """Refuse whoever may not see a project; 403."""
    found = next((p for p in state.data.projects if p["cuid"] == project_id), None)
    if found is not None and not may_see(state, found, current_user(state)):
        refuse(403, "you may not see this project", "Forbidden")


def page_of(state: State, items: Sequence[Any], present: Any) -> Response:
    """Answer with one page of a list, as ``?page=&size=`` asks."""
    page = request.args.get("page", "1")
    size = request.args.get("size", "20")
    if not page.isdigit() or int(page) < 1 or not size.isdigit() or int(size) not in PAGE_SIZES:
        refuse(400, "invalid page or size")
    items = _moved(state, items)
    start = (int(page) - 1) * int(size)
    shown = [present(item) for item in items[start : start + int(size)]]
    pages = -(-len(items) // int(size))
    body = {
        "list": shown or None,
        "size": int(size),
        "pages": pages,
        "total": len(items) + state.faults.total_off,
    }
    return jsonify(body)


def _moved(state: State, items: Sequence[Any]) -> Sequence[Any]:
    """Let the list change after each page, where that fault is on."""
    faults = state.faults
    kind = faults.choice.get("moving")
    if kind is None or len(items) < 2 or not faults.is_meant(request.path):
        return items
    with state.lock:
        served = state.pages_served
        # A list that has moved so often as it may stays where it came to rest.
        state.pages_served += bool(faults.chosen("moving", request.path))
    if kind == "shrink":
        return items[min(served, len(items) - 1) :]
    newest = [
        {**items[0], "cuid": f"new{i}", "slug": None, "name": f"new {i}"} for i in range(served)
    ]
    return [*newest, *items]
