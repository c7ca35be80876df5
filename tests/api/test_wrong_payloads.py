"""Payloads of a wrong kind: an error of the tree that says what came, never a shorter table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import responses

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "https://swan.test"
CREATED = "2026-01-01T00:00:00.000Z"
RUNS = [{"cuid": f"r{i}", "name": f"run {i}", "createdAt": CREATED} for i in range(3)]
PAGE = {"list": RUNS, "total": 3, "pages": 1, "size": 100}
HAVING = {"loss": ["r0", "r1", "r2"]}
GOOD: dict[tuple[str, str], Any] = {
    ("POST", "/login/api_key"): {"sid": "s", "userInfo": {"username": "ada"}},
    ("GET", "/project/a/p"): {"cuid": "p1", "name": "p"},
    ("GET", "/project/a/p/runs"): PAGE,
    ("GET", "/project/a/p/runs/r0"): RUNS[0],
    ("POST", "/project/a/p/runs/shows"): RUNS,
    ("POST", "/house/metrics/scalar/availability"): HAVING,
    ("POST", "/house/metrics/media/keys"): {"keys": ["loss"], "hasMore": False},
    ("POST", "/house/metrics/scalar/keys"): {"keys": ["loss"], "hasMore": False},
    ("POST", "/house/metrics/summaries"): {f"r{i}": {"loss": {"step": 1}} for i in range(3)},
    ("POST", "/house/metrics/scalar"): [{"key": "loss", "metrics": [{"index": 1, "data": 2}]}],
    ("POST", "/house/metrics/media"): {"steps": [1], "step": 1, "metrics": None},
    ("POST", "/house/metrics/f_media"): [
        {"key": "loss", "metrics": [{"index": 1, "data": ["a.png"]}]}
    ],
    ("POST", "/resources/presigned/get"): {"urls": ["https://files.test/a"]},
}


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    """A server that responds well, until a test gives it another payload."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for (method, path), payload in GOOD.items():
            mock.add(method, f"{HOST}/api{path}", json=payload)
        yield mock


@pytest.fixture
def api(server: responses.RequestsMock) -> Iterator[Any]:
    """The Python interface on that server."""
    with se.connect(host=HOST, api_key="key", frame="arrow", retries=0) as connected:
        yield connected


def metrics(api: Any) -> Any:
    """Sampled points of the project."""
    return api.run.metrics(project="a/p", keys="loss")


def full(api: Any) -> Any:
    """All points of the project."""
    return api.run.metrics(project="a/p", keys="loss", all=True)


def patterns(api: Any) -> Any:
    """Points of keys that match."""
    return api.run.metrics(project="a/p", keys="l*")


def media(api: Any) -> Any:
    """Media of all steps."""
    return api.run.medias("a/p/r0", keys="loss", all=True)


def media_step(api: Any) -> Any:
    """Media of a step."""
    return api.run.medias("a/p/r0", keys="loss", step=7)


CALLS: list[tuple[Callable[[Any], Any], int]] = [
    (lambda api: api.run.list("a/p", all=True), 3),
    (lambda api: api.run.list("a/p", where="state=FINISHED"), 3),
    (lambda api: api.run.summary(project="a/p"), 3),
    (lambda api: api.run.series("a/p/r0"), 1),
    (metrics, 3),
    (patterns, 3),
    (media, 1),
]


@pytest.mark.parametrize(("call", "rows"), CALLS, ids=map(str, range(len(CALLS))))
def test_good_payloads_are_tables(call: Callable[[Any], Any], rows: int, api: Any) -> None:
    """What the others below spoil works."""
    assert call(api).num_rows == rows


WRONG: list[tuple[Callable[[Any], Any], str, list[Any]]] = [
    (lambda a: a.run.summary(project="a/p"), "/house/metrics/summaries", [[], "x", 5]),
    (lambda a: a.run.list("a/p", summary=True), "/house/metrics/summaries", [[1], "x"]),
    (full, "/house/metrics/summaries", [[], "x"]),
    (full, "/house/metrics/scalar/availability", [5, [{}], {"loss": "r0"}, {"loss": [[1]]}]),
    (patterns, "/house/metrics/scalar/keys", [5, {}, {"keys": "loss"}, {"keys": [["loss"]]}]),
    (metrics, "/house/metrics/scalar", [{"key": "loss"}, [5], [{"metrics": []}]]),
    (media, "/house/metrics/f_media", ["x", {"a": 1}, ["x"], [{"key": "loss", "metrics": "x"}]]),
    (media, "/house/metrics/f_media", [[{"key": "loss", "metrics": ["x"]}]]),
    (
        media,
        "/resources/presigned/get",
        [[], {"urls": [None]}, {"urls": "x"}, {"urls": ["a", "b"]}],
    ),
    (media_step, "/house/metrics/media", ["x", [1], {"steps": 5}, {"metrics": {}}]),
    (media_step, "/house/metrics/media", [{"metrics": ["x"]}]),
    (metrics, "/project/a/p/runs", [{**PAGE, "list": [1, "x", ["q"]]}, {**PAGE, "list": {}}]),
    (metrics, "/project/a/p/runs", [{**PAGE, "list": [{**RUNS[0], "rootExpId": ["x"]}]}]),
    (metrics, "/project/a/p", [[], "x", {"cuid": 5}]),
]


@pytest.mark.parametrize(
    ("call", "path", "payload"),
    [
        pytest.param(call, path, payload, id=f"{i} {path} {payload}")
        for i, (call, path, payloads) in enumerate(WRONG)
        for payload in payloads
    ],
)
def test_a_payload_of_a_wrong_kind_is_an_error(
    call: Callable[[Any], Any], path: str, payload: Any, api: Any, server: responses.RequestsMock
) -> None:
    """It is an error of the tree, in plain words, and no table."""
    method = next(method for method, good in GOOD if good == path)
    server.replace(method, f"{HOST}/api{path}", json=payload)
    with pytest.raises((se.ServerError, se.IncompleteError)) as caught:
        call(api)
    assert str(caught.value).isprintable()


def test_no_summaries_are_a_warning(api: Any, server: responses.RequestsMock) -> None:
    """Null in the place of all summaries is no row, and a warning that counts the runs."""
    server.replace("POST", f"{HOST}/api/house/metrics/summaries", body="null")
    with pytest.warns(se.SwanlabExportWarning, match="3 of 3 runs have no summary"):
        assert api.run.summary(project="a/p").num_rows == 0
    assert media(api).num_rows == 1


@pytest.mark.parametrize("odd", [7, [1], "soon", True])
def test_a_summary_that_is_no_object_is_null(
    odd: Any, api: Any, server: responses.RequestsMock
) -> None:
    """Of a key: it has no values; of a run: no keys; and a warning counts and quotes it."""
    path = f"{HOST}/api/house/metrics/summaries"
    item = {"step": 1, "value": 2}
    sent = {
        "r0": {"loss": odd, "acc": item},
        "r1": {"loss": odd, "acc": None},
        "r2": {"loss": item},
    }
    server.replace("POST", path, json=sent)
    shown = str(odd).lower() if odd is True else str(odd)
    with pytest.warns(se.SwanlabExportWarning) as said:
        found = api.run.summary(project="a/p").select(["run_id", "key", "step", "value"])
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("r0", "loss", None, None),
        ("r0", "acc", 1, 2.0),
        ("r1", "loss", None, None),
        ("r1", "acc", None, None),
        ("r2", "loss", 1, 2.0),
    ]
    (text,) = [str(each.message) for each in said]
    assert text.startswith("2 values of summary are not of its type")
    assert text.endswith(f"'{shown}'")
    with pytest.warns(se.SwanlabExportWarning, match=r"2 values of summary\.loss are not"):
        listed = api.run.list("a/p", summary=True)
    assert listed["summary.loss"].to_pylist() == [None, None, 2.0]
    assert listed["summary.acc"].to_pylist() == [2.0, None, None]
    server.replace("POST", path, json={"r0": odd, "r1": {"loss": item}})
    with pytest.warns(se.SwanlabExportWarning) as said:
        found = api.run.summary(project="a/p")
    assert found["run_id"].to_pylist() == ["r1"]
    texts = [str(each.message) for each in said]
    assert texts[0].startswith("1 of 3 runs have no summary")
    assert texts[1].startswith("1 value of summary is not of its type")


@pytest.mark.parametrize("odd", [7, {"loss": [1]}, {"loss": {"step": "soon"}}])
def test_a_latest_step_that_cannot_be_read_is_not_checked(
    odd: Any, api: Any, server: responses.RequestsMock
) -> None:
    """The points come, with a warning that nothing could be checked."""
    server.add("POST", f"{HOST}/api/house/metrics/scalar/export", json={"cosKey": "k"})
    files = {"urls": ["https://files.test/x"]}
    server.add("POST", f"{HOST}/api/files/presigned/get", json=files)
    body = "step,r0-loss_step,r0-loss_timestamp\n1,0.5,1767225600000\n"
    length = {"content-length": str(len(body))}
    server.add("GET", "https://files.test/x", body=body, headers=length)
    server.replace("POST", f"{HOST}/api/house/metrics/summaries", json={"r0": odd})
    with pytest.warns(
        se.SwanlabExportWarning, match="could not be checked against the latest step"
    ):
        found = api.run.metrics("a/p/r0", keys="loss", all=True)
    assert found["value"].to_pylist() == [0.5]


def test_null_instead_of_media_is_no_row(api: Any, server: responses.RequestsMock) -> None:
    """Null in the place of a list is an empty one."""
    server.replace("POST", f"{HOST}/api/house/metrics/f_media", body="null")
    assert media(api).num_rows == 0


def test_a_step_is_read_however_it_is_spelled(api: Any, server: responses.RequestsMock) -> None:
    """A latest step of ``"99"`` or 99.0 must be reached, as one of 99."""
    files = f"{HOST}/api/files/presigned/get"
    server.add("POST", f"{HOST}/api/house/metrics/scalar/export", json={"cosKey": "k"})
    server.add("POST", files, json={"urls": ["https://files.test/x"]})
    csv = "step,r0-loss_step,r0-loss_timestamp\n1,0.5,1767225600000\n"
    server.add("GET", "https://files.test/x", body=csv)
    for step in (99, 99.0, "99"):
        announced = {"r0": {"loss": {"step": step}}}
        server.replace("POST", f"{HOST}/api/house/metrics/summaries", json=announced)
        with pytest.raises(se.IncompleteError, match="announced step 99"):
            api.run.metrics("a/p/r0", keys="loss", all=True)


@pytest.mark.parametrize("time", ["1768176000000000", "9999999999999999999"])
def test_times_in_other_units_are_no_dates(
    time: str, api: Any, server: responses.RequestsMock
) -> None:
    """A time beyond the year 9999 is in microseconds or finer: it is null, and a warning quotes it."""
    point = {"index": 1, "data": 2, "timestamp": int(time)}
    series = [{"key": "loss", "metrics": [point]}]
    server.replace("POST", f"{HOST}/api/house/metrics/scalar", json=series)
    with pytest.warns(se.SwanlabExportWarning, match=f"timestamp are not .* '{time}'"):
        found = metrics(api)
    assert found["timestamp"].to_pylist() == [None] * 3
    assert found["value"].to_pylist() == [2.0] * 3


def test_a_password_that_is_echoed_is_in_no_table(api: Any, server: responses.RequestsMock) -> None:
    """However deep a server repeats the request, neither the table nor the raw payload has it."""
    server.add("GET", f"{HOST}/api/self_hosted/info", json={"root": True, "expired": False})
    said = {"id": 7, "echo": [{"users": ["x"], "password": "pw", "note": "got s3cret!"}]}
    server.add("POST", f"{HOST}/api/self_hosted/users", json=said)
    found = api.self_hosted.create_user("dora", "s3cret!")
    assert found["id"].to_pylist() == [7]
    assert "s3cret" not in str(found.to_pydict())
    assert "pw" not in str(found.to_pydict())


@pytest.mark.parametrize(
    ("status", "sent", "why"),
    [(409, 2, "no: dora and"), (403, 1, "not tried, as the one before failed")],
)
def test_only_a_refusal_of_one_user_lets_the_next_be_tried(
    api: Any, server: responses.RequestsMock, status: int, sent: int, why: str
) -> None:
    """The rest would fail like the first where the key is refused; a repeated password is hidden."""
    server.add("GET", f"{HOST}/api/self_hosted/info", json={"root": True, "expired": False})
    server.add("GET", f"{HOST}/api/self_hosted/users", json=PAGE | {"list": [], "total": 0})
    said = {"message": "no: dora and s3cret with s3cret!"}
    post = server.add("POST", f"{HOST}/api/self_hosted/users", json=said, status=status)
    users = [{"username": name, "password": "s3cret!"} for name in ("dora", "eve")]
    with pytest.warns(se.SwanlabExportWarning, match="2 items left out: dora: "):
        found = api.self_hosted.create_users(users)
    assert found["status"].to_pylist() == ["failed", "failed"]
    assert why in found["reason"][1].as_py()
    assert "s3cret!" not in str(found.to_pydict())
    assert post.call_count == sent
