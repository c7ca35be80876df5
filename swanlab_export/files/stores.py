"""Object stores: what ``s3://bucket/prefix/x.parquet`` names, and how an object is uploaded.

An object is uploaded when it is complete, so that nobody sees a part of it, and its size is asked
afterwards, since some stores say that they kept what they did not.
"""

from __future__ import annotations

import logging
import math
import os
import re
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from swanlab_export.errors import OutputError, UsageError
from swanlab_export.files.atomic import output_errors, temporary
from swanlab_export.messages import argument, closest, printable, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")
_log = logging.getLogger("swanlab_export.stores")
SCHEMES = ("s3", "gs", "az")
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL | re.IGNORECASE)
# A process list, a shell's history and a log of commands show what is on the command line.
_USER = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)
_SECRET = re.compile(r"key|secret|token|password|credential|sas", re.IGNORECASE)
_ENDPOINTS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL_S3",
    "AZURE_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
_SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_TOKEN",
    "AZURE_ENCRYPTION_KEY",
    "AZURE_FABRIC_SESSION_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
)
# The library ends the process for some names that it does not know, so that all known ones are here.
CLIENT_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "proxy_url",
    "read_timeout",
    "timeout",
    "user_agent",
)
STORE_OPTIONS = {
    "s3": (
        "checksum_algorithm",
        "disable_bulk_delete",
        "disable_tagging",
        "endpoint",
        "imdsv1_fallback",
        "metadata_endpoint",
        "region",
        "request_payer",
        "role_arn",
        "role_session_name",
        "server_side_encryption",
        "skip_signature",
        "sse_bucket_key_enabled",
        "sse_kms_key_id",
        "unsigned_payload",
        "virtual_hosted_style_request",
    ),
    "gs": ("base_url", "service_account", "skip_signature"),
    "az": (
        "account_name",
        "authority_host",
        "client_id",
        "disable_tagging",
        "endpoint",
        "msi_endpoint",
        "msi_resource_id",
        "object_id",
        "skip_signature",
        "tenant_id",
        "use_azure_cli",
        "use_emulator",
        "use_fabric_endpoint",
    ),
}
_PREFIXES = {"s3": "aws_", "gs": "google_", "az": "azure_"}
_FLAGS = {"allow_http", "allow_invalid_certificates"}
_URLS = {
    *("authority_host", "base_url", "endpoint", "metadata_endpoint", "msi_endpoint", "proxy_url"),
}
_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_KEY",
}
# Where the library asks the machine itself for a key, if there is none in the environment.
_MACHINE = re.compile(
    r"https?://[^/\s]+/(latest/(api|meta-data)|computeMetadata|metadata/identity)/"
)
_REFUSED = (
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
)
# How OSS and COS refuse a bucket that is in the path and not in the name of the host.
_WANT_HOST = ("PathStyleDomainForbidden", "SecondLevelDomainForbidden")
_NO_BUCKET = re.compile("<Code>(NoSuchBucket|ContainerNotFound)</Code>")
# How the library says that a request failed: the server, and why.
_FAILED = re.compile(
    r"Error performing \w+ (https?://[^/\s?]+)\S* in .*? - (?:Server returned non-2xx status code: )?(.*)",
    re.DOTALL,
)
# Stores take at most 10,000 parts of one object, and none but the last that is smaller than 5 MiB.
# Each part is held in memory: with 8 MiB, a large object took 12 MB more.
_PARTS_MAX = 9_000
_PART_BYTES = 5 * 1024**2
_PARTS_IN_FLIGHT = 2
_RETRIES = 4
_RETRY_S = 60
_SIGNALS_EVERY_S = 0.5
# A list of a thousand objects takes no longer, however many were removed between them.
LIST_S = 600


@dataclass(frozen=True)
class StoreObject:
    """One object of a store, existing or not.

    Args:
        url: The URL of its bucket or container, such as ``s3://bucket``.
        key: Its name there.
        options: Options of the store, such as ``endpoint`` and ``region``; never a secret.
    """

    url: str
    key: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.url}/{self.key}".rstrip("/")

    def check(self) -> None:
        """Ask the store whether the object exists, before work begins.

        Who may write need not be allowed to look: a refusal says nothing yet.

        Raises:
            OutputError: The store cannot be reached, or has no such bucket.
        """
        store = open_store(self.url, self.options)
        with store_errors("list", str(self)):
            try:
                # Not the object itself: the response would be the same where the bucket is missing.
                interruptible(
                    lambda: next(iter(store.list(self.key, chunk_size=1)), None), within_s=LIST_S
                )
            except _refusals() as error:
                if _words(error)[0] in _WANT_HOST:
                    raise

    @contextmanager
    def upload(self) -> Iterator[Path]:
        """Yield a temporary file; it is uploaded when the block ends well.

        Raises:
            OutputError: The store refuses it, cannot be reached, or did not keep it.
        """
        with (
            output_errors(Path(tempfile.gettempdir())),
            temporary(Path(tempfile.gettempdir()), "", 0o600) as part,
        ):
            yield part.path
            with part.path.open("rb") as file:
                put_file(open_store(self.url, self.options), self.key, file, str(self))

    def remove(self) -> None:
        """Remove the object if it exists, where the key may look for it.

        Raises:
            OutputError: The store cannot be reached, or did not remove it.
        """
        from obstore.exceptions import BaseError

        store = open_store(self.url, self.options)
        with store_errors("remove", str(self)), suppress(FileNotFoundError, *_refusals()):
            interruptible(lambda: store.head(self.key))
            # Some stores respond in a form that the library does not know; whether it worked shows.
            with suppress(BaseError, OSError):
                interruptible(lambda: store.delete(self.key))
            interruptible(lambda: store.head(self.key))
            raise OutputError(f"{quote(str(self))} could not be removed: it says what was left out")


def is_store_url(name: str) -> bool:
    """Say whether a name is the URL of something in an object store.

    >>> is_store_url("s3://bucket/x.parquet"), is_store_url("C:/x.parquet")
    (True, False)
    """
    return _URL.fullmatch(name) is not None


def parse_store_url(
    name: str, options: Mapping[str, str] | None = None, *, called: str, is_prefix: bool = False
) -> StoreObject:
    """Read the URL of an object, or of a prefix, which may be empty and end in ``/``.

    Raises:
        UsageError: It is none of an object store, has no bucket or object, or holds what belongs
            into the environment or into options; or there is no such option.
    """
    # Only for those who use an object store: it takes a while to import.
    from swanlab_export.client.redact import Redactor

    found = _URL.fullmatch(name)
    given = f"{argument(called)} {quote(Redactor()(name))}"
    scheme, rest = (found[1].lower(), found[2]) if found else ("", "")
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise UsageError(
            f"{given}: object stores are {known}; those that speak the protocol of S3 are s3://, "
            f"with {argument('store_options')} endpoint"
        )
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise UsageError(
            f"{argument(called)} has a user or a key before its bucket: keys are read from the "
            "environment, such as AWS_ACCESS_KEY_ID"
        )
    if "?" in rest or "#" in rest:
        raise UsageError(f"{given}: options are given with {argument('store_options')}")
    if not bucket:
        raise UsageError(f"{given} has no bucket: {scheme}://BUCKET/NAME")
    if is_prefix:
        key = key.rstrip("/")
    is_bucket = is_prefix and not key
    if not is_bucket and any(part in {"", ".", ".."} for part in key.split("/")):
        raise UsageError(f"{given} is no name of an object: {scheme}://BUCKET/NAME")
    if find_spec("obstore") is None:
        raise UsageError(f"{given} needs another library: pip install obstore")
    return StoreObject(f"{scheme}://{bucket}", key, _check_options(scheme, options or {}))


def parse_store_options(given: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` options of a store.

    Raises:
        UsageError: One is no pair, or is given twice.

    >>> parse_store_options(["endpoint=http://127.0.0.1:9000", "region=us-east-1"])
    {'endpoint': 'http://127.0.0.1:9000', 'region': 'us-east-1'}
    """
    options: dict[str, str] = {}
    for pair in given:
        name, separator, value = pair.partition("=")
        name = name.strip().lower()
        if not separator or not name:
            raise UsageError(f"{argument('store_options')} is NAME=VALUE")
        if name in options:
            raise UsageError(f"{argument('store_options')} {printable(name)} is given twice")
        options[name] = value
    return options


def _check_options(scheme: str, options: Mapping[str, str]) -> dict[str, str]:
    """The options of a store by the names that its library knows.

    Secrets are refused: a list of processes shows the command line, and options go to workers on
    other machines.
    """
    known = (*STORE_OPTIONS[scheme], *CLIENT_OPTIONS)
    checked = {}
    for name, value in options.items():
        short = name.strip().lower().removeprefix(_PREFIXES[scheme])
        said = f"{argument('store_options')}: {printable(name)}"
        if short not in known:
            if _SECRET.search(name):
                raise UsageError(
                    f"{said} is a secret, which would be seen: set it in the environment, such as "
                    "AWS_SECRET_ACCESS_KEY"
                )
            there = ", ".join(closest(short, known, 3))
            raise UsageError(f"{said}: {scheme}:// has no such option; closest: {there}")
        if short in _FLAGS and value not in {"true", "false"}:
            raise UsageError(f"{said} is true or false, not {quote(value)}")
        if short in checked:
            raise UsageError(f"{said} is given twice")
        if not value:
            raise UsageError(f"{said} has no value")
        if short in _URLS:
            _check_url(value, said)
        checked[short] = value
    ahead = os.environ.get("AWS_ENDPOINT_URL_S3")
    if scheme == "s3" and ahead and checked.get("endpoint", ahead) != ahead:
        raise UsageError(
            f"{argument('store_options')} endpoint and AWS_ENDPOINT_URL_S3 name two servers, and the "
            "library takes the latter: unset it"
        )
    return checked


def _check_url(value: str, said: str) -> None:
    """Refuse what is no URL, at which the library panics, and one with a password."""
    if _USER.match(value):
        raise UsageError(f"{said} has a user or a password before its host, which would be seen")
    try:
        parts = urlsplit(value)
        is_url = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)
        is_url = is_url and (parts.port or 1) > 0 and not re.search(r"[\s\0]", value)
    except ValueError:
        is_url = False
    if not is_url:
        raise UsageError(f"{said} is a URL such as http://127.0.0.1:9000, not {quote(value)}")


def open_store(url: str, options: Mapping[str, str]) -> Any:
    """Open a store by the URL of its bucket; keys come from the environment.

    Raises:
        UsageError: The value of an option cannot be right.
    """
    # Only for those who use an object store: it takes a while to import.
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    of_client: Any = {name: options[name] for name in CLIENT_OPTIONS if name in options}
    of_store: Any = {name: value for name, value in options.items() if name not in of_client}
    if url.startswith("s3:"):
        # Of several objects in one request, stores expect and respond different things.
        of_store.setdefault("disable_bulk_delete", "true")
    named = {name: value for name in _ENDPOINTS if (value := os.environ.get(name))}
    for name, value in named.items():
        _check_url(value, name)
    urls = (options.get("endpoint", ""), options.get("base_url", ""), *named.values())
    if any(value.lower().startswith("http://") for value in urls):
        of_client.setdefault("allow_http", "true")
    of_client |= {name: of_client[name] == "true" for name in _FLAGS & of_client.keys()}
    try:
        return from_url(
            url,
            config=of_store,
            client_options=of_client,
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=_RETRY_S),
            },
        )
    except (BaseError, ValueError, TypeError) as error:
        words = re.sub(r"^Generic \w+ error: ", "", _words(error)[1])
        if "Account must be specified" in words:
            raise UsageError(f"{url} needs an account: set AZURE_STORAGE_ACCOUNT_NAME") from None
        raise UsageError(f"{argument('store_options')}: {words}") from None


def put_file(store: Any, key: str, file: IO[bytes], shown: str) -> None:
    """Upload a file as one object, which is visible when it is complete, and check its size.

    Args:
        store: The store, from ``open_store``.
        key: The name of the object.
        file: The bytes, from its start to its end.
        shown: How messages name the object.

    Raises:
        OutputError: The store refuses it, cannot be reached, or did not keep it.
    """
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    with store_errors(f"write {size_bytes:,} bytes to", shown):
        interruptible(
            lambda: store.put(
                key,
                file,
                chunk_size=max(_PART_BYTES, -(-size_bytes // _PARTS_MAX)),
                max_concurrency=_PARTS_IN_FLIGHT,
            )
        )
        kept_bytes = interruptible(lambda: store.head(key)["size"])
    if kept_bytes != size_bytes:
        raise OutputError(
            f"{quote(shown)}: the store says that it kept {kept_bytes:,} bytes of {size_bytes:,}"
        )


def interruptible(call: Callable[[], T], *, within_s: float | None = None) -> T:
    """What a call of the library returns; a signal ends the wait for it.

    While the library waits for a store, Python handles no signal: Ctrl-C would do nothing until an
    upload is over.

    Args:
        call: Calls the library.
        within_s: How long to wait, where the library itself has no limit.

    Raises:
        TimeoutError: It takes longer.
    """
    if within_s is None and threading.current_thread() is not threading.main_thread():
        return call()
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            done.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    until = math.inf if within_s is None else time.monotonic() + within_s
    while thread.is_alive():
        # Without a time, Windows handles no signal.
        thread.join(max(0.0, min(_SIGNALS_EVERY_S, until - time.monotonic())))
        if thread.is_alive() and time.monotonic() >= until:
            raise TimeoutError(f"no end after {within_s:.0f} s")
    return done.result()


@contextmanager
def store_errors(
    does: str, shown: str, passing: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Say in plain words what a store refused; errors of the classes ``passing`` stay as they are.

    Args:
        does: What is asked of the store, for the log.
        shown: How messages name the object.
        passing: What the caller expects; that there is no bucket, nobody expects.
    """
    from obstore.exceptions import BaseError

    began = time.monotonic()
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, passing) and not _NO_BUCKET.search(str(error)):
            raise
        code, words = _words(error)
        if _MACHINE.search(str(error)):
            keys = _KEYS[shown.partition(":")[0]]
            words = f"there is no key in the environment, such as {keys}: {words}"
        elif code == "RequestTimeTooSkewed":
            words = f"the clock of this machine is not that of the store: {words}"
        elif code in _WANT_HOST:
            words = (
                f"the store wants the bucket in the name of the host: {argument('store_options')} "
                f"virtual_hosted_style_request=true, and endpoint=https://BUCKET.…: {words}"
            )
        elif code == "AuthorizationHeaderMalformed" and "region" in words:
            words = f"{argument('store_options')} region is not that of the bucket: {words}"
        elif code in _REFUSED or isinstance(error, _refusals()):
            words = f"the store refused the key of the environment: {words}"
        elif _NO_BUCKET.search(str(error)):
            words = f"the store has no such bucket: {words}"
        elif isinstance(error, FileNotFoundError):
            words = f"the store has no such object, or did not keep it: {words}"
        raise OutputError(f"{quote(shown)}: {words}") from None
    finally:
        _log.debug(
            "store: %s %s: %.0f ms", does, printable(shown), (time.monotonic() - began) * 1000
        )


def _refusals() -> tuple[type[Exception], ...]:
    """How the library says that a key may not do something."""
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    return PermissionError, PermissionDeniedError, UnauthenticatedError


def _words(error: Exception) -> tuple[str, str]:
    """What a store or its library said: its code, and one line without secrets."""
    from swanlab_export.client.redact import Redactor

    secrets = [value for name in _SECRETS if (value := os.environ.get(name))]
    text, _, details = str(error).partition("\n\nDebug source:")
    code = re.search(r"<Code>([^<]*)</Code>", text)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    if code is not None:
        text = unescape(f"{code[1]}: {message[1]}" if message else code[1])
    elif (failed := _FAILED.search(text)) is not None:
        host, reason = failed.groups()
        is_lost = reason.startswith("HTTP error")
        # A response without a body ends in a colon.
        text = _lost_connection(host, details) if is_lost else f"{host}: {reason}".rstrip(": ")
    return code[1] if code else "", printable(Redactor(secrets)(" ".join(text.split())))


def _lost_connection(host: str, details: str) -> str:
    """Why there was no response: the library says so in its details alone."""
    kind = re.search(r"HttpError \{\s*kind: (\w+)", details)
    if kind is not None and kind[1] == "Timeout":
        return f"{host} did not respond in time: {argument('store_options')} timeout=60s gives more"
    if kind is None or kind[1] != "Connect":
        return f"{host} ended the connection"
    cause = re.search(r'(?:message|error): "([^"]*)"', details)
    return f"{host} cannot be reached" + (f": {cause[1]}" if cause else "")
