"""Every `swanlab api` command, with every response turned into a typed table.

    import swanlab_export as se

    api = se.connect()                     # or se.connect(host="sandbox"), without an account
    runs = api.run.list("team/project", full=True)
    loss = api.run.metrics("team/project/run", keys="loss", full=True)

Public names: ``connect``, ``Api``, ``read``, ``write``, ``SwanlabExportWarning`` and the errors
``SwanlabExportError``, ``UsageError``, ``AuthenticationError``, ``NotFoundError``,
``IncompleteError``, ``UnavailableError``, ``ServerError``, ``UncertainError``, ``OutputError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.errors import (
    AuthenticationError,
    IncompleteError,
    NotFoundError,
    OutputError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
    UncertainError,
    UsageError,
)

if TYPE_CHECKING:
    from swanlab_export.api.client_api import Api, connect
    from swanlab_export.api.frames.files import read, write
    from swanlab_export.api.nouns.base import SwanlabExportWarning

__title__ = "swanlab-export"
__version__ = "0.1.0"
__all__ = [
    "Api",
    "AuthenticationError",
    "IncompleteError",
    "NotFoundError",
    "OutputError",
    "ServerError",
    "SwanlabExportError",
    "SwanlabExportWarning",
    "UnavailableError",
    "UncertainError",
    "UsageError",
    "connect",
    "read",
    "write",
]

# Imported when first used: `swanlab api --help` must not wait for Arrow.
_LAZY = {
    "Api": "client_api",
    "SwanlabExportWarning": "nouns.base",
    "connect": "client_api",
    "read": "frames.files",
    "write": "frames.files",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"swanlab_export.api.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
