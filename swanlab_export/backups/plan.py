"""The plan of a project: which of its runs are fetched, and why; nothing is written here."""

from __future__ import annotations

import pickle
import zlib
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import IO, TYPE_CHECKING, Any

from swanlab_export.api.partial import Partial
from swanlab_export.api.runs.filtering import filtered_runs
from swanlab_export.api.runs.summaries import join_summaries
from swanlab_export.api.runs.survey import Place, all_runs
from swanlab_export.backups import fetching
from swanlab_export.backups.index import Index
from swanlab_export.backups.layout import Names, receipt_path
from swanlab_export.backups.receipts import time_text
from swanlab_export.backups.scope import is_away
from swanlab_export.endpoints import runs as endpoint
from swanlab_export.errors import (
    NotFoundError,
    OutputError,
    SwanlabExportError,
    UnavailableError,
    UsageError,
)
from swanlab_export.progress import Progress
from swanlab_export.refs import ProjectRef, RunRef
from swanlab_export.report import Report
from swanlab_export.spool import open_scratch, scratch_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.backups.decide import Rules
    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.unit import ProjectPlace, Task
    from swanlab_export.endpoints.filters import Rule


class TaskSpool:
    """Tasks that wait in a temporary file: a project may have 100,000, each with what was listed."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, task: Task) -> None:
        """Append a task."""
        if self._file is None:
            self._file = open_scratch(self)
        packed = zlib.compress(pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL), 1)
        with scratch_errors():
            self._file.write(len(packed).to_bytes(8, "big") + packed)
        self._count += 1

    def __iter__(self) -> Iterator[Task]:
        if self._file is None:
            return
        offset = 0
        for _ in range(self._count):
            with scratch_errors():
                self._file.seek(offset)
                size = int.from_bytes(self._file.read(8), "big")
                packed = self._file.read(size)
            offset += 8 + size
            yield pickle.loads(zlib.decompress(packed))  # noqa: S301  written above, by this object


@dataclass
class ProjectPlan:
    """What is to be done in one project.

    Attributes:
        place: The project.
        payload: What the server says of it.
        noted_at: When it was asked, by its own clock.
        index: Its receipts.
        tasks: Units.
        unchanged: How many runs stay as they are.
        gone: Runs that the server no longer has.
        failures: What could not be found out, by path.
        mismatch: Why no run of it can pass the filter; None where one might.
        accepted: Those of ``Planner.accepted`` that are runs of it.
    """

    place: ProjectPlace
    payload: Any
    noted_at: str
    index: Index
    tasks: TaskSpool = field(default_factory=TaskSpool)
    unchanged: int = 0
    gone: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    mismatch: NotFoundError | None = None
    accepted: set[RunRef] = field(default_factory=set)


@dataclass(frozen=True)
class Planner:
    """Plans projects; safe to use from several threads.

    Args:
        context: The server.
        destination: The backup.
        rules: What is fetched again.
        where: Only runs that pass.
        accepted: Runs of which a smaller version may replace the one that is there.
        template: A task with what all have in common.
        report: Gets warnings.
        forced: For repairs: only these runs, and those without a receipt, by their ids.
    """

    context: Context
    destination: Destination
    rules: Rules
    where: Sequence[Rule]
    accepted: Collection[RunRef]
    template: Task
    report: Report
    forced: Collection[str] | None = None

    def plan(self, place: ProjectPlace, payload: Any, last_at: str | None) -> ProjectPlan:
        """Compare the runs of a project with their receipts.

        Raises:
            UnavailableError: The server is away; any other failure is in the plan.
        """
        noted_at = self.now()
        index = Index(self.destination, place.folder)
        made = ProjectPlan(place, payload, noted_at, index)
        names = cache(lambda: Names(_file(path) for path in index.paths()))
        absent = set(index)
        try:
            for run, source, summary in self._runs(place):
                absent.discard(source.run_id)
                self._add(made, names, run, source, summary, last_at)
            if not self.where and self.forced is None:
                self._find_gone(made, absent)
        except OutputError:
            raise
        except SwanlabExportError as error:
            if error.status not in {400, 403, 404} and error.exit_code == 3:
                raise
            if self._is_away(error):
                raise
            # Without a status it was not the server that said so.
            if isinstance(error, NotFoundError | UsageError) and error.status is None:
                made.mismatch = NotFoundError(error.message)
            else:
                made.failures[str(place)] = error.message
        return made

    def now(self) -> str:
        """The time by the server's clock, else by this machine's."""
        date_ms = self.context.client.server_date_ms
        return time_text(self.context.now_ms() if date_ms is None else date_ms)

    def _is_away(self, error: SwanlabExportError) -> bool:
        """Say whether an error is about the whole server."""
        return isinstance(error, UnavailableError) and is_away(self.context.client)

    def _runs(self, place: ProjectPlace) -> Iterator[tuple[Any, endpoint.RunSource, Any]]:
        """Yield each run of a project as the list has it, with its summary."""
        quiet = replace(self.context, progress=Progress())
        ref = ProjectRef(place.workspace, place.name)
        if self.where:
            searched = Place(ref, lambda: place.project_id)
            payloads = iter(filtered_runs(quiet, [searched], self.where, Report())[0])
        else:
            payloads = iter(all_runs(quiet, ref, self.report))
        named = (
            ((run, source), source)
            for run in payloads
            if (source := endpoint.read_source(run, place.project_id))
        )
        whole = Partial(Report(), is_wanted=False)
        for (run, source), summary in join_summaries(
            self.context.client, named, lambda _: None, Report(), whole
        ):
            if isinstance(summary, SwanlabExportError):
                raise summary
            yield run, source, dict(summary)

    def _add(
        self,
        made: ProjectPlan,
        names: Callable[[], Names],
        run: Any,
        source: endpoint.RunSource,
        summary: dict[str, Any],
        last_at: str | None,
    ) -> None:
        run_id = source.run_id
        project = ProjectRef(made.place.workspace, made.place.name)
        named = (
            (run_id, endpoint.read_slug(run), endpoint.read_run_name(run)) if self.accepted else ()
        )
        accepted = {RunRef(project, name) for name in named if name} & set(self.accepted)
        made.accepted |= accepted
        before = made.index.noted(run_id)
        if self.forced is not None and before is not None and run_id not in self.forced:
            return
        facts = endpoint.read_facts(run) | {"summary": summary}
        is_offered = partial(fetching.is_offered, self.context.client, source)
        decision = self.rules.decide(run_id, facts, before, made.noted_at, last_at, is_offered)
        if decision is None:
            made.unchanged += 1
            return
        path = made.index.path(run_id)
        if path is None:
            path = receipt_path(made.place.folder, names().take(run_id))
        made.tasks.put(
            replace(
                self.template,
                project=made.place,
                run_id=run_id,
                file=_file(path),
                action=decision.action,
                reason=decision.reason,
                asked=decision.asked,
                parts=decision.parts,
                facts=facts,
                facts_at=made.noted_at,
                listed=run,
                receipt=path,
                accepts_smaller=bool(accepted),
            )
        )

    def _find_gone(self, made: ProjectPlan, missing: set[str]) -> None:
        """Ask for each run that the whole list lacks: only one that is not found is gone."""
        absent = [run_id for run_id in made.index if run_id in missing]
        project = ProjectRef(made.place.workspace, made.place.name)

        def ask(run_id: str) -> SwanlabExportError | bool | None:
            receipt = made.index.get(run_id)
            if receipt is None or receipt.gone_at is not None:
                return False
            try:
                endpoint.fetch_run(self.context.client, RunRef(project, run_id))
            except NotFoundError:
                return True
            except SwanlabExportError as error:
                if self._is_away(error):
                    raise
                return error
            return None

        for run_id, found in zip(absent, self.context.client.map(ask, absent), strict=True):
            if found is True:
                made.gone.append(run_id)
            elif found is None:
                made.failures[f"{made.place}/{run_id}"] = (
                    "the list of runs lacks it, and the server has it all the same"
                )
            elif found is not False:
                made.failures[f"{made.place}/{run_id}"] = found.message


def _file(path: str) -> str:
    """The name of a run's objects, from the path of its receipt."""
    return path.rsplit("/", 1)[1].removesuffix(".json")
