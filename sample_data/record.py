"""Trains small models on scikit-learn's digits and records them as the sandbox's data.

Run it as `python sample_data/record.py`; it takes about ten seconds. With `--measure` the use of
processor and memory is measured anew; without, the kept measurement is replayed, and
the same libraries on the same kind of processor write the same bytes.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # sums in one order, whatever the number of cores

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accounts import (
    DIGITS,
    SEGMENTATION,
    build_contents,
    build_members,
    build_projects,
    build_users,
)
from digits_runs import record_digits
from other_runs import record_secret, record_segmentation_runs, record_sweep
from pack import pack
from runs import clone_run
from system import Meter
from writing import write_dataset, write_json

if TYPE_CHECKING:
    from recorder import Recorder

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Train, record and write everything."""
    parser = argparse.ArgumentParser(description="Record the sandbox's data.")
    parser.add_argument("--measure", action="store_true", help="measure processor and memory anew")
    parser.add_argument("--into", type=Path, default=HERE, help="where to write (default: here)")
    asked = parser.parse_args()
    meter = Meter(HERE / "measured.json", measure=asked.measure)
    recorders: list[Recorder] = []
    runs: list[dict[str, Any]] = []
    with np.errstate(all="ignore"):  # one of the runs diverges on purpose
        for record in (record_digits, record_sweep, record_segmentation_runs, record_secret):
            found, described = record(meter)
            recorders += found
            runs += described
            print(f"{record.__name__}: {len(described)} runs")
    runs += build_clones(runs)
    with tempfile.TemporaryDirectory() as name:
        recording = Path(name)
        write_dataset(recording, build_projects(runs), runs, recorders, build_contents())
        accounts = {"users": build_users(), "members": build_members()}
        write_json(recording / "accounts.json", accounts)
        pack(recording, asked.into)
    meter.save()


def build_clones(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one clone beside its original, and one in another project."""
    original = next(r for r in runs if r["slug"] == "mlp-adam" and r["projectId"] == DIGITS)
    created = {"createdAt": "2026-03-10T10:00:00.000Z", "updatedAt": "2026-03-10T10:00:01.000Z"}
    far = {"createdAt": "2026-02-24T10:00:00.000Z", "updatedAt": "2026-02-24T10:00:01.000Z"}
    return [
        clone_run(original, DIGITS, "mlp-clone", **created),
        clone_run(original, SEGMENTATION, "digits-clone", **far),
    ]


if __name__ == "__main__":
    main()
