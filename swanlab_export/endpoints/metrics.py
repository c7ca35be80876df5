"""Metric data: sampled points, full exports, media, and the files behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.client import Client, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swanlab_export.endpoints.run import RunSource

COLUMNS_MAX = 16
SAMPLE_MAX = 1500


def fetch_sample(
    client: Client,
    source: RunSource,
    keys: Sequence[str],
    *,
    points: int,
    x_axis: str,
    x_key: str | None,
) -> Any:
    """Fetch at most ``points`` points per key: ``POST /house/metrics/scalar``."""
    body: dict[str, Any] = {
        "projectId": source.project_id,
        "xType": x_axis,
        "range": [0, 0],
        "columns": [source.column(key) for key in keys],
        "num": points,
    }
    if x_key is not None:
        body["xKey"] = x_key
    return client.send(Request("POST", "/house/metrics/scalar", body=body))


def fetch_export(client: Client, source: RunSource, keys: Sequence[str]) -> Any:
    """Have every point of at most 16 keys written to a CSV file.

    ``POST /house/metrics/scalar/export``. The run's id goes as its name: it only shapes the CSV
    header, and an id needs no quoting there.
    """
    columns = [source.column(key) | {"experimentName": source.run_id} for key in keys]
    body = {"projectId": source.project_id, "columns": columns}
    return client.send(Request("POST", "/house/metrics/scalar/export", body=body))


def fetch_media_step(
    client: Client, source: RunSource, keys: Sequence[str], step: int | None
) -> Any:
    """Fetch the media of one step: ``POST /house/metrics/media``."""
    body = _media_body(source, keys)
    if step is not None:
        body["step"] = step
    return client.send(Request("POST", "/house/metrics/media", body=body))


def fetch_media(client: Client, source: RunSource, keys: Sequence[str]) -> Any:
    """Fetch the media of all steps: ``POST /house/metrics/f_media``."""
    return client.send(Request("POST", "/house/metrics/f_media", body=_media_body(source, keys)))


def fetch_media_urls(client: Client, source: RunSource, paths: Sequence[str]) -> Any:
    """Have media files presigned: ``POST /resources/presigned/get``."""
    body = {"prefix": f"{source.project_id}/{source.run_id}", "paths": list(paths)}
    return client.send(Request("POST", "/resources/presigned/get", body=body))


def fetch_file_urls(client: Client, paths: Sequence[str]) -> Any:
    """Have exported files presigned: ``POST /files/presigned/get``."""
    return client.send(Request("POST", "/files/presigned/get", body={"paths": list(paths)}))


def _media_body(source: RunSource, keys: Sequence[str]) -> dict[str, Any]:
    columns = [source.column(key) for key in keys]
    return {"projectId": source.project_id, "columns": columns}
