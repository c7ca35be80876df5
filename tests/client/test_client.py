"""The session with a server: login, retries, refusals, and where key and cookie go."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses
from responses import matchers

from swanlab_export.client import Client, Request
from swanlab_export.client.retry import backoff_s, retry_after_s
from swanlab_export.client.session import describe_failure
from swanlab_export.errors import (
    AuthenticationError,
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
    UncertainError,
)
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.core

HOST = "https://swan.example"
KEY = "secret-key"
GET = Request("GET", "/thing")
CREATE = Request("POST", "/project", body={"name": "x"}, repeatable=False)


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    """The network: nothing else is reachable."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def waits() -> list[float]:
    """How long the client wanted to wait, one entry a wait."""
    return []


@pytest.fixture
def client(waits: list[float]) -> Iterator[Client]:
    """A client that records its waits instead of waiting; pauses really last, and are short."""

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(min(seconds, 0.01))

    with Client(Settings(HOST, HOST, KEY), retries=2, sleep=sleep) as opened:
        yield opened


def log_in(server: responses.RequestsMock, sid: str = "s1", **options: Any) -> None:
    """Have the server accept the key."""
    body = {"sid": sid, "userInfo": {"username": "ada", "name": "Ada"}} | options
    server.post(f"{HOST}/api/login/api_key", json=body)


def calls(server: responses.RequestsMock) -> list[Any]:
    """The requests that were sent."""
    return [call.request for call in server.calls]


def test_one_login_for_many_requests(server: responses.RequestsMock, client: Client) -> None:
    """The key is sent once, as authorization; then the session's cookie alone."""
    log_in(server)
    server.get(f"{HOST}/api/thing", json={"a": 1})
    assert [client.send(GET) for _ in range(3)] == [{"a": 1}] * 3
    first, *rest = calls(server)
    assert first.headers["authorization"] == KEY
    assert "cookie" not in first.headers
    for request in rest:
        assert request.headers["cookie"] == "sid=s1"
        assert "authorization" not in request.headers
    assert client.login().username == "ada"
    assert len(calls(server)) == 4


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"sid": None}, "without a session"),
        ({"sid": 5}, "without a session"),
    ],
)
def test_a_login_without_a_session(
    body: dict[str, Any], why: str, server: responses.RequestsMock, client: Client
) -> None:
    """A login without a session in its response is an error that says so."""
    log_in(server, **body)
    with pytest.raises(ServerError, match=why):
        client.send(GET)


@pytest.mark.parametrize("odd", [None, "ada", [], 12])
def test_a_login_that_does_not_say_whose_it_is(
    odd: Any, server: responses.RequestsMock, client: Client
) -> None:
    """Its session is all that other requests need."""
    log_in(server, userInfo=odd)
    server.get(f"{HOST}/api/thing", json={"a": 1})
    assert client.send(GET) == {"a": 1}
    assert (client.login().username, client.login().name) == ("", None)


def test_a_login_that_is_a_list(server: responses.RequestsMock, client: Client) -> None:
    """Anything but an object is no login either."""
    server.post(f"{HOST}/api/login/api_key", json=[])
    with pytest.raises(ServerError, match="without a session"):
        client.login()


def test_a_refused_key(server: responses.RequestsMock, client: Client) -> None:
    """A refused key is named as such, in the server's words, and is not shown."""
    words = {"code": "E_KEY", "message": f"no such key: {KEY}", "detail": {"hint": "renew it"}}
    server.post(f"{HOST}/api/login/api_key", status=401, json=words)
    said = r"refuses the API key: 'no such key: •••' \(code 'E_KEY', detail .*renew it"
    with pytest.raises(AuthenticationError, match=said) as caught:
        client.send(GET)
    assert KEY not in str(caught.value) + repr(caught.value) + repr(client)
    assert len(calls(server)) == 1


def test_a_login_that_is_refused_for_another_reason(
    server: responses.RequestsMock, client: Client
) -> None:
    """403 at login does not mean that the key is refused: the server's own words say why."""
    words = {"code": "E_VERIFY", "message": "You need to be verified first"}
    server.post(f"{HOST}/api/login/api_key", status=403, json=words)
    with pytest.raises(AuthenticationError, match="You need to be verified first") as caught:
        client.send(GET)
    assert "refuses the API key" not in caught.value.message
    assert (caught.value.status, caught.value.code) == (403, "E_VERIFY")


@pytest.mark.parametrize(("headers", "is_firewall"), [({}, True), ({"traceid": "t1"}, False)])
def test_a_firewall_is_named(
    headers: dict[str, str], server: responses.RequestsMock, client: Client, *, is_firewall: bool
) -> None:
    """418 without a trace id comes from a firewall in front of the server."""
    log_in(server)
    server.get(f"{HOST}/api/thing", status=418, headers=headers, body="blocked")
    with pytest.raises(ServerError, match="blocked") as caught:
        client.send(GET)
    assert ("firewall" in caught.value.message) is is_firewall


def test_a_session_that_ended_is_renewed(server: responses.RequestsMock, client: Client) -> None:
    """401 means a new session, up to three times; then the refusal is the error."""
    log_in(server)
    log_in(server, "s2")
    server.get(f"{HOST}/api/thing", status=401)
    server.get(f"{HOST}/api/thing", json=[1])
    assert client.send(GET) == [1]
    assert calls(server)[-1].headers["cookie"] == "sid=s2"
    server.get(f"{HOST}/api/other", status=401, json={"message": "no"})
    with pytest.raises(AuthenticationError, match="401"):
        client.send(Request("GET", "/other"))
    assert sum(request.url.endswith("/other") for request in calls(server)) == 4


def test_workers_whose_session_ended_share_a_new_one(
    server: responses.RequestsMock, client: Client
) -> None:
    """Of workers that are refused at the same time, the first logs in for all."""
    both = threading.Barrier(2, timeout=60)
    log_in(server)
    log_in(server, "s2")

    def respond(request: Any) -> tuple[int, dict[str, str], str]:
        if request.headers["cookie"] == "sid=s2":
            return 200, {}, "1"
        both.wait()
        return 401, {}, ""

    server.add_callback("GET", f"{HOST}/api/thing", respond)
    assert list(client.map(client.send, [GET, GET])) == [1, 1]
    assert sum(request.url.endswith("api_key") for request in calls(server)) == 2


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 507, 520, 599])
def test_transient_failures_are_repeated(
    status: int, server: responses.RequestsMock, client: Client, waits: list[float]
) -> None:
    """A transient failure is repeated with growing waits, until the retries are spent."""
    log_in(server)
    for _ in range(2):
        server.get(f"{HOST}/api/thing", status=status)
    server.get(f"{HOST}/api/thing", json=7)
    assert client.send(GET) == 7
    assert [0.25 <= waits[0] <= 0.5, 0.5 <= waits[1] <= 1.0] == [True, True]
    server.get(f"{HOST}/api/down", status=status, json={"code": "E1", "message": "broken\x1b"})
    with pytest.raises(
        UnavailableError, match=rf"failed with status {status}: 'broken\\x1b' \(code 'E1'\)"
    ) as caught:
        client.send(Request("GET", "/down"))
    assert sum(request.url.endswith("/down") for request in calls(server)) == 3
    assert caught.value.status == status


def test_a_failure_says_why_in_the_words_of_the_server(
    server: responses.RequestsMock, client: Client
) -> None:
    """The detail of a 500 may be the only thing that says what is wrong."""
    log_in(server)
    words = {
        "status": 500,
        "code": "STS_Error",
        "message": "failed",
        "detail": "Invalid storage type",
    }
    server.get(f"{HOST}/api/thing", status=500, json=words)
    said = r"'failed' \(code 'STS_Error', detail 'Invalid storage type'\)"
    with pytest.raises(UnavailableError, match=said) as caught:
        client.send(GET)
    assert caught.value.code == "STS_Error"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, AuthenticationError),
        (404, NotFoundError),
        (409, ServerError),
        (418, ServerError),
        (422, ServerError),
        (501, ServerError),
        (505, ServerError),
        (511, ServerError),
    ],
)
def test_refusals_are_not_repeated(
    status: int, kind: type[SwanlabExportError], server: responses.RequestsMock, client: Client
) -> None:
    """A refusal is not repeated, and the error quotes message, code and detail."""
    log_in(server)
    words = {"code": 7, "message": "not for you", "detail": "ask ada"}
    server.get(f"{HOST}/api/thing", status=status, json=words)
    with pytest.raises(kind, match="'not for you' \\(code '7', detail 'ask ada'\\)") as caught:
        client.send(GET)
    assert type(caught.value) is kind
    assert len(calls(server)) == 2


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        (b"<html><title>Gateway</title> hello</html>", "text/html; charset=x", "Gateway"),
        (b"", "application/json", "an empty body"),
        (b"not json", "", "not json"),
        (b"[1, 2", "application/json", r"\[1, 2"),
        (b"12345678901234567890123 trailing", "application/json", "12345"),
    ],
)
def test_what_is_not_json_is_shown(
    body: bytes, kind: str, shown: str, server: responses.RequestsMock, client: Client
) -> None:
    """A page of HTML or nothing with status 200 is an error that says what came back."""
    log_in(server)
    server.get(f"{HOST}/api/thing", body=body, content_type=kind or None)
    with pytest.raises(ServerError, match=shown):
        client.send(GET)


def test_numbers_beyond_64_bits_are_exact(server: responses.RequestsMock, client: Client) -> None:
    """An integer of any length arrives as it was sent."""
    log_in(server)
    server.get(f"{HOST}/api/thing", body=f'{{"n": {2**70}}}', content_type="application/json")
    assert client.send(GET) == {"n": 2**70}


def test_an_error_that_is_a_list_has_no_words(
    server: responses.RequestsMock, client: Client
) -> None:
    """An error body that is not an object is shown as it came."""
    log_in(server)
    server.get(f"{HOST}/api/thing", status=418, json=["teapot"])
    with pytest.raises(ServerError, match="teapot"):
        client.send(GET)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_create_is_sent_once(status: int, server: responses.RequestsMock, client: Client) -> None:
    """A failure after which a thing may exist is not repeated, and says so."""
    log_in(server)
    server.post(f"{HOST}/api/project", status=status)
    with pytest.raises(UncertainError, match="may or may not have been created"):
        client.send(CREATE)
    assert len(calls(server)) == 2


def test_a_create_that_broke_off_is_uncertain(
    server: responses.RequestsMock, client: Client
) -> None:
    """A connection that breaks after sending is uncertain; one never made is tried again."""
    log_in(server)
    server.post(f"{HOST}/api/project", body=requests.ConnectionError("Connection reset by peer"))
    with pytest.raises(UncertainError, match="may or may not"):
        client.send(CREATE)
    server.replace("POST", f"{HOST}/api/project", body=requests.ConnectTimeout())
    server.post(f"{HOST}/api/project", status=429)
    server.post(f"{HOST}/api/project", json={"cuid": "p"})
    before = len(calls(server))
    assert client.send(CREATE) == {"cuid": "p"}
    assert len(calls(server)) == before + 3


def test_a_create_that_was_told_to_wait(server: responses.RequestsMock, client: Client) -> None:
    """A 429 was surely not carried out, and may be repeated."""
    log_in(server)
    server.post(f"{HOST}/api/project", status=429, headers={"retry-after": "0"})
    server.post(f"{HOST}/api/project", json={"cuid": "p"})
    assert client.send(CREATE) == {"cuid": "p"}


def test_a_pause_is_kept_by_all(
    server: responses.RequestsMock, client: Client, waits: list[float]
) -> None:
    """After a 429 nothing is sent before its Retry-After is over."""
    log_in(server)
    server.get(f"{HOST}/api/thing", status=429, headers={"retry-after": "0.05"})
    server.get(f"{HOST}/api/thing", json=1)
    began = time.monotonic()
    assert client.send(GET) == 1
    assert time.monotonic() - began >= 0.05
    assert max(waits) <= 0.05


def test_repeated_429_waits_longer(
    server: responses.RequestsMock, client: Client, waits: list[float]
) -> None:
    """After the second 429 of one request the wait is longer than was asked for."""
    log_in(server)
    for _ in range(2):
        server.get(f"{HOST}/api/thing", status=429, headers={"retry-after": "0"})
    server.get(f"{HOST}/api/thing", json=1)
    client.send(GET)
    assert max(waits) > 0.2


def test_a_limit_that_never_ends(server: responses.RequestsMock, client: Client) -> None:
    """After three 429 for each retry the request fails."""
    log_in(server)
    server.get(f"{HOST}/api/thing", status=429, headers={"retry-after": "0"})
    quick = Client(client.settings, retries=1, sleep=lambda _: None)
    with quick, pytest.raises(UnavailableError, match="429"):
        quick.send(GET)
    assert sum(request.url.endswith("/thing") for request in calls(server)) == 4


def test_a_wait_that_is_too_long(server: responses.RequestsMock, client: Client) -> None:
    """A Retry-After of hours is an error at once, which says how long the wait would be."""
    log_in(server)
    server.get(f"{HOST}/api/thing", status=503, headers={"retry-after": "7200"})
    with pytest.raises(UnavailableError, match="asks to wait 7200 s"):
        client.send(GET)
    assert len(calls(server)) == 2


def test_retry_after_in_every_format() -> None:
    """Seconds, a date, or something else, which says nothing."""
    now = 1_700_000_000.0
    assert retry_after_s(None, now) is None
    assert retry_after_s("1.5", now) == 1.5
    assert retry_after_s("-3", now) == 0.0
    assert retry_after_s(formatdate(now + 60, usegmt=True), now) == 60.0
    assert retry_after_s(formatdate(now - 60, usegmt=True), now) == 0.0
    assert retry_after_s("soon", now) is None
    assert [backoff_s(i) for i in (0, 1, 2, 10)] == [0.5, 1.0, 2.0, 30.0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_on_the_server_are_followed(
    status: int, server: responses.RequestsMock, client: Client
) -> None:
    """A redirect on the same server keeps the session; a circle of them ends."""
    log_in(server)
    server.get(f"{HOST}/api/thing", status=status, headers={"location": "/api/there?a=1"})
    server.get(f"{HOST}/api/there", json=1, match=[matchers.header_matcher({"cookie": "sid=s1"})])
    assert client.send(GET) == 1
    server.get(f"{HOST}/api/circle", status=302, headers={"location": "/api/circle"})
    with pytest.raises(ServerError, match="redirected more than 5 times"):
        client.send(Request("GET", "/circle"))
    sent = [call for call in server.calls if str(call.request.url).endswith("/circle")]
    assert len(sent) == 1 + 5


@pytest.mark.parametrize(
    ("location", "request_"),
    [
        ("https://evil.example/api/thing?token=1", GET),
        ("http://swan.example/api/thing", GET),
        ("/api/elsewhere", CREATE),
    ],
)
def test_redirects_to_another_server_are_not_followed(
    location: str, request_: Request, server: responses.RequestsMock, client: Client
) -> None:
    """Key and cookie go to no other host, scheme or port; the message names the host."""
    log_in(server)
    server.add(
        request_.method, f"{HOST}/api{request_.path}", status=307, headers={"location": location}
    )
    with pytest.raises(ServerError, match="was not followed") as caught:
        client.send(request_)
    assert "token=1" not in str(caught.value)
    assert len(calls(server)) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), "REQUESTS_CA_BUNDLE"),
        (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), "SSL_CERT_FILE"),
        (requests.exceptions.SSLError("UNEXPECTED_EOF"), "TLS failed"),
        (requests.exceptions.ProxyError("x"), "HTTP_PROXY or ALL_PROXY names did not work"),
        (requests.ConnectionError("NameResolutionError"), "not known to DNS"),
        (requests.ReadTimeout("x"), "did not respond in time"),
        (requests.ConnectionError("Connection refused"), "refused the connection"),
        (requests.ConnectionError("?"), "the connection broke"),
    ],
)
def test_failures_in_plain_words(
    error: Exception, words: str, server: responses.RequestsMock, client: Client
) -> None:
    """Each kind of failure is described so that its cause is clear, without the URL's query."""
    assert words in describe_failure(error)
    log_in(server)
    server.get(f"{HOST}/api/thing", body=error)
    with pytest.raises(UnavailableError, match="cannot be reached: ") as caught:
        client.send(GET)
    assert words in str(caught.value)
    # Only a certificate is not tried again.
    assert len(calls(server)) == (2 if "CERTIFICATE" in str(error) else 4)


def test_errors_that_repeating_does_not_change(
    server: responses.RequestsMock, client: Client
) -> None:
    """A URL that requests itself refuses is not tried again."""
    log_in(server)
    server.get(f"{HOST}/api/thing", body=requests.exceptions.InvalidURL("no"))
    with pytest.raises(UnavailableError):
        client.send(GET)
    assert len(calls(server)) == 2


def test_concurrent_work_keeps_its_order_and_its_bound(client: Client) -> None:
    """Results come in order; of an endless list only a few are taken ahead; errors end it."""
    taken = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = client.map(lambda number: number * 2, numbers())
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert len(taken) <= 2 * client.jobs + 3
    results.close()  # type: ignore[attr-defined]

    def broken(number: int) -> int:
        return 1 // (number - 2)

    with pytest.raises(ZeroDivisionError):
        list(client.map(broken, range(10)))
    assert list(client.map(broken, [])) == []
    assert client.submit(lambda: 5)() == 5


def test_work_that_has_not_begun_when_nobody_wants_its_result() -> None:
    """Of results that are not taken any more, only those come that were already worked on."""
    begun: list[int] = []
    threads: set[threading.Thread] = set()
    has_begun, may_end = threading.Semaphore(0), threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        threads.add(threading.current_thread())
        if number > 1:
            has_begun.release()
            may_end.wait()

    with Client(Settings(HOST, HOST, KEY), jobs=2) as client:
        results = client.map(work, range(100))
        assert [next(results), next(results)] == [None, None]
        for _ in range(2):
            has_begun.acquire()
        results.close()  # type: ignore[attr-defined]
        may_end.set()
        for thread in threads:
            thread.join()
    assert sorted(begun) == [0, 1, 2, 3]


def test_a_request_shows_no_body() -> None:
    """The body may hold a password, and is in no repr."""
    request = Request("POST", "/users", body={"password": "hidden"})
    assert "hidden" not in repr(request) + str(request)
