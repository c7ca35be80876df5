"""``swanlab login``, ``logout`` and ``verify``, on the official client's netrc file."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from swanlab_export.cli.commands import Command
from swanlab_export.cli.output import boundary, say
from swanlab_export.errors import AuthenticationError, UsageError
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from swanlab_export.settings import Settings

_DEBUG = click.option("--debug", is_flag=True, help="Show requests, and the trace of an error.")
_LOCAL = click.option(
    "--local", "is_local", is_flag=True, help="Use ./.swanlab, for this folder only."
)


@click.command(cls=Command, example="login --local")
@click.option(
    "-h",
    "--host",
    metavar="URL",
    help="Server.  [env var: SWANLAB_API_HOST; default: the public one]",
)
@click.option(
    "-k",
    "--api-key",
    "--api_key",
    "api_key",
    metavar="KEY",
    help="Better left out: asked for, or read from standard input.",
)
@click.option("-r", "--relogin", is_flag=True, help="Replace an existing login.")
@_LOCAL
@_DEBUG
def login(
    host: str | None, api_key: str | None, relogin: bool, is_local: bool, debug: bool
) -> None:
    """Check a key with the server, and keep it where the official client keeps it."""
    with boundary(debug=debug):
        from swanlab_export.client import Client
        from swanlab_export.files.atomic import write_atomically
        from swanlab_export.settings import (
            current_folder,
            format_login,
            load_settings,
            netrc_path,
        )

        path = netrc_path(os.environ, current_folder(), is_local=is_local)
        if path.exists() and not relogin:
            raise UsageError(
                f"{quote(str(path))} has a login already; {argument('relogin')} replaces it"
            )

        def settings_for(key: str) -> Settings:
            return load_settings(host, key, environ=os.environ, cwd=current_folder())

        if api_key:
            settings = settings_for(api_key)
        else:
            page = settings_for("unknown").key_page
            key, source = _read_key(page)
            if not key:
                raise AuthenticationError(f"no API key came from {source}; it is shown at {page}")
            settings = replace(settings_for(key), key_source=source)
        with Client(settings) as client:
            username = client.login().username
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_local:
            # As the official client does: the key must not get into a repository.
            (path.parent / ".gitignore").write_text("*\n", encoding="ascii")
        with write_atomically(path, mode=0o600) as part:
            part.write_text(format_login(settings), encoding="ascii")
        say(f"logged in to {settings.host} as {username}; the key is in {path}")


@click.command(cls=Command, example="logout --local --yes")
@click.option("-f", "--force", "-y", "--yes", "force", is_flag=True, help="Do not ask.")
@_LOCAL
@_DEBUG
def logout(force: bool, is_local: bool, debug: bool) -> None:
    """Remove the key from the login file."""
    with boundary(debug=debug):
        from swanlab_export.settings import current_folder, netrc_path

        path = netrc_path(os.environ, current_folder(), is_local=is_local)
        if not path.exists():
            raise AuthenticationError(f"there is no login in {quote(str(path))}")
        if not force and not click.confirm(f"Remove the key in {path}?", err=True):
            say("nothing was changed")
            return
        path.unlink()
        say(f"logged out: {path} was removed")


@click.command(cls=Command, example="verify --local")
@_LOCAL
@_DEBUG
def verify(is_local: bool, debug: bool) -> None:
    """Check that the server accepts the key, and say whose it is."""
    with boundary(debug=debug):
        from swanlab_export.client import Client
        from swanlab_export.settings import current_folder, load_settings, netrc_path

        path = netrc_path(os.environ, current_folder(), is_local=True)
        if is_local and not path.exists():
            raise AuthenticationError(f"there is no login in {quote(str(path))}")
        settings = load_settings(None, None, environ=os.environ, cwd=current_folder())
        for warning in settings.warnings:
            say(f"warning: {warning}")
        with Client(settings) as client:
            say(f"{settings.host} accepts the key, which belongs to {client.login().username}")


def _read_key(page: str) -> tuple[str, str]:
    """Ask for the key in a terminal, else take the first line of standard input; and say which."""
    if sys.stdin.isatty():
        say(f"your API key is shown at {page}")
        return str(click.prompt("API key", hide_input=True, err=True)).strip(), "the prompt"
    return sys.stdin.readline().strip(), "standard input"
