"""Login, workspaces, projects, runs, columns and administration: literal requests and bodies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sandbox_tiny import EMPTY_PROFILE, PROFILE, Caller

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


def test_login_gives_a_session_that_lasts_and_the_user(sandbox: Sandbox, ada: Caller) -> None:
    """The login answer holds a session id, an expiry over a week away, and who it is."""
    body = ada.login()
    expires = datetime.strptime(body["expiredAt"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert expires - datetime.now(UTC) > timedelta(days=7)
    assert body["userInfo"] == {"username": "ada", "name": "Ada"}
    assert body["sid"]


def test_login_of_a_nameless_user_says_null(sandbox: Sandbox) -> None:
    """A user without a display name has a null name in the login answer."""
    caller = Caller(sandbox, "bob")
    assert caller.login()["userInfo"] == {"username": "bob", "name": None}
    caller.close()


def test_bad_key_is_refused(sandbox: Sandbox) -> None:
    """A wrong API key gives 401 with the error body and a trace id."""
    answer = requests.post(
        f"{sandbox.url}/api/login/api_key", headers={"authorization": "no"}, timeout=10
    )
    assert answer.status_code == 401
    assert set(answer.json()) == {"code", "message"}
    assert answer.headers["traceid"]


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
    """The profile of whoever asks, with nulls where nothing is known."""
    assert ada.get("/user/profile") == PROFILE
    assert bob.get("/user/profile") == EMPTY_PROFILE


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
    ],
)
def test_unknown_things_are_404(ada: Caller, path: str) -> None:
    """What is not there gives 404 with a code and a message."""
    answer = ada.call("GET", path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"code", "message"}


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


def test_runs_are_newest_first_with_config_only(ada: Caller) -> None:
    """In a list, a profile carries the config and nothing else."""
    runs = ada.get("/project/team/open/runs", page=1, size=20)["list"]
    assert [run["cuid"] for run in runs] == ["clone", "run2", "run1"]
    assert runs[2]["profile"] == {
        "config": {"lr": {"value": 0.1, "desc": "", "sort": 0}, "net": {"depth": 2}}
    }
    assert runs[0]["profile"] is None


@pytest.mark.parametrize("name", ["run1", "first"])
def test_run_by_id_and_by_slug(ada: Caller, name: str) -> None:
    """One run, by either name, comes with its full profile."""
    run = ada.get(f"/project/team/open/runs/{name}")
    assert run["name"] == 'a "b", c'
    assert set(run["profile"]) == {"config", "metadata", "requirements", "conda"}
    assert "projectId" not in run


def test_integer_beyond_64_bits_survives(ada: Caller) -> None:
    """A config value of 2**70 is sent as it is."""
    config = ada.get("/project/team/secret/runs/hidden")["profile"]["config"]
    assert config["big"] == 2**70


def test_clone_names_its_root(ada: Caller) -> None:
    """A clone tells where its data live."""
    run = ada.get("/project/team/open/runs/clone")
    assert (run["rootProId"], run["rootExpId"]) == ("pro1", "run1")


def _shown(ada: Caller, *rules: dict[str, Any]) -> list[str]:
    filters = [{"type": "STABLE", "active": True} | rule for rule in rules]
    body = {"filters": filters, "groups": [], "sorts": []}
    runs = ada.post("/project/team/open/runs/shows", body)
    return [run["cuid"] for run in runs]


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"key": "state", "op": "EQ", "value": ["CRASHED"]}, ["run2"]),
        ({"key": "state", "op": "NEQ", "value": ["CRASHED"]}, ["clone", "run1"]),
        ({"key": "state", "op": "IN", "value": ["CRASHED", "FINISHED"]}, ["clone", "run2", "run1"]),
        ({"key": "state", "op": "NOT IN", "value": ["FINISHED"]}, ["run2"]),
        ({"key": "name", "op": "CONTAIN", "value": ["run"]}, ["run2"]),
        ({"key": "name", "op": "NOT_CONTAIN", "value": ["run"]}, ["clone", "run1"]),
        ({"key": "labels", "op": "EQ", "value": ["good"]}, ["run1"]),
        ({"key": "cluster", "op": "EQ", "value": [""]}, ["clone"]),
        ({"key": "show", "op": "EQ", "value": ["true"]}, ["clone", "run2", "run1"]),
        ({"key": "createdAt", "op": "GTE", "value": ["2026-01-05T10"]}, ["clone", "run2"]),
        ({"key": "lr", "type": "CONFIG", "op": "EQ", "value": ["0.10"]}, ["run1"]),
        ({"key": "lr", "type": "CONFIG", "op": "GT", "value": ["0.1"]}, ["run2"]),
        ({"key": "lr", "type": "CONFIG", "op": "GTE", "value": ["0.1"]}, ["run2", "run1"]),
        ({"key": "lr", "type": "CONFIG", "op": "LT", "value": ["0.5"]}, ["run1"]),
        ({"key": "lr", "type": "CONFIG", "op": "LTE", "value": ["0.5"]}, ["run2", "run1"]),
        ({"key": "net.depth", "type": "CONFIG", "op": "EQ", "value": ["2"]}, ["run1"]),
        ({"key": "acc", "type": "SCALAR", "op": "GTE", "value": ["0.5"]}, ["run2"]),
        ({"key": "loss", "type": "SCALAR", "op": "EQ", "value": ["1"]}, ["run1"]),
    ],
)
def test_each_filter_operator(ada: Caller, rule: dict[str, Any], found: list[str]) -> None:
    """Every operator works on the kinds of values that it is made for."""
    assert _shown(ada, rule) == found


def test_filters_are_anded(ada: Caller) -> None:
    """Several filters must all hold."""
    crashed = {"key": "state", "op": "EQ", "value": ["CRASHED"]}
    fast = {"key": "lr", "type": "CONFIG", "op": "GT", "value": ["1"]}
    assert _shown(ada, crashed, fast) == []


def test_unknown_operator_is_refused(ada: Caller) -> None:
    """An operator that the server does not know gives 400, not a crash."""
    rule = {"key": "state", "type": "STABLE", "op": "LIKE", "value": ["x"], "active": True}
    body = {"filters": [rule], "groups": [], "sorts": []}
    assert ada.call("POST", "/project/team/open/runs/shows", body).status_code == 400


def test_groups_nest(ada: Caller) -> None:
    """Groups answer with a dict per level, runs at the bottom."""
    groups = [
        {"key": "state", "type": "STABLE", "active": True},
        {"key": "lr", "type": "CONFIG", "active": True},
    ]
    body = {"filters": [], "groups": groups, "sorts": []}
    answer = ada.post("/project/team/open/runs/shows", body)
    shape = {
        state: {rate: [run["cuid"] for run in runs] for rate, runs in rates.items()}
        for state, rates in answer.items()
    }
    assert shape == {"FINISHED": {"": ["clone"], "0.1": ["run1"]}, "CRASHED": {"0.5": ["run2"]}}


@pytest.mark.parametrize(
    ("order", "found"), [("ASC", ["clone", "run1", "run2"]), ("DESC", ["run2", "run1", "clone"])]
)
def test_sorts(ada: Caller, order: str, found: list[str]) -> None:
    """A sort by name goes up or down."""
    sort = {"key": "lr", "type": "CONFIG", "order": order, "active": True}
    body = {"filters": [], "groups": [], "sorts": [sort]}
    runs = ada.post("/project/team/open/runs/shows", body)
    assert [run["cuid"] for run in runs] == found


def test_columns_are_searched_by_part_of_the_name(ada: Caller) -> None:
    """The search on columns is fuzzy, and class and type narrow it down."""
    path = "/experiment/run1/column"
    page = ada.get(path, page=1, size=20, search="LOS")
    assert page["list"] == [
        {
            "key": "loss",
            "name": "loss",
            "class": "CUSTOM",
            "type": "FLOAT",
            "createdAt": "2026-01-05T09:00:01.000Z",
        }
    ]
    system = ada.get(path, page=1, size=20, **{"class": "SYSTEM"})["list"]
    assert [column["key"] for column in system] == ["__swanlab__.cpu"]
    assert not ada.get(path, page=1, size=20, type="IMAGE")["list"]


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


def test_instance_says_who_asks(ada: Caller, bob: Caller) -> None:
    """The instance's record says whether the asking user is root."""
    mine, theirs = ada.get("/self_hosted/info"), bob.get("/self_hosted/info")
    assert (mine["enabled"], mine["expired"], mine["root"]) == (True, False, True)
    assert mine["plan"] in {"free", "commercial"}
    assert isinstance(mine["seats"], int)
    assert theirs["root"] is False


@pytest.mark.parametrize("noun", ["users", "projects", "groups", "summary"])
def test_administration_is_for_root(bob: Caller, noun: str) -> None:
    """A plain user gets 403 from every administrative endpoint."""
    answer = bob.call("GET", f"/self_hosted/{noun}", params={"page": 1, "size": 20})
    assert answer.status_code == 403


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
