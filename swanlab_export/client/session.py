"""Connections that keep no cookies, know no passwords and follow no redirects by themselves."""

from __future__ import annotations

import os
import platform
import re
import ssl
import traceback
from http.cookiejar import DefaultCookiePolicy
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from swanlab_export._version import __title__, __version__
from swanlab_export.client.deadline import attach_deadlines
from swanlab_export.client.redact import bare_url
from swanlab_export.errors import UsageError
from swanlab_export.messages import quote
from swanlab_export.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

_POOLS = 4
_PROVISIONAL = "no final status"
# The first two are those of requests and curl, the others those of OpenSSL and of Python itself.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Session(requests.Session):
    """A session of requests, without what requests does unasked.

    It keeps no cookies. It sends no password of ``~/.netrc``, which requests would look up for
    every host, and for the host of a redirect even against a session's own setting: so redirects
    are left to the caller.
    """

    def __init__(self, jobs: int) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(pool_connections=_POOLS, pool_maxsize=jobs))
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.auth = lambda prepared: prepared
        # Otherwise requests reads the whole environment anew for each request.
        self.trust_env = False
        self._proxies: dict[tuple[str, str], dict[str, str]] = {}
        self.headers["user-agent"] = (
            f"{__title__}/{__version__} (python {platform.python_version()})"
        )
        self.headers["accept-encoding"] = "gzip, deflate"
        self._ca: str | None = None
        self._knows_ca = False

    def open(
        self, method: str, url: str, timeouts_s: tuple[float, float], **options: Any
    ) -> requests.Response:
        """Send a request and return its response, of which only the headers have been read.

        Raises:
            requests.RequestException: There is none, or none with a final status.
        """
        response = self.request(
            method, url, timeout=timeouts_s, allow_redirects=False, stream=True, **options
        )
        if response.status_code < 200:
            # http.client takes 103 for the response. The real one follows on the same connection,
            # where it would be taken for the response to the next request.
            response.close()
            raise requests.ConnectionError(_PROVISIONAL)
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Return None: even if redirects are not followed, requests prepares the next one."""
        return None

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Add proxies and certificates of the environment; this machine needs no proxy."""
        if str(url).lower().startswith("https:"):
            verify = self._find_ca()
        proxies = self._find_proxies(str(url))
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request; every failure is an exception of requests."""
        try:
            return super().send(request, **options)
        except requests.RequestException:
            raise
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            # requests lets some through, such as that of a name that no DNS could hold.
            raise exceptions.InvalidURL(type(error).__name__) from None

    def _find_proxies(self, url: str) -> dict[str, str]:
        parts = urlsplit(url)
        server = (parts.scheme, parts.netloc)
        # Two threads may both look: they find the same.
        if server not in self._proxies:
            is_here = is_loopback(parts.hostname or "")
            self._proxies[server] = {} if is_here else _usable_proxies(url)
        return self._proxies[server]

    def _find_ca(self) -> str | None:
        if not self._knows_ca:
            self._ca = find_ca(os.environ)
            self._knows_ca = True
        return self._ca


class _Adapter(HTTPAdapter):
    """Connections, directly or through a proxy, that deadlines can end."""

    _is_closed = False

    def close(self) -> None:
        """Close idle connections now, and each other one as soon as its response has been read.

        urllib3 would only forget them, and they would stay open as long as anything knows them.
        """
        self._is_closed = True
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  they cannot be iterated over
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        if self._is_closed:
            raise requests.ConnectionError("closed")
        pool = super().get_connection_with_tls_context(*args, **options)
        attach_deadlines(pool)
        return pool


def _usable_proxies(url: str) -> dict[str, str]:
    """Return the proxies that the environment names, which this installation must be able to use.

    Raises:
        UsageError: The one for ``url`` is a SOCKS proxy, and what speaks SOCKS is not installed.
    """
    # Desktops write ``socks://``, which urllib3 does not know, and let the proxy look up names.
    proxies = get_environ_proxies(url)
    usable = {name: re.sub("^socks://", "socks5h://", proxy) for name, proxy in proxies.items()}
    chosen = select_proxy(url, usable) or ""
    if chosen.lower().startswith("socks") and util.find_spec("socks") is None:
        scheme = urlsplit(url).scheme
        names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
        name = next((name for name in names if os.environ.get(name)), "the system")
        raise UsageError(
            f"{name} names the SOCKS proxy {bare_url(chosen)}, which needs another library: "
            "pip install pysocks"
        )
    return usable


def find_ca(environ: Mapping[str, str]) -> str | None:
    """Find the file or folder of certificates that the environment names; None for certifi's.

    The first variable that is set counts. ``SSL_CERT_DIR`` may name several folders: the first one
    that exists is taken.

    Raises:
        UsageError: It names no certificates; the message says which variable does.
    """
    for name in _CA_VARIABLES:
        value = environ.get(name)
        if not value:
            continue
        paths = value.split(os.pathsep) if name == "SSL_CERT_DIR" else [value]
        for path in filter(None, paths):
            if Path(path).is_dir() or _holds_certificates(path):
                return path
        raise UsageError(f"{name} names {quote(value)}, where no certificates can be read")
    return None


def _holds_certificates(file: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError:
        return False
    return True


def is_same_server(url: str, other: str) -> bool:
    """Say whether two URLs share scheme, name and port."""
    try:
        here, there = urlsplit(url), urlsplit(other)
    except ValueError:
        return False
    return (here.scheme, here.netloc) == (there.scheme, there.netloc)


def is_bad_certificate(error: Exception) -> bool:
    """Say whether the server's certificate was refused, which a repetition would not change."""
    text = repr(error)
    return "CERTIFICATE_VERIFY_FAILED" in text or "CertificateError" in text


def may_lack_tls(error: Exception, *, is_guess: bool) -> bool:
    """Say whether a request by https may have failed because the server has no TLS.

    Args:
        error: How it failed.
        is_guess: That it is asked by https was not said by the user. Then the cause may be whatever
            a server without TLS, or none on the port of https, lets happen.
    """
    if _is_no_tls(error):
        return True
    is_else = is_bad_certificate(error) or _is_unknown_name(repr(error)) or _is_of_proxy(error)
    return is_guess and not is_else


def _is_no_tls(error: Exception) -> bool:
    # What OpenSSL says of a response without TLS, in different versions.
    said = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
    text = repr(error)
    # Since 3.2 it says RECORD_LAYER_FAILURE, and of a damaged record, too.
    return any(words in text for words in said) or (
        "RECORD_LAYER_FAILURE" in text and _is_of_handshake(error)
    )


def _is_of_handshake(error: BaseException | None) -> bool:
    """Say whether TLS had not yet begun: no library says so otherwise."""
    while error is not None:
        frames = traceback.walk_tb(error.__traceback__)
        if any(frame.f_code.co_name == "do_handshake" for frame, _ in frames):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_unknown_name(text: str) -> bool:
    return "NameResolutionError" in text or "getaddrinfo" in text


def _is_of_proxy(error: Exception) -> bool:
    text = repr(error)
    is_of_socks = "SOCKS" in text and "NewConnectionError" in text
    return is_of_socks or isinstance(error, exceptions.ProxyError | exceptions.InvalidProxyURL)


def describe_failure(error: Exception) -> str:
    """Say in plain words why a connection failed.

    The exceptions of requests and urllib3 quote URLs, and a presigned URL holds a signature: so
    they are neither shown nor chained.
    """
    text = repr(error)
    private = "a private CA goes into REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    is_timeout = isinstance(error, exceptions.Timeout) or "timed out" in text
    is_no_url = isinstance(
        error, exceptions.InvalidURL | exceptions.InvalidSchema | exceptions.MissingSchema
    )
    kinds = (
        (is_bad_certificate(error), f"its TLS certificate was not accepted ({private})"),
        (
            _is_of_proxy(error),
            "the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names did not work",
        ),
        (_is_no_tls(error), "it responded without TLS"),
        ("SSLError" in text, "TLS failed"),
        (_is_unknown_name(text), "its name is not known to DNS"),
        (is_timeout, "it did not respond in time"),
        ("refused" in text, "it refused the connection"),
        (is_no_url, "this is not a valid URL"),
        (_PROVISIONAL in text, "it sent a status below 200 before the response"),
    )
    return next((words for is_it, words in kinds if is_it), "the connection broke")
