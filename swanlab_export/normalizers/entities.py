"""Workspaces, projects, users and the self-hosted instance: payloads → tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.errors import ServerError
from swanlab_export.normalizers.flatten import Row, flatten_fields, put, snake_case
from swanlab_export.normalizers.rows import build_table
from swanlab_export.normalizers.values import (
    as_entity,
    as_json,
    as_object,
    read_as,
    read_each,
    refuse_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.report import Report
    from swanlab_export.tables import Table


# Names of objects whose fields are declared columns, such as ``user`` of ``user.name``.
_OBJECTS = {
    column.name.partition(".")[0]
    for table in schemas.DECLARED
    for column in table.columns
    if "." in column.name
}


def warn_of_backup(payload: Mapping[str, Any], path: object, report: Report) -> None:
    """Say what a backup that is served lacks of a run or project; a server sends nothing of it."""
    about = payload.get("backup")
    if not isinstance(about, dict):
        return
    if (gone_at := about.get("goneAt")) is not None:
        report.warn_of("the server no longer has", f"{path} (since {gone_at})")
    if (missing := about.get("missing")) is not None:
        report.warn_of("the backup is not complete", f"{path}: {missing}")
    elif (failed := about.get("failed")) is not None:
        report.warn_of("the last backup failed, and what is shown is older", f"{path}: {failed}")


def normalize_workspaces(
    payload: Iterable[Any], report: Report, *, is_single: bool = False
) -> Table:
    """Workspaces, one row each: ``GET /group/{username}``, ``GET /self_hosted/groups``."""
    rows = read_each(
        payload, lambda item: fill_row(as_entity(item, "a workspace", "username"), report), report
    )
    return build_table(schemas.WORKSPACES, rows, report, is_single=is_single)


def normalize_projects(
    payload: Iterable[Any], report: Report, web_host: str, *, is_single: bool = False
) -> Table:
    """Projects, one row each: ``GET /project/...``, ``GET /self_hosted/projects``."""
    rows = read_each(
        payload,
        lambda item: _project_row(as_entity(item, "a project", "cuid"), web_host, report),
        report,
    )
    return build_table(schemas.PROJECTS, rows, report, is_single=is_single)


def normalize_user(payload: Any, report: Report, username: str, name: str | None) -> Table:
    """Who is logged in, one row: ``GET /user/profile`` and the response to the login."""
    login: Row = {"username": username, "name": name}
    known = {column: value for column, value in login.items() if value is not None}
    profile = as_object(payload, "a profile")
    refuse_error(profile, "a profile")
    # The profile may repeat what the login said; where it says something else, both stay.
    rest = {k: v for k, v in profile.items() if k not in known or v not in (None, known[k])}
    return build_table(schemas.USER, [fill_row(rest, report, known)], report, is_single=True)


def normalize_instance(payload: Any, report: Report) -> Table:
    """The self-hosted instance, one row: ``GET /self_hosted/info``."""
    return _one(schemas.INSTANCE, payload, report, "an instance")


def normalize_usage(payload: Any, report: Report) -> Table:
    """Totals of the self-hosted instance, one row: ``GET /self_hosted/summary``."""
    return _one(schemas.USAGE, payload, report, "a summary")


def _one(declared: schemas.TableSchema, payload: Any, report: Report, what: str) -> Table:
    fields = as_object(payload, what)
    refuse_error(fields, what)
    if not fields:
        raise ServerError(f"the server sent an empty object where {what} was expected")
    return build_table(declared, [fill_row(fields, report)], report, is_single=True)


def normalize_users(payload: Iterable[Any], report: Report, *, is_single: bool = False) -> Table:
    """Users of the instance, one row each: ``GET /self_hosted/users``."""
    rows = read_each(
        payload, lambda item: fill_row(as_entity(item, "a user", "username"), report), report
    )
    return build_table(schemas.USERS, rows, report, is_single=is_single)


def fill_row(payload: Mapping[str, Any], report: Report, known: Row | None = None) -> Row:
    """Flatten an object beside what is ``known`` already; see ``flatten``."""
    row: Row = dict(known or {})
    put_all(row, _named_columns(payload), report)
    return row


def put_all(row: Row, columns: Iterable[tuple[str, Any]], report: Report) -> None:
    """Set many columns of ``row``; see ``flatten.put``."""
    warnings: set[str] = set()
    for column, value in columns:
        put(row, column, value, warnings)
    for warning in sorted(warnings):
        report.warn(warning)


def _named_columns(payload: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for column, value in flatten_fields(payload):
        # An object that is null or empty is its columns, all missing, and no column of its own.
        if column not in _OBJECTS or value not in (None, "{}"):
            yield column, value


def split_labels(payload: Any) -> Iterator[tuple[str, Any]]:
    """Labels → a list of their names, and a JSON list for each of their other fields."""
    if not isinstance(payload, list):
        yield "labels", payload  # null, or counted as odd when the column is read
        return
    labels = [label for label in payload if label is not None]
    objects = [label if isinstance(label, dict) else {"name": label} for label in labels]
    yield "labels", [label.get("name") for label in objects]
    for name in sorted({name for label in objects for name in label} - {"name"}):
        yield f"labels.{snake_case(name)}", as_json([label.get(name) for label in objects])


def _project_row(payload: Mapping[str, Any], web_host: str, report: Report) -> Row:
    rest = dict(payload)
    group, name = rest.get("group"), rest.get("name")
    path = read_as(_as_name, "path", rest.pop("path", None), report)
    workspace = read_as(_as_name, "workspace", rest.pop("username", None), report)
    if workspace is None and isinstance(group, dict):
        workspace = group.get("username") or None
    if path is None and isinstance(workspace, str) and isinstance(name, str) and name:
        path = f"{workspace}/{name}"
    if workspace is None and path:
        workspace = path.partition("/")[0]
    known: Row = {
        "path": path,
        "project_id": rest.pop("cuid"),
        "workspace": workspace,
        "url": f"{web_host}/@{path}" if path else None,
    }
    warn_of_backup(payload, path, report)
    put_all(known, split_labels(rest.pop("projectLabels", None)), report)
    return fill_row(rest, report, known)


def _as_name(value: Any) -> str:
    """Read a name that paths are made of: text, and not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value
