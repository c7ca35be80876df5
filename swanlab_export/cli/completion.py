"""``swanlab-export completion``: scripts that let a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from swanlab_export.cli.commands import Command, program_name

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command, example='eval "$({program} completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    For bash, put the line of the example into ~/.bashrc; for zsh the same with zsh into ~/.zshrc;
    for fish, pipe the script into source in ~/.config/fish/config.fish.
    """
    name = program_name(context)
    found = get_completion_class(shell)
    assert found is not None
    variable = "_{}_COMPLETE".format(name.replace("-", "_").upper())
    click.echo(found(context.find_root().command, {}, name, variable).source())
