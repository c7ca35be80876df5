"""Fonts for names in all writing systems, of those that are installed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The first comes with matplotlib; then what Linux, macOS and Windows have for Chinese.
_PREFERRED = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Heiti SC",
    "Arial Unicode MS",
    "Noto Sans CJK JP",
    "Droid Sans Fallback",
)


def choose_fonts(text: str) -> tuple[list[str], str]:
    """Font families that draw ``text`` together, in order, and the characters that none has.

    Characters that the first one has are drawn with it on every machine.
    """
    first, *_ = _PREFERRED
    chosen = [first]
    missing = find_missing(first, "".join(dict.fromkeys(text)))
    for family in _families() if missing else ():
        left = find_missing(family, missing)
        if left != missing:
            chosen.append(family)
            missing = left
        if not missing:
            break
    return chosen, missing


def _families() -> Iterator[str]:
    """Yield installed families, those for Chinese first; then those that matplotlib has not yet listed."""
    from matplotlib.font_manager import fontManager

    known = set(fontManager.get_font_names())
    yield from _ranked(known)
    _update_list()
    yield from _ranked(set(fontManager.get_font_names()) - known)


def _ranked(families: Iterable[str]) -> list[str]:
    ranks = {family: rank for rank, family in enumerate(_PREFERRED)}
    # LastResort has a box for every character.
    real = (family for family in families if "lastresort" not in family.replace(" ", "").lower())
    return sorted(real, key=lambda family: (ranks.get(family, len(ranks)), family))


def _update_list() -> None:
    """Add fonts that were installed after matplotlib made its list."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {str(entry.fname) for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError, ValueError):
            fontManager.addfont(path)


def find_missing(family: str, characters: str) -> str:
    """The characters of ``characters`` that a family does not have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    try:
        path = findfont(FontProperties(family=[family]), fallback_to_default=False)
        font = get_font(path)
    except (OSError, RuntimeError, ValueError):
        return characters
    return "".join(char for char in characters if not font.get_char_index(ord(char)))
