"""A client that notes what became of each request."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swanlab_export.client.client import Client

if TYPE_CHECKING:
    from swanlab_export.client.request import Request
    from swanlab_export.client.response import Response
    from swanlab_export.settings import Settings


@dataclass(frozen=True)
class Exchange:
    """One request: what came (None where nothing did), and after how long."""

    request: Request
    response: Response | None
    took_ms: float


class ProbingClient(Client):
    """A client that sends each request once, and notes what came.

    Args:
        settings: The server and the key.
        limits: Limits of a ``Client``, in time and size.

    Attributes:
        exchanges: The requests so far, in order, the login among them.
    """

    def __init__(self, settings: Settings, **limits: Any) -> None:
        super().__init__(settings, jobs=1, retries=0, **limits)
        self.exchanges: list[Exchange] = []

    def _send_once(self, request: Request, headers: dict[str, str]) -> Response:
        began = time.monotonic()
        response = None
        try:
            response = super()._send_once(request, headers)
        finally:
            took_ms = (time.monotonic() - began) * 1000
            self.exchanges.append(Exchange(request, response, took_ms))
        return response
