"""``swanlab api workspace``."""

from __future__ import annotations

import click

from swanlab_export.cli.execute import execute
from swanlab_export.cli.options import Common, common_options


@click.group()
def workspace() -> None:
    """Workspaces: teams and people that hold projects."""


@workspace.command()
@click.argument("username")
@common_options
def info(username: str, common: Common) -> None:
    """One workspace, with its profile and your role in it."""
    from swanlab_export.api import workspace as api

    execute(common, lambda context: api.info(context, username), name=f"workspace-{username}")
