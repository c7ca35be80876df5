"""Small classifiers of handwritten digits, trained with numpy alone.

Everything is float32 and seeded: the same settings give the same losses, step for step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray
CLASSES = 10


@dataclass(frozen=True)
class Data:
    """Images as rows of 64 numbers from 0 to 1, and their digits; a fifth is held out."""

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array


@cache
def load_data() -> Data:
    """Return the 1,797 digits of scikit-learn, shuffled once and split 4 to 1."""
    digits = load_digits()
    order = np.random.default_rng(20260101).permutation(len(digits.target))
    x = (digits.data[order] / 16.0).astype(np.float32)
    y = digits.target[order]
    cut = len(y) * 4 // 5
    return Data(x[:cut], y[:cut], x[cut:], y[cut:])


@dataclass(frozen=True)
class Settings:
    """What is trained and how: no hidden layer means a linear classifier."""

    hidden: tuple[int, ...] = (32,)
    activation: str = "relu"
    loss: str = "cross_entropy"
    optimizer: str = "sgd"
    lr: float = 0.1
    schedule: str | tuple[float, ...] = "constant"
    momentum: float = 0.0
    weight_decay: float = 0.0
    noise: float = 0.0
    batch_size: int = 32
    max_steps: int = 440
    patience: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Evaluation:
    """How the model does on the held-out images at the end of an epoch."""

    loss: float
    accuracy: float
    top2_pct: float
    predicted: Array


@dataclass(frozen=True)
class Step:
    """One update of the weights; `evaluation` is there at the end of an epoch only."""

    step: int
    epoch: int
    samples_seen: int
    loss: float
    accuracy: float
    lr: float
    grad_norm: float
    evaluation: Evaluation | None


class Network:
    """A multi-layer perceptron with its gradients and its optimizer's state."""

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self.settings = settings
        sizes = (64, *settings.hidden, CLASSES)
        self.weights: list[Array] = []
        for n_in, n_out in pairwise(sizes):
            scale = np.sqrt(2.0 / n_in)
            self.weights.append((rng.standard_normal((n_in, n_out)) * scale).astype(np.float32))
            self.weights.append(np.zeros(n_out, np.float32))
        self.first = [np.zeros_like(w) for w in self.weights]
        self.second = [np.zeros_like(w) for w in self.weights]
        self.updates = 0

    def forward(self, x: Array) -> list[Array]:
        """Return the input, every hidden layer and the outputs."""
        layers = [x]
        last = len(self.weights) - 2
        for i in range(0, len(self.weights), 2):
            z = layers[-1] @ self.weights[i] + self.weights[i + 1]
            if i < last:
                z = np.tanh(z) if self.settings.activation == "tanh" else np.maximum(z, 0)
            layers.append(z)
        return layers

    def loss_and_slope(self, out: Array, y: Array) -> tuple[np.float32, Array]:
        """Return the mean loss and its slope with respect to the outputs."""
        rows = np.arange(len(y))
        if self.settings.loss == "mse":
            off = out.copy()
            off[rows, y] -= 1
            return np.mean(off * off), off * np.float32(2 / off.size)
        shifted = out - out.max(axis=1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - shifted[rows, y])
        p /= total
        p[rows, y] -= 1
        return loss, p / np.float32(len(y))

    def gradients(self, layers: list[Array], slope: Array) -> list[Array]:
        """Return the loss's gradient for every weight and bias, by back-propagation."""
        grads: list[Array] = []
        for i in range(len(self.weights) - 2, -1, -2):
            below = layers[i // 2]
            grads[:0] = [below.T @ slope, slope.sum(axis=0)]
            if i:
                slope = slope @ self.weights[i].T
                slope *= (1 - below * below) if self.settings.activation == "tanh" else below > 0
        return grads

    def update(self, grads: list[Array], lr: float) -> None:
        """Move the weights one step against the gradients."""
        self.updates += 1
        s = self.settings
        rate = np.float32(lr)
        for i, (w, m, v) in enumerate(zip(self.weights, self.first, self.second, strict=True)):
            g = grads[i] + np.float32(s.weight_decay) * w if s.weight_decay else grads[i]
            if s.optimizer == "adam":
                np.add(m, np.float32(0.1) * (g - m), out=m)
                np.add(v, np.float32(0.001) * (g * g - v), out=v)
                unbiased = m / np.float32(1 - 0.9**self.updates)
                spread = np.sqrt(v / np.float32(1 - 0.999**self.updates))
                np.subtract(w, rate * unbiased / (spread + np.float32(1e-8)), out=w)
            else:
                np.add(np.float32(s.momentum) * m, g, out=m)
                np.subtract(w, rate * m, out=w)

    def evaluate(self, x: Array, y: Array) -> Evaluation:
        """Return loss and accuracy on the given images."""
        out = self.forward(x)[-1]
        loss, _ = self.loss_and_slope(out, y)
        best = np.argsort(-out, axis=1, kind="stable")
        hits = best[:, :2] == y[:, None]
        return Evaluation(
            float(loss),
            float(hits[:, 0].mean()),
            float(100 * hits.any(axis=1).mean()),
            best[:, 0],
        )


def learning_rate(s: Settings, step: int, epoch: int) -> float:
    """Return the rate for this step; a schedule of numbers holds one rate per epoch."""
    if isinstance(s.schedule, tuple):
        return s.schedule[epoch - 1]
    if s.schedule == "cosine":
        return float(s.lr * 0.5 * (1 + np.cos(np.pi * step / s.max_steps)))
    return s.lr


def train(s: Settings) -> Iterator[Step]:
    """Train a network on the digits and yield every step as it is made.

    It ends after `max_steps`, or when the validation loss has not improved for
    `patience` epochs.
    """
    data = load_data()
    rng = np.random.default_rng(s.seed)
    net = Network(s, rng)
    step = epoch = waited = 0
    best = np.inf
    while step < s.max_steps and (s.patience is None or waited < s.patience):
        epoch += 1
        order = rng.permutation(len(data.y_train))
        starts = range(0, len(order) - s.batch_size + 1, s.batch_size)
        for start in starts:
            picked = order[start : start + s.batch_size]
            lr = learning_rate(s, step, epoch)
            loss, accuracy, norm = _one_step(net, data, picked, lr, rng)
            evaluation = None
            if start == starts[-1] or step == s.max_steps - 1:
                evaluation = net.evaluate(data.x_val, data.y_val)
                waited = 0 if evaluation.loss < best else waited + 1
                best = min(best, evaluation.loss)
            seen = (step + 1) * s.batch_size
            yield Step(step, epoch, seen, loss, accuracy, lr, norm, evaluation)
            step += 1
            if step == s.max_steps:
                return


def _one_step(
    net: Network, data: Data, picked: Array, lr: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Make one update and return loss, accuracy and the norm of the gradient."""
    x, y = data.x_train[picked], data.y_train[picked]
    if net.settings.noise:
        noise = rng.standard_normal(x.shape, dtype=np.float32)
        x = x + np.float32(net.settings.noise) * noise
    layers = net.forward(x)
    loss, slope = net.loss_and_slope(layers[-1], y)
    grads = net.gradients(layers, slope)
    net.update(grads, lr)
    norm = np.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    return float(loss), float(np.mean(layers[-1].argmax(axis=1) == y)), float(norm)
