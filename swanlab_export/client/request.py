"""A request as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swanlab_export.messages import printable

if TYPE_CHECKING:
    from collections.abc import Callable

Parameters = tuple[tuple[str, "str | int"], ...]


@dataclass(frozen=True)
class Request:
    """One request to the API.

    Args:
        method: ``GET`` or ``POST``.
        path: The path below ``/api``.
        params: The query.
        body: What is sent as JSON; None for no body.
        repeatable: False for what would create a thing twice.
        secrets: Values, such as passwords, that no message may show, even if the server repeats
            them.
        since: The generation of servers that an endpoint came with, one of ``GENERATIONS``, where
            its path names no object: then 404 means that the server lacks the endpoint.
        older: Makes the same request without fields that came later, for servers that refuse
            fields which they do not know.
    """

    method: str
    path: str
    params: Parameters = ()
    body: Any = None
    repeatable: bool = True
    secrets: tuple[str, ...] = field(default=(), repr=False)
    since: str = ""
    older: Callable[[], Request] | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        # The path may hold ids that came from a server.
        return f"{self.method} {printable(self.path)}"

    def __repr__(self) -> str:
        # The body may hold a password.
        return f"Request({self.method!r}, {self.path!r})"
