"""Plots: what is drawn, looked up in the picture itself."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from swanlab_export import schemas
from swanlab_export.errors import UsageError
from swanlab_export.tables import Table
from swanlab_export.writers import parse_target
from swanlab_export.writers.plot import print_plot, write_plot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLOTS = {".png": "plot", ".svg": "plot", ".pdf": "plot"}
NAN, INF = float("nan"), float("inf")
Point = tuple[str, str, int, float | None]


def metrics(points: Sequence[Point], *, x: pa.Array | None = None, axis: str = "step") -> Table:
    """A long metrics table."""
    columns = list(zip(*points, strict=True)) or [()] * 4
    kinds = [schemas.CATEGORY, schemas.CATEGORY, schemas.INT, schemas.FLOAT]
    arrays = {
        name: pa.array(list(column), kind.value_type if pa.types.is_dictionary(kind) else kind)
        for name, column, kind in zip(
            ("run_id", "key", "step", "value"), columns, kinds, strict=True
        )
    }
    for name in ("run_id", "key"):
        arrays[name] = arrays[name].dictionary_encode()
    if x is not None:
        arrays["x"] = x
    batch = pa.record_batch(arrays)
    source = {"options": {"x_axis": axis}}
    return Table("metrics", batch.schema, [batch], source=source)


TWO = [
    *[("run-a", "loss", i, 1.0 / (i + 1)) for i in range(40)],
    *[("run-b", "loss", i, 2.0 / (i + 1)) for i in range(40)],
    *[("run-a", "acc $x$", i, i / 40) for i in range(40)],
]


def svg(table: Table, folder: Path, **options: Any) -> str:
    """The picture as text, in which words stay words."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        saved = write_plot(table, parse_target(str(folder / "x.svg"), PLOTS), **options)
    return saved.path.read_text(encoding="utf-8")


def lines(picture: str) -> list[str]:
    """The drawn curves: paths that are clipped to a panel and are no grid."""
    return [
        path
        for path in re.findall(r'<path d="([^"]*)" clip-path[^>]*stroke-linecap: square', picture)
        if path.count("L") > 2
    ]


@pytest.mark.parametrize(
    ("name", "begins"), [("x.png", b"\x89PNG"), ("x.svg", b"<?xml"), ("x.pdf", b"%PDF")]
)
def test_pictures_of_every_kind(name: str, begins: bytes, tmp_path: Path) -> None:
    """The extension says the kind; the file is whole, and alone."""
    saved = write_plot(metrics(TWO), parse_target(str(tmp_path / name), PLOTS))
    assert saved.path.read_bytes().startswith(begins)
    assert saved.size_bytes == saved.path.stat().st_size
    assert list(tmp_path.iterdir()) == [saved.path]


def test_a_panel_per_key_and_a_line_per_run(tmp_path: Path) -> None:
    """Keys name the panels, runs stand in the legend, the axis is named; dollars stay dollars."""
    picture = svg(metrics(TWO), tmp_path)
    assert len(lines(picture)) == 3
    words = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    assert words.count("step") == 2
    assert {"loss", "run-a", "run-b"} <= set(words)
    assert "acc $x$" in words


def test_runs_are_called_by_their_names(tmp_path: Path) -> None:
    """The legend says what people call a run, and the id too where that is not enough."""
    table = metrics([("r1", "loss", 0, 1.0), ("r2", "loss", 0, 1.0), ("r3", "loss", 0, 1.0)])
    table.names = {"r1": "base $1$", "r2": "same", "r3": "same"}
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg(table, tmp_path))
    assert {"base $1$", "same (r2)", "same (r3)"} <= set(words)
    screen = io.StringIO()
    print_plot(table, screen)
    assert "same (r3)" in screen.getvalue()


def test_what_is_not_finite_is_a_gap(tmp_path: Path) -> None:
    """NaN, infinity and missing break the line in two; nothing is drawn through them."""
    for gap in (NAN, INF, -INF, None):
        values = [1.0, 2.0, 1.0, 2.0, gap, 1.0, 2.0, 1.0, 2.0]
        picture = svg(metrics([("r", "loss", i, v) for i, v in enumerate(values)]), tmp_path)
        (line,) = lines(picture)
        assert line.count("M") == 2


def test_a_log_scale_when_asked_for(tmp_path: Path) -> None:
    """Ticks are powers of ten on a log scale only."""
    values = metrics([("r", "loss", i, 10.0**i) for i in range(6)])
    assert "10" in svg(values, tmp_path)
    logarithmic = svg(values, tmp_path, is_log_scale=True)
    # Equal factors are equal distances.
    (line,) = lines(logarithmic)
    heights = [float(y) for y in re.findall(r"[ML] \S+ (\S+)", line)]
    steps = [a - b for a, b in pairwise(heights)]
    assert max(steps) - min(steps) < 0.01


def test_another_axis(tmp_path: Path) -> None:
    """With another x axis its values are drawn, and its name is below."""
    x = pa.array([0, 60_000, 120_000, 600_000], schemas.TIME)
    points: list[Point] = [("r", "loss", i, float(i)) for i in range(4)]
    picture = svg(metrics(points, x=x, axis="time"), tmp_path)
    assert "time" in re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    (line,) = lines(picture)
    places = [float(place) for place in re.findall(r"[ML] (\S+) ", line)]
    assert places[3] - places[2] == pytest.approx(8 * (places[1] - places[0]), rel=0.01)


def test_no_points_is_a_picture_that_says_so(tmp_path: Path) -> None:
    """An empty table is drawn as such, in a file and in the terminal."""
    assert "no points" in svg(metrics([]), tmp_path)
    screen = io.StringIO()
    print_plot(metrics([]), screen)
    assert screen.getvalue() == "no points\n"


def test_a_look_in_the_terminal() -> None:
    """A panel per key with its name, runs told apart, gaps and all, without colour codes."""
    screen = io.StringIO()
    print_plot(metrics([*TWO, ("run-a", "loss", 41, NAN), ("r", "a\x1b[2J$", 0, 1.0)]), screen)
    drawn = screen.getvalue()
    for word in ("loss", "acc $x$", "a\\u001b[2J$", "step", "run-a", "run-b"):
        assert word in drawn
    assert max(len(line) for line in drawn.splitlines()) <= 120
    assert "\x1b" not in drawn


def test_a_look_on_a_log_scale() -> None:
    """What is not positive has no place on a log scale; the rest is drawn."""
    screen = io.StringIO()
    points: list[Point] = [("r", "loss", i, v) for i, v in enumerate([0.0, -1.0, 1.0, 10.0, 100.0])]
    print_plot(metrics(points), screen, is_log_scale=True)
    assert "loss" in screen.getvalue()
    nothing = io.StringIO()
    print_plot(metrics([("r", "loss", 0, NAN)]), nothing)
    assert "loss" in nothing.getvalue()


def test_a_legend_of_too_many_runs_is_left_out(tmp_path: Path) -> None:
    """Thirteen runs and more would hide their lines behind their names."""
    points: list[Point] = [(f"run-{r}", "loss", i, i * r) for r in range(13) for i in range(4)]
    assert "run-3" not in svg(metrics(points), tmp_path)


def test_only_points_can_be_drawn(tmp_path: Path) -> None:
    """A table of something else, or in the wide layout, is refused."""
    batch = pa.record_batch({"run_id": ["a"], "step": [1], "loss": [0.5]})
    for name in ("runs", "metrics"):
        with pytest.raises(UsageError, match="long layout"):
            write_plot(
                Table(name, batch.schema, [batch]), parse_target(str(tmp_path / "x.png"), PLOTS)
            )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("library", "words"),
    [("matplotlib", ["--save", "x.png"]), ("plotext", ["--format", "plot"])],
)
def test_without_the_library_the_error_says_what_to_install(
    library: str, words: list[str], tmp_path: Path
) -> None:
    """The drawing libraries are an extra; without them the message names it, and no file is left."""
    command = ["api", "run", "metrics", "ada-lab/digits/linear", "--keys", "loss", *words]
    code = (
        f"import sys; sys.modules[{library!r}] = sys.modules[{library + '.figure'!r}] = None\n"
        f"sys.argv = ['swanlab-export', *{[*command, '--host', 'sandbox']!r}]\n"
        "from swanlab_export.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'swanlab-export[plot]'" in done.stderr
    assert words[0] in done.stderr
    assert list(tmp_path.iterdir()) == []
