"""What holds for the normalizer of every table: its name, its warnings, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from swanlab_export.errors import ServerError
from swanlab_export.normalizers import details, entities, runs
from swanlab_export.refs import ProjectRef
from swanlab_export.report import Report
from swanlab_export.tables import Table

# Normalizes a list of payloads.
Normalize = Callable[..., Table]
PROJECT = ProjectRef("w", "p")

# Of many entities or one: the table, what one of them is called, its id, and its normalizer.
MANY: list[tuple[str, str, str, Normalize]] = [
    ("workspaces", "a workspace", "username", entities.normalize_workspaces),
    (
        "projects",
        "a project",
        "cuid",
        lambda payload, report, **o: entities.normalize_projects(payload, report, "", **o),
    ),
    ("users", "a user", "username", entities.normalize_users),
    (
        "runs",
        "a run",
        "cuid",
        lambda payload, report, **o: runs.normalize_runs(
            [(run, None) for run in payload], report, PROJECT, None, "", **o
        ),
    ),
    (
        "columns",
        "a column",
        "key",
        lambda payload, report, **o: details.normalize_columns(payload, report, "r", **o),
    ),
]
# Of one entity, always.
ONE: list[tuple[str, str, Normalize]] = [
    (
        "user",
        "a profile",
        lambda payload, report: entities.normalize_user(payload[0], report, "ada", None),
    ),
    (
        "instance",
        "an instance",
        lambda payload, report: entities.normalize_instance(payload[0], report),
    ),
    ("usage", "a summary", lambda payload, report: entities.normalize_usage(payload[0], report)),
]
# What belongs to a run.
PARTS: list[tuple[str, str, Normalize]] = [
    (
        "summary",
        "a summary",
        lambda payload, report: runs.normalize_summaries(
            [("r", {"k": item}) for item in payload], report
        ),
    ),
    ("logs", "a log line", lambda payload, report: details.normalize_logs(payload, report, "r")),
]
MEDIAS: tuple[str, str, Normalize] = (
    "medias",
    "media of a key",
    lambda payload, report: details.normalize_medias(
        details.media_items("k", 0, {"data": ["a.png"] * len(payload), "more": payload}, report),
        report,
        "r",
    ),
)
SERIES: tuple[str, str, Normalize] = (
    "series",
    "a key",
    lambda payload, report: details.normalize_series(["k"] * len(payload), report, "r", "SCALAR"),
)
# Every table that is read from objects: what it is called, a least object, and its normalizer.
OBJECTS: list[tuple[str, str, dict[str, Any], Normalize]] = [
    *((name, what, {id_name: "1"}, normalize) for name, what, id_name, normalize in MANY),
    *((name, what, {}, normalize) for name, what, normalize in [*ONE, *PARTS]),
]


@pytest.mark.parametrize(("name", "what", "id_name", "normalize"), MANY, ids=[m[0] for m in MANY])
def test_a_table_of_many_is_of_one_only_when_asked(
    name: str, what: str, id_name: str, normalize: Normalize
) -> None:
    """How many rows there are does not decide whether text shows an object or a list."""
    assert normalize([{id_name: "1"}], Report()).is_single is False
    assert normalize([{id_name: "1"}], Report(), is_single=True).is_single is True
    assert normalize([{id_name: "1"}], Report()).name == name


@pytest.mark.parametrize(
    ("name", "what", "normalize"),
    [*PARTS, MEDIAS, SERIES],
    ids=["summary", "logs", "medias", "series"],
)
def test_a_table_of_parts(name: str, what: str, normalize: Normalize) -> None:
    """What belongs to a run is a list, also where it holds one row."""
    assert normalize([{}], Report()).is_single is False
    assert normalize([{}], Report()).name == name


@pytest.mark.parametrize(("name", "what", "normalize"), ONE, ids=[o[0] for o in ONE])
def test_a_table_of_one(name: str, what: str, normalize: Normalize) -> None:
    """A table that can only be about one entity says so."""
    assert normalize([{"a": 1}], Report()).is_single is True
    assert normalize([{"a": 1}], Report()).name == name


@pytest.mark.parametrize(
    ("name", "what", "least", "normalize"),
    [*OBJECTS, ("medias", MEDIAS[1], {}, MEDIAS[2])],
    ids=[*(o[0] for o in OBJECTS), "medias"],
)
def test_two_values_of_one_name_are_warned_of(
    name: str, what: str, least: dict[str, Any], normalize: Normalize
) -> None:
    """Both are in the table, under names of their own, and one warning says so."""
    report = Report()
    table = normalize([least | {"aB": 1, "a_b": 2}, least | {"aB": 3, "a_b": 4}], report)
    assert report.all_warnings() == ["two values are named a_b; the second is in a_b__2"]
    (first, *_) = table.to_arrow().to_pylist()
    assert (first["a_b"], first["a_b__2"]) == (1, 2)


@pytest.mark.parametrize(
    ("name", "what", "least", "normalize"), OBJECTS, ids=[o[0] for o in OBJECTS]
)
@pytest.mark.parametrize(("payload", "kind"), [("x", "text"), ([], "a list"), (None, "null")])
def test_what_is_no_object_is_refused(
    name: str, what: str, least: dict[str, Any], normalize: Normalize, payload: Any, kind: str
) -> None:
    """The error says what was expected and what came; what is no summary of a key is null."""
    if name == "summary":
        assert normalize([payload], Report()).to_arrow().num_rows == 1
        return
    with pytest.raises(ServerError, match=f"^the server sent {kind} where {what} was expected$"):
        normalize([payload], Report())


@pytest.mark.parametrize(("name", "what", "id_name", "normalize"), MANY, ids=[m[0] for m in MANY])
def test_what_has_no_id_is_refused(
    name: str, what: str, id_name: str, normalize: Normalize
) -> None:
    """An empty object is an error, not a row of nulls."""
    with pytest.raises(ServerError, match=f"^the server sent {what} without '{id_name}'$"):
        normalize([{}], Report())


@pytest.mark.parametrize(
    ("name", "what", "normalize"),
    [*((name, what, normalize) for name, what, _, normalize in MANY), *ONE],
    ids=[*(m[0] for m in MANY), *(o[0] for o in ONE)],
)
def test_an_error_in_place_of_an_entity(name: str, what: str, normalize: Normalize) -> None:
    """An error that comes as a successful response is shown in the server's words."""
    envelope = {"code": "License_Expired", "message": "The license has expired", "data": None}
    said = f"^the server sent an error where {what} was expected: License_Expired: The license"
    with pytest.raises(ServerError, match=said) as caught:
        normalize([envelope], Report())
    assert caught.value.code == "License_Expired"


@pytest.mark.parametrize(
    ("normalize", "what"),
    [
        (entities.normalize_instance, "an instance"),
        (entities.normalize_usage, "a summary"),
    ],
)
def test_an_empty_object_is_no_instance(normalize: Normalize, what: str) -> None:
    """It is an error, not a row of nulls."""
    with pytest.raises(ServerError, match=f"sent an empty object where {what} was expected$"):
        normalize({}, Report())


def test_media_that_are_none_are_refused() -> None:
    """The error says what was expected."""
    with pytest.raises(ServerError, match=r"^the server sent text where media of a key was"):
        list(details.media_items("k", 0, "x", Report()))


def test_files_of_a_step_that_are_no_list_are_null() -> None:
    """The step has a row, without a path, and a warning quotes what came."""
    report = Report()
    items = details.media_items("k", 3, {"data": "x"}, report)
    (row,) = details.normalize_medias(items, report, "r").to_arrow().to_pylist()
    assert [row[name] for name in ("key", "step", "item", "path", "text")] == ["k", 3, *[None] * 3]
    (said,) = report.all_warnings()
    assert said == "1 value of path is not of its type, and null in the table, such as 'x'"


@pytest.mark.parametrize(
    ("summary", "keys", "columns"),
    [({"loss": "x"}, ["loss"], ["summary.loss", "summary"]), ("x", [], ["summary", "summary"])],
    ids=["key", "run"],
)
def test_summaries_that_are_none_are_null(
    summary: Any, keys: list[str], columns: list[str]
) -> None:
    """Beside a run, and in a table of them: there is no value, and a warning quotes what came."""
    beside, alone = Report(), Report()
    of_run = runs.normalize_runs([({"cuid": "1"}, summary)], beside, PROJECT, None, "").to_arrow()
    assert [of_run[f"summary.{key}"].to_pylist() for key in keys] == [[None]] * len(keys)
    found = runs.normalize_summaries([("1", summary)], alone).to_arrow()
    assert found["key"].to_pylist() == keys
    assert found["value"].null_count == len(keys)
    assert [report.all_warnings() for report in (beside, alone)] == [
        [f"1 value of {column} is not of its type, and null in the table, such as 'x'"]
        for column in columns
    ]


def test_latest_values_that_are_no_numbers() -> None:
    """Words beside a run are null; truth values are 0 and 1."""
    report = Report()
    summary = {"loss": {"value": "x"}, "flag": {"value": True}, "off": {"value": False}}
    table = runs.normalize_runs([({"cuid": "1"}, summary)], report, PROJECT, None, "")
    (row,) = table.to_arrow().to_pylist()
    assert [row[f"summary.{key}"] for key in summary] == [None, 1.0, 0.0]
    (said,) = report.all_warnings()
    assert said.startswith("1 value of summary.loss ")
