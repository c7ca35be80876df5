"""Commands that are not ours, such as ``sync`` and ``watch``, are the official SDK's."""

from __future__ import annotations

from importlib import util
from typing import Any

import click

_COMMANDS = ("convert", "disabled", "local", "offline", "online", "ping", "sync", "watch")


def official_command(name: str) -> click.Command | None:
    """Find a command of the official SDK; a stand-in says what to install where it is missing."""
    if util.find_spec("swanlab") is None:
        return _missing(name) if name in _COMMANDS else None
    from swanlab.cli import cli

    group: Any = cli
    found = group.get_command(click.Context(group), name)
    assert found is None or isinstance(found, click.Command)
    return found


def _missing(name: str) -> click.Command:
    @click.command(
        name, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )
    def stand_in() -> None:
        """A command of the official SDK, which is not installed."""
        raise click.UsageError(f"{name} is a command of the official SDK: pip install swanlab")

    return stand_in
