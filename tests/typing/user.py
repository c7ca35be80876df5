"""What a user writes: mypy and pyright check it from outside, with the package's own types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import pandas as pd
import polars as pl

import swanlab_export as se

# pyarrow has no types of its own: type checkers take pa.Table and pa.RecordBatch as Any.


def best(project: str) -> str:
    """The path of the run with the best accuracy."""
    with se.connect(host="sandbox") as api:
        assert_type(api, se.Api[pd.DataFrame])
        runs = api.run.list(project, summary=["acc"])
        assert_type(runs, pd.DataFrame)
        found = runs.sort_values("summary.acc", ascending=False)
        return str(found["path"].iloc[0])


def save(run: str, folder: Path) -> Path:
    """Stream to a file, and read it."""
    with se.connect(host="sandbox", jobs=2, timeout=5.0) as api:
        saving = api.using(save=folder / "loss.parquet")
        assert_type(saving, se.Api[Path])
        path = saving.run.metrics(run, keys=["loss"], all=True)
        assert_type(path, Path)
        assert_type(api.run.metrics(run, keys="loss", save="loss.csv"), Path | str)
        assert_type(api.using(save="loss.png", log_scale=True), se.Api[Path | str])
        return path


def rows(run: str) -> int:
    """Count points without having all of them in memory."""
    with se.connect(host="sandbox", frame="batches") as api:
        batches = api.run.metrics(run, keys="loss", range_tail=100)
        return sum(batch.num_rows for batch in batches)


def frames(run: str) -> pl.DataFrame:
    """Each kind of frame, for a connection or for some of its calls."""
    with se.connect(host="sandbox", frame="pandas") as api:
        assert_type(api, se.Api[pd.DataFrame])
    with se.connect(host="sandbox", frame="arrow") as api_arrow:
        assert_type(api_arrow, se.Api[Any])
    with se.connect(host="sandbox", frame="batches") as api_batches:
        assert_type(api_batches, se.Api[Iterator[Any]])
    with se.connect(host="sandbox", frame="polars") as api_polars:
        assert_type(api_polars, se.Api[pl.DataFrame])
        assert_type(api_polars.run.summary(run), pl.DataFrame)
        assert_type(api_polars.using("pandas"), se.Api[pd.DataFrame])
        assert_type(api_polars.using("arrow"), se.Api[Any])
        assert_type(api_polars.using("batches"), se.Api[Iterator[Any]])
        return api_polars.run.logs(run, level="WARN")


def resources(api: se.Api[pd.DataFrame]) -> list[pd.DataFrame]:
    """Every resource returns the frame of its connection."""
    return [
        api.workspace.info("ada-lab"),
        api.project.list("ada-lab", limit=5),
        api.run.medias("ada-lab/digits/mlp-adam", keys="val/*", all=True),
        api.run.export_logs("ada-lab/digits/crashed"),
        api.user.info(),
        api.self_hosted.list_users(page=2, page_size=50),
    ]


def careful(run: str) -> str:
    """Errors are a tree."""
    try:
        with se.connect(host="sandbox") as api:
            api.run.info(run)
    except se.NotFoundError as error:
        return str(error)
    except se.ClosedError:
        return "closed"
    except se.SwanlabExportError:
        raise
    return ""


def mistakes() -> None:
    """Each is an error to a type checker; an unused ignore would be one, too."""
    api = se.connect(host="sandbox")
    api.run.metrics("a/b/c")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.run.metrics("a/b/c", keys="x", range_hed=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    api.run.list(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    api.run.list("a/b", frame="polars")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    api.run.logs("a/b/c", full=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    api.using("numpy")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]
    api.using("arrow", save="loss.parquet")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    se.connect(frame="numpy")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]
