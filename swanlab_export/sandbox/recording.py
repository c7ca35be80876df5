"""Around an app: records every request, and lets faults happen in the app's place."""

from __future__ import annotations

import io
import json
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from swanlab_export.sandbox.connections import IN_FLIGHT
from swanlab_export.sandbox.faults import NAMED, Faults
from swanlab_export.sandbox.state import PRIVATE, State
from swanlab_export.sandbox.traffic import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_STATUSES = ("429", "500", "502", "503", "504")
_HANG_S = 60


class Recording:
    """A WSGI app that records the requests of another one."""

    def __init__(self, origin: str, app: Any, state: State) -> None:
        self._origin = origin
        self._app = app
        self._state = state

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Record a request and respond to it."""
        record = self._record(environ)
        body = environ["wsgi.input"].getvalue().decode(errors="replace")
        text = f"{record.path}?{environ['QUERY_STRING']} {body}"

        def start_recorded(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            record.status = int(status[:3])
            return start(status, headers, *rest)

        faulty = self._respond_with_fault(record.path, text, environ, start_recorded)
        app: Iterable[bytes] = self._app(environ, start_recorded) if faulty is None else faulty
        return app

    def _record(self, environ: dict[str, Any]) -> Recorded:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        raw = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(raw)
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        path = environ["PATH_INFO"]
        in_flight = environ[IN_FLIGHT]
        record = Recorded(
            self._origin,
            environ["REQUEST_METHOD"],
            path.removeprefix("/api"),
            dict(parse_qsl(environ["QUERY_STRING"])),
            headers,
            _decode(raw),
            in_flight.started,
        )
        in_flight.record = record
        is_file = self._origin == "storage" or path.startswith(PRIVATE)
        has_credentials = bool({"cookie", "authorization"} & headers.keys())
        self._state.traffic.record(record, is_leak=is_file and has_credentials)
        return record

    def _respond_with_fault(self, path: str, text: str, environ: dict[str, Any], start: Any) -> Any:
        """Respond, or break the connection, where a fault asks for it; else None."""
        faults = self._state.faults
        if faults.latency_s:
            time.sleep(faults.latency_s)
        if faults.hits("forget", path):
            self._state.sessions.clear()
        if faults.hits("hang", path):
            self._wait_for_client_to_close(environ["werkzeug.socket"])
            raise ConnectionAbortedError("no response, as the fault asks")
        if faults.hits("reset", path):
            linger = struct.pack("ii", 1, 0)
            environ["werkzeug.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            raise ConnectionAbortedError("reset, as the fault asks")
        if status := _bad_status(faults, path, text):
            extra = [("Retry-After", faults.retry_after)] if status == "429" else []
            body = json.dumps({"code": status, "message": "a fault"}).encode()
            return _respond(start, f"{status} FAULT", "application/json", body, extra)
        if faults.hits("html", path):
            page = b"<html><body><h1>Sign in to the proxy</h1></body></html>"
            return _respond(start, "200 OK", "text/html", page)
        if faults.hits("empty", path):
            return _respond(start, "200 OK", "application/json", b"")
        if faults.hits("redirect", path):
            where = [("Location", "http://elsewhere.invalid/api" + path)]
            return _respond(start, "302 FOUND", "text/plain", b"", where)
        return None

    def _wait_for_client_to_close(self, connection: socket.socket) -> None:
        """Wait until the client gives up, so that its next request is not counted beside this."""
        deadline = time.monotonic() + _HANG_S
        while not self._state.stopping.wait(0.02) and time.monotonic() < deadline:
            readable, _, _ = select.select([connection], [], [], 0)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                return


def _bad_status(faults: Faults, path: str, text: str) -> str:
    """The status of the fault that hits a request; empty for none."""
    for status in _STATUSES:
        if faults.hits(status, path):
            return status
    return next((str(NAMED[name]) for name in NAMED if faults.names(name, path, text)), "")


def _respond(
    start: Callable[..., Any],
    status: str,
    kind: str,
    body: bytes,
    extra: list[tuple[str, str]] | None = None,
) -> list[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *(extra or [])])
    return [body]


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw
