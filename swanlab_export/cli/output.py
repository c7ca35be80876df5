"""One command from its options to its output: the only printer, the only place that exits."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NoReturn

import click

from swanlab_export import messages
from swanlab_export.cli import console
from swanlab_export.cli.commands import PROCESS, program_name
from swanlab_export.cli.options import command_line
from swanlab_export.errors import (
    IncompleteError,
    OutputError,
    ServerError,
    SwanlabExportError,
    UnavailableError,
    UncertainError,
    UsageError,
)
from swanlab_export.limits import PICTURES, TEXT_FORMATS
from swanlab_export.messages import argument, one_line, quote, shell_command
from swanlab_export.progress import clear_bars, cleared_bars
from swanlab_export.report import Report, count_items
from swanlab_export.settings import find_local

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from swanlab_export.api.connect import Api
    from swanlab_export.api.context import Result
    from swanlab_export.cli.options import Shared
    from swanlab_export.files import Saved, Target
    from swanlab_export.progress import Progress
    from swanlab_export.schemas import TableSchema
    from swanlab_export.tables import Table

_NAME_BYTES_MAX = 150
# A list with more columns than this is hard to read as JSON in a terminal.
_COLUMNS_EASY_TO_READ = 8
_HINTS_SHOWN = 5
_HANDLED_WITHIN_S = 2.0
# Tables of what was done: no rows mean that there was nothing to do.
_REPORTS = {"backup_run", "backup_diff", "backup_snapshots", "backup_status", "backup_verify"}

# Ctrl-C, a request to end, and a terminal that is closed; Windows lacks the last.
_SIGNALS = {
    getattr(signal, name): text
    for name, text in (("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up"))
    if hasattr(signal, name)
}
# Free for each signal that was handled.
_handled = threading.Semaphore(0)


class _InterruptedError(BaseException):
    """A signal arrived; unwinds everything, so that no temporary file stays."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.text = _SIGNALS[signal.Signals(number)]
        self.exit_code = 128 + number


@contextmanager
def connected(
    shared: Shared,
    name: str,
    *,
    extra_formats: Mapping[str, str] | None = None,
    plot: Mapping[str, Any] | None = None,
    destination: str = "",
    check: Callable[[], None] = lambda: None,
) -> Iterator[Api[None]]:
    """Connect to the server that the options name; what calls return is printed or saved.

    Args:
        shared: The shared options.
        name: What a ``--save`` without a name calls the file, without extension.
        extra_formats: Further extensions that this command can save, with their formats.
        plot: The options of plots, of a command that can draw.
        destination: The backup that the command is about, which may be in an object store.
        check: Called before the key is looked for: what else can be wrong is said first.
    """
    with boundary(debug=shared.debug):
        if click.get_current_context().find_root().obj is PROCESS:
            is_served_here = find_local(shared.host, os.environ) is not None
            _keep_out_numpy(is_needed=_is_plot(shared) or is_served_here)
        output = CommandOutput(
            shared, name, extra_formats or {}, plot or {}, destination=destination
        )
        check()
        from swanlab_export.api.connect import Api, open_context

        with (
            _progress(is_quiet=shared.quiet) as progress,
            open_context(
                shared.host,
                shared.api_key,
                progress=progress,
                jobs=shared.jobs,
                timeout_s=shared.timeout,
                retries=shared.retries,
                max_response_mb=shared.max_response,
                # With --debug, the log has it.
                on_wait=None if shared.quiet or shared.debug else say,
                store_options=store_options(shared, find_local(shared.host, os.environ)),
            ) as context,
        ):
            for warning in context.client.settings.warnings:
                say(f"warning: {warning}")
            yield Api(context, output, context.client.close)
            output.show_report()


@contextmanager
def printing(shared: Shared, name: str, *, destination: str = "") -> Iterator[CommandOutput]:
    """What prints or saves the table of a command that asks no server.

    Args:
        shared: The options about output.
        name: What a ``--save`` without a name calls the file, without extension.
        destination: The backup that the command is about, which may be in an object store.
    """
    with boundary(debug=shared.debug):
        if click.get_current_context().find_root().obj is PROCESS:
            _keep_out_numpy(is_needed=_is_plot(shared))
        output = CommandOutput(shared, name, {}, {}, destination=destination)
        yield output
        output.show_report()


def store_options(shared: Shared, place: str | None) -> dict[str, str] | None:
    """The options of the object store that ``place`` is in; None for any other place."""
    if "://" not in (place or ""):
        return None
    from swanlab_export.files import parse_store_options

    return parse_store_options(shared.store_option)


@contextmanager
def _progress(*, is_quiet: bool) -> Iterator[Progress]:
    """Show progress in a terminal."""
    from swanlab_export import progress as bars
    from swanlab_export.cli.waiting import VisibleProgress

    if is_quiet or not sys.stderr.isatty():
        yield bars.Progress()
        return
    with VisibleProgress(say) as visible:
        yield visible


def _is_plot(shared: Shared) -> bool:
    """Say whether the command draws, without importing anything."""
    extension = PurePath(shared.save or "").suffix.lower()
    return shared.output_format == "plot" or extension in PICTURES


def _keep_out_numpy(*, is_needed: bool) -> None:
    """Let pyarrow find neither numpy nor pandas, unless this command needs them.

    pyarrow imports them where they are installed, only to know their types, and that takes longer
    than everything else in a short command.
    """
    if not is_needed:
        for name in ("numpy", "pandas"):
            # An import stops at None.
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def _printed_format(shared: Shared) -> str:
    """The format to print: ``--format``, else SWANLAB_EXPORT_FORMAT, else JSON.

    Raises:
        UsageError: The variable names no format.
    """
    if shared.output_format is not None:
        return shared.output_format
    named = os.environ.get("SWANLAB_EXPORT_FORMAT", "").strip()
    formats = (*TEXT_FORMATS, "table")
    if named and named not in formats:
        known = ", ".join(formats)
        raise UsageError(f"SWANLAB_EXPORT_FORMAT is one of {known}, not {quote(named)}")
    return named or "json"


class CommandOutput:
    """Prints or saves the table of one command.

    Raises:
        UsageError: Options about output exclude each other, or nothing can be written there.
    """

    def __init__(
        self,
        shared: Shared,
        name: str,
        extra_formats: Mapping[str, str],
        plot: Mapping[str, Any],
        *,
        destination: str = "",
    ) -> None:
        from swanlab_export.plot import PlotOptions  # after numpy has been kept out

        self._shared = shared
        self.report = Report()
        self._plot = PlotOptions.parse(**plot)
        self.color_by = self._plot.color_by
        local = find_local(shared.host, os.environ) or ""
        if shared.store_option and "://" not in f"{shared.save} {destination} {local}":
            raise UsageError(
                f"{argument('store_options')} is for object stores, such as s3://BUCKET/NAME"
            )
        self._target = _target(shared, name, extra_formats)
        self._is_plot = _is_plot(shared)
        self._format = _printed_format(shared)
        if shared.output_format == "plot" and "plot" not in extra_formats.values():
            raise UsageError(f"{argument('format')} plot is for run metrics")
        if not self._is_plot:
            self._plot.refuse("plots")
        elif self._plot.size and self._target is None:
            raise UsageError(f"{argument('size')} is for pictures; a plot fills the terminal")
        if shared.fields == "" and self._is_plot:
            raise UsageError(f"{argument('fields')} alone lists columns, and a plot shows none")

    def begin(self, table: TableSchema, *, is_final: bool = False) -> Report:
        """Check ``--fields`` and plots against the declared table, before any request."""
        fields = self._shared.fields
        if fields:
            table.check_fields(fields, is_final=is_final)
        if self._is_plot:
            from swanlab_export.plot import check_plottable

            check_plottable(table, fields, is_picture=self._target is not None)
        return self.report

    def deliver(self, result: Result, report: Report) -> None:
        """Print or save the table, or with ``--raw`` what the server sent."""
        if self._shared.raw:
            self._write_raw(result, report)
        elif self._target is not None and self._target.format == "log":
            self._say_saved(str(self._target.shown))
        else:
            result.use_table(lambda table: self._write(table, result.source, report), report)
        sys.stdout.flush()

    def show_report(self) -> None:
        """Say what else there is to know; an incomplete table is an error."""
        _say_some("warning", self.report.all_warnings())
        if not self._shared.quiet:
            _say_some("hint", self.report.hints)
        failures = self.report.failures
        _say_some("left out", list(map(str, failures)))
        if failures:
            raise IncompleteError(f"incomplete: {count_items(len(failures))} left out, see above")

    @property
    def can_restart(self) -> bool:
        """Files can be written again from the start; what is printed cannot be taken back."""
        return self._target is not None

    def _write(self, table: Table, source: Mapping[str, Any], report: Report) -> None:
        if self._shared.fields == "":
            from swanlab_export.render.columns import list_columns

            table = list_columns(table)
        elif self._shared.fields:
            table = table.select(self._shared.fields)
        rows = _Watched(table, report)
        table = table.with_rows(table.schema, rows)
        if self._target is not None:
            self._save(table, self._target, source, report)
        else:
            self._print(table, rows)

    def _save(
        self, table: Table, target: Target, source: Mapping[str, Any], report: Report
    ) -> None:
        from swanlab_export import files

        if target.format != "plot":
            saved = files.write_table(table, target, source, report)
        else:
            from swanlab_export.plot import draw_picture

            picture = draw_picture(table, target.path.suffix, report, self._plot)
            saved = files.write_chunks([picture], target, source, report)
        self._say_saved(_describe(saved))

    def _print(self, table: Table, rows: _Watched) -> None:
        if self._format == "table":
            from swanlab_export.render.terminal import write_terminal

            drawn = _Drawing()
            write_terminal(
                table,
                drawn,
                width=console.width(),
                is_coloured=console.takes_colours(sys.stdout),
                is_chosen=self._shared.fields is not None,
            )
            drawn.print()
        elif self._format == "plot":
            from swanlab_export.plot import SCREEN_WIDTH, print_plot

            drawn = _Drawing()
            print_plot(
                table,
                drawn,
                self.report,
                self._plot,
                width=console.width(SCREEN_WIDTH),
                is_coloured=console.takes_colours(sys.stdout),
            )
            drawn.print()
        else:
            from swanlab_export.files.text import write_text

            if sys.stdout.isatty():
                from swanlab_export.cli.waiting import WholeLines

                lines = WholeLines(sys.stdout.buffer)
                write_text(table, lines, self._format)
                lines.finish()
            else:
                write_text(table, sys.stdout.buffer, self._format)
            is_wide_list = len(table.schema) > _COLUMNS_EASY_TO_READ and not table.is_single
            if sys.stdout.isatty() and is_wide_list and not rows.are_none:
                self.report.hint(f"{argument('format', 'table')} is easier to read")

    def _write_raw(self, result: Result, report: Report) -> None:
        payload = result.raw()
        if isinstance(payload, list):
            report.check_left(len(payload))
        chunks = _raw_chunks(payload)
        if self._target is not None:
            from swanlab_export import files

            saved = files.write_chunks(chunks, self._target, result.source, report)
            self._say_saved(_describe(saved))
            return
        from swanlab_export.spool import open_scratch, scratch_errors

        # An error in the middle must leave nothing behind that looks like a response.
        scratch = open_scratch(self)
        with scratch_errors():
            scratch.writelines(chunks)
            scratch.seek(0)
        shutil.copyfileobj(scratch, sys.stdout.buffer)

    def _say_saved(self, text: str) -> None:
        if not self._shared.quiet:
            say(f"saved {text}")


@dataclass
class _Watched:
    """The rows of a table; where there are none and nothing else says why, a hint does."""

    table: Table
    report: Report
    are_none: bool = True

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.table:
            self.are_none = False
            yield batch
        report = self.report
        is_said = report.hints or report.failures or report.all_warnings()
        if self.are_none and not is_said and self.table.name not in _REPORTS:
            report.hint("no rows: the server has none of what was asked for")


class _Drawing(io.StringIO):
    """What is drawn for standard output, before a bar in the same terminal is cleared."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of standard output."""
        return sys.stdout.encoding

    def print(self) -> None:
        """Print it."""
        with cleared_bars():
            sys.stdout.write(self.getvalue())
            sys.stdout.flush()


@contextmanager
def boundary(*, debug: bool) -> Iterator[None]:
    """Turn every error into one line on stderr and an exit code."""
    try:
        with _interruptible(), _command_line_words(), _log_on_stderr(is_wanted=debug):
            try:
                yield
            except SwanlabExportError as error:
                _fail(error, debug=debug)
            except OSError as error:
                if not _is_closed_pipe(error):
                    from swanlab_export.files.atomic import why_not_written

                    # What is written to files has errors of its own; what is printed has no name.
                    name = error.filename
                    what = "cannot print" if name is None else f"cannot read {quote(str(name))}"
                    _fail(OutputError(f"{what}: {why_not_written(error)}"), debug=debug)
                # The reader has had enough. Python would complain when it flushes stdout at its end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except (click.ClickException, click.Abort, click.exceptions.Exit):
                raise
            except Exception as error:  # noqa: BLE001  a bug is one line, too
                _fail(
                    SwanlabExportError(f"unexpected {type(error).__name__}: {quote(str(error))}"),
                    debug=debug,
                )
    except _InterruptedError as interrupt:
        _leave(interrupt)


def _is_closed_pipe(error: OSError) -> bool:
    """Say whether the reader closed the pipe, which Windows calls an invalid argument."""
    return isinstance(error, BrokenPipeError) or (
        sys.platform == "win32" and error.errno == errno.EINVAL
    )


@contextmanager
def _command_line_words() -> Iterator[None]:
    """Let messages name arguments and commands as the command line writes them."""
    program = program_name(click.get_current_context())
    token = messages.interface.set(command_line(program))
    try:
        yield
    finally:
        messages.interface.reset(token)


@contextmanager
def _log_on_stderr(*, is_wanted: bool) -> Iterator[None]:
    """Show what the package logs: every request, retry and wait; or nothing of it."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            """Print a record as one line."""
            say(f"{record.levelname.lower()}: {record.getMessage()}")

    # With no handler at all, Python itself would print warnings.
    handler = Handler() if is_wanted else logging.NullHandler()
    logger = logging.getLogger("swanlab_export")
    level = logger.level
    logger.addHandler(handler)
    if is_wanted:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let signals unwind the block, as errors do."""
    old: dict[signal.Signals, Any] = {}
    hook = sys.unraisablehook

    def leave_or_ignore(ignored: Any) -> None:
        # Where Python ignores errors, such as when it ends an object, it would ignore a signal, too.
        if isinstance(ignored.exc_value, _InterruptedError):
            _leave(ignored.exc_value)
        hook(ignored)

    sys.unraisablehook = leave_or_ignore
    try:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                old[number] = signal.signal(number, _interrupt)
        with _heard_while_waiting():
            yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


@contextmanager
def _heard_while_waiting() -> Iterator[None]:
    """End the process where Python does not get round to handling a signal.

    On Windows, a signal does not end what the main thread waits for, such as a result of another
    thread or the next bytes of a server, and Python handles it only after that.
    """
    if sys.platform != "win32":
        yield
        return
    import socket

    listener, notified = socket.socketpair()
    notified.setblocking(False)
    threading.Thread(target=_end_unless_handled, args=(listener,), daemon=True).start()
    before = signal.set_wakeup_fd(notified.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        notified.close()  # which ends the thread, too


def _end_unless_handled(listener: socket.socket) -> None:
    """Receive the numbers of signals, and end the process after the first that is not handled."""
    with listener:
        while received := listener.recv(1):
            if received[0] in _SIGNALS and not _handled.acquire(timeout=_HANDLED_WITHIN_S):
                _leave(_InterruptedError(received[0]))


def say(message: str) -> None:
    """Print a line on stderr; that nobody reads it is no failure."""
    # Names, hints and trace ids come from a server, and a terminal would obey what is in them.
    with suppress(OSError):
        clear_bars()
        click.echo(one_line(message), err=True)


def _say_some(kind: str, texts: Sequence[str]) -> None:
    """Print the first few of many lines of a kind, and count the rest."""
    for text in texts[:_HINTS_SHOWN]:
        say(f"{kind}: {text}")
    if len(texts) > _HINTS_SHOWN:
        say(f"{kind}: and {len(texts) - _HINTS_SHOWN} more")


def _fail(error: SwanlabExportError, *, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc(file=sys.stderr)
    trace_id = f" (trace id {error.trace_id})" if error.trace_id else ""
    say(f"error: {error.message}{trace_id}")
    context = click.get_current_context()
    if _is_puzzling(error) and context.command.name != "doctor" and not context.params.get("quiet"):
        say(f"hint: {shell_command('doctor PATH')} shows what this server offers")
    sys.exit(error.exit_code)


def _is_puzzling(error: SwanlabExportError) -> bool:
    """Say whether the server lacks something, or failed or responded without an explanation."""
    cause = error.__cause__ if isinstance(error, IncompleteError) else error
    if isinstance(cause, UncertainError) or not isinstance(cause, ServerError | UnavailableError):
        return False
    return not cause.code and (isinstance(cause, ServerError) or cause.status == 500)


def _interrupt(number: int, _frame: Any) -> NoReturn:
    """Unwind at the first signal; a second one ends the program at once."""
    _handled.release()
    for each in _SIGNALS:
        signal.signal(each, lambda number, _: _leave(_InterruptedError(number)))
    raise _InterruptedError(number)


def _leave(interrupt: _InterruptedError) -> NoReturn:
    """End at once: threads that still wait for the server would hold up a normal exit."""
    from swanlab_export.files.atomic import remove_leftovers

    try:
        for each in _SIGNALS:
            with suppress(ValueError):  # in another thread than the main one
                signal.signal(each, signal.SIG_IGN)
        remove_leftovers()
        say(interrupt.text)
    finally:
        os._exit(interrupt.exit_code)


def _target(shared: Shared, name: str, extra: Mapping[str, str]) -> Target | None:
    """Check where the output goes, before any request."""
    if shared.raw and (shared.output_format not in {None, "json"} or shared.fields is not None):
        raise UsageError(
            f"{argument('raw')} prints what the server sent: no {argument('format')} or "
            f"{argument('fields')}"
        )
    if shared.save is None:
        if shared.csv_bom:
            raise UsageError(f"{argument('csv_bom')} is for {argument('save')}")
        return None
    from swanlab_export.files import parse_target

    if shared.output_format is not None:
        raise UsageError(
            f"{argument('save')} goes by the extension: leave out {argument('format')}"
        )
    save = shared.save or _default_name(name)
    target = parse_target(save, extra, store_options=store_options(shared, save))
    if shared.raw and target.format != "json":
        raise UsageError(f"{argument('raw')} saves as .json only")
    if shared.fields is not None and target.format == "log":
        raise UsageError(f"{argument('fields')} chooses columns, and a .log file has none")
    if shared.csv_bom and target.format not in {"csv", "tsv"}:
        raise UsageError(f"{argument('csv_bom')} is for .csv and .tsv")
    return replace(target, has_bom=shared.csv_bom)


def _default_name(name: str) -> str:
    """Name a file after what it holds and the time, so that none replaces another."""
    plain = re.sub(r"[^\w.+-]+", "-", name).strip("-")
    kept = plain.encode()[:_NAME_BYTES_MAX].decode(errors="ignore")
    return f"{kept}-{datetime.now():%Y%m%d-%H%M%S-%f}.json"  # noqa: DTZ005  local time, for people


def _raw_chunks(payload: Any) -> Iterator[bytes]:
    """Format as indented JSON what the server sent, while it may still be coming."""
    yield b'{\n  "ok": true,\n  "errmsg": "",\n  "data": '
    for text in _json_pieces(payload, "\n  "):
        yield text.encode()
    yield b"\n}\n"


def _json_pieces(value: Any, newline: str) -> Iterator[str]:
    """Format a value; one whose members or items come one by one is never held as a whole."""
    from swanlab_export.api.context import Members  # with Arrow, which must not be imported early

    is_object = isinstance(value, Members)
    if not is_object and not isinstance(value, Iterator):
        yield _indented(value).replace("\n", newline)
        return
    separator = ""
    yield "{" if is_object else "["
    for item in value:
        name, each = item if is_object else ("", item)
        yield f"{separator}{newline}  "
        yield f"{json.dumps(name, ensure_ascii=False)}: " if is_object else ""
        yield from _json_pieces(each, f"{newline}  ")
        separator = ","
    yield newline if separator else ""
    yield "}" if is_object else "]"


def _indented(value: Any) -> str:
    """Format a value as JSON on several lines."""
    import orjson  # with the client, which must not be imported early

    try:
        text = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # integers beyond 64 bits
        return json.dumps(value, default=str, ensure_ascii=False, indent=2)
    # Of NaN and infinities, which are no JSON but may have been sent, orjson makes null, too.
    if "null" in text and re.search("NaN|Infinity", json.dumps(value, default=str)):
        return json.dumps(value, default=str, ensure_ascii=False, indent=2)
    return text


def _describe(saved: Saved) -> str:
    shape = f"{saved.rows:,} rows × {saved.columns} columns, " if saved.columns else ""
    return f"{saved.path} ({shape}{saved.size_bytes:,} bytes)"
