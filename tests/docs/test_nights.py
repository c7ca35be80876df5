"""The README's recipe for the tables of several nights, run on configs that drift."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from swanlab_export.api.runs.points import with_snapshot
from swanlab_export.files import parse_target, write_table
from swanlab_export.normalizers.runs import Home, normalize_runs_of_projects
from swanlab_export.refs import ProjectRef
from swanlab_export.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

ROOT = Path(__file__).parents[2]
# From integer to float to text, to a list, and to nothing at all.
NIGHTS: tuple[Any, ...] = (1, 0.1, "auto", [0.1, 0.01], None)


def run(night: int, lr: Any) -> Mapping[str, Any]:
    """A run as a server sends it, with more in it from night to night."""
    config = (
        {} if lr is None else {"lr": {"value": lr, "desc": "", "sort": 0}, f"new{night}": night}
    )
    return {
        "cuid": f"run{night}",
        "name": f"night {night}",
        "state": "FINISHED",
        "createdAt": "2026-11-25T00:00:00.000Z",
        "finishedAt": None,
        "profile": {"config": config, "metadata": {"gpu": night} if night % 2 else None},
        **({f"extra{night}": [night]} if night > 2 else {}),
    }


def write_night(folder: Path, night: int, lr: Any) -> Path:
    """The file of one night."""
    home = Home(ProjectRef("team", "proj"), "p1")
    table = normalize_runs_of_projects(
        [(home, run(night, lr), None)], Report(), "https://swanlab.cn", is_json=True
    )
    path = folder / f"runs-2026-11-2{night}.parquet"
    dated = with_snapshot(table, 1_780_000_000_000 + night * 86_400_000)
    write_table(dated, parse_target(str(path), {}), {})
    return path


def test_every_night_has_the_same_schema(tmp_path: Path) -> None:
    """Columns, order and types are the same, whatever the runs hold, and nothing is lost."""
    schemas = [pq.read_schema(write_night(tmp_path, i, lr)) for i, lr in enumerate(NIGHTS)]
    assert {tuple(zip(each.names, map(str, each.types), strict=True)) for each in schemas} == {
        tuple(zip(schemas[0].names, map(str, schemas[0].types), strict=True))
    }
    rows = [pq.read_table(path).to_pylist()[0] for path in sorted(tmp_path.iterdir())]
    assert [row["config"] for row in rows] == [
        '{"lr":1,"new0":0}',
        '{"lr":0.1,"new1":1}',
        '{"lr":"auto","new2":2}',
        '{"lr":[0.1,0.01],"new3":3}',
        None,
    ]
    assert [row["metadata"] for row in rows] == [None, '{"gpu":1}', None, '{"gpu":3}', None]
    assert rows[3]["more"] == '{"extra3": [3]}'


def test_the_recipe_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pandas, polars, DuckDB and Arrow read five nights at once, with configs of any type."""
    for night, lr in enumerate(NIGHTS):
        write_night(tmp_path, night, lr)
    monkeypatch.chdir(tmp_path)
    (recipe,) = re.findall(r"```py\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    found: dict[str, Any] = {}
    exec(recipe, found)
    assert len(found["frame"]) == found["lazy"].height == len(found["arrow"]) == 5
    assert [row[1] for row in found["rates"]] == ["1", "0.1", '"auto"', "[0.1,0.01]", None]
    assert str(found["frame"]["snapshot_at"].dtype).startswith("datetime64")
    chinese = (ROOT / "README.zh-CN.md").read_text("utf-8")
    assert f"```py\n{recipe}```" in chinese
