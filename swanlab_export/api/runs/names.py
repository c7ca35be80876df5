"""Runs by what people call them: display names, and patterns over names, slugs and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.api.runs.survey import all_runs
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.errors import NotFoundError, UsageError
from swanlab_export.messages import quote
from swanlab_export.patterns import is_pattern, matching
from swanlab_export.refs import RunRef
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.refs import ProjectRef

_SHOWN = 10


class RunNames:
    """Finds the runs that names and patterns mean; the runs of a project are listed once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._listed: dict[ProjectRef, list[tuple[str, list[str]]]] = {}

    def expand(self, refs: Sequence[RunRef]) -> list[RunRef]:
        """The runs that are meant, each pattern replaced by those that it matches.

        Raises:
            NotFoundError: No run matches a pattern.
        """
        found = [each for ref in refs for each in self._matching(ref)]
        return list(dict.fromkeys(found))

    def expand_one(self, ref: RunRef) -> RunRef:
        """The one run that is meant.

        Raises:
            NotFoundError: No run matches a pattern.
            UsageError: Several runs match it; names them.
        """
        found = self._matching(ref)
        if len(found) > 1:
            raise UsageError(f"{quote(str(ref))} means {len(found)} runs: {self._named(found)}")
        return found[0]

    def of_name(self, ref: RunRef, error: NotFoundError) -> RunRef:
        """The run whose display name is that of ``ref``, which is neither an id nor a slug.

        Raises:
            NotFoundError: No run has this name (``error``), or several have; names them.
        """
        try:
            runs = self._runs(ref.project)
        except NotFoundError:
            raise error from None
        ids = [run_id for run_id, names in runs if ref.run in names]
        if not ids:
            raise error
        found = [RunRef(ref.project, run_id) for run_id in ids]
        if len(found) > 1:
            raise NotFoundError(
                f"{len(found)} runs of {ref.project} are named {quote(ref.run)}: "
                f"{self._named(found)}"
            )
        return found[0]

    def _matching(self, ref: RunRef) -> list[RunRef]:
        if not is_pattern(ref.run):
            return [ref]
        runs = self._runs(ref.project)
        exact = [run_id for run_id, names in runs if ref.run in names]
        ids = exact or [run_id for run_id, names in runs if matching(ref.run, names)]
        if not ids:
            raise NotFoundError(f"no run of {ref.project} matches {quote(ref.run)}")
        return [RunRef(ref.project, run_id) for run_id in ids]

    def _runs(self, project: ProjectRef) -> list[tuple[str, list[str]]]:
        """The id of each run, with its id, slug and display name."""
        if project not in self._listed:
            runs = all_runs(self._context, project, Report())
            self._listed[project] = [self._names(run) for run in runs]
        return self._listed[project]

    def _names(self, run: Any) -> tuple[str, list[str]]:
        run_id = endpoint.read_source(run, "").run_id
        names = [run_id, *endpoint.read_run_names(run)]
        return run_id, names

    def _named(self, refs: Sequence[RunRef]) -> str:
        shown = ", ".join(map(str, refs[:_SHOWN]))
        return shown + (f" and {len(refs) - _SHOWN} more" if len(refs) > _SHOWN else "")
