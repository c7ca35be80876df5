"""Media: what was logged at a step or at all steps, and the URLs of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.client import Client, Request
from swanlab_export.endpoints.releases import fixed
from swanlab_export.endpoints.runs import bounded
from swanlab_export.normalizers.details import MediaItem, media_items
from swanlab_export.normalizers.values import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.report import Report


def fetch_media_step(client: Client, source: RunSource, keys: Sequence[str], step: int) -> Any:
    """Fetch the media of one step: ``POST /house/metrics/media``."""
    return client.send(_request("/house/metrics/media", source, keys, step=step))


def read_media_step(payload: Any, keys: Sequence[str], report: Report) -> Iterator[MediaItem]:
    """Read the items of one step, in the order of ``keys``."""
    found = as_object(payload or {}, "media of a step")
    by_key = _by_key(found.get("metrics"))
    for key in keys:
        yield from media_items(key, found.get("step"), by_key.get(key), report)


def read_steps(payload: Any) -> list[Any]:
    """Read at which steps there are media, from the payload of one step."""
    return as_list(as_object(payload or {}, "media of a step").get("steps"), "a list of steps")


def medias_request(source: RunSource, keys: Sequence[str]) -> Request:
    """Ask for the media of all steps: ``POST /house/metrics/f_media``."""
    return _request("/house/metrics/f_media", source, keys)


def fetch_media(client: Client, source: RunSource, keys: Sequence[str]) -> Any:
    """Fetch the media of all steps."""
    return client.send(medias_request(source, keys))


def read_media(payload: Any, keys: Sequence[str], report: Report) -> Iterator[MediaItem]:
    """Read the items of all steps, in the order of ``keys``."""
    by_key = _by_key(payload)
    for key in keys:
        for entry in as_list(by_key.get(key, {}).get("metrics"), "media of a key"):
            if entry is not None:
                found = as_object(entry, "media of a step")
                yield from media_items(key, found.get("index"), found, report)


def fetch_media_urls(client: Client, source: RunSource, paths: Sequence[str]) -> Any:
    """Have media files presigned: ``POST /resources/presigned/get``."""
    body = {"prefix": f"{source.project_id}/{source.run_id}", "paths": list(paths)}
    return client.send(Request("POST", "/resources/presigned/get", body=body))


def _request(path: str, source: RunSource, keys: Sequence[str], **more: Any) -> Request:
    def build(some: Sequence[RunSource]) -> Request:
        columns = [run.column(key) for run in some for key in keys]
        return fixed("POST", path, body={"projectId": source.project_id, "columns": columns} | more)

    return bounded(build, [source])


def _by_key(payload: Any) -> dict[Any, Mapping[str, Any]]:
    entries = [entry for entry in as_list(payload, "media by key") if entry is not None]
    return {as_object(entry, "media of a key").get("key"): entry for entry in entries}
