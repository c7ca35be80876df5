"""From a host and a key to a context: the way into every command, from either door."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from swanlab_export.api.context import Context
from swanlab_export.client import Client
from swanlab_export.errors import UsageError, argument
from swanlab_export.settings import Settings, current_folder, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swanlab_export.progress import Progress

SANDBOX = "sandbox"
JOBS = 8
TIMEOUT_S = 30.0
RETRIES = 5
_JOBS_MAX = 64


@contextmanager
def open_context(
    host: str | None,
    api_key: str | None,
    *,
    progress: Progress,
    jobs: int = JOBS,
    timeout_s: float = TIMEOUT_S,
    retries: int = RETRIES,
) -> Iterator[Context]:
    """Open a context on a server, or on the sandbox, started here, where that is the host."""
    if not 1 <= jobs <= _JOBS_MAX:
        raise UsageError(f"{argument('jobs')} is 1 to {_JOBS_MAX}")
    if not 0 < timeout_s <= 3600:
        raise UsageError(f"{argument('timeout')} is more than 0 s and at most 3600 s")
    if not 0 <= retries <= 20:
        raise UsageError(f"{argument('retries')} is 0 to 20")
    with (
        _settings(host, api_key) as settings,
        Client(settings, jobs=jobs, timeout_s=timeout_s, retries=retries) as client,
    ):
        yield Context(client, progress)


@contextmanager
def _settings(host: str | None, api_key: str | None) -> Iterator[Settings]:
    if (host or os.environ.get("SWANLAB_API_HOST", "")).strip() != SANDBOX:
        yield load_settings(host, api_key, environ=os.environ, cwd=current_folder())
        return
    try:
        from swanlab_export.sandbox import Sandbox
    except ImportError:
        raise UsageError(
            f"{argument('host', 'sandbox')} needs Flask: pip install 'swanlab-export[sandbox]'"
        ) from None
    with Sandbox() as sandbox:
        yield Settings(sandbox.url, sandbox.url, api_key or sandbox.api_key)
