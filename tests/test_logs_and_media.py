"""Console logs and media: every shard, every piece, every file, or an error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "ada-lab/digits/mlp-long"
IMAGES = ["run", "medias", RUN, "--keys", "val/confusion", "--all"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One sandbox for the module."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def fresh(server: Sandbox) -> None:
    """Start every test without faults."""
    server.faults = parse_faults([])
    server.reset_log()


@pytest.fixture
def api(server: Sandbox) -> Iterator[se.Api[Any]]:
    """The Python door, answering with Arrow tables."""
    with se.connect(host=server.url, api_key=server.api_key, frame="arrow") as connected:
        yield connected


def call(server: Sandbox, *words: str) -> Result:
    """Run a command against the sandbox."""
    access = ["--host", server.url, "--api-key", server.api_key, "--retries", "1"]
    return CliRunner().invoke(root, ["api", *words, *access])


def test_a_level_keeps_what_is_at_least_as_severe(api: Any) -> None:
    """``level="WARN"`` gives the warnings, with the line numbers that they have in the log."""
    log = api.run.logs(RUN, full=True, level="DEBUG").to_pylist()
    warnings = api.run.logs(RUN, full=True, level="warn").to_pylist()
    assert warnings
    assert warnings == [line for line in log if line["level"] in {"WARN", "ERROR"}]


def test_without_timestamps_there_is_no_such_column(server: Sandbox) -> None:
    """``--ignore-timestamp`` leaves out the column and keeps the rest."""
    done = call(server, "run", "logs", RUN, "--ignore-timestamp", "--format", "csv")
    assert done.stdout.splitlines()[0] == "run_id,line,level,tag,message"


def test_a_shard_beyond_the_log_is_empty(api: Any) -> None:
    """An offset past the end gives no row, the columns, and a word about it."""
    with pytest.warns(UserWarning, match="shard 7 is behind the end of a log of 244 lines"):
        found = api.run.logs(RUN, offset=7)
    assert found.num_rows == 0
    assert found.schema.names == ["run_id", "line", "level", "timestamp", "tag", "message"]


def exports(server: Sandbox) -> list[tuple[Any, Any]]:
    """The first line and the number of lines of every export that was asked for."""
    bodies = [r.body for r in server.requests if r.path.endswith("log/export")]
    return [(body["start"], body["rows"]) for body in bodies]


def test_a_log_is_saved_as_it_was_printed(server: Sandbox, api: Any, tmp_path: Path) -> None:
    """``export-logs --save run.log`` writes every line once, however many pieces that takes."""
    target = tmp_path / "run.log"
    done = call(server, "run", "export-logs", RUN, "--rows", "1200000", "--save", str(target))
    assert done.exit_code == 0, done.output
    messages = api.run.logs(RUN, full=True, level="DEBUG")["message"].to_pylist()
    lines = target.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(messages)
    assert all(message in line for message, line in zip(messages, lines, strict=True))
    # The second piece had no line, so that the third was not asked for.
    assert exports(server) == [(0, 500_000), (500_000, 500_000)]


def test_the_table_of_a_log_export_has_a_row_per_file(server: Sandbox, tmp_path: Path) -> None:
    """More lines than one export gives are several files, in order and without a gap."""
    target = tmp_path / "t.parquet"
    words = ["run", "export-logs", RUN, "--start", "10", "-r", "500001", "--save", str(target)]
    assert call(server, *words).exit_code == 0
    rows = pq.read_table(target).to_pylist()
    assert [(row["start"], row["rows"]) for row in rows] == [(10, 500_000), (500_010, 1)]
    assert exports(server) == [(10, 500_000), (500_010, 1)]
    assert all(row["url"].startswith(server.storage_url) for row in rows)


def test_part_of_a_log(server: Sandbox, tmp_path: Path) -> None:
    """``--start`` and ``--rows`` cut the file out of the whole."""
    whole, part = tmp_path / "whole.log", tmp_path / "part.log"
    assert call(server, "run", "export-logs", RUN, "--save", str(whole)).exit_code == 0
    words = ["--start", "3", "--rows", "4"]
    assert call(server, "run", "export-logs", RUN, *words, "--save", str(part)).exit_code == 0
    assert part.read_bytes().splitlines() == whole.read_bytes().splitlines()[3:7]


def test_a_log_that_breaks_leaves_no_file(server: Sandbox, tmp_path: Path) -> None:
    """A piece that is cut off fails the command and leaves the old file."""
    target = tmp_path / "run.log"
    target.write_bytes(b"old")
    server.faults = parse_faults(["cut=length"])
    done = call(server, "run", "export-logs", RUN, "--save", str(target))
    assert done.exit_code == 5, done.output
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_step_without_media_says_where_there_are_some(server: Sandbox) -> None:
    """No media at a step is an empty table with a hint, for the step was a guess."""
    done = call(server, *IMAGES[:-1], "--step", "0")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == "[]"
    assert "step 0" in done.stderr


def test_downloads_start_anew_when_a_url_has_expired(server: Sandbox, tmp_path: Path) -> None:
    """An expired URL is presigned again, and the files are whole."""
    server.faults = parse_faults(["expire=2", "times=3"])
    folder = tmp_path / "media"
    done = call(server, *IMAGES, "--download", str(folder), "--save", str(tmp_path / "t.parquet"))
    assert done.exit_code == 0, done.output
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert len({row["file"] for row in rows}) == len(rows) > 2
    for row in rows:
        assert Path(row["file"]).stat().st_size == row["size_bytes"]


@pytest.mark.parametrize("fault", ["cut=length", "500=1", "reset=1"])
def test_a_download_that_fails_leaves_the_folder_alone(
    fault: str, server: Sandbox, tmp_path: Path
) -> None:
    """All files or none: one that fails leaves neither files nor a table."""
    folder, table = tmp_path / "media", tmp_path / "t.parquet"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    server.faults = parse_faults([fault, "where=^/exports/"])
    done = call(server, *IMAGES, "--download", str(folder), "--save", str(table))
    assert done.exit_code in {5, 6}, done.output
    assert [path.name for path in tmp_path.rglob("*")] == ["media", "mine.txt"]


def test_downloading_twice_replaces_the_files(server: Sandbox, tmp_path: Path) -> None:
    """A second download gives the same names and contents; nothing doubles."""
    folder = tmp_path / "media"
    found = []
    for _ in range(2):
        assert call(server, *IMAGES, "--download", str(folder)).exit_code == 0
        found.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.png")})
    assert found[0] == found[1]
    assert found[0]


def test_a_file_that_may_be_cut_is_not_kept(server: Sandbox, tmp_path: Path) -> None:
    """Without a length or chunks a cut cannot be seen: neither a log nor media are taken for whole."""
    server.faults = parse_faults(["cut=neither"])
    log, folder = tmp_path / "run.log", tmp_path / "media"
    done = call(server, "run", "export-logs", RUN, "--save", str(log))
    assert done.exit_code == 5, done.output
    done = call(server, *IMAGES, "--download", str(folder))
    assert done.exit_code == 5, done.output
    assert "neither a length nor chunks" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_shards_of_a_log_come_side_by_side(api: Any, server: Sandbox) -> None:
    """The first shard says how many there are; the others are in flight together, each once."""
    server.faults = parse_faults(["latency=50ms"])
    lines = api.run.logs(RUN, full=True, level="DEBUG")
    shards = {r.query["epoch"]: r for r in server.requests if r.path.endswith("metrics/log")}
    assert sum(r.path.endswith("metrics/log") for r in server.requests) == len(shards) == 3
    assert max(shards[i].started for i in "12") < min(shards[i].ended for i in "12")
    assert lines["line"].to_pylist() == list(range(1, lines.num_rows + 1))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["run", "logs", RUN, "--all", "--offset", "1"], "--offset and --all exclude"),
        (["run", "medias", RUN, "--keys", "x", "--all", "-s", "3"], "--step and --all exclude"),
        (["run", "medias", RUN, "--keys", "x", "--raw", "--download", "d"], "--download"),
        (["run", "export-logs", RUN, "--save", "run.log", "--fields", "url"], "--fields"),
        (["run", "logs", RUN, "--offset", "-1"], "--offset"),
        (["run", "export-logs", RUN, "--rows", "0"], "--rows"),
        (["run", "export-logs", RUN, "--start", "-1"], "--start"),
        (["run", "medias", RUN, "--keys", "val/confusion", "--step", "-1"], "--step"),
        (["run", "medias", RUN, "--keys", " , "], "--keys"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_right_is_refused_before_anything_is_asked(
    words: list[str], name: str
) -> None:
    """A usage error names the option and costs no request."""
    # A server of its own: a download that an earlier test gave up may still be under way.
    with Sandbox() as fresh_server:
        done = call(fresh_server, *words)
        assert fresh_server.requests == []
    assert done.exit_code == 2, done.output
    assert name in done.stderr
