"""Fonts for names in all writing systems, of those that are installed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
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
    """Font families for matplotlib to draw ``text`` with, in order, and what none of them has.

    Characters that the first one has are drawn with it on every machine.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    chosen: list[str] = []
    missing = "".join(dict.fromkeys(text))
    for family in _families():
        left = missing
        with suppress(OSError, RuntimeError, ValueError):
            path = findfont(FontProperties(family=[family]), fallback_to_default=False)
            font = get_font(path)
            left = "".join(char for char in missing if not font.get_char_index(ord(char)))
        if left != missing or not chosen:
            chosen.append(family)
            missing = left
        if not missing:
            break
    return chosen, missing


def pdf_font_type(families: Iterable[str]) -> int:
    """How fonts are embedded in a PDF: as they are (42), or as drawings of their characters (3).

    Outlines of the kind that Noto and Source Han have are embedded by matplotlib in a way that some
    viewers show nothing of.
    """
    from matplotlib.font_manager import FontProperties, findfont

    paths = [Path(findfont(FontProperties(family=[family]))) for family in families]
    return 42 if all(map(_is_truetype, paths)) else 3


def _is_truetype(path: Path) -> bool:
    with path.open("rb") as file:
        tag = file.read(4)
        if tag == b"ttcf":  # several fonts, of which each begins like a single one
            file.seek(12)
            file.seek(int.from_bytes(file.read(4), "big"))
            tag = file.read(4)
    return tag != b"OTTO"


def _families() -> Iterator[str]:
    """Yield families, those for Chinese first, then those installed since matplotlib listed them."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = set(fontManager.get_font_names())
    yield from (family for family in _PREFERRED if family in known)
    # LastResort has a box for every character.
    yield from sorted(each for each in known.difference(_PREFERRED) if "Resort" not in each)
    listed = {str(entry.fname) for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - listed):
        with suppress(OSError, RuntimeError, ValueError):
            fontManager.addfont(path)
    rank = {family: place for place, family in enumerate(_PREFERRED)}
    new = set(fontManager.get_font_names()) - known
    yield from sorted(new, key=lambda family: (rank.get(family, len(rank)), family))
