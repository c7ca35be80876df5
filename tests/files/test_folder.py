"""Files that a server named: under safe names, never out of their folder, all of them or none."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from systems import DeniedError, needs_linux, needs_posix

from swanlab_export.errors import IncompleteError, OutputError, UsageError
from swanlab_export.files.folder import FolderWriter, safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator


def breaking() -> Iterator[bytes]:
    """Bytes that end in an error."""
    yield b"half"
    raise IncompleteError("gone")


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


ODD = st.lists(
    st.sampled_from(["/", "\\", "..", ".", "a", "A", "\0", "\n", ":", "con", " ", "\u202e", "学"])
    | st.characters(exclude_categories=["Cs"]),
    max_size=60,
).map("".join)


@example([("", "con\xa0")])
@given(st.lists(st.tuples(ODD, ODD), max_size=12))
def test_names_of_a_server_stay_in_the_folder(files: list[tuple[str, str]]) -> None:
    """Any names of a server: one folder deep, portable, and no two alike."""
    names = FolderWriter.plan_names(files)
    assert len({name.casefold() for name in names}) == len(files)
    for name in names:
        assert name.count("/") == 1
        for part in name.split("/"):
            assert part.strip(". ")
            assert part == part.rstrip(". ")
            assert not set(part) & set('\0\n\\:*?"<>|\u202e')
            assert len(part.encode()) <= 200
            assert part.casefold().split(".")[0].strip() not in {"con", "nul", "aux", "prn", "com1"}


@pytest.mark.parametrize(
    ("said", "safe"),
    [
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("C:\\Windows", "C__Windows"),
        ("..", "_"),
        ("", "_"),
        ("NUL.txt", "_NUL.txt"),
        ("lpt1", "_lpt1"),
        ("com¹.log", "_com¹.log"),
        ("CONOUT$", "_CONOUT$"),
        ("aux .png", "_aux .png"),
        ("console.png", "console.png"),
        ("a\0b", "a_b"),
        (" name. ", "name"),
        ("x" * 300 + ".png", "x" * 146 + ".png"),
        ("学" * 100 + ".png", "学" * 48 + ".png"),
        ("x" * 300, "x" * 150),
        ("x." + "y" * 300, "x." + "y" * 148),
    ],
)
def test_safe_names(said: str, safe: str) -> None:
    """Each kind of dangerous name has its harmless form."""
    assert safe_name(said) == safe


def test_files_of_one_name_get_numbers(tmp_path: Path) -> None:
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
        writer.commit()
    assert (folder / "k/a.png").read_bytes() == b"123"
    with pytest.raises(IncompleteError), FolderWriter(folder) as writer:
        writer.write("k/b.png", breaking())
    assert [path.name for path in folder.rglob("*")] == ["k", "a.png"]
    # Nor does a folder stay that was made for files of which none came.
    with pytest.raises(IncompleteError), FolderWriter(tmp_path / "new") as writer:
        writer.write("k/b.png", breaking())
    assert list(tmp_path.iterdir()) == [folder]


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    """A file in the way and a missing parent are plain errors."""
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError, match="is not a folder"):
        FolderWriter(file)
    with pytest.raises(UsageError, match="does not exist"):
        FolderWriter(tmp_path / "a" / "b")


@needs_linux
def test_a_folder_where_nothing_can_be_written() -> None:
    """A place without permission is an error that names it."""
    with pytest.raises(OutputError, match="/proc/sys/media"):
        FolderWriter(Path("/proc/sys/media")).__enter__()


def test_a_file_that_is_in_the_way_in_a_folder(tmp_path: Path) -> None:
    """A file where a folder must be is an error that names it, when writing and when moving."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "k").write_text("mine")
    with FolderWriter(folder) as writer:
        writer.write("k/a.png", [b"1"])
        with pytest.raises(OutputError, match=r"media.k"):
            writer.commit()
        with pytest.raises(OutputError, match=r"k.a\.png"):
            writer.write("k/a.png", [b"again"])
    assert (folder / "k").read_text() == "mine"
    assert list(folder.iterdir()) == [folder / "k"]


def test_files_that_have_no_place_move_no_other(tmp_path: Path) -> None:
    """Where something else is in the place of one file, the folder stays as it was."""
    folder = tmp_path / "media"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "old.png").write_bytes(b"old")
    (folder / "b").write_bytes(b"in the way")
    with FolderWriter(folder) as writer:
        writer.write("a/old.png", [b"new"])
        writer.write("b/new.png", [b"new"])
        with pytest.raises(OutputError, match="its name is taken"):
            writer.commit()
    assert (folder / "a" / "old.png").read_bytes() == b"old"
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


@needs_posix
def test_a_link_to_nowhere_in_the_place_of_a_folder(tmp_path: Path) -> None:
    """What only shows when a file is moved is an error that names its place."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a").symlink_to(tmp_path / "nowhere")
    with FolderWriter(folder) as writer:
        writer.write("a/new.png", [b"new"])
        with pytest.raises(OutputError, match=r"a/new\.png"):
            writer.commit()


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
    """Folders of the server are left out, with either separator; the key is the folder."""
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
            writer.commit()
    found = sorted(path.name for path in (tmp_path / "media" / "a").iterdir())
    assert found == ["0.png", "1.png", "more-0.png", "more-1.png"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("file", r"^download= '.*file' is not a folder$"),
        ("a\0b", r"^download= '.*a\\x00b' is not a folder$"),
        ("no/media", r"^download=: the folder '.*/no' does not exist; create it first$"),
    ],
)
def test_a_place_that_is_no_folder_is_named(place: str, why: str, tmp_path: Path) -> None:
    """The message names the argument and the place."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=why):
        FolderWriter(tmp_path / place)


def test_names_that_a_file_system_takes_for_one_get_numbers() -> None:
    """Names that differ only in case, or in how an accent is composed, get numbers."""
    files = [("k", "caf\u00e9.png"), ("k", "cafe\u0301.png"), ("K", "CAF\u00c9.png")]
    assert FolderWriter.plan_names(files) == [
        "k/caf\u00e9.png",
        "k/cafe\u0301-2.png",
        "K/CAF\u00c9-3.png",
    ]


def test_numbers_that_are_taken_are_skipped() -> None:
    """A name that is a number's own is not given twice."""
    files = [("k", name) for name in ("a-2.png", "a.png", "a.png", "a-3.png", "a.png")]
    assert FolderWriter.plan_names(files) == [
        "k/a-2.png",
        "k/a.png",
        "k/a-3.png",
        "k/a-3-2.png",
        "k/a-4.png",
    ]


def test_many_files_of_one_name_are_named_quickly() -> None:
    """Twenty thousand files of one name take no longer than as many different ones, about."""
    start = time.process_time()  # which passes for this process alone
    names = FolderWriter.plan_names([("key", "image.png")] * 20_000)
    assert time.process_time() - start < 5
    assert len(set(names)) == 20_000
    assert names[-1] == "key/image-20000.png"


@needs_posix
def test_nobody_else_reads_files_before_they_are_complete(tmp_path: Path) -> None:
    """The folder in which they are gathered is its owner's alone; the files then are as usual."""
    old = os.umask(0o022)
    try:
        with FolderWriter(tmp_path / "media") as writer:
            writer.write("k/a.png", [b"1"])
            (gathered,) = [each for each in (tmp_path / "media").iterdir() if each.is_dir()]
            assert stat.S_IMODE(gathered.stat().st_mode) == 0o700
            writer.commit()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "media" / "k").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "media" / "k" / "a.png").stat().st_mode) == 0o644


def test_files_of_a_folder_are_on_the_disk_before_they_are_moved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every file is synchronized with all of its bytes."""
    sizes: list[int] = []
    fsync = os.fsync

    def logged(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", logged)
    with FolderWriter(tmp_path) as writer:
        writer.write("k/a.png", [b"1", b"23"])
        writer.write("k/b.png", [b"4567"])
        assert sizes == [3, 4]


@pytest.mark.parametrize("failing", range(1, 8))
def test_a_move_that_fails_half_way_is_undone(
    failing: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whichever step fails, all files are as they were, and no folder is new."""
    (tmp_path / "old").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("a", "c"):
        (tmp_path / "old" / f"{name}.png").write_bytes(b"old")
    before = sorted(tmp_path.rglob("*")), content(tmp_path)
    calls: list[object] = []
    replace = os.replace

    def refuse(source: Path, final: Path) -> None:
        calls.append(final)
        if len(calls) == failing:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        replace(source, final)

    names = ["empty/d.png", "new/e.png", "old/a.png", "old/b.png", "old/c.png"]
    with FolderWriter(tmp_path) as writer:
        for name in names:
            writer.write(name, [b"new"])
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OutputError, match=r"\.png' cannot be written: no permission"):
            writer.commit()
        monkeypatch.setattr(os, "replace", replace)
    assert (sorted(tmp_path.rglob("*")), content(tmp_path)) == before


def test_a_file_that_is_open_elsewhere_undoes_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows moves no file that is open; the message says so, and no other file is moved."""
    (tmp_path / "k").mkdir()
    (tmp_path / "k" / "b.png").write_bytes(b"old")
    replace = os.replace

    def refuse(source: Path, final: Path) -> None:
        if source == tmp_path / "k" / "b.png":
            raise DeniedError(32)
        replace(source, final)

    with FolderWriter(tmp_path) as writer:
        for name in ("k/a.png", "k/b.png"):
            writer.write(name, [b"new"])
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OutputError, match="open in another program"):
            writer.commit()
        monkeypatch.setattr(os, "replace", replace)
    assert content(tmp_path) == {"k/b.png": b"old"}


def test_an_interrupted_move_is_undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ctrl-C while files are moved leaves the folder as it was."""
    replace = os.replace
    calls: list[object] = []

    def interrupt(source: Path, final: Path) -> None:
        calls.append(final)
        if len(calls) == 2:
            raise KeyboardInterrupt
        replace(source, final)

    with FolderWriter(tmp_path) as writer:
        for name in ("k/a.png", "k/b.png"):
            writer.write(name, [b"new"])
        monkeypatch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.commit()
        monkeypatch.setattr(os, "replace", replace)
    assert list(tmp_path.iterdir()) == []
