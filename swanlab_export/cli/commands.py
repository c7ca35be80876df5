"""Commands and groups that list near misses, group their options and show an example."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

# The object of the root context where the command owns its process, so that it may change what
# can be imported; in tests and other programs it does not.
PROCESS = object()

# Options that other programs have, and how ours are called.
_ELSEWHERE = {
    "--json": "--format json",
    "--csv": "--format csv or --save NAME.csv",
    "--table": "--format table",
    "--parquet": "--save NAME.parquet",
    "--output": "--save NAME",
    "--out": "--save NAME",
    "--file": "--save NAME",
    "--columns": "--fields A,B",
    "--token": "--api-key",
    "--key": "--keys",
    "--page": "--page_num",
    "--order": "--sort",
    "--top": "--limit",
    "--filter": "--filter_query",
    "--where": "--filter_query",
    "--verbose": "--debug",
    "--excel": "--save NAME.xlsx",
    "--force": "--relogin",
}


def program_name(context: click.Context) -> str:
    """The program as the user called it: ``swanlab`` or ``swanlab-export``."""
    return context.find_root().info_name or "swanlab-export"


class Command(click.Command):
    """A command whose own options come before the shared ones.

    Args:
        example: Words that run on the sandbox, without the name of the program; or a line of a
            shell with ``{program}`` in it.
    """

    def __init__(self, *args: Any, example: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and say what is meant by an option that does not exist."""
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            ours = _ELSEWHERE.get(error.option_name)
            known = [name for param in self.params for name in param.opts]
            if ours is not None and ours.split()[0] in known:
                raise click.UsageError(
                    f"No such option: {error.option_name}. See {ours}.", ctx
                ) from None
            if others := _others_with(ctx, error.option_name):
                raise click.UsageError(
                    f"No such option: {error.option_name}. It is one of {others}.", ctx
                ) from None
            raise
        except click.BadOptionUsage as error:
            is_host = error.option_name in {"-h", "--host"}
            message = error.message + (" It is the server; help is --help." if is_host else "")
            # Of a value that is missing, the parser does not say in which command.
            raise click.BadOptionUsage(error.option_name, message, ctx) from None
        self._refuse_repeated(ctx, given)
        return rest

    def _refuse_repeated(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option with one value that is given twice: click would drop the first."""
        if ctx.resilient_parsing:
            return
        _, _, order = self.make_parser(ctx).parse_args(args)
        for param in {id(each): each for each in order}.values():
            is_single = isinstance(param, click.Option) and not (param.multiple or param.is_flag)
            if is_single and sum(each is param for each in order) > 1:
                raise click.UsageError(
                    f"{param.opts[-1]} is given twice, and takes one value.", ctx
                )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of this command, then those that every command has."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            if not isinstance(param, click.Option):
                continue
            shown = copy.copy(param)
            shown.opts = _without_aliases(param.opts)
            if (record := shown.get_help_record(ctx)) is not None:
                (shared if isinstance(param, SharedOption) else own).append(record)
        for title, records in (("Options", own), ("Shared options", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, with the program as the user called it."""
        if self.example:
            line = self.example if "{program}" in self.example else f"{{program}} {self.example}"
            with formatter.section("Example"):
                # In one piece, to be copied; a terminal breaks it where it must.
                formatter.write(f"  {line.replace('{program}', program_name(ctx))}\n")


def _others_with(ctx: click.Context, name: str) -> str:
    """The commands of the same group that have an option."""
    group = ctx.parent and ctx.parent.command
    if not isinstance(group, click.Group):
        return ""
    commands = (group.get_command(ctx, each) for each in group.list_commands(ctx))
    found = [
        f"`{group.name} {command.name}`"
        for command in commands
        if command is not None and any(name in param.opts for param in command.params)
    ]
    return ", ".join(found)


def _without_aliases(names: Sequence[str]) -> list[str]:
    """Leave out names that differ from an earlier one in hyphens and underscores alone."""
    plain = [name.replace("_", "-") for name in names]
    return [name for i, name in enumerate(names) if plain[i] not in plain[:i]]


class SharedOption(click.Option):
    """An option that every command has; help lists it after the command's own."""


class Group(click.Group):
    """A group that suggests commands for a name that does not exist."""

    command_class = Command

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*args, **options)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or suggest similar ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if not args or args[0].startswith("-"):
                raise
            names = ", ".join(self.suggest(ctx, args[0]))
            message = f"No such command '{args[0]}'. Did you mean: {names}?"
            raise click.UsageError(message, error.ctx) from None

    def suggest(self, ctx: click.Context, name: str) -> list[str]:
        """The commands that may be meant by a name that does not exist."""
        from swanlab_export.messages import closest  # help has no need of it

        return list(closest(name, self.list_commands(ctx), 3))


Group.group_class = Group
