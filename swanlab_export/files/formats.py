"""File names → formats, checked before any request."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from swanlab_export.errors import UsageError
from swanlab_export.files.stores import is_store_url, parse_store_url
from swanlab_export.limits import TEXT_FORMATS
from swanlab_export.messages import argument, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swanlab_export.files.stores import StoreObject

FORMATS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".xlsx": "excel",
}
# Only the metrics table can be saved as one of these.
PICTURES = {".png": "plot", ".svg": "plot", ".pdf": "plot"}
_COMPRESSIONS = {".gz": "gz", ".zst": "zst"}


@dataclass(frozen=True)
class Target:
    """Where a table is written to, and in which format.

    ``has_bom`` is for CSV and TSV that Excel opens: without it, Excel in a Chinese locale takes UTF-8
    for GBK. With an ``object``, ``path`` is only its name.
    """

    path: Path
    format: str
    compression: str = ""
    has_bom: bool = False
    object: StoreObject | None = None

    @property
    def shown(self) -> Path | str:
        """The file, or the URL of the object."""
        return self.path if self.object is None else str(self.object)


def parse_target(
    name: str,
    extra: Mapping[str, str] | None = None,
    *,
    called: str = "save",
    store_options: Mapping[str, str] | None = None,
) -> Target:
    """Read the name of a file to write, and check that it can be written there.

    Args:
        name: The file; its extension gives the format, ``.gz`` or ``.zst`` after it compresses.
        extra: Further extensions that a command can write, with their formats.
        called: The argument that the name was given for, for messages.
        store_options: Options of the object store, where ``name`` is a URL of one.

    Raises:
        UsageError: The extension is unknown, its library is not installed, or nothing can be
            written there.
        OutputError: The object store cannot be reached.
    """
    found = parse_store_url(name, store_options, called=called) if is_store_url(name) else None
    target = _parse_name(name, FORMATS | dict(extra or {}), called)
    given = f"{argument(called)} {quote(name)}"
    if target.format == "excel" and find_spec("xlsxwriter") is None:
        raise UsageError(f"{given} needs another library: pip install xlsxwriter")
    if found is not None:
        found.check()
        return replace(target, object=found)
    if store_options:
        raise UsageError(f"{argument('store_options')} is for URLs such as s3://bucket/name")
    _check_path(target, given)
    return target


def _parse_name(name: str, known: Mapping[str, str], called: str) -> Target:
    path = Path(name)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    suffix = suffixes[-2] if compression and len(suffixes) > 1 else "".join(suffixes[-1:])
    found = known.get(suffix)
    if found is None or (compression and found not in (*TEXT_FORMATS, "log")):
        raise UsageError(
            f"{argument(called)} {quote(name)}: the extension must be one of {' '.join(known)}; "
            "text formats can have .gz or .zst after it"
        )
    return Target(path, found, compression)


def _check_path(target: Target, given: str) -> None:
    path = target.path
    try:
        is_folder, is_special = path.is_dir(), path.exists() and not path.is_file()
    except (OSError, ValueError):  # too long, or with a null character
        raise UsageError(f"{given} is not a file name") from None
    if "\0" in str(path):
        raise UsageError(f"{given} is not a file name")
    if is_folder:
        raise UsageError(f"{given} is a folder")
    if is_special:
        if target.format in {"parquet", "feather", "excel"}:
            raise UsageError(
                f"{given} is a pipe or a device: only text formats and pictures can be written "
                "there"
            )
        return  # nothing is written beside it
    folder = quote(str(path.parent))
    if not path.parent.is_dir():
        raise UsageError(f"{given}: the folder {folder} does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{given}: no permission to write in {folder}")
