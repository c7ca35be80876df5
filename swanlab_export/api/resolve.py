"""From paths and key patterns to runs and keys that exist."""

from __future__ import annotations

import csv
import difflib
import fnmatch
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.filters import Where, filter_rules
from swanlab_export.endpoints import project as project_endpoint
from swanlab_export.endpoints import run as run_endpoint
from swanlab_export.endpoints.run import RunSource
from swanlab_export.errors import (
    IncompleteError,
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UsageError,
    argument,
    command,
)
from swanlab_export.normalizers.details import SYSTEM_PREFIX
from swanlab_export.normalizers.runs import flatten_groups
from swanlab_export.normalizers.values import as_time_ms
from swanlab_export.pagination import Pages, fetch_by_cursor
from swanlab_export.refs import ProjectRef, RunRef, escape, parse_project, parse_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context

RUNS_PER_REQUEST = 200
_SHOWN_NAMES = 5
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class FoundRun:
    """A run that exists: its path, what the server says of it, and how data requests name it."""

    path: str
    wire: Any
    source: RunSource

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.source.run_id

    @property
    def name(self) -> str:
        """What people call the run; its id where it has no name."""
        found = self.wire.get("name") or self.wire.get("slug")
        return found if isinstance(found, str) else self.run_id


def find_run(context: Context, path: str) -> FoundRun:
    """Fetch a run and, side by side, the project that it is in."""
    return find_runs(context, [path])[0][0]


def find_runs(
    context: Context, paths: Sequence[str], *, skip_failed: bool = False
) -> tuple[list[FoundRun], list[str]]:
    """Fetch runs by their paths, and each of their projects once; all side by side.

    Returns:
        Each run once, in order, and what is wrong with those that are left out.

    Raises:
        IncompleteError: One of several cannot be found, and may not be skipped.
    """
    refs = [parse_run(path) for path in dict.fromkeys(paths)]
    projects = list(dict.fromkeys(ref.project for ref in refs))
    wanted: list[RunRef | ProjectRef] = [*projects, *refs]

    def fetch(ref: RunRef | ProjectRef) -> Any:
        try:
            if isinstance(ref, RunRef):
                return run_endpoint.fetch_run(context.client, ref)
            return project_endpoint.fetch_project(context.client, ref)
        except SwanlabExportError as error:
            return error

    context.client.login()
    found: list[FoundRun] = []
    failures: list[str] = []
    of_project: dict[ProjectRef, Any] = {}
    for ref, wire in zip(wanted, context.client.map(fetch, wanted), strict=True):
        if isinstance(ref, ProjectRef):
            of_project[ref] = wire
            continue
        try:
            found.append(_found_run(ref, wire, of_project[ref.project]))
        except SwanlabExportError as error:
            named = error if len(refs) == 1 else one_failed(str(ref), error)
            # A table without a single run would only take the place of a good one.
            is_hopeless = len(failures) == len(refs) - 1
            if not skip_failed or is_hopeless:
                raise named from None
            failures.append(named.message)
    return _distinct(found), failures


def _found_run(ref: RunRef, wire: Any, project: Any) -> FoundRun:
    """Put together what was fetched, or raise what came instead."""
    for each in (project, wire):
        if isinstance(each, SwanlabExportError):
            raise each
    return FoundRun(str(ref), wire, source_of_run(wire, project_id_of(project)))


def find_project_runs(context: Context, project: str, where: Where) -> list[FoundRun]:
    """Fetch the runs of a project, or those that pass the filter."""
    ref = parse_project(project)
    rules = filter_rules(where)
    asked = context.client.begin(lambda: project_endpoint.fetch_project(context.client, ref))
    runs: Iterable[Any]
    try:
        if rules:
            runs = flatten_groups(run_endpoint.fetch_filtered_runs(context.client, ref, rules))
        else:
            runs = list(run_pages(context, ref, page=1, size=100, is_full=True))
    except SwanlabExportError:
        asked()  # that there is no such project says more than that it has no runs
        raise
    project_id = project_id_of(asked())
    return _distinct(
        FoundRun(f"{ref}/{run.get('cuid')}", run, source_of_run(run, project_id))
        for run in runs
        if isinstance(run, dict)
    )


def _distinct(runs: Iterable[FoundRun]) -> list[FoundRun]:
    """Keep each run once: an id and a slug may name the same one."""
    found: dict[str, FoundRun] = {}
    for run in runs:
        found.setdefault(run.run_id, run)
    return list(found.values())


def run_pages(context: Context, ref: ProjectRef, *, page: int, size: int, is_full: bool) -> Pages:
    """The runs of a project, one page of them or all."""
    return Pages(
        context.client,
        lambda page, size: run_endpoint.runs_page(ref, page, size),
        identity("cuid"),
        page=page,
        size=size,
        is_full=is_full,
        title="runs",
        progress=context.progress,
    )


def identity(name: str) -> Any:
    """Tell items of a list apart by their field ``name``, else by all that they hold."""

    def identify(item: Any) -> Any:
        found = item.get(name) if isinstance(item, dict) else None
        return found if isinstance(found, str | int) else repr(item)

    return identify


def project_id_of(wire: Any) -> str:
    """Read the id of a project off what the server says of it."""
    found = wire.get("cuid") if isinstance(wire, dict) else None
    if not isinstance(found, str) or not found:
        raise ServerError("the server sent a project without an id")
    return found


def source_of_run(wire: Any, project_id: str) -> RunSource:
    """Read off a run what data requests need to name it."""
    if not isinstance(wire, dict) or not isinstance(wire.get("cuid"), str):
        raise ServerError("the server sent a run without an id")
    try:
        created_at_s = as_time_ms(wire.get("createdAt")) // 1000
    except (TypeError, ValueError, OverflowError):
        shown = escape(str(wire.get("createdAt")))
        message = f"run {wire['cuid']} was created at {shown}, and its data need that time"
        raise ServerError(message) from None
    return RunSource(
        wire["cuid"],
        project_id,
        created_at_s,
        wire.get("rootExpId") or "",
        wire.get("rootProId") or "",
    )


def parse_keys(keys: str | Sequence[str], name: str = "keys") -> list[str]:
    """Read ``loss,acc`` or a list of keys; quotes protect a comma, each key counts once.

    >>> parse_keys('loss,"a,b",loss')
    ['loss', 'a,b']
    """
    if isinstance(keys, str):
        try:
            rows = list(csv.reader([keys], skipinitialspace=True, strict=True))
        except csv.Error:
            rows = []
        found = [key.strip() for row in rows for key in row]
    else:
        found = list(keys)
    if not found or not all(isinstance(key, str) and key.strip() for key in found):
        raise UsageError(f"{argument(name)} {escape(str(keys))} names nothing, or holds a gap")
    return list(dict.fromkeys(found))


def parse_names(name: str, wanted: str | Sequence[str], known: Sequence[str]) -> list[str]:
    """Read names of columns that must exist."""
    found = parse_keys(wanted, name)
    for each in found:
        if each not in known:
            names = ", ".join(_closest(each, known, 20))
            raise UsageError(f"{argument(name)}: no column {escape(each)}; there are {names}")
    return found


def find_keys(
    context: Context, runs: Sequence[FoundRun], patterns: Sequence[str], metric_type: str
) -> list[str]:
    """Match keys and patterns against what the runs hold; each key once, in the order asked for.

    Raises:
        NotFoundError: No run has a key, or nothing matches a pattern; names the closest keys.
    """
    keys = match_keys(context, runs, patterns, metric_type)
    find_having(context, runs, keys, metric_type)
    return keys


def match_keys(
    context: Context, runs: Sequence[FoundRun], patterns: Sequence[str], metric_type: str
) -> list[str]:
    """Replace patterns by the keys that they match; without a pattern nothing is asked.

    Raises:
        NotFoundError: Nothing matches a pattern.
    """
    if not any(is_pattern(pattern) for pattern in patterns):
        return list(dict.fromkeys(patterns))
    keys: list[str] = []
    if not runs:
        return keys
    known = fetch_keys(context, runs, metric_type)
    for pattern in patterns:
        matches = matching(pattern, known)
        if not matches:
            raise _no_such_key(context, runs, pattern, metric_type)
        keys.extend(matches)
    return list(dict.fromkeys(keys))


def matching(pattern: str, known: Sequence[str]) -> list[str]:
    """The keys that a pattern means: the one of that very name, else all that match it."""
    return [pattern] if pattern in known else fnmatch.filter(known, pattern)


def find_having(
    context: Context, runs: Sequence[FoundRun], keys: Sequence[str], metric_type: str
) -> dict[str, set[str]]:
    """Find, for each key, the ids of the runs that have it.

    Raises:
        NotFoundError: No run has a key.
    """
    having = _availability(context, runs, keys, metric_type)
    for key in keys:
        if runs and not having[key]:
            raise _no_such_key(context, runs, key, metric_type)
    return having


def missing_notes(
    having: Mapping[str, set[str]], count: int, x_key: str | None = None
) -> list[str]:
    """Say of which keys (with their x axis) only some of ``count`` runs have any."""
    if not count:
        return ["no run to look at"]
    return [
        f"{len(ids)} of {count} runs have {key}{f' and {x_key}' if x_key not in (None, key) else ''}"
        for key, ids in having.items()
        if len(ids) < count
    ]


def is_pattern(key: str) -> bool:
    """Say whether a key is meant as a glob pattern."""
    return any(sign in key for sign in "*?[")


def fetch_keys(context: Context, runs: Sequence[FoundRun], metric_type: str) -> list[str]:
    """Fetch all keys that any of the runs has, each once."""
    found: dict[str, None] = {}
    for some in in_batches(runs, RUNS_PER_REQUEST):
        ask = partial(run_endpoint.keys_page, [run.source for run in some], metric_type)
        for page in fetch_by_cursor(context.client, ask):
            found.update(dict.fromkeys(key for key in page.get("keys") or [] if key is not None))
    return list(found)


def fetch_summaries(
    context: Context, runs: Iterable[FoundRun], keys: Sequence[str] | None
) -> Iterator[tuple[FoundRun, Any]]:
    """Yield each run with its summary, one request per few hundred runs, side by side."""

    def fetch(some: list[FoundRun]) -> list[tuple[FoundRun, Any]]:
        return list(zip(some, fetch_summaries_of(context, some, keys), strict=True))

    for found in context.client.map(fetch, in_batches(runs, RUNS_PER_REQUEST)):
        yield from found


def fetch_summaries_of(
    context: Context, runs: Sequence[FoundRun], keys: Sequence[str] | None
) -> list[Any]:
    """Fetch the summaries of a few hundred runs in one request; None for a run without one."""
    wire = run_endpoint.fetch_summaries(context.client, [run.source for run in runs], keys)
    by_id = wire if isinstance(wire, dict) else {}
    found = [by_id.get(run.run_id) for run in runs]
    return [each if isinstance(each, dict) else None for each in found]


def in_batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Cut a stream into lists of at most ``size``."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _availability(
    context: Context, runs: Sequence[FoundRun], keys: Sequence[str], metric_type: str
) -> dict[str, set[str]]:
    """Ask which runs have which keys; a clone has what its original has."""

    def fetch(some: list[FoundRun]) -> dict[str, set[str]]:
        sources = [run.source for run in some]
        wire = run_endpoint.fetch_availability(context.client, sources, keys, metric_type)
        by_key = wire if isinstance(wire, dict) else {}
        ids = {key: set(by_key.get(key) or []) for key in keys}
        return {
            key: {s.run_id for s in sources if ids[key] & {s.run_id, s.root_run_id} - {""}}
            for key in keys
        }

    having: dict[str, set[str]] = {key: set() for key in keys}
    for found in context.client.map(fetch, in_batches(runs, RUNS_PER_REQUEST)):
        for key, ids in found.items():
            having[key] |= ids
    return having


def _no_such_key(
    context: Context, runs: Sequence[FoundRun], key: str, metric_type: str
) -> NotFoundError:
    """Say which keys there are instead; costs requests, but only now."""
    whose = runs[0].path if len(runs) == 1 else f"any of {len(runs)} runs"
    message = f"no {metric_type.lower()} key {escape(key)} in {whose}"
    other = "MEDIA" if metric_type == "SCALAR" else "SCALAR"
    try:
        if key in fetch_keys(context, runs, other):
            there = command("run medias" if other == "MEDIA" else "run metrics")
            return NotFoundError(f"{message}: it is a {other.lower()} key, see {there}")
        known = fetch_keys(context, runs, metric_type)
    except SwanlabExportError:
        known = []
    closest = _closest(key, known)
    names = f"; there are {', '.join(map(escape, closest))}" if closest else ""
    return NotFoundError(f"{message}{names}; {command('run series')} lists all")


def _closest(name: str, known: Sequence[str], count: int = _SHOWN_NAMES) -> list[str]:
    """Find what may be meant: names that hold it, then names like it, else the first there are."""
    holding = [each for each in known if name.lower() in each.lower()]
    alike = difflib.get_close_matches(name, known, _SHOWN_NAMES, 0.4)
    others = sorted(known, key=lambda each: each.startswith(SYSTEM_PREFIX))
    return (list(dict.fromkeys([*holding, *alike])) or others)[:count]


def one_failed(path: str, error: SwanlabExportError) -> IncompleteError:
    """Name the run of many that failed."""
    return IncompleteError(f"{path}: {error.message}")
