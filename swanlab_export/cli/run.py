"""``swanlab api run``."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from swanlab_export.cli.commands import Group
from swanlab_export.cli.options import (
    BARE,
    Shared,
    arranging_options,
    complete_folder,
    filter_option,
    joined,
    paging_options,
    partial_option,
    read_optional,
    refuse_raw,
    shared_options,
)
from swanlab_export.cli.output import connected, store_options
from swanlab_export.errors import UsageError
from swanlab_export.limits import (
    COLUMN_CLASSES,
    COLUMN_TYPES,
    CONFIG_FORMS,
    LAYOUTS,
    LOG_EXPORT_LINES_MAX,
    LOG_LEVELS,
    METRIC_TYPES,
    PICTURES,
    RANGE_TYPES,
    SAMPLE_MAX,
)
from swanlab_export.messages import argument

if TYPE_CHECKING:
    from collections.abc import Callable

_CLASS = click.Choice([*COLUMN_CLASSES, "ALL"], case_sensitive=False)


@click.group(cls=Group)
def run() -> None:
    """Runs: configs, metrics, media and logs.

    PATH is workspace/project/run (id, slug, display name or a pattern), or the run's web page.
    """


def _project_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Accept projects as ``-p`` and as arguments."""
    command = click.option(
        "-p",
        "--project_path",
        "--project-path",
        "--project",
        "project",
        multiple=True,
        metavar="PROJECT",
        help="workspace/project or its web page; can be repeated, and gives one table.",
    )(command)
    command = _group_option(
        "Give one row for each group of runs that have the same values in COLUMNS."
    )(command)
    for option in (
        click.option(
            "--snapshot",
            is_flag=True,
            help="Add a column snapshot_at with the time of the command.",
        ),
        click.option(
            "--config",
            type=click.Choice(CONFIG_FORMS, case_sensitive=False),
            default=CONFIG_FORMS[0],
            show_default=True,
            help="A column for each config key, or one column of JSON, which is the same every night.",
        ),
    ):
        command = option(command)
    return click.argument("projects", metavar="[PROJECT]...", nargs=-1)(command)


def _group_option(text: str) -> Callable[..., Any]:
    option: Callable[..., Any] = click.option(
        "--group-by", multiple=True, metavar="COLUMNS", help=text
    )
    return option


def _run_columns_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--run-columns",
        multiple=True,
        metavar="COLUMNS",
        help="Add columns of the run to each row: state,config.lr.",
    )(command)


def _summary_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--summary",
        multiple=True,
        is_flag=False,
        flag_value=BARE,
        callback=read_optional,
        metavar="[KEYS]",
        help="Add the latest value of each metric, or of KEYS, as summary.<key>.",
    )(command)


def _column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--type",
        "column_type",
        type=click.Choice(COLUMN_TYPES, case_sensitive=False),
        help="Type of its data.",
    )(command)
    decorated: Callable[..., Any] = _class_option("column_class")(command)
    return decorated


def _class_option(name: str) -> Callable[..., Any]:
    option: Callable[..., Any] = click.option(
        "--class",
        name,
        type=_CLASS,
        default="CUSTOM",
        show_default=True,
        callback=lambda _, __, value: None if value == "ALL" else value,
        help="Logged by the user, or measured by SwanLab.",
    )
    return option


def _runs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Accept several runs, or all runs of a project."""
    for option in (
        partial_option,
        filter_option(),
        click.option(
            "-p",
            "--project_path",
            "--project-path",
            "--project",
            "project",
            multiple=True,
            metavar="PROJECT",
            help="All runs of a project, instead of PATHs; can be repeated.",
        ),
        click.argument("paths", nargs=-1, metavar="[PATH]..."),
    ):
        command = option(command)
    return command


@run.command(example="api run info ada-lab/digits/mlp-adam --host sandbox")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@partial_option
@shared_options
def info(paths: tuple[str, ...], partial: bool, shared: Shared) -> None:
    """One run, with config, metadata and requirements; several give a list.

    PATH ends in the id, the slug or the display name of the run, or in a pattern: team/proj/mlp-*.
    """
    with connected(shared, f"run-{'-'.join(paths)}") as api:
        api.run.info(*paths, partial=partial)


@run.command(
    "list",
    example="api run list ada-lab/digits --all --summary val/acc --host sandbox --save runs.parquet",
)
@_project_options
@_summary_option
@paging_options
@shared_options
def list_(
    project: tuple[str, ...],
    projects: tuple[str, ...],
    summary: tuple[str, ...],
    group_by: tuple[str, ...],
    paging: dict[str, Any],
    shared: Shared,
    **options: Any,
) -> None:
    """Runs of a project, one row each, with their configs.

    With --group-by a row is a group: n, mean, std, min and max of each --summary.
    """
    with connected(
        shared,
        f"runs-{'-'.join([*projects, *project])}",
        check=lambda: _check_named(project, projects),
    ) as api:
        api.run.list(
            list(dict.fromkeys([*projects, *project])),
            summary=_keys(summary, shared, is_grouped=bool(group_by)),
            group_by=joined(group_by),
            **paging,
            **options,
        )


@run.command(
    "filter",
    example="api run filter ada-lab/digits -f state=FINISHED -f 'config.lr>=0.1' --host sandbox",
)
@_project_options
@filter_option(is_required=True)
@_summary_option
@arranging_options
@partial_option
@shared_options
def filter_(
    project: tuple[str, ...],
    projects: tuple[str, ...],
    where: tuple[str, ...],
    summary: tuple[str, ...],
    group_by: tuple[str, ...],
    arranged: dict[str, Any],
    shared: Shared,
    **options: Any,
) -> None:
    """Runs of a project that pass all filters.

    A rule is NAME OPERATOR VALUE, such as state=FINISHED, config.lr>=0.001, summary.acc>0.9,
    name~baseline (contains), 'state in CRASHED,ABORTED', 'created_at>=-7d'. NAME is a column of
    `run list`, config.KEY or summary.KEY; `help filters` explains the operators.
    """
    with connected(
        shared,
        f"runs-{'-'.join([*projects, *project])}",
        check=lambda: _check_named(project, projects),
    ) as api:
        api.run.filter(
            list(dict.fromkeys([*projects, *project])),
            where,
            summary=_keys(summary, shared, is_grouped=bool(group_by)),
            group_by=joined(group_by),
            **arranged,
            **options,
        )


@run.command(
    example="api run metrics ada-lab/digits/mlp-long --keys loss --all --host sandbox --save loss.parquet"
)
@_runs_options
@click.option(
    "--keys",
    required=True,
    multiple=True,
    metavar="KEYS",
    help="loss,acc or patterns: 'train/*'.",
)
@click.option(
    "-s",
    "--sample",
    type=int,
    default=SAMPLE_MAX,
    show_default=True,
    help="At most so many points per key. NaN and infinite ones are left out, which a warning says "
    "where the summary of the key shows them; --all has them in any case.",
)
@click.option("--all", is_flag=True, help="Every point, instead of a sample.")
@click.option("--ignore-timestamp", is_flag=True, help="Leave out the timestamp column.")
@click.option(
    "--text", is_flag=True, help="Add a column text with the values that are not numbers."
)
@click.option(
    "--x-axis",
    default="step",
    show_default=True,
    metavar="AXIS",
    help="step, time, relative_time or a metric key.",
)
@click.option(
    "--range-type",
    type=click.Choice(RANGE_TYPES, case_sensitive=False),
    help="What start and end are: steps, Unix ms, or values of the x axis.",
)
@click.option("--range-start", type=float, help="Start of the range, inclusive.")
@click.option("--range-end", type=float, help="End of the range, inclusive.")
@click.option("--range-head", type=int, metavar="N", help="First N points of each key.")
@click.option("--range-tail", type=int, metavar="N", help="Last N points of each key.")
@click.option("--range-last", type=int, metavar="MS", help="Points of the last MS milliseconds.")
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS, case_sensitive=False),
    default="long",
    show_default=True,
    help="One row per key and step, or one column per key.",
)
@click.option(
    "--smooth",
    type=float,
    metavar="WEIGHT",
    help="Add a column smoothed: an exponential mean of every point, debiased; 0.9 is smooth.",
)
@_group_option(
    "Give mean, std, min and max at each step, for groups of runs that have the same values in COLUMNS."
)
@_run_columns_option
@click.option("--log-scale", is_flag=True, help="Plots have a logarithmic y axis.")
@click.option(
    "--title", help="Title of a plot.  [default: the name of the run, if there is only one]"
)
@click.option("--size", metavar="WxH", help="Size of a picture in inches, such as 6x4.")
@click.option(
    "--color-by",
    metavar="COLUMN",
    help="Colour the lines of a plot by a column of the runs: config.lr.",
)
@shared_options
def metrics(
    paths: tuple[str, ...],
    project: tuple[str, ...],
    where: tuple[str, ...],
    keys: tuple[str, ...],
    group_by: tuple[str, ...],
    run_columns: tuple[str, ...],
    log_scale: bool,
    title: str | None,
    size: str | None,
    color_by: str | None,
    shared: Shared,
    **options: Any,
) -> None:
    """Points of metrics: run_id, key, step, value, timestamp, run_name.

    A sample of at most 1500 points per key; --all, a range, --smooth and --group-by download every
    point. With --group-by a row is a group of runs at a step: n, mean, std, min, max.
    --save NAME.png, .svg or .pdf and --format plot draw them.
    """
    computed = {"group_by": group_by, "run_columns": run_columns, "smooth": options["smooth"]}
    refuse_raw({"raw": shared.raw} | computed, *computed)
    name = f"metrics-{'-'.join(paths or project)}"
    plot = {"log_scale": log_scale, "title": title, "size": size, "color_by": color_by}
    with connected(shared, name, extra_formats=PICTURES, plot=plot) as api:
        api.run.metrics(
            *paths,
            keys=joined(keys) or "",
            project=project or None,
            where=where or None,
            group_by=joined(group_by),
            run_columns=joined(run_columns),
            **options,
        )


@run.command(
    example="api run summary -p ada-lab/digits --keys val/acc --host sandbox --format table"
)
@_runs_options
@click.option("--keys", multiple=True, metavar="KEYS", help="loss,acc or patterns.  [default: all]")
@_run_columns_option
@arranging_options
@shared_options
def summary(
    paths: tuple[str, ...],
    project: tuple[str, ...],
    where: tuple[str, ...],
    partial: bool,
    keys: tuple[str, ...],
    run_columns: tuple[str, ...],
    arranged: dict[str, Any],
    shared: Shared,
) -> None:
    """Latest, min, max, avg, median and std of each metric."""
    with connected(shared, f"summary-{'-'.join(paths or project)}") as api:
        api.run.summary(
            *paths,
            keys=joined(keys),
            project=project or None,
            where=where or None,
            partial=partial,
            run_columns=joined(run_columns),
            **arranged,
        )


@run.command(example="api run series ada-lab/digits/mlp-adam --host sandbox")
@click.argument("path")
@click.option(
    "--type",
    "metric_type",
    type=click.Choice(METRIC_TYPES, case_sensitive=False),
    default="SCALAR",
    show_default=True,
    help="Numbers, or images, audio and the like.",
)
@_class_option("metric_class")
@click.option("--search", metavar="TEXT", help="Only keys that contain TEXT.")
@arranging_options
@partial_option
@shared_options
def series(path: str, arranged: dict[str, Any], shared: Shared, **options: Any) -> None:
    """Keys that a run has, one row each."""
    with connected(shared, f"series-{path}") as api:
        api.run.series(path, **arranged, **options)


@run.command(example="api run columns ada-lab/digits/mlp-adam --all --host sandbox")
@click.argument("path")
@_column_options
@click.option("--search", metavar="TEXT", help="Only columns whose name contains TEXT.")
@paging_options
@shared_options
def columns(
    path: str,
    column_class: str | None,
    column_type: str | None,
    search: str | None,
    paging: dict[str, Any],
    shared: Shared,
) -> None:
    """Columns of a run, one row per key. Deprecated upstream: see `run series` for keys."""
    with connected(shared, f"columns-{path}") as api:
        api.run.columns(
            path, column_class=column_class, column_type=column_type, search=search, **paging
        )


@run.command(example="api run column ada-lab/digits/mlp-adam --key loss --host sandbox")
@click.argument("path")
@click.option("--key", required=True, help="Key of the column.")
@_column_options
@shared_options
def column(
    path: str, key: str, column_class: str | None, column_type: str | None, shared: Shared
) -> None:
    """One column of a run. Deprecated upstream: see `run series` for keys."""
    with connected(shared, f"column-{path}-{key}") as api:
        api.run.column(path, key, column_class=column_class, column_type=column_type)


@run.command(
    example="api run medias ada-lab/digits/mlp-adam --keys 'val/*' --all --host sandbox --download media"
)
@click.argument("path")
@click.option(
    "--keys", required=True, multiple=True, metavar="KEYS", help="Media keys, or patterns."
)
@_run_columns_option
@click.option("-s", "--step", type=int, help="Step.  [default: 0]")
@click.option("--all", is_flag=True, help="Every step.")
@click.option(
    "--download",
    metavar="DIR",
    shell_complete=complete_folder,
    help="Download the files into DIR, all or none.",
)
@partial_option
@shared_options
def medias(
    path: str,
    keys: tuple[str, ...],
    run_columns: tuple[str, ...],
    download: str | None,
    shared: Shared,
    **options: Any,
) -> None:
    """Images, audio and other media, with download URLs or as files."""
    if download is not None and shared.raw:
        raise click.UsageError("--raw prints what the server sent, and --download fetches files.")
    with connected(shared, f"medias-{path}") as api:
        api.run.medias(
            path,
            keys=joined(keys) or "",
            download=download,
            run_columns=joined(run_columns),
            **options,
        )


@run.command(example="api run logs ada-lab/digits/crashed --level ERROR --host sandbox")
@click.argument("path")
@click.option(
    "-o", "--offset", type=int, help="Number of a shard, which has 1000 lines.  [default: 0]"
)
@click.option(
    "-l",
    "--level",
    type=click.Choice(LOG_LEVELS, case_sensitive=False),
    default="INFO",
    show_default=True,
    help="Lines of this level and above.",
)
@click.option("--ignore-timestamp", is_flag=True, help="Leave out the timestamp column.")
@click.option("--all", is_flag=True, help="Every line.")
@partial_option
@_run_columns_option
@shared_options
def logs(
    path: str,
    offset: int | None,
    all: bool,
    run_columns: tuple[str, ...],
    shared: Shared,
    **options: Any,
) -> None:
    """Lines of the console log, one row each."""
    with connected(shared, f"logs-{path}") as api:
        api.run.logs(
            path,
            offset=offset if all else offset or 0,
            all=all or None,
            **options,
            run_columns=joined(run_columns),
        )


@run.command(
    "export-logs",
    example="api run export-logs ada-lab/digits/mlp-long --host sandbox --save run.log",
)
@click.argument("path")
@click.option("--start", type=int, default=0, show_default=True, help="First line, from 0.")
@click.option(
    "-r",
    "--rows",
    type=int,
    help=f"At most so many lines.  [default: {LOG_EXPORT_LINES_MAX}; with --save, all]",
)
@partial_option
@shared_options
def export_logs(path: str, shared: Shared, **options: Any) -> None:
    """The console log as a file: its URL, or with --save run.log the file itself."""
    with connected(shared, f"log-{path}", extra_formats={".log": "log"}) as api:
        save = shared.save if _is_log(shared.save) else None
        stores = store_options(shared, save)
        api.run.export_logs(path, save=save, store_options=stores, **options)


def _is_log(save: str | None) -> bool:
    """Say whether ``--save`` names a log file, which may be compressed."""
    return save is not None and ".log" in PurePath(save.lower()).suffixes[-2:]


def _keys(summary: tuple[str, ...], shared: Shared, *, is_grouped: bool) -> str | bool:
    """Translate ``--summary``: without a value it means every key; given several times, all.

    A summary that ``--fields`` names is wanted, too.
    """
    from swanlab_export import schemas  # with Arrow, which must not be imported early

    if "" in summary:
        return True
    fields = schemas.parse_names(shared.fields, "fields") if shared.fields else []
    named = (schemas.summary_key(each, is_grouped=is_grouped) for each in fields)
    quoted = (f'"{name.replace(chr(34), chr(34) * 2)}"' for name in named if name is not None)
    return ",".join([*summary, *quoted]) or False


def _check_named(*given: tuple[str, ...]) -> None:
    """Insist on a project, however it is given."""
    if not any(given):
        raise UsageError(f"name a project: PROJECT or {argument('project')}")
