"""What a server repeats may hold a key, a session or a password: it is shown only masked."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, quote_plus

from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

DOTS = "•••"


class Mask:
    """Puts dots in the place of secrets, in whatever form a server repeats them.

    Text is masked before it is cut or cleaned for a message: half a secret matches none.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secrets) - {""}
        forms = {form for secret in self._secrets for form in _forms(secret)}
        # One secret may be a part of another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Mask a text of a server."""
        for form in self._forms:
            text = text.replace(form, DOTS)
        return text

    def __or__(self, secrets: Iterable[str]) -> Self:
        """Mask these, too."""
        return type(self)(self._secrets | frozenset(secrets))


def _forms(secret: str) -> Iterable[str]:
    """A secret as it is, in JSON, in a URL and in HTML."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield html.escape(secret)


def printable(text: str) -> str:
    """Spell control characters out, as ``escape`` does, but without quotes."""
    return escape(text)[1:-1]
