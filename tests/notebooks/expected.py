"""What the notebooks say, checked against what their cells have computed.

``run_notebooks.py`` calls the function of a notebook in its kernel, before the last cell, which closes
what the notebook has opened. ``cells`` has the variables of the notebook.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from types import SimpleNamespace


def ten_minutes(cells: SimpleNamespace) -> None:
    """Check 01-ten-minutes.ipynb."""
    runs, done, board = cells.runs, cells.done, cells.board
    assert (len(runs), len(done)) == (16, 11)
    assert runs["config.lr"].dtype == "float64"
    assert runs.attrs["command"] == "run list"
    assert str(cells.table.schema.field("run_id").type) == "string"
    assert len(cells.loss) == 20_480
    assert cells.loss["step"].is_monotonic_increasing
    assert (cells.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert board["slug"][0] == "tanh-deep"
    assert "mlp-long" in set(board["slug"][1:4])
    assert board["images"].tolist()[:5] == [357, 356, 356, 356, 350]
    duration_s = board.set_index("slug")["duration_s"]
    assert round(duration_s["mlp-long"] / duration_s["tanh-deep"]) == 14
    pd.testing.assert_frame_equal(pd.read_parquet(cells.folder / "board.parquet"), board)
    again = cells.api.run.metrics(board["path"], keys=["loss", "val/acc"], all=True)
    pd.testing.assert_frame_equal(cells.points, again)
    assert cells.points["run_id"].nunique() == len(board)
    assert (cells.folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def compare_runs(cells: SimpleNamespace) -> None:
    """Check 02-compare-runs.ipynb."""
    runs, settings, tied = cells.runs, cells.settings, cells.tied
    assert (len(runs), len(settings)) == (130, 26)
    assert (settings["n"] == 5).all()
    assert settings["mean"].round(6).tolist()[:2] == [0.963889, 0.963889]
    seeds = runs.groupby("group")["summary.val/acc"]
    pd.testing.assert_series_equal(
        settings["std"].sort_index(), seeds.std(), check_names=False, rtol=1e-9
    )
    assert tied == settings.index[:5].tolist()
    optimizers = ("adam-lr0.01", "adam-lr0.03", "momentum-lr0.1", "momentum-lr0.03", "sgd-lr0.3")
    assert set(tied) == {f"{name}-h32" for name in optimizers}
    assert settings["behind"].iloc[4:6].round(3).tolist() == [0.012, 0.031]
    assert settings["noise"].iloc[4:6].round(3).tolist() == [0.017, 0.015]
    assert settings["noise"][:5].min().round(3) >= 0.010
    assert settings["noise"][:5].max().round(3) <= 0.017
    _compare_widths(cells.bands.loc["[32]"], cells.bands.loc["[8]"])
    seconds = runs["duration_s"]
    assert seconds.max() - seconds.min() < 0.1
    assert (round(seconds.mean()), round(seconds.sum() / 60)) == (47, 102)
    assert len(cells.points) == 130 * 5
    curves = Path(cells.scratch.name, "curves.svg").read_text(encoding="utf-8")
    assert "group=momentum-lr0.01-h32" in curves
    assert len(cells.cost) == 9
    assert set(cells.cost["group"][:5]) == set(tied)
    assert cells.cost["mean"].round().tolist()[:6] == [14, 15, 17, 21, 21, 26]
    assert set(cells.leaders.index) == set(tied)
    assert (cells.gaps.min().round(1), cells.gaps.max().round(1)) == (8.8, 8.8)
    assert round(cells.early["s"].mean()) == 10
    assert round(cells.early["s"].sum() / 60) == 22


def _compare_widths(wide: Any, narrow: Any) -> None:
    assert (wide["mean"] > narrow["mean"]).all()
    assert ((wide["std"] < narrow["std"]).sum(), len(wide)) == (12, 13)
    assert (wide["mean"].groupby("how").max() > 0.95).all()
    assert narrow["mean"].loc["sgd"].round(2)[[0.3, 1.0]].tolist() == [0.85, 0.33]


def backup(cells: SimpleNamespace) -> None:
    """Check 03-backup.ipynb."""
    assert cells.history[["night", "run", "reason"]].to_numpy().tolist() == [
        ["2026-01-09", "linear", "new"],
        ["2026-01-09", "mlp-adam", "new"],
        ["2026-01-10", "tanh-deep", "new"],
        ["2026-01-12", "mlp-long", "new"],
        ["2026-01-13", "mlp-long", "it was RUNNING"],
    ]
    assert cells.late["reason"].tolist() == ["new"] * 12
    assert len(cells.snapshots) == 6
    assert cells.since[["name", "change"]].to_numpy().tolist() == [["mlp-long", "added"]]
    assert cells.best["slug"].tolist() == ["tanh-deep", "mlp-adam", "mlp-long", "stopped"]
    assert cells.states["state"].to_list() == [
        *("ABORTED", "CRASHED", "FINISHED", "OFFLINE", "RUNNING"),
    ]
    assert cells.states["runs"].to_list() == [1, 1, 12, 1, 1]
    assert cells.states["points"].to_list()[3] == 0
    assert len(cells.leaders) == 6
    assert "<svg" in Path(cells.scratch.name, "curves.svg").read_text(encoding="utf-8")
    assert cells.errors.iloc[-1].startswith("IndexError")
    _check_failures(cells)


def _check_failures(cells: SimpleNamespace) -> None:
    assert cells.bad["cause"].tolist() == ["its bytes are not those that were written"]
    assert [cells.found[0], cells.repaired[0], cells.again[0]] == [5, 0, 0]
    assert cells.victim.read_bytes() != bytes(cells.content)
    outcomes = list(cells.outcomes.values())
    assert outcomes[0] == (0, "", "")
    assert [code for code, _, _ in outcomes] == [0, 3, 2, 6]
    assert all(out == "" and "\n" not in message for _, message, out in outcomes)


def logs_and_media(cells: SimpleNamespace) -> None:
    """Check 04-logs-and-media.ipynb."""
    loss, finite, growth = cells.loss, cells.finite, cells.growth
    assert (len(loss), cells.infinite["step"], cells.undefined["step"]) == (440, 88, 187)
    assert growth.min() > 1.8
    assert (round(growth.median(), 1), cells.alarm) == (2.6, 3)
    squares = finite.iloc[-1] * 32 * 10  # the loss is their mean, over 32 images and 10 outputs
    assert squares < np.finfo("float32").max < squares * growth.median()
    lines = cells.lines
    named = lines["message"].str.extract(r"^step (\d+):")[0].dropna().astype(int)
    assert lines["step"].tolist() == [87, 88, 187]
    assert (lines.loc[named.index, "step"] == named).all()
    assert cells.images["step"].tolist() == [0, 6, 7, 43, 87, 175, 263, 351, 439]
    assert cells.shown["step"].tolist() == [0, 6, 7, 87, 263]
    predicted = [cells.predictions(file) for file in cells.shown["file"]]
    assert predicted == [[0, 6, 8], [6], [9], [9], [0]]
    assert cells.predictions(cells.good["file"]) == list(range(10))
    _compare_captions(cells)
    both = cells.api.run.info(cells.runs["path"])
    assert both["config.hidden"].tolist() == ["[]", "[]"]
    different = cells.differ.loc[["config.loss", "config.lr", "config.momentum"]]
    assert different.to_numpy().tolist() == [["cross_entropy", "mse"], [0.3, 1.5], [0.0, 0.5]]
    best = cells.differ.loc["summary.val/acc"].astype(float)
    assert best.round(2).tolist() == [0.94, 0.08]


def _compare_captions(cells: SimpleNamespace) -> None:
    """The captions of the images have the accuracy of their step, which is never above chance."""
    points = cells.api.run.metrics(cells.RUN, keys="val/acc", all=True)
    accuracy = points.set_index("step")["value"]
    assert accuracy.max() < 0.09
    for step, caption in cells.images.set_index("step")["caption"].items():
        assert step not in accuracy.index or caption.endswith(f": {accuracy[step]:.1%} right")
