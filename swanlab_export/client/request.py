"""A request as a value, and what an answer to it means."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from swanlab_export.client.failures import bare_url
from swanlab_export.client.framing import header_text, read_framing
from swanlab_export.client.masking import printable
from swanlab_export.client.session import redirect_target
from swanlab_export.errors import (
    AuthenticationError,
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
    UncertainError,
    argument,
)
from swanlab_export.refs import escape

if TYPE_CHECKING:
    import requests

    from swanlab_export.client.masking import Mask

# orjson reads integers beyond 64 bits as floats, which would round them.
_LONG_NUMBER = re.compile(rb"\d{19}")
Parameters = tuple[tuple[str, "str | int"], ...]


@dataclass(frozen=True)
class Request:
    """What to ask.

    Args:
        method: ``GET`` or ``POST``.
        path: Where, below ``/api``.
        params: The query.
        body: What is sent as JSON; None for no body.
        repeatable: False for what would create a thing twice.
        secrets: What of it no message may repeat, even where the server does: passwords.
    """

    method: str
    path: str
    params: Parameters = ()
    body: Any = None
    repeatable: bool = True
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        # The path may hold ids that a server made up.
        return f"{self.method} {printable(self.path)}"

    def __repr__(self) -> str:
        # The body may hold a password.
        return f"Request({self.method!r}, {self.path!r})"


def read_answer(request: Request, answer: requests.Response, mask: Mask) -> Any:
    """Decode a good answer, or raise the error that it stands for."""
    if answer.status_code >= 300:
        raise answer_error(request, answer, mask)
    try:
        return decode(answer.content)
    except ValueError:
        raise ServerError(
            f"{_no_json(request, answer, mask)}: is there a proxy in between?",
            **_facts(request, answer, mask),
        ) from None


def read_created(request: Request, answer: requests.Response, mask: Mask) -> Any:
    """Decode the answer to a request that may not be repeated.

    Only an object says that the thing was created, and only a clear refusal that it was not.

    Raises:
        UncertainError: The answer says neither.
    """
    status = answer.status_code
    if 400 <= status < 500 and status != 408:
        raise answer_error(request, answer, mask)
    if answer.is_redirect:
        why = redirected(request, redirect_target(answer), mask)
    elif status >= 300:
        why = answer_error(request, answer, mask).message
    else:
        try:
            created = decode(answer.content)
        except ValueError:
            why = _no_json(request, answer, mask)
        else:
            if isinstance(created, dict):
                return created
            why = f"{request} was answered with {describe_body(answer, mask)}, which is no object"
    raise uncertain(why, **_facts(request, answer, mask))


def uncertain(why: str, **facts: Any) -> UncertainError:
    """Say that a create may have happened, or not."""
    return UncertainError(
        f"{why}, so it may or may not have been created; look before you repeat it", **facts
    )


def answer_error(request: Request, answer: requests.Response, mask: Mask) -> SwanlabExportError:
    """Name what a bad answer means, in the server's own words where it has any."""
    status = answer.status_code
    kinds: dict[int, type[SwanlabExportError]] = {
        401: AuthenticationError,
        403: AuthenticationError,
        404: NotFoundError,
        429: UnavailableError,
        500: UnavailableError,
        502: UnavailableError,
        503: UnavailableError,
        504: UnavailableError,
    }
    code, message = _server_words(answer)
    said = f": {escape(mask(message))}" if message else f" and {describe_body(answer, mask)}"
    facts = _facts(request, answer, mask) | {"code": printable(mask(code))}
    return kinds.get(status, ServerError)(f"{request} was answered {status}{said}", **facts)


def redirected(request: Request, target: str, mask: Mask) -> str:
    """Say where a request was sent on to, in vain."""
    return (
        f"{request} was redirected to {bare_url(mask(target))}, which was not followed "
        f"(if that is your server, name it with {argument('host')})"
    )


def describe_body(answer: requests.Response, mask: Mask) -> str:
    """Say what came back, when it is not what was meant to."""
    return describe_start(read_framing(answer).kind, answer.content, mask)


def describe_start(kind: str, body: bytes, mask: Mask) -> str:
    """Describe a body by its media type and its first words."""
    if not body:
        return "an empty body"
    text = mask(body.decode(errors="replace"))[:500]
    words = re.sub(r"<[^>]*>|\s+", " ", text).split()
    return f"{escape(kind or 'no content type')} {escape(' '.join(words)[:80])}"


def decode(body: bytes) -> Any:
    """Read JSON.

    Half of a character, as a cut emoji is one, and bytes that are no UTF-8 become U+FFFD: they
    would fit into no table, and must not keep the rest out of it.

    Raises:
        ValueError: It is none.
    """
    if not _LONG_NUMBER.search(body):
        try:
            return orjson.loads(body)
        except ValueError:
            pass  # json, below, is more lenient
    try:
        return _mended(json.loads(body.decode("utf-8-sig", errors="replace")))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _mended(value: Any) -> Any:
    """Replace lone surrogates, in names, too."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value


def _no_json(request: Request, answer: requests.Response, mask: Mask) -> str:
    return f"{request} was answered with {describe_body(answer, mask)}, which is not JSON"


def _server_words(answer: requests.Response) -> tuple[str, str]:
    try:
        words = decode(answer.content)
    except ValueError:
        return "", ""
    if not isinstance(words, dict):
        return "", ""
    return str(words.get("code") or ""), str(words.get("message") or "")


def _facts(request: Request, answer: requests.Response, mask: Mask) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "status": answer.status_code,
        "trace_id": printable(mask(header_text(answer, "traceid"))),
    }
