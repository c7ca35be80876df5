"""The two origins of the sandbox, each a server in a thread of its own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Self

from swanlab_export.sandbox.connections import Server
from swanlab_export.sandbox.data import Data, default_folder
from swanlab_export.sandbox.faults import Faults
from swanlab_export.sandbox.generations import GENERATIONS, NEWEST
from swanlab_export.sandbox.recording import Recording
from swanlab_export.sandbox.routes import build_api, build_storage
from swanlab_export.sandbox.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from swanlab_export.sandbox.dataset import Source
    from swanlab_export.sandbox.traffic import Recorded

# How long requests that are dropped may take to notice.
_DROPPED_S = 5
# Windows handles a signal only when a wait is over.
_SIGNALS_EVERY_S = 0.5


class Sandbox:
    """A local SwanLab server; use it as a context manager.

    Args:
        data: A dataset in format 1, such as a backup: its folder, or an object that gives its
            objects (see ``dataset.Source``); or ``Data`` of another kind; the sample data
            by default.
        faults: What goes wrong; may be changed at any time by assigning to ``faults``.
        port: Port of the API origin, 0 for a free one.
        synthetic: Also serve generated runs of any size, in the workspace ``synthetic``.
        generation: Respond as a server of this release does, one of ``GENERATIONS``: endpoints
            that it lacks are not found.

    Raises:
        ValueError: There is no such generation, or ``data`` cannot be served.
    """

    def __init__(
        self,
        data: Path | Source | Data | None = None,
        *,
        faults: Faults | None = None,
        port: int = 0,
        synthetic: bool = False,
        generation: str = NEWEST,
    ) -> None:
        if generation not in GENERATIONS:
            raise ValueError(f"{generation!r} is no generation; there are {GENERATIONS}")
        source = default_folder() if data is None else data
        if isinstance(source, Data):
            found = source
        elif synthetic:
            from swanlab_export.sandbox.synthetic import SyntheticData

            found = SyntheticData(source)
        else:
            found = Data(source)
        self._state = State(found, faults or Faults(), generation)
        self._port = port
        self._servers: list[Server] = []
        self._process = os.getpid()
        self.url = ""
        self.storage_url = ""

    def __repr__(self) -> str:
        return f"Sandbox({self.url!r})"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each user."""
        return {user["username"]: user["api_key"] for user in self._state.data.users}

    @property
    def api_key(self) -> str:
        """The API key of the first user, who is root."""
        return str(self._state.data.users[0]["api_key"])

    @property
    def web_url(self) -> str:
        """Where the web pages of what is served are: of a backup, those of its server."""
        return self._state.data.web_host or self.url

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self._state.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._state.faults = faults

    @property
    def requests(self) -> list[Recorded]:
        """What was asked so far, in the order in which it came."""
        return list(self._state.traffic.requests)

    @property
    def leaks(self) -> list[Recorded]:
        """Requests for files that carried credentials."""
        return list(self._state.traffic.leaks)

    @property
    def max_in_flight(self) -> int:
        """The largest number of requests that were in flight at the same time.

        A request is in flight from its first byte until the last part of its response is handed
        to the socket, or its connection is closed.
        """
        return self._state.traffic.max_in_flight

    def reset_log(self) -> None:
        """Forget what was asked so far."""
        self._state.traffic.reset()
        self._state.pages_served = 0

    def reset(self) -> None:
        """Forget faults, what was asked so far, and all that requests created; sessions stay.

        Requests that are in flight are dropped: what somebody asked for earlier, and gave up, must
        not meet the faults that come next.
        """
        for server in self._servers:
            server.drop_connections()
        self._state.traffic.wait_until_idle(_DROPPED_S)
        self._state.faults = Faults()
        self._state.files.clear()
        self._state.data.reset()
        self.reset_log()

    def expire_sessions(self) -> None:
        """Let every session die."""
        self._state.sessions.clear()

    def start(self) -> Self:
        """Start both origins."""
        self.storage_url = self._serve("storage", build_storage(self._state), 0)
        self._state.storage_url = self.storage_url
        self.url = self._serve("api", build_api(self._state), self._port)
        return self

    def stop(self) -> None:
        """Stop both origins; open connections are dropped. A forked process stops nothing."""
        if os.getpid() != self._process:
            return  # the threads that would have to end are those of the process that started them
        self._state.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.drop_connections()
            server.server_close()
        self._servers.clear()

    def wait(self) -> None:
        """Return when ``stop`` is called, in another thread or by a signal."""
        while not self._state.stopping.wait(_SIGNALS_EVERY_S):
            pass

    def _serve(self, origin: str, app: Flask, port: int) -> str:
        recording = Recording(origin, app, self._state)
        server = Server("127.0.0.1", port, recording, self._state.traffic, self._state.data.now_s)
        self._servers.append(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        return f"http://127.0.0.1:{server.server_port}"


def serve(
    port: int,
    data: Path | None,
    faults: Faults,
    echo: Callable[[str], None],
    *,
    program: str = "swanlab-export",
    generation: str = NEWEST,
) -> None:
    """Serve until Ctrl-C, after printing the URL, a key and what to try."""
    with Sandbox(data, faults=faults, port=port, synthetic=True, generation=generation) as sandbox:
        access = f"--host {sandbox.url} --api-key {sandbox.api_key}"
        user = next(iter(sandbox.keys))
        echo(f"SwanLab sandbox on {sandbox.url}; API key of {user}: {sandbox.api_key}")
        examples = (
            "Try in another terminal:\n"
            f"  {program} api run list ada-lab/digits --format table {access}\n"
            f"  {program} api run metrics ada-lab/digits/mlp-long --keys loss --all "
            f"--save loss.parquet {access}\n"
            f"  {program} api run logs ada-lab/digits/crashed --level ERROR {access}\n"
        )
        echo(f"{examples if data is None else ''}Ctrl-C stops it.")
        sandbox.wait()
