"""Official clients, one process each, and sandboxes for them to judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from official import CLIENT_OF, Official, Referee
from sandbox_tiny import write_tiny

from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def official_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Official]]:
    """The official client of a generation, started when it is first asked for."""
    started: dict[str, Official] = {}

    def find(generation: str) -> Official:
        if generation not in started:
            home = tmp_path_factory.mktemp("home")
            started[generation] = Official(CLIENT_OF[generation], home)
        return started[generation]

    yield find
    for client in started.values():
        client.close()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dataset, in a folder."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(params=["2.8", "3.1"])
def referee(
    request: pytest.FixtureRequest, tiny: Path, official_of: Callable[[str], Official]
) -> Iterator[Referee]:
    """The official client of a generation and a sandbox of that generation, as ada.

    It sends its session's cookie to the storage too, which real storages ignore; so does this one.
    """
    lenient = parse_faults(["lenient=1"])
    with Sandbox(tiny, faults=lenient, generation=request.param) as sandbox:
        yield Referee(official_of(request.param), sandbox)


@pytest.fixture
def newest(tiny: Path, official_of: Callable[[str], Official]) -> Iterator[Referee]:
    """The newest client and a sandbox of the newest generation."""
    with Sandbox(tiny, faults=parse_faults(["lenient=1"])) as sandbox:
        yield Referee(official_of("3.1"), sandbox)


@pytest.fixture
def oldest(tiny: Path, official_of: Callable[[str], Official]) -> Iterator[Referee]:
    """The oldest client and a sandbox of the oldest generation."""
    with Sandbox(tiny, generation="2.6") as sandbox:
        yield Referee(official_of("2.6"), sandbox)
