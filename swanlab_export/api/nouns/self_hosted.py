"""``api.self_hosted``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from swanlab_export.api import self_hosted as self_hosted_api
from swanlab_export.api.nouns.base import F, Noun
from swanlab_export.api.paging import Paging

if TYPE_CHECKING:
    from swanlab_export.api.frames.to_frame import Frame


class SelfHosted(Noun[F]):
    """Administration of a self-hosted instance, for its root user.

    All but ``info`` raise AuthenticationError where the licence has expired or you are not root;
    the message says which.
    """

    @overload
    def info(self) -> F: ...
    @overload
    def info(self, *, frame: Frame) -> Any: ...
    def info(self, *, frame: Frame | None = None) -> Any:
        """Licence of the instance, its seats, and whether you are root; one row.

        Args:
            frame: The kind of frame for this call.

        Raises:
            AuthenticationError: The server refuses the key.

        Source: ``GET /self_hosted/info``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.self_hosted.info()["seats"].tolist()
        [20]
        """
        return self._give(self_hosted_api.info(self._context), frame)

    @overload
    def summary(self) -> F: ...
    @overload
    def summary(self, *, frame: Frame) -> Any: ...
    def summary(self, *, frame: Frame | None = None) -> Any:
        """Totals of the instance; one row, with the columns that the server sends.

        Args:
            frame: The kind of frame for this call.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/summary``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     list(api.self_hosted.summary().columns)
        ['experiments', 'groups', 'projects', 'users']
        """
        return self._give(self_hosted_api.summary(self._context), frame)

    @overload
    def create_user(self, username: str, password: str) -> F: ...
    @overload
    def create_user(self, username: str, password: str, *, frame: Frame) -> Any: ...
    def create_user(self, username: str, password: str, *, frame: Frame | None = None) -> Any:
        """Create a user, sent once and never repeated; one row, without the password.

        Args:
            username: Name of the new user.
            password: Password of the new user; it is in no table, message or log.
            frame: The kind of frame for this call.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.
            UncertainError: It failed after the user may have been created.

        Source: ``POST /self_hosted/users``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.self_hosted.create_user("dora", "correct horse")["username"].item()
        'dora'
        """
        answer = self_hosted_api.create_user(self._context, username, password)
        return self._give(answer, frame)

    @overload
    def list_users(self, *, page: int = ..., size: int = ..., full: bool = ...) -> F: ...
    @overload
    def list_users(
        self, *, page: int = ..., size: int = ..., full: bool = ..., frame: Frame
    ) -> Any: ...
    def list_users(
        self, *, page: int = 1, size: int = 20, full: bool = False, frame: Frame | None = None
    ) -> Any:
        """All users; one row each.

        Args:
            page: Which page, from 1.
            size: Rows per page.
            full: All pages instead, fetched side by side.
            frame: The kind of frame for this call.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/users``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     list(api.self_hosted.list_users(full=True)["username"])
        ['ada', 'bob', 'chen', 'zoe']
        """
        answer = self_hosted_api.list_users(self._context, Paging(page, size, full))
        return self._give(answer, frame)

    @overload
    def list_projects(
        self,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        search: str | None = ...,
        creator: str | None = ...,
        workspace: str | None = ...,
    ) -> F: ...
    @overload
    def list_projects(
        self,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        search: str | None = ...,
        creator: str | None = ...,
        workspace: str | None = ...,
        frame: Frame,
    ) -> Any: ...
    def list_projects(
        self,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        search: str | None = None,
        creator: str | None = None,
        workspace: str | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """All projects of all workspaces; one row each.

        Args:
            page: Which page, from 1.
            size: Rows per page.
            full: All pages instead, fetched side by side.
            search: Only projects whose name holds this.
            creator: Only projects that this user made.
            workspace: Only projects of this workspace.
            frame: The kind of frame for this call.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/projects``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     len(api.self_hosted.list_projects(full=True))
        5
        """
        answer = self_hosted_api.list_projects(
            self._context,
            Paging(page, size, full),
            search=search,
            creator=creator,
            workspace=workspace,
        )
        return self._give(answer, frame)

    @overload
    def list_workspaces(
        self, *, page: int = ..., size: int = ..., full: bool = ..., search: str | None = ...
    ) -> F: ...
    @overload
    def list_workspaces(
        self,
        *,
        page: int = ...,
        size: int = ...,
        full: bool = ...,
        search: str | None = ...,
        frame: Frame,
    ) -> Any: ...
    def list_workspaces(
        self,
        *,
        page: int = 1,
        size: int = 20,
        full: bool = False,
        search: str | None = None,
        frame: Frame | None = None,
    ) -> Any:
        """All workspaces, of teams and people; one row each.

        Args:
            page: Which page, from 1.
            size: Rows per page.
            full: All pages instead, fetched side by side.
            search: Only workspaces whose name holds this.
            frame: The kind of frame for this call.

        Raises:
            AuthenticationError: The licence has expired, or you are not root.

        Source: ``GET /self_hosted/groups``.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     len(api.self_hosted.list_workspaces(search="ada", full=True))
        2
        """
        answer = self_hosted_api.list_workspaces(
            self._context, Paging(page, size, full), search=search
        )
        return self._give(answer, frame)
