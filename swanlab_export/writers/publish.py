"""The one place that publishes files: whole or not at all.

Whatever is temporary is registered before it exists: a signal can arrive between any two steps,
also between making a file and the block that would remove it, and whoever then ends the process
calls ``remove_leftovers``.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from swanlab_export.errors import OutputError
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_BYTES_MAX = 255
_temporary: set[Path] = set()
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

    A pipe or a device is written to directly, for there is nothing to replace.

    Args:
        path: The file; where it is a link, what it leads to is replaced and the link stays.
        mode: Permissions from the first byte on; None keeps those of the old file, else the usual.

    Raises:
        OutputError: The disk is full, or writing there is not allowed.
    """
    with output_errors(path):
        final = Path(os.path.realpath(path))
        if final.is_symlink():
            raise OutputError(f"{escape(str(path))} is a link that leads to itself")
        if final.exists() and not final.is_file():
            yield final
            return
        with temporary(final.with_name(part_name(final.name))) as part:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            os.close(os.open(part, flags, 0o666 if mode is None else mode))
            if mode is None and final.exists():
                part.chmod(stat.S_IMODE(final.stat().st_mode))
            yield part
            _sync(part)
            part.replace(final)


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """Remove the file or folder ``path``, which is yet to be made, when the block ends."""
    _temporary.add(path)
    try:
        yield path
    finally:
        _remove(path)


def remove_leftovers() -> None:
    """Remove what is temporary and still there, just before the process ends."""
    for path in list(_temporary):
        _remove(path)


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


def _remove(path: Path) -> None:
    gone = path.with_suffix(".gone")
    if path.is_dir():
        # Under another name first: threads that still write into it can add nothing more.
        path.replace(gone)
    if gone.exists():
        shutil.rmtree(gone, ignore_errors=True)
    path.unlink(missing_ok=True)
    _temporary.discard(path)


def part_name(name: str) -> str:
    """A hidden name of its own, so that two writers never share one."""
    ending = f".{secrets.token_hex(6)}.part"
    room = _NAME_BYTES_MAX - len(ending) - 1
    return "." + os.fsencode(name)[:room].decode(errors="ignore") + ending


def _sync(part: Path) -> None:
    """Have the bytes on the disk before the name points to them."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
