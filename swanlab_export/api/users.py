"""``api.user``: who is logged in."""

from __future__ import annotations

from swanlab_export import schemas
from swanlab_export.api.context import Result
from swanlab_export.api.resource import F, Resource
from swanlab_export.client import NotOfferedError
from swanlab_export.endpoints import users as endpoint
from swanlab_export.normalizers.entities import normalize_user


class Users(Resource[F]):
    """Who is logged in."""

    def info(self) -> F:
        """Name and profile of who is logged in; one row.

        Raises:
            AuthenticationError: The server refuses the key.

        Source: ``POST /login/api_key`` and ``GET /user/profile``; the columns of a profile are null
        where the server does not offer it.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.user.info()["username"].item()
        'ada'
        """
        report = self._output.begin(schemas.USER)
        login = self._context.client.login()
        try:
            payload = endpoint.fetch_profile(self._context.client)
        except NotOfferedError as error:
            report.warn(f"{error}: only the login tells who you are")
            payload = {}
        result = Result(
            lambda: normalize_user(payload, report, login.username, login.name),
            lambda: payload,
            self._context.source("user info"),
        )
        return self._output.deliver(result, report)
