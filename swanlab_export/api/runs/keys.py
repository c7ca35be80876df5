"""Which keys are meant, and which runs have them."""

from __future__ import annotations

import fnmatch
from functools import partial
from typing import TYPE_CHECKING

from swanlab_export.api.runs.find import in_batches
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import NotFoundError, SwanlabExportError
from swanlab_export.limits import RUNS_PER_REQUEST
from swanlab_export.messages import closest, command, quote
from swanlab_export.normalizers.details import SYSTEM_PREFIX
from swanlab_export.pagination import fetch_by_cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.client import Client
    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.report import Report


def match_keys(
    client: Client, runs: Sequence[FoundRun], patterns: Sequence[str], metric_type: str
) -> list[str]:
    """Replace patterns by the keys that they match; without a pattern nothing is requested.

    Returns:
        Each key once, in the order asked for.

    Raises:
        NotFoundError: Nothing matches a pattern; names the closest keys.
    """
    if not any(is_pattern(pattern) for pattern in patterns):
        return list(dict.fromkeys(patterns))
    keys: list[str] = []
    if not runs:
        return keys
    known = fetch_keys(client, [run.source for run in runs], metric_type)
    for pattern in patterns:
        matches = matching(pattern, known)
        if not matches:
            raise _no_such_key(client, runs, pattern, metric_type)
        keys.extend(matches)
    return list(dict.fromkeys(keys))


def matching(pattern: str, known: Sequence[str]) -> list[str]:
    """The keys that a pattern means: the one of that very name, else all that match it."""
    return [pattern] if pattern in known else fnmatch.filter(known, pattern)


def is_pattern(key: str) -> bool:
    """Say whether a key is meant as a glob pattern."""
    return any(sign in key for sign in "*?[")


def find_having(
    client: Client, runs: Sequence[FoundRun], keys: Sequence[str], metric_type: str
) -> dict[str, set[str]]:
    """Find, for each key, the ids of the runs that have it.

    Raises:
        NotFoundError: No run has a key; names the closest ones.
    """

    def fetch(some: list[RunSource]) -> dict[str, set[str]]:
        payload = endpoint.fetch_availability(client, some, keys, metric_type)
        return endpoint.read_availability(payload, some, keys)

    having: dict[str, set[str]] = {key: set() for key in keys}
    batches = in_batches((run.source for run in runs), RUNS_PER_REQUEST)
    for found in client.map(fetch, batches):
        for key, ids in found.items():
            having[key] |= ids
    for key in keys:
        if runs and not having[key]:
            raise _no_such_key(client, runs, key, metric_type)
    return having


def warn_of_missing(
    having: Mapping[str, set[str]], count: int, report: Report, x_key: str | None = None
) -> None:
    """Warn of keys (with their x axis) that only some of ``count`` runs have."""
    if not count:
        report.warn("there are no runs")
        return
    for key, ids in having.items():
        if len(ids) < count:
            both = key if x_key in {None, key} else f"{key} and {x_key}"
            report.warn(f"{len(ids)} of {count} runs have {both}")


def fetch_keys(client: Client, sources: Sequence[RunSource], metric_type: str) -> list[str]:
    """Fetch all keys that any of the runs has, each once."""
    found: dict[str, None] = {}
    for some in in_batches(sources, RUNS_PER_REQUEST):
        build = partial(endpoint.keys_page, some, metric_type)
        for page in fetch_by_cursor(client, build):
            found.update(dict.fromkeys(endpoint.read_keys(page)))
    return list(found)


def _no_such_key(
    client: Client, runs: Sequence[FoundRun], key: str, metric_type: str
) -> NotFoundError:
    """Say which keys there are instead; costs requests, but only now."""
    whose = str(runs[0].ref) if len(runs) == 1 else f"any of {len(runs)} runs"
    message = f"no {metric_type.lower()} key {quote(key)} in {whose}"
    other = "MEDIA" if metric_type == "SCALAR" else "SCALAR"
    sources = [run.source for run in runs]
    try:
        if key in fetch_keys(client, sources, other):
            there = command("run medias" if other == "MEDIA" else "run metrics")
            return NotFoundError(f"{message}: it is a {other.lower()} key, see {there}")
        known = fetch_keys(client, sources, metric_type)
    except SwanlabExportError:
        known = []
    known.sort(key=lambda each: each.startswith(SYSTEM_PREFIX))  # what the user logged comes first
    names = ", ".join(map(quote, closest(key, known)))
    there_are = f"; there are {names}" if names else ""
    return NotFoundError(f"{message}{there_are}; {command('run series')} lists all")
