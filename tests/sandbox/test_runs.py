"""Runs, filters and columns: literal requests and bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sandbox_tiny import RUNS, Caller, run_record, write_tiny

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_are_newest_first_with_their_profiles(ada: Caller) -> None:
    """In a list, each run carries the same profile as alone."""
    runs = ada.get("/project/team/open/runs", page=1, size=20)["list"]
    assert [run["cuid"] for run in runs] == ["clone", "run2", "run1"]
    assert runs[2] == ada.get("/project/team/open/runs/run1")
    assert set(runs[2]["profile"]) == {"config", "metadata", "requirements", "conda"}
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
    """A clone names the run that holds its data."""
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
        ({"key": "user.username", "op": "EQ", "value": ["ada"]}, ["clone", "run2", "run1"]),
        # 2026-01-05T10:00:00 in UTC is 18:00 in UTC+8.
        ({"key": "createdAt", "op": "GTE", "value": ["2026-01-05T18"]}, ["clone", "run2"]),
        ({"key": "createdAt", "op": "LT", "value": ["2026-01-05T18:00:00.000Z"]}, ["run1"]),
        (
            {"key": "createdAt", "op": "EQ", "value": ["2026-01-05T10:00:00+00:00"]},
            ["run2"],
        ),
        ({"key": "pinnedAt", "op": "LTE", "value": ["2026-01-05T18"]}, []),
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


@pytest.mark.parametrize(
    "rule",
    [
        {"key": "state", "op": "LIKE", "value": ["x"]},
        {"key": "state", "op": "EQ", "value": "x"},
        {"key": "state", "op": "EQ"},
        {"key": "createdAt", "op": "GTE", "value": ["yesterday"]},
    ],
    ids=["operator", "value", "no value", "time"],
)
def test_invalid_filter_is_refused(ada: Caller, rule: dict[str, Any]) -> None:
    """A filter that the server cannot read gives 400."""
    body = {"filters": [{"type": "STABLE", "active": True} | rule]}
    assert ada.call("POST", "/project/team/open/runs/shows", body).status_code == 400


@pytest.mark.parametrize("op", ["GT", "LT", "NOT_CONTAIN"])
def test_disputed_operators_can_be_refused(sandbox: Sandbox, ada: Caller, op: str) -> None:
    """The operators that no client sends are refused where the switch is on."""
    rule = {"key": "name", "type": "STABLE", "op": op, "value": ["a"], "active": True}
    path = "/project/team/open/runs/shows"
    assert ada.call("POST", path, {"filters": [rule]}).status_code == 200
    sandbox.faults = parse_faults(["strict-operators=1"])
    assert ada.call("POST", path, {"filters": [rule]}).status_code == 400
    assert ada.call("POST", path, {"filters": [rule | {"op": "GTE"}]}).status_code == 200


def test_pinned_runs_come_first_and_whatever_the_filter_says(tmp_path: Path) -> None:
    """Pinned runs pass every filter, and come before the others, the latest pinned first."""
    pinned = {"run1": "2026-02-01T00:00:00.000Z", "run2": "2026-02-02T00:00:00.000Z"}
    runs = [run | {"pin": True, "pinnedAt": pinned[run["cuid"]]} for run in RUNS[:2]]
    runs += [run_record("run3", state="ABORTED"), run_record("run4")]
    with Sandbox(write_tiny(tmp_path, runs)) as sandbox:
        caller = Caller(sandbox)
        found = _shown(caller, {"key": "state", "op": "EQ", "value": ["ABORTED"]})
        caller.close()
    assert found == ["run2", "run1", "run3"]


def test_groups_nest(ada: Caller) -> None:
    """Groups response with a dict per level, runs at the bottom."""
    groups = [
        {"key": "state", "type": "STABLE", "active": True},
        {"key": "lr", "type": "CONFIG", "active": True},
    ]
    body = {"filters": [], "groups": groups, "sorts": []}
    response = ada.post("/project/team/open/runs/shows", body)
    shape = {
        state: {rate: [run["cuid"] for run in runs] for rate, runs in rates.items()}
        for state, rates in response.items()
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
