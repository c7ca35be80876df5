"""Runs and their summaries: wire objects → tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.errors import ServerError
from swanlab_export.normalizers.entities import fields, fill_row, split_labels
from swanlab_export.normalizers.flatten import Row, flatten_config, flatten_fields, put
from swanlab_export.normalizers.rows import build_table
from swanlab_export.normalizers.values import as_float, as_text, as_time_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.tables import Table

# What the columns of design are called on the wire.
_RENAMED = {"cuid": "run_id", "cluster": "group", "job": "job_type"}


def normalize_runs(
    wire: Iterable[tuple[Any, Mapping[str, Any] | None]],
    project_path: str,
    project_id: str | None,
    web_host: str,
    *,
    is_single: bool = False,
) -> Table:
    """Runs, one row each, with ``config.*`` and, where given, ``summary.*``.

    Args:
        wire: Each run with its summary, or None: ``GET …/runs``, ``POST …/runs/shows``.
        project_path: ``workspace/project`` of all of them.
        project_id: The project's id, None where it was not asked for.
        web_host: Where web pages are.
        is_single: The table is about one run.
    """
    notes: list[str] = []

    def row(run: Mapping[str, Any], summary: Mapping[str, Any] | None) -> Row:
        made = _run_row(run, project_path, web_host, notes)
        if project_id is not None:
            made["project_id"] = project_id
        for key, value in latest_values(summary):
            put(made, f"summary.{key}", value, set())
        return made

    rows = (row(fields(run, "a run"), summary) for run, summary in wire)
    return build_table(schemas.RUNS, rows, is_single=is_single, notes=notes)


def flatten_groups(wire: Any) -> Iterator[Any]:
    """Runs out of a filter's answer: a list, or dicts of lists where they are grouped."""
    if isinstance(wire, dict):
        for part in wire.values():
            yield from flatten_groups(part)
    elif isinstance(wire, list):
        yield from (run for run in wire if run is not None)
    elif wire is not None:
        raise ServerError(f"the server sent {type(wire).__name__} where runs were expected")


def latest_values(summary: Mapping[str, Any] | None) -> Iterator[tuple[str, float | None]]:
    """Each key of a run's summary with its latest value."""
    for key, item in (summary or {}).items():
        value = item.get("value") if isinstance(item, dict) else None
        yield key, None if value is None else _number(f"summary.{key}", value)


def normalize_summaries(wire: Iterable[tuple[str, Mapping[str, Any] | None]]) -> Table:
    """Summaries, one row per run and key, as the server orders them: ``…/metrics/summaries``."""
    rows = (
        _summary_row(run_id, key, item)
        for run_id, summary in wire
        for key, item in (summary or {}).items()
    )
    return build_table(schemas.SUMMARY, rows)


def _run_row(wire: Mapping[str, Any], project_path: str, web_host: str, notes: list[str]) -> Row:
    rest = dict(wire)
    profile = rest.pop("profile", None)
    profile = dict(profile) if isinstance(profile, dict) else {}
    run_id = rest.get("cuid")
    known: Row = {
        "path": f"{project_path}/{run_id}",
        "url": f"{web_host}/@{project_path}/runs/{rest.get('slug') or run_id}/chart",
        "duration_s": _duration_s(rest.get("createdAt"), rest.get("finishedAt")),
        **{ours: rest.pop(theirs) for theirs, ours in _RENAMED.items() if theirs in rest},
        **dict(split_labels(rest.pop("labels", None))),
    }
    row = fill_row(rest, notes, known)
    met: set[str] = set()
    for column, value in _profile_columns(profile):
        put(row, column, value, met)
    notes.extend(sorted(met - set(notes)))
    return row


def _profile_columns(profile: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    config = profile.pop("config", None)
    yield from flatten_config(config if isinstance(config, dict) else {})
    for name in ("requirements", "conda"):
        if name in profile:
            text = profile.pop(name)
            yield name, None if text is None else as_text(text)
    metadata = profile.pop("metadata", None)
    yield from flatten_config(metadata if isinstance(metadata, dict) else {}, "metadata.")
    yield from flatten_fields(profile, "profile.")


def _duration_s(created: Any, finished: Any) -> float | None:
    """Seconds from start to end; None while it runs, or where a time cannot be read."""
    try:
        return (as_time_ms(finished) - as_time_ms(created)) / 1000
    except (TypeError, ValueError, OverflowError):
        return None


def _summary_row(run_id: str, key: str, item: Any) -> Row:
    wire = dict(item) if isinstance(item, dict) else {}
    row: Row = {"run_id": run_id, "key": key}
    for name in ("min", "max"):
        extreme = wire.pop(name, None)
        extreme = extreme if isinstance(extreme, dict) else {"data": extreme}
        row[name] = extreme.get("data")
        row[f"{name}_step"] = extreme.get("index")
    row["std"] = wire.pop("stdDev", None)
    for column, value in flatten_fields(wire):
        put(row, column, value, set())
    return row


def _number(column: str, value: Any) -> float:
    try:
        return as_float(value)
    except (TypeError, ValueError):
        raise ServerError(f"the server sent {as_text(value)} as {column}, not a number") from None
