"""Names, and patterns over names, in which only ``*`` and ``?`` are special."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_pattern(name: str) -> bool:
    """Say whether a name may be a pattern: ``loss[0]`` is a name.

    >>> is_pattern("train/*"), is_pattern("loss[0]")
    (True, False)
    """
    return "*" in name or "?" in name


def matching(pattern: str, known: Sequence[str]) -> list[str]:
    """The names that a pattern means: the one of that very name, else all that match it.

    >>> matching("config.*", ["name", "config.lr", "config.seed"])
    ['config.lr', 'config.seed']
    """
    if pattern in known:
        return [pattern]
    signs = {"*": ".*", "?": "."}
    parts = (signs.get(char) or re.escape(char) for char in pattern)
    compiled = re.compile("".join(parts), re.DOTALL)
    return [name for name in known if compiled.fullmatch(name)]


def unquote(text: str) -> str:
    """Take off one pair of outer quotes, which cmd.exe does not take off: ``'train/*'``.

    >>> unquote("'train/*'"), unquote("it's")
    ('train/*', "it's")
    """
    text = text.strip()
    is_quoted = len(text) > 2 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1].strip() if is_quoted and text[0] not in text[1:-1] else text
