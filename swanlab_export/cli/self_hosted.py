"""``swanlab api self-hosted``."""

from __future__ import annotations

import sys
from typing import Any

import click

from swanlab_export.cli.commands import Group
from swanlab_export.cli.options import Shared, complete_file, paging_options, shared_options
from swanlab_export.cli.output import connected


@click.group("self-hosted", cls=Group)
def self_hosted() -> None:
    """Administration of a self-hosted instance, for its root user."""


@self_hosted.command(example="api self-hosted info --host sandbox")
@shared_options
def info(shared: Shared) -> None:
    """Licence of the instance and your role in it."""
    with connected(shared, "instance") as api:
        api.self_hosted.info()


@self_hosted.command(example="api self-hosted summary --host sandbox")
@shared_options
def summary(shared: Shared) -> None:
    """Totals of the instance."""
    with connected(shared, "usage") as api:
        api.self_hosted.summary()


@self_hosted.command(
    "create-user",
    example="api self-hosted create-user --username dora --password 'correct horse' --host sandbox",
)
@click.option("-u", "--username", required=True, help="Name of the new user.")
@click.option("-p", "--password", help="Better left out: asked for, or read from standard input.")
@shared_options
def create_user(username: str, password: str | None, shared: Shared) -> None:
    """Create a user. The request is sent once and never repeated."""
    with connected(shared, "user") as api:
        secret = _read_password() if password is None else password
        api.self_hosted.create_user(username, secret)


@self_hosted.command(
    "create-users",
    example=(
        "printf 'username,password\\ndora,correct horse\\n' | "
        "{program} api self-hosted create-users - --host sandbox"
    ),
)
@click.argument("users", metavar="FILE", shell_complete=complete_file)
@shared_options
def create_users(users: str, shared: Shared) -> None:
    """Create the users of a table, except those that exist.

    FILE is CSV, TSV or JSON with the columns username and password; - is standard input. For each
    user, the table says created, exists or failed; the exit code is 5 if any failed. It can be run
    again.
    """
    with connected(shared, "created-users") as api:
        api.self_hosted.create_users(sys.stdin.buffer if users == "-" else users)


@self_hosted.command("list-users", example="api self-hosted list-users --all --host sandbox")
@paging_options
@shared_options
def list_users(paging: dict[str, Any], shared: Shared) -> None:
    """All users, one row each."""
    with connected(shared, "users") as api:
        api.self_hosted.list_users(**paging)


@self_hosted.command(
    "list-projects",
    example="api self-hosted list-projects --all --host sandbox --save projects.csv",
)
@click.option("--search", metavar="TEXT", help="Only projects whose name contains TEXT.")
@click.option("--creator", metavar="USERNAME", help="Only projects that this user created.")
@click.option("--workspace", metavar="USERNAME", help="Only projects of this workspace.")
@paging_options
@shared_options
def list_projects(
    search: str | None,
    creator: str | None,
    workspace: str | None,
    paging: dict[str, Any],
    shared: Shared,
) -> None:
    """All projects of all workspaces, one row each."""
    with connected(shared, "projects") as api:
        api.self_hosted.list_projects(search=search, creator=creator, workspace=workspace, **paging)


@self_hosted.command(
    "list-workspaces", example="api self-hosted list-workspaces --all --host sandbox"
)
@click.option("--search", metavar="TEXT", help="Only workspaces whose name contains TEXT.")
@paging_options
@shared_options
def list_workspaces(search: str | None, paging: dict[str, Any], shared: Shared) -> None:
    """All workspaces, one row each."""
    with connected(shared, "workspaces") as api:
        api.self_hosted.list_workspaces(search=search, **paging)


def _read_password() -> str:
    """Ask for it in a terminal, else take the first line of standard input."""
    if sys.stdin.isatty():
        typed = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return str(typed)
    return sys.stdin.readline().rstrip("\r\n")
