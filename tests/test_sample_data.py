"""The recorded data have the shape and the contents that the sandbox counts on."""

from __future__ import annotations

import getpass
import json
import math
import socket
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[1] / "sample_data"


def read_lines(name: str) -> list[dict[str, Any]]:
    """Return the objects of one .jsonl file."""
    return [json.loads(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]


def read_json(name: str) -> list[dict[str, Any]]:
    """Return the objects of one .json file."""
    found: list[dict[str, Any]] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return found


def project_of(path: str) -> str:
    """Return the id of a project."""
    return next(
        str(p["cuid"])
        for p in read_json("projects.json")
        if f"{p['workspace']}/{p['name']}" == path
    )


def run_of(slug: str) -> dict[str, Any]:
    """Return a run of ada-lab/digits."""
    project = project_of("ada-lab/digits")
    return next(
        r for r in read_lines("runs.jsonl") if (r["slug"], r["projectId"]) == (slug, project)
    )


def points_of(slug: str, key: str) -> pa.Table:
    """Return the points of one key of a run of ada-lab/digits."""
    run = run_of(slug)
    table = pq.read_table(ROOT / "metrics" / f"{run['projectId']}.parquet")
    mine = pc.and_(pc.equal(table["run_id"], run["cuid"]), pc.equal(table["key"], key))
    return table.filter(mine)


def logs_of(slug: str) -> list[dict[str, Any]]:
    """Return the log of a run of ada-lab/digits."""
    run = run_of(slug)
    table = pq.read_table(ROOT / "logs" / f"{run['projectId']}.parquet")
    rows: list[dict[str, Any]] = table.filter(pc.equal(table["run_id"], run["cuid"])).to_pylist()
    return rows


def test_everything_together_is_small() -> None:
    """The data stay below 4.5 MB and each confusion matrix below 3 kB."""
    files = [f for f in ROOT.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert sum(f.stat().st_size for f in files) < 4_500_000
    assert max(f.stat().st_size for f in files if f.suffix == ".png") <= 3_000


@pytest.mark.parametrize("project", read_json("projects.json"), ids=lambda p: str(p["name"]))
def test_points_are_sorted_and_typed(project: dict[str, Any]) -> None:
    """Each project's points have the declared types and are sorted by run, key and step."""
    table = pq.read_table(ROOT / "metrics" / f"{project['cuid']}.parquet")
    words = pa.dictionary(pa.int32(), pa.string())
    assert table.schema.types == [words, words, pa.int64(), pa.float64(), pa.int64()]
    assert table.column_names == ["run_id", "key", "step", "value", "timestamp"]
    order = list(zip(*(table[c].to_pylist() for c in ("run_id", "key", "step")), strict=True))
    assert order == sorted(set(order))


def test_every_series_has_a_column_and_a_run() -> None:
    """Points, images and columns name the same pairs of run and key."""
    columns = {(c["runId"], c["key"]) for c in read_lines("columns.jsonl")}
    clones = {r["cuid"] for r in read_lines("runs.jsonl") if r["rootExpId"]}
    seen = {(m["runId"], m["key"]) for m in read_lines("media.jsonl")}
    for project in read_json("projects.json"):
        table = pq.read_table(ROOT / "metrics" / f"{project['cuid']}.parquet")
        seen |= set(zip(table["run_id"].to_pylist(), table["key"].to_pylist(), strict=True))
    assert {c for c in columns if c[0] not in clones} == seen
    assert {run for run, _ in columns} <= {r["cuid"] for r in read_lines("runs.jsonl")}


def test_every_image_is_there_and_no_other() -> None:
    """The images on disk are those that media.jsonl names."""
    home = {r["cuid"]: r["projectId"] for r in read_lines("runs.jsonl")}
    media = read_lines("media.jsonl")
    named = {f"{home[m['runId']]}/{m['runId']}/{path}" for m in media for path in m["data"]}
    there = {f.relative_to(ROOT / "media").as_posix() for f in (ROOT / "media").rglob("*.png")}
    assert named == there
    assert all(m["more"] is None or len(m["more"]) == len(m["data"]) for m in media)


def test_the_long_run_is_in_full_resolution() -> None:
    """`mlp-long` has a loss for each of its 20,480 steps and more than a shard of log."""
    loss = points_of("mlp-long", "loss")
    assert loss["step"].to_pylist() == list(range(20_480))
    assert len(logs_of("mlp-long")) > 2_000
    times = loss["timestamp"].to_pylist()
    assert times == sorted(times)


def test_the_diverged_run_reaches_infinity_then_nan() -> None:
    """The loss of `diverged` starts finite, becomes inf and ends as NaN."""
    values = points_of("diverged", "loss")["value"].to_pylist()
    inf = values.index(math.inf)
    nan = next(i for i, value in enumerate(values) if math.isnan(value))
    assert 10 < inf < nan < len(values) - 1
    assert all(math.isfinite(value) for value in values[:inf])


def test_the_diverged_run_is_pictured_before_and_after() -> None:
    """Its confusion matrices are from early steps, from both sides of infinity, and from NaN."""
    run = run_of("diverged")
    mine = [m for m in read_lines("media.jsonl") if m["runId"] == run["cuid"]]
    assert {m["key"] for m in mine} == {"val/confusion"}
    assert [m["step"] for m in mine] == [0, 6, 7, 43, 87, 175, 263, 351, 439]
    values = dict(
        zip(*(points_of("diverged", "loss")[c].to_pylist() for c in ("step", "value")), strict=True)
    )
    assert [math.isfinite(values[m["step"]]) for m in mine] == [True] * 5 + [False] * 4
    assert [math.isnan(values[m["step"]]) for m in mine] == [False] * 6 + [True] * 3
    pictures = [m["data"][0].rsplit("-", 1)[1] for m in mine]
    assert len(set(pictures[:3])) == 3
    assert pictures[2] == pictures[3] == pictures[4] == pictures[5]
    assert pictures[6] == pictures[7] == pictures[8] != pictures[5]


def test_captions_of_confusion_matrices_tell_the_accuracy() -> None:
    """A matrix at the end of an epoch is captioned with the accuracy recorded at its step."""
    accuracies = {
        (slug, step): f"{value:.1%} right"
        for slug in ("mlp-adam", "tanh-deep", "mlp-long", "diverged", "running")
        for table in [points_of(slug, "val/acc")]
        for step, value in zip(table["step"].to_pylist(), table["value"].to_pylist(), strict=True)
    }
    slugs = {run_of(slug)["cuid"]: slug for slug, _ in accuracies}
    told = {
        (slugs[m["runId"]], m["step"]): m["more"][0]["caption"]
        for m in read_lines("media.jsonl")
        if m["key"] == "val/confusion" and m["more"][0]["caption"].startswith("after epoch")
    }
    assert len(told) == 22
    assert [at for at, caption in told.items() if not caption.endswith(accuracies[at])] == []


def test_the_crashed_run_logs_its_traceback() -> None:
    """The log of `crashed` ends with a traceback that names files and no folders."""
    lines = [row["message"] for row in logs_of("crashed") if row["level"] == "ERROR"]
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "IndexError: tuple index out of range"
    frames = [line for line in lines if line.lstrip().startswith("File")]
    assert frames
    assert not any("/" in line or "\\" in line for line in frames)


def test_log_lines_are_numbered_from_one() -> None:
    """The lines of each log are numbered 1, 2, 3 and so on, and all levels occur."""
    table = pq.read_table(ROOT / "logs" / f"{project_of('ada-lab/digits')}.parquet")
    numbers: dict[str, list[int]] = {}
    for row in table.select(["run_id", "epoch"]).to_pylist():
        numbers.setdefault(row["run_id"], []).append(row["epoch"])
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
    assert set(table["level"].to_pylist()) == {"DEBUG", "INFO", "WARN", "ERROR"}


def test_clones_hold_no_data_of_their_own() -> None:
    """A clone points to a run that has data, and has none itself."""
    runs = {r["cuid"]: r for r in read_lines("runs.jsonl")}
    clones = [r for r in runs.values() if r["rootExpId"]]
    assert {c["slug"] for c in clones} == {"mlp-clone", "digits-clone"}
    for clone in clones:
        assert runs[clone["rootExpId"]]["projectId"] == clone["rootProId"]
        table = pq.read_table(ROOT / "metrics" / f"{clone['projectId']}.parquet")
        assert clone["cuid"] not in set(table["run_id"].to_pylist())
    assert run_of("mlp-clone")["state"] == "FINISHED"


def test_states_and_odd_configs_are_there() -> None:
    """Each state occurs; one config key has mixed types and one integer exceeds int64."""
    states = {slug: run_of(slug) for slug in ("crashed", "running", "aborted", "offline")}
    assert [r["state"] for r in states.values()] == ["CRASHED", "RUNNING", "ABORTED", "OFFLINE"]
    assert states["running"]["finishedAt"] is None
    assert run_of("big-seed")["profile"]["config"]["seed"]["value"] == 2**70
    project = project_of("ada-lab/digits")
    kinds = set()
    for run in read_lines("runs.jsonl"):
        config = (run["profile"] or {}).get("config", {}) if run["projectId"] == project else {}
        if "dropout" in config:
            value = config["dropout"]
            kinds.add(type(value["value"] if isinstance(value, dict) else value))
    assert kinds == {bool, int, float, str}


def test_the_sweep_has_five_seeds_in_each_group() -> None:
    """Each group of the sweep is five runs that differ in their seed."""
    groups: dict[str, set[int]] = {}
    for run in read_lines("runs.jsonl"):
        if run["projectId"] == project_of("ada-lab/sweep"):
            seed = run["profile"]["config"]["seed"]["value"]
            groups.setdefault(run["cluster"], set()).add(seed)
    assert len(groups) == 26
    assert all(seeds == set(range(5)) for seeds in groups.values())


def test_bob_is_kept_out_of_the_secret() -> None:
    """`ada` comes first and is root; `bob` is no member where the private project lives."""
    assert [(u["username"], u["root"]) for u in read_json("users.json")][:2] == [
        ("ada", True),
        ("bob", False),
    ]
    team = next(w for w in read_json("workspaces.json") if w["username"] == "vision-team")
    secret = next(p for p in read_json("projects.json") if p["name"] == "secret")
    assert "bob" not in team["members"]
    assert (secret["workspace"], secret["visibility"]) == ("vision-team", "PRIVATE")


def test_nothing_tells_of_the_machine() -> None:
    """No file of text and no log line names a folder of the recording machine."""
    texts = [f.read_text(encoding="utf-8") for f in ROOT.glob("*.json*")]
    for path in (ROOT / "logs").glob("*.parquet"):
        texts += pq.read_table(path)["message"].to_pylist()
    told = "\n".join(texts)
    names = {
        str(ROOT.parent),
        str(Path.home()) + "/",
        f"{getpass.getuser()}@",
        f"{socket.gethostname()}.",
    }
    assert not [name for name in names | {"/home/", "/usr/", "/tmp/"} if name in told]
