"""Keeps keys, sessions, passwords and signatures out of messages, logs and traces."""

from __future__ import annotations

import html
import json
import logging
import re
from typing import TYPE_CHECKING, Self
from urllib import parse

from swanlab_export.messages import DOTS, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_USER = re.compile(r"^([a-z][a-z0-9+.-]*:)?([/\\]*)[^/\\]*@", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"\b((?:[\w-]{0,40}-)?(?:signature|sig|credential|security-token|token)=)[^?&\s;\"'<>]+",
    re.IGNORECASE,
)


class Redactor:
    """Replaces secrets by dots, in every form in which a server may repeat them.

    A text is redacted before it is cut or sanitized for a message: half a secret would not match.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secrets) - {""}
        forms = {form for secret in self._secrets for form in _forms(secret)}
        # One secret may be a part of another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without secrets, and without the signatures of URLs in it."""
        for form in self._forms:
            text = text.replace(form, DOTS)
        return redact_signatures(text)

    def __or__(self, secrets: Iterable[str]) -> Self:
        """Return a redactor that hides these, too."""
        return type(self)(self._secrets | frozenset(secrets))


def redact_signatures(text: str) -> str:
    """Replace the signatures of presigned URLs in a text.

    >>> redact_signatures("/file;sig=abc?X-Amz-Signature=def&part=1")
    '/file;sig=•••?X-Amz-Signature=•••&part=1'
    """
    return _SIGNATURE.sub(rf"\1{DOTS}", text)


def bare_url(url: str) -> str:
    """Return a URL as messages show it: without password, query and parameters.

    It comes from a server, and may not be a URL at all.

    >>> bare_url("https://user:pass@storage.example/file;sig=abc?X-Amz-Signature=def")
    'https://storage.example/file'
    """
    shown = re.split(r"[?#;]", url, maxsplit=1)[0]
    return printable(_USER.sub(r"\1\2", shown))


def _forms(secret: str) -> Iterable[str]:
    """A secret as it is, in JSON, in a URL and in HTML."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield parse.quote(secret, safe="")
    yield parse.quote_plus(secret)
    yield html.escape(secret)


def _redact_record(record: logging.LogRecord) -> bool:
    """Keep a record of urllib3, whose debug log quotes URLs, but without their signatures."""
    record.msg, record.args = redact_signatures(record.getMessage()), ()
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_redact_record)
