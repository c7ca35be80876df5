"""Responses of the API: odd text, odd lengths, odd redirects."""

from __future__ import annotations

import json

import pytest
from raw_server import Asked, RawServer, reply, reply_json, reply_login

from swanlab_export.client import Client, Request
from swanlab_export.decoding import decode
from swanlab_export.errors import ServerError, UnavailableError
from swanlab_export.settings import Settings

GET = Request("GET", "/thing")
JSON = {"content-type": "application/json"}


def ask(body: bytes) -> object:
    """Return the payload that a client reads from a body."""
    with (
        RawServer(lambda asked: reply_login(asked) or reply(200, body, JSON)) as server,
        server.client() as client,
    ):
        return client.send(GET)


@pytest.mark.parametrize("number", [1, 10**18, 2**70])
@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"\ude00 first", "\ufffd first"),
        (r"whole \ud83d\ude00", "whole \U0001f600"),
        (r"no escape \\ud83d", r"no escape \ud83d"),
        (r"\u0000 and \u2028", "\0 and \u2028"),
    ],
)
def test_half_a_character_does_not_hide_the_rest(text: str, read: str, number: int) -> None:
    """A lone surrogate becomes U+FFFD, in a name or a value; everything else stays as it was."""
    body = f'{{"list": [{{"{text}": ["{text}", {number}, null, 1.5, true]}}]}}'
    found = ask(body.encode())
    assert found == {"list": [{read: [read, number, None, 1.5, True]}]}
    json.dumps(found, ensure_ascii=False).encode()


@pytest.mark.parametrize("number", [b"1", b"1234567890123456789"])
def test_bytes_that_are_not_text(number: bytes) -> None:
    """Bytes that are not UTF-8 become U+FFFD; a byte order mark is not a part of the text."""
    assert ask(b'{"name": "caf\xe9 \xed\xa0\xbd", "n": %s}' % number) == {
        "name": "caf\ufffd \ufffd\ufffd\ufffd",
        "n": int(number),
    }
    assert ask(b'\xef\xbb\xbf{"n": %s}' % number) == {"n": int(number)}


@pytest.mark.parametrize("body", [b"[" * 100_000, b"1" * 5000, b'"\xff', b"\xff\xfe", b"{,}"])
def test_what_is_not_json_is_an_error(body: bytes) -> None:
    """Whatever a server sends instead of JSON is the same error."""
    with pytest.raises(ServerError, match="which is not JSON"):
        ask(body)


def test_a_response_that_is_cut_is_requested_again() -> None:
    """Fewer bytes than announced are a transient failure, though they are JSON by themselves."""

    def respond(asked: Asked) -> bytes | None:
        if (login := reply_login(asked)) is not None:
            return login
        cut = {"content-length": "50", "connection": "close"}
        return reply(200, b"[]", cut) if asked.number < 4 else reply_json([1])

    with RawServer(respond) as server, server.client(retries=2, sleep=lambda _: None) as client:
        assert client.send(GET) == [1]
        assert len(server.asked) == 4
    with (
        RawServer(respond) as server,
        server.client(retries=0) as client,
        pytest.raises(UnavailableError, match="the connection broke"),
    ):
        client.send(GET)


@pytest.mark.parametrize(
    "location", ["http://[bad?X-Signature=secret", "http://127.0.0.1:1/\x1b?X-Signature=secret"]
)
def test_a_redirect_that_cannot_be_read(location: str) -> None:
    """A redirect that is no URL, or no printable one, is an error that shows no signature."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(302, b"", {"location": location})

    with (
        RawServer(respond) as server,
        server.client(retries=0) as client,
        pytest.raises(ServerError, match="was redirected to http://") as caught,
    ):
        client.send(GET)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirected_post_is_not_sent_again(status: int) -> None:
    """A request with a body is not sent anywhere else, even if it may be repeated."""

    def respond(asked: Asked) -> bytes | None:
        return reply_login(asked) or reply(status, b"", {"location": "/api/there"})

    with (
        RawServer(respond) as server,
        server.client(retries=0) as client,
        pytest.raises(ServerError, match=r"was redirected to .*/api/there, which was not followed"),
    ):
        client.send(Request("POST", "/thing", body={}))
    assert server.of("/api/there") == []


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"message": "no"}, "'no'"),
        ({"code": "E7"}, "(code 'E7')"),
        ({"detail": "deep"}, "(detail 'deep')"),
        (
            {"code": "E7", "message": "no", "detail": {"a": 1}},
            """'no' (code 'E7', detail '{"a": 1}')""",
        ),
        ({"other": 1}, """'application/json' '{"other": 1}'"""),
    ],
)
def test_the_words_of_a_refusal(payload: object, said: str) -> None:
    """Whatever a server says of an error is quoted: message, code, detail, else its body."""
    with (
        RawServer(lambda asked: reply_login(asked) or reply_json(payload, 400)) as server,
        server.client() as client,
        pytest.raises(ServerError) as caught,
    ):
        client.send(GET)
    assert caught.value.message == f"GET /thing failed with status 400: {said}"


def test_a_redirect_by_a_path_in_utf8() -> None:
    """A path that is not ASCII is followed as UTF-8."""

    def respond(asked: Asked) -> bytes | None:
        if asked.path == "/api/thing":
            return reply(302, b"", {"location": "/api/é".encode().decode("latin-1")})
        return reply_login(asked) or reply_json(asked.target)

    with RawServer(respond) as server, server.client() as client:
        assert client.send(GET) == "/api/%C3%A9"


def test_a_redirect_that_is_not_utf8() -> None:
    """A path in Latin-1 is taken as it is."""

    def respond(asked: Asked) -> bytes | None:
        if asked.path == "/api/thing":
            return reply(302, b"", {"location": "/api/\xe9"})
        return reply_login(asked) or reply_json(asked.target)

    with RawServer(respond) as server, server.client() as client:
        assert client.send(GET) == "/api/%C3%A9"


def test_a_host_that_no_dns_could_hold() -> None:
    """A name with a part of 70 letters is an error like that of any unknown host."""
    host = f"http://{'a' * 70}.example"
    with (
        Client(Settings(host, host, "key"), sleep=lambda _: None) as client,
        pytest.raises(UnavailableError, match="cannot be reached: this is not a valid URL"),
    ):
        client.send(GET)


@pytest.mark.parametrize("before", [0, 10, 65_500, 65_520, 65_530, 65_535, 65_536, 200_000])
def test_an_integer_beyond_64_bits_is_exact_wherever_it_stands(before: int) -> None:
    """However long the text before it is, no digit of a number is rounded."""
    assert decode(b"[" + b" " * before + b"123456789012345678901]") == [123456789012345678901]
