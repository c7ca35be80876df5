"""The official client 0.7 against a sandbox of its time, through both of its Python classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from official import OfficialError
from sandbox_tiny import CREATED_MS

if TYPE_CHECKING:
    from official import Referee

pytestmark = pytest.mark.referee


def test_workspaces(oldest: Referee) -> None:
    """The workspaces of the user, with the role in each."""
    assert oldest.open_api("api.list_workspaces().data") == [
        {"name": "Ada", "username": "ada", "role": "OWNER"},
        {"name": "Team", "username": "team", "role": "OWNER"},
    ]


def test_projects(oldest: Referee) -> None:
    """The projects of a workspace, with their counts."""
    found = oldest.open_api(
        "[[p.cuid, p.name, p.count['experiments']] for p in api.list_projects('team').data]"
    )
    assert found == [["pro1", "open", 3], ["pro2", "secret", 1]]


def test_runs(oldest: Referee) -> None:
    """The runs of a project, each with its profile where it has one."""
    found = oldest.open_api(
        "[[r.cuid, r.state, r.profile.get('requirements')]"
        " for r in api.list_experiments('open', 'team').data]"
    )
    assert found == [
        ["clone", "FINISHED", None],
        ["run2", "CRASHED", "a==1\n"],
        ["run1", "FINISHED", "a==1\n"],
    ]


@pytest.mark.parametrize("name", ["run1", "first"])
def test_run(oldest: Referee, name: str) -> None:
    """One run, by id and by slug."""
    found = oldest.open_api(f"api.get_experiment('open', {name!r}, 'team').data.model_dump()")
    assert (found["cuid"], found["name"]) == ("run1", 'a "b", c')
    assert found["profile"]["config"]["net"] == {"depth": 2}


@pytest.mark.parametrize("run", ["run1", "clone"])
def test_summary(oldest: Referee, run: str) -> None:
    """The summary of a run, and of a clone by its original's ids."""
    found = oldest.open_api(f"api.get_summary('open', {run!r}, 'team').data")
    assert set(found) == {"__swanlab__.cpu", "loss", "neg", "seen"}
    assert found["seen"] == {
        "step": 4,
        "value": 50.0,
        "min": {"step": 0, "value": 10.0},
        "max": {"step": 4, "value": 50.0},
    }


def test_points(oldest: Referee) -> None:
    """The points of several keys, from one file each, without a credential on the way."""
    found = oldest.open_api("api.get_metrics('run1', ['seen', 'loss']).data.to_dict('list')")
    assert found == {
        "seen": [10.0, 50.0],
        "seen_timestamp": [CREATED_MS, CREATED_MS + 4000],
        "loss": [4.0, 1.0],
        "loss_timestamp": [CREATED_MS, CREATED_MS + 4000],
    }
    assert oldest.sandbox.leaks == []


def test_unknown_run(oldest: Referee) -> None:
    """A run that does not exist is a 404."""
    assert oldest.open_api("api.get_experiment('open', 'none', 'team').code") == 404


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"state": "CRASHED"}, ["run2"]),
        ({"username": "ada", "group": "g1"}, ["run1"]),
        ({"tags": ["good"]}, ["run1"]),
        ({"config.lr": "0.5"}, ["run2"]),
        ({"summary.acc": "0.5"}, ["run2"]),
        ({}, ["clone", "run2", "run1"]),
    ],
    ids=["state", "two", "labels", "config", "metric", "none"],
)
def test_filtered_runs(oldest: Referee, filters: dict[str, object], found: list[str]) -> None:
    """The runs that pass each kind of filter that 0.7 has."""
    expression = f"[run.id for run in api.runs('team/open', filters={filters!r})]"
    assert oldest.api(expression) == found


def test_class_that_came_later(oldest: Referee) -> None:
    """The newer class of 0.7 reads runs, projects, users and points of this server."""
    found = oldest.api(
        "{'run': api.run('team/open/run1').profile.config,"
        " 'project': api.project('team/open').count['experiments'],"
        " 'projects': [project.path for project in api.projects('team')],"
        " 'users': [user.username for user in api.users()],"
        " 'teams': api.user().teams,"
        " 'points': api.run('team/open/run1').metrics(['seen']).to_dict('list')}"
    )
    assert found == {
        "run": {"lr": 0.1, "net": {"depth": 2}},
        "project": 3,
        "projects": ["team/open", "team/secret"],
        "users": ["ada", "bob", "cleo"],
        "teams": ["ada", "team"],
        "points": {
            "seen": [10.0, 50.0],
            "seen_timestamp": [CREATED_MS, CREATED_MS + 4000],
        },
    }


def test_endpoint_that_came_later(oldest: Referee) -> None:
    """What this generation lacks is a 404 for its client."""
    with pytest.raises(OfficialError, match="404"):
        oldest.api("api.workspace('team').name")
