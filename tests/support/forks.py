"""Runs the command line in forks of a process that has imported it: a tenth of a start's time.

For tests that need a process of their own, such as for signals, terminals or limits. Whatever is
about the start of Python itself needs a real one. Windows, which does not fork, gets that, too.

Not only imported: a process of its own runs ``main``.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What commands import when they are called. What draws needs more, and a start of its own.
_IMPORTED = (
    "swanlab_export.cli.main",
    "swanlab_export.cli.account",
    "swanlab_export.cli.run",
    "swanlab_export.cli.waiting",
    "swanlab_export.api.connect",
    "swanlab_export.api.runs.export",
    "swanlab_export.api.runs.plan",
    "swanlab_export.api.runs.sample",
    "swanlab_export.files.parquet",
    "swanlab_export.normalizers.metrics",
    "swanlab_export.render.terminal",
    "pyarrow.csv",
    "pyarrow.parquet",
    "rich.console",
    "rich.table",
)
# As a command has it that needs neither: pyarrow is another one with them.
_KEPT_OUT = ("numpy", "pandas")
_END_S = 60
_NO_FORK = "Windows does not fork"


@dataclass(frozen=True)
class Done:
    """A run that has ended.

    Attributes:
        returncode: The exit code; that of a signal is negative.
        peak_mb: The most memory that it ever held, that of the imports included; 0 on Windows.
    """

    returncode: int
    output: bytes
    errors: bytes
    peak_mb: float = 0

    @property
    def stdout(self) -> str:
        """What it printed."""
        return self.output.decode()

    @property
    def stderr(self) -> str:
        """What it said."""
        return self.errors.decode()


class Forks:
    """A process that has imported the command line; forked for each run.

    Args:
        environ: Of the process that is forked; each run has one of its own.
    """

    _channel: socket.socket
    _lines: IO[str]

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._ended: dict[int, tuple[int, float]] = {}
        if sys.platform == "win32":
            return
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
            )
        self._lines = self._channel.makefile("r", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            self._lines.close()
            self._channel.close()
            self._process.wait(_END_S)

    def run(
        self,
        *words: str,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        typed: str = "",
        file_size_max: int = 0,
    ) -> Done:
        """Run a command to its end; see ``start``."""
        if sys.platform == "win32":
            done = subprocess.run(
                [sys.executable, "-m", "swanlab_export", *words],
                cwd=cwd,
                env=os.environ if environ is None else environ,
                input=typed.encode(),
                capture_output=True,
                check=False,
            )
            said, told = (text.replace(b"\r", b"") for text in (done.stdout, done.stderr))
            return Done(done.returncode, said, told)
        return self.start(
            *words, cwd=cwd, environ=environ, typed=typed, file_size_max=file_size_max
        ).finish()

    def start(
        self,
        *words: str,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        typed: str = "",
        terminal: int | None = None,
        prints_there: bool = False,
        file_size_max: int = 0,
    ) -> Fork:
        """Start a command.

        Args:
            words: The command line, without the program.
            cwd: Where it runs.
            environ: Its environment; that of this process by default.
            typed: Its standard input.
            terminal: Gets what it says on standard error, instead of ``Done``.
            prints_there: The terminal gets what it prints, too.
            file_size_max: The most bytes that it may write into a file; 0 for no limit.
        """
        if sys.platform == "win32":
            raise NotImplementedError(_NO_FORK)
        asked = {
            "words": words,
            "cwd": str(cwd),
            "environ": dict(os.environ if environ is None else environ),
            "file_size_max": file_size_max,
        }
        output, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        with tempfile.TemporaryFile() as stdin:
            stdin.write(typed.encode())
            stdin.seek(0)
            said = errors.fileno() if terminal is None else terminal
            printed = said if prints_there else output.fileno()
            text = json.dumps(asked).encode() + b"\n"
            sent = socket.send_fds(self._channel, [text], [stdin.fileno(), printed, said])
            self._channel.sendall(text[sent:])
            while "pid" not in (line := self._read()):
                pass
        return Fork(self, line["pid"], output, errors)

    def wait(self, pid: int) -> tuple[int, float]:
        """How a fork ended: its exit code and its peak in megabytes."""
        while pid not in self._ended:
            self._read()
        return self._ended.pop(pid)

    def send_signal(self, pid: int, number: signal.Signals) -> None:
        """Send a fork a signal, unless it has ended."""
        self._channel.sendall(json.dumps({"pid": pid, "signal": number}).encode() + b"\n")

    def _read(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self._lines.readline())
        if "ended" in line:
            self._ended[line["ended"]] = (line["code"], line["peak_mb"])
        return line


@dataclass(frozen=True)
class Fork:
    """A command that was started."""

    forks: Forks
    pid: int
    output: IO[bytes]
    errors: IO[bytes]

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, which comes to nothing once it has ended."""
        self.forks.send_signal(self.pid, number)

    def finish(self) -> Done:
        """Wait until it ends."""
        code, peak_mb = self.forks.wait(self.pid)
        said = []
        for stream in (self.output, self.errors):
            with stream:
                stream.seek(0)
                said.append(stream.read())
        return Done(code, said[0], said[1], peak_mb)


class Forker:
    """Forks for each request, and reports how the forks end."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._alive: set[int] = set()
        self._wakes, self._waker = os.pipe()

    def serve(self) -> dict[str, Any] | None:
        """Serve until nobody asks any more; returns in a fork, too, with what it has to do."""
        if sys.platform == "win32":
            raise NotImplementedError(_NO_FORK)
        os.set_blocking(self._waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker)
        while True:
            ready, _, _ = select.select([self._channel.fileno(), self._wakes], [], [])
            if self._wakes in ready:
                os.read(self._wakes, 1000)
                self._report_ended()
            if self._channel.fileno() not in ready:
                continue
            text, streams, _, _ = socket.recv_fds(self._channel, 1_000_000, 3)
            if not text:
                return None
            while not text.endswith(b"\n"):
                text += self._channel.recv(1_000_000)
            # Signals may come together with what is started next, which is the last and has streams.
            *signals, last = map(json.loads, text.splitlines())
            if "signal" not in last and self._fork(streams):
                return dict(last)
            for each in (*signals, last):
                if "signal" in each and each["pid"] in self._alive:
                    os.kill(each["pid"], each["signal"])

    def _fork(self, streams: list[int]) -> bool:
        """Fork; says whether this is the fork, which then has these streams."""
        if sys.platform == "win32":
            raise NotImplementedError(_NO_FORK)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            self._channel.close()
            for stream in (*streams, self._wakes, self._waker):
                os.close(stream)
            return True
        self._alive.add(pid)
        for stream in streams:
            os.close(stream)
        self._say(pid=pid)
        return False

    def _report_ended(self) -> None:
        if sys.platform == "win32":
            raise NotImplementedError(_NO_FORK)
        while self._alive:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            self._alive.discard(pid)
            # Linux counts in kilobytes, macOS in bytes.
            peak_mb = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
            self._say(ended=pid, code=os.waitstatus_to_exitcode(status), peak_mb=peak_mb)

    def _say(self, **words: float) -> None:
        self._channel.sendall(json.dumps(words).encode() + b"\n")


def become(asked: dict[str, Any]) -> None:
    """Be the process that was asked for: its folder, environment, streams and limits."""
    if sys.platform == "win32":
        return
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding, "backslashreplace", closefd=False)  # noqa: SIM115
    if asked["file_size_max"]:
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["file_size_max"], most))
        # Before coverage writes its own file, which it does at the end.
        atexit.register(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))
    sys.argv[1:] = asked["words"]


def main() -> None:
    """Import everything, serve, and run the command line in a fork."""
    for name in _KEPT_OUT:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in _IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()  # else the forks would copy what is never freed
    asked = Forker(socket.socket(fileno=int(sys.argv[1]))).serve()
    if asked is not None:
        become(asked)
        runpy.run_module("swanlab_export", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
