"""Login, logout and verify, on the file that the official client keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from official import find_python

from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., "subprocess.CompletedProcess[str]"]
OFFICIAL = [str(find_python("0.10.3")), "-W", "ignore", "-c", "from swanlab.cli import cli; cli()"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a program with a home of its own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SWANLAB")}

    def call(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        program = OFFICIAL if words[0] == "official" else [sys.executable, "-m", "swanlab_export"]
        words = words[1:] if words[0] == "official" else words
        return subprocess.run(
            [*program, *words], env={**env, "HOME": str(tmp_path)},
            cwd=tmp_path, input=typed, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return call


def test_a_login_is_read_by_both_clients(run: Run, tmp_path: Path) -> None:
    """The key from standard input goes into a private file that the official client accepts."""
    with Sandbox() as server:
        done = run("login", "--host", server.url, typed=server.api_key)
        assert done.returncode == 0, done.stderr
        path = tmp_path / ".swanlab" / ".netrc"
        assert path.stat().st_mode & 0o777 == 0o600
        assert "belongs to ada" in run("verify").stderr
        official = run("official", "verify")
        assert "ada" in official.stdout + official.stderr
        again = run("login", "--host", server.url, "-k", "other")
        assert again.returncode == 2
        assert "--relogin" in again.stderr
        path.chmod(0o644)
        assert "chmod 600" in run("verify").stderr
        assert run("logout", "-f").returncode == 0
        assert not path.exists()


def test_a_login_of_the_official_client_is_read(run: Run) -> None:
    """What the official client writes is a login here, and only for its own host."""
    with Sandbox() as server, Sandbox() as other:
        done = run("official", "login", "--host", server.url, "-k", server.api_key)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "belongs to ada" in run("verify").stderr
        refused = run("api", "user", "info", "--host", other.url)
        assert refused.returncode == 3
        assert other.requests == []


def test_a_refused_key_is_not_kept(run: Run, tmp_path: Path) -> None:
    """A key that the server does not know ends in exit 3 and no file."""
    with Sandbox() as server:
        done = run("login", "--host", server.url, "-k", "wrong")
    assert done.returncode == 3
    assert not (tmp_path / ".swanlab").exists()


def test_a_login_for_one_folder_stays_out_of_repositories(run: Run, tmp_path: Path) -> None:
    """``--local`` keeps the key in ./.swanlab, which git is told to ignore; it wins over the other."""
    with Sandbox() as server:
        words = ["login", "--host", server.url, "--local"]
        assert run(*words, "-k", server.api_key).returncode == 0
        assert (tmp_path / ".swanlab" / ".gitignore").read_text() == "*\n"
        assert run(*words, "-k", server.keys["bob"], "--relogin").returncode == 0
        assert "belongs to bob" in run("verify", "--local").stderr


def test_commands_of_the_official_client_are_handed_over(run: Run, tmp_path: Path) -> None:
    """A command that is not ours is the official SDK's, with its own help and exit codes."""
    (tmp_path / "swanlab" / "cli").mkdir(parents=True)
    (tmp_path / "swanlab" / "__init__.py").touch()
    (tmp_path / "swanlab" / "cli" / "__init__.py").write_text(
        "import click, sys\n"
        "cli = click.Group('swanlab')\n"
        "cli.command('sync')(click.argument('folder')(lambda folder: sys.exit(len(folder))))\n"
    )
    assert run("sync", "four").returncode == 4
    assert "FOLDER" in run("sync", "--help").stdout


def test_without_the_official_client_the_message_says_what_to_install(run: Run) -> None:
    """A command of the SDK, where that is missing, ends in exit 2 and says how to install it."""
    done = run("sync", "x", "--y")
    assert done.returncode == 2
    assert "pip install swanlab" in done.stderr


def test_a_broken_login_can_be_replaced(run: Run, tmp_path: Path) -> None:
    """``login --relogin`` does what the message about a broken file says."""
    path = tmp_path / ".swanlab" / ".netrc"
    path.parent.mkdir()
    path.write_text("what is this")
    assert "swanlab login" in run("verify").stderr
    with Sandbox() as server:
        words = ["login", "--relogin", "--host", server.url, "-k", server.api_key]
        assert run(*words).returncode == 0
        assert "belongs to ada" in run("verify").stderr
