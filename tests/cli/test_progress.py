"""What a terminal of 80 columns shows while a command works."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from systems import needs_linux

from swanlab_export.cli.waiting import VisibleProgress
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from forks import Forks

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo terminals", allow_module_level=True)

import fcntl
import pty
import termios

WIDTH = 80
SAVE = ["--save", "out.parquet"]


def screen_of(
    forks: Forks,
    server: Sandbox,
    folder: Path,
    *words: str,
    exit_code: int = 0,
    prints_there: bool = False,
) -> str:
    """Run a command whose messages, and whose output if that is wanted, go to a terminal."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    access = ["--host", server.url, "--api-key", server.api_key]
    # Each change is drawn, however quickly the next one follows.
    env = {**os.environ, "TQDM_MININTERVAL": "0", "TERM": "xterm"}
    shown = b""
    process = forks.start(
        *words, *access, cwd=folder, environ=env, terminal=inner, prints_there=prints_there
    )
    os.close(inner)
    while chunk := _read(terminal):
        shown += chunk
    os.close(terminal)
    assert process.finish().returncode == exit_code, shown
    return shown.decode()


def lines_of(
    forks: Forks, server: Sandbox, folder: Path, *words: str, exit_code: int = 0
) -> list[str]:
    """Each line that a terminal shows, drawn over or not."""
    shown = screen_of(forks, server, folder, *words, exit_code=exit_code)
    lines = shown.replace("\n", "\r").split("\r")
    return [line.rstrip() for line in lines if line.strip()]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 100_000)
    except OSError:  # how Linux says that nobody writes any more
        return b""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["run", "metrics", "-p", "ada-lab/digits", "--keys", "loss,acc", "--all"], "/15 runs ["),
        (["run", "metrics", "ada-lab/digits/mlp-long", "--keys", "loss", "--all"], "k/797k ["),
        (["run", "list", "ada-lab/sweep", "--all"], "/130 runs ["),
        (["run", "logs", "ada-lab/digits/mlp-long", "--all"], "lines ["),
        (["backup", "run", "ada-lab/digits", "--to", "backup"], "16/16 runs ["),
    ],
    ids=["runs", "bytes", "list", "lines", "backup"],
)
def test_a_bar_is_readable_in_80_columns(
    words: list[str], shown: str, forks: Forks, tmp_path: Path
) -> None:
    """Bars count runs, bytes or lines, and nothing is cut at the edge of the terminal."""
    words = words if words[0] == "backup" else ["api", *words]
    with Sandbox() as server:
        lines = lines_of(forks, server, tmp_path, *words, *SAVE)
    bars = [line for line in lines if "saved" not in line and "fetched" not in line]
    assert any(shown in line for line in bars), bars
    # A line that does not fit is cut by tqdm, and no longer ends as its format says.
    drawn = [line for line in bars if ":" in line and "[" in line]
    assert len(drawn) > 1
    for line in drawn:
        assert len(line) < WIDTH
        assert line.endswith("]"), line


METRICS = ["run", "metrics", "-p", "ada-lab/digits", "--keys", "loss", "--range-tail", "200"]


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (METRICS, "csv"),
        (METRICS, "jsonl"),
        (METRICS, "json"),
        (["run", "list", "ada-lab/digits", "--limit", "3"], "table"),
    ],
    ids=["csv", "jsonl", "json", "table"],
)
def test_data_and_bars_share_a_terminal(
    words: list[str],
    output: str,
    forks: Forks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bar is cleared before rows are printed, and drawn only at the beginning of a line."""
    monkeypatch.setenv("NO_COLOR", "1")
    words = ["api", *words, "--format", output]
    with Sandbox() as server:
        access = ["--host", server.url, "--api-key", server.api_key]
        environ = os.environ | {"COLUMNS": str(WIDTH)}
        alone = forks.run(*words, *access, cwd=tmp_path, environ=environ).stdout.splitlines()
        shown = screen_of(forks, server, tmp_path, *words, prints_there=True)
    assert " runs [" in shown
    # What stays of a line is what follows the last carriage return: a terminal ends lines with one.
    stays = [line.removesuffix("\r").rpartition("\r")[2] for line in shown.split("\n")]
    assert [line for line in stays if line.strip() and "warning" not in line] == alone


@needs_linux
def test_an_error_begins_a_line(forks: Forks, tmp_path: Path) -> None:
    """A bar that is drawn is cleared before a message is printed."""
    (tmp_path / "full.csv").symlink_to("/dev/full")
    words = ["run", "metrics", "ada-lab/digits/mlp-long", "--keys", "loss", "--all"]
    with Sandbox() as server:
        lines = lines_of(forks, server, tmp_path, "api", *words, "--save", "full.csv", exit_code=1)
    assert any(line.startswith("metrics:") for line in lines)
    assert lines[-1] == "error: 'full.csv' cannot be written: the disk is full"


def test_a_wait_after_a_bar_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line says that the command goes on, unless another bar is drawn or the command is over."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    lines: list[str] = []
    is_said = threading.Event()

    def say(text: str) -> None:
        lines.append(text)
        is_said.set()

    with VisibleProgress(say) as progress:
        with progress.bar("runs", total=1, unit="runs"), progress.bar("log", total=1, unit="B"):
            pass
        assert is_said.wait(60)
        late = progress.bar("runs", total=1, unit="runs")
        late.__enter__()
    late.__exit__(None, None, None)
    assert lines == ["still working"]


@pytest.mark.parametrize(
    ("words", "hints"),
    [
        (["run", "list", "ada-lab/digits"], 1),
        (["run", "list", "ada-lab/digits", "--quiet"], 0),
        (["run", "list", "ada-lab/digits", "--fields", "name,state"], 0),
        (["run", "list", "ada-lab/digits", "--format", "table"], 0),
        (["run", "list", "ada-lab/empty"], 0),
        (["run", "info", "ada-lab/digits/linear"], 0),
    ],
    ids=["wide", "quiet", "narrow", "table", "empty", "single"],
)
def test_a_wide_list_is_followed_by_a_hint(
    words: list[str], hints: int, forks: Forks, server: Sandbox, tmp_path: Path
) -> None:
    """In a terminal, where a table would be easier to read than what is printed."""
    shown = screen_of(forks, server, tmp_path, "api", *words, prints_there=True)
    assert shown.count("hint: --format table is easier to read") == hints
