"""Administration of an instance: who may, what is refused, and how a password is given."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from traces import variables_of

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct horse"
USERS = Path(__file__).parents[1] / "support" / "users.csv"


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
    ["create-users", str(USERS)],
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
        out, _ = process.communicate(timeout=60)
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


CSV = "username,password\ndora,correct horse\nbob,other\n\neve,correct horse\n"
ROWS = [{"username": name, "password": PASSWORD} for name in ("dora", "bob", "eve")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("-", CSV),
        ("-", CSV.replace(",", "\t")),
        ("-", json.dumps(ROWS)),
        ("users.csv", f"\ufeff{CSV}"),
        ("users.tsv", CSV.replace(",", "\t")),
        ("users.json", json.dumps(ROWS)),
        ("users", "password,username\ncorrect horse,dora\nx,bob\ncorrect horse,eve"),
    ],
    ids=["-csv", "-tsv", "-json", "csv", "tsv", "json", "swapped"],
)
def test_the_users_of_a_table_are_created(
    name: str, text: str, server: Sandbox, tmp_path: Path
) -> None:
    """Those who exist are left alone; a rerun creates nobody, and its exit code is 0."""
    where = name if name == "-" else str(tmp_path / name)
    if name != "-":
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = ["create-users", where, "--format", "csv"]
    done = call(server, *words, "--debug", said=text)
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [
        *("username,status,reason", "dora,created,", "bob,exists,", "eve,created,")
    ]
    assert created(server) == [each for each in ROWS if each["username"] != "bob"]
    assert PASSWORD not in done.output
    again = call(server, *words, said=text)
    assert again.exit_code == 0, again.output
    assert again.stdout.count(",exists,") == 3
    assert len(created(server)) == 2


@pytest.mark.parametrize(
    "make",
    [list, iter, pd.DataFrame, pl.DataFrame, pa.Table.from_pylist, lambda _: io.StringIO(CSV)],
    ids=["list", "iterator", "pandas", "polars", "arrow", "open file"],
)
def test_users_come_from_frames_and_lists(make: Any, server: Sandbox) -> None:
    """In Python the table is anything with rows; the frame says nothing of the passwords."""
    with se.connect(host=server.url, api_key=server.keys["ada"]) as api:
        frame = api.self_hosted.create_users(make(ROWS))
    assert frame["status"].tolist() == ["created", "exists", "created"]
    assert [user["username"] for user in created(server)] == ["dora", "eve"]
    assert PASSWORD not in f"{frame.to_dict()}{frame.attrs}"


SECRET = "s3cret-word"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("username,password\n", "no rows"),
        ("[]", "no rows"),
        (f"dora,{SECRET}\n", "another header: the columns are username and password"),
        (f"username,password,{SECRET}\ndora,{SECRET},x\n", "another header"),
        (f"username\n{SECRET}\n", "another header"),
        (f"username,password\ndora,{SECRET},{SECRET}\n", "row 1 of the users has 3 cells"),
        (
            f"username,password\ndora,{SECRET}\n,{SECRET}\n",
            "row 2 of the users has an empty username",
        ),
        (f"username,password\neve,{SECRET}\ndora, \n", "row 2 of the users has an empty password"),
        (f"username,password\ndora,{SECRET}\neve,x\ndora,x\n", "rows 1 and 3 of the users"),
        (f"username,password\n dora,{SECRET}\n", "begins or ends with a space"),
        (f"username,password\na\x1bb,{SECRET}\n", "control characters"),
        (f'username,password\ndora,"{SECRET}" x\n', "bad quotes at line 2"),
        (f'[{{"username": "dora", "password": "{SECRET}"', "is not JSON"),
        (f'{{"dora": "{SECRET}"}}', "not a list of objects"),
        (f'["{SECRET}"]', "row 1 of the users is not an object"),
        (f'[{{"username": "dora", "{SECRET}": "x"}}]', "row 1 of the users has another column"),
        (f'[{{"username": "dora", "password": ["{SECRET}"]}}]', "no password that is text"),
        (f'[{{"password": "{SECRET}"}}]', "no username that is text"),
    ],
)
def test_a_table_of_users_that_cannot_be_right_is_refused(
    text: str, said: str, server: Sandbox
) -> None:
    """One bad row is enough: nothing is asked, and no cell is quoted, which may be a password."""
    done = call(server, "create-users", "-", "--debug", said=text)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert SECRET not in done.output
    assert "\x1b" not in done.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    "make",
    [
        lambda api: api.self_hosted.create_user("bob", SECRET),
        lambda api: api.self_hosted.create_user("", SECRET),
        lambda api: api.self_hosted.create_users(io.StringIO(f"username,password\nx,{SECRET},y")),
        lambda api: api.self_hosted.create_users(io.StringIO(f'[{{"password": "{SECRET}"}}]')),
        lambda api: api.self_hosted.create_users(io.BytesIO(f"{SECRET}\xff".encode("latin-1"))),
    ],
    ids=["refused", "empty", "cells", "row", "bytes"],
)
def test_no_variable_of_a_trace_is_a_password(make: Any, server: Sandbox) -> None:
    """A trace collector that keeps the variables of every call keeps no password and no key."""
    api = se.connect(host=server.url, api_key=server.keys["ada"])
    with api, pytest.raises(se.SwanlabExportError) as caught:
        make(api)
    shown = variables_of(caught.value)
    assert SECRET not in shown
    assert server.keys["ada"] not in shown


def test_a_file_of_users_that_cannot_be_read_is_refused(server: Sandbox, tmp_path: Path) -> None:
    """A file that is not there, or is no text, is named before anything is asked."""
    absent = call(server, "create-users", str(tmp_path / "absent.csv"))
    (tmp_path / "users.xlsx").write_bytes(b"PK\x03\x04\xff\xfe")
    binary = call(server, "create-users", str(tmp_path / "users.xlsx"))
    assert (absent.exit_code, binary.exit_code) == (2, 2)
    assert "absent.csv" in absent.stderr
    assert "is not UTF-8 text" in binary.stderr
    assert server.requests == []


def test_a_creation_that_may_have_happened_is_a_failure(server: Sandbox, tmp_path: Path) -> None:
    """It is never repeated; the others are tried, the table says what became of each, exit 5."""
    server.faults = parse_faults(["create=500"])
    saved = tmp_path / "done.json"
    done = call(server, "create-users", "-", "--save", str(saved), said=CSV)
    assert done.exit_code == 5, done.output
    assert [user["username"] for user in created(server)] == ["dora", "eve"]
    rows = json.loads(saved.read_text(encoding="utf-8"))
    assert [row["status"] for row in rows] == ["failed", "exists", "failed"]
    assert "may or may not have been created" in rows[0]["reason"]
    assert "dora: " in done.stderr
    assert PASSWORD not in done.output + saved.read_text(encoding="utf-8")
    server.faults = parse_faults([])
    again = call(server, "create-users", "-", said=CSV)
    assert again.exit_code == 0, again.output


def test_users_are_not_created_where_the_output_cannot_be(server: Sandbox) -> None:
    """What is wrong with the output is found before a user is created."""
    done = call(server, "create-users", "-", "--fields", "nothing", said=CSV)
    assert done.exit_code == 2, done.output
    assert server.requests == []
