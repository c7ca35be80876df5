"""The one place that publishes files: whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from swanlab_export.errors import OutputError
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME_BYTES_MAX = 255
_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the disk is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOENT: "the folder is missing",
    errno.EISDIR: "it is a folder",
}


@contextmanager
def publish(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary file beside ``path``; it takes its place when the block ends well.

    Whatever ends the block otherwise, Ctrl-C included, leaves the old file as it was and no
    temporary file behind.

    Args:
        path: The file; where it is a link, what it leads to is replaced and the link stays.
        mode: Permissions from the first byte on; None keeps those of the old file, else the usual.

    Raises:
        OutputError: The disk is full, or writing there is not allowed.
    """
    with output_errors(path):
        final = path.resolve()
        part = final.with_name(_part_name(final.name))
        descriptor = os.open(
            part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if mode is None else mode
        )
        try:
            os.close(descriptor)
            if mode is None and final.exists():
                part.chmod(stat.S_IMODE(final.stat().st_mode))
            yield part
            _sync(part)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Say in plain words why a file cannot be written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        words = _WORDS.get(error.errno or 0, error.strerror or str(error))
        raise OutputError(f"{escape(str(path))} cannot be written: {words}") from None


def _part_name(name: str) -> str:
    """A hidden name of its own, so that two writers never share one."""
    ending = f".{secrets.token_hex(6)}.part"
    room = _NAME_BYTES_MAX - len(ending) - 1
    return "." + name.encode()[:room].decode(errors="ignore") + ending


def _sync(part: Path) -> None:
    """Have the bytes on the disk before the name points to them."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
