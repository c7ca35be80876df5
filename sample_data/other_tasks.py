"""Tasks other than classifying: finding ink under noise, grouping, compressing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from figures import draw_pixels
from training import load_data

if TYPE_CHECKING:
    from recorder import Recorder
    from system import Meter
    from training import Array


def _patches(images: Array, size: int) -> Array:
    """Return the surroundings of every pixel, one row each."""
    edge = size // 2
    padded = np.pad(images, ((0, 0), (edge, edge), (edge, edge)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return np.ascontiguousarray(windows.reshape(-1, size * size))


def record_segmentation(
    rec: Recorder, meter: Meter, *, size: int, lr: float, noise: float, steps: int, seed: int
) -> None:
    """Learn by logistic regression which pixels of a noisy digit are ink."""
    data = load_data()
    rng = np.random.default_rng(seed)
    w = np.zeros(size * size, np.float32)
    b = np.float32(0)
    val = data.x_val.reshape(-1, 8, 8)
    noisy = val + np.float32(noise) * rng.standard_normal(val.shape, dtype=np.float32)
    x_val, ink = _patches(noisy, size), val.ravel() > 0.5
    for step in range(steps):
        images = data.x_train[rng.integers(0, len(data.x_train), 16)].reshape(-1, 8, 8)
        truth = (images.ravel() > 0.5).astype(np.float32)
        blurred = images + np.float32(noise) * rng.standard_normal(images.shape, dtype=np.float32)
        x = _patches(blurred, size)
        p = 1 / (1 + np.exp(-(x @ w + b)))
        rec.at(step)
        rec.point("seg/loss", float(-np.mean(np.log(np.where(truth > 0, p, 1 - p) + 1e-7))))
        off = (p - truth) / np.float32(len(p))
        w -= np.float32(lr) * (x.T @ off)
        b -= np.float32(lr) * off.sum()
        if step % 50 == 0 or step == steps - 1:
            meter.sample(rec)
            mask = x_val @ w + b > 0
            overlap = float((mask & ink).sum() / max(1, (mask | ink).sum()))
            rec.point("seg/IoU", overlap)
            rec.log("INFO", f"step {step}: IoU {overlap:.4f}", "eval")
        if step % 200 == 0:
            pair = [noisy[0], mask.reshape(-1, 8, 8)[0].astype(np.float32)]
            rec.images("seg/mask", [draw_pixels(image) for image in pair], None)


def record_kmeans(rec: Recorder, meter: Meter, *, clusters: int, seed: int) -> None:
    """Group the digits by k-means until no image changes its group."""
    x, y = load_data().x_train, load_data().y_train
    rng = np.random.default_rng(seed)
    centres = x[rng.choice(len(x), clusters, replace=False)].copy()
    before = np.full(len(x), -1)
    for step in range(100):
        distances = ((x[:, None] - centres[None]) ** 2).sum(axis=2)
        group = distances.argmin(axis=1)
        rec.at(step)
        meter.sample(rec)
        rec.point("inertia", float(distances.min(axis=1).sum()))
        rec.point("moved", float((group != before).sum()))
        tallest = [np.bincount(y[group == k], minlength=10).max() for k in range(clusters)]
        rec.point("purity", float(sum(tallest) / len(y)))
        rec.log("INFO", f"round {step}: {int((group != before).sum())} images moved", "k-means")
        if (group == before).all():
            break
        before = group
        for k in range(clusters):
            if (group == k).any():
                centres[k] = x[group == k].mean(axis=0)
    pngs = [draw_pixels(centre.reshape(8, 8)) for centre in centres[:10]]
    rec.images("centres", pngs, [f"centre {k}" for k in range(len(pngs))])


def record_autoencoder(rec: Recorder, meter: Meter, *, code: int, lr: float, steps: int) -> None:
    """Squeeze the digits through a few numbers and back, with linear layers."""
    data = load_data()
    rng = np.random.default_rng(code)
    down = (rng.standard_normal((64, code)) * 0.1).astype(np.float32)
    up = (rng.standard_normal((code, 64)) * 0.1).astype(np.float32)
    for step in range(steps):
        x = data.x_train[rng.integers(0, len(data.x_train), 64)]
        coded = x @ down
        off = coded @ up - x
        rec.at(step)
        rec.point("recon/loss", float(np.mean(off * off)))
        slope = off / np.float32(len(x))
        down -= np.float32(lr) * (x.T @ (slope @ up.T))
        up -= np.float32(lr) * (coded.T @ slope)
        if step % 100 == 0 or step == steps - 1:
            meter.sample(rec)
            left = data.x_val @ down @ up - data.x_val
            rec.point("recon/val_loss", float(np.mean(left * left)))
            rec.log("INFO", f"step {step}: val_loss {float(np.mean(left * left)):.5f}", "eval")
        if step % 500 == 0:
            seen = (data.x_val[:3] @ down @ up).reshape(-1, 8, 8)
            rec.images("recon/digits", [draw_pixels(s) for s in seen], [None, None, None])
