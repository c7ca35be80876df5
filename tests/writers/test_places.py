"""Where files go: whole or not at all, under safe names, and never out of their folder."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.errors import IncompleteError, OutputError, UsageError
from swanlab_export.tables import Table
from swanlab_export.writers import parse_target, write_chunks, write_table
from swanlab_export.writers.folder import FolderWriter, safe_name
from swanlab_export.writers.publish import publish, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator


def table(rows: int = 3) -> Table:
    """A table of one column."""
    batch = pa.record_batch({"step": list(range(rows))})
    return Table("t", batch.schema, [batch])


def breaking() -> Iterator[bytes]:
    """Bytes that end in an error."""
    yield b"half"
    raise IncompleteError("gone")


def test_bytes_are_published_whole(tmp_path: Path) -> None:
    """Chunks become one file; an error among them leaves the old one and nothing else."""
    target = parse_target(str(tmp_path / "run.log"), {".log": "log"})
    assert write_chunks([b"one\n", b"two\n"], target).size_bytes == 8
    with pytest.raises(IncompleteError):
        write_chunks(breaking(), target)
    assert target.path.read_bytes() == b"one\ntwo\n"
    assert list(tmp_path.iterdir()) == [target.path]


@pytest.mark.parametrize("name", ["out.csv.gz", "out.jsonl.zst", "out.csv"])
def test_a_pipe_is_written_to_directly(name: str, tmp_path: Path) -> None:
    """A named pipe is no file to replace: who reads it gets the bytes that a file would hold."""
    (tmp_path / "files").mkdir()
    kept = parse_target(str(tmp_path / "files" / name))
    write_table(table(), kept)
    pipe = tmp_path / name
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_table(table(), parse_target(str(pipe)))
    reader.join()
    assert got == [kept.path.read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_device_is_said_in_words(tmp_path: Path) -> None:
    """No space left is an error in plain words, for text and for columns."""
    link = tmp_path / "out.csv"
    link.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="the disk is full"):
        write_table(table(), parse_target(str(link)))


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    """Publishing through a link keeps the link, and the permissions of the old file."""
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_table(table(1), parse_target(str(link)))
    assert link.is_symlink()
    assert real.read_text() == "step\n0\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_long_names_have_room_for_a_temporary_one(tmp_path: Path) -> None:
    """A name as long as the disk takes is written like any other, also in wide characters."""
    for name in ("n" * 251 + ".csv", "学" * 83 + ".csv"):
        path = tmp_path / name
        write_table(table(1), parse_target(str(path)))
        assert path.read_text() == "step\n0\n"


def test_what_no_words_are_known_for_is_the_systems_message(tmp_path: Path) -> None:
    """An error without words of our own says what the system says."""
    with pytest.raises(OutputError, match="Too many links"), publish(tmp_path / "x"):
        raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
    with pytest.raises(BrokenPipeError), publish(tmp_path / "x"):
        raise BrokenPipeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is the format|extension"),
        ("noextension", "extension"),
        ("x.xlsx", "extension"),
        ("x.parquet.gz", "extension"),
        (".gz", "extension"),
        ("missing/x.csv", "is missing"),
        ("folder.csv", "is a folder"),
        ("a\0b.csv", "not a file name"),
        ("n" * 300 + ".csv", "not a file name|too long|missing"),
        ("\x1b[2J.xlsx", r"\\x1b"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused(name: str, why: str, tmp_path: Path) -> None:
    """Names are checked before anything is fetched, and shown without control characters."""
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises((UsageError, OutputError), match=why) as caught:
        write_table(table(), parse_target(f"{tmp_path}/{name}" if name else ""))
    assert "\x1b" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_where_nobody_may_write(tmp_path: Path) -> None:
    """A place without permission is refused at once."""
    with pytest.raises(UsageError, match="no permission to write in '/proc/sys'"):
        parse_target("/proc/sys/x.csv")


ODD = st.lists(
    st.sampled_from(["/", "\\", "..", ".", "a", "A", "\0", "\n", ":", "con", " ", "\u202e", "学"])
    | st.characters(exclude_categories=["Cs"]),
    max_size=60,
).map("".join)


@given(st.lists(st.tuples(ODD, ODD), max_size=12))
def test_names_of_a_server_stay_in_the_folder(files: list[tuple[str, str]]) -> None:
    """Whatever a server calls its files: one folder deep, portable, and no two alike."""
    names = FolderWriter.plan_names(None, files)  # type: ignore[arg-type]
    assert len({name.casefold() for name in names}) == len(files)
    for name in names:
        assert name.count("/") == 1
        for part in name.split("/"):
            assert part.strip(". ")
            assert part == part.rstrip(". ")
            assert not set(part) & set('\0\n\\:*?"<>|\u202e')
            assert len(part.encode()) <= 200
            assert part.casefold().split(".")[0] not in {"con", "nul", "aux", "prn", "com1"}


@pytest.mark.parametrize(
    ("said", "safe"),
    [
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("C:\\Windows", "C__Windows"),
        ("..", "_"),
        ("", "_"),
        ("NUL.txt", "_NUL.txt"),
        ("lpt1", "_lpt1"),
        ("a\0b", "a_b"),
        (" name. ", "name"),
        ("x" * 300 + ".png", "x" * 146 + ".png"),
        ("学" * 100 + ".png", "学" * 48 + ".png"),
        ("x" * 300, "x" * 150),
        ("x." + "y" * 300, "x." + "y" * 148),
    ],
)
def test_safe_names(said: str, safe: str) -> None:
    """Each kind of dangerous name has its harmless spelling."""
    assert safe_name(said) == safe


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Names that differ only in case, or not at all, are numbered before their extension."""
    files = [("k", "a.png"), ("k", "A.PNG"), ("k", "dir/a.png"), ("K", "a"), ("k", "a")]
    assert FolderWriter(tmp_path).plan_names(files) == [
        "k/a.png",
        "k/A-2.PNG",
        "k/a-3.png",
        "K/a",
        "k/a-2",
    ]


def test_a_folder_gets_all_files_or_none(tmp_path: Path) -> None:
    """Files appear when the last one is whole; an error leaves only what was there."""
    folder = tmp_path / "media"
    with FolderWriter(folder) as writer:
        assert writer.write("k/a.png", [b"12", b"3"]) == (str(folder / "k/a.png"), 3)
        assert not (folder / "k").exists()
        writer.publish()
    assert (folder / "k/a.png").read_bytes() == b"123"
    with pytest.raises(IncompleteError), FolderWriter(folder) as writer:
        writer.write("k/b.png", breaking())
    assert [path.name for path in folder.rglob("*")] == ["k", "a.png"]


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    """A file in the way, a missing parent and a place without permission are plain errors."""
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError, match="is not a folder"):
        FolderWriter(file)
    with pytest.raises(UsageError, match="is missing"):
        FolderWriter(tmp_path / "a" / "b")
    with pytest.raises(OutputError, match="/proc/sys/media"):
        FolderWriter(Path("/proc/sys/media")).__enter__()


def test_a_file_that_is_in_the_way_in_a_folder(tmp_path: Path) -> None:
    """A file where a folder must be is an error that names it, when writing and when moving."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "k").write_text("mine")
    with FolderWriter(folder) as writer:
        writer.write("k/a.png", [b"1"])
        with pytest.raises(OutputError, match="media/k"):
            writer.publish()
        with pytest.raises(OutputError, match=r"k/a\.png"):
            writer.write("k/a.png", [b"again"])
    assert (folder / "k").read_text() == "mine"
    assert list(folder.iterdir()) == [folder / "k"]


def test_what_was_just_made_is_removed_at_an_exit(tmp_path: Path) -> None:
    """A process that ends in the middle of writing leaves neither file nor folder behind."""
    writing = publish(tmp_path / "t.csv")
    writing.__enter__().write_bytes(b"half")
    folder = FolderWriter(tmp_path / "media")
    folder.__enter__()
    folder.write("key/a.png", [b"half"])
    assert len(list(tmp_path.rglob("*"))) == 5
    remove_leftovers()
    assert [path.name for path in tmp_path.rglob("*")] == ["media"]
    remove_leftovers()  # nothing is left to do
    with pytest.raises(OutputError, match="No such file"):
        folder.write("key/b.png", [b"late"])
    assert [path.name for path in tmp_path.rglob("*")] == ["media"]


def test_files_that_have_no_place_move_no_other(tmp_path: Path) -> None:
    """Where something else is in the place of one file, the folder stays as it was."""
    folder = tmp_path / "media"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "old.png").write_bytes(b"old")
    (folder / "b").write_bytes(b"in the way")
    with FolderWriter(folder) as writer:
        writer.write("a/old.png", [b"new"])
        writer.write("b/new.png", [b"new"])
        with pytest.raises(OutputError, match="something else"):
            writer.publish()
    assert (folder / "a" / "old.png").read_bytes() == b"old"
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_a_pipe_takes_no_format_that_goes_back(name: str, tmp_path: Path) -> None:
    """Parquet and Feather cannot be written into a pipe, and that is said at once."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match="these take text formats"):
        parse_target(str(tmp_path / name))


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    """Such a place is an error in plain words."""
    link = tmp_path / "t.csv"
    link.symlink_to(link)
    with pytest.raises((OutputError, UsageError)):
        write_table(table(), parse_target(str(link)))


def test_a_link_to_nowhere_in_the_place_of_a_folder(tmp_path: Path) -> None:
    """What only shows when a file is moved is an error that names its place."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "nowhere")
    with FolderWriter(folder) as writer:
        writer.write("a/new.png", [b"new"])
        with pytest.raises(OutputError, match=r"a/new\.png"):
            writer.publish()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b", "a_b"),
        (" X.png ", "X.png"),
        ("X.", "X"),
        ("X...", "X"),
        ("...", "_"),
        (" ", "_"),
        ("COM1", "_COM1"),
        ("\tX", "_X"),
        ("n" * 150, "n" * 150),
        ("n" * 151, "n" * 150),
        ("n" * 200 + ".png", "n" * 146 + ".png"),
        ("n" * 200 + ".1234567890", "n" * 139 + ".1234567890"),
        ("n" * 200 + ".12345678901", "n" * 150),
        ("n" * 145 + ". . ." + "x" * 20 + ".png", "n" * 145 + ".png"),
        ("字" * 60, "字" * 50),
    ],
    ids=range(15),
)
def test_safe_names_exactly(name: str, safe: str) -> None:
    """What a file is called, to the letter."""
    assert safe_name(name) == safe


def test_files_are_called_by_the_last_part_of_their_path(tmp_path: Path) -> None:
    """Folders of the server are left out, in either spelling; the key is the folder."""
    files = [("val/a", "x/y/z.png"), ("val/a", "x\\y\\w.png"), ("val/a", "/z.png"), ("k", "z.png")]
    assert FolderWriter(tmp_path).plan_names(files) == [
        "val_a/z.png",
        "val_a/w.png",
        "val_a/z-2.png",
        "k/z.png",
    ]


def test_files_of_one_key_share_a_folder_new_or_old(tmp_path: Path) -> None:
    """Several files of a key go into one folder, also where that is there already."""
    for number in range(2):
        with FolderWriter(tmp_path / "media") as writer:
            for name in (f"a/{number}.png", f"a/more-{number}.png"):
                place, size_bytes = writer.write(name, [b"12", b"3"])
                assert (place, size_bytes) == (str(tmp_path / "media" / name), 3)
            writer.publish()
    found = sorted(path.name for path in (tmp_path / "media" / "a").iterdir())
    assert found == ["0.png", "1.png", "more-0.png", "more-1.png"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("file", r"^download= '.*file' is not a folder$"),
        ("a\0b", r"^download= '.*a\\x00b' is not a folder$"),
        ("no/media", r"^download=: '.*/no' is missing; create it first$"),
    ],
)
def test_a_place_that_is_no_folder_is_named(place: str, why: str, tmp_path: Path) -> None:
    """The message names the argument and the place."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=why):
        FolderWriter(tmp_path / place)


def test_bytes_are_packed_as_their_name_says(tmp_path: Path) -> None:
    """A log saved as ``.log`` is plain; what was saved is told."""
    target = parse_target(str(tmp_path / "run.log"), {".log": "log"})
    saved = write_chunks([b"a\n"], target)
    assert (saved.path, saved.rows, saved.columns, saved.size_bytes) == (target.path, 0, 0, 2)
