"""What a plot can be told, in Python and on the command line, and what is refused before any request."""

from __future__ import annotations

import io
import pickle
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from points import grouped, line, metrics

from swanlab_export import schemas
from swanlab_export.errors import NotFoundError, UsageError
from swanlab_export.plot import PlotOptions, check_plottable, draw_picture, print_plot
from swanlab_export.report import Report
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    import swanlab_export as se
    from swanlab_export.sandbox import Sandbox

    Call = Callable[..., Result]

LINEAR = "ada-lab/digits/linear"


def test_only_points_can_be_drawn() -> None:
    """A table of something else, in the wide layout, or without its axis is refused."""
    batch = pa.record_batch({"run_id": ["a"], "step": [1], "loss": [0.5]})
    for name in ("runs", "metrics"):
        with pytest.raises(UsageError, match="long layout"):
            draw_picture(Table(name, batch.schema, [batch]), ".png", Report())
    with pytest.raises(UsageError, match="run_id, key, x, value"):
        print_plot(metrics(line([1.0]), x_axis="time"), io.StringIO(), Report())


def test_what_cannot_be_drawn_is_known_beforehand() -> None:
    """The declared table and the chosen columns are enough to tell, before any request."""
    long = schemas.METRICS
    with_x = replace(long, columns=(*long.columns, schemas.X))
    wide = replace(long, columns=(long.columns[0], long.columns[2]))
    check_plottable(long, is_picture=False)
    check_plottable(long, "run_id,key,step,value")
    check_plottable(with_x, ["key", "value", "x", "run_id"])
    for table, fields in ((wide, None), (schemas.RUNS, None), (long, "run_id,key,value")):
        with pytest.raises(UsageError, match="long layout"):
            check_plottable(table, fields)
    with pytest.raises(UsageError, match="run_id, key, x, value"):
        check_plottable(with_x, "run_id,key,step,value")


@pytest.mark.parametrize(
    ("size", "expected"),
    [("6x4", (6, 4)), ("6.5×4", (6.5, 4)), ((3, 2), (3, 2)), *((bad, None) for bad in (
        "", "6", "6x", "x", "axb", "6x4x2", "1x4", "6x41", "nanx4", (6,), "6,4"
    ))],
)  # fmt: skip
def test_sizes_are_read(size: Any, expected: tuple[float, float] | None) -> None:
    """A size is two numbers of inches that a page can have."""
    if expected is not None:
        assert PlotOptions.parse(size=size).size == expected
        return
    with pytest.raises(UsageError, match="such as 6x4"):
        PlotOptions.parse(size=size)


@pytest.mark.parametrize(
    "words",
    [
        *(["--save", "x.csv", *option] for option in (["--title", "t"], ["--size", "6x4"])),
        *([*option] for option in (["--log-scale"], ["--color-by", "config.lr"])),
        ["--format", "plot", "--size", "6x4"],
        ["--save", "x.png", "--layout", "wide"],
        ["--save", "x.png", "--size", "huge"],
        ["--format", "plot", "--fields"],
        ["--save", "x.png", "--color-by", "summary.acc"],
        ["--format", "plot", "--color-by", "summary.acc"],
        ["--save", "x.png", "--color-by", ""],
    ],
    ids=" ".join,
)
def test_options_without_a_meaning_are_refused(
    words: list[str], call: Call, server: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No request is sent where nothing is drawn, or not in that way, and no file is left."""
    monkeypatch.chdir(tmp_path)
    before = len(server.requests)
    done = call("run", "metrics", LINEAR, "--keys", "loss", *words)
    assert done.exit_code == 2, done.output
    assert len(server.requests) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ({"title": 5}, "title= is a text, not '5'"),
        ({"title": ["a"]}, "title= is a text, not "),
        ({"color_by": 5}, "color_by= is a text, not '5'"),
        ({"color_by": ["a"]}, "color_by= is a text, not "),
        ({"size": 6}, "size= is width and height in inches"),
        ({"size": ["a"]}, "size= is width and height in inches"),
        ({"log_scale": "no"}, "log_scale= is True or False, not 'no'"),
    ],
    ids=str,
)
def test_arguments_of_another_type_are_refused(
    plot: dict[str, Any], message: str, api: se.Api[pa.Table], server: Sandbox, tmp_path: Path
) -> None:
    """The error names the argument before any request, in a call and for a connection."""
    before = len(server.requests)
    for refused in (
        lambda: api.run.metrics(LINEAR, keys="loss", save=tmp_path / "x.png", **plot),
        lambda: api.using(save=tmp_path / "x.png", **plot),
        lambda: api.using("arrow", **plot),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            refused()
    assert len(server.requests) == before


def test_summaries_give_no_colours(api: se.Api[pa.Table], tmp_path: Path) -> None:
    """The error is that of other arguments that take columns of runs."""
    for name in ("color_by", "run_columns"):
        takes = f"^{name}= takes columns of runs, such as state or config.lr, not 'summary.acc'"
        wrong: dict[str, Any] = {name: "summary.acc"}
        with pytest.raises(UsageError, match=takes):
            api.run.metrics(LINEAR, keys="loss", save=tmp_path / "x.png", **wrong)


def test_options_in_python(api: se.Api[pa.Table], tmp_path: Path) -> None:
    """Each changes the picture, as an argument and for a connection; elsewhere they are refused."""

    def draw(**plot: Any) -> bytes:
        saved = api.run.metrics(LINEAR, keys="loss", save=tmp_path / "x.svg", **plot)
        using = api.using(save=tmp_path / "x.png", **plot).run.metrics(LINEAR, keys="loss")
        assert using.read_bytes().startswith(b"\x89PNG")
        return saved.read_bytes()

    drawn = [draw(), draw(log_scale=True), draw(title="t"), draw(size=(3, 2))]
    drawn.append(draw(color_by="state"))
    assert len(set(drawn)) == 4, "one run has the same colour"
    for plot in ({"log_scale": True}, {"title": "t"}, {"size": "6x4"}, {"color_by": "state"}):
        with pytest.raises(UsageError, match="is for pictures"):
            api.using(save=tmp_path / "x.csv", **plot)
        with pytest.raises(UsageError, match="is for pictures"):
            api.run.metrics(LINEAR, keys="loss", **plot)


@pytest.mark.parametrize("words", [["-p", "ada-lab/sweep"], ["ada-lab/sweep/adam-lr0-03-h32-s3"]])
def test_runs_are_coloured_by_their_configs(words: list[str], call: Call, tmp_path: Path) -> None:
    """The column is read of each run, named or of a project; one that no run has is not found."""
    path = tmp_path / "x.svg"
    metrics_of = ["run", "metrics", *words, "--keys", "val/acc", "--save", str(path)]
    done = call(*metrics_of, "--color-by", "config.lr")
    assert done.exit_code == 0, done.output
    assert (">config.lr<" in path.read_text(encoding="utf-8")) is (words[0] == "-p")
    done = call(*metrics_of, "--color-by", "config.m*")
    assert done.exit_code == 2
    assert "error: --color-by 'config.m*' is several columns" in done.stderr
    done = call(*metrics_of, "--color-by", "config.lrr")
    assert done.exit_code == NotFoundError.exit_code
    assert "there are 'lr'" in done.output


def test_groups_and_smoothed_values_are_drawn(call: Call, tmp_path: Path) -> None:
    """``--group-by`` draws a line with a band per group, and ``--smooth`` a smooth line beside."""
    path = tmp_path / "x.svg"
    sweep = ["run", "metrics", "-p", "ada-lab/sweep", "--keys", "val/acc", "--save", str(path)]
    assert call(*sweep, "--group-by", "config.optimizer,config.hidden").exit_code == 0
    picture = path.read_text(encoding="utf-8")
    assert {"optimizer=adam, hidden=[8]", "optimizer=sgd, hidden=[32]"} <= set(
        re.findall(">([^<>]*=[^<>]*)</text>", picture)
    )
    assert picture.count("PolyCollection_") == 4
    assert picture.count("stroke-width: 0.6") == 130 + 1  # and their name
    by = ["--group-by", "config.lr,config.hidden", "--color-by", "config.lr"]
    assert call(*sweep, *by).exit_code == 0
    assert {"config.lr", "0.001", "0.3"} <= set(
        re.findall("<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))
    )
    run = ["run", "metrics", LINEAR, "--keys", "loss", "--save", str(path)]
    assert call(*run, "--smooth", "0.9").exit_code == 0
    picture = path.read_text(encoding="utf-8")
    assert picture.count('style="fill: none; stroke: #0072b2') == 2
    assert picture.count("stroke-opacity: 0.35") == 1


@pytest.mark.parametrize("kind", [".svg", ""])
def test_bands_are_drawn_on_a_logarithmic_axis(kind: str) -> None:
    """A band whose lower end is negative ends at the axis, which is that of the means and runs."""
    points = [*line([1.0, 10.0], "a"), *line([100.0, 20.0], "b")]
    table = grouped(points, {"run_id": ["a", "b"], "g": ["x", "x"]})
    options, report = PlotOptions(log_scale=True), Report()
    if kind:
        picture = draw_picture(table, kind, report, options).decode()
        ticks = re.findall("<text[^>]*>([0-9,.]+)</text>", picture)
        assert {"1", "10", "100"} <= set(ticks)
        assert picture.count("PolyCollection_") == 1
    else:
        screen = io.StringIO()
        print_plot(table, screen, report, options)
        assert "g=x" in screen.getvalue()
    assert report.warnings == []


def test_a_notebook_shows_what_was_drawn(api: se.Api[pa.Table], tmp_path: Path) -> None:
    """The path of a picture has what notebooks display, and is a path in all else."""
    png, svg, pdf, csv = (
        api.run.metrics(LINEAR, keys="loss", save=tmp_path / f"loss.{kind}")
        for kind in ("png", "svg", "pdf", "csv")
    )
    shown: Any = png
    assert shown._repr_mimebundle_()["image/png"] == png.read_bytes()
    shown = svg
    assert shown._repr_mimebundle_(include=None)["image/svg+xml"].startswith("<?xml")
    shown = pdf
    assert set(shown._repr_mimebundle_()) == {"text/plain"}
    assert not hasattr(csv, "_repr_mimebundle_")
    assert png == tmp_path / "loss.png"
    assert pickle.loads(pickle.dumps(png)) == png
    assert png.parent == tmp_path


@pytest.mark.parametrize(
    ("library", "is_picture", "needed"),
    [
        (
            "matplotlib.figure",
            True,
            "save= of a plot needs other libraries: pip install matplotlib",
        ),
        ("tsdownsample", True, "pip install matplotlib tsdownsample$"),
        ("plotext", False, "format='plot' needs .* tsdownsample 'plotext<6'$"),
    ],
)
def test_without_the_library_the_error_says_what_to_install(
    library: str, is_picture: bool, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a library that draws, the message says how to install what is needed."""
    check_plottable(schemas.METRICS, is_picture=is_picture)
    monkeypatch.setitem(sys.modules, library, None)  # an import stops at None
    with pytest.raises(UsageError, match=needed):
        check_plottable(schemas.METRICS, is_picture=is_picture)
