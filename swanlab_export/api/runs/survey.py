"""All runs of a project: page by page, and what they hold where a call found nothing of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
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
    is_undeclared,
    needs_columns,
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
    from swanlab_export.normalizers.flatten import Row
    from swanlab_export.refs import ProjectRef

_VALUES_SHOWN = 5
# Columns that a run has in a table with one column of JSON.
_JSON_COLUMNS = {"config", "metadata", "more"}
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


@dataclass(frozen=True)
class Place:
    """A project whose runs are looked at.

    Attributes:
        ref: Its path.
        find_id: Returns its id, or raises that there is no such project.
    """

    ref: ProjectRef
    find_id: Callable[[], str]

    def source(self, run: Any) -> RunSource:
        """How data requests name a run of it."""
        return endpoint.read_source(run, self.find_id())


def check_keys(
    context: Context,
    places: Sequence[Place],
    *,
    configs: Iterable[str] = (),
    metrics: Iterable[str] = (),
    fields: Iterable[str] = (),
) -> None:
    """Insist that, if the projects have runs, one of them has each of these keys and fields.

    Costs requests: it is for what is not in what was fetched anyway. Where a run cannot be read, it
    may be the one that has a key.

    Raises:
        NotFoundError: No run has one of the keys; names the closest ones.
        UsageError: No run has one of the fields.
    """
    absent: dict[str, list[str]] = {"config": [*configs], "metric": [*metrics], "field": [*fields]}
    known: dict[str, dict[str, None]] = {kind: {} for kind in absent}
    # Of its own: what fails here is not left out of the table.
    checks = Report()
    partial = Partial(checks, is_wanted=True)
    count = 0
    for place in places:
        if not any(absent.values()):
            return
        place.find_id()  # a project that does not exist is an error
        sources: list[RunSource] = []
        runs = all_runs(context, place.ref, checks, partial)
        for run, source in partial.each(runs, place.source):
            known["config"] |= dict.fromkeys(config_keys(run))
            if absent["field"]:
                row = run_columns(run, place.ref, context.web_host)
                known["field"] |= dict.fromkeys(row)
            sources.append(source)
        count += len(sources)
        if sources and absent["metric"]:
            of_project = _known_metrics(context.client, sources)
            # Where the server does not tell, a run may have all of them.
            known["metric"] |= dict.fromkeys(absent["metric"] if of_project is None else of_project)
        for kind, names in absent.items():
            absent[kind] = [name for name in names if name not in known[kind]]
    if not count or checks.failures:
        return
    for kind, names in absent.items():
        for name in names:
            raise _no_such(kind, name, list(known[kind]), count, [place.ref for place in places])


def columns_for(context: Context, ref: ProjectRef, rules: Sequence[Rule], run: Any) -> Row:
    """The run as a row of its table, with every column that tables can have, where a rule needs it."""
    if not any(map(needs_columns, rules)):
        return {}
    is_json = any(rule.field in _JSON_COLUMNS for rule in rules)
    row = run_columns(run, ref, context.web_host, is_json=is_json)
    name = endpoint.read_run_name(run) or row["run_id"]
    now_ms = context.now_ms()
    return row | {"project": str(ref), "run_name": name, schemas.SNAPSHOT_AT.name: now_ms}


def check_rules(
    context: Context,
    kept: Sequence[tuple[Place, Sequence[Any]]],
    rules: Sequence[Rule],
    report: Report,
) -> None:
    """Say why no run passes, and insist that what the runs that pass do not have exists elsewhere.

    Costs requests only in these cases.

    Args:
        context: The server.
        kept: The runs of each project that pass all rules.
        rules: The rules.
        report: Gets a warning where no run passes.

    Raises:
        NotFoundError: No run of the projects has a key; names the closest ones.
        UsageError: Numbers are compared with a word, or no run of the projects has a field.
    """
    places = [place for place, _ in kept]
    runs = [run for _, of_project in kept for run in of_project]
    if not runs:
        if not report.failures:  # else it may be those that are left out which pass
            _explain_empty(context, places, rules, report)
        return
    of_config = [rule for rule in rules if rule.kind == "CONFIG"]
    configs = [rule.field for rule in of_config if _may_be_absent(rule, runs)]
    # A run that passes any other rule about a metric, or about a field, has it.
    others = [rule for rule in rules if rule.operator in _NEGATIVE]
    metrics = [rule.field for rule in others if rule.kind == "SCALAR"]
    if metrics:
        sources = [place.source(run) for place, of_project in kept for run in of_project]
        known = _known_metrics(context.client, sources)
        metrics = [key for key in metrics if known is not None and key not in known]
    fields = [rule.field for rule in others if is_undeclared(rule)]
    check_keys(context, places, configs=configs, metrics=metrics, fields=fields)


def _may_be_absent(rule: Rule, runs: Sequence[Any]) -> bool:
    """Say whether none of the runs that pass a rule is known to have its config key."""
    found = [read_compared(rule, run, None, {}) for run in runs]
    is_told = rule.operator in _NEGATIVE or any(is_known for is_known, _ in found)
    return is_told and all(is_missing(rule, value) for _, value in found)


def _explain_empty(
    context: Context, places: Sequence[Place], rules: Sequence[Rule], report: Report
) -> None:
    """Say how many runs there are, and which values they have in the fields of the rules.

    What is wrong with a rule is an error where it is so in every project that has runs.
    """
    errors: list[SwanlabExportError] = []
    told: list[str] = []
    for place in places:
        # Of its own: what fails here is left out of the explanation alone.
        partial = Partial(Report(), is_wanted=True)
        runs = list(all_runs(context, place.ref, Report(), partial))
        if not runs:
            report.warn(f"no run passes the filter: {place.ref} has no runs")
            continue
        try:
            told.append(_explain_project(context, place, rules, runs, partial))
        except (NotFoundError, UsageError) as error:
            errors.append(error)
    if errors and not told:
        raise type(errors[0])("; ".join(error.message for error in errors))
    for text in (*told, *(error.message for error in errors)):
        report.warn(text)


def _explain_project(
    context: Context, place: Place, rules: Sequence[Rule], runs: Sequence[Any], partial: Partial
) -> str:
    """Say which values the runs of a project have, of which none passes all rules."""
    project_id = place.find_id()
    metrics = list(dict.fromkeys(rule.field for rule in rules if rule.kind == "SCALAR"))
    summaries: list[Mapping[str, Any] | None] = [None] * len(runs)
    if metrics:
        found = latest_values(context.client, runs, project_id, metrics, partial)
        summaries = [None if isinstance(each, SwanlabExportError) else each for each in found]
    rows = [columns_for(context, place.ref, rules, run) for run in runs]
    told = []
    for rule in rules:
        pairs = zip(runs, summaries, rows, strict=True)
        values = [read_compared(rule, run, summary, row)[1] for run, summary, row in pairs]
        there = [value for value in values if not is_missing(rule, value)]
        if not there:
            _check_absent(context.client, place, rule, runs, rows)
        _refuse_word(rule, there)
        told.append(_describe_values(rule, there, len(runs)))
    passing = f"no run passes the filter: {place.ref} has {_count(len(runs))}"
    return f"{passing}; {'; '.join(dict.fromkeys(told))}"


def _check_absent(
    client: Client,
    place: Place,
    rule: Rule,
    runs: Sequence[Any],
    rows: Sequence[Row],
) -> None:
    """Insist that a key or field exists that is missing in all runs of a project."""
    if rule.kind == "SCALAR":
        metrics = _known_metrics(client, list(map(place.source, runs)))
        if metrics is not None and rule.field not in metrics:
            raise _no_such("metric", rule.field, metrics, len(runs), [place.ref])
    if rule.kind == "CONFIG":
        configs = dict.fromkeys(key for run in runs for key in config_keys(run))
        if rule.field not in configs:
            raise _no_such("config", rule.field, list(configs), len(runs), [place.ref])
    if is_undeclared(rule):
        fields = dict.fromkeys(name for row in rows for name in row)
        if rule.field not in fields:
            raise _no_such("field", rule.field, list(fields), len(runs), [place.ref])


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


def _known_metrics(client: Client, sources: Sequence[RunSource]) -> list[str] | None:
    """The keys of runs; None where the server does not tell those of each run."""
    checks = Report()
    try:
        known = fetch_keys(client, sources, "SCALAR", Partial(checks, is_wanted=True))
    except NotOfferedError:
        return None
    return None if checks.failures else known


def _no_such(
    kind: str, name: str, known: Sequence[str], count: int, refs: Sequence[ProjectRef]
) -> NotFoundError | UsageError:
    """The error that no run of the projects has a config key, a metric key, or a field."""
    where = f"in the {_count(count)} of {', '.join(map(str, refs))}"
    names = ", ".join(map(quote, closest(name, known)))
    there = f"; there are {names}" if names else ""
    if kind == "field":
        return UsageError(f"{argument('where')}: no field {quote(name)} {where}{there}")
    return NotFoundError(f"no {kind} key {quote(name)} {where}{there}")


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
    texts = Counter(text for value in values for text in _texts(value))
    if is_of_time(rule):
        return f"{rule.column} is {min(texts)} to {max(texts)}{rest}"
    shown = ", ".join(f"{text} ({n})" for text, n in texts.most_common(_VALUES_SHOWN))
    more = f" and {len(texts) - _VALUES_SHOWN} others" if len(texts) > _VALUES_SHOWN else ""
    return f"{rule.column} is {shown}{more}{rest}"


def _texts(value: Any) -> dict[str, None]:
    """A value, or the elements of a list, as different texts; an empty list is ``[]``."""
    items = value if isinstance(value, list) and value else [value]
    return {printable(as_text(item)): None for item in items if item is not None}


def _describe_numbers(values: Sequence[float]) -> str:
    distinct = sorted(set(values))
    if len(distinct) <= _VALUES_SHOWN:
        return ", ".join(f"{value:g}" for value in distinct)
    return f"{distinct[0]:g} to {distinct[-1]:g}"
