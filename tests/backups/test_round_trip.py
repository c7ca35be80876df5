"""A backup that is served again: every table that a command gives is the one of its server."""

from __future__ import annotations

import inspect
import json
import warnings
from typing import TYPE_CHECKING, Any

import click
import pytest
from official import Official, Referee
from reading_calls import CASES, CLONE, DIGITS, FAR_CLONE, ODD, RUN

import swanlab_export as se
from swanlab_export.cli.commands import SharedOption
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

# What is saved to files is compared in tests of its own; and what no backup can know.
ELSEWHERE = {
    "run.metrics": {"save", "store_options", "log_scale", "title", "size", "color_by"},
    "run.medias": {"download"},
    "run.export_logs": {"save", "store_options"},
    "self_hosted.list_projects": {"creator"},
    "self_hosted.summary": set(),
}
# What is done with the rows that came, wherever they came from.
ON_THIS_SIDE = {"partial", "sort", "limit", "varying", "group_by", "run_columns", "smooth"}
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


def leaves(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Each command below a group, and its method: ``run.export_logs``."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from leaves(child, *path, name.replace("-", "_"))
    else:
        yield ".".join(path), command


def test_every_command_and_option_is_a_method_that_is_compared(served: se.Api[pa.Table]) -> None:
    """An option of the command line that no method takes would be compared by nothing."""
    api = root.get_command(click.Context(root), "api")
    assert api is not None
    found = {
        name: {each.name for each in command.params if not isinstance(each, SharedOption)}
        for name, command in leaves(api)
        if ".create" not in name
    }
    assert len(found) >= 21
    compared = {name for name, _, _ in CASES} | set(ELSEWHERE)
    assert found.keys() <= compared
    for name, options in found.items():
        resource, _, method = name.partition(".")
        parameters = inspect.signature(getattr(getattr(served, resource), method)).parameters
        assert options - {"projects"} <= parameters.keys(), name  # another form of --project


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


RULE = '[{"key": "state", "type": "STABLE", "op": "EQ", "value": ["FINISHED"]}]'
WORDS = [
    ["workspace", "info", "ada-lab"],
    ["project", "info", DIGITS],
    ["project", "list", "--workspace", "ada-lab", "--all"],
    ["run", "info", RUN],
    # Of ada-lab/digits it cannot print a config with an integer beyond 64 bits.
    ["run", "list", "vision-team/segmentation", "--all"],
    ["run", "metrics", RUN, "--keys", "acc,loss", "--all"],
    ["run", "metrics", CLONE, "--keys", "loss"],
    ["run", "summary", ODD],
    ["run", "series", RUN],
    ["run", "columns", RUN, "--all"],
    ["run", "column", RUN, "--key", "acc"],
    ["run", "medias", CLONE, "--keys", "val/confusion", "--all"],
    ["run", "logs", ODD, "--level", "WARN"],
    ["user", "info"],
    ["self-hosted", "info"],
    ["run", "filter", "vision-team/segmentation", "--filter_query", RULE],
    ["run", "export-logs", RUN],
    ["self-hosted", "list-users", "--all"],
    ["self-hosted", "list-projects", "--all"],
    ["self-hosted", "list-workspaces", "--all"],
]
# Usage totals are those of the server, and a backup takes no runs or users.
NOT_COMPARED = {"self-hosted summary", "project create", "self-hosted create-user"}
OFFICIAL_COMMANDS = """sorted(
    f"{name} {each}"
    for name, group in __import__("swanlab.cli", fromlist=["cli"]).cli.commands["api"].commands.items()
    for each in group.commands
)"""


@pytest.mark.referee
def test_the_official_client_reads_it_too(
    folder: Path, plain: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It prints the same for the backup and for the server, URLs aside."""
    with (
        Official("0.10.3", tmp_path_factory.mktemp("home")) as client,
        Sandbox(folder, faults=plain.faults) as backup,
    ):
        known = set(Referee(client, backup).api(OFFICIAL_COMMANDS)) - NOT_COMPARED
        assert known == {" ".join(words[:2]) for words in WORDS}
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
