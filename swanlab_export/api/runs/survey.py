"""All runs of a project: page by page, and what they hold where a call found nothing of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from swanlab_export.api.partial import Partial
from swanlab_export.api.runs.keys import fetch_keys
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.client import NotOfferedError
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.endpoints.filters import (
    as_number,
    config_keys,
    is_missing,
    is_of_time,
    read_compared,
)
from swanlab_export.errors import NotFoundError, SwanlabExportError, UsageError
from swanlab_export.limits import PAGE_SIZES
from swanlab_export.messages import argument, closest, printable, quote
from swanlab_export.normalizers.runs import run_columns
from swanlab_export.normalizers.values import as_text
from swanlab_export.pagination import Pages
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.client import Client
    from swanlab_export.endpoints.filters import Rule
    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.refs import ProjectRef

_VALUES_SHOWN = 5
# A run that lacks a key passes rules of these kinds.
_NEGATIVE = ("NEQ", "NOT IN", "NOT_CONTAIN", "IS NULL")


def all_runs(
    context: Context, ref: ProjectRef, report: Report, partial: Partial | None = None
) -> Pages:
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
        partial=partial,
    )


def latest_values(
    client: Client, runs: Sequence[Any], project_id: str, keys: Sequence[str], partial: Partial
) -> list[Mapping[str, Any] | SwanlabExportError]:
    """Fetch the summary of each run, with these keys alone, or the error in its place."""
    named = ((run, endpoint.read_source(run, project_id)) for run in runs)
    pairs = join_summaries(client, named, lambda _: keys, Report(), partial)
    return [summary for _, summary in pairs]


def check_keys(
    context: Context,
    ref: ProjectRef,
    find_project_id: Callable[[], str],
    *,
    configs: Iterable[str] = (),
    metrics: Iterable[str] = (),
) -> None:
    """Insist that, if the project has runs, one of them has each of these keys.

    Costs requests: it is for keys that what was fetched anyway does not hold. Where a run cannot be
    read, it may be the one that has a key.

    Raises:
        NotFoundError: No run has one of them; names the closest ones.
    """
    configs, metrics = list(configs), list(metrics)
    if not configs and not metrics:
        return
    known: dict[str, None] = {}
    sources: list[RunSource] = []
    project_id = find_project_id()
    # Of its own: what fails here is not left out of the table.
    checks = Report()
    partial = Partial(checks, is_wanted=True)
    runs = all_runs(context, ref, checks, partial)
    for run, source in partial.each(runs, lambda run: endpoint.read_source(run, project_id)):
        known.update(dict.fromkeys(config_keys(run)))
        sources.append(source)
    if not sources or checks.failures:
        return
    for key in configs:
        if key not in known:
            raise _no_such_key(ref, "config", key, list(known), len(sources))
    if metrics:
        _check_metrics(context.client, ref, sources, metrics)


def check_rules(
    context: Context,
    ref: ProjectRef,
    rules: Sequence[Rule],
    kept: Sequence[Any],
    find_project_id: Callable[[], str],
    report: Report,
) -> None:
    """Say why no run passes, and insist that keys exist which the runs that pass do not have.

    Costs requests only in these cases.

    Args:
        context: The server.
        ref: The project.
        rules: The rules.
        kept: The runs that pass all of them.
        find_project_id: Returns the project's id.
        report: Gets a warning where no run passes.

    Raises:
        NotFoundError: No run of the project has a key; names the closest ones.
        UsageError: Numbers are compared with a word.
    """
    if not kept:
        if not report.failures:  # else it may be those that are left out which pass
            _explain_empty(context, ref, rules, find_project_id, report)
        return
    of_config = [rule for rule in rules if rule.kind == "CONFIG"]
    configs = [rule.field for rule in of_config if _may_be_absent(rule, kept)]
    # A run that passes any other rule about a metric has it.
    metrics = [rule.field for rule in rules if rule.kind == "SCALAR" and rule.operator in _NEGATIVE]
    if metrics:
        project_id = find_project_id()
        sources = [endpoint.read_source(run, project_id) for run in kept]
        known = _known_metrics(context.client, sources)
        metrics = [key for key in metrics if known is not None and key not in known]
    check_keys(context, ref, find_project_id, configs=configs, metrics=metrics)


def _may_be_absent(rule: Rule, runs: Sequence[Any]) -> bool:
    """Say whether none of the runs that pass a rule is known to have its config key."""
    found = [read_compared(rule, run, None, {}) for run in runs]
    is_told = rule.operator in _NEGATIVE or any(is_known for is_known, _ in found)
    return is_told and all(is_missing(value) for _, value in found)


def _explain_empty(
    context: Context,
    ref: ProjectRef,
    rules: Sequence[Rule],
    find_project_id: Callable[[], str],
    report: Report,
) -> None:
    """Say how many runs there are, and which values they have in the fields of the rules."""
    # Of its own: what fails here is left out of the explanation alone.
    partial = Partial(Report(), is_wanted=True)
    runs = list(all_runs(context, ref, Report(), partial))
    if not runs:
        report.warn(f"no run passes the filter: {ref} has no runs")
        return
    project_id = find_project_id()
    metrics = list(dict.fromkeys(rule.field for rule in rules if rule.kind == "SCALAR"))
    summaries: list[Mapping[str, Any] | None] = [None] * len(runs)
    if metrics:
        found = latest_values(context.client, runs, project_id, metrics, partial)
        summaries = [None if isinstance(each, SwanlabExportError) else each for each in found]
    rows = [run_columns(run, ref, context.web_host) for run in runs]
    told = []
    for rule in rules:
        pairs = zip(runs, summaries, rows, strict=True)
        values = [read_compared(rule, run, summary, row)[1] for run, summary, row in pairs]
        there = [value for value in values if not is_missing(value)]
        if not there and rule.kind == "CONFIG":
            known = dict.fromkeys(key for run in runs for key in config_keys(run))
            if rule.field not in known:
                raise _no_such_key(ref, "config", rule.field, list(known), len(runs))
        if not there and rule.kind == "SCALAR":
            sources = [endpoint.read_source(run, project_id) for run in runs]
            _check_metrics(context.client, ref, sources, [rule.field])
        _refuse_word(rule, there)
        told.append(_describe_values(rule, there, len(runs)))
    passing = f"no run passes the filter: {ref} has {_count(len(runs))}"
    report.warn(f"{passing}; {'; '.join(dict.fromkeys(told))}")


def _refuse_word(rule: Rule, values: Sequence[Any]) -> None:
    """Refuse to compare with a word what is a number in all runs."""
    if rule.kind != "CONFIG" or not values or rule.operator in {"CONTAIN", "NOT_CONTAIN"}:
        return
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return
    for word in rule.values:
        if as_number(word) is None:
            raise UsageError(
                f"{argument('where')} compares {rule.column} with {quote(word)}, but it is a "
                f"number in all runs: {_describe_numbers(values)}"
            )


def _check_metrics(
    client: Client, ref: ProjectRef, sources: Sequence[RunSource], keys: Sequence[str]
) -> None:
    known = _known_metrics(client, sources)
    for key in keys:
        if known is not None and key not in known:
            raise _no_such_key(ref, "metric", key, known, len(sources))


def _known_metrics(client: Client, sources: Sequence[RunSource]) -> list[str] | None:
    """The keys of runs; None where the server does not tell those of each run."""
    checks = Report()
    try:
        known = fetch_keys(client, sources, "SCALAR", Partial(checks, is_wanted=True))
    except NotOfferedError:
        return None
    return None if checks.failures else known


def _no_such_key(
    ref: ProjectRef, what: str, key: str, known: Sequence[str], count: int
) -> NotFoundError:
    names = ", ".join(map(quote, closest(key, known)))
    there = f"; there are {names}" if names else ""
    return NotFoundError(f"no {what} key {quote(key)} in the {_count(count)} of {ref}{there}")


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def _describe_values(rule: Rule, values: Sequence[Any], count: int) -> str:
    """Say which values runs have in the field of a rule."""
    if not values:
        return f"{rule.column} is missing in all of them"
    missing = count - len(values)
    rest = f" (missing in {missing})" if missing else ""
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) == len(values) and not any(isinstance(value, bool) for value in values):
        return f"{rule.column} is {_describe_numbers(numbers)}{rest}"
    items = [each for value in values for each in (value if isinstance(value, list) else [value])]
    texts = Counter(printable(as_text(item)) for item in items if item is not None)
    if is_of_time(rule):
        return f"{rule.column} is {min(texts)} to {max(texts)}{rest}"
    shown = ", ".join(f"{text} ({n})" for text, n in texts.most_common(_VALUES_SHOWN))
    more = f" and {len(texts) - _VALUES_SHOWN} others" if len(texts) > _VALUES_SHOWN else ""
    return f"{rule.column} is {shown}{more}{rest}"


def _describe_numbers(values: Sequence[float]) -> str:
    distinct = sorted(set(values))
    if len(distinct) <= _VALUES_SHOWN:
        return ", ".join(f"{value:g}" for value in distinct)
    return f"{distinct[0]:g} to {distinct[-1]:g}"
