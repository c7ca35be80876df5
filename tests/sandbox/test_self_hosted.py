"""Administration of an instance: literal requests and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sandbox_tiny import Caller


def test_instance_says_who_asks(ada: Caller, bob: Caller) -> None:
    """The instance's record says whether the asking user is root."""
    mine, theirs = ada.get("/self_hosted/info"), bob.get("/self_hosted/info")
    assert (mine["enabled"], mine["expired"], mine["root"]) == (True, False, True)
    assert mine["plan"] in {"free", "commercial"}
    assert isinstance(mine["seats"], int)
    assert theirs["root"] is False


@pytest.mark.parametrize("resource", ["users", "projects", "groups", "summary"])
def test_administration_is_for_root(bob: Caller, resource: str) -> None:
    """A plain user gets 403 from every administrative endpoint."""
    response = bob.call("GET", f"/self_hosted/{resource}", params={"page": 1, "size": 20})
    assert response.status_code == 403


def test_root_lists_everything(ada: Caller) -> None:
    """Root sees all users, projects (also private ones) and workspaces."""
    users = ada.get("/self_hosted/users", page=1, size=20)
    assert [user["username"] for user in users["list"]] == ["ada", "bob", "cleo"]
    assert ada.get("/self_hosted/projects", page=1, size=20)["total"] == 2
    found = ada.get("/self_hosted/projects", page=1, size=20, search="SEC", group="team")
    assert [project["name"] for project in found["list"]] == ["secret"]
    assert ada.get("/self_hosted/projects", page=1, size=20, group="bob")["total"] == 0
    teams = ada.get("/self_hosted/groups", page=1, size=20, type="TEAM")
    assert [space["username"] for space in teams["list"]] == ["team"]
    assert all(isinstance(total, int) for total in ada.get("/self_hosted/summary").values())


def test_create_user_who_can_then_be_listed(ada: Caller) -> None:
    """A new user is listed; the same name again is a conflict."""
    wanted = {"users": [{"username": "dora", "password": "pw"}]}
    ada.post("/self_hosted/users", wanted)
    users = ada.get("/self_hosted/users", page=1, size=20)
    assert [user["username"] for user in users["list"]] == ["ada", "bob", "cleo", "dora"]
    assert "pw" not in str(users)
    assert ada.call("POST", "/self_hosted/users", wanted).status_code == 409
