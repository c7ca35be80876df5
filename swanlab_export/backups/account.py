"""The tables of a backup that are not about runs, and the page that says how to read it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from swanlab_export import schemas
from swanlab_export.backups.destination import (
    HashingFile,
    hash_object,
    write_if_changed,
    write_object,
)
from swanlab_export.backups.layout import FORMAT_FILE, PROJECTS_FILE, README_FILE, dump_json
from swanlab_export.backups.parquet import ParquetObject
from swanlab_export.backups.readme import README
from swanlab_export.backups.receipts import time_ms
from swanlab_export.normalizers.entities import (
    normalize_instance,
    normalize_projects,
    normalize_usage,
    normalize_user,
    normalize_users,
    normalize_workspaces,
)
from swanlab_export.report import Report

if TYPE_CHECKING:
    from swanlab_export.backups.destination import Destination
    from swanlab_export.backups.scope import Account

Objects = dict[str, dict[str, Any]]


def write_account(
    destination: Destination, account: Account, known: Objects, web_host: str
) -> Objects:
    """Write what has changed of it; returns all of its objects.

    Args:
        destination: The backup.
        account: What the server said.
        known: The objects of the snapshot before; what is equal is not written again.
        web_host: Where web pages are.
    """
    objects: Objects = {}
    for name, table in _tables(account, web_host).items():
        path = f"tables/{name}.parquet"
        # In memory: to have each on the disk, only to be compared, takes longer than all the rest.
        held = _Held(path)
        part = ParquetObject(held, table.schema.remove_metadata())
        for batch in table.to_batches():
            part.write(batch)
        size, sha256 = part.finish()
        objects[path] = {"rows": table.num_rows, "bytes": size, "sha256": sha256}
        found = destination.find(path)
        if known.get(path) != objects[path] or found is None or found.size != size:
            write_object(destination, path, held.content())
    for path, content in (
        (PROJECTS_FILE, dump_json(account.dump())),
        (README_FILE, README.encode()),
    ):
        write_if_changed(destination, path, content)
    for path in (PROJECTS_FILE, README_FILE, FORMAT_FILE):
        size, sha256 = hash_object(destination, path)
        objects[path] = {"bytes": size, "sha256": sha256}
    return objects


class _Held(HashingFile):
    """An object that is held in memory."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self._content = io.BytesIO()

    def _append(self, view: memoryview) -> None:
        self._content.write(view)

    def content(self) -> bytes:
        """Its bytes."""
        return self._content.getvalue()

    def finish(self) -> tuple[int, str]:
        """End it; returns its size and sha256."""
        return self._size, self._digest.hexdigest()

    def place(self) -> None:
        """Leave it where it is."""

    def discard(self) -> None:
        """Leave it to be collected."""


def _tables(account: Account, web_host: str) -> dict[str, pa.Table]:
    report = Report()
    tables = {
        "workspaces": normalize_workspaces(account.workspaces, report).to_arrow(),
        "projects": _projects(account, web_host),
    }
    if account.user is not None:
        user = account.user
        table = normalize_user(user["profile"], report, user["username"], user["name"])
        tables["me"] = table.to_arrow()
    if account.instance is not None:
        tables["instance"] = normalize_instance(account.instance, report).to_arrow()
    if account.usage is not None:
        tables["usage"] = normalize_usage(account.usage, report).to_arrow()
    if account.users is not None:
        tables["users"] = normalize_users(account.users, report).to_arrow()
    return tables


def _projects(account: Account, web_host: str) -> pa.Table:
    payloads = [each["payload"] for each in account.projects]
    table = normalize_projects(payloads, Report(), web_host).to_arrow()
    seen = [time_ms(each["seen_at"]) for each in account.projects]
    for column, values in zip(schemas.SEEN, (seen, [None] * len(seen)), strict=True):
        table = table.append_column(
            column.field(), pa.array(values, schemas.INT).cast(schemas.TIME)
        )
    return table
