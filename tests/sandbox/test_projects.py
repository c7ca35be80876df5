"""Projects and pages of lists: literal requests and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_tiny import Caller

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox

OPEN: dict[str, Any] = {
    "cuid": "pro1",
    "name": "open",
    "username": "team",
    "path": "team/open",
    "visibility": "PUBLIC",
    "description": None,
    "group": {"type": "TEAM", "username": "team", "name": "Team"},
    "projectLabels": [],
    "_count": {"experiments": 3, "contributors": 1, "collaborators": 2, "clones": 0},
    "createdAt": "2026-01-05T08:00:00.000Z",
    "updatedAt": "2026-01-06T08:00:00.000Z",
    "role": "OWNER",
}


def test_project(ada: Caller) -> None:
    """A project in full."""
    assert ada.get("/project/team/open") == OPEN


def test_projects_hide_private_ones_from_outsiders(ada: Caller, bob: Caller) -> None:
    """A member's list holds the private project, an outsider's does not."""
    seen = ada.get("/project/team", page=1, size=20, detail="true")
    assert {project["name"] for project in seen["list"]} == {"open", "secret"}
    hidden = bob.get("/project/team", page=1, size=20, detail="true")
    assert (hidden["total"], [project["name"] for project in hidden["list"]]) == (1, ["open"])


def test_projects_are_searched_and_sorted(ada: Caller) -> None:
    """Search is a case-insensitive part of the name; sort=name sorts by it."""
    assert ada.get("/project/team", page=1, size=20, search="OPE")["list"] == [OPEN]
    names = [p["name"] for p in ada.get("/project/team", page=1, size=20, sort="name")["list"]]
    assert names == ["open", "secret"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/project/team/secret"),
        ("GET", "/project/team/secret/runs?page=1&size=20"),
        ("GET", "/project/team/secret/runs/hidden"),
        ("POST", "/project/team/secret/runs/shows"),
        ("GET", "/experiment/hidden/column?page=1&size=20"),
    ],
)
def test_private_project_is_closed_to_outsiders(bob: Caller, method: str, path: str) -> None:
    """Nothing of a private project is shown to someone who is no member."""
    body: Any = {"filters": [], "groups": [], "sorts": []} if method == "POST" else None
    assert bob.call(method, path, body).status_code in {403, 404}


@pytest.mark.parametrize(
    "path",
    [
        "/group/nobody",
        "/project/nobody",
        "/project/team/none",
        "/project/team/open/runs/none",
        "/experiment/none/column",
        "/no/such/endpoint",
        "/login/api_key",
    ],
)
def test_missing_objects_and_endpoints_look_the_same(ada: Caller, path: str) -> None:
    """What is not there gives 404 with the same body, be it an object or an endpoint."""
    response = ada.call("GET", path)
    assert response.status_code == 404
    assert response.json() == {"code": "Not_Found", "message": "资源未找到"}
    assert response.headers["traceid"]


@pytest.mark.parametrize("size", ["0", "11", "25", "1000", "-10", "x"])
def test_odd_page_size_is_refused(ada: Caller, size: str) -> None:
    """Only the page sizes that the server knows are taken."""
    path = "/project/team/open/runs"
    assert ada.call("GET", path, params={"page": 1, "size": size}).status_code == 400


@pytest.mark.parametrize("size", [10, 12, 15, 20, 24, 27, 50, 100])
def test_known_page_sizes_are_taken(ada: Caller, size: int) -> None:
    """Each page size that the server knows gives a page."""
    page = ada.get("/project/team/open/runs", page=1, size=size)
    assert (page["size"], page["pages"], page["total"]) == (size, 1, 3)


def test_page_beyond_the_end_is_empty_or_null(ada: Caller) -> None:
    """A page past the last one still gives the totals."""
    page = ada.get("/project/team/open/runs", page=9, size=10)
    assert not page["list"]
    assert (page["pages"], page["total"]) == (1, 3)


def test_create_project_once(ada: Caller) -> None:
    """A new project can be read back; the same name again is a conflict."""
    wanted = {"name": "fresh", "visibility": "PRIVATE", "username": "team", "description": "new"}
    made = ada.post("/project", wanted)
    assert (made["path"], made["visibility"], made["description"]) == (
        "team/fresh",
        "PRIVATE",
        "new",
    )
    assert ada.get("/project/team/fresh") == made
    assert ada.call("POST", "/project", wanted).status_code == 409


@pytest.mark.parametrize("name", ["", "a b", "é", "a/b", "x" * 101])
def test_bad_project_name_is_refused(ada: Caller, name: str) -> None:
    """A name outside of the alphabet or the length gives 400."""
    body = {"name": name, "visibility": "PRIVATE", "username": "team"}
    assert ada.call("POST", "/project", body).status_code == 400


def test_outsiders_and_viewers_create_nothing(sandbox: Sandbox, bob: Caller) -> None:
    """A workspace takes projects from those who may write to it, not from its viewers."""
    wanted = {"name": "fresh", "visibility": "PRIVATE", "username": "team"}
    assert bob.call("POST", "/project", wanted).status_code == 403
    viewer = Caller(sandbox, "cleo")
    assert viewer.call("POST", "/project", wanted).status_code == 403
    viewer.close()
