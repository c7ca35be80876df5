"""Axes of plots: limits, ticks and their labels, in pictures and in the terminal alike."""

from __future__ import annotations

import numpy as np
import pytest
from points import grouped, line, metrics

from swanlab_export.plot import PlotOptions
from swanlab_export.plot.axes import Axis, find_limits, show_limits, x_axis, y_axis
from swanlab_export.plot.lines import Line, Panel, gather_plot
from swanlab_export.report import Report

NOON_MS = 1_767_614_400_000.0  # 2026-01-05 12:00 UTC
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("kind", "span", "expected"),
    [
        ("integer", (0, 2), "0 1 2"),
        ("integer", (0, 1_000_000), "0 200,000 400,000 600,000 800,000 1,000,000"),
        ("integer", (0, 10**18), "0 2e+17 4e+17 6e+17 8e+17 1e+18"),
        ("number", (-1, 1), "-1 -0.5 0 0.5 1"),
        ("number", (0.2, 0.4), "0.2 0.25 0.3 0.35 0.4"),
        ("number", (20_000, 20_001.0), "20,000 20,000.2 20,000.4 20,000.6 20,000.8 20,001"),
        ("number", (0, 3e-7), "0 1e-07 2e-07 3e-07"),
        ("number", (1e99, 2e99), "1e+99 1.2e+99 1.4e+99 1.6e+99 1.8e+99 2e+99"),
        ("log", (0.001, 100_000), "0.001 0.1 10 1,000 100,000"),
        ("log", (0.08, 1.1), "0.1 0.2 0.5 1"),
        ("log", (0.35, 0.85), "0.4 0.5 0.6 0.7 0.8"),
        ("log", (13.5, 133.7), "25 50 75 100 125"),
        ("log", (1e-100, 1e100), "1e-100 1e-50 1 1e+50 1e+100"),
    ],
)
def test_labels_are_short_and_distinct(kind: str, span: tuple[float, float], expected: str) -> None:
    """Numbers have separators of thousands and no more digits than needed; no zero is negative."""
    _, labels, _ = Axis(span, kind).ticks(5)
    assert labels == expected.split()


@pytest.mark.parametrize(
    ("last_ms", "labels", "common"),
    [
        (400, {"00.1", "00.2"}, "2026-Jan-05 12:00"),
        (40_000, {"10", "20"}, "2026-Jan-05 12:00"),
        (600_000, {"12:05", "12:10"}, "2026-Jan-05"),
        (36 * HOUR_MS, {"Jan-06", "12:00"}, "2026-Jan-0"),
        (60 * 24 * HOUR_MS, {"Feb"}, "2026"),
    ],
)
def test_times_are_dates(last_ms: float, labels: set[str], common: str) -> None:
    """Times are clocks and dates at round places; what they have in common is said once."""
    ticks, found, rest = Axis((NOON_MS, NOON_MS + last_ms), "time").ticks(6)
    assert labels <= set(found)
    assert common in rest
    assert all(NOON_MS - 1 <= tick <= NOON_MS + last_ms + 1 for tick in ticks)


def test_the_axis_goes_on_to_the_last_step() -> None:
    """A run that diverged at step 88 of 440 is shown to have gone on; steps are integers."""
    table = metrics(line([1.0 * i if i < 88 else float("nan") for i in range(440)]))
    (panel,) = gather_plot(table, Report(), PlotOptions(), points=9999).panels
    span = panel.x_span()
    assert span is not None
    assert span == (0, 439)
    assert x_axis(span, panel, is_time=False).kind == "integer"
    assert x_axis((5.0, 5.0), panel, is_time=False).span == (4, 6)


@pytest.mark.parametrize("is_log_scale", [False, True])
@pytest.mark.parametrize("span", [(1e-100, 1e100), (5.0, 5.0), (1e-100, 1e-100)])
def test_every_span_has_an_axis(span: tuple[float, float], is_log_scale: bool) -> None:
    """The largest, the smallest and single values are within the axis, and it has no odd ends."""
    axis = y_axis(span, is_log_scale=is_log_scale)
    assert axis.span[0] < span[0] <= span[1] < axis.span[1]
    assert len(axis.ticks(5)[0]) >= 1
    assert np.isfinite(axis.positions(axis.span)).all()


def test_one_diverged_run_does_not_flatten_the_others() -> None:
    """Limits are those of the other runs; a warning names the run and what it reached."""
    points = [p for r in range(11) for p in line([2.0 + r / 9, 1.0, 0.5], f"run-{r}")]
    points += line([2.0, 1e9, 1e30], "gone")
    report = Report()
    plot = gather_plot(metrics(points), report, PlotOptions(), points=9999)
    (panel,) = plot.panels
    limits = show_limits(panel, plot.names, report, is_log_scale=False)
    assert limits == pytest.approx((0.5, 2.0 + 10 / 9))
    (warning,) = report.warnings
    assert warning.startswith("loss: values from 0.5 to 1e+30 would flatten the other lines")
    assert "(gone); log_scale=True shows all values above 0 and up to 1e100" in warning
    everything = show_limits(panel, plot.names, report, is_log_scale=True)
    assert everything == (0.5, 1e30)


def test_one_diverged_run_does_not_flatten_groups() -> None:
    """Limits and warning are of what the runs have, and not of the ends of a band that no run has."""
    points = [p for r in range(5) for p in line([2.0, 1.0 + r / 9, 0.5], f"run-{r}")]
    points += line([2.0, 1e9, 1e30], "gone")
    groups = {"run_id": [f"run-{r}" for r in range(5)] + ["gone"], "g": ["x"] * 3 + ["y"] * 3}
    report = Report()
    plot = gather_plot(grouped(points, groups), report, PlotOptions(), points=9999)
    (panel,) = plot.panels
    limits = show_limits(panel, plot.names, report, is_log_scale=False)
    assert limits == pytest.approx((0.5, 2.0))
    (warning,) = report.warnings
    assert warning.startswith("loss: values from 0.5 to 1e+30 would flatten the other lines")
    assert "(g=y, gone)" in warning
    band = panel.lines[1].band((0.5, 2.0))
    assert band is not None
    assert np.isnan(band[1]).tolist() == [False, True, True], "beyond the axis there is no band"


def test_bands_have_room_but_do_not_flatten_lines() -> None:
    """An axis has room for bands, up to half of what the values need; lower ends may be negative."""
    x, y = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    for std, linear, logarithmic in (
        (0.25, (0.75, 2.25), (1.0, 2.25)),
        (50.0, (0.5, 2.5), (1.0, 52.0)),
    ):
        group = Line("g", x, y, std=np.array([0.25, std]))
        panel = Panel("loss", [group], [Line("a", x, y)])
        assert show_limits(panel, {}, Report(), is_log_scale=False) == linear
        assert show_limits(panel, {}, Report(), is_log_scale=True) == logarithmic


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[2.3, 0.5, 0.1, 0.05]], (0.05, 2.3)),  # a loss begins high
        ([[0.1] * 9, [5.0] * 9], (0.1, 5.0)),  # one of two runs is no outlier
        ([[0.0] * 9] * 3 + [[1.0] * 9], (0.0, 1.0)),  # nor is one where the others are constant
        ([[*np.linspace(1, 2, 999), 1e6]], (1.0, 2.0)),  # one point of a thousand is
        ([[*np.linspace(1, 2, 999), -1e6]] * 4, (1.0, 2.0)),
        ([[3.0]], (3.0, 3.0)),
        ([[2.3, 0.1], [2.4, 0.2], [2.3, 1e36]], (0.1, 2.4)),  # one of three runs diverged
        ([[2.3, 0.1], [2.4, 0.2], [2.3, 99.0]], (0.1, 2.4)),
        ([[2.3, 0.1], [2.3], [2.3, -1e36]], (0.1, 2.3)),  # another one has ended at once
        ([[2.3, 0.1], [2.3, 1e36]], (0.1, 2.3)),  # one of two
        ([[2.3, 0.1], [3e3, 1e36]], (0.1, 2.3)),
        ([[2.3, 0.1], [2.3, -1e36]], (0.1, 2.3)),
        ([[2.3, 0.1], [9e3, 1e5]], (0.1, 1e5)),  # two that differ
        ([[0.0, 0.0], [0.0, 1.0]], (0.0, 1.0)),  # nor beside one that is constant
    ],
)
def test_what_is_an_outlier(values: list[list[float]], expected: tuple[float, float]) -> None:
    """Few points, or a minority of the lines, that would take five sixths of the axis."""
    assert find_limits([np.array(each) for each in values]) == pytest.approx(expected, abs=0.01)
