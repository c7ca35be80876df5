"""What objects say of themselves in a notebook or a trace: what they are, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import swanlab_export as se
from swanlab_export.settings import Settings

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox

ERRORS = [name for name in se.__all__ if name.endswith("Error")]


def test_a_connection_and_its_resources_name_the_server(server: Sandbox, api: Any) -> None:
    """Each says its class and the server."""
    shown = [repr(each) for each in (api, api.using("polars"), api.run, api.project, server)]
    names = ["Api", "Api", "Runs", "Projects", "Sandbox"]
    assert shown == [f"{name}({server.url!r})" for name in names]
    for each in (api.workspace, api.user, api.self_hosted):
        assert repr(each) == f"{type(each).__name__}({server.url!r})"


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_shows_its_message(name: str) -> None:
    """Class and message, as Python's own errors."""
    assert repr(getattr(se, name)("no such run")) == f"{name}('no such run')"


def test_settings_hide_the_key() -> None:
    """Host and source of the key are shown, and the key is not."""
    shown = repr(Settings("https://x", "https://x", "secret-key", key_source="SWANLAB_API_KEY"))
    assert "https://x" in shown
    assert "SWANLAB_API_KEY" in shown
    assert "secret-key" not in shown
