"""Backups: what a first one, a second one and a check cost, beside the goals.

``make bench BENCH=backup`` measures everything but 100,000 runs; ``BENCH="backup first checks"``
only some parts, each of which takes at most five minutes on a quiet machine:

- ``first``: 2,000 runs at 50 ms; ``--runs 40`` is shorter, but says more of start-up than of runs
- ``data``: bytes per point, memory, two processes, the official client
- ``checks``: verify of 10,000 objects, on disk and on the gateway of JuiceFS
- ``stores``: a backup and ``--save`` to that gateway
- ``huge``: an instance of 100,000 runs with a billion points that has not changed, and what each
  part of a backup takes; with ``--store`` on the gateway, too, which takes longer; ``--runs 2000``
  shows whether it works

Ratios are of wall time, with those of CPU time behind, which depend less on what else is going on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from measure import OFFICIAL_LOOP, OFFICIAL_PYTHON, Cost, measure
from object_stores import BUCKET, Store, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
PARTS = ("first", "data", "checks", "stores", "huge")
LATENCY_S = 0.05
JOBS = 8
POINTS_PER_RUN = 10_000


class Bench:
    """Our program, with a server and a folder."""

    def __init__(self, server: subprocess.Popen[str], folder: Path) -> None:
        assert server.stdin is not None
        assert server.stdout is not None
        self._asking: IO[str] = server.stdin
        self._said: IO[str] = server.stdout
        self.url, self.key = self._said.readline().split()
        self.folder = folder
        self.env = os.environ | {
            "HOME": str(folder),
            "PYTHONWARNINGS": "ignore",
            "SWANLAB_API_HOST": self.url,
            "SWANLAB_API_KEY": self.key,
        }

    def ours(self, *words: str) -> Cost:
        """Run a command."""
        return measure([sys.executable, "-m", "swanlab_export", *words], self.folder, self.env)

    def backup(self, project: str, to: str, *options: str) -> Cost:
        """Back a project up."""
        return self.ours("backup", "run", f"synthetic/{project}", "--to", to, "--quiet", *options)

    def list_runs(self, project: str) -> Cost:
        """List the runs of a project with all summaries, as a backup does to see what changed."""
        words = ["api", "run", "list", f"synthetic/{project}", "--all", "--summary", "acc,loss"]
        return self.ours(*words, "--save", "runs.parquet", "--quiet")

    def requests(self) -> int:
        """How many requests the server got since this was asked."""
        print(file=self._asking, flush=True)
        return int(self._said.readline().split()[0])

    def rclone(self, *words: str) -> Cost:
        """Run rclone."""
        program = str(Path(sys.executable).parent / "rclone")
        return measure([program, *words], self.folder, self.env)

    def copy(self, backup: str, remote: str) -> None:
        """Copy a backup into a store, without its lock, which there would seem to be held."""
        self.rclone("copy", "--transfers", "16", "--exclude", "/state/lock.json", backup, remote)

    def multiply(self, project: str, to: str, *options: str) -> Cost:
        """Have all runs of a project in a backup, like the one that is there."""
        words = [sys.executable, str(HERE / "multiply.py"), to, f"synthetic/{project}"]
        return measure([*words, *options], self.folder, self.env)


@contextmanager
def serving(folder: Path, *faults: str) -> Iterator[Bench]:
    """A sandbox in a process of its own: what this process holds would count with its children."""
    words = [sys.executable, str(HERE / "served.py"), *faults]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as server:
        try:
            yield Bench(server, folder)
        finally:
            server.terminate()


def title(text: str) -> None:
    """Print what the next rows are about."""
    print(f"\n{text}\n  {'what':<58} {'goal':<9} measured", flush=True)


def row(name: str, goal: str, measured: str) -> None:
    """Print a row."""
    print(f"  {name:<58} {goal:<9} {measured}", flush=True)


def ratio(cost: Cost, against: Cost) -> str:
    """The ratio of two times, and that of CPU times."""
    return f"{cost.wall_s / against.wall_s:.2f}  (CPU {cost.cpu_s / against.cpu_s:.2f})"


def files_of(folder: Path) -> tuple[int, int]:
    """How many files there are below a folder, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def measure_first(folder: Path, runs: int) -> None:
    """A first backup, one that finds nothing new, and one that finds a hundredth changed."""
    project = f"many{runs}"
    with serving(folder, f"latency={LATENCY_S * 1000:.0f}ms") as bench:
        title(f"{runs:,} runs × 2 keys × 5,000 steps at {LATENCY_S * 1000:.0f} ms")
        first, made = bench.backup(project, "b"), bench.requests()
        possible_s = made * LATENCY_S / JOBS
        row("first backup: requests per run", "few", f"{made / runs:.2f}")
        row("  of what jobs and latency allow", "≥ 0.6", f"{possible_s / first.wall_s:.2f}")
        row("  peak memory", "< 250 MB", f"{first.peak_mb:.0f} MB")
        row("  CPU per run", "", f"{first.cpu_s / runs * 1000:.1f} ms")
        again, made = bench.backup(project, "b"), bench.requests()
        row("nothing changed: requests", "≤ 45", f"{made}")
        row("  to `run list --all --summary`", "≤ 1.5", ratio(again, bench.list_runs(project)))
        change(bench, project, max(1, runs // 100))


def change(bench: Bench, project: str, count: int) -> None:
    """Some runs changed, against fetching these alone."""
    receipts = sorted((bench.folder / "b" / "state" / "receipts").rglob("*.json"))
    few = receipts[:: len(receipts) // count][:count]
    for path in few:  # as if a part had been missing: these runs are fetched again
        receipt = json.loads(path.read_bytes()) | {"complete": False}
        del receipt["sha256"]
        path.write_text(json.dumps(receipt))
    bench.requests()
    changed, made = bench.backup(project, "b"), bench.requests()
    names = ",".join(path.stem for path in few)
    alone, made_alone = bench.backup(project, "few", "-f", f"run_id in {names}"), bench.requests()
    row(f"{count} changed: to fetching these alone", "≤ 2", ratio(changed, alone))
    row("  requests, and for these alone", "", f"{made}, {made_alone}")


def measure_data(folder: Path) -> None:
    """Bytes per point, memory, processes, the official client."""
    with serving(folder) as bench:
        title("what points take")
        bench.backup("many40", "m")
        size = files_of(folder / "m" / "tables" / "metrics")[1]
        row("bytes per point: a loss and an accuracy", "≤ 5", f"{size / 40 / POINTS_PER_RUN:.2f}")
        small = bench.backup("points1m", "p1m")
        size = files_of(folder / "p1m" / "tables" / "metrics")[1]
        row("  random digits, which nothing makes smaller", "reported", f"{size / 1_000_000:.2f}")
        recorded = ["backup", "run", "ada-lab/digits", "--to", "recorded", "--quiet"]
        bench.ours(*recorded, "--tables", "metrics")
        largest = max((folder / "recorded" / "tables" / "metrics").rglob("*.parquet"), key=size_of)
        points = rows_of(largest)
        row("  the longest recorded run", "≤ 5", f"{size_of(largest) / points:.2f}")
        large = bench.backup("points5m", "p5m")
        row("one run of 40 keys, 5M points: memory, to 1M", "≤ 1.15", memory(large, small))
        row("  peak memory", "< 250 MB", f"{large.peak_mb:.0f} MB")
        one, two = (bench.backup("many200", f"on{n}", "--on", f"processes:{n}") for n in (1, 2))
        goal = "≥ 1.6" if (os.cpu_count() or 1) >= 4 else "reported"
        row("200 runs: two processes, to one: speed", goal, f"{one.wall_s / two.wall_s:.2f}")
    with serving(folder, f"latency={LATENCY_S * 1000:.0f}ms") as bench:
        bench.backup("many40", "warm")  # the sandbox generates its data at the first request
        ours = bench.backup("many40", "o")
        words = [OFFICIAL_PYTHON, "-c", OFFICIAL_LOOP, bench.url, bench.key]
        official = measure(words, folder, bench.env)
        row("40 runs: backup, to the official Api in a loop", "reported", ratio(ours, official))


def size_of(path: Path) -> int:
    """The bytes of a file."""
    return path.stat().st_size


def rows_of(path: Path) -> int:
    """The rows of a file, counted by another process: Arrow would count with the next children."""
    code = "import sys, pyarrow.parquet as p; print(p.read_metadata(sys.argv[1]).num_rows)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    return int(done.stdout)


def memory(cost: Cost, against: Cost) -> str:
    """The ratio of two peaks."""
    return f"{cost.peak_mb / against.peak_mb:.2f}"


def measure_checks(folder: Path) -> None:
    """Verify, against what else reads as many bytes, and on the gateway against ``rclone check``."""
    with serving(folder) as bench, serve("juicefs", folder) as store:
        bench.env |= store.environ | {"RCLONE_CONFIG": os.devnull}
        bench.backup("many2000", "v", "-f", "name=many2000-0")
        bench.multiply("many2000", "v", "--extra", "logs", "medias")
        bench.backup("many2000", "v")
        objects, size = files_of(folder / "v")
        title(f"verify of {objects:,} objects, {size / 1e6:,.0f} MB")
        quick = best(lambda: bench.ours("backup", "verify", "v", "--quiet"))
        row("existence, size, footer", "≤ 1 s", f"{quick.wall_s:.2f} s  (CPU {quick.cpu_s:.2f} s)")
        row("  peak memory", "", f"{quick.peak_mb:.0f} MB")
        words = ["sh", "-c", "find v -type f -print0 | xargs -0 sha256sum"]
        sums = best(lambda: measure(words, folder, {}))
        whole = best(lambda: bench.ours("backup", "verify", "v", "--read", "all", "--quiet"))
        row("--read all: speed, to sha256sum", "≥ 0.5", ratio(sums, whole))
        place, remote = f"s3://{BUCKET}/v", rclone_path(store, "v")
        bench.copy("v", remote)
        bench.backup(
            "many2000", place
        )  # what a store says of a receipt differs from what a disk says
        bench.rclone("copy", "--checksum", remote, "v")
        (folder / "v" / "state" / "lock.json").unlink()
        check = best(lambda: bench.rclone("check", "v", remote))
        in_store = best(lambda: bench.ours("backup", "verify", place, "--quiet"))
        row("on the gateway: to `rclone check`", "≤ 1.5", ratio(in_store, check))
        row("  seconds", "", f"{in_store.wall_s:.2f}, {check.wall_s:.2f}")


def best(run: Callable[[], Cost]) -> Cost:
    """The shortest of three."""
    return min((run() for _ in range(3)), key=lambda cost: cost.wall_s)


def rclone_path(store: Store, prefix: str) -> str:
    """What rclone calls a prefix of the bucket."""
    return f":s3,provider=Other,env_auth=true,endpoint='{store.endpoint}':{BUCKET}/{prefix}"


def measure_stores(folder: Path) -> None:
    """A gateway on the same disk, against the disk."""
    with serving(folder) as bench, serve("juicefs", folder) as store:
        bench.env |= store.environ
        title("object store: the gateway of JuiceFS on this disk")
        bench.backup("many40", "warm")
        on_disk = bench.backup("many200", "disk")
        in_store = bench.backup("many200", f"s3://{BUCKET}/b")
        row("backup of 200 runs, to that on disk", "≤ 1.3", ratio(in_store, on_disk))
        small, large = (
            bench.ours(
                *["api", "run", "metrics", f"synthetic/bench/n{n}k1", "--keys", "k0", "--all"],
                *["--save", f"s3://{BUCKET}/{n}.parquet", "--quiet"],
            )
            for n in (1_000_000, 5_000_000)
        )
        row("--save s3://, 5M points: memory, to 1M", "≤ 1.15", memory(large, small))
        row("  peak memory", "", f"{large.peak_mb:.0f} MB")


def measure_huge(folder: Path, runs: int, *, has_store: bool) -> None:
    """An instance of many runs, of which nothing has changed, and what each part of it takes."""
    project = f"many{runs}"
    with serving(folder) as bench, serve("juicefs", folder) as store:
        bench.env |= store.environ | {"RCLONE_CONFIG": os.devnull}
        title(f"{runs:,} runs × 2 keys × 5,000 steps")
        part(bench, "first run", bench.backup(project, "h", "-f", f"name={project}-0"))
        bench.multiply(project, "h", "--linked")
        bench.requests()
        part(bench, "fold all runs into tables and index", bench.backup(project, "h"))
        again = bench.backup(project, "h")
        made = part(bench, "nothing changed", again)
        listed = bench.list_runs(project)
        part(bench, "run list --all --summary", listed)
        part(bench, "verify", bench.ours("backup", "verify", "h", "--quiet"))
        part(bench, "status", bench.ours("backup", "status", "h"))
        path = f"synthetic/{project}/{project}-{runs // 2}"
        points = ["api", "run", "metrics", path, "--keys", "loss", "--all", "--host", "backup:h"]
        part(bench, "points of one run, out of the backup", bench.ours(*points))
        for name in (
            "state/receipts",
            "state/payloads",
            "tables/metrics",
            "tables/runs",
            "tables/configs",
            "tables/summary",
            "state/index",
            "state/snapshots",
        ):
            objects, size = files_of(folder / "h" / name)
            row(f"  {name}", "", f"{objects:,} objects, {size / 1e6:,.1f} MB")
        row("nothing changed: requests", "≤ 1,600", f"{made:,}")
        row("  to `run list --all --summary`", "≤ 1.5", ratio(again, listed))
        row("  peak memory", "< 250 MB", f"{again.peak_mb:.0f} MB")
        if has_store:
            for name in ("state/payloads", "tables/metrics"):  # nothing that follows reads these
                shutil.rmtree(folder / "h" / name)
            place = f"s3://{BUCKET}/h"
            bench.copy("h", rclone_path(store, "h"))
            # The gateway reads a whole folder for each page of a list.
            options = ("--store-option", "timeout=600s")
            part(bench, "on the gateway: fold all runs", bench.backup(project, place, *options))
            in_store = bench.backup(project, place, *options)
            made = part(bench, "on the gateway: nothing changed", in_store)
            row("on the gateway: nothing changed: requests", "≤ 1,600", f"{made:,}")
            row("  to that on disk", "≤ 2", ratio(in_store, again))
            row("  peak memory", "", f"{in_store.peak_mb:.0f} MB")


def part(bench: Bench, name: str, cost: Cost) -> int:
    """Print what a part takes; returns the number of its requests."""
    made = bench.requests()
    took = f"{made:,} requests, {cost.wall_s:.1f} s (CPU {cost.cpu_s:.1f} s), {cost.peak_mb:.0f} MB"
    row(f"  {name}", "", took)
    return made


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), default=[])
    parser.add_argument("--runs", type=int, choices=(40, 200, 2000, 100_000))
    parser.add_argument("--store", action="store_true")
    asked = parser.parse_args()
    for name in asked.parts or PARTS[:-1]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if name == "first":
                measure_first(folder, asked.runs or 2000)
            elif name == "data":
                measure_data(folder)
            elif name == "checks":
                measure_checks(folder)
            elif name == "stores":
                measure_stores(folder)
            else:
                measure_huge(folder, asked.runs or 100_000, has_store=asked.store)


if __name__ == "__main__":
    main()
