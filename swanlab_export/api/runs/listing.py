"""``api.run``: runs themselves, their configs and their summaries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial as bind
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.arrange import Arrangement
from swanlab_export.api.context import Members, Result
from swanlab_export.api.lists import Paging, list_result
from swanlab_export.api.partial import Partial, batch_error
from swanlab_export.api.resource import F, Resource, check_choice, flat
from swanlab_export.api.runs.filtering import filtered_runs
from swanlab_export.api.runs.filters import read_where
from swanlab_export.api.runs.find import Wanted, describe, find_runs
from swanlab_export.api.runs.keys import (
    check_returned,
    fetch_keys,
    match_keys,
    warn_of_missing,
)
from swanlab_export.api.runs.points import (
    columns_of_runs,
    join_columns,
    parse_columns,
    with_projects,
    with_snapshot,
)
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.api.runs.survey import Place, all_runs, check_keys
from swanlab_export.api.suggestions import suggest
from swanlab_export.endpoints import projects as project_endpoint
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.errors import SwanlabExportError, UsageError
from swanlab_export.limits import CONFIG_FORMS
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.runs import (
    Home,
    normalize_runs_of_projects,
    normalize_summaries,
)
from swanlab_export.patterns import is_pattern, matching
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.filters import Where
    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.client import Client
    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.refs import ProjectRef, RunRef
    from swanlab_export.tables import Table

    Summary = str | Sequence[str] | bool


class RunRecords(Resource[F]):
    """Runs with their configs, and their summaries."""

    def info(self, *paths: str | Iterable[str], partial: bool = False) -> F:
        """Runs with config, metadata and requirements; one row each.

        Args:
            paths: The run, by id, slug or display name, or the URL of its web page; or several,
                or patterns such as ``"team/proj/mlp-*"``.
            partial: Leave out runs that fail, and say which.

        Raises:
            NotFoundError: There is no such run, or several have this name; names the closest ones.
            IncompleteError: One of several runs failed.

        Source: ``GET /project/{workspace}/{project}/runs/{id or slug}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.run.info("ada-lab/digits/diverged")["config.lr"].item()
        1.5
        """
        refs = tuple(self._context.run_ref(path) for path in dict.fromkeys(flat(paths)))
        if not refs:
            raise UsageError("name one or more runs")
        wanted = Wanted(refs=refs)
        declared = schemas.with_project(schemas.RUNS) if wanted.has_projects else schemas.RUNS
        report = self._output.begin(declared)
        runs = find_runs(self._context, wanted, Partial(report, is_wanted=partial), report)
        is_single = len(wanted.refs) == 1 and not is_pattern(wanted.refs[0].run)
        homes = [Home(run.ref.project, run.source.project_id) for run in runs]
        rows = [(home, run.payload, None) for home, run in zip(homes, runs, strict=True)]
        result = Result(
            lambda: normalize_runs_of_projects(
                rows,
                report,
                self._context.web_host,
                is_single=is_single,
                has_projects=wanted.has_projects,
            ),
            lambda: runs[0].payload if is_single else [run.payload for run in runs],
            self._context.source("run info", wanted, partial=partial),
        )
        return self._output.deliver(result, report)

    def filter(
        self,
        project: str | Sequence[str],
        where: Where,
        *,
        summary: Summary = False,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        varying: bool = False,
        group_by: str | Sequence[str] | None = None,
        config: str = "columns",
        snapshot: bool = False,
        partial: bool = False,
    ) -> F:
        """Runs that pass all filters; one row each, groups are flattened.

        Args:
            project: workspace/project, or the URL of its web page; or several.
            where: A mapping such as ``{"state": "FINISHED", "config.lr >=": 1e-3}``, rules such
                as ``["state=FINISHED"]``, or the server's own. Names are columns of the table.
                The operators are ``= != >= <= > <``, ``in`` and ``not in`` (one of several
                values), ``~`` (contains) and ``!~``, ``is null`` and ``is not null``. A time may
                be ``-7d``: seven days ago.
            summary: Add the latest value of each metric (True), or of these keys.
            sort: Columns that give the order; see ``list``.
            limit: Only the first so many runs.
            varying: Only columns that identify a run or differ between runs.
            group_by: Columns whose values make a group; see ``list``.
            config: ``"columns"``, or ``"json"``; see ``list``.
            snapshot: Add when the call began, as ``snapshot_at``.
            partial: Leave out what fails, and say what.

        Raises:
            UsageError: A rule has no meaning, or cannot match; the message gives its index.
            NotFoundError: No run of the project has the key of a rule; names the closest ones.

        Source: ``POST /project/{workspace}/{project}/runs/shows``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     runs = api.run.filter("ada-lab/digits", {"config.lr >=": 0.1})
        >>> bool(runs["config.lr"].min() >= 0.1)
        True
        """
        refs = self._projects(project)
        rules = read_where(() if where is None else where, self._context.now_ms())
        arrangement = _arrangement(
            sort, limit, varying=varying, group_by=group_by, snapshot=snapshot
        )
        keys = _summary_keys(summary, arrangement)
        form = _Form(check_choice("config", config, CONFIG_FORMS) == "json", snapshot)
        report = self._output.begin(_declared(arrangement, refs, form))
        left_out = Partial(report, is_wanted=partial)
        homes = [self._home(ref) for ref in refs]
        found = filtered_runs(self._context, list(map(_place, homes)), rules, report, left_out)
        chosen = list(zip(homes, found, strict=True))
        runs = [run for of_project in found for run in of_project]
        result = Result(
            lambda: arrangement.apply(
                self._table(report, left_out, chosen, keys, arrangement, form)
            ),
            lambda: list(arrangement.first(runs)),
            self._context.source(
                "run filter",
                ", ".join(map(str, refs)),
                where=describe(rules),
                summary=summary,
                config=config,
                snapshot=snapshot,
                partial=partial,
                **arrangement.options(),
            ),
        )
        return self._output.deliver(result, report)

    def summary(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str] | None = None,
        project: str | Sequence[str] | None = None,
        where: Where = None,
        partial: bool = False,
        run_columns: str | Sequence[str] | None = None,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        varying: bool = False,
    ) -> F:
        """Latest, min, max, avg, median and std, in the metric's unit; one row per run and key.

        Args:
            paths: Runs, one by one or in lists; or give ``project``.
            keys: Only these keys or patterns.
            project: All runs of a project, or of several.
            where: Only runs that pass; see ``filter``.
            partial: Leave out runs that fail, and say which.
            run_columns: Columns of the runs to add to each row: ``"state,config.lr"``.
            sort: Columns that give the order, ``-`` before a name for descending.
            limit: Only the first so many rows.
            varying: Only columns that identify a row or differ between rows.

        Raises:
            NotFoundError: A run does not exist, or no run has a key; names the closest ones.
            IncompleteError: One of several runs failed.

        Source: ``POST /house/metrics/summaries``, one request for a few hundred runs.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     found = api.run.summary("ada-lab/digits/diverged", keys="acc")
        >>> found["max"].item()
        0.28125
        """
        patterns = None if keys is None else schemas.parse_names(keys, "keys")
        added = parse_columns(run_columns, "run_columns")
        arrangement = Arrangement.parse(sort, limit, varying=varying)
        wanted = Wanted.parse(self._context, flat(paths), project, where)
        declared = schemas.SUMMARY
        report = self._output.begin(
            schemas.with_project(declared) if wanted.has_projects else declared
        )
        client = self._context.client
        left_out = Partial(report, is_wanted=partial)
        runs = find_runs(self._context, wanted, left_out, report, with_profile=bool(added))
        columns = columns_of_runs(self._context, runs, added, "run_columns", wanted.projects)
        if wanted.has_projects:
            columns = with_projects(runs, columns)
        asked = None
        if patterns is not None:
            asked = match_keys(client, runs, patterns, "SCALAR", left_out)
        run_names = {run.run_id: run.name for run in runs}
        # Their payloads are not held while the summaries come.
        runs = [run.without_payload() for run in runs]
        named = [(run.ref, run.source) for run in runs]
        # A run without any of the keys may be left out.
        counted = report if asked is None else Report()
        pairs = join_summaries(client, named, lambda _: asked, counted, left_out)
        found = _summaries_by_id(pairs, dict(named), left_out)
        if asked is not None:
            found = _with_keys(client, runs, asked, found, report)
        result = Result(
            lambda: arrangement.apply(
                join_columns(normalize_summaries(found, report, run_names), columns, report)
            ),
            lambda: Members(found),
            self._context.source(
                "run summary",
                wanted,
                keys=patterns,
                partial=partial,
                run_columns=added,
                **wanted.options(),
                **arrangement.options(),
            ),
        )
        return self._output.deliver(result, report)

    def _projects(self, project: str | Sequence[str]) -> Sequence[ProjectRef]:
        """The projects that are meant, each once."""
        refs = [self._context.project_ref(each) for each in flat([project])]
        if not refs:
            raise UsageError(f"name a project: {argument('project')}")
        return [*dict.fromkeys(refs)]

    def _home(self, ref: ProjectRef) -> Home:
        """Fetch a project that is known by its path."""
        with suggest(self._context, ref):
            payload = project_endpoint.fetch_project(self._context.client, ref)
        return Home(ref, project_endpoint.read_project_id(payload))

    def _table(
        self,
        report: Report,
        partial: Partial,
        chosen: Sequence[tuple[Home, Iterable[Any]]],
        keys: Sequence[str] | None,
        arrangement: Arrangement,
        form: _Form,
    ) -> Table:
        """The table of runs of one project or several, with the summaries that are wanted."""
        met: set[str] = set()
        places = [_place(home) for home, _ in chosen]

        def rows() -> Iterator[tuple[Home, Any, Mapping[str, Any] | None]]:
            for home, runs in chosen:
                if keys is None:
                    yield from ((home, run, None) for run in runs)
                else:
                    pairs = _with_summaries(self._context, report, partial, home, runs, keys, met)
                    yield from ((home, run, summary) for run, summary in pairs)

        def check_absent(columns: Sequence[str]) -> None:
            if form.is_json and any(name.startswith("config.") for name in columns):
                given = argument("config", "json")
                raise UsageError(f"{given} has one column config: no {', '.join(columns)}")
            wanted = [name.partition(".")[::2] for name in columns]
            check_keys(
                self._context,
                places,
                configs=[key for kind, key in wanted if kind == "config"],
                metrics=[key for kind, key in wanted if kind == "summary"],
            )

        table = normalize_runs_of_projects(
            arrangement.first(rows()),
            report,
            self._context.web_host,
            has_projects=len(chosen) > 1,
            is_json=form.is_json,
            summary_keys=[key for key in keys or [] if not is_pattern(key)],
        )
        table.check_absent = check_absent
        if absent := [key for key in keys or [] if not matching(key, list(met))]:
            keys_alone = [key for key in absent if not is_pattern(key)]
            check_keys(self._context, places, metrics=keys_alone)
            for key in absent:
                report.warn(f"no run here has the key {quote(key)}")
        return with_snapshot(table, self._context.now_ms()) if form.has_snapshot else table

    # Last in the class: below its definition, ``list`` no longer means the type.
    def list(
        self,
        project: str | Sequence[str],
        *,
        all: bool | None = None,
        page: int | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        sort: str | Sequence[str] | None = None,
        varying: bool = False,
        group_by: str | Sequence[str] | None = None,
        where: Where = None,
        summary: Summary = False,
        config: str = "columns",
        snapshot: bool = False,
        partial: bool = False,
    ) -> F:
        """Runs of a project; one row each, with ``config.*``, and ``summary.*`` if asked for.

        Args:
            project: workspace/project, or the URL of its web page; or several, whose runs have
                a column ``project``.
            all: Every run; the default unless a page is asked for.
            page: Only this page, from 1.
            page_size: Rows per page.
            limit: Only the first so many runs.
            sort: Columns that give the order, the first one first, ``-`` before a name for
                descending: ``"-summary.acc"``, of groups ``"-summary.acc.mean"``; a summary that
                is named is added. Missing values
                come last, equal rows stay in order. ``"create"`` is ``"-created_at"``.
            varying: Only columns that identify a run or differ between runs.
            group_by: Columns whose values make a group: ``"config.lr,config.hidden"``. A row is
                then a group: ``n`` runs, and of each summary n, mean, std (ddof 1, missing for one
                run), min and max of the finite values, and n_nonfinite.
            where: Only runs that pass; see ``filter``, which gives all of them.
            summary: Add the latest value of each metric (True), or of these keys.
            config: ``"columns"``, or ``"json"``: one column ``config`` of JSON text, and one for
                what else varies. The columns and their types are then the same every night.
            snapshot: Add when the call began, as the first column, ``snapshot_at``.
            partial: Leave out what fails, and say what.

        Raises:
            NotFoundError: There is no such project, or no run of it has a key that is named.
            IncompleteError: Fewer runs came than were announced.

        Source: ``GET /project/{workspace}/{project}/runs``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     runs = api.run.list("ada-lab/digits", summary="loss")
        ...     best = api.run.list("ada-lab/sweep", sort="-summary.val/acc", limit=1)
        ...     groups = api.run.list("ada-lab/sweep", summary="val/acc", group_by="config.lr")
        >>> len(runs), "config.lr" in runs, "summary.loss" in runs
        (16, True, True)
        >>> best["summary.val/acc"].round(3).tolist(), groups["n"].tolist()[:2]
        ([0.981], [10, 20])
        """
        refs = self._projects(project)
        arrangement = _arrangement(
            sort, limit, varying=varying, group_by=group_by, snapshot=snapshot
        )
        paging = Paging.parse(all, page, page_size, arrangement)
        if where is not None:
            if not paging.all:
                raise UsageError(f"{argument('where')} gives all runs that pass, not a page")
            return self.filter(
                project,
                where,
                summary=summary,
                sort=sort,
                limit=limit,
                varying=varying,
                group_by=group_by,
                config=config,
                snapshot=snapshot,
                partial=partial,
            )
        if len(refs) > 1 and not paging.all:
            given = argument("page" if page is not None else "page_size")
            raise UsageError(f"{given} is for one project, not for {len(refs)}")
        keys = _summary_keys(summary, arrangement)
        form = _Form(check_choice("config", config, CONFIG_FORMS) == "json", snapshot)
        report = self._output.begin(_declared(arrangement, refs, form))
        left_out = Partial(report, is_wanted=partial)
        options = paging.options() | {
            "summary": summary,
            "config": config,
            "snapshot": snapshot,
            "partial": partial,
        }
        source = self._context.source("run list", ", ".join(map(str, refs)), **options)
        if len(refs) > 1:
            homes = [self._home(ref) for ref in refs]
            chosen = [
                (home, all_runs(self._context, home.project, report, left_out)) for home in homes
            ]
            result = Result(
                lambda: arrangement.apply(
                    self._table(report, left_out, chosen, keys, arrangement, form)
                ),
                lambda: arrangement.first(run for _, runs in chosen for run in runs),
                source,
            )
            return self._output.deliver(result, report)
        ref, home = refs[0], self._home(refs[0])
        result = list_result(
            self._context,
            report,
            paging,
            lambda page, size: endpoint.runs_page(ref, page, size),
            endpoint.identify,
            "runs",
            lambda runs: self._table(report, left_out, [(home, runs)], keys, arrangement, form),
            source,
            left_out,
        )
        return self._output.deliver(result, report)


def _place(home: Home) -> Place:
    return Place(home.project, bind(str, home.project_id or ""))


def _summaries_by_id(
    pairs: Iterable[tuple[RunRef, Mapping[str, Any] | SwanlabExportError]],
    sources: Mapping[RunRef, RunSource],
    partial: Partial,
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the id of each run with its summary; runs that failed are left out."""
    for ref, summary in pairs:
        if isinstance(summary, SwanlabExportError):
            partial.fail_of_batch(ref, summary, len(sources), "runs")
        else:
            yield sources[ref].run_id, summary


@dataclass(frozen=True)
class _Form:
    """The form of a table of runs: configs as JSON, and when the call began as a column."""

    is_json: bool
    has_snapshot: bool


def _arrangement(
    sort: str | Sequence[str] | None,
    limit: int | None,
    *,
    varying: bool,
    group_by: str | Sequence[str] | None,
    snapshot: bool,
) -> Arrangement:
    """Order, choice and groups of runs; where the time of the call is a column, groups have it, too."""
    found = Arrangement.parse(sort, limit, varying=varying, group_by=group_by)
    if not (snapshot and found.group_by):
        return found
    return replace(found, group_by=(schemas.SNAPSHOT_AT.name, *found.group_by))


def _declared(
    arrangement: Arrangement, refs: Sequence[ProjectRef], form: _Form
) -> schemas.TableSchema:
    if arrangement.group_by:
        return schemas.RUN_GROUPS
    declared = schemas.RUNS_AS_JSON if form.is_json else schemas.RUNS
    declared = schemas.with_project(declared) if len(refs) > 1 else declared
    if form.has_snapshot:
        declared = replace(declared, columns=(schemas.SNAPSHOT_AT, *declared.columns))
    return declared


def _with_keys(
    client: Client,
    runs: Sequence[FoundRun],
    keys: Sequence[str],
    summaries: Iterable[tuple[str, Mapping[str, Any]]],
    report: Report,
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the summaries that have any of the keys, and say which keys runs lack.

    Raises:
        NotFoundError: No run has a key; names the closest ones.
    """
    having: dict[str, set[str]] = {key: set() for key in keys}
    for run_id, summary in summaries:
        for key in summary:
            having[key].add(run_id)
        if summary:
            yield run_id, summary
    check_returned(client, runs, {key for key, ids in having.items() if ids}, keys, "SCALAR")
    warn_of_missing(having, len(runs), report)


def _summary_keys(summary: Summary, arrangement: Arrangement) -> list[str] | None:
    """``summary=True`` means every key: an empty list. None means no summary at all.

    A summary that the rows are ordered by is wanted, too.
    """
    if summary is True or summary == "":
        return []
    keys = schemas.parse_names(summary, "summary") if not isinstance(summary, bool) else []
    is_grouped = bool(arrangement.group_by)
    named = (
        schemas.summary_key(name.removeprefix("-"), is_grouped=is_grouped)
        for name in arrangement.sort
    )
    keys += [key for key in named if key is not None]
    return list(dict.fromkeys(keys)) or None


def _with_summaries(
    context: Context,
    report: Report,
    partial: Partial,
    home: Home,
    runs: Iterable[Any],
    keys: Sequence[str],
    met: set[str],
) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Join each run with its summary; no key means all, ``met`` gathers those that some run has."""

    def choose_keys(sources: list[RunSource]) -> Sequence[str] | None:
        if not any(is_pattern(key) for key in keys):
            return keys or None
        known = fetch_keys(context.client, sources, "SCALAR")
        return [key for each in keys for key in matching(each, known)]

    project_id = home.project_id or ""
    named = partial.each(runs, lambda run: endpoint.read_source(run, project_id))
    for run, summary in join_summaries(context.client, named, choose_keys, report, partial):
        if isinstance(summary, SwanlabExportError):
            if not partial.is_wanted:
                raise batch_error(summary, "runs and summaries")
            # The run itself is there, so its row is.
            source = endpoint.read_source(run, project_id)
            partial.fail([f"the summary of {home.project}/{source.run_id}"], summary, "summaries")
            yield run, {}
        else:
            met.update(summary)
            yield run, summary
