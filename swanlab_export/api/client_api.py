"""``connect``: the nouns and verbs of the command line, answering with frames."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, overload

from swanlab_export.api.connect import JOBS, RETRIES, TIMEOUT_S, open_context
from swanlab_export.api.frames.to_frame import Frame, check_frame
from swanlab_export.api.nouns.base import F, warn
from swanlab_export.api.nouns.run import Runs
from swanlab_export.api.nouns.self_hosted import SelfHosted
from swanlab_export.api.nouns.small import Projects, Users, Workspaces
from swanlab_export.progress import Progress, TqdmProgress

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from swanlab_export.api.context import Context


@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["pandas"] = ...,
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    progress: bool = ...,
) -> Api[pd.DataFrame]: ...
@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["arrow"],
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    progress: bool = ...,
) -> Api[pa.Table]: ...
@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["polars"],
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    progress: bool = ...,
) -> Api[pl.DataFrame]: ...
def connect(
    *,
    host: str | None = None,
    api_key: str | None = None,
    frame: Frame = "pandas",
    jobs: int = JOBS,
    timeout: float = TIMEOUT_S,
    retries: int = RETRIES,
    progress: bool = False,
) -> Api[Any]:
    """Connect to a SwanLab server; nothing is sent before the first call.

    Args:
        host: The server; ``"sandbox"`` starts one here, with recorded runs and no account. By
            default SWANLAB_API_HOST, else the host of ``swanlab login``.
        api_key: The key; by default SWANLAB_API_KEY, else that of ``swanlab login``.
        frame: What calls return: ``"pandas"``, ``"arrow"`` or ``"polars"``.
        jobs: How many requests may be in flight at once.
        timeout: How long to wait for the server's next bytes, in seconds; an answer may take ten
            times as long as a whole, and a download must bring 1 KiB/s.
        retries: How often to repeat what failed in passing.
        progress: Show progress bars, in a terminal or notebook.

    Raises:
        AuthenticationError: There is no key for the host.
        UsageError: An argument cannot be right.

    >>> import swanlab_export as se
    >>> with se.connect(host="sandbox") as api:
    ...     runs = api.run.list("ada-lab/digits", full=True)
    >>> runs.loc[runs.slug == "diverged", "state"].item()
    'FINISHED'
    """
    check_frame(frame)
    stack = ExitStack()
    context = stack.enter_context(
        open_context(
            host,
            api_key,
            progress=TqdmProgress() if progress else Progress(),
            jobs=jobs,
            timeout_s=timeout,
            retries=retries,
        )
    )
    return Api(context, frame, stack)


class Api(Generic[F]):
    """A connection to one server; ``connect`` makes one.

    Each call answers with a frame, as the command of its name does with a table::

        api.workspace.info                  one workspace
        api.project.info  .list  .create    projects
        api.run.list  .filter  .info        runs with configs, and results on request
        api.run.metrics  .metrics_batches   points, as a frame, a file or a stream
        api.run.summary                     latest, min, max, avg, median and std of metrics
        api.run.series  .columns  .column   keys
        api.run.medias                      images, audio and so on, with URLs or as files
        api.run.logs  .export_logs          console logs
        api.user.info                       who is logged in
        api.self_hosted.info  .summary  .create_user  .list_users  .list_projects
                        .list_workspaces    administration of a self-hosted instance
    """

    def __init__(self, context: Context, frame: Frame, stack: ExitStack) -> None:
        # With the last noun that uses it, or at the end of Python, while the sandbox's threads still
        # live: later they could not be stopped.
        self._close = weakref.finalize(context, stack.close)
        self._context = context
        for warning in context.client.settings.warnings:
            warn(warning, depth=4)
        self.workspace: Workspaces[F] = Workspaces(context, frame)
        self.project: Projects[F] = Projects(context, frame)
        self.run: Runs[F] = Runs(context, frame)
        self.user: Users[F] = Users(context, frame)
        self.self_hosted: SelfHosted[F] = SelfHosted(context, frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Api({self._context.client.settings.host!r})"

    def close(self) -> None:
        """Close the connections, and the sandbox where there is one."""
        self._close()
