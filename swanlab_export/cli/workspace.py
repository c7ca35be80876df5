"""``swanlab api workspace``."""

from __future__ import annotations

from typing import Any

import click

from swanlab_export.cli.commands import Group
from swanlab_export.cli.options import Shared, arranging_options, partial_option, shared_options
from swanlab_export.cli.output import connected


@click.group(cls=Group)
def workspace() -> None:
    """Workspaces of teams and people, which hold projects."""


@workspace.command(example="api workspace info ada-lab --host sandbox")
@click.argument("username")
@shared_options
def info(username: str, shared: Shared) -> None:
    """One workspace, with its profile and your role in it."""
    with connected(shared, f"workspace-{username}") as api:
        api.workspace.info(username)


@workspace.command("list", example="api workspace list --host sandbox --format table")
@click.argument("username", required=False)
@arranging_options
@partial_option
@shared_options
def list_(username: str | None, arranged: dict[str, Any], partial: bool, shared: Shared) -> None:
    """The workspaces that you see, or those of USERNAME; one row each."""
    with connected(shared, f"workspaces-{username or ''}") as api:
        api.workspace.list(username, partial=partial, **arranged)
