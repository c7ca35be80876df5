"""From paths to runs that exist."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.filters import Where, filter_rules
from swanlab_export.endpoints import project as project_endpoint
from swanlab_export.endpoints import run as run_endpoint
from swanlab_export.endpoints.run import RunSource
from swanlab_export.errors import (
    IncompleteError,
    ServerError,
    SwanlabExportError,
)
from swanlab_export.normalizers.runs import flatten_groups
from swanlab_export.normalizers.values import as_time_ms
from swanlab_export.pagination import Pages
from swanlab_export.refs import ProjectRef, RunRef, escape, parse_project, parse_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swanlab_export.api.context import Context

RUNS_PER_REQUEST = 200
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
    context.client.login()
    found: list[FoundRun] = []
    outcome = Outcome(len(refs), skip_failed=skip_failed)
    ids: dict[ProjectRef, str] = {}
    for ref, wire in _fetch_refs(context, [*projects, *refs]):
        try:
            if isinstance(ref, ProjectRef):
                ids[ref] = project_id_of(_arrived(wire))
            elif ref.project in ids:
                source = source_of_run(_arrived(wire), ids[ref.project])
                found.append(FoundRun(str(ref), wire, source))
        except SwanlabExportError as error:
            for each in refs:
                if ref in {each, each.project}:
                    outcome.fail(str(each), error)
    return _distinct(found), outcome.failures


class Outcome:
    """Keeps count of which runs of a call could be had, and ends it where that is no use.

    Args:
        total: How many runs were asked for.
        skip_failed: Runs that fail may be left out.
        failures: Gathers what is wrong with those that are.
    """

    def __init__(self, total: int, *, skip_failed: bool, failures: list[str] | None = None) -> None:
        self.failures = [] if failures is None else failures
        self._total = total
        self._skip_failed = skip_failed
        self._failed: set[str] = set()

    def fail(self, path: str, error: SwanlabExportError) -> None:
        """Take note that a run failed.

        Raises:
            SwanlabExportError: It is the only one, it may not be skipped, or no run is left: a
                table without a single run would only take the place of a good one.
        """
        if self._total == 1:
            raise error
        if path in self._failed:
            return
        self._failed.add(path)
        named = IncompleteError(f"{path}: {error.message}")
        if not self._skip_failed or len(self._failed) == self._total:
            raise named from None
        self.failures.append(named.message)

    def has_failed(self, path: str) -> bool:
        """Say whether a run has failed so far."""
        return path in self._failed


def _fetch_refs(
    context: Context, refs: Sequence[RunRef | ProjectRef]
) -> Iterator[tuple[RunRef | ProjectRef, Any]]:
    """Fetch runs and projects side by side; yield each with what came, an error included."""

    def fetch(ref: RunRef | ProjectRef) -> Any:
        try:
            if isinstance(ref, RunRef):
                return run_endpoint.fetch_run(context.client, ref)
            return project_endpoint.fetch_project(context.client, ref)
        except SwanlabExportError as error:
            return error

    return zip(refs, context.client.map(fetch, refs), strict=True)


def _arrived(wire: Any) -> Any:
    """Give what was fetched, or raise what came instead."""
    if isinstance(wire, SwanlabExportError):
        raise wire
    return wire


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
        FoundRun(f"{ref}/{source.run_id}", run, source)
        for run, source in ((run, source_of_run(run, project_id)) for run in runs)
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
        message = f"run {escape(wire['cuid'])} was created at {shown}, and its data need that time"
        raise ServerError(message) from None
    roots = [wire.get(name) or "" for name in ("rootExpId", "rootProId")]
    if not all(isinstance(root, str) for root in roots):
        raise ServerError(f"run {escape(wire['cuid'])} has root ids that are no ids")
    return RunSource(wire["cuid"], project_id, created_at_s, *roots)


def in_batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Cut a stream into lists of at most ``size``."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
