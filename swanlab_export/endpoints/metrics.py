"""Metric data: keys, summaries, sampled points, full exports and their files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_path

from swanlab_export.client import Client, Request
from swanlab_export.endpoints.releases import fixed
from swanlab_export.endpoints.runs import bounded
from swanlab_export.errors import ServerError, SwanlabExportError
from swanlab_export.messages import quote
from swanlab_export.normalizers.values import (
    as_fields,
    as_float,
    as_int,
    as_list,
    as_object,
    read_as,
    refuse_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from swanlab_export.endpoints.runs import RunSource
    from swanlab_export.report import Report

_KEYS_PER_PAGE = 2000
_SUMMARIES = "/house/metrics/summaries"
# Statuses of a server that may take the same request in another form.
_OTHER_FORM = {400, 404, 422}


def keys_page(sources: Sequence[RunSource], metric_type: str, cursor: str) -> Request:
    """Ask for the keys behind ``cursor``: ``POST /house/metrics/{scalar,media}/keys``."""

    def build(some: Sequence[RunSource]) -> Request:
        experiments = [source.origin() for source in some]
        body = {"experiments": experiments, "limit": _KEYS_PER_PAGE, "cursor": cursor}
        return fixed("POST", f"/house/metrics/{metric_type.lower()}/keys", body=body)

    return bounded(build, sources)


def read_keys(payload: Mapping[str, Any]) -> list[str]:
    """Read the keys of a page.

    Raises:
        ServerError: It is something else than a page of keys.
    """
    if "keys" not in payload:
        raise ServerError("the server sent a page without a list of keys")
    return _read_names(payload.get("keys"), "a list of keys")


def fetch_availability(
    client: Client, sources: Sequence[RunSource], keys: Sequence[str], metric_type: str = "SCALAR"
) -> Any:
    """Fetch which runs have which keys: ``POST /house/metrics/{scalar,media}/availability``."""

    def build(some: Sequence[RunSource]) -> Request:
        body = {"keys": list(keys), "experiments": [source.origin() for source in some]}
        return fixed("POST", f"/house/metrics/{metric_type.lower()}/availability", body=body)

    return client.send(bounded(build, sources))


def fetch_latest(client: Client, source: RunSource) -> Any:
    """Fetch every key of one run with its latest step, which older servers offer, too.

    ``GET /house/metrics/summaries/{project}/{run}``.
    """
    project_id, run_id = (quote_path(name, safe="") for name in source.origin_ids())
    path = f"/house/metrics/summaries/{project_id}/{run_id}"
    return client.send(Request("GET", path, params=(("all", "True"),)))


def read_latest(payload: Any, metric_type: str) -> dict[str, Any]:
    """Read the latest step of each key of a type from what ``fetch_latest`` returns."""
    what = "keys with their latest steps"
    found = as_object(payload or {}, what).get(metric_type.lower())
    items = [as_object(item, "a key") for item in as_list(found, what) if item is not None]
    keys = _read_names([item.get("key") for item in items], what)
    return dict(zip(keys, ({"step": item.get("step")} for item in items), strict=True))


def read_availability(
    payload: Any, sources: Sequence[RunSource], keys: Sequence[str]
) -> dict[str, set[str]]:
    """Read for each key the ids of the runs that have it; a clone has what its original has."""
    by_key = {} if payload is None else as_object(payload, "runs by key")
    if not by_key.keys() & set(keys):
        refuse_error(by_key, "runs by key")
    ids = {key: set(_read_names(by_key.get(key), "a list of run ids")) for key in keys}
    return {
        key: {s.run_id for s in sources if ids[key] & {s.run_id, s.root_run_id} - {""}}
        for key in keys
    }


def fetch_summaries(
    client: Client, sources: Sequence[RunSource], keys: Sequence[str] | None
) -> Any:
    """Fetch the summaries of many runs at once: ``POST /house/metrics/summaries``.

    Older servers take a bare list of runs, without keys, or refuse the creation times.
    """

    def of_object(some: Sequence[RunSource]) -> Request:
        body: dict[str, Any] = {"experiments": [source.run() for source in some]}
        if keys is not None:
            body["keys"] = list(keys)
        return fixed("POST", _SUMMARIES, body=body)

    forms: dict[str, Callable[[], Request]] = {
        "summaries of an object": lambda: of_object(sources),
        "summaries of a list": lambda: Request(
            "POST", _SUMMARIES, body=[source.undated() for source in sources]
        ),
        "summaries without times": lambda: of_object([source.unbound() for source in sources]),
    }
    failed: dict[str, SwanlabExportError] = {}
    for form, build in forms.items():
        if client.capabilities.lacks(form):
            continue
        try:
            payload = client.send(build())
        except SwanlabExportError as error:
            is_refused = isinstance(error, ServerError) and error.status in _OTHER_FORM
            if not failed and (not is_refused or client.capabilities.offers(form)):
                raise
            failed[form] = error
            continue
        client.capabilities.learn(form, is_offered=True)
        for other in failed:
            client.capabilities.learn(other, is_offered=False)
        return payload
    raise next(iter(failed.values()))


def read_summaries(
    payload: Any, sources: Sequence[RunSource], keys: Sequence[str] | None, report: Report
) -> dict[str, Mapping[str, Any]]:
    """Read the summary of each run by its id; a run that the server left out is not in it.

    Only ``keys`` are read, in their order; None means all. A null is a run without data; what is no
    object is odd, and counts as one.
    """
    by_id = {} if payload is None else as_object(payload, "summaries by run")
    refuse_error(by_id, "summaries by run")
    found: dict[str, Mapping[str, Any]] = {}
    for source in sources:
        if source.run_id in by_id:
            summary = read_as(as_fields, "summary", by_id[source.run_id], report) or {}
            wanted = summary if keys is None else [key for key in keys if key in summary]
            found[source.run_id] = {key: summary[key] for key in wanted}
    return found


def read_latest_steps(summary: Mapping[str, Any]) -> dict[str, int]:
    """Read the latest step of each key, where the summary has one.

    Raises:
        ServerError: A step is no integer, so that nothing can be checked against it.
    """
    items = {key: as_object(item, "a summary") for key, item in summary.items() if item}
    steps = {key: item.get("step") for key, item in items.items()}
    return {key: _read_step(step) for key, step in steps.items() if step is not None}


def read_nonfinite(summary: Mapping[str, Any]) -> list[str]:
    """Read of which keys a summary says that they have NaN or infinite points."""
    return [key for key, item in summary.items() if any(map(_is_nonfinite, _numbers_of(item)))]


def _numbers_of(item: Any) -> Iterator[Any]:
    """What a summary says of a key: single values, and those inside of objects and lists."""
    values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else [item]
    for value in values:
        if isinstance(value, dict | list):
            yield from _numbers_of(value)
        else:
            yield value


def _is_nonfinite(value: Any) -> bool:
    try:
        return not math.isfinite(as_float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def lacks_samples(client: Client) -> bool:
    """Say whether the server is known to draw no samples."""
    return client.capabilities.lacks("POST /house/metrics/scalar")


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

    def build(some: Sequence[RunSource]) -> Request:
        body: dict[str, Any] = {
            "projectId": source.project_id,
            "xType": x_axis,
            "range": [0, 0],
            "columns": [run.column(key) for run in some for key in keys],
            "num": points,
        }
        if x_key is not None:
            body["xKey"] = x_key
        return fixed("POST", "/house/metrics/scalar", body=body)

    return client.send(bounded(build, [source]))


def read_series_keys(series: Sequence[Any]) -> list[str]:
    """Read which keys sampled series are of."""
    return [each["key"] for each in series if isinstance(each.get("key"), str)]


def fetch_export(client: Client, source: RunSource, keys: Sequence[str]) -> Any:
    """Have every point of at most 16 keys written to a CSV file.

    ``POST /house/metrics/scalar/export``. The run's id goes as its name: it only shapes the CSV
    header, and an id needs no quoting there.
    """
    name = {"experimentName": source.run_id}

    def build(some: Sequence[RunSource]) -> Request:
        columns = [run.column(key) | name for run in some for key in keys]
        body = {"projectId": source.project_id, "columns": columns}
        return fixed("POST", "/house/metrics/scalar/export", body=body)

    return client.send(bounded(build, [source]))


def lacks_export(client: Client) -> bool:
    """Say whether the server is known to export no more than one key at a time."""
    return client.capabilities.lacks("POST /house/metrics/scalar/export")


def fetch_column_file(client: Client, source: RunSource, key: str) -> Any:
    """Have every point of one key written to a CSV file: ``GET /experiment/{id}/column/csv``."""
    path = f"/experiment/{quote_path(source.run_id, safe='')}/column/csv"
    return client.send(Request("GET", path, params=(("key", key),)))


def read_column_url(payload: Any, what: str) -> str:
    """Read where a file of one key can be downloaded.

    Raises:
        ServerError: The payload does not say; the message names ``what``.
    """
    return _read_location(payload, "url", what)


def read_export_path(payload: Any, what: str) -> str:
    """Read where on the server an export was written to.

    Raises:
        ServerError: The payload does not say; the message names ``what``.
    """
    return _read_location(payload, "cosKey", what)


def fetch_file_urls(client: Client, paths: Sequence[str]) -> Any:
    """Have exported files presigned: ``POST /files/presigned/get``."""
    return client.send(Request("POST", "/files/presigned/get", body={"paths": list(paths)}))


def read_urls(payload: Any, count: int) -> list[str]:
    """Read ``count`` presigned URLs.

    Raises:
        ServerError: There are fewer or more, or they are not text.
    """
    found = as_list(as_object(payload or {}, "presigned URLs").get("urls"), "a list of URLs")
    urls = [url for url in found if isinstance(url, str)]
    if len(urls) != count or len(found) != count:
        raise ServerError(f"{count} files were to be presigned, {len(urls)} URLs came")
    return urls


def label_run(run_id: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A payload with the id of its run, for raw output about several runs."""
    return {"experimentId": run_id, **payload}


def _read_step(step: Any) -> int:
    try:
        return as_int(step)
    except (TypeError, ValueError, OverflowError):
        raise ServerError(f"the server sent {quote(str(step))} as the latest step") from None


def _read_names(payload: Any, what: str) -> list[str]:
    """Read a list of keys or ids; nulls in it are left out."""
    found = [each for each in as_list(payload, what) if each is not None]
    if not all(isinstance(each, str) for each in found):
        raise ServerError(f"the server sent {what} with something else than text in it")
    return found


def _read_location(payload: Any, name: str, what: str) -> str:
    location = payload.get(name) if isinstance(payload, dict) else None
    if not isinstance(location, str) or not location:
        raise ServerError(f"the server wrote {what}, but does not say where it is")
    return location
