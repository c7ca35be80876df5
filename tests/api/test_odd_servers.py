"""Servers that lack more than any known release, or say more than they were asked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import responses
from click.testing import CliRunner

import swanlab_export as se
from swanlab_export.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

HOST = "https://swan.test"
RUNS = [{"cuid": f"r{i}", "name": f"run-{i}", "createdAt": None, "pin": False} for i in range(2)]
COLUMNS = [
    {"key": "loss", "name": "loss", "class": "CUSTOM", "type": "FLOAT"},
    {"key": "img", "name": "img", "class": "CUSTOM", "type": "IMAGE"},
]
LATEST = {"scalar": [{"key": "loss", "step": 1}, {"key": "__swanlab__.cpu", "step": 1}]}
CSV = "step,{0}-loss_step,{0}-loss_timestamp\n0,1.5,1767225600000\n1,2.5,1767225601000\n"
MISSING = {"code": "Not_Found", "message": "missing"}
Mock = responses.RequestsMock


def page(items: list[Any]) -> dict[str, Any]:
    """One page that holds a whole list."""
    return {"list": items, "total": len(items), "pages": 1, "size": 100}


def add(mock: Mock, method: str, path: str, payload: Any, status: int = 200) -> None:
    """Let the server respond."""
    mock.upsert(method, f"{HOST}/api{path}", json=payload, status=status)


@pytest.fixture
def mock() -> Iterator[Mock]:
    """A server with one project of two runs, of which the first has a file of points."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as found:
        add(found, "POST", "/login/api_key", {"sid": "session-1", "userInfo": {"username": "ada"}})
        add(found, "GET", "/project/a/p", {"cuid": "p1", "path": "a/p"})
        add(found, "GET", "/project/a/p/runs", page(RUNS))
        for run in RUNS:
            add(found, "GET", f"/project/a/p/runs/{run['cuid']}", run)
        add(found, "GET", "/experiment/r0/column/csv", {"url": f"{HOST}/files/r0.csv"})
        text = CSV.format("run-0")
        length = {"content-length": str(len(text))}
        found.add("GET", f"{HOST}/files/r0.csv", body=text, headers=length)
        # What is not there yet is missing.
        for path in (
            *("metrics/scalar", "metrics/scalar/export", "metrics/scalar/availability"),
            *("metrics/scalar/keys", "metrics/media/keys", "metrics/summaries"),
        ):
            add(found, "POST", f"/house/{path}", MISSING, 404)
        for run in RUNS:
            add(found, "GET", f"/house/metrics/summaries/p1/{run['cuid']}", MISSING, 404)
            add(found, "GET", f"/experiment/{run['cuid']}/column", MISSING, 404)
        add(found, "GET", "/experiment/r1/column/csv", MISSING, 404)
        yield found


@pytest.fixture
def api(mock: Mock) -> Iterator[se.Api[pa.Table]]:
    """A connection to that server."""
    del mock
    with se.connect(host=HOST, api_key="key", frame="arrow", retries=0) as connected:
        yield connected


def test_keys_that_a_run_lacks_are_left_out(api: se.Api[pa.Table]) -> None:
    """Where nothing tells the keys, every key is asked for, and what is missing is named."""
    with pytest.warns(se.SwanlabExportWarning) as caught:
        found = api.run.metrics(project="a/p", keys="loss", all=True)
    assert found["run_id"].to_pylist() == ["r0", "r0"]
    assert found["value"].to_pylist() == [1.5, 2.5]
    said = " ".join(str(warning.message) for warning in caught)
    assert "1 of 2 runs have loss" in said
    assert "the exports of 2 of 2 runs could not be checked against the latest step" in said


def test_steps_that_are_repeated_on_an_axis(api: se.Api[pa.Table], mock: Mock) -> None:
    """Every point of a key stays where its x axis is a file of its own."""
    files = {"loss": "0,1,1,3", "epoch": "0,1,2", "late": "1"}
    mock.remove("GET", f"{HOST}/api/experiment/r0/column/csv")
    for key, steps in files.items():
        lines = [f"{step},{10 * i + 0.5}," for i, step in enumerate(steps.split(","))]
        body = f"step,run-0-{key}_step,run-0-{key}_timestamp\n" + "\n".join(lines) + "\n"
        match = [responses.matchers.query_param_matcher({"key": key})]
        url = {"url": f"{HOST}/files/{key}.csv"}
        mock.add("GET", f"{HOST}/api/experiment/r0/column/csv", json=url, match=match)
        length = {"content-length": str(len(body))}
        mock.add("GET", f"{HOST}/files/{key}.csv", body=body, headers=length)
    for axis, expected in (("epoch", [0.5, 10.5, 10.5, None]), ("late", [None, 0.5, 0.5, None])):
        with pytest.warns(se.SwanlabExportWarning):
            found = api.run.metrics("a/p/r0", keys="loss", all=True, x_axis=axis)
        assert found["step"].to_pylist() == [0, 1, 1, 3]
        assert found["value"].to_pylist() == [0.5, 10.5, 20.5, 30.5]
        assert found["x"].to_pylist() == expected


@pytest.mark.parametrize("status", [403, 418])
def test_a_firewall_in_front_of_the_keys(status: int, api: se.Api[pa.Table], mock: Mock) -> None:
    """Where a server does not tell which runs have a key, each is simply asked for it."""
    add(mock, "POST", "/house/metrics/scalar/availability", {}, status)
    for run in RUNS:
        add(mock, "GET", f"/house/metrics/summaries/p1/{run['cuid']}", {}, status)
        add(mock, "GET", f"/experiment/{run['cuid']}/column", {}, status)
    with pytest.warns(se.SwanlabExportWarning) as caught:
        found = api.run.metrics(project="a/p", keys="loss", all=True)
    assert found["value"].to_pylist() == [1.5, 2.5]
    assert "1 of 2 runs have loss" in " ".join(str(warning.message) for warning in caught)


def test_a_key_that_every_run_lacks(api: se.Api[pa.Table]) -> None:
    """A key that no file has does not exist."""
    with pytest.raises(se.NotFoundError, match="no scalar key 'loss'"):
        api.run.metrics("a/p/r1", keys="loss", all=True)


def test_a_server_that_exports_in_no_way(api: se.Api[pa.Table], mock: Mock) -> None:
    """Runs that have the key, and no file of it, are on a server that has no exports."""
    add(mock, "GET", "/experiment/r0/column/csv", MISSING, 404)
    for run in RUNS:
        add(mock, "GET", f"/house/metrics/summaries/p1/{run['cuid']}", LATEST)
    for runs in (["a/p/r1"], ["a/p/r0", "a/p/r1"]):
        says = (
            r"does not offer POST /house/metrics/scalar/export; .*; the older way: "
            rf"GET /experiment/{runs[0][-2:]}/column/csv failed with status 404: 'missing'"
        )
        for partial in (False, True):
            with pytest.raises(se.ServerError, match=says):
                api.run.metrics(*runs, keys="loss", all=True, partial=partial)


def test_an_export_of_several_keys_that_is_not_found(api: se.Api[pa.Table], mock: Mock) -> None:
    """Where nothing tells the keys of a run, it is still not left out without a word."""

    def export(request: Any) -> tuple[int, dict[str, str], str]:
        is_first = b'"r0"' in request.body
        return (200, {}, '{"cosKey": "r0.csv"}') if is_first else (404, {}, json.dumps(MISSING))

    mock.remove("POST", f"{HOST}/api/house/metrics/scalar/export")
    mock.add_callback("POST", f"{HOST}/api/house/metrics/scalar/export", export)
    add(mock, "POST", "/files/presigned/get", {"urls": [f"{HOST}/files/both.csv"]})
    text = "step,r0-loss_step,r0-loss_timestamp,r0-acc_step,r0-acc_timestamp\n0,1.5,,0.5,\n"
    mock.add("GET", f"{HOST}/files/both.csv", text, headers={"content-length": str(len(text))})
    options: Any = {"keys": ["loss", "acc"], "all": True}
    with pytest.raises(se.NotFoundError, match=r"a/p/r1: POST .*/export failed with status 404"):
        api.run.metrics("a/p/r0", "a/p/r1", **options)
    # One by one, they are keys that the run does not have.
    with pytest.warns(se.SwanlabExportWarning) as caught:
        found = api.run.metrics("a/p/r0", "a/p/r1", **options, partial=True)
    assert found["value"].to_pylist() == [1.5, 0.5]
    said = " ".join(str(each.message) for each in caught)
    assert "1 of 2 runs have loss" in said
    assert "1 of 2 runs have acc" in said
    assert api.left_out == []


def test_keys_of_columns(api: se.Api[pa.Table], mock: Mock) -> None:
    """Where a server tells no latest steps, the columns of a run tell its keys."""
    add(mock, "GET", "/experiment/r0/column", page(COLUMNS))
    assert api.run.series("a/p/r0")["key"].to_pylist() == ["loss"]
    assert api.run.series("a/p/r0", metric_type="MEDIA")["key"].to_pylist() == ["img"]


def test_the_latest_step_of_an_old_server(api: se.Api[pa.Table], mock: Mock) -> None:
    """A file that ends before the latest step, however that is told, is not whole."""
    add(mock, "GET", "/house/metrics/summaries/p1/r0", {"scalar": [{"key": "loss", "step": 2}]})
    with pytest.raises(se.IncompleteError, match="ends at step 1, but the server announced step 2"):
        api.run.metrics("a/p/r0", keys="loss", all=True)


def test_a_project_without_columns(api: se.Api[pa.Table], mock: Mock) -> None:
    """Where there are no columns, the keys are listed, with what they tell."""
    add(mock, "GET", "/house/metrics/summaries/p1/r0", LATEST | {"media": [{"key": "img"}]})
    with pytest.warns(se.SwanlabExportWarning, match="these are its keys, without types"):
        found = api.run.columns("a/p/r0", column_class=None)
    names = ["key", "class", "type"]
    assert found.select(names).to_pydict() == {
        "key": ["__swanlab__.cpu", "loss", "img"],
        "class": ["SYSTEM", "CUSTOM", "CUSTOM"],
        "type": [None, None, None],
    }
    with pytest.warns(se.SwanlabExportWarning, match="these are its keys"):
        assert api.run.columns("a/p/r0", limit=1)["key"].to_pylist() == ["loss"]
    with pytest.warns(se.SwanlabExportWarning, match="these are its keys"):
        assert api.run.column("a/p/r0", "loss")["key"].to_pylist() == ["loss"]
    with pytest.raises(se.ServerError, match="whose types are not known"):
        api.run.columns("a/p/r0", column_type="FLOAT")


@pytest.mark.parametrize("way", ["empty", 400, 410, 501])
def test_ways_to_say_that_there_are_no_columns(
    way: str | int, api: se.Api[pa.Table], mock: Mock
) -> None:
    """An empty list, or any refusal of what was removed, leads to the keys; and the words are shown."""
    add(mock, "GET", "/house/metrics/summaries/p1/r0", LATEST | {"media": [{"key": "img"}]})
    words = {"code": "No_Columns", "message": "not for this project"}
    is_empty = isinstance(way, str)
    add(
        mock,
        "GET",
        "/experiment/r0/column",
        page([]) if is_empty else words,
        200 if is_empty else int(way),
    )
    with pytest.warns(se.SwanlabExportWarning, match="these are its keys") as said:
        assert api.run.columns("a/p/r0")["key"].to_pylist() == ["loss", "img"]
    assert is_empty or "not for this project" in str(said[0].message)
    with pytest.warns(se.SwanlabExportWarning, match="these are its keys"):
        assert api.run.columns("a/p/r0", page=1, page_size=10).num_rows == 2
    with pytest.warns(se.SwanlabExportWarning, match="these are its keys"):
        assert api.run.column("a/p/r0", "loss")["key"].to_pylist() == ["loss"]
    if not is_empty:
        with pytest.raises(se.ServerError, match="not for this project"):
            api.run.columns("a/p/r0", column_type="FLOAT")
        return
    add(mock, "GET", "/house/metrics/summaries/p1/r0", {"scalar": None, "media": None})
    for options in ({}, {"page": 2}, {"search": "x"}, {"column_type": "FLOAT"}):
        assert api.run.columns("a/p/r0", **options).num_rows == 0


def test_the_keys_of_a_project_without_columns_as_they_came(mock: Mock) -> None:
    """``--raw`` has them, too."""
    add(mock, "GET", "/house/metrics/summaries/p1/r0", LATEST)
    access = ["--host", HOST, "--api-key", "k", "--retries", "0", "--raw"]
    done = CliRunner().invoke(root, ["api", "run", "columns", "a/p/r0", *access])
    assert done.exit_code == 0, done.output
    assert [each["key"] for each in json.loads(done.stdout)["data"]["list"]] == ["loss"]


def test_own_workspaces_where_no_list_is_of_a_user(api: se.Api[pa.Table], mock: Mock) -> None:
    """The older list tells names and roles, of oneself alone."""
    add(mock, "GET", "/user/ada/groups", MISSING, 404)
    add(mock, "GET", "/user/bob/groups", MISSING, 404)
    own = {"list": [{"name": "Team", "username": "team", "role": "OWNER"}]}
    add(mock, "GET", "/group/", own)
    with pytest.warns(se.SwanlabExportWarning, match="only tells their names and your role"):
        found = api.workspace.list()
    names = ["username", "name", "role", "type"]
    assert found.select(names).to_pylist() == [
        {"username": "team", "name": "Team", "role": "OWNER", "type": None}
    ]
    with pytest.raises(se.NotFoundError, match="groups failed with status 404"):
        api.workspace.list("bob")


def test_filters_that_are_missing(api: se.Api[pa.Table], mock: Mock) -> None:
    """A server without filters lists its runs, and is asked for filters once."""
    path = f"{HOST}/api/project/a/p/runs/shows"
    mock.upsert("POST", path, json=MISSING, status=404)
    for _ in range(2):
        assert api.run.filter("a/p", "name=run-1")["run_id"].to_pylist() == ["r1"]
    mock.assert_call_count(path, 1)


def test_pinned_runs_that_do_not_pass(api: se.Api[pa.Table], mock: Mock) -> None:
    """A pinned run comes whatever the filter says, and is dropped if it does not pass."""
    pinned = {**RUNS[0], "pin": True, "state": "CRASHED"}
    add(mock, "POST", "/project/a/p/runs/shows", [pinned, {**RUNS[1], "state": "FINISHED"}])
    assert api.run.filter("a/p", "state=FINISHED")["run_id"].to_pylist() == ["r1"]
    values = {"r0": {"loss": {"step": 1, "value": 3}}, "r1": {"loss": {"step": 1, "value": 1}}}
    add(mock, "POST", "/house/metrics/summaries", values)
    assert api.run.filter("a/p", "summary.loss<=1")["run_id"].to_pylist() == ["r1"]


@pytest.mark.parametrize("status", [403, 404, 418])
def test_metrics_that_the_server_does_not_tell(
    status: int, api: se.Api[pa.Table], mock: Mock
) -> None:
    """Then runs are as the server chose them, which is said; a list that is judged here is an error."""
    shows = "/project/a/p/runs/shows"
    add(mock, "POST", shows, RUNS)
    add(mock, "POST", "/house/metrics/summaries", {"message": "not for you"}, status)
    with pytest.warns(se.SwanlabExportWarning, match="2 of 2 runs are as the server chose") as said:
        found = api.run.filter("a/p", "summary.loss>1")
    assert found["run_id"].to_pylist() == ["r0", "r1"]
    why = "does not offer" if status == 404 else "not for you"
    assert why in str(said[0].message)
    add(mock, "POST", shows, MISSING, 404)
    with pytest.raises(se.SwanlabExportError, match=why):
        api.run.filter("a/p", "summary.loss>1")


def test_runs_that_come_without_their_config(api: se.Api[pa.Table], mock: Mock) -> None:
    """A rule about the config is exact, also where a run has to be fetched by itself for it."""
    for run, lr in zip(RUNS, (0.1, 0.2), strict=True):
        profile = {"config": {"lr": {"value": lr, "desc": "", "sort": 0}}}
        add(mock, "GET", f"/project/a/p/runs/{run['cuid']}", {**run, "profile": profile})
    bare = {"cuid": "r2", "name": "run-2", "createdAt": None, "pin": False}
    add(mock, "GET", "/project/a/p/runs/r2", bare)
    add(mock, "POST", "/project/a/p/runs/shows", [*RUNS, bare])
    assert api.run.filter("a/p", "config.lr>0.1")["run_id"].to_pylist() == ["r1"]
    assert api.run.filter("a/p", "config.lr>0.1")["config.lr"].to_pylist() == [0.2]
    # What the server has judged itself costs nothing.
    before = len(mock.calls)
    found = api.run.filter("a/p", "config.lr>=0.1")
    assert found["run_id"].to_pylist() == ["r0", "r1", "r2"]
    assert len(mock.calls) - before == 2


def test_a_sample_that_is_refused_otherwise(api: se.Api[pa.Table], mock: Mock) -> None:
    """A refusal of a single key is an error with the server's own words."""
    add(mock, "POST", "/house/metrics/scalar", {"code": "Bad", "message": "not today"}, 400)
    with pytest.raises(se.ServerError, match="not today"):
        api.run.metrics("a/p/r0", keys="loss")


def test_an_endpoint_that_has_worked_is_not_missing(api: se.Api[pa.Table], mock: Mock) -> None:
    """A 404 of an endpoint that responded before is about an object."""
    add(mock, "POST", "/house/metrics/scalar", [{"key": "loss", "metrics": []}])
    with pytest.warns(se.SwanlabExportWarning, match="no others came"):
        assert api.run.metrics("a/p/r0", keys="loss").num_rows == 0
    add(mock, "POST", "/house/metrics/scalar", MISSING, 404)
    with pytest.raises(se.NotFoundError):
        api.run.metrics("a/p/r0", keys="loss")


def test_what_else_a_server_sends_can_be_filtered_by(mock: Mock) -> None:
    """Newer servers send more fields of runs: what is printed of them is what rules are about."""
    more = {"tags": ["a"], "sectionIndex": [], "cloneType": "deep", "user": {"avatar": "x.png"}}
    add(mock, "GET", "/project/a/p/runs", page([RUNS[0] | more, RUNS[1] | {"cloneType": None}]))
    with se.connect(api_key="k", host=HOST, frame="arrow") as api:
        columns = api.run.list("a/p").column_names
        for rule in ("tags~a", "section_index is not null", "clone_type=deep", "user.avatar~png"):
            assert re.split("[~= ]", rule)[0] in columns
            assert api.run.filter("a/p", rule)["run_id"].to_pylist() == ["r0"]
        assert api.run.filter("a/p", "clone_type is null")["run_id"].to_pylist() == ["r1"]
