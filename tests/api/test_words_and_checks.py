"""Words and truth values among points, with and without ``--text``; checks that cannot be made."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
import responses

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "https://swan.test"
RUN = {"cuid": "r", "name": "run", "createdAt": "2026-01-01T00:00:00.000Z"}
CSV = (
    "step,r-note_step,r-note_timestamp,r-loss_step,r-loss_timestamp\n"
    "0,warm,1700000000000,0.5,1700000000000\n"
    "1,true,1700000000001,,\n"
    '2,"a, b",1700000000002,0.25,1700000000002\n'
    "3,7,1700000000003,False,1700000000003\n"
)
NOTES = ["warm", True, "a, b", 7]
LOSSES = {0: 0.5, 2: 0.25, 3: False}
VALUES = [None, 1.0, None, 7.0, 0.5, 0.25, 0.0]
TEXTS = ["warm", None, "a, b", None, None, None, None]


def points(values: dict[int, Any]) -> list[dict[str, Any]]:
    """Sampled points."""
    return [
        {"index": step, "data": value, "timestamp": 1_700_000_000_000 + step}
        for step, value in values.items()
    ]


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    """A server whose run has a key of words and a key of numbers."""
    payloads: dict[str, Any] = {
        "/login/api_key": {"sid": "s", "userInfo": {"username": "ada"}},
        "/house/metrics/summaries": {"r": None},
        "/house/metrics/scalar/availability": {"note": ["r"], "loss": ["r"]},
        "/house/metrics/scalar/export": {"cosKey": "x.csv"},
        "/files/presigned/get": {"urls": ["https://files.test/x.csv"]},
        "/house/metrics/scalar": [
            {"key": "note", "metrics": points(dict(enumerate(NOTES)))},
            {"key": "loss", "metrics": points(LOSSES)},
        ],
    }
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for path, payload in payloads.items():
            mock.add("POST", f"{HOST}/api{path}", json=payload)
        mock.add("GET", f"{HOST}/api/project/a/p", json={"cuid": "p"})
        mock.add("GET", f"{HOST}/api/project/a/p/runs/r", json=RUN)
        mock.add("GET", "https://files.test/x.csv", body=CSV, auto_calculate_content_length=True)
        yield mock


@pytest.fixture
def api(mock: responses.RequestsMock) -> Iterator[se.Api[Any]]:
    """A connection to that server."""
    del mock
    with se.connect(host=HOST, api_key="key", frame="arrow", retries=0) as connected:
        yield connected


@pytest.mark.parametrize("is_full", [True, False], ids=["all", "sample"])
def test_words_stand_in_a_column_of_their_own(api: se.Api[Any], is_full: bool) -> None:
    """With ``text=True`` a word is null in value and stands in text, and nothing is warned of."""
    found = api.run.metrics("a/p/r", keys="note,loss", all=is_full, text=True)
    assert found.schema.names[:6] == ["run_id", "key", "step", "value", "text", "timestamp"]
    assert found["value"].to_pylist() == VALUES
    assert found["text"].to_pylist() == TEXTS


@pytest.mark.parametrize("is_full", [True, False], ids=["all", "sample"])
def test_without_it_words_are_counted(api: se.Api[Any], is_full: bool) -> None:
    """Truth values are 0 and 1 all the same; words are null, with a warning that quotes one."""
    with pytest.warns(se.SwanlabExportWarning, match="2 values of value .*'warm'"):
        found = api.run.metrics("a/p/r", keys="note,loss", all=is_full)
    assert "text" not in found.schema.names
    assert found["value"].to_pylist() == VALUES


@pytest.mark.parametrize("is_full", [True, False], ids=["all", "sample"])
def test_the_wide_layout_has_a_column_of_texts_per_key(api: se.Api[Any], is_full: bool) -> None:
    """A row that has only a word stays, and the words of each key are in ``<key>_text``."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = api.run.metrics("a/p/r", keys="note,loss", all=is_full, text=True, layout="wide")
    assert found.schema.names == [
        *("run_id", "step", "note", "loss", "note_text", "loss_text"),
        *("note_timestamp", "loss_timestamp"),
    ]
    assert found["note"].to_pylist() == [None, 1.0, None, 7.0]
    assert found["note_text"].to_pylist() == ["warm", None, "a, b", None]
    assert found["loss"].to_pylist() == [0.5, None, 0.25, 0.0]
    assert found["loss_text"].null_count == 4


def test_words_of_a_range(api: se.Api[Any]) -> None:
    """A range and its last points count words as points, too."""
    found = api.run.metrics(
        "a/p/r", keys="note,loss", range_type="step", range_start=1, text=True, range_tail=2
    )
    assert found["step"].to_pylist() == [2, 3, 2, 3]
    assert found["text"].to_pylist() == ["a, b", None, None, None]


def test_groups_have_no_words(api: se.Api[Any]) -> None:
    """``text`` with ``group_by`` is refused before any request."""
    with pytest.raises(se.UsageError, match="text= is for points of runs"):
        api.run.metrics("a/p/r", keys="note", group_by="state", text=True)


@pytest.mark.parametrize(
    "response",
    [
        {"json": {"r": {"loss": {"step": "latest"}}}},
        {"json": {"code": "firewall"}, "status": 418},
        {"json": {"code": "Forbidden"}, "status": 403},
        {"json": {"code": "Not_Found"}, "status": 404},
    ],
    ids=["odd step", "firewall", "forbidden", "not found"],
)
def test_a_check_that_cannot_be_made_is_a_warning(
    response: dict[str, Any], api: se.Api[Any], mock: responses.RequestsMock
) -> None:
    """Where the summaries do not tell the latest step, the points come all the same."""
    mock.replace("POST", f"{HOST}/api/house/metrics/summaries", **response)
    mock.add("GET", f"{HOST}/api/house/metrics/summaries/p/r", **response)
    with pytest.warns(se.SwanlabExportWarning, match="1 of 1 runs could not be checked against"):
        found = api.run.metrics("a/p/r", keys="loss", all=True)
    assert found["value"].to_pylist() == [0.5, 0.25, 0.0]
