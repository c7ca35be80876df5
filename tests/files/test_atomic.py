"""Files appear whole or not at all, and nothing temporary is left behind."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from systems import DeniedError, needs_linux, needs_posix

from swanlab_export.errors import IncompleteError, OutputError, UsageError
from swanlab_export.files import parse_target, write_chunks, write_table
from swanlab_export.files.atomic import remove_leftovers, write_atomically
from swanlab_export.files.folder import FolderWriter
from swanlab_export.files.stores import StoreObject
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def table(rows: int = 3) -> Table:
    """A table of one column."""
    batch = pa.record_batch({"step": list(range(rows))})
    return Table("t", batch.schema, [batch])


def breaking() -> Iterator[bytes]:
    """Bytes that end in an error."""
    yield b"half"
    raise IncompleteError("gone")


def test_chunks_are_written_whole(tmp_path: Path) -> None:
    """Chunks become one file; an error among them leaves the old one and nothing else."""
    target = parse_target(str(tmp_path / "run.log"), {".log": "log"})
    saved = write_chunks([b"one\n", b"two\n"], target)
    assert (saved.path, saved.rows, saved.columns, saved.size_bytes) == (target.path, 0, 0, 8)
    with pytest.raises(IncompleteError):
        write_chunks(breaking(), target)
    assert target.path.read_bytes() == b"one\ntwo\n"
    assert list(tmp_path.iterdir()) == [target.path]


def interrupted(schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """A row, and then Ctrl-C."""
    yield pa.record_batch([pa.array([1])], schema=schema)
    raise KeyboardInterrupt


@pytest.mark.parametrize("extension", ["parquet", "feather", "csv", "json.gz"])
def test_an_interrupted_write_leaves_the_old_file(extension: str, tmp_path: Path) -> None:
    """Only the old file is there afterwards."""
    path = tmp_path / f"t.{extension}"
    path.write_bytes(b"old")
    schema = pa.schema([("a", pa.int64())])
    with pytest.raises(KeyboardInterrupt):
        write_table(Table("t", schema, interrupted(schema)), parse_target(str(path)), {})
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["out.csv.gz", "out.jsonl.zst", "out.csv"])
def test_a_pipe_is_written_to_directly(name: str, tmp_path: Path) -> None:
    """A named pipe is no file to replace: its reader gets the bytes that a file would hold."""
    if sys.platform == "win32":
        pytest.skip("Windows has neither named pipes nor fcntl")
    (tmp_path / "files").mkdir()
    kept = parse_target(str(tmp_path / "files" / name))
    write_table(table(), kept, {})
    pipe = tmp_path / name
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_table(table(), parse_target(str(pipe)), {})
    reader.join(60)
    assert got == [kept.path.read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_a_pipe_takes_no_format_that_goes_back(name: str, tmp_path: Path) -> None:
    """Parquet and Feather cannot be written into a pipe, and are refused before any request."""
    if sys.platform == "win32":
        pytest.skip("Windows has neither named pipes nor fcntl")
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match="only text formats and pictures"):
        parse_target(str(tmp_path / name))


def test_a_pipe_whose_reader_left_is_an_error(tmp_path: Path) -> None:
    """What could not be written into a named pipe was not saved, and the error says so."""
    if sys.platform == "win32":
        pytest.skip("Windows has neither named pipes nor fcntl")
    pipe = tmp_path / "out.csv"
    os.mkfifo(pipe)

    def read_a_little() -> None:
        with pipe.open("rb") as stream:
            stream.read(1)

    reader = threading.Thread(target=read_a_little, daemon=True)
    reader.start()
    with pytest.raises(OutputError, match=r"out\.csv' cannot be written: the reader closed"):
        write_table(table(1_000_000), parse_target(str(pipe)), {})
    reader.join(60)


@needs_linux
def test_a_full_device_is_named_in_words(tmp_path: Path) -> None:
    """No space left is an error in plain words."""
    link = tmp_path / "out.csv"
    link.symlink_to("/dev/full")
    with pytest.raises(OutputError, match="the disk is full"):
        write_table(table(), parse_target(str(link)), {})


@needs_posix
def test_links_stay_and_modes_are_kept(tmp_path: Path) -> None:
    """Writing through a link keeps the link, and the permissions of the old file."""
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_table(table(1), parse_target(str(link)), {})
    assert link.is_symlink()
    assert real.read_text() == "step\n0\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@needs_posix
def test_setuid_bits_are_not_kept(tmp_path: Path) -> None:
    """A new content does not get the rights of the old one's owner or group."""
    path = tmp_path / "t.csv"
    path.write_text("old")
    path.chmod(0o7755)
    with write_atomically(path) as part:
        part.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@needs_posix
def test_permissions_are_there_from_the_first_byte(tmp_path: Path) -> None:
    """A new file has the usual permissions, or from the start those that were asked for."""
    old = os.umask(0o027)
    try:
        with write_atomically(tmp_path / "usual.csv") as part:
            assert stat.S_IMODE(part.stat().st_mode) == 0o640
        with write_atomically(tmp_path / "secret", mode=0o600) as part:
            assert stat.S_IMODE(part.stat().st_mode) == 0o600
    finally:
        os.umask(old)
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert found == {"usual.csv": 0o640, "secret": 0o600}


def test_two_writers_of_one_file_share_nothing(tmp_path: Path) -> None:
    """Each has a temporary file of its own, and the one that ends last is kept whole."""
    path = tmp_path / "t.csv"
    with write_atomically(path) as first, write_atomically(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_on_the_disk_before_the_name_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file is synchronized through a descriptor for writing, as Windows wants it, then renamed."""
    if sys.platform == "win32":
        pytest.skip("Windows has neither named pipes nor fcntl")
    import fcntl

    events: list[tuple[str, int, int]] = []
    fsync, replace = os.fsync, os.replace

    def strict_fsync(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        found = os.fstat(descriptor)
        events.append(("fsync", found.st_ino, found.st_size))
        fsync(descriptor)

    def logged_replace(source: Path, final: Path) -> None:
        found = source.stat()
        events.append(("replace", found.st_ino, found.st_size))
        replace(source, final)

    monkeypatch.setattr(os, "fsync", strict_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    path = tmp_path / "t.csv"
    write_table(table(), parse_target(str(path)), {})
    inode = path.stat().st_ino
    assert events == [("fsync", inode, 11), ("replace", inode, 11)]


@pytest.mark.parametrize(
    ("code", "why"),
    [(32, "is open in another program"), (5, "is open in another program"), (0, "no permission")],
    ids=["sharing violation", "access denied", "of another system"],
)
def test_a_file_that_is_open_elsewhere(
    code: int, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows replaces no file that is open; the message says so, and the old file stays."""

    def refuse(source: Path, final: Path) -> None:
        raise DeniedError(code) if code else PermissionError(errno.EACCES, "Access is denied")

    path = tmp_path / "t.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match=why) as caught:
        write_table(table(), parse_target(str(path)), {})
    assert "t.csv" in caught.value.message
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("length", "why"), [(221, "its path is longer than Windows allows"), (1, "folder is missing")]
)
def test_a_path_that_is_too_long_for_windows(
    length: int, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows says that a folder is missing; the message says so only of a path that is not long."""

    def refuse(path: Path, *_: object) -> int:
        error = FileNotFoundError(errno.ENOENT, "The system cannot find the path", str(path))
        error.winerror = 3  # type: ignore[attr-defined,unused-ignore]
        raise error

    path = tmp_path / ("x" * length)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match=why), write_atomically(path):
        pass


WORKBOOK = """
import sys; from pathlib import Path
import pyarrow as pa
from swanlab_export.files import parse_target, write_table
from swanlab_export.tables import Table

def batches():
    yield pa.record_batch({"step": list(range(20_000))})
    print("writing", flush=True)
    sys.stdin.readline()

table = Table("t", pa.schema({"step": pa.int64()}), batches())
write_table(table, parse_target(sys.argv[1] + "/x.xlsx"), {})
"""
UPLOAD = """
import sys
from swanlab_export.files.stores import StoreObject
with StoreObject("s3://lab", "x.csv").upload() as part:
    part.write_text("half")
    print("writing", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def writing_process(folder: Path, code: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process, in the middle of writing a file and a folder, or of what ``code`` does."""
    code = code or (
        "import sys, time; from pathlib import Path\n"
        "from swanlab_export.files.atomic import write_atomically\n"
        "from swanlab_export.files.folder import FolderWriter\n"
        "folder = Path(sys.argv[1])\n"
        "with write_atomically(folder / 'big.csv') as part, FolderWriter(folder) as writer:\n"
        "    part.write_text('half')\n"
        "    writer.write('key/a.png', [b'half'])\n"
        "    print('writing', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    writer.commit()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            yield process
        finally:
            process.kill()


@needs_posix
def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """The next write into the folder removes its temporary files and folders, and no others."""
    others = [tmp_path / name for name in (".mine.part", "x.part", ".a.0123-45.part")]
    for path in others:
        path.touch()
    with writing_process(tmp_path) as process:
        process.kill()
    left = set(tmp_path.iterdir()) - set(others)
    assert len(left) == 3
    write_table(table(), parse_target(str(tmp_path / "t.csv")), {})
    assert set(tmp_path.iterdir()) == {*others, tmp_path / "t.csv"}


@needs_posix
@pytest.mark.parametrize("code", [WORKBOOK, UPLOAD], ids=["workbook", "upload"])
def test_what_else_a_killed_process_left_is_removed(code: str, tmp_path: Path) -> None:
    """So are the rows of half a workbook, and what was not yet uploaded."""
    with writing_process(tmp_path, code) as process:
        process.kill()
    assert list(tmp_path.iterdir())
    write_table(table(), parse_target(str(tmp_path / "t.csv")), {})
    assert list(tmp_path.iterdir()) == [tmp_path / "t.csv"]


def test_an_upload_removes_what_another_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not yet uploaded is in the temporary folder, where the next upload looks."""
    if sys.platform == "win32":
        pytest.skip("Windows takes a minute to call a file abandoned")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with writing_process(tmp_path, UPLOAD) as process:
        process.kill()
    (left,) = tmp_path.iterdir()
    with suppress(IncompleteError), StoreObject("s3://lab", "y.csv").upload() as part:
        assert list(tmp_path.iterdir()) == [part] != [left]
        raise IncompleteError("gone")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_removed_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may take a new file for an abandoned one: then it is created once more."""
    if sys.platform == "win32":
        pytest.skip("Windows has no fcntl")
    import fcntl

    removed: list[Path] = []
    lock = fcntl.flock

    def locked_by_another_first(descriptor: int, how: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", locked_by_another_first)
    with write_atomically(tmp_path / "t.csv") as part:
        with part.open("wb") as again, pytest.raises(BlockingIOError):
            lock(again.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.write_bytes(b"whole")
    assert len(removed) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_what_a_living_process_writes_is_not_touched(tmp_path: Path) -> None:
    """Its temporary files stay, and it ends well."""
    with writing_process(tmp_path) as process:
        before = set(tmp_path.iterdir())
        write_table(table(), parse_target(str(tmp_path / "t.csv")), {})
        assert set(tmp_path.iterdir()) == {*before, tmp_path / "t.csv"}
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(60) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"t.csv", "big.csv", "key"}
    assert (tmp_path / "big.csv").read_text() == "half"


@pytest.mark.parametrize(("age_s", "is_kept"), [(3600, True), (100_000, False)])
def test_what_another_machine_left_is_removed_after_a_day(
    age_s: int, is_kept: bool, tmp_path: Path
) -> None:
    """On a shared disk a lock may hold on one machine only, so that age counts as well."""
    (tmp_path / "there").mkdir()
    with writing_process(tmp_path / "there") as process:
        process.kill()
    parts = [path for path in (tmp_path / "there").iterdir() if path.suffix == ".part"]
    for number, part in enumerate(parts):
        name, machine, rest = part.name.rsplit(".", 2)[0], "0" * 8, part.name.rsplit("-", 1)[1]
        foreign = tmp_path / f"{name}.{machine}-{rest}"
        part.rename(foreign)
        then = foreign.stat().st_mtime - age_s - number
        os.utime(foreign, (then, then))
    write_table(table(), parse_target(str(tmp_path / "t.csv")), {})
    left = [path for path in tmp_path.iterdir() if path.suffix == ".part"]
    assert len(left) == (len(parts) if is_kept else 0)


@needs_posix
def test_a_process_that_ends_removes_what_it_was_writing(tmp_path: Path) -> None:
    """A process that ends in the middle of writing leaves neither file nor folder behind."""
    writing = write_atomically(tmp_path / "t.csv")
    writing.__enter__().write_bytes(b"half")
    folder = FolderWriter(tmp_path / "media")
    folder.__enter__()
    folder.write("key/a.png", [b"half"])
    assert len(list(tmp_path.rglob("*"))) > 4
    remove_leftovers()
    assert [path.name for path in tmp_path.rglob("*")] == ["media"]
    remove_leftovers()  # nothing is left to do
    with pytest.raises(OutputError, match="the folder is missing"):
        folder.write("key/b.png", [b"late"])
    assert [path.name for path in tmp_path.rglob("*")] == ["media"]
    folder.__exit__(None, None, None)


def test_nothing_is_added_to_a_folder_while_it_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A thread that still writes gets an error, so that the folder is empty when it is removed."""
    rmtree = shutil.rmtree
    added: list[str] = []

    def add_and_remove(path: Path, *, ignore_errors: bool) -> None:
        with suppress(OutputError):
            added.append(writer.write(f"key/{len(added)}.png", [b"late"])[0])
        rmtree(path, ignore_errors=ignore_errors)

    with FolderWriter(tmp_path) as writer:
        writer.write("key/a.png", [b"half"])
        monkeypatch.setattr(shutil, "rmtree", add_and_remove)
        remove_leftovers()
    assert added == []
    assert list(tmp_path.iterdir()) == []


def test_long_names_have_room_for_a_temporary_one(tmp_path: Path) -> None:
    """A name as long as the disk takes is written like any other, also in wide characters."""
    for name in ("n" * 251 + ".csv", "学" * 83 + ".csv"):
        path = tmp_path / name
        write_table(table(1), parse_target(str(path)), {})
        assert path.read_text() == "step\n0\n"


def test_other_errors_have_the_message_of_the_system(tmp_path: Path) -> None:
    """An error without words of our own has the words of the system."""
    with pytest.raises(OutputError, match="Too many links"), write_atomically(tmp_path / "x"):
        raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanished_is_named(tmp_path: Path) -> None:
    """A folder that is gone when it comes to writing is an error in plain words."""
    with pytest.raises(OutputError, match="missing"), write_atomically(tmp_path / "gone" / "t.csv"):
        pass


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "extension must be one of .json .jsonl"),
        ("noextension", "extension"),
        ("x.xls", "extension"),
        ("x.parquet.gz", "extension"),
        (".gz", "extension"),
        ("x.gz", "extension"),
        ("missing/x.csv", "missing' does not exist; create it first"),
        ("folder.csv", "is a folder"),
        ("a\0b.csv", "not a file name"),
        ("n" * 300 + ".csv", "not a file name|too long"),
        ("\x1b[2J.xls", r"\\x1b"),
    ],
    ids=[
        "empty",
        "none",
        "unknown",
        "twice",
        "hidden",
        "only compressed",
        "missing",
        "folder",
        "null",
        "long",
        "escape",
    ],
)
def test_a_name_that_cannot_be_written_is_refused(name: str, why: str, tmp_path: Path) -> None:
    """Names are checked before any request, and shown without control characters."""
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises((UsageError, OutputError), match=why) as caught:
        write_table(table(), parse_target(f"{tmp_path}/{name}" if name else ""), {})
    assert "\x1b" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.parametrize("name", ["loss.v2.csv", "a.b.csv.gz", "2026.01.01.json"])
def test_names_may_have_more_dots(name: str, tmp_path: Path) -> None:
    """The extension is what comes last, before a compression."""
    saved = write_table(table(), parse_target(str(tmp_path / name)), {})
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert saved.rows == 3


@pytest.mark.parametrize("name", ["one.json", "one.jsonl", "one.csv", "one.parquet", "one.feather"])
def test_one_entity_is_one_row(name: str, tmp_path: Path) -> None:
    """What is said to be saved is one row, also where it is an object with a field per line."""
    single = table(1)
    single.is_single = True
    assert write_table(single, parse_target(str(tmp_path / name)), {}).rows == 1


@needs_linux
def test_a_folder_without_permission_is_refused() -> None:
    """A folder without permission to write is refused before any request."""
    with pytest.raises(UsageError, match="no permission to write in '/proc/sys'"):
        parse_target("/proc/sys/x.csv")


@needs_posix
def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    """Such a link is an error in plain words."""
    link = tmp_path / "t.csv"
    link.symlink_to(link)
    with pytest.raises((OutputError, UsageError), match=r"leads to itself|is not a file name"):
        write_table(table(), parse_target(str(link)), {})
