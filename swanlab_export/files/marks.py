"""The mark of an incomplete file: beside ``NAME``, ``NAME.incomplete.json`` says what was left out.

There is never an incomplete file without its mark: the mark is written before the file appears, and
removed after a complete one has taken its place.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from swanlab_export.files.atomic import output_errors, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from swanlab_export.files.formats import Target
    from swanlab_export.files.stores import StoreObject

_ENDING = ".incomplete.json"


def mark_of(path: Path) -> Path:
    """Where the mark of a file is."""
    return path.with_name(path.name + _ENDING)


def mark_in(folder: Path) -> Path:
    """Where the mark of a folder of downloaded files is."""
    return folder / "incomplete.json"


@contextmanager
def write_with_mark(target: Target, describe: Callable[[], bytes | None]) -> Iterator[Path]:
    """Yield a temporary file, which becomes the target, with its mark, when the block ends well.

    Args:
        target: A file, or an object of a store.
        describe: Asked when the file is written: what its mark says, None for no mark.
    """
    if target.object is not None:
        yield from _upload_with_mark(target.object, describe)
        return
    path = target.path
    is_file = path.is_file() or not path.exists()  # a pipe or a device has no mark
    with marking(mark_of(path)) as mark, write_atomically(path) as part:
        yield part
        if is_file:
            mark(describe())


def _upload_with_mark(
    uploaded: StoreObject, describe: Callable[[], bytes | None]
) -> Iterator[Path]:
    mark = replace(uploaded, key=uploaded.key + _ENDING)
    with uploaded.upload() as part:
        yield part
        content = describe()
        if content is not None:
            with mark.upload() as mark_part:
                mark_part.write_bytes(content + b"\n")
    if content is None:
        mark.remove()


@contextmanager
def marking(place: Path) -> Iterator[Callable[[bytes | None], None]]:
    """Yield a function that sets the mark at ``place``, before what it is about appears.

    At the end of the block, a mark that was not set anew is removed; if the block fails, it is one
    that did not exist before.
    """
    existed = os.path.lexists(place)
    is_whole: bool | None = None

    def mark(content: bytes | None) -> None:
        nonlocal is_whole
        is_whole = content is None
        if content is not None:
            with write_atomically(place) as part:
                part.write_bytes(content + b"\n")

    try:
        yield mark
    except BaseException:
        if is_whole is False and not existed:
            with suppress(OSError):
                place.unlink()
        raise
    if is_whole and existed:
        with output_errors(place):
            place.unlink(missing_ok=True)
