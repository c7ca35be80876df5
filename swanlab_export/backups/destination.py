"""Where a backup is written: objects that appear whole or not at all.

A destination is reached through ``Destination`` alone: a local folder, or a bucket of an object store.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import socket
import stat
import sys
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, Self

import orjson

from swanlab_export.backups.layout import LOCK_FILE, RUN_TABLES, TEMPORARY
from swanlab_export.errors import IncompleteError, UsageError
from swanlab_export.files.atomic import output_errors, replace
from swanlab_export.files.store_objects import Entry
from swanlab_export.files.stores import is_store_url, parse_store_url
from swanlab_export.messages import argument, quote

if sys.platform != "win32":
    import fcntl
else:
    import msvcrt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from _typeshed import ReadableBuffer

_BUFFER_BYTES = 1 << 20
# Windows else reads a file as text.
_BINARY = getattr(os, "O_BINARY", 0)
# Objects up to this size are read at once: a buffer for each would take longer than most of them.
_AT_ONCE_BYTES = 1 << 20
# Where the byte lies that is locked: behind what the lock file says, which stays readable.
_LOCKED_BYTE = 1 << 20


class Pending(Protocol):
    """An object that is being written, under a temporary name; a binary file that only grows."""

    path: str

    def write(self, data: ReadableBuffer, /) -> int:
        """Append bytes."""

    def finish(self) -> tuple[int, str]:
        """End it, and have its bytes on the disk; returns its size and sha256."""

    def place(self) -> None:
        """Put it in its place, whole."""

    def discard(self) -> None:
        """Remove it, unless it is in its place."""


class Destination(Protocol):
    """A place that holds one backup. Paths are relative to it, with ``/``."""

    def is_empty(self) -> bool:
        """Say whether it holds nothing, so that a backup may begin there."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects below a folder, by their paths in order."""

    def find(self, path: str) -> Entry | None:
        """Find an object."""

    def open(self, path: str, size: int | None = None) -> IO[bytes]:
        """Open an object, of which any range may be read; ``size`` is its size, where known."""

    def read(self, path: str) -> bytes:
        """Read an object."""

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Read a range of an object."""

    def create(self, path: str) -> Pending:
        """Begin an object, under a temporary name."""

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""

    def clean(self) -> None:
        """Remove all temporary objects; only who holds the lock may."""

    def lock(self) -> AbstractContextManager[None]:
        """Hold the lock, which ends with the process.

        Raises:
            IncompleteError: Another backup holds it; says whose and since when.
        """


def open_destination(
    to: str | os.PathLike[str],
    store_options: Mapping[str, str] | None = None,
    *,
    called: str = "to",
) -> Destination:
    """Open the destination that a text names.

    Args:
        to: A local folder, or the URL of a prefix in an object store.
        store_options: Options of the object store.
        called: The argument that it was given for, for messages.

    Raises:
        UsageError: It is neither, or has an option that cannot be right.
    """
    text = os.fspath(to)
    if is_store_url(text):
        # Only for those who use an object store.
        from swanlab_export.backups.bucket import Bucket

        found = parse_store_url(text, store_options, called=called, is_prefix=True)
        return Bucket(str(found), found.options)
    if store_options:
        raise UsageError(f"{argument('store_options')} is for URLs such as s3://bucket/prefix")
    path = Path(text).expanduser()
    if "\0" in text or not text.strip() or (path.exists() and not path.is_dir()):
        raise UsageError(f"{argument(called)} {quote(text)} is not a folder")
    return Folder(path)


def write_object(destination: Destination, path: str, content: bytes) -> tuple[int, str]:
    """Write one small object, whole or not at all; returns its size and sha256."""
    pending = destination.create(path)
    try:
        pending.write(content)
        written = pending.finish()
        pending.place()
    finally:
        pending.discard()
    return written


def write_if_changed(destination: Destination, path: str, content: bytes) -> None:
    """Write one small object, unless it is there as it is."""
    if destination.find(path) is None or destination.read(path) != content:
        write_object(destination, path, content)


def listed_sizes(destination: Destination, folder: str) -> dict[str, int]:
    """The sizes of all objects of a project's runs, by their paths.

    Lists tell many at once, which is what an object store is quick at.
    """
    return {entry.path: entry.size for entry in listed_entries(destination, folder)}


def listed_entries(destination: Destination, folder: str) -> Iterator[Entry]:
    """Yield all objects of a project's runs but their receipts."""
    prefixes = [f"tables/{table}/{folder}" for table in RUN_TABLES]
    for prefix in [*prefixes, f"state/payloads/{folder}", f"files/{folder}"]:
        yield from destination.list(prefix)


def hash_object(destination: Destination, path: str, size: int | None = None) -> tuple[int, str]:
    """Read a whole object; returns its size and sha256. ``size`` is its size, where known."""
    if size is not None and 0 < size <= _AT_ONCE_BYTES:
        content = destination.read_range(path, 0, size)
        return len(content), hashlib.sha256(content).hexdigest()
    with destination.open(path, size) as file:
        digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
        return file.tell(), digest.hexdigest()


class Folder:
    """A local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def is_empty(self) -> bool:
        """Say whether it is missing, or holds at most what a backup begins with."""
        try:
            return {entry.name for entry in self.root.iterdir()} <= {"state"}
        except FileNotFoundError:
            return True

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects below a folder, by their paths in order."""
        root = str(self.root)
        try:
            # The names alone: of 100,000 files, what the system says of them takes 100 MB.
            names = sorted(entry.name for entry in os.scandir(f"{root}/{prefix}"))
        except FileNotFoundError:
            return
        for name in names:
            path = f"{prefix}/{name}"
            try:
                found = os.stat(f"{root}/{path}")  # noqa: PTH116  a Path takes four times as long
            except FileNotFoundError:
                continue  # it was removed meanwhile
            if stat.S_ISDIR(found.st_mode):
                yield from self.list(path)
            else:
                yield _entry(path, found)

    def find(self, path: str) -> Entry | None:
        """Find an object."""
        try:
            return _entry(path, (self.root / path).stat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, path: str, size: int | None = None) -> IO[bytes]:
        """Open an object, of which any range may be read."""
        del size
        return (self.root / path).open("rb")

    def read(self, path: str) -> bytes:
        """Read an object."""
        return (self.root / path).read_bytes()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Read a range of an object."""
        # A Path would take as long as the reading, and a file object half as long.
        descriptor = os.open(f"{self.root}/{path}", os.O_RDONLY | _BINARY)
        try:
            if start:
                os.lseek(descriptor, start, os.SEEK_SET)
            return os.read(descriptor, end - start)
        finally:
            os.close(descriptor)

    def create(self, path: str) -> _TemporaryObject:
        """Begin an object, under a temporary name."""
        return _TemporaryObject(self.root, path)

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        with output_errors(self.root / path):
            (self.root / path).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove all temporary objects."""
        for entry in list(self.list(TEMPORARY)):
            with suppress(OSError):
                (self.root / entry.path).unlink()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock: the system releases it when the process ends, however that happens."""
        path = self.root / LOCK_FILE
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        with file:
            try:
                _lock(file)
            except OSError:
                raise IncompleteError(
                    f"another backup writes to {quote(str(self))}: {_owner(path)}"
                ) from None
            owner = {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            with output_errors(path):
                file.truncate(0)
                file.write(orjson.dumps(owner))
                file.flush()
            yield


class HashingFile(io.RawIOBase, ABC):
    """A binary file that only grows, whose bytes are hashed as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._digest = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def writable(self) -> bool:
        """It can be written."""
        return True

    def tell(self) -> int:
        """How many bytes have come."""
        return self._size

    def write(self, data: ReadableBuffer, /) -> int:
        """Append bytes."""
        view = memoryview(data).cast("B")
        self._append(view)
        self._digest.update(view)
        self._size += len(view)
        return len(view)

    def flush(self) -> None:
        """Leave what is buffered where it is: ``finish`` writes it."""

    @abstractmethod
    def _append(self, view: memoryview) -> None:
        """Write bytes behind those that have come."""


class _TemporaryObject(HashingFile):
    """A file in ``state/tmp``, on the same file system, whose bytes are hashed as they come."""

    def __init__(self, root: Path, path: str) -> None:
        super().__init__()
        self.path = path
        self._root = root
        self._part = root / TEMPORARY / f"{os.getpid()}-{secrets.token_hex(8)}"
        with output_errors(root / path):
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("xb", buffering=_BUFFER_BYTES)

    def _append(self, view: memoryview) -> None:
        with output_errors(self._root / self.path):
            self._file.write(view)

    def finish(self) -> tuple[int, str]:
        """End it, and have its bytes on the disk; returns its size and sha256."""
        with output_errors(self._root / self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self._size, self._digest.hexdigest()

    def place(self) -> None:
        """Put it in its place, whole, and have the name on the disk, too."""
        final = self._root / self.path
        with output_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            replace(self._part, final)
            _sync_folder(final.parent)

    def discard(self) -> None:
        """Remove it, unless it is in its place."""
        with suppress(OSError):  # a buffer that no longer fits on the disk
            self._file.close()
        with suppress(OSError):
            self._part.unlink()


def _entry(path: str, found: os.stat_result) -> Entry:
    return Entry(path, found.st_size, str(found.st_mtime_ns))


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; Windows does so by itself."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(file: IO[bytes]) -> None:
    if sys.platform != "win32":
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


def _owner(path: Path) -> str:
    """Say who holds a lock."""
    try:
        owner = orjson.loads(path.read_bytes())
        return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it does not say which one"
