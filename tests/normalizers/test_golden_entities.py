"""Golden tables: odd payloads of every other table, and the exact rows they become."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from swanlab_export import schemas
from swanlab_export.errors import ServerError
from swanlab_export.normalizers import details, entities, runs
from swanlab_export.refs import ProjectRef
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from swanlab_export.tables import Table

pytestmark = pytest.mark.core

PROJECT = ProjectRef("w", "p")
ODD = 'a,"b"\nc \u200fابت'


def rows(table: Table) -> list[dict[str, Any]]:
    """The rows of a table, without the columns that are missing in all of them."""
    found: list[dict[str, Any]] = table.to_arrow().to_pylist()
    return [{k: v for k, v in row.items() if v is not None} for row in found]


def at(ms: int) -> datetime:
    """A time in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_workspaces() -> None:
    """Null and empty profiles are missing columns; unknown fields follow, flattened."""
    payload = [
        {"username": "a", "name": ODD, "type": "TEAM", "profile": {"bio": "=1+1", "newThing": 5}},
        {"username": "b", "profile": None, "comment": None, "plan": {"seatsMax": 2**70}},
        {"username": "c", "profile": {}},
        {"username": "d", "profile": "text", "gone": None, "empty": {}},
    ]
    table = entities.normalize_workspaces(payload, Report())
    assert table.schema.names == [
        *schemas.WORKSPACES.names,
        "empty",
        "gone",
        "plan.seats_max",
        "profile",
        "profile.new_thing",
    ]
    assert rows(table) == [
        {
            "username": "a",
            "name": ODD,
            "type": "TEAM",
            "profile.bio": "=1+1",
            "profile.new_thing": 5,
        },
        {"username": "b", "plan.seats_max": str(2**70)},
        {"username": "c"},
        {"username": "d", "profile": "text", "empty": "{}"},
    ]


LABELS = [{"name": "x", "colors": ["#1", "#2"]}, None, {"name": None}, "bare"]
LABELLED = {"labels": ["x", None, "bare"], "labels.colors": '[["#1","#2"],null,null]'}


def test_projects() -> None:
    """Paths and workspaces are found out where the server leaves one out; labels are names."""
    payload = [
        {"cuid": "p1", "name": "n", "group": {"username": "w", "type": "TEAM"}, "_count": None},
        {"cuid": "p2", "path": "w/q", "projectLabels": LABELS, "_count": {"experiments": 3}},
        {"cuid": "p3", "name": "lost", "group": None, "createdAt": None, "projectLabels": []},
        {"cuid": "p4", "name": "m", "username": "v", "group": {"username": "w"}},
        {"cuid": "p5", "path": "w/a/b"},
    ]
    table = entities.normalize_projects(payload, Report(), "https://h")
    undeclared = ["group", "group.type", "group.username", "labels.colors"]
    assert table.schema.names == [*schemas.PROJECTS.names, *undeclared]
    assert rows(table) == [
        {
            "path": "w/n",
            "name": "n",
            "project_id": "p1",
            "workspace": "w",
            "url": "https://h/@w/n",
            "group.username": "w",
            "group.type": "TEAM",
        },
        {
            "path": "w/q",
            "project_id": "p2",
            "workspace": "w",
            "url": "https://h/@w/q",
            "count.experiments": 3,
            **LABELLED,
        },
        {"name": "lost", "project_id": "p3", "labels": []},
        {
            "path": "v/m",
            "project_id": "p4",
            "name": "m",
            "workspace": "v",
            "url": "https://h/@v/m",
            "group.username": "w",
        },
        {"path": "w/a/b", "project_id": "p5", "workspace": "w", "url": "https://h/@w/a/b"},
    ]


@pytest.mark.parametrize(
    "normalize",
    [
        lambda labels, report: entities.normalize_projects(
            [{"cuid": "1", "projectLabels": labels}], report, ""
        ),
        lambda labels, report: runs.normalize_runs(
            [({"cuid": "1", "labels": labels}, None)], report, PROJECT, None, ""
        ),
    ],
    ids=["projects", "runs"],
)
def test_labels_that_are_none(normalize: Callable[[Any, Report], Table]) -> None:
    """Null is missing labels, and no column besides; text is null, too, and counted."""
    for labels, said in ((None, []), ("x", ["1 value of labels is"])):
        report = Report()
        table = normalize(labels, report)
        assert table.schema.names in (schemas.PROJECTS.names, schemas.RUNS.names)
        (row,) = table.to_arrow().to_pylist()
        assert row["labels"] is None
        assert [each[: len(said[0])] for each in report.all_warnings()] == said


def test_who_is_logged_in() -> None:
    """The login's name wins; what the profile says besides is kept, empty and odd alike."""
    payload = {"username": "ada", "name": "Other", "bio": "", "school": None, "extra": {"a": [1]}}
    (row,) = rows(entities.normalize_user(payload, Report(), "ada", "Ada"))
    assert (row["username"], row["name"], row["bio"]) == ("ada", "Ada", "")
    assert "Other" in row.values()
    assert row["extra.a"] == "[1]"
    (bare,) = rows(entities.normalize_user({}, Report(), "ada", None))
    assert bare == {"username": "ada"}


def test_the_instance_and_its_users() -> None:
    """Licence, totals and users, with whatever an instance adds."""
    (one,) = rows(
        entities.normalize_instance({"enabled": True, "seats": None, "plan": "free"}, Report())
    )
    assert one == {"enabled": True, "plan": "free"}
    (usage,) = rows(
        entities.normalize_usage({"users": 4, "diskBytes": 2**40, "byDay": [1, None]}, Report())
    )
    assert usage == {"users": 4, "disk_bytes": 2**40, "by_day": "[1,null]"}
    users = entities.normalize_users(
        [{"username": "a", "isRoot": True}, {"username": ODD}], Report()
    )
    assert rows(users) == [{"username": "a", "is_root": True}, {"username": ODD}]


def test_summaries() -> None:
    """Extremes as objects, numbers or null; tokens of what is not finite; undeclared fields kept."""
    payload = {
        "loss": {"step": 3, "value": "NaN", "min": {"index": 1, "data": "-INF"}, "max": 2.5},
        "acc": {"value": 1, "max": {"index": 2, "data": 1}, "stdDev": 0, "minMax": [0, 1]},
        "gone": None,
        ODD: {"value": None},
    }
    table = runs.normalize_summaries([("r1", payload), ("r2", None)], Report())
    assert table.schema.names == [*schemas.SUMMARY.names, "min_max"]
    found = rows(table)
    assert str(found[0].pop("value")) == "nan"
    assert found == [
        {"run_id": "r1", "key": "loss", "step": 3, "min": float("-inf"), "min_step": 1, "max": 2.5},
        {
            "run_id": "r1",
            "key": "acc",
            "value": 1.0,
            "max": 1.0,
            "max_step": 2,
            "std": 0.0,
            "min_max": "[0,1]",
        },
        {"run_id": "r1", "key": "gone"},
        {"run_id": "r1", "key": ODD},
    ]


def test_columns_and_series() -> None:
    """Columns keep what the server adds; keys of the system are told from the user's."""
    payload = [
        {"key": ODD, "name": None, "class": "CUSTOM", "type": "FLOAT", "error": None},
        {"key": "k"},
    ]
    assert rows(details.normalize_columns(payload, Report(), "r")) == [
        {"run_id": "r", "key": ODD, "class": "CUSTOM", "type": "FLOAT"},
        {"run_id": "r", "key": "k"},
    ]
    series = details.normalize_series(["__swanlab__.cpu", "loss"], Report(), "r", "SCALAR")
    assert rows(series) == [
        {"run_id": "r", "key": "__swanlab__.cpu", "class": "SYSTEM", "type": "SCALAR"},
        {"run_id": "r", "key": "loss", "class": "CUSTOM", "type": "SCALAR"},
    ]
    media = details.normalize_series(["__swanlab__.x"], Report(), "r", "MEDIA")
    assert rows(media) == [
        {"run_id": "r", "key": "__swanlab__.x", "class": "CUSTOM", "type": "MEDIA"}
    ]


def test_medias() -> None:
    """Captions go by position; a missing file is left out, and what else was logged is kept."""
    payload = {
        "data": ["a.png", None, "c.png", "d.png"],
        "more": [{"caption": ODD}, {"caption": "lost"}, None, "loose"],
    }
    items = [
        (known | {"url": "https://s"}, more)
        for known, more in details.media_items("k", 5, payload, Report())
    ]
    shared = {"run_id": "r", "key": "k", "step": 5, "url": "https://s"}
    assert rows(details.normalize_medias(items, Report(), "r")) == [
        shared | {"item": 0, "path": "a.png", "caption": ODD},
        shared | {"item": 2, "path": "c.png"},
        shared | {"item": 3, "path": "d.png", "more": "loose"},
    ]
    short = {"data": ["a.png", "b.png"], "more": ["loose"]}
    assert list(details.media_items("k", 5, short, Report())) == [
        ({"key": "k", "step": 5, "item": 0, "path": "a.png", "text": None}, {"more": "loose"}),
        ({"key": "k", "step": 5, "item": 1, "path": "b.png", "text": None}, {}),
    ]
    assert list(details.media_items("k", 5, None, Report())) == []
    assert list(details.media_items("k", 5, {"data": None, "more": None}, Report())) == []


@pytest.mark.parametrize(
    ("content", "is_path"),
    [
        ("media/image/003-1f3a9c0b.png", True),
        ("media/object3d/003-1f3a9c0b", True),
        ("val-confusion-step43-0-92d11e7b.png", True),
        ("学/图.png", True),
        ("clip.mp4", True),
        ("the answer is 42\nsecond line", False),
        ("see media/image/003-1f3a9c0b.png", False),
        ("media/image/003-1f3a9c0b.png\n", False),
        ("word", False),
        ("", False),
        ("Done.", False),
        ("0.5", False),
        ("x" * 10_000 + ".png", False),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_texts_among_media(content: str, is_path: bool) -> None:
    """A path has a folder or an extension and no blanks; anything else is the text itself."""
    items = details.media_items("k", 5, {"data": [content]}, Report())
    (row,) = rows(details.normalize_medias(items, Report(), "r"))
    assert row == {
        "run_id": "r",
        "key": "k",
        "step": 5,
        "item": 0,
        "path" if is_path else "text": content,
    }


def test_logs() -> None:
    """Lines as they were printed, with and without their times; undeclared fields kept."""
    payload = [
        {"epoch": 1, "level": "INFO", "message": ODD, "timestamp": 1_700_000_000_000, "tag": None},
        {"epoch": None, "message": "", "timestamp": None, "thread": 7},
        {"message": "no number"},
    ]
    assert rows(details.normalize_logs(payload, Report(), "r")) == [
        {
            "run_id": "r",
            "line": 1,
            "level": "INFO",
            "message": ODD,
            "timestamp": at(1_700_000_000_000),
        },
        {"run_id": "r", "message": "", "thread": 7},
        {"run_id": "r", "message": "no number"},
    ]
    assert (
        "timestamp"
        not in details.normalize_logs([], Report(), "r", has_timestamp=False).schema.names
    )


EMPTY: list[tuple[Any, schemas.TableSchema]] = [
    (entities.normalize_workspaces([], Report()), schemas.WORKSPACES),
    (entities.normalize_projects([], Report(), ""), schemas.PROJECTS),
    (entities.normalize_users([], Report()), schemas.USERS),
    (runs.normalize_runs([], Report(), PROJECT, None, ""), schemas.RUNS),
    (runs.normalize_summaries([], Report()), schemas.SUMMARY),
    (details.normalize_columns([], Report(), "r"), schemas.COLUMNS),
    (details.normalize_series([], Report(), "r", "SCALAR"), schemas.SERIES),
    (details.normalize_medias([], Report(), "r"), schemas.MEDIAS),
    (details.normalize_logs([], Report(), "r"), schemas.LOGS),
]


@pytest.mark.parametrize(("table", "declared"), EMPTY, ids=[s.name for _, s in EMPTY])
def test_zero_rows_keep_every_declared_column(table: Table, declared: schemas.TableSchema) -> None:
    """Without rows the columns are those that are declared, with their types."""
    gathered = table.to_arrow()
    assert gathered.num_rows == 0
    assert gathered.schema.equals(declared.arrow())


def test_grouped_runs_are_flattened() -> None:
    """Groups in groups, null groups and null runs: what is left are the runs."""
    payload = {"a": {"x": [{"cuid": "1"}, None], "y": None}, "b": [{"cuid": "2"}]}
    assert [run["cuid"] for run in runs.flatten_groups(payload)] == ["1", "2"]
    assert list(runs.flatten_groups(None)) == []
    said = r"^the server sent text where a list of runs was expected$"
    with pytest.raises(ServerError, match=said):
        list(runs.flatten_groups("text"))
    with pytest.raises(ServerError, match=r"an error where a list of runs .*: E: no$"):
        list(runs.flatten_groups({"code": "E", "message": "no"}))


def test_latest_values_beside_the_runs() -> None:
    """A run's summary becomes columns, null where a run has none."""
    payload = [({"cuid": "1"}, {"loss": {"value": 0.5}, "acc": None}), ({"cuid": "2"}, None)]
    found = runs.normalize_runs(payload, Report(), PROJECT, None, "https://h").to_arrow()
    assert found["summary.loss"].to_pylist() == [0.5, None]
    assert found["summary.acc"].to_pylist() == [None, None]


def test_latest_values_that_were_asked_for() -> None:
    """Their columns are there, of floats and behind the config, whether or not a run has any."""
    payload = [({"cuid": "1", "profile": {"config": {"lr": 1}}}, {"loss": {"value": 1}})]
    for some in (payload, []):
        table = runs.normalize_runs(some, Report(), PROJECT, None, "", summary_keys=["loss", "acc"])
        asked = ["summary.acc", "summary.loss"]
        assert table.schema.names == [*schemas.RUNS.names, *["config.lr"] * len(some), *asked]
        assert {table.schema.field(name).type for name in asked} == {schemas.FLOAT}


@pytest.mark.parametrize(
    ("project_id", "found"), [(None, ["of the payload", None]), ("p1", ["p1", "p1"])]
)
def test_the_id_of_a_project(project_id: str | None, found: list[str | None]) -> None:
    """Every run has it where it was asked for, else those of which the server says it."""
    payload = [({"cuid": "1", "projectId": "of the payload"}, None), ({"cuid": "2"}, None)]
    table = runs.normalize_runs(payload, Report(), PROJECT, project_id, "https://h")
    assert table.schema.names == schemas.RUNS.names
    assert table.to_arrow()["project_id"].to_pylist() == found


def test_runs_that_lack_most() -> None:
    """The web page is that of the slug, else of the id; labels are names."""
    payload: list[dict[str, Any]] = [
        {"cuid": "1", "labels": LABELS, "cluster": "g", "job": "j", "user": "ada"},
        {"cuid": "2", "slug": "s"},
        {"cuid": "3", "name": "n", "slug": ""},
    ]
    pairs = [(run, None) for run in payload]
    table = runs.normalize_runs(pairs, Report(), PROJECT, None, "https://h")
    assert table.schema.names == [*schemas.RUNS.names, "labels.colors", "user"]
    assert rows(table) == [
        {
            "path": "w/p/1",
            "run_id": "1",
            "group": "g",
            "job_type": "j",
            "url": "https://h/@w/p/runs/1/chart",
            "user": "ada",
            **LABELLED,
        },
        {"path": "w/p/2", "run_id": "2", "slug": "s", "url": "https://h/@w/p/runs/s/chart"},
        {
            "path": "w/p/3",
            "run_id": "3",
            "name": "n",
            "slug": "",
            "url": "https://h/@w/p/runs/3/chart",
        },
    ]


def test_profiles_that_are_no_objects() -> None:
    """What a user has put into config, metadata or a profile is kept as one column."""
    payload = [
        ({"cuid": "1", "profile": {"config": "raw", "metadata": [1], "requirements": 5}}, None),
        ({"cuid": "2", "profile": "text"}, None),
        ({"cuid": "3", "profile": {"conda": None, "other": {"deepThing": 1}}}, None),
        ({"cuid": "4", "profile": {"conda": {"a": "1"}, "requirements": None}}, None),
    ]
    found = runs.normalize_runs(payload, Report(), PROJECT, "p", "https://h").to_arrow().to_pylist()
    assert (found[0]["config"], found[0]["metadata"], found[0]["requirements"]) == (
        "raw",
        "[1]",
        "5",
    )
    assert found[1]["profile"] == "text"
    assert found[2]["profile.other.deep_thing"] == 1
    assert [run["conda"] for run in found] == [None, None, None, '{"a":"1"}']
    assert [run["requirements"] for run in found] == ["5", None, None, None]


@pytest.mark.parametrize(
    ("finished", "duration_s"),
    [
        ("2026-01-01T00:00:02Z", 2.0),
        ("2026-01-01T00:00:00.500Z", 0.5),
        ("2026-01-01T00:00:00Z", 0.0),
        ("2025-12-31T23:59:59Z", None),
        (None, None),
    ],
)
def test_durations_that_can_be(finished: str | None, duration_s: float | None) -> None:
    """A clone that was made after its original ended has no duration, rather than a negative one."""
    run = {"cuid": "1", "createdAt": "2026-01-01T00:00:00Z", "finishedAt": finished}
    table = runs.normalize_runs([(run, None)], Report(), PROJECT, "p", "")
    (found,) = table.to_arrow().to_pylist()
    assert found["duration_s"] == duration_s


@pytest.mark.parametrize("finished", ["soon", ["x"], "", "0001-01-01T00:00:00Z"])
def test_what_is_no_time_is_null(finished: Any) -> None:
    """A time that cannot be read is missing, with a warning that names the column."""
    run = {"cuid": "1", "createdAt": "2026-01-01T00:00:00Z", "finishedAt": finished}
    report = Report()
    table = runs.normalize_runs([(run, None)], report, PROJECT, "p", "")
    (found,) = table.to_arrow().to_pylist()
    assert (found["finished_at"], found["duration_s"]) == (None, None)
    (said,) = report.all_warnings()
    assert said.startswith("1 value of finished_at ")


def test_parts_of_a_path_that_are_no_names() -> None:
    """A path or workspace that is no text is null, unless the other fields tell it."""
    payload: list[dict[str, Any]] = [
        {"cuid": "p1", "path": 12, "name": "n", "username": "w"},
        {"cuid": "p2", "path": "", "name": "n", "username": {}},
    ]
    report = Report()
    found = rows(entities.normalize_projects(payload, report, ""))
    assert [row.get("path") for row in found] == ["w/n", None]
    assert [row.get("url") for row in found] == ["/@w/n", None]
    assert [said[:21] for said in report.all_warnings()] == [
        "2 values of path are ",
        "1 value of workspace ",
    ]


def test_captions_that_are_no_list() -> None:
    """The files stay, without captions, and a warning says so."""
    report = Report()
    items = list(details.media_items("k", 0, {"data": ["a.png"], "more": "x"}, report))
    assert items == [({"key": "k", "step": 0, "item": 0, "path": "a.png", "text": None}, {})]
    (said,) = report.all_warnings()
    assert said.startswith("1 value of caption ")
