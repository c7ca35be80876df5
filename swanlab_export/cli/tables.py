"""``swanlab-export tables``: what is in every table."""

from __future__ import annotations

import click

from swanlab_export.cli.commands import Command
from swanlab_export.cli.options import Shared, output_options
from swanlab_export.cli.output import printing


@click.command(cls=Command, example="tables metrics --format table")
@click.argument("name", required=False)
@output_options
def tables(name: str | None, shared: Shared) -> None:
    """Declared columns of every table, or of NAME: types, units, and what a row is.

    They are always there, in this order. What else the server sends follows them.
    """
    with printing(shared, f"tables-{name or 'all'}") as output:
        from swanlab_export.api.context import Result
        from swanlab_export.normalizers.declared import describe_tables
        from swanlab_export.schemas import TABLES

        report = output.begin(TABLES)
        table = describe_tables(name, report)
        output.deliver(Result(lambda: table, lambda: None, {"command": "tables"}), report)
