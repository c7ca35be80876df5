"""Options that every command shares, and how arguments are spelled on the command line."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from swanlab_export.errors import Spelling

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("json", "jsonl", "csv", "tsv", "table")
PAGE_SIZES = ("10", "12", "15", "20", "24", "27", "50", "100")
# Arguments whose option is not just their name with hyphens.
_SPELLED = {
    "full": "--all",
    "path": "PATH",
    "page": "--page_num",
    "size": "--page_size",
    "where": "--filter_query",
    "column_class": "--class",
    "column_type": "--type",
    "metric_class": "--class",
    "metric_type": "--type",
}


@dataclass(frozen=True)
class Common:
    """The options that every command takes."""

    host: str | None
    api_key: str | None
    save: str | None
    output_format: str | None
    raw: bool
    fields: str | None
    jobs: int
    timeout: float
    retries: int
    quiet: bool
    debug: bool


def spell_option(name: str, value: str = "") -> str:
    """Spell an argument as the command line does.

    >>> spell_option("range_head"), spell_option("full", "True"), spell_option("host", "sandbox")
    ('--range-head', '--all', '--host sandbox')
    """
    option = _SPELLED.get(name) or "--" + name.replace("_", "-")
    return option if value in {"", "True"} else f"{option} {value}"


SPELLING = Spelling(spell_option, "`{}`".format)


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command; they reach it as one ``common`` argument."""

    @functools.wraps(command)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        shared = {field.name: kwargs.pop(field.name) for field in fields(Common)}
        return command(*args, common=Common(**shared), **kwargs)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def paging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add page number, page size and ``--all``."""
    for option in reversed(_PAGING):
        command = option(command)
    return command


def filter_option(*, is_required: bool = False) -> Callable[..., Any]:
    """Add ``-f``, which may be given several times."""
    return click.option(
        "-f",
        "--filter_query",
        "--filter-query",
        "where",
        multiple=True,
        required=is_required,
        metavar="RULE|JSON|FILE",
        help="Only runs that pass: state=FINISHED, 'config.lr>=0.001', a JSON array or a file.",
    )


_PAGING = (
    click.option(
        "-n",
        "--page_num",
        "--page-num",
        "page",
        type=int,
        default=1,
        show_default=True,
        help="Page number.",
    ),
    click.option(
        "-s",
        "--page_size",
        "--page-size",
        "size",
        type=click.Choice(PAGE_SIZES),
        default="20",
        show_default=True,
        help="Rows per page.",
    ),
    click.option("--all", "full", is_flag=True, help="Every page, fetched side by side."),
)

_OPTIONS = (
    click.option("-h", "--host", metavar="URL", help="Server; `sandbox` starts one here."),
    click.option(
        "-k",
        "--api-key",
        "--api_key",
        "api_key",
        metavar="KEY",
        help="API key; better in SWANLAB_API_KEY or `swanlab login`.",
    ),
    click.option(
        "--save",
        is_flag=False,
        flag_value="",
        metavar="[NAME]",
        help="Save to a file, format by extension: .parquet .csv .tsv .json .jsonl .feather "
        "(text also .gz .zst). Without a name, one is made up.",
    ),
    click.option(
        "--format",
        "output_format",
        type=click.Choice([*FORMATS, "plot"]),
        default=None,
        help="What to print.  [default: json]",
    ),
    click.option("--raw", is_flag=True, help="Print what the server said, unflattened."),
    click.option("--fields", metavar="A,B,…", help="Only these columns, in this order."),
    click.option(
        "--jobs", type=int, default=8, show_default=True, help="Requests in flight at most."
    ),
    click.option(
        "--timeout",
        type=float,
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the server's next bytes.",
    ),
    click.option(
        "--retries",
        type=int,
        default=5,
        show_default=True,
        help="How often to repeat what failed in passing.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress bars, hints or summary."),
    click.option("--debug", is_flag=True, help="Show the trace of an error."),
)
