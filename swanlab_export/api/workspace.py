"""Workspaces."""

from __future__ import annotations

from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.endpoints import workspace as endpoint
from swanlab_export.normalizers.entities import normalize_workspaces
from swanlab_export.refs import parse_workspace


def info(context: Context, username: str) -> Answer:
    """One workspace."""
    ref = parse_workspace(username)
    return Answer(
        endpoint.fetch_workspace(context.client, ref),
        lambda wire: normalize_workspaces([wire], is_single=True),
        source_of(context, "workspace info", ref),
    )
