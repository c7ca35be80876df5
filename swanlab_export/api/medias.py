"""Media: what was logged at a step or at all steps, and the files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.api.context import Answer, Context, source_of
from swanlab_export.api.keys import find_keys, parse_keys
from swanlab_export.api.resolve import FoundRun, find_run, in_batches
from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import ServerError, UsageError, argument
from swanlab_export.normalizers.details import MediaItem, media_items, normalize_medias
from swanlab_export.normalizers.values import as_list, as_object
from swanlab_export.refs import escape
from swanlab_export.tables import Table
from swanlab_export.writers.folder import FolderWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_URLS_PER_REQUEST = 200


def medias(
    context: Context,
    path: str,
    *,
    keys: str | Sequence[str],
    step: int = 0,
    full: bool = False,
    download: str | None = None,
) -> Answer:
    """Media items of a run, one row per key, step and item, with presigned URLs.

    With ``download`` the files are fetched into that folder too, all of them or none.
    """
    patterns = parse_keys(keys)
    if not 0 <= step < 2**63:
        raise UsageError(f"{argument('step')} is 0 or more, and fits 64 bits")
    if full and step:
        raise UsageError(f"{argument('step')} and {argument('full', True)} exclude each other")
    folder = None if download is None else FolderWriter(Path(download))
    run = find_run(context, path)
    found = find_keys(context, [run], patterns, "MEDIA")
    if full:
        wire = endpoint.fetch_media(context.client, run.source, found)
        items = list(_items_of_all(wire, found))
    else:
        wire = endpoint.fetch_media_step(context.client, run.source, found, step)
        items = list(_items_of_step(wire, found))
        if not items:
            steps = as_list(
                as_object(wire or {}, "media of a step").get("steps"), "a list of steps"
            )
            known = f", only at {', '.join(map(str, steps[:10]))}" if steps else ""
    notes = [] if full or items else [f"nothing was logged at step {step}{known}"]

    def normalize(_: Any) -> Table:
        signed = list(_with_urls(context, run, items))
        table = normalize_medias(signed, run.run_id)
        return table if folder is None else _download(context, run, table, folder)

    source = source_of(
        context, "run medias", path, keys=patterns, step=None if full else step, full=full
    )
    return Answer(wire, normalize, source, notes=notes)


def _items_of_step(wire: Any, keys: Sequence[str]) -> Iterator[MediaItem]:
    answer = as_object(wire or {}, "media of a step")
    by_key = _by_key(answer.get("metrics"))
    for key in keys:
        yield from media_items(key, answer.get("step"), by_key.get(key))


def _items_of_all(wire: Any, keys: Sequence[str]) -> Iterator[MediaItem]:
    by_key = _by_key(wire)
    for key in keys:
        for entry in as_list(by_key.get(key, {}).get("metrics"), "media of a key"):
            if entry is not None:
                found = as_object(entry, "media of a step")
                yield from media_items(key, found.get("index"), found)


def _by_key(wire: Any) -> dict[Any, Mapping[str, Any]]:
    entries = [entry for entry in as_list(wire, "media by key") if entry is not None]
    return {as_object(entry, "media of a key").get("key"): entry for entry in entries}


def _with_urls(context: Context, run: FoundRun, items: Sequence[MediaItem]) -> Iterator[MediaItem]:
    """Presign the files, a few hundred at a time."""
    for some in in_batches(items, _URLS_PER_REQUEST):
        urls = _presign(context, run, [known["path"] for known, _ in some])
        for (known, more), url in zip(some, urls, strict=True):
            yield known | {"url": url}, more


def _presign(context: Context, run: FoundRun, paths: Sequence[str]) -> list[str]:
    wire = endpoint.fetch_media_urls(context.client, run.source, paths)
    urls = as_list(as_object(wire or {}, "presigned URLs").get("urls"), "a list of URLs")
    urls = [url for url in urls if isinstance(url, str)]
    if len(urls) != len(paths):
        message = f"{len(paths)} media files were to be presigned, {len(urls)} URLs came"
        raise ServerError(message)
    return urls


def _download(context: Context, run: FoundRun, table: Table, folder: FolderWriter) -> Table:
    """Fetch every file side by side; the folder gets them when the last one is whole."""
    rows = table.to_arrow()
    paths, keys = rows["path"].to_pylist(), rows["key"].to_pylist()
    urls = rows["url"].to_pylist()
    names = folder.plan_names(
        [(key or "", path or "") for key, path in zip(keys, paths, strict=True)]
    )

    def fetch(place: int) -> tuple[str, int]:
        first = iter([urls[place]])
        chunks = context.client.download(
            lambda: next(first, None) or _presign(context, run, [paths[place]])[0],
            f"the file {escape(paths[place])} of {run.path}",
        )
        return folder.write(names[place], chunks)

    with folder, context.progress.bar("files", total=len(paths), unit="files") as bar:
        saved = []
        for each in context.client.map(fetch, range(len(paths))):
            bar.add(1)
            saved.append(each)
        folder.publish()
    files, sizes = schemas.MEDIA_FILES
    full = rows.append_column(files.field(), pa.array([f for f, _ in saved], files.arrow_type))
    full = full.append_column(sizes.field(), pa.array([s for _, s in saved], sizes.arrow_type))
    return Table(table.name, full.schema.remove_metadata(), full.to_batches(), notes=table.notes)
