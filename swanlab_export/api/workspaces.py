"""``api.workspace``: teams and people that hold projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swanlab_export import schemas
from swanlab_export.api.arrange import Arrangement
from swanlab_export.api.context import Result
from swanlab_export.api.resource import F, Resource
from swanlab_export.api.suggestions import suggest
from swanlab_export.endpoints import workspaces as endpoint
from swanlab_export.errors import NotFoundError
from swanlab_export.messages import command, quote
from swanlab_export.normalizers.entities import normalize_workspaces
from swanlab_export.normalizers.values import as_list

if TYPE_CHECKING:
    from collections.abc import Sequence


class Workspaces(Resource[F]):
    """Workspaces: teams and people that hold projects."""

    def info(self, username: str) -> F:
        """One workspace, with its profile and your role in it; one row.

        Args:
            username: Its name in paths, or the URL of its web page.

        Raises:
            NotFoundError: There is no such workspace.

        Source: ``GET /group/{username}``; on older servers ``GET /group/``, which lists only the
        workspaces that you are in, without type and profile.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.workspace.info("ada-lab")["type"].item()
        'TEAM'
        """
        ref = self._context.workspace_ref(username)
        report = self._output.begin(schemas.WORKSPACES)
        with suggest(self._context, ref):
            try:
                payload = endpoint.fetch_workspace(self._context.client, ref)
            except NotFoundError:
                own = endpoint.fetch_own_workspaces(self._context.client)
                if own is None:
                    raise
                if ref.workspace not in own:
                    name = quote(ref.workspace)
                    only = f"{name} is none of your workspaces, and this server tells of no others"
                    raise NotFoundError(only, status=404) from None
                payload = own[ref.workspace]
                report.warn(
                    "of one workspace this server only tells its name and your role in it; see "
                    f"{command('workspace list')}"
                )
        result = Result(
            lambda: normalize_workspaces([payload], report, is_single=True),
            lambda: payload,
            self._context.source("workspace info", ref),
        )
        return self._output.deliver(result, report)

    def list(
        self,
        username: str | None = None,
        *,
        limit: int | None = None,
        sort: str | Sequence[str] | None = None,
        varying: bool = False,
        partial: bool = False,
    ) -> F:
        """The workspaces that a user is in; one row each.

        Args:
            username: The user; you by default.
            limit: Only the first so many workspaces.
            sort: Columns that give the order, ``-`` before a name for descending.
            varying: Only columns that identify a row or differ between rows.
            partial: Leave out workspaces that cannot be read, and say which.

        Raises:
            NotFoundError: There is no such user.

        Source: ``GET /user/{username}/groups``; where the server lacks it, ``GET /group/``, which
        lists only your own workspaces, without type and profile.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     sorted(api.workspace.list()["username"])
        ['ada', 'ada-lab', 'vision-team']
        """
        ref = None if username is None else self._context.workspace_ref(username)
        arrangement = Arrangement.parse(sort, limit, varying=varying)
        report = self._output.begin(schemas.WORKSPACES)
        report.is_partial = partial
        client = self._context.client
        name = client.login().username if ref is None else ref.workspace
        try:
            payload = endpoint.fetch_workspaces_of(client, name)
        except NotFoundError:
            own = endpoint.fetch_own_workspaces(client)
            if own is None or name != client.login().username:
                raise
            payload = list(own.values())
            report.warn("of workspaces this server only tells their names and your role in each")
        if not payload:
            report.hint(f"you see no workspace of {quote(name)}")
        result = Result(
            lambda: arrangement.apply(
                normalize_workspaces(as_list(payload, "a list of workspaces"), report)
            ),
            lambda: payload,
            self._context.source("workspace list", name, **arrangement.options(), partial=partial),
        )
        return self._output.deliver(result, report)
