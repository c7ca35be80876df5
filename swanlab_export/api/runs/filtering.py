"""The runs of a project that pass all rules, chosen by the server where it can, and checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.endpoints import metrics as metrics_endpoint
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.endpoints.filters import needs_check, passes
from swanlab_export.errors import NotFoundError, ServerError
from swanlab_export.limits import PAGE_SIZES, RUNS_PER_REQUEST
from swanlab_export.normalizers.runs import flatten_groups
from swanlab_export.pagination import Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.client import Client
    from swanlab_export.endpoints.filters import Rule
    from swanlab_export.refs import ProjectRef
    from swanlab_export.report import Report

_FILTERS = "filters of runs"


def all_runs(context: Context, ref: ProjectRef, report: Report) -> Pages:
    """The runs of a project, page by page."""
    return Pages(
        context.client,
        lambda page, size: endpoint.runs_page(ref, page, size),
        endpoint.identify,
        page=1,
        size=PAGE_SIZES[-1],
        all=True,
        title="runs",
        progress=context.progress,
        report=report,
    )


def filtered_runs(
    context: Context,
    ref: ProjectRef,
    rules: Sequence[Rule],
    find_project_id: Callable[[], str],
    report: Report,
) -> list[Any]:
    """Fetch the runs that pass all rules.

    A server that has no filters, or refuses these, lists its runs instead, and the rules are
    applied here.

    Args:
        context: The server.
        ref: The project.
        rules: What a run has to meet.
        find_project_id: Returns the project's id, or raises that there is no such project.
        report: Gets warnings.
    """
    client = context.client
    found = _ask(client, ref, rules, find_project_id)
    is_complete = found is None
    runs = list(all_runs(context, ref, report)) if found is None else found
    summaries = _latest_values(client, runs, rules, find_project_id, is_complete=is_complete)
    return [
        run
        for run, summary in zip(runs, summaries, strict=True)
        if all(passes(rule, run, summary, is_complete=is_complete) for rule in rules)
    ]


def _ask(
    client: Client, ref: ProjectRef, rules: Sequence[Rule], find_project_id: Callable[[], str]
) -> list[Any] | None:
    """Ask the server for the runs; None where it cannot choose them."""
    if client.capabilities.lacks(_FILTERS):
        return None
    try:
        return list(flatten_groups(endpoint.fetch_filtered_runs(client, ref, rules)))
    except NotFoundError:
        find_project_id()
        # The project is there, so what is missing are the filters.
        client.capabilities.learn(_FILTERS, is_offered=False)
    except ServerError as refused:
        if refused.status != 400:
            raise
    return None


def _latest_values(
    client: Client,
    runs: list[Any],
    rules: Sequence[Rule],
    find_project_id: Callable[[], str],
    *,
    is_complete: bool,
) -> list[Mapping[str, Any] | None]:
    """Fetch what rules about metrics compare, where the server has not compared it itself."""
    of_metrics = [rule for rule in rules if rule.kind == "SCALAR"]
    is_checked_here = is_complete or any(map(needs_check, of_metrics))
    if not (of_metrics and (is_checked_here or any(map(endpoint.is_pinned, runs)))):
        return [None] * len(runs)
    keys = list(dict.fromkeys(rule.field for rule in of_metrics))
    project_id = find_project_id()
    sources = [endpoint.read_source(run, project_id) for run in runs]
    batches = [sources[i : i + RUNS_PER_REQUEST] for i in range(0, len(runs), RUNS_PER_REQUEST)]

    def fetch(some: list[endpoint.RunSource]) -> list[Mapping[str, Any]]:
        payload = metrics_endpoint.fetch_summaries(client, some, keys)
        by_id = metrics_endpoint.read_summaries(payload, some, keys)
        return [by_id.get(source.run_id, {}) for source in some]

    return [summary for part in client.map(fetch, batches) for summary in part]
