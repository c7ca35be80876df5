"""Backups of older servers: the same as of the newest, as far as they tell."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from backup_support import objects

import swanlab_export as se
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from living import LivingData


def log_everything(world: LivingData) -> None:
    """A run that ended long ago, with points, lines and an image."""
    world.start("one")
    world.log_many("one", 5, "loss", "acc")
    world.print_line("one", "epoch 1")
    world.show("one", "image", 3, b"\x89PNG", caption="a digit")
    world.wait(hours=1)
    world.finish("one")
    world.wait(days=40)


def back_up(world: LivingData, folder: Path, generation: str) -> tuple[list[Any], list[str]]:
    """Back up a server of a release, twice: the first report, and all that was said.

    A backup that is there becomes one of this server, as if its server had been upgraded.
    """
    form = folder / "swanlab-backup.json"
    with (
        Sandbox(world, generation=generation) as server,
        se.connect(host=server.url, api_key=server.api_key, frame="arrow") as api,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        if form.exists():
            form.write_bytes(orjson.dumps(orjson.loads(form.read_bytes()) | {"host": server.url}))
        report: Any = se.backup(api, to=folder)
        server.reset_log()
        again: Any = se.backup(api, to=folder)
        assert again.num_rows == 0
        assert not [r.path for r in server.requests if r.path.endswith("/runs/one")]
    return report.to_pylist(), [str(each.message) for each in caught]


NOT_THERE = ("logs", "medias")


@pytest.mark.parametrize("generation", ["2.6", "2.8"])
def test_a_backup_of_an_older_server_is_that_of_the_newest(
    world: LivingData, tmp_path: Path, generation: str
) -> None:
    """Every table is the same as far as the server tells; what it does not offer is named."""
    log_everything(world)
    assert back_up(world, tmp_path / "newest", "3.1")[1] == []
    rows, said = back_up(world, tmp_path / "old", generation)
    assert [row["error"] for row in rows] == [None]
    lacks = [
        f"not in the backup, and fetched once it is offered: {n}: " for n in ("logs", "medias")
    ]
    assert len(said) == (2 if generation == "2.6" else 0)
    for text, begins in zip(sorted(said), lacks, strict=generation == "2.6"):
        assert text.startswith(begins)
        assert text.endswith("it came with client 0.8.0 (June 2026)")
    # The oldest tells less of who asks, too.
    lacking = (*NOT_THERE, "me.parquet") if generation == "2.6" else ()
    # Rows of projects and runs have their server's URL, and say when they were seen.
    skipped = tuple(f"tables/{name}" for name in ("projects", "runs/", *lacking))
    newest = objects(tmp_path / "newest", "tables")
    tables = {path: content for path, content in newest.items() if not path.startswith(skipped)}
    found = objects(tmp_path / "old", "tables")
    assert len(tables) == (5 if generation == "2.6" else 8)
    assert {path: found[path] for path in tables} == tables


def test_what_a_server_offers_since_it_is_newer_is_fetched(
    world: LivingData, tmp_path: Path
) -> None:
    """After an upgrade, logs and media of runs that have not changed come into the backup."""
    log_everything(world)
    folder, whole = tmp_path / "upgraded", tmp_path / "whole"
    back_up(world, folder, "2.6")
    ((row,), _) = back_up(world, folder, "3.1")
    assert (row["action"], row["reason"]) == ("part", "not fetched before: logs, medias")
    back_up(world, whole, "3.1")
    for below in ("files", "tables/logs", "tables/medias"):
        assert objects(folder, below)
        assert objects(folder, below) == objects(whole, below)


def test_an_instance_that_does_not_list_its_projects(world: LivingData, tmp_path: Path) -> None:
    """The error says since when it would work, and what can be backed up instead."""
    with (
        Sandbox(world, generation="2.6") as old,
        se.connect(host=old.url, api_key=old.api_key) as api,
        pytest.raises(se.ServerError, match=r"0\.8\.0 .*; without instance= the backup has"),
    ):
        se.backup(api, to=tmp_path, instance=True)
