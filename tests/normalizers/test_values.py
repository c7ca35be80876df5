"""One wire value → one value of a declared type, or an error that names the column."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from swanlab_export import schemas
from swanlab_export.errors import ServerError
from swanlab_export.normalizers.values import (
    as_float,
    as_int,
    as_list,
    as_object,
    as_text,
    read_value,
)

MOST = 2**63 - 1
JAN_7_MS = 1_767_780_930_125  # 2026-01-07T10:15:30.125Z
YEAR_10000_MS = 253_402_300_800_000


def read(arrow_type: Any, value: Any) -> Any:
    """Read a value of the column ``c``."""
    return read_value("c", arrow_type, value)


@pytest.mark.parametrize("arrow_type", [c.arrow_type for c in schemas.RUNS.columns])
def test_null_is_missing_in_every_type(arrow_type: Any) -> None:
    """Null stays null, whatever the column."""
    assert read(arrow_type, None) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("=1+1", "=1+1"),
        ("\u200fابت\n", "\u200fابت\n"),
        (True, "true"),
        (0.1, "0.1"),
        (2**70, "1180591620717411303424"),
        ([1, "a,b", None], '[1,"a,b",null]'),
        ({"k": "手"}, '{"k":"手"}'),
        (math.nan, "NaN"),
    ],
)
def test_anything_can_be_text(value: Any, text: str) -> None:
    """Strings stay as they are, everything else is spelled as compact JSON in its own script."""
    assert read(schemas.TEXT, value) == as_text(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (0.25, 0.25),
        ("0.25", 0.25),
        ("INF", math.inf),
        ("-INF", -math.inf),
        ("+inf", math.inf),
        ("Infinity", math.inf),
        ("+Infinity", math.inf),
        ("-Infinity", -math.inf),
        ("inf", math.inf),
        (" -inf ", -math.inf),
    ],
)
def test_numbers_and_infinities(value: Any, number: float) -> None:
    """A number may come as a word for an infinity, or as digits in quotes."""
    found = read(schemas.FLOAT, value)
    assert (found, type(found)) == (number, float)


@pytest.mark.parametrize("token", ["NaN", "nan", " NAN ", math.nan])
def test_nan_is_a_value(token: Any) -> None:
    """NaN is a number that was logged, not one that is missing."""
    assert math.isnan(read(schemas.FLOAT, token))


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), (-7, -7), (5.0, 5), ("12", 12), (MOST, MOST), (-MOST - 1, -MOST - 1)],
)
def test_whole_numbers(value: Any, number: int) -> None:
    """A whole number may come as a float or in quotes, to the ends of 64 bits."""
    found = read(schemas.INT, value)
    assert (found, type(found)) == (number, int)


@pytest.mark.parametrize(
    ("value", "truth"), [(True, True), (False, False), (1, True), (0, False), (1.0, True)]
)
def test_truth_values(value: Any, truth: bool) -> None:
    """0 and 1 are taken for false and true."""
    assert read(schemas.BOOL, value) is truth


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("2026-01-07T10:15:30.125Z", JAN_7_MS),
        ("2026-01-07T10:15:30.125", JAN_7_MS),
        ("2026-01-07T18:15:30.125+08:00", JAN_7_MS),
        ("2026-01-07T10:15:30.125999Z", JAN_7_MS),
        (JAN_7_MS, JAN_7_MS),
        (str(JAN_7_MS), None),
        (1_767_780_930, 1_767_780_930_000),
        (999_999_999_999, 9_999_999_999_990),
        (1_000_000_000_000, 1_000_000_000_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        (0, 0),
        (1, 1_000_000_000_000),
        (YEAR_10000_MS - 1, YEAR_10000_MS - 1),
        (-1, -1),
    ],
)
def test_times(value: Any, ms: int | None) -> None:
    """ISO 8601 in any zone, or Unix time: seconds are scaled up until they have 13 digits."""
    if ms is None:
        with pytest.raises(ServerError):
            read(schemas.TIME, value)
    else:
        assert read(schemas.TIME, value) == ms


def test_lists_of_names() -> None:
    """A list of names may hold nulls, and what is no text is spelled as text."""
    assert read(schemas.TEXTS, ["a", None, 1, {"b": 2}]) == ["a", None, "1", '{"b":2}']
    assert read(schemas.TEXTS, []) == []


@pytest.mark.parametrize(
    ("arrow_type", "value", "shown"),
    [
        (schemas.FLOAT, "much", "much"),
        (schemas.FLOAT, True, "true"),
        (schemas.FLOAT, [1], r"\[1\]"),
        (schemas.FLOAT, 10**400, "1000"),
        (schemas.INT, True, "true"),
        (schemas.INT, 5.5, "5.5"),
        (schemas.INT, math.nan, "NaN"),
        (schemas.INT, 2**63, "9223372036854775808"),
        (schemas.INT, -(2**63) - 1, "-9223372036854775809"),
        (schemas.INT, str(2**63), "9223372036854775808"),
        (schemas.INT, {}, "{}"),
        (schemas.BOOL, "yes", "yes"),
        (schemas.BOOL, 2, "2"),
        (schemas.TIME, "yesterday", "yesterday"),
        (schemas.TIME, True, "true"),
        (schemas.TIME, 0.5, "0.5"),
        (schemas.TIME, YEAR_10000_MS, str(YEAR_10000_MS)),
        (schemas.TIME, -YEAR_10000_MS, str(-YEAR_10000_MS)),
        (schemas.TEXTS, "a", "a"),
        (schemas.TEXTS, {"a": 1}, "a"),
    ],
)
def test_what_does_not_fit_is_refused(arrow_type: Any, value: Any, shown: str) -> None:
    """The error names the column and shows the value; nothing is rounded or guessed."""
    with pytest.raises(
        ServerError,
        match=f"sent .*{shown}.* as c, which is not {re.escape(str(arrow_type))}",
    ):
        read(arrow_type, value)


def test_control_characters_are_shown_escaped() -> None:
    """Server text cannot write to the terminal through an error message."""
    with pytest.raises(ServerError) as caught:
        read(schemas.INT, "\x1b[31m")
    assert "\x1b" not in str(caught.value)


def test_a_list_may_be_null_and_an_object_may_not() -> None:
    """A null list is an empty one; nulls inside stay, for they may count."""
    assert as_list(None, "a list") == []
    assert as_list([1, None], "a list") == [1, None]
    assert as_object({"a": 1}, "an object") == {"a": 1}


@pytest.mark.parametrize(
    ("value", "kind"),
    [("x", "text"), (1, "a number"), (1.5, "a number"), (True, "true or false")],
)
def test_neither_list_nor_object(value: Any, kind: str) -> None:
    """What is neither is refused in the words of JSON."""
    with pytest.raises(ServerError, match=f"^the server sent {kind} where runs was expected$"):
        as_list(value, "runs")
    with pytest.raises(ServerError, match=f"^the server sent {kind} where runs was expected$"):
        as_object(value, "runs")


def test_a_list_is_no_object() -> None:
    """Nor is null one, nor an object a list."""
    for value, kind in (([], "a list"), (None, "null")):
        with pytest.raises(ServerError, match=f"sent {kind} where a run was expected"):
            as_object(value, "a run")
    with pytest.raises(ServerError, match="sent an object where a list was expected"):
        as_list({}, "a list")


@pytest.mark.parametrize("read", [as_float, as_int])
def test_what_only_python_takes_for_a_number(read: Any) -> None:
    """``1_000`` is no number that a server sends."""
    with pytest.raises(ValueError, match="1_000"):
        read("1_000")
