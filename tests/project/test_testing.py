"""The fixtures that ``swanlab_export.testing`` has for tests of users."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import pytest

from swanlab_export import testing

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]


@pytest.fixture
def example(pytester: pytest.Pytester) -> Path:
    """A folder with the two files of the example in the docstring."""
    blocks = re.findall(r"::\n\n((?: {4}.*\n|\n)+)", testing.__doc__ or "")
    conftest, tests = map(textwrap.dedent, blocks)
    pytester.makeconftest(conftest)
    return pytester.makepyfile(test_example=tests)


def _outcomes(pytester: pytest.Pytester, *words: str) -> dict[str, int]:
    options = ["-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error"]
    return pytester.runpytest_subprocess(*options, *words).parseoutcomes()


def test_the_example_of_the_docstring_passes(example: Path, pytester: pytest.Pytester) -> None:
    """What the documentation shows works as it stands, without any other configuration."""
    assert _outcomes(pytester) == {"passed": 3}


def test_each_test_has_a_server_of_its_own(pytester: pytest.Pytester) -> None:
    """Faults and requests of one test are not seen by the next, nor is its environment kept."""
    pytester.makeconftest('pytest_plugins = ["swanlab_export.testing"]')
    pytester.makepyfile(
        """
        import os

        from swanlab_export.sandbox import parse_faults

        def test_first(swanlab_sandbox, swanlab_api):
            assert os.environ["SWANLAB_API_HOST"] == swanlab_sandbox.url
            swanlab_api.user.info()
            assert swanlab_sandbox.requests
            swanlab_sandbox.faults = parse_faults(["500=1"])

        def test_second(swanlab_sandbox, swanlab_api):
            assert not swanlab_sandbox.requests
            assert swanlab_api.user.info()["username"].tolist() == ["ada"]

        def test_third():
            assert "SWANLAB_API_HOST" not in os.environ
            assert "SWANLAB_API_KEY" not in os.environ
        """
    )
    assert _outcomes(pytester) == {"passed": 3}
