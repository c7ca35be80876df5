"""``swanlab-export doctor``: what a server offers, for a report of a problem."""

from __future__ import annotations

import click

from swanlab_export.cli.commands import Command
from swanlab_export.cli.options import Shared, one_by_one_options
from swanlab_export.cli.output import connected


@click.command(cls=Command, example="doctor ada-lab/digits/mlp-adam --host sandbox --format table")
@click.argument("path")
@one_by_one_options
def doctor(path: str, shared: Shared) -> None:
    """What a server offers, without any of your data: one row per endpoint.

    Every endpoint that reads is asked once for the run PATH. The table says where names, types and
    nulls differ from what is declared. It holds none of your data: you can attach it to an issue.
    """
    with connected(shared, "doctor") as api:
        api.doctor(path)
