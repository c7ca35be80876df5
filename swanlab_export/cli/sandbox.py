"""``swanlab-export sandbox``: the local server, in a terminal of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from swanlab_export.cli.commands import Group, program_name
from swanlab_export.cli.output import boundary
from swanlab_export.errors import UsageError
from swanlab_export.limits import GENERATIONS
from swanlab_export.messages import argument


@click.group(cls=Group)
def sandbox() -> None:
    """A local SwanLab server with real sample data."""


@sandbox.command(example="sandbox serve --fault latency=100ms")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port.  [default: any]")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="A backup to serve, or other data in its format.",
)
@click.option(
    "--generation",
    type=click.Choice(GENERATIONS),
    default=GENERATIONS[-1],
    show_default=True,
    help="Release of the self-hosted server whose endpoints are served.",
)
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help="See `sandbox faults`.")
@click.option("--debug", is_flag=True, help="Show requests, and the trace of an error.")
def serve(
    port: int, data: Path | None, generation: str, faults: tuple[str, ...], debug: bool
) -> None:
    """Serve until Ctrl-C; prints the URL, a key and commands to try."""
    with boundary(debug=debug):
        server = _import_sandbox()
        try:
            chosen = server.parse_faults(list(faults))
        except ValueError as error:
            raise UsageError(f"{argument('fault')}: {error}") from None
        try:
            program = program_name(click.get_current_context())
            server.serve(port, data, chosen, click.echo, program=program, generation=generation)
        except server.DatasetError as error:
            raise UsageError(f"{argument('data')}: {error}") from None


@sandbox.command(example="sandbox faults")
def faults() -> None:
    """List the faults that can be switched on."""
    with boundary(debug=False):
        click.echo(_import_sandbox().fault_help())


def _import_sandbox() -> Any:
    try:
        from swanlab_export import sandbox as server
    except ImportError:
        raise UsageError("the sandbox needs Flask: pip install flask") from None
    return server
