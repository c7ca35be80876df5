"""What is logged and shown while a request is sent, repeated or waited for."""

from __future__ import annotations

import logging
import time

import pytest
from raw_server import KEY, LOGIN, SID, Asked, RawServer, reply, reply_json, reply_login
from traces import variables_of

from swanlab_export._version import __title__, __version__
from swanlab_export.client import Request
from swanlab_export.client.redact import bare_url, redact_signatures
from swanlab_export.errors import SwanlabExportError, UnavailableError
from swanlab_export.messages import Secret

GET = Request("GET", "/thing", params=(("page", 1),))


def test_requests_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """Method, path, status, time, size and generation are logged; no key, session or signature."""
    caplog.set_level(logging.DEBUG)

    def respond(asked: Asked) -> bytes | None:
        if asked.path == "/api/thing":
            time.sleep(0.05)
        return reply_login(asked) or reply(200, b"[1]")

    with RawServer(respond) as server, server.client() as client:
        client.send(GET)
        url = f"{server.url}/file?X-Amz-Signature=signature-one&sig=signature-two"
        list(client.download(lambda: url, "the file"))
    ours = [r.getMessage() for r in caplog.records if r.name == "swanlab_export.client"]
    assert [line.split(" in ")[0] for line in ours] == [
        "POST /login/api_key: 200",
        "GET /thing: 200",
        f"GET {server.url}/file: 200",
    ]
    assert ours[1].endswith(" ms, 3 bytes, generation 2.6+")
    assert int(ours[1].split(" in ")[1].split(" ms")[0]) >= 50
    assert ours[2].endswith(" ms, generation 2.6+")
    assert any(record.name == "urllib3.connectionpool" for record in caplog.records)
    for secret in (KEY, SID, "signature-one", "signature-two"):
        assert secret not in caplog.text


def test_waits_are_logged_and_long_ones_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Every wait is logged as a warning; one of more than two seconds is also handed out."""
    shown: list[str] = []
    waits: list[float] = []

    def respond(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        wait = {2: "0.7", 3: "4"}.get(asked.number)
        return reply(503, b"", {"retry-after": wait}) if wait else reply_json([])

    with (
        RawServer(respond) as server,
        server.client(sleep=waits.append, on_wait=shown.append) as client,
    ):
        assert client.send(GET) == []
    assert waits == [0.7, 4.0]
    assert shown == ["retrying in 4 s (2/5): 503"]
    logged = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert logged == ["retrying in 1 s (1/5): 503", "retrying in 4 s (2/5): 503"]


def test_a_wait_after_a_broken_connection_says_why() -> None:
    """Without a status, the text of a wait says what happened."""
    shown: list[str] = []
    with (
        RawServer(reply_login) as server,
        server.client(retries=4, sleep=lambda _: None, on_wait=shown.append) as client,
        pytest.raises(UnavailableError),
    ):
        client.send(GET)
    assert shown
    assert all(text.endswith("/4): GET /thing: the connection broke") for text in shown)


def test_headers_that_are_not_text() -> None:
    """Bytes in headers that are not UTF-8 are an error message like any other."""
    head = b"HTTP/1.1 400 \xff\xfe\r\ntraceid: \xff\xfe\x80\r\ncontent-type: \xff\r\n"

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or head + b"content-length: 2\r\n\r\n\xff\xff"

    with (
        RawServer(respond) as server,
        server.client() as client,
        pytest.raises(SwanlabExportError, match="failed with status 400") as caught,
    ):
        client.send(GET)
    assert f"{caught.value}{caught.value.trace_id}".isprintable()


def test_the_client_names_itself() -> None:
    """The user agent holds the name and the version of the client."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply_json([])

    with RawServer(respond) as server, server.client() as client:
        client.send(GET)
    assert all(
        asked.headers["user-agent"].startswith(f"{__title__}/{__version__} ")
        for asked in server.asked
    )


@pytest.mark.parametrize("path", [LOGIN, "/api/thing"], ids=["login", "request"])
@pytest.mark.parametrize("said", [reply(400), reply(503), reply(302), None], ids=str)
def test_variables_of_a_trace_show_no_secrets(path: str, said: bytes | None) -> None:
    """The key and the session are dots where a trace prints the variables of every call."""

    def respond(asked: Asked) -> bytes | None:
        return said if asked.path == path else reply_login(asked)

    with (
        RawServer(respond) as server,
        server.client(retries=0) as client,
        pytest.raises(SwanlabExportError) as caught,
    ):
        client.send(GET)
    shown = variables_of(caught.value)
    assert SID not in shown
    assert KEY not in shown
    assert repr({"cookie": Secret("sid=1")}) == "{'cookie': •••}"


def test_signatures_in_every_form() -> None:
    """Signatures of presigned URLs are redacted as parameters of a path and of a query."""
    url = "https://u:p@s.example/f;sig=aa?Signature=bb&X-Amz-Credential=cc&q-signature=dd&part=1"
    shown = redact_signatures(f"no {url} yes")
    assert not any(secret in shown for secret in ("aa", "bb", "cc", "dd"))
    assert shown.endswith("&part=1 yes")
    assert bare_url(url) == "https://s.example/f"
