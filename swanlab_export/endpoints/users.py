"""Users: who is logged in, and those of an instance."""

from __future__ import annotations

from typing import Any

from swanlab_export.client import Client, Request
from swanlab_export.endpoints.items import identify_by

identify = identify_by("username")


def fetch_profile(client: Client) -> Any:
    """Fetch the public profile of who is logged in: ``GET /user/profile``."""
    return client.send(Request("GET", "/user/profile"))
