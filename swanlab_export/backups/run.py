"""``backup run``: one backup from its arguments to its manifest, which is its last object."""

from __future__ import annotations

import contextvars
import hashlib
import re
import secrets
import time
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export import schemas
from swanlab_export._version import __title__, __version__
from swanlab_export.api.context import Result
from swanlab_export.api.runs.filters import Where, read_where
from swanlab_export.backups import snapshots
from swanlab_export.backups.account import write_account
from swanlab_export.backups.decide import Rules
from swanlab_export.backups.destination import (
    listed_sizes,
    open_destination,
    write_if_changed,
    write_object,
)
from swanlab_export.backups.executors import (
    LOOK_EVERY_S,
    Cluster,
    LostUnitError,
    absolute,
    adopt,
    check_workers,
    is_remote,
)
from swanlab_export.backups.fold import fold_project, snapshot_rows
from swanlab_export.backups.index import Index
from swanlab_export.backups.layout import (
    CHOSEN_TABLES,
    FORMAT_FILE,
    FREE_TABLES,
    PROJECTS_FILE,
    SNAPSHOTS,
    UNFINISHED_FILE,
    check_format,
    dump_json,
    format_content,
)
from swanlab_export.backups.parquet import RUNS_PER_GROUP, write_rows
from swanlab_export.backups.plan import Planner, ProjectPlan
from swanlab_export.backups.receipts import Asked, Row, build_rows
from swanlab_export.backups.recovery import recover
from swanlab_export.backups.scope import Account, Scope, find_projects, is_away, place_of
from swanlab_export.backups.unit import (
    Outcome,
    ProjectPlace,
    Task,
    close_kept,
    lost_unit,
    run_unit,
    shared_context,
)
from swanlab_export.backups.workers import Place
from swanlab_export.client import Call
from swanlab_export.errors import (
    AuthenticationError,
    IncompleteError,
    NotFoundError,
    OutputError,
    SwanlabExportError,
    UnavailableError,
    UsageError,
)
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.rows import build_table
from swanlab_export.pagination import in_batches
from swanlab_export.refs import RunRef, parse_run
from swanlab_export.report import NAMED_MAX, name_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from os import PathLike

    from swanlab_export.api.connect import Api
    from swanlab_export.api.context import Context
    from swanlab_export.backups.destination import Destination
    from swanlab_export.endpoints.filters import Rule
    from swanlab_export.progress import Bar
    from swanlab_export.report import Report

F = TypeVar("F")
_Said = TypeVar("_Said")
RECHECK = "7d"
# More units than permits are under way: while some write, others are fetched.
_UNITS_AHEAD = 2
# After so many units in a row that the server did not serve, it is asked whether it is away.
_ASK_AFTER = 3
_PERIOD = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True)
class Wish:
    """What was asked for; nothing of it needs a request."""

    scope: Scope
    where: tuple[Rule, ...]
    rules: Rules
    accepted: frozenset[RunRef]
    is_dry_run: bool


def backup(
    api: Api[F],
    *,
    to: str | PathLike[str],
    paths: str | Sequence[str] = (),
    where: Where = None,
    tables: str | Sequence[str] | None = None,
    keys: str | Sequence[str] | None = None,
    media: bool = True,
    instance: bool = False,
    recheck: str = RECHECK,
    full: bool = False,
    accept_smaller: str | Sequence[str] = (),
    dry_run: bool = False,
    executor: Executor | None = None,
    store_options: Mapping[str, str] | None = None,
    on_project: Callable[[str], None] | None = None,
) -> F:
    """Keep a complete copy up to date, of which only what changed is fetched.

    One row per run that was fetched, failed, or is gone on the server.

    Args:
        api: A connection; see ``connect``.
        to: The folder of the backup, or a URL such as ``s3://bucket/prefix``; an empty or a new one
            begins a backup.
        paths: Projects (workspace/project) and workspaces; by default everything that you see.
        where: Only runs that pass; see ``api.run.filter``.
        tables: Only these of ``columns,metrics,logs,medias``; ``runs``, ``configs`` and
            ``summary``, which need no request of their own, are always kept.
        keys: Only these metrics, or patterns; by default all, those of the system too.
        media: Fetch the files of media, too.
        instance: The whole self-hosted instance, for its root user.
        recheck: How often a run that ended in the last 30 days is asked for late log lines and
            media, such as ``"12h"`` or ``"7d"``; ``"0d"`` for never.
        full: Fetch everything anew.
        accept_smaller: Runs of which a version with fewer points may replace the one in the backup.
        dry_run: Only say what would be fetched, and why.
        executor: Does the units, one per run; threads by default. Where it is no
            ``ThreadPoolExecutor``, units connect with the key of the environment that they run in.
            A cluster of Dask without workers is waited for as long as ``timeout=`` of the connection.
        store_options: Options of the object store, such as ``{"endpoint": "https://…"}``; its keys
            are read from the environment.
        on_project: Called with a line about each project that is done.

    Raises:
        UsageError: An argument cannot be right, or the folder holds another backup.
        IncompleteError: Another backup writes to the folder.
        UnavailableError: The server is away, or what does the units has ended; what was fetched
            until then is kept.
        OutputError: The folder cannot be written.

    >>> import tempfile, swanlab_export as se
    >>> with se.connect(host="sandbox") as api, tempfile.TemporaryDirectory() as folder:
    ...     report = se.backup(api, to=folder, paths="ada-lab/digits")
    >>> len(report), report["error"].isna().all().item()
    (16, True)
    """
    given = [paths] if isinstance(paths, str) else list(paths)
    if instance and given:
        raise UsageError(f"{argument('instance', True)} is everything: leave out paths")
    accepted = [accept_smaller] if isinstance(accept_smaller, str) else list(accept_smaller)
    for path in (*given, *accepted):
        api.context.client.settings.check_page(path)
    wish = Wish(
        Scope.parse(given, is_instance=instance),
        read_where(where, api.context.now_ms()) if where else (),
        Rules(_parse_asked(tables, keys, has_media=media), full, _parse_period(recheck)),
        frozenset(map(parse_run, accepted)),
        dry_run,
    )
    destination = open_destination(to, store_options)
    check_format(destination, api.context.client.settings.name)
    report = api.output.begin(schemas.BACKUP_RUN, is_final=True)
    run = Backup(
        api.context, destination, wish, executor, report, on_project, store_options=store_options
    )
    result = Result(
        lambda: build_table(schemas.BACKUP_RUN, run.rows(), report),
        lambda: list(run.rows()),
        api.context.source("backup run", wish.scope, to=str(destination), dry_run=dry_run),
    )
    with Call():
        return api.output.deliver(result, report)


def _parse_asked(
    tables: str | Sequence[str] | None, keys: str | Sequence[str] | None, *, has_media: bool
) -> Asked:
    chosen: tuple[str, ...] = CHOSEN_TABLES
    if tables is not None:
        names = schemas.parse_names(tables, "tables")
        known = (*FREE_TABLES, *CHOSEN_TABLES)
        for name in names:
            if name not in known:
                there = ", ".join(known)
                raise UsageError(f"{argument('tables')}: no table {quote(name)}; there are {there}")
        chosen = tuple(name for name in CHOSEN_TABLES if name in names)
    patterns = None if keys is None else tuple(sorted(schemas.parse_names(keys, "keys")))
    return Asked(chosen, patterns, has_media and "medias" in chosen)


def _parse_period(text: str) -> int:
    """Read a period such as ``7d``; returns milliseconds.

    Raises:
        UsageError: It is none.
    """
    found = _PERIOD.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{argument('recheck')} is a period such as 12h or 7d, not {quote(text)}")
    return int(found[1]) * _UNITS_MS[found[2]]


@dataclass
class _Work:
    """A project whose units are under way."""

    plan: ProjectPlan
    left: int
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """All of its units have ended."""
        return self.left == 0


class Backup:
    """One backup under way.

    Args:
        context: The server.
        destination: Where to.
        wish: What was asked for.
        executor: Does the units; threads of this process by default.
        report: Gets warnings, and what failed.
        on_project: Gets a line about each project.
        forced: Only these runs, by project and run id, whole; for repairs.
        store_options: Those that ``destination`` was opened with, for units in other processes.
    """

    def __init__(
        self,
        context: Context,
        destination: Destination,
        wish: Wish,
        executor: Executor | None,
        report: Report,
        on_project: Callable[[str], None] | None = None,
        forced: dict[str, set[str]] | None = None,
        store_options: Mapping[str, str] | None = None,
    ) -> None:
        self._context = context
        self._destination = destination
        self._wish = wish
        self._executor = adopt(executor)
        self._report = report
        self._on_project = on_project or (lambda _: None)
        self._forced = forced
        self._previous: snapshots.Manifest | None = None
        self._entries: dict[str, dict[str, Any]] = {}
        self._folded: set[str] = set()
        self._failed: list[str] = []
        self._mismatches: dict[str, NotFoundError] = {}
        self._has_passing = False
        self._absent = set(wish.rules.asked.keys or ())
        self._has_points = False
        self._not_accepted = set(wish.accepted)
        self._changes = {"fetched": 0, "failed": 0, "gone": 0, "unchanged": 0}
        self._not_served = 0
        self._is_away = self._is_marked = False
        self._rows = self._bytes = 0
        self._limited_until = 0.0
        self._works: list[_Work] = []
        self._not_begun = 0
        self._lost: list[tuple[_Work, Task]] = []
        self._reserved: dict[Future[Outcome], ExitStack] = {}
        client = context.client
        self._token = secrets.token_hex(8)
        # A unit that shares no client with this process finds none, wherever it runs.
        self._token_of_others = secrets.token_hex(8)
        self._template = Task(
            token=self._token,
            place=Place(
                client.settings.host,
                absolute(str(destination)),
                tuple((store_options or {}).items()),
                secrets.token_hex(8) if is_remote(self._executor) else "",
            ),
            permits=1,
            project=ProjectPlace("", "", "", ""),
            run_id="",
            file="",
            action="",
            reason="",
            asked=wish.rules.asked,
            parts=(),
            facts={},
            facts_at="",
            listed=None,
            receipt="",
            reuses_files=not wish.rules.is_full,
        )

    def rows(self) -> Iterator[Row]:
        """Do the backup; yields a row of its report for each run that was not left as it is."""
        with ExitStack() as stack:
            if not self._wish.is_dry_run:
                stack.enter_context(self._destination.lock())
                stack.callback(self._destination.clean)
                self._destination.clean()
                self._check_workers()
            bar = stack.enter_context(self._context.progress.bar("backup", total=0, unit="runs"))
            yield from self._back_up(bar)

    def _check_workers(self) -> None:
        if self._executor is not None and is_remote(self._executor):
            client = self._context.client
            check_workers(
                self._executor,
                self._template.place,
                self._destination,
                client.timeout_s,
                client.announce_wait,
            )

    def _back_up(self, bar: Bar) -> Iterator[Row]:
        self._previous = snapshots.last_manifest(self._destination)
        account = Account.read(self._destination)
        self._context.client.login()
        planner = Planner(
            self._context,
            self._destination,
            self._wish.rules,
            self._wish.where,
            self._wish.accepted,
            self._template,
            self._report,
        )
        began_at = planner.now()
        found = find_projects(self._context, self._wish.scope, account, self._report)
        for path, why in found.lost.items():
            self._fail(path, IncompleteError(why))
        places = [
            (account.place(ref, payload, began_at), payload) for ref, payload in found.projects
        ]
        if not self._wish.is_dry_run:
            self._begin(account, began_at)
        self._not_begun = len(places)
        plans = self._context.client.map(lambda each: self._plan(planner, *each), places)
        if self._wish.is_dry_run:
            for plan in plans:
                yield from self._describe(plan)
            self._check_names()
            return
        yield from self._do_all(plans, bar)
        if self._not_served:
            self._ask_server()
        if self._is_away:
            raise UnavailableError(
                f"{self._context.client.settings.name} is away; what was fetched is kept, and the "
                "next backup goes on from there"
            )
        self._check_names()
        self._end(account, began_at, planner.now())

    def _plan(self, planner: Planner, place: ProjectPlace, payload: Any) -> ProjectPlan:
        entry = None if self._previous is None else self._previous.project(place.project_id)
        last_at = None if entry is None else entry["seen_at"]
        if self._forced is not None:
            planner = replace(planner, forced=self._forced.get(place.project_id, set()))
        return planner.plan(place, payload, last_at)

    def _describe(self, plan: ProjectPlan) -> Iterator[Row]:
        """What would be done, for a dry run."""
        self._take_failures(plan)
        for task in plan.tasks:
            yield _report_row(task.project, task.run_id, task.action, task.reason)
        for run_id in plan.gone:
            yield _report_row(plan.place, run_id, "gone", "the server no longer has it")
        self._on_project(
            f"{plan.place}: {_runs(len(plan.tasks))} would be fetched, {plan.unchanged:,} unchanged"
        )

    def _begin(self, account: Account, began_at: str) -> None:
        """Write what a new backup begins with, and note the folders of new projects."""
        settings = self._context.client.settings
        name = settings.name
        if check_format(self._destination, name) is None:
            content = format_content(name, settings.web_host, began_at)
            write_object(self._destination, FORMAT_FILE, dump_json(content))
        write_if_changed(self._destination, PROJECTS_FILE, dump_json(account.dump()))
        snapshots.remove_unfinished(self._destination)
        if self._destination.find(UNFINISHED_FILE) is not None:
            recover(self._destination, account)

    def _do_all(self, plans: Iterable[ProjectPlan], bar: Bar) -> Iterator[Row]:
        """Do the units of all projects, many at a time, and fold each project when it is done."""
        under_way: dict[Future[Outcome], tuple[_Work, Task]] = {}
        works = self._works
        jobs = self._context.client.jobs
        has_own_permits = is_remote(self._executor)
        window = jobs if has_own_permits else jobs + _UNITS_AHEAD
        with shared_context(self._context, self._token), self._pool(window) as submit:
            for plan in plans:
                work = _Work(plan, len(plan.tasks))
                bar.expect(len(plan.tasks) + plan.unchanged)
                bar.add(plan.unchanged)
                works.append(work)
                self._not_begun -= 1
                for number, planned in enumerate(plan.tasks):
                    while sum(each.permits for _, each in under_way.values()) >= window:
                        yield from self._collect(under_way, submit, bar)
                        yield from self._finish_done(works)
                    if self._is_away:
                        break
                    if has_own_permits:
                        # A unit in another process has a part of the budget for itself.
                        free = jobs - sum(each.permits for _, each in under_way.values())
                        permits = max(1, free // (len(plan.tasks) - number))
                        self._wait_for_server()
                    else:
                        permits = 1
                    self._mark_unfinished()
                    task = replace(planned, permits=permits)
                    under_way[submit(task)] = (work, task)
                yield from self._finish_done(works)
                if self._is_away:
                    break
            yield from self._collect_all(under_way, submit, bar)
            yield from self._repeat_lost(submit, bar)
            for work in works:  # of a server that is away: what was fetched
                yield from self._finish(work)

    def _collect_all(
        self,
        under_way: dict[Future[Outcome], tuple[_Work, Task]],
        submit: Callable[[Task], Future[Outcome]],
        bar: Bar,
    ) -> Iterator[Row]:
        """Wait until all units have ended; where the server is away, only for those that have begun."""
        while under_way:
            yield from self._collect(under_way, submit, bar)
            yield from self._finish_done(self._works)
            if self._is_away:  # the others would only wait, each for all its retries
                for future in [each for each in under_way if each.cancel()]:
                    del under_way[future]
                    self._reserved.pop(future, None)

    def _repeat_lost(self, submit: Callable[[Task], Future[Outcome]], bar: Bar) -> Iterator[Row]:
        """Do the units again that were lost, each alone: with a worker, all that it did was lost."""
        for work, lost in self._lost:
            if self._is_away:
                break
            task = replace(lost, permits=self._context.client.jobs)
            under_way = {submit(task): (work, task)}
            while under_way:
                yield from self._collect(under_way, submit, bar, is_repeated=True)
            yield from self._finish_done(self._works)

    def _mark_unfinished(self) -> None:
        """Write once, before the first run, what the next backup finds if this one is interrupted."""
        if not self._is_marked:
            self._is_marked = True
            about = {"snapshot_before": self._previous and self._previous.snapshot}
            write_object(self._destination, UNFINISHED_FILE, dump_json(about))

    @contextmanager
    def _pool(self, window: int) -> Iterator[Callable[[Task], Future[Outcome]]]:
        """Yield what submits a unit; threads carry the words of this interface on."""
        if self._executor is not None:
            try:
                yield partial(self._submit, self._executor)
            finally:
                for future, permits in self._reserved.items():
                    if not future.done():  # else they were given back
                        future.cancel()
                        permits.close()
                close_kept(self._token_of_others)  # of an executor in this process
            return
        pool = ThreadPoolExecutor(window, thread_name_prefix=__title__)
        try:
            yield lambda task: pool.submit(contextvars.copy_context().run, run_unit, task)
        finally:
            # A unit that is still under way commits nothing once the backup has ended.
            pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, executor: Executor, task: Task) -> Future[Outcome]:
        if not is_remote(executor):
            return self._ask(lambda: executor.submit(run_unit, task))
        if isinstance(executor, Cluster) and executor.is_restricted:
            self._wait_for_worker()
        # What the unit asks counts with what this process asks meanwhile, to plan further projects.
        with self._context.client.reserve(task.permits) as reserved:
            sent = replace(task, token=self._token_of_others)
            future = self._ask(lambda: executor.submit(run_unit, sent))
            permits = reserved.pop_all()
        self._reserved[future] = permits
        future.add_done_callback(lambda _: permits.close())
        return future

    def _wait_for_server(self) -> None:
        """Have no worker ask a server that told another one to wait."""
        left_s = self._limited_until - time.time()
        if left_s > 0:
            self._context.client.wait(left_s, "429, as one of the workers says")

    def _collect(
        self,
        under_way: dict[Future[Outcome], tuple[_Work, Task]],
        submit: Callable[[Task], Future[Outcome]],
        bar: Bar,
        *,
        is_repeated: bool = False,
    ) -> Iterator[Row]:
        """Wait for units, and take what they return; those that were lost are for later."""
        for future in self._wait_for_units(under_way, submit):
            work, task = under_way.pop(future)
            self._reserved.pop(future, None)
            outcome = self._result(future, task)
            if outcome.ends == "unfit" and self._leave_out(outcome):
                under_way[submit(task)] = (work, task)
                continue
            if outcome.ends in {"worker", "unfit"} and not is_repeated:
                self._lost.append((work, task))
                continue
            work.left -= 1
            bar.add(1)
            self._limited_until = max(self._limited_until, outcome.limited_until)
            yield from self._take(work, outcome)
            self._rows += outcome.rows
            self._bytes += outcome.bytes
            bar.describe(f"{self._rows:,} rows, {self._bytes / 1e6:,.1f} MB")

    def _wait_for_units(
        self,
        under_way: dict[Future[Outcome], tuple[_Work, Task]],
        submit: Callable[[Task], Future[Outcome]],
    ) -> set[Future[Outcome]]:
        """Wait until units have ended; a cluster that has lost its workers is not waited for long.

        Raises:
            UnavailableError: It has none, and gets none in time.
        """
        cluster = self._executor if isinstance(self._executor, Cluster) else None
        while True:
            within_s = None if cluster is None else LOOK_EVERY_S
            done = wait(under_way, within_s, FIRST_COMPLETED).done
            if done or cluster is None:
                return done
            self._wait_for_worker()
            for future in self._ask(lambda: cluster.stranded(under_way)):
                future.cancel()
                work, task = under_way.pop(future)
                self._reserved.pop(future, None)
                under_way[submit(task)] = (work, task)

    def _wait_for_worker(self) -> None:
        """Return once a cluster has a worker that may do units.

        Raises:
            UnavailableError: It has none for as long as a response may take.
        """
        cluster, client = self._executor, self._context.client
        if isinstance(cluster, Cluster):
            self._ask(lambda: cluster.wait_for_worker(client.timeout_s, client.announce_wait))

    def _leave_out(self, outcome: Outcome) -> bool:
        """Give a worker that cannot do units none any more, where one can choose."""
        if not isinstance(self._executor, Cluster) or not outcome.worker:
            return False
        self._report.warn(f"{outcome.error}; it gets no units")
        self._executor.leave_out(outcome.worker)
        return True

    def _ask(self, executor: Callable[[], _Said]) -> _Said:
        """What an executor says.

        Raises:
            UnavailableError: It has ended, or nobody does its units; names what is left.
        """
        try:
            return executor()
        except UnavailableError as error:
            words = error.message
        except Exception as error:  # noqa: BLE001  each engine has its own
            words = _describe_end(error)
        raise UnavailableError(f"{words}; {self._describe_left()}")

    def _describe_left(self) -> str:
        """What an executor that has ended leaves to the next backup."""
        fetched = self._changes["fetched"]
        left = [f"{work.plan.place} ({_runs(work.left)})" for work in self._works if work.left]
        if self._not_begun:
            left.append(f"projects that had not begun: {self._not_begun}")
        return (
            f"{_runs(fetched)} {'was' if fetched == 1 else 'were'} fetched; left to the next backup, "
            f"which goes on from there: {name_first(left, NAMED_MAX)}"
        )

    def _result(self, future: Future[Outcome], task: Task) -> Outcome:
        """What a unit returned, or how it was lost.

        Raises:
            UnavailableError: The executor has ended, and with it all units.
        """
        try:
            return future.result()
        except CancelledError as error:
            words = _describe_end(error)
            if isinstance(self._executor, Cluster):
                words = "the scheduler of the cluster has ended, or cannot be reached"
            raise UnavailableError(f"{words}; {self._describe_left()}") from None
        except LostUnitError as error:
            return replace(lost_unit(task, error), ends="")
        except Exception as error:  # noqa: BLE001  each engine has its own for a worker that died
            return lost_unit(task, error)

    def _take(self, work: _Work, outcome: Outcome) -> Iterator[Row]:
        place = work.plan.place
        path = f"{place}/{outcome.run_id}"
        if outcome.ends == "destination":
            raise OutputError(outcome.error)
        if outcome.ends == "key":
            raise AuthenticationError(outcome.error)
        self._not_served = self._not_served + 1 if outcome.ends == "server" else 0
        if self._not_served >= _ASK_AFTER:
            self._ask_server()
        work.outcomes.append(outcome)
        for warning in outcome.warnings:
            self._report.warn(f"{path}: {warning}")
        if outcome.absent is not None:
            self._absent &= {*outcome.absent}
            self._has_points = True
        for lack in outcome.lacks:
            self._report.warn(f"not in the backup, and fetched once it is offered: {lack}")
        if not outcome.action:
            self._changes["unchanged"] += 1
            return
        is_fetched = outcome.action in {"whole", "part", "row"}
        self._changes["fetched"] += is_fetched
        if outcome.error:
            self._fail(path, IncompleteError(outcome.error))
        yield _report_row(
            place,
            outcome.run_id,
            outcome.action,
            outcome.reason,
            rows=outcome.rows,
            bytes=outcome.bytes,
            seconds=outcome.seconds,
            error=outcome.error or None,
        )

    def _ask_server(self) -> None:
        """Find out whether the server is away, or fails for some runs only."""
        self._is_away = self._is_away or is_away(self._context.client)
        self._not_served = 0

    def _finish_done(self, works: list[_Work]) -> Iterator[Row]:
        for work in [work for work in works if work.is_done]:
            works.remove(work)
            yield from self._finish(work)

    def _finish(self, work: _Work) -> Iterator[Row]:
        """Mark what is gone, check what was written, and fold the project."""
        plan, destination = work.plan, self._destination
        self._take_failures(plan)
        self._changes["unchanged"] += plan.unchanged
        for run_id in plan.gone:
            receipt, path = plan.index.get(run_id), plan.index.path(run_id)
            assert receipt is not None
            assert path is not None
            write_object(destination, path, replace(receipt, gone_at=plan.noted_at).dump())
            plan.index.reload(path)
            self._changes["gone"] += 1
            yield _report_row(plan.place, run_id, "gone", "the server no longer has it")
        yield from self._check_units(work)
        self._fold(plan)
        self._on_project(self._line(work))

    def _check_units(self, work: _Work) -> Iterator[Row]:
        """Have what was fetched in the index; a unit whose objects are not its own is repeated.

        That happens where an engine ran a unit twice at once.
        """
        plan = work.plan
        written = {o.run_id for o in work.outcomes if o.action in {"whole", "part", "row"}}
        # Not the tasks themselves: each holds what was listed of its run.
        paths = {task.run_id: task.receipt for task in plan.tasks if task.run_id in written}
        sizes = (
            listed_sizes(self._destination, plan.place.folder)
            if len(paths) > len(plan.index) / 10
            else {}
        )
        with ThreadPoolExecutor(self._context.client.jobs) as pool:
            list(pool.map(plan.index.reload, paths.values()))
        others = {run_id for run_id in paths if not self._agrees(plan.index, run_id, sizes)}
        for task in plan.tasks if others else ():
            if task.run_id not in others:
                continue
            yield from self._take(work, run_unit(replace(task, action="whole")))
            plan.index.reload(task.receipt)
            if not self._agrees(plan.index, task.run_id, {}):
                error = "its objects are not those of its receipt: something else writes there"
                self._fail(task.path, IncompleteError(error))

    def _agrees(self, index: Index, run_id: str, sizes: Mapping[str, int]) -> bool:
        receipt = index.get(run_id)
        if receipt is None:
            return False
        for stored in receipt.all_objects():
            size = sizes.get(str(stored.path))
            if size is None:
                entry = self._destination.find(str(stored.path))
                size = None if entry is None else entry.size
            if size != stored.bytes:
                return False
        return True

    def _fold(self, plan: ProjectPlan) -> None:
        """Write the tables of a project, if they are not those of its receipts."""
        place, project_id = plan.place, plan.place.project_id
        entry = None if self._previous is None else self._previous.project(project_id)
        before = entry
        about = {
            "project_id": project_id,
            "path": str(place),
            "folder": place.folder,
            "payload": hashlib.sha256(dump_json(plan.payload)).hexdigest(),
        }
        if before is None or not (
            self._forced is None
            and plan.index.is_current
            and all(before[name] == value for name, value in about.items())
            and self._are_there(before["objects"])
        ):
            web_host = self._context.web_host
            folded = fold_project(self._destination, place, plan.payload, plan.index, web_host)
            before = folded.describe()
            self._folded.add(project_id)
        seen = {"seen_at": plan.noted_at, "is_filtered": bool(self._wish.where)}
        # What could not be compared counts as not seen, nor do runs that a repair, or a filter which
        # earlier backups did not have, leaves out: else their turn to be checked would pass.
        is_new_filter = self._wish.where and entry is not None and not entry.get("is_filtered")
        if entry is not None and (plan.failures or self._forced is not None or is_new_filter):
            seen = {name: entry[name] for name in seen if name in entry}
        self._entries[project_id] = before | about | seen

    def _are_there(self, objects: dict[str, dict[str, Any]]) -> bool:
        found = ((self._destination.find(path), each["bytes"]) for path, each in objects.items())
        return all(entry is not None and entry.size == size for entry, size in found)

    def _end(self, account: Account, began_at: str, ended_at: str) -> None:
        """Write what is about all projects, and at last the manifest."""
        destination, previous = self._destination, self._previous
        known = {} if previous is None else previous.objects
        entries = []
        for each in account.dump()["projects"]:
            entry = self._entries.get(each["project_id"])
            if entry is None and previous is not None:
                entry = previous.project(each["project_id"])
            if entry is not None:
                entries.append(entry)
        name = snapshots.new_name(ended_at, previous)
        runs = None if previous is None else previous.runs
        objects = write_account(destination, account, known, self._context.web_host)
        if self._folded or runs is None or destination.find(runs) is None:
            runs = f"{SNAPSHOTS}/{name}/runs.parquet"
            objects[runs] = self._write_runs(account, runs)
        else:
            objects[runs] = known[runs]
        format_file = check_format(destination, self._context.client.settings.name)
        manifest = snapshots.Manifest(
            snapshot=name,
            previous=None if previous is None else previous.snapshot,
            began_at=began_at,
            ended_at=ended_at,
            scope=self._wish.scope.paths(),
            asked=self._wish.rules.asked.dump(),
            projects=entries,
            objects=objects,
            runs=runs,
            changes=self._changes,
            failed=self._failed,
            format_file=format_file or {},
            program=f"{__title__} {__version__}",
        )
        snapshots.write_manifest(destination, manifest)
        destination.remove(UNFINISHED_FILE)

    def _write_runs(self, account: Account, path: str) -> dict[str, Any]:
        """Write the table of all runs."""
        declared = schemas.SNAPSHOT_RUNS

        def batches() -> Iterator[Any]:
            for each in account.projects:
                place = place_of(each)
                rows = snapshot_rows(place, Index(self._destination, place.folder))
                for some in in_batches(rows, RUNS_PER_GROUP):
                    yield build_rows(some, declared)

        count, size, sha256 = write_rows(self._destination, path, declared.arrow(), batches())
        return {"rows": count, "bytes": size, "sha256": sha256}

    def _take_failures(self, plan: ProjectPlan) -> None:
        for path, why in plan.failures.items():
            self._fail(path, IncompleteError(why))
        if plan.mismatch is not None:
            self._mismatches[str(plan.place)] = plan.mismatch
        self._not_accepted -= plan.accepted
        self._has_passing |= bool(plan.tasks or plan.unchanged)

    def _check_names(self) -> None:
        """Say which names of the arguments are names of nothing.

        A project that lacks what a rule names has no run to fetch, if another one has any.
        """
        for path, error in self._mismatches.items() if not self._has_passing else ():
            self._fail(path, error)
        for key in sorted(self._absent) if self._has_points else ():
            self._report.warn(f"none of the runs that were fetched has a key {quote(key)}")
        for run in sorted(map(str, self._not_accepted)):
            name = argument("accept_smaller")
            self._report.warn(f"{name}: none of the runs that were compared is {quote(run)}")

    def _fail(self, path: str, error: SwanlabExportError) -> None:
        self._changes["failed"] += 1
        self._failed.append(f"{path}: {error.message}")
        self._report.fail(path, error)

    def _line(self, work: _Work) -> str:
        """A line about a project that is done."""
        done = [outcome for outcome in work.outcomes if outcome.action]
        failed = sum(bool(outcome.error) for outcome in done)
        rows, size = sum(o.rows for o in done), sum(o.bytes for o in done)
        checked = len(work.outcomes) - len(done)
        parts = [
            f"{len(done) - failed} fetched",
            f"{work.plan.unchanged + checked} unchanged",
            f"{failed} failed",
            f"{len(work.plan.gone)} gone",
            f"{work.left} left to the next backup",
        ]
        shown = ", ".join(part for part in parts if not part.startswith("0 ")) or "no runs"
        written = f"; {rows:,} rows, {size / 1e6:,.1f} MB" if size else ""
        return f"{work.plan.place}: {shown}{written}"


def _describe_end(error: BaseException) -> str:
    return f"what does the units has ended: {type(error).__name__}: {error}".rstrip(": ")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def _report_row(place: ProjectPlace, run_id: str, action: str, reason: str, **numbers: Any) -> Row:
    return {
        "path": f"{place}/{run_id}",
        "project_id": place.project_id,
        "run_id": run_id,
        "action": action,
        "reason": reason,
        "rows": 0,
        "bytes": 0,
        **numbers,
    }
