"""Files that the server exports on demand: written there, presigned, downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.endpoints import metrics as endpoint
from swanlab_export.errors import ServerError

if TYPE_CHECKING:
    from swanlab_export.api.context import Context
    from swanlab_export.client.download import Download


def exported_path(wire: Any, what: str) -> str:
    """Read where on the server an export was written to."""
    path = wire.get("cosKey") if isinstance(wire, dict) else None
    if not isinstance(path, str) or not path:
        raise ServerError(f"the server made {what}, but does not say where it is")
    return path


def presigned_urls(context: Context, paths: list[str]) -> list[str]:
    """Presign exported files, all in one request."""
    wire = endpoint.fetch_file_urls(context.client, paths)
    urls = wire.get("urls") if isinstance(wire, dict) else None
    if not isinstance(urls, list) or [type(url) for url in urls] != [str] * len(paths):
        raise ServerError("the server does not say where the exported file can be downloaded")
    return urls


def download_file(
    context: Context, path: str, what: str, url: str | None = None, *, must_be_framed: bool = True
) -> Download:
    """Open a download; ``url`` serves its first attempt, each further one presigns anew."""
    urls = [] if url is None else [url]

    def find_url() -> str:
        return urls.pop() if urls else presigned_urls(context, [path])[0]

    return context.client.download(find_url, what, must_be_framed=must_be_framed)
