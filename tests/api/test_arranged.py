"""Order, choice and groups of lists: over all rows, with the same words in both interfaces."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from click.testing import Result

    from swanlab_export.sandbox import Sandbox

SWEEP, DIGITS, EMPTY = "ada-lab/sweep", "ada-lab/digits", "ada-lab/empty"


def rows(done: Result) -> list[dict[str, str]]:
    """The rows that a command printed as CSV."""
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_the_best_of_all_runs(api: se.Api[pa.Table], call: Callable[..., Result]) -> None:
    """``--sort`` and ``--limit`` are over all runs, and fetch the summary that they name."""
    every = api.run.list(SWEEP, summary="val/acc")["summary.val/acc"].to_pylist()
    words = ("--sort", "-summary.val/acc", "--sort", "name", "--limit", "3", "--format", "csv")
    found = rows(call("run", "list", SWEEP, *words))
    assert [float(row["summary.val/acc"]) for row in found] == sorted(every)[:-4:-1]
    listed = api.run.list(SWEEP, sort=["-summary.val/acc", "name"], limit=3)
    assert [row["run_id"] for row in found] == listed["run_id"].to_pylist()


def test_a_terminal_shows_what_gives_the_order(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns, too: columns that are not sorted by are left out instead."""
    monkeypatch.setenv("COLUMNS", "80")
    words = ("run", "list", SWEEP, "--limit", "9", "--format", "table", "--summary", "val/acc")
    assert "updated_at" not in call(*words, "--sort", "name").stdout.splitlines()[0]
    head = call(*words, "--sort", "-updated_at,name").stdout.splitlines()[0].split()
    assert {"name", "summary.val/acc", "updated_at"} <= set(head)


def test_a_terminal_shows_what_makes_a_group(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which setting it is that won is there at 80 columns, before statistics that do not fit."""
    monkeypatch.setenv("COLUMNS", "80")
    by = ("--group-by", "config.optimizer,config.lr,config.hidden", "--sort=-summary.val/acc.mean")
    done = call("run", "list", SWEEP, "--summary", "val/acc", *by, "--format", "table")
    head = done.stdout.splitlines()[0].split()
    assert head == [
        "config.optimizer",
        "config.lr",
        "config.hidden",
        "n",
        "….val/acc.mean",
        "…y.val/acc.std",
    ]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("run", "list", DIGITS), "run_id"),
        (("project", "list", "-w", "ada-lab"), "name"),
        (("workspace", "list"), "username"),
        (("run", "columns", f"{DIGITS}/diverged"), "key"),
        (("run", "series", f"{DIGITS}/diverged"), "key"),
        (("run", "filter", DIGITS, "-f", "config.lr>0"), "run_id"),
        (("self-hosted", "list-users"), "username"),
        (("self-hosted", "list-projects"), "name"),
        (("self-hosted", "list-workspaces"), "username"),
    ],
)
def test_every_list_is_sorted_and_limited(
    call: Callable[..., Result], words: tuple[str, ...], name: str
) -> None:
    """Each list takes both options, and then reads all pages."""
    order = ("--sort", f"-{name}", "--fields", name, "--format", "csv")
    every = [row[name] for row in rows(call(*words, *order))]
    assert every == sorted(every, reverse=True)
    assert len(every) > 1
    assert [row[name] for row in rows(call(*words, *order, "--limit", "1"))] == every[:1]


def test_a_limit_without_an_order_reads_no_further(api: se.Api[pa.Table], server: Sandbox) -> None:
    """The first rows are on the first pages, and nothing is fetched for the rest of their page."""
    found = api.run.list(SWEEP, limit=5, summary="val/acc")
    assert found.num_rows == 5
    (asked,) = [request for request in server.requests if request.path.endswith("/summaries")]
    assert [each["experimentId"] for each in asked.body["experiments"]] == found[
        "run_id"
    ].to_pylist()


@pytest.mark.parametrize(
    "given", [("--sort", "name"), ("--limit", "2"), ("--varying",), ("--group-by", "state")]
)
@pytest.mark.parametrize("page", [("--page_num", "1"), ("--page_size", "20")])
def test_pages_are_not_arranged(
    call: Callable[..., Result], given: tuple[str, ...], page: tuple[str, ...]
) -> None:
    """An order over one page is refused, by the names of both options."""
    done = call("run", "list", DIGITS, *given, *page)
    assert done.exit_code == 2
    assert f"error: {page[0]} and {given[0]} exclude each other" in done.stderr


@pytest.mark.parametrize("given", [{"sort": "name"}, {"varying": True}, {"limit": 25}], ids=str)
def test_what_is_arranged_is_never_a_page(api: se.Api[pa.Table], given: dict[str, Any]) -> None:
    """``all=False`` alone is a page; an order, or a choice, is over all rows nevertheless."""
    assert api.run.list(SWEEP, all=False, **given).num_rows == given.get("limit", 130)


def test_the_official_orders_have_pages(call: Callable[..., Result], server: Sandbox) -> None:
    """``create`` and ``name`` of ``project list`` are the server's; elsewhere ``create`` is a column."""
    words = ("--sort", "create", "--page_num", "1", "--fields", "name", "--format", "csv")
    found = [row["name"] for row in rows(call("project", "list", "-w", "ada-lab", *words))]
    assert "create" in [request.query.get("sort") for request in server.requests]
    created = rows(call("run", "list", DIGITS, "--sort", "create", "--format", "csv"))
    times = [row["created_at"] for row in created]
    assert times == sorted(times, reverse=True)
    assert found == ["empty", "sweep", "digits"]


def test_what_differs(api: se.Api[pa.Table]) -> None:
    """``varying`` keeps what identifies a run, and the configs that were swept."""
    names = api.run.list(SWEEP, varying=True).column_names
    assert {"path", "run_id", "name", "config.lr", "config.seed", "config.hidden"} <= set(names)
    assert not {"state", "config.loss", "config.batch_size", "conda"} & set(names)


def test_groups_of_runs(call: Callable[..., Result]) -> None:
    """A row per group, in order of the groups, or in the order that is asked for."""
    words = ("--summary", "val/acc", "--group-by", "config.lr,config.hidden", "--format", "csv")
    found = rows(call("run", "list", SWEEP, *words))
    keys = [(float(row["config.lr"]), row["config.hidden"]) for row in found]
    assert keys == sorted(keys)
    assert sum(int(row["n"]) for row in found) == 130
    assert list(found[0])[2:5] == ["n", "summary.val/acc.n", "summary.val/acc.mean"]
    best = rows(call("run", "list", SWEEP, *words, "--sort=-summary.val/acc.mean", "--limit", "1"))
    means = [float(row["summary.val/acc.mean"]) for row in found]
    assert float(best[0]["summary.val/acc.mean"]) == max(means)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--sort", "-summary.val/acc.mean"), None),
        (("--fields", "config.lr,summary.val/acc.mean"), ["config.lr", "summary.val/acc.mean"]),
        (("--fields", "n,summary.val/*.std"), ["n", "summary.val/acc.std", "summary.val/loss.std"]),
        (("--fields", "summary.val/acc.m*"), [f"summary.val/acc.m{each}" for each in
                                              ("ean", "in", "ax")]),
    ],
)  # fmt: skip
def test_a_statistic_that_is_named_is_computed(
    call: Callable[..., Result], words: tuple[str, ...], names: list[str] | None
) -> None:
    """Of groups, ``--sort`` and ``--fields`` name statistics, whose summaries are then fetched."""
    done = call("run", "list", SWEEP, "--group-by", "config.lr", *words, "--format", "csv")
    found = rows(done)
    assert len(found) == 7
    assert names in (None, list(found[0]))
    if names is None:
        means = [float(row["summary.val/acc.mean"]) for row in found]
        assert means == sorted(means, reverse=True)


def test_groups_have_no_column_of_single_runs(call: Callable[..., Result]) -> None:
    """An order of groups by it would be none: the error names the statistics."""
    words = ("run", "list", SWEEP, "--group-by", "config.lr", "--summary", "val/acc", "--sort")
    for name, there in (("summary.val/acc", "summary.val/acc.n, "), ("config.seed", "config.lr")):
        done = call(*words, f"-{name}")
        assert done.exit_code == 2
        assert f"--sort: no column '{name}'; there are {there}" in done.stderr


def test_groups_say_when_the_call_was(call: Callable[..., Result], api: se.Api[pa.Table]) -> None:
    """``--snapshot`` adds the column to groups, too, and ``--varying`` keeps it."""
    words = ("run", "list", SWEEP, "--snapshot", "--format", "csv")
    assert list(rows(call(*words, "--group-by", "state"))[0]) == ["snapshot_at", "state", "n"]
    assert list(rows(call(*words, "--varying"))[0])[:2] == ["snapshot_at", "path"]
    found = api.run.filter(SWEEP, "config.lr>0.5", group_by="config.lr", snapshot=True)
    assert found.num_rows == 1
    assert found.column_names == ["snapshot_at", "config.lr", "n"]


def test_fields_are_patterns(call: Callable[..., Result]) -> None:
    """Only ``*`` and ``?`` are special, and a summary that is named is fetched."""
    words = ("--fields", "name,config.l?,summary.val/*", "--limit", "1", "--format", "csv")
    assert list(rows(call("run", "list", SWEEP, *words))[0]) == [
        *("name", "config.lr", "summary.val/acc", "summary.val/loss")
    ]
    done = call("run", "list", SWEEP, "--fields", "config[.]lr")
    assert done.exit_code == 2
    assert "no column 'config[.]lr'" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--sort", "config.lrr"),
        ("--fields", "name,config.lrr"),
        ("--group-by", "config.lrr"),
        ("--summary", "val/accc"),
        ("--sort", "-summary.val/accc"),
        ("--fields", "summary.val/accc"),
    ],
)
def test_a_key_that_no_run_has(call: Callable[..., Result], words: tuple[str, ...]) -> None:
    """Exit 4 with near misses; in a project without runs it is an empty column."""
    done = call("run", "list", SWEEP, *words)
    assert done.exit_code == 4, done.output
    assert "in the 130 runs of ada-lab/sweep; there are 'lr'" in done.stderr or (
        "there are 'val/acc'" in done.stderr
    )
    assert call("run", "list", EMPTY, *words).exit_code == 0


def test_a_page_that_lacks_a_key(call: Callable[..., Result], api: se.Api[pa.Table]) -> None:
    """What other runs of the project have is an empty column of the page."""
    every = api.run.list(DIGITS)
    with pytest.warns(se.SwanlabExportWarning, match="6 of 16 runs"):
        page = api.run.list(DIGITS, page=2, page_size=10)
    key = next(name for name in every.column_names if name not in page.column_names)
    assert key.startswith("config.")
    words = ("--page_num", "2", "--page_size", "10", "--fields", f"name,{key}", "--format", "csv")
    assert {row[key] for row in rows(call("run", "list", DIGITS, *words))} == {""}
    assert (
        call("run", "list", DIGITS, "--fields", "config.tagg", "--page_size", "10").exit_code == 4
    )


def test_a_key_that_only_other_runs_have(api: se.Api[pa.Table]) -> None:
    """It is an empty column, with a warning where it was asked for as a summary."""
    with pytest.warns(se.SwanlabExportWarning, match="no run here has the key 'val/acc'"):
        found = api.run.filter(DIGITS, {"slug": "offline"}, summary="val/acc")
    assert found["summary.val/acc"].to_pylist() == [None]


def test_a_key_that_runs_of_one_project_have(api: se.Api[pa.Table]) -> None:
    """Of several projects one is enough, be it the first or the last."""
    where = {"slug in": ["stopped", "crashed", "adam-lr0-03-h32-s2"]}
    for projects in ([SWEEP, DIGITS], [DIGITS, SWEEP]):
        found = api.run.filter(projects, where, sort="config.tag")
        assert found.num_rows == 3


def test_each_key_is_one_of_some_project(api: se.Api[pa.Table]) -> None:
    """No project needs to have all of them."""
    projects = [SWEEP, "vision-team/segmentation"]
    found = api.run.list(projects, sort="config.clusters,config.activation", limit=1)
    assert found["config.clusters"].to_pylist() == [10]
    where = {"slug in": ["adam-lr0-03-h32-s2", "kmeans-10"]}
    sort = "config.clusters,config.size,config.seed,config.nope"
    with pytest.raises(se.NotFoundError, match="no config key 'nope' in the 135 runs of ada-lab/"):
        api.run.filter(projects, where, sort=sort)
    with pytest.warns(se.SwanlabExportWarning, match="1 of 2 runs have"):
        points = api.run.metrics(
            project=projects, where=where, keys="val/acc,purity", run_columns="config.clusters"
        )
    assert set(points["config.clusters"].to_pylist()) == {10, None}


def test_several_projects_are_one_table(call: Callable[..., Result], api: se.Api[pa.Table]) -> None:
    """Their runs have a column ``project``; options that are given twice add up."""
    words = ("--summary", "acc", "--summary", "loss", "--format", "csv")
    for named in (("-p", SWEEP, "-p", DIGITS), (SWEEP, "-p", DIGITS)):
        found = rows(call("run", "list", *named, *words))
        assert found == rows(call("run", "list", *named, *words, "--all"))
        assert [row["project"] for row in found] == [SWEEP] * 130 + [DIGITS] * 16
        assert {"summary.acc", "summary.loss"} <= set(found[0])
    for option in ("--page_num", "--page_size"):
        paged = call("run", "list", "-p", SWEEP, "-p", DIGITS, option, "10")
        assert paged.exit_code == 2
        assert f"{option} is for one project, not for 2" in paged.output
    both = api.run.filter([SWEEP, DIGITS], {"config.lr >": 0.9}, sort="project,name")
    assert both.column_names[0] == "project"
    assert set(both["project"].to_pylist()) == {SWEEP, DIGITS}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"sort": "nme"}, "sort=: no column 'nme'; there are name"),
        ({"sort": "-val/acc"}, "no column 'val/acc'; there are "),
        ({"sort": "-val/acc"}, ", config.<key>, summary.<key>"),
        ({"sort": "labels"}, "'labels' holds lists, which have no order"),
        ({"group_by": "labels"}, "'labels' holds lists: no groups of it"),
        ({"limit": 0}, "limit= must be at least 1"),
        ({"sort": ""}, "sort= '' is empty"),
        ({"project": []}, "name a project"),
        ({"project": [SWEEP, DIGITS], "page": 1}, "page= is for one project, not for 2"),
    ],
)
def test_what_cannot_be_arranged(
    api: se.Api[pa.Table], arguments: dict[str, Any], why: str
) -> None:
    """The error names the argument and the column."""
    with pytest.raises(se.UsageError) as caught:
        api.run.list(**({"project": SWEEP} | arguments))
    assert why in caught.value.message


def test_raw_is_not_arranged(call: Callable[..., Result]) -> None:
    """What the server sent has its own order."""
    done = call("run", "list", SWEEP, "--raw", "--sort", "name")
    assert done.exit_code == 2
    assert "--raw prints what the server sent: no --sort" in done.stderr


def test_lists_are_lists_in_json(call: Callable[..., Result]) -> None:
    """A config that is a list in each run is one in JSON, and JSON text elsewhere."""
    words = ("run", "list", SWEEP, "--limit", "1", "--fields", "config.hidden,name")
    assert json.loads(call(*words).stdout)[0]["config.hidden"] == [32]
    assert json.loads(call(*words, "--sort", "name", "--format", "jsonl").stdout)[
        "config.hidden"
    ] in ([8], [32])
    assert rows(call(*words, "--format", "csv"))[0]["config.hidden"] == "[32]"
    grouped = json.loads(call("run", "list", SWEEP, "--group-by", "config.hidden,name").stdout)
    assert {tuple(row["config.hidden"]) for row in grouped} == {(8,), (32,)}
    text = call("run", "list", DIGITS, "--fields", "config.tag", "--all").stdout
    assert {type(row["config.tag"]) for row in json.loads(text)} == {str, type(None)}
