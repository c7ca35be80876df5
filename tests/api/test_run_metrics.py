"""``run metrics``: every option, against the recorded files read by other means."""

from __future__ import annotations

import math
import ntpath
import os
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from recorded import recorded_run

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from swanlab_export.sandbox import Sandbox

pytestmark = pytest.mark.core

RUN = "ada-lab/digits/mlp-adam"
SMALL = [
    {"path": "ada-lab/digits/mlp-adam", "key": "loss"},
    {"path": "ada-lab/digits/diverged", "key": "loss"},
]


def recorded(path: str, key: str) -> list[dict[str, Any]]:
    """The points of a key as the sample data hold them, step by step."""
    return sorted(recorded_run(path).points(key), key=lambda row: int(row["step"]))


def logins(server: Sandbox) -> int:
    """How many connections have asked anything: each logs in first.

    Other requests can be late ones of a download that an earlier test gave up.
    """
    return sum(record.path.endswith("/login/api_key") for record in server.requests)


def same(left: float, right: float) -> bool:
    """Equal, where NaN equals NaN."""
    return left == right or (math.isnan(left) and math.isnan(right))


def steps(table: pa.Table) -> list[int]:
    """The steps of a table."""
    found: list[int] = table["step"].to_pylist()
    return found


@pytest.mark.parametrize("which", SMALL, ids=lambda which: which["path"])
def test_full_exports_equal_the_recorded_points(api: Any, which: dict[str, str]) -> None:
    """Every recorded point comes once, with its value bit for bit, NaN and infinities among them."""
    expected = recorded(**which)
    table = api.run.metrics(which["path"], keys=which["key"], all=True)
    assert table.column_names == ["run_id", "key", "step", "value", "timestamp", "run_name"]
    assert table.schema.field("timestamp").type == pa.timestamp("ms", tz="UTC")
    assert steps(table) == [row["step"] for row in expected]
    pairs = zip(table["value"].to_pylist(), expected, strict=True)
    assert all(same(value, row["value"]) for value, row in pairs)


def test_sampling_keeps_to_the_number_asked_for(api: Any) -> None:
    """A sample has at most as many points as asked for, all of them recorded ones."""
    table = api.run.metrics("ada-lab/digits/mlp-long", keys="loss", sample=100)
    by_step = {row["step"]: row["value"] for row in recorded("ada-lab/digits/mlp-long", "loss")}
    assert 50 <= table.num_rows <= 100
    for step, value in zip(steps(table), table["value"].to_pylist(), strict=True):
        assert by_step[step] == value


def test_a_sample_beyond_the_servers_limit_is_capped(api: Any, server: Sandbox) -> None:
    """1,500 points are asked for at most, and a hint names the argument for all."""
    with pytest.warns(UserWarning, match="all=True fetches every point"):
        table = api.run.metrics("ada-lab/digits/mlp-long", keys="loss", sample=9_999)
    assert table.num_rows <= 1_500
    bodies = [r.body for r in server.requests if r.path.endswith("/metrics/scalar")]
    assert [body["num"] for body in bodies] == [1_500]


RANGES: list[tuple[dict[str, Any], range]] = [
    ({"range_start": 10, "range_end": 20}, range(10, 21)),
    ({"range_type": "step", "range_start": 870}, range(870, 880)),
    ({"range_head": 7}, range(7)),
    ({"range_tail": 7}, range(873, 880)),
    ({"range_start": 100, "range_head": 3}, range(100, 103)),
    ({"range_end": 100, "range_tail": 3}, range(98, 101)),
]


@pytest.mark.parametrize(("options", "expected"), RANGES, ids=str)
def test_ranges_of_steps(api: Any, options: dict[str, Any], expected: range) -> None:
    """Bounds are inclusive; head and tail count within them."""
    all_steps = [row["step"] for row in recorded(RUN, "loss")]
    first = all_steps[0]
    shifted = {k: v + first if k in {"range_start", "range_end"} else v for k, v in options.items()}
    table = api.run.metrics(RUN, keys="loss", **shifted)
    assert steps(table) == [step + first for step in expected]


def test_a_range_of_times(api: Any) -> None:
    """Timestamps are Unix milliseconds, inclusive."""
    points = recorded(RUN, "loss")
    times = api.run.metrics(RUN, keys="loss", all=True)["timestamp"].cast(pa.int64()).to_pylist()
    table = api.run.metrics(
        RUN, keys="loss", range_type="timestamp", range_start=times[3], range_end=times[6]
    )
    assert steps(table) == [row["step"] for row in points[3:7]]


def test_a_range_of_datetimes(api: Any) -> None:
    """Bounds may be times, which are read as UTC where they name no zone."""
    times = api.run.metrics(RUN, keys="loss", all=True)["timestamp"].to_pylist()
    naive = times[3].replace(tzinfo=None)
    other_zone = times[6].astimezone(timezone(timedelta(hours=8)))
    table = api.run.metrics(RUN, keys="loss", range_start=naive, range_end=other_zone)
    assert table["timestamp"].to_pylist() == times[3:7]


def test_the_last_milliseconds(api: Any) -> None:
    """``range_last`` counts back from now: of a run of long ago none is there, and a hint says when."""
    times = api.run.metrics(RUN, keys="loss", all=True)["timestamp"].to_pylist()
    first, last = (time.strftime("%Y-%m-%dT%H:%M:%S") for time in (min(times), max(times)))
    with pytest.warns(UserWarning, match=rf"'loss' has times from {first}\.\d+Z to {last}\.\d+Z"):
        assert api.run.metrics(RUN, keys="loss", range_last=1000).num_rows == 0


def _ends(key: str) -> str:
    found = [row["step"] for row in recorded(RUN, key)]
    return f"'{key}' has steps from {found[0]} to {found[-1]}"


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize(
    ("keys", "bound"),
    [
        (["loss", "val/acc"], {"range_start": 1_000_000, "range_tail": 3}),
        (["val/acc"], {"range_end": 10, "range_head": 2}),
    ],
    ids=["after", "before"],
)
def test_an_empty_range_of_steps_says_which_there_is(
    api: Any, keys: list[str], bound: dict[str, int], layout: str
) -> None:
    """Where no key has a point in the range, a warning says which steps each has."""
    known = "; ".join(map(_ends, keys))
    with pytest.warns(UserWarning, match=f"no point is in the range: {known}$"):
        table = api.run.metrics(RUN, keys=keys, layout=layout, **bound)
    assert table.num_rows == 0


def test_an_empty_range_is_never_silent(call: Callable[..., Result]) -> None:
    """``--quiet`` leaves out hints, but not why there is no row."""
    words = (
        "run",
        "metrics",
        RUN,
        "--keys",
        "loss",
        "--range-type",
        "step",
        "--range-start",
        "9999",
    )
    done = call(*words, "--quiet")
    # In one text, since click before 8.2 does not keep them apart.
    table, warning = done.output.splitlines()
    assert (done.exit_code, table) == (0, "[]")
    assert warning == f"warning: no point is in the range: {_ends('loss')}"


def test_an_empty_range_of_an_x_axis_says_which_there_is(api: Any) -> None:
    """On another key, the warning has the values of that key."""
    xs = api.run.metrics(RUN, keys="loss", x_axis="epoch", all=True)["x"].drop_null().to_pylist()
    known = f"'loss' has values of the x axis from {min(xs):g} to {max(xs):g}"
    with pytest.warns(UserWarning, match=known):
        api.run.metrics(RUN, keys="loss", x_axis="epoch", range_type="custom", range_start=1e9)


def test_a_range_where_only_some_keys_have_points_needs_no_word(api: Any) -> None:
    """A table with a row is no empty range: it says nothing more."""
    table = api.run.metrics(RUN, keys="val/acc,loss", range_end=10)
    assert set(table["key"].to_pylist()) == {"loss"}
    assert api.run.metrics(RUN, keys="loss", range_last=10**12).num_rows == 880


def test_a_custom_range_filters_on_the_x_axis(api: Any) -> None:
    """With another key on the x axis, bounds are values of that key, fractions among them."""
    full = api.run.metrics(RUN, keys="loss", x_axis="epoch", all=True)
    assert full.column_names == [*("run_id", "key", "step", "value", "timestamp", "x", "run_name")]
    xs = [x for x in full["x"].to_pylist() if x is not None]
    low = min(xs) + 0.5
    table = api.run.metrics(
        RUN, keys="loss", x_axis="epoch", range_type="custom", range_start=low, range_end=max(xs)
    )
    assert table["x"].to_pylist() == [x for x in xs if x >= low]
    assert table.num_rows > 0


@pytest.mark.parametrize("x_axis", ["time", "relative_time", "epoch"])
def test_other_axes_of_samples(api: Any, x_axis: str) -> None:
    """Sampled points come with the axis asked for, rising."""
    table = api.run.metrics(RUN, keys="acc", x_axis=x_axis)
    xs = table["x"].to_pylist()
    assert table.num_rows > 0
    assert None not in xs
    assert xs == sorted(xs)
    kind = pa.timestamp("ms", tz="UTC") if x_axis == "time" else pa.float64()
    assert table.schema.field("x").type == kind


def test_wide_has_a_column_per_key(api: Any) -> None:
    """Wide and long tables hold the same points; where a key has none, the cell is null."""
    keys = ["loss", "acc"]
    long = api.run.metrics(RUN, keys=keys, all=True).to_pylist()
    wide = api.run.metrics(RUN, keys=keys, all=True, layout="wide")
    assert wide.column_names == [
        "run_id", "step", "loss", "acc", "loss_timestamp", "acc_timestamp",
    ]  # fmt: skip
    assert steps(wide) == sorted({row["step"] for row in long})
    for key in keys:
        found = {row["step"]: row[key] for row in wide.to_pylist() if row[key] is not None}
        assert found == {row["step"]: row["value"] for row in long if row["key"] == key}


def test_without_timestamps(api: Any) -> None:
    """``ignore_timestamp`` leaves the column out, in both layouts."""
    long = api.run.metrics(RUN, keys="loss", all=True, ignore_timestamp=True)
    assert long.column_names == ["run_id", "key", "step", "value", "run_name"]
    wide = api.run.metrics(RUN, keys="loss", all=True, ignore_timestamp=True, layout="wide")
    assert wide.column_names == ["run_id", "step", "loss"]


def test_more_keys_than_an_export_holds(api: Any, server: Sandbox) -> None:
    """Forty keys go in three exports of at most sixteen, and come in the order asked for."""
    keys = [f"k{i}" for i in reversed(range(40))]
    table = api.run.metrics("synthetic/bench/n50k40", keys=keys, all=True)
    found = table["key"].to_pylist()
    assert list(dict.fromkeys(found)) == keys
    assert len(found) == 40 * 50
    exports = [r.body for r in server.requests if r.path.endswith("/scalar/export")]
    assert sorted(len(body["columns"]) for body in exports) == [8, 16, 16]


def test_patterns_tell_capitals_from_small_letters(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So they do on Windows, where names of files do not."""
    monkeypatch.setattr(os.path, "normcase", ntpath.normcase)
    assert api.run.metrics(RUN, keys="val*", all=True).num_rows > 0
    with pytest.raises(se.NotFoundError, match=r"no scalar key 'VAL\*'"):
        api.run.metrics(RUN, keys="VAL*", all=True)


def test_patterns_find_keys(api: Any) -> None:
    """A pattern stands for all keys that it matches; two that overlap count once."""
    table = api.run.metrics(RUN, keys=["l*", "loss"], all=True)
    found = dict.fromkeys(table["key"].to_pylist())
    assert "loss" in found
    assert all(key.startswith("l") for key in found)
    assert len(found) > 1


def test_a_key_that_is_not_there(api: Any) -> None:
    """The closest keys are named, and the command that lists all."""
    with pytest.raises(se.NotFoundError, match=r"(?s)no scalar key 'lss'.*loss.*api\.run\.series"):
        api.run.metrics(RUN, keys="lss")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"range_head": 1, "range_tail": 1}, "range_head= and range_tail= exclude"),
    ({"range_last": 5, "range_start": 1}, "range_last= excludes"),
    ({"range_start": 5, "range_end": 4}, "range_start= is greater than range_end="),
    (
        {"range_type": "timestamp", "range_start": 17 * 10**14},
        "range_start= is beyond the year 9999",
    ),
    ({"range_head": 10**19}, "range_head= is too large"),
    ({"range_start": -1}, "range_start= must be an integer"),
    ({"range_start": 0.5}, "range_start= must be an integer"),
    ({"range_end": math.inf}, "range_end= must be a finite number"),
    ({"range_head": 0}, "range_head= must be at least 1"),
    ({"range_type": "nope", "range_start": 1}, "range_type= is one of"),
    ({"range_type": "custom", "range_start": 1}, "range_type= custom"),
    ({"sample": 0}, "sample= must be at least 1"),
    ({"layout": "tall"}, "layout= is one of long, wide"),
    ({"x_axis": " "}, "x_axis= is empty"),
    ({"x_axis": "timestamp"}, "x_axis= is one of step, time"),
    (
        {"range_type": "step", "range_start": datetime(2026, 1, 1, tzinfo=UTC)},
        "range_start= is a time, which needs range_type='timestamp'",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[row[1] for row in REFUSED])
def test_bad_options_cost_no_request(
    api: Any, server: Sandbox, options: dict[str, Any], message: str
) -> None:
    """What cannot be is refused by its name, before the server is asked."""
    with pytest.raises(se.UsageError, match=message):
        api.run.metrics(RUN, keys="loss", **options)
    assert logins(server) == 0


def test_bounds_in_different_units(api: Any) -> None:
    """A start in milliseconds and an end in seconds are compared as times."""
    times = api.run.metrics(RUN, keys="loss", all=True)["timestamp"].cast(pa.int64()).to_pylist()
    last_s = times[-1] // 1000 + 1
    found = api.run.metrics(
        RUN, keys="loss", range_type="timestamp", range_start=times[5], range_end=last_s
    )
    assert found.num_rows == len(times) - 5
