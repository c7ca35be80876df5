"""``connect``: the resources and commands of the command line, returning frames."""

from __future__ import annotations

import os
import time
import weakref
from contextlib import ExitStack, contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

from swanlab_export.api.context import Context
from swanlab_export.api.doctor import Doctor
from swanlab_export.api.outputs import FileOutput, FrameOutput, refuse_store_options, show_warning
from swanlab_export.api.projects import Projects
from swanlab_export.api.resource import F, Output, read_integer, read_number
from swanlab_export.api.runs import Runs
from swanlab_export.api.self_hosted import SelfHosted
from swanlab_export.api.users import Users
from swanlab_export.api.workspaces import Workspaces
from swanlab_export.client import Client
from swanlab_export.errors import UsageError
from swanlab_export.files.store_objects import StoreObjects
from swanlab_export.files.stores import parse_store_url
from swanlab_export.limits import (
    BACKUP,
    JOBS,
    JOBS_MAX,
    MAX_RESPONSE_MB,
    RETRIES,
    RETRIES_MAX,
    TIMEOUT_MAX_S,
    TIMEOUT_S,
)
from swanlab_export.messages import Secret, argument
from swanlab_export.plot import PlotArguments, PlotOptions
from swanlab_export.progress import Progress, TqdmProgress
from swanlab_export.settings import (
    Settings,
    current_folder,
    find_backup,
    find_local,
    load_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    import polars as pl
    import pyarrow as pa

# How long what was read of a backup in a store is taken for what is there.
_KEPT_S = 60


@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["pandas"] = ...,
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    max_response: float = ...,
    progress: bool = ...,
    store_options: Mapping[str, str] | None = ...,
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
    max_response: float = ...,
    progress: bool = ...,
    store_options: Mapping[str, str] | None = ...,
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
    max_response: float = ...,
    progress: bool = ...,
    store_options: Mapping[str, str] | None = ...,
) -> Api[pl.DataFrame]: ...
@overload
def connect(
    *,
    host: str | None = ...,
    api_key: str | None = ...,
    frame: Literal["batches"],
    jobs: int = ...,
    timeout: float = ...,
    retries: int = ...,
    max_response: float = ...,
    progress: bool = ...,
    store_options: Mapping[str, str] | None = ...,
) -> Api[Iterator[pa.RecordBatch]]: ...
def connect(
    *,
    host: str | None = None,
    api_key: str | None = None,
    frame: str = "pandas",
    jobs: int = JOBS,
    timeout: float = TIMEOUT_S,
    retries: int = RETRIES,
    max_response: float = MAX_RESPONSE_MB,
    progress: bool = False,
    store_options: Mapping[str, str] | None = None,
) -> Api[Any]:
    """Connect to a SwanLab server; nothing is sent before the first call.

    Args:
        host: The server; ``"sandbox"`` starts one here, with recorded runs and no account, and
            ``"backup:FOLDER"`` one that serves a backup, read-only. By default SWANLAB_API_HOST,
            else the host of ``swanlab login``.
        api_key: The key; by default SWANLAB_API_KEY, else that of ``swanlab login``.
        frame: What calls return: ``"pandas"``, ``"arrow"`` or ``"polars"`` frames, or ``"batches"``:
            an iterator of Arrow record batches, which need not fit into memory together. With
            ``partial=True``, ``api.left_out`` says of any of them what is not in it.
        jobs: How many requests may be in flight at once.
        timeout: How long to wait for the server's next bytes, in seconds; a response of the API may
            take ten times as long as a whole, and a download must bring 1 KiB/s.
        retries: How often a request that failed for a transient reason is repeated.
        max_response: How large a response of the API may be, decompressed, in MB.
        progress: Show progress bars, in a terminal or notebook.
        store_options: Options of the object store of ``backup:s3://bucket/prefix``, such as
            ``{"endpoint": "https://…"}``; its keys are read from the environment.

    Raises:
        AuthenticationError: There is no key for the host.
        UsageError: An argument cannot be right.

    >>> import swanlab_export as se
    >>> with se.connect(host="sandbox") as api:
    ...     runs = api.run.list("ada-lab/digits")
    >>> runs.loc[runs.slug == "diverged", "state"].item()
    'FINISHED'
    """
    api_key = None if api_key is None else Secret(api_key)
    output = FrameOutput(frame)
    stack = ExitStack()
    context = stack.enter_context(
        open_context(
            host,
            api_key,
            progress=TqdmProgress() if progress else Progress(),
            jobs=jobs,
            timeout_s=timeout,
            retries=retries,
            max_response_mb=max_response,
            store_options=store_options,
        )
    )
    for warning in context.client.settings.warnings:
        show_warning(warning)
    # When the last object that uses it is gone, or at the end of Python while the sandbox's threads
    # still run: later they could not be stopped.
    close = weakref.finalize(context, stack.close)
    return Api(context, output, close)


@contextmanager
def open_context(
    host: str | None,
    api_key: str | None,
    *,
    progress: Progress,
    jobs: int = JOBS,
    timeout_s: float = TIMEOUT_S,
    retries: int = RETRIES,
    max_response_mb: float = MAX_RESPONSE_MB,
    on_wait: Callable[[str], None] | None = None,
    store_options: Mapping[str, str] | None = None,
) -> Iterator[Context]:
    """Open a context on a server; one for the sandbox or for a backup is started here."""
    jobs, retries = read_integer("jobs", jobs), read_integer("retries", retries)
    timeout_s = read_number("timeout", timeout_s)
    max_response_mb = read_number("max_response", max_response_mb)
    if not 1 <= jobs <= JOBS_MAX:
        raise UsageError(f"{argument('jobs')} is 1 to {JOBS_MAX}")
    if not 0 < timeout_s <= TIMEOUT_MAX_S:
        raise UsageError(
            f"{argument('timeout')} is more than 0 s and at most {TIMEOUT_MAX_S:.0f} s"
        )
    if not 0 <= retries <= RETRIES_MAX:
        raise UsageError(f"{argument('retries')} is 0 to {RETRIES_MAX}")
    if not 0 < max_response_mb < inf:
        raise UsageError(f"{argument('max_response')} is more than 0 MB")
    with (
        _settings(host, api_key, store_options) as settings,
        Client(
            settings,
            jobs=jobs,
            timeout_s=timeout_s,
            retries=retries,
            max_response_bytes=int(max_response_mb * 1024**2),
            on_wait=on_wait,
        ) as client,
    ):
        yield Context(client, progress)


@contextmanager
def _settings(
    host: str | None, api_key: str | None, store_options: Mapping[str, str] | None
) -> Iterator[Settings]:
    local = find_local(host, os.environ)
    if store_options and "://" not in (local or ""):
        raise UsageError(f"{argument('store_options')} is for a host such as backup:s3://bucket/x")
    if local is None:
        yield load_settings(host, api_key, environ=os.environ, cwd=current_folder())
        return
    folder = find_backup(local)
    if folder is not None and api_key:
        raise UsageError(f"{argument('api_key')}: a backup needs no key; leave it out")
    try:
        from swanlab_export.sandbox import DatasetError, Sandbox
    except ImportError:
        raise UsageError(f"{argument('host', local)} needs Flask: pip install flask") from None
    try:
        sandbox = Sandbox(
            _ServedStore(folder, store_options) if isinstance(folder, str) else folder
        )
    except DatasetError as error:
        raise UsageError(f"{argument('host', local)}: {error}") from None
    with sandbox:
        yield Settings(
            sandbox.url,
            sandbox.web_url,
            api_key or sandbox.api_key,
            key_source=argument("api_key") if api_key else "",
            local=local if folder is None else f"{BACKUP}:{folder}",
        )


class _ServedStore:
    """The objects of a backup in a store, as the sandbox reads them.

    What was read is kept for up to a minute: to ask each time whether an object is still the same
    would double the requests.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None) -> None:
        found = parse_store_url(url, options, called="host", is_prefix=True)
        self._objects = StoreObjects(str(found), found.options)
        self.read = self._objects.read
        self.open = self._objects.open

    def __repr__(self) -> str:
        return str(self._objects)

    def list(self, prefix: str) -> list[str]:
        """The paths of the objects below a prefix."""
        return [entry.path for entry in self._objects.list(prefix)]

    def version(self, path: str) -> str:
        """Another text each minute."""
        del path
        return str(time.monotonic() // _KEPT_S)


class Api(Doctor[F]):
    """A connection to one server; ``connect`` makes one.

    Each call returns a frame of the table that the command of its name prints::

        api.workspace.info  .list           workspaces
        api.project.info  .list  .create    projects
        api.run.list  .filter  .info        runs with configs, and results on request
        api.run.metrics                     points, sampled or all of them
        api.run.summary                     latest, min, max, avg, median and std of metrics
        api.run.series  .columns  .column   keys
        api.run.medias                      images, audio and so on, with URLs or as files
        api.run.logs  .export_logs          console logs
        api.user.info                       who is logged in
        api.doctor                          what this server offers, for a report of a problem
        api.self_hosted.info  .summary  .create_user  .create_users  .list_users
                        .list_projects  .list_workspaces
                                            administration of a self-hosted instance
    """

    def __init__(self, context: Context, output: Output[F], close: Callable[[], object]) -> None:
        super().__init__(context, output)
        self._close = close
        self.context = context
        self.output = output
        self.workspace: Workspaces[F] = Workspaces(context, output)
        self.project: Projects[F] = Projects(context, output)
        self.run: Runs[F] = Runs(context, output)
        self.user: Users[F] = Users(context, output)
        self.self_hosted: SelfHosted[F] = SelfHosted(context, output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Api({self.context.client.settings.name!r})"

    @property
    def left_out(self) -> list[dict[str, str]]:
        """What the latest call left out because it failed: ``[{"item": …, "reason": …}]``.

        Empty if its result is complete. Only calls with ``partial=True`` leave something out; then
        it also warns. This is for every kind of frame: pandas has the same in ``.attrs`` and Arrow
        in its metadata, but a polars frame holds no metadata, and ``batches`` know it only once all
        of them have been read. Threads that share a connection take an ``api.using(…)`` each.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox", frame="polars") as api:
        ...     runs = api.run.list("ada-lab/digits", partial=True)
        ...     is_complete = not api.left_out
        >>> is_complete
        True
        """
        return self.output.report.left_out()

    def close(self) -> None:
        """Close the connections, and the sandbox where there is one."""
        self._close()

    @overload
    def using(self, frame: Literal["pandas"]) -> Api[pd.DataFrame]: ...
    @overload
    def using(self, frame: Literal["arrow"]) -> Api[pa.Table]: ...
    @overload
    def using(self, frame: Literal["polars"]) -> Api[pl.DataFrame]: ...
    @overload
    def using(self, frame: Literal["batches"]) -> Api[Iterator[pa.RecordBatch]]: ...
    @overload
    def using(self, *, save: os.PathLike[str], **plot: Unpack[PlotArguments]) -> Api[Path]: ...
    @overload
    def using(
        self,
        *,
        save: str,
        store_options: Mapping[str, str] | None = ...,
        **plot: Unpack[PlotArguments],
    ) -> Api[Path | str]: ...
    def using(
        self,
        frame: str | None = None,
        *,
        save: str | os.PathLike[str] | None = None,
        store_options: Mapping[str, str] | None = None,
        **plot: Unpack[PlotArguments],
    ) -> Api[Any]:
        """The same connection, whose calls return something else.

        Args:
            frame: The kind of frame that calls return, as in ``connect``.
            save: Calls write their table to this file instead, and return its path. The extension
                gives the format; ``.png``, ``.svg`` and ``.pdf`` draw metrics. A URL such as
                ``s3://bucket/runs.parquet`` is an object of a store, whose keys are read from the
                environment; then calls return the URL.
            store_options: Options of the object store: ``{"endpoint": "https://…"}``, or a region.
            plot: How pictures are drawn: ``log_scale``, ``title``, ``size`` and ``color_by``; see
                ``api.run.metrics``.

        Raises:
            UsageError: The kind of frame or the extension is unknown, or an argument has no meaning.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     api.using("arrow").user.info()["username"].to_pylist()
        ['ada']
        """
        if (frame is None) == (save is None):
            raise UsageError(f"give one of {argument('frame')} and {argument('save')}")
        options = PlotOptions.parse(**plot)
        if save is None:
            options.refuse(f"pictures: see {argument('save')}")
            refuse_store_options(store_options)
        output: Output[Any] = (
            FrameOutput(frame or "")
            if save is None
            else FileOutput(save, options, store_options=store_options)
        )
        return Api(self.context, output, self._close)
