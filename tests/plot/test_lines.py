"""What a plot is of: panels and lines, gathered and downsampled from a table of metrics."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from points import grouped, line, metrics, runs_of

from swanlab_export import schemas
from swanlab_export.plot import PlotOptions
from swanlab_export.plot.downsample import Trace, downsample
from swanlab_export.plot.lines import Plot, gather_plot
from swanlab_export.report import Report
from swanlab_export.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAN, INF = float("nan"), float("inf")


def plot_of(table: Table, report: Report | None = None, **options: Any) -> Plot:
    """The plot of a table."""
    return gather_plot(table, report or Report(), PlotOptions.parse(**options), points=400_000)


def test_a_panel_per_key_and_a_line_per_run() -> None:
    """Keys and runs are in the order of the table; only runs that have a key have a line there."""
    plot = plot_of(metrics([*line([1, 2], "b"), *line([3, 4], "a"), *line([5], "a", "acc")]))
    found = {
        panel.key: {each.name: each.y.tolist() for each in panel.lines} for panel in plot.panels
    }
    assert found == {"loss": {"b": [1, 2], "a": [3, 4]}, "acc": {"a": [5]}}
    assert list(plot.labels) == ["b", "a"]


def test_runs_are_called_by_their_names() -> None:
    """The legend has the display names of runs, and their ids too where two names are equal."""
    table = metrics(
        [*line([1], "r1"), *line([1], "r2"), *line([1], "r3")],
        run_names={"r1": "base\u200f\x1b", "r2": "same", "r3": "same"},
    )
    assert plot_of(table).legend == ["base\\u001b", "same (r2)", "same (r3)"]


def test_the_only_run_is_the_title() -> None:
    """A plot of one run says which one it is, unless it has another title."""
    table = metrics(line([1, 2]), run_names={"r": "baseline"})
    assert plot_of(table).title == "baseline"
    assert plot_of(table, title="Figure 1").title == "Figure 1"
    assert plot_of(metrics(runs_of(2))).title == ""


@pytest.mark.parametrize("gap", [NAN, INF, -INF, None, 1e150])
def test_what_cannot_be_drawn_is_a_gap(gap: float | None) -> None:
    """NaN, infinite, missing and absurdly large values break a line."""
    (drawn,) = plot_of(metrics(line([1.0, gap, 2.0]))).panels[0].lines
    assert np.isnan(drawn.y).tolist() == [False, True, False]
    assert drawn.alone().tolist() == [0, 2]


def test_what_a_log_scale_cannot_show_is_told() -> None:
    """Zero and less are gaps on a log scale, with a warning that names the key."""
    report = Report()
    points = [*line([0.0, -1.0, 1.0, 10.0], "a"), *line([1.0, 1e101], "b"), *line([1e101], "c")]
    plot = plot_of(metrics(points), report, log_scale=True)
    assert np.isnan(plot.panels[0].lines[0].y).tolist() == [True, True, False, False]
    assert report.warnings == [
        "loss: values that are not positive, of 1 lines, are not shown on a logarithmic axis",
        "loss: values beyond 1e100, of 2 lines, are not shown",
    ]


def test_points_without_a_place_on_the_axis_are_counted() -> None:
    """Where x is missing or no calendar has it there is no point, and a warning says so."""
    for x, kept in (
        (pa.array([0.0, None, 2.0, NAN], schemas.FLOAT), [0, 2]),
        (pa.array([2**62, 1, -(2**62), 2], schemas.TIME), [1, 2]),
    ):
        report = Report()
        table = metrics(line([1, 2, 3, 4]), x=x, x_axis="epoch")
        assert plot_of(table, report).panels[0].lines[0].x.tolist() == kept
        assert report.warnings == ["2 points of loss have no epoch and are not in the plot"]


def test_no_points_are_panels_of_the_keys() -> None:
    """Without any points, the keys that were asked for are named."""
    assert [panel.key for panel in plot_of(metrics([], keys=["loss", "val/*"])).panels] == [
        "loss", "val/*"
    ]  # fmt: skip


def test_groups_are_lines_with_bands() -> None:
    """A table of groups has means with standard deviations, named by what they have in common."""
    batch = pa.record_batch(
        {
            "config.lr": pa.array([0.1, 0.1, None], pa.float64()),
            "config.opt": pa.array(["sgd"] * 3).dictionary_encode(),
            "key": ["loss"] * 3,
            "step": [0, 1, 0],
            "n": [2, 2, 1],
            "mean": [1.0, 2.0, 5.0],
            "std": pa.array([0.5, 0.25, None], pa.float64()),
            "n_nonfinite": [0, 0, 0],
        }
    )
    plot = plot_of(Table("metrics_by_group", batch.schema, [batch]))
    first, second = plot.panels[0].lines
    assert plot.legend == ["lr=0.1, opt=sgd", "lr=missing, opt=sgd"]
    assert first.std is not None
    assert (first.y.tolist(), first.std.tolist()) == ([1.0, 2.0], [0.5, 0.25])
    assert [each.tolist() for each in plot.panels[0].values()] == [[1.0, 2.0], [5.0]]
    band = first.band((0, 9))
    assert band is not None
    assert [each.tolist() for each in band] == [[0.5, 1.75], [1.5, 2.25]]
    assert second.band((0, 9)) is None


def test_the_runs_of_groups_are_behind_them() -> None:
    """Each run is a line of its own, and no name of the legend; limits and axes are theirs."""
    points = [*line([1.0, 2.0], "a"), *line([5.0, 4.0, 9.0], "b"), *line([2.0], "b", "acc")]
    groups = {"run_id": ["a", "b"], "config.lr": [0.1, 0.1]}
    plot = plot_of(grouped(points, groups, run_names={"a": "first", "b": "second"}))
    loss, acc = plot.panels
    assert [(each.name, each.y.tolist()) for each in loss.lines] == [("lr=0.1", [3.0, 3.0])]
    assert [(each.name, each.y.tolist()) for each in loss.behind] == [
        ("a", [1.0, 2.0]), ("b", [5.0, 4.0, 9.0])
    ]  # fmt: skip
    assert [each.name for each in acc.behind] == ["b"]
    assert plot.names == {"lr=0.1": "lr=0.1", "a": "first", "b": "second"}
    assert (list(plot.labels), plot.title) == (["lr=0.1"], "lr=0.1")
    assert [each.tolist() for each in loss.values()] == [[1.0, 2.0], [5.0, 4.0, 9.0]]
    assert loss.x_span() == (0, 2)


def test_a_run_that_is_a_group_is_one_line() -> None:
    """Nothing is behind it; the limits are those of its values."""
    groups = {"run_id": ["a", "b", "c"], "g": ["x", "y", "y"]}
    points = [*line([1.0, 2.0], "a"), *line([5.0, 4.0], "b"), *line([3.0, 4.0], "c")]
    (panel,) = plot_of(grouped(points, groups)).panels
    assert [each.name for each in panel.lines] == ["g=x", "g=y"]
    assert [each.name for each in panel.behind] == ["b", "c"]
    assert [each.tolist() for each in panel.values()] == [[1.0, 2.0], [5.0, 4.0], [3.0, 4.0]]


def test_lines_of_groups_leave_out_what_half_of_the_runs_lack() -> None:
    """Runs that log at other steps are no reason to go up and down, nor one that goes on alone."""
    early, late = [("a", "k", step, 1.0) for step in range(0, 40, 2)], []
    late += [("b", "k", step, 9.0) for step in range(0, 80, 4)]
    late += [("c", "k", 8, NAN), ("c", "k", 10, NAN), ("c", "k", 12, 9.0)]
    report = Report()
    groups = {"run_id": ["a", "b", "c", "d", "e"], "g": ["x", "x", "x", "y", "y"]}
    points = [*early, *late, ("d", "k", 0, 1.0), ("d", "k", 2, 1.0), ("e", "k", 1, 1.0)]
    (panel,) = plot_of(grouped([*points, ("e", "k", 3, 1.0)], groups), report).panels
    (found,) = panel.lines
    assert found.name == "g=x"
    assert found.x.tolist() == [0, 4, 8, 10, *range(12, 40, 4)], "NaN is a point, too"
    assert found.y[[0, 3, 4, -1]].tolist() == [5.0, 1.0, 19 / 3, 5.0]
    assert len(panel.behind) == 5
    (warning,) = report.warnings
    assert warning.startswith("k: lines of groups leave out where no more than half of their runs")
    assert warning.endswith("(g=x, g=y)")


def test_bands_are_around_what_is_drawn() -> None:
    """Of smoothed points that is the smoothed mean."""
    batch = pa.record_batch({"g": ["x"], "key": ["k"], "step": [0], "n": [2], "mean": [1.0],
                             "std": [0.5], "n_nonfinite": [0], "smoothed": [3.0]})  # fmt: skip
    (found,) = plot_of(Table("metrics_by_group", batch.schema, [batch])).panels[0].lines
    band = found.band((0, 9))
    assert band is not None
    assert [each.tolist() for each in band] == [[2.5], [3.5]]
    assert found.band((0, 2.9)) is None


def test_a_log_scale_has_gaps_in_the_runs_of_groups() -> None:
    """Values that are not positive are none of the runs' either."""
    groups = {"run_id": ["a", "b"], "g": ["x", "x"]}
    points = [*line([1.0, -2.0, 3.0], "a"), *line([1.0], "b")]
    run, _ = plot_of(grouped(points, groups), log_scale=True).panels[0].behind
    assert np.isnan(run.y).tolist() == [False, True, False]


def test_groups_are_coloured_by_what_their_runs_have() -> None:
    """A group whose runs have one value has it, too; others are several, and their runs have colours."""
    groups = {"run_id": [f"run-{i}" for i in range(5)], "g": ["x", "x", "y", "y", "z"]}
    values = {"run-0": 1, "run-1": 1, "run-2": 2, "run-3": 3, "run-4": None}
    plot = plot_of(grouped(runs_of(5), groups, run_values=values), color_by="config.lr")
    assert plot.legend == ["1", "2", "3", "missing", "several"]
    assert {name: plot.labels[name] for name in ("g=x", "g=y", "g=z")} == {
        "g=x": "1", "g=y": "several", "g=z": "missing"
    }  # fmt: skip
    assert plot.values == {"g=x": 1, "run-0": 1, "run-1": 1, "run-2": 2, "run-3": 3}


def test_smoothed_values_belong_to_their_points() -> None:
    """A column ``smoothed`` comes with the values."""
    table = metrics(line([1.0, 3.0]))
    (batch,) = table
    batch = batch.append_column("smoothed", pa.array([1.0, 2.0]))
    (drawn,) = plot_of(Table("metrics", batch.schema, [batch])).panels[0].lines
    assert drawn.smoothed is not None
    assert (drawn.y.tolist(), drawn.smoothed.tolist()) == ([1.0, 3.0], [1.0, 2.0])


def test_lines_are_coloured_by_a_column() -> None:
    """Runs of one value share a name in the legend, numbers in their order; missing ones are last."""
    values = {"run-0": 0.3, "run-1": None, "run-2": 0.1, "run-3": 0.3}
    plot = plot_of(metrics(runs_of(4), run_values=values), color_by="config.lr")
    assert plot.colour_by == "config.lr"
    assert plot.legend == ["0.1", "0.3", "missing"]
    assert plot.values == {"run-0": 0.3, "run-2": 0.1, "run-3": 0.3}
    words = {"run-0": "sgd", "run-1": "adam", "run-2": True, "run-3": "sgd"}
    plot = plot_of(metrics(runs_of(4), run_values=words), color_by="config.opt")
    assert (plot.legend, plot.values) == (["sgd", "adam", "True"], {})


def test_numbers_that_are_not_finite_have_a_name() -> None:
    """NaN and infinite numbers are after the others; a scale has numbers up to 1e100."""
    values = {"run-0": NAN, "run-1": 0.3, "run-2": INF, "run-3": 0.1, "run-4": None, "run-5": 1e308}
    plot = plot_of(metrics(runs_of(6), run_values=values), color_by="config.lr")
    assert plot.legend == ["0.1", "0.3", "1e+308", "not finite", "missing"]
    assert plot.values == {"run-1": 0.3, "run-3": 0.1, "run-5": 1e100}
    report = Report()
    values = {f"run-{i}": [NAN, -INF, None][i] if i < 3 else i * 0.1 for i in range(30)}
    plot = plot_of(metrics(runs_of(30), run_values=values), report, color_by="config.lr")
    assert plot.values == {name: values[name] for name in list(values)[3:]}
    assert report.warnings == [
        "config.lr, which gives the colours, is missing for 1 lines",
        "config.lr, which gives the colours, is not finite for 2 lines",
    ]


def test_more_lines_than_a_legend_can_name() -> None:
    """Twenty names are a legend; for more there is a hint, unless a scale shows their numbers."""
    report = Report()
    assert len(plot_of(metrics(runs_of(20)), report).legend) == 20
    assert report.hints == []
    assert plot_of(metrics(runs_of(21)), report).legend == []
    (hint,) = report.hints
    assert hint.startswith("21 lines are drawn without a legend; color_by='config.NAME' colours")
    numbers = {f"run-{i}": i for i in range(21)}
    plot_of(metrics(runs_of(21), run_values=numbers), report, color_by="config.seed")
    assert len(report.hints) == 1


def test_a_long_line_is_downsampled() -> None:
    """Of a million points the plot has what it can show, extremes, ends and gaps among it."""
    values = np.sin(np.arange(1_000_000) / 1e5)
    values[123_456], values[654_321] = 50.0, -50.0
    values[400_000:500_000] = NAN
    columns = {"run_id": ["r"] * len(values), "key": ["loss"] * len(values)}
    batch = pa.record_batch(columns | {"step": np.arange(len(values)), "value": values})
    (drawn,) = plot_of(Table("metrics", batch.schema, [batch])).panels[0].lines
    assert len(drawn.x) < 20_000
    assert (drawn.x[0], drawn.x[-1]) == (0, 999_999)
    assert (np.nanmin(drawn.y), np.nanmax(drawn.y)) == (-50.0, 50.0)
    gap = drawn.x[np.isnan(drawn.y)]
    assert (gap.min(), gap.max()) == pytest.approx((400_000, 499_999), abs=512)
    assert np.isnan(drawn.y[(drawn.x > gap.min()) & (drawn.x < gap.max())]).all()


def test_lines_do_not_depend_on_how_points_arrive() -> None:
    """Equal data are equal lines, whatever the batches are."""
    points = np.vstack([np.arange(50_000.0), np.random.default_rng(0).normal(size=50_000)])
    whole, parts = Trace(), Trace()
    whole.add(points)
    for start, end in pairwise([0, 1, 7000, 7001, 30_000, 50_000]):
        parts.add(points[:, start:end])
    np.testing.assert_array_equal(whole.points(), parts.points())
    assert whole.points().shape[1] < 20_000


KINDS = ["even", "still", "repeated", "back and forth", "tiny", "late", "ending"]


def places(kind: str, count: int) -> NDArray[np.float64]:
    """Axes of many kinds."""
    steps = np.random.default_rng(count).integers(0, 3, count)
    found: dict[str, Any] = {
        "even": np.arange(count) * 1.0,
        "still": np.zeros(count),
        "repeated": np.cumsum(steps) * 1.0,
        "back and forth": np.tile([0.0, 1.0, -1e300, 1e300], count)[:count],
        "tiny": np.cumsum(steps) * 5e-324,
        "late": np.r_[np.zeros(count - 1), 1.0],
        "ending": np.minimum(np.arange(count) * 1.0, count // 2),
    }
    return np.asarray(found[kind], np.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_downsampling_keeps_ends_extremes_and_gaps(kind: str) -> None:
    """On every axis the ends, the lowest and the highest value are left, a gap, and few others."""
    random = np.random.default_rng(0)
    for gaps in (0.0, 0.002, 0.9, 1.0) * 25:
        y = random.normal(size=int(random.integers(1, 2000)))
        y[random.random(len(y)) < gaps] = NAN
        points = np.vstack([places(kind, len(y)), y])
        bins = int(random.integers(2, 200))
        left = downsample(points, bins)
        assert left.shape[1] <= 6 * bins + 2
        np.testing.assert_array_equal(left[:, [0, -1]], points[:, [0, -1]])
        assert np.isnan(left[1]).any() == np.isnan(y).any()
        if not np.isnan(y).all():
            assert (np.nanmin(left[1]), np.nanmax(left[1])) == (np.nanmin(y), np.nanmax(y))
