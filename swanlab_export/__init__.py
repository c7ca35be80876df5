"""Every `swanlab api` command, with every response turned into a typed table.

    import swanlab_export as se

    api = se.connect()                     # or se.connect(host="sandbox"), without an account
    runs = api.run.list("team/project")
    loss = api.run.metrics("team/project/run", keys="loss", all=True)

Public names: ``connect``, ``backup``, ``Api``, ``SwanlabExportWarning`` and the errors ``SwanlabExportError``,
``UsageError``, ``AuthenticationError``, ``NotFoundError``, ``IncompleteError``,
``UnavailableError``, ``ServerError``, ``UncertainError``, ``OutputError``, ``ClosedError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export._version import __version__
from swanlab_export.errors import (
    AuthenticationError,
    ClosedError,
    IncompleteError,
    NotFoundError,
    OutputError,
    ServerError,
    SwanlabExportError,
    SwanlabExportWarning,
    UnavailableError,
    UncertainError,
    UsageError,
)

if TYPE_CHECKING:
    from swanlab_export.api.connect import Api, connect
    from swanlab_export.backups.run import backup

__all__ = [
    "Api",
    "AuthenticationError",
    "ClosedError",
    "IncompleteError",
    "NotFoundError",
    "OutputError",
    "ServerError",
    "SwanlabExportError",
    "SwanlabExportWarning",
    "UnavailableError",
    "UncertainError",
    "UsageError",
    "__version__",
    "backup",
    "connect",
]


def __getattr__(name: str) -> Any:
    # Imported when first used: `swanlab api --help` must not wait for Arrow.
    if name == "backup":
        from swanlab_export.backups import run

        return run.backup
    if name not in {"Api", "connect"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from swanlab_export.api import connect

    return getattr(connect, name)


def __dir__() -> list[str]:
    return sorted([*globals(), "Api", "backup", "connect"])
