"""Files that a server named, into one folder: safe names, all of them or none."""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import ExitStack, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self

from swanlab_export.errors import OutputError, UsageError
from swanlab_export.files.atomic import output_errors, replace, temporary
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from types import TracebackType

# What no common file system takes in a name, controls and marks that reorder text included.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')
# Names of devices on Windows, with any extension.
_RESERVED = re.compile(
    r"(con|prn|aux|nul|(com|lpt)[\d¹²³]|con(in|out)\$)\s*(\..*)?", re.IGNORECASE | re.DOTALL
)
_NAME_BYTES_MAX = 150


class FolderWriter:
    """Gathers files in a hidden folder inside their own, and moves them in at the end.

    Raises:
        UsageError: The folder is a file, or its parent is missing; checked at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if "\0" in str(folder) or (folder.exists() and not folder.is_dir()):
            raise UsageError(f"{argument('download')} {quote(str(folder))} is not a folder")
        if not folder.parent.is_dir():
            raise UsageError(
                f"{argument('download')}: the folder {quote(str(folder.parent))} does not exist; "
                "create it first"
            )
        self._names: list[str] = []
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup, output_errors(self.folder):
            try:
                self.folder.mkdir()
            except FileExistsError:
                if not self.folder.is_dir():
                    raise
            else:
                cleanup.push(self._remove_after_error)
            staging = cleanup.enter_context(temporary(self.folder, "", 0o600)).folder
            # Nobody else reads what is not yet complete.
            staging.mkdir(mode=0o700)
            self._new, self._old = staging / "new", staging / "old"
            for each in (self._new, self._old):
                each.mkdir()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cleanup.__exit__(kind, error, traceback)

    def _remove_after_error(self, kind: type[BaseException] | None, *_: object) -> None:
        """Remove the folder that was made for these files, of which none came."""
        if kind is not None:
            with suppress(OSError):  # by now somebody else has put something there
                self.folder.rmdir()

    @staticmethod
    def plan_names(files: Sequence[tuple[str, str]]) -> list[str]:
        """Give each (key, path) a name: safe, and different even where case does not count."""
        taken: set[str] = set()
        counts: dict[str, int] = {}
        names = []
        for key, path in files:
            folder = safe_name(key)
            file = PurePosixPath(safe_name(path.replace("\\", "/").rsplit("/", 1)[-1]))
            name = f"{folder}/{file}"
            first = _compared(name)
            while _compared(name) in taken:
                # Goes on from the last number, so that many files of one name take no longer.
                counts[first] = counts.get(first, 1) + 1
                name = f"{folder}/{file.stem}-{counts[first]}{file.suffix}"
            taken.add(_compared(name))
            names.append(name)
        return names

    def write(self, name: str, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Write one file; returns where it will be and its size in bytes."""
        target = self._new / name
        size_bytes = 0
        with output_errors(self.folder / name):
            target.parent.mkdir(exist_ok=True)
            with target.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    size_bytes += len(chunk)
                file.flush()
                os.fsync(file.fileno())
        self._names.append(name)
        return str(self.folder / name), size_bytes

    def commit(self) -> None:
        """Move every file to its place; each replaces an older one of its name.

        Raises:
            OutputError: One cannot be moved; then the folder is as it was.
        """
        names = sorted(self._names)
        for name in names:
            target = self.folder / name
            if target.is_dir() or (target.parent.exists() and not target.parent.is_dir()):
                raise OutputError(f"{quote(str(target))} cannot be written: its name is taken")
        moved: list[str] = []
        made: list[Path] = []
        try:
            for name in names:
                moved.append(name)
                self._move(name, made)
        except BaseException:
            for name in moved:
                self._put_back(name)
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()
            raise

    def _move(self, name: str, made: list[Path]) -> None:
        target, old = self.folder / name, self._old / name
        with output_errors(target):
            if not target.parent.exists():
                target.parent.mkdir()
                made.append(target.parent)
            if os.path.lexists(target):
                old.parent.mkdir(exist_ok=True)
                replace(target, old)
            replace(self._new / name, target)

    def _put_back(self, name: str) -> None:
        """Undo a move, also one that came half the way."""
        target, old = self.folder / name, self._old / name
        with suppress(OSError):
            if os.path.lexists(old):
                old.replace(target)
            elif not (self._new / name).exists():
                target.unlink()


def safe_name(name: str) -> str:
    r"""Make one file name out of any name that a server sends.

    >>> safe_name("../../etc/passwd"), safe_name("C:\\x"), safe_name("nul.png"), safe_name("..")
    ('.._.._etc_passwd', 'C__x', '_nul.png', '_')
    """
    safe = _UNSAFE.sub("_", name).rstrip(". ").lstrip(" ")
    if not safe.strip("."):
        return "_"
    if _RESERVED.fullmatch(safe):
        safe = f"_{safe}"
    if len(safe.encode()) > _NAME_BYTES_MAX:
        suffix = PurePosixPath(safe).suffix
        suffix = suffix if len(suffix) <= 11 else ""
        keep = safe.encode()[: _NAME_BYTES_MAX - len(suffix.encode())]
        safe = keep.decode(errors="ignore").rstrip(". ") + suffix
    return safe


def _compared(name: str) -> str:
    """How file systems compare names that ignore case, or how accents are composed."""
    return unicodedata.normalize("NFC", name.casefold())
