"""Consoles of all kinds: colours, encodings, patterns, and files for Excel."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from swanlab_export.cli.console import takes_colours, width
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from forks import Forks

BIN = Path(sys.executable).parent
RUN = "ada-lab/digits/linear"
LIST = ["run", "list", "ada-lab/digits", "--all"]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.mark.parametrize(
    ("environ", "in_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
        ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, True, True),
    ],
    ids=str,
)
def test_who_gets_colours(
    environ: dict[str, str], in_terminal: bool, in_pipe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal does unless NO_COLOR or CLICOLOR=0 forbid it; a pipe with CLICOLOR_FORCE."""
    for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert takes_colours(Terminal()) is in_terminal
    assert takes_colours(io.StringIO()) is in_pipe


@pytest.mark.parametrize(
    ("given", "columns"), [("80", 80), ("", 120), ("0", 120), ("-1", 120), ("²", 120), ("٣", 120)]
)
def test_a_width_that_is_no_number(
    given: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COLUMNS counts where it is a number in ASCII; without it and a terminal, tables have 120 cells."""

    def refuse(stream: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "get_terminal_size", refuse)
    monkeypatch.setenv("COLUMNS", given)
    assert width() == columns


@pytest.mark.parametrize("name", ["NO_COLOR", "CLICOLOR_FORCE"])
def test_colours_of_tables_and_plots(
    name: str, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are drawn with escape sequences where colours are forced, and never with NO_COLOR."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, "1")
    table = call(*LIST, "--format", "table").stdout
    plot = call(
        "run", "metrics", "ada-lab/digits/linear", "--keys", "loss", "--format", "plot"
    ).stdout
    for drawn in (table, plot):
        assert ("\x1b[" in drawn) is (name == "CLICOLOR_FORCE")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("table", ["run", "list", "ada-lab/digits"]),
        ("plot", ["run", "metrics", "ada-lab/digits/linear", "--keys", "loss,acc", "--all"]),
    ],
    ids=["table", "plot"],
)
def test_tables_and_plots_are_as_wide_as_the_terminal_behind_a_pager(
    output: str,
    words: list[str],
    call: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where stdout is a pipe, the terminal of stderr or stdin says how wide it is."""

    def size(stream: int) -> os.terminal_size:
        if stream == 1:
            raise OSError
        return os.terminal_size((70, 24))

    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", size)
    drawn = call(*words, "--format", output).stdout.splitlines()
    assert max(map(len, drawn)) <= 70
    assert max(map(len, drawn)) > 60


Console = Callable[..., bytes]


@pytest.fixture
def in_console(server: Sandbox, forks: Forks, tmp_path: Path) -> Console:
    """Run a command: what a console of an encoding gets."""

    def run(encoding: str, *words: str) -> bytes:
        access = ["--host", server.url, "--api-key", server.api_key]
        environ = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "90"}
        done = forks.run("api", *words, *access, cwd=tmp_path, environ=environ)
        assert done.returncode == 0, done.stderr
        return done.output

    return run


@pytest.mark.parametrize("encoding", ["gbk", "ascii", "cp1252", "cp437"])
def test_a_table_in_a_console_without_unicode(encoding: str, in_console: Console) -> None:
    """The rule is ASCII and as wide as the widest line; columns begin where their header does."""
    lines = in_console(encoding, *LIST, "--format", "table").splitlines()
    header, rule, *body = lines[:10]
    assert set(rule) == {ord("-")}
    assert len(rule) == max(map(len, (header, *body)))
    start = header.index(b"config.activation")
    assert all(line[start - 1 : start] == b" " and line[start:].strip() for line in body)


@pytest.mark.parametrize("encoding", ["gbk", "ascii"])
def test_a_plot_in_a_console_without_unicode(
    encoding: str, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame, points and legend are ASCII."""
    monkeypatch.setenv("COLUMNS", "90")
    words = ["ada-lab/digits/linear", "ada-lab/digits/mlp-adam", "--keys", "loss"]
    access = ["--format", "plot", "--host", server.url, "--api-key", server.api_key]
    done = CliRunner(charset=encoding).invoke(root, ["api", "run", "metrics", *words, *access])
    drawn = done.stdout_bytes
    assert drawn.isascii()
    assert drawn.count(b"|") >= 20
    assert b"* linear" in drawn


def test_data_are_utf_8_in_every_console(in_console: Console) -> None:
    """JSON and CSV are for programs: they do not depend on the console."""
    words = ["project", "info", "ada-lab/digits", "--fields", "name,description"]
    printed = in_console("ascii", *words)
    assert not printed.isascii()
    assert printed == in_console("utf-8", *words)


@pytest.mark.parametrize(
    ("name", "separator"), [("x.csv", ","), ("x.tsv", "\t"), ("x.csv.gz", ",")]
)
def test_a_file_for_excel_begins_with_a_byte_order_mark(
    name: str, separator: str, call: Callable[..., Result], tmp_path: Path
) -> None:
    """``--csv-bom`` adds the mark and nothing else; pandas reads the file as before."""
    marked, plain = tmp_path / name, tmp_path / f"plain-{name}"
    assert call(*LIST, "--save", str(marked), "--csv-bom").exit_code == 0
    assert call(*LIST, "--save", str(plain)).exit_code == 0
    read = gzip.decompress if name.endswith(".gz") else bytes
    assert read(marked.read_bytes()) == codecs.BOM_UTF8 + read(plain.read_bytes())
    first, second = (pd.read_csv(path, sep=separator) for path in (marked, plain))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("save", [[], ["--save", "x.json"], ["--save", "x.xlsx"]], ids=" ".join)
def test_a_byte_order_mark_is_for_csv_alone(save: list[str]) -> None:
    """Anywhere else it is a usage error, before any request."""
    access = ["--host", "http://127.0.0.1:9", "--api-key", "x", "--retries", "0"]
    done = CliRunner().invoke(root, ["api", *LIST, *save, "--csv-bom", *access])
    assert done.exit_code == 2
    assert "--csv-bom is for" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_filter_file_of_windows(
    encoding: str, call: Callable[..., Result], tmp_path: Path
) -> None:
    """A file with a byte order mark, or in UTF-16 as PowerShell writes it, holds rules."""
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    rules = [{"key": "state", "type": "STABLE", "op": "EQ", "value": ["CRASHED"]}]
    path = tmp_path / "rules.json"
    path.write_bytes((mark + json.dumps(rules)).encode(encoding))
    words = ["run", "filter", "ada-lab/digits", "--fields", "slug"]
    assert json.loads(call(*words, "-f", str(path)).stdout) == [{"slug": "crashed"}]


def test_patterns_reach_the_command_on_windows(tmp_path: Path) -> None:
    """Where click takes the system for Windows, ``*`` in an argument is no pattern of files."""
    (tmp_path / "loss").touch()
    (tmp_path / "linear").touch()
    program = (
        "import os, sys, click.core\n"
        "from swanlab_export.cli import main\n"
        "class Nt:\n"
        "    name = 'nt'\n"
        "    def __getattr__(self, name): return getattr(os, name)\n"
        "click.core.os = Nt()\n"
        "words = 'run metrics ada-lab/digits/linear --keys lo* --range-tail 1 --format csv'\n"
        "sys.argv = ['x', 'api', *words.split(), '--host', 'sandbox', '--keys', '*o*s']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ",val/loss," in done.stdout


def test_what_is_logged_is_not_printed() -> None:
    """Without --debug, Python prints no warning of the log, such as that of a short retry."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        host = f"http://127.0.0.1:{closed.getsockname()[1]}"
        words = ["api", "workspace", "list", "--api-key", "x", "--retries", "1", "--host", host]
        done = subprocess.run(
            [BIN / "swanlab-export", *words], capture_output=True, text=True, check=False
        )
    assert done.returncode == 6
    assert re.fullmatch(r"error: POST /login/api_key: .* cannot be reached: [^\n]*\n", done.stderr)


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["shown", "quiet"])
def test_a_wait_before_the_first_bar_is_visible(
    quiet: list[str], forks: Forks, tmp_path: Path
) -> None:
    """In a terminal, a line says within three seconds that the server is slow; not with --quiet."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals")
    import pty

    with Sandbox(faults=parse_faults(["latency=1100ms"])) as server:
        terminal, inner = pty.openpty()
        access = ["--host", server.url, "--api-key", server.api_key, *quiet]
        process = forks.start("api", "run", "info", RUN, *access, cwd=tmp_path, terminal=inner)
        os.close(inner)
        assert process.finish().returncode == 0
        os.set_blocking(terminal, False)
        try:
            shown = os.read(terminal, 10_000)
        except OSError:
            shown = b""
        os.close(terminal)
    assert (b"waiting for the server" in shown) is (not quiet)
