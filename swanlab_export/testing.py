"""A SwanLab server, and a connection to it, as pytest fixtures for tests of your own code.

The server is the sandbox. It has recorded runs and needs neither an account nor the network, but
the extra ``sandbox``. Name the module in your ``conftest.py``::

    pytest_plugins = ["swanlab_export.testing"]

Then a test can ask for ``swanlab_api`` or ``swanlab_sandbox``::

    import pytest

    import swanlab_export as se
    from swanlab_export.sandbox import parse_faults


    def best_run(path, retries=5):
        with se.connect(retries=retries) as api:
            runs = api.run.list(path, summary="val/acc")
        return runs.loc[runs["summary.val/acc"].idxmax(), "slug"]


    def test_the_best_run_is_found(swanlab_sandbox):
        assert best_run("ada-lab/digits") == "tanh-deep"


    def test_a_failing_server_is_an_error(swanlab_sandbox):
        swanlab_sandbox.faults = parse_faults(["500=1"])
        with pytest.raises(se.UnavailableError):
            best_run("ada-lab/digits", retries=0)


    def test_the_runs_are_there(swanlab_api):
        assert len(swanlab_api.run.list("ada-lab/digits")) == 16

``swanlab-export sandbox faults`` lists the faults that the server can simulate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from swanlab_export.api.connect import connect
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from swanlab_export.api.connect import Api

__all__ = ["swanlab_api", "swanlab_sandbox"]


@pytest.fixture
def swanlab_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A server of the test's own, which ``connect()`` and commands use until the test ends.

    Its URL and the key of its first user are in SWANLAB_API_HOST and SWANLAB_API_KEY. Assign to
    ``faults`` to make it fail; ``requests`` are the requests that it got.
    """
    with Sandbox() as sandbox:
        monkeypatch.setenv("SWANLAB_API_HOST", sandbox.url)
        monkeypatch.setenv("SWANLAB_API_KEY", sandbox.api_key)
        yield sandbox


@pytest.fixture
def swanlab_api(swanlab_sandbox: Sandbox) -> Iterator[Api[pd.DataFrame]]:
    """A connection to the server of ``swanlab_sandbox``, whose calls return pandas DataFrames."""
    with connect(host=swanlab_sandbox.url, api_key=swanlab_sandbox.api_key) as api:
        yield api
