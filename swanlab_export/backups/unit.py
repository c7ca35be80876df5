"""One run is one unit: fetch it, write its objects, put them in place, and commit with a receipt.

A unit may run twice, and may be killed at any step: before its receipt is written nothing has
happened that the next backup does not repeat. It returns its failure and raises none, so that an
engine that repeats lost units repeats nothing else; and it returns a few numbers only.

Where the server limits requests (429), a unit waits by itself, in whichever process it is. One that
gave up would be repeated from its first request: at 5 requests a second and 4 processes, 16 runs
took 39 s with units that wait, and were not done after 400 s with units that gave up. Each process
wastes one request per pause.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export.api.connect import open_context
from swanlab_export.backups import fetching
from swanlab_export.backups.destination import open_destination, write_object
from swanlab_export.backups.layout import RUN_TABLES, kept_folder, payload_path, run_object
from swanlab_export.backups.media import write_medias
from swanlab_export.backups.receipts import Receipt, Stored
from swanlab_export.backups.workers import find_unfit, worker_address
from swanlab_export.client import Call, NotOfferedError
from swanlab_export.errors import (
    AuthenticationError,
    ClosedError,
    NotFoundError,
    OutputError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
)
from swanlab_export.messages import argument, quote
from swanlab_export.progress import Progress
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.receipts import Asked, Row
    from swanlab_export.backups.workers import Place

_Part = TypeVar("_Part")

# Contexts of this process by their tokens: units in its threads share one client. A unit in another
# process finds none, and connects with the key of its own environment.
_contexts: dict[tuple[int, str], Context] = {}
# Such connections that no unit uses now, for the next unit of the same backup: each logs in once.
_kept: dict[tuple[int, str, int], list[tuple[ExitStack, Context]]] = {}


@dataclass(frozen=True)
class ProjectPlace:
    """A project, and the folder of its data."""

    project_id: str
    workspace: str
    name: str
    folder: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.name}"


@dataclass(frozen=True)
class Task:
    """A unit that is to be done; plain data, without a key, that may go to another process.

    Attributes:
        action: ``whole``, ``part`` (``parts`` are missing), ``row``, or ``check``: whole if the
            latest steps of media or log differ.
        facts: What the server said of the run, with its summary, at ``facts_at``.
        listed: The run as the list had it.
        accepts_smaller: A version with fewer points may replace the one that is there.
        reuses_files: Files of media that are in the backup are not fetched again.
    """

    token: str
    place: Place
    permits: int
    project: ProjectPlace
    run_id: str
    file: str
    action: str
    reason: str
    asked: Asked
    parts: tuple[str, ...]
    facts: dict[str, Any]
    facts_at: str
    listed: Any
    receipt: str
    accepts_smaller: bool = False
    reuses_files: bool = True

    @property
    def path(self) -> str:
        """The run's path, as commands take it."""
        return f"{self.project}/{self.run_id}"


@dataclass(frozen=True)
class Outcome:
    """What a unit returns.

    Attributes:
        action: What was done; empty where nothing had to be.
        error: What went wrong; "" where nothing did.
        ends: What it means for the whole backup: ``server`` (it may be away), ``key``,
            ``destination``, ``worker`` (lost, perhaps by another unit), or ``unfit`` (the worker
            cannot do units, others may); "" where the next unit may go on.
        worker: The address of an unfit worker in its cluster.
        limited_until: Until when the server wants no request, in Unix seconds.
        warnings: What the reader of the data must know, such as values of odd types.
        lacks: What of it the server does not offer.
        absent: Keys that were asked for and that the run does not have; None where its points were
            not fetched.
    """

    run_id: str
    action: str
    reason: str
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    error: str = ""
    ends: str = ""
    worker: str = ""
    limited_until: float = 0.0
    warnings: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    absent: tuple[str, ...] | None = None


@contextmanager
def shared_context(context: Context, token: str) -> Iterator[None]:
    """Have units in threads of this process use ``context``."""
    _contexts[os.getpid(), token] = context
    try:
        yield
    finally:
        del _contexts[os.getpid(), token]


def close_kept(token: str) -> None:
    """Close the connections of this process that units of a backup would use next."""
    for key in [each for each in list(_kept) if each[1] == token]:
        for stack, _ in _kept.pop(key, []):
            stack.close()


def run_unit(task: Task) -> Outcome:
    """Do one unit; whatever goes wrong is in what is returned."""
    began = time.monotonic()
    paused_s = 0.0
    try:
        is_shared = (os.getpid(), task.token) in _contexts
        if not is_shared and (unfit := find_unfit(task.place)):
            return _outcome(task, "failed", error=unfit, ends="unfit", worker=worker_address())
        with _context(task) as context, Call():
            place = task.place
            destination = open_destination(place.destination, dict(place.store_options))
            try:
                done = _Unit(context, destination, task).run()
            finally:
                paused_s = context.client.paused_s
    except SwanlabExportError as error:
        done = _failed(task, error)
    except Exception as error:  # noqa: BLE001  one run must not end the backup of all others
        done = _outcome(task, "failed", error=f"unexpected {type(error).__name__}: {error}")
    limited_until = time.time() + paused_s if paused_s else 0.0
    seconds = round(time.monotonic() - began, 3)
    return replace(done, seconds=seconds, limited_until=limited_until)


def lost_unit(task: Task, error: BaseException) -> Outcome:
    """What a unit has come to whose worker was lost, each time that it was tried."""
    words = f"its worker was lost: {type(error).__name__}: {error}"
    return _outcome(task, "failed", error=words, ends="worker")


@contextmanager
def _context(task: Task) -> Iterator[Context]:
    """The shared context of this process, else one of the unit's own."""
    shared = _contexts.get((os.getpid(), task.token))
    if shared is not None:
        yield shared
        return
    own = (os.getpid(), task.token, task.permits)
    for token in {key[1] for key in list(_kept)} - {task.token}:
        close_kept(token)
    try:
        stack, context = _kept.get(own, []).pop()
    except IndexError:
        stack = ExitStack()
        opened = open_context(task.place.host, None, progress=Progress(), jobs=task.permits)
        context = stack.enter_context(opened)
    with stack:  # closed where the unit fails: the key may be another one by now
        yield context
        _kept.setdefault(own, []).append((stack.pop_all(), context))


def _outcome(task: Task, action: str, **numbers: Any) -> Outcome:
    return Outcome(task.run_id, action, task.reason, **numbers)


def _failed(task: Task, error: SwanlabExportError) -> Outcome:
    ends = ""
    if isinstance(error, UnavailableError | ClosedError):
        ends = "server"
    elif isinstance(error, AuthenticationError):
        # Of one run that may not be read, the others may be.
        ends = "key" if error.status != 403 else ""
    elif isinstance(error, OutputError):
        ends = "destination"
    elif isinstance(error, NotFoundError):
        return _outcome(task, "failed", error=f"it was there, and is not found: {error.message}")
    return _outcome(task, "failed", error=error.message, ends=ends)


class _Unit:
    """One unit under way."""

    def __init__(self, context: Context, destination: Destination, task: Task) -> None:
        self._context = context
        self._destination = destination
        self._task = task
        self._is_shared = _contexts.get((os.getpid(), task.token)) is context
        self._report = Report()
        self._missing: list[str] = []
        self._not_offered: dict[str, str] = {}
        self._has_failed = False
        self._absent: tuple[str, ...] | None = None
        self._before = self._read_before()
        self._written: dict[str, fetching.Written] = {}

    def _read_before(self) -> Receipt | None:
        try:
            return Receipt.parse(self._destination.read(self._task.receipt))
        except FileNotFoundError:
            return None
        except ValueError:
            return None  # it is written anew

    def run(self) -> Outcome:
        """Do what the task says."""
        try:
            return self._run()
        finally:
            for written in self._written.values():
                for pending in (written.pending, *(file for file, _ in written.files)):
                    if pending is not None:
                        pending.discard()

    def _run(self) -> Outcome:
        task, client = self._task, self._context.client
        run = fetching.fetch_run(client, task.project, task.run_id)
        payload = self._read_payload()
        if task.action == "row" and self._before is not None and payload:
            return self._update_row(run, self._before, payload)
        logged = fetching.fetch_logged(client, run)
        if task.action == "check" and self._before is not None:
            if logged == self._before.logged:
                return _outcome(task, "")
            task = replace(task, reason="media or log lines came late")
        is_part = task.action == "part" and self._before is not None and bool(payload)
        tables = task.parts if is_part else task.asked.tables
        keys = fetching.find_keys(client, run, logged, task.facts["summary"])
        payload |= self._fetch_columns(run, payload) if "columns" in tables else {}
        payload |= {"summary": task.facts["summary"], "keys": keys, "latest": logged}
        self._fetch_tables(run, tables, keys, logged)
        self._write_payload(run, payload)
        if refusal := self._find_smaller():
            return self._keep(refusal)
        return self._commit(
            self._build_receipt(run, payload, logged), "part" if is_part else "whole", task.reason
        )

    def _update_row(self, run: FoundRun, before: Receipt, payload: dict[str, Any]) -> Outcome:
        """Write what the run itself says; its data stay."""
        self._write_payload(run, payload)
        receipt = replace(
            before,
            **fetching.describe_run(self._context, run, self._report),
            # Statistics differ within what is tolerated, and are not written again.
            facts=self._task.facts | {"summary": before.facts["summary"]},
            facts_at=self._task.facts_at,
            objects=before.objects | {"payload": self._written["payload"].stored},
            gone_at=None,
        )
        return self._commit(receipt, "row", self._task.reason)

    def _fetch_columns(self, run: FoundRun, payload: dict[str, Any]) -> dict[str, Any]:
        """The columns; what was there stays where they cannot be read."""
        found = self._try("columns", lambda: (fetching.fetch_columns(self._context.client, run),))
        return {"columns": payload.get("columns") if found is None else found[0]}

    def _fetch_tables(
        self,
        run: FoundRun,
        tables: Sequence[str],
        keys: Mapping[str, list[str]],
        logged: fetching.Logged | None,
    ) -> None:
        """Fetch the tables that have an object per run, and write each under a temporary name."""
        task, context, destination = self._task, self._context, self._destination
        place = (task.project.folder, task.file)
        asked = task.asked

        def metrics() -> fetching.Written:
            chosen = fetching.chosen_keys(asked, keys["SCALAR"])
            self._absent = fetching.absent_keys(asked, keys["SCALAR"])
            try:
                steps = fetching.announced(task.facts["summary"], logged)
            except ServerError as error:  # it may be odd in one key: the points come all the same
                steps = {}
                self._report.warn(
                    f"the points of {task.path} could not be checked against the latest step, "
                    f"which the server does not tell: {error.message}"
                )
            path = run_object("metrics", *place)
            return fetching.write_metrics(
                context, destination, path, run, chosen, steps, self._report
            )

        def logs() -> fetching.Written:
            path = run_object("logs", *place)
            client = context.client
            return fetching.write_logs(client, destination, path, run, logged, self._report)

        def medias() -> fetching.Written:
            missing: list[str] = []
            written = write_medias(
                context.client,
                destination,
                place,
                run,
                keys["MEDIA"],
                self._known_files(),
                has_files=asked.media,
                report=self._report,
                missing=missing,
            )
            self._has_failed |= bool(missing)
            self._missing += missing
            return written

        for name, fetch in (("metrics", metrics), ("logs", logs), ("medias", medias)):
            if name in tables and (written := self._try(name, fetch)) is not None:
                self._written[name] = written

    def _try(self, name: str, fetch: Callable[[], _Part]) -> _Part | None:
        """Fetch a part; where only that part fails, the rest of the run is kept."""
        try:
            return fetch()
        except NotOfferedError as error:
            self._not_offered[name] = error.message
            self._missing.append(f"{name}: {error.message}")
        except SwanlabExportError as error:
            if _failed(self._task, error).ends:
                raise
            self._missing.append(f"{name}: {error.message}")
            self._has_failed = True
        return None

    def _known_files(self) -> dict[str, Row]:
        """Files of media that are in the backup already, by their paths on the server."""
        before = self._before
        if before is None or not self._task.reuses_files:
            return {}
        return {
            file["source"]: file
            for file in before.files
            if (found := self._destination.find(file["path"])) and found.size == file["bytes"]
        }

    def _read_payload(self) -> dict[str, Any]:
        """What the server sent last time; empty where there is nothing that can be read."""
        if self._before is None:
            return {}
        try:
            path = self._before.objects["payload"].path
            return fetching.read_payload(self._destination, str(path))
        except (KeyError, ValueError):
            return {}

    def _write_payload(self, run: FoundRun, payload: dict[str, Any]) -> None:
        listed = self._task.listed
        payload |= {"run": run.payload, "listed": None if listed == run.payload else listed}
        path = payload_path(self._task.project.folder, self._task.file)
        self._written["payload"] = fetching.write_payload(self._destination, path, payload)

    def _find_smaller(self) -> str:
        """Say which key has fewer points, or ends earlier, than in the backup; "" for none."""
        before, now = self._before, self._written.get("metrics")
        if before is None or now is None or self._task.accepts_smaller:
            return ""
        for key, count in before.points.items():
            if now.points.get(key, 0) < count:
                there = f"{now.points.get(key, 0)} points, and the backup has {count}"
                return f"{quote(key)} has {there}"
            last, latest = before.latest.get(key), now.latest.get(key)
            if last is not None and (latest is None or latest < last):
                return f"{quote(key)} ends at step {latest}, and in the backup at step {last}"
        return ""

    def _keep(self, refusal: str) -> Outcome:
        """Keep the old version in its place, and the new one beside it, once for each content."""
        task, written = self._task, self._written["metrics"]
        kept = ""
        if written.pending is not None:
            folder = kept_folder(task.project.folder, task.file)
            kept = f"{folder}/{str(written.stored.sha256)[:16]}.parquet"
            if self._destination.find(kept) is None:
                written.pending.path = kept
                written.pending.place()
        where = f"the new version is kept as {kept}" if kept else "the new version has no point"
        cure = f"{argument('accept_smaller', task.path)} takes it"
        return _outcome(task, "refused", error=f"{refusal}; {where}; {cure}")

    def _is_over(self) -> bool:
        """Say whether the backup has ended meanwhile, and no longer holds the lock."""
        return self._is_shared and (os.getpid(), self._task.token) not in _contexts

    def _build_receipt(
        self, run: FoundRun, payload: dict[str, Any], logged: fetching.Logged | None
    ) -> Receipt:
        task, before, written = self._task, self._before, self._written
        objects = dict(before.objects) if before is not None else {}
        objects |= {name: each.stored for name, each in written.items()}
        for name in RUN_TABLES:
            objects.setdefault(name, Stored())
        metrics = written.get("metrics") or before
        medias = written.get("medias")
        files = before.files if before is not None else []
        if medias is not None:
            files = [file for _, file in medias.files]
        return Receipt(
            project_id=task.project.project_id,
            run_id=run.run_id,
            **fetching.describe_run(self._context, run, self._report),
            facts=task.facts,
            facts_at=task.facts_at,
            asked=task.asked.without(self._not_offered),
            objects=objects,
            files=files,
            latest=metrics.latest if metrics is not None else {},
            points=metrics.points if metrics is not None else {},
            logged=logged,
            complete=not self._has_failed,
            missing=sorted(self._missing),
            gone_at=None,
            summary=fetching.describe_summary(task.facts["summary"], run.run_id, self._report),
            columns=fetching.describe_columns(
                payload.get("columns"), payload["keys"], run.run_id, self._report
            ),
        )

    def _commit(self, receipt: Receipt, action: str, reason: str) -> Outcome:
        """Put all objects in their places, and then write the receipt."""
        if self._is_over():
            raise ClosedError("the backup was ended")
        destination, before = self._destination, self._before
        for written in self._written.values():
            for pending, _ in written.files:
                if pending is not None:
                    pending.place()
            if written.pending is not None:
                written.pending.place()
        size, _ = write_object(destination, self._task.receipt, receipt.dump())
        for name, written in self._written.items():
            old = None if before is None else before.objects.get(name)
            if written.pending is None and old is not None and old.path:
                destination.remove(old.path)  # nothing of it is left on the server
        stored = [each.stored for name, each in self._written.items() if name != "payload"]
        files = [file for each in self._written.values() for pending, file in each.files if pending]
        return Outcome(
            self._task.run_id,
            action,
            reason,
            rows=sum(each.rows for each in stored),
            bytes=size
            + sum(each.stored.bytes for each in self._written.values())
            + sum(file["bytes"] for file in files),
            error="; ".join(receipt.missing) if self._has_failed else "",
            warnings=tuple(self._report.all_warnings()),
            lacks=tuple(f"{name}: {why}" for name, why in self._not_offered.items()),
            absent=self._absent,
        )
