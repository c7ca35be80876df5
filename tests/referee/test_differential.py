"""The official client as referee: each value that it prints is in our table of the same words.

Both run the same words against the same server. What the official client prints is split into
single values; each must stand in the row and column that NAMES gives it. Where the two are meant
to differ, DIFFERENCES says why.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from official import Referee

from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from official import Official

pytestmark = pytest.mark.referee

Record = dict[str, Any]
RUN = "ada-lab/digits/mlp-adam"
ODD = "ada-lab/digits/diverged"
CLONE = "ada-lab/digits/mlp-clone"
RULE = '[{"key": "state", "type": "STABLE", "op": "IN", "value": ["ABORTED", "CRASHED"]}]'

# What the official client calls something, and our column; the rest has the same name.
NAMES = {
    "workspace_type": "type",
    "column_class": "class",
    "column_type": "type",
    "run_type": "type",
    "user.display_name": "user.name",
    "metricClass": "class",
    "metricType": "type",
    "min.data": "min",
    "min.index": "min_step",
    "max.data": "max",
    "max.index": "max_step",
    "stdDev": "std",
    "minMax": "min_max",
    # Lists of a self-hosted instance are printed as the server sends them.
    "cuid": "project_id",
    "isRoot": "is_root",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "projectLabels": "labels",
    "rootExpId": "root_exp_id",
    "rootProId": "root_pro_id",
}

# What is not in our tables, or differs, and why.
DIFFERENCES = {
    "created_at_ts": "created_at says the same, to the millisecond",
    "labels[].colors": "a list of each label's colors; compared as such in labels.colors",
    "profile.config.*.desc": "a place in the web page, not a value",
    "profile.config.*.sort": "a place in the web page, not a value",
    "username": "of a project of an instance: the workspace, which its path names",
}


@dataclass(frozen=True)
class Case:
    """One command, given to both; ``records`` splits the official response into rows."""

    words: list[str]
    records: Callable[[Any], list[Record]]
    drop: dict[str, str] = field(default_factory=dict)
    sort: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(self.words)


def _one(data: Any) -> list[Record]:
    return [data]


def _list(data: Any) -> list[Record]:
    return list(data["list"])


def _points(data: Any) -> list[Record]:
    """Sampled points say ``index`` and ``data``, exported ones ``step`` and ``value``."""
    return [
        {
            "run_id": data["experimentId"],
            "key": metric["key"],
            "step": point["step"] if "step" in point else point["index"],
            "value": point["value"] if "value" in point else point["data"],
            "timestamp": point["timestamp"],
        }
        for metric in data["list"]
        for point in metric["metrics"]
    ]


def _points_on_x(data: Any) -> list[Record]:
    """On another axis than the step, ``index`` is the value on that axis."""
    names = {"step": "x"}
    return [{names.get(k, k): v for k, v in point.items()} for point in _points(data)]


def _untimed(data: Any) -> list[Record]:
    """Points without a time."""
    return [
        {"key": metric["key"], "step": point["index"], "value": point["data"]}
        for metric in data["list"]
        for point in metric["metrics"]
    ]


def _summaries(data: Any) -> list[Record]:
    return [{"key": key, **summary} for key, summary in data.items()]


def _keys(data: Any) -> list[Record]:
    shared = {"run_id": data["runId"], **{k: data[k] for k in ("metricClass", "metricType")}}
    return [{"key": key, **shared} for key in data["keys"]]


def _lines(data: Any) -> list[Record]:
    return [{**line, "line": line["epoch"]} for line in data["logs"]]


def _items(data: Any) -> list[Record]:
    return [
        {"key": metric["key"], "step": step["index"], "item": place, **item}
        for metric in data["list"]
        for step in metric["metrics"]
        for place, item in enumerate(step["items"])
    ]


SIGNED = {"url": "signed anew for each response"}
EPOCH = {"epoch": "is the line number"}
PROJECT_ID = {"project_id": "asked for by path; `project info` tells its id"}
FUZZY = dict.fromkeys(
    ("name", "created_at"), "the official client shows the first fuzzy match, here the key wins"
)
UNSENT = {"school": "not sent by the server: missing here, an empty text there"}

CASES = [
    Case(["workspace", "info", "ada-lab"], _one),
    Case(["project", "info", "ada-lab/digits"], _one),
    Case(["project", "list", "--workspace", "ada-lab", "--all"], _list),
    Case(["project", "list", "--workspace", "ada-lab", "-n", "2", "-s", "10"], _list),
    Case(["run", "info", RUN], _one),
    Case(["run", "info", CLONE], _one),
    Case(["run", "list", "ada-lab/sweep", "--all"], _list),
    Case(["run", "list", "ada-lab/sweep", "--page_num", "2", "--page_size", "50"], _list),
    Case(["run", "filter", "ada-lab/digits", "-f", RULE], _list),
    Case(["run", "metrics", RUN, "--keys", "acc,loss"], _points),
    Case(["run", "metrics", ODD, "--keys", "loss"], _points),
    Case(["run", "metrics", RUN, "--keys", "loss", "--sample", "7"], _points),
    Case(["run", "metrics", RUN, "--keys", "acc,loss", "--all"], _points),
    Case(["run", "metrics", CLONE, "--keys", "loss", "--all"], _points),
    Case(["run", "metrics", RUN, "--keys", "loss", "--range-head", "10"], _points),
    Case(["run", "metrics", RUN, "--keys", "loss", "--range-tail", "10"], _points),
    Case(
        ["run", "metrics", RUN, "--keys", "loss", "--range-start", "5", "--range-end", "9"],
        _points,
    ),
    Case(["run", "metrics", RUN, "--keys", "loss", "--range-last", "99999999999999"], _points),
    Case(
        [
            *("run", "metrics", RUN, "--keys", "loss", "--range-type", "timestamp"),
            *("--range-start", "1767225605000", "--range-end", "9999999999999"),
        ],
        _points,
    ),
    Case(["run", "metrics", RUN, "--keys", "loss", "--ignore-timestamp"], _untimed),
    Case(["run", "metrics", RUN, "--keys", "loss", "--x-axis", "epoch"], _points_on_x),
    Case(["run", "metrics", RUN, "--keys", "loss", "--x-axis", "time"], _points_on_x),
    Case(["run", "metrics", RUN, "--keys", "loss", "--x-axis", "relative_time"], _points_on_x),
    Case(["run", "summary", RUN], _summaries, sort=("key",)),
    Case(["run", "summary", CLONE], _summaries, sort=("key",)),
    Case(["run", "series", RUN], _keys),
    Case(["run", "summary", ODD, "--keys", "acc,val/acc"], _summaries, sort=("key",)),
    Case(["run", "series", RUN, "--class", "CUSTOM"], _keys),
    Case(["run", "series", RUN, "--class", "SYSTEM"], _keys),
    Case(["run", "series", RUN, "--type", "MEDIA", "--class", "CUSTOM"], _keys),
    Case(["run", "columns", RUN, "--all"], _list, drop=PROJECT_ID),
    Case(["run", "columns", RUN, "--class", "SYSTEM", "-s", "10"], _list, drop=PROJECT_ID),
    Case(["run", "column", RUN, "--key", "acc"], _one, drop=PROJECT_ID | FUZZY),
    Case(["run", "medias", RUN, "--keys", "val/confusion", "--all"], _items, drop=SIGNED),
    Case(["run", "medias", RUN, "--keys", "val/confusion", "--step", "43"], _items, drop=SIGNED),
    Case(["run", "medias", CLONE, "--keys", "val/confusion", "--all"], _items, drop=SIGNED),
    Case(["run", "logs", RUN], _lines, drop=EPOCH),
    Case(["run", "logs", CLONE], _lines, drop=EPOCH),
    Case(["run", "logs", ODD, "--level", "WARN"], _lines, drop=EPOCH),
    Case(["run", "export-logs", RUN], _one, drop=SIGNED),
    Case(["user", "info"], _one, drop=UNSENT),
    Case(["self-hosted", "info"], _one),
    Case(["self-hosted", "summary"], _one),
    Case(["self-hosted", "list-users", "--all"], _list),
    Case(["self-hosted", "list-projects", "--all"], _list),
    Case(["self-hosted", "list-projects", "--search", "sweep"], _list),
    Case(["self-hosted", "list-workspaces", "--all"], _list),
]


@pytest.fixture(scope="module")
def newest(official_of: Callable[[str], Official]) -> Iterator[Referee]:
    """The newest client, and a storage that, as real ones do, ignores the cookie it sends there."""
    with Sandbox(faults=parse_faults(["lenient=1"])) as sandbox:
        yield Referee(official_of("3.1"), sandbox)


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested objects; lists stay whole."""
    if isinstance(value, dict) and (value or not name):
        for key, child in value.items():
            yield from flatten(child, f"{name}.{key}" if name else key)
    else:
        yield name, value


def expected_columns(record: Record, drop: dict[str, str]) -> Record:
    """The columns that our row must have, by one official record."""
    found: Record = {}
    record = dict(record)
    profile = record.get("profile")
    if isinstance(profile, dict) and "config" in profile:
        record |= {f"profile.{k}": v for k, v in record.pop("profile").items() if k != "config"}
        for name, wrapped in flatten_config(profile["config"]):
            found[f"config.{name}"] = wrapped
    for name, value in flatten(record):
        if name in drop or name in DIFFERENCES:
            continue
        column = NAMES.get(name, name)
        for sent, ours in (("_count.", "count."), ("profile.metadata", "metadata")):
            column = column.replace(sent, ours)
        column = {
            "profile.requirements": "requirements",
            "profile.conda": "conda",
        }.get(column, column)
        found[column] = value
    return found


def flatten_config(config: Record | None) -> Iterator[tuple[str, Any]]:
    """The values of a config, whose wrappers say ``value``, ``desc`` and ``sort``."""
    for name, wrapped in (config or {}).items():
        yield from flatten(wrapped["value"], name)


def same(column: str, theirs: Any, ours: Any) -> bool:
    """Whether two values are equal, in the types of a table."""
    if isinstance(ours, datetime):
        if isinstance(theirs, str):
            return ours == datetime.fromisoformat(theirs)
        return ours == datetime.fromtimestamp(theirs / 1000, UTC)
    if column == "labels":
        return bool([label["name"] for label in theirs] == ours)
    if isinstance(ours, float):
        # The official client prints what is not finite as a name when sampled, as null when not.
        if not math.isfinite(ours):
            return theirs is None or theirs in {"NaN", "INF", "-INF"}
        return bool(ours == theirs)
    if isinstance(ours, str) and not isinstance(theirs, str):
        # A column that holds values of several types, lists or empty objects has them as JSON.
        return bool(json.loads(ours) == theirs)
    return bool(ours == theirs and type(ours) is type(theirs))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_official_value_is_in_our_table(case: Case, newest: Referee, tmp_path: Path) -> None:
    """The same words give the same rows, and each value of them."""
    theirs = case.records(newest.command(*case.words))
    ours = run_ours(newest, case.words, tmp_path / "t.parquet")
    for name in case.sort:
        theirs = sorted(theirs, key=lambda record: str(record[name]))
    assert theirs or "-n" in case.words  # the one page beyond the last
    assert len(theirs) == len(ours)
    for record, row in zip(theirs, ours, strict=True):
        for column, value in expected_columns(record, case.drop).items():
            assert column in row, column
            assert same(column, value, row[column]), (column, value, row[column])


def run_ours(referee: Referee, words: list[str], path: Path) -> list[Record]:
    """The rows that our command saves for the same words."""
    access = ["--host", referee.sandbox.url, "--api-key", referee.sandbox.api_key]
    done = CliRunner().invoke(root, ["api", *words, *access, "--save", str(path)])
    assert done.exit_code == 0, done.output
    rows: list[Record] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["project", "create", "-v", "PUBLIC", "-d", "text", "-w", "ada-lab"], "-n"),
        (["self-hosted", "create-user", "-p", "correct horse"], "-u"),
    ],
    ids=" ".join,
)
def test_creates_ask_for_the_same(
    words: list[str], option: str, official_of: Callable[[str], Official], tmp_path: Path
) -> None:
    """Both clients create one of their own, with the same request but for its name."""
    with Sandbox() as sandbox:
        referee = Referee(official_of("3.1"), sandbox)
        data = referee.command(*words, option, "theirs")
        (row,) = run_ours(referee, [*words, option, "ours"], tmp_path / "t.parquet")
        bodies = [r.body for r in sandbox.requests if r.method == "POST" and r.body]
    assert len(bodies) == 2
    assert json.loads(json.dumps(bodies[0]).replace("theirs", "ours")) == bodies[1]
    for column in {"name", "description", "visibility", "path"} & data.keys():
        assert row[column] == data[column].replace("theirs", "ours")
