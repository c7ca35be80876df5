"""Runs and their summaries: wire objects → tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.normalizers.entities import fill_row, put_all, split_labels
from swanlab_export.normalizers.flatten import Row, flatten_config, flatten_fields
from swanlab_export.normalizers.rows import build_table
from swanlab_export.normalizers.values import (
    as_list,
    as_object,
    as_text,
    as_time_ms,
    read_value,
)

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
    summary_keys: Iterable[str] = (),
) -> Table:
    """Runs, one row each, with ``config.*`` and, where given, ``summary.*``.

    Args:
        wire: Each run with its summary, or None: ``GET …/runs``, ``POST …/runs/shows``.
        project_path: ``workspace/project`` of all of them.
        project_id: The project's id, None where it was not asked for.
        web_host: Where web pages are.
        is_single: The table is about one run.
        summary_keys: Keys that have a ``summary.*`` column even if no run has them.
    """
    notes: list[str] = []

    def row(run: Mapping[str, Any], summary: Mapping[str, Any] | None) -> Row:
        made = _run_row(run, project_path, web_host, notes)
        if project_id is not None:
            made["project_id"] = project_id
        put_all(made, _latest_values(summary), notes)
        return made

    rows = (row(as_object(run, "a run"), summary) for run, summary in wire)
    expected = [f"summary.{key}" for key in summary_keys]
    return build_table(schemas.RUNS, rows, is_single=is_single, notes=notes, expected=expected)


def flatten_groups(wire: Any) -> Iterator[Any]:
    """Runs out of a filter's answer: a list, or dicts of lists where they are grouped."""
    if isinstance(wire, dict):
        for part in wire.values():
            yield from flatten_groups(part)
    else:
        yield from (run for run in as_list(wire, "a list of runs") if run is not None)


def _latest_values(summary: Mapping[str, Any] | None) -> Iterator[tuple[str, float | None]]:
    """Each key of a run's summary with its latest value."""
    for key, item in (summary or {}).items():
        value = None if item is None else as_object(item, "a summary").get("value")
        yield f"summary.{key}", read_value(f"summary.{key}", schemas.FLOAT, value)


def normalize_summaries(wire: Iterable[tuple[str, Mapping[str, Any] | None]]) -> Table:
    """Summaries, one row per run and key, as the server orders them: ``…/metrics/summaries``."""
    notes: list[str] = []
    rows = (
        _summary_row(run_id, key, item, notes)
        for run_id, summary in wire
        for key, item in (summary or {}).items()
    )
    return build_table(schemas.SUMMARY, rows, notes=notes)


def _run_row(wire: Mapping[str, Any], project_path: str, web_host: str, notes: list[str]) -> Row:
    rest = dict(wire)
    profile = rest.pop("profile", None)
    run_id = rest.get("cuid")
    page = rest.get("slug") or run_id
    known: Row = {
        "path": f"{project_path}/{run_id}" if run_id else None,
        "url": f"{web_host}/@{project_path}/runs/{page}/chart" if page else None,
        "duration_s": _duration_s(rest.get("createdAt"), rest.get("finishedAt")),
        **{ours: rest.pop(theirs) for theirs, ours in _RENAMED.items() if theirs in rest},
    }
    put_all(known, split_labels(rest.pop("labels", None)), notes)
    row = fill_row(rest, notes, known)
    put_all(row, _profile_columns(profile), notes)
    return row


def _profile_columns(profile: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(profile, dict):
        yield from _user_columns("profile", profile)
        return
    rest = dict(profile)
    yield from _user_columns("config", rest.pop("config", None))
    for name in ("requirements", "conda"):
        if name in rest:
            text = rest.pop(name)
            yield name, None if text is None else as_text(text)
    yield from _user_columns("metadata", rest.pop("metadata", None))
    yield from flatten_fields(rest, "profile.")


def _user_columns(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Flatten what a user may have put anything into; what is no object is one column."""
    if isinstance(value, dict):
        yield from flatten_config(value, f"{name}.")
    elif value is not None:
        yield name, value


def _duration_s(created: Any, finished: Any) -> float | None:
    """Seconds from start to end; None while it runs, or where the times do not tell.

    A clone may have been made after its original had finished.
    """
    try:
        duration_s = (as_time_ms(finished) - as_time_ms(created)) / 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return duration_s if duration_s >= 0 else None


def _summary_row(run_id: str, key: str, item: Any, notes: list[str]) -> Row:
    wire = {} if item is None else dict(as_object(item, "a summary"))
    row: Row = {"run_id": run_id, "key": key}
    for name in ("min", "max"):
        extreme = wire.pop(name, None)
        extreme = extreme if isinstance(extreme, dict) else {"data": extreme}
        row[name] = extreme.get("data")
        row[f"{name}_step"] = extreme.get("index")
    row["std"] = wire.pop("stdDev", None)
    put_all(row, flatten_fields(wire), notes)
    return row
