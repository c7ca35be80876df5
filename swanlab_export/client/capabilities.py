"""What one server offers, as far as its responses have shown."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from swanlab_export.errors import ServerError, SwanlabExportError
from swanlab_export.limits import GENERATIONS, RELEASES

if TYPE_CHECKING:
    from swanlab_export.client.request import Request


# Statuses of a server, or a firewall in front of it, that does not tell what it is asked.
NOT_TOLD = {403, 418}
# The same where what is asked for only serves a check, and any refusal of the request means that.
NOT_CHECKED = NOT_TOLD | {400, 404}


class NotOfferedError(ServerError):
    """The server lacks an endpoint; another one may lead to the same fact."""


def is_not_told(error: SwanlabExportError) -> bool:
    """Say whether a server lacks an endpoint, or does not let it be asked."""
    return isinstance(error, NotOfferedError) or error.status in NOT_TOLD


class Capabilities:
    """Remembers what the server of a connection offers; safe to use from several threads.

    Found out once per connection, from responses alone: releases of servers have no names that
    could be trusted. What has worked once is never taken for missing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_offered: dict[str, bool] = {}
        self._limits: dict[str, int] = {}
        self._offers: dict[str, bool] = {}

    @property
    def generation(self) -> str:
        """The generation that the server seems to be of, as far as endpoints have shown it.

        The newest of which it offers an endpoint; with a ``+`` while nothing newer was asked for.
        """
        with self._lock:
            offers = dict(self._offers)
        newest = max((g for g, is_offered in offers.items() if is_offered), default=GENERATIONS[0])
        newer = GENERATIONS[GENERATIONS.index(newest) + 1 :]
        return newest if not newer or any(g in offers for g in newer) else f"{newest}+"

    def learn(self, feature: str, *, is_offered: bool) -> None:
        """Remember whether a feature is offered; what was learned first stays."""
        with self._lock:
            self._is_offered.setdefault(feature, is_offered)

    def lacks(self, feature: str) -> bool:
        """Say whether the server is known to lack a feature."""
        with self._lock:
            return not self._is_offered.get(feature, True)

    def offers(self, feature: str) -> bool:
        """Say whether the server is known to offer a feature."""
        with self._lock:
            return self._is_offered.get(feature, False)

    def lower(self, feature: str, limit: int) -> None:
        """Remember that the server takes at most so many of something."""
        with self._lock:
            self._limits[feature] = min(limit, self._limits.get(feature, limit))

    def limit(self, feature: str, highest: int) -> int:
        """Return how many the server takes; ``highest`` until it is known to take fewer."""
        with self._lock:
            return self._limits.get(feature, highest)

    def check(self, request: Request) -> None:
        """Refuse a request whose endpoint is known to be missing.

        Raises:
            NotOfferedError: The server lacks it.
        """
        if request.since and self.lacks(str(request)):
            raise self._not_offered(request)

    def is_unknown(self, request: Request) -> bool:
        """Say whether it is not known yet if the server has an endpoint that it may lack."""
        with self._lock:
            return bool(request.since) and str(request) not in self._is_offered

    def judge(self, request: Request, status: int) -> None:
        """Learn from a response whether the endpoint is there, where its path names no object.

        Raises:
            NotOfferedError: The server lacks it.
        """
        if request.since and (status < 300 or status == 404):
            self.learn(str(request), is_offered=status != 404)
            with self._lock:
                self._offers[request.since] = self._offers.get(request.since) or status != 404
            self.check(request)

    def _not_offered(self, request: Request) -> NotOfferedError:
        return NotOfferedError(
            f"this server does not offer {request}; it came with {RELEASES[request.since]}",
            method=request.method,
            path=request.path,
            status=404,
        )
