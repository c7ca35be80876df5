"""Rules about configs that are lists: servers differ in how they compare these, and results must not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import responses

import swanlab_export as se
from swanlab_export.sandbox import GENERATIONS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from click.testing import Result

DIGITS = "ada-lab/digits"
HOST = "https://swan.test"
# Of a server that knows nothing of lists, each run with another kind of value.
SIZES: dict[str, Any] = {
    "number": 64,
    "list": [64],
    "decimals": [32, 64.0],
    "other": [32],
    "empty": [],
    "words": ["64", "wide"],
}
RUNS = [
    {
        "cuid": name,
        "name": name,
        "state": "FINISHED",
        "createdAt": None,
        "pin": False,
        "profile": {"config": {"size": {"value": size, "desc": "", "sort": 0}}},
    }
    for name, size in SIZES.items()
] + [{"cuid": "none", "name": "none", "pin": False, "profile": {"config": {}}, "state": "CRASHED"}]


def shown(request: Any) -> tuple[int, dict[str, str], str]:
    """The runs with the right state; of a config, only those whose value is the text as it is."""
    found = RUNS
    for rule in json.loads(request.body)["filters"]:
        if rule["type"] == "STABLE":
            found = [run for run in found if str(run[rule["key"]]) in rule["value"]]
        elif rule["type"] == "CONFIG":
            found = [run for run in found if run["cuid"] == "number"]
    return 200, {}, json.dumps(found)


@pytest.fixture
def requests() -> Iterator[Callable[[], list[Any]]]:
    """Gives the filters that such a server was sent, None for a page, and runs of summaries."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        login = {"sid": "s", "userInfo": {"username": "ada"}}
        mock.add("POST", f"{HOST}/api/login/api_key", json=login)
        mock.add("GET", f"{HOST}/api/project/a/p", json={"cuid": "p1", "path": "a/p"})
        page = {"list": RUNS, "total": len(RUNS), "pages": 1, "size": 100}
        mock.add("GET", f"{HOST}/api/project/a/p/runs", json=page)
        mock.add_callback("POST", f"{HOST}/api/project/a/p/runs/shows", callback=shown)
        summaries = {run["cuid"]: {"loss": {"step": 1, "value": 3}} for run in RUNS}
        mock.add("POST", f"{HOST}/api/house/metrics/summaries", json=summaries)

        def sent() -> list[Any]:
            found: list[Any] = []
            for call in mock.calls:
                url, body = str(call.request.url), json.loads(call.request.body or "null")
                if url.endswith("/summaries"):
                    found.append({run["experimentId"] for run in body["experiments"]})
                elif "/runs" in url:
                    found.append([rule["key"] for rule in body["filters"]] if body else None)
            return found

        yield sent


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("config.size=64", {"number", "list", "decimals", "words"}),
        ("config.size in 64,1", {"number", "list", "decimals", "words"}),
        ("config.size=wide", {"words"}),
        ("config.size in wide,32", {"decimals", "other", "words"}),
        ("config.size=[32]", {"other"}),
        ('config.size in "[32,64]",[]', {"decimals", "empty"}),
    ],
)
def test_equal_and_not_equal_part_the_runs(
    requests: Callable[[], list[Any]], rule: str, names: set[str]
) -> None:
    """A run passes one of two opposite rules, also where the server would leave out its list."""
    opposite = rule.replace("=", "!=").replace(" in ", " not in ")
    with se.connect(host=HOST, api_key="k", frame="arrow") as api:
        assert set(api.run.filter("a/p", rule)["run_id"].to_pylist()) == names
        found = api.run.filter("a/p", opposite)["run_id"].to_pylist()
    assert set(found) == {*SIZES, "none"} - names
    assert requests() == [None, None]


def test_contains_is_no_matter_of_the_server(requests: Callable[[], list[Any]]) -> None:
    """A text is looked for in each element."""
    with se.connect(host=HOST, api_key="k", frame="arrow") as api:
        assert api.run.filter("a/p", "config.size~ID")["run_id"].to_pylist() == ["words"]
        assert api.run.filter("a/p", "config.size!~ID").num_rows == len(SIZES)
    assert requests() == [None, None]


def test_other_rules_are_sent(requests: Callable[[], list[Any]]) -> None:
    """What any server knows limits what it has to send: one request, as for a single rule."""
    with se.connect(host=HOST, api_key="k", frame="arrow") as api:
        found = api.run.filter("a/p", ["state=FINISHED", "config.size!=64"])
        assert set(found["run_id"].to_pylist()) == {"other", "empty"}
        assert requests() == [["state"]]
        # A list passes no order, whatever a server makes of it.
        assert api.run.filter("a/p", "config.size>=1")["run_id"].to_pylist() == ["number"]
    assert requests() == [["state"], ["size"]]


def test_metrics_are_fetched_of_runs_that_may_pass(requests: Callable[[], list[Any]]) -> None:
    """A run that fails one rule already costs nothing for another."""
    with se.connect(host=HOST, api_key="k", frame="arrow") as api:
        found = api.run.filter("a/p", ["summary.loss>1", "config.size=32"])
        assert set(found["run_id"].to_pylist()) == {"decimals", "other"}
    assert requests() == [["loss"], {"decimals", "other"}]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_gives_the_same(generation: str) -> None:
    """A number is found in a list of numbers, and a run without a value passes ``!=``."""
    with Sandbox(generation=generation) as server:
        access: Any = {"host": server.url, "api_key": server.api_key, "frame": "arrow"}
        with se.connect(**access) as api:
            every = api.run.list(DIGITS, all=True)
            sizes = dict(zip(every["run_id"].to_pylist(), every["config.hidden"], strict=True))
            lists = {run: json.loads(size.as_py() or "[]") for run, size in sizes.items()}
            for wanted in (32, 64):
                having = {run for run, found in lists.items() if wanted in found}
                assert having
                equal = api.run.filter(DIGITS, {"config.hidden": wanted})
                assert set(equal["run_id"].to_pylist()) == having
                unequal = api.run.filter(DIGITS, {"config.hidden not in": [wanted]})
                assert set(unequal["run_id"].to_pylist()) == sizes.keys() - having


def test_an_empty_list_is_a_value(api: se.Api[pa.Table]) -> None:
    """``is null`` gives the runs that have none alone."""
    for rule in ("config.hidden is null", {"config.hidden": None}):
        found = api.run.filter(DIGITS, rule)
        assert set(found["name"].to_pylist()) == {"offline", "no-profile"}
    assert api.run.filter(DIGITS, "config.hidden is not null").num_rows == 14
    assert api.run.filter(DIGITS, "config.hidden=[]").num_rows == 2


def test_the_explanation_counts_the_runs_that_equal_finds(
    api: se.Api[pa.Table], call: Callable[..., Result]
) -> None:
    """It counts runs, and not elements, of which two may be the same."""
    told = call("run", "filter", DIGITS, "-f", "config.hidden=999").stderr
    assert "config.hidden is 32 (4), 64 (3), " in told
    assert "[] (2)" in told
    assert "(missing in 2)" in told
    for wanted, count in ((32, 4), (64, 3), ("[]", 2)):
        assert api.run.filter(DIGITS, {"config.hidden": wanted}).num_rows == count
