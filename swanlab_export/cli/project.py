"""``swanlab api project``."""

from __future__ import annotations

import click

from swanlab_export.cli.execute import execute
from swanlab_export.cli.options import Common, common_options, paging_options


@click.group()
def project() -> None:
    """Projects: what holds runs."""


@project.command()
@click.argument("path")
@common_options
def info(path: str, common: Common) -> None:
    """One project, by PATH: workspace/project or its web page."""
    from swanlab_export.api import project as api

    execute(common, lambda context: api.info(context, path), name=f"project-{path}")


@project.command("list")
@click.option("-w", "--workspace", metavar="USERNAME", help="Workspace.  [default: your own]")
@click.option("--search", metavar="TEXT", help="Only projects whose name holds TEXT.")
@click.option("--sort", type=click.Choice(["create", "name"]), help="Order of the list.")
@paging_options
@common_options
def list_(
    workspace: str | None,
    search: str | None,
    sort: str | None,
    page: int,
    size: str,
    full: bool,
    common: Common,
) -> None:
    """Projects of a workspace, one row each."""
    from swanlab_export.api import project as api
    from swanlab_export.api.paging import Paging

    paging = Paging(page, int(size), full)
    execute(
        common,
        lambda context: api.list_projects(context, workspace, paging, search=search, sort=sort),
        name=f"projects-{workspace or ''}",
    )


@project.command()
@click.option("-n", "--name", required=True, help="1 to 100 of 0-9 a-z A-Z - _ . +")
@click.option(
    "-v",
    "--visibility",
    type=click.Choice(["PUBLIC", "PRIVATE"], case_sensitive=False),
    default="PRIVATE",
    show_default=True,
    help="Who can see it.",
)
@click.option("-d", "--description", metavar="TEXT", help="What it is about.")
@click.option("-w", "--workspace", metavar="USERNAME", help="Workspace.  [default: your own]")
@common_options
def create(
    name: str, visibility: str, description: str | None, workspace: str | None, common: Common
) -> None:
    """Create a project; sent once, never repeated."""
    from swanlab_export.api import project as api

    execute(
        common,
        lambda context: api.create(
            context, name, visibility=visibility, description=description, workspace=workspace
        ),
        name=f"project-{name}",
    )
