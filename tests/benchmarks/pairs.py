"""This tree against another one: CPU and memory of the same commands, in alternating pairs.

``make bench BENCH="pairs ../before"`` says whether a change costs anything. Both trees have the
libraries of this one's environment, and ask one sandbox; each pair runs at the same load, so that
the median of their ratios can be trusted where seconds cannot.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Cost, measure

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parents[2]
ONE = ["run", "metrics", "synthetic/bench/n1000000k1", "--keys", "k0", "--all", "--save"]
KEYS = ",".join(f"k{i}" for i in range(16))
SIXTEEN = ["run", "metrics", "synthetic/bench/n100000k16", "--keys", KEYS, "--all", "--save"]
MANY = ["run", "metrics", "-p", "synthetic/many40", "--keys", "loss,acc", "--all", "--save"]
COMMANDS = {
    "--help": ["--help"],
    "run info": ["run", "info", "ada-lab/digits/linear"],
    "1M points, parquet": [*ONE, "x.parquet"],
    "16 × 100k points, parquet": [*SIXTEEN, "x.parquet"],
    "1M points, csv": [*ONE, "x.csv"],
    "16 × 100k points, csv": [*SIXTEEN, "x.csv"],
    "1M points, json": [*ONE, "x.json"],
    "2,000 runs, parquet": ["run", "list", "synthetic/list2000", "--all", "--save", "x.parquet"],
    "40 runs × 2 keys, parquet": [*MANY, "x.parquet"],
}


def main() -> None:
    """Print a row per command."""
    parser = argparse.ArgumentParser(prog="pairs", description=__doc__)
    parser.add_argument("other", type=Path, help="the folder of the other tree")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--only", default="", help="commands whose name contains this")
    given = parser.parse_args()
    chosen = {name: words for name, words in COMMANDS.items() if given.only in name}
    with tempfile.TemporaryDirectory() as name, sandbox() as access:
        for title, words in chosen.items():
            asks = [] if title == "--help" else access
            show(title, [*words, *asks], given.other.resolve(), given.pairs, Path(name))


@contextmanager
def sandbox() -> Iterator[list[str]]:
    """Serve the runs that are generated; the options that name the server."""
    words = [sys.executable, "-m", "swanlab_export", "sandbox", "serve", "--fault", "lenient=1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        first = server.stdout.readline().split()
        try:
            yield ["--host", first[3].rstrip(";"), "--api-key", first[-1]]
        finally:
            server.terminate()


def show(title: str, words: list[str], other: Path, pairs: int, folder: Path) -> None:
    """Run a command in both trees in turn, and print the medians of the ratios."""
    # Not measured: the server writes its files, and Python compiles the modules.
    run(HERE, words, folder)
    run(other, words, folder)
    costs = []
    for number in range(pairs):
        trees = (HERE, other) if number % 2 else (other, HERE)
        found = {tree: run(tree, words, folder) for tree in trees}
        costs.append((found[HERE], found[other]))
    cpu = [here.cpu_s / there.cpu_s for here, there in costs]
    peak = [here.peak_mb / there.peak_mb for here, there in costs]
    print(
        f"  {title:<28} CPU × {statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})"
        f"   memory × {statistics.median(peak):.2f}",
        flush=True,
    )


def run(tree: Path, words: list[str], folder: Path) -> Cost:
    """Run a command of one tree."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"HOME": str(folder), "SWANLAB_SAVE_DIR": str(folder), "PYTHONPATH": str(tree)}
    env["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    # Two copies of the same library are no comparison: the system may keep the file of one in larger
    # pieces, of which a process that needs a part has the whole, 20 MB of 80 for pyarrow.
    return measure([sys.executable, "-m", "swanlab_export", "api", *words], folder, env)


if __name__ == "__main__":
    main()
