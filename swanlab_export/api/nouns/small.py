"""``api.workspace``, ``api.project`` and ``api.user``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from swanlab_export.api import project as project_api
from swanlab_export.api import user as user_api
from swanlab_export.api import workspace as workspace_api
from swanlab_export.api.nouns.base import F, Noun
from swanlab_export.api.paging import Paging

if TYPE_CHECKING:
    from swanlab_export.api.frames.to_frame import Frame


class Workspaces(Noun[F]):
    """Workspaces: teams and people that hold projects."""

    @overload
    def info(self, username: str) -> F: ...
    @overload
    def info(self, username: str, *, frame: Frame) -> Any: ...
    def info(self, username: str, *, frame: Frame | None = None) -> Any:
        """One workspace, with its profile and your role in it; one row.

        Args:
            username: Its name in paths, or the address of its web page.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such workspace.

        Source: ``GET /group/{username}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.workspace.info("ada-lab")["type"].item()
        'TEAM'
        """
        return self._give(workspace_api.info(self._context, username), frame)


class Users(Noun[F]):
    """Who is logged in."""

    @overload
    def info(self) -> F: ...
    @overload
    def info(self, *, frame: Frame) -> Any: ...
    def info(self, *, frame: Frame | None = None) -> Any:
        """Name and profile of who is logged in; one row.

        Args:
            frame: The kind of frame for this call.

        Raises:
            AuthenticationError: The server refuses the key.

        Source: ``POST /login/api_key`` and ``GET /user/profile``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.user.info()["username"].item()
        'ada'
        """
        return self._give(user_api.info(self._context), frame)


class Projects(Noun[F]):
    """Projects: what holds runs."""

    @overload
    def info(self, path: str) -> F: ...
    @overload
    def info(self, path: str, *, frame: Frame) -> Any: ...
    def info(self, path: str, *, frame: Frame | None = None) -> Any:
        """One project, with counts, labels and times (UTC); one row.

        Args:
            path: workspace/project, or the address of its web page.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such project.

        Source: ``GET /project/{workspace}/{project}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.project.info("ada-lab/digits")["count.experiments"].tolist()
        [16]
        """
        return self._give(project_api.info(self._context, path), frame)

    @overload
    def create(
        self,
        name: str,
        *,
        visibility: str = ...,
        description: str | None = ...,
        workspace: str | None = ...,
    ) -> F: ...
    @overload
    def create(
        self,
        name: str,
        *,
        visibility: str = ...,
        description: str | None = ...,
        workspace: str | None = ...,
        frame: Frame,
    ) -> Any: ...
    def create(
        self,
        name: str,
        *,
        visibility: str = "PRIVATE",
        description: str | None = None,
        workspace: str | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """Create a project, sent once and never repeated; one row.

        Args:
            name: 1 to 100 of ``0-9 a-z A-Z - _ . +``.
            visibility: PUBLIC or PRIVATE.
            description: What it is about.
            workspace: Where; your own by default.
            frame: The kind of frame for this call.

        Raises:
            UncertainError: It failed after it may have been created.

        Source: ``POST /project``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.project.create("fresh", workspace="ada-lab")["path"].item()
        'ada-lab/fresh'
        """
        answer = project_api.create(
            self._context,
            name,
            visibility=visibility,
            description=description,
            workspace=workspace,
        )
        return self._give(answer, frame)

    @overload
    def list(
        self,
        workspace: str | None = ...,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        search: str | None = ...,
        sort: str | None = ...,
    ) -> F: ...
    @overload
    def list(
        self,
        workspace: str | None = ...,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        search: str | None = ...,
        sort: str | None = ...,
        frame: Frame,
    ) -> Any: ...
    def list(
        self,
        workspace: str | None = None,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        search: str | None = None,
        sort: str | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """Projects of a workspace; one row each.

        Args:
            workspace: Whose; your own by default.
            page: Which page, from 1.
            size: Rows per page.
            full: All pages instead, fetched side by side.
            search: Only projects whose name holds this.
            sort: ``"create"`` or ``"name"``.
            frame: The kind of frame for this call.

        Raises:
            NotFoundError: There is no such workspace.
            IncompleteError: Fewer projects came than were announced.

        Source: ``GET /project/{workspace}``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     sorted(api.project.list("ada-lab", full=True)["name"])
        ['digits', 'empty', 'sweep']
        """
        answer = project_api.list_projects(
            self._context, workspace, Paging(page, size, full), search=search, sort=sort
        )
        return self._give(answer, frame)
