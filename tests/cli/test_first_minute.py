"""What a newcomer types first: examples, help topics, near misses, completion and names of programs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result
from systems import needs_posix

from swanlab_export.cli.help import TOPICS
from swanlab_export.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swanlab_export.sandbox import Sandbox

PROGRAM = [sys.executable, "-m", "swanlab_export"]
BIN = Path(sys.executable).parent


def _commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _commands(child, (*path, name))


COMMANDS = list(_commands(root))


def run(*words: str, program: str = "swanlab-export", typed: str = "") -> Result:
    """Run a command under the name that somebody typed."""
    return CliRunner().invoke(root, list(words), prog_name=program, input=typed)


def example(words: tuple[str, ...], program: str = "swanlab-export") -> list[str]:
    """The example that the help page of a command prints, as a shell splits it."""
    page = run(*words, "--help", program=program).stdout
    _, _, printed = page.partition("\nExample:\n")
    return shlex.split(printed)


# These need a login or a backup, go on for ever, or write with the shell.
APART = {("login",), ("verify",), ("logout",), ("sandbox", "serve"), ("completion",)}
APART |= {("backup", name) for name in ("status", "diff", "verify")}
CREATE_USERS = ("api", "self-hosted", "create-users")
APART |= {CREATE_USERS}


@pytest.mark.parametrize("words", [c for c in COMMANDS if c not in APART], ids=" ".join)
def test_the_example_of_a_command_runs(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words that --help prints succeed in an empty folder, and print or save something."""
    monkeypatch.chdir(tmp_path)
    program, *typed = example(words)
    assert program == "swanlab-export"
    assert tuple(typed[: len(words)]) == words
    done = run(*typed)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip("[]\n") or list(tmp_path.iterdir())


def test_the_example_with_a_table_on_standard_input_runs() -> None:
    """What the shell would print into the command is a table that it takes."""
    words = example(CREATE_USERS)
    end = words.index("|")
    (_, table), (program, *typed) = words[:end], words[end + 1 :]
    assert program == "swanlab-export"
    assert tuple(typed[: len(CREATE_USERS)]) == CREATE_USERS
    done = run(*typed, typed=table.replace("\\n", "\n"))
    assert done.exit_code == 0, done.output
    assert '"status":"created"' in done.stdout


def test_the_examples_of_the_login_run(
    server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Login, verify and logout as their help pages show them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWANLAB_API_HOST", server.url)
    for command in ("login", "verify", "logout"):
        done = run(*example((command,))[1:], typed=server.api_key)
        assert done.exit_code == 0, done.output
    assert not (tmp_path / ".swanlab" / ".netrc").exists()


def test_the_examples_of_backups_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder where the first one made a backup, twice, the others print what there is."""
    monkeypatch.chdir(tmp_path)
    for name in ("run", "run", "status", "diff", "verify"):
        done = run(*example(("backup", name))[1:])
        assert done.exit_code == 0, done.output
        assert done.stdout


def test_the_example_of_the_sandbox_runs(tmp_path: Path) -> None:
    """The server says where it is, and a fault of the example is on."""
    with subprocess.Popen(
        [*PROGRAM, *example(("sandbox", "serve"))[1:]], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        said = "".join(server.stdout.readline() for _ in range(5))
        server.terminate()
    assert "http://127.0.0.1:" in said
    assert said.count("\n  python -m swanlab_export api run ") == 3  # as it was called


@pytest.mark.parametrize("program", ["swanlab", "swanlab-export"])
def test_help_names_the_program_as_it_was_typed(program: str) -> None:
    """Usage and examples begin with the name that was typed."""
    page = run("api", "run", "list", "--help", program=program).stdout
    assert page.startswith(f"Usage: {program} api run list ")
    assert example(("api", "run", "list"), program)[0] == program


@pytest.mark.parametrize("program", ["swanlab", "swanlab-export"])
def test_errors_and_hints_name_the_program_as_it_was_typed(program: str) -> None:
    """Commands in messages can be copied: they begin with the name that was typed."""
    access = ["--host", "http://127.0.0.1:9"]
    assert f"`{program} login`" in run("api", "user", "info", *access, program=program).stderr
    wrong = ["api", "run", "metrics", "ada-lab/digits/linear", "--keys", "lss", "--all"]
    said = run(*wrong, "--host", "sandbox", program=program).stderr
    assert f"`{program} api run series`" in said


@pytest.mark.parametrize("program", ["swanlab", "swanlab-export"])
def test_both_scripts_are_this_program(program: str) -> None:
    """The installed scripts differ in their name alone."""
    done = subprocess.run(
        [BIN / program, "api", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"Usage: {program} api")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_help_topic_fits_a_terminal(topic: str) -> None:
    """Each topic is printed, with no line beyond 80 cells."""
    text = run("help", topic).stdout
    assert len(text.splitlines()) > 5
    assert max(map(len, text.splitlines())) <= 80


def test_help_lists_its_topics() -> None:
    """Without a topic, and with one that does not exist, the topics are named."""
    for words in ([], ["filter"]):
        done = run("help", *words)
        assert all(topic in done.output for topic in TOPICS)


def test_the_exit_codes_of_help_are_those_of_errors() -> None:
    """Every exit code that commands end with is explained."""
    codes = re.findall(r"^\d+", run("help", "exit-codes").stdout, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "6", "129", "130", "143"]


@pytest.mark.parametrize("words", [(), ("api",), ("api", "run"), ("sandbox",), ("verify",)])
def test_h_is_help_where_it_is_not_the_host(words: tuple[str, ...]) -> None:
    """``-h`` shows the same page as ``--help``."""
    done = run(*words, "-h")
    assert done.exit_code == 0, done.output
    assert done.stdout == run(*words, "--help").stdout


@pytest.mark.parametrize("words", [("api", "run", "list"), ("login",)])
def test_h_alone_is_explained_where_it_is_the_host(words: tuple[str, ...]) -> None:
    """Where ``-h`` takes a server, ``-h`` alone says that help is ``--help``."""
    done = run(*words, "-h")
    assert done.exit_code == 2
    assert "help is --help" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ap"], "api"),
        (["run", "list", "ada-lab/digits"], "Did you mean: api run?"),
        (["projects"], "api project"),
        (["metrics", "ada-lab/digits/linear"], "Did you mean: api run metrics?"),
        (["api", "run", "list"], "name a project"),
        (["api", "run", "filter", "-f", "state=X"], "name a project"),
        (["completions"], "completion"),
        (["api", "runs"], "run"),
        (["api", "run", "ls"], "list"),
        (["api", "run", "metric"], "metrics"),
        (["sandbox", "server"], "serve"),
        (["api", "run", "list", "--pag_num", "1"], "--page_num"),
        (["api", "run", "list", "--json"], "--format json"),
        (["api", "run", "list", "--output", "x.csv"], "--save NAME"),
        (["login", "--force"], "--relogin"),
        (
            ["api", "run", "list", "-f", "x=1"],
            "-f. It is one of `run filter`, `run metrics`, `run ",
        ),
        (
            ["api", "run", "logs", "--varying"],
            "--varying. It is one of `run columns`, `run filter`, ",
        ),
        (["api", "user", "info", "--host", "sandbx"], "did you mean sandbox"),
        (["api", "user", "info", "--host", "SANDBOX"], "did you mean sandbox"),
        (["login", "--host", "sandbox"], "needs no login"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_near_miss_says_what_may_be_meant(words: list[str], said: str) -> None:
    """A command, an option or a host that is nearly right is exit 2 with the right one."""
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["workspace", "info", "ada-lb"], "workspaces that you see: 'ada-lab'"),
        (["project", "list", "-w", "ada-lb"], "workspaces that you see: 'ada-lab'"),
        (["project", "info", "ada-lb/digits"], "workspaces that you see: 'ada-lab'"),
        (["project", "info", "ada-lab/digts"], "projects of 'ada-lab': 'digits'"),
        (["run", "list", "ada-lab/digts"], "projects of 'ada-lab': 'digits'"),
        (["run", "filter", "ada-lab/digts", "-f", "state=X"], "projects of 'ada-lab': 'digits'"),
        (["run", "summary", "-p", "ada-lab/digts"], "projects of 'ada-lab': 'digits'"),
        (["run", "info", "ada-lab/digits/mlp-adm"], "runs of ada-lab/digits: 'mlp-adam'"),
        (["run", "logs", "ada-lab/digts/mlp-adam"], "projects of 'ada-lab': 'digits'"),
        (["run", "summary", "ada-lab/digits/mlp-adm"], "runs of ada-lab/digits: 'mlp-adam'"),
    ],
    ids=" ".join,
)
def test_a_name_that_does_not_exist(
    words: list[str], said: str, call: Callable[..., Result]
) -> None:
    """Exit 4 names similar ones that exist."""
    done = call(*words)
    assert done.exit_code == 4
    assert said in done.stderr


def test_names_are_asked_for_only_after_a_404(server: Sandbox, call: Callable[..., Result]) -> None:
    """A name that exists costs no request for others."""
    assert call("project", "info", "ada-lab/digits").exit_code == 0
    assert [record.path for record in server.requests] == [
        "/login/api_key",
        "/project/ada-lab/digits",
    ]


def test_an_empty_list_of_projects_says_whose_it_is(call: Callable[..., Result]) -> None:
    """It names the workspace that was listed, and those that there are."""
    done = call("project", "list", "-w", "bob")
    assert done.exit_code == 0
    assert "'bob' has no projects" in done.stderr
    assert "'ada-lab'" in done.stderr
    assert "has 'zz' in its name" in call("project", "list", "--search", "zz").stderr
    assert call("project", "list", "-w", "ada-lab").stderr == ""


EMPTY = [
    ["run", "list", "ada-lab/empty"],
    ["run", "columns", "ada-lab/digits/linear", "--search", "zzz"],
    ["run", "logs", "ada-lab/digits/offline"],
    ["run", "summary", "ada-lab/digits/offline"],
]


@pytest.mark.parametrize("words", EMPTY, ids=lambda words: words[1])
def test_no_rows_are_never_without_a_word(
    words: list[str], call: Callable[..., Result], tmp_path: Path
) -> None:
    """Where nothing else says why a result is empty, a hint says that the server has nothing."""
    hint = "hint: no rows: the server has none of what was asked for\n"
    assert call(*words).stderr == hint
    assert call(*words, "--format", "table").stderr == hint
    assert call(*words, "--save", str(tmp_path / "x.parquet")).stderr.endswith(hint)
    assert call(*words, "--quiet").stderr == ""


def complete(line: str, program: str = "swanlab-export") -> list[str]:
    """What bash gets to complete the last word of a line."""
    words = line.split(" ")
    environ = {
        **os.environ,
        f"_{program.replace('-', '_').upper()}_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([BIN / program], env=environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("swanlab-export a", ["plain,api"]),
        ("swanlab-export api run me", ["plain,medias", "plain,metrics"]),
        ("swanlab-export api run list --host s", ["plain,sandbox"]),
        ("swanlab-export api run list -h s", ["plain,sandbox"]),
        ("swanlab-export api run list --format js", ["plain,json", "plain,jsonl"]),
        ("swanlab-export api run list --save ru", ["file,ru"]),
        ("swanlab-export api run filter -f ru", ["file,ru"]),
        ("swanlab-export api run medias --download me", ["dir,me"]),
        ("swanlab-export backup status ba", ["dir,ba"]),
        ("swanlab-export backup run --to ba", ["dir,ba"]),
        ("swanlab-export api self-hosted create-users us", ["file,us"]),
        ("swanlab-export api run list --page_s", ["plain,--page_size"]),
        ("swanlab-export help ex", ["plain,exit-codes"]),
        ("swanlab-export completion z", ["plain,zsh"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_shell_completes(line: str, found: list[str]) -> None:
    """Commands, options, choices, file names and the sandbox are offered."""
    assert complete(line) == found


@needs_posix
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["swanlab", "swanlab-export"])
def test_a_completion_script_is_for_the_program_that_was_typed(shell: str, program: str) -> None:
    """The script registers the name that was typed, and calls it."""
    done = subprocess.run(
        [BIN / program, "completion", shell], capture_output=True, text=True, check=True
    )
    assert f"_{program.replace('-', '_').upper()}_COMPLETE" in done.stdout
    assert program in done.stdout


def test_the_script_for_zsh_loads_what_it_calls() -> None:
    """Start-up files of zsh need no other line, and one that has loaded it does not do so twice."""
    script = run("completion", "zsh").stdout
    first, line, rest = script.split("\n", 2)
    assert first == "#compdef swanlab-export"
    assert line == "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"
    assert "compdef _swanlab_export_completion swanlab-export" in rest


def test_descriptions_in_fish_may_have_commas() -> None:
    """Only the first comma ends the kind of a completion."""
    script = run("completion", "fish").stdout
    assert 'split --max 1 "," $completion' in script
    assert 'split ","' not in script


@needs_posix
def test_bash_loads_the_script_of_the_example(tmp_path: Path) -> None:
    """With the line that --help prints in its start-up file, bash completes this program."""
    page = run("completion", "--help").stdout
    (tmp_path / ".bashrc").write_text(page.partition("\nExample:\n")[2].strip())
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-c", "source ~/.bashrc && complete -p swanlab-export"],
        env={**os.environ, "HOME": str(tmp_path), "PATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "-F" in done.stdout


def test_aliases_of_options_are_not_shown() -> None:
    """Of names that differ in hyphens and underscores alone, help shows one; all are accepted."""
    page = run("api", "project", "list", "--help").stdout
    assert "--page_num" in page
    assert "--page-num" not in page
    assert "--api_key" not in page
    done = run("api", "project", "list", "--page-num", "0", "--host", "http://x", "--api_key", "k")
    assert "--page_num is from 1" in done.stderr


@pytest.mark.parametrize(
    ("count", "last"),
    [(5, "warning: no run here has the key 'k4*'"), (9, "warning: and 4 more")],
    ids=["five", "nine"],
)
def test_warnings_do_not_pile_up(count: int, last: str, call: Callable[..., Result]) -> None:
    """At most five are shown, then how many more there are."""
    keys = ",".join(f"k{number}*" for number in range(count))
    done = call("run", "list", "ada-lab/sweep", "--summary", keys)
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert warnings[-1] == last
    assert len(warnings) == min(count, 6)


def test_debug_shows_requests_without_the_key(server: Sandbox, call: Callable[..., Result]) -> None:
    """``--debug`` prints method, path, status, time, size and generation, and no key."""
    done = call("user", "info", "--debug")
    assert "debug: POST /login/api_key: 200 in " in done.stderr
    assert "debug: GET /user/profile: 200 in " in done.stderr
    assert " bytes, generation 2.6+\n" in done.stderr
    assert server.api_key not in done.stderr
    assert "debug:" not in call("user", "info").stderr
