"""A table comes out of every payload that was seen; see ``tests/payloads``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swanlab_export.client import Request
from swanlab_export.endpoints import logs, medias, metrics
from swanlab_export.endpoints.runs import read_source
from swanlab_export.errors import ServerError
from swanlab_export.normalizers import details, entities, runs
from swanlab_export.normalizers.export import read_export
from swanlab_export.normalizers.metrics import read_sample
from swanlab_export.pagination import read_page
from swanlab_export.refs import ProjectRef
from swanlab_export.report import Report

PAYLOADS = Path(__file__).parents[1] / "payloads"
PROJECT = ProjectRef("nlp-lab", "llm")
RUN_ID = "m3k9x0q7t2w8r5y1u6i4o"


def payload(name: str) -> Any:
    """One payload."""
    return json.loads((PAYLOADS / name).read_text())


def items(name: str) -> list[Any]:
    """The items of one page, all of which were announced."""
    page = read_page(Request("GET", "/page"), payload(name), 20)
    assert (len(page.items), page.pages) == (page.total, 1)
    return page.items


def test_every_payload_is_read() -> None:
    """No payload that was seen waits for its test."""
    tests = (path.read_text(encoding="utf-8") for path in PAYLOADS.parent.rglob("test_*.py"))
    read = "\n".join(tests)
    assert [path.name for path in PAYLOADS.iterdir() if path.name not in read] == []


def at(ms: int) -> datetime:
    """A time in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_a_run() -> None:
    """With its profile, config and times."""
    report = Report()
    table = runs.normalize_runs(
        [(payload("run.json"), None)], report, PROJECT, "p1", "https://swanlab.cn", is_single=True
    )
    (run,) = table.to_arrow().to_pylist()
    assert run["path"] == f"nlp-lab/llm/{RUN_ID}"
    assert run["url"] == f"https://swanlab.cn/@nlp-lab/llm/runs/{RUN_ID}/chart"
    assert run["config.seed"] == 9_007_199_254_740_993
    assert run["config.optimizer.betas"] == "[0.9,0.95]"
    assert run["config.Model"] == "7b"
    assert run["config.model.layers"] == 32
    assert run["labels"] == ["baseline"]
    assert run["requirements"].startswith("accelerate==")
    assert run["duration_s"] == pytest.approx(33_760.495)
    assert report.all_warnings() == []


def test_a_page_of_runs() -> None:
    """One empty creation time is null and warned of; the other runs have theirs."""
    found = items("runs_page.json")
    report = Report()
    table = runs.normalize_runs([(run, None) for run in found], report, PROJECT, None, "")
    rows = table.to_arrow()
    assert rows["run_id"].to_pylist() == [run["cuid"] for run in found]
    empty = [run["createdAt"] == "" for run in found]
    assert any(empty)
    assert [time is None for time in rows["created_at"].to_pylist()] == empty
    (said,) = report.all_warnings()
    assert said.startswith("1 value of created_at ")
    times = [read_source(run, "p1").created_at_s for run in found]
    assert times == [1_783_361_851, 1_783_361_851, None]


def test_a_project() -> None:
    """With its counts and without a time of change."""
    report = Report()
    table = entities.normalize_projects([payload("project.json")], report, "https://swanlab.cn")
    (project,) = table.to_arrow().to_pylist()
    assert (project["path"], project["count.experiments"]) == ("nlp-lab/llm", 3)
    assert (project["updated_at"], project["version"]) == (None, 1)
    assert report.all_warnings() == []


def test_summaries() -> None:
    """Infinities are values, a truth value is a number, and a run without data has no rows.

    The third run of the page was left out, which is no summary, and not an empty one.
    """
    report = Report()
    found = payload("summaries.json")
    sources = [read_source(run, "p1") for run in items("runs_page.json")]
    by_id = metrics.read_summaries(found, sources, None, report)
    assert [bool(by_id.get(source.run_id)) for source in sources] == [True, False, False]
    assert by_id.keys() == found.keys()
    assert metrics.read_latest_steps(by_id[RUN_ID])["train/loss"] == 19_999
    assert metrics.read_nonfinite(by_id[RUN_ID]) == ["train/grad_norm"]
    table = runs.normalize_summaries(by_id.items(), report)
    rows = {row["key"]: row for row in table.to_arrow().to_pylist()}
    assert set(rows) == {"train/loss", "train/grad_norm", "val/flag"}
    assert rows["train/grad_norm"]["max"] == float("inf")
    assert str(rows["train/grad_norm"]["avg"]) == "nan"
    assert rows["val/flag"]["value"] == 1.0
    assert report.all_warnings() == []


def test_keys_of_a_summary() -> None:
    """The keys of one run are a table of series; null is no key of that type."""
    latest = payload("summaries_of_one_run.json")
    assert metrics.read_latest(latest, "MEDIA") == {}
    assert metrics.read_latest(latest, "LOG") == {"LOG": {"step": 48_112}}
    keys = metrics.read_latest(latest, "SCALAR")
    assert metrics.read_latest_steps(keys) == {
        "train/loss": 19_999,
        "__swanlab__.gpu.0.pct": 3377,
    }
    table = details.normalize_series(keys, Report(), RUN_ID, "SCALAR").to_arrow()
    assert table["class"].to_pylist() == ["CUSTOM", "SYSTEM"]


@pytest.mark.parametrize(
    ("name", "times", "values"),
    [
        (
            "scalar.json",
            [1_783_361_851_000, 1_783_362_001_000, 1_783_395_611_000],
            ["11.0421", "3.1", "2.0312"],
        ),
        ("scalar_without_timestamps.json", [None, None], ["11.0421", "nan"]),
    ],
)
def test_samples(name: str, times: list[int | None], values: list[str]) -> None:
    """Times in seconds are milliseconds, and missing ones are null."""
    report = Report()
    points = read_sample(payload(name), report, "step", has_x_column=False)["train/loss"]
    assert points["timestamp"].to_pylist() == times
    assert [str(value) for value in points["value"].to_pylist()] == values
    assert report.all_warnings() == []


def test_an_export() -> None:
    """The header has the run's name, with a colon, and a key with a comma."""
    raw = (PAYLOADS / "export.csv").read_bytes()
    keys = ["val/acc, top1", "train/loss"]
    for prefix in ("t0707-02:17", None):
        report = Report()
        (block,) = read_export([raw], prefix, keys, report, must_end_line=lambda: True)
        assert block["step"].to_pylist() == [0, 1, 100, 101]
        assert block["v0"].to_pylist() == [None, None, 0.12, None]
        assert block["t1"][0].as_py() == 1_783_361_851_412
        assert report.all_warnings() == []


def test_a_page_of_columns() -> None:
    """Times are text or a number of seconds; an error that is null is an undeclared column."""
    report = Report()
    table = details.normalize_columns(items("columns_page.json"), report, RUN_ID)
    rows = table.to_arrow()
    assert rows["key"].to_pylist() == ["train/loss", "note", "val/flag"]
    assert rows["created_at"].to_pylist() == [at(1_783_361_852_000)] * 3
    assert table.schema.names[-1] == "error"
    assert report.all_warnings() == []


def test_media_of_an_older_server() -> None:
    """A text is in its own column, and a file has its path."""
    found = payload("media_old_text.json")
    report = Report()
    assert medias.read_steps(found) == [0, 100]
    read = medias.read_media_step(found, ["note", "sample"], report)
    text, file = details.normalize_medias(read, report, RUN_ID).to_arrow().to_pylist()
    assert (text["path"], text["text"]) == (None, "the answer is 42\nsecond line")
    assert (file["path"], file["text"]) == ("media/image/100-1f3a9c0b.png", None)
    assert (file["step"], file["caption"]) == (100, "epoch 3")
    assert report.all_warnings() == []


def test_a_log() -> None:
    """Lines with their numbers, levels and times."""
    report = Report()
    shard = payload("log_shard.json")
    lines = logs.read_lines(shard)
    assert [logs.read_number(line) for line in lines] == [1, 2, logs.read_count(shard)]
    table = details.normalize_logs(lines, report, RUN_ID).to_arrow()
    assert table["line"].to_pylist() == [1, 2, 3]
    assert table["message"][1].as_py().startswith(" 45%|████▌")
    assert table["timestamp"].null_count == 0
    assert report.all_warnings() == []


def test_a_presigned_path() -> None:
    """A path is as good as a URL; see ``tests/api/test_refusals.py`` for what is asked then."""
    (url,) = metrics.read_urls(payload("presigned_relative.json"), 1)
    assert url.startswith("/swanlab-private/exports/csv/")


def test_a_refusal_in_place_of_data() -> None:
    """One that comes with status 200 is an error with the server's words, for every entity."""
    (envelope,) = [each["body"] for each in payload("refusals.json") if each["status"] == 200]
    said = "License_Expired: The license of this server has expired$"
    with pytest.raises(ServerError, match=said):
        runs.normalize_runs([(envelope, None)], Report(), PROJECT, None, "")
    with pytest.raises(ServerError, match=said):
        entities.normalize_projects([envelope], Report(), "")
    with pytest.raises(ServerError, match=said):
        entities.normalize_instance(envelope, Report())
