"""Backups: what a first one, a second one and a check cost; ratios, as in ``run.py``.

``make bench BENCH=backup`` measures 2,000 runs; ``BENCH="backup --runs 40"`` is shorter, and
``--huge`` adds a list of 100,000 runs without points. Object stores are measured on the gateway of
JuiceFS, over the same disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from measure import OFFICIAL_LOOP, OFFICIAL_PYTHON, Cost, measure
from object_stores import BUCKET, Store, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

LATENCY_S = 0.05
JOBS = 8
POINTS_PER_RUN = 10_000


class Bench:
    """Our program, with a server and a folder."""

    def __init__(self, url: str, key: str, folder: Path) -> None:
        self.folder, self.url, self.key = folder, url, key
        self.env = os.environ | {
            "HOME": str(folder),
            "PYTHONWARNINGS": "ignore",
            "SWANLAB_API_HOST": url,
            "SWANLAB_API_KEY": key,
        }

    def ours(self, *words: str) -> Cost:
        """Run a command."""
        return measure([sys.executable, "-m", "swanlab_export", *words], self.folder, self.env)

    def backup(self, project: str, to: str, *options: str) -> Cost:
        """Back a project up."""
        return self.ours("backup", "run", f"synthetic/{project}", "--to", to, "--quiet", *options)


@contextmanager
def serving(folder: Path, *faults: str) -> Iterator[Bench]:
    """A sandbox in a process of its own."""
    words = [sys.executable, "-m", "swanlab_export", "sandbox", "serve"]
    words += [word for fault in ("lenient=1", *faults) for word in ("--fault", fault)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        first = server.stdout.readline()
        try:
            yield Bench(first.split()[3].rstrip(";"), first.split()[-1], folder)
        finally:
            server.terminate()


def row(name: str, shown: str) -> None:
    """Print a row."""
    print(f"  {name:<52} {shown}", flush=True)


def requests_of(project: str, folder: Path) -> tuple[int, int]:
    """How many requests a first backup makes, and a second one that finds nothing new."""
    from swanlab_export.sandbox import Sandbox

    made = []
    with Sandbox(synthetic=True) as sandbox:
        bench = Bench(sandbox.url, sandbox.api_key, folder)
        for _ in range(2):
            sandbox.reset_log()
            bench.backup(project, "counted")
            made.append(len(sandbox.requests))
    shutil.rmtree(folder / "counted")
    return made[0], made[1]


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def first_and_second(bench: Bench, project: str, runs: int, made: tuple[int, int]) -> None:
    """A first backup, one that finds nothing new, and one that finds a hundredth changed."""
    print(f"{runs:,} runs × 2 keys × 5,000 steps at {LATENCY_S * 1000:.0f} ms")
    first = bench.backup(project, "b")
    possible_s = made[0] * LATENCY_S / JOBS
    row("first backup: requests per run", f"{made[0] / runs:.2f}")
    row("first backup: of what jobs and latency allow (≥ 0.6)", f"{possible_s / first.wall_s:.2f}")
    row("first backup: peak memory", f"{first.peak_mb:.0f} MB")
    tables = bench.folder / "b" / "tables" / "metrics"
    row("bytes per point (≤ 5)", f"{size_of(tables) / (runs * POINTS_PER_RUN):.2f}")
    again = bench.backup(project, "b")
    listed = bench.ours(
        *["api", "run", "list", f"synthetic/{project}", "--all"],
        *["--summary", "acc,loss", "--save", "runs.parquet", "--quiet"],
    )
    row("nothing changed: requests", f"{made[1]}")
    row("nothing changed: to `run list --all --summary` (≤ 1.5)", ratio(again, listed))
    receipts = sorted((bench.folder / "b" / "state" / "receipts").rglob("*.json"))
    few = receipts[:: max(1, len(receipts) // max(1, runs // 100))][: max(1, runs // 100)]
    names = ",".join(path.stem for path in few)
    for path in few:
        path.unlink()
    changed = bench.backup(project, "b")
    alone = bench.backup(project, "few", "-f", f"run_id in {names}")
    row(f"{len(few)} changed: to fetching these alone (≤ 2)", ratio(changed, alone))


def checks(bench: Bench) -> None:
    """Verify, against what else reads as many bytes."""
    print("verify")
    backup = bench.folder / "b"
    objects = sum(path.is_file() for path in backup.rglob("*"))
    quick = bench.ours("backup", "verify", "b", "--quiet")
    row(
        f"{objects:,} objects: seconds per 10,000 (≤ 1)",
        f"{quick.wall_s * 10_000 / objects:.2f}",
    )
    whole = bench.ours("backup", "verify", "b", "--read", "all", "--quiet")
    sums = measure(["sh", "-c", "find b -type f -print0 | xargs -0 sha256sum"], bench.folder, {})
    row("--read all: speed, to sha256sum (≥ 0.5)", f"{sums.wall_s / whole.wall_s:.2f}")


def memory(bench: Bench) -> None:
    """One run of 5M points, against one of 1M."""
    print("one run of 40 keys: peak memory")
    small, large = (bench.backup(f"points{n}", f"p{n}") for n in ("1m", "5m"))
    row("1M points", f"{small.peak_mb:.0f} MB")
    row("5M points, to 1M (≤ 1.15)", f"{large.peak_mb / small.peak_mb:.2f}")


def against_official(bench: Bench) -> None:
    """All points of 40 runs: a backup, and a loop over the official client's API."""
    print("40 runs × 2 keys × 5,000 steps")
    ours = bench.backup("many40", "m")
    words = [OFFICIAL_PYTHON, "-c", OFFICIAL_LOOP, bench.url, bench.key]
    row(
        "backup, to the official Api in a loop",
        ratio(ours, measure(words, bench.folder, bench.env)),
    )


def stores(bench: Bench, store: Store) -> None:
    """A gateway on the same disk, against the disk."""
    print("object store (JuiceFS gateway on this disk)")
    bench.env |= store.environ
    on_disk = bench.backup("many40", "disk")
    in_store = bench.backup("many40", f"s3://{BUCKET}/b")
    row("backup of 40 runs, to that on disk (≤ 1.3)", ratio(in_store, on_disk))
    quick = bench.ours("backup", "verify", f"s3://{BUCKET}/b", "--quiet")
    rclone = str(Path(sys.executable).parent / "rclone")
    remote = f":s3,provider=Other,env_auth=true,endpoint='{store.endpoint}':{BUCKET}/b"
    env = bench.env | {"RCLONE_CONFIG": os.devnull}
    measure([rclone, "copy", remote, "copied"], bench.folder, env)
    check = measure([rclone, "check", "copied", remote], bench.folder, env)
    row("verify, to `rclone check` (≤ 1.5)", ratio(quick, check))
    saves = [
        bench.ours(
            *["api", "run", "metrics", f"synthetic/bench/n{n}k1", "--keys", "k0", "--all"],
            *["--save", f"s3://{BUCKET}/{n}.parquet", "--quiet"],
        )
        for n in (1_000_000, 5_000_000)
    ]
    row(
        "--save s3://, 5M points: memory, to 1M (≤ 1.15)",
        f"{saves[1].peak_mb / saves[0].peak_mb:.2f}",
    )


def processes(bench: Bench) -> None:
    """Two processes against one; what it gives depends on the processors that are free."""
    print(f"processes ({os.cpu_count()} processors)")
    one, two = (bench.backup("many40", f"on{n}", "--on", f"processes:{n}") for n in (1, 2))
    row("two, to one: speed (≥ 1.6 where 4 are free)", f"{one.wall_s / two.wall_s:.2f}")


def huge(bench: Bench, folder: Path) -> None:
    """A project of 100,000 runs without points, of which nothing has changed."""
    print("100,000 runs")
    first, again = requests_of("list100000", folder)
    row("first backup: requests", f"{first:,}")
    row("nothing changed: requests (≤ 1,600)", f"{again:,}")
    cost = bench.backup("list100000", "h")
    row("first backup: peak memory", f"{cost.peak_mb:.0f} MB")
    second = bench.backup("list100000", "h")
    listed = bench.ours(
        *["api", "run", "list", "synthetic/list100000", "--all", "--summary", "acc"],
        *["--save", "runs.parquet", "--quiet"],
    )
    row("nothing changed: to `run list --all --summary` (≤ 1.5)", ratio(second, listed))
    row("nothing changed: peak memory (< 250)", f"{second.peak_mb:.0f} MB")


def ratio(cost: Cost, against: Cost) -> str:
    """The ratio of two times."""
    return f"{cost.wall_s / against.wall_s:.2f}"


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, choices=(40, 2000), default=2000)
    parser.add_argument("--huge", action="store_true")
    asked = parser.parse_args()
    project = f"many{asked.runs}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = requests_of(project, folder)
        with serving(folder, f"latency={LATENCY_S * 1000:.0f}ms") as bench:
            first_and_second(bench, project, asked.runs, made)
            against_official(bench)
        with serving(folder) as bench:
            checks(bench)
            memory(bench)
            processes(bench)
            with serve("juicefs", folder) as store:
                stores(bench, store)
            if asked.huge:
                huge(bench, folder)


if __name__ == "__main__":
    main()
