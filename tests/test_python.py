"""The Python door: frames, warnings, streams, and what ``help`` says."""

from __future__ import annotations

import pydoc
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import swanlab_export as se
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = "ada-lab/digits/mlp-adam"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One sandbox for the module."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(server: Sandbox) -> Iterator[se.Api[pd.DataFrame]]:
    """The Python door."""
    server.reset_log()
    with se.connect(host=server.url, api_key=server.api_key) as connected:
        yield connected


def test_help_names_every_public_thing() -> None:
    """``help(swanlab_export)`` shows each public name, and each has a docstring of its own."""
    page = pydoc.plain(pydoc.render_doc(se))
    for name in se.__all__:
        assert name in page
        assert getattr(se, name).__doc__, name


def test_every_call_says_what_a_row_is() -> None:
    """Every call of every noun has a docstring with an example that runs, and a source."""
    with se.connect(host="sandbox") as api:
        nouns = [api.workspace, api.project, api.run, api.user, api.self_hosted]
    calls = [
        getattr(noun, name)
        for noun in nouns
        for name in dir(noun)
        if not name.startswith("_") and callable(getattr(noun, name))
    ]
    assert len(calls) == 23
    for call in calls:
        assert ">>> " in call.__doc__, call
        if call.__name__ != "metrics_batches":
            assert "Source: " in call.__doc__, call
            assert "row" in call.__doc__, call


@pytest.mark.parametrize(
    ("frame", "kind"), [("pandas", pd.DataFrame), ("arrow", pa.Table), ("polars", pl.DataFrame)]
)
def test_frames_of_every_kind(frame: Any, kind: Any, server: Sandbox, api: Any) -> None:
    """A kind of frame can be chosen for a connection or for a call, and holds the same."""
    one = api.run.metrics(RUN, keys="loss", full=True, frame=frame)
    assert isinstance(one, kind)
    with se.connect(host=server.url, api_key=server.api_key, frame=frame) as other:
        found: Any = other.run.metrics(RUN, keys="loss", full=True)
    assert isinstance(found, kind)
    values = api.run.metrics(RUN, keys="loss", full=True, frame="arrow")["value"].to_pylist()
    assert list(found["value"].to_pylist() if frame == "arrow" else found["value"]) == values
    if frame == "polars":
        assert found.schema["timestamp"] == pl.Datetime("ms", "UTC")
        assert found.schema["step"] == pl.Int64


def test_a_kind_of_frame_that_there_is_not(server: Sandbox, api: Any) -> None:
    """An unknown kind is refused, by the connection before anything is sent."""
    with pytest.raises(se.UsageError, match="frame= is pandas, arrow or polars"):
        se.connect(host=server.url, api_key=server.api_key, frame="numpy")  # type: ignore[call-overload]
    assert server.requests == []
    with pytest.raises(se.UsageError, match="frame="):
        api.user.info(frame="numpy")


def test_without_polars_the_error_says_what_to_install(server: Sandbox) -> None:
    """Where polars is missing, asking for it says how to get it, before anything is fetched."""
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "import swanlab_export as se\n"
        f"se.connect(host={server.url!r}, api_key='x', frame='polars')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError" in done.stderr
    assert "pip install 'swanlab-export[polars]'" in done.stderr


def test_warnings_point_at_the_line_that_called(api: Any, tmp_path: Path) -> None:
    """A warning names this file, whichever call gave it."""

    def stream() -> None:
        for _ in api.run.metrics_batches(project="ada-lab/digits", keys="acc", full=True):
            pass

    calls = [
        lambda: api.run.list("ada-lab/sweep"),
        lambda: api.run.metrics(project="ada-lab/digits", keys="acc", full=True),
        lambda: api.run.metrics(
            project="ada-lab/digits", keys="acc", full=True, save=tmp_path / "x.parquet"
        ),
        stream,
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [(w.category, w.filename) for w in caught] == [(se.SwanlabExportWarning, __file__)]


def test_where_a_table_came_from(server: Sandbox, api: Any) -> None:
    """``.attrs`` holds host, path, options, time and total, and nothing secret."""
    with pytest.warns(se.SwanlabExportWarning):
        found = api.run.list("ada-lab/sweep", size=50)
    assert found.attrs["host"] == server.url
    assert found.attrs["command"] == "run list"
    assert found.attrs["total"] == 130
    assert "ada-lab/sweep" in str(found.attrs)
    assert "size" in str(found.attrs)
    sid = next(r.headers["cookie"] for r in server.requests if "cookie" in r.headers)
    for secret in (server.api_key, sid.partition("=")[2]):
        assert secret not in str(found.attrs)


def test_streams_hold_what_tables_hold(api: Any, tmp_path: Path) -> None:
    """Batches, a saved file and a frame are the same points."""
    frame = api.run.metrics(RUN, keys="loss,acc", full=True, frame="arrow")
    batches = list(api.run.metrics_batches(RUN, keys="loss,acc", full=True))
    assert pa.Table.from_batches(batches).to_pylist() == frame.to_pylist()
    path = api.run.metrics(RUN, keys="loss,acc", full=True, save=str(tmp_path / "x.parquet"))
    assert pq.read_table(path).to_pylist() == frame.to_pylist()


def test_a_save_that_cannot_be_costs_nothing(server: Sandbox, api: Any, tmp_path: Path) -> None:
    """An unknown extension is refused before any point is fetched, in words of Python."""
    with pytest.raises(se.UsageError, match=r"\.xlsx") as caught:
        api.run.metrics(RUN, keys="loss", full=True, save=str(tmp_path / "x.xlsx"))
    assert "--" not in str(caught.value)
    assert not any("metrics" in record.path for record in server.requests)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda a: a.run.list("ada-lab/digits", page=0), "page="),
        (lambda a: a.run.list("ada-lab/digits", size=7), "size="),
        (lambda a: a.run.metrics(RUN, keys=""), "keys="),
        (lambda a: a.run.metrics(RUN, keys="loss", range_head=0), "range_head="),
        (lambda a: a.run.logs(RUN, level="LOUD"), "level="),
        (lambda a: a.run.filter("ada-lab/digits", {"state in": []}), "where="),
        (lambda a: a.run.filter("ada-lab/digits", {"stat ==": 1}), "where="),
        (lambda a: a.run.columns(RUN, column_class="MINE"), "column_class="),
        (lambda a: a.run.series(RUN, metric_type="X"), "metric_type="),
        (lambda a: a.project.list(sort="size"), "sort="),
    ],
)
def test_errors_speak_of_python_arguments(call: Any, name: str, server: Sandbox, api: Any) -> None:
    """A refusal names the argument as Python spells it, and costs no request."""
    with pytest.raises(se.UsageError) as caught:
        call(api)
    assert name in str(caught.value)
    assert "--" not in str(caught.value)
    assert server.requests == []


def test_unknown_options_are_errors(api: Any) -> None:
    """A misspelt option of ``metrics`` is not ignored."""
    with pytest.raises(TypeError, match="range_hed"):
        api.run.metrics(RUN, keys="loss", range_hed=3)


def test_closing_twice_is_no_error(server: Sandbox) -> None:
    """``connect`` works with and without ``with``."""
    api = se.connect(host=server.url, api_key=server.api_key)
    assert len(api.user.info()) == 1
    api.close()
    api.close()
    assert server.api_key not in repr(api)
