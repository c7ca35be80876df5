"""A backup in an object store, below a prefix of a bucket.

An object is hashed and kept in a temporary file of this machine while it is written, and uploaded
when it is placed, so that nobody sees a part of it. Nothing depends on conditional writes, which
many stores lack or ignore.
"""

from __future__ import annotations

import io
import os
import secrets
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from swanlab_export.backups.destination import HashingFile
from swanlab_export.backups.layout import LOCK_FILE, TEMPORARY
from swanlab_export.errors import IncompleteError, OutputError
from swanlab_export.files.atomic import output_errors
from swanlab_export.files.store_objects import StoreObjects
from swanlab_export.files.stores import interruptible, put_file, store_errors
from swanlab_export.messages import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

# Smaller objects stay in memory while they are written.
_SPOOLED_BYTES = 4 << 20
# A lock that nobody has renewed for so long is that of a process that is gone.
_LOCK_ENDS_S = 600
_RENEW_S = 120


class Bucket(StoreObjects):
    """A prefix of a bucket, as a place for one backup."""

    def is_empty(self) -> bool:
        """Say whether it holds nothing but what a backup begins with."""
        return all(entry.path.startswith("state/") for entry in self._entries(None))

    def create(self, path: str) -> _Upload:
        """Begin an object."""
        return _Upload(self, path)

    def put(self, path: str, file: IO[bytes]) -> None:
        """Upload an object, and check that it is there."""
        put_file(self._store, path, file, f"{self}/{path}")

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        if self.find(path) is not None:  # some stores refuse to remove what is not there
            with store_errors("remove", f"{self}/{path}"):
                interruptible(lambda: self._store.delete(path))

    def clean(self) -> None:
        """Remove all temporary objects, which are probes of processes that ended too early.

        A rule of the bucket removes uploads that never ended: nobody sees these.
        """
        for entry in list(self.list(TEMPORARY)):
            self.remove(entry.path)

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
        if "token" not in owner:
            return  # it is that of a folder that was copied here
        # By the clock of the store alone: that of this machine may be wrong.
        probe = f"{TEMPORARY}/clock-{secrets.token_hex(8)}"
        self.put(probe, io.BytesIO(b"{}"))
        try:
            now, renewed_at = self._modified(probe), self._modified(LOCK_FILE)
        finally:
            self.remove(probe)
        if renewed_at is None:
            return  # it was released meanwhile
        # Who holds the lock removes what is temporary.
        if now is None or (now - renewed_at).total_seconds() < _LOCK_ENDS_S:
            raise IncompleteError(
                f"another backup writes to {quote(str(self))}: process {owner.get('pid')} on "
                f"{owner.get('host')}, since {owner.get('since')}; its lock ends "
                f"{_LOCK_ENDS_S // 60} minutes after it was last renewed"
            )

    def _write_lock(self, owner: dict[str, Any]) -> str:
        self.put(LOCK_FILE, io.BytesIO(orjson.dumps(owner)))
        written_at = self._modified(LOCK_FILE)
        return "" if written_at is None else written_at.isoformat()

    def _read_lock(self) -> dict[str, Any]:
        try:
            owner = orjson.loads(self.read(LOCK_FILE))
        except (FileNotFoundError, ValueError):
            return {}
        return owner if isinstance(owner, dict) else {}

    def _modified(self, path: str) -> datetime | None:
        """When an object was written, by the clock of the store; None for no object."""
        with store_errors("find", f"{self}/{path}"), suppress(FileNotFoundError):
            modified: datetime = interruptible(lambda: self._store.head(path)["last_modified"])
            return modified
        return None

    def _renew(self, owner: dict[str, Any], ended: threading.Event) -> None:
        while not ended.wait(_RENEW_S):
            with suppress(OutputError):
                self._write_lock(owner)


class _Upload(HashingFile):
    """An object that is gathered on this machine, hashed as it comes, and uploaded in the end."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        super().__init__()
        self.path = path
        self._bucket = bucket
        # The system removes it with the process, however that ends.
        self._file = tempfile.SpooledTemporaryFile(_SPOOLED_BYTES)  # noqa: SIM115  discard closes it

    def _append(self, view: memoryview) -> None:
        with output_errors(Path(tempfile.gettempdir())):
            self._file.write(view)

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
