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


def lines_of(
    forks: Forks, server: Sandbox, folder: Path, *words: str, exit_code: int = 0
) -> list[str]:
    """Run a command whose messages go to a terminal; each line that it shows, drawn over or not."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    access = ["--host", server.url, "--api-key", server.api_key]
    # Each change is drawn, however quickly the next one follows.
    env = {**os.environ, "TQDM_MININTERVAL": "0", "TERM": "xterm"}
    shown = b""
    process = forks.start(*words, *access, cwd=folder, environ=env, terminal=inner)
    os.close(inner)
    while chunk := _read(terminal):
        shown += chunk
    os.close(terminal)
    assert process.finish().returncode == exit_code, shown
    lines = shown.decode().replace("\n", "\r").split("\r")
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
        assert is_said.wait(20)
        late = progress.bar("runs", total=1, unit="runs")
        late.__enter__()
    late.__exit__(None, None, None)
    assert lines == ["still working"]
