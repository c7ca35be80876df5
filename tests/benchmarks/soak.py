"""Random calls against sandboxes with random faults, compared with what was recorded.

``make bench BENCH=soak`` runs for ten minutes; ``BENCH="soak --seconds 60 --seed 7"`` is shorter. A
call may fail, with an error of ours; what it returns has to be what was recorded. It ends with
counts of requests, faults, outcomes and wrong rows, and with exit code 1 if there are any.
"""

from __future__ import annotations

import argparse
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from recorded import recorded_runs

import swanlab_export as se
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

WORKERS = 4
TIMEOUT_S = 2.0
# Faults after which a call either fails or has the recorded rows; {n} is a random period.
FAULTS = (
    *("latency=20ms", "429={n}", "500={n}", "502={n}", "503={n}", "504={n}", "reset={n}"),
    *("html={n}", "empty={n}", "hang={n}", "redirect={n}", "forget={n}", "expire={n}"),
    *("cut=length", "cut=chunked", "cut=neither", "nolength=1", "gzip=1", "noranges=1"),
    *("relative-presign=1", "shard-count=1", "lenient=1", "total=1", "total=-1"),
    *("csv=reordered", "csv=missing", "csv=short", "csv=empty", "csv=half"),
)
# One call in so many is a command in a process of its own.
COMMAND_PERIOD = 15
Rows = Counter[Any]


class Truth:
    """What was recorded, read without any code of ours."""

    def __init__(self) -> None:
        self.runs = [{**r.payload, "projectId": r.index["project_id"]} for r in recorded_runs()]
        self.points = self._read("metrics", lambda r: (r["key"], r["step"], repr(r["value"])))
        self.logs = self._read("logs", lambda r: (r["line"], r["level"], r["message"]))
        self.project_of = {run.payload["cuid"]: run.path for run in recorded_runs()}

    def _read(self, kind: str, row: Callable[[Any], Any]) -> dict[str, Rows]:
        return {
            run.payload["cuid"]: Counter(map(row, run.rows(kind)))
            for run in recorded_runs()
            if run.index[kind] is not None
        }


class Counts:
    """What happened, over all workers."""

    def __init__(self) -> None:
        self.requests = self.wrong_rows = 0
        self.faults: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.lock = threading.Lock()

    def show(self) -> None:
        """Print all of it."""
        print(f"{self.requests:,} requests, {sum(self.outcomes.values()):,} calls")
        print("calls with each fault:", dict(sorted(self.faults.items())))
        print("outcomes:", dict(self.outcomes.most_common()))
        print(f"wrong rows: {self.wrong_rows}")


class Worker:
    """Calls against one sandbox, with random faults that are set before each call."""

    def __init__(self, truth: Truth, counts: Counts, seed: str, folder: Path) -> None:
        self.truth, self.counts, self.folder = truth, counts, folder
        self.random = random.Random(seed)
        self.words: list[str] = []
        self.calls = (self.metrics, self.metrics, self.logs, self.list, self.info)

    def run(self, until: float) -> None:
        """Call until that time."""
        with Sandbox() as sandbox:
            while time.monotonic() < until:
                sandbox.reset()
                names = [fault.partition("=")[0] for fault in self.set_faults(sandbox)]
                with se.connect(
                    host=sandbox.url,
                    api_key=sandbox.api_key,
                    frame="arrow",
                    timeout=TIMEOUT_S,
                    retries=2,
                ) as api:
                    if self.random.randrange(COMMAND_PERIOD):
                        outcome, wrong = self.call(api)
                    else:
                        outcome, wrong = self.command(sandbox)
                with self.counts.lock:
                    self.counts.requests += len(sandbox.requests)
                    self.counts.faults.update(names)
                    self.counts.outcomes[outcome] += 1
                    self.counts.wrong_rows += wrong

    def set_faults(self, sandbox: Sandbox) -> list[str]:
        """Choose at most three faults, each at most a few times."""
        chosen = self.random.sample(FAULTS, self.random.randrange(4))
        words = [fault.format(n=self.random.randint(2, 6)) for fault in chosen]
        self.words = [*words, f"times={self.random.randint(1, 6)}"]
        sandbox.faults = parse_faults(self.words)
        return words

    def call(self, api: se.Api[pa.Table]) -> tuple[str, int]:
        """Do one call; return how it ended, and how many of its rows are wrong."""
        ask = self.random.choice(self.calls)
        try:
            found, recorded = ask(api)
        except se.SwanlabExportError as error:
            return f"{ask.__name__}: {type(error).__name__}", 0
        except Exception:  # noqa: BLE001  what is no error of ours is a bug: it counts as a wrong row
            traceback.print_exc()
            return f"{ask.__name__}: crashed", 1
        return self.compare(ask.__name__, found, recorded)

    def compare(self, name: str, found: Rows, recorded: Rows) -> tuple[str, int]:
        """Count rows that are missing, or not recorded."""
        wrong = ((found - recorded) + (recorded - found)).total()
        if wrong:
            shown = sorted(map(repr, found - recorded))[:3], sorted(map(repr, recorded - found))[:3]
            print(f"{name}: {wrong} wrong rows with {self.words}: {shown}", file=sys.stderr)
        return f"{name}: {'wrong' if wrong else 'right'}", wrong

    def metrics(self, api: se.Api[pa.Table]) -> tuple[Rows, Rows]:
        """All points of some keys of a run."""
        path, keys, recorded = self.choose_points()
        table = api.run.metrics(path, keys=keys, all=True)
        return read_points(table), recorded

    def choose_points(self) -> tuple[str, list[str], Rows]:
        """Choose a run and some of its keys."""
        run = self.random.choice(sorted(self.truth.points))
        points = self.truth.points[run]
        known = sorted({key for key, _, _ in points})
        keys = self.random.sample(known, min(len(known), self.random.randint(1, 3)))
        wanted = Counter({point: n for point, n in points.items() if point[0] in keys})
        return f"{self.truth.project_of[run]}/{run}", keys, wanted

    def logs(self, api: se.Api[pa.Table]) -> tuple[Rows, Rows]:
        """The whole log of a run."""
        run = self.random.choice(sorted(self.truth.logs))
        table = api.run.logs(f"{self.truth.project_of[run]}/{run}", level="DEBUG")
        rows = columns(table, "line", "level", "message")
        return Counter(rows), self.truth.logs[run]

    def list(self, api: se.Api[pa.Table]) -> tuple[Rows, Rows]:
        """All runs of a project."""
        project = self.random.choice(sorted(set(self.truth.project_of.values())))
        recorded = Counter(
            (run["cuid"], run["name"], run["state"])
            for run in self.truth.runs
            if self.truth.project_of[run["cuid"]] == project
        )
        return Counter(columns(api.run.list(project), "run_id", "name", "state")), recorded

    def info(self, api: se.Api[pa.Table]) -> tuple[Rows, Rows]:
        """One run."""
        run = self.random.choice(self.truth.runs)
        path = f"{self.truth.project_of[run['cuid']]}/{run['cuid']}"
        recorded = Counter([(run["cuid"], run["name"], run["state"])])
        return Counter(columns(api.run.info(path), "run_id", "name", "state")), recorded

    def command(self, sandbox: Sandbox) -> tuple[str, int]:
        """Save points with the command line."""
        path, keys, recorded = self.choose_points()
        file = self.folder / f"{self.random.random()}.parquet"
        words = [sys.executable, "-m", "swanlab_export", "api", "run", "metrics", path, "--all"]
        words += ["--keys", ",".join(keys), "--save", str(file), "--timeout", str(TIMEOUT_S)]
        words += ["--host", sandbox.url, "--api-key", sandbox.api_key, "--retries", "2"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            # What failed left nothing behind.
            return f"command: exit {done.returncode}", len(list(self.folder.glob(f"*{file.name}*")))
        found = read_points(pq.read_table(file))
        file.unlink()
        return self.compare("command", found, recorded)


def columns(table: pa.Table, *names: str) -> Iterable[tuple[Any, ...]]:
    """The rows of some columns."""
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def read_points(table: pa.Table) -> Rows:
    """Points as they are recorded."""
    return Counter((key, step, repr(v)) for key, step, v in columns(table, "key", "step", "value"))


def main() -> None:
    """Run all workers, and show what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    warnings.simplefilter("ignore", se.SwanlabExportWarning)
    logging.getLogger("swanlab_export").setLevel(logging.CRITICAL)
    truth, counts = Truth(), Counts()
    until = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as name:
        workers = [
            Worker(truth, counts, f"{options.seed}-{number}", Path(name))
            for number in range(WORKERS)
        ]
        threads = [threading.Thread(target=each.run, args=(until,)) for each in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts.show()
    if counts.wrong_rows or not counts.outcomes:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
