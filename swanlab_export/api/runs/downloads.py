"""Files that the server writes on demand: presigned, then downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swanlab_export.endpoints import metrics as endpoint

if TYPE_CHECKING:
    from swanlab_export.client import Client, Download


def presign(client: Client, paths: list[str]) -> list[str]:
    """Presign exported files, all in one request."""
    return endpoint.read_urls(endpoint.fetch_file_urls(client, paths), len(paths))


def open_download(
    client: Client, path: str, what: str, url: str | None, *, needs_length: bool = True
) -> Download:
    """Open a download; ``url`` serves its first attempt, each further one presigns anew."""
    urls = [] if url is None else [url]

    def find_url() -> str:
        return urls.pop() if urls else presign(client, [path])[0]

    return client.download(find_url, what, needs_length=needs_length)
