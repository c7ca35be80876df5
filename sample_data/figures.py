"""Small PNG pictures: confusion matrices, digits and masks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from training import Array

mpl.use("Agg")


def draw_confusion(truth: Array, predicted: Array) -> bytes:
    """Draw how often each true digit (row) was taken for each digit (column)."""
    from matplotlib.figure import Figure  # slow to import, after the backend is set

    counts = np.zeros((10, 10), int)
    np.add.at(counts, (truth, predicted), 1)
    figure = Figure(figsize=(2.4, 2.4), dpi=72)
    axes = figure.add_axes((0.14, 0.13, 0.84, 0.84))
    axes.imshow(np.sqrt(counts), cmap="Blues")
    axes.set_xticks(range(10))
    axes.set_yticks(range(10))
    axes.tick_params(labelsize=6, length=0)
    axes.set_xlabel("predicted", fontsize=6, labelpad=1)
    axes.set_ylabel("true", fontsize=6, labelpad=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if counts[row, column] > 15 else "black"
        text = str(counts[row, column])
        axes.text(column, row, text, fontsize=5, color=colour, ha="center", va="center")
    raw = io.BytesIO()
    figure.savefig(raw, format="png")
    return _shrink(Image.open(raw).convert("RGB"))


def draw_pixels(image: Array, scale: int = 6) -> bytes:
    """Draw an image of numbers from 0 to 1 as grey squares."""
    grey = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    return _shrink(Image.fromarray(grey.repeat(scale, axis=0).repeat(scale, axis=1)))


def _shrink(image: Image.Image) -> bytes:
    """Return the image as a PNG of 16 colours."""
    out = io.BytesIO()
    image.quantize(16, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    return out.getvalue()
