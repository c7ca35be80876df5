"""The objects of a store, below a prefix, as files of which any range can be read."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from swanlab_export.files.stores import interruptible, open_store, store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 20


class Entry(NamedTuple):
    """An object that is there; ``version`` changes whenever it is written."""

    path: str
    size: int
    version: str


class StoreObjects:
    """The objects below a prefix of a bucket.

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

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects below a folder, by their paths in order."""
        yield from self._entries(prefix)

    def _entries(self, prefix: str | None) -> Iterator[Entry]:
        with store_errors("list", f"{self}/{prefix or ''}"):
            pages = iter(self._store.list(prefix, chunk_size=1000))
            while (page := interruptible(lambda: next(pages, None))) is not None:
                for found in page:
                    yield _entry(found)

    def find(self, path: str) -> Entry | None:
        """Find an object."""
        with store_errors("find", f"{self}/{path}"):
            try:
                return _entry(interruptible(lambda: self._store.head(path)))
            except FileNotFoundError:
                return None

    def open(self, path: str, size: int | None = None) -> BinaryIO:
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
            return self._get(path)

    def _get(self, path: str) -> bytes:
        return interruptible(lambda: bytes(self._store.get(path).bytes()))

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Read a range of an object; the whole object of a store that knows no ranges."""
        from obstore.exceptions import GenericError

        with _errors_of_reading(f"{self}/{path}"):
            try:
                return interruptible(
                    lambda: bytes(self._store.get_range(path, start=start, end=end))
                )
            except GenericError as error:
                if "non-partial" not in str(error):
                    raise
                return self._get(path)[start:end]


class _Ranges(io.RawIOBase):
    """An object as a file."""

    def __init__(self, objects: StoreObjects, path: str, size: int) -> None:
        super().__init__()
        self._objects = objects
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
        found = self._objects.read_range(self._path, self._position, end)
        view[: len(found)] = found
        self._position += len(found)
        return len(found)


@contextmanager
def _errors_of_reading(shown: str) -> Iterator[None]:
    """Leave alone that an object is missing, which readers expect of a file, too."""
    with store_errors("read", shown, passing=(FileNotFoundError,)):
        yield


def _entry(found: Mapping[str, Any]) -> Entry:
    """Describe an object in the same way wherever it was found: lists and requests differ."""
    tag = str(found["e_tag"] or "").strip('"')
    version = tag or str(int(found["last_modified"].timestamp()))
    return Entry(found["path"], found["size"], version)
