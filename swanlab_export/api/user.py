"""Who is logged in."""

from __future__ import annotations

from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.endpoints import user as endpoint
from swanlab_export.normalizers.entities import normalize_user


def info(context: Context) -> Answer:
    """Name and profile of who is logged in."""
    login = context.client.login()
    return Answer(
        endpoint.fetch_profile(context.client),
        lambda wire: normalize_user(wire, login.username, login.name),
        source_of(context, "user info"),
    )
