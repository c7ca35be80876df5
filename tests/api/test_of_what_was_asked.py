"""Responses are held against their requests: nothing else is handed out, and gaps are named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import responses

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

HOST = "https://swan.test"
POINTS = [{"index": 1, "data": 2, "timestamp": 1_767_225_600_000}]
SUMMARY = {"step": 1, "value": 2}
RUNS = [{"cuid": f"r{i}", "name": f"run {i}", "createdAt": None} for i in range(3)]
GOOD: dict[tuple[str, str], Any] = {
    ("POST", "/login/api_key"): {"sid": "session-1", "userInfo": {"username": "ada"}},
    ("GET", "/project/a/p"): {"cuid": "p1", "path": "a/p"},
    ("GET", "/project/a/p/runs"): {"list": RUNS, "total": 3, "pages": 1, "size": 100},
    ("GET", "/project/a/p/runs/r0"): RUNS[0],
    ("GET", "/self_hosted/info"): {"enabled": True, "root": True},
    ("POST", "/house/metrics/scalar/availability"): {"loss": ["r0", "rx"], "other": ["r0"]},
    ("POST", "/house/metrics/scalar"): [
        {"key": "other", "metrics": [point | {"index": 7} for point in POINTS]},
        {"key": "loss", "metrics": POINTS},
    ],
    ("POST", "/house/metrics/summaries"): {
        "r0": {"other": SUMMARY, "loss": SUMMARY},
        "r1": None,
        "rx": {"loss": SUMMARY},
    },
}


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    """A server that sends more than it is asked for, and leaves out a run."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as found:
        for (method, path), payload in GOOD.items():
            found.add(method, f"{HOST}/api{path}", json=payload)
        yield found


@pytest.fixture
def api(mock: responses.RequestsMock) -> Iterator[se.Api[pa.Table]]:
    """A connection to that server."""
    with se.connect(host=HOST, api_key="key", frame="arrow", retries=0) as connected:
        yield connected


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_points_of_other_keys_are_left_out(layout: Any, api: se.Api[pa.Table]) -> None:
    """A sample that holds a key that was not asked for gives the other keys only."""
    found = api.run.metrics("a/p/r0", keys="loss", layout=layout)
    assert found.num_rows == 1
    assert "other" not in str(found.to_pydict())


def test_summaries_of_others_are_left_out(api: se.Api[pa.Table]) -> None:
    """Neither keys nor runs that were not asked for are in the table."""
    found = api.run.summary("a/p/r0", keys="loss").select(["run_id", "key"])
    assert found.to_pylist() == [{"run_id": "r0", "key": "loss"}]
    listed = api.run.list("a/p", page=1, page_size=100)
    assert listed.num_rows == 3


def test_runs_without_a_summary_are_counted(api: se.Api[pa.Table]) -> None:
    """Null is a run without data; a run that is left out is warned of."""
    with pytest.warns(se.SwanlabExportWarning, match="1 of 3 runs have no summary"):
        found = api.run.summary(project="a/p")
    assert found["run_id"].to_pylist() == ["r0", "r0"]
    with pytest.warns(se.SwanlabExportWarning, match="1 of 3 runs have no summary"):
        listed = api.run.list("a/p", summary="loss")
    assert listed["summary.loss"].to_pylist() == [2.0, None, None]
    assert "summary.other" not in listed.column_names


def test_a_run_without_a_creation_time_has_data(
    api: se.Api[pa.Table], mock: responses.RequestsMock
) -> None:
    """A missing or odd creation time is left out of requests, and denies neither list nor data."""
    odd = {"cuid": "r0", "createdAt": "yesterday"}
    mock.replace("GET", f"{HOST}/api/project/a/p/runs/r0", json=odd)
    assert api.run.metrics("a/p/r0", keys="loss").num_rows == 1
    assert all(b"createdAt" not in (call.request.body or b"") for call in mock.calls)


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("/project/a/p/runs/r0", {"cuid": "r9", "slug": "other"}),
        ("/project/a/p/runs/r0", {"cuid": "R0", "slug": "other"}),
        ("/project/a/p", {"cuid": "p9", "path": "a/other"}),
    ],
    ids=["run", "run in other case", "project"],
)
def test_another_run_or_project_is_an_error(
    path: str, payload: Any, api: se.Api[pa.Table], mock: responses.RequestsMock
) -> None:
    """A run or project that is not the one asked for is refused, whatever is asked of it."""
    mock.replace("GET", f"{HOST}/api{path}", json=payload)
    for ask in (api.run.info, api.run.logs, api.run.series):
        with pytest.raises(se.ServerError, match="the server sent"):
            ask("a/p/r0")


ENTITIES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("GET", "/group/a", lambda api: api.workspace.info("a")),
    ("GET", "/project/a/p", lambda api: api.project.info("a/p")),
    ("POST", "/project", lambda api: api.project.create("p", workspace="a")),
    ("GET", "/project/a/p/runs/r0", lambda api: api.run.info("a/p/r0")),
    ("GET", "/experiment/r0/column", lambda api: api.run.column("a/p/r0", key="loss")),
    ("GET", "/house/metrics/log", lambda api: api.run.logs("a/p/r0")),
    ("GET", "/house/metrics/log", lambda api: api.run.logs("a/p/r0", offset=0)),
    ("POST", "/house/metrics/log/export", lambda api: api.run.export_logs("a/p/r0")),
    ("GET", "/self_hosted/info", lambda api: api.self_hosted.info()),
    ("GET", "/self_hosted/summary", lambda api: api.self_hosted.summary()),
]
ENVELOPE = {"code": "Internal", "message": "the database is gone"}


@pytest.mark.parametrize("payload", [{}, ENVELOPE], ids=["empty", "an error"])
@pytest.mark.parametrize(
    ("method", "path", "ask"), ENTITIES, ids=[f"{i} {row[1]}" for i, row in enumerate(ENTITIES)]
)
def test_a_good_status_without_an_entity(
    method: str,
    path: str,
    ask: Callable[[Any], Any],
    payload: Any,
    api: se.Api[pa.Table],
    mock: responses.RequestsMock,
) -> None:
    """An empty object, or an error with status 200, is an error: never a row of nulls."""
    mock.remove(method, f"{HOST}/api{path}")
    mock.add(method, f"{HOST}/api{path}", json=payload)
    with pytest.raises(se.ServerError):
        ask(api)


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/user/profile", lambda api: api.user.info()),
        ("/house/metrics/summaries", lambda api: api.run.summary(project="a/p")),
        (
            "/house/metrics/scalar/availability",
            lambda api: api.run.metrics("a/p/r0", keys="loss", all=True),
        ),
    ],
    ids=["user", "summary", "availability"],
)
def test_an_error_with_a_good_status(
    path: str, ask: Callable[[Any], Any], api: se.Api[pa.Table], mock: responses.RequestsMock
) -> None:
    """Where an object may be empty, an error in its place is told by its code and its message."""
    method = "GET" if path == "/user/profile" else "POST"
    mock.remove(method, f"{HOST}/api{path}")
    mock.add(method, f"{HOST}/api{path}", json=ENVELOPE)
    with pytest.raises(se.ServerError, match="the database is gone"):
        ask(api)
