"""``api.run.medias``: what was logged at a step or at all steps, and the files themselves."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.api.context import Result
from swanlab_export.api.partial import Partial
from swanlab_export.api.resource import F, Resource, read_integer
from swanlab_export.api.runs.find import find_run
from swanlab_export.api.runs.keys import check_returned, match_keys
from swanlab_export.api.runs.points import columns_of_runs, join_columns, parse_columns
from swanlab_export.endpoints import medias as endpoint
from swanlab_export.endpoints.metrics import read_urls
from swanlab_export.errors import SwanlabExportError, UsageError
from swanlab_export.files.folder import FolderWriter
from swanlab_export.files.marks import mark_in, marking
from swanlab_export.files.stores import is_store_url
from swanlab_export.messages import argument, quote, shell_command
from swanlab_export.normalizers.details import normalize_medias
from swanlab_export.pagination import in_batches
from swanlab_export.tables import Table, provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swanlab_export.api.context import Context
    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.normalizers.details import MediaItem
    from swanlab_export.report import Report

_URLS_PER_REQUEST = 200


class RunMedias(Resource[F]):
    """Images, audio and other media."""

    def medias(
        self,
        path: str,
        *,
        keys: str | Sequence[str],
        step: int | None = None,
        all: bool = False,
        download: str | PathLike[str] | None = None,
        partial: bool = False,
        run_columns: str | Sequence[str] | None = None,
    ) -> F:
        """Images, audio and other media; one row per key, step and item.

        Args:
            path: The run.
            keys: Media keys, or patterns.
            step: The step to look at, 0 by default.
            all: Every step instead.
            download: Fetch the files into this folder too, all or none; adds the columns file
                and size_bytes (bytes).
            partial: Leave out keys and files that fail, and say which; the folder then has a file
                ``incomplete.json`` that says it, too.
            run_columns: Columns of the run to add to each row: ``"state,config.lr"``.

        Raises:
            NotFoundError: There is no such run, or it has no such key; names the closest ones.
            IncompleteError: A file did not arrive whole; then none is kept.

        Source: ``POST /house/metrics/media`` or ``…/f_media``; URLs of
        ``POST /resources/presigned/get``, which expire.

        >>> import swanlab_export as se
        >>> with se.connect(host="sandbox") as api:
        ...     images = api.run.medias("ada-lab/digits/mlp-adam", keys="val/*", all=True)
        >>> images["step"].tolist()[:2]
        [43, 219]
        """
        ref = self._context.run_ref(path)
        patterns = schemas.parse_names(keys, "keys")
        step = None if step is None else read_integer("step", step)
        if step is not None and not 0 <= step < 2**63:
            raise UsageError(f"{argument('step')} is 0 or more, and fits 64 bits")
        if all and step is not None:
            raise UsageError(f"{argument('step')} and {argument('all', True)} exclude each other")
        if download is not None and not fspath(download):
            raise UsageError(f"{argument('download')} is empty")
        if download is not None and is_store_url(fspath(download)):
            raise UsageError(
                f"{argument('download')} is a folder of this machine; an object store takes tables "
                f"({argument('save')}) and backups ({shell_command('backup run')})"
            )
        folder = None if download is None else FolderWriter(Path(fspath(download)))
        added = parse_columns(run_columns, "run_columns")
        report = self._output.begin(
            schemas.MEDIAS if folder is None else _WITH_FILES, is_final=folder is not None
        )
        context, client = self._context, self._context.client
        run = find_run(context, ref, report)
        columns = columns_of_runs(context, [run], added, "run_columns")
        left_out = Partial(report, is_wanted=partial)
        found = match_keys(client, [run], patterns, "MEDIA", left_out)
        at_step = None if all else step or 0
        payloads, items = _fetch_items(context, run, found, at_step, left_out, report)
        source = context.source(
            "run medias",
            ref,
            keys=patterns,
            step=at_step,
            all=all,
            partial=partial,
            run_columns=added,
        )

        def mark() -> bytes | None:
            return provenance("medias", source, report.left_out()) if report.failures else None

        def table() -> Table:
            signed = _add_urls(context, run, items, left_out)
            made = normalize_medias(signed, report, run.run_id)
            if folder is not None:
                made = _download(context, run, made, folder, left_out, report, mark)
            return join_columns(made, columns, report)

        raw = payloads[0] if len(payloads) == 1 else payloads
        return self._output.deliver(Result(table, lambda: raw, source), report)


_WITH_FILES = replace(schemas.MEDIAS, columns=(*schemas.MEDIAS.columns, *schemas.MEDIA_FILES))


def _fetch_items(
    context: Context,
    run: FoundRun,
    keys: Sequence[str],
    step: int | None,
    partial: Partial,
    report: Report,
) -> tuple[list[Any], list[MediaItem]]:
    """Fetch what was logged at a step, or at all: the payloads, and the items in them."""
    client = context.client

    def fetch(some: list[str]) -> tuple[Any, list[MediaItem]]:
        if step is None:
            payload = endpoint.fetch_media(client, run.source, some)
            return payload, list(endpoint.read_media(payload, some, report))
        payload = endpoint.fetch_media_step(client, run.source, some, step)
        return payload, list(endpoint.read_media_step(payload, some, report))

    payloads: list[Any] = []
    items: list[MediaItem] = []
    there: list[str] = []
    for some, found in partial.fetch(keys, fetch):
        if isinstance(found, SwanlabExportError):
            partial.fail([f"{run.ref}, key {quote(key)}" for key in some], found, "keys")
        else:
            payloads.append(found[0])
            items += found[1]
            there += some
    if step is not None and payloads and not items:
        there_are = [each for payload in payloads for each in endpoint.read_steps(payload)]
        steps = ", ".join(map(str, list(dict.fromkeys(there_are))[:10]))
        only_at = f", only at {steps}" if steps else ""
        report.warn(f"nothing was logged at step {step}{only_at}")
    check_returned(client, [run], {known["key"] for known, _ in items}, there, "MEDIA")
    return payloads, items


def _add_urls(
    context: Context, run: FoundRun, items: Sequence[MediaItem], partial: Partial
) -> Iterator[MediaItem]:
    """Presign the files, a few hundred at a time; an item that is a text has none."""
    for some in in_batches(items, _URLS_PER_REQUEST):
        paths = [known["path"] for known, _ in some if known["path"] is not None]
        urls: dict[str, str] = {}
        for part, signed in partial.fetch(paths, lambda part: _presign(context, run, part)):
            if isinstance(signed, SwanlabExportError):
                partial.fail([_name(run, path) for path in part], signed, "files")
            else:
                urls |= zip(part, signed, strict=True)
        for known, more in some:
            yield known | {"url": urls.get(known["path"])}, more


def _name(run: FoundRun, path: str) -> str:
    return f"{run.ref}, file {quote(path)}"


def _presign(context: Context, run: FoundRun, paths: list[str]) -> list[str]:
    if not paths:
        return []
    payload = endpoint.fetch_media_urls(context.client, run.source, paths)
    return read_urls(payload, len(paths))


def _download(
    context: Context,
    run: FoundRun,
    table: Table,
    folder: FolderWriter,
    partial: Partial,
    report: Report,
    describe: Callable[[], bytes | None],
) -> Table:
    """Fetch every file that has a URL, concurrently; the folder gets them when the last has come.

    ``describe`` gives the mark of the folder, None where nothing was left out.
    """
    rows = table.to_arrow()
    items = rows.select(["key", "path", "url"]).to_pylist()
    file_rows = [row for row, item in enumerate(items) if item["url"] is not None]
    names = folder.plan_names([(items[row]["key"] or "", items[row]["path"]) for row in file_rows])

    def fetch(file: tuple[int, str]) -> tuple[str, int] | SwanlabExportError:
        try:
            return save(*file)
        except SwanlabExportError as error:
            return error

    def save(row: int, name: str) -> tuple[str, int]:
        path, first = items[row]["path"], iter([items[row]["url"]])
        chunks = context.client.download(
            lambda: next(first, None) or _presign(context, run, [path])[0],
            f"the file {quote(path)} of {run.ref}",
        )
        return folder.write(name, chunks)

    saved: list[tuple[str | None, int | None]] = [(None, None)] * len(items)
    files = list(zip(file_rows, names, strict=True))
    with folder, context.progress.bar("files", total=len(files), unit="files") as bar:
        for row, found in zip(file_rows, context.client.map(fetch, files), strict=True):
            bar.add(1)
            if isinstance(found, SwanlabExportError):
                partial.fail_one(_name(run, items[row]["path"]), found, len(files), "files")
            else:
                saved[row] = found
        report.check_left(sum(1 for file, _ in saved if file is not None))
        with marking(mark_in(folder.folder)) as mark:
            mark(describe())
            folder.commit()
    for i, column in enumerate(schemas.MEDIA_FILES):
        values = pa.array([each[i] for each in saved], column.arrow_type)
        rows = rows.append_column(column.field(), values)
    return Table(table.name, rows.schema, rows.to_batches())
