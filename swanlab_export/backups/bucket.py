"""A backup in an object store, below a prefix of a bucket.

An object is hashed and kept in a temporary file of this machine while it is written, and uploaded
when it is placed, so that nobody sees a part of it. Nothing depends on conditional writes, which
many stores lack or ignore.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import orjson

from swanlab_export.backups.destination import Entry
from swanlab_export.backups.layout import LOCK_FILE
from swanlab_export.errors import IncompleteError, OutputError
from swanlab_export.files.atomic import output_errors
from swanlab_export.files.stores import open_store, put_file, store_errors
from swanlab_export.messages import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from _typeshed import ReadableBuffer, WriteableBuffer

    from swanlab_export.backups.destination import Pending

_BUFFER_BYTES = 1 << 20
# Smaller objects stay in memory while they are written.
_SPOOLED_BYTES = 4 << 20
# A lock that nobody has renewed for so long is that of a process that is gone.
_LOCK_ENDS_S = 600
_RENEW_S = 120


class Bucket:
    """A prefix of a bucket.

    Args:
        url: Its URL, such as ``s3://lab/swanlab``.
        options: Options of the store; its keys come from the environment.

    Raises:
        UsageError: There is no such option.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._store = open_store(self._url, dict(options or {}))

    def __str__(self) -> str:
        return self._url

    def is_empty(self) -> bool:
        """Say whether it holds nothing but what a backup begins with."""
        return all(entry.path.startswith("state/") for entry in self._entries(None))

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects below a folder, by their paths in order."""
        yield from self._entries(prefix)

    def _entries(self, prefix: str | None) -> Iterator[Entry]:
        with store_errors(f"{self}/{prefix or ''}"):
            for page in self._store.list(prefix, chunk_size=1000):
                for found in page:
                    yield _entry(found)

    def find(self, path: str) -> Entry | None:
        """Find an object."""
        with store_errors(f"{self}/{path}"):
            try:
                return _entry(self._store.head(path))
            except FileNotFoundError:
                return None

    def open(self, path: str, size: int | None = None) -> IO[bytes]:
        """Open an object, of which ranges are read as they are asked for."""
        if size is None:
            entry = self.find(path)
            if entry is None:
                raise FileNotFoundError(f"{self}/{path}")
            size = entry.size
        return io.BufferedReader(_Ranges(self, path, size), _BUFFER_BYTES)

    def read(self, path: str) -> bytes:
        """Read an object."""
        with _errors_of_reading(f"{self}/{path}"):
            return bytes(self._store.get(path).bytes())

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Read a range of an object; the whole object of a store that knows no ranges."""
        from obstore.exceptions import GenericError

        with _errors_of_reading(f"{self}/{path}"):
            try:
                return bytes(self._store.get_range(path, start=start, end=end))
            except GenericError as error:
                if "non-partial" not in str(error):
                    raise
                return bytes(self._store.get(path).bytes())[start:end]

    def create(self, path: str) -> _Upload:
        """Begin an object."""
        return _Upload(self, path)

    def put(self, path: str, file: IO[bytes]) -> None:
        """Upload an object, and check that it is there."""
        put_file(self._store, path, file, f"{self}/{path}")

    def move(self, pending: Pending, path: str) -> None:
        """Put an object in another place than the one that it was begun for."""
        pending.path = path
        pending.place()

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        if self.find(path) is not None:  # some stores refuse to remove what is not there
            with store_errors(f"{self}/{path}"):
                self._store.delete(path)

    def clean(self) -> None:
        """Nothing temporary is visible; a rule of the bucket removes uploads that never ended."""

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock: an object with the owner's name, which is renewed while it is held.

        It is advisory: two backups that begin in the same second may both believe that they hold
        it, and then they do some work twice.
        """
        self._refuse_held()
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
        since = self._write_lock(owner)
        ended = threading.Event()
        renewing = threading.Thread(
            target=self._renew, args=(owner | {"since": since}, ended), daemon=True
        )
        renewing.start()
        try:
            if self._read_lock().get("token") != owner["token"]:
                raise IncompleteError(f"another backup writes to {quote(str(self))}")
            yield
        finally:
            ended.set()
            renewing.join()
            with suppress(OutputError, OSError):
                if self._read_lock().get("token") == owner["token"]:
                    self.remove(LOCK_FILE)

    def _refuse_held(self) -> None:
        held = self.find(LOCK_FILE)
        if held is None:
            return
        owner = self._read_lock()
        # By the clock of the store alone: that of this machine may be wrong.
        probe = f"state/clock-{secrets.token_hex(8)}"
        self.put(probe, io.BytesIO(b"{}"))
        try:
            idle_s = self._modified(probe).timestamp() - self._modified(LOCK_FILE).timestamp()
        finally:
            self.remove(probe)
        if idle_s < _LOCK_ENDS_S:
            raise IncompleteError(
                f"another backup writes to {quote(str(self))}: process {owner.get('pid')} on "
                f"{owner.get('host')}, since {owner.get('since')}; its lock ends "
                f"{_LOCK_ENDS_S // 60} minutes after its last sign of life"
            )

    def _write_lock(self, owner: dict[str, Any]) -> str:
        self.put(LOCK_FILE, io.BytesIO(orjson.dumps(owner)))
        return self._modified(LOCK_FILE).isoformat()

    def _read_lock(self) -> dict[str, Any]:
        try:
            owner = orjson.loads(self.read(LOCK_FILE))
        except (FileNotFoundError, ValueError):
            return {}
        return owner if isinstance(owner, dict) else {}

    def _modified(self, path: str) -> datetime:
        with store_errors(f"{self}/{path}"):
            modified: datetime = self._store.head(path)["last_modified"]
            return modified

    def _renew(self, owner: dict[str, Any], ended: threading.Event) -> None:
        while not ended.wait(_RENEW_S):
            with suppress(OutputError):
                self._write_lock(owner)


class _Ranges(io.RawIOBase):
    """An object as a file."""

    def __init__(self, bucket: Bucket, path: str, size: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._path = path
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from any place."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to another place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")
        end = min(self._size, self._position + len(view))
        if end <= self._position:
            return 0
        found = self._bucket.read_range(self._path, self._position, end)
        view[: len(found)] = found
        self._position += len(found)
        return len(found)


class _Upload(io.RawIOBase):
    """An object that is gathered on this machine, hashed as it comes, and uploaded in the end."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        super().__init__()
        self.path = path
        self._bucket = bucket
        self._digest = hashlib.sha256()
        self._size = 0
        # The system removes it with the process, however that ends.
        self._file = tempfile.SpooledTemporaryFile(_SPOOLED_BYTES)  # noqa: SIM115  discard closes it

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
        with output_errors(Path(tempfile.gettempdir())):
            self._file.write(memoryview(data).cast("B"))
        self._digest.update(data)
        count = memoryview(data).nbytes
        self._size += count
        return count

    def flush(self) -> None:
        """Leave what is buffered where it is."""

    def finish(self) -> tuple[int, str]:
        """End it; returns its size and sha256."""
        return self._size, self._digest.hexdigest()

    def place(self) -> None:
        """Upload it."""
        self._file.seek(0)
        self._bucket.put(self.path, self._file)

    def discard(self) -> None:
        """Give up what is on this machine."""
        self._file.close()


@contextmanager
def _errors_of_reading(shown: str) -> Iterator[None]:
    """Leave alone that an object is missing, which readers expect of a file, too."""
    with store_errors(shown, passing=(FileNotFoundError,)):
        yield


def _entry(found: Mapping[str, Any]) -> Entry:
    """Describe an object in the same way wherever it was found: lists and requests differ."""
    tag = str(found["e_tag"] or "").strip('"')
    version = tag or str(int(found["last_modified"].timestamp()))
    return Entry(found["path"], found["size"], version)
