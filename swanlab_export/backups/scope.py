"""Which projects are backed up, and what the server says of them and of who is logged in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swanlab_export.api.suggestions import suggest
from swanlab_export.backups.layout import PROJECTS_FILE, Names
from swanlab_export.backups.unit import ProjectPlace
from swanlab_export.client import NotOfferedError
from swanlab_export.decoding import decode
from swanlab_export.endpoints import projects as endpoint
from swanlab_export.endpoints import self_hosted as instance_endpoint
from swanlab_export.endpoints import users as user_endpoint
from swanlab_export.endpoints import workspaces as workspace_endpoint
from swanlab_export.errors import (
    AuthenticationError,
    NotFoundError,
    OutputError,
    ServerError,
    UnavailableError,
)
from swanlab_export.limits import PAGE_SIZES
from swanlab_export.messages import argument, quote
from swanlab_export.normalizers.values import as_list, exact_json
from swanlab_export.pagination import Pages
from swanlab_export.progress import Progress
from swanlab_export.refs import ProjectRef, WorkspaceRef, parse_project, parse_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.backups.destination import Destination
    from swanlab_export.client import Client, Request
    from swanlab_export.report import Report


@dataclass(frozen=True)
class Scope:
    """Which paths are wanted; none of them means everything that one sees."""

    workspaces: tuple[WorkspaceRef, ...] = ()
    projects: tuple[ProjectRef, ...] = ()
    is_instance: bool = False

    @classmethod
    def parse(cls, paths: Sequence[str], *, is_instance: bool) -> Scope:
        """Read paths of workspaces and projects, or the URLs of their web pages.

        Raises:
            UsageError: A text is neither.
        """
        workspaces, projects = [], []
        for path in dict.fromkeys(paths):
            is_workspace = "/" not in path if "://" not in path else path.count("/") == 3
            if is_workspace:
                workspaces.append(parse_workspace(path))
            else:
                projects.append(parse_project(path))
        return cls(tuple(workspaces), tuple(projects), is_instance)

    def __str__(self) -> str:
        return ", ".join(self.paths())

    def paths(self) -> list[str]:
        """The paths, as they are shown."""
        return [*map(str, self.workspaces), *map(str, self.projects)]

    def covers(self, ref: ProjectRef) -> bool:
        """Say whether a project of this path is wanted."""
        if not self.workspaces and not self.projects:
            return True
        return ref in self.projects or WorkspaceRef(ref.workspace) in self.workspaces


@dataclass
class Account:
    """What a backup knows beside runs; it is kept in one file, as the server sent it.

    Attributes:
        projects: Each project that was ever backed up, with its folder.
        workspaces: Payloads of workspaces, by username.
        own_workspaces: Names of the workspaces of who is logged in, in the server's order.
        folders: The folder of each workspace.
        user: Who is logged in, with the profile.
        instance, usage, users: Of a self-hosted instance.
    """

    projects: list[dict[str, Any]] = field(default_factory=list)
    workspaces: list[Any] = field(default_factory=list)
    own_workspaces: list[str] | None = None
    folders: dict[str, str] = field(default_factory=dict)
    user: dict[str, Any] | None = None
    instance: Any = None
    usage: Any = None
    users: list[Any] | None = None

    @classmethod
    def read(cls, destination: Destination) -> Account:
        """Read it; empty where there is none yet.

        Raises:
            OutputError: It is not as it was written.
        """
        if destination.find(PROJECTS_FILE) is None:
            return cls()
        try:
            return cls(**decode(destination.read(PROJECTS_FILE)))
        except (ValueError, TypeError) as error:
            raise OutputError(
                f"{PROJECTS_FILE} in {quote(str(destination))} cannot be read: {error}"
            ) from None

    def dump(self) -> dict[str, Any]:
        """What its file says, in an order that does not depend on when things were found."""
        self.projects.sort(key=lambda each: (each["workspace"], each["name"], each["project_id"]))
        self.workspaces.sort(key=workspace_endpoint.read_username)
        return vars(self)

    def project(self, project_id: str) -> dict[str, Any] | None:
        """Find a project by its id."""
        return next((each for each in self.projects if each["project_id"] == project_id), None)

    def place(self, ref: ProjectRef, payload: Any, seen_at: str) -> ProjectPlace:
        """Note a project; one that is new gets a folder of its own, which stays."""
        project_id = endpoint.read_project_id(payload)
        found = self.project(project_id)
        if found is None:
            folder = self._new_folder(ref, project_id)
            found = {"project_id": project_id, "folder": folder, "payload": None}
            found["index"] = f"state/index/{folder}.parquet"
            self.projects.append(found)
        if found["payload"] != payload:
            found |= {"payload": payload, "seen_at": seen_at}
        found |= {"workspace": ref.workspace, "name": ref.project}
        return place_of(found)

    def add_workspace(self, payload: Any) -> None:
        """Note a workspace."""
        name = workspace_endpoint.read_username(payload)
        others = [
            each for each in self.workspaces if workspace_endpoint.read_username(each) != name
        ]
        self.workspaces = [*others, payload]

    def _new_folder(self, ref: ProjectRef, project_id: str) -> str:
        if ref.workspace not in self.folders:
            self.folders[ref.workspace] = Names(self.folders.values()).take(ref.workspace)
        parent = self.folders[ref.workspace]
        siblings = {
            each["folder"].partition("/")[2]: each["name"]
            for each in self.projects
            if each["folder"].partition("/")[0] == parent
        }
        # One of the very same name is told apart by its id, one in other case by its hash.
        is_again = ref.project in siblings or ref.project in siblings.values()
        return f"{parent}/{Names(siblings).take(ref.project, project_id if is_again else '')}"


def place_of(entry: dict[str, Any]) -> ProjectPlace:
    """A project as units know it."""
    return ProjectPlace(entry["project_id"], entry["workspace"], entry["name"], entry["folder"])


@dataclass(frozen=True)
class Found:
    """What is to be backed up.

    Attributes:
        projects: Payloads by path.
        lost: Projects that were there and cannot be read, and why.
    """

    projects: list[tuple[ProjectRef, Any]]
    lost: dict[str, str]


def is_away(client: Client) -> bool:
    """Say whether the server does not serve what each backup begins with, and no run or project has.

    A failure of one run or project does not tell: what is behind it may be broken for ever, and all
    else served.

    Raises:
        AuthenticationError: It refuses the key.
        ClosedError: The client is closed.
    """
    try:
        workspace_endpoint.fetch_workspaces_of(client, client.login().username)
    except UnavailableError:
        return True
    except (NotFoundError, ServerError):
        pass  # a response, too
    return False


def find_projects(context: Context, scope: Scope, account: Account, report: Report) -> Found:
    """Find the projects that are wanted, and note what the server says beside.

    Raises:
        NotFoundError: A path names nothing that is there or was; names similar ones.
    """
    _note_user(context, account)
    found: dict[str, tuple[ProjectRef, Any]] = {}
    lost: dict[str, str] = {}

    def add(payloads: Iterable[Any]) -> None:
        for payload in payloads:
            ref = endpoint.read_project_ref(payload)
            found[endpoint.read_project_id(payload)] = (ref, payload)

    if scope.is_instance:
        add(_instance_projects(context, account, report))
    for workspace in _wanted_workspaces(context, scope, account):
        add(_list(context, "projects", _projects_of(workspace), endpoint.identify, report))
    known = {(each["workspace"], each["name"]) for each in account.projects}
    for ref in scope.projects:
        if (ref.workspace, ref.project) not in known:
            with suggest(context, ref):
                add([endpoint.fetch_project(context.client, ref)])
    for each in list(account.projects):
        ref = ProjectRef(each["workspace"], each["name"])
        if each["project_id"] not in found and scope.covers(ref):
            _find_lost(context, each, ref, found, lost)
    for name in dict.fromkeys(ref.workspace for ref in scope.projects):
        _note_workspace(context, account, WorkspaceRef(name))
    return Found(sorted(found.values(), key=lambda each: each[0]), lost)


def _find_lost(
    context: Context,
    entry: dict[str, Any],
    ref: ProjectRef,
    found: dict[str, tuple[ProjectRef, Any]],
    lost: dict[str, str],
) -> None:
    """Ask for a project that is listed no more."""
    try:
        payload = endpoint.fetch_project(context.client, ref)
    except UnavailableError as error:
        if is_away(context.client):
            raise
        lost[str(ref)] = error.message
        return
    except (NotFoundError, AuthenticationError) as error:
        if error.status not in {403, 404}:
            raise
        lost[str(ref)] = f"the project was there, and is not: {error.message}"
        return
    if endpoint.read_project_id(payload) == entry["project_id"]:
        found[entry["project_id"]] = (ref, payload)
    else:
        found[endpoint.read_project_id(payload)] = (ref, payload)
        lost[str(ref)] = (
            f"the project {entry['project_id']} was there, and another one has its name now"
        )


def _wanted_workspaces(context: Context, scope: Scope, account: Account) -> list[WorkspaceRef]:
    client = context.client
    if scope.is_instance or scope.projects or scope.workspaces:
        for ref in scope.workspaces:
            with suggest(context, ref):
                _note_workspace(context, account, ref, is_named=True)
        return list(scope.workspaces)
    return [WorkspaceRef(name) for name in account.own_workspaces or [client.login().username]]


def _note_user(context: Context, account: Account) -> None:
    """Note who is logged in, and their workspaces; older servers tell less."""
    client = context.client
    login = client.login()
    try:
        profile = user_endpoint.fetch_profile(client)
    except NotOfferedError:
        profile = {}
    account.user = {"username": login.username, "name": login.name, "profile": profile}
    try:
        payload = workspace_endpoint.fetch_workspaces_of(client, login.username)
    except NotFoundError:
        return
    own = as_list(payload, "a list of workspaces")
    account.own_workspaces = [workspace_endpoint.read_username(each) for each in own]
    for each in own:
        account.add_workspace(each)


def _note_workspace(
    context: Context, account: Account, ref: WorkspaceRef, *, is_named: bool = False
) -> None:
    """Note a workspace that is not among one's own."""
    known = map(workspace_endpoint.read_username, account.workspaces)
    if account.own_workspaces is not None and ref.workspace in account.own_workspaces:
        return
    try:
        account.add_workspace(workspace_endpoint.fetch_workspace(context.client, ref))
    except (NotFoundError, AuthenticationError) as error:
        own = workspace_endpoint.fetch_own_workspaces(context.client) or {}
        if ref.workspace in own:
            account.add_workspace(own[ref.workspace])
        elif is_named and ref.workspace not in known and isinstance(error, NotFoundError):
            raise


def _instance_projects(context: Context, account: Account, report: Report) -> list[Any]:
    """The payloads of all projects of the instance, which is noted, too.

    Raises:
        NotOfferedError: The server does not list them; says what can be backed up instead.
    """
    try:
        return _note_instance(context, account, report)
    except NotOfferedError as error:
        instead = f"without {argument('instance')} the backup has what you see"
        raise NotOfferedError(f"{error.message}; {instead}", status=error.status) from None


def _note_instance(context: Context, account: Account, report: Report) -> list[Any]:
    """Note the instance, its users and workspaces; returns the payloads of all its projects.

    Raises:
        AuthenticationError: Who is logged in is not its root user.
    """
    client = context.client
    account.instance = instance_endpoint.fetch_instance(client)
    if not instance_endpoint.is_root(account.instance):
        username = quote(client.login().username)
        raise AuthenticationError(f"{username} is not the root user of {client.settings.name}")
    account.usage = instance_endpoint.fetch_usage(client)
    users = _list(context, "users", instance_endpoint.users_page, user_endpoint.identify, report)
    account.users = sorted(users, key=exact_json)
    for payload in _list(
        context,
        "workspaces",
        lambda page, size: instance_endpoint.workspaces_page(page, size, search=None),
        workspace_endpoint.identify,
        report,
    ):
        account.add_workspace(payload)
    return _list(
        context,
        "projects",
        lambda page, size: instance_endpoint.projects_page(
            page, size, search=None, creator=None, workspace=None
        ),
        endpoint.identify,
        report,
    )


def _projects_of(ref: WorkspaceRef) -> Callable[[int, int], Request]:
    return lambda page, size: endpoint.projects_page(ref, page, size, search=None, sort=None)


def _list(
    context: Context,
    title: str,
    build: Callable[[int, int], Request],
    identify: Callable[[Any], Any],
    report: Report,
) -> list[Any]:
    return list(
        Pages(
            context.client,
            build,
            identify,
            page=1,
            size=PAGE_SIZES[-1],
            all=True,
            title=title,
            progress=Progress(),
            report=report,
        )
    )
