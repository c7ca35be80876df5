"""What shells make of words that are typed with a tab, in terminals of their own."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from systems import needs_posix

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(swanlab-export completion bash)"'),
    "zsh": (["-f", "-i"], 'eval "$(swanlab-export completion zsh)"'),
    "fish": (["--no-config", "-i"], "swanlab-export completion fish | source"),
}


class Terminal:
    """A shell in a terminal, with its completion script loaded, in a folder with folders."""

    def __init__(self, shell: str, folder: Path) -> None:
        words, load = SHELLS[shell]
        environ = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "TERM": "xterm" if shell == "fish" else "dumb",
        }
        spawn = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", shell, *words]
        self._process = subprocess.Popen(
            spawn, env=environ, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self._send(f"{load}\r printf 'loaded<%s>' it\r")
            self._wait_for("loaded<it>")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._process.kill()
        self._process.communicate()

    def complete(self, line: str) -> list[str]:
        """The words of a line after a tab, of which the last one ends where the cursor was."""
        # At the beginning of the line, a command that prints the words of its rest.
        self._send(f"{line}\t!\x01printf '<%s>' \r")
        # Up to the last word, which has the ``!``: what is printed may come in pieces.
        found = self._wait_for(r"<swanlab-export>(?:<[^>]*>)*?<[^>]*!>")
        return re.findall(r"<([^>]*)>", found)

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _wait_for(self, pattern: str) -> str:
        assert self._process.stdout is not None
        shown, until = "", time.monotonic() + 60
        while time.monotonic() < until:
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                shown += os.read(self._process.stdout.fileno(), 65536).decode(errors="replace")
            if found := re.search(pattern, shown):
                return found[0]
        raise AssertionError(shown)


@pytest.fixture(params=SHELLS)
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """Each shell that this machine has."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    (tmp_path / "backups" / "first").mkdir(parents=True)
    (tmp_path / "backups" / "second").mkdir()
    (tmp_path / "backups" / "file").touch()
    terminal = Terminal(request.param, tmp_path)
    yield terminal
    terminal.close()


@needs_posix
def test_the_folder_of_a_backup_is_completed(terminal: Terminal, tmp_path: Path) -> None:
    """Behind ``backup:``, as file names are behind ``--save``, and what follows still is."""
    list_runs = ["swanlab-export", "api", "run", "list"]
    for typed, becomes in {
        "--host b": ["--host", "backup:!"],
        "--host backup:ba": ["--host", "backup:backups/!"],
        f"-h backup:{tmp_path}/backups/fi": ["-h", f"backup:{tmp_path}/backups/first/!"],
        "--host backup: --form": ["--host", "backup:", "--format", "!"],
        "--host http://x:1 --format tab": ["--host", "http://x:1", "--format", "table", "!"],
        "--save ba": ["--save", "backups/!"],
    }.items():
        assert terminal.complete(" ".join([*list_runs, typed])) == list_runs + becomes
