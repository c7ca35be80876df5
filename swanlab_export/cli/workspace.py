"""``swanlab api workspace``."""

from __future__ import annotations

import click

from swanlab_export.cli.commands import Group
from swanlab_export.cli.options import Shared, shared_options
from swanlab_export.cli.output import connected


@click.group(cls=Group)
def workspace() -> None:
    """Workspaces: teams and people that hold projects."""


@workspace.command(example="api workspace info ada-lab --host sandbox")
@click.argument("username")
@shared_options
def info(username: str, shared: Shared) -> None:
    """One workspace, with its profile and your role in it."""
    with connected(shared, f"workspace-{username}") as api:
        api.workspace.info(username)
