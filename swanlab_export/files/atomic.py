"""The one place that writes files: whole or not at all.

A file is written under a temporary name beside its own, and renamed when it is complete. Temporary
files are removed

- at the end of the block that writes them, whatever ends it;
- by ``remove_leftovers``, just before a signal ends the process: each is registered before it
  exists, since a signal can arrive between any two steps;
- after a process was killed, by the next one that writes into the same folder. A living process
  holds a lock on its temporary file for as long as it writes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from swanlab_export.errors import OutputError
from swanlab_export.messages import quote

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_BYTES_MAX = 255
# It ends in the machine and a random number, so that two writers never share a name.
_PART = re.compile(r"\..*\.([0-9a-f]{8})-[0-9a-f]{12}\.part", re.DOTALL)
# Since the last write to a file that may be abandoned. On a shared disk, locks may hold on one
# machine only; and on Windows, a file is closed just before it is renamed.
_LEAST_AGE_S = 60 if sys.platform == "win32" else 0
_LEAST_AGE_ELSEWHERE_S = 86_400
_FOLDER = ".files"
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
    errno.EPIPE: "the reader closed the pipe",
}
# ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION: what Windows says of a file that is open.
_OPEN_ELSEWHERE = {5, 32}
# ERROR_PATH_NOT_FOUND and ERROR_FILENAME_EXCED_RANGE: what it says of a path that is too long, which
# begins at this length, since a folder has to leave room for a file.
_NOT_THERE = {3, 206}
_LONG_PATH = 248


@contextmanager
def write_atomically(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary file beside ``path``; it replaces ``path`` when the block ends well.

    Whatever ends the block otherwise, Ctrl-C included, leaves the old file as it was and no
    temporary file behind.

    A pipe or a device is written to directly, for there is nothing to replace.

    Args:
        path: The file; where it is a link, the file that it leads to is replaced and the link stays.
        mode: Permissions from the first byte on; None keeps those of the old file (but no setuid
            or setgid bit), else the usual.

    Raises:
        OutputError: The disk is full, or writing there is not allowed.
    """
    with output_errors(path):
        final = Path(os.path.realpath(path))
        if final.is_symlink():
            raise OutputError(f"{quote(str(path))} is a link that leads to itself")
        if final.exists() and not final.is_file():
            yield final
            return
        with temporary(final.parent, final.name, 0o666 if mode is None else mode) as part:
            if mode is None and final.exists():
                part.path.chmod(stat.S_IMODE(final.stat().st_mode) & 0o777)
            yield part.path
            part.move_to(final)


@dataclass
class TemporaryFile:
    """A new file with a hidden name, which is locked while it is open."""

    path: Path
    descriptor: int | None

    @property
    def folder(self) -> Path:
        """A folder that is removed together with this file, for its owner to make."""
        return folder_of(self.path)

    def move_to(self, final: Path) -> None:
        """Replace ``final`` by this file."""
        # Have the bytes on the disk before the name points to them.
        assert self.descriptor is not None
        os.fsync(self.descriptor)
        if sys.platform == "win32":
            self.close()  # Windows renames no file that is open
        replace(self.path, final)

    def close(self) -> None:
        """Give up the lock."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def folder_of(part: Path) -> Path:
    """The folder that is removed together with a temporary file."""
    return part.with_suffix(_FOLDER)


@contextmanager
def temporary(folder: Path, name: str, mode: int) -> Iterator[TemporaryFile]:
    """Yield a new file in ``folder``; it is removed at the end unless it was moved."""
    _remove_abandoned(folder)
    path = folder / _part_name(name)
    _temporary.add(path)
    try:
        part = TemporaryFile(path, _open_locked(path, mode))
        try:
            yield part
        finally:
            part.close()
    finally:
        _remove(path)


def remove_leftovers() -> None:
    """Remove the temporary files of this process that are still there, just before it ends."""
    for path in list(_temporary):
        with suppress(OSError):  # Windows removes no file that is open; the next process does
            _remove(path)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Say in plain words why a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{quote(str(path))} cannot be written: {why_not_written(error)}"
        ) from None


def why_not_written(error: OSError) -> str:
    """Say in plain words what the system said."""
    code = getattr(error, "winerror", None)
    if code in _NOT_THERE and len(str(error.filename)) >= _LONG_PATH:
        return (
            "its path is longer than Windows allows: take a folder with a shorter path, or allow "
            "long paths there (LongPathsEnabled)"
        )
    return _WORDS.get(error.errno or 0, error.strerror or str(error))


def replace(source: Path, final: Path) -> None:
    """Rename a file; an old one of the new name is replaced.

    Raises:
        OutputError: The old one is open in another program, which Windows does not allow.
        OSError: It cannot be replaced for another reason.
    """
    try:
        source.replace(final)
    except PermissionError as error:
        if getattr(error, "winerror", None) not in _OPEN_ELSEWHERE:
            raise
        raise OutputError(
            f"{quote(str(final))} cannot be replaced: it is open in another program; close it "
            "there and try again"
        ) from None


def _open_locked(path: Path, mode: int) -> int:
    """Create a file and lock it until it is closed."""
    # Windows synchronizes only what is open for writing.
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
    while True:
        descriptor = os.open(path, flags, mode)
        _lock(descriptor)
        if path.exists():
            return descriptor
        os.close(descriptor)  # another process removed it as abandoned before it was locked


def _remove(path: Path) -> None:
    """Remove a temporary file, but first the folder that belongs to it."""
    folder, gone = folder_of(path), path.with_suffix(".gone")
    with suppress(OSError):
        # Under another name first: threads that still write into it can add nothing more.
        folder.replace(gone)
    for each in (gone, folder):
        shutil.rmtree(each, ignore_errors=True)
    path.unlink(missing_ok=True)
    _temporary.discard(path)


@lru_cache(maxsize=1000)  # once for each folder: a backup writes thousands of files into one
def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files that no living process writes."""
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208  names are enough
            if (found := _PART.fullmatch(name)) is not None:
                with suppress(OSError):
                    _remove_if_abandoned(folder / name, found[1])


def _remove_if_abandoned(path: Path, machine: str) -> None:
    least_age_s = _LEAST_AGE_S if machine == _machine() else _LEAST_AGE_ELSEWHERE_S
    if time.time() - path.stat().st_mtime < least_age_s:
        return
    if sys.platform == "win32":
        path.rename(path)  # an error where it is open, before anything is removed
        _remove(path)
    else:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error where it is locked
            _remove(path)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock a file until it is closed. Windows needs no lock: it removes no file that is open."""
    if sys.platform != "win32":
        with suppress(OSError):  # without locks, nobody can take the file for abandoned
            fcntl.flock(descriptor, fcntl.LOCK_EX)


@lru_cache
def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _part_name(name: str) -> str:
    """A hidden name that no other writer has."""
    ending = f".{_machine()}-{secrets.token_hex(6)}.part"
    room = _NAME_BYTES_MAX - len(ending) - 1
    return "." + os.fsencode(name)[:room].decode(errors="ignore") + ending
