"""A first backup of the sandbox, and a second one that finds nothing new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.dataset as ds
import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from backup_support import Nights

    from swanlab_export.sandbox import Sandbox


def test_a_backup_holds_what_the_commands_show(
    api: se.Api[pa.Table], server: Sandbox, tmp_path: Path
) -> None:
    """Runs, summaries and points of the backup are those of the server."""
    report: Any = se.backup(api, to=tmp_path, paths="ada-lab/digits")
    listed = api.run.list("ada-lab/digits")
    assert sorted(report["run_id"].to_pylist()) == sorted(listed["run_id"].to_pylist())
    assert report["error"].null_count == len(report)
    runs = ds.dataset(tmp_path / "tables" / "runs").to_table()
    assert runs["run_id"].to_pylist() == listed["run_id"].to_pylist()
    assert runs["name"].to_pylist() == listed["name"].to_pylist()
    with pytest.warns(se.SwanlabExportWarning, match="15 of 16 runs have loss"):
        points = api.run.metrics(project="ada-lab/digits", keys="loss", all=True)
    stored = ds.dataset(tmp_path / "tables" / "metrics").to_table(filter=ds.field("key") == "loss")
    order = [(name, "ascending") for name in ("run_id", "step", "timestamp")]
    names = ["run_id", "step", "value", "timestamp"]
    frames = [each.sort_by(order).select(names).to_pandas() for each in (points, stored)]
    pd.testing.assert_frame_equal(*frames)


def test_nothing_new_writes_a_manifest_and_nothing_else(ended: Nights) -> None:
    """A second backup of runs that have ended adds one object, the manifest."""
    before = ended.objects()
    assert ended.run() == {}
    after = ended.objects()
    (new,) = after.keys() - before.keys()
    assert new.startswith("state/snapshots/")
    assert new.endswith("/manifest.json")
    assert {path: after[path] for path in before} == before


def test_a_folder_that_holds_something_else_is_refused(
    api: se.Api[pa.Table], tmp_path: Path
) -> None:
    """A backup does not begin among other files."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(se.UsageError, match="not empty and holds no backup"):
        se.backup(api, to=tmp_path)
