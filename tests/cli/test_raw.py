"""``--raw``: what the server sent, as indented JSON, however much it is; and how much it may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from raw_server import KEY, RawServer, reply, reply_login

from swanlab_export.cli.main import root
from swanlab_export.sandbox import parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from swanlab_export.sandbox import Sandbox


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["run", "list", "ada-lab/digits", "--all"], "list"),
        (["run", "summary", "-p", "ada-lab/digits", "--keys", "loss"], None),
        (["project", "list", "-w", "ada-lab", "--search", "no such project"], "list"),
        (["run", "info", "ada-lab/digits/diverged"], "cuid"),
    ],
    ids=["list", "summary", "empty list", "one"],
)
def test_raw_output_is_indented_json(
    words: list[str], name: str | None, call: Callable[..., Result]
) -> None:
    """What comes piece by piece is formatted as if it were one value."""
    done = call(*words, "--raw")
    assert done.exit_code == 0, done.stderr
    response = json.loads(done.stdout)
    assert json.dumps(response, indent=2, ensure_ascii=False) + "\n" == done.stdout
    assert list(response) == ["ok", "errmsg", "data"]
    assert name is None or name in response["data"]


def test_a_raw_list_has_its_total(call: Callable[..., Result]) -> None:
    """All items of a list, and the number that the server announced."""
    data = json.loads(call("run", "list", "synthetic/list2000", "--all", "--raw").stdout)["data"]
    assert len({run["cuid"] for run in data["list"]}) == data["total"] == 2000


def test_a_raw_list_that_fails_half_way_prints_nothing(
    call: Callable[..., Result], server: Sandbox, tmp_path: Path
) -> None:
    """Neither stdout nor a file gets the first half of a list."""
    server.faults = parse_faults(["500=5", "where=/runs$"])
    words = ["run", "list", "synthetic/list2000", "--all", "--raw"]
    done = call(*words)
    assert (done.exit_code, done.stdout) == (6, "")
    saved = call(*words, "--save", str(tmp_path / "runs.json"))
    assert saved.exit_code == 6
    assert list(tmp_path.iterdir()) == []


def test_a_response_beyond_the_limit(call: Callable[..., Result]) -> None:
    """The message names the option, which has to be a size."""
    done = call("run", "list", "ada-lab/digits", "--max-response", "0.001")
    assert done.exit_code == 1
    assert "the limit that --max-response sets" in done.stderr
    assert call("run", "list", "ada-lab/digits", "--max-response", "1").exit_code == 0


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_size(size: str, call: Callable[..., Result]) -> None:
    """Such a limit is refused before any request."""
    done = call("run", "list", "ada-lab/digits", "--max-response", size)
    assert done.exit_code == 2
    assert "--max-response is more than 0 MB" in done.stderr


@pytest.mark.parametrize("number", ["null", "NaN", "-Infinity", "0.1", str(2**70)])
def test_raw_numbers_are_those_of_the_server(number: str) -> None:
    """Neither what is no JSON nor what is beyond 64 bits becomes null, or is rounded."""
    body = f'{{"username": "ada", "name": null, "x": {number}}}'.encode()
    with RawServer(
        lambda asked: reply_login(asked) or reply(200, body, {"content-type": "application/json"})
    ) as server:
        access = ["--host", server.url, "--api-key", KEY]
        done = CliRunner().invoke(root, ["api", "user", "info", "--raw", *access])
    assert done.exit_code == 0, done.stderr
    assert f'"x": {number}\n' in done.stdout
