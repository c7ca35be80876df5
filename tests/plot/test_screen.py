"""Plots in the terminal: frame, lines, legend and the text around them."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from points import Point, grouped, line, metrics, runs_of
from rich.cells import cell_len

from swanlab_export import schemas
from swanlab_export.plot import PlotOptions, draw_picture, print_plot
from swanlab_export.report import Report

if TYPE_CHECKING:
    from swanlab_export.tables import Table

NAN = float("nan")


def screen(
    table: Table, report: Report | None = None, *, is_coloured: bool = False, **options: Any
) -> str:
    """What is drawn in the terminal, or without colours into a file."""
    stream = io.StringIO()
    plot = PlotOptions.parse(**options)
    print_plot(table, stream, report or Report(), plot, is_coloured=is_coloured)
    return stream.getvalue()


def test_a_look_in_the_terminal() -> None:
    """A panel per key with its name and its runs, without colour codes or what a terminal obeys."""
    drawn = screen(metrics([*runs_of(2), *line([1.0], key="a\x1b[2J$", run="run-0")]))
    for word in ("loss", "a\\u001b[2J$", "step", "run-0", "run-1", "└", "┤"):
        assert word in drawn
    assert "\x1b" not in drawn
    assert "loss · baseline" in screen(metrics(line([1.0, 2.0]), run_names={"r": "baseline"}))


def test_gaps_are_holes() -> None:
    """Where values are NaN there is a hole in the line, as wide as they are; single points fill cells."""
    values = [NAN if 40 <= i < 60 else float(i % 2) for i in range(100)]
    drawn = screen(metrics(line(values)))
    rows = [re.split("[│┤]", row)[1] for row in drawn.splitlines() if row.endswith("│")]
    columns = ["".join(column).strip() for column in zip(*rows, strict=True)]
    holes = [i / len(columns) for i, column in enumerate(columns) if not column and 5 < i < 85]
    assert (holes[0], holes[-1]) == pytest.approx((0.4, 0.6), abs=0.03)
    assert screen(metrics(line([1.0, NAN, 2.0, NAN, 3.0]))).count("⣿") == 3


def test_runs_are_distinguished_by_markers() -> None:
    """Without colours each run has a marker of its own, and the legend maps them."""
    frame, legend = screen(metrics(runs_of(3))).rsplit("step", 1)
    assert legend.split() == ["*", "run-0", "+", "run-1", "o", "run-2"]
    assert all(frame.count(marker) > 10 for marker in "*+o")


def test_runs_are_distinguished_by_colours() -> None:
    """Where colours are wanted, eight runs have one each, and twenty a marker besides."""
    frame, legend = screen(metrics(runs_of(20)), is_coloured=True).rsplit("step", 1)
    named = re.findall(r"\x1b\[38;5;(\d+)m(\S+)\x1b\[0m (run-\d+)", legend)
    assert [name for _, _, name in named] == [f"run-{i}" for i in range(20)]
    assert len({(colour, pen) for colour, pen, _ in named}) == 20
    assert {pen for _, pen, _ in named[:8]} == {"──"}
    assert {colour for colour, _, _ in named} <= set(re.findall(r"\x1b\[38;5;(\d+)m", frame))


def test_runs_are_coloured_by_a_column() -> None:
    """The legend names the column and its values, in their order."""
    table = metrics(runs_of(3), run_values={"run-0": 0.3, "run-1": 0.1, "run-2": 0.3})
    legend = screen(table, color_by="config.lr").rsplit("step", 1)[1]
    assert legend.split() == ["config.lr:", "*", "0.1", "+", "0.3"]


def test_groups_are_their_means() -> None:
    """Said above the panel; the runs are not drawn, but one that diverged does not flatten the others."""
    points = [p for r in range(5) for p in line([2.0, 1.5, 1.0], f"r{r}")]
    points += line([2.0, 1e9, 1e30], "gone")
    groups = {"run_id": [f"r{r}" for r in range(5)] + ["gone"], "g": ["x"] * 3 + ["y"] * 3}
    values = dict(zip(groups["run_id"], [0.3] * 3 + [0.1] * 3, strict=True))
    report = Report()
    drawn = screen(grouped(points, groups, run_values=values), report, color_by="config.lr")
    assert drawn.splitlines()[0].strip() == "mean of loss"
    assert drawn.rsplit("step", 1)[1].split() == ["config.lr:", "*", "0.1", "+", "0.3"]
    assert {"1", "2"} <= set(re.findall(r"\S+(?=┤)", drawn))
    assert "(g=y, gone)" in report.warnings[0]


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """In GBK, frame, lines and legend are drawn in ASCII, and Chinese names keep the frame."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "gbk", newline="")
    print_plot(metrics(line([float(i) for i in range(9)], key="准确率")), stream, Report())
    stream.flush()
    title, *frame = raw.getvalue().splitlines()
    assert "准确率" in title.decode("gbk")
    assert {row[-1:] for row in frame[:-3]} <= {b"+", b"|"}
    assert len({len(row) for row in frame[:-3]}) == 1
    assert all(row.isascii() for row in frame)


def test_wide_characters_keep_the_frame() -> None:
    """Chinese names take two cells each: no line is wider for them, and long legends are broken."""
    points = [(f"r{r}", "准确率" * 30, i, i * (r + 1.0)) for r in range(5) for i in range(4)]
    names = {f"r{r}": f"手写数字识别实验-{r}" * 9 for r in range(5)}
    drawn = screen(metrics(points, run_names=names)).splitlines()
    assert max(map(cell_len, drawn)) <= 100
    assert len({len(row) for row in drawn if row.endswith(("│", "┐", "┘"))}) == 1
    assert sum("手写" in row for row in drawn) == 3
    assert "…" in drawn[0]


def test_terminals_of_any_width() -> None:
    """A plot fills the terminal, from 40 cells to 120."""
    for columns, cells in [(10, 40), (77, 77), (500, 120)]:
        stream = io.StringIO()
        print_plot(metrics(runs_of(1)), stream, Report(), width=columns)
        assert max(map(len, stream.getvalue().splitlines())) == cells


def test_ticks_are_those_of_pictures() -> None:
    """Thousands, powers of ten and times are written as in pictures; the day is beside the axis."""
    steps = [("r", "loss", i * 100_000, 10.0**i) for i in range(6)]
    drawn = screen(metrics(steps), log_scale=True)
    assert {"200,000", "400,000"} <= set(drawn.split())
    assert {"1", "100", "10,000"} <= set(re.findall(r"\S+(?=┤)", drawn))
    times = pa.array([1_767_600_000_000 + i * 90_000 for i in range(9)], schemas.TIME)
    drawn = screen(metrics(line([1.0] * 9), x=times, x_axis="time"))
    assert "08:05" in drawn
    assert drawn.splitlines()[-1].strip() == "time (UTC), 2026-Jan-05"


def test_panels_without_a_line_say_why() -> None:
    """No points, only gaps, and nothing that a logarithmic axis shows."""
    assert screen(metrics([], keys=["loss", "acc"])).split() == ["loss", "·", "no", "points", "acc",
                                                                "·", "no", "points"]  # fmt: skip
    gaps = screen(metrics(line([NAN] * 300)))
    assert "no finite values" in gaps
    assert "200" in gaps.split()
    assert "┤" not in gaps
    assert "no positive values" in screen(metrics(line([-1.0] * 9)), log_scale=True)


def test_what_is_beyond_the_axis_is_at_its_edge() -> None:
    """A run that diverged stays at the top, and a warning names it."""
    points = [p for r in range(3) for p in line([2.0, 1.5, 1.0], f"r{r}")]
    report = Report()
    drawn = screen(metrics([*points, *line([2.0, 1e9, 1e30], "gone")]), report)
    assert "2" in re.findall(r"\S+(?=┤)", drawn)
    assert drawn.splitlines()[2].count("x") > 20
    assert "(gone)" in report.warnings[0]


def test_many_noisy_lines_are_downsampled() -> None:
    """All that 130 lines of a thousand points cost is what a terminal can show of them."""
    values = np.random.default_rng(0).normal(size=(130, 1000))
    drawn: list[int] = []

    def count(lines: list[Any]) -> None:
        drawn.extend(len(each.x) for each in lines)

    count(panel_lines(values))
    assert len(drawn) == 130
    assert sum(drawn) < 15_000


def panel_lines(values: Any) -> list[Any]:
    """The lines that the terminal draws."""
    from swanlab_export.plot import screen as terminal
    from swanlab_export.plot.lines import gather_plot

    points = [p for r, row in enumerate(values) for p in line(row.tolist(), f"r{r}")]
    plot = gather_plot(metrics(points), Report(), PlotOptions(), points=terminal.POINTS)
    return plot.panels[0].lines


@given(
    points=st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from("kl"),
            st.integers(-(2**63), 2**63 - 1),
            st.floats() | st.none(),
        ),
        max_size=9,
    ),
    is_log_scale=st.booleans(),
)
@settings(deadline=None, max_examples=8)
def test_whatever_can_be_logged_can_be_drawn(points: list[Point], is_log_scale: bool) -> None:
    """No numbers make a plot fail or warn, in the terminal or as a picture."""
    screen(metrics(points), is_coloured=True, log_scale=is_log_scale)
    draw_picture(metrics(points), ".svg", Report(), PlotOptions(log_scale=is_log_scale))


EXTREMES = [1.7976931348623157e308, -1e308, 5e-324, 1e-310, -0.0, 0.0, 1e90, 1.0]


@pytest.mark.parametrize("log_scale", [False, True])
@pytest.mark.parametrize("kind", ["terminal", "picture"])
def test_the_largest_and_smallest_numbers(kind: str, log_scale: bool) -> None:
    """Numbers at the ends of what a float holds are drawn, or left out, on both axes."""
    plot = PlotOptions(log_scale=log_scale)

    def draw(table: Table) -> None:
        if kind == "terminal":
            print_plot(table, io.StringIO(), Report(), plot)
        else:
            draw_picture(table, ".png", Report(), plot)

    for values in (EXTREMES, EXTREMES[:1], EXTREMES[2:4], EXTREMES[4:6]):
        draw(metrics(line(values)))
        draw(metrics(line(values), x=pa.array(values, schemas.FLOAT), x_axis="huge"))
