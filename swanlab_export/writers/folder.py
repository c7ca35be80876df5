"""Files that a server named, into one folder: safe names, all of them or none."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import PurePath
from typing import TYPE_CHECKING, Self

from swanlab_export.errors import OutputError, UsageError, argument
from swanlab_export.refs import escape
from swanlab_export.writers.publish import part_name, temporary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# What no common file system takes in a name, controls and marks that reorder text included.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_NAME_BYTES_MAX = 150


class FolderWriter:
    """Gathers files in a hidden folder beside their place, and moves them in at the end.

    Raises:
        UsageError: The folder is a file, or its parent is missing; checked at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if "\0" in str(folder) or (folder.exists() and not folder.is_dir()):
            raise UsageError(f"{argument('download')} {escape(str(folder))} is not a folder")
        if not folder.parent.is_dir():
            raise UsageError(
                f"{argument('download')}: {escape(str(folder.parent))} is missing; create it first"
            )
        self._staging = folder / part_name("")
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(temporary(self._staging))
        try:
            self.folder.mkdir(exist_ok=True)
            self._staging.mkdir(mode=0o700)
        except OSError as error:
            self._cleanup.close()
            raise OutputError(f"{escape(str(self.folder))}: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def plan_names(self, files: Sequence[tuple[str, str]]) -> list[str]:
        """Give each (key, path) a name: safe, and different even where case does not count."""
        taken: set[str] = set()
        names = []
        for key, path in files:
            folder = safe_name(key)
            file = PurePath(safe_name(path.replace("\\", "/").rsplit("/", 1)[-1]))
            name, count = f"{folder}/{file}", 1
            while name.casefold() in taken:
                count += 1
                name = f"{folder}/{file.stem}-{count}{file.suffix}"
            taken.add(name.casefold())
            names.append(name)
        return names

    def write(self, name: str, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Write one file; returns where it will be and its size in bytes."""
        target = self._staging / name
        size_bytes = 0
        try:
            target.parent.mkdir(exist_ok=True)
            with target.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    size_bytes += len(chunk)
        except OSError as error:
            raise OutputError(f"{escape(name)}: {error.strerror or error}") from None
        return str(self.folder / name), size_bytes

    def publish(self) -> None:
        """Move every file to its place; each replaces an older one of its name whole.

        Raises:
            OutputError: Something else is in the place of one; then none is moved.
        """
        sources = sorted(path for path in self._staging.rglob("*") if path.is_file())
        targets = [self.folder / source.relative_to(self._staging) for source in sources]
        for target in targets:
            if target.is_dir() or (target.parent.exists() and not target.parent.is_dir()):
                raise OutputError(f"{escape(str(target))}: something else is in its place")
        for source, target in zip(sources, targets, strict=True):
            try:
                target.parent.mkdir(exist_ok=True, parents=True)
                source.replace(target)
            except OSError as error:
                raise OutputError(f"{escape(str(target))}: {error.strerror}") from None


def safe_name(name: str) -> str:
    r"""Make one file name out of whatever the server sent.

    >>> safe_name("../../etc/passwd"), safe_name("C:\\x"), safe_name("nul.png"), safe_name("..")
    ('.._.._etc_passwd', 'C__x', '_nul.png', '_')
    """
    safe = _UNSAFE.sub("_", name).rstrip(". ").lstrip(" ")
    if not safe.strip("."):
        return "_"
    if _RESERVED.fullmatch(safe):
        safe = f"_{safe}"
    if len(safe.encode()) > _NAME_BYTES_MAX:
        suffix = PurePath(safe).suffix
        suffix = suffix if len(suffix) <= 11 else ""
        keep = safe.encode()[: _NAME_BYTES_MAX - len(suffix.encode())]
        safe = keep.decode(errors="ignore").rstrip(". ") + suffix
    return safe
