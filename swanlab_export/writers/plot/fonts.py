"""Fonts for names in all writing systems: those of the machine, as far as they are needed."""

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
    """Families that draw ``text`` together, in the order to try, and the characters without any.

    What the first one has is drawn with it on every machine.
    """
    first, *_ = _PREFERRED
    chosen = [first]
    missing = _uncovered(first, "".join(dict.fromkeys(text)))
    for family in _families() if missing else ():
        left = _uncovered(family, missing)
        if left != missing:
            chosen.append(family)
            missing = left
        if not missing:
            break
    return chosen, missing


def _families() -> Iterator[str]:
    """Yield installed families, those for Chinese first; at last, those new since matplotlib looked."""
    from matplotlib.font_manager import fontManager

    known = set(fontManager.get_font_names())
    yield from _ranked(known)
    _look_again()
    yield from _ranked(set(fontManager.get_font_names()) - known)


def _ranked(families: Iterable[str]) -> list[str]:
    ranks = {family: rank for rank, family in enumerate(_PREFERRED)}
    # A last resort has a box for every character there is.
    real = (family for family in families if "lastresort" not in family.replace(" ", "").lower())
    return sorted(real, key=lambda family: (ranks.get(family, len(ranks)), family))


def _look_again() -> None:
    """Tell matplotlib of fonts that were installed after it made its list."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {str(entry.fname) for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError, ValueError):
            fontManager.addfont(path)


def _uncovered(family: str, characters: str) -> str:
    """Leave of ``characters`` those that a family has not."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    try:
        path = findfont(FontProperties(family=[family]), fallback_to_default=False)
        font = get_font(path)
    except (OSError, RuntimeError, ValueError):
        return characters
    return "".join(char for char in characters if not font.get_char_index(ord(char)))
