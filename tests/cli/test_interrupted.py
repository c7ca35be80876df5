"""Stopped at any moment: the old file or the new one, whole, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forks import Forks

if sys.platform == "win32":
    pytest.skip("Windows sends no signals, and limits no file sizes", allow_module_level=True)

METRICS = ["run", "metrics", "-p", "ada-lab/digits", "--keys", "loss,acc", "--all"]
LIST = ["run", "list", "ada-lab/sweep", "--all"]
MEDIA = ["run", "medias", "ada-lab/digits/mlp-long", "--keys", "val/confusion", "--all"]
# From the program's first line on, while it still imports; and from its first request on.
EARLY_S = (0.0, 0.02, 0.05, 0.1, 0.2)
RANDOM = random.Random(7)
LATE_S = tuple(round(RANDOM.uniform(0.0, 0.6), 3) for _ in range(12))
SIGNALS = ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129))
# Python itself, before any line of ours, ends as it likes: so the program says when it begins.
PROGRAM = "print('begun', flush=True); from swanlab_export.cli import main; main()"
# The main thread, as on Windows, does not notice a signal while it waits; another thread gets it.
DEAF = """\
import signal, sys, threading, time
from swanlab_export.api import connect
from swanlab_export.cli import main, output, run
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
sys.platform = "win32"
main()
"""


# Ctrl-C while the first command is imported: nothing of it has begun.
AT_IMPORT = """
import os, signal, sys

def hook(event, args):
    if event == "exec" and args[0].co_filename.endswith("cli/run.py"):
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hook)
from swanlab_export.cli import main
main()
"""

# Ctrl-C while Python ends an object, where it ignores every error.
AT_END_OF_OBJECT = """
import os, signal, sys, threading

class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            pass

once = [1]

def hook(event, args):
    is_main = threading.current_thread() is threading.main_thread()
    if event == "open" and is_main and "x.csv" in str(args[0]) and once:
        once.clear()
        Ends()

sys.addaudithook(hook)
from swanlab_export.cli import main
main()
"""


@pytest.fixture(scope="module", autouse=True)
def interrupts() -> Iterator[None]:
    """What is started hears Ctrl-C, also where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    """A server of its own, that takes its time, so that there is something to interrupt."""
    with Sandbox(faults=parse_faults(["latency=40ms"])) as sandbox:
        yield sandbox


def words_of(server: Sandbox, *words: str) -> list[str]:
    """The command line of a command that saves to ``out.parquet``."""
    access = ["--host", server.url, "--api-key", server.api_key, "-q"]
    return ["api", *words, "--save", "out.parquet", *access]


def start_python(server: Sandbox, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command with everything that it has to import; returns when its first line has run."""
    command = [sys.executable, "-c", PROGRAM, *words_of(server, *words)]
    # A process that is killed at random moments leaves broken coverage data.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def wait_for_request(server: Sandbox) -> None:
    """Wait until the command has asked the server something."""
    deadline = time.monotonic() + 30
    while not server.requests:
        assert time.monotonic() < deadline, "no request came"
        time.sleep(0.001)


def is_old(out: Path) -> bool:
    """Insist on one file and nothing else: the old one, or the new one and that whole."""
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    return out.read_bytes() == b"old" or pq.read_metadata(out).num_rows < 100


@pytest.mark.parametrize(
    ("moment_s", "number", "code"),
    # Each moment and each signal: every pair of them would take a minute.
    [(moment_s, *SIGNALS[i % 3]) for i, moment_s in enumerate(EARLY_S)],
)
def test_a_signal_while_it_starts(
    moment_s: float, number: signal.Signals, code: int, server: Sandbox, tmp_path: Path
) -> None:
    """Nothing is begun, and the exit code says that it was interrupted."""
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    process = start_python(server, tmp_path, *LIST)
    time.sleep(moment_s)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    # Before ``main`` has taken over, the signal ends Python: a shell makes the same code of it.
    assert process.returncode in ({code, -number} if is_old(out) else {0, code, -number}), said


def test_an_interrupt_before_a_command_begins(tmp_path: Path) -> None:
    """It ends with the code of an interrupt, and without a word of Python's."""
    words = [sys.executable, "-c", AT_IMPORT, "api", "run", "list", "ada-lab/digits"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_signal_where_python_ignores_errors(server: Sandbox, tmp_path: Path) -> None:
    """It ends the program all the same, and no file is left."""
    access = ["--host", server.url, "--api-key", server.api_key]
    words = ["api", "run", "list", "ada-lab/digits", "--save", str(tmp_path / "x.csv"), *access]
    script = [sys.executable, "-c", AT_END_OF_OBJECT]
    done = subprocess.run([*script, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("moment_s", "number", "code"),
    [(moment_s, *SIGNALS[i % 3]) for i, moment_s in enumerate(LATE_S)],
)
@pytest.mark.parametrize("words", [METRICS, LIST], ids=["metrics", "list"])
def test_a_signal_at_any_moment(
    words: list[str],
    moment_s: float,
    number: signal.Signals,
    code: int,
    server: Sandbox,
    unmeasured_forks: Forks,
    tmp_path: Path,
) -> None:
    """Ctrl-C and SIGTERM leave the old file, or came too late and the new one is whole."""
    out = tmp_path / "out.parquet"
    out.write_bytes(b"old")
    process = unmeasured_forks.start(*words_of(server, *words), cwd=tmp_path)
    wait_for_request(server)
    time.sleep(moment_s)
    process.send_signal(number)
    done = process.finish()
    # Once the new file is there, the signal came too late, and may meet Python tidying up.
    assert done.returncode in ({code} if is_old(out) else {0, code, -number}), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("moment_s", LATE_S[:4])
def test_an_interrupted_download_leaves_no_files(
    moment_s: float, server: Sandbox, unmeasured_forks: Forks, tmp_path: Path
) -> None:
    """Media come all or none, and the folder keeps what was in it."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    words = words_of(server, *MEDIA, "--download", "media")
    process = unmeasured_forks.start(*words, cwd=tmp_path)
    wait_for_request(server)
    time.sleep(moment_s)
    process.send_signal(signal.SIGINT)
    done = process.finish()
    left = sorted(path.name for path in folder.rglob("*") if path.is_file())
    if len(left) == 7:
        # Once the files are there, the signal came too late, and may meet the end of Python.
        assert done.returncode in {0, 130, -signal.SIGINT}, done.stderr
    else:
        assert done.returncode == 130, done.stderr
        assert left == ["mine.txt"]
        assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_signal_ends_a_wait_that_python_cannot_end(tmp_path: Path) -> None:
    """As on Windows, where the main thread goes on waiting: the end comes all the same, and soon."""
    with Sandbox(faults=parse_faults(["hang=1", "where=/runs"])) as server:
        access = ["--host", server.url, "--api-key", server.api_key, "--timeout", "100"]
        process = subprocess.Popen(
            [sys.executable, "-c", DEAF, "api", *LIST, *access],
            cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            while not any("/runs" in record.path for record in server.requests):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, said) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["run", "list", "ada-lab/digits", "--all"],
            "'out.parquet' cannot be written: the file would be larger than is allowed",
        ),
        (
            ["run", "list", "synthetic/list2000", "--all"],
            "the temporary folder cannot be written to",
        ),
    ],
    ids=["target", "waiting rows"],
)
def test_no_room(words: list[str], said: str, forks: Forks, tmp_path: Path) -> None:
    """Where nothing more can be written, the message says where, and the old file stays."""
    (tmp_path / "out.parquet").write_bytes(b"old")
    with Sandbox(synthetic=True) as server:
        done = forks.run(*words_of(server, *words), cwd=tmp_path, file_size_max=3000)
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out.parquet").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
