"""The runs of ada-lab/sweep, vision-team/segmentation and vision-team/secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from accounts import SECRET, SEGMENTATION, SWEEP
from classify import Reporting, record_classifier
from other_tasks import record_autoencoder, record_kmeans, record_segmentation
from runs import build_profile, build_run, describe_settings, start_recorder, wrap
from training import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recorder import Recorder
    from system import Meter

Recorded = tuple[list["Recorder"], list[dict[str, Any]]]
RATES = {
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0),
    "momentum": (0.003, 0.01, 0.03, 0.1),
    "adam": (0.001, 0.003, 0.01, 0.03),
}
SEEDS = 5


def plan_sweep() -> Iterator[tuple[str, str, Settings]]:
    """Yield the group, the run's name and its settings: 26 groups of 5 seeds each."""
    for optimizer, rates in RATES.items():
        for rate in rates:
            for width in (8, 32):
                group = f"{optimizer}-lr{rate}-h{width}"
                for seed in range(SEEDS):
                    settings = Settings(
                        hidden=(width,),
                        optimizer="adam" if optimizer == "adam" else "sgd",
                        momentum=0.9 if optimizer == "momentum" else 0.0,
                        lr=rate,
                        max_steps=220,
                        seed=seed,
                    )
                    yield group, f"{group}-s{seed}", settings


def record_sweep(meter: Meter) -> Recorded:
    """Train the sweep, two runs at a time on the simulated clock; the last seed has no slug."""
    recorders, runs = [], []
    how = Reporting(log_every=1000, system_every=110, details=False)
    first = datetime(2026, 2, 10, 9, tzinfo=UTC)
    for number, (group, name, settings) in enumerate(plan_sweep()):
        start = (first + timedelta(seconds=30 * number, milliseconds=37 * number)).isoformat()
        rec = start_recorder(SWEEP, name, start, 200)
        record_classifier(rec, settings, how, meter)
        known = {
            "name": name,
            "cluster": group,
            "job": "train",
            "username": "bob" if number % 2 else "ada",
            "profile": build_profile(wrap(describe_settings(settings))),
        }
        slug = None if settings.seed == SEEDS - 1 else name.replace(".", "-")
        runs.append(build_run(rec, slug, "FINISHED", **known))
        recorders.append(rec)
    return recorders, runs


def record_segmentation_runs(meter: Meter) -> Recorded:
    """Train three finders of ink, and group digits by k-means."""
    recorders, runs = [], []
    for number, (size, noise) in enumerate(((1, 0.3), (3, 0.3), (5, 0.5))):
        slug = f"ink-patch{size}"
        rec = start_recorder(SEGMENTATION, slug, f"2026-01-2{number}T13:00:00.000Z", 300)
        config = {"size": size, "noise": noise, "lr": 2.0, "steps": 601, "seed": number}
        record_segmentation(rec, meter, size=size, lr=2.0, noise=noise, steps=601, seed=number)
        profile = build_profile(config)
        runs.append(build_run(rec, slug, "FINISHED", username="chen", profile=profile))
        recorders.append(rec)
    rec = start_recorder(SEGMENTATION, "kmeans-10", "2026-01-25T13:00:00.000Z", 5000)
    record_kmeans(rec, meter, clusters=10, seed=0)
    profile = build_profile(wrap({"clusters": 10, "seed": 0}))
    runs.append(build_run(rec, "kmeans-10", "FINISHED", username="chen", profile=profile))
    recorders.append(rec)
    return recorders, runs


def record_secret(meter: Meter) -> Recorded:
    """Train two autoencoders in the project that not everybody may see."""
    recorders, runs = [], []
    for code in (4, 12):
        slug = f"code-{code}"
        rec = start_recorder(SECRET, slug, f"2026-02-20T{code + 6:02}:00:00.000Z", 100)
        record_autoencoder(rec, meter, code=code, lr=0.05, steps=1001)
        profile = build_profile({"code": code, "lr": 0.05, "steps": 1001})
        runs.append(build_run(rec, slug, "FINISHED", username="chen", profile=profile))
        recorders.append(rec)
    return recorders, runs
