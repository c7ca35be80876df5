"""What a user writes: mypy and pyright check it from outside, with the package's own types."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import pandas as pd
import polars as pl

import swanlab_export as se

if TYPE_CHECKING:
    from pathlib import Path


def best(project: str) -> str:
    """The path of the run with the best accuracy."""
    with se.connect(host="sandbox") as api:
        assert_type(api, se.Api[pd.DataFrame])
        runs = api.run.list(project, full=True, summary=["acc"])
        assert_type(runs, pd.DataFrame)
        found = runs.sort_values("summary.acc", ascending=False)
        return str(found["path"].iloc[0])


def save(run: str, folder: Path) -> Path:
    """Stream to a file."""
    with se.connect(host="sandbox", jobs=2, timeout=5.0) as api:
        path = api.run.metrics(run, keys=["loss"], full=True, save=str(folder / "loss.parquet"))
        assert_type(se.read(path), pd.DataFrame)
        assert_type(se.read(path, "polars"), pl.DataFrame)
        back: Path = se.write(se.read(path), folder / "loss.csv")
        return back


def rows(run: str) -> int:
    """Count points without holding them."""
    with se.connect(host="sandbox") as api:
        batches = api.run.metrics_batches(run, keys="loss", range_tail=100)
        return sum(batch.num_rows for batch in batches)


def frames(run: str) -> pl.DataFrame:
    """Polars for all calls, or for one."""
    with se.connect(host="sandbox", frame="polars") as api:
        assert_type(api.run.summary(run), pl.DataFrame)
    with se.connect(host="sandbox") as api:
        one: pl.DataFrame = api.run.logs(run, level="WARN", frame="polars")
        return one


def careful(run: str) -> str:
    """Errors are a tree."""
    try:
        with se.connect(host="sandbox") as api:
            api.run.info(run)
    except se.NotFoundError as error:
        return str(error)
    except se.SwanlabExportError:
        raise
    return ""


def mistakes() -> None:
    """Each is an error to a type checker; an unused ignore would be one, too."""
    api = se.connect(host="sandbox")
    api.run.metrics("a/b/c")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.run.metrics("a/b/c", keys="x", range_hed=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.run.list(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    se.connect(frame="numpy")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]
