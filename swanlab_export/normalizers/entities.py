"""Workspaces, projects, users and the self-hosted instance: wire objects → tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swanlab_export import schemas
from swanlab_export.normalizers.flatten import Row, flatten_fields, put, snake_case
from swanlab_export.normalizers.rows import build_table
from swanlab_export.normalizers.values import as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swanlab_export.tables import Table


# Names of wire objects whose fields are declared columns, such as ``user`` of ``user.name``.
_OBJECTS = {
    column.name.partition(".")[0]
    for table in schemas.DECLARED
    for column in table.columns
    if "." in column.name
}


def normalize_workspaces(wire: Iterable[Any], *, is_single: bool = False) -> Table:
    """Workspaces, one row each: ``GET /group/{username}``, ``GET /self_hosted/groups``."""
    notes: list[str] = []
    rows = (fill_row(as_object(item, "a workspace"), notes) for item in wire)
    return build_table(schemas.WORKSPACES, rows, is_single=is_single, notes=notes)


def normalize_projects(wire: Iterable[Any], web_host: str, *, is_single: bool = False) -> Table:
    """Projects, one row each: ``GET /project/...``, ``GET /self_hosted/projects``."""
    notes: list[str] = []
    rows = (_project_row(as_object(item, "a project"), web_host, notes) for item in wire)
    return build_table(schemas.PROJECTS, rows, is_single=is_single, notes=notes)


def normalize_user(wire: Any, username: str, name: str | None) -> Table:
    """Who is logged in, one row: ``GET /user/profile`` and the login's answer."""
    notes: list[str] = []
    login: Row = {"username": username, "name": name}
    known = {column: value for column, value in login.items() if value is not None}
    profile = as_object(wire, "a profile").items()
    # The profile may repeat what the login said; where it says something else, both stay.
    rest = {k: v for k, v in profile if k not in known or v not in (None, known[k])}
    rows = [fill_row(rest, notes, known)]
    return build_table(schemas.USER, rows, is_single=True, notes=notes)


def normalize_instance(wire: Any) -> Table:
    """The self-hosted instance, one row: ``GET /self_hosted/info``."""
    notes: list[str] = []
    rows = [fill_row(as_object(wire, "an instance"), notes)]
    return build_table(schemas.INSTANCE, rows, is_single=True, notes=notes)


def normalize_usage(wire: Any) -> Table:
    """Totals of the self-hosted instance, one row: ``GET /self_hosted/summary``."""
    notes: list[str] = []
    rows = [fill_row(as_object(wire, "a summary"), notes)]
    return build_table(schemas.USAGE, rows, is_single=True, notes=notes)


def normalize_users(wire: Iterable[Any], *, is_single: bool = False) -> Table:
    """Users of the instance, one row each: ``GET /self_hosted/users``."""
    notes: list[str] = []
    rows = (fill_row(as_object(item, "a user"), notes) for item in wire)
    return build_table(schemas.USERS, rows, is_single=is_single, notes=notes)


def fill_row(wire: Mapping[str, Any], notes: list[str], known: Row | None = None) -> Row:
    """Flatten an object beside what is ``known`` already; see ``flatten``."""
    row: Row = dict(known or {})
    put_all(row, _named_columns(wire), notes)
    return row


def put_all(row: Row, columns: Iterable[tuple[str, Any]], notes: list[str]) -> None:
    """Set many columns of ``row``; see ``flatten.put``. The same note is not taken twice."""
    met: set[str] = set()
    for column, value in columns:
        put(row, column, value, met)
    notes.extend(sorted(met - set(notes)))


def _named_columns(wire: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for column, value in flatten_fields(wire):
        # An object that is null or empty is its columns, all missing, and no column of its own.
        if column not in _OBJECTS or value not in (None, "{}"):
            yield column, value


def split_labels(wire: Any) -> Iterator[tuple[str, Any]]:
    """Labels → a list of their names, and a JSON list for each of their other fields."""
    if not isinstance(wire, list):
        yield "labels", wire  # null, or refused when the column is read
        return
    labels = [label for label in wire if label is not None]
    objects = [label if isinstance(label, dict) else {"name": label} for label in labels]
    yield "labels", [label.get("name") for label in objects]
    for name in sorted({name for label in objects for name in label} - {"name"}):
        yield f"labels.{snake_case(name)}", as_text([label.get(name) for label in objects])


def _project_row(wire: Mapping[str, Any], web_host: str, notes: list[str]) -> Row:
    rest = dict(wire)
    group = rest.get("group")
    group = group if isinstance(group, dict) else {}
    path = rest.pop("path", None)
    workspace = rest.pop("username", None) or group.get("username")
    if path is None and workspace and rest.get("name"):
        path = f"{workspace}/{rest['name']}"
    if workspace is None and path:
        workspace = str(path).partition("/")[0]
    known: Row = {
        "path": path,
        "project_id": rest.pop("cuid", None),
        "workspace": workspace,
        "url": f"{web_host}/@{path}" if path else None,
    }
    put_all(known, split_labels(rest.pop("projectLabels", None)), notes)
    return fill_row(rest, notes, known)
