"""One session with one server: login, retry, decode, raise."""

from __future__ import annotations

import platform
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from swanlab_export import __title__, __version__
from swanlab_export.client import retry
from swanlab_export.client.download import Download
from swanlab_export.client.failures import bare_url, describe_failure
from swanlab_export.client.request import Request, answer_error, read_answer
from swanlab_export.client.slots import Slots
from swanlab_export.errors import (
    AuthenticationError,
    ServerError,
    UnavailableError,
    UncertainError,
    argument,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from swanlab_export.settings import Settings

CONNECT_TIMEOUT_S = 10.0
_REDIRECTS_MAX = 5
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
        jobs: How many requests may be in flight at once.
        timeout_s: How long to wait for the server's next bytes, in seconds.
        retries: How often a request is repeated before the server counts as unavailable.
        sleep: Waits so many seconds; tests pass one that does not.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: int = 8,
        timeout_s: float = 30.0,
        retries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.jobs = jobs
        self.retries = retries
        self.timeouts_s = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self.storage = _session(jobs)
        self._api = _session(jobs)
        self._sleep = sleep
        self._pause = retry.Pause(sleep)
        self._slots = Slots(jobs)
        self._login_lock = threading.Lock()
        self._login: Login | None = None
        self._sid = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.settings.host!r}, jobs={self.jobs})"

    def close(self) -> None:
        """Close all idle connections."""
        self._api.close()
        self.storage.close()

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
            UncertainError: What may not be repeated failed after it may have arrived.
            ServerError: Any other refusal, or an answer that is not JSON.
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
        return read_answer(request, answer)

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
        """Take one of the places in flight, when no pause is on."""
        with self._slots:
            # Inside: who waited for a place must not miss a pause that began meanwhile.
            self._pause.wait()
            yield

    def back_off(self, attempts: retry.Attempts, answer: requests.Response | None = None) -> None:
        """Wait before the next attempt, as the server asks or else ever longer.

        Raises:
            UnavailableError: The server asks for a longer wait than anybody would sit through.
        """
        header = None if answer is None else answer.headers.get("retry-after")
        status = None if answer is None else answer.status_code
        asked_s = retry.retry_after_s(header, time.time())
        if asked_s is not None and asked_s > retry.RETRY_AFTER_MAX_S:
            message = f"{self.settings.host} asks to come back in {asked_s:.0f} s"
            raise UnavailableError(message)
        wait_s = attempts.wait_s(status, asked_s)
        if status == 429:
            self._pause.extend(wait_s)
        else:
            self._sleep(wait_s)

    def _log_in(self) -> None:
        """Log in; the caller holds the lock."""
        request = Request("POST", "/login/api_key")
        answer = self._exchange(request, {"authorization": self.settings.api_key})
        if answer.status_code in {401, 403}:
            message = f"{self.settings.host} refuses the API key; `swanlab login --relogin` takes a new one"
            raise AuthenticationError(message, status=answer.status_code)
        wire = read_answer(request, answer)
        user = wire.get("userInfo") if isinstance(wire, dict) else None
        if not isinstance(user, dict) or not isinstance(wire.get("sid"), str):
            raise ServerError(f"{self.settings.host} answered the login without a session")
        self._sid = wire["sid"]
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
                raise self._uncertain(request, f"the server answered {answer.status_code}")
            attempts.count(answer.status_code)
            if attempts.are_spent:
                raise answer_error(request, answer)
            self.back_off(attempts, answer)

    def _send_once(self, request: Request, headers: dict[str, str]) -> requests.Response:
        url = f"{self.settings.host}/api{request.path}"
        sent = dict(headers)
        if request.body is not None:
            sent["content-type"] = "application/json"
        for _ in range(_REDIRECTS_MAX + 1):
            with self.slot():
                answer = self._api.request(
                    request.method,
                    url,
                    params=dict(request.params) or None,
                    data=None if request.body is None else orjson.dumps(request.body),
                    headers=sent,
                    timeout=self.timeouts_s,
                    allow_redirects=False,
                )
            if not answer.is_redirect:
                return answer
            url = self._redirect(request, answer)
        raise ServerError(f"{request} was redirected more than {_REDIRECTS_MAX} times")

    def _redirect(self, request: Request, answer: requests.Response) -> str:
        """Follow a redirect on the same server only: cookie and key go nowhere else."""
        target = urljoin(answer.url, answer.headers["location"])
        here, there = urlsplit(answer.url), urlsplit(target)
        if request.method != "GET" or (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise ServerError(
                f"{request} was redirected to {bare_url(target)}, which was not followed; "
                f"if that is your server, name it with {argument('host')}"
            )
        # The location repeats the query.
        return target.partition("?")[0]

    def _check_failure(
        self, request: Request, error: requests.RequestException, *, is_last: bool
    ) -> None:
        """Raise, unless the request may be sent again."""
        why = describe_failure(error)
        if not request.repeatable and not retry.never_arrived(error):
            raise self._uncertain(request, why) from None
        if is_last or not retry.is_passing(error):
            raise UnavailableError(
                f"{request}: {self.settings.host} cannot be reached: {why}",
                method=request.method,
                path=request.path,
            ) from None

    @staticmethod
    def _uncertain(request: Request, why: str) -> UncertainError:
        return UncertainError(
            f"{request}: {why}, so it may or may not have been created; look before you repeat it",
            method=request.method,
            path=request.path,
        )


def _session(jobs: int) -> requests.Session:
    """Open a session that keeps no cookies and knows no passwords."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=jobs))
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Without this, requests would look into ~/.netrc for every host.
    session.auth = lambda prepared: prepared
    session.headers["user-agent"] = (
        f"{__title__}/{__version__} (python {platform.python_version()})"
    )
    return session
