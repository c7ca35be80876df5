"""One use of each dependency: the lowest allowed versions do all of it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import polars as pl
import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from swanlab_export.sandbox import Sandbox

pytestmark = pytest.mark.core
METRICS = ["run", "metrics", "ada-lab/digits/linear", "--keys", "loss", "--all"]


def _run(server: Sandbox, *words: str, code: int = 0) -> tuple[str, str]:
    """Run the program; returns its output and its messages."""
    command = [sys.executable, "-m", "swanlab_export", *words]
    command += ["--host", server.url, "--api-key", server.api_key, "--retries", "0"]
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("extension", "start"),
    [
        *[(".csv", b"run_id,"), (".json", b"["), (".jsonl", b"{"), (".parquet", b"PAR1")],
        *[(".feather", b"ARROW1"), (".csv.gz", b"\x1f\x8b"), (".csv.zst", b"\x28\xb5\x2f\xfd")],
        *[(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")],
        (".xlsx", b"PK"),
    ],
)
def test_every_kind_of_file(
    extension: str, start: bytes, call: Callable[..., Result], tmp_path: Path
) -> None:
    """A metric is saved in each format, and the file is of that format."""
    path = tmp_path / f"loss{extension}"
    done = call(*METRICS, "--save", str(path))
    assert done.exit_code == 0, done.stderr
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("output_format", ["json", "jsonl", "csv", "tsv", "table", "plot"])
def test_every_kind_of_output(output_format: str, call: Callable[..., Result]) -> None:
    """A metric is printed in each format."""
    assert "loss" in call(*METRICS, "--format", output_format).stdout


@pytest.mark.parametrize("extension", [".parquet", ".png"])
def test_a_process_of_its_own(extension: str, server: Sandbox, tmp_path: Path) -> None:
    """The program saves data and pictures as its own process, which imports what it needs."""
    path = tmp_path / f"loss{extension}"
    _run(server, "api", *METRICS, "--save", str(path))
    assert path.stat().st_size


def test_every_kind_of_frame(server: Sandbox, tmp_path: Path) -> None:
    """The frames of all kinds hold the same values, and pandas reads the file as the frame."""
    with se.connect(host=server.url, api_key=server.api_key, progress=True) as api:
        frame = api.run.list("ada-lab/digits", summary="val/acc")
        other = api.using("polars").run.list("ada-lab/digits", summary="val/acc")
        path = api.using(save=tmp_path / "runs.parquet").run.list(
            "ada-lab/digits", summary="val/acc"
        )
    assert isinstance(other, pl.DataFrame)
    assert other["summary.val/acc"].to_list() == [
        None if pd.isna(value) else value for value in frame["summary.val/acc"]
    ]
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)


def test_errors_and_help(server: Sandbox) -> None:
    """A run that does not exist is exit code 4 with one line, and help is printed."""
    output, message = _run(server, "api", "run", "info", "ada-lab/digits/nope", code=4)
    assert (output, message.count("\n")) == ("", 1)
    assert "Usage:" in _run(server, "api", "run", "metrics", "--help")[0]
