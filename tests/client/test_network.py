"""Real sockets: certificates, proxies, names, and servers that never respond."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from raw_server import Asked, RawServer, reply, reply_json, reply_login

import swanlab_export as se
from swanlab_export.client import Client, Request
from swanlab_export.client.session import find_ca
from swanlab_export.errors import (
    AuthenticationError,
    UnavailableError,
    UncertainError,
    UsageError,
)
from swanlab_export.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        with suppress(OSError):  # only Linux ends a wait for connections in this way
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


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens, and which no other process can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_proxy_that_does_not_work_is_named(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the proxy, and not the server."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    with pytest.raises(UnavailableError, match="HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names did"):
        ask("http://swan.example")


@pytest.fixture
def socks(listen: Listen) -> Listener:
    """A SOCKS proxy that connects to this machine, whatever name it is asked for."""

    def serve(connection: socket.socket) -> None:
        greeting = connection.recv(2)
        connection.recv(greeting[1])
        connection.sendall(b"\x05\x00")
        _, _, _, kind = connection.recv(4)
        name = connection.recv(connection.recv(1)[0] if kind == 3 else 4)
        port = int.from_bytes(connection.recv(2))
        proxy.heads.append(name.decode() if kind == 3 else socket.inet_ntoa(name))
        with socket.create_connection(("127.0.0.1", port)) as server:
            connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
            threading.Thread(target=pipe, args=(server, connection), daemon=True).start()
            pipe(connection, server)

    def pipe(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    proxy = listen(serve)
    return proxy


@pytest.mark.core
@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_a_socks_proxy(
    variable: str, socks: Listener, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SOCKS proxy is used, for downloads, too; it looks up names where its URL says so."""
    heads: list[str] = []
    server = listen(lambda connection: talk(connection, heads))
    monkeypatch.setenv(variable, f"socks5h://127.0.0.1:{socks.port}")
    assert ask(f"http://swan.example:{server.port}") == {}
    assert (socks.heads, len(heads)) == (["swan.example"], 2)
    client = Client(Settings("http://127.0.0.1:9", "", "key"), retries=0)
    with client:
        url = f"http://storage.example:{server.port}/f"
        assert b"".join(client.download(lambda: url, "the file")) == b"{}"
    assert socks.heads == ["swan.example", "storage.example"]


def test_socks_as_desktops_write_it(
    socks: Listener, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy without a version is one of SOCKS 5, which looks up names."""
    heads: list[str] = []
    server = listen(lambda connection: talk(connection, heads))
    monkeypatch.setenv("all_proxy", f"socks://127.0.0.1:{socks.port}/")
    assert ask(f"http://swan.example:{server.port}") == {}
    assert socks.heads == ["swan.example"]


def test_a_socks_proxy_ends_at_the_deadline(
    socks: Listener, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes now and then through a SOCKS proxy end at the deadline, as without one."""

    def send_slowly(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nx-more: ")
        while True:
            connection.sendall(b"1")
            time.sleep(0.02)

    server = listen(send_slowly)
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{socks.port}")
    with pytest.raises(UnavailableError, match="did not respond in time"):
        ask(f"http://swan.example:{server.port}", timeout_s=0.15)


def test_a_socks_proxy_that_does_not_work(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the proxy, and not the server."""
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{closed_port}")
    with pytest.raises(UnavailableError, match="ALL_PROXY names did not work"):
        ask("http://swan.example")


@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"])
def test_without_what_speaks_socks(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and what to install, without the password of the proxy."""
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setenv(variable, "socks5://ada:passw0rd@proxy.example:1080")
    said = (
        rf"^{variable} names the SOCKS proxy socks5://proxy\.example:1080, .*pip install pysocks$"
    )
    with pytest.raises(UsageError, match=said):
        ask("https://swan.example")
    client = Client(Settings("http://127.0.0.1:9", "", "key"))
    with client, pytest.raises(UsageError, match=said):
        list(client.download(lambda: "https://storage.example/f", "the file"))


def test_the_sandbox_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies the environment names, the sandbox and its storage are on this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    with se.connect(host="sandbox", retries=0, frame="arrow") as api:
        assert api.run.metrics("ada-lab/digits/linear", keys="loss", all=True).num_rows


def test_a_name_that_dns_does_not_know() -> None:
    """The message says that the name is not known."""
    with pytest.raises(UnavailableError, match="not known to DNS"):
        ask("http://no-such-host.invalid")


def test_a_closed_port(closed_port: int) -> None:
    """A closed port is a refused connection."""
    with pytest.raises(UnavailableError, match="refused the connection"):
        ask(f"http://127.0.0.1:{closed_port}")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf"])
def test_a_server_that_never_responds(said: bytes, listen: Listen) -> None:
    """A server that accepts and says nothing, or half of it, ends within the timeout."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)
        over.wait(60)

    server = listen(serve)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"in time|connection broke"):
        ask(f"http://127.0.0.1:{server.port}", timeout_s=0.1)
    assert time.monotonic() - began < 30
    over.set()


@pytest.mark.parametrize("respond", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b""])
def test_a_host_without_a_scheme_on_a_plain_server(respond: bytes, listen: Listen) -> None:
    """Without a scheme it is https, and the message says how a server without TLS is named."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(respond)

    named = f"127.0.0.1:{listen(serve).port}"
    for scheme, says in (("", True), ("https://", bool(respond))):
        settings = load_settings(f"{scheme}{named}", "key", environ={}, cwd=Path())
        with Client(settings, retries=0) as client, pytest.raises(UnavailableError) as caught:
            client.login()
        assert (
            f"a server without TLS is named with host='http://{named}'" in str(caught.value)
        ) == says


def test_a_host_without_a_scheme_and_without_https(closed_port: int) -> None:
    """The suggestion comes where the port of https is closed, and not where the name is unknown."""
    for name, says in ((f"127.0.0.1:{closed_port}", True), ("no-such-host.invalid", False)):
        settings = load_settings(None, "key", environ={"SWANLAB_API_HOST": name}, cwd=Path())
        with Client(settings, retries=0) as client, pytest.raises(UnavailableError) as caught:
            client.login()
        assert ("a server without TLS" in str(caught.value)) == says


def test_a_server_below_a_path() -> None:
    """A path that the API is below is kept, in every request and for presigned paths."""

    def respond(asked: Asked) -> bytes | None:
        if asked.path == "/swanlab/api/login/api_key":
            return reply_json({"sid": "s", "userInfo": {"username": "ada"}})
        known = {"/swanlab/api/thing": b"{}", "/swanlab/private/f": b"abc"}
        return reply(200, known[asked.path]) if asked.path in known else reply(404)

    with RawServer(respond) as server:
        host = f"{server.url}/swanlab"
        with Client(Settings(host, host, "key"), retries=0) as client:
            assert client.send(GET) == {}
            assert b"".join(client.download(lambda: "/private/f", "the file")) == b"abc"


@pytest.mark.parametrize(
    "response", [reply(404), reply(405), reply_json({"code": "Not_Found"}, 404), reply(200, b"<p>")]
)
def test_a_path_without_a_server(response: bytes) -> None:
    """A path that no API is below is not cut off: the message says where SwanLab is expected."""
    with RawServer(lambda _: response) as server:
        settings = load_settings(f"{server.url}/swanlab", "key", environ={}, cwd=Path())
        said = f"no SwanLab responds below {server.url}/swanlab .*at the root of a host"
        with Client(settings, retries=0) as client, pytest.raises(UsageError, match=said):
            client.send(GET)
        assert [asked.path for asked in server.asked] == ["/swanlab/api/login/api_key"]


def test_a_refused_key_below_a_path() -> None:
    """Where an API is below the path, its refusal of a key is one like any other."""
    refused = reply_json({"code": "401", "message": "it is unknown"}, 401)
    with RawServer(lambda _: refused) as server:
        host = f"{server.url}/swanlab"
        with (
            Client(Settings(host, host, "key")) as client,
            pytest.raises(AuthenticationError, match="it is unknown"),
        ):
            client.login()


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


@pytest.mark.parametrize(
    ("function", "said"),
    [("do_handshake", "it responded without TLS"), ("recv_into", "TLS failed")],
)
def test_a_record_layer_failure_is_told_by_when_it_comes(
    function: str, said: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL 3.2 has the same words for a server without TLS and for a record that is damaged."""
    original = getattr(ssl.SSLSocket, function)

    def failing(self: ssl.SSLSocket, *args: object) -> object:
        if self.server_side:
            return original(self, *args)
        raise ssl.SSLError(1, "[SSL: RECORD_LAYER_FAILURE] record layer failure")

    def do_handshake(self: ssl.SSLSocket, *args: object) -> object:
        return failing(self, *args)

    doubles = {"do_handshake": do_handshake, "recv_into": failing}

    with RawServer(reply_login, tls=tls) as server, server.client(retries=0) as client:
        monkeypatch.setattr(ssl.SSLSocket, function, doubles[function])
        with pytest.raises(UnavailableError, match=said):
            client.send(GET)


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
