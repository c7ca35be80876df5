"""A backup that is served again: every table that a command gives is the one of its server."""

from __future__ import annotations

import inspect
import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from official import Official, Referee

import swanlab_export as se
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

DIGITS = "ada-lab/digits"
RUN = f"{DIGITS}/mlp-adam"
ODD = f"{DIGITS}/diverged"
CLONE = f"{DIGITS}/mlp-clone"
FAR_CLONE = "vision-team/segmentation/digits-clone"
LIST = {"all": True}
PAGE = {"page": 1, "page_size": 10}
# Options of every list that are about its table.
SHAPED = {"varying": True, "limit": 50, "partial": True}
KEYS = {"keys": "loss,acc"}

# Every method that reads, with its arguments and options.
CASES: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("workspace.info", ("ada-lab",), {}),
    ("workspace.info", ("bob",), {}),
    ("workspace.list", (), {}),
    ("workspace.list", (), {"username": "ada"}),
    ("workspace.list", (), {"sort": "-name", **SHAPED}),
    ("project.info", (DIGITS,), {}),
    ("project.list", (), {}),
    ("project.list", (), {"workspace": "ada-lab", "search": "dig", **PAGE}),
    ("project.list", (), {"workspace": "ada-lab", "sort": "name", **LIST}),
    ("project.list", (), {"workspace": "vision-team", "limit": 1}),
    ("project.list", (), {"workspace": "ada-lab", **SHAPED}),
    ("run.list", (DIGITS,), {"summary": True, **LIST}),
    ("run.list", (DIGITS,), {"summary": "loss,val/acc", **PAGE}),
    ("run.list", (DIGITS,), {"summary": "loss", "partial": True, **LIST}),
    ("run.list", (DIGITS,), {"limit": 3}),
    ("run.list", ("vision-team/segmentation",), {"where": "state=FINISHED"}),
    ("run.list", ("ada-lab/empty",), {}),
    ("run.list", (DIGITS,), {"config": "json"}),
    ("run.filter", (DIGITS,), {"where": ["state=FINISHED"], "config": "json"}),
    ("run.list", (DIGITS,), {"sort": "-config.lr", **SHAPED}),
    ("run.list", (DIGITS,), {"group_by": "config.optimizer", "summary": "loss"}),
    ("run.filter", (DIGITS,), {"where": ["config.lr>=0.01", "state=FINISHED"], "summary": "acc"}),
    # The sandbox does not filter a clone by what its original logged.
    ("run.filter", (DIGITS,), {"where": ["summary.loss<1", "name!=mlp-clone"]}),
    ("run.filter", (DIGITS,), {"where": "created_at>=2026-01-09", "partial": True}),
    ("run.filter", (DIGITS,), {"where": "state=FINISHED", "sort": "name", **SHAPED}),
    ("run.filter", (DIGITS,), {"where": "state=FINISHED", "group_by": "state", "summary": "loss"}),
    *(("run.info", (path,), {}) for path in (RUN, ODD, CLONE, FAR_CLONE, f"{DIGITS}/big-seed")),
    ("run.metrics", (RUN, ODD), KEYS),
    ("run.metrics", (RUN,), {"sample": 50, "x_axis": "time", **KEYS}),
    ("run.metrics", (RUN,), {"x_axis": "relative_time", **KEYS}),
    ("run.metrics", (RUN,), {"x_axis": "acc", "keys": "loss", **LIST}),
    ("run.metrics", (RUN, ODD, CLONE), KEYS | LIST),
    ("run.metrics", (FAR_CLONE,), {"keys": "loss", "layout": "wide", **LIST}),
    ("run.metrics", (f"{DIGITS}/mlp-long",), {"keys": "*", "ignore_timestamp": True, **LIST}),
    ("run.metrics", (RUN,), {"range_start": 3, "range_end": 9, "range_type": "step", **KEYS}),
    ("run.metrics", (RUN,), {"range_head": 5, "text": True, **KEYS}),
    ("run.metrics", (RUN,), {"range_tail": 5, **KEYS}),
    ("run.metrics", (RUN,), {"range_last": 10**13, **KEYS}),
    ("run.metrics", (), {"project": DIGITS, "where": "state=FINISHED", "partial": True, **KEYS}),
    ("run.metrics", (RUN, ODD), {"smooth": 0.5, "run_columns": "config.lr,state", **KEYS}),
    ("run.metrics", (RUN, ODD), {"group_by": "config.optimizer", **KEYS, **LIST}),
    ("run.summary", (RUN, ODD, CLONE, FAR_CLONE), {}),
    ("run.summary", (RUN, ODD), {"sort": "-value", "run_columns": "config.lr", **SHAPED}),
    ("run.summary", (), {"project": DIGITS, "keys": "loss", "where": "name~mlp", "partial": True}),
    ("run.series", (RUN,), {}),
    ("run.series", (CLONE,), {"metric_type": "MEDIA"}),
    ("run.series", (RUN,), {"metric_class": "SYSTEM", "search": "cpu", "partial": True}),
    ("run.columns", (RUN,), {"column_class": None, **LIST}),
    ("run.columns", (RUN,), {"column_class": "SYSTEM", "search": "mem", **PAGE}),
    ("run.columns", (CLONE,), {"column_type": "IMAGE", "limit": 1}),
    ("run.columns", (RUN,), {"sort": "name", **SHAPED}),
    ("run.column", (RUN, "acc"), {"column_class": "CUSTOM", "column_type": "FLOAT"}),
    ("run.medias", (RUN,), {"keys": "val/confusion,val/wrong digits", **LIST}),
    (
        "run.medias",
        (RUN,),
        {"keys": "val/confusion", "step": 43, "run_columns": "name", "partial": True},
    ),
    ("run.medias", (FAR_CLONE,), {"keys": "val/confusion", **LIST}),
    ("run.logs", (f"{DIGITS}/mlp-long",), LIST),
    ("run.logs", (f"{DIGITS}/mlp-long",), {"offset": 1, "level": "DEBUG", "run_columns": "name"}),
    (
        "run.logs",
        (f"{DIGITS}/crashed",),
        {"level": "ERROR", "ignore_timestamp": True, "partial": True},
    ),
    ("run.logs", (CLONE,), {}),
    ("run.export_logs", (RUN,), {"start": 2, "rows": 5, "partial": True}),
    ("user.info", (), {}),
    ("self_hosted.info", (), {}),
    ("self_hosted.list_users", (), LIST),
    ("self_hosted.list_users", (), PAGE),
    ("self_hosted.list_users", (), {"sort": "name", **SHAPED}),
    ("self_hosted.list_projects", (), LIST),
    ("self_hosted.list_projects", (), {"search": "s", "workspace": "ada-lab", **PAGE}),
    ("self_hosted.list_projects", (), {"sort": "name", **SHAPED}),
    ("self_hosted.list_workspaces", (), LIST),
    ("self_hosted.list_workspaces", (), {"search": "lab", **PAGE}),
    ("self_hosted.list_workspaces", (), {"sort": "name", **SHAPED}),
]
# What is saved to files is compared in tests of its own; and what no backup can know.
ELSEWHERE = {
    "run.metrics": {"save", "log_scale", "title", "size", "color_by"},
    "run.medias": {"download"},
    "run.export_logs": {"save", "store_options"},
    "self_hosted.list_projects": {"creator"},
    "self_hosted.summary": set(),
}
# What is done with the rows that came, wherever they came from.
ON_THIS_SIDE = {"partial", "sort", "limit", "varying", "group_by", "run_columns", "smooth"}
ON_THIS_SIDE |= {"text", "title", "size", "color_by"}
ON_THIS_SIDE |= {"text", "title", "size", "color_by", "snapshot"}
PLACES = ("url", "file")
# A backup is deterministic: it keeps these in an order of its own.
UNORDERED = ("self_hosted.list_users", "self_hosted.list_projects", "self_hosted.list_workspaces")


@pytest.fixture(scope="module")
def plain() -> Iterator[Sandbox]:
    """A sandbox without generated runs, whose storage ignores cookies, as real ones do."""
    with Sandbox(faults=parse_faults(["lenient=1"])) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def api(plain: Sandbox) -> Iterator[se.Api[pa.Table]]:
    """A connection to the server that is backed up."""
    with se.connect(host=plain.url, api_key=plain.api_key, frame="arrow") as connected:
        yield connected


@pytest.fixture(scope="module")
def folder(api: se.Api[pa.Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the instance, but for the sweep, whose runs are many and much alike."""
    folder: Path = tmp_path_factory.mktemp("backup") / "all"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", se.SwanlabExportWarning)  # of projects without such runs
        report: Any = se.backup(api, to=folder, instance=True, where="name!~-lr")
    assert report["error"].null_count == len(report) > 20
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[se.Api[pa.Table]]:
    """A connection to the backup, served."""
    with se.connect(host=f"backup:{folder}", frame="arrow") as api:
        yield api


def call(api: se.Api[pa.Table], name: str, args: tuple[str, ...], options: dict[str, Any]) -> Any:
    """What a method gives: its columns, its rows without places, and its warnings."""
    resource, _, method = name.partition(".")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = getattr(getattr(api, resource), method)(*args, **options)
    kept = table.drop_columns([place for place in PLACES if place in table.column_names])
    rows = [repr(row) for row in kept.to_pylist()]
    said = [str(each.message) for each in caught]
    return table.schema, sorted(rows) if name in UNORDERED else rows, said


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case[0]} {i}") for i, case in enumerate(CASES)]
)
def test_a_table_from_the_backup_is_that_of_the_server(
    case: tuple[str, tuple[str, ...], dict[str, Any]],
    api: se.Api[pa.Table],
    served: se.Api[pa.Table],
) -> None:
    """Columns, types, rows, their order and what is warned of are the same."""
    assert call(served, *case) == call(api, *case)


def test_every_method_that_reads_is_compared(served: se.Api[pa.Table]) -> None:
    """So are all of their options."""
    compared: dict[str, set[str]] = {name: set(used) for name, used in ELSEWHERE.items()}
    for name, _, options in CASES:
        compared.setdefault(name, set()).update(options)
    for resource in ("workspace", "project", "run", "user", "self_hosted"):
        for name, method in inspect.getmembers(getattr(served, resource), inspect.ismethod):
            if name.startswith(("_", "create")):
                continue
            names = {
                each.name
                for each in inspect.signature(method).parameters.values()
                if each.default is not each.empty
            }
            assert names - ON_THIS_SIDE <= compared[f"{resource}.{name}"], f"{resource}.{name}"


@pytest.mark.parametrize("path", [RUN, CLONE, FAR_CLONE, f"{DIGITS}/crashed"])
def test_saved_files_are_equal(
    path: str, api: se.Api[pa.Table], served: se.Api[pa.Table], tmp_path: Path
) -> None:
    """Logs and media that are saved have the same names and the same bytes."""
    for name, each in (("server", api), ("backup", served)):
        (tmp_path / name).mkdir()
        each.run.export_logs(path, save=tmp_path / name / "log.log")
        if path != f"{DIGITS}/crashed":
            each.run.medias(path, keys="val/confusion", all=True, download=tmp_path / name)
    files = [
        {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*.*")}
        for root in (tmp_path / "server", tmp_path / "backup")
    ]
    assert files[0] == files[1]
    assert files[0]


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("project.create", ("new",), "nothing be created"),
        ("self_hosted.create_user", ("new", "correct horse"), "nothing be created"),
    ],
)
def test_nothing_is_created_in_a_backup(
    name: str, args: tuple[str, ...], said: str, served: se.Api[pa.Table]
) -> None:
    """A create is refused, in the words of why."""
    resource, _, method = name.partition(".")
    with pytest.raises(se.SwanlabExportError, match=said):
        getattr(getattr(served, resource), method)(*args)


def test_who_created_a_project_is_not_known(served: se.Api[pa.Table]) -> None:
    """A backup does not hold it, and says so."""
    with pytest.raises(se.SwanlabExportError, match="does not hold who created"):
        served.self_hosted.list_projects(creator="ada")


WORDS = [
    ["workspace", "info", "ada-lab"],
    ["project", "list", "--workspace", "ada-lab", "--all"],
    ["run", "info", RUN],
    # Of ada-lab/digits it cannot print a config with an integer beyond 64 bits.
    ["run", "list", "vision-team/segmentation", "--all"],
    ["run", "metrics", RUN, "--keys", "acc,loss", "--all"],
    ["run", "metrics", CLONE, "--keys", "loss"],
    ["run", "summary", ODD],
    ["run", "series", RUN],
    ["run", "columns", RUN, "--all"],
    ["run", "medias", CLONE, "--keys", "val/confusion", "--all"],
    ["run", "logs", ODD, "--level", "WARN"],
    ["user", "info"],
    ["self-hosted", "list-users", "--all"],
]


@pytest.mark.referee
def test_the_official_client_reads_it_too(
    folder: Path, plain: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It prints the same for the backup and for the server, URLs aside."""
    with (
        Official("0.10.3", tmp_path_factory.mktemp("home")) as client,
        Sandbox(folder, faults=plain.faults) as backup,
    ):
        for words in WORDS:
            theirs, ours = (Referee(client, each).command(*words) for each in (plain, backup))
            assert drop_urls(theirs) == drop_urls(ours), words


def drop_urls(data: Any) -> str:
    """What was printed, without the URLs in it."""

    def keep(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: keep(each) for name, each in value.items() if name != "url"}
        return [keep(each) for each in value] if isinstance(value, list) else value

    return json.dumps(keep(data), sort_keys=True)
