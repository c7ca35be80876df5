"""Official clients against sandboxes of their time: each of their commands gets the right facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests
from official import Referee
from sandbox_tiny import CREATED_MS

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from official import Official

pytestmark = pytest.mark.referee

RUN = "team/open/first"


def test_workspace_info(referee: Referee) -> None:
    """``workspace info`` shows the team and ada's role in it."""
    data = referee.command("workspace", "info", "team")
    assert (data["username"], data["name"], data["workspace_type"], data["role"]) == (
        "team",
        "Team",
        "TEAM",
        "OWNER",
    )


def test_project_info_and_list(referee: Referee) -> None:
    """``project info`` and ``project list`` show the same project."""
    one = referee.command("project", "info", "team/open")
    assert (one["project_id"], one["path"], one["count"]["experiments"]) == ("pro1", "team/open", 3)
    page = referee.command("project", "list", "--workspace", "team", "--all")
    assert page["total"] == 2
    assert one in page["list"]


def test_project_create(referee: Referee) -> None:
    """``project create`` makes a project that ``project info`` finds."""
    words = ["-n", "fresh", "-v", "PUBLIC", "-w", "team", "-d", "new"]
    made = referee.command("project", "create", *words)
    assert (made["path"], made["visibility"]) == ("team/fresh", "PUBLIC")
    assert referee.command("project", "info", "team/fresh")["description"] == "new"


def test_run_info(referee: Referee) -> None:
    """``run info`` shows the run and its config."""
    data = referee.command("run", "info", RUN)
    assert (data["run_id"], data["name"], data["state"]) == ("run1", 'a "b", c', "FINISHED")
    assert data["profile"]["config"]["lr"]["value"] == 0.1
    assert (data["group"], data["job_type"]) == ("g1", "train")


def test_run_list(referee: Referee) -> None:
    """``run list`` shows all runs of a project."""
    page = referee.command("run", "list", "team/open", "--all")
    assert (page["total"], page["pages"]) == (3, 1)
    assert [run["run_id"] for run in page["list"]] == ["clone", "run2", "run1"]


@pytest.mark.parametrize("op", ["EQ", "IN", "CONTAIN"])
def test_run_filter(referee: Referee, op: str) -> None:
    """``run filter`` finds the crashed run."""
    rule = {"key": "state", "type": "STABLE", "op": op, "value": ["CRASHED"]}
    page = referee.command("run", "filter", "team/open", "-f", json.dumps([rule]))
    assert [run["run_id"] for run in page["list"]] == ["run2"]


def test_run_metrics_sampled(referee: Referee) -> None:
    """``run metrics`` shows finite points and the statistics of each key, in the asked order."""
    data = referee.command("run", "metrics", RUN, "--keys", "neg,loss,nope")
    neg, loss, nope = data["list"]
    assert loss["metrics"] == [
        {"index": 0, "data": 4.0, "timestamp": CREATED_MS},
        {"index": 4, "data": 1.0, "timestamp": CREATED_MS + 4000},
    ]
    assert (neg["metrics"], nope["metrics"]) == ([], [])
    assert loss["latest"] == {"index": 4, "data": 1.0, "timestamp": CREATED_MS + 4000}
    assert (loss["min"]["data"], loss["max"]["data"]) == (1.0, 4.0)


def test_run_metrics_in_batches(referee: Referee) -> None:
    """More keys than one request takes are all there, in the asked order."""
    keys = ["__swanlab__.cpu", "loss", "neg", "seen", "no1", "no2", *(f"x{i}" for i in range(15))]
    data = referee.command("run", "metrics", RUN, "--keys", ",".join(keys))
    assert [metric["key"] for metric in data["list"]] == keys
    having = {metric["key"] for metric in data["list"] if metric["metrics"]}
    assert having == {"__swanlab__.cpu", "loss", "seen"}
    statuses = {r.status for r in referee.sandbox.requests if r.path.endswith("/scalar")}
    assert statuses == {200}


@pytest.mark.parametrize(
    ("axis", "index"),
    [
        ("time", [CREATED_MS, CREATED_MS + 4000]),
        ("relative_time", [0, 4]),
        ("seen", [10.0, 50.0]),
    ],
)
def test_run_metrics_on_another_axis(newest: Referee, axis: str, index: list[float]) -> None:
    """``run metrics --x-axis`` has the other axis as its index."""
    data = newest.command("run", "metrics", RUN, "--keys", "loss", "--x-axis", axis)
    found = [point["index"] for point in data["list"][0]["metrics"]]
    assert [found[0], found[-1]] == index


def test_run_metrics_full(referee: Referee) -> None:
    """``run metrics --all`` reads the exported file, and its cookie on the way is recorded."""
    data = referee.command("run", "metrics", RUN, "--keys", "seen,neg", "--all")
    seen, neg = data["list"]
    assert seen["metrics"] == [
        {"step": 0, "value": 10.0, "timestamp": CREATED_MS},
        {"step": 4, "value": 50.0, "timestamp": CREATED_MS + 4000},
    ]
    # The official command prints infinities as null.
    assert neg["metrics"] == [{"step": 0, "value": None, "timestamp": CREATED_MS}]
    assert referee.sandbox.leaks


def test_run_metrics_range(referee: Referee) -> None:
    """``run metrics --range-start/--range-end`` keeps what lies between."""
    words = ["--keys", "seen", "--range-start", "1", "--range-end", "4"]
    data = referee.command("run", "metrics", RUN, *words)
    assert [point["step"] for point in data["list"][0]["metrics"]] == [4]


def test_run_metrics_of_a_clone(referee: Referee) -> None:
    """A clone shows the points of its root."""
    data = referee.command("run", "metrics", "team/open/clone", "--keys", "seen")
    assert [point["data"] for point in data["list"][0]["metrics"]] == [10.0, 50.0]


def test_run_summary(referee: Referee) -> None:
    """``run summary`` shows the statistics of each key."""
    data = referee.command("run", "summary", "team/open/run2")
    assert set(data) == {"acc"}
    assert (data["acc"]["step"], data["acc"]["value"], data["acc"]["avg"]) == (1, 0.5, 0.375)


def test_run_series(newest: Referee) -> None:
    """``run series`` shows every key of a class, however many pages it takes."""
    assert newest.command("run", "series", RUN)["keys"] == ["loss", "neg", "seen"]
    system = newest.command("run", "series", RUN, "--class", "SYSTEM")
    assert system["keys"] == ["__swanlab__.cpu"]
    assert newest.command("run", "series", RUN, "--type", "MEDIA")["keys"] == ["pic"]


def test_run_columns_and_column(referee: Referee) -> None:
    """``run columns`` and ``run column`` show what the run logged."""
    page = referee.command("run", "columns", RUN, "--all")
    assert {column["key"] for column in page["list"]} == {"loss", "neg", "seen"}
    one = referee.command("run", "column", RUN, "--key", "loss")
    assert (one["name"], one["column_class"], one["column_type"]) == ("loss", "CUSTOM", "FLOAT")


def test_file_of_one_column(referee: Referee) -> None:
    """The file of one column is there, in the old and in the new way to export it."""
    url = referee.api("api.run('team/open/first').column('seen').export_csv().data['url']")
    header, *rows = requests.get(url, timeout=60).text.splitlines()
    # Old servers name the run; the newest client has its id named in this case.
    names = (
        '"a ""b"", c-seen_step","a ""b"", c-seen_timestamp"',
        "run1-seen_step,run1-seen_timestamp",
    )
    assert header in {f"step,{name}" for name in names}
    assert rows == [f"0,10,{CREATED_MS}", f"4,50,{CREATED_MS + 4000}"]


def test_run_medias(referee: Referee) -> None:
    """``run medias`` shows captions and URLs, of one step and of all."""
    one = referee.command("run", "medias", RUN, "--keys", "pic", "--step", "3")
    items = one["list"][0]["metrics"][0]["items"]
    assert [item.get("caption") for item in items] == ["x", None]
    assert all(item["url"].startswith(referee.sandbox.storage_url) for item in items)
    every = referee.command("run", "medias", RUN, "--keys", "pic", "--all")
    assert every["list"][0]["metrics"][0]["index"] == 3


def test_run_logs(referee: Referee) -> None:
    """``run logs`` shows the lines from a level on."""
    data = referee.command("run", "logs", RUN, "--level", "WARN")
    assert [line["message"] for line in data["logs"]] == ["three", "four"]


def test_run_export_logs(referee: Referee) -> None:
    """``run export-logs`` gives the URL of a file on the other origin."""
    data = referee.command("run", "export-logs", RUN)
    assert data["url"].startswith(referee.sandbox.storage_url)


def test_user_info(referee: Referee) -> None:
    """``user info`` shows who is logged in."""
    data = referee.command("user", "info")
    assert (data["username"], data["name"], data["institution"]) == ("ada", "Ada", "Example")


def test_self_hosted(referee: Referee) -> None:
    """Every ``self-hosted`` command responds to root."""
    info = referee.command("self-hosted", "info")
    assert (info["enabled"], info["expired"], info["root"]) == (True, False, True)
    referee.command("self-hosted", "create-user", "-u", "dora", "-p", "pw")
    users = referee.command("self-hosted", "list-users", "--all")["list"]
    assert "dora" in {user["username"] for user in users}
    projects = referee.command("self-hosted", "list-projects", "--search", "secret")["list"]
    assert [project["name"] for project in projects] == ["secret"]
    spaces = referee.command("self-hosted", "list-workspaces", "--search", "team")["list"]
    assert [space["username"] for space in spaces] == ["team"]
    assert referee.command("self-hosted", "summary")


def test_unknown_run_is_not_ok(referee: Referee) -> None:
    """The official command says that there is no such run."""
    assert referee.respond("run", "info", "team/open/none")["ok"] is False


def test_creation_times_are_not_needed(tiny: Path, official_of: Callable[[str], Official]) -> None:
    """The client 0.8 works with a server that refuses creation times, which came later."""
    faults = parse_faults(["lenient=1", "strict-fields=1"])
    with Sandbox(tiny, faults=faults, generation="2.8") as sandbox:
        referee = Referee(official_of("2.8"), sandbox)
        assert referee.command("run", "metrics", RUN, "--keys", "loss")["list"][0]["metrics"]
        assert referee.command("run", "metrics", RUN, "--keys", "seen", "--all")["list"]
        assert referee.command("run", "summary", "team/open/run2")["acc"]["value"] == 0.5
        assert referee.command("run", "medias", RUN, "--keys", "pic", "--all")["list"]
        assert referee.command("run", "logs", RUN)["logs"]
        assert referee.command("run", "export-logs", RUN)["url"]
        assert {r.status for r in sandbox.requests if "house" in r.path} == {200}


def test_api_class(referee: Referee) -> None:
    """The class behind the commands: entities, lists, metrics and summaries."""
    found = referee.api(
        "{'me': api.username,"
        " 'spaces': [space.username for space in api.workspaces()],"
        " 'projects': [project.path for project in api.projects('team')],"
        " 'runs': [run.run_id for run in api.runs_get('team/open')],"
        " 'crashed': [run.run_id for run in api.runs('team/open', filters=["
        "{'key': 'state', 'type': 'STABLE', 'op': 'EQ', 'value': ['CRASHED']}])],"
        " 'grouped': len(list(api.project('team/open').runs("
        "groups=[{'key': 'state', 'type': 'STABLE'}]))),"
        " 'requirements': api.run('team/open/run1').profile['requirements'],"
        " 'summary': api.run('team/open/run2').summary(['acc'])['acc']['value'],"
        " 'nothing': api.run('team/secret/hidden').summary(),"
        " 'points': len(api.run('team/open/first').metrics(['loss'])['list'][0]['metrics'])}"
    )
    assert found == {
        "me": "ada",
        "spaces": ["ada", "team"],
        "projects": ["team/open", "team/secret"],
        "runs": ["clone", "run2", "run1"],
        "crashed": ["run2"],
        "grouped": 3,
        "requirements": "a==1\n",
        "summary": 0.5,
        "nothing": {},
        "points": 2,
    }


def test_series_class(newest: Referee) -> None:
    """The newest class lists keys and says which runs have them."""
    found = newest.api(
        "{'keys': [key.key for key in api.series('team/open/first')],"
        " 'has': api.series('team/open/first').availability(['loss', 'nope'])}"
    )
    assert found == {"keys": ["loss", "neg", "seen"], "has": {"loss": ["run1"], "nope": []}}


def test_path_instead_of_a_url_is_shown_as_it_is(referee: Referee) -> None:
    """A path that the server presigns is what the official client shows, and cannot download."""
    referee.sandbox.faults = parse_faults(["relative-presign=1"])
    assert referee.command("run", "export-logs", RUN)["url"].startswith("/swanlab-private/")
    data = referee.command("run", "metrics", RUN, "--keys", "seen", "--all")
    assert data["list"][0]["metrics"] == []
