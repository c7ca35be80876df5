"""HTTP/1.1 connections: kept open between requests, counted, and broken where a fault asks for it.

A request counts as in flight from its first byte until the last part of its response is handed to
the socket. A client that has received a whole response is therefore never counted any more, however
soon it sends its next request; and one that sends the next request earlier is.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from swanlab_export.sandbox.traffic import Traffic

IN_FLIGHT = "sandbox.in_flight"
# The part of a response that is sent only when its request no longer counts.
_LAST_BYTES = 16 * 1024


class _LastPartHeld:
    """A response stream that keeps its last part back until ``finish``."""

    def __init__(self, stream: Any, before_last: Callable[[], None]) -> None:
        self._stream = stream
        self._before_last = before_last
        self._held = b""

    def write(self, data: bytes) -> int:
        self._held += data
        if len(self._held) > _LAST_BYTES:
            self._stream.write(self._held[:-_LAST_BYTES])
            self._held = self._held[-_LAST_BYTES:]
        return len(data)

    def flush(self) -> None:
        """Do nothing: what is held is sent by ``finish``."""

    def finish(self) -> None:
        self._before_last()
        if self._held:
            self._stream.write(self._held)
            self._held = b""


class Handler(WSGIRequestHandler):
    """Serves one request after the other on a connection.

    Werkzeug's own handler closes every connection; a real server keeps them, and a client must
    cope with both that and with one that breaks.
    """

    server: Server
    protocol_version = "HTTP/1.1"
    # Without this every small response waits for 40 ms.
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Wait for the first byte of a request, then serve it and count it meanwhile."""
        if not self.rfile.peek(1):  # type: ignore[attr-defined]
            self.close_connection = True
            return
        stream = self.wfile
        self._in_flight = self.server.traffic.begin()
        held = _LastPartHeld(stream, self._in_flight.end)
        self.wfile = held  # type: ignore[assignment]
        try:
            super().handle_one_request()
            held.finish()
        finally:
            self._in_flight.end()
            self.wfile = stream

    def run_wsgi(self) -> None:
        """Have the app respond; where it breaks off, so does the connection."""
        head: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[..., Any]:
            head[:] = [status, headers]
            return self.wfile.write

        environ = self.make_environ() | {IN_FLIGHT: self._in_flight}
        try:
            body = self.server.app(environ, start)
            try:
                self._send(head, body)
            finally:
                if hasattr(body, "close"):
                    body.close()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _send(self, head: list[Any], body: Iterable[bytes]) -> None:
        is_chunked, is_head_sent = False, False
        for piece in body:
            if not is_head_sent:
                is_chunked, is_head_sent = self._send_head(head), True
            if piece and self.command != "HEAD":
                size = f"{len(piece):x}\r\n".encode() if is_chunked else b""
                self.wfile.write(size + piece + b"\r\n" if is_chunked else piece)
        if not is_head_sent:
            is_chunked = self._send_head(head)
        if is_chunked and self.command != "HEAD":
            self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, head: list[Any]) -> bool:
        """Send status and headers; says whether the body is sent in chunks."""
        status, headers = head
        code, _, reason = status.partition(" ")
        names = {name.lower() for name, _ in headers}
        has_body = int(code) >= 200 and int(code) not in {204, 304}
        is_chunked = has_body and "content-length" not in names
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        return is_chunked

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Format the time that a response carries: that of the clock of the data."""
        return super().date_time_string(self.server.now_s() if timestamp is None else timestamp)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  werkzeug's name
        """Print nothing."""


class Server(ThreadedWSGIServer):
    """A threaded server whose open connections can be dropped."""

    daemon_threads = True

    def __init__(
        self, host: str, port: int, app: Any, traffic: Traffic, now_s: Callable[[], float]
    ) -> None:
        self.traffic = traffic
        self.now_s = now_s
        self._open: set[socket.socket] = set()
        super().__init__(host, port, app, handler=Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, and serve it in a thread."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a broken connection is what a fault is for."""

    def shutdown(self) -> None:
        """End ``serve_forever``, on Linux without the pause that it makes between its looks."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        super().shutdown()

    def drop_connections(self) -> None:
        """End every connection, so that the threads that wait for requests end too."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
