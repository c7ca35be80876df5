"""``swanlab api user``."""

from __future__ import annotations

import click

from swanlab_export.cli.commands import Group
from swanlab_export.cli.options import Shared, shared_options
from swanlab_export.cli.output import connected


@click.group(cls=Group)
def user() -> None:
    """Who is logged in."""


@user.command(example="api user info --host sandbox")
@shared_options
def info(shared: Shared) -> None:
    """Name and profile of who is logged in."""
    with connected(shared, "user") as api:
        api.user.info()
