"""``tables``: the declared columns, without a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from swanlab_export import schemas
from swanlab_export.cli.main import root

if TYPE_CHECKING:
    from click.testing import Result


def call(*words: str) -> Result:
    """Run ``tables``."""
    return CliRunner().invoke(root, ["tables", *words])


@pytest.mark.parametrize("table", schemas.DECLARED, ids=lambda table: table.name)
def test_every_table_is_described(table: schemas.TableSchema) -> None:
    """Each declared column has its type, unit and meaning, and the table says what a row is."""
    rows = json.loads(call(table.name).stdout)
    assert [row["column"] for row in rows] == table.names
    assert [row["unit"] or "" for row in rows] == [column.unit for column in table.columns]
    assert {row["grain"] for row in rows} <= {table.grain}


def test_all_tables_are_described_in_any_format() -> None:
    """Without a name it is all of them; formats are those of other commands."""
    rows = json.loads(call().stdout)
    assert len(rows) == sum(len(table.columns) for table in schemas.DECLARED)
    shown = call("metrics", "--format", "csv", "--fields", "column,type").stdout.splitlines()
    assert shown[:2] == ["column,type", "run_id,string"]
    assert shown[-1] == "run_name,string"
    assert "timestamp[ms, tz=UTC]" in call("metrics", "--format", "table").stdout


def test_a_table_that_does_not_exist() -> None:
    """The error names those that there are."""
    done = call("metric")
    assert done.exit_code == 2
    assert "no table 'metric'; there are metrics, metrics_by_group" in done.stderr
