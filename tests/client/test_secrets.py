"""What is sent to which host, and what no message shows, even if a server repeats it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from raw_server import KEY, LOGIN, SID, Asked, RawServer, reply, reply_json, reply_login

from swanlab_export.client import Client, Request
from swanlab_export.client.redact import Redactor
from swanlab_export.errors import SwanlabExportError
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

GET = Request("GET", "/thing")
PASSWORD = 'pass "<word>" é'
CREATE = Request(
    "POST",
    "/users",
    body={"users": [{"password": PASSWORD}]},
    repeatable=False,
    secrets=(PASSWORD,),
)


def everything_in(error: SwanlabExportError) -> str:
    """All that an error holds, and that a trace would show of it."""
    assert error.__cause__ is None
    return f"{error} {error!r} {vars(error)}"


def failure_of(client: Client, request: Request) -> SwanlabExportError | None:
    """Send a request; returns how it failed, if it did."""
    try:
        client.send(request)
    except SwanlabExportError as error:
        return error
    return None


def echo(asked: Asked) -> str:
    """A complaint that quotes the headers and the body of a request."""
    heads = f"authorization: {asked.headers.get('authorization')} {asked.headers.get('cookie')}"
    body = json.loads(asked.body)["users"][0]["password"] if asked.body else ""
    return f"cannot read {heads} {body}"


def as_json(asked: Asked, status: int) -> bytes:
    """The complaint as the API sends errors."""
    return reply_json({"code": echo(asked), "message": echo(asked)}, status)


def as_list(asked: Asked, status: int) -> bytes:
    """The complaint in a body that is not an object."""
    return reply_json([echo(asked)], status)


def as_page(asked: Asked, status: int) -> bytes:
    """The complaint in a page, behind so many blanks that it is cut in its middle."""
    page = f"<pre>{' ' * 450}</pre>{echo(asked)}"
    return reply(status, page.encode(), {"content-type": "text/html"})


def as_trace(asked: Asked, status: int) -> bytes:
    """The complaint in the trace id, with something that colours a terminal."""
    trace = quote(echo(asked)) + "\x1b[31m " + echo(asked)
    return reply(status, b"{}", {"traceid": trace.encode().decode("latin-1")})


@pytest.mark.parametrize("said", [as_json, as_list, as_page, as_trace])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 500, 503])
@pytest.mark.parametrize("step", ["login", "read", "create"])
def test_secrets_that_a_server_repeats_are_redacted(step: str, status: int, said: object) -> None:
    """Key, session and password are in no message and no field, however the server quotes them."""

    def respond(asked: Asked) -> bytes | None:
        assert callable(said)
        is_step = (asked.path == LOGIN) == (step == "login")
        return said(asked, status) if is_step else reply_login(asked)

    with RawServer(respond) as server, server.client(retries=0) as client:
        error = failure_of(client, CREATE if step == "create" else GET)
    if error is None:
        assert status == 200
        return
    for secret in (KEY, SID, PASSWORD, "word>", "key-that", "sid-that", "is-secret"):
        assert secret not in everything_in(error)
    assert f"{error} {error.code} {error.trace_id}".isprintable()


def test_what_is_redacted_shows_that_it_is() -> None:
    """A secret is replaced by dots, and the rest of the message stays."""
    words = "the password pass is too weak"
    request = Request("POST", "/users", body={}, repeatable=False, secrets=("pass",))

    def refuse(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply_json({"message": words}, 400)

    with (
        RawServer(refuse) as server,
        server.client() as client,
        pytest.raises(SwanlabExportError, match="'the •••word ••• is too weak'"),
    ):
        client.send(request)
    assert "pass" not in repr(request)


def test_secrets_in_a_redirect_are_redacted() -> None:
    """The target of a redirect may hold the session, but is not shown with it."""
    there = f"https://login.example/{SID}/{KEY}"

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(302, b"", {"location": there})

    for request in (GET, CREATE):
        with (
            RawServer(respond) as server,
            server.client() as client,
            pytest.raises(SwanlabExportError, match=r"https://login\.example/•••/•••, which"),
        ):
            client.send(request)


def test_old_sessions_are_redacted_too() -> None:
    """A session that was renewed meanwhile is as secret as the new one."""

    def respond(asked: Asked) -> bytes:
        if asked.path == LOGIN:
            sid = f"sid-number-{len(server.of(LOGIN))}"
            return reply_json({"sid": sid, "userInfo": {"username": "ada"}})
        is_old = asked.headers["cookie"] == "sid=sid-number-1"
        return reply_json({"message": "sid-number-1 sid-number-2"}, 401 if is_old else 400)

    with (
        RawServer(respond) as server,
        server.client() as client,
        pytest.raises(SwanlabExportError, match="'••• •••'"),
    ):
        client.send(GET)


def test_secrets_in_every_form() -> None:
    """Secrets are found in JSON, URLs and HTML; the longest first; an empty one is none."""
    redact = Redactor(["", "a&b", "x a&b y"]) | ['q"é']
    text = 'a&b a%26b a&amp;b "q\\"\\u00e9" q\\"é q%22%C3%A9 x a&b y x+a%26b+y x%20a%26b%20y z'
    assert redact(text) == '••• ••• ••• "•••" ••• ••• ••• ••• ••• z'
    assert Redactor()("nothing") == "nothing"


@pytest.mark.parametrize(
    "body",
    [b'{"sid": "sid-is-secret", "userInfo"', b'["sid-is-secret"]', b'{"sid": ["sid-is-secret"]}'],
)
def test_a_login_that_cannot_be_read_is_not_quoted(body: bytes) -> None:
    """Half a response to a login may hold a session: only its media type is named."""
    headers = {"content-type": "application/json"}
    with (
        RawServer(lambda _: reply(200, body, headers)) as server,
        server.client() as client,
        pytest.raises(SwanlabExportError, match="without a session, with 'application/json'") as e,
    ):
        client.send(GET)
    assert "is-secret" not in everything_in(e.value)


@pytest.mark.parametrize("sid", ["a\r\nb: c", "a; b", "é中", "", " x", None, 7])
def test_a_session_that_no_cookie_can_hold(sid: object) -> None:
    """A session that could not be sent back as it is counts as none."""
    login = {"sid": sid, "userInfo": {"username": "ada"}}
    with (
        RawServer(lambda _: reply_json(login)) as server,
        server.client() as client,
        pytest.raises(SwanlabExportError, match="without a session"),
    ):
        client.send(GET)
    assert len(server.asked) == 1


def test_ids_in_a_path_are_printable() -> None:
    """Control characters in an id of the server do not reach the terminal."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(400)

    with (
        RawServer(respond) as server,
        server.client() as client,
        pytest.raises(SwanlabExportError) as caught,
    ):
        client.send(Request("GET", "/experiment/\x1b[31m/column"))
    assert caught.value.message.isprintable()


def test_cookies_that_are_set_are_not_kept() -> None:
    """Neither the API nor a storage gets a cookie that any server has set."""
    cookies = {"set-cookie": "tracked=1; Path=/", "connection": "close"}

    def respond(asked: Asked) -> bytes:
        if asked.path == LOGIN:
            login = {"sid": f"s{asked.number}", "userInfo": {"username": "ada"}}
            return reply(200, json.dumps(login).encode(), cookies)
        status = 401 if len(server.of("/api/thing")) == 1 else 200
        return reply(status, b"{}", cookies | {"content-length": "2"})

    with RawServer(respond) as server, server.client() as client:
        client.send(GET)
        for _ in range(2):
            list(client.download(lambda: f"{server.url}/file", "the file"))
        sent = [(asked.path, asked.headers.get("cookie")) for asked in server.asked]
    assert sent == [
        (LOGIN, None),
        ("/api/thing", "sid=s1"),
        (LOGIN, None),
        ("/api/thing", "sid=s3"),
        ("/file", None),
        ("/file", None),
    ]


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with passwords for every host."""
    file = tmp_path / ".netrc"
    file.write_text("machine 127.0.0.1 login a password b\ndefault login c password d\n")
    file.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)


@pytest.mark.usefixtures("netrc")
def test_passwords_of_the_home_folder_are_not_sent() -> None:
    """Neither the API nor a storage sees a password of ``~/.netrc``."""

    def respond(asked: Asked) -> bytes | None:
        if asked.path == "/api/thing":
            return reply(302, b"", {"location": "/api/there"})
        return reply_login(asked) or reply(200, b"{}")

    with RawServer(respond) as server, server.client() as client:
        client.send(GET)
        list(client.download(lambda: f"{server.url}/file", "the file"))
        sent = {asked.path: asked.headers.get("authorization") for asked in server.asked}
    assert sent == {LOGIN: KEY, "/api/thing": None, "/api/there": None, "/file": None}


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirected_download_sends_no_password(host: str) -> None:
    """A redirect, to the same host or another, is followed with nothing of the home folder."""

    def respond(asked: Asked) -> bytes:
        if asked.path == "/file":
            there = f"http://{host}:{server.port}/there"
            return reply(302, b"", {"location": there, "set-cookie": "a=b"})
        return reply(200, b"abc")

    with RawServer(respond) as server, Client(Settings("http://127.0.0.1:9", "", KEY)) as client:
        found = b"".join(client.download(lambda: f"{server.url}/file", "the file"))
    assert found == b"abc"
    assert [asked.path for asked in server.asked] == ["/file", "/there"]
    for asked in server.asked:
        assert not {"authorization", "cookie"} & asked.headers.keys()
