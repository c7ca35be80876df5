"""Downloads over real sockets: where a file ends, and when two parts are of the same file."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw_server import Asked, RawServer, reply, reply_part

from swanlab_export.client import Client
from swanlab_export.errors import IncompleteError, NotFoundError, ServerError, UnavailableError
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = random.Random(2).randbytes(50_000)
ETAG = {"etag": '"1"'}
SIZE = {"content-length": str(len(BODY)), "connection": "close"} | ETAG
CLOSED = {"connection": "close"}
CHUNKED = {"transfer-encoding": "chunked", "connection": "close"}


def chunks(body: bytes, *, has_last: bool = True) -> bytes:
    """A body in one chunk, and the last one."""
    return b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if has_last else b"")


def fetch(
    server: RawServer, *, path: str = "/file", retries: int = 3, needs_length: bool = True
) -> bytes:
    """Download a file, waiting for nothing between attempts."""
    settings = Settings("http://127.0.0.1:9", "", "key")
    url = f"{server.url}{path}?X-Signature=signature-that-is-secret"
    with Client(settings, retries=retries, timeout_s=5, sleep=lambda _: None) as client:
        download = client.download(lambda: url, "the file", needs_length=needs_length)
        return b"".join(download)


def test_parts_that_are_shorter_than_requested() -> None:
    """A part is not the end before the whole has come; progress allows new attempts."""

    def respond(asked: Asked) -> bytes:
        if "range" not in asked.headers:
            return reply(200, BODY[:5000], SIZE)
        return reply_part(BODY, asked.start, min(asked.start + 5000, len(BODY)), headers=ETAG)

    with RawServer(respond) as server:
        assert fetch(server, retries=1) == BODY
        assert len(server.asked) == 10


def test_a_part_that_was_not_requested() -> None:
    """After a part that was not requested, the rest is requested."""

    def respond(asked: Asked) -> bytes:
        return reply_part(BODY, asked.start, min(asked.start + 20_000, len(BODY)), headers=ETAG)

    with RawServer(respond) as server:
        assert fetch(server) == BODY
        assert [asked.headers.get("range") for asked in server.asked] == [
            None,
            "bytes=20000-",
            "bytes=40000-",
        ]


def test_parts_without_progress() -> None:
    """A server that sends nothing more is given up, and the message says how much came."""

    def respond(asked: Asked) -> bytes:
        if "range" not in asked.headers:
            return reply(200, BODY[:5000], SIZE)
        return reply(206, b"", {"content-range": f"bytes 5000-5000/{len(BODY)}"} | ETAG)

    with RawServer(respond) as server:
        with pytest.raises(IncompleteError, match=r"5,000 of 50,000 bytes arrived: .*too early"):
            fetch(server, retries=2)
        assert len(server.asked) == 3


@pytest.mark.parametrize("total", ["*", "50000"])
def test_a_part_that_may_be_the_last(total: str) -> None:
    """If no part says how long the whole is, it ends where nothing is left to request."""

    def respond(asked: Asked) -> bytes:
        if asked.start == len(BODY):
            return reply(416, b"", {"content-range": f"bytes */{len(BODY)}"} | ETAG)
        end = min(asked.start + 25_000, len(BODY))
        return reply_part(BODY, asked.start, end, total, headers=ETAG)

    with RawServer(respond) as server:
        assert fetch(server, retries=1) == BODY
        assert len(server.asked) == (3 if total == "*" else 2)


def test_more_than_was_announced() -> None:
    """A part that is longer than the rest of the file is no part of it."""

    def respond(asked: Asked) -> bytes:
        if "range" not in asked.headers:
            return reply(200, BODY[:40_000], SIZE)
        return reply(206, BODY, {"content-range": f"bytes 40000-49999/{len(BODY)}"} | ETAG)

    with (
        RawServer(respond) as server,
        pytest.raises(IncompleteError, match="90,000 bytes came, 50"),
    ):
        fetch(server)


@pytest.mark.parametrize("etag", ['"2"', 'W/"1"', "", "1"], ids=["other", "weak", "none", "odd"])
@pytest.mark.parametrize("has_changed", [True, False], ids=["changed", "same"])
def test_a_part_that_may_be_of_another_file(etag: str, *, has_changed: bool) -> None:
    """A part without the ETag of the first is not joined: the file is read again, and compared."""
    second = bytes(len(BODY)) if has_changed else BODY

    def respond(asked: Asked) -> bytes:
        if "range" in asked.headers:
            headers = {"etag": etag} if etag else {}
            return reply_part(second, asked.start, len(second), headers=headers)
        return reply(200, BODY[:40_000] if asked.number == 1 else second, SIZE | ETAG)

    with RawServer(respond) as server:
        if has_changed:
            with pytest.raises(IncompleteError, match="the file changed while it was read"):
                fetch(server)
        else:
            assert fetch(server) == BODY
        assert [asked.headers.get("range") for asked in server.asked] == [
            None,
            "bytes=40000-",
            None,
        ]


@pytest.mark.parametrize(
    "headers",
    [{}, {"etag": 'W/"1"'}, {"last-modified": "Fri, 01 Mar 2024 00:00:00 GMT"}],
    ids=["nothing", "weak", "time"],
)
@pytest.mark.parametrize("has_changed", [True, False], ids=["changed", "same"])
def test_a_file_without_a_strong_etag(headers: dict[str, str], *, has_changed: bool) -> None:
    """Without a strong ETag no part is requested: the file is read again, and compared."""
    second = bytes(len(BODY)) if has_changed else BODY
    said = headers | CLOSED | {"content-length": str(len(BODY))}

    def respond(asked: Asked) -> bytes:
        return reply(200, BODY[:40_000] if asked.number == 1 else second, said)

    with RawServer(respond) as server:
        if has_changed:
            with pytest.raises(IncompleteError, match="the file changed while it was read"):
                fetch(server)
        else:
            assert fetch(server) == BODY
        assert [asked.headers.get("range") for asked in server.asked] == [None, None]


@pytest.mark.parametrize("size", [49_999, 50_001])
def test_a_part_of_a_file_of_another_size(size: int) -> None:
    """A part of a longer or shorter file is not joined, even if its ETag is the same."""

    def respond(asked: Asked) -> bytes:
        if "range" not in asked.headers:
            return reply(200, BODY[:40_000], SIZE)
        return reply_part(BODY + b"x", 40_000, size, str(size), headers=ETAG)

    with RawServer(respond) as server, pytest.raises(IncompleteError, match=f"{size:,} bytes now"):
        fetch(server, retries=1)


def test_a_body_that_is_shorter_than_its_length() -> None:
    """A body that ends before its announced length is requested again."""

    def respond(asked: Asked) -> bytes:
        return reply(200, BODY[: 30_000 if asked.number == 1 else None], SIZE)

    with RawServer(respond) as server:
        assert fetch(server) == BODY
        assert len(server.asked) == 2


@pytest.mark.parametrize("ending", [SIZE, CHUNKED, CLOSED], ids=["size", "chunks", "neither"])
def test_gzip_of_several_members(ending: dict[str, str]) -> None:
    """Files that were compressed one by one and joined are decompressed to the last one."""
    packed = gzip.compress(BODY[:20_000]) + gzip.compress(BODY[20_000:]) + bytes(100)
    packed += gzip.compress(b"end") + bytes(100)

    def respond(_: Asked) -> bytes:
        headers = ending | {"content-encoding": "gzip"}
        if ending is SIZE:
            headers["content-length"] = str(len(packed))
        return reply(200, chunks(packed) if ending is CHUNKED else packed, headers)

    with RawServer(respond) as server:
        assert fetch(server, needs_length=ending is not CLOSED) == BODY + b"end"


def test_gzip_that_comes_byte_by_byte() -> None:
    """Compressed data are decompressed however they are split on their way."""
    packed = gzip.compress(b"abc") + gzip.compress(b"def")

    def respond(asked: Asked) -> None:
        asked.socket.sendall(reply(200, b"", CHUNKED | {"content-encoding": "gzip"}))
        for byte in packed:
            asked.socket.sendall(chunks(bytes([byte]), has_last=False))
        asked.socket.sendall(b"0\r\n\r\n")

    with RawServer(respond) as server:
        assert fetch(server) == b"abcdef"


def test_gzip_of_a_large_file() -> None:
    """A few bytes that are decompressed to many are handed on in pieces."""
    packed = gzip.compress(bytes(5_000_000))

    def respond(_: Asked) -> bytes:
        return reply(200, packed, {"content-encoding": "x-gzip"})

    with RawServer(respond) as server, Client(Settings(server.url, "", "key")) as client:
        sizes = [len(piece) for piece in client.download(lambda: server.url, "the file")]
    assert sum(sizes) == 5_000_000
    assert max(sizes) <= 1 << 20


@pytest.mark.parametrize("cut", [12, 15_000], ids=str)
def test_gzip_that_is_cut_in_its_second_member(cut: int) -> None:
    """Half of a member is not a file, even if nothing else says that it was cut."""
    packed = gzip.compress(BODY[:20_000]) + gzip.compress(BODY[20_000:])[:cut]

    def respond(_: Asked) -> bytes:
        return reply(200, packed, CLOSED | {"content-encoding": "gzip"})

    with RawServer(respond) as server, pytest.raises(IncompleteError, match="ended too early"):
        fetch(server, needs_length=False)


def test_an_empty_file_that_is_called_compressed() -> None:
    """A length of 0 is an empty file, however it is said to be encoded."""
    with RawServer(lambda _: reply(200, b"", {"content-encoding": "gzip"})) as server:
        assert fetch(server) == b""


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"content-encoding": "deflate"}, "deflate"),
        ({"content-encoding": "br, gzip"}, "br, gzip"),
        ({"content-encoding": "gzip, gzip"}, "gzip, gzip"),
        ({"content-encoding": "zstd\x1b"}, r"zstd\\x1b"),
        ({"transfer-encoding": "gzip, chunked"}, r"gzip, chunked \(transfer\)"),
        ({"transfer-encoding": "xchunked"}, r"xchunked \(transfer\)"),
    ],
    ids=str,
)
def test_codings_that_are_not_known_here(headers: dict[str, str], named: str) -> None:
    """What cannot be decoded is not saved as it is, and the message names the encoding."""
    body = zlib.compress(BODY)

    def respond(_: Asked) -> bytes:
        return reply(200, body, headers | {"connection": "close"})

    with RawServer(respond) as server:
        with pytest.raises(ServerError, match=f"encoded as {named}, which"):
            fetch(server)
        assert len(server.asked) == 1


def test_a_coding_that_changes_between_attempts() -> None:
    """Half of a compressed file and half of a plain one are compared, not joined."""
    packed = gzip.compress(BODY)

    def respond(asked: Asked) -> bytes:
        if asked.number == 1:
            headers = {"content-encoding": "gzip", "transfer-encoding": "chunked"}
            return reply(200, b"%x\r\n%s" % (len(packed), packed[:9000]), headers | CLOSED)
        if asked.number == 2:
            return reply(200, chunks(BODY), CHUNKED)
        return b""

    with RawServer(respond) as server:
        assert fetch(server) == BODY
        assert len(server.asked) == 2


def test_a_part_that_comes_compressed() -> None:
    """A part of the compressed file is no part of the plain one, though its ETag is the same."""

    def respond(asked: Asked) -> bytes:
        if "range" in asked.headers:
            packed = {"content-encoding": "gzip"} | ETAG
            part = reply_part(gzip.compress(BODY[40_000:]), 0, 10_010, "50000", headers=packed)
            return part.replace(b"bytes 0-10009/", b"bytes 40000-49999/")
        return reply(200, BODY[: 40_000 if asked.number == 1 else None], SIZE)

    with RawServer(respond) as server:
        assert fetch(server) == BODY
        assert len(server.asked) == 3


def test_no_part_of_a_compressed_file_is_requested() -> None:
    """How much of it came is known only decompressed: it is read again, and compared."""
    packed = gzip.compress(BODY)
    said = SIZE | {"content-encoding": "gzip", "content-length": str(len(packed))}

    def respond(asked: Asked) -> bytes:
        return reply(200, packed[: 30_000 if asked.number == 1 else None], said)

    with RawServer(respond) as server:
        assert fetch(server) == BODY
        assert ["range" in asked.headers for asked in server.asked] == [False, False]


def test_a_coding_that_changes_before_anything_came() -> None:
    """What a first attempt without a byte says of the file does not count."""

    def respond(asked: Asked) -> bytes:
        if asked.number == 1:
            return reply(200, b"", {"content-encoding": "gzip", "content-length": "70"} | CLOSED)
        return reply(200, BODY)

    with RawServer(respond) as server:
        assert fetch(server) == BODY


@pytest.mark.parametrize("length", ["abc", "\xb2", "+7777", "7_777", "-1", "9" * 5000])
def test_a_length_that_is_not_an_integer(length: str) -> None:
    """It is no length: a log or an image is refused, and a reader of CSV must check the end."""

    def respond(_: Asked) -> bytes:
        return reply(200, BODY[:7777], {"content-length": length, "connection": "close"})

    with RawServer(respond) as server:
        with pytest.raises(IncompleteError, match="neither a length nor chunks"):
            fetch(server)
        with Client(Settings(server.url, "", "key")) as client:
            download = client.download(lambda: server.url, "the file", needs_length=False)
            assert b"".join(download) == BODY[:7777]
            assert not download.has_length
            assert download.size_bytes is None


def respond_after_end(last: str) -> Callable[[Asked], bytes]:
    """A file whose last chunk is lost; for a range after its end the server says ``last``."""

    def respond(asked: Asked) -> bytes:
        if "range" in asked.headers:
            return reply(416, b"", ETAG | ({"content-range": last} if last else {}))
        has_last = asked.number > 1
        return reply(200, chunks(BODY, has_last=has_last), CHUNKED | ETAG)

    return respond


def test_only_the_last_chunk_was_lost() -> None:
    """A server that has nothing after the bytes so far says that they are all."""
    with RawServer(respond_after_end(f"bytes */{len(BODY)}")) as server:
        assert fetch(server, retries=1) == BODY
        assert len(server.asked) == 2


@pytest.mark.parametrize("last", ["bytes */49999", "bytes */50001", "bytes */*", ""])
def test_nothing_after_the_end_of_another_file(last: str) -> None:
    """Anything else says nothing of the end: the file is read again, and compared."""
    with RawServer(respond_after_end(last)) as server:
        assert fetch(server, retries=2) == BODY
        assert [asked.headers.get("range") for asked in server.asked] == [
            None,
            "bytes=50000-",
            None,
        ]


def test_a_range_that_was_not_requested_is_refused() -> None:
    """416 without a range is a refusal like any other."""
    with RawServer(lambda _: reply(416)) as server:
        with pytest.raises(ServerError, match="status 416"):
            fetch(server)
        assert len(server.asked) == 1


PAGE = (
    b"<html><title>Sign in</title>\n<p>to go on to /file?X-Signature=signature-that-is-secret"
    b" (signature-that-is-secret)"
)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "Application/XHTML+XML"])
def test_a_page_in_place_of_a_file(kind: str) -> None:
    """A page with status 200 is not a log, an image or a CSV; the message says what came."""
    with RawServer(lambda _: reply(200, PAGE, {"content-type": kind})) as server:
        with pytest.raises(ServerError, match="'Sign in to go on to /file") as caught:
            fetch(server)
        assert kind.partition(";")[0].lower() in str(caught.value)
        assert "is-secret" not in str(caught.value)
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (
            b'{"code": "Damaged", "message": "it is cut", "detail": "signature-that-is-secret"}',
            "application/json",
            "status 422: 'it is cut' (code 'Damaged', detail '•••')",
        ),
        (PAGE, "text/html", "status 422: 'text/html' 'Sign in to go on to /file"),
        (b"", "application/xml", "status 422: an empty body"),
    ],
)
def test_the_words_of_a_refusal(body: bytes, kind: str, said: str) -> None:
    """A storage that refuses says why in the message, without the signature that it repeats."""
    with RawServer(lambda _: reply(422, body, {"content-type": kind})) as server:
        with pytest.raises(ServerError) as caught:
            fetch(server)
        assert said in str(caught.value)
        assert "is-secret" not in str(caught.value)
        assert len(server.asked) == 1


def test_a_page_that_cannot_be_read() -> None:
    """A page that does not come is refused all the same."""

    def respond(_: Asked) -> bytes:
        return reply(200, b"", {"content-type": "text/html", "content-length": "9"} | CLOSED)

    with RawServer(respond) as server, pytest.raises(ServerError, match="an empty body"):
        fetch(server)


@pytest.mark.parametrize("name", ["/a/chart.html", "/a/chart.HTM"])
def test_a_page_that_was_requested(name: str) -> None:
    """A page that was logged as one is a file like any other."""
    with RawServer(lambda _: reply(200, PAGE, {"content-type": "text/html"})) as server:
        assert fetch(server, path=name) == PAGE


def test_redirects_are_followed() -> None:
    """A presigned URL may lead on, to another host and by a path in UTF-8, with the range."""

    def respond(asked: Asked) -> bytes:
        if asked.path == "/file":
            there = f"http://localhost:{server.port}/möre?X-Signature=more"
            return reply(302, b"x", {"location": there.encode().decode("latin-1")})
        end = None if asked.start else 20_000
        whole = reply_part(BODY, asked.start, len(BODY), headers=ETAG)
        return whole if asked.start else reply(200, BODY[:end], SIZE)

    with RawServer(respond) as server:
        assert fetch(server) == BODY
        assert [asked.target for asked in server.asked] == [
            "/file?X-Signature=signature-that-is-secret",
            "/m%C3%B6re?X-Signature=more",
        ] * 2
        assert server.asked[3].headers["range"] == "bytes=20000-"


def test_redirects_without_end() -> None:
    """A circle of redirects ends, and is not tried again."""
    with RawServer(lambda _: reply(307, b"", {"location": "/file?b=1"})) as server:
        with pytest.raises(ServerError, match="redirected more than 5 times"):
            fetch(server)
        assert len(server.asked) == 6


ODD_URLS = [
    "http://[bad?X-Signature=signature",
    f"http://{'a' * 70}.example/f?X-Signature=signature",
    "file:///etc/passwd?X-Signature=signature",
    "http:///nohost?X-Signature=signature",
    "//nohost?X-Signature=signature",
    "http://user:signature@[bad/x",
    "http://127.0.0.1:99999/\x1b]0;x?X-Signature=signature",
    "",
]


@pytest.mark.parametrize("url", ODD_URLS)
def test_a_url_that_is_not_one(url: str) -> None:
    """What is not a URL is an error of the server, which shows no secrets."""
    client = Client(Settings("http://127.0.0.1:9", "", "key"), sleep=lambda _: None)
    with client, pytest.raises(ServerError, match="this is not a valid URL") as caught:
        list(client.download(lambda: url, "the file"))
    assert "signature" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("url", ODD_URLS[:3])
def test_a_redirect_to_what_is_not_a_url(url: str) -> None:
    """A redirect to what is not a URL is the same error."""
    with (
        RawServer(lambda _: reply(302, b"", {"location": url})) as server,
        pytest.raises(ServerError, match="this is not a valid URL") as caught,
    ):
        fetch(server)
    assert "signature" not in str(caught.value)


def test_names_of_files_are_printable() -> None:
    """A file that the server gave an odd name cannot colour the terminal."""
    with (
        RawServer(lambda _: reply(404)) as server,
        Client(Settings(server.url, "", "key")) as client,
        pytest.raises(NotFoundError, match="status 404") as caught,
    ):
        list(client.download(lambda: server.url + "/\x1b[31m", "the file a\x1b[31m.png"))
    assert str(caught.value).isprintable()


def test_a_file_in_many_chunks() -> None:
    """Bytes are handed on as they come, and none twice, however small the chunks are."""
    pieces = [BODY[at : at + 7001] for at in range(0, len(BODY), 7001)]

    def respond(asked: Asked) -> None:
        asked.socket.sendall(reply(200, b"", CHUNKED))
        for piece in pieces:
            asked.socket.sendall(chunks(piece, has_last=False))
        asked.socket.sendall(b"0\r\n\r\n")

    with RawServer(respond) as server:
        assert fetch(server) == BODY


SMALL = BODY[:300]


@settings(max_examples=150, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 330), min_size=1, max_size=4),
    ending=st.sampled_from([SIZE, CHUNKED]),
    takes_ranges=st.booleans(),
    is_compressed=st.booleans(),
)
@example(cuts=[1], ending=SIZE, takes_ranges=False, is_compressed=True)
def test_a_body_cut_anywhere(
    cuts: list[int], ending: dict[str, str], takes_ranges: bool, is_compressed: bool
) -> None:
    """Wherever the connection breaks, and however often, the file comes whole or not at all."""
    whole = gzip.compress(SMALL[:100]) + gzip.compress(SMALL[100:]) if is_compressed else SMALL
    coding = {"content-encoding": "gzip"} if is_compressed else {}

    def respond(asked: Asked) -> bytes:
        start = asked.start if takes_ranges else 0
        if start >= len(whole):
            return reply(416, b"", {"content-range": f"bytes */{len(whole)}"} | ETAG)
        rest = whole[start:]
        headers = coding | ending | ETAG
        if ending is SIZE:
            headers["content-length"] = str(len(rest))
        if start:
            headers["content-range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        said = chunks(rest) if ending is CHUNKED else rest
        cut = cuts[asked.number - 1] if asked.number <= len(cuts) else None
        return reply(206 if start else 200, said[:cut], headers)

    with RawServer(respond) as server:
        try:
            assert fetch(server, retries=2) == SMALL
        except (IncompleteError, UnavailableError):
            assert len(server.asked) > 2


def test_headers_that_contradict_each_other() -> None:
    """Two different lengths are an error, and nothing is tried again."""

    def respond(_: Asked) -> bytes:
        return reply(200, BODY, {"content-length": "5, 6", "connection": "close"})

    with RawServer(respond) as server:
        with pytest.raises((ServerError, UnavailableError)):
            fetch(server)
        assert len(server.asked) == 1
