"""Plots of metrics: a panel per key and a line per run, as a picture or in the terminal.

The libraries that draw are in the extra ``plot``, and imported only here.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from swanlab_export.errors import UsageError, argument
from swanlab_export.writers.publish import publish
from swanlab_export.writers.saved import Saved
from swanlab_export.writers.terminal import neutralise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swanlab_export.tables import Table
    from swanlab_export.writers.formats import Target

_PANEL_INCHES = (8.0, 3.2)
_LEGEND_MAX = 12
_NEEDED = "needs the drawing libraries: pip install 'swanlab-export[plot]'"


def write_plot(table: Table, target: Target, *, is_log_scale: bool = False) -> Saved:
    """Save a plot of the metrics table (long), one panel per key; a gap where a value is NaN.

    Raises:
        UsageError: The table is not a long metrics table, or matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(f"{argument('save')} of a plot {_NEEDED}") from None
    points = _points(table)
    panels = list(_panels(points))
    labels = _labels(table)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width, height * max(1, len(panels))), layout="constrained")
    axes = figure.subplots(max(1, len(panels)), 1, squeeze=False)[:, 0]
    for (key, lines), axis in zip(panels, axes, strict=False):
        for run_id, x, y in lines:
            axis.plot(
                x,
                y,
                label=_plain(labels.get(run_id, run_id)),
                linewidth=1.0,
                marker="." if len(x) < 30 else "",
            )
        axis.set_ylabel(_plain(key))
        axis.set_xlabel(_plain(_x_name(table)))
        axis.grid(alpha=0.3)
        if is_log_scale:
            axis.set_yscale("log")
        if 1 < len(lines) <= _LEGEND_MAX:
            axis.legend(fontsize="small")
    if not panels:
        axes[0].text(0.5, 0.5, "no points", ha="center")
    with publish(target.path) as part:
        figure.savefig(part, format=target.path.suffix[1:].lower(), dpi=120)
        size_bytes = part.stat().st_size
    return Saved(target.path, points.num_rows, len(table.schema), size_bytes)


def print_plot(table: Table, stream: IO[str], *, is_log_scale: bool = False) -> None:
    """Draw a quick look at the metrics table (long) in the terminal."""
    try:
        import plotext
    except ImportError:
        raise UsageError(f"{argument('format')} plot {_NEEDED}") from None
    points = _points(table)
    labels = _labels(table)
    for key, lines in _panels(points):
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plot_size(min(120, _terminal_width()), 18)
        plotext.title(neutralise(key))
        plotext.xlabel(neutralise(_x_name(table)))
        for run_id, x, y in lines:
            is_shown = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not is_log_scale))
            if is_shown.any():
                label = neutralise(labels.get(run_id, run_id)) if len(lines) > 1 else None
                plotext.plot(x[is_shown].tolist(), y[is_shown].tolist(), label=label)
        if is_log_scale:
            plotext.yscale("log")
        stream.write(plotext.uncolorize(plotext.build()) + "\n")
    if points.num_rows == 0:
        stream.write("no points\n")


def _points(table: Table) -> pa.Table:
    if table.name != "metrics" or not {"run_id", "key", "value"} <= set(table.schema.names):
        raise UsageError("a plot needs the long layout with run_id, key and value")
    return table.to_arrow()


def _labels(table: Table) -> dict[str, str]:
    """Name runs as people do; where two have one name, by their ids as well."""
    counts = Counter(table.names.values())
    return {
        run_id: name if counts[name] == 1 else f"{name} ({run_id})"
        for run_id, name in table.names.items()
    }


def _panels(points: pa.Table) -> Iterator[tuple[str, list[tuple[str, Any, Any]]]]:
    """Yield each key with its lines: run, x and y."""
    axis = "x" if "x" in points.schema.names else "step"
    names = {name: points[name].cast(pa.string()) for name in ("key", "run_id")}
    for key in pc.unique(names["key"]).to_pylist():
        of_key = pc.equal(names["key"], key)
        lines = []
        for run_id in pc.unique(names["run_id"].filter(of_key)).to_pylist():
            line = points.filter(pc.and_(of_key, pc.equal(names["run_id"], run_id)))
            lines.append((run_id, _numbers(line[axis]), _numbers(line["value"])))
        yield key, lines


def _numbers(column: pa.ChunkedArray) -> Any:
    """Numbers to draw: what is missing or infinite is a gap."""
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.int64()).cast(pa.float64()), 1000.0)
    found = column.cast(pa.float64()).to_numpy().astype(float)
    return np.where(np.isfinite(found), found, np.nan)


def _x_name(table: Table) -> str:
    options = table.source.get("options", {})
    return str(options.get("x_axis", "step"))


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollars as formulas."""
    return text.replace("$", r"\$")


def _terminal_width() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 100
