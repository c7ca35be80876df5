"""Login, sessions, profiles and workspaces: literal requests and bodies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from sandbox_tiny import EMPTY_PROFILE, PROFILE, Caller

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox


def test_login_gives_a_session_that_lasts_and_the_user(sandbox: Sandbox, ada: Caller) -> None:
    """The login response holds a session id, an expiry over a week away, and who it is."""
    body = ada.login()
    expires = datetime.strptime(body["expiredAt"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert expires - datetime.now(UTC) > timedelta(days=7)
    assert body["userInfo"] == {"username": "ada", "name": "Ada"}
    assert body["sid"]


def test_login_of_a_nameless_user_says_null(sandbox: Sandbox) -> None:
    """A user without a display name has a null name in the login response."""
    caller = Caller(sandbox, "bob")
    assert caller.login()["userInfo"] == {"username": "bob", "name": None}
    caller.close()


def test_bad_key_is_refused(sandbox: Sandbox) -> None:
    """A wrong API key gives 401 with the error body and a trace id."""
    response = requests.post(
        f"{sandbox.url}/api/login/api_key", headers={"authorization": "no"}, timeout=60
    )
    assert response.status_code == 401
    assert set(response.json()) == {"code", "message"}
    assert response.headers["traceid"]


@pytest.mark.parametrize("path", ["/user/profile", "/project/team", "/experiment/run1/column"])
def test_dead_session_is_refused(sandbox: Sandbox, ada: Caller, path: str) -> None:
    """Once its session has died a user gets 401, and a new login works again."""
    sandbox.expire_sessions()
    assert ada.call("GET", path).status_code == 401
    ada.login()
    assert ada.call("GET", path).status_code == 200


def test_workspace(ada: Caller) -> None:
    """A workspace comes with the asking user's role in it."""
    assert ada.get("/group/team") == {
        "username": "team",
        "name": "Team",
        "type": "TEAM",
        "comment": "",
        "role": "OWNER",
        "profile": EMPTY_PROFILE,
    }


def test_outsider_is_a_visitor(bob: Caller) -> None:
    """A user who is no member of a workspace has the role VISITOR."""
    assert bob.get("/group/team")["role"] == "VISITOR"


def test_workspaces_of_a_user(ada: Caller) -> None:
    """A user's workspaces are a plain list, the personal one included."""
    assert [space["username"] for space in ada.get("/user/ada/groups")] == ["ada", "team"]


def test_profile(ada: Caller, bob: Caller) -> None:
    """The profile of the user who asks, with nulls where nothing is known."""
    assert ada.get("/user/profile") == PROFILE
    assert bob.get("/user/profile") == EMPTY_PROFILE
