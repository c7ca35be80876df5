"""Which keys are meant, which runs have them, and what their summaries say."""

from __future__ import annotations

import csv
import difflib
import fnmatch
from functools import partial
from typing import TYPE_CHECKING, Any

from swanlab_export.api.resolve import RUNS_PER_REQUEST, in_batches
from swanlab_export.endpoints import run as endpoint
from swanlab_export.errors import (
    NotFoundError,
    ServerError,
    SwanlabExportError,
    UsageError,
    argument,
    command,
)
from swanlab_export.normalizers.details import SYSTEM_PREFIX
from swanlab_export.normalizers.values import as_list, as_object
from swanlab_export.pagination import fetch_by_cursor
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.resolve import FoundRun

_SHOWN_NAMES = 5


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
        ask = partial(endpoint.keys_page, [run.source for run in some], metric_type)
        for page in fetch_by_cursor(context.client, ask):
            found.update(dict.fromkeys(_names(page.get("keys"), "a list of keys")))
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
    wire = endpoint.fetch_summaries(context.client, [run.source for run in runs], keys)
    by_id = {} if wire is None else as_object(wire, "summaries by run")
    found = [by_id.get(run.run_id) for run in runs]
    return [None if each is None else as_object(each, "the summary of a run") for each in found]


def _names(wire: Any, what: str) -> list[str]:
    """Read a list of keys or ids; nulls in it name nothing."""
    found = [each for each in as_list(wire, what) if each is not None]
    if not all(isinstance(each, str) for each in found):
        raise ServerError(f"the server sent something else than text in {what}")
    return found


def _availability(
    context: Context, runs: Sequence[FoundRun], keys: Sequence[str], metric_type: str
) -> dict[str, set[str]]:
    """Ask which runs have which keys; a clone has what its original has."""

    def fetch(some: list[FoundRun]) -> dict[str, set[str]]:
        sources = [run.source for run in some]
        wire = endpoint.fetch_availability(context.client, sources, keys, metric_type)
        by_key = {} if wire is None else as_object(wire, "runs by key")
        ids = {key: set(_names(by_key.get(key), "a list of run ids")) for key in keys}
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
