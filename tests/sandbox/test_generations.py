"""Generations of servers: what an older one lacks, and what it takes and sends instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_tiny import Caller, column, experiment

from swanlab_export.sandbox import GENERATIONS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCALAR = {"projectId": "pro1", "xType": "step", "range": [0, 0], "num": 10}
COLUMNS = {"projectId": "pro1", "columns": [column("loss")]}
RUNS = {"experiments": [experiment()], "limit": 10, "keys": ["loss"]}
ALL, MIDDLE, NEW = ("2.6", "2.8", "3.1"), ("2.8", "3.1"), ("3.1",)
LOG = "/house/metrics/log?projectId=pro1&experimentId=run1&size=10&epoch=0"
ENDPOINTS: list[tuple[str, str, Any, tuple[str, ...]]] = [
    ("GET", "/project/team", None, ALL),
    ("GET", "/project/team/open", None, ALL),
    ("GET", "/project/team/open/runs", None, ALL),
    ("GET", "/project/team/open/runs/run1", None, ALL),
    ("POST", "/project/team/open/runs/shows", {"filters": []}, ALL),
    ("GET", "/user/ada/groups", None, ALL),
    ("GET", "/group/", None, ("2.6",)),
    ("GET", "/group/team", None, MIDDLE),
    ("GET", "/user/profile", None, MIDDLE),
    ("GET", "/experiment/run1/column", None, ALL),
    ("GET", "/experiment/run1/column/csv?key=loss", None, ("2.6", "2.8")),
    ("GET", "/house/metrics/summaries/pro1/run1?all=True", None, ALL),
    ("POST", "/house/metrics/summaries", [{"projectId": "pro1", "experimentId": "a"}], ("2.6",)),
    ("POST", "/house/metrics/summaries", {"experiments": [experiment()]}, MIDDLE),
    ("POST", "/house/metrics/scalar", SCALAR | COLUMNS, MIDDLE),
    ("POST", "/house/metrics/scalar/value", SCALAR | COLUMNS, MIDDLE),
    ("POST", "/house/metrics/scalar/export", COLUMNS, NEW),
    ("POST", "/house/metrics/scalar/keys", RUNS, NEW),
    ("POST", "/house/metrics/media/keys", RUNS, NEW),
    ("POST", "/house/metrics/scalar/availability", RUNS, NEW),
    ("POST", "/house/metrics/media", COLUMNS, MIDDLE),
    ("POST", "/house/metrics/f_media", COLUMNS, MIDDLE),
    ("GET", LOG, None, MIDDLE),
    ("POST", "/house/metrics/log/export", experiment(start=0, rows=9), MIDDLE),
    ("POST", "/resources/presigned/get", {"prefix": "pro1/run1", "paths": ["a.png"]}, MIDDLE),
    ("POST", "/files/presigned/get", {"paths": []}, MIDDLE),
    ("GET", "/self_hosted/info", None, ALL),
    ("GET", "/self_hosted/users", None, ALL),
    ("GET", "/self_hosted/projects", None, MIDDLE),
    ("GET", "/self_hosted/groups", None, MIDDLE),
    ("GET", "/self_hosted/summary", None, MIDDLE),
]


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caller]]:
    """Ada, logged in to a server of each generation."""
    from sandbox_tiny import write_tiny

    data = write_tiny(tmp_path_factory.mktemp("tiny"))
    sandboxes = {generation: Sandbox(data, generation=generation) for generation in GENERATIONS}
    callers = {name: Caller(sandbox.start()) for name, sandbox in sandboxes.items()}
    yield callers
    for name, sandbox in sandboxes.items():
        callers[name].close()
        sandbox.stop()


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("method", "path", "body", "offered"),
    ENDPOINTS,
    ids=[f"{method} {path} {type(body).__name__}" for method, path, body, _ in ENDPOINTS],
)
def test_each_endpoint_of_each_generation(
    callers: dict[str, Caller],
    generation: str,
    method: str,
    path: str,
    body: Any,
    offered: tuple[str, ...],
) -> None:
    """An endpoint that a generation lacks is not found, as an object that does not exist."""
    response = callers[generation].call(method, path, body)
    if generation in offered:
        assert response.status_code == 200
    elif path == "/house/metrics/summaries":
        assert response.status_code == 400
    else:
        missing = callers[generation].call("GET", "/project/team/none")
        assert (response.status_code, response.json()) == (404, missing.json())


def test_newest_generation_is_the_default(tiny: Path) -> None:
    """Without a choice the sandbox is of the newest generation."""
    with Sandbox(tiny) as sandbox:
        caller = Caller(sandbox)
        assert caller.post("/house/metrics/scalar/keys", RUNS)["keys"]
        caller.close()


def test_unknown_generation_is_refused(tiny: Path) -> None:
    """A release that is no generation is refused, with those there are."""
    with pytest.raises(ValueError, match=r"2\.6.*2\.8.*3\.1"):
        Sandbox(tiny, generation="1.0")


def test_old_summaries_say_the_same(callers: dict[str, Caller]) -> None:
    """The summaries of the list form are those of the object form."""
    old = [{"projectId": "pro1", "experimentId": "run2"}]
    new = {"experiments": [experiment("run2")]}
    path = "/house/metrics/summaries"
    assert callers["2.6"].post(path, old) == callers["3.1"].post(path, new)


def test_old_summaries_of_a_clone(callers: dict[str, Caller]) -> None:
    """The list form takes the ids of a clone's original too."""
    roots = {"rootProId": "pro1", "rootExpId": "run1"}
    body = [{"projectId": "pro1", "experimentId": "clone"} | roots]
    found = callers["2.6"].post("/house/metrics/summaries", body)
    assert set(found["clone"]) == {"__swanlab__.cpu", "loss", "neg", "seen"}


def test_run_without_data_in_summaries(callers: dict[str, Caller]) -> None:
    """A run without data is null on the newest servers, and left out by older ones."""
    body = {"experiments": [experiment("run2"), experiment("clone")]}
    path = "/house/metrics/summaries"
    assert callers["3.1"].post(path, body)["clone"] is None
    assert set(callers["2.8"].post(path, body)) == {"run2"}


@pytest.mark.parametrize(("generation", "most"), [("2.8", 4), ("3.1", 16)])
@pytest.mark.parametrize("path", ["/house/metrics/scalar", "/house/metrics/scalar/value"])
def test_keys_per_sample(callers: dict[str, Caller], generation: str, most: int, path: str) -> None:
    """A sample of more keys than the generation takes is refused."""
    for count, status in ((most, 200), (most + 1, 400)):
        body = SCALAR | {"columns": [column("loss")] * count}
        assert callers[generation].call("POST", path, body).status_code == status


@pytest.mark.parametrize("fields", [{"xType": "relative_time"}, {"xKey": "seen"}])
def test_newer_axes_are_refused(callers: dict[str, Caller], fields: dict[str, str]) -> None:
    """The axes that came with 3.1 give 400 before."""
    body = SCALAR | COLUMNS | fields
    assert callers["2.8"].call("POST", "/house/metrics/scalar", body).status_code == 400
    assert callers["3.1"].call("POST", "/house/metrics/scalar", body).status_code == 200


@pytest.mark.parametrize("created", [None, 0, "x"])
def test_older_servers_ignore_the_creation_time(callers: dict[str, Caller], created: Any) -> None:
    """Whatever the creation time says, 2.8 responds."""
    body = SCALAR | {"columns": [column("loss", createdAt=created)]}
    assert len(callers["2.8"].post("/house/metrics/scalar", body)) == 1


@pytest.mark.parametrize("extra", ["groups", "sorts"])
def test_oldest_servers_take_filters_only(callers: dict[str, Caller], extra: str) -> None:
    """Groups and sorts are refused by 2.6."""
    path = "/project/team/open/runs/shows"
    body: dict[str, list[Any]] = {"filters": [], extra: []}
    assert callers["2.6"].call("POST", path, body).status_code == 400
    assert callers["2.8"].call("POST", path, body).status_code == 200


def test_own_workspaces(callers: dict[str, Caller]) -> None:
    """The oldest servers list the workspaces of the user who asks, with the role in each."""
    assert callers["2.6"].get("/group/") == {
        "list": [
            {"name": "Ada", "username": "ada", "role": "OWNER"},
            {"name": "Team", "username": "team", "role": "OWNER"},
        ]
    }


@pytest.mark.parametrize("generation", ["2.6", "2.8"])
@pytest.mark.parametrize("run", ["run1", "clone"])
def test_file_of_one_key(callers: dict[str, Caller], generation: str, run: str) -> None:
    """Older servers export one key a file, whose header names the run; a clone's data come."""
    caller = callers[generation]
    url = caller.get(f"/experiment/{run}/column/csv", key="seen")["url"]
    header, *rows = caller.download(url).text.splitlines()
    name = '"a ""b"", c-seen' if run == "run1" else "clone-seen"
    end = '"' if run == "run1" else ""
    assert header == f"step,{name}_step{end},{name}_timestamp{end}"
    assert [row.split(",")[:2] for row in rows] == [["0", "10"], ["4", "50"]]


@pytest.mark.parametrize(
    "path", ["/experiment/run1/column/csv?key=no", "/experiment/no/column/csv"]
)
def test_file_of_a_key_that_is_not_there(callers: dict[str, Caller], path: str) -> None:
    """A run or key that does not exist gives 404."""
    assert callers["2.8"].call("GET", path).status_code == 404
