"""A living server, and nights on which it is backed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from backup_support import Nights
from living import LivingData

import swanlab_export as se
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world() -> LivingData:
    """A server with one project, ``lab/digits``, and no runs yet."""
    data = LivingData()
    data.add_project("digits")
    return data


@pytest.fixture
def living(world: LivingData) -> Iterator[Sandbox]:
    """The server of ``world``."""
    with Sandbox(world) as sandbox:
        yield sandbox


@pytest.fixture
def nights(world: LivingData, living: Sandbox, tmp_path: Path) -> Iterator[Nights]:
    """Backs up everything, night after night, into a folder of its own."""
    with se.connect(host=living.url, api_key=living.api_key, frame="arrow", retries=0) as api:
        yield Nights(world, living, api, tmp_path / "backup")


@pytest.fixture
def ended(world: LivingData, nights: Nights) -> Nights:
    """A backup of two runs that ended long ago: nothing of them is fetched again by itself."""
    for run_id in ("one", "two"):
        world.start(run_id)
        world.log_many(run_id, 30, "loss", "acc", "cpu")
        world.print_line(run_id, "epoch 1")
        world.show(run_id, "image", 3, b"\x89PNG" + run_id.encode(), caption="a digit")
        world.wait(minutes=20)
        world.finish(run_id)
    world.wait(days=40)
    nights.run()
    world.wait(days=1)
    return nights


def rows_of(report: Any) -> list[dict[str, Any]]:
    """The rows of a report."""
    rows: list[dict[str, Any]] = report.to_pylist()
    return rows
