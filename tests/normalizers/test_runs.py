"""Runs with odd payloads → golden tables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.normalizers.flatten import flatten_config
from swanlab_export.normalizers.runs import Home, normalize_runs, normalize_runs_of_projects
from swanlab_export.refs import ProjectRef
from swanlab_export.report import Report

PROJECT = ProjectRef("t", "p")
BASE = {"cuid": "r1", "createdAt": "2026-01-01T00:00:00.000Z"}


def _table(*runs: dict[str, Any]) -> dict[str, list[Any]]:
    made = normalize_runs(
        [(BASE | run, None) for run in runs], Report(), PROJECT, "p1", "https://w"
    )
    found: dict[str, list[Any]] = made.to_arrow().to_pydict()
    return found


def _config(**config: Any) -> dict[str, Any]:
    return {"profile": {"config": config}}


def test_config_types_follow_from_all_rows() -> None:
    """Ints and floats meet as floats, mixed kinds as text, integers beyond int64 unrounded."""
    found = _table(
        _config(lr=1, mixed=True, seed=2**70, deep={"a": {"value": 1, "desc": "", "sort": 0}}),
        _config(lr=0.5, mixed="x", seed=1, deep={"a": 2}, names=["a", "b"], gone=None),
    )
    assert found["config.lr"] == [1.0, 0.5]
    assert found["config.mixed"] == ["true", "x"]
    assert found["config.seed"] == [str(2**70), "1"]
    assert found["config.deep.a"] == [1, 2]
    assert found["config.names"] == [None, '["a","b"]']
    assert found["config.gone"] == [None, None]


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        ({"value": 1, "desc": "", "sort": 0}, {"config.a": 1}),
        ({"value": {"b": 1}, "desc": "", "sort": 0}, {"config.a.b": 1}),
        ({"value": 1}, {"config.a.value": 1}),
        ({"value": 1, "desc": "x"}, {"config.a.value": 1, "config.a.desc": "x"}),
        ({"desc": "x", "sort": 1}, {"config.a.desc": "x", "config.a.sort": 1}),
        (
            {"value": 1, "desc": "", "sort": 0, "unit": "s"},
            {"config.a.value": 1, "config.a.desc": "", "config.a.sort": 0, "config.a.unit": "s"},
        ),
        ({}, {"config.a": "{}"}),
        ([], {"config.a": "[]"}),
    ],
)
def test_only_what_the_server_wrapped_is_unwrapped(value: Any, columns: dict[str, Any]) -> None:
    """Value, desc and sort together are a wrapper; any other dict is the user's own."""
    assert dict(flatten_config({"a": value}, "config.")) == columns


@pytest.mark.parametrize(
    ("config", "cells"),
    [
        (5, [5]),
        (0, [0]),
        (False, [False]),
        ("none", ["none"]),
        ([1, "a"], ['[1,"a"]']),
        (None, None),
    ],
    ids=str,
)
def test_a_config_that_is_no_object_is_one_column(config: Any, cells: list[Any] | None) -> None:
    """What a user has put there instead of names and values is kept as it is."""
    assert _table({"profile": {"config": config}}).get("config") == cells


def test_names_are_kept_as_they_are() -> None:
    """Commas, quotes, newlines, marks that turn text around and a leading = are data."""
    odd = ['a,"b"\nc', "\u200fابت", "=1+1"]
    assert _table(*({"name": name} for name in odd))["name"] == odd


def test_nulls_and_undeclared_fields() -> None:
    """Null objects are missing fields; what is not declared follows, flattened."""
    found = _table({"user": None, "profile": None, "labels": None, "newThing": {"innerId": 1}})
    assert found["user.username"] == [None]
    assert found["labels"] == [None]
    assert found["new_thing.inner_id"] == [1]
    assert "user" not in found


def test_a_run_has_path_url_and_duration() -> None:
    """What the server does not say, but can be told from what it says."""
    found = _table({"slug": "s", "finishedAt": "2026-01-01T00:00:01.500Z"})
    assert found["path"] == ["t/p/r1"]
    assert found["url"] == ["https://w/@t/p/runs/s/chart"]
    assert found["duration_s"] == [1.5]


def test_two_values_of_one_name_both_survive() -> None:
    """A nested key and a dotted one meet: the second gets another name, with a warning."""
    report = Report()
    run = BASE | _config(**{"a.b": 1, "a": {"b": 2}})
    made = normalize_runs([(run, None)], report, PROJECT, "p", "w")
    found = made.to_arrow().to_pydict()
    assert (found["config.a.b"], found["config.a.b__2"]) == ([1], [2])
    assert report.warnings == ["two values are named config.a.b; the second is in config.a.b__2"]


def test_configs_as_one_column_of_json() -> None:
    """Configs and metadata are text, and so is what has no column; names are as they are."""
    run = BASE | {"备注": ["é", 1], "profile": {"config": {"学习率": 0.1}, "metadata": {"gpu": 2}}}
    runs = [
        (Home(PROJECT, None), each, None)
        for each in (run | {"a": 0}, BASE | {"profile": {"config": "odd"}})
    ]
    made = normalize_runs_of_projects(runs, Report(), "https://w", is_json=True)
    row, odd = made.to_arrow().to_pylist()
    assert row["config"] == '{"学习率":0.1}'
    assert row["metadata"] == '{"gpu":2}'
    assert row["more"] == '{"a": 0, "备注": ["é", 1]}'
    assert (odd["config"], odd["more"]) == ('"odd"', None)


def test_no_runs_still_have_columns() -> None:
    """Zero rows have every declared column."""
    assert _table()["run_id"] == []


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYS = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), max_size=5)


@given(st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=10))
def test_flattening_loses_no_value(config: Any) -> None:
    """As many values come out as leaves went in."""

    def leaves(value: Any) -> int:
        if isinstance(value, dict) and value.keys() == {"value", "desc", "sort"}:
            return leaves(value["value"])
        return sum(map(leaves, value.values())) if isinstance(value, dict) and value else 1

    payload = {"root": config}
    assert len(list(flatten_config(payload, "config."))) == leaves(config)


def test_thousands_of_runs_have_the_types_of_a_few() -> None:
    """Types follow from all rows, also when most of them wait in a file."""
    runs = [{"cuid": str(i)} | _config(lr=i, name=None) for i in range(2500)]
    found = _table(*runs, _config(lr=0.5, name="x"))
    assert found["run_id"][:2500] == [str(i) for i in range(2500)]
    assert found["config.lr"] == [*map(float, range(2500)), 0.5]
    assert found["config.name"] == [None] * 2500 + ["x"]
    assert len(_table(*runs[:2000])["run_id"]) == 2000
