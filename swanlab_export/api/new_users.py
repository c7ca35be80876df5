"""Reads tables of users that are to be created: from files, standard input, frames and lists.

No message quotes a cell or the name of a column: in a table without a header, it may be a password.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from swanlab_export.errors import UsageError
from swanlab_export.messages import Secret, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLUMNS = ("username", "password")
_HAVE = f"the columns are {' and '.join(_COLUMNS)}"
# What makes rows of a frame: of Arrow, polars and pandas.
_TO_ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("to_pylist", ()),
    ("to_dicts", ()),
    ("to_dict", ("records",)),
)


class NewUser(NamedTuple):
    """A user to create; the password shows as dots."""

    username: str
    password: Secret


def read_users(users: Any) -> list[NewUser]:
    """Read all users, none of them twice.

    Args:
        users: The path of a CSV, TSV or JSON file, an open file, a data frame, or mappings.

    Raises:
        UsageError: It cannot be read, has no rows or other columns, or a row cannot be right.
    """
    try:
        return _read_all(users)
    except UsageError as error:
        why = error.message
    # Not from within: the variables of a trace would hold passwords.
    raise UsageError(why)


def _read_all(users: Any) -> list[NewUser]:
    found: list[NewUser] = []
    rows: dict[str, int] = {}
    for number, row in enumerate(_rows(users), 1):
        user = _read_user(row, number)
        first = rows.setdefault(user.username, number)
        if first != number:
            raise UsageError(f"rows {first} and {number} of the users have the same username")
        found.append(user)
    if not found:
        raise UsageError("the table of users has no rows")
    return found


def _read_user(row: Any, number: int) -> NewUser:
    where = f"row {number} of the users"
    if not isinstance(row, Mapping):
        raise UsageError(f"{where} is not an object: {_HAVE}")
    if not row.keys() <= set(_COLUMNS):
        raise UsageError(f"{where} has another column: {_HAVE}")
    for name in _COLUMNS:
        value = row.get(name)
        if not isinstance(value, str):
            raise UsageError(f"{where} has no {name} that is text")
        if not value.strip():
            raise UsageError(f"{where} has an empty {name}")
    username = row["username"]
    if not username.isprintable():
        raise UsageError(f"the username in {where} has control characters")
    if username != username.strip():
        raise UsageError(f"the username in {where} begins or ends with a space")
    return NewUser(username, Secret(row["password"]))


def _rows(users: Any) -> Iterable[Any]:
    if isinstance(users, str | PathLike):
        path = Path(users)
        try:
            content = path.read_bytes()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no path"
            raise UsageError(f"cannot read the users from {quote(str(path))}: {why}") from None
        return _parse(content, path.suffix.lower())
    if hasattr(users, "read"):
        return _parse(users.read(), "")
    for method, words in _TO_ROWS:
        if hasattr(users, method):
            rows: list[Any] = getattr(users, method)(*words)
            return rows
    if isinstance(users, Iterable) and not isinstance(users, Mapping | bytes):
        return users
    raise UsageError("users are a path, an open file, a data frame or a list of mappings")


def _parse(content: str | bytes, extension: str) -> list[Any]:
    """Read the rows of a file whose format is that of its extension, else what it looks like."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("the table of users is not UTF-8 text") from None
    text = text.removeprefix("\ufeff")
    if extension == ".json" or (
        extension not in {".csv", ".tsv"} and text.lstrip().startswith(("[", "{"))
    ):
        return _parse_json(text)
    is_tabbed = extension == ".tsv" or (
        extension != ".csv" and "\t" in text.lstrip().partition("\n")[0]
    )
    return list(_parse_lines(text, "\t" if is_tabbed else ","))


def _parse_json(text: str) -> list[Any]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError("the table of users is not JSON") from None
    if not isinstance(rows, list):
        raise UsageError("the table of users is not a list of objects")
    return rows


def _parse_lines(text: str, delimiter: str) -> Iterator[dict[str, str]]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        cells = [each for each in lines if any(map(str.strip, each))]
    except csv.Error:
        raise UsageError(f"the table of users has bad quotes at line {lines.line_num}") from None
    header = [name.strip() for name in cells[0]] if cells else []
    if cells and sorted(header) != sorted(_COLUMNS):
        raise UsageError(f"the first line of the users is another header: {_HAVE}")
    for number, row in enumerate(cells[1:], 1):
        if len(row) != len(header):
            raise UsageError(
                f"row {number} of the users has {len(row)} cells, and the header has {len(header)}"
            )
        yield dict(zip(header, row, strict=True))
