"""Trains small models on scikit-learn's digits and records them as the sandbox's data.

Run it as `python sample_data/record.py`; it takes about ten seconds. With `--measure` the use of
processor and memory is measured anew; without, the kept measurement is replayed, and
the same libraries on the same kind of processor write the same bytes.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # sums in one order, whatever the number of cores

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accounts import DIGITS, SEGMENTATION, build_projects, build_users, build_workspaces
from digits_runs import record_digits
from other_runs import record_secret, record_segmentation_runs, record_sweep
from runs import clone_run
from system import Meter
from writing import write_json, write_jsonl, write_recordings

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
    columns = [column for rec in recorders for column in rec.columns.values()]
    clones = build_clones(runs)
    columns += [
        {**column, "runId": clone["cuid"]}
        for clone in clones
        for column in columns
        if column["runId"] == clone["rootExpId"]
    ]
    asked.into.mkdir(parents=True, exist_ok=True)
    write_json(asked.into / "users.json", build_users())
    write_json(asked.into / "workspaces.json", build_workspaces())
    write_json(asked.into / "projects.json", build_projects())
    write_jsonl(asked.into / "runs.jsonl", [*runs, *clones])
    write_jsonl(asked.into / "columns.jsonl", columns)
    write_recordings(asked.into, [p["cuid"] for p in build_projects()], recorders)
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
