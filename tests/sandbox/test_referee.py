"""The official client against the sandbox: each of its commands gets a sensible answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from official import Official
from sandbox_tiny import CREATED_MS

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.referee

RUN = "team/open/first"


@pytest.fixture
def official(tiny: Path, tmp_path: Path) -> Iterator[Official]:
    """The official client with an empty home, as ada.

    It sends its session's cookie to the storage too, which real storages ignore; so does this one.
    """
    home = tmp_path / "home"
    home.mkdir()
    with Sandbox(tiny, faults=parse_faults(["lenient=1"])) as sandbox:
        yield Official(sandbox, home)


def test_workspace_info(official: Official) -> None:
    """``workspace info`` shows the team and ada's role in it."""
    data = official.command("workspace", "info", "team")
    assert (data["username"], data["name"], data["workspace_type"], data["role"]) == (
        "team",
        "Team",
        "TEAM",
        "OWNER",
    )


def test_project_info_and_list(official: Official) -> None:
    """``project info`` and ``project list`` show the same project."""
    one = official.command("project", "info", "team/open")
    assert (one["project_id"], one["path"], one["count"]["experiments"]) == ("pro1", "team/open", 3)
    page = official.command("project", "list", "--workspace", "team", "--all")
    assert page["total"] == 2
    assert one in page["list"]


def test_project_create(official: Official) -> None:
    """``project create`` makes a project that ``project info`` finds."""
    words = ["-n", "fresh", "-v", "PUBLIC", "-w", "team", "-d", "new"]
    made = official.command("project", "create", *words)
    assert (made["path"], made["visibility"]) == ("team/fresh", "PUBLIC")
    assert official.command("project", "info", "team/fresh")["description"] == "new"


def test_run_info(official: Official) -> None:
    """``run info`` shows the run and its config."""
    data = official.command("run", "info", RUN)
    assert (data["run_id"], data["name"], data["state"]) == ("run1", 'a "b", c', "FINISHED")
    assert data["profile"]["config"]["lr"]["value"] == 0.1
    assert (data["group"], data["job_type"]) == ("g1", "train")


def test_run_list(official: Official) -> None:
    """``run list`` shows all runs of a project."""
    page = official.command("run", "list", "team/open", "--all")
    assert (page["total"], page["pages"]) == (3, 1)
    assert [run["run_id"] for run in page["list"]] == ["clone", "run2", "run1"]


@pytest.mark.parametrize("op", ["EQ", "IN", "CONTAIN"])
def test_run_filter(official: Official, op: str) -> None:
    """``run filter`` finds the crashed run."""
    rule = {"key": "state", "type": "STABLE", "op": op, "value": ["CRASHED"]}
    page = official.command("run", "filter", "team/open", "-f", json.dumps([rule]))
    assert [run["run_id"] for run in page["list"]] == ["run2"]


def test_run_metrics_sampled(official: Official) -> None:
    """``run metrics`` shows the points and the statistics of each key, in the asked order."""
    data = official.command("run", "metrics", RUN, "--keys", "neg,loss,nope")
    neg, loss, nope = data["list"]
    assert [point["data"] for point in loss["metrics"]] == [4.0, "NaN", "INF", 1.0]
    assert neg["metrics"] == [{"index": 0, "data": "-INF", "timestamp": CREATED_MS}]
    assert nope["metrics"] == []
    assert loss["latest"] == {"index": 4, "data": 1.0, "timestamp": CREATED_MS + 4000}


@pytest.mark.parametrize(
    ("axis", "index"), [("time", [CREATED_MS, CREATED_MS + 4000]), ("seen", [10.0, 50.0])]
)
def test_run_metrics_on_another_axis(official: Official, axis: str, index: list[float]) -> None:
    """``run metrics --x-axis`` has the other axis as its index."""
    data = official.command("run", "metrics", RUN, "--keys", "loss", "--x-axis", axis)
    found = [point["index"] for point in data["list"][0]["metrics"]]
    assert [found[0], found[-1]] == index


def test_run_metrics_full(official: Official) -> None:
    """``run metrics --all`` reads the exported file, and its cookie on the way there is noted."""
    data = official.command("run", "metrics", RUN, "--keys", "seen,neg", "--all")
    seen, neg = data["list"]
    assert seen["metrics"] == [
        {"step": 0, "value": 10.0, "timestamp": CREATED_MS},
        {"step": 4, "value": 50.0, "timestamp": CREATED_MS + 4000},
    ]
    # The official command prints infinities as null.
    assert neg["metrics"] == [{"step": 0, "value": None, "timestamp": CREATED_MS}]
    assert official.sandbox.leaks


def test_run_metrics_range(official: Official) -> None:
    """``run metrics --range-start/--range-end`` keeps what lies between."""
    words = ["--keys", "seen", "--range-start", "1", "--range-end", "4"]
    data = official.command("run", "metrics", RUN, *words)
    assert [point["step"] for point in data["list"][0]["metrics"]] == [4]


def test_run_metrics_of_a_clone(official: Official) -> None:
    """A clone shows the points of its root."""
    data = official.command("run", "metrics", "team/open/clone", "--keys", "seen")
    assert [point["data"] for point in data["list"][0]["metrics"]] == [10.0, 50.0]


def test_run_summary(official: Official) -> None:
    """``run summary`` shows the statistics of each key."""
    data = official.command("run", "summary", "team/open/run2")
    assert set(data) == {"acc"}
    assert (data["acc"]["step"], data["acc"]["value"], data["acc"]["avg"]) == (1, 0.5, 0.375)


def test_run_series(official: Official) -> None:
    """``run series`` shows every key of a class, however many pages it takes."""
    assert official.command("run", "series", RUN)["keys"] == ["loss", "neg", "seen"]
    system = official.command("run", "series", RUN, "--class", "SYSTEM")
    assert system["keys"] == ["__swanlab__.cpu"]
    assert official.command("run", "series", RUN, "--type", "MEDIA")["keys"] == ["pic"]


def test_run_columns_and_column(official: Official) -> None:
    """``run columns`` and ``run column`` show what the run logged."""
    page = official.command("run", "columns", RUN, "--all")
    assert {column["key"] for column in page["list"]} == {"loss", "neg", "seen"}
    one = official.command("run", "column", RUN, "--key", "loss")
    assert (one["name"], one["column_class"], one["column_type"]) == ("loss", "CUSTOM", "FLOAT")


def test_run_medias(official: Official) -> None:
    """``run medias`` shows captions and URLs, of one step and of all."""
    one = official.command("run", "medias", RUN, "--keys", "pic", "--step", "3")
    items = one["list"][0]["metrics"][0]["items"]
    assert [item.get("caption") for item in items] == ["x", None]
    assert all(item["url"].startswith(official.sandbox.storage_url) for item in items)
    every = official.command("run", "medias", RUN, "--keys", "pic", "--all")
    assert every["list"][0]["metrics"][0]["index"] == 3


def test_run_logs(official: Official) -> None:
    """``run logs`` shows the lines from a level on."""
    data = official.command("run", "logs", RUN, "--level", "WARN")
    assert [line["message"] for line in data["logs"]] == ["three", "four"]


def test_run_export_logs(official: Official) -> None:
    """``run export-logs`` gives the URL of a file on the other origin."""
    data = official.command("run", "export-logs", RUN)
    assert data["url"].startswith(official.sandbox.storage_url)


def test_user_info(official: Official) -> None:
    """``user info`` shows who is logged in."""
    data = official.command("user", "info")
    assert (data["username"], data["name"], data["institution"]) == ("ada", "Ada", "Example")


def test_self_hosted(official: Official) -> None:
    """Every ``self-hosted`` command answers root."""
    info = official.command("self-hosted", "info")
    assert (info["enabled"], info["expired"], info["root"]) == (True, False, True)
    official.command("self-hosted", "create-user", "-u", "dora", "-p", "pw")
    users = official.command("self-hosted", "list-users", "--all")["list"]
    assert "dora" in {user["username"] for user in users}
    projects = official.command("self-hosted", "list-projects", "--search", "secret")["list"]
    assert [project["name"] for project in projects] == ["secret"]
    spaces = official.command("self-hosted", "list-workspaces", "--search", "team")["list"]
    assert [space["username"] for space in spaces] == ["team"]
    assert official.command("self-hosted", "summary")


def test_unknown_run_is_not_ok(official: Official) -> None:
    """The official command says that there is no such run."""
    assert official.answer("run", "info", "team/open/none")["ok"] is False


def test_api_class(official: Official) -> None:
    """The class behind the commands: entities, lists, series, metrics and summaries."""
    found = official.api(
        "{'me': api.username,"
        " 'spaces': [space.username for space in api.workspaces()],"
        " 'projects': [project.path for project in api.projects('team')],"
        " 'runs': [run.run_id for run in api.runs_get('team/open')],"
        " 'crashed': [run.run_id for run in api.runs('team/open', filters=["
        "{'key': 'state', 'type': 'STABLE', 'op': 'EQ', 'value': ['CRASHED']}])],"
        " 'grouped': len(list(api.project('team/open').runs("
        "groups=[{'key': 'state', 'type': 'STABLE'}]))),"
        " 'keys': [key.key for key in api.series('team/open/first')],"
        " 'has': api.series('team/open/first').availability(['loss', 'nope']),"
        " 'summary': api.run('team/open/run2').summary(['acc'])['acc']['value'],"
        " 'points': len(api.run('team/open/first').metrics(['loss'])['list'][0]['metrics'])}"
    )
    assert found == {
        "me": "ada",
        "spaces": ["ada", "team"],
        "projects": ["team/open", "team/secret"],
        "runs": ["clone", "run2", "run1"],
        "crashed": ["run2"],
        "grouped": 3,
        "keys": ["loss", "neg", "seen"],
        "has": {"loss": ["run1"], "nope": []},
        "summary": 0.5,
        "points": 4,
    }
