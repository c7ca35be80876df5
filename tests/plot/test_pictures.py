"""Plots: what is drawn, looked up in the picture itself."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from systems import needs_posix

import swanlab_export as se
from swanlab_export import schemas
from swanlab_export.errors import UsageError
from swanlab_export.files import PICTURES, parse_target, write_chunks
from swanlab_export.plot import check_plottable, draw_picture, print_plot
from swanlab_export.plot.downsample import Trace, downsample
from swanlab_export.plot.fonts import find_missing
from swanlab_export.plot.lines import gather_plot
from swanlab_export.report import Report
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAN, INF = float("nan"), float("inf")
Point = tuple[str, str, int, float | None]


def metrics(points: Sequence[Point], *, x: pa.Array | None = None, **labels: Any) -> Table:
    """A long metrics table."""
    columns = list(zip(*points, strict=True)) or [()] * 4
    names = ["run_id", "key", "step", "value"]
    kinds = [schemas.TEXT, schemas.TEXT, schemas.INT, schemas.FLOAT]
    arrays = [pa.array(list(column), kind) for column, kind in zip(columns, kinds, strict=True)]
    if x is not None:
        arrays.append(x)
        names.append("x")
    batch = pa.record_batch(arrays, names=names)
    encoded = [each.dictionary_encode() if each.type == schemas.TEXT else each for each in arrays]
    return Table("metrics", batch.schema, [pa.record_batch(encoded, names=names)], **labels)


TWO = [
    *[("run-a", "loss", i, 1.0 / (i + 1)) for i in range(40)],
    *[("run-b", "loss", i, 2.0 / (i + 1)) for i in range(40)],
    *[("run-a", "acc $x$", i, i / 40) for i in range(40)],
]


def svg(table: Table, report: Report | None = None, **options: Any) -> str:
    """The picture as text."""
    return draw_picture(table, ".svg", report or Report(), **options).decode()


def words(picture: str) -> list[str]:
    """What is written in a picture."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture)


def lines(picture: str) -> list[str]:
    """The drawn curves: paths that are clipped to a panel and are no grid."""
    return [
        path
        for path in re.findall(r'<path d="([^"]*)" clip-path[^>]*stroke-linecap: square', picture)
        if path.count("L") > 2
    ]


def strokes(picture: str) -> list[str]:
    """The colours of the drawn curves."""
    found = re.findall(r'clip-path="[^"]*" style="[^"]*stroke: (#\w+)[^"]*linecap: square', picture)
    return [colour for colour in found if colour != "#b0b0b0"]  # the grid's


def x_labels(drawn: str, name: str = "step") -> list[str]:
    """The labels of the x axis of a picture, or of a plot in the terminal, before its name."""
    found = drawn.rpartition("┘\n")[-1].split()
    if drawn.startswith("<?xml"):
        found = re.findall(r'text-anchor: middle"[^>]*>([^<]*)<', drawn)
    return found[: found.index(name)]


def dots(picture: str) -> int:
    """How many points are marked: uses of a marker within a panel."""
    drawn = re.findall(r'<g clip-path="[^"]*">(.*?)</g>', picture, re.DOTALL)
    return sum(group.count("<use") for group in drawn)


def screen(
    table: Table,
    report: Report | None = None,
    **options: Any,
) -> str:
    """What is drawn in the terminal, or without colours into a file."""
    stream = io.StringIO()
    print_plot(table, stream, report or Report(), **options)
    return stream.getvalue()


def runs_of(count: int, points: int = 4) -> list[Point]:
    """Some runs that go straight up, each a little steeper."""
    return [(f"run-{r}", "loss", i, i * (r + 1.0)) for r in range(count) for i in range(points)]


@pytest.mark.parametrize(
    ("extension", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_pictures_of_every_kind(extension: str, begins: bytes) -> None:
    """The extension gives the kind of picture."""
    assert draw_picture(metrics(TWO), extension, Report()).startswith(begins)


def test_a_panel_per_key_and_a_line_per_run() -> None:
    """Keys name the panels, the legend names the runs, the axis is named; dollar signs are kept."""
    picture = svg(metrics(TWO))
    assert len(lines(picture)) == 3
    found = words(picture)
    assert found.count("step") == 2
    assert {"loss", "run-a", "run-b"} <= set(found)
    assert "acc $x$" in found


def test_runs_are_called_by_their_names() -> None:
    """The legend has the display names of runs, and their ids too where two names are equal."""
    table = metrics([("r1", "loss", 0, 1.0), ("r2", "loss", 0, 1.0), ("r3", "loss", 0, 1.0)])
    table.run_names = {"r1": "base $1$", "r2": "same", "r3": "same"}
    assert {"base $1$", "same (r2)", "same (r3)"} <= set(words(svg(table)))
    assert "same (r3)" in screen(table)


def test_a_run_has_its_colour_in_every_panel() -> None:
    """A run that lacks a key does not pass its colour on to the next one."""
    points = [("a", "loss", i, 1.0 * i) for i in range(4)]
    points += [("b", key, i, 2.0 * i) for key in ("loss", "acc") for i in range(4)]
    first, second, alone = strokes(svg(metrics(points)))
    assert alone == second != first


def test_what_is_not_finite_is_a_gap() -> None:
    """NaN, infinity and missing break the line in two; nothing is drawn through them."""
    for gap in (NAN, INF, -INF, None):
        values = [1.0, 2.0, 1.0, 2.0, gap, 1.0, 2.0, 1.0, 2.0]
        picture = svg(metrics([("r", "loss", i, v) for i, v in enumerate(values)]))
        (line,) = lines(picture)
        assert line.count("M") == 2


def test_a_point_between_gaps_is_seen() -> None:
    """A point that no line leads to is marked, in a picture and in the terminal; others are not."""
    values = [NAN if i in {50, 52} else float(i) for i in range(100)]
    table = metrics([("r", "loss", i, v) for i, v in enumerate(values)])
    assert dots(svg(table)) == 1
    assert screen(table).count("⣿") == 1
    assert dots(svg(metrics([("r", "loss", i, 1.0 * i) for i in range(100)]))) == 0


def test_few_points_are_all_marked() -> None:
    """The points of a short line are marked, and so is a single point."""
    assert dots(svg(metrics([("r", "loss", 7, 1.0)]))) == 1
    assert dots(svg(metrics([("r", "loss", i, 1.0 * i) for i in range(9)]))) == 9


def test_the_axis_goes_on_to_the_last_step() -> None:
    """A run that diverged at step 88 of 440 is shown to have gone on."""
    table = metrics([("r", "loss", i, 1.0 * i if i < 88 else NAN) for i in range(440)])
    assert "400" in words(svg(table))
    assert "400" in screen(table).split()


def test_steps_are_integers_and_readable() -> None:
    """Steps have separators of thousands, and no fractions; very long ones are abbreviated."""
    few = metrics([("r", "loss", i, 1.0 * i) for i in range(3)])
    many = metrics([("r", "loss", i * 100_000, 1.0 * i) for i in range(11)])
    long = metrics([("r", "loss", i * 10**17, 1.0 * i) for i in range(11)])
    for draw in (screen, svg):
        assert x_labels(draw(few)) == ["0", "1", "2"]
        assert x_labels(draw(many))[1:4] == ["200,000", "400,000", "600,000"]
        assert max(map(len, x_labels(draw(long)))) < 6


def test_integers_stay_integers() -> None:
    """Epochs have no fractions between them, and other axes have."""
    points: list[Point] = [("r", "loss", i, float(i)) for i in range(4)]
    for places, are_integers in [([1.0, 2.0, 3.0, 20.0], True), ([0.5, 1.0, 2.0, 3.0], False)]:
        table = metrics(points, x=pa.array(places, schemas.FLOAT), x_axis="epoch")
        for draw in (screen, svg):
            assert ("." not in "".join(x_labels(draw(table), "epoch"))) == are_integers


def test_a_log_scale_when_asked_for() -> None:
    """On a log scale equal factors are equal distances."""
    values = metrics([("r", "loss", i, 10.0**i) for i in range(6)])
    (line,) = lines(svg(values, is_log_scale=True))
    heights = [float(y) for y in re.findall(r"[ML] \S+ (\S+)", line)]
    steps = [a - b for a, b in pairwise(heights)]
    assert max(steps) - min(steps) < 0.01
    assert {"1", "100", "1e+04"} <= set(re.findall(r"\S+(?=┤)", screen(values, is_log_scale=True)))


def test_what_a_log_scale_cannot_show_is_counted() -> None:
    """Zero and less are gaps on a log scale, with a warning of how many; without others it says so."""
    values = [0.0, -1.0, 1.0, 10.0, 100.0, 1000.0, NAN]
    table = metrics([("r", "loss", i, v) for i, v in enumerate(values)])
    report = Report()
    (line,) = lines(svg(table, report, is_log_scale=True))
    assert line.count("L") == 3
    warning = "2 values of loss are not positive, and are not shown on a logarithmic axis"
    assert report.warnings == [warning]
    report = Report()
    screen(table, report=report, is_log_scale=True)
    assert report.warnings == [warning]
    nothing = metrics([("r", "loss", i, -1.0) for i in range(9)])
    assert "no positive values" in svg(nothing, report, is_log_scale=True)
    assert "no positive values" in screen(nothing, is_log_scale=True)
    assert report.warnings[1].startswith("9 values of loss")


@pytest.mark.parametrize("is_log_scale", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        [1e308, -1e308, 1.0],
        [1.7976931348623157e308, 5e-324],
        [1.7976931348623157e308],
        [1e308, 1.1e308, 1.2e308],
        [5e-324, 1e-310],
        [-0.0, 0.0],
    ],
)
def test_the_largest_and_smallest_numbers(values: list[float], is_log_scale: bool) -> None:
    """Numbers at the ends of what a float holds are drawn on both axes, without a warning."""
    points: list[Point] = [("r", "loss", i, v) for i, v in enumerate(values)]
    x = pa.array(values, schemas.FLOAT)
    for table in (metrics(points), metrics(points, x=x, x_axis="huge")):
        svg(table, is_log_scale=is_log_scale)
        drawn = screen(table, is_log_scale=is_log_scale)
        assert all(len(label) < 12 for label in re.findall(r"\S+(?=┤)", drawn))
        assert "-0┤" not in drawn


def test_huge_numbers_are_named_as_they_are() -> None:
    """Where numbers are rescaled for the axis, its ticks name the original ones."""
    table = metrics([("r", "loss", i, v) for i, v in enumerate([1e308, -1e308])])
    assert "5e+307" in words(svg(table))
    assert "5e+307┤" in screen(table)


def test_neighbouring_numbers_have_labels_of_their_own() -> None:
    """Ticks have as many digits as keep them distinct."""
    drawn = screen(metrics([("r", "loss", i, 123456.789 + i / 1e6) for i in range(9)]))
    labels = re.findall(r"\S+(?=┤)", drawn)
    assert len(set(labels)) == len(labels) > 2


def test_another_axis() -> None:
    """With another x axis its values are drawn, and its name is below."""
    x = pa.array([0.0, 1.0, 2.0, 10.0], schemas.FLOAT)
    points: list[Point] = [("r", "loss", i, float(i)) for i in range(4)]
    picture = svg(metrics(points, x=x, x_axis="epoch"))
    assert "epoch" in words(picture)
    (line,) = lines(picture)
    places = [float(place) for place in re.findall(r"[ML] (\S+) ", line)]
    assert places[3] - places[2] == pytest.approx(8 * (places[1] - places[0]), rel=0.01)
    assert "epoch" in screen(metrics(points, x=x, x_axis="epoch"))


def test_points_without_a_place_on_the_axis_are_counted() -> None:
    """Where x is missing there is no point, the line goes on to the next one, and a warning says so."""
    x = pa.array([0.0, None, 2.0, NAN, 4.0, 5.0], schemas.FLOAT)
    points: list[Point] = [("r", "loss", i, float(i)) for i in range(6)]
    table = metrics(points, x=x, x_axis="epoch")
    report = Report()
    (line,) = lines(svg(table, report))
    assert (line.count("M"), line.count("L")) == (1, 3)
    assert report.warnings == ["2 points of loss have no epoch and are not in the plot"]
    table = metrics(points, x=pa.nulls(6, schemas.FLOAT), x_axis="epoch")
    assert "no points" in svg(table)
    assert "no points" in screen(table)


def clock_axis(last_ms: int, first_ms: int = 1_767_600_000_000, count: int = 5) -> Table:
    """A metric over time, from 2026-01-05 08:00 UTC on."""
    places = [first_ms + last_ms * i // (count - 1) for i in range(count)]
    points: list[Point] = [("r", "loss", i, float(i)) for i in range(count)]
    return metrics(points, x=pa.array(places, schemas.TIME), x_axis="time")


@pytest.mark.parametrize(
    ("last_ms", "in_picture", "in_terminal"),
    [
        (400, {"00.2", "00.3"}, {"08:00:00.200", "2026-01-05"}),
        (40_000, {"10", "20"}, {"08:00:20", "2026-01-05"}),
        (600_000, {"08:04", "08:08"}, {"08:05", "2026-01-05"}),
        (36 * 3_600_000, {"12:00", "Jan-06"}, {"01-05 12:00", "2026"}),
        (30 * 24 * 3_600_000, {"13", "Feb"}, {"2026-01-15", "2026-02-01"}),
    ],
)
def test_times_are_dates(last_ms: int, in_picture: set[str], in_terminal: set[str]) -> None:
    """A time axis has clocks and dates at round places, is named with its zone, and no numbers."""
    table = clock_axis(last_ms)
    picture = words(svg(table))
    assert "time (UTC)" in picture
    assert in_picture <= set(picture)
    drawn = screen(table)
    assert "time (UTC)" in drawn
    assert all(word in drawn for word in in_terminal)
    for text in (" ".join(picture), drawn):
        assert "1767" not in text


def test_times_beyond_all_calendars() -> None:
    """A time that no calendar has is not drawn; a single moment is."""
    x = pa.array([2**62, -(2**62), 0, 1, 2], schemas.TIME)
    table = metrics([("r", "loss", i, float(i)) for i in range(5)], x=x, x_axis="time")
    report = Report()
    svg(table, report)
    assert report.warnings == ["2 points of loss have no time and are not in the plot"]
    moment = clock_axis(0)
    assert dots(svg(moment)) == 5
    assert "08:00" in screen(moment)


def test_other_names_of_axes_stay() -> None:
    """The server's protocol has no unit for relative_time, and the axis names none."""
    points: list[Point] = [("r", "loss", i, float(i)) for i in range(4)]
    table = metrics(points, x=pa.array([0.0, 1.5, 2.0, 3.0]), x_axis="relative_time")
    assert "relative_time" in words(svg(table))
    assert screen(table).splitlines()[-1].strip() == "relative_time"


def test_no_points_is_a_picture_that_says_so() -> None:
    """An empty table is drawn as such, its axes named and without ticks, and in the terminal."""
    table = metrics([])
    assert set(words(svg(table))) == {"no points", "step"}
    assert screen(table).strip() == "no points"
    table = metrics([], keys=["loss", "val/*"])
    assert set(words(svg(table))) == {"no points", "step", "loss", "val/*"}
    assert screen(table).split() == ["loss", "·", "no", "points", "val/*", "·", "no", "points"]


def test_nothing_but_gaps_is_said_to_be() -> None:
    """Without any finite value there are no ticks of values; the steps are there all the same."""
    table = metrics([("r", "loss", i, NAN) for i in range(300)])
    found = words(svg(table))
    assert "no finite values" in found
    assert "200" in found
    assert not {"0.0", "0.5", "1.0"} & set(found)
    drawn = screen(table)
    assert "no finite values" in drawn
    assert "200" in drawn.split()
    assert "┤" not in drawn


def test_a_look_in_the_terminal() -> None:
    """A panel per key with its name and its runs, without colour codes."""
    drawn = screen(metrics([*TWO, ("run-a", "loss", 41, NAN), ("r", "a\x1b[2J$", 0, 1.0)]))
    for word in ("loss", "acc $x$", "a\\u001b[2J$", "step", "run-a", "run-b"):
        assert word in drawn
    assert max(len(line) for line in drawn.splitlines()) <= 120
    assert "\x1b" not in drawn


def test_the_terminal_shows_gaps() -> None:
    """Where values are NaN there is a hole in the line, as wide as they are."""
    values = [NAN if 40 <= i < 60 else float(i % 2) for i in range(100)]
    drawn = screen(metrics([("r", "loss", i, v) for i, v in enumerate(values)]))
    rows = [re.split("[│┤]", line)[1] for line in drawn.splitlines() if line.endswith("│")]
    columns = ["".join(column).strip() for column in zip(*rows, strict=True)]
    holes = [i / len(columns) for i, column in enumerate(columns) if not column]
    assert (holes[0], holes[-1]) == pytest.approx((0.4, 0.6), abs=0.03)
    assert len(holes) / len(columns) == pytest.approx(0.2, abs=0.03)


def test_runs_are_distinguished_by_markers() -> None:
    """Without colours each run has a marker of its own, and the legend maps them."""
    drawn = screen(metrics(runs_of(3)))
    frame, legend = drawn.rsplit("step", 1)
    assert legend.split() == ["*", "run-0", "+", "run-1", "o", "run-2"]
    for marker in "*+o":
        assert frame.count(marker) > 10


def test_runs_are_distinguished_by_colours() -> None:
    """Where colours are wanted, each run has a colour of its own."""
    drawn = screen(metrics(runs_of(12)), is_coloured=True)
    frame, legend = drawn.rsplit("step", 1)
    named = re.findall(r"\x1b\[38;5;(\d+)m──\x1b\[0m (run-\d+)", legend)
    assert [name for _, name in named] == [f"run-{i}" for i in range(12)]
    assert len({colour for colour, _ in named}) == 12
    assert {colour for colour, _ in named} <= set(re.findall(r"\x1b\[38;5;(\d+)m", frame))


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """In GBK, frame, lines and legend are drawn in ASCII, and Chinese names keep the frame."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "gbk", newline="")
    print_plot(metrics([("r", "准确率", i, float(i)) for i in range(9)]), stream, Report())
    stream.flush()
    title, *frame = raw.getvalue().splitlines()
    assert "准确率" in title.decode("gbk")
    assert {line[-1:] for line in frame[:-3]} <= {b"+", b"|"}
    assert len({len(line) for line in frame[:-3]}) == 1
    assert all(line.isascii() for line in frame)


def test_many_runs_in_the_terminal() -> None:
    """More runs than a legend names are drawn without one, and a warning says so."""
    table = metrics(runs_of(13))
    report = Report()
    drawn = screen(table, report=report)
    assert "run-" not in drawn
    assert report.warnings == ["13 runs are drawn without a legend, which names 12 at most"]
    assert "run-" not in screen(table, is_coloured=True)


def test_wide_characters_keep_the_frame() -> None:
    """Chinese names take two cells each: no line is wider for them, and long legends are broken."""
    points = [(f"r{r}", "准确率" * 30, i, i * (r + 1.0)) for r in range(5) for i in range(4)]
    table = metrics(points)
    table.run_names = {f"r{r}": f"手写数字识别实验-{r}" * 9 for r in range(5)}
    drawn = screen(table).splitlines()
    assert max(map(cell_len, drawn)) <= 100
    assert len({len(line) for line in drawn if line.endswith(("│", "┐", "┘"))}) == 1
    assert sum("手写" in line for line in drawn) == 3
    assert "…" in drawn[0]


def test_terminals_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plot fills the terminal, from 40 cells to 120."""
    for columns, cells in [("10", 40), ("77", 77), ("500", 120)]:
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, screen(metrics(TWO)).splitlines())) == cells


def test_twenty_runs_have_twenty_colours() -> None:
    """No colour comes twice, however many runs there are."""
    for count in (12, 20, 130):
        assert len(set(strokes(svg(metrics(runs_of(count)))))) == count


def test_the_legend_is_beside_the_panels() -> None:
    """No name covers a line: all begin where the panels end, in the order of the runs."""
    table = metrics(runs_of(12))
    table.run_names = {f"run-{i}": f"{'a' * 200}-{i}" for i in range(12)}
    picture = svg(table)
    ((left, width),) = set(re.findall(r'<rect x="(\S+)" y="\S+" width="(\S+)"', picture))
    named = re.findall(r'<text[^>]* x="(\S+)"[^>]*>(a+…a+-\d+)</text>', picture)
    assert [name.split("-")[1] for _, name in named] == [str(i) for i in range(12)]
    assert all(float(x) > float(left) + float(width) for x, _ in named)
    assert float(width) > 500


def test_names_with_an_underscore_stay_in_the_legend() -> None:
    """Names that matplotlib would leave out are in the legend."""
    table = metrics(runs_of(2))
    table.run_names = {"run-0": "_baseline", "run-1": "_other"}
    assert {"_baseline", "_other"} <= set(words(svg(table)))


def test_a_legend_of_too_many_runs_is_left_out() -> None:
    """Thirteen names and more would leave no room for the lines; a warning says that they are left out."""
    report = Report()
    assert "run-3" not in svg(metrics(runs_of(13)), report)
    assert report.warnings == ["13 runs are drawn without a legend, which names 12 at most"]


def test_the_only_run_is_the_title() -> None:
    """A picture of one run says which one it is."""
    table = metrics([("r", "loss", i, 1.0 * i) for i in range(4)])
    assert "r" in words(svg(table))
    table.run_names = {"r": "baseline"}
    assert "baseline" in words(svg(table))
    assert "loss · baseline" in screen(table)


def test_long_keys_are_cut_in_the_middle() -> None:
    """Of a key that is wider than its panel both ends are shown."""
    picture = words(svg(metrics([("r", "begin" + "x" * 300 + "end", 0, 1.0)])))
    (title,) = (word for word in picture if "x" in word)
    assert title.startswith("begin")
    assert title.endswith("end")
    assert len(title) < 100


def test_many_keys_are_drawn_in_a_grid() -> None:
    """Panels are ordered in a grid; beyond sixty keys the picture stops and a warning says so."""
    for count in (5, 61):
        table = metrics([("r", f"key-{k}", i, 1.0 * i) for k in range(count) for i in range(2)])
        report = Report()
        titles = re.findall(r'x="(\S+)" y="(\S+)"[^>]*>(key-\d+)<', svg(table, report))
        assert len(titles) == min(count, 60)
        assert len({x for x, _, _ in titles}) == (2 if count == 5 else 3)
    (warning,) = report.warnings
    assert warning.startswith("the first 60 of 61 keys are drawn")


def test_chinese_names(capfd: pytest.CaptureFixture[str]) -> None:
    """Names in any script are text in .svg, and nothing about fonts is printed on stderr."""
    points = [(run, "准确率 $x$", i, 1.0 * i) for run in "ab" for i in range(4)]
    table = metrics(points)
    table.run_names = {"a": "手写数字", "b": "\u200fأرقام"}
    report = Report()
    picture = svg(table, report)
    assert {"准确率 $x$", "手写数字", "أرقام"} <= set(words(picture))
    assert report.warnings == []
    for extension in (".png", ".pdf"):
        draw_picture(table, extension, report)
    assert len(report.warnings) in {0, 1}
    assert capfd.readouterr() == ("", "")


def test_a_character_that_no_font_has() -> None:
    """A warning explains the boxes once; not in .svg, or where no name is drawn."""
    table = metrics([("r", "a\U0010abcd\U0010abcdb", 0, 1.0)])
    report = Report()
    draw_picture(table, ".png", report)
    (warning,) = report.warnings
    assert warning.startswith("no installed font has \U0010abcd, drawn as boxes")
    assert ".svg" in warning
    report = Report()
    svg(table, report)
    assert report.warnings == []
    many = metrics(runs_of(13))
    many.run_names = {f"run-{i}": "\U0010abcd" for i in range(13)}
    draw_picture(many, ".png", report)
    assert len(report.warnings) == 1


def test_plain_names_need_one_font() -> None:
    """What the font of matplotlib has is drawn with it on every machine."""
    styles = set(re.findall("font-family: ([^;]*);", svg(metrics(TWO))))
    assert styles == {"'DejaVu Sans', sans-serif"}


def test_a_font_that_is_not_there() -> None:
    """A family that cannot be read draws nothing."""
    assert find_missing("No Such Family", "ab") == "ab"


@needs_posix
def test_a_font_that_is_new(tmp_path: Path) -> None:
    """A font that was installed after matplotlib made its list is found, a broken one is not."""
    fonts = tmp_path / "data" / "fonts"
    fonts.mkdir(parents=True)
    environment = os.environ | {"XDG_DATA_HOME": str(fonts.parent), "MPLCONFIGDIR": str(tmp_path)}
    list_fonts = "import matplotlib.font_manager"
    subprocess.run([sys.executable, "-c", list_fonts], env=environment, check=True)
    make_font(fonts / "new.ttf", "\U0010abcd")
    (fonts / "broken.ttf").write_bytes(b"no font")
    choose = (
        "from swanlab_export.plot.fonts import choose_fonts\nprint(choose_fonts('a\U0010abcd'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", choose], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "(['DejaVu Sans', 'Invented'], '')\n"


def make_font(path: Path, character: str) -> None:
    """A font with one character."""
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "it"])
    builder.setupCharacterMap({ord(character): "it"})
    empty = TTGlyphPen(None).glyph()
    builder.setupGlyf({".notdef": empty, "it": empty})
    builder.setupHorizontalMetrics({".notdef": (500, 0), "it": (500, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Invented", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_equal_data_are_equal_bytes(kind: str) -> None:
    """Time and the user's own settings do not change a picture, and it does not change them."""
    mine = {"lines.linewidth": 9.0, "svg.hashsalt": "mine", "figure.facecolor": "red"}
    first = draw_picture(metrics(TWO), f".{kind}", Report())
    with mpl.rc_context(mine):  # type: ignore[arg-type]
        assert draw_picture(metrics(TWO), f".{kind}", Report()) == first
        assert mine.items() <= dict(mpl.rcParams).items()
    assert b"CreationDate" not in first
    assert b"dc:date" not in first


def test_a_long_line_is_downsampled() -> None:
    """Of a million points the picture has what it can show, extremes, ends and gaps among it."""
    values = np.sin(np.arange(1_000_000) / 1e5)
    values[123_456], values[654_321] = 50.0, -50.0
    values[400_000:500_000] = NAN
    batch = pa.record_batch(
        {
            "run_id": pa.array(["r"] * len(values)),
            "key": pa.array(["loss"] * len(values)),
            "step": pa.array(np.arange(len(values))),
            "value": pa.array(values),
        }
    )
    table = Table("metrics", batch.schema, [batch])
    plot = gather_plot(table, Report(), columns=2000, is_log_scale=False)
    (line,) = plot.panels[0].lines
    assert len(line.x) <= 8000
    assert (line.x[0], line.x[-1]) == (0, 999_999)
    assert (np.nanmin(line.y), np.nanmax(line.y)) == (-50.0, 50.0)
    gap = line.x[np.isnan(line.y)]
    assert (gap.min(), gap.max()) == pytest.approx((400_000, 499_999), abs=512)
    assert np.isnan(line.y[(line.x > gap.min()) & (line.x < gap.max())]).all()
    assert len(svg(table)) < 300_000


@given(
    values=st.lists(st.floats(allow_infinity=False), min_size=1, max_size=300),
    widths=st.lists(st.integers(0, 9), min_size=300, max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=5),
    columns=st.integers(1, 9),
)
def test_downsampling_in_parts_is_downsampling(
    values: list[float], widths: list[int], cuts: list[int], columns: int
) -> None:
    """However the points arrive, the same ones are left, extremes among them."""
    y = np.array(values)
    x = np.cumsum(np.array(widths[: len(y)], float))
    whole, parts = Trace(columns, is_log_scale=False), Trace(columns, is_log_scale=False)
    whole.add(x, y)
    for start, end in pairwise([0, *sorted(cuts), 300]):
        parts.add(x[start:end], y[start:end])
    for one, other in zip(whole.points(), parts.points(), strict=True):
        np.testing.assert_array_equal(one, other)
    left = whole.points()[1]
    assert len(left) <= 4 * (columns + 1)
    if not np.isnan(y).all():
        assert (np.nanmin(left), np.nanmax(left)) == (np.nanmin(y), np.nanmax(y))


@pytest.mark.parametrize("x", [np.zeros(5000), np.tile([0.0, 1.0, -1e308, 1e308, 5e-324], 1000)])
def test_a_line_without_direction(x: Any) -> None:
    """Where x goes back and forth a line is downsampled by equal shares; extremes are kept."""
    y = np.arange(5000.0)
    left_x, left_y = downsample(x, y, 10)
    assert len(left_x) <= 60
    assert (left_y.min(), left_y.max()) == (0.0, 4999.0)
    assert (left_x.min(), left_x.max()) == (x.min(), x.max())


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from("kl"), st.integers(), st.floats() | st.none()
        ).filter(lambda point: abs(point[2]) < 2**63),
        max_size=9,
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_whatever_can_be_logged_can_be_drawn(points: list[Point], is_log_scale: bool) -> None:
    """No numbers make a plot fail or warn."""
    svg(metrics(points), is_log_scale=is_log_scale)
    screen(metrics(points), is_coloured=True, is_log_scale=is_log_scale)


def test_only_points_can_be_drawn() -> None:
    """A table of something else, or in the wide layout, is refused."""
    batch = pa.record_batch({"run_id": ["a"], "step": [1], "loss": [0.5]})
    for name in ("runs", "metrics"):
        table = Table(name, batch.schema, [batch])
        with pytest.raises(UsageError, match="long layout"):
            draw_picture(table, ".png", Report())
        with pytest.raises(UsageError, match="long layout"):
            print_plot(table, io.StringIO(), Report())


def test_a_plot_without_its_axis_is_refused() -> None:
    """A table whose x axis was left out by --fields cannot be drawn; the message names it."""
    table = metrics(TWO).select(["run_id", "key", "value"])
    with pytest.raises(UsageError, match="run_id, key, step, value"):
        draw_picture(table, ".png", Report())
    with pytest.raises(UsageError, match="run_id, key, x, value"):
        print_plot(metrics(TWO, x_axis="time"), io.StringIO(), Report())


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
    ("library", "words"),
    [("matplotlib", ["--save", "x.png"]), ("plotext", ["--format", "plot"])],
)
def test_without_the_library_the_error_says_what_to_install(
    library: str, words: list[str], tmp_path: Path
) -> None:
    """Without the libraries that draw, the message says how to install them, and no file is left."""
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
    assert "pip install matplotlib" in done.stderr
    assert words[0] in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_picture_goes_into_a_pipe(tmp_path: Path) -> None:
    """A pipe is written to, and not replaced by a file."""
    if sys.platform == "win32":
        pytest.skip("Windows has no named pipes in folders")
    pipe = tmp_path / "loss.png"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    picture = draw_picture(metrics(TWO), ".png", Report())
    write_chunks([picture], parse_target(str(pipe), PICTURES))
    reader.join(10)
    assert got == [picture]
    assert pipe.is_fifo()


def test_pictures_from_python(api: se.Api[pa.Table], tmp_path: Path) -> None:
    """``save="loss.png"`` draws, on a logarithmic axis if asked to; what cannot be is refused first."""
    run = "ada-lab/digits/linear"
    plain = api.using(save=tmp_path / "plain.svg").run.metrics(run, keys="loss", all=True)
    log = api.using(save=tmp_path / "log.svg", log_scale=True).run.metrics(
        run, keys="loss", all=True
    )
    assert plain.read_bytes() != log.read_bytes()
    with pytest.raises(UsageError, match="log_scale="):
        api.using(save=tmp_path / "x.csv", log_scale=True)
    with pytest.raises(UsageError, match="layout='wide'"):
        api.using(save=tmp_path / "x.png").run.metrics("a/b/c", keys="x", layout="wide")
