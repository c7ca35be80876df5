"""Trains one classifier and records what it reports."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from figures import draw_confusion, draw_pixels
from recorder import format_traceback
from training import Step, load_data, train

if TYPE_CHECKING:
    from recorder import Recorder
    from system import Meter
    from training import Evaluation, Settings

TOP2 = "准确率, top 2 (%)"


@dataclass(frozen=True)
class Reporting:
    """What a run reports besides loss and accuracy, and how often."""

    log_every: int = 20
    system_every: int = 40
    details: bool = True
    confusion_epochs: int = 0
    confusion_steps: tuple[int, ...] = ()
    wrong_images: bool = False
    stop_before: int | None = None


def record_classifier(rec: Recorder, s: Settings, how: Reporting, meter: Meter) -> str:
    """Train and record; return how it ended: finished, stopped, crashed or interrupted."""
    layers = " → ".join(str(n) for n in (64, *s.hidden, 10))
    rec.log("INFO", f"network {layers}, {s.optimizer}, batch size {s.batch_size}", "setup")
    rec.log("DEBUG", f"{len(load_data().y_train)} images to train on, seed {s.seed}", "setup")
    last: Step | None = None
    try:
        for step in train(s):
            if step.step == how.stop_before:
                return "interrupted"
            _record_step(rec, step, how, meter, last)
            if step.step in how.confusion_steps:
                found = _evaluate_after(step, s)
                _record_pictures(rec, f"after step {step.step}", found, how)
            last = step
    except Exception:  # noqa: BLE001
        for line in format_traceback().splitlines():
            rec.log("ERROR", line, "stderr")
        return "crashed"
    if last and last.step + 1 < s.max_steps:
        rec.log("INFO", f"no better for {s.patience} epochs: stopped early in epoch {last.epoch}")
        return "stopped"
    rec.log("INFO", f"finished after {s.max_steps} steps")
    return "finished"


def _record_step(
    rec: Recorder, step: Step, how: Reporting, meter: Meter, last: Step | None
) -> None:
    rec.at(step.step)
    rec.point("loss", step.loss)
    rec.point("acc", step.accuracy)
    if how.details:
        rec.point("lr", step.lr)
        rec.point("train/grad_norm", step.grad_norm)
        rec.point("samples_seen", step.samples_seen)
        rec.point("epoch", step.epoch)
    if step.step % how.system_every == 0:
        meter.sample(rec)
    if step.step % how.log_every == 0:
        rec.log("DEBUG", f"step {step.step}: loss {step.loss:.4f}, lr {step.lr:.5g}")
    if not math.isfinite(step.loss) and (last is None or math.isfinite(last.loss)):
        rec.log("WARN", f"step {step.step}: the loss is no longer finite")
    if math.isnan(step.loss) and last and not math.isnan(last.loss):
        rec.log("ERROR", f"step {step.step}: the loss is not a number")
    if step.evaluation:
        _record_epoch(rec, step, step.evaluation, how)


def _record_epoch(rec: Recorder, step: Step, found: Evaluation, how: Reporting) -> None:
    before = rec.series["val/loss"].values[-1] if "val/loss" in rec.series else math.inf
    rec.point("val/loss", found.loss)
    rec.point("val/acc", found.accuracy)
    if how.details:
        rec.point(TOP2, found.top2_pct)
    rec.log(
        "INFO",
        f"epoch {step.epoch}: val/loss {found.loss:.4f}, val/acc {found.accuracy:.4f}",
        "val",
    )
    if found.loss > 1.1 * before:
        rec.log("WARN", f"val/loss went up from {before:.4f} to {found.loss:.4f}", "val")
    if how.confusion_epochs and (step.epoch == 1 or step.epoch % how.confusion_epochs == 0):
        _record_pictures(rec, f"after epoch {step.epoch}", found, how)


def _evaluate_after(step: Step, s: Settings) -> Evaluation:
    """Train anew up to a step within an epoch, where `train` doesn't evaluate: nothing differs."""
    *_, last = train(replace(s, max_steps=step.step + 1))
    assert last.evaluation
    assert (last.step, last.loss) == (step.step, step.loss)
    return last.evaluation


def _record_pictures(rec: Recorder, when: str, found: Evaluation, how: Reporting) -> None:
    data = load_data()
    matrix = draw_confusion(data.y_val, found.predicted)
    rec.images("val/confusion", [matrix], [f"{when}: {found.accuracy:.1%} right"])
    if how.wrong_images:
        wrong = (found.predicted != data.y_val).nonzero()[0][:4]
        pngs = [draw_pixels(data.x_val[i].reshape(8, 8)) for i in wrong]
        names = [f"{data.y_val[i]}, taken for {found.predicted[i]}" for i in wrong]
        captions: list[str | None] = [*names]
        if captions:
            captions[-1] = None
        rec.images("val/wrong digits", pngs, captions)
