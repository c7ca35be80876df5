"""Many runs in a backup, written like the one that is there, for benchmarks of what does not change.

Fetching 100,000 runs takes longer than measuring what they cost when nothing has changed. Each run
gets a receipt with the facts that the server tells of it, and copies of the objects of the one that
was fetched; the next backup folds them into tables and index.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import swanlab_export as se
from swanlab_export.api.runs.survey import all_runs
from swanlab_export.backups.receipts import Receipt, Stored
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.refs import parse_project
from swanlab_export.report import Report


class Multiplier:
    """Writes runs like one that is there.

    Args:
        backup: The backup.
        folder: The folder of its project.
        extra: Tables of runs that the run lacks, and for which it gets a small object.
        is_linked: What has the same bytes is one file under many names, which takes no room.
    """

    def __init__(self, backup: Path, folder: str, extra: list[str], *, is_linked: bool) -> None:
        (path,) = (backup / "state" / "receipts" / folder).glob("*.json")
        self._backup = backup
        self._is_linked = is_linked
        self._folder = path.parent
        self._one = Receipt.parse(path.read_bytes())
        self._contents: dict[str, tuple[str, Stored, Path]] = {}
        for name, stored in self._one.objects.items():
            if stored.path:
                self._take(name, stored, stored.path)
        small = backup / "tables" / "projects.parquet"
        sha256 = hashlib.sha256(small.read_bytes()).hexdigest()
        for table in extra:
            made = f"tables/{table}/{folder}/{self._one.run_id}.parquet"
            self._contents[table] = (made, Stored(made, 1, small.stat().st_size, sha256), small)

    def _take(self, name: str, stored: Stored, path: str) -> None:
        self._contents[name] = (path, stored, self._backup / path)

    def _copy(self, name: str, target: Path) -> None:
        """Have an object of the run under another name."""
        path, stored, content = self._contents[name]
        if self._is_linked:
            with suppress(OSError):  # a file has only so many names
                target.hardlink_to(content)
                return
        shutil.copyfile(content, target)
        self._contents[name] = (path, stored, target)

    def write(self, payload: Any, project_id: str) -> None:
        """Write one run."""
        one = self._one
        run_id = endpoint.read_source(payload, project_id).run_id
        objects = dict(one.objects)
        for name, (path, stored, _) in list(self._contents.items()):
            made = path.replace(f"/{one.run_id}.", f"/{run_id}.")
            objects[name] = stored._replace(path=made)
            target = self._backup / made
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                self._copy(name, target)
        known = {
            **{name: getattr(one, name) for name in Receipt.__dataclass_fields__},
            "run_id": run_id,
            "facts": endpoint.read_facts(payload) | {"summary": one.facts["summary"]},
            "row": one.row | {"run_id": run_id, "name": run_id},
            "objects": objects,
        }
        (self._folder / f"{run_id}.json").write_bytes(Receipt(**known).dump())


def main() -> None:
    """Write the runs of a project that the server lists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backup", type=Path)
    parser.add_argument("project", help="workspace/project, which is the folder, too")
    parser.add_argument("--extra", nargs="*", default=[])
    parser.add_argument("--linked", action="store_true")
    asked = parser.parse_args()
    host = os.environ["SWANLAB_API_HOST"]
    with se.connect(host=host, api_key=os.environ["SWANLAB_API_KEY"]) as api:
        many = Multiplier(asked.backup, asked.project, asked.extra, is_linked=asked.linked)
        ref = parse_project(asked.project)
        for payload in all_runs(api.context, ref, Report()):
            many.write(payload, f"synthetic-{ref.project}")


if __name__ == "__main__":
    main()
