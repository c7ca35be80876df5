"""``--host backup:FOLDER``: what is served, what is not, and what is said of it."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from killed_here import OneByOne, killed_at
from sandbox_tiny import Caller, write_tiny

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backup_support import Nights
    from living import LivingData

READ = ("run", "list", "team/open", "--format", "csv", "--fields", "name")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dataset as a backup, which has no accounts."""
    written: Path = tmp_path_factory.mktemp("tiny")
    write_tiny(written)
    (written / "accounts.json").unlink()
    return written


def call(host: str, *words: str) -> Result:
    """Run a command on a host."""
    return CliRunner().invoke(root, ["api", *words, "--host", host])


def test_a_command_reads_a_backup(folder: Path) -> None:
    """The host names the folder, from the home folder too; the key of the environment stays here."""
    done = call(f"backup:{folder}", *READ)
    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        ["name", "clone", "run2", '"a ""b"", c"'],
    )


def test_a_backup_below_the_home_folder(folder: Path, private_environment: Path) -> None:
    """A folder that begins with ~ is found, and one in SWANLAB_API_HOST."""
    (private_environment / "kept").symlink_to(folder, target_is_directory=True)
    assert call("backup:~/kept", *READ).exit_code == 0
    runner = CliRunner(
        env={"SWANLAB_API_HOST": "backup:~/kept", "SWANLAB_API_KEY": "of-the-server"}
    )
    assert runner.invoke(root, ["api", *READ]).exit_code == 0


def test_a_key_that_is_given_is_refused(folder: Path) -> None:
    """A backup needs none, and who gives one expects another server."""
    done = call(f"backup:{folder}", *READ, "--api-key", "k")
    assert done.exit_code == 2
    assert "a backup needs no key" in done.stderr


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (None, "is not a backup: it has no swanlab-backup.json"),
        ("{", "swanlab-backup.json cannot be read: it is not JSON"),
        ('{"format": 2}', "in format 2, and this version reads format 1"),
        ('{"format": 1}', "is incomplete: no backup into it has ended"),
    ],
)
def test_a_folder_that_cannot_be_served(about: str | None, said: str, tmp_path: Path) -> None:
    """The message says why: no backup, a newer one, or one that has not ended."""
    if about is not None:
        (tmp_path / "swanlab-backup.json").write_text(about, encoding="utf-8")
    done = call(f"backup:{tmp_path}", *READ)
    assert done.exit_code == 2
    assert said in done.stderr
    with pytest.raises(se.UsageError, match="host='backup:"):
        se.connect(host=f"backup:{tmp_path}")
    served = CliRunner().invoke(root, ["sandbox", "serve", "--data", str(tmp_path)])
    assert (served.exit_code, said in served.stderr) == (2, True)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (r"backup:C:\nowhere", r"there is no folder 'C:\nowhere'"),
        ("backup:8000", "if a server is meant, write https://backup:8000"),
        ("backup:s3://key:secret@bucket/x", "keys are read from the environment"),
        ("backup:~nobody-of-that-name/x", "there is no folder"),
    ],
)
def test_a_folder_that_is_not_there(host: str, said: str) -> None:
    """The message names the folder as it was given."""
    done = call(host, *READ)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_login_is_not_for_backups(folder: Path) -> None:
    """A login to a backup is refused, and the message says why."""
    done = CliRunner().invoke(root, ["login", "--host", f"backup:{folder}"], input="k\n")
    assert done.exit_code == 2
    assert "needs no login" in done.stderr


def test_urls_are_those_of_the_server(folder: Path, tmp_path: Path) -> None:
    """The web pages in a table are where those of the server are."""
    content = {"format": 1, "web_host": "https://swan.example"}
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "swanlab-backup.json").unlink()
    (tmp_path / "swanlab-backup.json").write_text(json.dumps(content), encoding="utf-8")
    with se.connect(host=f"backup:{tmp_path}", frame="arrow") as api:
        assert api.project.info("team/open")["url"].to_pylist() == [
            "https://swan.example/@team/open"
        ]


def test_what_was_left_out_is_named(tmp_path: Path) -> None:
    """To ask for what a backup left out is an error that says so, and not an empty table."""
    folder = tmp_path / "backup"
    rule: dict[str, Any] = {"where": "name=mlp-adam", "tables": "metrics", "keys": "loss"}
    with se.connect(host="sandbox", frame="arrow") as api:
        se.backup(api, to=folder, paths="ada-lab/digits", **rule)
    calls: dict[str, dict[str, Any]] = {
        "points of acc": {"keys": "acc"},
        "points of lr": {"keys": "lr", "all": True},
        "logs": {},
        "medias": {"keys": "val/confusion"},
    }
    with se.connect(host=f"backup:{folder}", frame="arrow") as served:
        (path,) = served.run.list("ada-lab/digits", summary="acc")["path"].to_pylist()
        assert len(served.run.metrics(path, keys="loss", all=True)) == 880
        for what, options in calls.items():
            method = getattr(served.run, what if what.endswith("s") else "metrics")
            with pytest.raises(se.SwanlabExportError, match=f"does not hold the {what} of "):
                method(path, **options)
        with pytest.raises(se.SwanlabExportError, match="does not hold the logs of "):
            served.run.export_logs(path, save=tmp_path / "x.log")


def test_a_run_that_is_gone_is_served(tmp_path: Path) -> None:
    """What the server no longer has can be read from the backup, which says since when."""
    folder = write_tiny(tmp_path)
    (folder / "accounts.json").unlink()
    path = folder / "state" / "index" / "team" / "open.parquet"
    table = pq.read_table(path)
    gone = pa.array([None, "2026-02-01T00:00:00Z", None])
    place = table.schema.get_field_index("gone_at")
    pq.write_table(table.set_column(place, "gone_at", gone), path)
    with (
        warnings.catch_warnings(),
        se.connect(host=f"backup:{folder}", frame="arrow") as api,
    ):
        warnings.simplefilter("ignore", se.SwanlabExportWarning)
        runs: Any = api.run.list("team/open")
    assert runs["backup.gone_at"].to_pylist() == [None, "2026-02-01T00:00:00Z", None]


def test_what_is_not_whole_is_told(world: LivingData, ended: Nights) -> None:
    """Of runs that lack something, that are gone, and whose last backup failed, each command warns."""
    world.show("one", "image", 9, b"new")
    world.log("one", 99, loss=0.5)
    world.start("three")
    ended.sandbox.faults = parse_faults(["gone=009-.*png"])
    with pytest.warns(se.SwanlabExportWarning, match="item left out"):
        ended.run()
    ended.sandbox.faults = parse_faults(["gone=009-.*png", "refuse=runs/three"])
    world.delete("two")
    with pytest.warns(se.SwanlabExportWarning, match="2 items left out"):
        ended.run()
    host = f"backup:{ended.folder}"
    missing = "warning: the backup is not complete: lab/digits/one: media 'media/image/009-"
    gone = "warning: the server no longer has: lab/digits/two (since 2026-0"
    failed = "warning: the last backup failed, and what is shown is older: lab/digits/three: "
    done = call(host, "run", "metrics", "lab/digits/one", "--keys", "loss", "--all")
    assert (done.exit_code, missing in done.stderr, gone in done.stderr) == (0, True, False)
    for words in (
        ["run", "list", "lab/digits"],
        ["run", "summary", "--project", "lab/digits", "--keys", "loss"],
    ):
        done = call(host, *words)
        assert done.exit_code == 0
        told = [text in done.stderr for text in (missing, gone, failed)]
        assert told == [True] * 3, done.stderr


def test_a_project_that_failed_is_told(world: LivingData, ended: Nights) -> None:
    """What the last backup could not read is shown as an earlier one left it, with a warning."""
    world.add_project("other")
    ended.run()
    ended.sandbox.faults = parse_faults(["refuse=project/lab/digits/runs"])
    with pytest.raises(se.IncompleteError, match="lab/digits: "):
        ended.run()
    host = f"backup:{ended.folder}"
    failed = "warning: the last backup failed, and what is shown is older: lab/digits"
    for words in (["project", "info", "lab/digits"], ["run", "logs", "lab/digits/one"]):
        done = call(host, *words)
        assert (done.exit_code, failed in done.stderr) == (0, True)
    assert call(host, "project", "info", "lab/other").stderr == ""


def everything(api: se.Api[Any]) -> dict[str, Any]:
    """What commands show of the run ``one`` and of what is around it."""
    path = f"{api.project.list(workspace='lab')['path'].sort()[-1].as_py()}/one"
    project = path.rpartition("/")[0]
    calls: dict[str, Any] = {
        "projects": api.project.list(workspace="lab"),
        "runs": api.run.list(project, summary="loss"),
        "run": api.run.info(path),
        "points": api.run.metrics(path, keys="loss,acc", all=True),
        "sample": api.run.metrics(path, keys="loss"),
        "summary": api.run.summary(path),
        "series": api.run.series(path),
        "columns": api.run.columns(path),
        "logs": api.run.logs(path),
        "medias": api.run.medias(path, keys="image", all=True),
    }
    return {
        name: [
            {column: value for column, value in row.items() if column not in {"url", "file"}}
            for row in table.to_pylist()
        ]
        for name, table in calls.items()
    }


def test_a_backup_that_is_renewed_is_served_as_it_is(world: LivingData, ended: Nights) -> None:
    """The next call gives what the last backup wrote, and nothing of what was read before."""
    with se.connect(host=f"backup:{ended.folder}", frame="arrow") as served:
        before = everything(served)
        assert everything(served) == before
        world.log_many("one", 7, "loss")
        world.log("one", 1, new=1.0)
        world.print_line("one", "late")
        world.show("one", "image", 9, b"another picture")
        world.edit("one", name="a better name")
        world.start("three")
        world.rename_project("lab", "digits", "numbers")
        ended.run(full=True)
        after = everything(served)
        with se.connect(host=f"backup:{ended.folder}", frame="arrow") as fresh:
            assert after == everything(fresh)
        assert not [name for name in before if before[name] == after[name]]
        assert len(after["points"]) == len(before["points"]) + 7
        ended.sandbox.faults = parse_faults(["refuse=/runs"])
        with pytest.raises(se.IncompleteError, match="lab/numbers: "):
            ended.run()
        with pytest.warns(se.SwanlabExportWarning, match="the last backup failed"):
            served.run.info("lab/numbers/one")


def test_a_file_that_is_renewed_is_not_the_old_one(world: LivingData, ended: Nights) -> None:
    """An exported file, whose URL is asked for again, has what is in the backup by then."""
    with Sandbox(ended.folder) as served:
        caller = Caller(served)
        column = {"experimentId": "one", "projectId": "lab-digits", "key": "loss", "createdAt": 1}
        body = {"projectId": "lab-digits", "columns": [column]}
        key = caller.post("/house/metrics/scalar/export", body)["cosKey"]
        (url,) = caller.post("/files/presigned/get", {"paths": [key]})["urls"]
        before = caller.download(url)
        world.log_many("one", 7, "loss")
        ended.run()
        after = caller.download(url)
        caller.close()
    assert (before.content.count(b"\n"), after.content.count(b"\n")) == (31, 38)
    assert before.headers["etag"] != after.headers["etag"]


def test_a_backup_whose_first_night_was_interrupted(world: LivingData, nights: Nights) -> None:
    """Runs of a project are served once its backup has ended; status shows what is there."""
    world.add_project("another")
    world.start("first", project="lab-another")
    world.log("first", 0, loss=0.5)
    for run_id in ("one", "two"):
        world.start(run_id)
        world.log_many(run_id, 5, "loss")
    with killed_at(nights.folder, match="tables/runs/lab/digits"), OneByOne() as executor:
        nights.run(executor=executor)
    said = "this backup does not hold the runs of lab/digits yet: it has not ended"
    with se.connect(host=f"backup:{nights.folder}", frame="arrow") as served:
        assert served.run.list("lab/another").num_rows == 1
        with pytest.raises(se.SwanlabExportError, match=said):
            served.run.list("lab/digits")
        with pytest.raises(se.SwanlabExportError, match=said):
            served.run.info("lab/digits/one")
        with pytest.raises(se.SwanlabExportError, match=said):
            served.run.filter("lab/digits", "state=RUNNING")
    done = CliRunner().invoke(root, ["backup", "status", str(nights.folder)])
    rows = {row["path"]: (row["runs"], row["rows"]) for row in json.loads(done.stdout)}
    assert rows == {"lab/another": (1, 1), "lab/digits": (2, 10)}
    assert "no backup has ended here yet: the first is under way, or was" in done.stderr
    # What is there is right, and still no whole backup: who only verifies is told.
    verify = ["backup", "verify", str(nights.folder)]
    done = CliRunner().invoke(root, verify)
    assert (done.exit_code, done.stdout) == (5, "")
    assert "no backup has ended here yet: the first is under way, or was" in done.stderr
    nights.run()
    assert CliRunner().invoke(root, verify).exit_code == 0
    world.log("one", 9, loss=0.5)
    with killed_at(nights.folder, match="tables/runs/lab/digits"), OneByOne() as executor:
        nights.run(executor=executor)
    done = CliRunner().invoke(root, ["backup", "status", str(nights.folder)])
    assert "a later backup is under way, or was interrupted" in done.stderr


def test_files_name_the_backup_that_they_are_from(folder: Path, tmp_path: Path) -> None:
    """An address of this machine would say nothing."""
    with se.connect(host=f"backup:{folder}") as api:
        assert api.run.list("team/open").attrs["host"] == f"backup:{folder}"
        assert repr(api) == f"Api('backup:{folder}')"
    with se.connect(host="sandbox") as api:
        assert api.user.info().attrs["host"] == "sandbox"


def test_a_backup_of_a_backup_has_its_tables(world: LivingData, ended: Nights) -> None:
    """But for when runs were seen, and which of them the first server no longer has."""
    world.delete("two")
    ended.run()
    second = ended.folder.with_name("second")
    host = f"backup:{ended.folder}"
    for _ in range(2):  # the second time nothing has changed
        done = CliRunner().invoke(root, ["backup", "run", "--host", host, "--to", str(second)])
        assert (done.exit_code, "error" in done.stderr) == (0, False)
    assert json.loads(done.stdout) == []
    logged = ("metrics", "logs", "medias", "configs", "summary", "columns")
    for name in logged:
        mine, theirs = (
            {path.relative_to(folder): path.read_bytes() for path in (folder / name).rglob("*.*")}
            for folder in (ended.folder / "tables", second / "tables")
        )
        assert mine == theirs, name
    runs: list[list[dict[str, Any]]] = [
        [
            {
                name: value
                for name, value in row.items()
                if name not in {"backup.seen_at", "backup.gone_at"}
            }
            for row in pq.read_table(folder / "tables/runs/lab/digits.parquet").to_pylist()
        ]
        for folder in (ended.folder, second)
    ]
    assert runs[0] == runs[1]
    gone = "warning: the server no longer has: lab/digits/two (since "
    assert gone in call(f"backup:{second}", "run", "info", "lab/digits/two").stderr
    about = json.loads((second / "swanlab-backup.json").read_text(encoding="utf-8"))
    assert about["host"] == host
    done = CliRunner().invoke(root, ["backup", "run", "--host", "sandbox", "--to", str(second)])
    assert (done.exit_code, f"a backup of {host}, not of sandbox" in done.stderr) == (2, True)


ONE = "lab/digits/one"
# Where the objects of the run ``one`` lie, and the commands that read them.
OBJECTS = {
    "tables/metrics/lab/digits/one.parquet": ["run", "metrics", ONE, "--keys", "loss", "--all"],
    "tables/logs/lab/digits/one.parquet": ["run", "logs", ONE],
    "tables/medias/lab/digits/one.parquet": ["run", "medias", ONE, "--keys", "*", "--all"],
    "state/payloads/lab/digits/one.json.zst": ["run", "info", ONE],
    "state/index/lab/digits.parquet": ["run", "list", "lab/digits"],
}


def flip(path: Path) -> None:
    """Flip a bit of an object, so that it can still be read: it then says something else."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".parquet":
        for name in ("value", "message", "caption", "payload"):
            place = pq.read_schema(path).get_field_index(name)
            if place >= 0:
                column = pq.read_metadata(path).row_group(0).column(place)
                content[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    elif path.suffix == ".zst":
        content = next(each for each in flipped(bytes(content)) if unpack(each) != unpack(content))
    else:
        content[-1] ^= 1
    path.write_bytes(content)


def flipped(content: bytes) -> Iterator[bytearray]:
    """An object with another bit flipped each time, of those that can be read."""
    for number in range(8 * len(content)):
        changed = bytearray(content)
        changed[number // 8] ^= 1 << number % 8
        with suppress(OSError, ValueError):
            unpack(changed)
            yield changed


def unpack(content: bytes | bytearray) -> Any:
    """What a payload says."""
    return json.loads(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())


def check_refused(done: Result, path: str, folder: Path, option: str = "") -> None:
    """One line names the object and what can help; nothing is tried again, and nothing printed."""
    assert (done.exit_code in {1, 5}, done.stdout) == (True, ""), done.output
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("hint: "))
    assert path in line
    assert f"`backup verify {folder.resolve()} --repair{option}` can help" in line


@pytest.mark.parametrize("path", OBJECTS)
def test_a_flipped_bit_is_an_error(path: str, ended: Nights) -> None:
    """What is not as it was written is refused, and never shown as if it were right."""
    host = f"backup:{ended.folder}"
    assert call(host, *OBJECTS[path]).exit_code == 0
    flip(ended.folder / path)
    check_refused(call(host, *OBJECTS[path]), path, ended.folder, " --read all")


@pytest.mark.parametrize("path", OBJECTS)
def test_a_truncated_object_is_an_error(path: str, ended: Nights) -> None:
    """An object that ends too early is named, with what can help."""
    (ended.folder / path).write_bytes((ended.folder / path).read_bytes()[:100])
    check_refused(call(f"backup:{ended.folder}", *OBJECTS[path]), path, ended.folder, " --read all")


@pytest.mark.parametrize("path", OBJECTS)
def test_a_missing_object_is_an_error(path: str, ended: Nights) -> None:
    """An object that is not there is named, with what can help."""
    (ended.folder / path).unlink()
    check_refused(call(f"backup:{ended.folder}", *OBJECTS[path]), path, ended.folder)


@pytest.mark.parametrize("is_missing", [False, True])
def test_a_damaged_file_is_an_error(is_missing: bool, ended: Nights, tmp_path: Path) -> None:
    """A medium whose bytes are not those that were logged is not written anywhere."""
    (file,) = (ended.folder / "files/lab/digits/one").iterdir()
    if is_missing:
        file.unlink()
    else:
        flip(file)
    path = file.relative_to(ended.folder).as_posix()
    words = ["run", "medias", ONE, "--keys", "*", "--all", "--download", str(tmp_path / "files")]
    done = call(f"backup:{ended.folder}", *words)
    check_refused(done, path, ended.folder, "" if is_missing else " --read all")
    assert not (tmp_path / "files").exists()


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["run", "list", "lab/digits", "--fields", "run_id"], ["run_id", "two"]),
        (
            ["run", "list", "lab/digits", "--summary", "loss", "--fields", "run_id"],
            ["run_id", "two"],
        ),
        (
            ["run", "filter", "lab/digits", "-f", "state=FINISHED", "--fields", "run_id"],
            ["run_id", "two"],
        ),
        (
            ["run", "summary", "--project", "lab/digits", "--keys", "loss", "--fields", "run_id"],
            ["run_id", "two"],
        ),
    ],
)
def test_other_runs_of_a_list_are_given(words: list[str], left: list[str], ended: Nights) -> None:
    """With --partial, a run that is damaged is named, and the list has the others."""
    path = "state/payloads/lab/digits/one.json.zst"
    (ended.folder / path).write_bytes(b"cut")
    host = f"backup:{ended.folder}"
    check_refused(call(host, *words), path, ended.folder, " --read all")
    done = call(host, *words, "--partial", "--format", "csv")
    assert (done.exit_code, done.stdout.splitlines()) == (5, left)
    assert path in done.stderr


def test_points_of_other_runs_are_given(ended: Nights) -> None:
    """With --partial, the points of all runs but the damaged one come."""
    path = "tables/metrics/lab/digits/one.parquet"
    flip(ended.folder / path)
    words = ["run", "metrics", "--project", "lab/digits", "--keys", "loss", "--fields", "run_id"]
    for how in ([], ["--all"]):
        done = call(f"backup:{ended.folder}", *words, *how, "--partial", "--format", "csv")
        assert (done.exit_code, set(done.stdout.splitlines())) == (5, {"run_id", "two"})
        assert path in done.stderr


def test_a_damaged_index_of_another_project(world: LivingData, ended: Nights) -> None:
    """What is asked for by the id of a run alone is found as long as its own project is whole."""
    world.add_project("another")
    world.start("other", project="lab-another")
    ended.run()
    (ended.folder / "state/index/lab/another.parquet").write_bytes(b"cut")
    host = f"backup:{ended.folder}"
    with Sandbox(ended.folder) as served:
        caller = Caller(served)
        assert caller.get("/experiment/one/column", page=1, size=20)["total"] == 4
        caller.close()
    done = call(host, "run", "list", "lab/another")
    check_refused(done, "state/index/lab/another.parquet", ended.folder, " --read all")


def test_a_damaged_manifest_is_told(ended: Nights) -> None:
    """It says only what failed in the last backup: all else is given, with a warning."""
    (manifest,) = (ended.folder / "state/snapshots").glob("*/manifest.json")
    manifest.write_bytes(manifest.read_bytes()[:100])
    path = manifest.relative_to(ended.folder).as_posix()
    for words in (["run", "list", "lab/digits"], ["project", "info", "lab/digits"]):
        done = call(f"backup:{ended.folder}", *words)
        assert (done.exit_code, len(done.stderr.splitlines())) == (0, 1)
        assert f"what failed in the last backup is not known: {path} cannot be read" in done.stderr
        assert f"`backup verify {ended.folder.resolve()} --repair --read all`" in done.stderr


def test_a_receipt_that_is_missing(ended: Nights) -> None:
    """A run whose receipt alone is lost can be read."""
    (ended.folder / "state/receipts/lab/digits/one.json").unlink()
    assert call(f"backup:{ended.folder}", "run", "info", ONE).exit_code == 0


def test_a_payload_that_is_newer_than_its_receipt(world: LivingData, ended: Nights) -> None:
    """While a backup is under way, and after one that was interrupted, runs can be read."""
    world.edit("one", name="a better name")
    with killed_at(ended.folder, match="state/receipts/lab/digits/one"), OneByOne() as executor:
        ended.run(executor=executor)
    done = call(f"backup:{ended.folder}", "run", "info", ONE, "--fields", "name", "--format", "csv")
    assert (done.exit_code, done.stdout.splitlines()) == (0, ["name", "a better name"])


@pytest.mark.parametrize(("old", "new"), [("c2", "c9"), ("c9", "c2")])
def test_a_project_that_was_made_anew(old: str, new: str, world: LivingData, ended: Nights) -> None:
    """The project that the server has answers to its path; the one that is gone has its id there."""
    world.add_project("three", cuid=old)
    world.start("old", project=old)
    world.log("old", 0, loss=1.0)
    ended.run()
    world.remove_project("lab", "three")
    world.add_project("three", cuid=new)
    world.start("new", project=new)
    world.log("new", 0, loss=2.0)
    with pytest.warns(se.SwanlabExportWarning, match="another one has its name now"):
        ended.run()
    host = f"backup:{ended.folder}"
    for project, run_id, value in (("lab/three", "new", 2.0), (f"lab/three~{old}", "old", 1.0)):
        with se.connect(host=host, frame="arrow") as served, warnings.catch_warnings():
            warnings.simplefilter("ignore", se.SwanlabExportWarning)
            assert served.run.list(project)["run_id"].to_pylist() == [run_id]
            points = served.run.metrics(f"{project}/{run_id}", keys="loss", all=True)
            assert points["value"].to_pylist() == [value]
            listed = dict(
                zip(
                    *served.project.list(workspace="lab").select(["path", "project_id"]),
                    strict=True,
                )
            )
    assert {str(path): str(project_id) for path, project_id in listed.items()} == {
        "lab/digits": "lab-digits",
        "lab/three": new,
        f"lab/three~{old}": old,
    }
    assert call(host, "run", "list", "lab/three").stderr == ""
    told = f"lab/three~{old}: another project has its name now"
    assert told in call(host, "project", "info", f"lab/three~{old}").stderr


@pytest.mark.parametrize(
    "run_id", ["q?x=1", "a#b", "a%2fb", "a%b", "two\nlines", "a b", "a&b=c", "é"]
)
def test_ids_with_odd_characters(
    run_id: str, world: LivingData, nights: Nights, tmp_path: Path
) -> None:
    """Files of a run whose id means something in a URL are handed out like all others."""
    world.start(run_id)
    world.log_many(run_id, 5, "loss")
    world.print_line(run_id, "hello")
    world.show(run_id, "image", 0, b"a picture")
    assert nights.run()[run_id][0] == "whole"
    assert len(nights.values(run_id)) == 5
    (file,) = (nights.folder / "files").rglob("*.png")
    assert file.read_bytes() == b"a picture"
    with Sandbox(nights.folder) as served:
        caller = Caller(served)
        asked = {"projectId": "lab-digits", "experimentId": run_id, "start": 0, "rows": 10}
        key = caller.post("/house/metrics/log/export", asked)["cosKey"]
        (url,) = caller.post("/files/presigned/get", {"paths": [key]})["urls"]
        assert caller.download(url).content == b"hello\n"
        caller.close()
