"""Runs: info, list, filter, summary, series, columns and column."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.api.filters import Where, filter_rules
from swanlab_export.api.keys import (
    fetch_keys,
    fetch_summaries,
    fetch_summaries_of,
    find_having,
    is_pattern,
    match_keys,
    matching,
    missing_notes,
    parse_keys,
)
from swanlab_export.api.paging import Paging, check_choice, list_answer
from swanlab_export.api.resolve import (
    RUNS_PER_REQUEST,
    FoundRun,
    find_project_runs,
    find_run,
    find_runs,
    identity,
    in_batches,
    project_id_of,
    run_pages,
    source_of_run,
)
from swanlab_export.endpoints import project as project_endpoint
from swanlab_export.endpoints import run as endpoint
from swanlab_export.errors import NotFoundError, UsageError, argument, command
from swanlab_export.normalizers.details import key_class, normalize_columns, normalize_series
from swanlab_export.normalizers.runs import flatten_groups, normalize_runs, normalize_summaries
from swanlab_export.pagination import Pages
from swanlab_export.refs import ProjectRef, escape, parse_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swanlab_export.tables import Table

COLUMN_CLASSES = ("CUSTOM", "SYSTEM")
COLUMN_TYPES = (
    *("FLOAT", "BOOLEAN", "STRING", "IMAGE", "AUDIO", "VIDEO", "OBJECT3D", "MOLECULE"),
    *("ECHARTS", "TABLE", "TEXT"),
)
METRIC_TYPES = ("SCALAR", "MEDIA")


def info(context: Context, path: str) -> Answer:
    """One run with config, metadata and requirements."""
    run = find_run(context, path)
    return Answer(
        run.wire,
        lambda wire: normalize_runs(
            [(wire, None)],
            run.path.rpartition("/")[0],
            run.source.project_id,
            context.web_host,
            is_single=True,
        ),
        source_of(context, "run info", path),
    )


def list_runs(
    context: Context, project: str, paging: Paging, *, summary: str | Sequence[str] | bool = False
) -> Answer:
    """Runs of a project, one row each; with ``summary`` also the latest value of each metric."""
    ref = parse_project(project)
    keys = _summary_keys(summary)
    page, size = paging.check()
    project_id = project_id_of(project_endpoint.fetch_project(context.client, ref))
    pages = run_pages(context, ref, page=page, size=size, is_full=paging.full)
    source = source_of(context, "run list", ref, **paging.options(), summary=summary)
    return list_answer(
        pages, lambda runs: _runs_table(context, ref, project_id, runs, keys), source, "runs"
    )


def filter_runs(
    context: Context, project: str, where: Where, *, summary: str | Sequence[str] | bool = False
) -> Answer:
    """Runs of a project that pass all filters, one row each; groups are flattened."""
    ref = parse_project(project)
    rules = filter_rules(where)
    keys = _summary_keys(summary)
    project_id = project_id_of(project_endpoint.fetch_project(context.client, ref))
    wire = endpoint.fetch_filtered_runs(context.client, ref, rules)
    runs = list(flatten_groups(wire))
    return Answer(
        wire,
        lambda _: _runs_table(context, ref, project_id, runs, keys),
        source_of(context, "run filter", ref, where=rules, summary=summary),
        notes=[] if runs else ["no run passes"],
    )


def summary(
    context: Context,
    paths: Sequence[str],
    *,
    keys: str | Sequence[str] | None = None,
    project: str | None = None,
    where: Where = None,
    skip_failed: bool = False,
) -> Answer:
    """Latest, min, max, avg, median and std of each metric, one row per run and key."""
    patterns = None if keys is None else parse_keys(keys)
    runs, failures = find_many(context, paths, project, where, skip_failed=skip_failed)
    wanted = None
    notes: list[str] = []
    if patterns is not None:
        wanted = match_keys(context, runs, patterns, "SCALAR")
        having = find_having(context, runs, wanted, "SCALAR")
        notes = missing_notes(having, len(runs))
    found = [(run.run_id, wire) for run, wire in fetch_summaries(context, runs, wanted)]

    def normalize(found: Any) -> Table:
        return normalize_summaries((run_id, _in_order(wire, wanted)) for run_id, wire in found)

    source = source_of(
        context,
        "run summary",
        ", ".join(paths) or project,
        keys=patterns,
        **many_options(project, where, skip_failed=skip_failed),
    )
    return Answer(found, normalize, source, dict, notes, failures)


def series(
    context: Context,
    path: str,
    *,
    metric_type: str = "SCALAR",
    metric_class: str | None = "CUSTOM",
    search: str | None = None,
) -> Answer:
    """Keys that a run has, one row each."""
    metric_type = check_choice("metric_type", metric_type, METRIC_TYPES)
    if metric_class is not None:
        metric_class = check_choice("metric_class", metric_class, COLUMN_CLASSES)
    run = find_run(context, path)
    keys = [
        key
        for key in fetch_keys(context, [run], metric_type)
        if (metric_class is None or key_class(key, metric_type) == metric_class)
        and (search is None or search.lower() in key.lower())
    ]
    source = source_of(
        context, "run series", path, type=metric_type, metric_class=metric_class, search=search
    )
    return Answer(keys, lambda keys: normalize_series(keys, run.run_id, metric_type), source)


def columns(
    context: Context,
    path: str,
    paging: Paging,
    *,
    column_class: str | None = "CUSTOM",
    column_type: str | None = None,
    search: str | None = None,
) -> Answer:
    """Columns of a run, one row per key."""
    paging.check()
    column_class, column_type = _check_column(column_class, column_type)
    run = find_run(context, path)
    pages = _column_pages(
        context,
        run,
        paging,
        search=search,
        column_class=column_class,
        column_type=column_type,
    )
    source = source_of(
        context,
        "run columns",
        path,
        **paging.options(),
        column_class=column_class,
        column_type=column_type,
        search=search,
    )
    return list_answer(pages, lambda wire: normalize_columns(wire, run.run_id), source, "columns")


def column(
    context: Context,
    path: str,
    key: str,
    *,
    column_class: str | None = "CUSTOM",
    column_type: str | None = None,
) -> Answer:
    """One column of a run: the one whose key is exactly ``key``, else the first that matches.

    The server searches names, and a key may be named otherwise: where no match has the very key,
    all columns are looked through.
    """
    if not key.strip():
        raise UsageError(f"{argument('key')} is empty")
    column_class, column_type = _check_column(column_class, column_type)
    run = find_run(context, path)
    look = partial(_columns_like, context, run, column_class, column_type)
    found = look(search=key)
    exact = _of_key(found, key) or _of_key(look(search=None), key)
    if exact is None and not found:
        wanted = " ".join(filter(None, (column_class, column_type)))
        raise NotFoundError(
            f"{path} has no {wanted} column {escape(key)}; see {command('run columns')}"
        )
    first = f"no column is exactly {escape(key)}: this is the first of {len(found)} matches"
    return Answer(
        exact or found[0],
        lambda wire: normalize_columns([wire], run.run_id, is_single=True),
        source_of(
            context, "run column", path, key=key, column_class=column_class, column_type=column_type
        ),
        notes=[] if exact else [first],
    )


def _columns_like(
    context: Context,
    run: FoundRun,
    column_class: str | None,
    column_type: str | None,
    *,
    search: str | None,
) -> list[Any]:
    pages = _column_pages(
        context,
        run,
        Paging(full=True),
        search=search,
        column_class=column_class,
        column_type=column_type,
    )
    return list(pages)


def _of_key(columns: Iterable[Any], key: str) -> Any:
    return next((c for c in columns if isinstance(c, dict) and c.get("key") == key), None)


def find_many(
    context: Context,
    paths: Sequence[str],
    project: str | None,
    where: Where,
    *,
    skip_failed: bool,
) -> tuple[list[FoundRun], list[str]]:
    """Find the runs of a call that takes many, and say which could not be found."""
    if bool(paths) == bool(project):
        raise UsageError(f"name one or more runs, or give {argument('project')}, not both")
    if project:
        return find_project_runs(context, project, where), []
    if where is not None:
        raise UsageError(f"{argument('where')} chooses runs of {argument('project')}")
    return find_runs(context, paths, skip_failed=skip_failed)


def many_options(project: str | None, where: Where, *, skip_failed: bool) -> dict[str, Any]:
    """What a table's source says of which runs were asked for."""
    rules = None if where is None else filter_rules(where)
    return {"project": project, "where": rules, "skip_failed": skip_failed}


def _runs_table(
    context: Context,
    ref: ProjectRef,
    project_id: str,
    runs: Iterable[Any],
    keys: list[str] | None,
) -> Table:
    if keys is None:
        pairs = ((run, None) for run in runs)
        return normalize_runs(pairs, str(ref), project_id, context.web_host)
    met: set[str] = set()
    table = normalize_runs(
        _with_summaries(context, project_id, runs, keys, met),
        str(ref),
        project_id,
        context.web_host,
        summary_keys=[key for key in keys if not is_pattern(key)],
    )
    for key in keys:
        if not matching(key, list(met)):
            table.notes.append(f"no run here has the key {escape(key)}")
    return table


def _with_summaries(
    context: Context, project_id: str, runs: Iterable[Any], keys: list[str], met: set[str]
) -> Iterator[tuple[Any, Any]]:
    """Join each run with its summary, a few hundred a request, side by side.

    No key means all of them; ``met`` gathers those that some run has.
    """

    def fetch(some: list[Any]) -> list[tuple[Any, Any]]:
        found = [FoundRun("", run, source_of_run(run, project_id)) for run in some]
        wanted: list[str] | None = keys or None
        if any(is_pattern(key) for key in keys):
            known = fetch_keys(context, found, "SCALAR")
            wanted = [key for each in keys for key in matching(each, known)]
        wires = fetch_summaries_of(context, found, wanted) if wanted != [] else [None] * len(found)
        return list(zip(some, wires, strict=True))

    for pairs in context.client.map(fetch, in_batches(runs, RUNS_PER_REQUEST)):
        for run, wire in pairs:
            met.update(wire or {})
            yield run, wire


def _in_order(wire: Any, keys: Sequence[str] | None) -> Any:
    """The summary in the order in which keys were asked for."""
    if not wire or keys is None:
        return wire
    return {key: wire[key] for key in keys if key in wire}


def _summary_keys(summary: str | Sequence[str] | bool) -> list[str] | None:
    """``summary=True`` means every key: an empty list. None means no summary at all."""
    if isinstance(summary, bool):
        return [] if summary else None
    return parse_keys(summary, "summary") if summary else []


def _check_column(
    column_class: str | None, column_type: str | None
) -> tuple[str | None, str | None]:
    if column_class is not None:
        column_class = check_choice("column_class", column_class, COLUMN_CLASSES)
    if column_type is not None:
        column_type = check_choice("column_type", column_type, COLUMN_TYPES)
    return column_class, column_type


def _column_pages(
    context: Context,
    run: FoundRun,
    paging: Paging,
    *,
    search: str | None,
    column_class: str | None,
    column_type: str | None,
) -> Pages:
    return Pages(
        context.client,
        lambda page, size: endpoint.columns_page(
            run.run_id,
            page,
            size,
            search=search,
            column_class=column_class,
            column_type=column_type,
        ),
        identity("key"),
        page=paging.page,
        size=paging.size,
        is_full=paging.full,
        title="columns",
        progress=context.progress,
    )
