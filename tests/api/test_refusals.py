"""Refusals as servers were seen to send them: their words are shown, whatever the endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner
from raw_server import Asked, RawServer, reply, reply_json

from swanlab_export.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from swanlab_export.sandbox import Sandbox

PAYLOADS = Path(__file__).parents[1] / "payloads"
REFUSALS: list[dict[str, Any]] = json.loads((PAYLOADS / "refusals.json").read_text("utf-8"))
(WRAPPED,) = [each["body"] for each in REFUSALS if each["status"] == 200]
RUN = "ada-lab/digits/mlp-adam"
SAMPLE = f"run metrics {RUN} --keys loss"
ALL = f"{SAMPLE} --all"
MEDIA = f"run medias {RUN} --keys val/confusion --step 43"
# What is asked, and the endpoint that refuses: each that a command reads.
ASKED = [
    ("user info", "/login/api_key"),
    ("user info", "/user/profile"),
    ("workspace list", "/user/ada/groups"),
    ("workspace info ada-lab", "/group/ada-lab"),
    ("project list -w ada-lab", "/project/ada-lab"),
    ("project info ada-lab/digits", "/project/ada-lab/digits"),
    ("run list ada-lab/digits", "/project/ada-lab/digits/runs"),
    ("run list ada-lab/digits --all --summary loss", "/house/metrics/summaries"),
    ("run filter ada-lab/digits -f state=FINISHED", "/project/ada-lab/digits/runs/shows"),
    (f"run info {RUN}", "/project/ada-lab/digits/runs/mlp-adam"),
    (f"run summary {RUN}", "/house/metrics/summaries"),
    (f"run series {RUN}", "/house/metrics/scalar/keys"),
    (f"run series {RUN} --type MEDIA", "/house/metrics/media/keys"),
    (f"run metrics {RUN} --keys lo*", "/house/metrics/scalar/keys"),
    (SAMPLE, "/house/metrics/scalar"),
    (ALL, "/house/metrics/scalar/availability"),
    (ALL, "/house/metrics/summaries"),
    (ALL, "/house/metrics/scalar/export"),
    (ALL, "/files/presigned/get"),
    (f"run columns {RUN}", "/column"),
    (f"run column {RUN} --key loss", "/column"),
    (MEDIA, "/house/metrics/media"),
    (f"run medias {RUN} --keys val/confusion --all", "/house/metrics/f_media"),
    (MEDIA, "/resources/presigned/get"),
    (f"run logs {RUN}", "/house/metrics/log"),
    (f"run logs {RUN} --offset 0", "/house/metrics/log"),
    (f"run export-logs {RUN}", "/house/metrics/log/export"),
    (f"run export-logs {RUN}", "/files/presigned/get"),
    ("self-hosted info", "/self_hosted/info"),
    ("self-hosted summary", "/self_hosted/summary"),
    ("self-hosted list-users", "/self_hosted/users"),
    ("self-hosted list-projects", "/self_hosted/projects"),
    ("self-hosted list-workspaces", "/self_hosted/groups"),
]


def run(words: str, url: str, key: str) -> Result:
    """Run a command, without waiting for a server that refuses."""
    access = ["--host", url, "--api-key", key, "--retries", "0"]
    return CliRunner().invoke(root, ["api", *words.split(), *access])


def forward(sandbox: Sandbox, asked: Asked) -> bytes:
    """Respond as the sandbox does."""
    names = ("cookie", "authorization", "content-type")
    headers = {name: asked.headers[name] for name in names if name in asked.headers}
    found = requests.request(
        asked.method, sandbox.url + asked.target, headers=headers, data=asked.body, timeout=60
    )
    return reply(found.status_code, found.content, {"content-type": "application/json"})


def refusing(sandbox: Sandbox, path: str, response: bytes) -> Callable[[Asked], bytes]:
    """A server that refuses at one endpoint."""
    return lambda asked: response if asked.path.endswith(path) else forward(sandbox, asked)


@pytest.mark.parametrize(("words", "path"), ASKED, ids=[f"{w} {p}" for w, p in ASKED])
def test_a_refusal_with_status_200_is_an_error(words: str, path: str, server: Sandbox) -> None:
    """It is never an empty table or a file that cannot be found: its own words are the error."""
    with RawServer(refusing(server, path, reply_json(WRAPPED))) as refused:
        done = run(words, refused.url, server.api_key)
    assert done.exit_code == 1, done.output
    assert done.stdout in {"", "["}  # what is read as it comes has begun
    assert "'The license of this server has expired' (code 'License_Expired')" in done.stderr


@pytest.mark.parametrize(
    "response", [reply(418), reply(403), reply(404), reply_json({"root": None})]
)
def test_who_is_root_need_not_be_told(response: bytes, server: Sandbox) -> None:
    """A server that does not tell is asked all the same, and says itself who may not do it."""
    with RawServer(refusing(server, "/self_hosted/info", response)) as silent:
        done = run("self-hosted list-users", silent.url, server.api_key)
        refused = run("self-hosted list-users", silent.url, server.keys["bob"])
    assert done.exit_code == 0, done.output
    assert "bob" in done.stdout
    is_told = b"root" in response
    assert ("whether you are the root user could not be checked" in done.stderr) != is_told
    assert refused.exit_code == 3, refused.output
    assert "GET /self_hosted/users failed with status 403" in refused.stderr


EXIT_CODES = {404: 4, 401: 3, 403: 3, 500: 6, 418: 1, 200: 1}


@pytest.mark.parametrize("path", ["/login/api_key", "/project/ada-lab/digits"])
@pytest.mark.parametrize("refusal", REFUSALS, ids=[str(each["status"]) for each in REFUSALS])
def test_each_refusal_that_was_seen(refusal: dict[str, Any], path: str, server: Sandbox) -> None:
    """Message, code and detail are shown with any status; a status without words names a firewall."""
    status, body = refusal["status"], refusal["body"]
    response = reply(status) if body is None else reply_json(body, status)
    with RawServer(refusing(server, path, response)) as refused:
        done = run("project info ada-lab/digits", refused.url, server.api_key)
    assert (done.exit_code, done.stdout) == (EXIT_CODES[status], ""), done.output
    words = [body[name] for name in ("message", "code", "detail") if name in body] if body else []
    for word in [*words, *(["firewall"] if body is None else [])]:
        assert str(word) in done.stderr
    assert ("refuses the API key" in done.stderr) == (status == 401 and "login" in path)


def test_a_presigned_path_that_was_seen(server: Sandbox, tmp_path: Path) -> None:
    """It is asked for on the API host, as it is, with neither key nor cookie; also by redirects."""
    payload = json.loads((PAYLOADS / "presigned_relative.json").read_text("utf-8"))
    (presigned,) = payload["urls"]
    moved, saved = "/moved?X-Amz-Signature=1", tmp_path / "run.log"

    def respond(asked: Asked) -> bytes:
        if asked.path.endswith("/files/presigned/get"):
            return reply_json(payload)
        if asked.target == presigned:
            return reply(307, b"", {"location": moved, "set-cookie": "sid=x; Path=/"})
        return reply(200, b"line\n") if asked.target == moved else forward(server, asked)

    with RawServer(respond) as storage:
        done = run(f"run export-logs {RUN} --save {saved}", storage.url, server.api_key)
        files = [asked for asked in storage.asked if not asked.path.startswith("/api/")]
    assert done.exit_code == 0, done.output
    assert saved.read_bytes() == b"line\n"
    assert [asked.target for asked in files] == [presigned, moved]
    assert not any({"cookie", "authorization"} & asked.headers.keys() for asked in files)
