"""The two origins of the sandbox, each a server in a thread of its own."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from flask import Flask

from swanlab_export.sandbox.data import Data, default_folder
from swanlab_export.sandbox.entities import entities
from swanlab_export.sandbox.faults import Faults
from swanlab_export.sandbox.house import house
from swanlab_export.sandbox.state import Recorded, State
from swanlab_export.sandbox.storage import storage
from swanlab_export.sandbox.wire import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_STATUSES = ("429", "500", "502", "503", "504")


class Sandbox:
    """A local SwanLab server; use it as a context manager.

    Args:
        data: A folder laid out as ``sample_data`` is; the sample data by default.
        faults: What goes wrong; may be changed at any time by assigning to ``faults``.
        port: Port of the API origin, 0 for a free one.
        synthetic: Also serve generated runs of any size, in the workspace ``synthetic``.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        faults: Faults | None = None,
        port: int = 0,
        synthetic: bool = False,
    ) -> None:
        folder = default_folder() if data is None else data
        if synthetic:
            from swanlab_export.sandbox.synthetic import SyntheticData

            found: Data = SyntheticData(folder)
        else:
            found = Data(folder)
        self.state = State(found, faults or Faults())
        self._port = port
        self._servers: list[Server] = []
        self.url = ""
        self.storage_url = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each user."""
        return {user["username"]: user["api_key"] for user in self.state.data.users}

    @property
    def api_key(self) -> str:
        """The API key of the first user, who is root."""
        return str(self.state.data.users[0]["api_key"])

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.state.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.state.faults = faults

    @property
    def requests(self) -> list[Recorded]:
        """What was asked so far, in the order in which it came."""
        return list(self.state.requests)

    @property
    def leaks(self) -> list[Recorded]:
        """Requests for files that carried credentials."""
        return list(self.state.leaks)

    @property
    def max_in_flight(self) -> int:
        """How many requests were being answered at once, at most."""
        return self.state.max_in_flight

    def reset_log(self) -> None:
        """Forget what was asked so far."""
        self.state.requests.clear()
        self.state.leaks.clear()
        self.state.max_in_flight = self.state.pages_served = 0

    def expire_sessions(self) -> None:
        """Let every session die."""
        self.state.sessions.clear()

    def start(self) -> Self:
        """Start both origins."""
        api = Flask("api")
        api.json.sort_keys = False  # type: ignore[attr-defined]
        api.register_blueprint(entities(self.state), url_prefix="/api")
        api.register_blueprint(house(self.state), url_prefix="/api")
        self.storage_url = self._serve("storage", storage(self.state), 0)
        self.state.storage_url = self.storage_url
        self.url = self._serve("api", api, self._port)
        return self

    def stop(self) -> None:
        """Stop both origins; connections that idle are dropped."""
        self.state.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.drop_connections()
            server.server_close()
        self._servers.clear()

    def _serve(self, origin: str, app: Flask, port: int) -> str:
        wrapped = _Watched(origin, app, self.state)
        server = Server("127.0.0.1", port, wrapped)
        self._servers.append(server)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        return f"http://127.0.0.1:{server.server_port}"


class _Watched:
    """Around an app: records every request and lets faults happen."""

    def __init__(self, origin: str, app: Flask, state: State) -> None:
        self._origin = origin
        self._app = app
        self._state = state

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        record = self._record(environ)
        with self._state.lock:
            self._state.in_flight += 1
            self._state.max_in_flight = max(self._state.max_in_flight, self._state.in_flight)

        def noting(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            record.status = int(status[:3])
            return start(status, headers, *rest)

        return self._body(record, environ, noting)

    def _body(
        self, record: Recorded, environ: dict[str, Any], start: Callable[..., Any]
    ) -> Iterator[bytes]:
        answer: Any = ()
        is_over = False

        def over() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                record.ended = time.monotonic()
                with self._state.lock:
                    self._state.in_flight -= 1

        try:
            answer = self._fault(record, environ, start)
            if answer is None:
                answer = self._app(environ, start)
            yield from _announcing_last(answer, over)
        finally:
            if hasattr(answer, "close"):
                answer.close()
            over()

    def _record(self, environ: dict[str, Any]) -> Recorded:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        raw = environ["wsgi.input"].read(length) if length else b""
        import io

        environ["wsgi.input"] = io.BytesIO(raw)
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        from urllib.parse import parse_qsl

        record = Recorded(
            self._origin,
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"].removeprefix("/api"),
            dict(parse_qsl(environ["QUERY_STRING"])),
            headers,
            _decoded(raw),
            time.monotonic(),
        )
        with self._state.lock:
            self._state.requests.append(record)
            if self._origin == "storage" and {"cookie", "authorization"} & headers.keys():
                self._state.leaks.append(record)
        return record

    def _fault(self, record: Recorded, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        """Answer in the app's place, where a fault asks for it."""
        faults, path = self._state.faults, record.path
        if faults.latency_s:
            time.sleep(faults.latency_s)
        if faults.hits("forget", path):
            self._state.sessions.clear()
        if faults.hits("hang", path):
            self._state.stopping.wait(60)
            raise ConnectionAbortedError("never answered")
        if faults.hits("reset", path):
            linger = struct.pack("ii", 1, 0)
            environ["werkzeug.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            raise ConnectionAbortedError("reset, as the fault asks")
        return self._odd_answer(record, start)

    def _odd_answer(self, record: Recorded, start: Callable[..., Any]) -> Any:
        faults, path = self._state.faults, record.path
        for status in _STATUSES:
            if faults.hits(status, path):
                extra = [("Retry-After", faults.retry_after)] if status == "429" else []
                body = json.dumps({"code": status, "message": "a fault"}).encode()
                return _plain(start, f"{status} FAULT", "application/json", body, extra)
        if faults.hits("html", path):
            page = b"<html><body><h1>Sign in to the proxy</h1></body></html>"
            return _plain(start, "200 OK", "text/html", page)
        if faults.hits("empty", path):
            return _plain(start, "200 OK", "application/json", b"")
        if faults.hits("redirect", path):
            where = [("Location", "http://elsewhere.invalid/api" + path)]
            return _plain(start, "302 FOUND", "text/plain", b"", where)
        return None


def _announcing_last(pieces: Iterable[bytes], is_last: Callable[[], None]) -> Iterator[bytes]:
    """Call ``is_last`` before the last piece is out: with it, a client begins its next request."""
    held = None
    try:
        for piece in pieces:
            if held is not None:
                yield held
            held = piece
    except ConnectionError:
        if held is not None:
            yield held
        raise
    is_last()
    yield held or b""


def _plain(
    start: Callable[..., Any],
    status: str,
    kind: str,
    body: bytes,
    extra: list[tuple[str, str]] | None = None,
) -> list[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *(extra or [])])
    return [body]


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def serve(port: int, data: Path | None, faults: Faults, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, after announcing the URL, a key and what to try."""
    with Sandbox(data, faults=faults, port=port, synthetic=True) as sandbox:
        access = f"--host {sandbox.url} --api-key {sandbox.api_key}"
        announce(
            f"SwanLab sandbox on {sandbox.url}; API key of ada: {sandbox.api_key}\n"
            "Try in another terminal:\n"
            f"  swanlab-export api run list ada-lab/digits --format table {access}\n"
            "  swanlab-export api run metrics ada-lab/digits/mlp-long --keys loss --all "
            f"--save loss.parquet {access}\n"
            f"  swanlab-export api run logs ada-lab/digits/crashed --level ERROR {access}\n"
            "Ctrl-C stops it."
        )
        while not sandbox.state.stopping.wait(3600):
            pass
