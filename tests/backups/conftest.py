"""A living server, and nights on which it is backed up."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from backup_support import Nights
from living import LivingData

from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def running_world() -> Iterator[tuple[LivingData, Sandbox]]:
    """One living server for all tests of a process."""
    data = LivingData()
    data.add_project("digits")
    with Sandbox(data) as sandbox:
        yield data, sandbox


@pytest.fixture(scope="session")
def beginning(running_world: tuple[LivingData, Sandbox]) -> bytes:
    """The server before anything has happened."""
    return running_world[0].save()


@pytest.fixture
def world(running_world: tuple[LivingData, Sandbox], beginning: bytes) -> LivingData:
    """A server with one project, ``lab/digits``, and no runs yet."""
    data, sandbox = running_world
    sandbox.reset()
    data.restore(beginning)
    return data


@pytest.fixture
def living(world: LivingData, running_world: tuple[LivingData, Sandbox]) -> Sandbox:
    """The server of ``world``."""
    del world
    return running_world[1]


@pytest.fixture
def nights(world: LivingData, living: Sandbox, tmp_path: Path) -> Iterator[Nights]:
    """Backs up everything, night after night, into a folder of its own."""
    with Nights.of(world, living, tmp_path / "backup") as found:
        yield found


@pytest.fixture(scope="session")
def first_night(
    running_world: tuple[LivingData, Sandbox],
    beginning: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[bytes, Path]:
    """The server a day after two runs that ended long ago were backed up, and their backup."""
    data, sandbox = running_world
    sandbox.reset()
    data.restore(beginning)
    folder = tmp_path_factory.mktemp("ended") / "backup"
    with Nights.of(data, sandbox, folder) as nights:
        nights.end_two_runs()
    return data.save(), folder


@pytest.fixture
def ended(world: LivingData, nights: Nights, first_night: tuple[bytes, Path]) -> Nights:
    """A backup of two runs that ended long ago: nothing of them is fetched again by itself."""
    saved, folder = first_night
    world.restore(saved)
    shutil.copytree(folder, nights.folder)
    return nights


def rows_of(report: Any) -> list[dict[str, Any]]:
    """The rows of a report."""
    rows: list[dict[str, Any]] = report.to_pylist()
    return rows
