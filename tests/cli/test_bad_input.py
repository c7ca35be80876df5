"""Bad input: whatever is given to an argument, a plain refusal or a result."""

from __future__ import annotations

import unicodedata
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_server import KEY, LOGIN, SID, Asked, RawServer, reply_json

import swanlab_export as se
from swanlab_export.cli.commands import SharedOption
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "ada-lab/digits/linear"
# A command line that works, for every command: one of its values is then replaced.
GOOD: dict[str, list[str]] = {
    "workspace info": ["ada-lab"],
    "workspace list": [],
    "project info": ["ada-lab/digits"],
    "project list": ["--workspace", "ada-lab"],
    "project create": ["--name", "made", "--workspace", "ada-lab"],
    "run info": [RUN],
    "run list": ["ada-lab/digits"],
    "run filter": ["ada-lab/digits", "-f", "state=CRASHED"],
    "run metrics": [RUN, "--keys", "loss"],
    "run summary": [RUN],
    "run series": [RUN],
    "run columns": [RUN],
    "run column": [RUN, "--key", "loss"],
    "run medias": ["ada-lab/digits/mlp-adam", "--keys", "val/confusion"],
    "run logs": [RUN],
    "run export-logs": [RUN],
    "user info": [],
    "self-hosted info": [],
    "self-hosted summary": [],
    "self-hosted create-user": ["--username", "made", "--password", "pw"],
    "self-hosted create-users": [str(Path(__file__).parents[1] / "support" / "users.csv")],
    "self-hosted list-users": [],
    "self-hosted list-projects": [],
    "self-hosted list-workspaces": [],
}
# How many requests in flight, how long and how often: any number there is, and slow to try.
SKIPPED = {"timeout", "retries", "jobs"}
EXIT_CODES = {0, 1, 2, 3, 4, 5, 6}
ODD = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "", " ", "-", "--", "-1", "0", "1e400", "nan", "inf", "10" * 20, "1.5", "..", "../..",
            "/", "a/b/c/d/e", "a//b", "\x1b[2J", "\u202etxt", "x\ny", "null", "[]", "{}", "[1]",
            "https://", "http://[::1", "https://swanlab.cn/@a/b/runs/c/chart?x=1#y", "@a/b",
            "state=", "=x", "config.=1", "*", "[", "a" * 3000, "loss,,loss", "%00", "学/习/率",
            "/dev/null", "C:\\x.csv", "x.parquet.gz", "NUL.csv", "no/such/folder/x.csv",
        ]
    ),
)  # fmt: skip


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _commands(child, (*path, name))


_api = root.get_command(click.Context(root), "api")
assert _api is not None
TREE = dict(_commands(_api, ()))
PARAMS = [
    (name, param)
    for name, command in TREE.items()
    for param in command.params
    if param.name not in SKIPPED and not (isinstance(param, click.Option) and param.is_flag)
]
PLACES = [
    (name, param.name or "", max(param.opts, key=len) if isinstance(param, click.Option) else "")
    for name, param in PARAMS
    if not isinstance(param, SharedOption)
]
# One piece of code reads these for every command.
SHARED = sorted(
    {max(param.opts, key=len) for _, param in PARAMS if isinstance(param, SharedOption)}
)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One sandbox for the module."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module", autouse=True)
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A working folder of its own: some of what is thrown is a file name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("away"))
        yield


def call(server: Sandbox, *words: str) -> Result:
    """Run a command against the sandbox, with what its words do not say themselves."""
    access = {"--host": server.url, "--api-key": server.api_key, "--retries": "0"}
    missing = [each for option in access.items() if option[0] not in words for each in option]
    return CliRunner().invoke(root, ["api", *words[:2], *missing, *words[2:]], input="\n")


def check(done: Result) -> None:
    """Neither a traceback, nor silence, nor control characters; a known exit code."""
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in EXIT_CODES
    assert "Traceback" not in done.output
    assert "unexpected" not in done.stderr, done.stderr
    controls = {c for c in done.stderr if unicodedata.category(c) == "Cc"} - {"\n"}
    assert not controls, done.stderr
    assert done.stdout or done.stderr


def test_every_command_has_a_good_line() -> None:
    """The lines that are spoilt below work as they stand."""
    assert GOOD.keys() == TREE.keys()
    with Sandbox() as fresh:
        for name, words in GOOD.items():
            assert call(fresh, *name.split(), *words).exit_code == 0, name


few = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize(
    ("name", "param", "option"), PLACES, ids=[f"{p[0]} {p[1]}" for p in PLACES]
)
@few
@given(value=ODD)
def test_anything_at_any_argument(
    name: str, param: str, option: str, value: str, server: Sandbox
) -> None:
    """A generated text at any argument: refused with its name or value, or taken."""
    try_value(name, option, value, server)


@pytest.mark.parametrize("option", SHARED)
@settings(few, max_examples=48)
@given(name=st.sampled_from(sorted(GOOD)), value=ODD)
def test_anything_at_an_option_of_every_command(
    option: str, name: str, value: str, server: Sandbox
) -> None:
    """The same at an option that all commands share, of any of them."""
    try_value(name, option, value, server)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, max(param.opts, key=len))
        for name, param in PARAMS
        if isinstance(param.type, (type(click.INT), type(click.FLOAT)))
        and not isinstance(param, SharedOption)
    ],
)
@pytest.mark.parametrize("value", ["1" + "0" * 40, "-1" + "0" * 40], ids=["large", "negative"])
def test_a_number_of_any_size(name: str, option: str, value: str, server: Sandbox) -> None:
    """A number that nothing has so many of, or that no machine can count to."""
    try_value(name, option, value, server)


def try_value(name: str, option: str, value: str, server: Sandbox) -> None:
    """Run a command with a value at an option, or at its first argument."""
    words = list(GOOD[name])
    if not option:
        words = [value, *words[1:]]
    elif option in words:
        words[words.index(option) + 1] = value
    else:
        words += [option, value]
    if "\0" in value and option == "--save":
        return
    done = call(server, *name.split(), *words)
    check(done)
    if done.exit_code == 2:
        assert done.stderr.startswith(("error: ", "Usage: "))


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["run", "list", "ada-lab/digits", "-n", "0"], 2, "--page"),
        (["run", "list", "ada-lab/digits", "-n", "-1"], 2, "--page"),
        (["run", "list", "ada-lab/digits", "-n", "1" + "0" * 30], 2, "--page"),
        (["run", "list", "ada-lab/digits", "-s", "11"], 2, "--page_size"),
        (["run", "list", "ada-lab/nothing"], 4, "ada-lab/nothing"),
        (["run", "list", "nobody/nothing"], 4, "nobody/nothing"),
        (["run", "info", "a/b"], 2, "WORKSPACE/PROJECT/RUN"),
        (["run", "info", "https://swanlab.cn/login"], 2, "WORKSPACE/PROJECT/RUN"),
        (["run", "info", "a/../b"], 2, "a/../b"),
        (["run", "metrics", RUN, "--keys", "loss", "--range-start", "nan"], 2, "--range-start"),
        (["run", "metrics", RUN, "--keys", "loss", "--range-end", "1e30"], 2, "--range-end"),
        (["run", "metrics", RUN, "--keys", "loss", "--sample", "0"], 2, "--sample"),
        (["run", "metrics", RUN, "--keys", "nothing*"], 4, "nothing*"),
        (["run", "metrics", RUN, "--keys", "loss", "--save", "/no/such/x.csv"], 2, "/no/such"),
        (["run", "metrics", RUN, "--keys", "loss", "--save", "x.csv", "--format", "csv"], 2, "--format"),
        (["run", "info", RUN, "--format", "plot"], 2, "--format"),
        (["run", "info", RUN, "--raw", "--format", "csv"], 2, "--raw"),
        (["run", "info", RUN, "--raw", "--save", "x.csv"], 2, "--raw"),
        (["run", "filter", "ada-lab/digits", "-f", '[{"key":"a","type":"X"}]'], 2, "rule 0"),
        (["run", "logs", RUN, "--offset", "-1"], 2, "--offset"),
        (["run", "list", "ada-lab/digits", "--fields", ""], 2, "'--fields': it is empty"),
        (["run", "list", "ada-lab/digits", "--save", ""], 2, "'--save': it is empty"),
        (["run", "list", "ada-lab/digits", "--summary", ""], 2, "'--summary': it is empty"),
        (["run", "metrics", RUN, "--keys", 'a, "d" [e]'], 2, "--keys: the quotes or line breaks in"),
        (["run", "metrics", RUN, "--keys", "a\nb"], 2, r"line breaks in 'a\nb' cannot be read: put"),
        (["run", "filter", "ada-lab/digits", "-f", 'name in "a" b'], 2, "cannot be read: put what"),
        (["project", "create", "-n", ""], 2, "--name"),
        (["project", "create", "-n", "x" * 101], 2, "--name"),
        (["user", "info", "--jobs", "0"], 2, "--jobs"),
        (["user", "info", "--timeout", "-1"], 2, "--timeout"),
        (["user", "info", "--retries", "-1"], 2, "--retries"),
        (["user", "info", "--host", "not a host"], 2, "--host"),
        (["user", "info", "--api-key", "wrong"], 3, "refuses the API key"),
        (["user", "info", "--api-key", "two words"], 2, "--api-key"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)  # fmt: skip
def test_messages_name_what_is_wrong(
    words: list[str], exit_code: int, said: str, server: Sandbox, tmp_path: Path
) -> None:
    """The message names the argument, or shows the value."""
    done = call(server, *words)
    check(done)
    assert done.exit_code == exit_code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


def test_raw_numbers_of_any_length(server: Sandbox) -> None:
    """``--raw`` prints integers beyond 64 bits as they came."""
    done = call(server, "run", "info", "ada-lab/digits/big-seed", "--raw")
    check(done)
    assert str(2**70) in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--layout", "wide"],
        ["--fields", "run_id,key,value"],
        ["--x-axis", "time", "--fields", "run_id,key,step,value"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("output", [["--save", "x.png"], ["--format", "plot"]], ids=" ".join)
def test_a_plot_that_cannot_be_costs_no_request(words: list[str], output: list[str]) -> None:
    """What leaves a plot without its points is refused though no server could be reached."""
    nobody = ["--host", "http://127.0.0.1:9", "--api-key", "x", "--retries", "0"]
    metrics = ["api", "run", "metrics", "a/b/c", "--keys", "loss"]
    done = CliRunner().invoke(root, [*metrics, *words, *output, *nobody])
    assert done.exit_code == 2, done.output
    assert "a plot needs" in done.stderr


FORGED = "x\nerror: forged"


def respond(asked: Asked) -> bytes | None:
    """Respond with names that hold a line of their own."""
    if asked.path == LOGIN:
        return reply_json({"sid": SID, "userInfo": {"username": FORGED, "name": None}})
    if asked.path.endswith("/runs"):
        config = {FORGED: {"b": 1}, f"{FORGED}.b": 2}
        run = {"cuid": "r0", "createdAt": None, "profile": {"config": config}}
        return reply_json({"list": [run], "total": 1, "pages": 1, "size": 100})
    if asked.path.endswith("/summaries"):
        return reply_json({"r0": {FORGED: {"step": 1, "value": "word"}}})
    if asked.path == "/api/self_hosted/info":
        return reply_json({"root": False, "enabled": True, "expired": False})
    return reply_json({"cuid": "p", "path": "w/p"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["api", "run", "list", "w/p"], "warning: two values are named config.x"),
        (["api", "run", "list", "w/p", "--summary"], "warning: 1 value of summary.x"),
        (["api", "self-hosted", "list-users"], "error: 'x"),
        (["verify"], "belongs to x"),
    ],
    ids=["config", "key", "error", "username"],
)
def test_a_name_of_the_server_begins_no_line(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newline in a config, a key or a username is shown as an escape, as in Python's warnings."""
    with RawServer(respond) as server:
        monkeypatch.setenv("SWANLAB_API_HOST", server.url)
        monkeypatch.setenv("SWANLAB_API_KEY", KEY)
        done = CliRunner().invoke(root, words)
        with warnings.catch_warnings(record=True) as caught, se.connect() as api:
            warnings.simplefilter("always")
            api.run.list("w/p", summary=True)
    assert f"{said}\\nerror: forged" in done.stderr
    assert "\nerror: forged" not in done.stderr
    assert any("\\nerror: forged" in str(each.message) for each in caught)
    assert not any("\n" in str(each.message) for each in caught)
