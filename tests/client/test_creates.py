"""Creates: done, surely refused, or uncertain; never sent twice."""

from __future__ import annotations

import json

import pytest
from raw_server import Asked, RawServer, reply, reply_json, reply_login

from swanlab_export.client import Request
from swanlab_export.errors import SwanlabExportError, UnavailableError, UncertainError

CREATE = Request("POST", "/project", body={"name": "x"}, repeatable=False)
PAGE = {"content-type": "text/html"}


def create(server: RawServer) -> object:
    """Create something, without waiting."""
    with server.client(retries=1, sleep=lambda _: None) as client:
        return client.send(CREATE)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_object_says_that_it_was_created(status: int) -> None:
    """Any good status with an object means that it was created."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply_json({"cuid": "p"}, status)

    with RawServer(respond) as server:
        assert create(server) == {"cuid": "p"}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 499])
def test_a_refusal_is_certain(status: int) -> None:
    """A refusal says that nothing was created, in the server's words."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply_json({"code": "E", "message": "no"}, status)

    with RawServer(respond) as server:
        with pytest.raises(
            SwanlabExportError, match=f"failed with status {status}: 'no' \\(code 'E'\\)$"
        ) as caught:
            create(server)
        assert not isinstance(caught.value, UncertainError)
        assert len(server.of("/api/project")) == 1


UNCERTAIN = {
    "408": reply(408),
    "500": reply_json({"code": "E", "message": "broken"}, 500),
    "501": reply(501),
    "502": reply(502, b"<html>bad gateway</html>", PAGE),
    "504": reply(504),
    "524": reply(524, b"<html>timeout</html>", PAGE),
    "599": reply(599),
    "page": reply(200, b"<html>proxy</html>", PAGE),
    "empty": reply(200),
    "cut": reply(200, b'{"cuid": "p"', {"content-type": "application/json"}),
    "null": reply_json(None),
    "list": reply_json([]),
    "text": reply_json("created"),
    "204": b"HTTP/1.1 204 X\r\n\r\n",
    "304": b"HTTP/1.1 304 X\r\n\r\n",
    "307": reply(307, b"", {"location": "/api/project2?token=1"}),
    "301 to another host": reply(301, b"", {"location": "http://127.0.0.1:1/api/project"}),
    "302 to nowhere": reply(302, b"", {"location": "http://[bad?token=1"}),
    "short": reply(200, b"{}", {"content-length": "50", "connection": "close"}),
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "nothing": None,
}


@pytest.mark.parametrize("said", UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_anything_else_is_uncertain(said: bytes | None) -> None:
    """What says neither yes nor no may have created it: the error says so, and it is sent once."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or said

    with RawServer(respond) as server:
        with pytest.raises(
            UncertainError, match="may or may not have been created; look"
        ) as caught:
            create(server)
        assert len(server.asked) == 2
    error = caught.value
    assert (error.method, error.path) == ("POST", "/project")
    assert "token" not in str(error)
    has_status = said is not None and said[:5] == b"HTTP/" and b"content-length: 50" not in said
    assert error.status == (int((said or b"").split()[1]) if has_status else None)


def test_a_redirected_create_names_where_to() -> None:
    """A redirect of a create is not followed; the message says where it leads."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(308, b"", {"location": "https://swan.example/api?a=b"})

    with (
        RawServer(respond) as server,
        pytest.raises(UncertainError, match=r"https://swan\.example/api, which was not"),
    ):
        create(server)


def test_a_create_that_got_429_too_often() -> None:
    """A 429 that never ends means that nothing was created."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(429, b"{}", {"retry-after": "0"})

    with RawServer(respond) as server:
        with pytest.raises(UnavailableError, match="status 429"):
            create(server)
        assert len(server.of("/api/project")) == 4


def test_a_create_whose_session_ended_is_sent_again() -> None:
    """A request that was refused for its session was not carried out, and may be repeated."""

    def respond(asked: Asked) -> bytes | None:
        status = 401 if asked.number == 2 else 200
        return reply_login(asked) or reply_json({"cuid": "p"}, status)

    with RawServer(respond) as server:
        assert create(server) == {"cuid": "p"}
        assert json.loads(server.asked[-1].body) == {"name": "x"}
        assert len(server.of("/api/project")) == 2
