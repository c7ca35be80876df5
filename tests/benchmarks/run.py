"""Ours against the official client and a bare script, on one sandbox, in one run.

``make bench`` prints ratios; seconds depend on the machine. With ``--slow`` the official client
also lists 2,000 runs at 50 ms latency, which takes it minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measure import OFFICIAL_LOOP, OFFICIAL_PYTHON, Cost, measure

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform != "linux":
    raise SystemExit("time and memory are measured as Linux counts them")

HERE = Path(__file__).parent
OFFICIAL = "from swanlab.cli import cli; cli()"


class Bench:
    """One sandbox in a process of its own, and the programs that are compared on it."""

    def __init__(self, url: str, key: str, folder: Path) -> None:
        self.access = ["--host", url, "--api-key", key]
        self.url, self.key, self.folder = url, key, folder
        private = {"HOME": str(folder), "SWANLAB_SAVE_DIR": str(folder)}
        self.env = {**os.environ, **private, "PYTHONWARNINGS": "ignore"}
        # An installed package is compiled once, not at each start.
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)

    def ours(self, *words: str) -> Cost:
        """Our command line."""
        return self._run([sys.executable, "-m", "swanlab_export", "api", *words, *self.access])

    def official(self, *words: str) -> Cost:
        """The official command line."""
        return self._run([OFFICIAL_PYTHON, "-c", OFFICIAL, "api", *words, *self.access])

    def limit(self, path: str, keys: str) -> Cost:
        """The bare script."""
        script = str(HERE / "limit.py")
        return self._run([sys.executable, script, self.url, self.key, path, keys, "limit.parquet"])

    def official_loop(self) -> Cost:
        """The official API over 40 runs."""
        return self._run([OFFICIAL_PYTHON, "-c", OFFICIAL_LOOP, self.url, self.key])

    def help(self, python: str, code: str) -> Cost:
        """Start-up alone: the best of five."""
        return fastest(lambda: self._run([python, "-c", code, "api", "--help"]))

    def _run(self, words: list[str]) -> Cost:
        return measure(words, self.folder, self.env)


def fastest(run: Callable[[], Cost]) -> Cost:
    """The best of five."""
    return min((run() for _ in range(5)), key=lambda cost: cost.wall_s)


def show(name: str, cost: Cost, against: Cost | None) -> None:
    """Print a row: peak memory, and ratios to what it is compared with."""
    ratio = (
        ""
        if against is None
        else (f"wall × {cost.wall_s / against.wall_s:.3f}   CPU × {cost.cpu_s / against.cpu_s:.2f}")
    )
    print(f"  {name:<34} {cost.peak_mb:7.0f} MB   {ratio}", flush=True)


def exports(bench: Bench) -> None:
    """A short command, then full exports, against the bare script and the official client."""
    print("a short data command: run info")
    ours = fastest(lambda: bench.ours("run", "info", "ada-lab/digits/linear"))
    official = fastest(lambda: bench.official("run", "info", "ada-lab/digits/linear"))
    show("ours to official", ours, official)
    for steps, count in ((1_000_000, 1), (100_000, 16), (5_000_000, 1)):
        shape, points = f"n{steps}k{count}", steps * count
        path, keys = f"synthetic/bench/{shape}", ",".join(f"k{i}" for i in range(count))
        bench.limit(path, keys)  # the server writes its file once, for all that follow
        limit = min((bench.limit(path, keys) for _ in range(3)), key=lambda cost: cost.cpu_s)
        print(f"run metrics {shape} --all: ratios to the bare script")
        show("bare script, parquet", limit, None)
        metrics = ["run", "metrics", path, "--keys", keys, "--all", "--save"]
        best = min((bench.ours(*metrics, "x.parquet") for _ in range(3)), key=lambda c: c.cpu_s)
        show("ours, parquet", best, limit)
        for extension in ("csv", "json"):
            show(f"ours, {extension}", bench.ours(*metrics, f"x.{extension}"), limit)
        official = bench.official(*metrics, "official.json")
        check_official(bench.folder / "official.json", points)
        show("official, json", official, limit)
        print(f"  ours (parquet) takes {best.wall_s / official.wall_s:.3f} of the official's time")


def check_official(path: Path, points: int) -> None:
    """The official client exits 0 without rows when a download fails: that is no time to beat.

    The file is not read: memory of this process would be counted with that of its children.
    """
    assert path.stat().st_size > 50 * points, "no rows"


def lists(bench: Bench, *, is_slow: bool) -> None:
    """Many small requests, at 50 ms each."""
    listed = bench.ours("run", "list", "synthetic/list2000", "--all", "--save", "runs.parquet")
    print("run list --all, 2,000 runs at 50 ms latency")
    show("ours", listed, None)
    if is_slow:
        official = bench.official("run", "list", "synthetic/list2000", "--all", "--save", "r.json")
        show("ours to official", listed, official)
    words = ["run", "metrics", "-p", "synthetic/many40", "--keys", "loss,acc", "--all"]
    # Not measured: the sandbox generates its data at the first request.
    bench.ours(*words, "--save", "m.parquet")
    many = bench.ours(*words, "--save", "m.parquet")
    print("all metrics of 40 runs × 2 keys × 5,000 steps at 50 ms latency")
    show("ours to official", many, bench.official_loop())


def requests_made(folder: Path) -> None:
    """How many requests a list of 2,000 runs takes.

    Comes last, and imports here: what this process holds would count with its children's memory.
    """
    from swanlab_export.sandbox import Sandbox

    print("requests of run list --all, 2,000 runs")
    with Sandbox(synthetic=True) as sandbox:
        bench = Bench(sandbox.url, sandbox.api_key, folder)
        for name, run in (("ours", bench.ours), ("official", bench.official)):
            sandbox.reset_log()
            run("run", "list", "synthetic/list2000", "--all", "--save", "runs.json")
            print(f"  {name:<34} {len(sandbox.requests):7,}", flush=True)


def main() -> None:
    """Run everything; or with ``soak``, ``backup`` or ``pairs`` only that."""
    if sys.argv[1:2] in (["soak"], ["backup"], ["pairs"]):
        words = [sys.executable, str(HERE / f"{sys.argv[1]}.py"), *sys.argv[2:]]
        done = subprocess.run(words, check=False)
        raise SystemExit(done.returncode)
    print("start-up of `swanlab api --help`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench("", "", folder)
        ours = bench.help(sys.executable, "from swanlab_export.cli import main; main()")
        show("ours to official", ours, bench.help(OFFICIAL_PYTHON, OFFICIAL))
        lenient = ["--fault", "lenient=1"]
        for faults, work in ((lenient, exports), ([*lenient, "--fault", "latency=50ms"], None)):
            words = [sys.executable, "-m", "swanlab_export", "sandbox", "serve", *faults]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                first = server.stdout.readline()
                url, key = first.split()[3].rstrip(";"), first.split()[-1]
                try:
                    bench = Bench(url, key, folder)
                    if work is not None:
                        work(bench)
                    else:
                        lists(bench, is_slow="--slow" in sys.argv)
                        if "--slow" in sys.argv:
                            memory(bench)
                finally:
                    server.terminate()
        requests_made(folder)


def memory(bench: Bench) -> None:
    """A list of 100,000 runs to Parquet, against one of 2,000."""
    print("run list --all to Parquet: peak memory")
    for name in ("list2000", "list100000"):
        cost = bench.ours("run", "list", f"synthetic/{name}", "--all", "--save", "runs.parquet")
        show(name, cost, None)


if __name__ == "__main__":
    main()
