"""``swanlab-export completion``: scripts that let a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from swanlab_export.cli.commands import Command, program_name
from swanlab_export.limits import BACKUP

SHELLS = ("bash", "zsh", "fish")
# bash splits words at colons and equals signs, too. Here they are joined for the program; what bash
# completes by itself, such as a folder, is what follows the sign.
_JOIN = """\
    local response rest=$COMP_LINE cword word last i
    local -a words=()
    for i in "${!COMP_WORDS[@]}"; do
        word=${COMP_WORDS[i]} last=$((${#words[@]} - 1))
        if [[ $i != 0 && $rest == "$word"* && $rest != [[:space:]]* ]] &&
            [[ $word == [:=]* || ${words[last]} == *[:=] ]]; then
            words[last]+=$word
        else
            words+=("$word")
        fi
        rest=${rest#*"$word"}
        [[ $i == "$COMP_CWORD" ]] && cword=$((${#words[@]} - 1))
    done
"""
# The folder of a backup is what follows ``backup:``.
_FISH_FOLDERS = f"""\
set -l path (string replace -r '^{BACKUP}:' '' -- $metadata[2]);
            set -l prefix (string match -r '^{BACKUP}:' -- $metadata[2]);
            __fish_complete_directories "$path" | string replace -r '^' "$prefix";"""
# Of each script of click, what is replaced, and by what.
_CHANGES = {
    "bash": (
        ("    local response\n", _JOIN),
        (
            'COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD',
            'COMP_WORDS="${words[*]}" COMP_CWORD=$cword',
        ),
        (
            "COMPREPLY+=($value)\n",
            "COMPREPLY+=($value)\n[[ $value != *: ]] || compopt -o nospace\n",
        ),
    ),
    "zsh": (
        # An empty start-up file, such as that of a new Mac, has not loaded what the script calls.
        ("\n", "\n(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"),
        ("_path_files -/", f"compset -P '(--host=|){BACKUP}:'; _path_files -/"),
        (
            'completions+=("$key")',
            'if [[ $key == *: ]]; then compadd -U -S "" -- $key; else completions+=("$key"); fi',
        ),
    ),
    "fish": (
        ('split ","', 'split --max 1 ","'),  # descriptions have commas, too
        ("__fish_complete_directories $metadata[2];", _FISH_FOLDERS),
    ),
}


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
    script = found(context.find_root().command, {}, name, variable).source().lstrip()
    for before, after in _CHANGES[shell]:
        script = script.replace(before, after, 1)
    click.echo(script)
