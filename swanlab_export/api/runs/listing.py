"""``api.run``: runs themselves, their configs and their summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.context import Members, Result
from swanlab_export.api.lists import Paging, list_result
from swanlab_export.api.partial import Partial, batch_error
from swanlab_export.api.resource import F, Resource, flat
from swanlab_export.api.runs.filtering import filtered_runs
from swanlab_export.api.runs.filters import read_where
from swanlab_export.api.runs.find import Wanted, describe, find_run, find_runs
from swanlab_export.api.runs.keys import (
    fetch_keys,
    find_having,
    is_pattern,
    match_keys,
    matching,
    warn_of_missing,
)
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.endpoints import projects as project_endpoint
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.errors import SwanlabExportError, UsageError
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.runs import normalize_runs, normalize_summaries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.filters import Where
    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.refs import ProjectRef, RunRef
    from swanlab_export.report import Report
    from swanlab_export.tables import Table

    Summary = str | Sequence[str] | bool


class RunRecords(Resource[F]):
    """Runs with their configs, and their summaries."""

    def info(self, path: str) -> F:
        """One run with config, metadata and requirements; one row.

        Args:
            path: The run, by id or slug, or the URL of its web page.

        Raises:
            NotFoundError: There is no such run.

        Source: ``GET /project/{workspace}/{project}/runs/{id or slug}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.run.info("ada-lab/digits/diverged")["config.lr"].item()
        1.5
        """
        ref = self._context.run_ref(path)
        report = self._output.begin(schemas.RUNS)
        run = find_run(self._context, ref, report)
        result = Result(
            lambda: normalize_runs(
                [(run.payload, None)],
                report,
                ref.project,
                run.source.project_id,
                self._context.web_host,
                is_single=True,
            ),
            lambda: run.payload,
            self._context.source("run info", ref),
        )
        return self._output.deliver(result, report)

    def filter(
        self, project: str, where: Where, *, summary: Summary = False, partial: bool = False
    ) -> F:
        """Runs that pass all filters; one row each, groups are flattened.

        Args:
            project: workspace/project, or the URL of its web page.
            where: A mapping such as ``{"state": "FINISHED", "config.lr >=": 1e-3}``, rules such
                as ``["state=FINISHED"]``, or the server's own. Names are columns of the table.
                The operators are ``= != >= <= > <``, ``in`` and ``not in`` (one of several
                values), ``~`` (contains) and ``!~``, ``is null`` and ``is not null``. A time may
                be ``-7d``: seven days ago.
            summary: Add the latest value of each metric (True), or of these keys.
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
        ref = self._context.project_ref(project)
        rules = read_where(where, self._context.now_ms())
        keys = _summary_keys(summary)
        report = self._output.begin(schemas.RUNS)
        left_out = Partial(report, is_wanted=partial)
        context, client = self._context, self._context.client
        project_id = project_endpoint.read_project_id(project_endpoint.fetch_project(client, ref))
        runs = filtered_runs(context, ref, rules, lambda: project_id, report)
        result = Result(
            lambda: _runs_table(context, report, left_out, ref, project_id, runs, keys),
            lambda: runs,
            context.source(
                "run filter", ref, where=describe(rules), summary=summary, partial=partial
            ),
        )
        return self._output.deliver(result, report)

    def summary(
        self,
        *paths: str | Iterable[str],
        keys: str | Sequence[str] | None = None,
        project: str | None = None,
        where: Where = None,
        partial: bool = False,
    ) -> F:
        """Latest, min, max, avg, median and std, in the metric's unit; one row per run and key.

        Args:
            paths: Runs, one by one or in lists; or give ``project``.
            keys: Only these keys or patterns.
            project: All runs of a project.
            where: Only runs that pass; see ``filter``.
            partial: Leave out runs that fail, and say which.

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
        wanted = Wanted.parse(self._context, flat(paths), project, where)
        report = self._output.begin(schemas.SUMMARY)
        client = self._context.client
        left_out = Partial(report, is_wanted=partial)
        runs = find_runs(self._context, wanted, left_out, report)
        asked = None
        if patterns is not None:
            asked = match_keys(client, runs, patterns, "SCALAR", left_out)
            having = find_having(client, runs, asked, "SCALAR", left_out)
            warn_of_missing(having, len(runs), report)
            runs = [run for run in runs if any(run.run_id in ids for ids in having.values())]
        named = [(run.ref, run.source) for run in runs]
        del runs  # their payloads are not held while the summaries come
        pairs = join_summaries(client, named, lambda _: asked, report, left_out)
        found = _summaries_by_id(pairs, dict(named), left_out)
        result = Result(
            lambda: normalize_summaries(found, report),
            lambda: Members(found),
            self._context.source(
                "run summary", wanted, keys=patterns, partial=partial, **wanted.options()
            ),
        )
        return self._output.deliver(result, report)

    # Last in the class: below its definition, ``list`` no longer means the type.
    def list(
        self,
        project: str,
        *,
        all: bool | None = None,
        page: int | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        where: Where = None,
        summary: Summary = False,
        partial: bool = False,
    ) -> F:
        """Runs of a project; one row each, with ``config.*``, and ``summary.*`` if asked for.

        Args:
            project: workspace/project, or the URL of its web page.
            all: Every run; the default unless a page is asked for.
            page: Only this page, from 1.
            page_size: Rows per page.
            limit: Only the first so many runs.
            where: Only runs that pass; see ``filter``, which gives all of them.
            summary: Add the latest value of each metric (True), or of these keys.
            partial: Leave out what fails, and say what.

        Raises:
            NotFoundError: There is no such project.
            IncompleteError: Fewer runs came than were announced.

        Source: ``GET /project/{workspace}/{project}/runs``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     runs = api.run.list("ada-lab/digits", summary="loss")
        >>> len(runs), "config.lr" in runs, "summary.loss" in runs
        (16, True, True)
        """
        ref = self._context.project_ref(project)
        paging = Paging.parse(all, page, page_size, limit)
        if where is not None:
            if page or page_size or limit:
                raise UsageError(f"{argument('where')} gives all runs that pass, not a page")
            return self.filter(project, where, summary=summary, partial=partial)
        keys = _summary_keys(summary)
        report = self._output.begin(schemas.RUNS)
        left_out = Partial(report, is_wanted=partial)
        context = self._context
        payload = project_endpoint.fetch_project(context.client, ref)
        project_id = project_endpoint.read_project_id(payload)
        result = list_result(
            context,
            report,
            paging,
            lambda page, size: endpoint.runs_page(ref, page, size),
            endpoint.identify,
            "runs",
            lambda runs: _runs_table(context, report, left_out, ref, project_id, runs, keys),
            context.source("run list", ref, **paging.options(), summary=summary, partial=partial),
        )
        return self._output.deliver(result, report)


def _summaries_by_id(
    pairs: Iterable[tuple[RunRef, Mapping[str, Any] | SwanlabExportError]],
    sources: Mapping[RunRef, RunSource],
    partial: Partial,
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the id of each run with its summary; runs that failed are left out."""
    for ref, summary in pairs:
        if not isinstance(summary, SwanlabExportError):
            yield sources[ref].run_id, summary
        elif partial.is_wanted or len(sources) == 1:
            partial.fail([ref], summary, "runs")
        else:
            raise batch_error(summary, "runs")


def _summary_keys(summary: Summary) -> list[str] | None:
    """``summary=True`` means every key: an empty list. None means no summary at all."""
    if isinstance(summary, bool):
        return [] if summary else None
    return schemas.parse_names(summary, "summary") if summary else []


def _runs_table(
    context: Context,
    report: Report,
    partial: Partial,
    ref: ProjectRef,
    project_id: str,
    runs: Iterable[Any],
    keys: Sequence[str] | None,
) -> Table:
    if keys is None:
        pairs = ((run, None) for run in runs)
        return normalize_runs(pairs, report, ref, project_id, context.web_host)
    met: set[str] = set()
    table = normalize_runs(
        _with_summaries(context, report, partial, ref, project_id, runs, keys, met),
        report,
        ref,
        project_id,
        context.web_host,
        summary_keys=[key for key in keys if not is_pattern(key)],
    )
    for key in keys:
        if not matching(key, list(met)):
            report.warn(f"no run here has the key {quote(key)}")
    return table


def _with_summaries(
    context: Context,
    report: Report,
    partial: Partial,
    ref: ProjectRef,
    project_id: str,
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

    named = ((run, endpoint.read_source(run, project_id)) for run in runs)
    for run, summary in join_summaries(context.client, named, choose_keys, report, partial):
        if isinstance(summary, SwanlabExportError):
            # The run itself is there, so its row is.
            source = endpoint.read_source(run, project_id)
            partial.fail([f"the summary of {ref}/{source.run_id}"], summary, "summaries")
            yield run, {}
        else:
            met.update(summary)
            yield run, summary
