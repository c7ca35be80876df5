"""Sampled points and statistics of scalar keys."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from flask import jsonify

from swanlab_export.sandbox.access import refuse, refuse_left_out
from swanlab_export.sandbox.generations import sampled_keys_max
from swanlab_export.sandbox.references import body_of, columns_of, data_run, number
from swanlab_export.sandbox.sampling import sample

if TYPE_CHECKING:
    from flask import Response

    from swanlab_export.sandbox.data import Data
    from swanlab_export.sandbox.dataset import Run
    from swanlab_export.sandbox.state import State

_SAMPLE_MAX = 1500
_AXES = ("step", "time")
_NEW_AXES = ("relative_time",)


def sampled_points(state: State) -> Response:
    """At most ``num`` points of each key; keys that the run lacks are left out."""
    body = body_of(state)
    columns = columns_of(body, sampled_keys_max(state.generation))
    count = body.get("num")
    if not isinstance(count, int) or not 1 <= count <= _SAMPLE_MAX:
        refuse(400, f"num must be 1 to {_SAMPLE_MAX}", "Bad_Request")
    is_old = state.generation == "2.8"
    axes = _AXES if is_old else _AXES + _NEW_AXES
    if body.get("xType", "step") not in axes or (is_old and body.get("xKey")):
        refuse(400, "invalid x axis", "Bad_Request")
    found = [_sample_of_key(state, body, column, count) for column in columns]
    # In another order than asked, and without the keys that are not there.
    response = [each for each in reversed(found) if each is not None]
    return jsonify(response or (None if state.faults.has("nulls") else []))


def _sample_of_key(state: State, body: dict[str, Any], ref: dict[str, Any], count: int) -> Any:
    run, key = data_run(state, ref, body["projectId"]), ref["key"]
    if run is None:
        return None
    refuse_left_out(state, run, "metrics", key)
    x_key, x_type, bounds = body.get("xKey"), body.get("xType"), body.get("range")
    asked = None if bounds in (None, [0, 0]) else (bounds[0], bounds[1])
    version = state.data.version([run])
    points = _compute_sample(state.data, version, run, key, count, x_key, x_type, asked)
    if points is not None and state.faults.has("no-timestamps"):
        points = [{"index": point["index"], "data": point["data"]} for point in points]
    elif points is not None and state.faults.has("seconds"):
        points = [point | {"timestamp": point["timestamp"] // 1000} for point in points]
    return None if points is None else {"key": key, "metrics": points}


@lru_cache(maxsize=128)
def _compute_sample(
    data: Data,
    version: Any,
    run: Run,
    key: str,
    count: int,
    x_key: str | None,
    x_type: str | None,
    bounds: tuple[float, float] | None,
) -> list[dict[str, Any]] | None:
    del version  # what was computed from another one is computed anew
    points = data.points(run, key)
    if points is None:
        return None
    values = as_numbers(points["value"])
    index = _index(data, run, points, x_key, x_type)
    kept = np.isfinite(values) & np.isfinite(index)
    if bounds is not None:
        kept &= (index >= bounds[0]) & (index <= bounds[1])
    places = np.flatnonzero(kept)
    if not len(places):
        return []
    places = places[sample(index[places].astype(float), values[places], count)]
    times = points["timestamp"].take(pa.array(places)).to_pylist()
    rows = zip(index[places].tolist(), values[places].tolist(), times, strict=True)
    return [
        {"index": x, "data": y} | ({} if time is None else {"timestamp": time})
        for x, y, time in rows
    ]


def as_numbers(values: pa.Array) -> Any:
    """Numbers as numpy has them; NaN where there is none."""
    return values.to_numpy(zero_copy_only=False)


def _index(
    data: Data, run: Run, points: dict[str, pa.Array], x_key: str | None, x_type: str | None
) -> Any:
    """Where the points lie on the x axis; NaN for a step that the column of the axis lacks."""
    steps, times = points["step"].to_numpy(), as_numbers(points["timestamp"])
    if x_key:
        other = data.points(run, x_key) or {"step": points["step"][:0], "value": steps[:0]}
        known = dict(zip(other["step"].to_pylist(), other["value"].tolist(), strict=True))
        return np.array([known.get(step, math.nan) for step in steps.tolist()])
    if x_type == "time":
        return times
    if x_type == "relative_time":
        return (times - times[0]) / 1000
    return steps


def statistics(state: State) -> Response:
    """Minimum, maximum, mean, median and latest value of each key."""
    body = body_of(state)
    axis = "timestamp" if body.get("xType") == "timestamp" else "step"
    response = []
    for ref in columns_of(body, sampled_keys_max(state.generation)):
        run = data_run(state, ref, body["projectId"])
        points = None if run is None else state.data.points(run, ref["key"])
        if points is None:
            continue
        found = statistics_of(points, axis, "INF")
        del found["std"]
        for name in ("avg", "median"):
            found[name] = {"index": found["latest"]["index"], "data": found[name]}
        response.append({"key": ref["key"], **found})
    return jsonify(response[::-1])


def statistics_of(points: dict[str, pa.Array], axis: str, infinity: str) -> dict[str, Any]:
    """Statistics over the finite values, and the latest value of all."""
    index, values = as_numbers(points[axis]), as_numbers(points["value"])
    finite = np.flatnonzero(np.isfinite(values))
    if not len(finite):
        low = high = len(values) - 1
        middle = mean = spread = math.nan
    else:
        low, high = finite[values[finite].argmin()], finite[values[finite].argmax()]
        chosen = values[finite]
        mean, middle, spread = float(chosen.mean()), float(np.median(chosen)), float(chosen.std())

    def at(position: Any) -> dict[str, Any]:
        value = number(values[position].item(), infinity)
        return {"index": index[position].item(), "data": value}

    return {
        "min": at(low),
        "max": at(high),
        "latest": at(-1),
        "avg": number(mean, infinity),
        "median": number(middle, infinity),
        "std": number(spread, infinity),
    }
