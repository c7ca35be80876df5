"""How lines differ: in colours that people with any colour vision tell apart, and in their strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.plot.lines import MISSING, NOT_FINITE, SEVERAL

if TYPE_CHECKING:
    from swanlab_export.plot.lines import Plot

# Okabe and Ito, "Color Universal Design" (2008); first those that are farthest from each other, and
# yellow last, which is pale on white.
OKABE_ITO = (
    *("#0072B2", "#D55E00", "#009E73", "#000000"),
    *("#56B4E9", "#E69F00", "#CC79A7", "#F0E442"),
)
_STROKES = ("-", "--", ":")
GREY = "#808080"
# Of numbers that are NaN or infinite.
_NOT_FINITE = {"color": GREY, "linestyle": ":"}
# Of groups whose runs differ in what gives the colours.
_SEVERAL = {"color": "#404040", "linestyle": "--"}
# Of numbers, from small to large; its pale end is left out.
_SCALE, _SCALE_END = "viridis", 0.92


def line_styles(plot: Plot) -> dict[str, dict[str, Any]]:
    """What matplotlib draws each line with: its colour and its stroke."""
    names = list(dict.fromkeys(plot.labels.values()))
    if plot.values:
        colours = _scaled(plot)
        styles: dict[str, dict[str, Any]] = {
            name: {"color": colours.get(name, GREY)} for name in plot.labels
        }
    elif len(names) > len(OKABE_ITO) * len(_STROKES) or not (plot.legend or len(names) == 1):
        styles = {name: {"color": GREY, "alpha": 0.5} for name in plot.labels}
    else:
        styles = {name: _distinct(names.index(label)) for name, label in plot.labels.items()}
    if plot.colour_by:
        fixed = {MISSING: {"color": GREY}, NOT_FINITE: _NOT_FINITE, SEVERAL: _SEVERAL}
        styles |= {name: fixed[label] for name, label in plot.labels.items() if label in fixed}
    return styles


def _distinct(number: int) -> dict[str, Any]:
    """Colour and stroke of the first, second, … line."""
    colours = len(OKABE_ITO)
    return {"color": OKABE_ITO[number % colours], "linestyle": _STROKES[number // colours]}


def colour_scale(plot: Plot) -> Any:
    """Maps numbers to colours: by their logarithm where they are powers, such as learning rates."""
    from matplotlib import cm, colormaps, colors

    numbers = list(plot.values.values())
    low, high = min(numbers), max(numbers)
    kind = colors.LogNorm if 0 < low < high / 30 else colors.Normalize
    whole = colormaps[_SCALE]
    part = colors.ListedColormap([whole(i / 255 * _SCALE_END) for i in range(256)])
    return cm.ScalarMappable(kind(low, high), part)


def _scaled(plot: Plot) -> dict[str, Any]:
    """Colours of numbers; where a legend names them, evenly far from each other."""
    if not plot.legend:
        scale = colour_scale(plot)
        return {name: scale.to_rgba(value) for name, value in plot.values.items()}
    from matplotlib import colormaps

    distinct = sorted(set(plot.values.values()))
    ranks = {value: i / max(1, len(distinct) - 1) for i, value in enumerate(distinct)}
    return {
        name: colormaps[_SCALE](ranks[value] * _SCALE_END) for name, value in plot.values.items()
    }
