"""What calls return in Python: frames, or the path of a file; and how their reports become warnings."""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swanlab_export.client import Call, current_call
from swanlab_export.errors import ClosedError, SwanlabExportWarning, UsageError
from swanlab_export.files import PICTURES, parse_target, write_chunks, write_table
from swanlab_export.frames import check_frame, to_frame
from swanlab_export.messages import argument, one_line
from swanlab_export.plot import PlotOptions, check_plottable, draw_picture
from swanlab_export.report import Report, count_items, name_failures

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import pyarrow as pa

    from swanlab_export.api.context import Result
    from swanlab_export.files import Saved
    from swanlab_export.schemas import TableSchema
    from swanlab_export.tables import Table

_PACKAGE = str(Path(__file__).parents[1])


if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # before Python 3.12, Path itself cannot be subclassed


class Picture(_Path):
    """The path of a picture, which a notebook shows as the picture where it is a cell's result."""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if self.suffix.lower() == ".png":
            bundle["image/png"] = self.read_bytes()
        elif self.suffix.lower() == ".svg":
            bundle["image/svg+xml"] = self.read_text(encoding="utf-8")
        return bundle


class FrameOutput:
    """Calls return frames of one kind.

    Raises:
        UsageError: The kind is unknown or its library is not installed.
    """

    def __init__(self, kind: str) -> None:
        check_frame(kind)
        self._kind = kind
        self.report = Report()
        self.color_by: str | None = None
        self.can_restart = kind != "batches"

    def begin(self, table: TableSchema, *, is_final: bool = False) -> Report:
        """Make the report of a call; every table fits into every kind of frame."""
        del table, is_final
        self.report = Report()
        return self.report

    def deliver(self, result: Result, report: Report) -> Any:
        """Return the table as a frame."""
        frame = result.use_table(
            lambda table: to_frame(table, self._kind, result.source, report), report
        )
        if self._kind == "batches":
            call = current_call() or Call()
            call.keep()
            batches = _then_show(frame, report, os.getpid(), call)
            # Also where the caller takes none of them.
            weakref.finalize(batches, call.end).atexit = False
            return batches
        show_report(report)
        return frame


class FileOutput:
    """Calls write their table to one file, and return its path.

    Args:
        save: The file; its extension gives the format. Pictures are of metrics only.
        plot: How pictures are drawn.
        store_options: Options of the object store, where the file is a URL such as s3://….

    Raises:
        UsageError: The extension is unknown, or nothing can be written there; or an option of
            pictures is given, and it is not one.
    """

    def __init__(
        self,
        save: str | PathLike[str],
        plot: PlotOptions,
        *,
        store_options: Mapping[str, str] | None = None,
    ) -> None:
        self._target = parse_target(fspath(save), PICTURES, store_options=store_options)
        self.report = Report()
        self.can_restart = True
        self.color_by = plot.color_by
        self._plot = plot
        if self._target.format != "plot":
            plot.refuse(f"pictures: see {argument('save')}")

    def begin(self, table: TableSchema, *, is_final: bool = False) -> Report:
        """Refuse a picture of anything but metrics, before any request."""
        del is_final
        if self._target.format == "plot":
            check_plottable(table)
        self.report = Report()
        return self.report

    def deliver(self, result: Result, report: Report) -> Path | str:
        """Write the table and return the path, or the URL of the object.

        The path of a picture is one that a notebook shows.
        """
        saved = result.use_table(lambda table: self._write(table, result.source, report), report)
        show_report(report)
        if self._target.format == "plot" and isinstance(saved.path, Path):
            return Picture(saved.path)
        return saved.path

    def _write(self, table: Table, source: Mapping[str, Any], report: Report) -> Saved:
        if self._target.format != "plot":
            return write_table(table, self._target, source, report)
        picture = draw_picture(table, self._target.path.suffix, report, self._plot)
        return write_chunks([picture], self._target, source, report)


def refuse_store_options(store_options: Mapping[str, str] | None) -> None:
    """Refuse options of an object store where nothing is saved.

    Raises:
        UsageError: There are some.
    """
    if store_options:
        raise UsageError(f"{argument('store_options')} is for {argument('save')} with a URL")


def _then_show(
    batches: Any, report: Report, process: int, call: Call
) -> Generator[pa.RecordBatch, None, None]:
    """Yield batches, and show the report when the last one has been read; the call ends then.

    Raises:
        ClosedError: This process was forked from the one that made the call: threads that fetch are
            not there, and files are shared.
    """
    iterator = iter(batches)
    try:
        while True:
            if os.getpid() != process:
                raise ClosedError(
                    "these batches belong to the process that this one was forked from: "
                    "call again here"
                )
            with call.resumed():
                batch = next(iterator, None)
            if batch is None:
                break
            yield batch
    finally:
        call.end()
    show_report(report)


def show_report(report: Report) -> None:
    """Warn of what a report holds, in the name of the line that called this package."""
    for text in [*report.all_warnings(), *report.hints]:
        show_warning(text)
    if failures := report.failures:
        show_warning(
            f"incomplete, {count_items(len(failures))} left out: {name_failures(failures)}"
        )


def show_warning(text: str) -> None:
    """Warn in the name of the line that called this package."""
    depth = 2
    frame = sys._getframe(1)  # noqa: SLF001  what the warnings module does, too
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        depth += 1
    warnings.warn(one_line(text), SwanlabExportWarning, stacklevel=depth)
