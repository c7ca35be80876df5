"""``swanlab api user``."""

from __future__ import annotations

import click

from swanlab_export.cli.execute import execute
from swanlab_export.cli.options import Common, common_options


@click.group()
def user() -> None:
    """Who is logged in."""


@user.command()
@common_options
def info(common: Common) -> None:
    """Name and profile of who is logged in."""
    from swanlab_export.api import user as api

    execute(common, api.info, name="user")
