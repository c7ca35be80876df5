"""One row per endpoint: the exact request that each sends."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import responses

from swanlab_export.client import Client, Request
from swanlab_export.endpoints import (
    logs,
    medias,
    metrics,
    projects,
    runs,
    self_hosted,
    users,
    workspaces,
)
from swanlab_export.endpoints.filters import Rule
from swanlab_export.endpoints.runs import RunSource
from swanlab_export.errors import ServerError
from swanlab_export.refs import ProjectRef, RunRef, WorkspaceRef
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "https://swan.test"
LOGIN = {"sid": "S1", "userInfo": {"username": "ada", "name": None}}
ANYTHING = re.compile(f"{HOST}/api/.*")
WORKSPACE = WorkspaceRef("team")
PROJECT = ProjectRef("team", "cls +1")
RUN = RunRef(PROJECT, "r/1")
SOURCE = RunSource("run1", "pro1", 1_700_000_000)
CLONE = RunSource("run2", "pro2", 1_700_000_001, "run1", "pro1")
REF = {"experimentId": "run1", "key": "loss", "createdAt": 1_700_000_000}
WHOLE = {"projectId": "pro1", "experimentId": "run1", "createdAt": 1_700_000_000}
UNDATED = RunSource("run1", "pro1", None)
RULE = Rule("group", "STABLE", "EQ", ("a",))
FILTER = {"key": "cluster", "type": "STABLE", "op": "EQ", "value": ["a"], "active": True}
LOG = {"projectId": "pro1", "experimentId": "run1", "size": "1000", "epoch": "2"}


def _send(request: Request) -> Callable[[Client], Any]:
    return lambda client: client.send(request)


ROWS: list[tuple[str, Callable[[Client], Any], str, str, dict[str, str], Any]] = [
    (
        "workspace",
        lambda c: workspaces.fetch_workspace(c, WORKSPACE),
        "GET",
        "/group/team",
        {},
        None,
    ),
    (
        "workspaces of a user",
        lambda c: workspaces.fetch_workspaces_of(c, "ada l"),
        *("GET", "/user/ada%20l/groups", {}, None),
    ),
    ("profile", users.fetch_profile, "GET", "/user/profile", {}, None),
    (
        "project",
        lambda c: projects.fetch_project(c, PROJECT),
        "GET",
        "/project/team/cls%20%2B1",
        {},
        None,
    ),
    (
        "projects",
        _send(projects.projects_page(WORKSPACE, 2, 50, search="x", sort="name")),
        "GET",
        "/project/team",
        {"page": "2", "size": "50", "detail": "true", "sort": "name", "search": "x"},
        None,
    ),
    (
        "create project",
        lambda c: projects.create_project(c, WORKSPACE, "new", "PRIVATE", "text"),
        "POST",
        "/project",
        {},
        {"name": "new", "visibility": "PRIVATE", "username": "team", "description": "text"},
    ),
    (
        "run",
        lambda c: runs.fetch_run(c, RUN),
        "GET",
        "/project/team/cls%20%2B1/runs/r%2F1",
        {},
        None,
    ),
    (
        "runs",
        _send(runs.runs_page(PROJECT, 1, 100)),
        *("GET", "/project/team/cls%20%2B1/runs", {"page": "1", "size": "100"}, None),
    ),
    (
        "filter",
        lambda c: runs.fetch_filtered_runs(c, PROJECT, [RULE]),
        "POST",
        "/project/team/cls%20%2B1/runs/shows",
        {},
        {"filters": [FILTER], "groups": [], "sorts": []},
    ),
    (
        "columns",
        _send(
            runs.columns_page("run1", 1, 20, search="l", column_class="CUSTOM", column_type=None)
        ),
        "GET",
        "/experiment/run1/column",
        {"page": "1", "size": "20", "search": "l", "class": "CUSTOM"},
        None,
    ),
    (
        "keys of a clone",
        _send(metrics.keys_page([CLONE], "SCALAR", "c")),
        "POST",
        "/house/metrics/scalar/keys",
        {},
        {"experiments": [WHOLE | {"createdAt": 1_700_000_001}], "limit": 2000, "cursor": "c"},
    ),
    (
        "availability",
        lambda c: metrics.fetch_availability(c, [SOURCE], ["loss"], "MEDIA"),
        "POST",
        "/house/metrics/media/availability",
        {},
        {"keys": ["loss"], "experiments": [WHOLE]},
    ),
    (
        "summaries",
        lambda c: metrics.fetch_summaries(c, [SOURCE], None),
        *("POST", "/house/metrics/summaries", {}, {"experiments": [WHOLE]}),
    ),
    (
        "summaries of a run without a creation time",
        lambda c: metrics.fetch_summaries(c, [UNDATED], ["loss"]),
        "POST",
        "/house/metrics/summaries",
        {},
        {"experiments": [{"projectId": "pro1", "experimentId": "run1"}], "keys": ["loss"]},
    ),
    (
        "log",
        _send(logs.logs_page(SOURCE, 2, "WARN")),
        "GET",
        "/house/metrics/log",
        LOG | {"level": "WARN", "createdAt": "1700000000"},
        None,
    ),
    (
        "log of a run without a creation time",
        _send(logs.logs_page(UNDATED, 2, "WARN")),
        *("GET", "/house/metrics/log", LOG | {"level": "WARN"}, None),
    ),
    (
        "log export",
        lambda c: logs.fetch_log_export(c, SOURCE, 5, 10),
        *("POST", "/house/metrics/log/export", {}, WHOLE | {"start": 5, "rows": 10}),
    ),
    (
        "sample",
        lambda c: metrics.fetch_sample(c, SOURCE, ["loss"], points=9, x_axis="step", x_key="epoch"),
        "POST",
        "/house/metrics/scalar",
        {},
        {
            "projectId": "pro1",
            "xType": "step",
            "range": [0, 0],
            "columns": [REF],
            "num": 9,
            "xKey": "epoch",
        },
    ),
    (
        "export of a clone",
        lambda c: metrics.fetch_export(c, CLONE, ["loss"]),
        "POST",
        "/house/metrics/scalar/export",
        {},
        {
            "projectId": "pro2",
            "columns": [
                {
                    "experimentId": "run2",
                    "key": "loss",
                    "createdAt": 1_700_000_001,
                    "rootProId": "pro1",
                    "rootExpId": "run1",
                    "experimentName": "run2",
                }
            ],
        },
    ),
    (
        "media of a step",
        lambda c: medias.fetch_media_step(c, SOURCE, ["loss"], 0),
        *("POST", "/house/metrics/media", {}, {"projectId": "pro1", "columns": [REF], "step": 0}),
    ),
    (
        "media",
        lambda c: medias.fetch_media(c, SOURCE, ["loss"]),
        *("POST", "/house/metrics/f_media", {}, {"projectId": "pro1", "columns": [REF]}),
    ),
    (
        "media urls",
        lambda c: medias.fetch_media_urls(c, SOURCE, ["a.png"]),
        *("POST", "/resources/presigned/get", {}, {"prefix": "pro1/run1", "paths": ["a.png"]}),
    ),
    (
        "file urls",
        lambda c: metrics.fetch_file_urls(c, ["k"]),
        *("POST", "/files/presigned/get", {}, {"paths": ["k"]}),
    ),
    ("instance", self_hosted.fetch_instance, "GET", "/self_hosted/info", {}, None),
    ("usage", self_hosted.fetch_usage, "GET", "/self_hosted/summary", {}, None),
    (
        "create user",
        lambda c: self_hosted.create_user(c, "u", "p"),
        *("POST", "/self_hosted/users", {}, {"users": [{"username": "u", "password": "p"}]}),
    ),
    (
        "users",
        _send(self_hosted.users_page(1, 20)),
        *("GET", "/self_hosted/users", {"page": "1", "size": "20"}, None),
    ),
    (
        "all projects",
        _send(self_hosted.projects_page(1, 20, search="s", creator="c", workspace="w")),
        "GET",
        "/self_hosted/projects",
        {"page": "1", "size": "20", "search": "s", "creator": "c", "group": "w"},
        None,
    ),
    (
        "all workspaces",
        _send(self_hosted.workspaces_page(1, 20, search="s")),
        *("GET", "/self_hosted/groups", {"page": "1", "size": "20", "search": "s"}, None),
    ),
]


@pytest.mark.parametrize(
    ("send", "method", "path", "query", "body"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
@responses.activate
def test_an_endpoint_sends_exactly_this(
    send: Callable[[Client], Any], method: str, path: str, query: dict[str, str], body: Any
) -> None:
    """Method, path, query and body of each endpoint are those of the protocol."""
    responses.post(f"{HOST}/api/login/api_key", json=LOGIN)
    responses.add(method, f"{HOST}/api{path}", json={"fine": True})
    with Client(Settings(HOST, HOST, "key")) as client:
        assert send(client) == {"fine": True}
    first, second = (call.request for call in responses.calls)
    assert first.headers["authorization"] == "key"
    assert "cookie" not in first.headers
    assert second.headers["cookie"] == "sid=S1"
    assert "authorization" not in second.headers
    assert second.headers["user-agent"].startswith("swanlab-export/")
    assert second.params == query  # type: ignore[attr-defined]
    assert (json.loads(second.body) if second.body else None) == body


OTHERS: list[tuple[str, Callable[[Client], Any], dict[str, Any]]] = [
    ("workspace", lambda c: workspaces.fetch_workspace(c, WORKSPACE), {"username": "other"}),
    ("project", lambda c: projects.fetch_project(c, PROJECT), {"path": "other/cls +1"}),
    ("project by name", lambda c: projects.fetch_project(c, PROJECT), {"name": "other"}),
    ("run", lambda c: runs.fetch_run(c, RUN), {"cuid": "other", "slug": "another"}),
]


@pytest.mark.parametrize(
    ("send", "payload"), [row[1:] for row in OTHERS], ids=[row[0] for row in OTHERS]
)
@responses.activate
def test_a_response_about_something_else_is_refused(
    send: Callable[[Client], Any], payload: dict[str, Any]
) -> None:
    """What was not asked for is never handed out under the name of what was."""
    responses.post(f"{HOST}/api/login/api_key", json=LOGIN)
    responses.add(responses.GET, ANYTHING, json=payload)
    with (
        Client(Settings(HOST, HOST, "key")) as client,
        pytest.raises(ServerError, match=r"the server sent .* 'other.*', not '"),
    ):
        send(client)


@pytest.mark.parametrize(
    "payload",
    [{"cuid": "x", "slug": "r/1"}, {"cuid": "r/1", "slug": "x"}, {"cuid": "x", "slug": None}],
    ids=["slug", "id", "no slug"],
)
@responses.activate
def test_a_run_is_known_by_its_id_or_slug(payload: dict[str, Any]) -> None:
    """Either name may be the one asked for, to the letter; a missing slug may have been it, too."""
    responses.post(f"{HOST}/api/login/api_key", json=LOGIN)
    responses.add(responses.GET, ANYTHING, json=payload)
    with Client(Settings(HOST, HOST, "key")) as client:
        assert runs.fetch_run(client, RUN) == payload
