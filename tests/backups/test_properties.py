"""Whatever happens in whatever order, and whatever is killed or damaged: the backup ends right.

``BACKUP_EXAMPLES=500`` tries as many stories, other ones each time.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pytest
from backup_support import Nights, objects
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from killed_here import OneByOne, killed_at
from living import LivingData

import swanlab_export as se
from swanlab_export.api.outputs import FrameOutput
from swanlab_export.backups.recovery import INTERRUPTED
from swanlab_export.backups.verify import verify
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("BACKUP_EXAMPLES", "0"))
few = settings(
    max_examples=EXAMPLES or 6,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # to make a story shorter takes longer than to read it
    suppress_health_check=list(HealthCheck),
)

PROJECTS = ("lab-digits", "lab-letters")
KEYS = ("acc", "loss")
_TABLES = ("metrics", "logs", "medias", "configs", "summary", "columns")
_LOGGED = ("files/", *(f"tables/{name}/" for name in _TABLES))
# What one run is at one time: rows of each table, as far as they are about what was logged.
View = dict[str, Any]
Place = tuple[str, str]

EVENTS = st.one_of(
    st.tuples(st.just("start"), st.integers(0, 1), st.booleans()),
    st.tuples(st.just("log"), st.integers(0, 3), st.integers(1, 5), st.sampled_from(KEYS)),
    st.tuples(st.just("log"), st.integers(0, 3), st.integers(1, 5), st.sampled_from(KEYS)),
    st.tuples(st.just("print"), st.integers(0, 3), st.integers(0, 9)),
    st.tuples(st.just("show"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("finish"), st.integers(0, 3), st.sampled_from(["FINISHED", "CRASHED"])),
    st.tuples(st.just("resume"), st.integers(0, 3)),
    st.tuples(st.just("edit"), st.integers(0, 3), st.integers(0, 99)),
    st.tuples(st.just("lose"), st.integers(0, 3), st.integers(1, 4), st.sampled_from(KEYS)),
    st.tuples(st.just("delete"), st.integers(0, 3)),
    st.tuples(st.just("move"), st.integers(0, 3)),
    st.tuples(st.just("rename"), st.integers(0, 1), st.integers(0, 99)),
    st.tuples(st.just("wait"), st.sampled_from([20, 300, 60_000])),
    st.tuples(st.just("back_up"), st.sampled_from([False, False, True])),
    st.tuples(st.just("kill"), st.integers(1, 60)),
    st.tuples(st.just("kill"), st.integers(1, 60)),
)


class Story:
    """A server to which things happen, its backup, and what must be in it.

    Attributes:
        seen: Of each run that was ever there, what the backup may hold of it; None for nothing.
    """

    def __init__(self, nights: Nights) -> None:
        self.nights = nights
        self.world = nights.world
        self.alive: dict[str, str] = {}
        self.seen: dict[Place, list[View | None]] = {}
        self._count = 0

    def do(self, name: str, *args: Any) -> None:
        """Let something happen; what is about a run happens to one that is there, if any."""
        self.world.wait(minutes=1)
        if name in {"start", "rename", "wait", "back_up", "kill"}:
            getattr(self, name)(*args)
        elif self.alive:
            run_id = list(self.alive)[args[0] % len(self.alive)]
            getattr(self, name)(run_id, *args[1:])

    def start(self, project: int, has_slug: bool) -> None:
        """Begin a run."""
        run_id = f"run{self._count}"
        self._count += 1
        slugs = [self._payload(other)["slug"] for other in self.alive]
        slug = "best" if has_slug and "best" not in slugs else None
        self.world.start(run_id, project=PROJECTS[project], slug=slug)
        self.alive[run_id] = PROJECTS[project]

    def log(self, run_id: str, steps: int, key: str) -> None:
        """Log points."""
        self.world.log_many(run_id, steps, key)

    def print(self, run_id: str, word: int) -> None:
        """Print a line, while the run goes on: what comes late and alone no backup can see."""
        if self._payload(run_id)["state"] == "RUNNING":
            self.world.print_line(run_id, f"word {word}")

    def show(self, run_id: str, content: int) -> None:
        """Log an image, while the run goes on."""
        if self._payload(run_id)["state"] == "RUNNING":
            step = len(self.world.media(self._run(run_id)))
            self.world.show(run_id, "image", step, f"picture {content}".encode())

    def finish(self, run_id: str, state: str) -> None:
        """End a run."""
        self.world.finish(run_id, state)

    def resume(self, run_id: str) -> None:
        """Let a run go on."""
        self.world.resume(run_id)

    def edit(self, run_id: str, number: int) -> None:
        """Change a name and a configuration."""
        self.world.edit(run_id, name=f"name {number}", cluster="g")
        self.world.edit_config(run_id, lr=number / 100)

    def lose(self, run_id: str, count: int, key: str) -> None:
        """Lose points."""
        if self.world.points(self._run(run_id), key) is not None:
            self.world.lose_points(run_id, key, count)

    def delete(self, run_id: str) -> None:
        """Delete a run."""
        self.world.delete(run_id)
        del self.alive[run_id]

    def move(self, run_id: str) -> None:
        """Move a run to the other project."""
        project = PROJECTS[1 - PROJECTS.index(self.alive[run_id])]
        self.world.move(run_id, project)
        self.alive[run_id] = project

    def rename(self, project: int, number: int) -> None:
        """Rename a project."""
        found = self.world.project_of(PROJECTS[project])
        assert found is not None
        self.world.rename_project("lab", found.name, f"name{project}-{number}")

    def wait(self, minutes: int) -> None:
        """Let time pass."""
        self.world.wait(minutes=minutes)

    def kill(self, nth: int) -> None:
        """Back up, and be killed at the n-th change, unless that is the end before."""
        with killed_at(self.nights.folder, nth):
            self._run_backup()
            self._expect()
            self.check()
            return
        for place, now in self._now().items():
            self.seen[place] = [*self.seen.get(place, [None]), now]
        self._check_objects()

    def back_up(self, is_full: bool = False) -> None:
        """Back up undisturbed, and compare."""
        self._run_backup(full=is_full)
        self._expect()
        self.check()

    def end(self) -> None:
        """Let everything end and be backed up; a backup after that has nothing to do."""
        for run_id in self.alive:
            self.world.finish(run_id)
        self.world.wait(days=40)
        self.back_up()
        before = self.nights.objects()
        self._run_backup()
        after = self.nights.objects()
        new = sorted(after.keys() - before.keys())
        assert [path.rpartition("/")[2] for path in new] == ["manifest.json"]
        assert {path: after[path] for path in before} == before

    def check(self) -> None:
        """What lies in the backup is what must be there, and nothing temporary."""
        found = self._stored()
        assert found.keys() <= self.seen.keys()
        for place, views in self.seen.items():
            if place not in found:
                assert None in views, (place, views)
                self.seen[place] = [None]
                continue
            view = found[place]
            if self._is_told(place):
                assert all(
                    any(each is not None and each[name] == rows for each in views)
                    for name, rows in view.items()
                ), (place, view, views)
            else:
                assert view in views, (place, view, views)
            self.seen[place] = [view]
        gone = {
            (row["project_id"], row["run_id"])
            for row in self._table("runs")
            if row["backup.gone_at"] is not None
        }
        assert gone == found.keys() - {(project, run_id) for run_id, project in self.alive.items()}
        assert self.nights.objects("state/tmp") == {}

    def _is_told(self, place: Place) -> bool:
        """Say whether a run's receipt says that its tables are of two versions."""
        receipt = self.nights.receipt(place[1], place[0])
        return INTERRUPTED in receipt["missing"] and not receipt["complete"]

    def _run_backup(self, **options: Any) -> None:
        """Back up; what is refused must be what is smaller than what is in the backup."""
        now = self._now()
        views = {run_id: self.seen.get((project, run_id), [None]) for (project, run_id) in now}
        smaller = {
            run_id: [_is_smaller(now[self.alive[run_id], run_id], view) for view in each]
            for run_id, each in views.items()
        }
        with warnings.catch_warnings(record=True) as caught, OneByOne() as executor:
            warnings.simplefilter("always")
            self.nights.run(executor=executor, **options)
        refused = set(re.findall(r"/(run\d+): '\w+' has", " ".join(str(w.message) for w in caught)))
        assert {run_id for run_id, each in smaller.items() if all(each)} <= refused
        assert refused <= {run_id for run_id, each in smaller.items() if any(each)}

    def _expect(self) -> None:
        """After a backup that ended: what is there now, unless it is smaller than what was there."""
        for place, now in self._now().items():
            views: list[View | None] = []
            for before in self.seen.get(place, [None]):
                view = before if _is_smaller(now, before) else now
                if view not in views:
                    views.append(view)
            self.seen[place] = views

    def _check_objects(self) -> None:
        """Between two backups, too, an object is of one version, and no mixture."""
        points = _grouped(self._table("metrics"), "key", "step", "value")
        for place, found in points.items():
            versions = [view["metrics"] for view in self.seen[place] if view is not None]
            assert found in versions, (place, found, versions)

    def _now(self) -> dict[Place, View]:
        """What the server has."""
        found = {}
        for run_id, project in self.alive.items():
            run, payload = self._run(run_id), self._payload(run_id)
            points = {key: self.world.points(run, key) for key in self.world.keys(run)}
            metrics = [
                (key, step, value)
                for key, each in points.items()
                if each is not None
                for step, value in zip(
                    each["step"].to_pylist(), each["value"].to_pylist(), strict=True
                )
            ]
            lines = self.world.lines(run, _all(self.world.line_count(run)))
            found[project, run_id] = {
                "metrics": metrics,
                "logs": [(i, line["message"]) for i, line in enumerate(lines, 1)],
                "medias": [(item["key"], item["step"]) for item in self.world.media(run)],
                "configs": [("lr", payload["profile"]["config"]["lr"])],
                "summary": sorted(points),
                "row": (payload["name"], payload["state"], payload["slug"]),
            }
        return found

    def _stored(self) -> dict[Place, View]:
        """What the backup has, as any reader of Parquet sees it."""
        empty: View = {"metrics": [], "logs": [], "medias": [], "configs": [], "summary": []}
        rows = self._table("runs")
        views = {
            (row["project_id"], row["run_id"]): empty
            | {"row": (row["name"], row["state"], row["slug"])}
            for row in rows
        }
        assert len(views) == len(rows)
        for name, columns in (
            ("metrics", ("key", "step", "value")),
            ("logs", ("line", "message")),
            ("medias", ("key", "step")),
            ("configs", ("key", "float")),
        ):
            for place, found in _grouped(self._table(name), *columns).items():
                views[place] = views[place] | {name: found}
        for place, keys in _grouped(self._table("summary"), "key").items():
            views[place] = views[place] | {"summary": sorted(key for (key,) in keys)}
        for row in self._table("medias"):
            assert (self.nights.folder / row["file"]).read_bytes().startswith(b"picture")
        return views

    def _table(self, name: str) -> list[dict[str, Any]]:
        folder = self.nights.folder / "tables" / name
        return ds.dataset(folder).to_table().to_pylist() if folder.exists() else []

    def _run(self, run_id: str) -> Any:
        found = self.world.locate(run_id)
        assert found is not None
        return found

    def _payload(self, run_id: str) -> dict[str, Any]:
        return self.world.payload(self._run(run_id))


def _all(count: int) -> Any:
    import numpy as np

    return np.arange(count)


def _grouped(rows: list[dict[str, Any]], *columns: str) -> dict[Place, list[tuple[Any, ...]]]:
    """Some columns of each run's rows."""
    found: dict[Place, list[tuple[Any, ...]]] = {}
    for row in rows:
        place = (row["project_id"], row["run_id"])
        found.setdefault(place, []).append(tuple(row[name] for name in columns))
    return found


def _is_smaller(now: View, before: View | None) -> bool:
    """Say whether a version has fewer points than one before it, of any key."""
    if before is None:
        return False
    counts, known = (
        {key: sum(point[0] == key for point in view["metrics"]) for key in KEYS}
        for view in (now, before)
    )
    return any(counts[key] < known[key] for key in KEYS)


@few
@given(st.lists(EVENTS, min_size=8, max_size=30))
def test_any_order_of_events_backups_and_kills(events: list[tuple[Any, ...]]) -> None:
    """The backup ends with the last whole view of every run; then a second one writes a manifest."""
    with ExitStack() as stack:
        world = LivingData()
        world.add_project("digits")
        world.add_project("letters")
        living = stack.enter_context(Sandbox(world))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        api = stack.enter_context(
            se.connect(host=living.url, api_key=living.api_key, frame="arrow", retries=0)
        )
        story = Story(Nights(world, living, api, Path(folder) / "backup"))
        for event in events:
            story.do(*event)
        story.end()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """A backup of two projects after three nights, of which nothing is damaged."""
    world = LivingData()
    for number, name in enumerate(("digits", "letters")):
        world.add_project(name)
        for run_id in (f"a{number}", f"b{number}"):
            world.start(run_id, project=f"lab-{name}")
            world.log_many(run_id, 20, *KEYS)
            world.print_line(run_id, "epoch 1")
            world.show(run_id, "image", 1, f"picture of {run_id}".encode())
            world.wait(minutes=20)
            world.finish(run_id)
    world.wait(days=40)
    folder = tmp_path_factory.mktemp("whole") / "backup"
    with (
        Sandbox(world) as living,
        se.connect(host=living.url, api_key=living.api_key, frame="arrow", retries=0) as api,
    ):
        nights = Nights(world, living, api, folder)
        nights.run()
        world.edit("a0", name="better")
        nights.run()
        world.log_many("b1", 3, "loss")
        nights.run()
        yield nights


DAMAGE = st.tuples(
    st.sampled_from(["flip", "cut", "remove", "exchange"]),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)


def damage(folder: Path, kind: str, which: int, where: int) -> None:
    """Damage an object."""
    paths = list(objects(folder))
    path = folder / paths[which % len(paths)]
    content = path.read_bytes() or b"\n"
    if kind == "flip":
        place = where % len(content)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif kind == "cut":
        path.write_bytes(content[: where % len(content)])
    elif kind == "remove":
        # That a manifest is missing is seen in the next one, which may be damaged, too.
        if path.name != "manifest.json":
            path.unlink()
    else:
        other = folder / paths[where % len(paths)]
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)


@few
@given(damages=st.lists(DAMAGE, min_size=1, max_size=3))
@pytest.mark.filterwarnings("ignore::swanlab_export.SwanlabExportWarning")
def test_whatever_is_damaged_is_found_and_repaired(whole: Nights, damages: list[Any]) -> None:
    """Each object that is not as it was written is named, and is what it was after a repair."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "backup"
        shutil.copytree(whole.folder, folder)
        before = objects(folder)
        for each in damages:
            damage(folder, *each)
        now = objects(folder)
        bad = {path for path, content in before.items() if now.get(path) != content}
        found = _verify(folder)
        # Without the last manifest some are unknown; a repair writes all of them again.
        last = max(path for path in before if path.endswith("manifest.json"))
        assert bad <= found.keys() | _described_by(found, before) or last in found
        cures = _verify(folder, repair=True, api=whole.api)
        assert set(cures.values()) <= {"repaired"}
        assert _verify(folder) == {}
        assert _data(objects(folder)) == _data(before)
        assert se.backup(whole.api, to=folder).num_rows == 0


def _described_by(found: dict[str, str], before: dict[str, bytes]) -> set[str]:
    """What only objects that were found describe, so that nothing tells whether it is damaged.

    A table of a snapshot is described by its manifest, objects of a run by its receipt and the index.
    """
    manifests = {path for path in found if path.endswith("/manifest.json")}
    described = {path.replace("manifest.json", "runs.parquet") for path in manifests}
    for receipt in found:
        kind, _, place = receipt.removesuffix(".json").partition("/lab/")
        project, _, run_id = place.partition("/")
        if kind == "state/receipts" and f"state/index/lab/{project}.parquet" in found:
            described |= {path for path in before if f"/lab/{project}/{run_id}" in path}
    return described


def _verify(folder: Path, **options: Any) -> dict[str, str]:
    """What ``backup verify --read all`` says: the cure of each object."""
    try:
        table = verify(FrameOutput("arrow"), folder, read="all", **options)
    except se.IncompleteError:  # of a table without rows
        return {}
    return {row["object"]: row["cure"] for row in table.to_pylist()}


def _data(found: dict[str, bytes]) -> dict[str, bytes]:
    """What was logged."""
    return {path: content for path, content in found.items() if path.startswith(_LOGGED)}
