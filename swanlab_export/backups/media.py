"""Media of a run: what was logged at each step, and the files themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.api.partial import can_be_split
from swanlab_export.backups.fetching import Written, dump_text, write_rows_of
from swanlab_export.backups.layout import run_object
from swanlab_export.backups.receipts import Row, Stored, build_rows
from swanlab_export.endpoints import medias as endpoint
from swanlab_export.endpoints.metrics import read_urls
from swanlab_export.errors import OutputError, SwanlabExportError, UnavailableError
from swanlab_export.messages import quote
from swanlab_export.normalizers.values import read_value
from swanlab_export.pagination import in_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from swanlab_export.api.runs.find import FoundRun
    from swanlab_export.backups.destination import Destination, Pending
    from swanlab_export.client import Client
    from swanlab_export.report import Report

_URLS_PER_REQUEST = 200
_ROWS_PER_BATCH = 10_000
# The extension of a file is kept if it can be one.
_EXTENSION_MAX = 11


def write_medias(
    client: Client,
    destination: Destination,
    place: tuple[str, str],
    run: FoundRun,
    keys: Sequence[str],
    known: Mapping[str, Row],
    *,
    has_files: bool,
    report: Report,
    missing: list[str],
) -> Written:
    """Fetch the media of all steps, and the files that are not in the backup.

    Args:
        client: The server.
        destination: The backup.
        place: The folder of the project, and the name of the run's files in it.
        run: The run.
        keys: Its keys of media.
        known: Files that are in the backup, by their paths on the server.
        has_files: Fetch files.
        report: Counts odd values.
        missing: Gets what could not be fetched.
    """
    written = Written(None, Stored())
    if not keys:
        return written
    payload = endpoint.fetch_media(client, run.source, keys)
    rows = []
    for item, more in endpoint.read_media(payload, keys, report):
        rest = dict(more)
        caption = rest.pop("caption", None) if isinstance(rest.get("caption"), str) else None
        rows.append({**item, "caption": caption, "more": dump_text(rest)})
    if has_files:
        folder, file = place
        paths = list(dict.fromkeys(row["path"] for row in rows if row["path"] is not None))
        files = _Files(client, destination, f"files/{folder}/{file}", run, known)
        for path, (pending, found) in zip(paths, files.fetch_all(paths), strict=True):
            if isinstance(found, SwanlabExportError):
                missing.append(f"media {quote(path)}: {found.message}")
            else:
                written.files.append((pending, found | {"source": path}))
    by_path = {found["source"]: found for _, found in written.files}
    for row in rows:
        found = by_path.get(row["path"], {})
        row |= {
            "project_id": run.source.project_id,
            "run_id": run.run_id,
            "file": found.get("path"),
            "size_bytes": found.get("bytes"),
            "sha256": found.get("sha256"),
        }
    batches = (_media_rows(some, report) for some in in_batches(rows, _ROWS_PER_BATCH))
    path = run_object("medias", *place)
    write_rows_of(destination, path, schemas.STORED_MEDIAS, batches, written)
    return written


def _media_rows(rows: list[Row], report: Report) -> pa.RecordBatch:
    for row in rows:
        for name in ("step", "item"):
            row[name] = read_value(name, schemas.INT, row[name], report)
    return build_rows(rows, schemas.STORED_MEDIAS)


class _Files:
    """Files of media of one run, as objects that are named after their content.

    Args:
        client: The server.
        destination: The backup.
        folder: Where the files are.
        run: The run.
        known: Files that are in the backup, by their paths on the server.
    """

    def __init__(
        self,
        client: Client,
        destination: Destination,
        folder: str,
        run: FoundRun,
        known: Mapping[str, Row],
    ) -> None:
        self._client = client
        self._destination = destination
        self._folder = folder
        self._run = run
        self._known = known

    def fetch_all(self, paths: Sequence[str]) -> Iterator[tuple[Pending | None, Any]]:
        """Download files concurrently, in order; what fails is its error."""
        return self._client.map(self._fetch, self._signed(paths))

    def _presign(self, paths: list[str]) -> list[str]:
        payload = endpoint.fetch_media_urls(self._client, self._run.source, paths)
        return read_urls(payload, len(paths))

    def _signed(self, paths: Sequence[str]) -> Iterator[tuple[str, str | None]]:
        """Yield each path with its URL; None where the file is in the backup already."""
        for some in in_batches(paths, _URLS_PER_REQUEST):
            new = [path for path in some if path not in self._known]
            try:
                urls = dict(zip(new, self._presign(new), strict=True)) if new else {}
            except SwanlabExportError as error:
                if not can_be_split(error):
                    raise
                urls = dict.fromkeys(new, "")  # each file asks for its own
            yield from ((path, urls.get(path)) for path in some)

    def _fetch(self, signed: tuple[str, str | None]) -> tuple[Pending | None, Any]:
        path, url = signed
        if url is None:
            return None, self._known[path]
        pending = self._destination.create(self._folder)
        try:
            size, sha256 = self._download(path, url, pending)
        except OutputError:
            pending.discard()
            raise
        except SwanlabExportError as error:
            pending.discard()
            if error.status is None and isinstance(error, UnavailableError):
                raise  # nothing can be reached, so that no other file need be tried
            return None, error
        pending.path = f"{self._folder}/{sha256}{_extension(path)}"
        return pending, {"path": pending.path, "bytes": size, "sha256": sha256}

    def _download(self, path: str, url: str, pending: Pending) -> tuple[int, str]:
        first = iter([url] if url else [])
        for chunk in self._client.download(
            lambda: next(first, None) or self._presign([path])[0], f"the file {quote(path)}"
        ):
            pending.write(chunk)
        return pending.finish()


def _extension(path: str) -> str:
    """The extension of a file, where it is a plain one."""
    extension = path.rpartition("/")[2].rpartition(".")
    found = extension[2].lower() if extension[1] else ""
    return (
        f".{found}" if found.isascii() and found.isalnum() and len(found) < _EXTENSION_MAX else ""
    )
