"""Console logs and media: every shard, every piece, every file, or an error."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pyarrow.parquet as pq
import pytest
import responses
from click.testing import CliRunner
from living import LivingData
from raw_server import Asked, RawServer, reply, reply_json, reply_login

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    Call = Callable[..., Result]

RUN = "ada-lab/digits/mlp-long"
IMAGES = ["run", "medias", RUN, "--keys", "val/confusion", "--all"]


def logins(server: Sandbox) -> int:
    """How many connections have asked anything: each logs in first.

    Other requests can be late ones of a download that an earlier test gave up.
    """
    return sum(record.path.endswith("/login/api_key") for record in server.requests)


def test_a_level_keeps_what_is_at_least_as_severe(api: Any) -> None:
    """``level="WARN"`` gives the warnings, with the line numbers that they have in the log."""
    log = api.run.logs(RUN, all=True, level="DEBUG").to_pylist()
    warnings = api.run.logs(RUN, all=True, level="warn").to_pylist()
    assert warnings
    assert warnings == [line for line in log if line["level"] in {"WARN", "ERROR"}]


def test_without_timestamps_there_is_no_such_column(call: Call) -> None:
    """``--ignore-timestamp`` leaves out the column and keeps the rest."""
    done = call("run", "logs", RUN, "--ignore-timestamp", "--format", "csv")
    assert done.stdout.splitlines()[0] == "run_id,line,level,tag,message"


def test_a_shard_beyond_the_log_is_empty(api: Any) -> None:
    """An offset past the end gives no row, the columns, and a warning."""
    with pytest.warns(UserWarning, match="shard 7 is behind the end of a log of 244 lines"):
        found = api.run.logs(RUN, offset=7)
    assert found.num_rows == 0
    assert found.schema.names == ["run_id", "line", "level", "timestamp", "tag", "message"]


def exports(server: Sandbox) -> list[tuple[Any, Any]]:
    """The first line and the number of lines of every export that was asked for."""
    bodies = [r.body for r in server.requests if r.path.endswith("log/export")]
    return [(body["start"], body["rows"]) for body in bodies]


def test_a_log_is_saved_as_it_was_printed(
    server: Sandbox, api: Any, tmp_path: Path, call: Call
) -> None:
    """``export-logs --save run.log`` writes every line once, however many pieces that takes."""
    target = tmp_path / "run.log"
    done = call("run", "export-logs", RUN, "--rows", "1200000", "--save", str(target))
    assert done.exit_code == 0, done.output
    messages = api.run.logs(RUN, all=True, level="DEBUG")["message"].to_pylist()
    lines = target.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(messages)
    assert all(message in line for message, line in zip(messages, lines, strict=True))
    # The second piece had no line, so that the third was not asked for.
    assert exports(server) == [(0, 500_000), (500_000, 500_000)]


def test_the_table_of_a_log_export_has_a_row_per_file(
    server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """More lines than one export gives are several files, in order and without a gap."""
    target = tmp_path / "t.parquet"
    words = ["run", "export-logs", RUN, "--start", "10", "-r", "500001", "--save", str(target)]
    assert call(*words).exit_code == 0
    rows = pq.read_table(target).to_pylist()
    assert [(row["start"], row["rows"]) for row in rows] == [(10, 500_000), (500_010, 1)]
    assert exports(server) == [(10, 500_000), (500_010, 1)]
    assert all(row["url"].startswith(server.storage_url) for row in rows)


class LongLog:
    """A server with a log of half a million lines and a few more."""

    count = 500_002

    def __call__(self, asked: Asked) -> bytes | None:
        """Respond."""
        if (login := reply_login(asked)) is not None:
            return login
        payloads: dict[str, Any] = {
            "/api/project/a/p": {"cuid": "p", "path": "a/p"},
            "/api/project/a/p/runs/r": {"cuid": "r", "slug": "r"},
        }
        if asked.path.endswith("/log/export"):
            body = json.loads(asked.body)
            return reply_json({"cosKey": f"{body['start']}-{body['rows']}"})
        if asked.path.endswith("/presigned/get"):
            (path,) = json.loads(asked.body)["paths"]
            return reply_json({"urls": [f"/files/{path}"]})
        if asked.path.startswith("/files/"):
            start, rows = map(int, asked.path.rpartition("/")[2].split("-"))
            return reply(200, b"x\n" * max(0, min(rows, self.count - start)))
        if asked.path.endswith("/metrics/log"):
            shard = int(dict(parse_qsl(asked.target.partition("?")[2]))["epoch"])
            lines = range(shard * 1000, min(self.count, shard * 1000 + 1000))
            logs = [{"epoch": i + 1, "level": "INFO", "message": "x"} for i in lines]
            return reply_json({"logs": logs or None, "count": self.count})
        return reply_json(payloads[asked.path])


@pytest.mark.parametrize(
    ("count", "words", "lines", "is_more"),
    [
        (500_002, [], 500_002, False),
        (500_000, [], 500_000, False),
        (500_002, ["--start", "1"], 500_001, False),
        (500_002, ["--rows", "500000"], 500_000, True),
        (500_002, ["--rows", "500002"], 500_002, False),
        (500_002, ["--rows", "7"], 7, True),
        (7, ["--rows", "7"], 7, False),
    ],
)
def test_a_log_that_is_longer_than_one_export(
    count: int, words: list[str], lines: int, tmp_path: Path, *, is_more: bool
) -> None:
    """Without ``--rows`` the whole log is saved; with it, the command says that there is more."""
    long = LongLog()
    long.count = count
    target = tmp_path / "run.log"
    with RawServer(long) as server:
        access = ["--host", server.url, "--api-key", "k", "--save", str(target)]
        done = CliRunner().invoke(root, ["api", "run", "export-logs", "a/p/r", *words, *access])
    assert done.exit_code == 0, done.output
    assert target.read_bytes() == b"x\n" * lines
    assert (
        f"hint: the log goes on: --start {lines} exports its next lines" in done.stderr
    ) == is_more


@pytest.mark.parametrize(("count", "is_more"), [(500_002, True), (500_000, False), (5, False)])
def test_the_url_of_a_part_of_a_log(count: int, *, is_more: bool) -> None:
    """Without ``--save`` there is one file, and a hint where the log goes on behind it."""
    long = LongLog()
    long.count = count
    with RawServer(long) as server:
        access = ["--host", server.url, "--api-key", "k"]
        done = CliRunner().invoke(root, ["api", "run", "export-logs", "a/p/r", *access])
    assert [row["rows"] for row in json.loads(done.stdout)] == [500_000]
    assert ("the log goes on: --start 500000 exports its next lines" in done.stderr) == is_more


def test_part_of_a_log(tmp_path: Path, call: Call) -> None:
    """``--start`` and ``--rows`` cut the file out of the whole."""
    whole, part = tmp_path / "whole.log", tmp_path / "part.log"
    assert call("run", "export-logs", RUN, "--save", str(whole)).exit_code == 0
    words = ["--start", "3", "--rows", "4"]
    assert call("run", "export-logs", RUN, *words, "--save", str(part)).exit_code == 0
    assert part.read_bytes().splitlines() == whole.read_bytes().splitlines()[3:7]


@pytest.mark.parametrize(
    ("run", "start", "fault", "why", "requests"),
    [
        ("offline", 0, "", "the log of ada-lab/digits/offline has no lines", 0),
        ("offline", 7, "", "the log of ada-lab/digits/offline has no lines", 1),
        ("mlp-adam", 68, "", "--start 68 is behind the end of a log of 68 lines", 1),
        ("mlp-long", 5000, "", "--start 5000 is behind the end of a log of 2293 lines", 1),
        (
            "mlp-long",
            5000,
            "shard-count=1",
            f"--start 5000 is behind the end of the log of {RUN}",
            1,
        ),
        (
            "mlp-long",
            5000,
            "refuse=. where=metrics/log$",
            f"--start 5000 is behind the end of the log of {RUN}",
            2,
        ),
        ("mlp-long", 0, "", "", 0),
        ("mlp-long", 2292, "", "", 0),
    ],
)
def test_an_empty_log_says_why(
    run: str,
    start: int,
    fault: str,
    why: str,
    requests: int,
    server: Sandbox,
    tmp_path: Path,
    call: Call,
) -> None:
    """It has no line, or none behind the first that was asked for; else nothing is requested."""
    target = tmp_path / "run.log"
    server.faults = parse_faults(fault.split())
    words = ["run", "export-logs", f"ada-lab/digits/{run}", "--start", str(start)]
    done = call(*words, "--save", str(target))
    assert done.exit_code == 0, done.output
    assert (target.read_bytes() == b"") == bool(why)
    assert [line for line in done.stderr.splitlines() if line.startswith("warning")] == (
        [f"warning: {why}"] if why else []
    )
    assert sum(r.path.endswith("/house/metrics/log") for r in server.requests) == requests


def test_an_export_of_a_log_that_lacks_its_lines(tmp_path: Path) -> None:
    """Where the server says that there are lines behind the first, none is said to be missing."""
    long = LongLog()

    def respond(asked: Asked) -> bytes | None:
        return reply(200, b"") if asked.path.startswith("/files/") else long(asked)

    with RawServer(respond) as server:
        access = ["--host", server.url, "--api-key", "k", "--save", str(tmp_path / "run.log")]
        words = ["api", "run", "export-logs", "a/p/r", "--start", "7", *access]
        done = CliRunner().invoke(root, words)
    assert "warning: no line came of the log of a/p/r, which has 500002 lines" in done.stderr


def test_a_log_that_breaks_leaves_no_file(server: Sandbox, tmp_path: Path, call: Call) -> None:
    """A piece that is cut off fails the command and leaves the old file."""
    target = tmp_path / "run.log"
    target.write_bytes(b"old")
    server.faults = parse_faults(["cut=length"])
    done = call("run", "export-logs", RUN, "--save", str(target))
    assert done.exit_code == 5, done.output
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_step_without_media_says_where_there_are_some(call: Call) -> None:
    """No media at a step is an empty table with a warning that names other steps."""
    done = call(*IMAGES[:-1], "--step", "0")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == "[]"
    assert "step 0" in done.stderr


def test_the_whole_log_is_the_default_in_python(api: Any) -> None:
    """Without ``offset=`` every shard comes; with it only that one, and a hint about the rest."""
    whole = api.run.logs(RUN, level="DEBUG")
    assert whole.equals(api.run.logs(RUN, level="DEBUG", all=True))
    with pytest.warns(se.SwanlabExportWarning, match="shard 0 of a log of .* all=True fetches"):
        first = api.run.logs(RUN, level="DEBUG", offset=0)
    assert first.num_rows == 1000 < whole.num_rows


def test_downloads_start_anew_when_a_url_has_expired(
    server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """An expired URL is presigned again, and the files are whole."""
    server.faults = parse_faults(["expire=2", "times=3"])
    folder = tmp_path / "media"
    words = ["--download", str(folder), "--save", str(tmp_path / "t.parquet")]
    done = call(*IMAGES, *words, retries=1)
    assert done.exit_code == 0, done.output
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert len({row["file"] for row in rows}) == len(rows) > 2
    for row in rows:
        assert Path(row["file"]).stat().st_size == row["size_bytes"]


@pytest.mark.parametrize("fault", ["cut=length", "500=1", "reset=1"])
def test_a_download_that_fails_leaves_the_folder_alone(
    fault: str, server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """All files or none: one that fails leaves neither files nor a table."""
    folder, table = tmp_path / "media", tmp_path / "t.parquet"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    server.faults = parse_faults([fault, "where=^/exports/"])
    done = call(*IMAGES, "--download", str(folder), "--save", str(table))
    assert done.exit_code in {5, 6}, done.output
    assert [path.name for path in tmp_path.rglob("*")] == ["media", "mine.txt"]


def test_downloading_twice_replaces_the_files(tmp_path: Path, call: Call) -> None:
    """A second download gives the same names and contents; nothing doubles."""
    folder = tmp_path / "media"
    found = []
    for _ in range(2):
        assert call(*IMAGES, "--download", str(folder)).exit_code == 0
        found.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.png")})
    assert found[0] == found[1]
    assert found[0]


def test_a_file_that_may_be_cut_is_not_kept(server: Sandbox, tmp_path: Path, call: Call) -> None:
    """Without a length or chunks a cut cannot be seen: neither a log nor media are taken for whole."""
    server.faults = parse_faults(["cut=neither"])
    log, folder = tmp_path / "run.log", tmp_path / "media"
    done = call("run", "export-logs", RUN, "--save", str(log))
    assert done.exit_code == 5, done.output
    done = call(*IMAGES, "--download", str(folder))
    assert done.exit_code == 5, done.output
    assert "neither a length nor chunks" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_shards_of_a_log_come_concurrently(api: Any, server: Sandbox) -> None:
    """The first shard says how many there are; the others are in flight together, each once."""
    server.faults = parse_faults(["latency=50ms"])
    lines = api.run.logs(RUN, all=True, level="DEBUG")
    shards = {r.query["epoch"]: r for r in server.requests if r.path.endswith("metrics/log")}
    assert sum(r.path.endswith("metrics/log") for r in server.requests) == len(shards) == 3
    assert max(shards[i].started for i in "12") < min(shards[i].ended for i in "12")
    assert lines["line"].to_pylist() == list(range(1, lines.num_rows + 1))


REFUSED: list[tuple[list[str], str]] = [
    (["run", "logs", RUN, "--all", "--offset", "1"], "--offset and --all exclude"),
    (["run", "medias", RUN, "--keys", "x", "--all", "-s", "3"], "--step and --all exclude"),
    (["run", "medias", RUN, "--keys", "x", "--raw", "--download", "d"], "--download"),
    (["run", "medias", RUN, "--keys", "x", "--download", "d", "--fields", "nope"], "--fields"),
    (["run", "export-logs", RUN, "--save", "run.log", "--fields", "url"], "--fields"),
    (["run", "logs", RUN, "--offset", "-1"], "--offset"),
    (["run", "export-logs", RUN, "--rows", "0"], "--rows"),
    (["run", "export-logs", RUN, "--start", "-1"], "--start"),
    (["run", "medias", RUN, "--keys", "val/confusion", "--step", "-1"], "--step"),
    (["run", "medias", RUN, "--keys", " , "], "--keys"),
]


@pytest.mark.parametrize(
    ("words", "name"), REFUSED, ids=[" ".join(words[1:]) for words, _ in REFUSED]
)
def test_what_cannot_be_right_is_refused_before_anything_is_asked(
    words: list[str], name: str, server: Sandbox, call: Call
) -> None:
    """A usage error names the option and costs no request."""
    done = call(*words)
    assert logins(server) == 0
    assert done.exit_code == 2, done.output
    assert name in done.stderr


@pytest.mark.parametrize("name", ["run.log", "run.log.gz", "run.log.zst"])
def test_python_saves_a_log_and_counts_its_lines(name: str, api: Any, tmp_path: Path) -> None:
    """``export_logs(save=…)`` writes the log, and its table says how many lines came."""
    target = tmp_path / name
    lines = api.run.logs(RUN, level="DEBUG").num_rows
    assert api.run.export_logs(RUN, save=target)["rows"].to_pylist() == [lines]
    assert target.stat().st_size > 0
    assert api.run.export_logs(RUN)["rows"].to_pylist() == [500_000]


def test_a_log_is_saved_as_nothing_but_a_log(api: Any, server: Sandbox, tmp_path: Path) -> None:
    """Any other extension than .log is refused before any request."""
    with pytest.raises(se.UsageError, match=r"save= '.*t\.csv': a log is saved as a \.log file"):
        api.run.export_logs(RUN, save=tmp_path / "t.csv")
    assert logins(server) == 0


def test_texts_have_neither_url_nor_file(tmp_path: Path) -> None:
    """Media of old servers that are texts, not files, stay texts, beside files that are fetched."""
    run = {"cuid": "r", "createdAt": "odd"}
    payloads: dict[tuple[str, str], Any] = {
        ("POST", "/login/api_key"): {"sid": "s", "userInfo": {"username": "ada"}},
        ("GET", "/project/a/p"): {"cuid": "p"},
        ("GET", "/project/a/p/runs/r"): run,
        ("POST", "/house/metrics/f_media"): [
            {"key": "k", "metrics": [{"index": 1, "data": ["a text", "media/a.png"]}]}
        ],
        ("POST", "/resources/presigned/get"): {"urls": ["https://files.test/a"]},
    }
    with responses.RequestsMock() as mock:
        for (method, path), payload in payloads.items():
            mock.add(method, f"https://swan.test/api{path}", json=payload)
        mock.get("https://files.test/a", body=b"png", auto_calculate_content_length=True)
        with se.connect(host="https://swan.test", api_key="k", frame="arrow", retries=0) as api:
            found = api.run.medias("a/p/r", keys="k", all=True, download=tmp_path / "d")
    assert found["text"].to_pylist() == ["a text", None]
    assert found["url"].to_pylist() == [None, "https://files.test/a"]
    assert found["size_bytes"].to_pylist() == [None, 3]
    assert Path(found["file"][1].as_py()).read_bytes() == b"png"


@pytest.mark.parametrize("step", [0, 1])
def test_a_step_excludes_all(call: Callable[..., Result], server: Sandbox, step: int) -> None:
    """Step 0 is a step like any other."""
    words = ("run", "medias", "ada-lab/digits/mlp-adam", "--keys", "*", "--step", str(step))
    result = call(*words, "--all")
    assert (result.exit_code, logins(server)) == (2, 0)
    assert "--step and --all exclude each other" in result.stderr


def test_an_empty_name_is_no_folder(call: Callable[..., Result], server: Sandbox) -> None:
    """A variable that is not set does not download into the current folder."""
    words = ("run", "medias", "ada-lab/digits/mlp-adam", "--keys", "*", "--all")
    result = call(*words, "--download", "")
    assert (result.exit_code, logins(server)) == (2, 0)
    assert "--download is empty" in result.stderr


def test_steps_that_are_times() -> None:
    """Steps may be Unix milliseconds, or whatever fits 63 bits; one that comes again is kept."""
    first = 1_767_603_600_000
    world = LivingData()
    world.add_project("digits")
    for run_id, begin in (("ms", first), ("ns", first * 10**6)):
        world.start(run_id)
        for step in (begin, begin + 1000, begin + 1000, begin + 2000):
            world.log(run_id, step, loss=0.5)
    with Sandbox(world) as sandbox:
        connected = se.connect(host=sandbox.url, api_key=sandbox.api_key, frame="arrow")
        with warnings.catch_warnings(), connected as api:
            warnings.simplefilter("ignore", se.SwanlabExportWarning)
            for run_id, begin in (("ms", first), ("ns", first * 10**6)):
                found = api.run.metrics(f"lab/digits/{run_id}", keys="loss", all=True)
                steps = [begin, begin + 1000, begin + 2000, begin + 1000]
                assert sorted(found["step"].to_pylist()) == sorted(steps)
                head = api.run.metrics(f"lab/digits/{run_id}", keys="loss", range_head=1)
                assert head["step"].to_pylist() == [begin]
