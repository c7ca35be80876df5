"""Which keys are meant, and which runs have them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from swanlab_export.api.partial import Partial, batch_error
from swanlab_export.client import NOT_TOLD, NotOfferedError, is_not_told
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.endpoints import runs as run_endpoint
from swanlab_export.errors import NotFoundError, SwanlabExportError
from swanlab_export.limits import PAGE_SIZES, RUNS_PER_REQUEST
from swanlab_export.messages import closest, command, quote
from swanlab_export.normalizers.details import SYSTEM_PREFIX
from swanlab_export.pagination import Pages, fetch_by_cursor, in_batches
from swanlab_export.patterns import is_pattern, matching
from swanlab_export.progress import Progress
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.client import Client
    from swanlab_export.endpoints.runs import RunSource


def match_keys(
    client: Client,
    runs: Sequence[FoundRun],
    patterns: Sequence[str],
    metric_type: str,
    partial: Partial | None = None,
) -> list[str]:
    """Replace patterns by the keys that they match; without a pattern nothing is requested.

    Runs whose keys cannot be had are left out, where ``partial`` allows it.

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
    known = fetch_keys(client, [run.source for run in runs], metric_type, partial)
    for pattern in patterns:
        matches = matching(pattern, known)
        if not matches:
            raise no_such_key(client, runs, pattern, metric_type)
        keys.extend(matches)
    return list(dict.fromkeys(keys))


def find_having(
    client: Client,
    runs: Sequence[FoundRun],
    keys: Sequence[str],
    metric_type: str,
    partial: Partial,
    unsure: set[str] | None = None,
) -> dict[str, set[str]]:
    """Find, for each key, the ids of the runs that have it.

    Args:
        client: The server.
        runs: The runs.
        keys: The keys.
        metric_type: SCALAR or MEDIA.
        partial: Decides what it means that runs fail: those that may be left out count as having
            each key, so that they fail where their data are requested.
        unsure: Gets the ids of runs of which the server does not tell; they may have each key.

    Raises:
        NotFoundError: No run has a key; names the closest ones.
    """
    having: dict[str, set[str]] = {key: set() for key in keys}
    sources = [run.source for run in runs]
    try:
        _fill_by_availability(client, sources, metric_type, having, partial)
    except SwanlabExportError as error:
        if not is_not_told(error):
            raise
        _fill_by_run(client, sources, metric_type, having, set() if unsure is None else unsure)
    for key in keys:
        if runs and not having[key]:
            raise no_such_key(client, runs, key, metric_type)
    return having


def _fill_by_availability(
    client: Client,
    sources: list[RunSource],
    metric_type: str,
    having: dict[str, set[str]],
    partial: Partial,
) -> None:
    keys = list(having)
    partial = partial.anew()

    def fetch(some: list[RunSource]) -> dict[str, set[str]]:
        payload = endpoint.fetch_availability(client, some, keys, metric_type)
        return endpoint.read_availability(payload, some, keys)

    def fetch_batch(some: list[RunSource]) -> dict[str, set[str]]:
        by_key: dict[str, set[str]] = {key: set() for key in keys}
        for part, found in partial.fetch(some, fetch):
            if isinstance(found, SwanlabExportError) and not partial.is_wanted:
                raise batch_error(found, "runs") if len(sources) > 1 else found
            for key in keys:
                if isinstance(found, SwanlabExportError):
                    by_key[key] |= {source.run_id for source in part}
                else:
                    by_key[key] |= found[key]
        return by_key

    for found in client.map(fetch_batch, in_batches(sources, RUNS_PER_REQUEST)):
        for key, ids in found.items():
            having[key] |= ids


def _fill_by_run(
    client: Client,
    sources: list[RunSource],
    metric_type: str,
    having: dict[str, set[str]],
    unsure: set[str],
) -> None:
    """Ask for the keys of each run, as older servers tell them."""
    of_runs = client.map(lambda source: _fetch_keys_of_run(client, source, metric_type), sources)
    for source, known in zip(sources, of_runs, strict=True):
        if known is None:
            unsure.add(source.run_id)
        for key, ids in having.items():
            if known is None or key in known:
                ids.add(source.run_id)


def check_returned(
    client: Client,
    runs: Sequence[FoundRun],
    returned: set[str],
    keys: Sequence[str],
    metric_type: str,
) -> None:
    """Check that keys exist of which a response holds nothing; else nothing is requested.

    Raises:
        NotFoundError: No run has a key; names the closest ones.
    """
    absent = [key for key in keys if key not in returned]
    if not absent or not runs:
        return
    try:
        known = fetch_keys(client, [run.source for run in runs], metric_type)
    except NotOfferedError:
        known = []
    for key in absent:
        if key not in known:
            raise no_such_key(client, runs, key, metric_type)


def warn_of_missing(
    having: Mapping[str, set[str]], count: int, report: Report, x_key: str | None = None
) -> None:
    """Warn of keys (with their x axis) that only some of ``count`` runs have."""
    for key, ids in having.items():
        if len(ids) < count:
            both = key if x_key in {None, key} else f"{key} and {x_key}"
            report.warn(f"{len(ids)} of {count} runs have {both}")


def fetch_keys(
    client: Client,
    sources: Sequence[RunSource],
    metric_type: str,
    partial: Partial | None = None,
) -> list[str]:
    """Fetch all keys that any of the runs has, each once.

    Runs whose keys cannot be had are left out, where ``partial`` allows it; without it, the error
    is the one of the request.

    Raises:
        NotOfferedError: The server tells them in no way.
    """
    found: dict[str, None] = {}
    chosen = Partial(Report(), is_wanted=False) if partial is None else partial.anew()
    try:
        for some in in_batches(sources, RUNS_PER_REQUEST):
            for part, keys in chosen.fetch(
                some, lambda part: _fetch_all_pages(client, part, metric_type, chosen)
            ):
                if isinstance(keys, SwanlabExportError):
                    if partial is None:
                        raise keys
                    items = [f"the keys of the run {source.run_id}" for source in part]
                    chosen.fail(items, keys, "runs")
                else:
                    found.update(keys)
    except NotOfferedError:
        of_runs = client.map(
            lambda source: _fetch_keys_of_run(client, source, metric_type), sources
        )
        known = [keys for keys in of_runs if keys is not None]
        if not known:
            raise
        return sorted(set().union(*known))
    return list(found)


def _fetch_all_pages(
    client: Client, some: list[RunSource], metric_type: str, partial: Partial
) -> dict[str, None]:
    """Fetch all keys of some runs; of a single run those before a page that fails."""
    keys: dict[str, None] = {}
    pages = fetch_by_cursor(client, functools.partial(endpoint.keys_page, some, metric_type))
    try:
        for page in pages:
            keys |= dict.fromkeys(endpoint.read_keys(page))
    except SwanlabExportError as error:
        if not keys or len(some) > 1 or not partial.is_wanted:
            raise
        behind = f"the keys of the run {some[0].run_id} behind {quote(list(keys)[-1])}"
        partial.fail([behind], error, "keys")
    return keys


def _fetch_keys_of_run(client: Client, source: RunSource, metric_type: str) -> set[str] | None:
    """Fetch the keys of one run as older servers tell them; None where they do not.

    First with their latest steps, else as columns.
    """
    try:
        return set(endpoint.read_latest(endpoint.fetch_latest(client, source), metric_type))
    except SwanlabExportError as error:
        if not (isinstance(error, NotFoundError) or error.status in NOT_TOLD):
            raise
    try:
        return set(_column_keys(client, source, metric_type))
    except SwanlabExportError as error:
        if not (isinstance(error, NotFoundError) or error.status in NOT_TOLD):
            raise
        return None


def column_pages(client: Client, run_id: str) -> Pages:
    """All columns of a run, as the server sends them."""
    return Pages(
        client,
        lambda page, size: run_endpoint.columns_page(
            run_id, page, size, search=None, column_class=None, column_type=None
        ),
        run_endpoint.identify_column,
        page=1,
        size=PAGE_SIZES[-1],
        all=True,
        title="columns",
        progress=Progress(),
    )


def _column_keys(client: Client, source: RunSource, metric_type: str) -> Iterator[str]:
    for column in column_pages(client, source.run_id):
        if run_endpoint.is_column_of(column, metric_type):
            yield run_endpoint.read_column_key(column)


def no_such_key(
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
