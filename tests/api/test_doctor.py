"""``doctor``: what a server offers, without any value of what it sent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from raw_server import KEY, Asked, RawServer, reply, reply_json, reply_login

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.client.probe import ProbingClient
from swanlab_export.decoding import decode
from swanlab_export.endpoints.checks import CHECKS, Facts, learn
from swanlab_export.endpoints.releases import SINCE
from swanlab_export.endpoints.shapes import NUMBER, TEXT, TIME, Names, Nullable, differences
from swanlab_export.errors import SwanlabExportError
from swanlab_export.refs import ProjectRef, RunRef
from swanlab_export.sandbox import GENERATIONS, Sandbox, parse_faults
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

RUN = "ada-lab/digits/mlp-adam"
REF = RunRef(ProjectRef("ada-lab", "digits"), "mlp-adam")
OF = {check.endpoint: check for check in CHECKS}


def doctor(*words: str, program: str = "swanlab-export") -> Result:
    """Run ``doctor`` from the command line."""
    return CliRunner().invoke(root, ["doctor", RUN, *words], prog_name=program)


def run_on(sandbox: Sandbox, *words: str) -> Result:
    """Run it on a sandbox."""
    return doctor("--host", sandbox.url, "--api-key", sandbox.api_key, *words)


def rows_of(done: Result) -> dict[str, dict[str, Any]]:
    """The rows that were printed, by endpoint."""
    assert done.exit_code == 0, done.output
    return {row["endpoint"]: row for row in json.loads(done.stdout)}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_what_a_generation_offers(generation: str) -> None:
    """What a generation lacks is missing or refused, and the rest is as it is declared."""
    with Sandbox(generation=generation) as sandbox:
        done = run_on(sandbox)
        asked = [f"{r.method} {r.path}" for r in sandbox.requests if r.origin == "api"]
    rows = rows_of(done)
    assert rows.keys() >= OF.keys()
    for endpoint, check in OF.items():
        is_offered = check.is_of(generation)
        results = {"as declared"} if is_offered else {"missing", "refused", "not asked"}
        if generation == "2.6" and endpoint.endswith("/shows"):
            results = {"refused"}
        assert rows[endpoint]["result"] in results, rows[endpoint]
    older = [name for name in rows if name.endswith("(older form)")]
    assert len(older) == (2 if generation == "2.6" else 0)
    assert all(rows[name]["result"] == "as declared" for name in older)
    # Each once, but for those that are missing, or repeated in their older form.
    missing = sum(row["result"] == "missing" for row in rows.values())
    assert len(asked) - len(older) <= len(set(asked)) + missing
    said = (
        f"this server responds as one of generation {generation} does; of that, missing: nothing;"
    )
    assert said in done.stderr


@pytest.mark.parametrize("generation", ["2.8", "3.1"])
def test_a_server_that_refuses_creation_times(generation: str) -> None:
    """It is of the same generation, and each endpoint is asked without them, too."""
    with Sandbox(generation=generation, faults=parse_faults(["strict-fields=1"])) as sandbox:
        done = run_on(sandbox)
    rows = rows_of(done)
    undated = [name for name in rows if name.endswith(" (without creation times)")]
    assert len(undated) == (6 if generation == "2.8" else 11)
    assert {rows[name]["result"] for name in undated} == {"as declared"}
    assert {rows[name.partition(" (")[0]]["result"] for name in undated} == {"refused"}
    assert (
        f"of generation {generation} does; of that, missing: nothing; differing: 0;" in done.stderr
    )


def test_every_endpoint_that_reads_is_asked() -> None:
    """No endpoint that a release brought is forgotten, and each is of the right generation."""
    known = {endpoint: since for endpoint, since in SINCE.items() if endpoint in OF}
    assert SINCE.keys() - known.keys() == {"POST /self_hosted/users"}
    assert {endpoint: OF[endpoint].since for endpoint in known} == known


def test_an_endpoint_that_the_generation_should_have() -> None:
    """The summary names what is missing; a server is of the newest generation that shows."""
    with Sandbox() as sandbox:

        def respond(asked: Asked) -> bytes | None:
            if asked.path in {"/api/user/profile", "/api/group/"}:
                return reply_json({"code": "Not_Found"}, 404)
            return forward(sandbox, asked)

        with RawServer(respond) as server:
            done = doctor("--host", server.url, "--api-key", sandbox.api_key)
    said = "generation 3.1 does; of that, missing: GET /user/profile; differing: 0; refused or failed: 0"
    assert said in done.stderr
    assert rows_of(done)["GET /user/profile"]["differences"] == "code Not_Found"


def forward(sandbox: Sandbox, asked: Asked, change: Callable[[Any], Any] | None = None) -> bytes:
    """Ask the sandbox, and respond with what it says, maybe changed."""
    import requests

    names = ("cookie", "authorization", "content-type")
    headers = {name: asked.headers[name] for name in names if name in asked.headers}
    found = requests.request(
        asked.method, sandbox.url + asked.target, headers=headers, data=asked.body, timeout=60
    )
    payload = found.json()
    if change is not None and found.ok:
        payload = change(payload)
    return reply_json(payload, found.status_code)


class Values:
    """Values that occur nowhere else."""

    def __init__(self) -> None:
        self.count = 7_654_000

    def text(self) -> str:
        """A new one."""
        self.count += 1
        return f"value-{self.count}"

    def names(self, payload: Any) -> Any:
        """Put a field of a name and a value that are private into every object."""
        if isinstance(payload, dict):
            return {n: self.names(v) for n, v in payload.items()} | {self.text(): self.text()}
        return [self.names(item) for item in payload] if isinstance(payload, list) else payload

    def swap(self, payload: Any) -> Any:
        """Put a value of another type in the place of every one."""
        if isinstance(payload, dict):
            return {name: self.swap(value) for name, value in payload.items()}
        if isinstance(payload, list):
            return [self.swap(item) for item in payload]
        return [self.text()] if isinstance(payload, str) else self.text()

    def replace(self, payload: Any) -> Any:
        """Put another value of the same type in the place of every text and number."""
        if isinstance(payload, dict):
            return {name: self.replace(value) for name, value in payload.items()}
        if isinstance(payload, list):
            return [self.replace(item) for item in payload]
        if isinstance(payload, str):
            return self.text()
        self.count += 1
        return payload if isinstance(payload, bool | None) else self.count

    def wrap(self, payload: Any) -> Any:
        """Put everything into an object whose name is private."""
        return {self.text(): payload}


@pytest.mark.parametrize("change", ["names", "swap", "replace", "wrap"])
@pytest.mark.parametrize("output", ["json", "table", "parquet"])
def test_no_value_of_a_payload_is_shown(change: str, output: str, tmp_path: Path) -> None:
    """Whatever a server sends, no value and no name of the user's is in the table or a message."""
    values = Values()
    ids = ("/login/", f"/runs/{REF.run}", f"/project/{REF.project.url_path}")

    def respond(asked: Asked) -> bytes | None:
        of_run = asked.target.endswith(ids) or "/login/" in asked.target
        return forward(sandbox, asked, None if of_run else getattr(values, change))

    path = tmp_path / "doctor.parquet"
    words = ["--save", str(path)] if output == "parquet" else ["--format", output]
    with Sandbox() as sandbox, RawServer(respond) as server:
        done = doctor("--host", server.url, "--api-key", sandbox.api_key, *words)
    assert done.exit_code == 0, done.output
    shown = done.output
    if output == "parquet":
        table = pq.read_table(path)
        shown += f"{table.to_pylist()} {table.schema.metadata} {table.schema}"
        assert server.url not in shown
    assert "differs" in shown or output == "table"
    assert not re.findall(r"value-\d+|765\d{4}", shown)
    for word in ("ada-lab", "digits", "mlp-adam", "127.0.0.1", sandbox.api_key):
        assert word not in shown.replace(str(path), "")


@pytest.fixture(scope="module")
def leaves() -> set[str]:
    """Every text and name that the sandbox sends for the run."""
    found: set[str] = set()
    with Sandbox() as sandbox:
        settings = Settings(sandbox.url, sandbox.url, sandbox.api_key)
        facts = Facts(REF)
        with ProbingClient(settings, timeout_s=5) as client:
            for check in CHECKS:
                if check.is_file or not all(getattr(facts, name) for name in check.needs):
                    continue
                try:
                    check.ask(client, facts)
                except SwanlabExportError:
                    continue
                response = client.exchanges[-1].response
                assert response is not None
                payload = decode(response.body)
                learn(check, facts, payload)
                found |= set(words_of(payload))
    return found


def words_of(payload: Any) -> Iterator[str]:
    """Every text in a payload."""
    if isinstance(payload, dict):
        payload = list(payload.values())
    if isinstance(payload, list):
        for item in payload:
            yield from words_of(item)
    elif isinstance(payload, str) and payload:
        yield payload


def test_no_value_of_the_sandbox_is_shown(leaves: set[str], server: Sandbox) -> None:
    """No text of any payload is a word of the output, of which each word is our own."""
    assert len(leaves) > 200
    done = run_on(server)
    words = set(re.findall(r"[^\s\"',;:{}\[\]()]+", done.output))
    assert not words & leaves
    long = {leaf for leaf in leaves if len(leaf) > 9}
    assert not [leaf for leaf in long if leaf in done.output]


ODD = {
    "/api/project/ada-lab/digits": reply_json({"cuid": "p", "path": "ada-lab/digits"}),
    "/api/project/ada-lab/digits/runs/mlp-adam": reply_json({"cuid": "r", "slug": "mlp-adam"}),
    "/api/user/profile": reply(200, b"<html>secret-page", {"content-type": "text/html"}),
    "/api/project/ada-lab": reply(200, b"secret-page", {"content-type": "secret/page"}),
    "/api/house/metrics/summaries": reply_json({"code": "secret word", "message": "secret"}, 500),
    "/api/house/metrics/media/keys": reply(418),
    "/api/house/metrics/summaries/p/r": reply_json({"scalar": [{"key": "secret-key", "step": 1}]}),
    "/api/user/ada/groups": reply_json({"secret name": 1}),
    "/api/group/ada-lab": reply_json({"code": "Not_Here", "message": "secret-page"}),
    "/api/house/metrics/scalar": reply_json({"code": "secret word", "message": "secret-page"}),
    "/api/house/metrics/scalar/export": reply_json({"cosKey": "secret-path"}),
    "/api/files/presigned/get": reply_json({"urls": ["/secret-file?X-Amz-Signature=secret-sig"]}),
    "/secret-file": reply(200, b"secret-page", {"connection": "close"}),
}


def test_an_odd_server() -> None:
    """Pages, refusals, closed connections and files without an end are rows of the table."""
    with RawServer(lambda asked: reply_login(asked) or ODD.get(asked.path)) as server:
        done = doctor("--host", server.url, "--api-key", KEY)
    rows = rows_of(done)
    expected: dict[str, tuple[int | None, str, str | None]] = {
        "GET /user/profile": (200, "differs", "the body is text/html, not JSON"),
        "GET /project/{workspace}": (200, "differs", "the body is something else, not JSON"),
        "GET /group/": (None, "failed", "no response"),
        "POST /house/metrics/summaries": (500, "failed", None),
        "POST /house/metrics/media/keys": (418, "refused", "the body is empty, not JSON"),
        "POST /house/metrics/scalar": (200, "refused", None),
        "GET /group/{workspace}": (200, "refused", "code Not_Here"),
        "GET /user/{username}/groups": (200, "differs", "the payload is an object, not a list"),
        "POST /files/presigned/get": (200, "as declared", None),
        "GET the exported file": (200, "differs", "it has neither a length nor chunks"),
        "GET the media file": (None, "not asked", "unknown: media_url"),
    }
    for endpoint, (status, result, said) in expected.items():
        row = rows[endpoint]
        assert (row["status"], row["result"], row["differences"]) == (status, result, said)
    assert "secret" not in done.output
    assert "refused or failed: " in done.stderr
    # Nothing is repeated.
    assert len(server.of("/api/house/metrics/summaries")) == 1


@pytest.mark.parametrize(
    ("path", "exit_code", "said"),
    [
        ("ada-lab/digits/mlp-adm", 4, "runs of ada-lab/digits: 'mlp-adam'"),
        ("ada-lab/digts/mlp-adam", 4, "projects of 'ada-lab': 'digits'"),
        ("ada-lab/digits", 2, "is not WORKSPACE/PROJECT/RUN"),
    ],
)
def test_a_run_that_does_not_exist(path: str, exit_code: int, said: str, server: Sandbox) -> None:
    """Doctor needs a run; a wrong path is the same error as of any other command."""
    access = ["--host", server.url, "--api-key", server.api_key]
    done = CliRunner().invoke(root, ["doctor", path, *access])
    assert (done.exit_code, done.stdout) == (exit_code, "")
    assert said in done.stderr
    assert "hint" not in done.stderr


def test_both_programs_have_it(server: Sandbox) -> None:
    """``swanlab doctor`` is not handed on to the official SDK."""
    access = ["--host", server.url, "--api-key", server.api_key]
    done = doctor(*access, "--raw", program="swanlab")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["data"][0]["endpoint"] == "POST /login/api_key"


def test_python_gets_the_same_table(server: Sandbox, tmp_path: Path) -> None:
    """``api.doctor`` returns a frame, and its summary is a warning."""
    with se.connect(host=server.url, api_key=server.api_key, frame="arrow") as api:
        with pytest.warns(se.SwanlabExportWarning, match=r"of generation 3\.1 does"):
            found = api.doctor(RUN)
        with pytest.warns(se.SwanlabExportWarning):
            api.using(save=tmp_path / "doctor.csv").doctor(RUN)
    assert found["endpoint"].to_pylist() == list(OF)
    assert (tmp_path / "doctor.csv").read_text(encoding="utf-8").startswith("endpoint,generation,")


HTML = reply(200, b"<html>", {"content-type": "text/html"})
PUZZLING = [
    (HTML, 1, True),
    (reply_json([]), 1, True),
    (reply(418), 1, True),
    (reply(500), 6, True),
    (reply_json({"code": "Bad_Request", "message": "no"}, 400), 1, False),
    (reply_json({"code": "STS_Error", "message": "no"}, 500), 6, False),
    (reply(503), 6, False),
    (reply(403), 3, False),
    (None, 6, False),
]


@pytest.mark.parametrize(("response", "exit_code", "is_named"), PUZZLING)
def test_a_failing_command_names_it(
    response: bytes | None, exit_code: int, *, is_named: bool
) -> None:
    """It is named for what only the server's endpoints explain, and for no other failure."""
    with RawServer(lambda asked: reply_login(asked) or response) as server:
        access = ["--host", server.url, "--api-key", KEY, "--retries", "0"]
        words = ["api", "user", "info", *access]
        done = CliRunner().invoke(root, words, prog_name="swanlab")
        quiet = CliRunner().invoke(root, [*words, "--quiet"], prog_name="swanlab")
    assert done.exit_code == exit_code
    hint = "hint: `swanlab doctor PATH` shows what this server offers\n"
    assert done.stderr.endswith(hint) == is_named
    assert "hint" not in quiet.stderr


def test_a_missing_endpoint_names_it() -> None:
    """Where there is no older way to a fact, the table shows what the server offers."""
    with Sandbox(generation="2.6") as sandbox:
        access = ["--host", sandbox.url, "--api-key", sandbox.api_key]
        done = CliRunner().invoke(root, ["api", "run", "logs", RUN, *access])
    assert done.exit_code == 1
    assert done.stderr.endswith("doctor PATH` shows what this server offers\n")


SHAPE = {
    "name": TEXT,
    "at?": TIME,
    "value": Nullable(NUMBER),
    "config": Names(NUMBER),
    "items": [{"n": NUMBER}],
}
GOOD = {"name": "x", "value": None, "config": {"private": 1}, "items": [{"n": "NaN"}]}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"at": "2026-01-01T00:00:00.000Z", "value": 1.5}, []),
        ({"at": ""}, ["at is empty text, not a time in ISO 8601"]),
        ({"at": "0001-01-01T00:00:00Z"}, ["at is text, not a time in ISO 8601"]),
        ({"at": 5}, ["at is an integer, not a time in ISO 8601"]),
        ({"name": None}, ["name is null, not text"]),
        ({"value": "5"}, ["value is text, not a number"]),
        ({"value": True}, ["value is true or false, not a number"]),
        ({"config": {"private": "x"}}, ["config{} is text, not a number"]),
        ({"config": []}, ["config is a list, not an object"]),
        ({"items": {}}, ["items is an object, not a list"]),
        (
            {"items": [{"n": "x"}, {"n": "y"}, {}]},
            ["items[].n is text, not a number", "items[].n is missing"],
        ),
        ({"isNew": 1}, ["isNew (an integer) is not declared"]),
        ({"private": 1}, ["(a name that is not shown) (an integer) is not declared"]),
        ({"lr 0.1": 1}, ["(a name that is not shown) (an integer) is not declared"]),
    ],
)
def test_differences(change: dict[str, Any], found: list[str]) -> None:
    """Each difference is named once, by the path of the field and by kinds."""
    assert differences(GOOD | change, SHAPE, {"private"}) == found


def test_a_response_beyond_the_limit() -> None:
    """What is larger than ``--max-response`` is not read, and counts as no response."""
    with Sandbox() as sandbox:
        row = rows_of(run_on(sandbox, "--max-response", "0.001"))["GET /project/{workspace}"]
    assert (row["result"], row["differences"]) == ("failed", "no response")


@pytest.mark.parametrize("words", [["--retries", "3"], ["--jobs", "2"]], ids=["retries", "jobs"])
def test_options_that_would_have_no_effect(words: list[str]) -> None:
    """Each endpoint is asked once, one after the other: options about that are not there."""
    done = CliRunner().invoke(
        root, ["doctor", "ada-lab/digits/linear", "--host", "sandbox", *words]
    )
    assert done.exit_code == 2
    assert "No such option" in done.output
    assert words[0] in done.output
