"""What a process shows before it does units of a backup, once: its version, key and destination.

It runs where units run: on each worker before a backup starts, and in a process that joined later
before its first unit.
"""

from __future__ import annotations

import os
import platform
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from swanlab_export._version import __title__, __version__
from swanlab_export.backups.destination import open_destination, write_object
from swanlab_export.backups.layout import TEMPORARY
from swanlab_export.errors import AuthenticationError, SwanlabExportError
from swanlab_export.messages import printable, quote
from swanlab_export.settings import load_settings


@dataclass(frozen=True)
class Place:
    """Where units write, and which server they ask: what every worker has to reach.

    The key is not here: a worker finds it in its own environment or login file.

    Attributes:
        token: What the object ``probe`` holds, which the process that drives the backup wrote; ""
            for units in its own threads.
        version: Of this package, where the backup is driven from.
        python: The version of Python there.
    """

    host: str
    destination: str
    store_options: tuple[tuple[str, str], ...]
    token: str = ""
    version: str = __version__
    python: str = platform.python_version()

    @property
    def probe(self) -> str:
        """The path of the object that each worker must find in the destination."""
        return f"{TEMPORARY}/{self.token}"


# What this process has shown; one that is forked from it has not.
_shown: set[tuple[int, Place]] = set()


@dataclass(frozen=True)
class Probe:
    """What a worker wrote into the destination; ``error`` is a sentence about why it could not."""

    worker: str
    path: str
    error: str


def write_probe(place: Place) -> Probe:
    """Write a probe with the token into the destination; runs on a worker."""
    worker = f"the worker on {socket.gethostname()} (process {os.getpid()})"
    path = f"{place.probe}-{secrets.token_hex(8)}"
    error = _compare_versions(place) or _try_place(place, path)
    if not error:
        _shown.add((os.getpid(), place))
    return Probe(worker, path, f"{worker}{error}" if error else "")


def find_unfit(place: Place) -> str:
    """Say why this process cannot do units; "" if it can, which is found out once."""
    if not place.token or (os.getpid(), place) in _shown:
        return ""
    probe = write_probe(place)
    if not probe.error:
        open_destination(place.destination, dict(place.store_options)).remove(probe.path)
    return probe.error


def worker_address() -> str:
    """The address of this process in its cluster; "" where it is in none."""
    distributed = sys.modules.get("distributed")
    try:
        return str(distributed.get_worker().address) if distributed is not None else ""
    except ValueError:
        return ""


def _compare_versions(place: Place) -> str:
    """How the sentence about this worker goes on whose versions are others; "" for none."""
    if place.version != __version__:
        return (
            f" has {__title__} {__version__}, and this is {place.version}: install the same "
            "version there"
        )
    here, there = (text.rpartition(".")[0] for text in (platform.python_version(), place.python))
    return f" runs Python {here}, and this is {there}: use the same there" if here != there else ""


def _try_place(place: Place, path: str) -> str:
    """How the sentence about this worker goes on that cannot write there; "" for none.

    It reads first, so that it writes to no other place.
    """
    try:
        load_settings(place.host, None, environ=os.environ, cwd=Path.cwd())
        destination = open_destination(place.destination, dict(place.store_options))
        try:
            content = destination.read(place.probe)
        except FileNotFoundError:
            content = b""
        if content != place.token.encode():
            return elsewhere(place.destination)
        write_object(destination, path, place.token.encode())
    except AuthenticationError:
        return f": there is no API key for {place.host}: set SWANLAB_API_KEY there, or log in there"
    except SwanlabExportError as error:
        return f": {error.message}"
    except OSError as error:
        return f": {printable(str(error))}"
    return ""


def elsewhere(destination: str) -> str:
    """How the sentence about a worker goes on that reaches another place under the same name."""
    return (
        f" writes to another place than {quote(destination)} of this machine: the destination must "
        "be a folder that all share, or an object store"
    )
