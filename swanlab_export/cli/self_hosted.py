"""``swanlab api self-hosted``."""

from __future__ import annotations

import sys

import click

from swanlab_export.cli.execute import execute
from swanlab_export.cli.options import Common, common_options, paging_options


@click.group("self-hosted")
def self_hosted() -> None:
    """Administration of a self-hosted instance, for its root user."""


@self_hosted.command()
@common_options
def info(common: Common) -> None:
    """Licence of the instance and your role in it."""
    from swanlab_export.api import self_hosted as api

    execute(common, api.info, name="instance")


@self_hosted.command()
@common_options
def summary(common: Common) -> None:
    """Totals of the instance."""
    from swanlab_export.api import self_hosted as api

    execute(common, api.summary, name="usage")


@self_hosted.command("create-user")
@click.option("-u", "--username", required=True, help="Name of the new user.")
@click.option("-p", "--password", help="Better left out: asked for, or read from standard input.")
@common_options
def create_user(username: str, password: str | None, common: Common) -> None:
    """Create a user; sent once, never repeated."""
    from swanlab_export.api import self_hosted as api

    secret = _read_password() if password is None else password
    execute(common, lambda context: api.create_user(context, username, secret), name="user")


@self_hosted.command("list-users")
@paging_options
@common_options
def list_users(page: int, size: str, full: bool, common: Common) -> None:
    """All users, one row each."""
    from swanlab_export.api import self_hosted as api
    from swanlab_export.api.paging import Paging

    paging = Paging(page, int(size), full)
    execute(common, lambda context: api.list_users(context, paging), name="users")


@self_hosted.command("list-projects")
@click.option("--search", metavar="TEXT", help="Only projects whose name holds TEXT.")
@click.option("--creator", metavar="USERNAME", help="Only projects that this user made.")
@click.option("--workspace", metavar="USERNAME", help="Only projects of this workspace.")
@paging_options
@common_options
def list_projects(
    search: str | None,
    creator: str | None,
    workspace: str | None,
    page: int,
    size: str,
    full: bool,
    common: Common,
) -> None:
    """All projects of all workspaces, one row each."""
    from swanlab_export.api import self_hosted as api
    from swanlab_export.api.paging import Paging

    paging = Paging(page, int(size), full)
    execute(
        common,
        lambda context: api.list_projects(
            context, paging, search=search, creator=creator, workspace=workspace
        ),
        name="projects",
    )


@self_hosted.command("list-workspaces")
@click.option("--search", metavar="TEXT", help="Only workspaces whose name holds TEXT.")
@paging_options
@common_options
def list_workspaces(search: str | None, page: int, size: str, full: bool, common: Common) -> None:
    """All workspaces, one row each."""
    from swanlab_export.api import self_hosted as api
    from swanlab_export.api.paging import Paging

    paging = Paging(page, int(size), full)
    execute(
        common,
        lambda context: api.list_workspaces(context, paging, search=search),
        name="workspaces",
    )


def _read_password() -> str:
    """Ask for it in a terminal, else take the first line of standard input."""
    if sys.stdin.isatty():
        answer = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return str(answer)
    return sys.stdin.readline().rstrip("\r\n")
