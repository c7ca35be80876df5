"""Connections that keep no cookies, know no passwords and follow no redirects by themselves."""

from __future__ import annotations

import os
import platform
import ssl
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from swanlab_export import __title__, __version__
from swanlab_export.client.framing import header_text, read_framing
from swanlab_export.client.patience import Patience, watch
from swanlab_export.errors import UsageError
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

_POOLS = 4
# The first two are those of requests and curl, the others those of OpenSSL and of Python itself.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Session(requests.Session):
    """A session of requests, without what that does unasked.

    It keeps no cookies. It sends no password of ``~/.netrc``, which requests would look up for
    every host, and for that of a redirect even against a session's own wish: so redirects are left
    to the caller.
    """

    def __init__(self, jobs: int, patience: Patience) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(jobs, patience))
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.auth = lambda prepared: prepared
        self.headers["user-agent"] = (
            f"{__title__}/{__version__} (python {platform.python_version()})"
        )
        self._ca: str | None = None
        self._knows_ca = False

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        """Lead nowhere: even where redirects are not followed, requests prepares the next one."""
        return None

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Add proxies and certificates of the environment."""
        if str(url).lower().startswith("https:"):
            verify = self._find_ca()
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request; every failure is an exception of requests."""
        try:
            return super().send(request, **options)
        except requests.RequestException:
            raise
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            # requests lets some through, such as that of a name that no DNS could hold.
            raise requests.exceptions.InvalidURL(type(error).__name__) from None

    def _find_ca(self) -> str | None:
        # Two threads may both look: they find the same.
        if not self._knows_ca:
            self._ca = find_ca(os.environ)
            self._knows_ca = True
        return self._ca


class _Adapter(HTTPAdapter):
    """Connections whose answers are watched, through a proxy, too."""

    def __init__(self, jobs: int, patience: Patience) -> None:
        self._patience = patience
        super().__init__(pool_connections=_POOLS, pool_maxsize=jobs)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        watch(self.poolmanager, self._patience)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            watch(manager, self._patience)
        return manager


def find_ca(environ: Mapping[str, str]) -> str | None:
    """Find the file or folder of certificates that the environment names; None for certifi's.

    The first variable that is set counts. ``SSL_CERT_DIR`` may name several folders: the first one
    that is there is taken.

    Raises:
        UsageError: It names no certificates; the message says which variable does.
    """
    for name in _CA_VARIABLES:
        value = environ.get(name)
        if not value:
            continue
        places = value.split(os.pathsep) if name == "SSL_CERT_DIR" else [value]
        for place in filter(None, places):
            if Path(place).is_dir() or _holds_certificates(place):
                return place
        raise UsageError(f"{name} names {escape(value)}, where no certificates can be read")
    return None


def _holds_certificates(file: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError:
        return False
    return True


def redirect_target(answer: requests.Response) -> str:
    """Where a redirect leads, as a whole URL; one that cannot be read comes back as it is."""
    location = header_text(answer, "location")
    try:
        return urljoin(answer.url, location)
    except ValueError:
        return location


def is_same_server(url: str, other: str) -> bool:
    """Say whether two URLs share scheme, name and port."""
    try:
        here, there = urlsplit(url), urlsplit(other)
    except ValueError:
        return False
    return (here.scheme, here.netloc) == (there.scheme, there.netloc)


def check_length(answer: requests.Response) -> None:
    """Insist that all bytes of an answer came: half of some JSON is JSON, too.

    Raises:
        requests.exceptions.ChunkedEncodingError: Fewer came than were announced.
    """
    size_bytes = read_framing(answer).size_bytes
    has_body = answer.status_code not in {204, 304}
    if has_body and size_bytes is not None and answer.raw.tell() != size_bytes:
        came = f"{answer.raw.tell()} of {size_bytes} bytes"
        raise requests.exceptions.ChunkedEncodingError(came)
