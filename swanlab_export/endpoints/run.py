"""Runs: their records, columns, keys, summaries and console logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swanlab_export.client import Client, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swanlab_export.client.request import Parameters
    from swanlab_export.refs import ProjectRef, RunRef

LOG_SHARD_ROWS = 1000
LOG_EXPORT_ROWS_MAX = 500_000
KEYS_PER_PAGE = 2000


@dataclass(frozen=True)
class RunSource:
    """A run as data requests name it; a clone carries the ids of the run that holds its data."""

    run_id: str
    project_id: str
    created_at_s: int
    root_run_id: str = ""
    root_project_id: str = ""

    def root_ids(self) -> dict[str, str]:
        """The ids of the original, where this is a clone."""
        ids = {"rootProId": self.root_project_id, "rootExpId": self.root_run_id}
        return {name: value for name, value in ids.items() if value}

    def column(self, key: str) -> dict[str, Any]:
        """Name one column of the run."""
        ref = {"experimentId": self.run_id, "key": key, "createdAt": self.created_at_s}
        return ref | self.root_ids()

    def run(self) -> dict[str, Any]:
        """Name the run, with its root ids beside its own."""
        return {
            "projectId": self.project_id,
            "experimentId": self.run_id,
            "createdAt": self.created_at_s,
        } | self.root_ids()

    def origin(self) -> dict[str, Any]:
        """Name the run that holds the data: the original of a clone, else the run itself."""
        return {
            "projectId": self.root_project_id or self.project_id,
            "experimentId": self.root_run_id or self.run_id,
            "createdAt": self.created_at_s,
        }


def fetch_run(client: Client, ref: RunRef) -> Any:
    """Fetch one run with its full profile: ``GET /project/{ws}/{project}/runs/{id or slug}``."""
    return client.send(Request("GET", f"/project/{ref.url_path}"))


def runs_page(ref: ProjectRef, page: int, size: int) -> Request:
    """Ask for a page of runs: ``GET /project/{ws}/{project}/runs``."""
    params = (("page", page), ("size", size))
    return Request("GET", f"/project/{ref.url_path}/runs", params=params)


def fetch_filtered_runs(
    client: Client, ref: ProjectRef, filters: Sequence[Mapping[str, Any]]
) -> Any:
    """Fetch the runs that pass all filters: ``POST /project/{ws}/{project}/runs/shows``."""
    rules = [{**rule, "active": True} for rule in filters]
    body = {"filters": rules, "groups": [], "sorts": []}
    return client.send(Request("POST", f"/project/{ref.url_path}/runs/shows", body=body))


def columns_page(
    run_id: str,
    page: int,
    size: int,
    *,
    search: str | None,
    column_class: str | None,
    column_type: str | None,
) -> Request:
    """Ask for a page of a run's columns: ``GET /experiment/{id}/column``."""
    wanted = (("search", search), ("class", column_class), ("type", column_type))
    extra = tuple((name, value) for name, value in wanted if value)
    params: Parameters = (("page", page), ("size", size), *extra)
    return Request("GET", f"/experiment/{run_id}/column", params=params)


def keys_page(sources: Sequence[RunSource], metric_type: str, cursor: str) -> Request:
    """Ask for the keys behind ``cursor``: ``POST /house/metrics/{scalar,media}/keys``."""
    experiments = [source.origin() for source in sources]
    body = {"experiments": experiments, "limit": KEYS_PER_PAGE, "cursor": cursor}
    return Request("POST", f"/house/metrics/{metric_type.lower()}/keys", body=body)


def fetch_availability(
    client: Client, sources: Sequence[RunSource], keys: Sequence[str], metric_type: str = "SCALAR"
) -> Any:
    """Fetch which runs have which keys: ``POST /house/metrics/{scalar,media}/availability``."""
    body = {"keys": list(keys), "experiments": [source.origin() for source in sources]}
    path = f"/house/metrics/{metric_type.lower()}/availability"
    return client.send(Request("POST", path, body=body))


def fetch_summaries(
    client: Client, sources: Sequence[RunSource], keys: Sequence[str] | None
) -> Any:
    """Fetch the summaries of many runs at once: ``POST /house/metrics/summaries``."""
    body: dict[str, Any] = {"experiments": [source.run() for source in sources]}
    if keys is not None:
        body["keys"] = list(keys)
    return client.send(Request("POST", "/house/metrics/summaries", body=body))


def logs_page(source: RunSource, shard: int, level: str) -> Request:
    """Ask for one shard of the console log: ``GET /house/metrics/log``."""
    params: dict[str, str | int] = {
        "projectId": source.project_id,
        "experimentId": source.run_id,
        "size": LOG_SHARD_ROWS,
        "epoch": shard,
        "level": level,
        "createdAt": source.created_at_s,
        **source.root_ids(),
    }
    return Request("GET", "/house/metrics/log", params=tuple(params.items()))


def fetch_log_export(client: Client, source: RunSource, start: int, rows: int) -> Any:
    """Have a part of the log written to a file: ``POST /house/metrics/log/export``."""
    body = source.run() | {"start": start, "rows": rows}
    return client.send(Request("POST", "/house/metrics/log/export", body=body))
