"""The two origins as servers: quick to start and stop, watched, quiet, connections kept."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sandbox_tiny import Caller

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from pathlib import Path


def test_sample_data_is_the_default() -> None:
    """Without a folder the sample data are served, to ada."""
    with Sandbox() as sandbox:
        caller = Caller(sandbox)
        assert sandbox.api_key == sandbox.keys["ada"] == "sandbox-key-ada"
        assert caller.get("/project/ada-lab/digits")["path"] == "ada-lab/digits"
        caller.close()


def test_starts_and_stops_quickly(tiny: Path) -> None:
    """Once imported it starts in well under half a second and stops in a fifth of one."""
    start = time.monotonic()
    sandbox = Sandbox(tiny).start()
    assert time.monotonic() - start < 0.4
    caller = Caller(sandbox)
    caller.get("/user/profile")
    start = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - start < 0.2
    caller.close()


def test_no_threads_are_left(tiny: Path) -> None:
    """After it was stopped nothing of it runs on."""
    before = threading.active_count()
    with Sandbox(tiny) as sandbox:
        caller = Caller(sandbox)
        caller.get("/user/profile")
        caller.close()
    deadline = time.monotonic() + 1
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_two_at_a_time(tiny: Path, tmp_path: Path) -> None:
    """Two sandboxes side by side know nothing of each other."""
    with Sandbox(tiny) as one, Sandbox(tiny) as other:
        assert one.url != other.url
        caller = Caller(one)
        assert other.requests == []
        caller.close()


def test_connection_is_kept(sandbox: Sandbox, ada: Caller) -> None:
    """Several requests go over one connection, also after bodies and errors."""
    host = sandbox.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.connect()
    used = connection.sock
    for path in ("/api/user/profile", "/api/group/nobody", "/api/user/profile"):
        connection.request("GET", path, headers={"Cookie": f"sid={ada.sid}"})
        connection.getresponse().read()
        assert connection.sock is used
    connection.close()


def test_requests_are_recorded(sandbox: Sandbox, ada: Caller) -> None:
    """Method, path, query, headers, body, status and times of every request."""
    sandbox.reset_log()
    ada.get("/project/team", page=1, size=20)
    record = sandbox.requests[-1]
    assert (record.origin, record.method, record.status) == ("api", "GET", 200)
    assert record.path.endswith("/project/team")
    assert record.query == {"page": "1", "size": "20"}
    assert record.headers["cookie"] == f"sid={ada.sid}"
    # It is noted after the last byte has gone, when the caller may be further on already.
    deadline = time.monotonic() + 2
    while not record.ended and time.monotonic() < deadline:
        time.sleep(0.005)
    assert record.ended >= record.started
    sandbox.reset_log()
    assert sandbox.requests == []


def test_most_requests_at_once(sandbox: Sandbox, ada: Caller) -> None:
    """The highest number of requests being answered at the same time is known."""
    sandbox.faults = parse_faults(["latency=150ms"])
    sandbox.reset_log()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ada.get("/user/profile"), range(4)))
    assert sandbox.max_in_flight == 4


def test_nothing_on_stderr(tiny: Path) -> None:
    """Not a word on either stream, also when connections break."""
    script = f"""
import socket
from pathlib import Path
from swanlab_export.sandbox import Sandbox, parse_faults
with Sandbox(Path({str(tiny)!r}), faults=parse_faults(["reset=1"])) as sandbox:
    host, port = sandbox.url.removeprefix("http://").split(":")
    for _ in range(2):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(b"GET /api/x HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        try:
            connection.recv(100)
        except OSError:
            pass
        connection.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_imports_nothing_of_ours() -> None:
    """The sandbox shares no code with the client that it is to test."""
    script = (
        "import sys, swanlab_export\n"
        "before = set(sys.modules)\n"
        "import swanlab_export.sandbox\n"
        "print([name for name in set(sys.modules) - before if name.startswith('swanlab_export')"
        " and not name.startswith('swanlab_export.sandbox')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
