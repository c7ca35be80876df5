"""Sampled points: what the server picks out of each metric, or what is picked out of exports."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.partial import Partial
from swanlab_export.api.runs.export import exported_samples
from swanlab_export.api.runs.keys import check_returned, warn_of_missing
from swanlab_export.api.runs.plan import Plan, chunks_of
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.client import NotOfferedError
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import NotFoundError, ServerError, SwanlabExportError
from swanlab_export.limits import EXPORT_COLUMNS_MAX, SAMPLE_MAX
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers import metrics as normalizer
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.find import FoundRun

_Read = TypeVar("_Read")
# How many keys one request may name, on servers of different releases.
_KEYS_PER_SAMPLE = (EXPORT_COLUMNS_MAX, 4, 1)
_KEYS = "keys of a sample"
# Rows that wait until each key has been met.
_HELD_ROWS_MAX = 250_000
_NEW_AXES = "client 0.10.1"


class _Returned:
    """Which runs returned which keys: what no run returned does not exist, or has no point."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._runs = 0
        self._having: dict[str, set[str]] = {key: set() for key in plan.keys}
        self._failed: set[str] = set()

    def add(self, run: FoundRun, keys: Iterable[str]) -> None:
        """Count the keys that a run returned."""
        self._runs += 1
        for key in keys:
            if key in self._having:
                self._having[key].add(run.run_id)

    def add_failed(self, run: FoundRun, keys: Iterable[str], *, is_all: bool) -> None:
        """Take into account that keys of a run failed: they are there all the same."""
        for key in keys:
            self._failed.add(key)
            if not is_all:
                self._having[key].add(run.run_id)

    def pairs(self) -> Iterator[tuple[FoundRun, str]]:
        """Yield each run with each of its keys of which something was returned."""
        for run in self._plan.runs:
            for key, ids in self._having.items():
                if run.run_id in ids:
                    yield run, key

    def is_settled(self) -> bool:
        """Say whether each key is known to exist."""
        if self._is_known():
            return True
        return all(ids or key in self._failed for key, ids in self._having.items())

    def _is_known(self) -> bool:
        """Say whether it was known before which runs have which keys."""
        return self._plan.having is not None and not self._plan.unsure

    def check(self, context: Context) -> None:
        """Warn of keys that only some runs have, unless that was known before.

        Raises:
            NotFoundError: No run has a key; names the closest ones.
        """
        plan, client, x_key = self._plan, context.client, self._plan.query.x_key
        if self._is_known():
            return
        returned = {key for key, ids in self._having.items() if ids} | self._failed
        keys = plan.keys
        if x_key is not None and not returned:
            keys = [x_key, *keys]
        check_returned(client, plan.runs, returned, keys, "SCALAR")
        warn_of_missing(self._having, self._runs, plan.report, x_key)


def fetch_raw_samples(context: Context, plan: Plan) -> list[dict[str, Any]]:
    """The samples as the server sent them, each with the id of its run."""
    returned = _Returned(plan)
    found = []
    for run, payloads in _each_run(context, plan, returned, lambda payload: payload or []):
        series = [each for payload in payloads for each in payload if each is not None]
        returned.add(run, endpoint.read_series_keys(series))
        found += [endpoint.label_run(run.run_id, each) for each in series]
    returned.check(context)
    return found


def sampled_batches(context: Context, plan: Plan) -> Iterator[pa.RecordBatch]:
    """The sampled points, in rows of the table.

    The first rows are fetched at once, so that a key that no run has is an error before anything is
    written.
    """
    batches = _sampled_or_exported(context, plan)
    return chain(list(islice(batches, 1)), batches)


def _sampled_or_exported(context: Context, plan: Plan) -> Iterator[pa.RecordBatch]:
    """Yield rows from the samples of the server, else from its exports."""
    has_begun = False
    try:
        returned = _Returned(plan)
        for batch in _rows(context, plan, returned, _samples(context, plan, returned)):
            has_begun = True
            yield batch
    except NotOfferedError as error:
        if has_begun:
            raise
        if plan.query.x_axis == "relative_time":
            # Its unit in samples is the server's own.
            rest = f"{argument('all', True)} computes it, in seconds, from every point"
            raise NotOfferedError(f"{error.message}; {rest}", status=error.status) from None
        plan.report.warn(f"{error}: points of the exports are evenly downsampled instead")
        plan = plan.with_having(context.client)
        # What only the exports tell of runs and keys, they warn of themselves.
        returned = _Returned(replace(plan, unsure=set()))
        yield from _rows(context, plan, returned, exported_samples(context, plan))


def _rows(
    context: Context,
    plan: Plan,
    returned: _Returned,
    runs: Iterator[tuple[FoundRun, dict[str, pa.RecordBatch]]],
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each run from its points by key, once each key has been met."""
    longest = 0
    held: list[pa.RecordBatch] = []
    for run, by_key in runs:
        keys = plan.keys_of(run)
        found = {key: by_key[key] for key in keys if key in by_key}
        longest = max([longest, *(points.num_rows for points in found.values())])
        # On an axis of its own, a key of a run that lacks the axis comes without points.
        has_axis = plan.query.x_key is None
        returned.add(run, (key for key, points in found.items() if has_axis or points.num_rows))
        if plan.layout.is_wide:
            block = normalizer.sample_block(found, keys, plan.report)
            held.append(plan.layout.wide_batch(run.run_id, keys, block))
        else:
            held += (plan.layout.long_batch(run.run_id, *each) for each in found.items())
        if returned.is_settled() or sum(batch.num_rows for batch in held) > _HELD_ROWS_MAX:
            yield from held
            held.clear()
    returned.check(context)
    yield from held
    # A caller who asked for fewer points expects no more.
    if longest >= plan.query.sample == SAMPLE_MAX:
        rest = f"{argument('all', True)} fetches every point"
        plan.report.hint(f"a sample of at most {SAMPLE_MAX} points per key; {rest}")


def _samples(
    context: Context, plan: Plan, returned: _Returned
) -> Iterator[tuple[FoundRun, dict[str, pa.RecordBatch]]]:
    """Yield the samples of each run by key."""
    has_x_column = plan.layout.x_type is not None

    def read(payload: Any) -> dict[str, pa.RecordBatch]:
        return normalizer.read_sample(
            payload,
            plan.report,
            plan.query.x_axis,
            has_x_column=has_x_column,
            has_text=plan.query.has_text,
        )

    find_nonfinite = context.client.submit(lambda: _find_nonfinite(context, plan))
    bare: list[str] = []
    for run, found in _each_run(context, plan, returned, read):
        by_key = {key: points for each in found for key, points in each.items()}
        if plan.query.x_key is None:
            bare += [_name(run, key) for key in plan.keys if _is_bare(by_key, key)]
        yield run, by_key
    _warn_of_nonfinite(plan, bare, "and no others came of")
    known: set[tuple[str, str]] = set()
    with suppress(TimeoutError):  # samples are what was asked for
        known = find_nonfinite(timeout=context.client.timeout_s)
    having = [_name(*each) for each in returned.pairs() if (each[0].run_id, each[1]) in known]
    _warn_of_nonfinite(plan, [name for name in having if name not in bare], "some of")


def _name(run: FoundRun, key: str) -> str:
    return f"{run.ref}, key {quote(key)}"


def _is_bare(by_key: dict[str, pa.RecordBatch], key: str) -> bool:
    """Say whether a key came, but no point of it."""
    return key in by_key and not by_key[key].num_rows


def _find_nonfinite(context: Context, plan: Plan) -> set[tuple[str, str]]:
    """Which keys of which runs have NaN or infinite points, as far as summaries tell."""
    if endpoint.lacks_samples(context.client):
        return set()
    named = ((run.run_id, run.source) for run in plan.runs)
    found: set[tuple[str, str]] = set()
    # Of their own: what cannot be told is not left out.
    checks = Partial(Report(), is_wanted=False)
    with suppress(SwanlabExportError):
        for run_id, summary in join_summaries(
            context.client, named, lambda _: plan.keys, Report(), checks
        ):
            if not isinstance(summary, SwanlabExportError):
                found |= {(run_id, key) for key in endpoint.read_nonfinite(summary)}
    return found


def _warn_of_nonfinite(plan: Plan, names: Sequence[str], what: str) -> None:
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        plan.report.warn(
            f"a sample leaves out NaN and infinite points, {what} {names[0]}{more}; "
            f"{argument('all', True)} fetches every point"
        )


def _each_run(
    context: Context, plan: Plan, returned: _Returned, read: Callable[[Any], _Read]
) -> Iterator[tuple[FoundRun, list[_Read]]]:
    """Fetch and read the samples of all runs concurrently; yield what did not fail.

    Raises:
        NotOfferedError: The server draws no samples on this axis.
    """

    def fetch(run: FoundRun) -> list[tuple[list[str], list[_Read] | SwanlabExportError]]:
        try:
            return _fetch_samples(context, plan, run, read)
        except SwanlabExportError as error:
            return [(plan.keys_of(run), error)]

    with context.progress.bar("runs", total=len(plan.runs), unit="runs") as bar:
        for run, parts in zip(plan.runs, context.client.map(fetch, plan.runs), strict=True):
            bar.add(1)
            found: list[_Read] = []
            failed: list[tuple[list[str], SwanlabExportError]] = []
            for keys, each in parts:
                if isinstance(each, SwanlabExportError):
                    failed.append((keys, each))
                else:
                    found += each
            plan.leave_out(run, failed, is_all=not found)
            returned.add_failed(run, [key for keys, _ in failed for key in keys], is_all=not found)
            if found or not failed:
                yield run, found


def _fetch_samples(
    context: Context, plan: Plan, run: FoundRun, read: Callable[[Any], _Read]
) -> list[tuple[list[str], list[_Read] | SwanlabExportError]]:
    client, x_key = context.client, plan.query.x_key

    def fetch(keys: list[str]) -> _Read:
        payload = endpoint.fetch_sample(
            client,
            run.source,
            keys,
            points=plan.query.sample,
            x_axis="step" if x_key else plan.query.x_axis,
            x_key=x_key,
        )
        return read(payload)

    def fetch_fewer(keys: list[str]) -> list[_Read]:
        """Fetch the samples of some keys, in smaller requests if the server refuses so many."""
        try:
            return [fetch(keys)]
        except ServerError as refused:
            if refused.status != 400:
                raise
            size = next((size for size in _KEYS_PER_SAMPLE if size < len(keys)), None)
            if size is None:
                raise _unknown_axis(plan, refused) from None
        except NotFoundError as error:
            raise plan.what_is_missing(client, run, error) from None
        found = [each for part in chunks_of(keys, size) for each in fetch_fewer(part)]
        client.capabilities.lower(_KEYS, size)
        return found

    size = client.capabilities.limit(_KEYS, EXPORT_COLUMNS_MAX)
    chunks = chunks_of(plan.keys_of(run), size)
    of_chunks = client.map(lambda keys: plan.partial.fetch(keys, fetch_fewer), chunks)
    return [part for of_chunk in of_chunks for part in of_chunk]


def _unknown_axis(plan: Plan, refused: ServerError) -> ServerError:
    """Say that an axis is newer than the server, where one is asked for that may be."""
    if plan.query.x_key is None and plan.query.x_axis != "relative_time":
        return refused
    axis = quote(plan.query.x_axis)
    return NotOfferedError(
        f"this server does not offer samples on the axis {axis}, which came with {_NEW_AXES} "
        f"({refused.message})",
        status=refused.status,
    )
