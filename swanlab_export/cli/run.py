"""``swanlab api run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swanlab_export.cli.execute import execute
from swanlab_export.cli.options import Common, common_options, filter_option, paging_options
from swanlab_export.errors import UsageError, argument
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from swanlab_export.api.context import Context
    from swanlab_export.writers import Target

_CLASS = click.Choice(["CUSTOM", "SYSTEM", "ALL"], case_sensitive=False)
_COLUMN_TYPE = click.Choice(
    [
        *("FLOAT", "BOOLEAN", "STRING", "IMAGE", "AUDIO", "VIDEO", "OBJECT3D", "MOLECULE"),
        *("ECHARTS", "TABLE", "TEXT"),
    ],
    case_sensitive=False,
)


@click.group()
def run() -> None:
    """Runs: configs, metrics, media and logs.

    PATH is workspace/project/run (id or slug), or the run's web page.
    """


def _project_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Accept the project as ``-p`` and as an argument."""
    command = click.option(
        "-p",
        "--project_path",
        "--project-path",
        "--project",
        "project",
        metavar="PROJECT",
        help="workspace/project or its web page.",
    )(command)
    return click.argument("project_argument", metavar="[PROJECT]", required=False)(command)


def _summary_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--summary",
        is_flag=False,
        flag_value="",
        metavar="[KEYS]",
        help="Add the latest value of each metric, or of KEYS, as summary.<key>.",
    )(command)


def _column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--type", "column_type", type=_COLUMN_TYPE, help="Type of its data.")(
        command
    )
    return click.option(
        "--class",
        "column_class",
        type=_CLASS,
        default="CUSTOM",
        show_default=True,
        help="Logged by the user, or measured by SwanLab.",
    )(command)


def _many_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Accept several runs, or all runs of a project."""
    for option in (
        click.option("--skip-failed", is_flag=True, help="Leave out runs that fail; still exit 5."),
        filter_option(),
        click.option(
            "-p",
            "--project_path",
            "--project-path",
            "--project",
            "project",
            metavar="PROJECT",
            help="All runs of a project, instead of PATHs.",
        ),
        click.argument("paths", nargs=-1, metavar="[PATH]..."),
    ):
        command = option(command)
    return command


@run.command()
@click.argument("path")
@common_options
def info(path: str, common: Common) -> None:
    """One run, with config, metadata and requirements."""
    from swanlab_export.api import run as api

    execute(common, lambda context: api.info(context, path), name=f"run-{path}")


@run.command("list")
@_project_options
@_summary_option
@paging_options
@common_options
def list_(
    project: str | None,
    project_argument: str | None,
    summary: str | None,
    page: int,
    size: str,
    full: bool,
    common: Common,
) -> None:
    """Runs of a project, one row each, with their configs."""
    from swanlab_export.api import run as api
    from swanlab_export.api.paging import Paging

    paging = Paging(page, int(size), full)
    execute(
        common,
        lambda context: api.list_runs(
            context,
            _project(project, project_argument),
            paging,
            summary=False if summary is None else summary,
        ),
        name=f"runs-{project or project_argument or ''}",
    )


@run.command("filter")
@_project_options
@filter_option(is_required=True)
@_summary_option
@common_options
def filter_(
    project: str | None,
    project_argument: str | None,
    where: tuple[str, ...],
    summary: str | None,
    common: Common,
) -> None:
    """Runs of a project that pass all filters.

    A rule is NAME OPERATOR VALUE, such as state=FINISHED, config.lr>=0.001, summary.acc>0.9,
    name~baseline, 'state in CRASHED,ABORTED'. NAME is a field of the run, config.KEY or
    summary.KEY; the operators are = != >= <= > < ~ !~ in, not in.
    """
    from swanlab_export.api import run as api

    execute(
        common,
        lambda context: api.filter_runs(
            context,
            _project(project, project_argument),
            where,
            summary=False if summary is None else summary,
        ),
        name=f"runs-{project or project_argument or ''}",
    )


@run.command()
@_many_options
@click.option("--keys", required=True, metavar="KEYS", help="loss,acc or patterns: 'train/*'.")
@click.option(
    "-s", "--sample", type=int, default=1500, show_default=True, help="Points per key at most."
)
@click.option("--all", "full", is_flag=True, help="Every point, instead of a sample.")
@click.option("--ignore-timestamp", is_flag=True, help="Leave out the timestamp column.")
@click.option(
    "--x-axis",
    default="step",
    show_default=True,
    metavar="AXIS",
    help="step, time, relative_time or a metric key.",
)
@click.option(
    "--range-type",
    type=click.Choice(["step", "timestamp", "custom"], case_sensitive=False),
    help="What start and end are: steps, Unix ms, or values of the x axis.",
)
@click.option("--range-start", type=float, help="First, inclusive.")
@click.option("--range-end", type=float, help="Last, inclusive.")
@click.option("--range-head", type=int, metavar="N", help="First N points of each key.")
@click.option("--range-tail", type=int, metavar="N", help="Last N points of each key.")
@click.option("--range-last", type=int, metavar="MS", help="Points of the last MS milliseconds.")
@click.option(
    "--layout",
    type=click.Choice(["long", "wide"], case_sensitive=False),
    default="long",
    show_default=True,
    help="One row per key and step, or one column per key.",
)
@click.option("--log-scale", is_flag=True, help="Plots have a logarithmic axis.")
@common_options
def metrics(
    paths: tuple[str, ...],
    project: str | None,
    where: tuple[str, ...],
    skip_failed: bool,
    keys: str,
    sample: int,
    full: bool,
    ignore_timestamp: bool,
    x_axis: str,
    layout: str,
    log_scale: bool,
    common: Common,
    **bounds: Any,
) -> None:
    """Points of metrics: run_id, key, step, value, timestamp.

    A sample of at most 1500 points per key; --all or a range downloads every point.
    --save NAME.png, .svg or .pdf and --format plot draw them.
    """
    from swanlab_export.api.metrics import metrics as fetch
    from swanlab_export.api.ranges import Range
    from swanlab_export.writers.formats import PICTURES

    axis = bounds.pop("range_type")
    said = {name.removeprefix("range_"): value for name, value in bounds.items()}
    asked = axis is not None or any(value is not None for value in said.values())
    execute(
        common,
        lambda context: fetch(
            context,
            paths,
            keys=keys,
            project=project,
            where=where or None,
            full=full,
            sample=sample,
            x_axis=x_axis,
            range_query=Range(axis, **said) if asked else None,
            layout=layout,
            ignore_timestamp=ignore_timestamp,
            skip_failed=skip_failed,
        ),
        name=f"metrics-{'-'.join(paths) or project}",
        extra_formats=PICTURES,
        is_log_scale=log_scale,
        check=lambda target: _check_plot(common, target, layout, x_axis),
    )


@run.command()
@_many_options
@click.option("--keys", metavar="KEYS", help="loss,acc or patterns.  [default: all]")
@common_options
def summary(
    paths: tuple[str, ...],
    project: str | None,
    where: tuple[str, ...],
    skip_failed: bool,
    keys: str | None,
    common: Common,
) -> None:
    """Latest, min, max, avg, median and std of each metric."""
    from swanlab_export.api import run as api

    execute(
        common,
        lambda context: api.summary(
            context, paths, keys=keys, project=project, where=where or None, skip_failed=skip_failed
        ),
        name=f"summary-{'-'.join(paths) or project}",
    )


@run.command()
@click.argument("path")
@click.option(
    "--type",
    "metric_type",
    type=click.Choice(["SCALAR", "MEDIA"], case_sensitive=False),
    default="SCALAR",
    show_default=True,
    help="Numbers, or images, audio and the like.",
)
@click.option(
    "--class",
    "metric_class",
    type=_CLASS,
    default="CUSTOM",
    show_default=True,
    help="Logged by the user, or measured by SwanLab.",
)
@click.option("--search", metavar="TEXT", help="Only keys that hold TEXT.")
@common_options
def series(
    path: str, metric_type: str, metric_class: str, search: str | None, common: Common
) -> None:
    """Keys that a run has, one row each."""
    from swanlab_export.api import run as api

    execute(
        common,
        lambda context: api.series(
            context,
            path,
            metric_type=metric_type,
            metric_class=_one_class(metric_class),
            search=search,
        ),
        name=f"series-{path}",
    )


@run.command()
@click.argument("path")
@_column_options
@click.option("--search", metavar="TEXT", help="Only columns whose name holds TEXT.")
@paging_options
@common_options
def columns(
    path: str,
    column_class: str,
    column_type: str | None,
    search: str | None,
    page: int,
    size: str,
    full: bool,
    common: Common,
) -> None:
    """Columns of a run, one row per key."""
    from swanlab_export.api import run as api
    from swanlab_export.api.paging import Paging

    paging = Paging(page, int(size), full)
    execute(
        common,
        lambda context: api.columns(
            context,
            path,
            paging,
            column_class=_one_class(column_class),
            column_type=column_type,
            search=search,
        ),
        name=f"columns-{path}",
    )


@run.command()
@click.argument("path")
@click.option("--key", required=True, help="Key of the column; the exact one wins.")
@_column_options
@common_options
def column(path: str, key: str, column_class: str, column_type: str | None, common: Common) -> None:
    """One column of a run."""
    from swanlab_export.api import run as api

    execute(
        common,
        lambda context: api.column(
            context, path, key, column_class=_one_class(column_class), column_type=column_type
        ),
        name=f"column-{path}-{key}",
    )


@run.command()
@click.argument("path")
@click.option("--keys", required=True, metavar="KEYS", help="Media keys, or patterns.")
@click.option("-s", "--step", type=int, default=0, show_default=True, help="Step.")
@click.option("--all", "full", is_flag=True, help="Every step.")
@click.option("--download", metavar="DIR", help="Fetch the files into DIR, all or none.")
@common_options
def medias(
    path: str, keys: str, step: int, full: bool, download: str | None, common: Common
) -> None:
    """Images, audio and other media, with download URLs or as files."""
    from swanlab_export.api import medias as api

    if download is not None and common.raw:
        raise click.UsageError("--raw prints what the server said, and --download fetches files.")
    execute(
        common,
        lambda context: api.medias(
            context, path, keys=keys, step=step, full=full, download=download
        ),
        name=f"medias-{path}",
    )


@run.command()
@click.argument("path")
@click.option("-o", "--offset", type=int, default=0, show_default=True, help="Shard of 1000 lines.")
@click.option(
    "-l",
    "--level",
    type=click.Choice(["DEBUG", "INFO", "WARN", "ERROR"], case_sensitive=False),
    default="INFO",
    show_default=True,
    help="Lowest level.",
)
@click.option("--ignore-timestamp", is_flag=True, help="Leave out the timestamp column.")
@click.option("--all", "full", is_flag=True, help="Every shard.")
@common_options
def logs(
    path: str, offset: int, level: str, ignore_timestamp: bool, full: bool, common: Common
) -> None:
    """Lines of the console log, one row each."""
    from swanlab_export.api import logs as api

    execute(
        common,
        lambda context: api.logs(
            context, path, offset=offset, level=level, ignore_timestamp=ignore_timestamp, full=full
        ),
        name=f"logs-{path}",
    )


@run.command("export-logs")
@click.argument("path")
@click.option("--start", type=int, default=0, show_default=True, help="First line, from 0.")
@click.option("-r", "--rows", type=int, default=500_000, show_default=True, help="Lines at most.")
@common_options
def export_logs(path: str, start: int, rows: int, common: Common) -> None:
    """The console log as a file: its URL, or with --save run.log the file itself."""
    from swanlab_export.api import logs as api

    def save(context: Context, target: Target) -> Any:
        from swanlab_export.writers import write_chunks

        pieces = api.export_pieces(context, path, start=start, rows=rows)
        return write_chunks(api.log_chunks(context, pieces), target)

    execute(
        common,
        lambda context: api.export_logs(
            context,
            path,
            api.export_pieces(context, path, start=start, rows=rows),
            start=start,
            rows=rows,
        ),
        name=f"log-{path}",
        extra_formats={".log": "log"},
        write_extra=save,
    )


def _check_plot(common: Common, target: Target | None, layout: str, x_axis: str) -> None:
    """Refuse a plot that the options rule out, and one that no library is there to draw."""
    if "plot" not in {common.output_format, target and target.format}:
        return
    from swanlab_export import schemas
    from swanlab_export.api.keys import parse_names
    from swanlab_export.writers.plot import check_plottable

    columns = [] if layout == "wide" else [*schemas.METRICS.names, schemas.X.name]
    if columns and common.fields is not None:
        columns = parse_names("fields", common.fields, columns)
    check_plottable(columns, x_axis=x_axis, is_picture=target is not None)


def _one_class(column_class: str) -> str | None:
    return None if column_class == "ALL" else column_class


def _project(option: str | None, positional: str | None) -> str:
    """One project, however it was given."""
    if option and positional and option != positional:
        raise UsageError(
            f"two projects: {escape(positional)} and {argument('project')} {escape(option)}"
        )
    if found := option or positional:
        return found
    raise UsageError(f"name a project: PROJECT or {argument('project')}")
