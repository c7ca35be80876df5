"""The objects of a store, below a prefix, as files of which any range can be read."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from swanlab_export.files.stores import LIST_S, interruptible, open_store, store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 20
# What a store announces, or sends, is read up to here alone: the library would take all of it.
_OBJECT_MAX_BYTES = 2 << 30


class Entry(NamedTuple):
    """An object that is there; ``version`` changes whenever it is written."""

    path: str
    size: int
    version: str


class Version(NamedTuple):
    """What tells one version of an object from another, as each response of a store says it."""

    tag: str | None
    size: int


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
            before: set[str] = set()
            while page := interruptible(lambda: next(pages, None), within_s=LIST_S):
                paths = {found["path"] for found in page}
                if paths & before:
                    raise OSError("its list has an object twice, and may not end")
                before = paths
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
            return self._get(path)[0]

    def _get(self, path: str, **options: Any) -> tuple[bytes, Version]:
        """Read an object or a range of it, up to a limit; and say of which version it is."""

        def get() -> tuple[bytes, Version]:
            found = self._store.get(path, options=options)
            start, end = found.range
            if end - start > _OBJECT_MAX_BYTES:
                raise OSError(f"{end - start:,} bytes are more than an object here may have")
            data = bytearray()
            for part in found.stream():
                data += part
                if len(data) > end - start:
                    raise OSError(f"more bytes came than the {end - start:,} that were announced")
            return bytes(data), Version(found.meta["e_tag"], found.meta["size"])

        return interruptible(get)

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Read a range of an object."""
        return self.fetch_range(path, start, end)[0]

    def fetch_range(self, path: str, start: int, end: int) -> tuple[bytes, Version]:
        """Read a range of an object, the whole object of a store that knows no ranges."""
        from obstore.exceptions import GenericError

        with _errors_of_reading(f"{self}/{path}"):
            try:
                return self._get(path, range=(start, end))
            except GenericError as error:
                if "non-partial" not in str(error):
                    raise
                data, version = self._get(path)
                return data[start:end], version


class _Ranges(io.RawIOBase):
    """An object as a file."""

    def __init__(self, objects: StoreObjects, path: str, size: int) -> None:
        super().__init__()
        self._objects = objects
        self._path = path
        self._size = size
        self._position = 0
        self._version: Version | None = None

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
        found, version = self._objects.fetch_range(self._path, self._position, end)
        if version != (self._version or version) or version.size != self._size:
            raise OSError(f"{self._objects}/{self._path} was replaced while it was read")
        self._version = version
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
