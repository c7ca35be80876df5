"""The two origins as servers: watched, quiet, connections kept, and nothing left of them."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from sandbox_tiny import Caller
from systems import needs_fork, run_forked

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.core


def test_sample_data_is_the_default() -> None:
    """Without a folder the sample data are served, to ada."""
    with Sandbox() as sandbox:
        caller = Caller(sandbox)
        assert sandbox.api_key == sandbox.keys["ada"] == "sandbox-key-ada"
        assert caller.get("/project/ada-lab/digits")["path"] == "ada-lab/digits"
        caller.close()


def test_nothing_of_it_is_left(tiny: Path) -> None:
    """A stop waits neither for idle connections nor for requests that hang, and ends all threads."""
    before = _serving()
    with Sandbox(tiny) as sandbox, ThreadPoolExecutor(1) as pool:
        idle, hanging = Caller(sandbox), Caller(sandbox)
        sandbox.faults = parse_faults(["hang=1"])
        asked = pool.submit(hanging.call, "GET", "/user/profile", timeout=60)
        _wait_until(lambda: sandbox.requests[-1].path == "/user/profile")
        sandbox.stop()
        assert isinstance(asked.exception(), requests.ConnectionError)
        _wait_until(lambda: not _serving() - before)
        idle.close()
        hanging.close()


def test_two_at_a_time(tiny: Path, tmp_path: Path) -> None:
    """Two sandboxes at the same time are independent."""
    with Sandbox(tiny) as one, Sandbox(tiny) as other:
        assert one.url != other.url
        caller = Caller(one)
        assert other.requests == []
        caller.close()


def test_connection_is_kept(sandbox: Sandbox, ada: Caller) -> None:
    """Several requests go over one connection, also after bodies and errors."""
    host = sandbox.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
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
    (record,) = sandbox.requests
    assert (record.origin, record.method, record.status) == ("api", "GET", 200)
    assert record.path == "/project/team"
    assert record.query == {"page": "1", "size": "20"}
    assert record.headers["cookie"] == f"sid={ada.sid}"
    assert record.ended >= record.started > 0
    sandbox.reset_log()
    assert sandbox.requests == []


def test_most_requests_at_the_same_time(sandbox: Sandbox, ada: Caller) -> None:
    """The highest number of requests that were in flight at the same time is known."""
    sandbox.faults = parse_faults(["hang=1"])
    sandbox.reset_log()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ada.call, "GET", "/user/profile") for _ in range(4)]
        _wait_until(lambda: sandbox.max_in_flight >= 4)
        most = sandbox.max_in_flight
        sandbox.reset()
        assert [type(each.exception()) for each in asked] == [requests.ConnectionError] * 4
    assert most == 4


def test_what_was_asked_before_a_reset_meets_no_later_fault(sandbox: Sandbox, ada: Caller) -> None:
    """A reset drops the requests that are in flight, which would use up the faults set after it."""
    sandbox.faults = parse_faults(["hang=1"])
    sandbox.reset_log()
    with ThreadPoolExecutor(1) as pool:
        earlier = pool.submit(ada.call, "GET", "/user/profile")
        _wait_until(lambda: bool(sandbox.requests))
        sandbox.reset()
        assert isinstance(earlier.exception(), requests.ConnectionError)
    assert sandbox.requests == []
    sandbox.faults = parse_faults(["500=1", "times=1"])
    assert [ada.call("GET", "/user/profile").status_code for _ in range(2)] == [500, 200]


def test_requests_one_after_the_other_are_never_counted_together(
    sandbox: Sandbox, ada: Caller
) -> None:
    """A request sent once the last byte of a response has come, on any connection, is alone."""
    host = sandbox.url.removeprefix("http://")
    connections = [http.client.HTTPConnection(host, timeout=60) for _ in range(2)]
    sandbox.reset_log()
    for turn in range(400):
        connection = connections[turn % 2]
        path = "/api/project/team/open/runs" if turn % 3 else "/nothing"
        connection.request("GET", path, headers={"Cookie": f"sid={ada.sid}"})
        connection.getresponse().read()
    for connection in connections:
        connection.close()
    assert sandbox.max_in_flight == 1


def test_request_counts_from_its_first_byte(sandbox: Sandbox, ada: Caller) -> None:
    """A request that is not complete yet is in flight already."""
    sandbox.reset_log()
    with _connect(sandbox.url) as slow:
        slow.sendall(b"G")
        _wait_until(lambda: bool(sandbox.max_in_flight))
        ada.get("/user/profile")
    assert sandbox.max_in_flight == 2


def test_request_counts_until_its_response_is_sent(sandbox: Sandbox, ada: Caller) -> None:
    """A download that is not read to its end is in flight; on another origin it counts too."""
    body = {"projectId": "synthetic-bench", "columns": [{"experimentId": "n400000k1", "key": "k0"}]}
    with Sandbox(synthetic=True) as big:
        caller = Caller(big)
        cos_key = caller.post("/house/metrics/scalar/export", body)["cosKey"]
        (url,) = caller.post("/files/presigned/get", {"paths": [cos_key]})["urls"]
        big.reset_log()
        with _connect(url) as download:
            path = url.removeprefix(big.storage_url)
            download.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert download.recv(100).startswith(b"HTTP/1.1 200")
            caller.get("/user/profile")
            assert big.max_in_flight == 2
        caller.close()


def test_reset_forgets_what_requests_left_behind(sandbox: Sandbox, ada: Caller) -> None:
    """After a reset there are no faults, records and created objects; sessions stay."""
    ada.post("/project", {"name": "fresh", "visibility": "PUBLIC", "username": "team"})
    ada.post("/self_hosted/users", {"users": [{"username": "dora", "password": "pw"}]})
    sandbox.faults = parse_faults(["500=1"])
    sandbox.reset()
    assert (sandbox.requests, sandbox.leaks, sandbox.max_in_flight) == ([], [], 0)
    assert ada.call("GET", "/project/team/fresh").status_code == 404
    assert ada.get("/self_hosted/users", page=1, size=20)["total"] == 3
    assert ada.get("/project/team", page=1, size=20)["total"] == 2
    ada.post("/project", {"name": "fresh", "visibility": "PUBLIC", "username": "team"})


def _connect(url: str) -> socket.socket:
    """A plain connection to the server of a URL."""
    name, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    return socket.create_connection((name, int(port)), timeout=60)


def _serving() -> set[threading.Thread]:
    """The threads of all sandboxes; Python names threads after what they do."""
    own = ("(serve_forever)", "(process_request_thread)")
    return {thread for thread in threading.enumerate() if thread.name.endswith(own)}


def _wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does; fail after half a minute."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


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
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
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
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@needs_fork
def test_a_fork_does_not_stop_it(tiny: Path) -> None:
    """A process that is forked ends without waiting for threads that it lacks; it is served on."""

    def stop() -> bool:
        sandbox.stop()
        return True

    with Sandbox(tiny) as sandbox:
        assert run_forked(stop)
        caller = Caller(sandbox)
        assert caller.get("/user/profile")
        caller.close()
