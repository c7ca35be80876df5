"""Users: who is logged in, and those of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.endpoints.items import identify_by
from swanlab_export.endpoints.releases import fixed

if TYPE_CHECKING:
    from swanlab_export.client import Client

identify = identify_by("username")


def fetch_profile(client: Client) -> Any:
    """Fetch the public profile of who is logged in: ``GET /user/profile``."""
    return client.send(fixed("GET", "/user/profile"))
