"""From paths, or from a project and rules, to runs that exist."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from swanlab_export.api.partial import Partial, count_others, is_of_item, refusal
from swanlab_export.api.runs.filtering import filtered_runs
from swanlab_export.api.runs.filters import Where, read_where
from swanlab_export.api.runs.names import RunNames
from swanlab_export.api.runs.survey import Place, all_runs
from swanlab_export.api.suggestions import suggest
from swanlab_export.endpoints import projects as project_endpoint
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.endpoints.filters import Rule, filter_payload
from swanlab_export.errors import NotFoundError, SwanlabExportError, UsageError
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.entities import warn_of_backup
from swanlab_export.refs import ProjectRef, RunRef
from swanlab_export.report import Failure, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.client import Client
    from swanlab_export.endpoints.runs import RunSource


@dataclass(frozen=True)
class Wanted:
    """Which runs a call is about: named ones, or those of a project that pass all rules."""

    refs: tuple[RunRef, ...] = ()
    projects: tuple[ProjectRef, ...] = ()
    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(
        cls,
        context: Context,
        paths: Sequence[str],
        project: str | Sequence[str] | None,
        where: Where,
    ) -> Self:
        """Check the arguments that say which runs are meant.

        Raises:
            UsageError: No run is named, or in two ways.
        """
        if bool(paths) == bool(project):
            raise UsageError(f"name one or more runs, or give {argument('project')}, not both")
        if project:
            named = [project] if isinstance(project, str) else project
            refs = tuple(context.project_ref(each) for each in dict.fromkeys(named))
            return cls(projects=refs, rules=read_where(where, context.now_ms()))
        if where is not None:
            raise UsageError(f"{argument('where')} chooses runs of {argument('project')}")
        return cls(refs=tuple(_run_ref(context, path) for path in dict.fromkeys(paths)))

    def __str__(self) -> str:
        return ", ".join(map(str, self.refs or self.projects))

    @property
    def has_projects(self) -> bool:
        """Whether the runs are of several projects."""
        return len(self.projects or {ref.project for ref in self.refs}) > 1

    def options(self) -> dict[str, Any]:
        """Describe it for a table's source."""
        return {"project": ", ".join(map(str, self.projects)), "where": describe(self.rules)}


def _run_ref(context: Context, path: str) -> RunRef:
    """Read the path of a run; of a project, say how its runs are named."""
    try:
        return context.run_ref(path)
    except UsageError as error:
        message = error.message
    with suppress(UsageError):
        project = argument("project", str(context.project_ref(path)))
        message = f"{quote(path)} is a project; {project} means all its runs"
    raise UsageError(message)


def describe(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Describe rules for a table's source, in a form that ``where=`` accepts again."""
    return [filter_payload(rule) for rule in rules]


@dataclass(frozen=True)
class FoundRun:
    """A run that exists: its path, its payload, and how data requests name it."""

    ref: RunRef
    payload: Any
    source: RunSource

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.source.run_id

    def without_payload(self) -> FoundRun:
        """The same run, with little to hold in memory."""
        return replace(self, payload={})

    @property
    def name(self) -> str:
        """What people call the run; its id where it has no name."""
        return endpoint.read_run_name(self.payload) or self.run_id


def find_run(context: Context, ref: RunRef, report: Report) -> FoundRun:
    """Fetch a run and, concurrently, the project that it is in."""
    with suggest(context, ref):
        names = RunNames(context)
        named = [names.expand_one(ref)]
        whole = Partial(report, is_wanted=False)
        return _told(_find_named(context, named, names, whole, report), report)[0]


def find_runs(
    context: Context,
    wanted: Wanted,
    partial: Partial,
    report: Report,
    *,
    with_profile: bool = False,
) -> list[FoundRun]:
    """Fetch the runs that are wanted, each once, in order; of a project, with configs on request.

    Raises:
        NotFoundError: Some of the named runs do not exist, and may not be left out, or none of them
            does; names all.
        IncompleteError: One of several cannot be fetched, and may not be left out.
    """
    names = RunNames(context)
    if len(wanted.refs) == 1:
        with suggest(context, wanted.refs[0]):
            refs = names.expand(wanted.refs)
            return _told(_find_named(context, refs, names, partial, report), report)
    if wanted.refs:
        refs = names.expand(wanted.refs)
        return _told(_find_named(context, refs, names, partial, report), report)
    found = _find_in_projects(context, wanted, partial, report, with_profile=with_profile)
    return _told(found, report)


def _told(runs: list[FoundRun], report: Report) -> list[FoundRun]:
    """The same runs, after a warning about what a backup that is served lacks of them."""
    for run in runs:
        warn_of_backup(run.payload, f"{run.ref.project}/{run.run_id}", report)
    return runs


def _find_named(
    context: Context,
    refs: Sequence[RunRef],
    names: RunNames,
    partial: Partial,
    report: Report,
) -> list[FoundRun]:
    """Fetch runs by their paths, and each of their projects once, all concurrently."""
    projects = list(dict.fromkeys(ref.project for ref in refs))
    context.client.login()
    found: list[FoundRun] = []
    ids: dict[ProjectRef, str] = {}
    errors: dict[RunRef, SwanlabExportError] = {}
    for ref, payload in _fetch_all(context.client, [*projects, *refs]):
        try:
            if isinstance(ref, ProjectRef):
                ids[ref] = project_endpoint.read_project_id(_checked(payload))
            elif ref.project in ids:
                if isinstance(payload, NotFoundError):
                    run = _find_by_name(context, ref, names, payload, ids[ref.project])
                else:
                    source = endpoint.read_source(_checked(payload), ids[ref.project])
                    run = FoundRun(ref, payload, source)
                found.append(run)
        except SwanlabExportError as error:
            if not is_of_item(error):
                raise
            for each in refs:
                if ref in {each, each.project}:
                    errors.setdefault(each, error)
            # All runs that are missing are named; any other failure ends the call here.
            is_missing = isinstance(error, NotFoundError)
            if len(errors) == len(refs) or not (partial.is_wanted or is_missing):
                break
    _check_found(refs, errors, partial, report)
    return _distinct(found)


def _checked(payload: Any) -> Any:
    """The payload, where it is one.

    Raises:
        SwanlabExportError: It is the error that came instead.
    """
    if isinstance(payload, SwanlabExportError):
        raise payload
    return payload


def _find_by_name(
    context: Context, ref: RunRef, names: RunNames, error: NotFoundError, project_id: str
) -> FoundRun:
    """Fetch the run whose display name stands where an id or a slug could.

    Raises:
        NotFoundError: No run has this name, which is ``error``, or several have.
    """
    named = names.of_name(ref, error)
    payload = endpoint.fetch_run(context.client, named)
    return FoundRun(named, payload, endpoint.read_source(payload, project_id))


def _check_found(
    refs: Sequence[RunRef],
    errors: dict[RunRef, SwanlabExportError],
    partial: Partial,
    report: Report,
) -> None:
    if not errors:
        return
    failures = [Failure(str(ref), error) for ref, error in errors.items()]
    if len(refs) == 1:
        raise failures[0].error
    others = len(refs) - len(errors)
    are_missing = all(isinstance(error, NotFoundError) for error in errors.values())
    if are_missing and not others:
        named = "; ".join(map(str, failures))
        raise NotFoundError(f"none of the {len(refs)} runs exists: {named}")
    if not others or not partial.is_wanted:
        # Runs that do not exist were typed: all are named, however many they are.
        raise refusal(failures, count_others(others, "runs"), most=len(failures))
    for failure in failures:
        report.fail(failure.item, failure.error)


def _fetch_all(
    client: Client, refs: Sequence[RunRef | ProjectRef]
) -> Iterator[tuple[RunRef | ProjectRef, Any]]:
    """Fetch runs and projects concurrently; yield each with its payload, or its error."""

    def fetch(ref: RunRef | ProjectRef) -> Any:
        try:
            if isinstance(ref, RunRef):
                return endpoint.fetch_run(client, ref)
            return project_endpoint.fetch_project(client, ref)
        except SwanlabExportError as error:
            return error

    return zip(refs, client.map(fetch, refs), strict=True)


def _find_in_projects(
    context: Context, wanted: Wanted, partial: Partial, report: Report, *, with_profile: bool
) -> list[FoundRun]:
    """Fetch the runs of projects, or those that pass all rules."""
    places = [_searched(context, ref) for ref in wanted.projects]
    try:
        if wanted.rules:
            payloads = filtered_runs(context, places, wanted.rules, report, partial)
        else:
            payloads = [
                _all_of(context, place.ref, partial, report, with_profile=with_profile)
                for place in places
            ]
    except SwanlabExportError:
        _check_exist(places)  # that there is no such project says more than that it has no runs
        raise
    _check_exist(places)
    return _distinct(
        FoundRun(RunRef(place.ref, source.run_id), run, source)
        for place, runs in zip(places, payloads, strict=True)
        for run, source in partial.each(runs, place.source)
    )


def _check_exist(places: Iterable[Place]) -> None:
    for place in places:
        place.find_id()


def _searched(context: Context, ref: ProjectRef) -> Place:
    """A project, which is fetched while its runs are."""
    project = context.client.submit(lambda: project_endpoint.fetch_project(context.client, ref))

    def find_id() -> str:
        with suggest(context, ref):
            return project_endpoint.read_project_id(project())

    return Place(ref, find_id)


def _all_of(
    context: Context, ref: ProjectRef, partial: Partial, report: Report, *, with_profile: bool
) -> list[Any]:
    """All runs of a project, without what only tables of runs show, unless that is wanted."""
    runs = all_runs(context, ref, report, partial)
    payloads = list(runs) if with_profile else [endpoint.drop_profile(run) for run in runs]
    if not payloads:
        report.warn(f"{ref} has no runs")
    return payloads


def _distinct(runs: Iterable[FoundRun]) -> list[FoundRun]:
    """Keep each run once: an id and a slug may name the same one."""
    found: dict[str, FoundRun] = {}
    for run in runs:
        found.setdefault(run.run_id, run)
    return list(found.values())
