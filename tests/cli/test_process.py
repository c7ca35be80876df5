"""What a process gives the one that started it: the right exit code, soon, whatever its streams are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow.csv
import pytest
from systems import needs_linux, needs_posix

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST = ["run", "list", "ada-lab/digits", "--all"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One sandbox for the module."""
    with Sandbox() as sandbox:
        yield sandbox


def shell(server: Sandbox, folder: Path, *words: str, redirect: str) -> tuple[int, str, str]:
    """Run a command with its streams redirected; its exit code, and what it said on which."""
    access = ["--host", server.url, "--api-key", server.api_key]
    command = [sys.executable, "-m", "swanlab_export", *words]
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" "$@" {redirect}', *command, *(access if "api" in words else [])],
        cwd=folder, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@needs_linux
@pytest.mark.parametrize(
    ("redirect", "why"),
    [(">&-", "Bad file descriptor"), (">/dev/full", "cannot print: the disk is full")],
)
@pytest.mark.parametrize("words", [["api", *LIST], ["--help"]], ids=["data", "help"])
def test_what_cannot_be_printed_is_an_error(
    words: list[str], redirect: str, why: str, server: Sandbox, tmp_path: Path
) -> None:
    """A closed or full standard output ends in one line and exit code 1."""
    code, _, said = shell(server, tmp_path, *words, redirect=redirect)
    assert code == 1
    assert why in said


@needs_linux
@pytest.mark.parametrize("redirect", [">&-", "2>&-", "2>/dev/full", "<&-", ">&- 2>&- <&-"])
def test_a_file_is_saved_whatever_the_streams_are(
    redirect: str, server: Sandbox, tmp_path: Path
) -> None:
    """``--save`` needs no stream; that nobody hears of it is no failure."""
    code, _, _ = shell(server, tmp_path, "api", *LIST, "--save", "runs.csv", redirect=redirect)
    assert code == 0
    assert rows_of(tmp_path / "runs.csv") == 16


@needs_linux
def test_a_failure_nobody_hears_of_keeps_its_exit_code(server: Sandbox, tmp_path: Path) -> None:
    """Without a standard error the exit code is all there is, and it is the right one."""
    words = ["api", "run", "info", "ada-lab/digits/nobody"]
    for redirect in ("2>&-", "2>/dev/full"):
        assert shell(server, tmp_path, *words, redirect=redirect)[0] == 4


def test_an_error_does_not_wait_for_other_requests(tmp_path: Path) -> None:
    """That one request hangs does not keep the error of another, or the exit, waiting."""
    with Sandbox(faults=parse_faults(["hang=1", "where=/runs/", "latency=200ms"])) as server:
        access = ["--host", server.url, "--api-key", server.api_key, "--timeout", "200"]
        words = ["api", "run", "info", "ada-lab/no-such-project/some-run"]
        done = subprocess.run(
            [sys.executable, "-m", "swanlab_export", *words, *access],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert done.returncode == 4, done.stderr
        assert any("/runs/" in record.path for record in server.requests)


def test_what_libraries_asked_for_at_the_end_is_done(tmp_path: Path) -> None:
    """A quick end still runs the exit functions that were registered."""
    program = (
        "import atexit, sys; atexit.register(print, 'tidied up');"
        "from swanlab_export.cli import main; sys.argv = ['x', '--version']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.endswith("tidied up\n")


def rows_of(path: Path) -> int:
    """How many rows a CSV file has."""
    return int(pyarrow.csv.read_csv(path).num_rows)


@needs_posix
def test_a_folder_that_is_gone_is_no_obstacle(server: Sandbox, tmp_path: Path) -> None:
    """From a folder that was deleted, a file elsewhere is saved."""
    here = tmp_path / "here"
    here.mkdir()
    save = ["--save", str(tmp_path / "runs.csv"), "--host", server.url, "-k", server.api_key]
    words = [sys.executable, "-m", "swanlab_export", "api", *LIST, *save]
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$0" "$@"', *words],
        cwd=here, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rows_of(tmp_path / "runs.csv") == 16


@needs_posix
def test_nothing_that_a_terminal_would_obey_is_said(server: Sandbox, tmp_path: Path) -> None:
    """Control characters in names reach standard error as escapes."""
    name = "a\x1b]0;owned\x07b.csv"
    words = ["api", *LIST, "--save", name]
    access = ["--host", server.url, "--api-key", server.api_key]
    done = subprocess.run(
        [sys.executable, "-m", "swanlab_export", *words, *access],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\\x1b]0;owned\\x07b.csv" in done.stderr
    assert done.stderr.strip().isprintable()


@needs_posix
def test_a_pattern_is_not_expanded(tmp_path: Path) -> None:
    """On Windows, too, a word with ``*`` is what was typed, and not the files that it matches."""
    (tmp_path / "help_file").touch()
    code = (
        "import difflib, os, shutil; from swanlab_export.cli import help, main;"
        "os.name = 'nt'; main()"
    )
    words = [sys.executable, "-c", code, "help", "help*"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "'help*' is not one of" in done.stderr) == (2, True)
