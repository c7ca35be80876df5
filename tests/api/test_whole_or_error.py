"""Whole or an error: what the command line does when the server, the disk or the user misbehaves."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from systems import needs_posix

from swanlab_export import connect
from swanlab_export.api.connect import Api
from swanlab_export.api.context import Context
from swanlab_export.api.outputs import FrameOutput
from swanlab_export.cli.main import root
from swanlab_export.client import Client
from swanlab_export.errors import SwanlabExportError
from swanlab_export.sandbox import Sandbox, parse_faults
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forks import Forks

RUN = "ada-lab/digits/mlp-long"
METRICS = ["run", "metrics", RUN, "--keys", "loss", "--all"]
LIST = ["run", "list", "ada-lab/sweep", "--all"]
KEY = "sandbox-key-ada"
STEPS = 20_480


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One sandbox for the module; every test sets its own faults."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def fresh(server: Sandbox) -> None:
    """Start every test without faults."""
    server.faults = parse_faults([])
    server.reset_log()


class Shell:
    """Runs commands that save into a folder of its own, with an old file in it."""

    def __init__(self, server: Sandbox, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.file = folder / "out.parquet"
        self.file.write_bytes(b"old")

    def words(self, *words: str) -> list[str]:
        """The command line of a command on the sandbox."""
        access = ["--host", self.server.url, "--api-key", KEY, "--debug"]
        return [sys.executable, "-m", "swanlab_export", "api", *words, *access]

    def run(self, *words: str) -> Result:
        """Run a command, and check that it gives nothing away."""
        done = CliRunner().invoke(root, [*self.words(*words, "--save", str(self.file))[3:]])
        self.check_secrets(done.stdout + done.stderr)
        assert self.server.leaks == []
        return done

    def save(self, *, retries: int = 5) -> None:
        """Save all points of a key as Python does, but without a wait between attempts."""
        client = Client(
            Settings(self.server.url, self.server.url, KEY), retries=retries, sleep=lambda _: None
        )
        with client:
            api = Api(Context(client), FrameOutput("arrow"), client.close)
            api.using(save=self.file).run.metrics(RUN, keys="loss", all=True)

    def check_secrets(self, said: str) -> None:
        """No key, session or signature in what was printed or saved."""
        saved = b"".join(path.read_bytes() for path in self.folder.iterdir()).decode("latin-1")
        sids = {
            match[1]
            for record in self.server.requests
            if (match := re.search(r"sid=(\w+)", record.headers.get("cookie", "")))
        }
        for secret in (KEY, "X-Amz-Signature", *sids):
            assert secret not in said
            assert secret not in saved

    def is_untouched(self) -> bool:
        """The old file is as it was, and nothing lies beside it."""
        return self.file.read_bytes() == b"old" and list(self.folder.iterdir()) == [self.file]

    def rows(self) -> int:
        """How many rows were saved, with nothing beside the file."""
        assert list(self.folder.iterdir()) == [self.file]
        return int(pq.read_table(self.file).num_rows)


@pytest.fixture
def shell(server: Sandbox, tmp_path: Path) -> Shell:
    """A shell on the sandbox."""
    return Shell(server, tmp_path)


PASSING = [
    ["cut=length", "times=2"],
    ["cut=chunked", "times=2"],
    ["cut=length", "times=2", "noranges=1"],
    ["cut=chunked", "times=1", "gzip=1"],
    ["gzip=1"],
    ["nolength=1"],
    ["429=3", "retry-after=0.1"],
    ["reset=4"],
    ["500=4"],
    ["503=4"],
    # Any shorter, and a new session would die of its own login and the two requests in flight.
    ["forget=4"],
    ["expire=1", "times=1"],
    ["latency=20ms"],
]


@pytest.mark.parametrize("words", PASSING, ids=" ".join)
def test_faults_that_pass_leave_no_trace(words: list[str], shell: Shell) -> None:
    """A fault that passes ends in the whole table."""
    shell.server.faults = parse_faults(words)
    shell.save()
    assert shell.server.leaks == []
    assert shell.rows() == STEPS


LASTING = [
    (["cut=length"], 5, "bytes arrived"),
    (["cut=chunked"], 5, "bytes arrived"),
    (["cut=neither"], 5, "middle of a line"),
    (["500=1", "where=house"], 6, "500"),
    (["502=1", "where=house"], 6, "502"),
    (["reset=1", "where=export"], 6, "connection"),
    (["429=1", "where=house", "retry-after=0"], 6, "429"),
    (["429=1", "where=house", "retry-after=9999"], 6, "wait 9999 s"),
    (["html=1", "where=house"], 1, "text/html"),
    (["empty=1", "where=house"], 1, "empty body"),
    (["csv=missing"], 5, "no column"),
    (["csv=short"], 1, "cannot be read"),
    (["csv=empty"], 5, "empty"),
    (["csv=half"], 5, "announced step 20479"),
    (["csv=half", "nolength=1"], 5, "announced step 20479"),
    (["redirect=1", "where=house"], 1, "redirected"),
]


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    LASTING,
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_faults_that_last_are_errors(
    words: list[str], exit_code: int, said: str, shell: Shell
) -> None:
    """A fault that lasts ends in an error of its kind, and in no file."""
    shell.server.faults = parse_faults(words)
    with pytest.raises(SwanlabExportError, match=said) as error:
        shell.save(retries=1)
    assert error.value.exit_code == exit_code
    shell.check_secrets("".join(traceback.format_exception(error.value)))
    assert shell.server.leaks == []
    assert shell.is_untouched()


def test_the_command_line_says_what_lasts(shell: Shell) -> None:
    """The last line, but for hints, is the error, and no word of it is a secret."""
    shell.server.faults = parse_faults(["html=1", "where=house"])
    done = shell.run(*METRICS, "--retries", "0")
    assert done.exit_code == 1
    said = [line for line in done.stderr.splitlines() if not line.startswith("hint: ")]
    assert said[-1].startswith("error: ")
    assert "text/html" in said[-1]
    assert shell.is_untouched()


def test_a_word_among_values_is_one_odd_value(shell: Shell) -> None:
    """A word in the exported file is null in its row, and a warning quotes it; no row is lost."""
    shell.server.faults = parse_faults(["csv=text"])
    done = shell.run(*METRICS)
    assert done.exit_code == 0, done.stderr
    assert "1 value of step is not of its type" in done.stderr
    assert shell.rows() == STEPS


@pytest.mark.parametrize("fault", ["cut=length", "cut=neither", "csv=half"])
def test_raw_exports_are_whole_or_an_error(fault: str, shell: Shell) -> None:
    """What ``--raw`` prints of a file is checked as a table would be."""
    shell.file = shell.folder / "out.json"
    shell.server.faults = parse_faults([fault])
    (shell.folder / "out.parquet").rename(shell.file)
    assert shell.run(*METRICS, "--raw", "--retries", "0").exit_code == 5
    assert shell.is_untouched()


def test_columns_are_matched_by_header(shell: Shell) -> None:
    """Columns in another order are still told apart."""
    words = ["run", "metrics", RUN, "--keys", "loss,acc,lr", "--all"]
    assert shell.run(*words).exit_code == 0
    expected = pq.read_table(shell.file)
    shell.server.faults = parse_faults(["csv=reordered"])
    assert shell.run(*words).exit_code == 0
    assert pq.read_table(shell.file).equals(expected)


def test_a_server_that_limits_how_often_it_is_asked(shell: Shell) -> None:
    """Every third response is a 429: all runs come (``tests/client/test_pauses.py`` counts the requests)."""
    shell.server.faults = parse_faults(["429=3", "retry-after=0.02"])
    words = ["run", "metrics", "-p", "ada-lab/digits", "--keys", "loss", "--all", "--quiet"]
    done = shell.run(*words)
    assert done.exit_code == 0, done.stderr
    rows = shell.rows()
    shell.server.faults = parse_faults([])
    assert shell.run(*words).exit_code == 0
    assert rows == shell.rows() > STEPS


@pytest.mark.timeout(60)
@pytest.mark.parametrize("jobs", [1, 2])
def test_streams_that_are_read_concurrently(jobs: int, server: Sandbox) -> None:
    """More streams than permits, and calls in between: none waits for another for ever."""
    with connect(host=server.url, api_key=KEY, jobs=jobs) as api:
        streams = [
            api.using("batches").run.metrics(RUN, keys="loss", all=True, layout=layout)
            for layout in ("long", "wide", "long")
        ]
        rows = [next(stream).num_rows for stream in streams]
        assert api.run.info(RUN).run_id.tolist()
        for i, stream in enumerate(streams):
            rows[i] += sum(batch.num_rows for batch in stream)
    assert rows == [STEPS] * 3


def most_at_once(server: Sandbox, origin: str) -> int:
    """How many requests of an origin were served at the same time, at most."""
    spans = [(r.started, r.ended) for r in server.requests if r.origin == origin]
    return max(sum(start <= at < end for start, end in spans) for at, _ in spans)


def test_jobs_bound_the_requests_in_flight(tmp_path: Path) -> None:
    """``--jobs 2`` never has three requests under way, and gives the same table.

    A download that is being parsed lends its permit, but no thread has more than one.
    """
    words = ["run", "metrics", "-p", "ada-lab/digits", "--keys", "loss,acc", "--all", "--quiet"]
    # A server of its own: requests that another test left hanging would be counted, too.
    with Sandbox(faults=parse_faults(["latency=10ms"])) as own:
        shell = Shell(own, tmp_path)
        assert shell.run(*words, "--jobs", "2").exit_code == 0
        assert most_at_once(own, "api") == 2
        assert most_at_once(own, "storage") <= 2
        narrow = pq.read_table(shell.file).to_pandas()
        assert shell.run(*words, "--jobs", "8").exit_code == 0
    pd.testing.assert_frame_equal(pq.read_table(shell.file).to_pandas(), narrow)


def test_a_forgotten_session_costs_one_login(shell: Shell) -> None:
    """Eight workers whose session dies log in again once."""
    shell.server.faults = parse_faults(["forget=4", "times=1", "latency=10ms"])
    words = ["run", "metrics", "-p", "ada-lab/digits", "--keys", "loss", "--all", "--quiet"]
    assert shell.run(*words).exit_code == 0
    logins = [record for record in shell.server.requests if record.path == "/login/api_key"]
    assert len(logins) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["project", "create", "-n", "once", "-w", "ada-lab"],
        ["self-hosted", "create-user", "-u", "once", "-p", "secret-word"],
    ],
    ids=" ".join,
)
def test_a_create_that_fails_is_sent_once(words: list[str], shell: Shell) -> None:
    """A create that gets a 500 is not repeated, and may have happened: the error says so."""
    shell.server.faults = parse_faults(["create=500"])
    done = shell.run(*words)
    assert done.exit_code == 1
    assert "may or may not have been created" in done.stderr
    assert "secret-word" not in done.stderr
    path = "/project" if words[0] == "project" else "/self_hosted/users"
    sent = [r for r in shell.server.requests if (r.method, r.path) == ("POST", path)]
    assert len(sent) == 1


@pytest.mark.parametrize("kind", ["grow", "shrink"])
def test_a_list_that_moves_is_whole_or_an_error(kind: str, shell: Shell) -> None:
    """Each run once and none missing that was there all the time, or exit 5."""
    shell.server.faults = parse_faults([f"moving={kind}", "times=3"])
    done = shell.run(*LIST)
    assert done.exit_code == 0, done.stderr
    names = pq.read_table(shell.file)["run_id"].to_pylist()
    assert len(names) == len(set(names))
    assert len([name for name in names if not name.startswith("new")]) >= 128


NULLABLE = ["slug", "description", "labels", "group", "job_type", "finished_at", "duration_s"]
USER = ["user.username", "user.name"]
PROFILE = ("config.", "metadata.", "requirements", "conda")


@pytest.mark.parametrize(
    ("words", "missing", "profile"),
    [
        (["run", "list", "ada-lab/digits", "--all"], [*NULLABLE, *USER], PROFILE),
        (
            ["run", "list", "ada-lab/digits", "--summary", "loss"],
            [*NULLABLE, *USER, "summary.loss"],
            PROFILE,
        ),
        (["run", "info", RUN], [*NULLABLE, *USER], PROFILE),
        (["project", "list", "--workspace", "ada-lab"], ["labels"], "labels."),
        (["run", "metrics", RUN, "--keys", "loss"], [], "none."),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_nulls_are_missing_values(
    words: list[str], missing: list[str], profile: str | tuple[str, ...], shell: Shell
) -> None:
    """Null where the server may send it is a missing value; everything else is as it was."""
    assert shell.run(*words).exit_code == 0
    good = pq.read_table(shell.file)
    shell.server.faults = parse_faults(["nulls=1"])
    done = shell.run(*words)
    assert done.exit_code == 0, done.stderr
    found = pq.read_table(shell.file)
    assert found.num_rows == good.num_rows > 0
    for name in missing:
        assert found[name].type == good[name].type
        assert found[name].null_count == found.num_rows, name
    # What a profile or a label holds has no columns, where there is none.
    gone = {"labels.colors"} | {name for name in good.column_names if name.startswith(profile)}
    for name in set(good.column_names) - gone - set(missing) - {"url"}:
        assert found[name].equals(good[name]), name
    assert not gone & set(found.column_names)


MEDIAS = ["run", "medias", RUN, "--keys", "val/confusion"]
MEDIA_COLUMNS = ["run_id", "key", "step", "item", "path", "url", "caption"]


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (["run", "summary", RUN], ["run_id", "key", "step", "value", "min", "min_step"]),
        (MEDIAS, MEDIA_COLUMNS),
        ([*MEDIAS, "--all"], MEDIA_COLUMNS),
    ],
    ids=["summary", "medias of a step", "all medias"],
)
def test_null_in_place_of_a_list_is_an_empty_one(
    words: list[str], columns: list[str], shell: Shell
) -> None:
    """Null where the server has nothing to list is a table without rows, with all its columns."""
    shell.server.faults = parse_faults(["nulls=1"])
    assert shell.run(*words).exit_code == 0
    found = pq.read_table(shell.file)
    assert found.num_rows == 0
    assert found.column_names[: len(columns)] == columns


def test_an_expired_licence_is_named(shell: Shell) -> None:
    """An administrator reads that it is the licence, not the role."""
    shell.server.faults = parse_faults(["licence=expired"])
    done = shell.run("self-hosted", "list-users")
    assert done.exit_code == 3
    assert "licence" in done.stderr


def test_a_server_that_never_responds_is_given_up(shell: Shell) -> None:
    """A hanging server ends in exit 6 after the timeout and the retries."""
    shell.server.faults = parse_faults(["hang=1", "where=runs"])
    began = time.monotonic()
    done = shell.run(*LIST, "--timeout", "0.3", "--retries", "1")
    assert done.exit_code == 6, done.stderr
    assert "in time" in done.stderr
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("host", "said"),
    [("http://nowhere.invalid", "DNS"), ("http://127.0.0.1:9", "refused"), ("https://", "host")],
)
def test_unreachable_hosts_are_named(host: str, said: str, forks: Forks, tmp_path: Path) -> None:
    """DNS and connection errors say what is wrong in plain words."""
    words = ["api", "user", "info", "--host", host, "--api-key", KEY, "--retries", "0"]
    done = forks.run(*words, cwd=tmp_path, environ={**os.environ, "NO_PROXY": "*"})
    assert done.returncode in {2, 6}
    assert said in done.stderr
    assert KEY not in done.stderr


def test_no_login_names_the_sandbox(forks: Forks, tmp_path: Path) -> None:
    """Without any login, the error says how to get one and how to try without."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SWANLAB")}
    done = forks.run("api", "user", "info", cwd=tmp_path, environ=environ)
    assert done.returncode == 3
    assert "--host sandbox" in done.stderr


@needs_posix
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_leaves_the_old_file(
    number: signal.Signals, exit_code: int, shell: Shell, unmeasured_forks: Forks
) -> None:
    """Ctrl-C and SIGTERM in the middle of a download leave the old file and nothing else."""
    shell.server.faults = parse_faults(["hang=1", "where=exports"])
    words = shell.words(*METRICS, "--save", str(shell.file))[3:]
    process = unmeasured_forks.start(*words, cwd=shell.folder)
    deadline = time.monotonic() + 60
    while not any(r.path.startswith("/exports/") for r in shell.server.requests):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert process.finish().returncode == exit_code
    assert shell.is_untouched()


def test_a_closed_pipe_is_no_error(shell: Shell) -> None:
    """``| head -1`` ends well and says nothing."""
    words = shell.words("run", "metrics", RUN, "--keys", "loss", "--all", "--format", "csv")
    words.remove("--debug")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert said == b""


def test_places_that_cannot_be_written_are_refused_first(shell: Shell, forks: Forks) -> None:
    """A missing folder, a folder as the file and an unknown extension cost no request."""
    for name in ("missing/out.parquet", str(shell.folder), "out.docx"):
        done = forks.run(*shell.words(*METRICS, "--save", name)[3:], cwd=shell.folder)
        assert done.returncode == 2, done.stderr
    assert shell.server.requests == []


@needs_posix
def test_a_full_disk_leaves_the_old_file(shell: Shell, forks: Forks) -> None:
    """Where no more may be written, the error says so and the old file stays."""
    words = shell.words(*METRICS, "--save", str(shell.file))[3:]
    done = forks.run(*words, cwd=shell.folder, file_size_max=20_000)
    assert done.returncode == 1, done.stderr
    assert "cannot be written" in done.stderr
    assert shell.is_untouched()


@needs_posix
def test_two_writers_leave_one_whole_file(shell: Shell, forks: Forks) -> None:
    """Two processes that save to one name leave one of two whole files."""
    words = shell.words(*METRICS, "--save", str(shell.file))[3:]
    both = [forks.start(*words, cwd=shell.folder) for _ in range(2)]
    assert [process.finish().returncode for process in both] == [0, 0]
    assert shell.rows() == STEPS


def test_a_proxy_of_the_environment_is_used(shell: Shell, forks: Forks) -> None:
    """HTTP_PROXY is honoured: the request goes to the proxy."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def respond() -> None:
            connection, _ = proxy.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        port = proxy.getsockname()[1]
        words = ["api", "user", "info", "--host", "http://swan.test", "--api-key", KEY]
        env = {**os.environ, "HTTP_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": ""}
        env |= {"http_proxy": env["HTTP_PROXY"], "no_proxy": ""}
        done = forks.run(*words, "--retries", "0", cwd=shell.folder, environ=env)
        thread.join(60)
    assert asked[0].startswith(b"POST http://swan.test/api/login/api_key")
    assert done.returncode == 3
