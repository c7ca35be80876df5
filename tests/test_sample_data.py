"""The recorded data have the shape and the contents that the sandbox counts on."""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import socket
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from recorded import ROOT, RecordedRun, read_json, recorded_run, recorded_runs

from swanlab_export import schemas
from swanlab_export.cli.main import root

DIGITS = "ada-lab/digits"
KINDS = ("metrics", "logs", "medias")
TABLES = {
    name: f"STORED_{name.upper()}" for name in ("runs", "configs", "summary", "columns", *KINDS)
}


def digits(slug: str) -> RecordedRun:
    """A run of ada-lab/digits."""
    return recorded_run(f"{DIGITS}/{slug}")


def column_of(slug: str, key: str, name: str) -> list[Any]:
    """A column of the points of one key of a run of ada-lab/digits."""
    return [row[name] for row in digits(slug).points(key)]


def test_everything_together_is_small() -> None:
    """The data stay below 5 MB and each confusion matrix below 3 kB."""
    files = [f for f in ROOT.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert sum(f.stat().st_size for f in files) < 5_000_000
    assert max(f.stat().st_size for f in files if f.suffix == ".png") <= 3_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_has_one_schema_and_is_sorted(kind: str) -> None:
    """All files of a table have one schema; points are sorted by key and step."""
    tables = [run.read(kind) for run in recorded_runs() if run.index[kind] is not None]
    assert tables
    assert all(table.schema == tables[0].schema for table in tables)
    for table in tables if kind == "metrics" else []:
        order = list(zip(*(table[c].to_pylist() for c in ("key", "step")), strict=True))
        assert order == sorted(set(order))


def test_every_row_names_its_run() -> None:
    """The rows of a run's tables have its id and that of its project, in files of its own."""
    for run in recorded_runs():
        for kind in KINDS:
            if run.index[kind] is None:
                continue
            owner = run.read(kind).group_by(["project_id", "run_id"]).aggregate([])
            ids = {(row["project_id"], row["run_id"]) for row in owner.to_pylist()}
            assert ids <= {(run.index["project_id"], run.payload["cuid"])}
    paths = [run.index[kind] for run in recorded_runs() for kind in KINDS]
    there = {f.relative_to(ROOT).as_posix() for f in (ROOT / "tables").glob("*/*/*/*.parquet")}
    named = [path for path in paths if path is not None]
    assert len(named) == len(set(named))
    assert {path for path in there if path.split("/")[1] in KINDS} == set(named)


def test_every_series_has_a_column() -> None:
    """The columns of a run are the keys of its points and images; a clone's are its original's."""
    by_id = {run.payload["cuid"]: run for run in recorded_runs()}
    for run in recorded_runs():
        holder = by_id.get(run.payload["rootExpId"], run)
        tables = [holder.read(kind) for kind in ("metrics", "medias") if holder.index[kind]]
        seen = {key for table in tables for key in table["key"].unique().to_pylist()}
        assert {column["key"] for column in run.columns} == seen
        assert len(run.columns) == len(seen)


def test_every_image_is_there_and_no_other() -> None:
    """The files are those that the media tables name, each with the size and sha256 it says."""
    items = [row for run in recorded_runs() for row in run.rows("medias")]
    for item in items:
        body = (ROOT / item["file"]).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (item["size_bytes"], item["sha256"])
    there = {f.relative_to(ROOT).as_posix() for f in (ROOT / "files").rglob("*") if f.is_file()}
    assert there == {item["file"] for item in items}


def test_the_long_run_is_in_full_resolution() -> None:
    """`mlp-long` has a loss for each of its 20,480 steps and more than a shard of log."""
    assert column_of("mlp-long", "loss", "step") == list(range(20_480))
    assert len(digits("mlp-long").rows("logs")) > 2_000
    times = column_of("mlp-long", "loss", "timestamp")
    assert times == sorted(times)


def test_the_diverged_run_reaches_infinity_then_nan() -> None:
    """The loss of `diverged` starts finite, becomes inf and ends as NaN."""
    values = column_of("diverged", "loss", "value")
    inf = values.index(math.inf)
    nan = next(i for i, value in enumerate(values) if math.isnan(value))
    assert 10 < inf < nan < len(values) - 1
    assert all(math.isfinite(value) for value in values[:inf])


def test_the_diverged_run_is_pictured_before_and_after() -> None:
    """Its confusion matrices are from early steps, from both sides of infinity, and from NaN."""
    mine = digits("diverged").rows("medias")
    assert {m["key"] for m in mine} == {"val/confusion"}
    assert [m["step"] for m in mine] == [0, 6, 7, 43, 87, 175, 263, 351, 439]
    values = {row["step"]: row["value"] for row in digits("diverged").points("loss")}
    assert [math.isfinite(values[m["step"]]) for m in mine] == [True] * 5 + [False] * 4
    assert [math.isnan(values[m["step"]]) for m in mine] == [False] * 6 + [True] * 3
    pictures = [m["sha256"] for m in mine]
    assert len(set(pictures[:3])) == 3
    assert pictures[2] == pictures[3] == pictures[4] == pictures[5]
    assert pictures[6] == pictures[7] == pictures[8] != pictures[5]


def test_captions_of_confusion_matrices_tell_the_accuracy() -> None:
    """A matrix at the end of an epoch is captioned with the accuracy recorded at its step."""
    told = 0
    for slug in ("mlp-adam", "tanh-deep", "mlp-long", "diverged", "running"):
        accuracies = {row["step"]: row["value"] for row in digits(slug).points("val/acc")}
        for item in digits(slug).rows("medias"):
            if item["key"] == "val/confusion" and item["caption"].startswith("after epoch"):
                told += 1
                assert item["caption"].endswith(f"{accuracies[item['step']]:.1%} right")
    assert told == 22


def test_the_crashed_run_logs_its_traceback() -> None:
    """The log of `crashed` ends with a traceback that names files and no folders."""
    rows = digits("crashed").rows("logs")
    lines = [row["message"] for row in rows if row["level"] == "ERROR"]
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "IndexError: tuple index out of range"
    frames = [line for line in lines if line.lstrip().startswith("File")]
    assert frames
    assert not any("/" in line or "\\" in line for line in frames)


def test_log_lines_are_numbered_from_one() -> None:
    """The lines of each log are numbered 1, 2, 3 and so on, and all levels occur."""
    logs = [run.rows("logs") for run in recorded_runs() if run.path == DIGITS]
    for log in logs:
        assert [row["line"] for row in log] == list(range(1, len(log) + 1))
    assert {row["level"] for log in logs for row in log} == {"DEBUG", "INFO", "WARN", "ERROR"}


def test_clones_have_the_data_of_their_originals() -> None:
    """A clone points to a run, and has the same points, images and lines."""
    by_id = {run.payload["cuid"]: run for run in recorded_runs()}
    clones = [run for run in recorded_runs() if run.payload["rootExpId"]]
    assert {c.payload["slug"] for c in clones} == {"mlp-clone", "digits-clone"}
    for clone in clones:
        original = by_id[clone.payload["rootExpId"]]
        assert (
            original.index["project_id"] == clone.payload["rootProId"] == clone.index["root_pro_id"]
        )
        ids = ("project_id", "run_id", "file")
        for kind in KINDS:
            rows = [
                [{name: row[name] for name in row if name not in ids} for row in each.rows(kind)]
                for each in (original, clone)
            ]
            assert rows[0] == rows[1]
            assert rows[0]
    assert digits("mlp-clone").payload["state"] == "FINISHED"


def test_it_is_a_backup_that_is_whole() -> None:
    """Every object is there, and each byte as it was written."""
    done = CliRunner().invoke(root, ["backup", "verify", str(ROOT), "--read", "all"])
    assert (done.exit_code, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("table", ["index", *TABLES])
def test_schemas_are_those_that_a_backup_writes(table: str) -> None:
    """Data that were written before a table changed must be packed anew."""
    declared = schemas.BACKUP_INDEX if table == "index" else getattr(schemas, TABLES[table])
    files = list((ROOT / ("state" if table == "index" else "tables") / table).rglob("*.parquet"))
    assert files
    for file in files:
        assert pq.read_schema(file).remove_metadata().equals(declared.arrow().remove_metadata())


def test_states_and_odd_configs_are_there() -> None:
    """Each state occurs; one config key has mixed types and one integer exceeds int64."""
    states = {s: digits(s).payload for s in ("crashed", "running", "aborted", "offline")}
    assert [r["state"] for r in states.values()] == ["CRASHED", "RUNNING", "ABORTED", "OFFLINE"]
    assert states["running"]["finishedAt"] is None
    assert digits("big-seed").payload["profile"]["config"]["seed"]["value"] == 2**70
    kinds = set()
    for run in recorded_runs():
        profile = run.payload["profile"] if run.path == DIGITS else None
        if "dropout" in (config := (profile or {}).get("config", {})):
            value = config["dropout"]
            kinds.add(type(value["value"] if isinstance(value, dict) else value))
    assert kinds == {bool, int, float, str}


def test_the_sweep_has_five_seeds_in_each_group() -> None:
    """Each group of the sweep is five runs that differ in their seed."""
    groups: dict[str, set[int]] = {}
    for run in recorded_runs():
        if run.path == "ada-lab/sweep":
            seed = run.payload["profile"]["config"]["seed"]["value"]
            groups.setdefault(run.payload["cluster"], set()).add(seed)
    assert len(groups) == 26
    assert all(seeds == set(range(5)) for seeds in groups.values())


def test_bob_is_kept_out_of_the_secret() -> None:
    """`ada` comes first and is root; `bob` is no member where the private project lives."""
    accounts = read_json("accounts.json")
    assert [(u["username"], u["root"]) for u in accounts["users"]][:2] == [
        ("ada", True),
        ("bob", False),
    ]
    projects = read_json("state/projects.json")["projects"]
    secret = next(p for p in projects if p["name"] == "secret")
    assert "bob" not in accounts["members"]["vision-team"]
    assert (secret["workspace"], secret["payload"]["visibility"]) == ("vision-team", "PRIVATE")


def test_nothing_tells_of_the_machine() -> None:
    """No file of text, no payload and no log line names a folder of the recording machine."""
    texts = [f.read_text(encoding="utf-8") for f in ROOT.rglob("*.json")]
    for run in recorded_runs():
        texts += [json.dumps(run.payload), *(row["message"] for row in run.rows("logs"))]
    told = "\n".join(texts)
    names = {
        str(ROOT.parent),
        str(Path.home()) + "/",
        f"{getpass.getuser()}@",
        f"{socket.gethostname()}.",
    }
    assert not [name for name in names | {"/home/", "/usr/", "/tmp/"} if name in told]
