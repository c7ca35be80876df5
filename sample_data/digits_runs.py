"""The runs of ada-lab/digits: one of each kind that an exporter should meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accounts import DIGITS
from classify import Reporting, record_classifier
from runs import build_profile, build_run, describe_settings, start_recorder, wrap
from training import Settings

if TYPE_CHECKING:
    from recorder import Recorder
    from system import Meter

CONDA = "name: digits\ndependencies:\n  - python=3.11\n  - numpy\n"


@dataclass(frozen=True)
class Plan:
    """One run: its settings, when it began, and what sets it apart."""

    slug: str
    start: str
    settings: Settings
    how: Reporting = field(default_factory=Reporting)
    step_ms: int = 400
    state: str = "FINISHED"
    config: dict[str, Any] = field(default_factory=dict)
    wrapped: bool = True
    known: dict[str, Any] = field(default_factory=dict)
    conda: str | None = None


def _label(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "colors": "#528d59"} for name in names]


PLANS = (
    Plan(
        "linear",
        "2026-01-05T09:00:00.000Z",
        Settings(hidden=(), lr=0.3),
        config={"dropout": False, "tag": "baseline", "note": None},
        wrapped=False,
        known={"description": "The simplest thing that works", "labels": _label("baseline")},
    ),
    Plan(
        "mlp-adam",
        "2026-01-07T10:15:30.125Z",
        Settings(hidden=(64,), optimizer="adam", lr=0.003, max_steps=880, seed=1),
        Reporting(confusion_epochs=5, wrong_images=True),
        config={
            "dropout": 0.1,
            "tag": ["adam", "wide"],
            "data": {
                "name": "digits",
                "split": {"train": 0.8, "val": 0.2},
                "classes": [*range(10)],
            },
        },
        known={"labels": _label("good", "to keep"), "description": "Line one\nline two"},
        conda=CONDA,
    ),
    Plan(
        "tanh-deep",
        "2026-01-09T11:00:00.500Z",
        Settings(hidden=(32, 32), activation="tanh", momentum=0.9, lr=0.03, max_steps=880),
        Reporting(confusion_epochs=10),
        config={"dropout": "none", "tag": 3, "optimizer_args": {"nesterov": False, "betas": None}},
        known={"username": "bob", "name": 'tanh, "deep"', "cluster": "deep", "job": "train"},
    ),
    Plan(
        "mlp-long",
        "2026-01-12T00:00:00.000Z",
        Settings(
            hidden=(16,), lr=0.05, schedule="cosine", noise=0.3, batch_size=16, max_steps=20_480
        ),
        Reporting(log_every=10, system_every=80, confusion_epochs=40),
        step_ms=250,
        config={"dropout": 0, "tag": "long"},
        known={"labels": None, "cluster": "long", "job": "train"},
    ),
    Plan(
        "diverged",
        "2026-01-20T14:00:00.000Z",
        Settings(hidden=(), loss="mse", lr=1.5, momentum=0.5, max_steps=440),
        Reporting(confusion_epochs=2, confusion_steps=(0, 6, 7)),
        config={"dropout": 0.0, "tag": "too fast", "limit": None},
        known={"description": "A learning rate too high: inf, then NaN", "labels": _label("bad")},
    ),
    Plan(
        "crashed",
        "2026-01-22T16:45:10.007Z",
        Settings(schedule=(0.1, 0.05, 0.02, 0.01), max_steps=440),
        state="CRASHED",
        config={"dropout": 0.1},
        known={"username": "bob", "job": "debug"},
    ),
    Plan(
        "stopped",
        "2026-01-25T08:30:00.000Z",
        Settings(hidden=(128,), lr=0.5, patience=4, max_steps=8_800, batch_size=16),
        Reporting(log_every=50, system_every=100),
        config={"early_stopping": {"on": "val/loss", "patience": 4}},
        wrapped=False,
    ),
    Plan(
        "aborted",
        "2026-02-01T19:00:00.000Z",
        Settings(hidden=(32,), lr=0.05, max_steps=880),
        Reporting(stop_before=317),
        state="ABORTED",
        known={"username": "chen", "show": False},
    ),
    Plan(
        "rtl",
        "2026-02-03T07:20:00.000Z",
        Settings(hidden=(24,), weight_decay=0.001),
        config={"ملاحظة": "تجربة", "tag": "\u200frtl"},
        known={"name": "\u200fأرقام مكتوبة بخط اليد", "username": "zoe"},
    ),
    Plan(
        "unicode",
        "2026-02-04T07:20:00.000Z",
        Settings(hidden=(24,), activation="tanh", lr=0.2),
        config={"学习率": 0.2, "emoji 🙂": True, 'quote"and,comma': 'a,b\n"c"'},
        wrapped=False,
        known={"name": '手写数字 🙂, "版本 2"\nzweite Zeile', "labels": _label("测试", "a,b")},
    ),
    Plan(
        "big-seed",
        "2026-02-06T12:00:00.999Z",
        Settings(hidden=(16, 16), lr=0.2, batch_size=64, seed=2**70),
        config={"limit": 2**63 - 1, "tag": True},
    ),
    Plan(
        "no-profile",
        "2026-02-08T12:00:00.000Z",
        Settings(hidden=(8,), max_steps=132),
        Reporting(details=False),
        known={"profile": None, "username": None, "labels": None, "updatedAt": None},
    ),
    Plan(
        "summary",
        "2026-03-02T09:00:00.000Z",
        Settings(hidden=(48,), optimizer="adam", lr=0.01, max_steps=220),
        known={"type": "SUMMARY", "cluster": "deep", "job": "eval"},
    ),
    Plan(
        "running",
        "2026-03-20T17:00:00.000Z",
        Settings(hidden=(64, 32), lr=0.1, max_steps=4_400),
        Reporting(stop_before=660, confusion_epochs=10),
        state="RUNNING",
        config={"tag": None},
    ),
)


def record_digits(meter: Meter) -> tuple[list[Recorder], list[dict[str, Any]]]:
    """Train every run of the plan; return what they recorded, and the runs."""
    recorders, runs = [], []
    for plan in PLANS:
        rec = start_recorder(DIGITS, plan.slug, plan.start, plan.step_ms)
        ending = record_classifier(rec, plan.settings, plan.how, meter)
        if ending == "interrupted" and plan.state == "ABORTED":
            rec.log("WARN", "interrupted from the keyboard", "stderr")
        config = {**describe_settings(plan.settings), **plan.config}
        profile = build_profile(wrap(config) if plan.wrapped else config, conda=plan.conda)
        known = {"profile": profile, **plan.known}
        runs.append(build_run(rec, plan.slug, plan.state, **known))
        recorders.append(rec)
    offline = start_recorder(DIGITS, "offline", "2026-03-05T10:00:00.000Z", 400)
    recorders.append(offline)
    profile = build_profile({})
    runs.append(build_run(offline, "offline", "OFFLINE", profile=profile, finishedAt=None))
    return recorders, runs
