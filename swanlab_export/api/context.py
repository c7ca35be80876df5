"""What every command works with, and what it returns."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from swanlab_export import refs
from swanlab_export.progress import Progress
from swanlab_export.tables import RestartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from swanlab_export.client import Client
    from swanlab_export.report import Report
    from swanlab_export.tables import Table


_Used = TypeVar("_Used")
_Ref = TypeVar("_Ref")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Context:
    """A server to ask, a place to report progress to, and a clock."""

    client: Client
    progress: Progress = field(default_factory=Progress)
    now_ms: Callable[[], int] = _now_ms

    @property
    def web_host(self) -> str:
        """Where the web pages of this server are."""
        return self.client.settings.web_host

    def workspace_ref(self, text: str) -> refs.WorkspaceRef:
        """Read ``team`` or the URL of anything in it, on this server."""
        return self._read(refs.parse_workspace, text)

    def project_ref(self, text: str) -> refs.ProjectRef:
        """Read ``team/project``, or the URL of the project or of one of its runs, on this server."""
        return self._read(refs.parse_project, text)

    def run_ref(self, text: str) -> refs.RunRef:
        """Read ``team/project/run``, or the URL of the run, on this server."""
        return self._read(refs.parse_run, text)

    def _read(self, parse: Callable[[str], _Ref], text: str) -> _Ref:
        found = parse(text)
        self.client.settings.check_page(text)
        return found

    def source(self, command: str, path: object = "", **options: Any) -> dict[str, Any]:
        """Describe a call for the metadata of files; options that were not given are left out."""
        given = {
            name: value
            for name, value in options.items()
            # Not by equality: 0 is a step.
            if not (value is None or value is False or value in ("", [], ()))
        }
        return {
            "host": self.client.settings.name,
            "command": command,
            "path": str(path),
            "options": given,
            "fetched_at_ms": self.now_ms(),
        }


class Members:
    """A raw object whose members, pairs of name and value, come one by one; iterated once."""

    def __init__(self, members: Iterable[tuple[str, Any]]) -> None:
        self._members = members

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._members)


@dataclass(frozen=True)
class Result:
    """What a resource method returns; either the table or the raw response is asked for, once.

    Args:
        table: Makes the table.
        raw: Gives what the server sent, as ``--raw`` prints it: what JSON can hold, ``Members`` for an
            object and an iterator for a list that are too large to be held as a whole.
        source: Where the data came from: host, command, path, options, time. Never a secret. It goes
            into the metadata of files and is never read back.
    """

    table: Callable[[], Table]
    raw: Callable[[], Any]
    source: Mapping[str, Any]

    def use_table(self, use: Callable[[Table], _Used], report: Report) -> _Used:
        """Hand the table to ``use``, a second time where its rows turn out to need another order.

        Only for a ``use`` that may start again, as the writer of a file may. The second table is in
        order from its first row on.

        Raises:
            SwanlabExportError: Items were left out, and there is no row besides: a table without a
                single row must not replace a good one.
        """
        try:
            return use(_not_of_nothing(self.table(), report))
        except RestartError:
            report.forget_odd_values()
            return use(_not_of_nothing(self.table(), report))


def _not_of_nothing(table: Table, report: Report) -> Table:
    def checked() -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in table:
            rows += batch.num_rows
            yield batch
        report.check_left(rows)

    return table.with_rows(table.schema, checked())
