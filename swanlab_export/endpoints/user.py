"""Who is logged in."""

from __future__ import annotations

from typing import Any

from swanlab_export.client import Client, Request


def fetch_profile(client: Client) -> Any:
    """Fetch the public profile of who is logged in: ``GET /user/profile``."""
    return client.send(Request("GET", "/user/profile"))
