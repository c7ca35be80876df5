"""The tree of commands. Groups are imported when they are asked for."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from swanlab_export._version import __title__, __version__
from swanlab_export.cli.commands import PROCESS, Group, program_name
from swanlab_export.errors import EXIT_INTERRUPTED

_API = {
    "workspace": "Workspaces of teams and people, which hold projects.",
    "project": "Projects, which hold runs.",
    "run": "Runs: configs, metrics, media and logs.",
    "user": "Who is logged in.",
    "self-hosted": "Administration of a self-hosted instance.",
}
_OWN = {
    "api": "Get data out: every response as a typed table.",
    "backup": "Keep a complete copy up to date, as plain Parquet, and check it.",
    "sandbox": "A local SwanLab server with real sample data.",
    "login": "Log in, and save the key where the official client saves it.",
    "logout": "Remove the key from the login file.",
    "verify": "Check that the key is accepted.",
    "tables": "Show which columns every table has, with types and units.",
    "help": "Explain formats, filters, exit codes, environment, backups.",
    "doctor": "Show what a server offers, without any of your data.",
    "completion": "Print a script with which the shell completes commands.",
}
# The module that holds each top-level command, where it is not of the same name.
_MODULES = {"login": "account", "logout": "account", "verify": "account"}
_NAMES = {"help": "help_"}


class LazyGroup(Group):
    """A group that lists its commands without importing them."""

    def __init__(self, *args: Any, summaries: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List what there is, in the order in which people need it."""
        del ctx
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds a command."""
        del ctx
        if cmd_name not in self._summaries:
            return None
        name = _MODULES.get(cmd_name, cmd_name).replace("-", "_")
        module = importlib.import_module(f"swanlab_export.cli.{name}")
        found = getattr(module, _NAMES.get(cmd_name, cmd_name.replace("-", "_")))
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))


class _Root(LazyGroup):
    """Hands commands that are not ours to the official SDK."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find our own command, else one of the official client."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name.startswith("-"):
            return own
        from swanlab_export.cli.official import official_command

        return official_command(cmd_name)

    def suggest(self, ctx: click.Context, name: str) -> list[str]:
        """Suggest those of ``api``, too, which is easily left out: `run list`."""
        from swanlab_export.messages import closest

        groups = {each: api.get_command(ctx, each) for each in _API}
        found = [
            f"api {each} {name}"
            for each, group in groups.items()
            if isinstance(group, click.Group) and name in group.list_commands(ctx)
        ]
        if name in groups:
            found.append(f"api {name}")
        near = found or closest(name, [*self.list_commands(ctx), *groups], 3)
        return [f"api {each}" if each in groups else each for each in near]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show a command that works without an account."""
        with formatter.section("Without an account"):
            words = "api run list ada-lab/digits --host sandbox --format table"
            formatter.write_text(f"{program_name(ctx)} {words}")


@click.group(
    __title__,
    cls=_Root,
    summaries=_OWN,
    context_settings={"max_content_width": 100},
)
@click.version_option(__version__, "-v", "--version", prog_name=__title__)
def root() -> None:
    """Get experiment data out of SwanLab, as typed tables.

    Any other command, such as sync or watch, is passed on to the official SDK, if it is installed.
    """


@click.group(cls=LazyGroup, summaries=_API)
def api() -> None:
    """Get data out: every response as a typed table.

    JSON on stdout, or a file with --save: .parquet, .csv, .xlsx and more.
    """


def main() -> None:
    """Run the program."""
    # Nearly all objects of a command stay until its end: to look among them for garbage as often as
    # Python does by itself takes a tenth of a short command.
    gc.set_threshold(200_000)
    # A command streams once and ends: Arrow's own allocator, which keeps freed memory for later,
    # gains nothing here and costs 25 MB. Arrow reads this when it is loaded.
    # A backup goes on for hours in many threads, and the system's allocator would keep what each of
    # them has freed: 340 MB where 190 are enough.
    if sys.argv[1:2] != ["backup"]:
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # A stream that was closed before we started: messages are lost, but printing data fails.
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    # Names may hold anything; a terminal that cannot show a character gets an escape for it.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    # click would call an interrupt an abort, with exit code 1. There is nothing to clean up before
    # a command begins; from then on it unwinds (see ``execute``).
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
    try:
        root(obj=PROCESS, windows_expand_args=False)
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        _end(end.code)
    except OSError as error:  # of a help page; whatever a command does ends in a SystemExit
        from swanlab_export.files.atomic import why_not_written

        click.echo(f"error: cannot print: {why_not_written(error)}", err=True)
        _end(1)


def _end(exit_code: int) -> NoReturn:
    """End without Python's own finalization: everything is written.

    Unloading Arrow's modules takes a fifth of a short command's time; and after an error, threads
    that still wait for the server would delay the exit until they time out.
    """
    atexit._run_exitfuncs()  # noqa: SLF001  handlers of libraries still run
    with suppress(OSError):  # reported before, or nobody reads it
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(exit_code)
