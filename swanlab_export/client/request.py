"""A request as a value, and what an answer to it means."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from swanlab_export.errors import (
    AuthenticationError,
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
)
from swanlab_export.refs import escape

if TYPE_CHECKING:
    import requests

# orjson reads integers beyond 64 bits as floats, which would round them.
_LONG_NUMBER = re.compile(rb"\d{19}")
Parameters = tuple[tuple[str, "str | int"], ...]


@dataclass(frozen=True)
class Request:
    """What to ask. ``repeatable`` is false for what would create a thing twice."""

    method: str
    path: str
    params: Parameters = ()
    body: Any = None
    repeatable: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def __repr__(self) -> str:
        # The body may hold a password.
        return f"Request({self.method!r}, {self.path!r})"


def read_answer(request: Request, answer: requests.Response) -> Any:
    """Decode a good answer, or raise the error that it stands for."""
    if answer.status_code >= 300:
        raise answer_error(request, answer)
    try:
        return _decode(answer.content)
    except ValueError:
        came = describe_body(answer)
        raise ServerError(
            f"{request} was answered with {came}, which is not JSON: is there a proxy in between?",
            **_facts(request, answer),
        ) from None


def answer_error(request: Request, answer: requests.Response) -> SwanlabExportError:
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
    said = f": {escape(message)}" if message else f" and {describe_body(answer)}"
    facts = _facts(request, answer) | {"code": code}
    return kinds.get(status, ServerError)(f"{request} was answered {status}{said}", **facts)


def describe_body(answer: requests.Response) -> str:
    """Say what came back, when it is not what was meant to."""
    body = answer.content
    if not body:
        return "an empty body"
    kind = answer.headers.get("content-type", "").split(";")[0] or "no content type"
    words = re.sub(r"<[^>]*>|\s+", " ", body[:500].decode(errors="replace"))
    return f"{escape(kind)} {escape(' '.join(words.split())[:80])}"


def _decode(body: bytes) -> Any:
    if _LONG_NUMBER.search(body):
        return json.loads(body)
    return orjson.loads(body)


def _server_words(answer: requests.Response) -> tuple[str, str]:
    try:
        words = _decode(answer.content)
    except ValueError:
        return "", ""
    if not isinstance(words, dict):
        return "", ""
    return str(words.get("code") or ""), str(words.get("message") or "")


def _facts(request: Request, answer: requests.Response) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "status": answer.status_code,
        "trace_id": answer.headers.get("traceid", ""),
    }
