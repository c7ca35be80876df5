"""Login, logout and verify, on the file that the official client keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from forks import Done
from official import find_python

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from forks import Forks

Run = Callable[..., Done]
OFFICIAL = ["-W", "ignore", "-c", "from swanlab.cli import cli; cli()"]


@pytest.fixture
def run(forks: Forks, tmp_path: Path) -> Run:
    """Run a program with a home of its own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SWANLAB")}
    env |= {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}

    def call(*words: str, typed: str = "") -> Done:
        if words[0] != "official":
            return forks.run(*words, cwd=tmp_path, environ=env, typed=typed)
        command = [str(find_python("0.10.3")), *OFFICIAL, *words[1:]]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.mark.referee
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


@pytest.mark.referee
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


def test_a_wrong_key_says_where_it_comes_from(run: Run, tmp_path: Path) -> None:
    """At login, in the option, in the environment and in the login file; and where the right one is."""
    with Sandbox() as server:
        host = ["--host", server.url]
        page = f"{server.url}/space/~/settings"

        def refusal(*words: str, typed: str = "") -> str:
            done = run(*words, typed=typed)
            assert done.returncode == 3
            assert page in done.stderr
            return done.stderr.partition(":")[2].partition("the API key from ")[2].split(": ")[0]

        assert refusal("login", *host, typed="wrong") == "standard input"
        assert refusal("login", *host, "-k", "wrong") == "--api-key"
        assert refusal("api", "user", "info", *host, "-k", "wrong") == "--api-key"
        path = tmp_path / ".swanlab" / ".netrc"
        path.parent.mkdir()
        path.write_text(f"machine {server.url}\n\tlogin {server.url}\n\tpassword wrong\n")
        assert refusal("verify") == f"'{path}'"
        assert "`python -m swanlab_export login --relogin`" in run("verify").stderr


def test_a_wrong_key_of_the_environment_is_named(
    server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named, since the key may have been set long ago."""
    monkeypatch.setenv("SWANLAB_API_KEY", "wrong")
    done = CliRunner().invoke(root, ["api", "user", "info", "--host", server.url])
    assert done.exit_code == 3
    assert "the API key from SWANLAB_API_KEY: " in done.stderr
    # It would come before what a login saves.
    assert done.stderr.endswith(f"; the key is shown at {server.url}/space/~/settings\n")


def test_a_login_without_a_key_does_not_send_to_itself(server: Sandbox) -> None:
    """Where nothing is typed or piped in, it says where a key is found."""
    done = CliRunner().invoke(root, ["login", "--host", server.url], input="")
    page = f"{server.url}/space/~/settings"
    said = f"error: no API key came from standard input; it is shown at {page}\n"
    assert (done.exit_code, done.stderr) == (3, said)


def test_a_wrong_key_for_the_sandbox_says_that_none_is_needed() -> None:
    """There is no page that shows it, and nothing to save; Python names its own argument."""
    done = CliRunner().invoke(root, ["api", "user", "info", "--host", "sandbox", "-k", "wrong"])
    assert done.exit_code == 3
    assert "the API key from --api-key: " in done.stderr
    assert done.stderr.endswith("; the sandbox needs no key: leave --api-key out\n")
    with (
        se.connect(host="sandbox", api_key="wrong") as api,
        pytest.raises(se.AuthenticationError, match=r"key from api_key=: .*leave api_key= out"),
    ):
        api.user.info()


def test_the_prompt_says_where_a_key_is_found(tmp_path: Path) -> None:
    """In a terminal, the settings page is named before the key is asked for, which is not shown."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals")
    import pty

    with Sandbox() as server:
        terminal, inner = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "swanlab_export", "login", "--host", server.url],
            stdin=inner, stdout=inner, stderr=inner, cwd=tmp_path, start_new_session=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        os.close(inner)
        shown = b""
        while b"API key:" not in shown:
            shown += os.read(terminal, 1000)
        assert f"{server.url}/space/~/settings" in shown.decode()
        os.write(terminal, f"{server.api_key}\n".encode())
        while b"logged in to" not in shown:
            shown += os.read(terminal, 1000)
        assert process.wait(30) == 0
        os.close(terminal)
        assert server.api_key.encode() not in shown


def test_logout_asks_unless_it_is_told_not_to(run: Run, tmp_path: Path) -> None:
    """``--yes`` is ``--force``; without either the answer decides."""
    path = tmp_path / ".swanlab" / ".netrc"
    for words, typed, is_kept in (([], "n\n", True), ([], "y\n", False), (["--yes"], "", False)):
        path.parent.mkdir(exist_ok=True)
        path.write_text("machine https://x\n\tlogin y\n\tpassword z\n")
        assert run("logout", *words, typed=typed).returncode == 0
        assert path.exists() is is_kept


def test_a_login_for_one_folder_stays_out_of_repositories(run: Run, tmp_path: Path) -> None:
    """``--local`` keeps the key in ./.swanlab, which git is told to ignore; it wins over the other."""
    with Sandbox() as server:
        words = ["login", "--host", server.url, "--local"]
        assert run(*words, "-k", server.api_key).returncode == 0
        assert (tmp_path / ".swanlab" / ".gitignore").read_text() == "*\n"
        assert run(*words, "-k", server.keys["bob"], "--relogin").returncode == 0
        assert "belongs to bob" in run("verify", "--local").stderr


def test_commands_of_the_official_client_are_handed_over(tmp_path: Path) -> None:
    """A command that is not ours is the official SDK's, with its own help and exit codes."""
    (tmp_path / "swanlab" / "cli").mkdir(parents=True)
    (tmp_path / "swanlab" / "__init__.py").touch()
    (tmp_path / "swanlab" / "cli" / "__init__.py").write_text(
        "import click, sys\n"
        "cli = click.Group('swanlab')\n"
        "cli.command('sync')(click.argument('folder')(lambda folder: sys.exit(len(folder))))\n"
    )
    for words, exit_code, said in ((["four"], 4, ""), (["--help"], 0, "FOLDER")):
        # With -m, Python finds what is in the folder.
        command = [sys.executable, "-m", "swanlab_export", "sync", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, said in done.stdout) == (exit_code, True), done.stderr


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
    assert "swanlab_export login`" in run("verify").stderr
    with Sandbox() as server:
        words = ["login", "--relogin", "--host", server.url, "-k", server.api_key]
        assert run(*words).returncode == 0
        assert "belongs to ada" in run("verify").stderr
