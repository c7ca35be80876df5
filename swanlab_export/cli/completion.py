"""``swanlab-export completion``: scripts that let a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from swanlab_export.cli.commands import Command, program_name

SHELLS = ("bash", "zsh", "fish")
# An empty start-up file, such as that of a new Mac, has not loaded what the script for zsh calls.
_LOADED = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"


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
    script = found(context.find_root().command, {}, name, variable).source()
    if shell == "zsh":
        first, _, rest = script.lstrip().partition("\n")  # zsh reads the first line of a file
        script = f"{first}\n{_LOADED}{rest}"
    elif shell == "fish":  # descriptions have commas, too
        script = script.replace('split ","', 'split --max 1 ","')
    click.echo(script)
