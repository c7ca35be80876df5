"""What a sandbox serves: a dataset, its accounts, and what is created while it runs."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swanlab_export.sandbox.dataset import (
    DamagedError,
    Dataset,
    Folder,
    Points,
    Run,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt


def default_folder() -> Path:
    """The sample data: inside an installed package, else in the checkout."""
    installed = Path(__file__).parent / "_sample_data"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "sample_data"


@dataclass(frozen=True)
class Project:
    """One project, as the server sent it, and the path of its index.

    Attributes:
        is_replaced: The server has another project of its name: this one is gone, and its name
            here has its id behind it.
    """

    project_id: str
    workspace: str
    name: str
    payload: dict[str, Any]
    index: str | None = None
    is_replaced: bool = False


class Data:
    """A dataset and who may see it.

    Sample data have accounts beside them. A backup has none: it is shown as the one user saw it who
    made it, and cannot be changed.

    Raises:
        DatasetError: The source holds no dataset that can be served.
    """

    def __init__(self, source: Source | Path) -> None:
        self.lock = threading.RLock()
        self._dataset = Dataset(Folder(source) if isinstance(source, Path) else source)
        accounts = self._dataset.accounts
        self.is_backup = accounts is None
        self.users: list[dict[str, Any]] = [] if accounts is None else accounts["users"]
        self._members: dict[str, dict[str, str]] = {} if accounts is None else accounts["members"]
        self.web_host = str(self._dataset.about.get("web_host") or "") if self.is_backup else ""
        self._created: list[tuple[list[Any], Any]] = []
        self._take_contents()

    def _take_contents(self) -> None:
        """Have what the dataset says beside runs."""
        contents = self._dataset.contents
        self.workspaces: list[dict[str, Any]] = contents["workspaces"]
        self.projects = _projects(contents["projects"])
        self.instance: dict[str, Any] | None = contents.get("instance")
        self.usage: dict[str, Any] | None = contents.get("usage")
        self.listed_users: list[dict[str, Any]] = contents.get("users") or []
        if self.is_backup:  # the key is that of the start
            known = {"api_key": self.users[0]["api_key"]} if self.users else {}
            self.users = [_reader(contents) | known]

    def refresh(self) -> None:
        """Have what a backup holds now: it may have been renewed since the last request."""
        if self.is_backup and self._dataset.refresh():
            self._take_contents()

    def version(self, runs: Iterable[Run | None]) -> Any:
        """Another value whenever what runs have logged may have changed."""
        paths = [path for run in runs if run for path in (run.metrics, run.logs, run.medias)]
        return tuple(map(self._dataset.version, paths))

    def now_s(self) -> float:
        """The time of the server's clock, in Unix seconds."""
        return time.time()

    def reset(self) -> None:
        """Remove the users and projects that were created."""
        with self.lock:
            for items, created in self._created:
                items.remove(created)
            self._created.clear()

    def add_user(self, user: dict[str, Any]) -> bool:
        """Create a user; False if the name is taken."""
        with self.lock:
            return self.user(user["username"]) is None and self._add(self.users, user)

    def add_project(self, project: Project) -> bool:
        """Create a project; False if the name is taken."""
        with self.lock:
            found = self.project(project.workspace, project.name)
            return found is None and self._add(self.projects, project)

    def _add(self, items: list[Any], created: Any) -> bool:
        items.append(created)
        self._created.append((items, created))
        return True

    def user(self, username: str) -> dict[str, Any] | None:
        """Find a user."""
        return next((user for user in self.users if user["username"] == username), None)

    def workspace(self, username: str) -> dict[str, Any] | None:
        """Find a workspace."""
        return next((space for space in self.workspaces if space["username"] == username), None)

    def workspaces_of(self, username: str) -> list[dict[str, Any]]:
        """The workspaces that a user is a member of."""
        if not self.is_backup:
            return [s for s in self.workspaces if username in self.members(s["username"])]
        is_reader = username == self.users[0]["username"]
        listed = self._dataset.contents.get("own_workspaces") or []
        return [found for name in listed if is_reader and (found := self.workspace(name))]

    def members(self, workspace: str) -> dict[str, str]:
        """The role of each member of a workspace; nothing is known of those in a backup."""
        return self._members.get(workspace, {})

    def role(self, workspace: str, username: str, sent: Any) -> Any:
        """The role of a user in a workspace; in a backup what the server ``sent``."""
        return sent if self.is_backup else self.members(workspace).get(username, "VISITOR")

    def may_see(self, project: Project, username: str) -> bool:
        """Whether a project is shown to a user."""
        is_public = project.payload.get("visibility") == "PUBLIC"
        return self.is_backup or is_public or username in self.members(project.workspace)

    def project(self, workspace: str, name: str) -> Project | None:
        """Find a project."""
        return next((p for p in self.projects if (p.workspace, p.name) == (workspace, name)), None)

    def project_of(self, project_id: Any) -> Project | None:
        """Find a project by its id."""
        return next((p for p in self.projects if p.project_id == project_id), None)

    def runs_of(self, project_id: str) -> Sequence[Run]:
        """The runs of a project, newest first."""
        project = self.project_of(project_id)
        return [] if project is None else self._dataset.runs(project_id, project.index)

    def run(self, project_id: str, name: str) -> Run | None:
        """Find a run of a project by its id or slug."""
        project = self.project_of(project_id)
        if project is None:
            return None
        return self._dataset.runs(project_id, project.index).find(name, "run_id", "slug")

    def locate(self, run_id: str, *project_ids: Any) -> Run | None:
        """Find a run by its id, at first in some projects; else a clone that holds its data.

        A backup of the project of a clone need not hold the project of the original.
        """
        for column in ("run_id", "root_exp_id"):
            damaged: DamagedError | None = None
            for project in self._nearest(project_ids):
                try:
                    index = self._dataset.runs(project.project_id, project.index)
                except DamagedError as error:  # the run may be in another project
                    damaged = damaged or error
                    continue
                if (found := index.find(run_id, column)) is not None:
                    return found
            if damaged is not None:
                raise damaged
        return None

    def _nearest(self, project_ids: Sequence[Any]) -> Iterator[Project]:
        """All projects: those named first, then those whose runs are known already."""

        def distance(project: Project) -> int:
            if project.project_id in project_ids:
                return 0
            return 1 if self._dataset.is_loaded(project.project_id) else 2

        yield from sorted(self.projects, key=distance)

    def payload(self, run: Run) -> dict[str, Any]:
        """A run as the server sent it alone."""
        return self._with_backup(run, self._dataset.payload(run)["run"])

    def listed(self, run: Run) -> dict[str, Any]:
        """A run as the server sent it in a list."""
        found = self._dataset.payload(run)
        return self._with_backup(run, found.get("listed") or found["run"])

    def project_payload(self, project: Project) -> dict[str, Any]:
        """A project as the server sent it, and whether the last backup could read it."""
        about = self._about_last_backup(project)
        return project.payload | {"backup": about} if about else project.payload

    def _with_backup(self, run: Run, payload: dict[str, Any]) -> dict[str, Any]:
        """Say of a run what its backup lacks, and since when its server no longer has it."""
        if not self.is_backup:
            return payload
        project = self.project_of(run.project_id)
        assert project is not None
        about = self._about_last_backup(project, f"/{run.run_id}")
        if run.gone_at:
            about["goneAt"] = run.gone_at
        if missing := self._dataset.missing(run):
            about["missing"] = "; ".join(missing)
        return payload | {"backup": about} if about else payload

    def _about_last_backup(self, project: Project, run: str = "") -> dict[str, str]:
        """Why the last backup failed for a project, or a run of it; empty where it did not."""
        if not self.is_backup:
            return {}
        if project.is_replaced:
            return {"failed": "another project has its name now"}
        path = f"{project.workspace}/{project.name}"
        try:
            failed = self._dataset.failed
        except DamagedError as error:  # all else can be read without it
            return {"missing": f"what failed in the last backup is not known: {error}"}
        replaced = {each.project_id for each in self.projects if each.is_replaced}
        whys = [
            why
            for why in [*failed.get(f"{path}{run}", []), *failed.get(path, [])]
            if replaced.isdisjoint(why.split())  # else it is about that one
        ]
        return {"failed": whys[0]} if whys else {}

    def summary(self, run: Run) -> dict[str, Any] | None:
        """The summary of each key as the server sent it; None where it was not asked for."""
        found: dict[str, Any] | None = self._dataset.payload(run).get("summary")
        return found

    def latest(self, run: Run) -> dict[str, dict[str, Any]] | None:
        """The latest step of each key, by kind, as the server sent it; None where it did not."""
        found: dict[str, dict[str, Any]] | None = self._dataset.payload(run).get("latest")
        return found

    def columns(self, run: Run) -> list[dict[str, Any]] | None:
        """The columns of a run as the server listed them; None where it listed none."""
        found: list[dict[str, Any]] | None = self._dataset.payload(run).get("columns")
        return found

    def keys(self, run: Run) -> list[str]:
        """The scalar keys of a run."""
        return self._sent_keys(run, "SCALAR") or self._dataset.keys(run)

    def media_keys(self, run: Run) -> list[str]:
        """The media keys of a run."""
        return self._sent_keys(run, "MEDIA") or sorted({item["key"] for item in self.media(run)})

    def _sent_keys(self, run: Run, kind: str) -> list[str]:
        return (self._dataset.payload(run).get("keys") or {}).get(kind) or []

    def points(self, run: Run, key: str) -> Points | None:
        """The points of a key: step, value, timestamp and text, in step order."""
        return self._dataset.points(run, key)

    def is_begun(self, project: Project) -> bool:
        """Whether its first backup has not ended yet, so that its runs are not known."""
        is_indexed = self.is_backup and project.index is not None
        return is_indexed and self._dataset.is_begun(str(project.index))

    def left_out(self, run: Run, kind: str, key: str = "") -> bool:
        """Whether a run has metrics of a key, logs or medias that its backup left out."""
        if not self.is_backup:
            return False
        if kind == "metrics":
            return key in (self.summary(run) or {}) and self.points(run, key) is None
        place = {"logs": "LOG", "medias": "MEDIA"}[kind]
        return getattr(run, kind) is None and bool((self.latest(run) or {}).get(place))

    def line_count(self, run: Run) -> int:
        """How many lines the log of a run has."""
        return self._dataset.line_count(run)

    def lines_above(self, run: Run, low: Sequence[str]) -> npt.NDArray[np.int64]:
        """The places of the log lines whose level is not one of ``low``."""
        return self._dataset.lines_above(run, low)

    def lines(self, run: Run, places: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """The log lines at ``places``, as the server sends them."""
        return self._dataset.lines(run, places)

    def media(self, run: Run) -> list[dict[str, Any]]:
        """What a run logged as media, by key and step: key, step, data, more."""
        entries: dict[tuple[str, Any], dict[int, dict[str, Any]]] = {}
        for item in self._dataset.medias(run):
            entries.setdefault((item["key"], item["step"]), {})[item["item"]] = item
        return [_entry(key, step, items) for (key, step), items in entries.items()]

    def media_file(self, run: Run, path: str) -> bytes | None:
        """The bytes of a media file."""
        items = {item["path"]: item for item in self._dataset.medias(run) if item["file"]}
        return self._dataset.file(items[path]) if path in items else None


def _projects(entries: list[dict[str, Any]]) -> list[Project]:
    """The projects of a dataset, each with a path of its own.

    Of those with the same path, the server has the one that was noted last: it answers to the path.
    One of the very second has a folder with its id behind the name.
    """
    latest: dict[tuple[str, str], str] = {}
    for entry in sorted(
        entries, key=lambda each: (each.get("seen_at", ""), each.get("folder", ""))
    ):
        latest[entry["workspace"], entry["name"]] = entry["project_id"]
    projects = []
    for entry in entries:
        project_id, workspace, name = entry["project_id"], entry["workspace"], entry["name"]
        payload, is_replaced = entry["payload"], latest[workspace, name] != project_id
        if is_replaced:
            name = f"{name}~{project_id}"
            payload = payload | {"name": name, "path": f"{workspace}/{name}"}
        projects.append(Project(project_id, workspace, name, payload, entry["index"], is_replaced))
    return projects


def _reader(contents: dict[str, Any]) -> dict[str, Any]:
    """The one account of a backup: who made it, with a key of its own."""
    user = contents.get("user") or {}
    return {
        "username": user.get("username") or "backup",
        "name": user.get("name"),
        "api_key": secrets.token_hex(16),
        "root": bool((contents.get("instance") or {}).get("root")),
        "profile": user.get("profile") or {},
    }


def _entry(key: str, step: Any, items: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The items of a key at a step as the server sends them; a number that is missing is null."""
    found = [items.get(number) for number in range(max(items) + 1)]
    data = [item and (item["text"] if item["path"] is None else item["path"]) for item in found]
    more = [item and _more(item) for item in found]
    return {"key": key, "step": step, "data": data, "more": more if any(more) else None}


def _more(item: dict[str, Any]) -> dict[str, Any] | None:
    rest: dict[str, Any] = json.loads(item["more"]) if item["more"] else {}
    caption = {} if item["caption"] is None else {"caption": item["caption"]}
    return caption | rest or None
