"""Options that every command shares, and how arguments are written on the command line."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from swanlab_export.cli.commands import SharedOption
from swanlab_export.limits import (
    BACKUP,
    JOBS,
    MAX_RESPONSE_MB,
    PAGE_SIZE,
    PAGE_SIZES,
    RETRIES,
    SANDBOX,
    TEXT_FORMATS,
    TIMEOUT_S,
)
from swanlab_export.messages import Interface
from swanlab_export.patterns import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Arguments whose option is not just their name with hyphens.
_OPTION_NAMES = {
    "path": "PATH",
    "DEST": "DEST",
    "page": "--page_num",
    "page_size": "--page_size",
    "where": "--filter_query",
    "column_class": "--class",
    "column_type": "--type",
    "metric_class": "--class",
    "metric_type": "--type",
    "store_options": "--store-option",
}


# What an option that may come without a value is then; no argument of a process can be it.
BARE = "\0"


def read_optional(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """A value that may be left out, then ``""``; an empty one is an unset variable of a script."""
    if isinstance(value, tuple):
        return tuple(read_optional(context, parameter, each) for each in value)
    if value == "":
        raise click.BadParameter("it is empty: give a value, or nothing behind it.")
    return "" if value == BARE else value


@dataclass(frozen=True)
class Shared:
    """The options that every command takes."""

    host: str | None
    api_key: str | None = field(repr=False)
    save: str | None
    store_option: tuple[str, ...]
    csv_bom: bool
    output_format: str | None
    raw: bool
    fields: str | None
    jobs: int
    timeout: float
    retries: int
    max_response: float
    quiet: bool
    debug: bool


def option_name(name: str, value: str = "") -> str:
    """Write an argument as the command line does.

    >>> option_name("range_head"), option_name("all", "True"), option_name("host", "sandbox")
    ('--range-head', '--all', '--host sandbox')
    """
    option = _OPTION_NAMES.get(name) or "--" + name.replace("_", "-")
    return option if value in {"", "True"} else f"{option} {value}"


def command_line(program: str) -> Interface:
    """How the command line writes arguments and commands, if the program is called ``program``."""
    return Interface(option_name, f"`{program} api {{}}`".format, program)


def _with_options(names: Sequence[str]) -> Callable[..., Any]:
    """Add some of the shared options; of the others the defaults reach the command."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def gathered(*args: Any, **kwargs: Any) -> Any:
            given = {name: kwargs.pop(name) for name in names}
            return command(*args, shared=replace(_DEFAULTS, **given), **kwargs)

        for each, option in reversed(list(zip(fields(Shared), _OPTIONS, strict=True))):
            if each.name in names:
                gathered = option(gathered)
        return gathered

    return add


def paging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add page number, page size, ``--all``, order, choice and ``--partial``, as one argument."""

    @functools.wraps(command)
    def gathered(
        *args: Any, all: bool, page: int | None, page_size: str | None, partial: bool, **kwargs: Any
    ) -> Any:
        arranged = _pop_arrangement(kwargs)
        named = (
            [*kwargs.get("projects", ()), *kwargs.get("project", ())]
            if "projects" in kwargs
            else []
        )
        if any(arranged.values()) or kwargs.get("group_by") or len({*named}) > 1:
            size = None if page_size is None else int(page_size)
            paging: dict[str, Any] = {"all": all or None, "page": page, "page_size": size}
        elif all:
            paging = {"all": True, "page": None if page == 1 else page}
        else:
            paging = {"page": 1 if page is None else page, "page_size": int(page_size or PAGE_SIZE)}
        return command(*args, paging=paging | arranged | {"partial": partial}, **kwargs)

    for option in reversed((*_PAGING, *_ARRANGING)):
        gathered = option(gathered)
    return gathered


def arranging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add order and choice of rows, as one ``arranged`` argument."""

    @functools.wraps(command)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        return command(*args, arranged=_pop_arrangement(kwargs), **kwargs)

    for option in reversed(_ARRANGING):
        gathered = option(gathered)
    return gathered


def _pop_arrangement(kwargs: dict[str, Any]) -> dict[str, Any]:
    # The shared options, of which --raw is one, are gathered further inside.
    refuse_raw(kwargs, "sort", "varying", "group_by")
    return {
        "sort": joined(kwargs.pop("sort")),
        "limit": kwargs.pop("limit"),
        "varying": kwargs.pop("varying"),
    }


def refuse_raw(options: Mapping[str, Any], *names: str) -> None:
    """Refuse ``--raw`` together with options about what is computed from what the server sent."""
    for name in names:
        if options["raw"] and options.get(name):
            raise click.UsageError(f"--raw prints what the server sent: no {option_name(name)}")


def joined(texts: Sequence[str]) -> str | None:
    """The values of an option that was given several times, as one; None where it was not."""
    # Double quotes protect commas; single ones are there because cmd.exe does not take them off.
    plain = (unquote(text) if text.startswith("'") else text for text in texts)
    return ",".join(plain) if texts else None


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
        shell_complete=complete_file,
        help="Only runs that pass: state=FINISHED, 'config.lr>=0.001', a JSON array or a file.",
    )


# What fails may be left out of what the command gives.
partial_option = click.option(
    "--partial",
    "--skip-failed",
    "partial",
    is_flag=True,
    help="Give all that can be had, and name what fails; the exit code is still 5.",
)

_PAGING = (
    click.option(
        "-n",
        "--page_num",
        "--page-num",
        "page",
        type=int,
        help="Page number.  [default: 1]",
    ),
    click.option(
        "-s",
        "--page_size",
        "--page-size",
        "page_size",
        type=click.Choice([str(size) for size in PAGE_SIZES]),
        help=f"Rows per page.  [default: {PAGE_SIZE}]",
    ),
    click.option("--all", is_flag=True, help="Every page, fetched concurrently."),
    partial_option,
)


_ARRANGING = (
    click.option(
        "--sort",
        multiple=True,
        metavar="COLUMNS",
        help="Sort all rows: by name, -created_at (descending), or several columns.",
    ),
    click.option("--limit", type=int, metavar="N", help="Only the first N rows."),
    click.option(
        "--varying",
        is_flag=True,
        help="Only columns that identify a row or differ between rows.",
    ),
)


def complete_host(_: object, __: object, incomplete: str) -> list[CompletionItem]:
    """Offer what is served here to the shell, which knows no other server, and the folders of backups."""
    if incomplete.startswith(f"{BACKUP}:"):
        return [CompletionItem(incomplete, type="dir")]
    names = (SANDBOX, f"{BACKUP}:")
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_file(_: object, __: object, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file."""
    return [CompletionItem(incomplete, type="file")]


def complete_folder(_: object, __: object, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a folder."""
    return [CompletionItem(incomplete, type="dir")]


def _shared(*names: str, **options: Any) -> Callable[..., Any]:
    return click.option(*names, cls=SharedOption, **options)


_OPTIONS = (
    _shared(
        "-h",
        "--host",
        metavar="URL",
        shell_complete=complete_host,
        help="Server; `sandbox` starts one here, `backup:FOLDER` serves a backup.  [env var: SWANLAB_API_HOST; default: that of the login]",
    ),
    _shared(
        "-k",
        "--api-key",
        "--api_key",
        "api_key",
        metavar="KEY",
        help="API key; safer in the environment or in a login.  [env var: SWANLAB_API_KEY; default: that of the login]",
    ),
    _shared(
        "--save",
        is_flag=False,
        flag_value=BARE,
        callback=read_optional,
        metavar="[NAME]",
        shell_complete=complete_file,
        help="Save to a file; its extension gives the format: .parquet .csv .tsv .json .jsonl .feather .xlsx "
        "(text also .gz .zst); also s3://, gs:// and az:// URLs. Without NAME, the file is named after the command and the time.",
    ),
    _shared(
        "--store-option",
        "store_option",
        multiple=True,
        metavar="NAME=VALUE",
        help="Option of the object store of an s3:// URL, such as endpoint=URL; can be repeated. "
        "Keys are read from the environment.",
    ),
    _shared(
        "--csv-bom",
        is_flag=True,
        help="Start .csv and .tsv files with a byte order mark, so that Excel reads them as UTF-8.",
    ),
    _shared(
        "--format",
        "output_format",
        type=click.Choice([*TEXT_FORMATS, "table", "plot"]),
        default=None,
        help="What to print.  [env var: SWANLAB_EXPORT_FORMAT; default: json]",
    ),
    _shared("--raw", is_flag=True, help="Print what the server sent, as it is."),
    _shared(
        "--fields",
        is_flag=False,
        flag_value=BARE,
        callback=read_optional,
        metavar="[A,B,...]",
        help="Only these columns, in this order. Without A,B, list the columns.",
    ),
    _shared(
        "--jobs",
        type=int,
        default=JOBS,
        show_default=True,
        help="How many requests may be in flight at the same time.",
    ),
    _shared(
        "--timeout",
        type=float,
        default=TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the server's next bytes.",
    ),
    _shared(
        "--retries",
        type=int,
        default=RETRIES,
        show_default=True,
        help="How often a request is repeated after a transient failure.",
    ),
    _shared(
        "--max-response",
        type=float,
        default=MAX_RESPONSE_MB,
        show_default=True,
        metavar="MB",
        help="How large a response may be, decompressed; files have no limit.",
    ),
    _shared("-q", "--quiet", is_flag=True, help="No progress bars and no hints."),
    _shared("--debug", is_flag=True, help="Show requests, and the trace of an error."),
)
_DEFAULTS = Shared(
    host=None,
    api_key=None,
    save=None,
    store_option=(),
    csv_bom=False,
    output_format=None,
    raw=False,
    fields=None,
    jobs=JOBS,
    timeout=TIMEOUT_S,
    retries=RETRIES,
    max_response=MAX_RESPONSE_MB,
    quiet=False,
    debug=False,
)
_NAMES = [each.name for each in fields(Shared)]

# The shared options reach a command as one ``shared`` argument.
shared_options = _with_options(_NAMES)
# Without those about requests, for what needs no server.
output_options = _with_options(
    ["save", "store_option", "csv_bom", "output_format", "fields", "quiet", "debug"]
)
# For what sends each request once, and one at a time.
one_by_one_options = _with_options([name for name in _NAMES if name not in {"jobs", "retries"}])
