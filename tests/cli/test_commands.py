"""Every command, from the command line and from Python, on the sandbox."""

from __future__ import annotations

import io
import json
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from official import find_python

import swanlab_export as se
from swanlab_export.cli.main import root

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox

RUN = "ada-lab/digits/mlp-adam"
Call = Callable[..., Result]
Python = Callable[[Any], Any]


USERS = Path(__file__).parents[1] / "support" / "users.csv"
COMMANDS: list[tuple[list[str], Python]] = [
    (["workspace", "info", "ada-lab"], lambda a: a.workspace.info("ada-lab")),
    (["workspace", "list"], lambda a: a.workspace.list()),
    (["workspace", "list", "bob"], lambda a: a.workspace.list("bob")),
    (["project", "info", "ada-lab/digits"], lambda a: a.project.info("ada-lab/digits")),
    (["project", "list", "--workspace", "ada-lab"], lambda a: a.project.list("ada-lab", page=1)),
    (
        ["project", "list", "--all", "--sort", "name"],
        lambda a: a.project.list(all=True, sort="name"),
    ),
    (["run", "info", RUN], lambda a: a.run.info(RUN)),
    (["run", "list", "-p", "ada-lab/digits"], lambda a: a.run.list("ada-lab/digits", page=1)),
    (["run", "list", "ada-lab/sweep", "--all"], lambda a: a.run.list("ada-lab/sweep", all=True)),
    (["run", "list", "ada-lab/empty", "--all"], lambda a: a.run.list("ada-lab/empty", all=True)),
    (
        ["run", "list", "ada-lab/digits", "--summary", "loss,acc", "--all"],
        lambda a: a.run.list("ada-lab/digits", summary="loss,acc", all=True),
    ),
    (
        ["run", "filter", "ada-lab/digits", "-f", "state=FINISHED", "-f", "config.lr>=0.1"],
        lambda a: a.run.filter("ada-lab/digits", {"state": "FINISHED", "config.lr >=": 0.1}),
    ),
    (
        ["run", "metrics", RUN, "--keys", "loss,val/acc", "--all"],
        lambda a: a.run.metrics(RUN, keys="loss,val/acc", all=True),
    ),
    (
        ["run", "metrics", RUN, "--keys", "loss", "--sample", "10"],
        lambda a: a.run.metrics(RUN, keys="loss", sample=10),
    ),
    (
        ["run", "metrics", RUN, "--keys", "loss,val/*", "--layout", "wide", "--range-tail", "7"],
        lambda a: a.run.metrics(RUN, keys=["loss", "val/*"], layout="wide", range_tail=7),
    ),
    (["run", "summary", RUN], lambda a: a.run.summary(RUN)),
    (
        ["run", "summary", "-p", "ada-lab/digits", "--keys", "loss"],
        lambda a: a.run.summary(project="ada-lab/digits", keys="loss"),
    ),
    (["run", "series", RUN, "--type", "MEDIA"], lambda a: a.run.series(RUN, metric_type="MEDIA")),
    (["run", "columns", RUN, "--all"], lambda a: a.run.columns(RUN, all=True)),
    (["run", "column", RUN, "--key", "loss"], lambda a: a.run.column(RUN, "loss")),
    (
        ["run", "logs", "ada-lab/digits/crashed", "--level", "ERROR"],
        lambda a: a.run.logs("ada-lab/digits/crashed", level="ERROR", offset=0),
    ),
    (
        ["run", "logs", "ada-lab/digits/mlp-long", "--all", "--ignore-timestamp"],
        lambda a: a.run.logs("ada-lab/digits/mlp-long", all=True, ignore_timestamp=True),
    ),
    (["user", "info"], lambda a: a.user.info()),
    (["self-hosted", "info"], lambda a: a.self_hosted.info()),
    (["self-hosted", "summary"], lambda a: a.self_hosted.summary()),
    (["self-hosted", "list-users", "--all"], lambda a: a.self_hosted.list_users(all=True)),
    (
        ["self-hosted", "list-projects", "--search", "s"],
        lambda a: a.self_hosted.list_projects(search="s", page=1),
    ),
    (["self-hosted", "list-workspaces"], lambda a: a.self_hosted.list_workspaces(page=1)),
    (
        ["run", "medias", RUN, "--keys", "val/confusion", "--all"],
        lambda a: a.run.medias(RUN, keys="val/confusion", all=True),
    ),
    (["run", "export-logs", RUN, "-r", "7"], lambda a: a.run.export_logs(RUN, rows=7)),
    (
        ["project", "create", "-n", "by-command", "-w", "ada-lab"],
        lambda a: a.project.create("by-python", workspace="ada-lab"),
    ),
    (
        ["self-hosted", "create-user", "-u", "by-command", "-p", "correct horse"],
        lambda a: a.self_hosted.create_user("by-python", "correct horse"),
    ),
    (["self-hosted", "create-users", str(USERS)], lambda a: a.self_hosted.create_users(USERS)),
]
# Signed again for each response, or of what each interface has created for itself.
SIGNED = ["url"]
OWN = ["name", "path", "project_id", "url", "created_at", "updated_at", "username"]


def test_every_command_is_compared() -> None:
    """No command of the tree is left out of the comparison of both interfaces."""
    tree = root.get_command(click.Context(root), "api")
    assert isinstance(tree, click.Group)
    context = click.Context(tree)
    groups = {name: tree.get_command(context, name) for name in tree.list_commands(context)}
    known = {
        (name, command)
        for name, group in groups.items()
        if isinstance(group, click.Group)
        for command in group.list_commands(context)
    }
    assert {tuple(words[:2]) for words, _ in COMMANDS} == known


@pytest.mark.parametrize(("words", "python"), COMMANDS, ids=[" ".join(c[0]) for c in COMMANDS])
def test_both_interfaces_give_the_same_table(
    words: list[str], python: Python, call: Call, api: Any, tmp_path: Path
) -> None:
    """A saved Parquet file holds exactly what the Python call returns."""
    path = tmp_path / "t.parquet"
    result = call(*words, "--save", str(path))
    assert result.exit_code == 0, result.output
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", se.SwanlabExportWarning)
        expected = python(api)
    found = pq.read_table(path)
    assert found.schema.remove_metadata() == expected.schema.remove_metadata()
    metadata = [json.loads(table.schema.metadata[b"swanlab_export"]) for table in (found, expected)]
    for each in metadata:
        assert each["source"].pop("fetched_at_ms") > 0
        for name in ("path", "options"):
            each["source"][name] = str(each["source"][name]).replace("by-python", "by-command")
    assert metadata[0] == metadata[1]
    volatile = {"create": OWN, "create-user": OWN, "medias": SIGNED, "export-logs": SIGNED}.get(
        words[1], []
    )
    kept = [name for name in found.schema.names if name not in volatile]
    # As frames: Arrow says that NaN differs from NaN.
    pd.testing.assert_frame_equal(
        found.select(kept).to_pandas(), expected.select(kept).to_pandas(), check_dtype=True
    )


def test_medias_are_listed_and_downloaded(server: Sandbox, api: Any, tmp_path: Path) -> None:
    """The table holds where each file went, and the files are those of the run."""
    folder = tmp_path / "media"
    found = api.run.medias(RUN, keys="val/confusion", all=True, download=str(folder))
    assert found.num_rows >= 3
    for row in found.to_pylist():
        body = Path(row["file"]).read_bytes()
        assert body.startswith(b"\x89PNG")
        assert len(body) == row["size_bytes"]
    assert not [path for path in folder.rglob("*") if ".part" in path.name]
    assert server.leaks == []


def test_a_clone_has_the_points_of_its_original(api: Any) -> None:
    """The root ids of a clone are passed on with every data request."""
    clone = api.run.metrics("ada-lab/digits/mlp-clone", keys="loss", all=True)
    root_id = api.run.info("ada-lab/digits/mlp-clone")["root_exp_id"][0].as_py()
    original = api.run.metrics(f"ada-lab/digits/{root_id}", keys="loss", all=True)
    assert clone["value"].equals(original["value"])


def test_divergence_survives(api: Any, call: Call) -> None:
    """NaN and infinities are values in a table, and differ in text."""
    values = api.run.metrics("ada-lab/digits/diverged", keys="loss", all=True)["value"].to_pandas()
    assert values.isna().any()
    assert (values == float("inf")).any()
    text = call(
        "run",
        "metrics",
        "ada-lab/digits/diverged",
        "--keys",
        "loss",
        "--all",
        "--format",
        "csv",
    ).stdout
    assert ",inf," in text
    assert ",NaN," in text


def test_all_runs_in_one_table(api: Any) -> None:
    """All runs of a project come as one table, those without the key left out with a hint."""
    with pytest.warns(se.SwanlabExportWarning, match="runs have loss"):
        found = api.run.metrics(project="ada-lab/digits", keys="loss", all=True)
    frame: pd.DataFrame = found.to_pandas()
    assert frame["run_id"].nunique() > 10
    assert frame.groupby("run_id")["step"].is_monotonic_increasing.all()


def test_listing_costs_pages_and_one_project_request(server: Sandbox, call: Call) -> None:
    """130 runs cost one login, one project request and two pages."""
    assert call("run", "list", "ada-lab/sweep", "--all").exit_code == 0
    paths = [record.path for record in server.requests]
    assert sorted(paths) == [
        "/login/api_key",
        "/project/ada-lab/sweep",
        "/project/ada-lab/sweep/runs",
        "/project/ada-lab/sweep/runs",
    ]


def test_a_head_stops_the_download(api: Any) -> None:
    """The first three points of 20,480 do not need the rest of the file."""
    found = api.run.metrics("ada-lab/digits/mlp-long", keys="loss", range_head=3)
    assert found["step"].to_pylist() == [0, 1, 2]


def test_json_is_one_record_per_line(call: Call) -> None:
    """A list prints as an array that line tools can read, one entity as an object."""
    listed = call("run", "list", "ada-lab/digits", "--fields", "slug,state").stdout
    assert json.loads(listed)[0].keys() == {"slug", "state"}
    assert len(listed.splitlines()) == len(json.loads(listed)) + 2
    assert json.loads(call("user", "info").stdout)["username"] == "ada"


def test_raw_is_what_the_server_sent(call: Call) -> None:
    """``--raw`` keeps the names and the nesting of the payload."""
    raw = json.loads(call("run", "info", RUN, "--raw").stdout)
    assert raw["ok"] is True
    assert raw["data"]["profile"]["config"]
    assert "cuid" in raw["data"]


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["run", "metrics", RUN, "--keys", "lss", "--all"], 4, "'loss'"),
        (["run", "metrics", RUN, "--keys", "val/confusion"], 4, "run medias"),
        (["run", "info", "ada-lab/digits/nobody"], 4, "资源未找到"),
        (["run", "info", "digits"], 2, "WORKSPACE/PROJECT/RUN"),
        (["run", "metrics", RUN, "--keys", "loss", "--save", "x.xls"], 2, ".parquet"),
        (["run", "metrics", RUN, "--keys", "loss", "--range-head", "1", "--range-tail", "1"], 2, "--range-tail"),
        (["run", "metrics", RUN, "--keys", "loss", "--range-start", "-1"], 2, "--range-start"),
        (["run", "metrics", RUN, "--keys", "loss", "--x-axis", "auto", "--all"], 2, "--x-axis"),
        (["run", "list", "ada-lab/digits", "--fields", "nme"], 2, "name"),
        (["run", "filter", "ada-lab/digits", "-f", '[{"key":"a"}]'], 2, "rule 0"),
        (["project", "create", "-n", "ümlaut"], 2, "--name"),
        (["project", "create", "-n", "digits", "-w", "ada-lab"], 1, "409"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(words: list[str], exit_code: int, said: str, call: Call) -> None:
    """An error is one line that names the argument, with the exit code of its kind."""
    result = call(*words)
    assert result.exit_code == exit_code, result.output
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def _official_tree() -> dict[str, list[str]]:
    """Ask the official client for its commands and options, in a process of its own."""
    code = """
import click, json
from swanlab.cli import cli
def walk(command, path):
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            yield from walk(command.get_command(None, name), [*path, name])
    else:
        yield ' '.join(path), [o for p in command.params for o in (p.opts if isinstance(p, click.Option) else [])]
print(json.dumps(dict(walk(cli.get_command(None, 'api'), ['api']))))
"""
    done = subprocess.run(
        [find_python("0.10.3"), "-W", "ignore", "-c", code], capture_output=True, check=True
    )
    tree: dict[str, list[str]] = json.loads(done.stdout)
    return tree


def _ours(path: str) -> list[str]:
    command: click.Command | None = root
    for name in path.split():
        assert isinstance(command, click.Group), path
        command = command.get_command(click.Context(command), name)
    assert command is not None, f"no command {path}"
    assert command.help, f"{path} has no help"
    return [option for param in command.params for option in param.opts]


@pytest.mark.referee
def test_every_official_command_and_option_exists() -> None:
    """Nothing that the official client accepts is refused here."""
    tree = _official_tree()
    assert len(tree) > 20
    for path, options in tree.items():
        missing = {o for o in options if o.startswith("-")} - set(_ours(path))
        assert not missing, f"{path} lacks {missing}"


def test_a_notebook_reader_gets_types(server: Sandbox) -> None:
    """Pandas has plain text for ids and keys, UTC times and nullable integers."""
    with se.connect(host=server.url, api_key=server.api_key) as api:
        found = api.run.metrics(RUN, keys="loss", all=True)
        text = pd.Series(["text"]).dtype
        assert {found[name].dtype for name in ("run_id", "key", "run_name")} == {text}
        assert found.drop(columns=["run_id", "key", "run_name"]).dtypes.astype(str).to_dict() == {
            "step": "Int64",
            "value": "float64",
            "timestamp": "datetime64[ms, UTC]",
        }
        assert found.attrs["command"] == "run metrics"
        assert server.api_key not in repr(found.attrs) + repr(api)


def test_stdout_and_file_hold_the_same_bytes(call: Call, tmp_path: Path) -> None:
    """``--format csv`` prints what ``--save x.csv`` saves."""
    words = ["run", "metrics", RUN, "--keys", "loss", "--all"]
    path = tmp_path / "x.csv"
    assert call(*words, "--save", str(path)).exit_code == 0
    printed = call(*words, "--format", "csv")
    assert printed.stdout_bytes == path.read_bytes()
    assert len(pd.read_csv(io.BytesIO(printed.stdout_bytes))) == 880
