"""``swanlab-export backup``: keep a copy up to date, look into it, and check it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any

import click

from swanlab_export.cli.commands import Group
from swanlab_export.cli.options import (
    Shared,
    complete_folder,
    filter_option,
    output_options,
    shared_options,
)
from swanlab_export.cli.output import boundary, connected, printing, say, store_options
from swanlab_export.errors import UsageError
from swanlab_export.messages import argument
from swanlab_export.settings import find_local


@click.group(cls=Group)
def backup() -> None:
    """Backups: a complete copy that is kept up to date, as plain Parquet.

    DEST is the folder of a backup, or a prefix in an object store: s3://BUCKET/PREFIX.
    """


_destination = click.argument("dest", shell_complete=complete_folder)


@backup.command(example="backup run ada-lab/digits --to backup --host sandbox --format table")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--to",
    required=True,
    metavar="DEST",
    shell_complete=complete_folder,
    help="Folder of the backup, or s3://BUCKET/PREFIX.",
)
@filter_option()
@click.option(
    "--tables",
    metavar="A,B,...",
    help="Only these of columns,metrics,logs,medias; runs, configs and summary are always kept.",
)
@click.option("--keys", metavar="KEYS", help="Only these metrics or patterns, comma-separated.")
@click.option("--no-media", is_flag=True, help="Leave out the files of media.")
@click.option("--instance", is_flag=True, help="The whole self-hosted instance; for its root user.")
@click.option(
    "--recheck",
    metavar="PERIOD",
    default="7d",
    show_default=True,
    help="How often runs that ended in the last 30 days are asked for late log lines and media.",
)
@click.option("--full", is_flag=True, help="Fetch everything anew.")
@click.option(
    "--accept-smaller",
    multiple=True,
    metavar="RUN",
    help="Let a version of this run with fewer points replace the one that is there.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be fetched, and why.")
@click.option(
    "--on",
    metavar="WHERE",
    help="Where it runs: processes:N of this machine, or dask:tcp://HOST:PORT. They read the key from "
    "their own environment or login file. A cluster without workers is waited for as long as --timeout "
    "says, at the start and later.  [default: threads]",
)
@shared_options
def run(
    paths: tuple[str, ...], no_media: bool, on: str | None, shared: Shared, **options: Any
) -> None:
    """Fetch what is new or has changed; prints one row per run that was fetched.

    PATH is workspace/project or a workspace; without one, everything that you see. After
    an interruption, run the same command again: it continues where it stopped.
    """
    if on is not None:
        _check_keys(shared)

    def check() -> None:
        from swanlab_export.backups.destination import open_destination

        open_destination(options["to"], store_options(shared, options["to"]))

    with connected(shared, "backup", destination=options["to"], check=check) as api:
        # Arrow, which takes a while to import, is needed from here on.
        from swanlab_export.backups.executors import open_executor
        from swanlab_export.backups.run import backup as run_backup

        where = list(options.pop("where"))
        with nullcontext() if on is None else open_executor(on, shared.timeout) as executor:
            run_backup(
                api,
                paths=paths,
                where=where or None,
                media=not no_media,
                executor=executor,
                store_options=store_options(shared, options["to"]),
                on_project=None if shared.quiet else say,
                **options,
            )


@backup.command(example="backup status backup --format table")
@_destination
@click.option("--snapshots", is_flag=True, help="List the snapshots instead.")
@output_options
def status(dest: str, snapshots: bool, shared: Shared) -> None:
    """What a backup holds, one row per project."""
    with printing(shared, "backup-status", destination=dest) as output:
        from swanlab_export.backups import reports

        options = store_options(shared, dest)
        reports.status(output, dest, has_snapshots=snapshots, store_options=options)


@backup.command(example="backup diff backup --format table")
@_destination
@click.argument("first", metavar="[A]", default="")
@click.argument("second", metavar="[B]", default="")
@output_options
def diff(dest: str, first: str, second: str, shared: Shared) -> None:
    """Which runs differ between two snapshots, by default the last two.

    A and B are names of snapshots, or how they begin; `backup status DEST --snapshots` lists them.
    With A alone, it is compared with the last one.
    """
    with printing(shared, "backup-diff", destination=dest) as output:
        from swanlab_export.backups import reports

        options = store_options(shared, dest)
        reports.diff(output, dest, first, second, store_options=options)


@backup.command(example="backup verify backup --read all --format table")
@_destination
@click.option(
    "--read",
    metavar="N/T|all",
    help="Also read the bytes: all of them, or part N of T, so that T nights read everything.",
)
@click.option("--against-server", is_flag=True, help="Also compare each run with the server.")
@click.option("--repair", is_flag=True, help="Fetch or write again what is missing or damaged.")
@shared_options
def verify(dest: str, read: str | None, against_server: bool, repair: bool, shared: Shared) -> None:
    """Check that every object is there and unchanged; prints one row per object that is not.

    By default it checks that each object exists, its size and its number of rows. The exit code is 5
    if something is wrong.
    """

    def check() -> None:
        from swanlab_export.backups.verify import check_backup

        check_backup(dest, store_options(shared, dest))

    if against_server or repair:
        with connected(shared, "backup-verify", destination=dest, check=check) as api:
            from swanlab_export.backups.verify import verify as run_verify

            run_verify(
                api.output,
                dest,
                read=read,
                api=api,
                against_server=against_server,
                repair=repair,
                jobs=shared.jobs,
                store_options=store_options(shared, dest),
            )
        return
    with printing(shared, "backup-verify", destination=dest) as output:
        if shared.host is not None or shared.api_key is not None:
            name = argument("host" if shared.host is not None else "api_key")
            both = f"{argument('against_server', True)} and {argument('repair', True)}"
            raise UsageError(f"{name} is for {both}: nothing else asks the server")
        from swanlab_export.backups.verify import verify as run_verify

        options = store_options(shared, dest)
        run_verify(output, dest, read=read, jobs=shared.jobs, store_options=options)


def _check_keys(shared: Shared) -> None:
    """Refuse keys that other processes cannot have."""
    with boundary(debug=shared.debug):
        if shared.api_key is not None:
            raise UsageError(
                f"{argument('on')}: other processes do not get {argument('api_key')}: set "
                "SWANLAB_API_KEY where they run"
            )
        if find_local(shared.host, os.environ) is not None:
            raise UsageError(
                f"{argument('on')}: other processes do not get the key of a server in this one: "
                "start it with `sandbox serve`, and set SWANLAB_API_KEY"
            )
