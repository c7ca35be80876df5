"""What holds for the normalizer of every table: its name, its notes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from swanlab_export.errors import ServerError
from swanlab_export.normalizers import details, entities, runs
from swanlab_export.tables import Table

Normalize = Callable[..., Table]

# Of many entities or one: the table, what one of them is called, and its normalizer.
MANY: list[tuple[str, str, Normalize]] = [
    ("workspaces", "a workspace", entities.normalize_workspaces),
    ("projects", "a project", lambda wire, **o: entities.normalize_projects(wire, "", **o)),
    ("users", "a user", entities.normalize_users),
    (
        "runs",
        "a run",
        lambda wire, **o: runs.normalize_runs([(run, None) for run in wire], "w/p", None, "", **o),
    ),
    ("columns", "a column", lambda wire, **o: details.normalize_columns(wire, "r", **o)),
]
# Of one entity, always.
ONE: list[tuple[str, str, Normalize]] = [
    ("user", "a profile", lambda wire: entities.normalize_user(wire[0], "ada", None)),
    ("instance", "an instance", lambda wire: entities.normalize_instance(wire[0])),
    ("usage", "a summary", lambda wire: entities.normalize_usage(wire[0])),
]
# What belongs to a run.
PARTS: list[tuple[str, str, Normalize]] = [
    (
        "summary",
        "a summary",
        lambda wire: runs.normalize_summaries([("r", {"k": item}) for item in wire]),
    ),
    ("logs", "a log line", lambda wire: details.normalize_logs(wire, "r")),
]
MEDIAS: tuple[str, str, Normalize] = (
    "medias",
    "media of a key",
    lambda wire: details.normalize_medias(
        details.media_items("k", 0, {"data": ["a.png"] * len(wire), "more": wire}), "r"
    ),
)
SERIES: tuple[str, str, Normalize] = (
    "series",
    "a key",
    lambda wire: details.normalize_series(["k"] * len(wire), "r", "SCALAR"),
)


def ids(rows: list[tuple[str, str, Normalize]]) -> list[str]:
    """The tables' names."""
    return [row[0] for row in rows]


@pytest.mark.parametrize(("name", "what", "normalize"), MANY, ids=ids(MANY))
def test_a_table_of_many_is_of_one_only_where_it_is_told(
    name: str, what: str, normalize: Normalize
) -> None:
    """How many rows there are does not decide whether text shows an object or a list."""
    assert normalize([{}]).is_single is False
    assert normalize([{}], is_single=True).is_single is True
    assert normalize([{}]).name == name


@pytest.mark.parametrize(
    ("name", "what", "normalize"), [*PARTS, MEDIAS, SERIES], ids=ids([*PARTS, MEDIAS, SERIES])
)
def test_a_table_of_parts(name: str, what: str, normalize: Normalize) -> None:
    """What belongs to a run is a list, though it hold one row."""
    assert normalize([{}]).is_single is False
    assert normalize([{}]).name == name


@pytest.mark.parametrize(("name", "what", "normalize"), ONE, ids=ids(ONE))
def test_a_table_of_one(name: str, what: str, normalize: Normalize) -> None:
    """A table that can only be about one entity says so."""
    assert normalize([{}]).is_single is True
    assert normalize([{}]).name == name


@pytest.mark.parametrize(
    ("name", "what", "normalize"),
    [*MANY, *ONE, *PARTS, MEDIAS],
    ids=ids([*MANY, *ONE, *PARTS, MEDIAS]),
)
def test_two_values_of_one_name_are_noted(name: str, what: str, normalize: Normalize) -> None:
    """Both are in the table, under names of their own, and it says once what they are."""
    wire = [{"aB": 1, "a_b": 2}, {"aB": 3, "a_b": 4}]
    table = normalize(wire)
    assert table.notes == ["two values are named a_b; the second is in a_b__2"]
    (first, *_) = table.to_arrow().to_pylist()
    assert (first["a_b"], first["a_b__2"]) == (1, 2)


@pytest.mark.parametrize(
    ("name", "what", "normalize"), MANY + ONE + PARTS, ids=ids(MANY + ONE + PARTS)
)
def test_what_is_no_object_is_refused(name: str, what: str, normalize: Normalize) -> None:
    """The error says what was expected and what came."""
    with pytest.raises(ServerError, match=f"^the server sent text where {what} was expected$"):
        normalize(["x"])


@pytest.mark.parametrize(
    ("wire", "what"),
    [
        ("x", "media of a key"),
        ({"data": "x"}, "a list of files"),
        ({"data": [], "more": "x"}, "a list of captions"),
    ],
)
def test_media_that_are_none_are_refused(wire: Any, what: str) -> None:
    """The error says what of it is not what it should be."""
    with pytest.raises(ServerError, match=f"^the server sent text where {what} was expected$"):
        list(details.media_items("k", 0, wire))


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ({"loss": "x"}, "the server sent text where a summary was expected"),
        (
            {"loss": {"value": "x"}},
            "the server sent 'x' as summary.loss, which is not double",
        ),
    ],
)
def test_latest_values_that_are_none(summary: dict[str, Any], said: str) -> None:
    """A summary beside a run is refused by the name of its column."""
    with pytest.raises(ServerError, match=f"^{said}$"):
        runs.normalize_runs([({"cuid": "1"}, summary)], "w/p", None, "")
