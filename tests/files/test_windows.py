"""What Windows refuses is not done: to rename or remove a file that is open, or to read its owner's rights."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from systems import needs_linux, refuse_what_is_open

from swanlab_export.errors import IncompleteError, OutputError
from swanlab_export.files import parse_target, write_chunks, write_table
from swanlab_export.files.atomic import remove_leftovers, write_atomically
from swanlab_export.files.folder import FolderWriter
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = (
    needs_linux  # the double finds out in /proc what is open; Windows itself is tested anyway
)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system calls of Windows, and its name."""
    refuse_what_is_open(monkeypatch)
    monkeypatch.setattr(sys, "platform", "win32")


def table(rows: int = 3) -> Table:
    """A table of one column."""
    batch = pa.record_batch({"step": list(range(rows))})
    return Table("t", batch.schema, [batch])


def breaking() -> Iterator[bytes]:
    """Bytes that end in an error."""
    yield b"half"
    raise IncompleteError("gone")


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    "name",
    ["t.csv", "t.csv.gz", "t.json.zst", "t.jsonl", "t.tsv", "t.parquet", "t.feather", "t.xlsx"],
)
def test_a_file_is_closed_before_it_is_renamed(name: str, tmp_path: Path) -> None:
    """Each format is written twice, the second time over the first, and nothing else is left."""
    target = parse_target(str(tmp_path / name))
    for rows in (1, 5):
        assert write_table(table(rows), target, {}).rows == rows
    assert list(tmp_path.iterdir()) == [target.path]


@pytest.mark.usefixtures("windows")
def test_a_write_that_fails_leaves_nothing_open(tmp_path: Path) -> None:
    """The temporary file is closed before it is removed."""
    target = parse_target(str(tmp_path / "run.log"), {".log": "log"})
    with pytest.raises(IncompleteError):
        write_chunks(breaking(), target)
    with pytest.raises(IncompleteError), FolderWriter(tmp_path / "media") as writer:
        writer.write("k/a.png", breaking())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("windows")
def test_files_of_a_folder_are_closed_before_they_are_moved(tmp_path: Path) -> None:
    """New files take the places of old ones, though the folder's own temporary file is open."""
    for content in (b"old", b"new"):
        with FolderWriter(tmp_path / "media") as writer:
            for name in ("k/a.png", "k/b.png"):
                writer.write(name, [content])
            writer.commit()
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert files == {"a.png": b"new", "b.png": b"new"}
    assert [path.name for path in (tmp_path / "media").iterdir()] == ["k"]


@pytest.mark.usefixtures("windows")
def test_a_file_that_is_open_is_not_replaced(tmp_path: Path) -> None:
    """The old file stays, and the message says that it is open."""
    path = tmp_path / "t.csv"
    path.write_text("old")
    with path.open("rb") as reader:
        with pytest.raises(OutputError, match="open in another program"):
            write_table(table(), parse_target(str(path)), {})
        assert reader.read() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("windows")
def test_files_that_are_being_written_are_not_taken_for_abandoned(tmp_path: Path) -> None:
    """A slow download keeps its files, however long ago its temporary file was made."""
    folder, link = tmp_path / "media", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)  # under another name, since each process looks once into each folder
    with FolderWriter(link) as slow:
        slow.write("k/a.png", [b"new"])
        for part in folder.glob(".*.part"):
            os.utime(part, (0, 0))
        write_table(table(), parse_target(str(folder / "t.csv")), {})
        slow.commit()
    assert (folder / "k" / "a.png").read_bytes() == b"new"


@pytest.mark.usefixtures("windows")
def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    """A temporary file that nobody has open any more is removed by the next write."""
    with write_atomically(tmp_path / "t.csv") as part:
        part.touch()
    folder = tmp_path / "other"
    folder.mkdir()
    left = folder / part.name
    left.touch()
    os.utime(left, (0, 0))
    write_table(table(), parse_target(str(folder / "t.csv")), {})
    assert [path.name for path in folder.iterdir()] == ["t.csv"]


@pytest.mark.usefixtures("windows")
def test_an_end_while_a_file_is_open(tmp_path: Path) -> None:
    """A process that is told to end has no error because of a file that it cannot remove."""
    with write_atomically(tmp_path / "t.csv") as part:
        remove_leftovers()
        assert part.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
