"""Nights: backups of a living server into one folder, and what lies in it afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import orjson
import pyarrow.dataset as ds

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from living import LivingData

    from swanlab_export.sandbox import Sandbox


class Nights:
    """Backs up a living server."""

    def __init__(
        self, world: LivingData, sandbox: Sandbox, api: se.Api[pa.Table], folder: Path
    ) -> None:
        self.world = world
        self.sandbox = sandbox
        self.api = api
        self.folder = folder

    @classmethod
    @contextmanager
    def of(cls, world: LivingData, sandbox: Sandbox, folder: Path) -> Iterator[Self]:
        """Connect to a server, to back it up into a folder."""
        host, key = sandbox.url, sandbox.api_key
        with se.connect(host=host, api_key=key, frame="arrow", retries=0) as api:
            yield cls(world, sandbox, api, folder)

    def end_two_runs(self) -> None:
        """Have two runs that ended long ago, in a backup that is a day old."""
        for run_id in ("one", "two"):
            self.world.start(run_id)
            self.world.log_many(run_id, 30, "loss", "acc", "cpu")
            self.world.print_line(run_id, "epoch 1")
            image = b"\x89PNG" + run_id.encode()
            self.world.show(run_id, "image", 3, image, caption="a digit")
            self.world.wait(minutes=20)
            self.world.finish(run_id)
        self.world.wait(days=40)
        self.run()
        self.world.wait(days=1)

    def run(self, **options: Any) -> dict[str, tuple[str, str]]:
        """Back up; for each run that was not left as it is its action and its reason or error."""
        self.sandbox.reset_log()
        report: Any = se.backup(self.api, to=self.folder, **options)
        return {
            row["run_id"]: (row["action"], row["error"] or row["reason"])
            for row in report.to_pylist()
        }

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table, as any reader of Parquet sees them."""
        rows: list[dict[str, Any]] = (
            ds.dataset(self.folder / "tables" / name).to_table().to_pylist()
        )
        return rows

    def values(self, run_id: str, key: str = "loss") -> list[float]:
        """The values of a key in the backup."""
        rows = self.table("metrics")
        return [row["value"] for row in rows if (row["run_id"], row["key"]) == (run_id, key)]

    def runs(self) -> dict[str, dict[str, Any]]:
        """The rows of the table of runs."""
        return {row["run_id"]: row for row in self.table("runs")}

    def receipt(self, run_id: str, project_id: str = "lab-digits") -> dict[str, Any]:
        """The receipt of a run."""
        paths = (self.folder / "state" / "receipts").rglob(f"{run_id}.json")
        receipts = (orjson.loads(path.read_bytes()) for path in paths)
        (found,) = (each for each in receipts if each["project_id"] == project_id)
        return dict(found)

    def objects(self, below: str = "") -> dict[str, bytes]:
        """Every object of the backup but the lock, with its content."""
        return objects(self.folder, below)


def objects(folder: Path, below: str = "") -> dict[str, bytes]:
    """Every object of a backup but the lock, with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / below).rglob("*"))
        if path.is_file() and path.name != "lock.json"
    }
