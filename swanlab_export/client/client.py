"""One session with one server: log in, send, decode, raise."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import weakref
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import orjson
import requests

from swanlab_export.client import concurrency, retry
from swanlab_export.client.calls import check_call
from swanlab_export.client.capabilities import Capabilities
from swanlab_export.client.deadline import Watchdog
from swanlab_export.client.download import REDIRECTS_MAX, Download
from swanlab_export.client.redact import Redactor, bare_url
from swanlab_export.client.request import Request
from swanlab_export.client.response import (
    Response,
    TooLargeError,
    is_refusal,
    media_type,
    quote_words,
    read_created,
    read_payload,
    read_response,
    redirect_target,
    redirected,
    response_error,
    uncertain,
    wrapped_refusal,
)
from swanlab_export.client.session import (
    Session,
    describe_failure,
    is_same_server,
    may_lack_tls,
)
from swanlab_export.decoding import decode
from swanlab_export.errors import (
    AuthenticationError,
    ClosedError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
    UsageError,
)
from swanlab_export.limits import JOBS, MAX_RESPONSE_MB, RETRIES, TIMEOUT_S
from swanlab_export.messages import Secret, argument, printable, quote, shell_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from swanlab_export.client.deadline import Deadline
    from swanlab_export.settings import Settings

CONNECT_TIMEOUT_S = 10.0
# How many timeouts a response of the API may take as a whole, and the headers or one read of a
# storage, even if a few bytes of it come all the time.
_RESPONSE_TIMEOUTS = 10
_READ_TIMEOUTS = 3
# A shorter wait is not worth a message.
_QUIET_WAIT_S = 2.0
# How often a longer wait looks whether the call has ended.
_GLANCE_S = 0.2
# A new session can end, too, before the request that needs it arrives.
_SESSIONS_MAX = 3
# How a server refuses fields that it does not know.
_BAD_FIELDS = {400, 422}
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_log = logging.getLogger("swanlab_export.client")
_clients: weakref.WeakSet[Client] = weakref.WeakSet()


@dataclass(frozen=True)
class Login:
    """The user that a key belongs to."""

    username: str
    name: str | None


class Client:
    """Sends requests to one server; safe to use from several threads, and after a fork.

    Args:
        settings: The server and the key.
        jobs: How many requests may be in flight at once, each from its sending until its response
            or file has been read to the end. A download that the caller does not read for half a
            second lends its permit to a request that waits for one.
        timeout_s: How long to wait for the server's next bytes, in seconds. Besides, a response of
            the API may take ten times as long as a whole, and a download must bring at least
            1 KiB/s on average in each such time of waiting, or counts as broken.
        retries: How often a request is repeated before the server counts as unavailable.
        sleep: Waits so many seconds; tests pass one that does not. By default it ends with the
            client, so that nothing goes on behind a closed one.
        max_response_bytes: How large a response of the API may be, decompressed.
        on_wait: Called with a text such as "retrying in 4 s (2/5): 503" before a wait of more than
            two seconds, from any thread.

    Attributes:
        server_date_ms: The time of the server's last response, as its Date header says, in Unix
            milliseconds; None before the first one. The clock of this machine may be wrong.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: int = JOBS,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        sleep: Callable[[float], object] | None = None,
        max_response_bytes: int = MAX_RESPONSE_MB * 1024**2,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.settings = settings
        self.jobs = jobs
        self.retries = retries
        self.timeout_s = timeout_s
        self.server_date_ms: int | None = None
        self.max_response_bytes = max_response_bytes
        self._given_sleep = sleep
        self._on_wait = on_wait
        self._login: Login | None = None
        self._sid = Secret("")
        self._redact = Redactor([settings.api_key])
        self._closed = threading.Event()
        self._connect()
        _clients.add(self)

    def _connect(self) -> None:
        """Set up connections and locks; again in a forked process, which can share neither."""
        is_closed = self._closed.is_set()
        self._closed = threading.Event()
        if is_closed:
            self._closed.set()
        self.capabilities = Capabilities()
        self._api, self._storage = Session(self.jobs), Session(self.jobs)
        self._pause = retry.Pause(self._wait)
        self._permits = concurrency.Permits(self.jobs)
        self._watchdog = Watchdog()
        self._login_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.settings.name!r}, jobs={self.jobs})"

    def close(self) -> None:
        """Close all idle connections; what other threads still wait for ends, and is not retried."""
        self._closed.set()
        self._api.close()
        self._storage.close()

    def login(self) -> Login:
        """Log in, once per client: ``POST /login/api_key``.

        Raises:
            AuthenticationError: The server refuses the key.
            UsageError: The host has a path, and no SwanLab is below it.
        """
        with self._login_lock:
            if self._login is None:
                self._log_in()
            assert self._login is not None
            return self._login

    def send(self, request: Request) -> Any:
        """Send a request and return its decoded payload, None if there is no content.

        Raises:
            AuthenticationError: The key or its rights do not suffice.
            NotFoundError: What the path names does not exist.
            NotOfferedError: The server lacks the endpoint.
            UnavailableError: The server kept failing through all retries.
            UncertainError: What may not be repeated failed after it may have arrived, or the
                response was neither an object nor a clear refusal.
            ServerError: Any other refusal, a response that is not JSON, or one that is too large.
            ClosedError: The client is closed.
        """
        if request.older is None:
            return self._send(request)
        newer = f"{request}, as newer servers take it"
        if self.capabilities.lacks(newer):
            return self._send(request.older())
        try:
            payload = self._send(request)
        except ServerError as refused:
            if refused.status not in _BAD_FIELDS or self.capabilities.offers(newer):
                raise
            try:
                payload = self._send(request.older())
            except SwanlabExportError:
                raise refused from None
            self.capabilities.learn(newer, is_offered=False)
        else:
            self.capabilities.learn(newer, is_offered=True)
        return payload

    def _send(self, request: Request) -> Any:
        """Send a request in this very form; see ``send``."""
        self.login()
        self.capabilities.check(request)
        sid = self._sid
        response = self._exchange(request, _cookie(sid))
        for _ in range(_SESSIONS_MAX):
            if response.status != 401:
                break
            with self._login_lock:
                # Of eight workers whose session ended, the first logs in for all.
                if self._sid == sid:
                    self._log_in()
                sid = self._sid
            response = self._exchange(request, _cookie(sid))
        self._learn(request, response.status, sid)
        read = read_payload if request.repeatable else read_created
        return read(request, response, self._redact | request.secrets)

    def _learn(self, request: Request, status: int, sid: Secret) -> None:
        """Learn whether the server has the endpoint of a request.

        What a request names may be missing, too: without that, an endpoint that is there refuses
        the request in another way.

        Raises:
            NotOfferedError: It lacks the endpoint.
        """
        names_something = request.repeatable and (request.body or request.params)
        if status == 404 and names_something and self.capabilities.is_unknown(request):
            body: Any = None if request.body is None else {}
            empty = Request(request.method, request.path, body=body, since=request.since)
            probed = self._exchange(empty, _cookie(sid)).status
            self.capabilities.learn(str(request), is_offered=probed != 404)
        self.capabilities.judge(request, status)

    @property
    def paused_s(self) -> float:
        """How long the server wants no request from now on, in seconds."""
        return self._pause.left_s

    def wait(self, seconds: float, why: str) -> None:
        """Wait before something is requested again that was not complete yet.

        Raises:
            ClosedError: The client was closed meanwhile.
        """
        self.announce_wait(f"asking again in {seconds:.0f} s: {why}", seconds)
        self._wait(seconds)

    def announce_wait(self, said: str, seconds: float) -> None:
        """Log what is waited for, and for how long, and have it shown if that is long."""
        _log.warning("%s", said)
        if self._on_wait is not None and seconds > _QUIET_WAIT_S:
            self._on_wait(said)

    def download(
        self, find_url: Callable[[], str], what: str, *, needs_length: bool = True
    ) -> Download:
        """Download a presigned file, with neither cookie nor key.

        Args:
            find_url: Presigns it, again for each attempt. A path is one of the API host.
            what: What it is, for messages.
            needs_length: Refuse a body with neither a length nor chunks. Who can tell a whole file
                from a cut one by its content does that instead.
        """
        return Download(self, find_url, what, needs_length=needs_length)

    def map(
        self,
        work: Callable[[_Item], _Result],
        items: Iterable[_Item],
        *,
        ahead_bytes: int = concurrency.AHEAD_BYTES,
    ) -> Iterator[_Result]:
        """Do ``work`` on ``items`` concurrently; results come in order, the first error ends it.

        Fewer are fetched ahead where their responses would have more than ``ahead_bytes`` together.
        """
        return concurrency.map_concurrently(work, items, self.jobs, ahead_bytes)

    def submit(self, work: Callable[[], _Result]) -> Callable[..., _Result]:
        """Start ``work`` in the background; see ``concurrency.submit``."""
        return concurrency.submit(work)

    @contextmanager
    def permit(self) -> Iterator[concurrency.Permit]:
        """Hold one of the permits for requests in flight.

        Raises:
            ClosedError: The client is closed.
        """
        with self._permits.hold() as permit:
            self.check_open()
            yield permit

    def reserve(self, count: int) -> ExitStack:
        """Hold permits for requests that another process sends; closing it gives them back.

        Raises:
            ClosedError: The client is closed.
        """
        with ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(self.permit())
            return stack.pop_all()

    def open_file(self, url: str, headers: dict[str, str]) -> tuple[requests.Response, Any]:
        """Request a file of a storage; the caller holds a permit and reads the file.

        Returns:
            The response, of which only the headers were read, and its socket.
        """
        self._pause.wait()
        if url.startswith("/") and not url.startswith("//"):
            url = self.settings.host + url
        # The limit may pass just as the headers have come.
        with ExitStack() as unless_returned:
            with (
                self._limit(_READ_TIMEOUTS) as deadline,
                _logged("GET", bare_url(url), self.capabilities) as record,
            ):
                response = self._storage.open("GET", url, self._timeouts_s, headers=headers)
                unless_returned.callback(response.close)
                record.append(response.status_code)
            self._slow_down(response.status_code, response.headers)
            unless_returned.pop_all()
        return response, deadline.sock

    def limit_read(self, sock: Any) -> AbstractContextManager[Deadline]:
        """Limit one read of a storage, whatever comes."""
        return self._watchdog.limit(_READ_TIMEOUTS * self.timeout_s, sock)

    def back_off(self, attempts: retry.Attempts, why: str, response: Response | None) -> None:
        """Wait before the next attempt, as the server asks or else ever longer.

        Raises:
            UnavailableError: The server asks for a longer wait than is reasonable.
            ClosedError: The client was closed meanwhile.
        """
        status, asked_s = None, None
        if response is not None:
            status, asked_s = response.status, _asked_s(response.headers)
            if asked_s is not None and asked_s > retry.RETRY_AFTER_MAX_S:
                parts = urlsplit(response.url)
                host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
                raise UnavailableError(
                    f"{host} asks to wait {retry.describe_wait(asked_s)} before the next request",
                    status=status,
                )
        wait_s = attempts.wait_s(status, asked_s)
        self.announce_wait(attempts.describe(status, wait_s, why), wait_s)
        if status == 429:
            self._pause.extend(wait_s)
        else:
            self._wait(wait_s)

    @property
    def _timeouts_s(self) -> tuple[float, float]:
        return min(CONNECT_TIMEOUT_S, self.timeout_s), self.timeout_s

    @contextmanager
    def _limit(self, timeouts: int) -> Iterator[Deadline]:
        """Limit what is done within, however steadily bytes come."""
        with self._watchdog.limit(timeouts * self.timeout_s) as deadline:
            try:
                yield deadline
            except requests.RequestException:
                if not deadline.has_passed:
                    raise
            if deadline.has_passed:
                raise requests.Timeout from None

    def _slow_down(self, status: int, headers: Any) -> None:
        """Begin the pause that a 429 asks for before another thread gets the permit."""
        asked_s = _asked_s(headers) or 0.0
        if status == 429 and asked_s <= retry.RETRY_AFTER_MAX_S:
            self._pause.extend(asked_s)

    def _wait(self, seconds: float) -> None:
        """Wait, unless the client is closed or the call ends meanwhile."""
        if self._given_sleep is not None:
            self._given_sleep(seconds)
        else:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0 and not self._closed.is_set():
                check_call()
                self._closed.wait(min(left, _GLANCE_S))
        self.check_open()

    def check_open(self) -> None:
        """Raise ClosedError if the client is closed, or the call has ended."""
        if self._closed.is_set():
            raise ClosedError(f"the connection to {self.settings.name} is closed")
        check_call()

    def _log_in(self) -> None:
        """Log in; the caller holds the lock."""
        request = Request("POST", "/login/api_key")
        response = self._exchange(request, {"authorization": Secret(self.settings.api_key)})
        host = self.settings.host
        if response.status == 401:
            source = self.settings.key_source
            remedy = f"the key is shown at {self.settings.key_page}"
            if self.settings.local:
                remedy = f"the sandbox needs no key: leave {argument('api_key')} out"
            elif source not in {
                argument("api_key"),
                "SWANLAB_API_KEY",
            }:  # a login counts after these
                remedy += f", and {shell_command('login --relogin')} saves it"
            raise AuthenticationError(
                f"{host} refuses the API key{f' from {source}' if source else ''}: "
                f"{quote_words(response, self._redact)}; {remedy}",
                status=401,
            )
        try:
            payload = decode(response.body)
        except ValueError:
            payload = None
        if urlsplit(host).path and (response.status in {404, 405} or payload is None):
            raise UsageError(
                f"no SwanLab responds below {host} ({request}: {response.status}): "
                "SwanLab is expected at the root of a host"
            )
        if response.status >= 300:
            raise response_error(request, response, self._redact)
        if is_refusal(payload):
            raise wrapped_refusal(request, response, self._redact)
        self._sid = _read_sid(payload)
        if not self._sid:
            # The body is not quoted: it may hold a session all the same.
            kind = quote(media_type(response.headers) or "no content type")
            raise ServerError(f"{host} responded to the login without a session, with {kind}")
        self._redact |= [self._sid]
        said = payload.get("userInfo")
        user = said if isinstance(said, dict) else {}
        self._login = Login(str(user.get("username") or ""), user.get("name"))

    def _exchange(self, request: Request, headers: dict[str, str]) -> Response:
        """Get a response, repeating what failed if that is safe."""
        attempts = retry.Attempts(self.retries)
        while True:
            try:
                response = self._send_once(request, headers)
            except requests.RequestException as error:
                attempts.count(None)
                self._check_failure(request, error, is_last=attempts.are_spent)
                self.back_off(attempts, f"{request}: {describe_failure(error)}", None)
                continue
            if not retry.is_transient(response.status):
                return response
            if not request.repeatable and response.status != 429:
                return response
            attempts.count(response.status)
            if attempts.are_spent:
                raise response_error(request, response, self._redact | request.secrets)
            self.back_off(attempts, str(request), response)

    def _send_once(self, request: Request, headers: dict[str, str]) -> Response:
        url = f"{self.settings.host}/api{request.path}"
        sent = dict(headers)
        if request.body is not None:
            sent["content-type"] = "application/json"
        for _ in range(REDIRECTS_MAX + 1):
            response = self._request(request, url, sent)
            # What may not be repeated is not sent anywhere else, either.
            if not response.is_redirect or not request.repeatable:
                return response
            url = self._redirect(request, response)
        raise ServerError(f"{request} was redirected more than {REDIRECTS_MAX} times")

    def _request(self, request: Request, url: str, headers: dict[str, str]) -> Response:
        """Send one request as soon as there is a permit and no pause, and read its response."""
        with self.permit():
            # Within: a thread that waited for a permit must not miss a pause that began meanwhile.
            self._pause.wait()
            with (
                self._limit(_RESPONSE_TIMEOUTS),
                _logged(request.method, request.path, self.capabilities) as record,
            ):
                opened = self._api.open(
                    request.method,
                    url,
                    self._timeouts_s,
                    params=dict(request.params),
                    data=None if request.body is None else orjson.dumps(request.body),
                    headers=headers,
                )
                response = read_response(opened, self.max_response_bytes)
                record.extend((response.status, len(response.body)))
            concurrency.received(len(response.body))
            with suppress(TypeError, ValueError, OverflowError):
                date = parsedate_to_datetime(response.headers.get("date", ""))
                self.server_date_ms = int(date.timestamp() * 1000)
            self._slow_down(response.status, response.headers)
        return response

    def _redirect(self, request: Request, response: Response) -> str:
        """Follow a redirect on the same server only: cookie and key go nowhere else."""
        target = redirect_target(response.url, response.headers)
        if request.method != "GET" or not is_same_server(response.url, target):
            raise ServerError(redirected(request, target, self._redact | request.secrets))
        # The location repeats the query.
        return target.partition("?")[0]

    def _check_failure(
        self, request: Request, error: requests.RequestException, *, is_last: bool
    ) -> None:
        """Raise, unless the request may be sent again."""
        is_too_large = isinstance(error, TooLargeError)
        why = self._describe_limit() if is_too_large else describe_failure(error)
        facts: dict[str, Any] = {"method": request.method, "path": request.path}
        if not request.repeatable and not retry.never_arrived(error):
            raise uncertain(f"{request}: {why}", **facts) from None
        if is_too_large:
            raise ServerError(f"{request}: {why}", **facts) from None
        if is_last or not retry.is_transient_failure(error):
            why += self._suggest_http(error)
            host = self.settings.host
            raise UnavailableError(f"{request}: {host} cannot be reached: {why}", **facts) from None

    def _suggest_http(self, error: requests.RequestException) -> str:
        """Suggest plain http where the server may have no TLS, above all if nobody said https."""
        scheme, _, rest = self.settings.host.partition("://")
        if scheme == "http" or not may_lack_tls(error, is_guess=self.settings.assumes_https):
            return ""
        return f"; a server without TLS is named with {argument('host', f'http://{rest}')}"

    def _describe_limit(self) -> str:
        megabytes = self.max_response_bytes / 1024**2
        return (
            f"the response is larger than {megabytes:,.4g} MB, the limit that "
            f"{argument('max_response')} sets"
        )


def _cookie(sid: str) -> dict[str, str]:
    return {"cookie": Secret(f"sid={sid}")}


def _read_sid(payload: Any) -> Secret:
    """Read the session that a login opened; "" if there is none that a cookie can hold."""
    sid = payload.get("sid") if isinstance(payload, dict) else None
    return Secret(sid if isinstance(sid, str) and re.fullmatch(r"[!-:<-~]+", sid) else "")


def _asked_s(headers: Any) -> float | None:
    """Return how long a server asks to wait, in seconds."""
    return retry.retry_after_s(headers.get("retry-after"), time.time())


@contextmanager
def _logged(method: str, path: str, capabilities: Capabilities) -> Iterator[list[int]]:
    """Log a request with what is added to the record: its status and the size of its body."""
    record: list[int] = []
    began = time.monotonic()
    try:
        yield record
    finally:
        took_ms = (time.monotonic() - began) * 1000
        status, size = (*record, None, None)[:2]
        sized = "" if size is None else f", {size:,} bytes"
        _log.debug(
            "%s %s: %s in %.0f ms%s, generation %s",
            *(method, printable(path), status or "failed", took_ms, sized, capabilities.generation),
        )


def _connect_again() -> None:
    """Give every client of a forked process connections and locks of its own."""
    for client in list(_clients):
        client._connect()  # noqa: SLF001  a client has no reason to offer this to others


# Windows does not fork.
getattr(os, "register_at_fork", dict)(after_in_child=_connect_again)
