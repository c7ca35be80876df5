"""One odd value never denies a table: every declared field of every table, generated."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from odd_values import ODD_VALUES

from swanlab_export import schemas
from swanlab_export.normalizers import details, entities, runs
from swanlab_export.normalizers.metrics import Layout, read_sample
from swanlab_export.refs import ProjectRef
from swanlab_export.report import Report
from swanlab_export.tables import Table, decode_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = ProjectRef("w", "p")
TIME = "2026-01-07T10:15:30.125Z"
# What each type reads of them; everything else is null, with a warning.
ANY = set(ODD_VALUES)
READABLE: dict[pa.DataType, set[str]] = {
    schemas.TEXT: ANY,
    schemas.INT: {"number"},
    schemas.FLOAT: {"number", "true", "huge"},
    schemas.BOOL: {"true"},
    schemas.TIME: {"number"},
    schemas.TEXTS: {"list"},
}
_PROFILE = {name: name for name in ("bio", "url", "institution", "school", "email", "location")}


def one(payload: Any) -> list[Any]:
    """The payload as the only item of a list."""
    return [payload]


def medias(payload: Any, report: Report) -> Table:
    """A table of one media item, whose step and captions are in the payload."""
    media = details.media_items("k", payload["step"], payload, report)
    return details.normalize_medias(media, report, "r")


def metrics(payload: Any, report: Report) -> Table:
    """A table of one sampled point."""
    points = read_sample([{"key": "k", "metrics": [payload]}], report, "step", has_x_column=False)
    layout = Layout(("r",), ("k",))
    return Table("metrics", layout.schema, [layout.long_batch("r", "k", points["k"])])


# For each table: a payload, its normalizer, and which field of the payload is which column.
Fields = dict[str, tuple[str, ...]]
TABLES: dict[str, tuple[Any, Callable[[Any, Report], Table], Fields]] = {
    "workspaces": (
        {"username": "u", "name": "n", "type": "TEAM", "profile": _PROFILE},
        lambda payload, report: entities.normalize_workspaces(one(payload), report),
        {
            **{name: (name,) for name in ("name", "type", "role", "comment")},
            **{f"profile.{name}": ("profile", name) for name in _PROFILE},
        },
    ),
    "projects": (
        {"cuid": "p", "name": "n", "path": "w/n", "username": "w", "_count": {"experiments": 3}},
        lambda payload, report: entities.normalize_projects(one(payload), report, "https://h"),
        {
            **{name: (name,) for name in ("name", "visibility", "description", "role")},
            "labels": ("projectLabels",),
            **{
                f"count.{name}": ("_count", name)
                for name in ("experiments", "contributors", "collaborators", "clones")
            },
            "created_at": ("createdAt",),
            "updated_at": ("updatedAt",),
        },
    ),
    "runs": (
        {"cuid": "r", "user": {"username": "u", "name": "n"}, "createdAt": TIME},
        lambda payload, report: runs.normalize_runs(
            [(payload, {"loss": {"value": 1}})], report, PROJECT, None, "https://h"
        ),
        {
            **{name: (name,) for name in ("slug", "name", "state", "type", "description")},
            **{name: (name,) for name in ("labels", "show")},
            "group": ("cluster",),
            "job_type": ("job",),
            "user.username": ("user", "username"),
            "user.name": ("user", "name"),
            "created_at": ("createdAt",),
            "updated_at": ("updatedAt",),
            "finished_at": ("finishedAt",),
            "project_id": ("projectId",),
            "root_exp_id": ("rootExpId",),
            "root_pro_id": ("rootProId",),
        },
    ),
    "metrics": (
        {"index": 1, "data": 1.5, "timestamp": 1_700_000_000_000},
        metrics,
        {"step": ("index",), "value": ("data",), "timestamp": ("timestamp",)},
    ),
    "summary": (
        {"step": 1, "value": 2, "min": {"index": 0, "data": 1}, "max": {"index": 1, "data": 2}},
        lambda payload, report: runs.normalize_summaries([("r", {"k": payload})], report),
        {
            **{name: (name,) for name in ("step", "value", "avg", "median")},
            "min": ("min", "data"),
            "min_step": ("min", "index"),
            "max": ("max", "data"),
            "max_step": ("max", "index"),
            "std": ("stdDev",),
        },
    ),
    "columns": (
        {"key": "k", "createdAt": TIME},
        lambda payload, report: details.normalize_columns(one(payload), report, "r"),
        {**{name: (name,) for name in ("name", "class", "type")}, "created_at": ("createdAt",)},
    ),
    "medias": (
        {"step": 1, "data": ["a.png"], "more": [{"caption": "c", "url": "u"}]},
        medias,
        {"step": ("step",), "caption": ("more", "caption"), "url": ("more", "url")},
    ),
    "logs": (
        {"epoch": 1, "message": "m", "timestamp": TIME},
        lambda payload, report: details.normalize_logs(one(payload), report, "r"),
        {
            "line": ("epoch",),
            **{name: (name,) for name in ("level", "timestamp", "tag", "message")},
        },
    ),
    "user": (
        {"bio": "b"},
        lambda payload, report: entities.normalize_user(payload, report, "u", "n"),
        {name: (name,) for name in _PROFILE},
    ),
    "instance": (
        {"enabled": True, "plan": "free"},
        entities.normalize_instance,
        {name: (name,) for name in ("enabled", "expired", "root", "plan", "seats")},
    ),
    "users": (
        {"username": "u", "name": "n"},
        lambda payload, report: entities.normalize_users(one(payload), report),
        {"name": ("name",)},
    ),
}
# Columns that are not a field of the payload, or are its id.
NO_FIELDS = {
    "workspaces": {"username"},
    "projects": {"path", "project_id", "workspace", "url"},
    "runs": {"path", "run_id", "duration_s", "url"},
    "metrics": {"run_id", "key", "run_name"},
    "summary": {"run_id", "key", "run_name"},
    "columns": {"run_id", "key"},
    "medias": {"run_id", "key", "item", "path", "text"},
    "logs": {"run_id"},
    "user": {"username", "name"},
    "users": {"username"},
}
# Made of what was asked for, or of other tables, and not of fields; usage declares none.
MADE = {
    *("series", "log_exports", "usage", "endpoints"),
    *("run_groups", "metrics_by_group", "tables", "created_users"),
}
DECLARED = {declared.name: declared for declared in schemas.DECLARED}


def cases() -> Iterator[Any]:
    """Every field of every table with every odd value."""
    for table, (_, _, fields) in TABLES.items():
        for column in fields:
            for odd in ODD_VALUES:
                yield pytest.param(table, column, odd, id=f"{table}-{column}-{odd}")


def with_field(payload: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy of the payload in which one field has another value."""
    changed = copy.deepcopy(payload)
    inner = changed
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
        inner = inner[0] if isinstance(inner, list) else inner
    inner[path[-1]] = value
    return changed


def test_every_declared_column_is_tried() -> None:
    """No table and no column is forgotten, but those that no payload has."""
    for declared in schemas.DECLARED:
        if declared.name in MADE:
            continue
        fields = set(TABLES[declared.name][2])
        assert fields | NO_FIELDS.get(declared.name, set()) >= set(declared.names)


@pytest.mark.parametrize(("name", "column", "odd"), list(cases()))
def test_an_odd_field_is_null_or_read(name: str, column: str, odd: str) -> None:
    """The table comes with its declared schema; a value of another type is null, and warned of."""
    payload, normalize, fields = TABLES[name]
    declared = DECLARED[name]
    report = Report()
    table = normalize(with_field(payload, fields[column], ODD_VALUES[odd]), report)
    found = pa.Table.from_batches([decode_batch(batch, table.schema) for batch in table])
    assert found.num_rows == 1
    known = [each for each in declared.arrow() if each.name in found.schema.names]
    assert [found.schema.field(each.name).type for each in known] == [each.type for each in known]
    (value,) = found[column].to_pylist()
    warnings = [said for said in report.all_warnings() if f"value of {column} " in said]
    if odd in READABLE[schema_type(declared, column)]:
        assert value is not None
        assert warnings == []
    else:
        assert value is None
        assert len(warnings) == 1
    assert all(len(said) < 1000 for said in report.all_warnings())


def schema_type(declared: schemas.TableSchema, column: str) -> pa.DataType:
    """The declared type of a column."""
    return declared.arrow().field(column).type


@pytest.mark.parametrize("odd", ODD_VALUES)
@pytest.mark.parametrize("name", ["labels", "user", "profile", "cluster", "newThing"])
def test_odd_objects_of_a_run(name: str, odd: str) -> None:
    """An object that is none is a column of its own, null or odd; the run stays."""
    run = {"cuid": "r", name: ODD_VALUES[odd]}
    table = runs.normalize_runs([(run, None)] * 2, Report(), PROJECT, None, "https://h")
    found = table.to_arrow()
    assert found["run_id"].to_pylist() == ["r", "r"]
    assert found.schema.names[: len(schemas.RUNS.names)] == schemas.RUNS.names


def test_odd_values_of_many_rows_are_one_warning() -> None:
    """A warning per column counts its odd values and quotes the first, and the others stay."""
    report = Report()
    lines = [{"epoch": i, "timestamp": "" if i % 2 else TIME} for i in range(10)]
    table = details.normalize_logs(lines, report, "r").to_arrow()
    assert table["timestamp"].null_count == 5
    assert table["line"].to_pylist() == [*range(10)]
    (said,) = report.all_warnings()
    assert said.startswith("5 values of timestamp are ")
    assert said.endswith("''")
    silent = Report()
    details.normalize_logs(lines, silent, "r", has_timestamp=False)
    assert silent.all_warnings() == []


def test_odd_config_never_raises() -> None:
    """Whatever users put into a config, each kind of value beside each other kind."""
    values = [*ODD_VALUES.values(), None, 0.5, -(2**63), [1, {"a": None}], {"a": {"b": []}}]
    pairs = [
        ({"cuid": str(i), "profile": {"config": {"k": value, "K": value}}}, None)
        for i, value in enumerate(values)
    ]
    report = Report()
    found = runs.normalize_runs(pairs, report, PROJECT, None, "https://h").to_arrow()
    assert found.num_rows == len(values)
    assert str(10**30) in found["config.k"].to_pylist()
    (said,) = report.all_warnings()
    assert "'config.K' and 'config.k'" in said
