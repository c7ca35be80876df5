"""``api.self_hosted``: administration of an instance, for its root user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.arrange import Arrangement
from swanlab_export.api.context import Result
from swanlab_export.api.lists import Paging, list_result
from swanlab_export.api.new_users import read_users
from swanlab_export.api.partial import Partial
from swanlab_export.api.resource import F, Resource
from swanlab_export.client import is_not_told
from swanlab_export.endpoints import projects, users, workspaces
from swanlab_export.endpoints import self_hosted as endpoint
from swanlab_export.errors import (
    AuthenticationError,
    ClosedError,
    SwanlabExportError,
    UnavailableError,
    UsageError,
)
from swanlab_export.limits import PAGE_SIZE
from swanlab_export.messages import Secret, argument, quote
from swanlab_export.normalizers.entities import (
    normalize_instance,
    normalize_projects,
    normalize_usage,
    normalize_users,
    normalize_workspaces,
)
from swanlab_export.normalizers.rows import build_table
from swanlab_export.pagination import Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike
    from typing import IO

    from swanlab_export.api.new_users import NewUser
    from swanlab_export.client import Request
    from swanlab_export.report import Report
    from swanlab_export.schemas import TableSchema
    from swanlab_export.tables import Table


class SelfHosted(Resource[F]):
    """Administration of a self-hosted instance, for its root user.

    All but ``info`` raise AuthenticationError where the licence has expired or you are not root;
    the message says which.
    """

    def info(self) -> F:
        """Licence of the instance, its seats, and whether you are root; one row.

        Raises:
            AuthenticationError: The server refuses the key.

        Source: ``GET /self_hosted/info``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.self_hosted.info()["seats"].tolist()
        [20]
        """
        report = self._output.begin(schemas.INSTANCE)
        payload = endpoint.fetch_instance(self._context.client)
        result = Result(
            lambda: normalize_instance(payload, report),
            lambda: payload,
            self._context.source("self-hosted info"),
        )
        return self._output.deliver(result, report)

    def summary(self) -> F:
        """Totals of the instance; one row, with the columns that the server sends.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/summary``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     list(api.self_hosted.summary().columns)
        ['experiments', 'groups', 'projects', 'users']
        """
        report = self._output.begin(schemas.USAGE)
        self._check_root(report)
        payload = endpoint.fetch_usage(self._context.client)
        result = Result(
            lambda: normalize_usage(payload, report),
            lambda: payload,
            self._context.source("self-hosted summary"),
        )
        return self._output.deliver(result, report)

    def create_user(self, username: str, password: str) -> F:
        """Create a user, sent once and never repeated; one row, without the password.

        Args:
            username: Name of the new user.
            password: Password of the new user; it is in no table, message or log.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.
            UncertainError: It failed after the user may have been created.

        Source: ``POST /self_hosted/users``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.self_hosted.create_user("dora", "correct horse")["username"].item()
        'dora'
        """
        password = Secret(password)
        for name, value in (("username", username), ("password", password)):
            if not value.strip():
                raise UsageError(f"{argument(name)} is empty")
        if not username.isprintable():
            raise UsageError(f"{argument('username')} {quote(username)} has control characters")
        report = self._output.begin(schemas.USERS, is_final=True)
        self._check_root(report)
        payload = endpoint.create_user(self._context.client, username, password)
        user = {"username": username} | _without_secret(payload, password)
        result = Result(
            lambda: normalize_users([user], report, is_single=True),
            lambda: user,
            self._context.source("self-hosted create-user", username),
        )
        return self._output.deliver(result, report)

    def create_users(
        self, users: str | PathLike[str] | IO[Any] | Iterable[Mapping[str, str]] | Any
    ) -> F:
        """Create those of many users that do not exist; one row each, without the passwords.

        The users of the instance are listed first, so that it can be called again. Each creation is
        sent once and never repeated. When the server cannot be reached or refuses the key, the rest
        is not tried.

        Args:
            users: The columns ``username`` and ``password``, as text: the path of a CSV, TSV or JSON
                file, an open file, a data frame, or a list of mappings.

        Returns:
            For each user ``status`` (``created``, ``exists`` or ``failed``) and ``reason``. A user
            that failed is named in a warning, too.

        Raises:
            UsageError: The table cannot be right; nothing was sent.
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/users``, ``POST /self_hosted/users`` for each that is new.

        >>> import swanlab_export as se
        >>> users = [{"username": name, "password": "correct horse"} for name in ("bob", "dora")]
        >>> with se.connect(host="sandbox") as api:
        ...     api.self_hosted.create_users(users)["status"].tolist()
        ['exists', 'created']
        """
        wanted = read_users(users)
        report = self._output.begin(schemas.CREATED_USERS, is_final=True)
        self._check_root(report)
        rows = self._create_each(wanted, self._usernames(report), report)
        result = Result(
            lambda: build_table(schemas.CREATED_USERS, rows, report),
            lambda: rows,
            self._context.source("self-hosted create-users"),
        )
        return self._output.deliver(result, report)

    def _usernames(self, report: Report) -> set[str]:
        """The names of all users of the instance."""
        pages = Pages(
            self._context.client,
            endpoint.users_page,
            users.identify,
            page=1,
            size=PAGE_SIZE,
            all=True,
            title="users",
            progress=self._context.progress,
            report=report,
        )
        return {
            str(name) for name in normalize_users(pages, report).to_arrow()["username"].to_pylist()
        }

    def _create_each(
        self, wanted: Sequence[NewUser], existing: set[str], report: Report
    ) -> list[dict[str, str | None]]:
        rows: list[dict[str, str | None]] = []
        stopped: SwanlabExportError | None = None
        with self._context.progress.bar("users", total=len(wanted), unit="users") as bar:
            for user in wanted:
                status, error = "exists", None
                if user.username not in existing:
                    error = self._create(user) if stopped is None else _not_tried(stopped)
                    status = "created" if error is None else "failed"
                if error is not None:
                    report.fail(user.username, error)
                if stopped is None and isinstance(error, AuthenticationError | UnavailableError):
                    stopped = error
                reason = None if error is None else error.message
                rows.append({"username": user.username, "status": status, "reason": reason})
                bar.add(1)
        return rows

    def _create(self, user: NewUser) -> SwanlabExportError | None:
        try:
            endpoint.create_user(self._context.client, user.username, user.password)
        except ClosedError:
            raise
        except SwanlabExportError as error:
            return error
        return None

    def list_users(
        self,
        *,
        all: bool | None = None,
        page: int | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        sort: str | Sequence[str] | None = None,
        varying: bool = False,
        partial: bool = False,
    ) -> F:
        """All users; one row each.

        Args:
            all: Every user; the default unless a page is asked for.
            page: Only this page, from 1.
            page_size: Rows per page.
            limit: Only the first so many users.
            sort: Columns that give the order, ``-`` before a name for descending.
            varying: Only columns that identify a row or differ between rows.
            partial: Leave out what fails, and say what.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/users``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     list(api.self_hosted.list_users()["username"])
        ['ada', 'bob', 'chen', 'zoe']
        """
        return self._list(
            "users",
            schemas.USERS,
            Paging.parse(all, page, page_size, Arrangement.parse(sort, limit, varying=varying)),
            endpoint.users_page,
            users.identify,
            normalize_users,
            partial=partial,
        )

    def list_projects(
        self,
        *,
        all: bool | None = None,
        page: int | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        sort: str | Sequence[str] | None = None,
        varying: bool = False,
        search: str | None = None,
        creator: str | None = None,
        workspace: str | None = None,
        partial: bool = False,
    ) -> F:
        """All projects of all workspaces; one row each, with its owner and what it holds.

        The owner is its workspace, which is a person or a team (``group.type``): the server does not
        say who created a project, but ``creator`` chooses those of one user.

        Args:
            all: Every project; the default unless a page is asked for.
            page: Only this page, from 1.
            page_size: Rows per page.
            limit: Only the first so many projects.
            sort: Columns that give the order, ``-`` before a name for descending.
            varying: Only columns that identify a row or differ between rows.
            search: Only projects whose name contains this.
            creator: Only projects that this user created.
            workspace: Only projects of this workspace.
            partial: Leave out what fails, and say what.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/projects``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     len(api.self_hosted.list_projects())
        5
        """
        options = {
            "search": search,
            "creator": creator,
            "workspace": None
            if workspace is None
            else self._context.workspace_ref(workspace).workspace,
        }
        return self._list(
            "projects",
            schemas.PROJECTS,
            Paging.parse(all, page, page_size, Arrangement.parse(sort, limit, varying=varying)),
            lambda page, size: endpoint.projects_page(page, size, **options),
            projects.identify,
            lambda payload, report: normalize_projects(payload, report, self._context.web_host),
            partial=partial,
            **options,
        )

    def list_workspaces(
        self,
        *,
        all: bool | None = None,
        page: int | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        sort: str | Sequence[str] | None = None,
        varying: bool = False,
        search: str | None = None,
        partial: bool = False,
    ) -> F:
        """All workspaces, of teams and people; one row each.

        Args:
            all: Every workspace; the default unless a page is asked for.
            page: Only this page, from 1.
            page_size: Rows per page.
            limit: Only the first so many workspaces.
            sort: Columns that give the order, ``-`` before a name for descending.
            varying: Only columns that identify a row or differ between rows.
            search: Only workspaces whose name contains this.
            partial: Leave out what fails, and say what.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/groups``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     len(api.self_hosted.list_workspaces(search="ada"))
        2
        """
        return self._list(
            "workspaces",
            schemas.WORKSPACES,
            Paging.parse(all, page, page_size, Arrangement.parse(sort, limit, varying=varying)),
            lambda page, size: endpoint.workspaces_page(page, size, search=search),
            workspaces.identify,
            normalize_workspaces,
            partial=partial,
            search=search,
        )

    def _list(
        self,
        title: str,
        table: TableSchema,
        paging: Paging,
        build: Callable[[int, int], Request],
        identify: Callable[[Any], Any],
        normalize: Callable[[Iterable[Any], Report], Table],
        *,
        partial: bool,
        **options: Any,
    ) -> F:
        report = self._output.begin(table)
        self._check_root(report)
        result = list_result(
            self._context,
            report,
            paging,
            build,
            identify,
            title,
            lambda payload: normalize(payload, report),
            self._context.source(
                f"self-hosted list-{title}", **paging.options(), **options, partial=partial
            ),
            Partial(report, is_wanted=partial),
        )
        return self._output.deliver(result, report)

    def _check_root(self, report: Report) -> None:
        """Say plainly why the server would refuse: licence first, then role.

        Where the server does not tell them, what it says of the request itself counts.

        Raises:
            AuthenticationError: The licence has expired, or who is logged in is not root.
        """
        client = self._context.client
        try:
            payload = endpoint.fetch_instance(client)
        except SwanlabExportError as error:
            if not is_not_told(error):
                raise
            report.warn(f"whether you are the root user could not be checked: {error.message}")
            return
        instance = payload if isinstance(payload, dict) else {}
        # Only a clear word counts; the server itself refuses what is not allowed.
        if instance.get("expired") is True:
            raise AuthenticationError(f"the licence of {client.settings.name} has expired")
        if instance.get("root") is False:
            username = quote(client.login().username)
            raise AuthenticationError(f"{username} is not the root user of {client.settings.name}")


def _not_tried(stopped: SwanlabExportError) -> SwanlabExportError:
    """The error of a user whose creation would fail like that of one before."""
    return type(stopped)(f"not tried, as the one before failed: {stopped.message}")


def _without_secret(payload: Any, secret: str) -> Any:
    """Leave out, at any depth, a password that the server repeats."""
    if isinstance(payload, list):
        return [_without_secret(each, secret) for each in payload]
    if not isinstance(payload, dict):
        return "•••" if isinstance(payload, str) and secret in payload else payload
    kept = {name: value for name, value in payload.items() if name not in {"users", "password"}}
    return {name: _without_secret(value, secret) for name, value in kept.items()}
