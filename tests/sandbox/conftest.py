"""A sandbox over the tiny dataset, and users who are logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandbox_tiny import Caller, write_tiny

from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dataset, in a folder that no test changes."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def sandbox(tiny: Path) -> Iterator[Sandbox]:
    """A sandbox over the tiny dataset."""
    with Sandbox(tiny) as running:
        yield running


@pytest.fixture
def ada(sandbox: Sandbox) -> Iterator[Caller]:
    """The root user, logged in."""
    caller = Caller(sandbox)
    yield caller
    caller.close()


@pytest.fixture
def bob(sandbox: Sandbox) -> Iterator[Caller]:
    """A plain user who is no member of the team."""
    caller = Caller(sandbox, "bob")
    yield caller
    caller.close()
