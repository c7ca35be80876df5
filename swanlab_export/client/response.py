"""What a response means: its JSON, or the error that its status stands for."""

from __future__ import annotations

import io
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import requests

from swanlab_export.client.redact import bare_url
from swanlab_export.client.retry import is_transient
from swanlab_export.decoding import decode
from swanlab_export.errors import (
    AuthenticationError,
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
    UncertainError,
)
from swanlab_export.messages import argument, printable, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swanlab_export.client.redact import Redactor
    from swanlab_export.client.request import Request

_CHUNK_BYTES = 64 * 1024
# What the server sends in an error; an entity or a list has other fields.
_OF_REFUSALS = {
    *("code", "message", "detail", "status", "success", "data"),
    *("error", "errors", "traceid", "traceId", "timestamp", "path"),
}


class TooLargeError(requests.RequestException):
    """A response is larger than it may be."""


@dataclass(frozen=True)
class Response:
    """A response that was read to its end.

    Attributes:
        status: Its status.
        url: Where it came from.
        headers: Its headers, whatever their case.
        body: Its body, decompressed.
    """

    status: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_redirect(self) -> bool:
        """Say whether it leads somewhere else."""
        return self.status in {301, 302, 303, 307, 308} and "location" in self.headers


def read_response(response: requests.Response, most_bytes: int) -> Response:
    """Read a response to its end; its connection can then be used again.

    Raises:
        TooLargeError: Its body is larger than ``most_bytes``.
        requests.RequestException: Its body did not come, or not to its end.
    """
    body = io.BytesIO()  # gives its bytes away without a copy of them
    try:
        for part in response.iter_content(_CHUNK_BYTES):
            body.write(part)
            if body.tell() > most_bytes:
                raise TooLargeError
    finally:
        # The connection of a response that was not read to its end is closed, too.
        response.close()
    return Response(response.status_code, response.url, response.headers, body.getvalue())


def header_text(headers: Mapping[str, str], name: str) -> str:
    """Return a header that may hold more than ASCII; "" if it is missing."""
    text = str(headers.get(name, ""))
    with suppress(UnicodeError):
        # Headers are read as Latin-1, but what is sent is mostly UTF-8.
        text = text.encode("latin-1").decode()
    return text


def redirect_target(url: str, headers: Mapping[str, str]) -> str:
    """Return where a redirect from ``url`` leads; what is not a URL is returned as it is."""
    location = header_text(headers, "location")
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type of a body in small letters, "" if none is named."""
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def read_payload(request: Request, response: Response, redact: Redactor) -> Any:
    """Decode a good response, None for one without content; raise the error of any other."""
    if response.status >= 300:
        raise response_error(request, response, redact)
    if response.status == 204:
        return None
    try:
        payload = decode(response.body)
    except ValueError:
        raise ServerError(
            f"{_not_json(request, response, redact)}: is there a proxy in between?",
            **_facts(request, response, redact),
        ) from None
    if is_refusal(payload):
        raise wrapped_refusal(request, response, redact)
    return payload


def is_refusal(payload: Any) -> bool:
    """Say whether a payload is an error of the server, and nothing else, whatever its status.

    >>> is_refusal({"code": "E_LICENCE", "message": "expired", "data": None})
    True
    >>> is_refusal({"code": "x", "message": "m", "name": "a field of its own"})
    False
    """
    if not isinstance(payload, dict) or payload.get("data") is not None:
        return False
    is_worded = isinstance(payload.get("message"), str) and "code" in payload
    return is_worded and payload.keys() <= _OF_REFUSALS


def wrapped_refusal(request: Request, response: Response, redact: Redactor) -> ServerError:
    """Return the error that came as a successful response, in the server's own words."""
    code, _, _ = _server_words(response)
    facts = _facts(request, response, redact) | {"code": printable(redact(code))}
    words = quote_words(response, redact)
    return ServerError(f"{request}: an error came with status {response.status}: {words}", **facts)


def read_created(request: Request, response: Response, redact: Redactor) -> Any:
    """Decode the response to a request that may not be repeated.

    Only an object says that the thing was created, and only a clear refusal that it was not.

    Raises:
        UncertainError: The response says neither.
    """
    status = response.status
    if 400 <= status < 500 and status != 408:
        raise response_error(request, response, redact)
    if response.is_redirect:
        why = redirected(request, redirect_target(response.url, response.headers), redact)
    elif status >= 300:
        why = response_error(request, response, redact).message
    else:
        try:
            created = decode(response.body)
        except ValueError:
            why = _not_json(request, response, redact)
        else:
            if isinstance(created, dict):
                return created
            why = f"{request}: the response is {describe_body(response, redact)}, not an object"
    raise uncertain(why, **_facts(request, response, redact))


def uncertain(why: str, **facts: Any) -> UncertainError:
    """Say that a create may have happened, or not."""
    return UncertainError(
        f"{why}, so it may or may not have been created; look before you repeat it", **facts
    )


def response_error(request: Request, response: Response, redact: Redactor) -> SwanlabExportError:
    """Return the error that a bad status stands for, in the server's own words if it has any."""
    code, _, _ = _server_words(response)
    facts = _facts(request, response, redact) | {"code": printable(redact(code))}
    status = response.status
    message = f"{request} failed with status {status}: {quote_words(response, redact)}"
    if status == 418 and not facts["trace_id"]:
        message += " (a firewall in front of the server sends this status)"
    return _kind_of(status)(message, **facts)


def quote_words(response: Response, redact: Redactor) -> str:
    """Quote what the server says of an error: message, code and detail, or else its body."""
    code, message, detail = (redact(words) for words in _server_words(response))
    named = (("code", code), ("detail", detail))
    more = ", ".join(f"{name} {quote(words)}" for name, words in named if words)
    if not message and not more:
        return describe_body(response, redact)
    return " ".join(filter(None, (quote(message) if message else "", f"({more})" if more else "")))


def redirected(request: Request, target: str, redact: Redactor) -> str:
    """Say where a request was redirected to, if that is not followed."""
    return (
        f"{request} was redirected to {bare_url(redact(target))}, which was not followed "
        f"(if that is your server, name it with {argument('host')})"
    )


def describe_body(response: Response, redact: Redactor) -> str:
    """Say what came instead of what was expected."""
    return describe_start(media_type(response.headers), response.body, redact)


def describe_start(kind: str, body: bytes, redact: Redactor) -> str:
    """Describe a body by its media type and its first words."""
    if not body:
        return "an empty body"
    text = redact(body[:_CHUNK_BYTES].decode(errors="replace"))[:500]
    words = re.sub(r"<[^>]*>|\s+", " ", text).split()
    return f"{quote(kind or 'no content type')} {quote(' '.join(words)[:80])}"


def _kind_of(status: int) -> type[SwanlabExportError]:
    if is_transient(status):
        return UnavailableError
    kinds = {401: AuthenticationError, 403: AuthenticationError, 404: NotFoundError}
    return kinds.get(status, ServerError)


def _not_json(request: Request, response: Response, redact: Redactor) -> str:
    return f"{request}: the response is {describe_body(response, redact)}, which is not JSON"


def _server_words(response: Response) -> tuple[str, str, str]:
    """Read code, message and detail of an error; "" for what is missing."""
    try:
        words = decode(response.body)
    except ValueError:
        words = None
    if not isinstance(words, dict):
        return "", "", ""
    code, message, detail = (words.get(name) for name in ("code", "message", "detail"))
    if detail is not None and not isinstance(detail, str):
        detail = json.dumps(detail, ensure_ascii=False)
    return str(code or ""), str(message or ""), detail or ""


def _facts(request: Request, response: Response, redact: Redactor) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "status": response.status,
        "trace_id": printable(redact(header_text(response.headers, "traceid"))),
    }
