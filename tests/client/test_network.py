"""Real sockets: certificates, proxies, names, and servers that never respond."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme
from raw_server import Asked, RawServer, reply, reply_json, reply_login

from swanlab_export.client import Client, Request
from swanlab_export.client.session import find_ca
from swanlab_export.errors import UnavailableError, UncertainError, UsageError
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Listen = Callable[[Callable[[socket.socket], None]], "Listener"]

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
GET = Request("GET", "/thing")
LOGIN = json.dumps({"sid": "s", "userInfo": {"username": "ada"}}).encode()


class Listener:
    """A server on a raw socket: one thread for each connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.heads: list[str] = []
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._serve(connection)
        except OSError:
            pass

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Start servers, and stop them when the test is over."""
    started: list[Listener] = []

    def start(serve: Callable[[socket.socket], None]) -> Listener:
        started.append(Listener(serve))
        return started[-1]

    yield start
    for listener in started:
        listener.close()


def talk(connection: socket.socket, heads: list[str]) -> None:
    """Respond to a login with a session, and to anything else with an empty object."""
    while head := connection.recv(65536).decode():
        heads.append(head)
        body = LOGIN if "/login/" in head.split("\r\n", 1)[0] else b"{}"
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


def ask(host: str, *, timeout_s: float = 5.0) -> object:
    """Log in and ask once."""
    with Client(Settings(host, host, "secret"), retries=0, timeout_s=timeout_s) as client:
        return client.send(GET)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no CA of the machine that runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", CA_VARIABLES[:3])
def test_a_private_ca_by_the_usual_variables(
    variable: str, listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates are verified; a private CA is accepted if a variable names it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    heads: list[str] = []

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            talk(secure, heads)

    host = f"https://127.0.0.1:{listen(serve).port}"
    with pytest.raises(UnavailableError, match="certificate was not accepted"):
        ask(host)
    assert heads == []
    client = Client(Settings("http://127.0.0.1:9", "", "key"))
    with client, pytest.raises(UnavailableError, match=r"the file: .*certificate was not accepted"):
        list(client.download(lambda: f"{host}/f?X-Signature=abc", "the file"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    assert ask(host) == {}


def test_a_proxy_by_the_usual_variables(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is used, and NO_PROXY keeps a host from it."""
    through: list[str] = []
    direct: list[str] = []
    proxy = listen(lambda connection: talk(connection, through))
    server = listen(lambda connection: talk(connection, direct))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    assert ask("http://swan.example") == {}
    assert [head.split()[1] for head in through] == [
        "http://swan.example/api/login/api_key",
        "http://swan.example/api/thing",
    ]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert ask(f"http://127.0.0.1:{server.port}") == {}
    assert len(through) == 2
    assert len(direct) == 2


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_no_proxy_for_this_machine(
    name: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on this machine is asked without a proxy, although a variable names one."""
    direct: list[str] = []
    server = listen(lambda connection: talk(connection, direct))
    for variable in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://proxy.invalid:1")
    assert ask(f"http://{name}:{server.port}") == {}
    assert len(direct) == 2


def test_a_proxy_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the proxy, and not the server."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match="the proxy that HTTPS_PROXY or HTTP_PROXY names"):
        ask("http://swan.example")


def test_a_name_that_dns_does_not_know() -> None:
    """The message says that the name is not known."""
    with pytest.raises(UnavailableError, match="not known to DNS"):
        ask("http://no-such-host.invalid")


def test_a_closed_port() -> None:
    """A closed port is a refused connection."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnavailableError, match="refused the connection"):
        ask(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf"])
def test_a_server_that_never_responds(said: bytes, listen: Listen) -> None:
    """A server that accepts and says nothing, or half of it, ends within the timeout."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)
        over.wait(10)

    server = listen(serve)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"in time|connection broke"):
        ask(f"http://127.0.0.1:{server.port}", timeout_s=0.3)
    assert time.monotonic() - began < 3
    over.set()


def test_what_is_not_http_is_an_error(listen: Listen) -> None:
    """Another protocol behind the port is an error, not a traceback."""
    server = listen(lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n"))
    with pytest.raises(UnavailableError):
        ask(f"http://127.0.0.1:{server.port}")


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate that is trusted by way of a variable."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return context


def reset(connection: socket.socket, number: int) -> bool:
    """Reset the first connection in its handshake: what was sent is left unread."""
    if number == 1:
        connection.recv(10)
    return number == 1


def hang_up(connection: socket.socket, number: int) -> bool:
    """End the first connection in its handshake, without a reset."""
    if number == 1:
        connection.recv(65536)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)
    return number == 1


def respond_without_tls(connection: socket.socket, number: int) -> bool:
    """Respond to the first handshake without TLS."""
    if number == 1:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 503 Busy\r\n\r\n")
    return number == 1


@pytest.mark.parametrize("accept", [reset, hang_up, respond_without_tls])
def test_a_handshake_that_fails_once_is_repeated(
    accept: Callable[[socket.socket, int], bool], tls: ssl.SSLContext
) -> None:
    """A connection that breaks in the handshake of TLS is a broken connection like any other."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply_json({})

    with RawServer(respond, tls=tls, accept=accept) as server:
        with server.client(retries=1, sleep=lambda _: None) as client:
            assert client.send(GET) == {}
        assert server.accepted == 2
    with RawServer(lambda _: reply(200, b"abc"), tls=tls, accept=accept) as server:
        with server.client(retries=1, sleep=lambda _: None) as client:
            assert b"".join(client.download(lambda: server.url, "the file")) == b"abc"
        assert server.accepted == 2


def damage(asked: Asked) -> bytes | None:
    """Send half a response, and then a record that was not encrypted."""
    asked.socket.sendall(reply(200, b'{"a', {"content-length": "500"}))
    with socket.socket(fileno=os.dup(asked.socket.fileno())) as beneath:
        beneath.sendall(b"\x17\x03\x03\x00\x30" + bytes(48))
        asked.socket.recv(1)
    return None


def test_a_damaged_record_is_repeated(tls: ssl.SSLContext) -> None:
    """Bytes that TLS finds damaged are requested again, from the API and from a storage."""

    def respond(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        if len(server.of(asked.path)) == 1:
            return damage(asked)
        return reply(200, whole)

    whole = b'{"a": 1}'.ljust(500)
    with (
        RawServer(respond, tls=tls) as server,
        server.client(retries=1, sleep=lambda _: None) as client,
    ):
        assert client.send(GET) == {"a": 1}
        assert b"".join(client.download(lambda: f"{server.url}/file", "the file")) == whole


def test_a_create_whose_tls_broke_is_uncertain(tls: ssl.SSLContext) -> None:
    """A create that TLS lost is not sent again."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or damage(asked)

    create = Request("POST", "/project", body={}, repeatable=False)
    with RawServer(respond, tls=tls) as server:
        with (
            server.client() as client,
            pytest.raises(UncertainError, match="TLS failed, so it may"),
        ):
            client.send(create)
        assert len(server.of("/api/project")) == 1


@pytest.mark.usefixtures("tls")
def test_a_certificate_for_another_name_stays_refused(tmp_path: Path) -> None:
    """A certificate of a trusted authority for another host is refused, without a repetition."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with RawServer(reply_login, tls=context) as server:
        with server.client() as client, pytest.raises(UnavailableError, match="not accepted"):
            client.send(GET)
        with server.client() as client, pytest.raises(UnavailableError, match="not accepted"):
            list(client.download(lambda: server.url, "the file"))
        assert server.accepted == 2


@pytest.mark.parametrize("variable", CA_VARIABLES)
@pytest.mark.parametrize("value", ["missing", "garbage", ""])
def test_a_variable_without_certificates(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request names the wrong variable, and nothing is sent; an empty one counts as none."""
    (tmp_path / "garbage").write_text("no certificate")
    monkeypatch.setenv(variable, str(tmp_path / value) if value else "")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"https://127.0.0.1:{silent.getsockname()[1]}"
        kind, said = (UsageError, f"^{variable} names ") if value else (UnavailableError, "in time")
        with Client(Settings(host, host, "key"), retries=0, timeout_s=0.2) as client:
            with pytest.raises(kind, match=said):
                client.login()
            with pytest.raises(kind, match=said):
                list(client.download(lambda: host, "the file"))
    plain = RawServer(lambda asked: reply_login(asked) or reply_json({}))
    with plain as server, server.client() as client:
        assert client.send(GET) == {}


def test_which_variable_names_the_certificates(tmp_path: Path) -> None:
    """The first that is set counts; of several folders, the first that exists."""
    folder = str(tmp_path)
    assert find_ca({}) is None
    assert find_ca({"CURL_CA_BUNDLE": folder, "SSL_CERT_FILE": "missing"}) == folder
    folders = os.pathsep.join(("", f"{folder}/missing", folder))
    assert find_ca({"REQUESTS_CA_BUNDLE": "", "SSL_CERT_DIR": folders}) == folder
    with pytest.raises(UsageError, match="SSL_CERT_FILE names"):
        find_ca({"SSL_CERT_FILE": folders})
