"""File names → formats, checked before anything is asked for; imports nothing heavy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swanlab_export.errors import UsageError, argument
from swanlab_export.refs import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
}
# What only the metrics table can be saved as.
PICTURES = {".png": "plot", ".svg": "plot", ".pdf": "plot"}
TEXT_FORMATS = ("json", "jsonl", "csv", "tsv")
_COMPRESSIONS = {".gz": "gz", ".zst": "zst"}


@dataclass(frozen=True)
class Target:
    """Where a table goes, and as what."""

    path: Path
    format: str
    compression: str = ""


def parse_target(
    name: str, extra: Mapping[str, str] | None = None, *, called: str = "save"
) -> Target:
    """Read the name of a file to write, and check that it can be written there.

    Args:
        name: The file; its extension says the format, ``.gz`` or ``.zst`` behind it compresses.
        extra: Further extensions that a command can write, with their formats.
        called: What the argument with the name is called, for messages.

    Raises:
        UsageError: The extension is unknown, or nothing can be written there.
    """
    target = _parse_name(name, FORMATS | dict(extra or {}), called)
    _check_place(target, name, called)
    return target


def parse_source(name: str) -> Target:
    """Read the name of a file to read; nothing is asked of the folder that it is in.

    Raises:
        UsageError: The extension is unknown, or it is a folder.
    """
    source = _parse_name(name, FORMATS, "path")
    _check_file(source.path, name, "path")
    return source


def _parse_name(name: str, known: Mapping[str, str], called: str) -> Target:
    path = Path(name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    suffix = suffixes[-2] if compression and len(suffixes) > 1 else "".join(suffixes[-1:])
    found = known.get(suffix)
    if found is None or (compression and found not in TEXT_FORMATS):
        raise UsageError(
            f"{argument(called)} {escape(name)}: the extension says the format, one of "
            f"{' '.join(known)}, text formats also with .gz or .zst"
        )
    return Target(path, found, compression)


def _check_file(path: Path, name: str, called: str) -> None:
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError):
        raise UsageError(f"{argument(called)} {escape(name)} is not a file name") from None
    if "\0" in name:
        raise UsageError(f"{argument(called)} {escape(name)} is not a file name")
    if is_folder:
        raise UsageError(f"{argument(called)} {escape(name)} is a folder")


def _check_place(target: Target, name: str, called: str) -> None:
    path = target.path
    _check_file(path, name, called)
    if path.exists() and not path.is_file():
        if target.format in {"parquet", "feather"}:
            raise UsageError(
                f"{argument(called)} {escape(name)} is a pipe or a device: "
                "these take text formats and pictures"
            )
        return  # nothing beside it is written
    parent = escape(str(path.parent))
    if not path.parent.is_dir():
        raise UsageError(f"{argument(called)}: the folder {parent} is missing; create it first")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{argument(called)}: no permission to write in {parent}")
