"""Administration of an instance: who may, what is refused, and how a password is given."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct horse"


@pytest.fixture
def server() -> Iterator[Sandbox]:
    """A sandbox of its own for every test: users are made here."""
    with Sandbox() as sandbox:
        yield sandbox


def access(server: Sandbox, who: str) -> list[str]:
    """The options that say which server and who."""
    return ["--host", server.url, "--api-key", server.keys[who]]


def call(server: Sandbox, *words: str, who: str = "ada", said: str | None = None) -> Result:
    """Run a ``self-hosted`` command."""
    return CliRunner().invoke(
        root, ["api", "self-hosted", *words, *access(server, who)], input=said
    )


def created(server: Sandbox) -> list[Any]:
    """The users that the server was asked to create."""
    return [
        r.body["users"][0] for r in server.requests if r.path == "/self_hosted/users" and r.body
    ]


ADMIN = [
    ["summary"],
    ["list-users"],
    ["list-projects", "--all"],
    ["list-workspaces"],
    ["create-user", "-u", "dora", "-p", PASSWORD],
]


@pytest.mark.parametrize("words", ADMIN, ids=" ".join)
def test_who_is_not_root_is_told_so(words: list[str], server: Sandbox) -> None:
    """The refusal names the user and the role; nothing but the licence was asked."""
    done = call(server, *words, who="bob")
    assert done.exit_code == 3, done.output
    assert "'bob' is not the root user" in done.stderr
    assert {r.path for r in server.requests} == {"/login/api_key", "/self_hosted/info"}


@pytest.mark.parametrize("words", ADMIN, ids=" ".join)
def test_an_expired_licence_is_told_first(words: list[str], server: Sandbox) -> None:
    """With an expired licence, the licence is what the refusal says."""
    server.faults = parse_faults(["licence=expired"])
    done = call(server, *words)
    assert done.exit_code == 3, done.output
    assert "licence" in done.stderr
    assert "root" not in done.stderr
    assert created(server) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [(["-p", PASSWORD], None), ([], f"{PASSWORD}\n"), ([], f"{PASSWORD}\r\nmore\n")],
    ids=["option", "standard input", "first line"],
)
def test_a_password_is_an_option_or_standard_input(
    words: list[str], said: str | None, server: Sandbox
) -> None:
    """The password arrives as it was given, once, and is shown nowhere."""
    done = call(server, "create-user", "-u", "dora", *words, said=said)
    assert done.exit_code == 0, done.output
    assert created(server) == [{"username": "dora", "password": PASSWORD}]
    assert PASSWORD not in done.output
    assert '"dora"' in done.stdout


def test_a_terminal_asks_for_the_password_twice(server: Sandbox) -> None:
    """In a terminal the password is asked for, unseen, and once more."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals")
    import pty

    words = ["api", "self-hosted", "create-user", "-u", "dora", *access(server, "ada")]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "swanlab_export", *words],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        screen = b""
        for _ in range(2):
            prompt = b""
            while not prompt.endswith(b": "):
                prompt += os.read(ours, 1000)
            os.write(ours, f"{PASSWORD}\n".encode())
            screen += prompt
        out, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 0
    assert created(server) == [{"username": "dora", "password": PASSWORD}]
    assert PASSWORD.encode() not in screen + out


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["-u", " ", "-p", PASSWORD], "--username"),
        (["-u", "a\x1bb", "-p", PASSWORD], "--username"),
        (["-u", "dora", "-p", ""], "--password"),
        (["-u", "dora"], "--password"),
    ],
)
def test_an_empty_name_or_password_is_refused(words: list[str], name: str, server: Sandbox) -> None:
    """What cannot be right is refused before anything is asked."""
    done = call(server, "create-user", *words, said="\n")
    assert done.exit_code == 2, done.output
    assert name in done.stderr
    assert "\x1b" not in done.stderr
    assert server.requests == []


def test_a_user_that_exists_is_the_servers_refusal(server: Sandbox) -> None:
    """The server's own refusal is told, and nothing was sent twice."""
    done = call(server, "create-user", "-u", "bob", "-p", PASSWORD)
    assert done.exit_code == 1, done.output
    assert "bob" in done.stderr
    assert PASSWORD not in done.output
    assert len(created(server)) == 1
