"""One session with one server: login, retry, decode, raise."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import orjson
import requests

from swanlab_export import __title__
from swanlab_export.client import retry
from swanlab_export.client.download import LEAST_BYTES_PER_S, REDIRECTS_MAX, Download
from swanlab_export.client.failures import describe_failure
from swanlab_export.client.masking import Mask
from swanlab_export.client.patience import Patience
from swanlab_export.client.request import (
    Request,
    answer_error,
    decode,
    read_answer,
    read_created,
    redirected,
    uncertain,
)
from swanlab_export.client.session import (
    Session,
    check_length,
    is_same_server,
    redirect_target,
)
from swanlab_export.client.slots import Slots
from swanlab_export.errors import AuthenticationError, ServerError, UnavailableError, UsageError
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swanlab_export.settings import Settings

CONNECT_TIMEOUT_S = 10.0
# How many timeouts an answer of the API may take as a whole, however steadily its bytes drip.
ANSWER_TIMEOUTS = 10
# A new session can die, too, before the request that needs it arrives.
_SESSIONS_MAX = 3
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Login:
    """Who the server says we are."""

    username: str
    name: str | None


class Client:
    """Sends requests to one server; safe to use from several threads.

    Args:
        settings: The server and the key.
        jobs: How many requests may be active at once: sent, waited for or being read. A download
            whose bytes the caller is busy with is not active: it gives its place to others, and
            waits for one before it reads on.
        timeout_s: How long to wait for the server's next bytes, in seconds. Besides, an answer of
            the API may take ten times as long as a whole, and a download must bring at least
            1 KiB/s on average over each such time of waiting, or counts as broken.
        retries: How often a request is repeated before the server counts as unavailable.
        sleep: Waits so many seconds; tests pass one that does not. By default it ends with the
            client, so that nothing goes on behind a closed one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: int = 8,
        timeout_s: float = 30.0,
        retries: int = 5,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.settings = settings
        self.jobs = jobs
        self.retries = retries
        self.timeouts_s = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        least_bytes = int(LEAST_BYTES_PER_S * timeout_s)
        self._storage = Session(jobs, Patience(window_s=timeout_s, least_bytes=least_bytes))
        self._api = Session(jobs, Patience(total_s=ANSWER_TIMEOUTS * timeout_s))
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._pause = retry.Pause(self._wait)
        self._slots = Slots(jobs)
        self._login_lock = threading.Lock()
        self._login: Login | None = None
        self._sid = ""
        self._mask = Mask([settings.api_key])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.settings.host!r}, jobs={self.jobs})"

    def close(self) -> None:
        """Close all idle connections; what other threads still wait for ends, and is not retried."""
        self._closed.set()
        self._api.close()
        self._storage.close()

    def login(self) -> Login:
        """Log in, once per client: ``POST /login/api_key``.

        Raises:
            AuthenticationError: The server refuses the key.
        """
        with self._login_lock:
            if self._login is None:
                self._log_in()
            assert self._login is not None
            return self._login

    def send(self, request: Request) -> Any:
        """Send a request and decode its answer.

        Raises:
            AuthenticationError: The key or its rights do not suffice.
            NotFoundError: What the path names does not exist.
            UnavailableError: The server kept failing through all retries.
            UncertainError: What may not be repeated failed after it may have arrived, or was
                answered with neither an object nor a clear refusal.
            ServerError: Any other refusal, or an answer that is not JSON.
            UsageError: The client is closed.
        """
        self.login()
        sid = self._sid
        answer = self._exchange(request, {"cookie": f"sid={sid}"})
        for _ in range(_SESSIONS_MAX):
            if answer.status_code != 401:
                break
            with self._login_lock:
                # Of eight workers whose session died, the first logs in for all.
                if self._sid == sid:
                    self._log_in()
                sid = self._sid
            answer = self._exchange(request, {"cookie": f"sid={sid}"})
        read = read_answer if request.repeatable else read_created
        return read(request, answer, self._mask | request.secrets)

    def download(
        self, find_url: Callable[[], str], what: str, *, must_be_framed: bool = True
    ) -> Download:
        """Download a presigned file: no cookie, no key.

        Args:
            find_url: Presigns it, again for each attempt.
            what: What it is, for messages.
            must_be_framed: Refuse a body with neither a length nor chunks. Who can tell a whole
                file from a cut one by its content does that instead.
        """
        return Download(self, find_url, what, must_be_framed=must_be_framed)

    def map(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Do ``work`` on ``items`` side by side; results come in order, the first error ends it.

        Only a few items are taken ahead, so results of an endless list never pile up.
        """
        pending: deque[Future[_Result]] = deque()
        pool = ThreadPoolExecutor(self.jobs, thread_name_prefix=__title__)
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= 2 * self.jobs:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, work: Callable[[], _Result]) -> Callable[[], _Result]:
        """Do ``work`` in the background; call what is returned to have its result, or its error."""
        pool = ThreadPoolExecutor(1, thread_name_prefix=__title__)
        future = pool.submit(work)
        pool.shutdown(wait=False)
        return future.result

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Take one of the places in flight.

        Raises:
            UsageError: The client is closed.
        """
        with self._slots:
            self._check_open()
            yield

    def open_file(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Ask a storage for a file, of which nothing is read yet."""
        return self._ask(self._storage, "GET", url, headers=headers, stream=True)

    def _ask(self, session: Session, method: str, url: str, **options: Any) -> requests.Response:
        """Send one request as soon as there is a place and no pause is on."""
        with self.slot():
            # Inside: who waited for a place must not miss a pause that began meanwhile.
            self._pause.wait()
            answer = session.request(
                method, url, timeout=self.timeouts_s, allow_redirects=False, **options
            )
            asked_s = _asked_s(answer) or 0.0
            if answer.status_code == 429 and asked_s <= retry.RETRY_AFTER_MAX_S:
                # Inside, too: who gets this place next would begin before ``back_off`` is called.
                self._pause.extend(asked_s)
        return answer

    def back_off(self, attempts: retry.Attempts, answer: requests.Response | None = None) -> None:
        """Wait before the next attempt, as the server asks or else ever longer.

        Raises:
            UnavailableError: The server asks for a longer wait than anybody would sit through.
            UsageError: The client was closed meanwhile.
        """
        status, asked_s = None, None
        if answer is not None:
            status, asked_s = answer.status_code, _asked_s(answer)
            if asked_s is not None and asked_s > retry.RETRY_AFTER_MAX_S:
                parts = urlsplit(answer.url)
                host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
                raise UnavailableError(f"{host} asks to come back in {asked_s:.0f} s")
        wait_s = attempts.wait_s(status, asked_s)
        if status == 429:
            self._pause.extend(wait_s)
        else:
            self._wait(wait_s)

    def _wait(self, seconds: float) -> None:
        self._sleep(seconds)
        self._check_open()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise UsageError(f"the connection to {self.settings.host} is closed")

    def _log_in(self) -> None:
        """Log in; the caller holds the lock."""
        request = Request("POST", "/login/api_key")
        answer = self._exchange(request, {"authorization": self.settings.api_key})
        host = self.settings.host
        if answer.status_code in {401, 403}:
            message = f"{host} refuses the API key; `swanlab login --relogin` takes a new one"
            raise AuthenticationError(message, status=answer.status_code)
        if answer.status_code >= 300:
            raise answer_error(request, answer, self._mask)
        try:
            wire = decode(answer.content)
        except ValueError:
            wire = None
        user = wire.get("userInfo") if isinstance(wire, dict) else None
        self._sid = _read_sid(wire)
        if not isinstance(user, dict) or not self._sid:
            # What came instead is not quoted: it may hold a session all the same.
            kind = escape(answer.headers.get("content-type", "no content type"))
            raise ServerError(f"{host} answered the login without a session, with {kind}")
        self._mask |= [self._sid]
        self._login = Login(str(user.get("username") or ""), user.get("name"))

    def _exchange(self, request: Request, headers: dict[str, str]) -> requests.Response:
        """Get an answer, repeating what failed where that is safe."""
        attempts = retry.Attempts(self.retries)
        while True:
            try:
                answer = self._send_once(request, headers)
            except requests.RequestException as error:
                attempts.count(None)
                self._check_failure(request, error, is_last=attempts.are_spent)
                self.back_off(attempts)
                continue
            if answer.status_code not in retry.PASSING_STATUSES:
                return answer
            if not request.repeatable and answer.status_code != 429:
                return answer
            attempts.count(answer.status_code)
            if attempts.are_spent:
                raise answer_error(request, answer, self._mask | request.secrets)
            self.back_off(attempts, answer)

    def _send_once(self, request: Request, headers: dict[str, str]) -> requests.Response:
        url = f"{self.settings.host}/api{request.path}"
        sent = dict(headers)
        if request.body is not None:
            sent["content-type"] = "application/json"
        for _ in range(REDIRECTS_MAX + 1):
            answer = self._ask(
                self._api,
                request.method,
                url,
                params=dict(request.params) or None,
                data=None if request.body is None else orjson.dumps(request.body),
                headers=sent,
            )
            check_length(answer)
            # What may not be repeated is not sent anywhere else, either.
            if not answer.is_redirect or not request.repeatable:
                return answer
            url = self._redirect(request, answer)
        raise ServerError(f"{request} was redirected more than {REDIRECTS_MAX} times")

    def _redirect(self, request: Request, answer: requests.Response) -> str:
        """Follow a redirect on the same server only: cookie and key go nowhere else."""
        target = redirect_target(answer)
        if request.method != "GET" or not is_same_server(answer.url, target):
            raise ServerError(redirected(request, target, self._mask | request.secrets))
        # The location repeats the query.
        return target.partition("?")[0]

    def _check_failure(
        self, request: Request, error: requests.RequestException, *, is_last: bool
    ) -> None:
        """Raise, unless the request may be sent again."""
        why = describe_failure(error)
        facts: dict[str, Any] = {"method": request.method, "path": request.path}
        if not request.repeatable and not retry.never_arrived(error):
            raise uncertain(f"{request}: {why}", **facts) from None
        if is_last or not retry.is_passing(error):
            host = self.settings.host
            raise UnavailableError(f"{request}: {host} cannot be reached: {why}", **facts) from None


def _read_sid(wire: Any) -> str:
    """Read the session that a login opened; "" where there is none that a cookie can hold."""
    sid = wire.get("sid") if isinstance(wire, dict) else None
    return sid if isinstance(sid, str) and re.fullmatch(r"[!-:<-~]+", sid) else ""


def _asked_s(answer: requests.Response) -> float | None:
    """How long a server asks to wait, in seconds."""
    return retry.retry_after_s(answer.headers.get("retry-after"), time.time())
