"""What both origins of a running sandbox share."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from swanlab_export.sandbox.traffic import Traffic

if TYPE_CHECKING:
    from swanlab_export.sandbox.data import Data
    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.faults import Faults

# The folder on the API host that self-hosted servers presign paths of.
PRIVATE = "/swanlab-private/"


@dataclass
class State:
    """Data, sessions, faults and traffic of one sandbox.

    Attributes:
        files: Name of an exported file or medium → what it is built from.
        summaries: Summaries that were computed once, of runs that came without one.
        pages_served: How many pages the fault ``moving`` has changed a list for.
    """

    data: Data
    faults: Faults
    generation: str
    storage_url: str = ""
    traffic: Traffic = field(default_factory=Traffic)
    sessions: dict[str, str] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    summaries: dict[Run, dict[str, dict[str, Any]]] = field(default_factory=dict)
    pages_served: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _secret: str = field(default_factory=lambda: secrets.token_hex(16))

    def open_session(self, username: str) -> str:
        """Log a user in; returns the session's id."""
        sid = secrets.token_hex(16)
        self.sessions[sid] = username
        return sid

    def keep_file(self, name: str, content: tuple[str, Any]) -> str:
        """Have a file served under ``name``; returns the name."""
        self.files[name] = content
        return name

    def signature(self, name: str) -> str:
        """What a presigned URL of a file carries."""
        return hashlib.sha256(f"{self._secret}/{name}".encode()).hexdigest()[:32]

    def presign(self, name: str) -> str:
        """A URL on the storage, or a path on the API host, that gives one file."""
        query = f"X-Amz-Expires=300&X-Amz-Signature={self.signature(name)}"
        is_path = self.faults.has("relative-presign")
        # A name has the ids and paths that runs came with, whatever characters these hold.
        return f"{PRIVATE if is_path else self.storage_url + '/'}{quote(name)}?{query}"
