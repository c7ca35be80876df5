"""The summaries of many runs: few requests, and a word about runs that have none."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import SwanlabExportError
from swanlab_export.limits import RUNS_PER_REQUEST
from swanlab_export.pagination import in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from swanlab_export.api.partial import Partial
    from swanlab_export.client import Client
    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.report import Report

_Run = TypeVar("_Run")
# Numbers with their names take six times as much memory as in the response, and its threads keep
# some of it: with twice as many ahead, the summaries of 2,000 runs with 50 keys took 40 MB more.
_AHEAD_BYTES = 4 * 1024**2


def join_summaries(
    client: Client,
    runs: Iterable[tuple[_Run, RunSource]],
    choose_keys: Callable[[list[RunSource]], Sequence[str] | None],
    report: Report,
    partial: Partial,
) -> Iterator[tuple[_Run, Mapping[str, Any] | SwanlabExportError]]:
    """Yield each run with its summary or its error, one request for a few hundred runs, concurrently.

    Args:
        client: The server.
        runs: Whatever stands for a run, and how data requests name it.
        choose_keys: The keys that are wanted of some runs; None means all.
        report: Gets a warning that counts the runs that the server left out, and counts those whose
            summary is no object.
        partial: Decides what it means that runs fail: without it, a batch has one error.
    """

    def fetch_batch(
        some: list[tuple[_Run, RunSource]],
    ) -> list[tuple[_Run, Mapping[str, Any] | SwanlabExportError | None]]:
        found: list[tuple[_Run, Mapping[str, Any] | SwanlabExportError | None]] = []
        for part, summaries in partial.fetch(some, fetch):
            if isinstance(summaries, SwanlabExportError):
                found += [(run, summaries) for run, _ in part]
            else:
                found += summaries
        return found

    def fetch(some: list[tuple[_Run, RunSource]]) -> list[tuple[_Run, Mapping[str, Any] | None]]:
        sources = [source for _, source in some]
        keys = choose_keys(sources)
        if keys is not None and not keys:
            return [(run, {}) for run, _ in some]
        payload = endpoint.fetch_summaries(client, sources, keys)
        by_id = endpoint.read_summaries(payload, sources, keys, report)
        return [(run, by_id.get(source.run_id)) for run, source in some]

    count = missing = 0
    batches = in_batches(runs, RUNS_PER_REQUEST)
    # The first one by itself, for its size says how many may be fetched ahead.
    first = map(fetch_batch, islice(batches, 1))
    for pairs in chain(first, client.map(fetch_batch, batches, ahead_bytes=_AHEAD_BYTES)):
        for run, summary in pairs:
            count += 1
            missing += summary is None
            yield run, {} if summary is None else summary
    if missing:
        report.warn(f"{missing} of {count} runs have no summary")
