"""Runs and their summaries: payloads → tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.normalizers.entities import (
    fill_row,
    put_all,
    split_labels,
    warn_of_backup,
)
from swanlab_export.normalizers.flatten import Row, flatten_config, flatten_fields
from swanlab_export.normalizers.rows import build_table
from swanlab_export.normalizers.stored import profile_json
from swanlab_export.normalizers.values import (
    JsonText,
    as_entity,
    as_fields,
    as_json,
    as_list,
    as_text,
    as_time_ms,
    read_as,
    read_each,
    read_value,
    refuse_error,
)
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.refs import ProjectRef
    from swanlab_export.tables import Table

_JSON_NAMES = [name for name in schemas.RUNS_AS_JSON.names if name != "more"]
# Fields of the payload whose columns have other names.
_RENAMED = {"cuid": "run_id", "cluster": "group", "job": "job_type"}


@dataclass(frozen=True)
class Home:
    """The project that a run is in, and its id, None where it was not asked for."""

    project: ProjectRef
    project_id: str | None


def normalize_runs(
    pairs: Iterable[tuple[Any, Mapping[str, Any] | None]],
    report: Report,
    project: ProjectRef,
    project_id: str | None,
    web_host: str,
    *,
    is_single: bool = False,
    summary_keys: Iterable[str] = (),
) -> Table:
    """Runs of one project with their summaries, or None; see ``normalize_runs_of_projects``."""
    home = Home(project, project_id)
    runs = ((home, run, summary) for run, summary in pairs)
    return normalize_runs_of_projects(
        runs, report, web_host, is_single=is_single, summary_keys=summary_keys
    )


def normalize_runs_of_projects(
    runs: Iterable[tuple[Home, Any, Mapping[str, Any] | None]],
    report: Report,
    web_host: str,
    *,
    is_single: bool = False,
    has_projects: bool = False,
    is_json: bool = False,
    summary_keys: Iterable[str] = (),
) -> Table:
    """Runs, one row each, with ``config.*`` and, where given, ``summary.*``.

    Args:
        runs: Each run with its project, and with its summary, or None: ``GET …/runs``,
            ``POST …/runs/shows``.
        report: Takes warnings, and counts odd values.
        web_host: Where web pages are.
        is_single: The table is about one run.
        has_projects: The runs are of several projects, which a column names.
        is_json: Configs are one column of JSON text, and so is whatever has no column.
        summary_keys: Keys that have a ``summary.*`` column even if no run has them.
    """

    def row(found: tuple[Home, Any, Mapping[str, Any] | None]) -> Row:
        home, run, summary = found
        made = _run_row(as_entity(run, "a run", "cuid"), home.project, web_host, report)
        if home.project_id is not None:
            made["project_id"] = home.project_id
        if is_json:
            made = _json_row(run, made)
        if has_projects:
            made["project"] = str(home.project)
        put_all(made, _latest_values(summary, report), report)
        return made

    rows = read_each(runs, row, report)
    expected = [f"summary.{key}" for key in summary_keys]
    declared = schemas.RUNS_AS_JSON if is_json else schemas.RUNS
    declared = schemas.with_project(declared) if has_projects else declared
    return build_table(declared, rows, report, is_single=is_single, expected=expected)


def _json_row(run: Mapping[str, Any], row: Row) -> Row:
    """A row whose configs are one JSON text, and so is what has no column of its own."""
    made: Row = {name: row.pop(name) for name in _JSON_NAMES if name in row}
    for name in ("config", "metadata"):
        rest = made.pop(name, None)
        text = profile_json(run, name)
        if text is None and rest is not None:
            text = rest if isinstance(rest, JsonText) else json.dumps(rest, ensure_ascii=False)
        made[name] = text
    prefixes = ("config.", "metadata.")
    more = {
        name: json.loads(value) if isinstance(value, JsonText) else value
        for name, value in row.items()
        if not name.startswith(prefixes)
    }
    made["more"] = json.dumps(more, ensure_ascii=False, sort_keys=True) if more else None
    return made


def run_columns(payload: Any, project: ProjectRef, web_host: str, *, is_json: bool = False) -> Row:
    """One run as a row of its table, for rules about columns that the payload does not name.

    With ``is_json`` it has the columns of JSON text, too.
    """
    row = _run_row(as_entity(payload, "a run", "cuid"), project, web_host, Report())
    return _json_row(payload, dict(row)) | row if is_json else row


def flatten_groups(payload: Any) -> Iterator[Any]:
    """Runs out of the response to a filter: a list, or dicts of lists where they are grouped."""
    if isinstance(payload, dict):
        refuse_error(payload, "a list of runs")
        for part in payload.values():
            yield from flatten_groups(part)
    else:
        yield from (run for run in as_list(payload, "a list of runs") if run is not None)


def _latest_values(
    summary: Mapping[str, Any] | None, report: Report
) -> Iterator[tuple[str, float | None]]:
    """Each key of a run's summary with its latest value."""
    for key, item in _items(summary, report):
        column = f"summary.{key}"
        known = read_as(as_fields, column, item, report) or {}
        yield column, read_value(column, schemas.FLOAT, known.get("value"), report)


def normalize_summaries(
    pairs: Iterable[tuple[str, Mapping[str, Any] | None]],
    report: Report,
    run_names: Mapping[str, str] | None = None,
) -> Table:
    """Summaries, one row per run and key, as the server orders them: ``…/metrics/summaries``.

    Args:
        pairs: The id of each run with its summary.
        report: Takes warnings, and counts odd values.
        run_names: What people call the runs, by id.
    """
    names = run_names or {}
    rows = (
        {**_summary_row(run_id, key, item, report), "run_name": names.get(run_id)}
        for run_id, summary in pairs
        for key, item in _items(summary, report)
    )
    return build_table(schemas.SUMMARY, rows, report)


def _items(summary: Any, report: Report) -> Iterator[tuple[str, Any]]:
    """The keys of one run's summary, each with what is known of it."""
    yield from (read_as(as_fields, "summary", summary, report) or {}).items()


def _run_row(payload: Mapping[str, Any], project: ProjectRef, web_host: str, report: Report) -> Row:
    rest = dict(payload)
    profile = rest.pop("profile", None)
    run_id = rest["cuid"]
    slug = rest.get("slug")
    page = slug if isinstance(slug, str) and slug else run_id
    known: Row = {
        "path": f"{project}/{run_id}",
        "url": f"{web_host}/@{project}/runs/{page}/chart",
        "duration_s": _duration_s(rest.get("createdAt"), rest.get("finishedAt")),
        **{ours: rest.pop(theirs) for theirs, ours in _RENAMED.items() if theirs in rest},
    }
    warn_of_backup(payload, known["path"], report)
    put_all(known, split_labels(rest.pop("labels", None)), report)
    row = fill_row(rest, report, known)
    put_all(row, _profile_columns(profile), report)
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
        yield name, as_json(value) if isinstance(value, list) else value


def _duration_s(created: Any, finished: Any) -> float | None:
    """Seconds from start to end; None while it runs, or where the times do not tell.

    A clone may have been made after its original had finished.
    """
    try:
        duration_s = (as_time_ms(finished) - as_time_ms(created)) / 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return duration_s if duration_s >= 0 else None


def _summary_row(run_id: str, key: str, item: Any, report: Report) -> Row:
    rest = dict(read_as(as_fields, "summary", item, report) or {})
    row: Row = {"run_id": run_id, "key": key}
    for name in ("min", "max"):
        extreme = rest.pop(name, None)
        extreme = extreme if isinstance(extreme, dict) else {"data": extreme}
        row[name] = extreme.get("data")
        row[f"{name}_step"] = extreme.get("index")
    row["std"] = rest.pop("stdDev", None)
    put_all(row, flatten_fields(rest), report)
    return row
