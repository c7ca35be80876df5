"""The runs of projects that pass all rules, chosen by the server where it can, and checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.api.partial import Partial
from swanlab_export.api.runs.rules import warn_of_states
from swanlab_export.api.runs.survey import all_runs, check_rules, columns_for, latest_values
from swanlab_export.client import NotOfferedError, is_not_told
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.endpoints.filters import (
    needs_check,
    passes,
    read_compared,
    sent_filters,
)
from swanlab_export.errors import NotFoundError, ServerError, SwanlabExportError
from swanlab_export.normalizers.runs import flatten_groups
from swanlab_export.refs import RunRef

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.survey import Place
    from swanlab_export.client import Client
    from swanlab_export.endpoints.filters import Rule
    from swanlab_export.refs import ProjectRef
    from swanlab_export.report import Report

_FILTERS = "filters of runs"


def filtered_runs(
    context: Context,
    places: Sequence[Place],
    rules: Sequence[Rule],
    report: Report,
    partial: Partial | None = None,
) -> list[list[Any]]:
    """Fetch the runs of projects that pass all rules; where there is none, the report says why.

    A server that has no filters, or refuses these, lists its runs instead, and the rules are
    applied here.

    Args:
        context: The server.
        places: The projects.
        rules: What a run has to meet.
        report: Gets warnings.
        partial: Decides what it means that runs cannot be listed, or judged by the rules.

    Returns:
        The runs of each project.

    Raises:
        NotFoundError: No run of the projects has the key of a rule; names the closest ones.
        UsageError: No run of the projects has the field of a rule.
    """
    warn_of_states(rules, report)
    if partial is None:
        partial = Partial(report, is_wanted=False)
    kept = [_filtered(context, place, rules, report, partial) for place in places]
    check_rules(context, list(zip(places, kept, strict=True)), rules, report)
    return kept


def _filtered(
    context: Context, place: Place, rules: Sequence[Rule], report: Report, partial: Partial
) -> list[Any]:
    """The runs of a project that pass all rules."""
    client, ref = context.client, place.ref
    found = _ask(context, place, rules)
    is_complete = found is None
    listed = all_runs(context, ref, report, partial) if found is None else found
    # A project may have very many runs: those that fail already need not be kept.
    runs = [
        run
        for run, _ in partial.each(listed, lambda run: endpoint.read_source(run, ""))
        if _passes_all(context, ref, rules, run, None, is_complete=False)
    ]
    runs = _with_configs(client, ref, rules, runs, partial, is_complete=is_complete)
    summaries = _latest_values(client, runs, rules, place, partial, is_complete=is_complete)
    if not is_complete:
        summaries = _without_refusals(summaries, rules, report)
    kept = []
    for run, summary in zip(runs, summaries, strict=True):
        if isinstance(summary, SwanlabExportError):
            partial.fail_of_batch(_path(ref, run), summary, len(runs), "runs")
        elif _passes_all(context, ref, rules, run, summary, is_complete=is_complete):
            kept.append(run)
    return kept


def _passes_all(
    context: Context,
    ref: ProjectRef,
    rules: Sequence[Rule],
    run: Any,
    summary: Mapping[str, Any] | None,
    *,
    is_complete: bool,
) -> bool:
    columns = columns_for(context, ref, rules, run)
    return all(passes(rule, run, summary, columns, is_complete=is_complete) for rule in rules)


def _ask(context: Context, place: Place, rules: Sequence[Rule]) -> list[Any] | None:
    """Ask the server for the runs; None where it cannot choose them."""
    client, ref = context.client, place.ref
    unsent = [rule for rule in rules if not sent_filters(rule)]
    if client.capabilities.lacks(_FILTERS) or len(unsent) == len(rules):
        return None
    try:
        found = list(flatten_groups(endpoint.fetch_filtered_runs(client, ref, rules)))
    except NotFoundError:
        place.find_id()
        # The project is there, so what is missing are the filters.
        client.capabilities.learn(_FILTERS, is_offered=False)
        return None
    except ServerError as refused:
        if refused.status != 400:
            raise
        return None
    # What the server has not judged has to be known here.
    for run in found:
        columns = columns_for(context, ref, unsent, run)
        if not all(
            rule.kind == "SCALAR" or read_compared(rule, run, None, columns)[0] for rule in unsent
        ):
            return None
    return found


def _with_configs(
    client: Client,
    ref: ProjectRef,
    rules: Sequence[Rule],
    runs: list[Any],
    partial: Partial,
    *,
    is_complete: bool,
) -> list[Any]:
    """Fetch by itself each run that came without the config that has to be compared here."""
    of_config = [rule for rule in rules if rule.kind == "CONFIG"]
    is_checked_here = is_complete or any(map(needs_check, of_config))

    def complete(run: Any) -> Any:
        is_needed = is_checked_here or endpoint.is_pinned(run)
        if not is_needed or endpoint.has_config(run):
            return run
        try:
            return endpoint.with_config(endpoint.fetch_run(client, _path(ref, run)))
        except SwanlabExportError as error:
            return error

    if not of_config:
        return runs
    completed = []
    for run, found in zip(runs, client.map(complete, runs), strict=True):
        if isinstance(found, SwanlabExportError):
            partial.fail_one(_path(ref, run), found, len(runs), "runs")
        else:
            completed.append(found)
    return completed


def _path(ref: ProjectRef, run: Any) -> RunRef:
    return RunRef(ref, endpoint.read_source(run, "").run_id)


def _latest_values(
    client: Client,
    runs: list[Any],
    rules: Sequence[Rule],
    place: Place,
    partial: Partial,
    *,
    is_complete: bool,
) -> list[Mapping[str, Any] | SwanlabExportError | None]:
    """Fetch what rules about metrics compare, where the server has not compared it itself."""
    of_metrics = [rule for rule in rules if rule.kind == "SCALAR"]
    is_checked_here = is_complete or any(map(needs_check, of_metrics))
    if not (of_metrics and (is_checked_here or any(map(endpoint.is_pinned, runs)))):
        return [None] * len(runs)
    keys = list(dict.fromkeys(rule.field for rule in of_metrics))
    try:
        return [*latest_values(client, runs, place.find_id(), keys, partial)]
    except NotOfferedError as error:
        if is_complete:
            raise
        return [error] * len(runs)


def _without_refusals(
    summaries: Sequence[Mapping[str, Any] | SwanlabExportError | None],
    rules: Sequence[Rule],
    report: Report,
) -> list[Mapping[str, Any] | SwanlabExportError | None]:
    """Take runs as the server has chosen them where it does not tell what their metrics are."""
    refused = [found for found in summaries if isinstance(found, SwanlabExportError)]
    refused = [error for error in refused if is_not_told(error)]
    if refused:
        named = ", ".join(dict.fromkeys(rule.column for rule in rules if rule.kind == "SCALAR"))
        report.warn(
            f"{len(refused)} of {len(summaries)} runs are as the server chose them, and could not "
            f"be checked against {named}: pinned runs, and runs whose value is the bound itself, "
            f"may be among them ({refused[0].message})"
        )
    return [
        None if isinstance(found, SwanlabExportError) and is_not_told(found) else found
        for found in summaries
    ]
