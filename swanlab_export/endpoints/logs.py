"""Console logs: by shard, and as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export.endpoints.releases import fixed
from swanlab_export.endpoints.runs import bounded
from swanlab_export.errors import ServerError
from swanlab_export.limits import LOG_SHARD_LINES
from swanlab_export.normalizers.values import as_list, refuse_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swanlab_export.client import Client, Request
    from swanlab_export.endpoints.runs import RunSource


def logs_page(source: RunSource, shard: int, level: str) -> Request:
    """Ask for one shard of the console log: ``GET /house/metrics/log``."""

    def build(some: Sequence[RunSource]) -> Request:
        params: dict[str, str | int] = {
            "projectId": source.project_id,
            "experimentId": source.run_id,
            "size": LOG_SHARD_LINES,
            "epoch": shard,
            "level": level,
            **some[0].bound(),
            **source.root_ids(),
        }
        return fixed("GET", "/house/metrics/log", params=tuple(params.items()))

    return bounded(build, [source])


def read_lines(payload: Mapping[str, Any]) -> list[Any]:
    """Read the lines of a shard.

    Raises:
        ServerError: It is something else than a shard.
    """
    if not {"logs", "count"} & payload.keys():
        refuse_error(payload, "a list of log lines")
        raise ServerError("the server sent neither log lines nor their count")
    lines = as_list(payload.get("logs"), "a list of log lines")
    return [line for line in lines if line is not None]


def read_count(payload: Mapping[str, Any]) -> int:
    """Read how many lines a shard says that there are; 0 where it does not."""
    count = payload.get("count")
    return count if isinstance(count, int) else 0


def read_number(line: Any) -> Any:
    """Read the number of a line; None where it has none."""
    return line.get("epoch") if isinstance(line, dict) else None


def read_level(line: Any) -> str:
    """Read the level of a line, in upper case; empty where it has none."""
    return str(line.get("level")).upper() if isinstance(line, dict) else ""


def fetch_log_export(client: Client, source: RunSource, start: int, rows: int) -> Any:
    """Have a part of the log written to a file: ``POST /house/metrics/log/export``."""

    def build(some: Sequence[RunSource]) -> Request:
        body = some[0].run() | {"start": start, "rows": rows}
        return fixed("POST", "/house/metrics/log/export", body=body)

    return client.send(bounded(build, [source]))
