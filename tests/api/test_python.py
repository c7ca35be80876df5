"""The Python interface: frames, warnings, streams, and what ``help`` says."""

from __future__ import annotations

import inspect
import pickle
import pydoc
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any, get_overloads

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from systems import needs_fork, run_forked

import swanlab_export as se
from swanlab_export.api.runs.metrics import MetricsOptions, RunMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from swanlab_export.sandbox import Sandbox

RUN = "ada-lab/digits/mlp-adam"


@pytest.fixture
def api(server: Sandbox) -> Iterator[se.Api[pd.DataFrame]]:
    """A connection whose calls return pandas frames."""
    with se.connect(host=server.url, api_key=server.api_key) as connected:
        yield connected


RESOURCES = ("workspace", "project", "run", "user", "self_hosted")


def calls_of(api: Any) -> dict[str, Any]:
    """Every call of every resource, by its name."""
    return {
        f"api.{resource}.{name}": getattr(getattr(api, resource), name)
        for resource in RESOURCES
        for name in dir(getattr(api, resource))
        if not name.startswith("_")
    }


def test_help_names_every_public_thing(api: Any) -> None:
    """``help(swanlab_export)`` shows each public name and each call, all with a docstring."""
    page = pydoc.plain(pydoc.render_doc(se))
    for name in set(se.__all__) - {"__version__"}:
        assert name in page
        assert getattr(se, name).__doc__, name
    for name in calls_of(api):
        assert f".{name.rpartition('.')[2]}" in page


def test_every_call_says_what_a_row_is(api: Any) -> None:
    """Every call says what a row is, what it raises and where it comes from, and shows how."""
    calls = calls_of(api)
    assert len(calls) == 24
    for name, call in calls.items():
        for part in ("row", "Raises:", "Source: ", ">>> "):
            assert part in call.__doc__, name
        for parameter in inspect.signature(call).parameters.values():
            assert parameter.kind != parameter.VAR_KEYWORD, name
            assert parameter.name in call.__doc__, (name, parameter.name)


@pytest.mark.parametrize(
    ("frame", "kind"), [("pandas", pd.DataFrame), ("arrow", pa.Table), ("polars", pl.DataFrame)]
)
def test_frames_of_every_kind(frame: Any, kind: Any, server: Sandbox, api: Any) -> None:
    """A kind of frame can be chosen for a connection or for a part of it, and holds the same."""
    one = api.using(frame).run.metrics(RUN, keys="loss", all=True)
    assert isinstance(one, kind)
    with se.connect(host=server.url, api_key=server.api_key, frame=frame) as other:
        found: Any = other.run.metrics(RUN, keys="loss", all=True)
    assert isinstance(found, kind)
    values = api.using("arrow").run.metrics(RUN, keys="loss", all=True)["value"].to_pylist()
    assert list(found["value"].to_pylist() if frame == "arrow" else found["value"]) == values
    if frame == "polars":
        assert found.schema["timestamp"] == pl.Datetime("ms", "UTC")
        assert found.schema["step"] == pl.Int64


def test_a_kind_of_frame_that_there_is_not(server: Sandbox, api: Any) -> None:
    """An unknown kind is refused before any request."""
    with pytest.raises(se.UsageError, match="frame= is one of pandas, arrow, polars, batches"):
        se.connect(host=server.url, api_key=server.api_key, frame="numpy")  # type: ignore[call-overload]
    with pytest.raises(se.UsageError, match="frame="):
        api.using("numpy")
    assert server.requests == []


def test_a_create_is_never_sent_for_wrong_arguments(server: Sandbox, api: Any) -> None:
    """An argument that cannot be right is refused before anything is created."""
    with pytest.raises(TypeError):
        api.project.create("created", frame="numpy")
    with pytest.raises(se.UsageError):
        api.using("numpy").project.create("created")
    assert server.requests == []


def test_without_polars_the_error_says_what_to_install(server: Sandbox) -> None:
    """Where polars is missing, asking for it says how to get it, before anything is fetched."""
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "import swanlab_export as se\n"
        f"se.connect(host={server.url!r}, api_key='x', frame='polars')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError" in done.stderr
    assert "pip install polars" in done.stderr


def test_warnings_point_at_the_line_that_called(api: Any, tmp_path: Path) -> None:
    """A warning names this file, whichever call gave it."""

    def stream() -> None:
        batches = api.using("batches")
        for _ in batches.run.metrics(project="ada-lab/digits", keys="acc", all=True):
            pass

    calls = [
        lambda: api.run.list("ada-lab/sweep", page=1),
        lambda: api.run.metrics(project="ada-lab/digits", keys="acc", all=True),
        lambda: api.run.metrics(
            project="ada-lab/digits", keys="acc", all=True, save=tmp_path / "x.parquet"
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
        found = api.run.list("ada-lab/sweep", page_size=50)
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
    frame = api.using("arrow").run.metrics(RUN, keys="loss,acc", all=True)
    batches = list(api.using("batches").run.metrics(RUN, keys="loss,acc", all=True))
    assert pa.Table.from_batches(batches).to_pylist() == frame.to_pylist()
    path = api.run.metrics(RUN, keys="loss,acc", all=True, save=str(tmp_path / "x.parquet"))
    assert pq.read_table(path).to_pylist() == frame.to_pylist()


def test_a_save_that_cannot_be_costs_nothing(server: Sandbox, api: Any, tmp_path: Path) -> None:
    """An unknown extension is refused before any point is fetched, in words of Python."""
    with pytest.raises(se.UsageError, match=r"\.parquet") as caught:
        api.run.metrics(RUN, keys="loss", all=True, save=str(tmp_path / "x.docx"))
    assert "--" not in str(caught.value)
    assert not any("metrics" in record.path for record in server.requests)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda a: a.run.list("ada-lab/digits", page=0), "page="),
        (lambda a: a.run.list("ada-lab/digits", page_size=7), "page_size="),
        (lambda a: a.run.metrics(RUN, keys=""), "keys="),
        (lambda a: a.run.metrics(RUN, keys="loss", range_head=0), "range_head="),
        (lambda a: a.run.logs(RUN, level="LOUD"), "level="),
        (lambda a: a.run.filter("ada-lab/digits", {"state in": []}), "where="),
        (lambda a: a.run.filter("ada-lab/digits", {"stat ==": 1}), "where="),
        (lambda a: a.run.columns(RUN, column_class="MINE"), "column_class="),
        (lambda a: a.run.series(RUN, metric_type="X"), "metric_type="),
        (lambda a: a.project.list(sort=""), "sort="),
    ],
    ids=["page", "size", "keys", "head", "level", "in", "field", "class", "type", "sort"],
)
def test_errors_speak_of_python_arguments(call: Any, name: str, server: Sandbox, api: Any) -> None:
    """A refusal names the argument as Python writes it, and costs no request."""
    with pytest.raises(se.UsageError) as caught:
        call(api)
    assert name in str(caught.value)
    assert "--" not in str(caught.value)
    assert server.requests == []


def test_unknown_options_are_errors(api: Any) -> None:
    """A misspelled option of ``metrics`` is not ignored."""
    with pytest.raises(TypeError, match="range_hed"):
        api.run.metrics(RUN, keys="loss", range_hed=3)


def test_the_types_of_metrics_name_every_argument() -> None:
    """What type checkers know of ``metrics`` is what it takes, and no more."""
    known = set(MetricsOptions.__annotations__)
    for overloaded in get_overloads(RunMetrics.metrics):
        known |= inspect.signature(overloaded).parameters.keys() - {"options"}
    assert known == inspect.signature(RunMetrics.metrics).parameters.keys()


def test_a_generator_of_rules_is_read_once(api: Any) -> None:
    """Rules that come one by one choose runs, and are described, from one reading."""
    rules = (rule for rule in ["state=FINISHED", "config.lr>=0.1"])
    found = api.run.summary(project="ada-lab/digits", where=rules, keys="loss")
    assert 0 < len(found) < 16
    assert len(found.attrs["options"]["where"]) == 2


def test_names_may_come_from_a_generator(api: Any) -> None:
    """What can be read only once is an argument like a list, and in the source of the table."""
    found = api.run.list("ada-lab/digits", summary=(key for key in ["loss"]))
    assert found["summary.loss"].notna().any()
    points = api.run.metrics(RUN, keys=map(str, ["loss"]))
    assert points.attrs["options"]["keys"] == ["loss"]


@pytest.mark.parametrize("where", [None, [], {}, ()], ids=str)
def test_a_filter_without_a_rule(where: Any, api: Any, server: Sandbox) -> None:
    """A filter without a rule is an error, as on the command line: it would give all runs."""
    with pytest.raises(se.UsageError, match=r"^where= has no rule$"):
        api.run.filter("ada-lab/digits", where)
    assert server.requests == []


def test_errors_are_plain_text(api: Any) -> None:
    """Message, arguments and representation of an error hold nothing but what a person reads."""
    with pytest.raises(se.UsageError) as caught:
        api.run.metrics(RUN, keys="")
    error = caught.value
    assert error.message.startswith("keys= '' is empty")
    for text in (error.message, *error.args, repr(error)):
        assert text.isprintable()
        assert text.isascii()


def test_a_connection_is_not_pickled(api: Any) -> None:
    """A copy would need the key: pickling is refused with a sentence."""
    with pytest.raises(TypeError, match="connect again"):
        pickle.dumps(api)
    with pytest.raises(TypeError, match="connect again"):
        pickle.dumps(api.run.list)  # as for a pool of processes


def test_closing_twice_is_no_error(server: Sandbox) -> None:
    """``connect`` works with and without ``with``."""
    api = se.connect(host=server.url, api_key=server.api_key)
    assert len(api.user.info()) == 1
    api.close()
    api.close()
    assert server.api_key not in repr(api)


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "1 / 0", "api.run.info('a/b/c')"])
def test_a_connection_that_nobody_closes(ending: str) -> None:
    """A script without ``with`` ends when it is done, well or badly."""
    connect = "api = se.connect(host='sandbox', frame='arrow')"
    lines = ["import swanlab_export as se", connect, "api.user.info()"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, ending])],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == {"": 0, "raise SystemExit(3)": 3}.get(ending, 1), done.stderr


def test_a_resource_keeps_its_connection() -> None:
    """Who holds on to ``api.run`` alone can go on calling it."""
    run = se.connect(host="sandbox").run
    assert len(run.list("ada-lab/digits", all=True)) == 16


def test_paths_come_one_by_one_or_in_lists(api: Any) -> None:
    """A column of paths is as good as each of them."""
    paths = api.run.list("ada-lab/digits", where={"state": "CRASHED"})["path"]
    one_by_one = api.run.summary(*paths)
    assert api.run.summary(paths).equals(one_by_one)
    assert api.run.summary(list(paths)[:1], *paths[1:]).equals(one_by_one)


def test_numbers_of_numpy_are_numbers(api: Any, server: Sandbox) -> None:
    """Numbers and truth values that come out of frames and arrays do what those of Python do."""
    one, two, is_wanted = np.int64(1), np.int64(2), np.bool_(True)
    assert len(api.run.list("ada-lab/digits", limit=two)) == 2
    with pytest.warns(se.SwanlabExportWarning, match="6 of 16 runs"):
        assert len(api.run.list("ada-lab/digits", page=two, page_size=np.int32(10))) == 6
    assert "config.lr" in api.run.list("ada-lab/digits", varying=is_wanted, all=is_wanted)
    assert len(api.run.summary(RUN, limit=two)) == 2
    assert len(api.run.metrics(RUN, keys="loss", sample=two)) == 2
    assert len(api.run.metrics(RUN, keys="loss", range_tail=two)) == 2
    smoothed = api.run.metrics(RUN, keys="loss", smooth=np.float32(0.5), all=is_wanted)
    assert smoothed["smoothed"].notna().all()
    images = api.run.medias(RUN, keys="val/*", all=True)
    assert set(api.run.medias(RUN, keys="val/*", step=images["step"].iloc[0])["step"]) == {43}
    assert api.run.logs(RUN, offset=np.int64(0))["line"].is_unique
    with pytest.warns(se.SwanlabExportWarning, match="the log goes on: start=3"):
        assert api.run.export_logs(RUN, start=one, rows=two)["start"].tolist() == [1]
    start = np.datetime64("2026-01-07T10:16:00", "ns")
    later = api.run.metrics(RUN, keys="loss", range_start=start)
    assert (later["timestamp"] >= pd.Timestamp(start, tz="UTC")).all()
    runs = api.run.filter("ada-lab/digits", {"created_at >=": start})
    assert 0 < len(runs) < 16
    assert (runs["created_at"] >= pd.Timestamp(start, tz="UTC")).all()
    options: Any = {"jobs": two, "retries": one, "timeout": np.float64(9), "max_response": two}
    with se.connect(host=server.url, api_key=server.api_key, **options) as other:
        assert other.user.info()["username"].tolist() == ["ada"]


@pytest.mark.parametrize("frame", ["pandas", "polars", "arrow"])
def test_columns_of_every_frame_are_lists(frame: Any, api: Any) -> None:
    """A column of whatever a call returns is a list of paths, projects, keys or values."""
    other = api.using(frame)
    paths = other.run.list("ada-lab/digits", limit=2)["path"]
    assert set(api.run.summary(paths, keys="lr")["run_name"]) == {"running", "mlp-clone"}
    assert set(api.run.summary(paths[0], keys="lr")["run_name"]) == {"running"}
    projects = other.project.list("ada-lab")["path"]
    assert len(api.run.list(projects)) == 146
    keys = other.run.series(RUN, search="val/")["key"]
    assert {"summary.val/acc", "summary.val/loss"} <= set(
        api.run.list("ada-lab/digits", summary=keys)
    )
    ids = other.run.list("ada-lab/digits", limit=3)["run_id"]
    assert len(api.run.filter("ada-lab/digits", {"run_id in": ids})) == 3


NO_NUMBERS: dict[str, Any] = {
    "text": "5",
    "fraction": 2.5,
    "truth": True,
    "missing": pd.NA,
    "time": pd.NaT,
    "time of numpy": np.datetime64("NaT"),
    "path": object(),
}


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_is_named(value: Any, api: Any, server: Sandbox) -> None:
    """An argument that is no number, path or choice is named in an error, and nothing is sent."""
    calls: dict[str, Any] = {
        "limit": lambda: api.run.list("ada-lab/digits", limit=value),
        "page": lambda: api.run.list("ada-lab/digits", page=value),
        "page_size": lambda: api.project.list("ada-lab", page_size=value),
        "sample": lambda: api.run.metrics(RUN, keys="loss", sample=value),
        "range_start": lambda: api.run.metrics(RUN, keys="loss", range_start=value),
        "range_head": lambda: api.run.metrics(RUN, keys="loss", range_head=value),
        "range_last": lambda: api.run.metrics(RUN, keys="loss", range_last=value),
        "smooth": lambda: api.run.metrics(RUN, keys="loss", smooth=value),
        "step": lambda: api.run.medias(RUN, keys="val/*", step=value),
        "offset": lambda: api.run.logs(RUN, offset=value),
        "rows": lambda: api.run.export_logs(RUN, rows=value),
        "jobs": lambda: se.connect(host=server.url, api_key=server.api_key, jobs=value),
        "config": lambda: api.run.list("ada-lab/digits", config=value),
    }
    sent = len(server.requests)
    for name, call in calls.items():
        with pytest.raises(se.UsageError, match=f"^{name}= "):
            call()
    if not isinstance(value, str):
        for call in (api.run.info, api.run.logs, api.project.info, api.run.list):
            with pytest.raises(se.UsageError, match=r"^a path is text, WORKSPACE/PROJECT"):
                call(value)
    assert len(server.requests) == sent


def test_places_may_be_paths(api: Any, tmp_path: Path) -> None:
    """``save`` and ``download`` take ``pathlib.Path``, too."""
    saved = api.run.metrics(RUN, keys="loss", all=True, save=tmp_path / "x.parquet")
    assert saved == tmp_path / "x.parquet"
    api.run.export_logs(RUN, save=tmp_path / "run.log")
    api.run.medias(RUN, keys="val/confusion", all=True, download=tmp_path / "media")
    assert {path.name for path in tmp_path.iterdir()} == {"x.parquet", "run.log", "media"}


def test_a_log_is_exported_once(api: Any, server: Sandbox, tmp_path: Path) -> None:
    """Saving a log and having its table is one export."""
    with pytest.warns(se.SwanlabExportWarning, match="the log goes on: start=10 exports"):
        found = api.run.export_logs(RUN, rows=10, save=tmp_path / "run.log")
    assert found["rows"].tolist() == [10]
    assert len((tmp_path / "run.log").read_text().splitlines()) == 10
    assert sum(record.path.endswith("log/export") for record in server.requests) == 1


def test_times_as_bounds(api: Any) -> None:
    """A range of time may be given as times, of pandas or Python, in any zone."""
    points = api.run.metrics(RUN, keys="loss", all=True)
    first, last = points["timestamp"].iloc[10], points["timestamp"].iloc[20]
    for bounds in (
        (first, last),
        (first.to_pydatetime(), last.tz_convert("Asia/Shanghai")),
        (first.tz_localize(None), last.tz_localize(None)),
    ):
        start, end = bounds
        found = api.run.metrics(
            RUN, keys="loss", range_type="timestamp", range_start=start, range_end=end
        )
        assert found["step"].tolist() == points["step"].iloc[10:21].tolist()


def test_streams_are_checked_at_once(api: Any) -> None:
    """Batches refuse wrong arguments when the call is made, not when they are read."""
    with pytest.raises(se.UsageError, match="keys="):
        api.using("batches").run.metrics(RUN, keys="")


def test_attrs_say_which_data_they_are(api: Any) -> None:
    """Whatever decides which rows come is recorded: filters, ranges, steps that are 0."""
    found = api.run.metrics(
        project="ada-lab/digits", where={"state": "FINISHED"}, keys="loss",
        range_tail=5, ignore_timestamp=True,
    )  # fmt: skip
    options = found.attrs["options"]
    assert options["where"][0]["value"] == ["FINISHED"]
    assert options["project"] == "ada-lab/digits"
    assert options["ignore_timestamp"] is True
    assert options["range"] == "tail=5"
    assert api.run.logs(RUN, offset=0).attrs["options"]["offset"] == 0


@needs_fork
def test_batches_are_not_read_on_in_a_fork(api: Any) -> None:
    """A process that is forked is told to call again; the batches of its parent are whole."""

    def is_refused() -> bool:
        try:
            next(batches)
        except se.ClosedError as error:
            return "call again" in error.message
        return False

    expected = api.using("arrow").run.metrics(RUN, keys="loss,acc", all=True)
    batches = api.using("batches").run.metrics(RUN, keys="loss,acc", all=True)
    read = [next(batches)]
    assert run_forked(is_refused)
    read += batches
    assert pa.Table.from_batches(read).equals(expected)
