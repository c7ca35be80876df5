"""HTTP/1.1 under the sandbox: connections are kept, faults may break them, nothing is printed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Handler(WSGIRequestHandler):
    """Answers one request after the other on a connection.

    Werkzeug's own handler closes every connection; a real server keeps them, and a client must
    cope with both that and with one that breaks.
    """

    protocol_version = "HTTP/1.1"
    # Small answers wait for nothing: 40 ms each otherwise.
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Have the app answer; where it breaks off, so does the connection."""
        head: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[..., Any]:
            head[:] = [status, headers]
            return self.wfile.write

        try:
            answer = self.server.app(self.make_environ(), start)
            try:
                self._send(head, answer)
            finally:
                if hasattr(answer, "close"):
                    answer.close()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _send(self, head: list[Any], answer: Iterable[bytes]) -> None:
        is_chunked, is_headed = False, False
        for piece in answer:
            if not is_headed:
                is_chunked, is_headed = self._send_head(head), True
            if piece and self.command != "HEAD":
                size = f"{len(piece):x}\r\n".encode() if is_chunked else b""
                self.wfile.write(size + piece + b"\r\n" if is_chunked else piece)
        if not is_headed:
            is_chunked = self._send_head(head)
        if is_chunked and self.command != "HEAD":
            self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, head: list[Any]) -> bool:
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

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  werkzeug's name
        """Say nothing."""


class Server(ThreadedWSGIServer):
    """A server in threads that can drop the connections that idle."""

    daemon_threads = True

    def __init__(self, host: str, port: int, app: Any) -> None:
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
        """Say nothing: a broken connection is what a fault is for."""

    def drop_connections(self) -> None:
        """End every connection, so that the threads that wait for requests end too."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
