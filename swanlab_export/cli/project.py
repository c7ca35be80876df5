"""``swanlab api project``."""

from __future__ import annotations

from typing import Any

import click

from swanlab_export.cli.commands import Group
from swanlab_export.cli.options import Shared, paging_options, shared_options
from swanlab_export.cli.output import connected
from swanlab_export.limits import PAGE_SIZE, PROJECT_SORTS, VISIBILITIES


@click.group(cls=Group)
def project() -> None:
    """Projects, which hold runs."""


@project.command(example="api project info ada-lab/digits --host sandbox --format table")
@click.argument("path")
@shared_options
def info(path: str, shared: Shared) -> None:
    """One project, by PATH: workspace/project or its web page."""
    with connected(shared, f"project-{path}") as api:
        api.project.info(path)


@project.command("list", example="api project list --workspace ada-lab --all --host sandbox")
@click.option("-w", "--workspace", metavar="USERNAME", help="Workspace.  [default: your own]")
@click.option("--search", metavar="TEXT", help="Only projects whose name contains TEXT.")
@paging_options
@shared_options
def list_(
    workspace: str | None,
    search: str | None,
    paging: dict[str, Any],
    shared: Shared,
) -> None:
    """Projects of a workspace, one row each."""
    with connected(shared, f"projects-{workspace or ''}") as api:
        api.project.list(workspace, search=search, **_official(paging))


@project.command(example="api project create --name fresh --workspace ada-lab --host sandbox")
@click.option("-n", "--name", required=True, help="1 to 100 characters of 0-9 a-z A-Z - _ . +")
@click.option(
    "-v",
    "--visibility",
    type=click.Choice(VISIBILITIES, case_sensitive=False),
    default="PRIVATE",
    show_default=True,
    help="Who can see it.",
)
@click.option("-d", "--description", metavar="TEXT", help="What it is about.")
@click.option("-w", "--workspace", metavar="USERNAME", help="Workspace.  [default: your own]")
@shared_options
def create(
    name: str, visibility: str, description: str | None, workspace: str | None, shared: Shared
) -> None:
    """Create a project. The request is sent once and never repeated."""
    with connected(shared, f"project-{name}") as api:
        api.project.create(
            name, visibility=visibility, description=description, workspace=workspace
        )


def _official(paging: dict[str, Any]) -> dict[str, Any]:
    """The official client's orders, ``create`` and ``name``, are of the server: a page has them."""
    others = paging["limit"] or paging["varying"] or paging.get("all")
    if paging["sort"] not in PROJECT_SORTS or others:
        return paging
    return paging | {"page": paging["page"] or 1, "page_size": paging["page_size"] or PAGE_SIZE}
