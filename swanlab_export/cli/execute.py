"""One command from its options to its output: the only printer, the only place that exits."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import traceback
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import click

from swanlab_export.cli.options import SPELLING, Common
from swanlab_export.errors import (
    IncompleteError,
    OutputError,
    SwanlabExportError,
    UsageError,
    argument,
    spell,
)
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from swanlab_export.api.context import Answer, Context
    from swanlab_export.tables import Table
    from swanlab_export.writers import Target


_NAME_BYTES_MAX = 150


# Ctrl-C, a polite kill, and a terminal that is closed; Windows lacks the last.
_SIGNALS = {
    getattr(signal, name): why
    for name, why in (("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up"))
    if hasattr(signal, name)
}


class _InterruptedError(BaseException):
    """A signal arrived; unwinds everything, so that no temporary file stays."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.why = _SIGNALS[signal.Signals(number)]
        self.exit_code = 128 + number


def execute(
    common: Common,
    fetch: Callable[[Context], Answer],
    *,
    name: str,
    extra_formats: Mapping[str, str] | None = None,
    write_extra: Callable[[Context, Target], Any] | None = None,
    is_log_scale: bool = False,
    check: Callable[[Target | None], None] | None = None,
) -> None:
    """Run a command: check its output, fetch, normalize, write, report.

    Args:
        common: The shared options.
        fetch: Asks the server.
        name: What a bare ``--save`` calls the file, without extension.
        extra_formats: Further extensions that this command can save, with their formats.
        write_extra: Writes one of those itself, instead of ``fetch`` and a table.
        is_log_scale: Plots have a logarithmic axis.
        check: Refuses, before anything is asked for, what could not be written to the target.
    """
    with _reporting(common.debug):
        target = _target(common, name, extra_formats or {})
        if is_log_scale and "plot" not in {common.output_format, target and target.format}:
            raise UsageError(f"{argument('log_scale')} is for plots")
        if check is not None:
            check(target)
        with opened(common) as context:
            if (
                target is not None
                and write_extra is not None
                and target.format in (extra_formats or {}).values()
            ):
                _say_saved(common, write_extra(context, target))
                return
            answer = fetch(context)
            if common.raw:
                _print_raw(answer, target, common)
            else:
                table = _chosen(answer.to_table(), common.fields)
                _output(table, target, common, is_log_scale=is_log_scale)
            _report(answer, common)


@contextmanager
def opened(common: Common) -> Iterator[Context]:
    """Open the context that the options name."""
    from swanlab_export.api.connect import open_context
    from swanlab_export.progress import Progress, TqdmProgress

    shows_bars = sys.stderr.isatty() and not common.quiet
    with open_context(
        common.host,
        common.api_key,
        progress=TqdmProgress() if shows_bars else Progress(),
        jobs=common.jobs,
        timeout_s=common.timeout,
        retries=common.retries,
    ) as context:
        for warning in context.client.settings.warnings:
            say(f"warning: {warning}")
        yield context


@contextmanager
def _reporting(debug: bool) -> Iterator[None]:
    """Turn whatever happens into one line and an exit code."""
    try:
        with _interruptible():
            try:
                yield
            except SwanlabExportError as error:
                _fail(error, debug=debug)
            except BrokenPipeError:
                # Whoever read has had enough. Python would complain when it flushes stdout at its
                # end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            except OSError as error:
                _fail(OutputError(f"{error.strerror or error}"), debug=debug)
            except (click.ClickException, click.Abort, click.exceptions.Exit):
                raise
            except Exception as error:  # noqa: BLE001  the boundary: a bug is one line, too
                _fail(
                    SwanlabExportError(f"unexpected {type(error).__name__}: {escape(str(error))}"),
                    debug=debug,
                )
    except _InterruptedError as interrupt:
        _leave(interrupt)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let signals unwind the block, as errors do."""
    old: dict[signal.Signals, Any] = {}
    try:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                old[number] = signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def reporting(debug: bool) -> Any:
    """Use the boundary around a command that does not fetch a table."""
    return _reporting(debug)


def say(message: str) -> None:
    """Say something on stderr, arguments spelled as options; that nobody listens is no failure."""
    spelled = spell(message, SPELLING)
    # Names, hints and trace ids come from a server, and a terminal would obey what is in them.
    shown = "".join(c if c.isprintable() or c == "\n" else escape(c)[1:-1] for c in spelled)
    with suppress(OSError):
        click.echo(shown, err=True)


def _fail(error: SwanlabExportError, *, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc(file=sys.stderr)
    trace_id = f" (trace id {error.trace_id})" if error.trace_id else ""
    say(f"error: {error.message}{trace_id}")
    sys.exit(error.exit_code)


def _interrupt(number: int, _frame: Any) -> NoReturn:
    """Unwind at the first signal; whoever sends another wants no more waiting."""
    for each in _SIGNALS:
        signal.signal(each, lambda number, _: _leave(_InterruptedError(number)))
    raise _InterruptedError(number)


def _leave(interrupt: _InterruptedError) -> NoReturn:
    """End at once: threads that still wait for the server would hold up a normal exit."""
    from swanlab_export.writers.publish import remove_leftovers

    try:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        remove_leftovers()
        say(interrupt.why)
    finally:
        os._exit(interrupt.exit_code)


def _target(common: Common, name: str, extra: Mapping[str, str]) -> Target | None:
    """Check where the output goes, before anything is asked for."""
    if common.output_format == "plot" and "plot" not in extra.values():
        raise UsageError(f"{argument('format')} plot is for run metrics")
    if common.raw and (common.output_format not in {None, "json"} or common.fields):
        raise UsageError(
            f"{argument('raw')} prints what the server said: no {argument('format')} or "
            f"{argument('fields')}"
        )
    if common.save is None:
        return None
    from swanlab_export.writers.formats import parse_target

    if common.output_format is not None:
        raise UsageError(
            f"{argument('save')} goes by the extension: leave out {argument('format')}"
        )
    target = parse_target(common.save or _made_up(name), extra)
    if common.raw and target.format != "json":
        raise UsageError(f"{argument('raw')} saves as .json only")
    if common.fields and target.format == "log":
        raise UsageError(f"{argument('fields')} chooses columns, and a .log file has none")
    return target


def _made_up(name: str) -> str:
    """Name the file of a bare ``--save``: what it holds and when, so that none replaces another."""
    plain = re.sub(r"[^\w.+-]+", "-", name).strip("-")
    kept = plain.encode()[:_NAME_BYTES_MAX].decode(errors="ignore")
    return f"{kept}-{datetime.now():%Y%m%d-%H%M%S-%f}.json"  # noqa: DTZ005  of who looks for it


def _chosen(table: Table, wanted: str | None) -> Table:
    if wanted is None:
        return table
    from swanlab_export.api.keys import parse_names

    return table.select(parse_names("fields", wanted, table.schema.names))


def _output(table: Table, target: Target | None, common: Common, *, is_log_scale: bool) -> None:
    from swanlab_export import writers

    if target is not None:
        _say_saved(common, writers.write_table(table, target, is_log_scale=is_log_scale))
    elif common.output_format == "table":
        width = _terminal_width()
        writers.write_terminal(
            table,
            sys.stdout,
            width=width,
            is_tty=sys.stdout.isatty(),
            is_chosen=common.fields is not None,
        )
    elif common.output_format == "plot":
        from swanlab_export.writers.plot import print_plot

        print_plot(table, sys.stdout, is_log_scale=is_log_scale)
    else:
        writers.write_text(table, sys.stdout.buffer, common.output_format or "json")
    sys.stdout.flush()


def _terminal_width() -> int:
    """The width of the terminal in front of us, also where stdout goes through a pager."""
    said = os.environ.get("COLUMNS", "")
    widths = [int(said)] if said.isdigit() else []
    for stream in (1, 2, 0):
        with suppress(OSError):
            widths.append(os.get_terminal_size(stream).columns)
    return next(filter(None, widths), 120)


def _print_raw(answer: Answer, target: Target | None, common: Common) -> None:
    from swanlab_export import writers

    raw = {"ok": True, "errmsg": "", "data": answer.to_raw()}
    # Not orjson, which takes no whole numbers beyond 64 bits.
    text = json.dumps(raw, default=str, ensure_ascii=False, indent=2).encode() + b"\n"
    if target is not None:
        _say_saved(common, writers.write_chunks([text], target))
        return
    sys.stdout.buffer.write(text)
    sys.stdout.flush()


def _say_saved(common: Common, saved: Any) -> None:
    if not common.quiet:
        shape = f"{saved.rows:,} rows × {saved.columns} columns, " if saved.columns else ""
        say(f"saved {saved.path} ({shape}{saved.size_bytes:,} bytes)")


def _report(answer: Answer, common: Common) -> None:
    """Say what else there is to know; end badly where parts are missing."""
    if not common.quiet:
        for note in dict.fromkeys(answer.notes):
            say(f"hint: {note}")
    if answer.failures:
        for failure in answer.failures:
            say(f"failed: {failure}")
        count = len(answer.failures)
        raise IncompleteError(f"{count} run{'s' if count > 1 else ''} failed, and left out")
