"""A server on raw sockets, for responses that no web framework would send."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from swanlab_export.client import Client
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

KEY = "key-that-is-secret"
SID = "sid-that-is-secret"
LOGIN = "/api/login/api_key"


@dataclass
class Asked:
    """A request as it came, and the socket to respond on."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float
    number: int
    socket: socket.socket

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def start(self) -> int:
        """Where the range that is asked for begins; 0 for none."""
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))


Respond = "Callable[[Asked], bytes | None]"


def reply(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """The bytes of a response, with its length unless ``headers`` say how it ends."""
    shown = {name.lower(): value for name, value in (headers or {}).items()}
    if not {"content-length", "transfer-encoding", "connection"} & shown.keys():
        shown["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in shown.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + body


def reply_json(value: Any, status: int = 200) -> bytes:
    """A response of the API."""
    return reply(status, json.dumps(value).encode(), {"content-type": "application/json"})


def reply_part(
    body: bytes,
    start: int,
    end: int,
    total: str | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> bytes:
    """Bytes ``start`` to ``end`` of a body, as a part of it."""
    size = len(body) if total is None else total
    said = {"content-range": f"bytes {start}-{end - 1}/{size}"} | (headers or {})
    return reply(206, body[start:end], said)


def reply_login(asked: Asked) -> bytes | None:
    """The response to a login; None for any other request."""
    if asked.path != LOGIN:
        return None
    return reply_json({"sid": SID, "userInfo": {"username": "ada", "name": None}})


class RawServer:
    """Responds with what a function returns: bytes, or None to close the connection.

    Args:
        respond: Called for each request; may also use its socket itself.
        tls: Uses TLS with this certificate.
        accept: Called with each connection and its number, from 1, before TLS; true ends it.
    """

    def __init__(
        self,
        respond: Callable[[Asked], bytes | None],
        *,
        tls: ssl.SSLContext | None = None,
        accept: Callable[[socket.socket, int], bool] | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.accepted = 0
        self._respond = respond
        self._tls = tls
        self._accept = accept
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with suppress(OSError):  # only Linux ends a wait for connections in this way
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def of(self, path: str) -> list[Asked]:
        """The requests of a path."""
        return [asked for asked in self.asked if asked.path == path]

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come, from a client that did not wait for responses."""
        until = time.monotonic() + 30
        while len(self.asked) < count and time.monotonic() < until:
            time.sleep(0.005)

    def client(self, **options: Any) -> Client:
        """A client of this server."""
        return Client(Settings(self.url, self.url, KEY), **options)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            # As real servers do: else what is sent in pieces may wait for 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            number = self.accepted
            threading.Thread(target=self._talk, args=(connection, number), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        try:
            with connection:
                if self._accept is not None and self._accept(connection, number):
                    return
                if self._tls is None:
                    self._serve(connection)
                    return
                with self._tls.wrap_socket(connection, server_side=True) as secure:
                    self._serve(secure)
        except OSError:
            pass

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while line := stream.readline().decode():
                method, target, _ = line.split(" ", 2)
                headers = {}
                while (header := stream.readline().decode("latin-1").strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                with self._lock:
                    number = len(self.asked) + 1
                    asked = Asked(
                        method, target, headers, body, time.monotonic(), number, connection
                    )
                    self.asked.append(asked)
                response = self._respond(asked)
                if response is None:
                    return
                connection.sendall(response)
                head = response.partition(b"\r\n\r\n")[0].lower()
                if b"connection: close" in head:
                    return
