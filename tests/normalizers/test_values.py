"""One value of a payload → one value of a declared type, or null and a count."""

from __future__ import annotations

import math
from typing import Any

import pytest

from swanlab_export import schemas
from swanlab_export.errors import ServerError
from swanlab_export.normalizers.values import (
    as_entity,
    as_list,
    as_object,
    as_text,
    as_unix_ms,
    read_value,
    refuse_error,
)
from swanlab_export.report import Report

MOST = 2**63 - 1
JAN_7_MS = 1_767_780_930_125  # 2026-01-07T10:15:30.125Z
YEAR_2_MS = -62_104_060_800_000
YEAR_10000_MS = 253_402_300_800_000


def read(arrow_type: Any, value: Any) -> Any:
    """Read a value of the column ``c``, which must be of its type."""
    report = Report()
    found = read_value("c", arrow_type, value, report)
    assert report.all_warnings() == []
    return found


def refused(arrow_type: Any, value: Any) -> str:
    """What is said of a value of the column ``c``, which must not be of its type."""
    report = Report()
    assert read_value("c", arrow_type, value, report) is None
    (said,) = report.all_warnings()
    return said


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
    """Strings stay as they are, everything else becomes compact JSON in its own script."""
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
        (True, 1.0),
        (False, 0.0),
    ],
)
def test_numbers_and_infinities(value: Any, number: float) -> None:
    """A number may be a word for an infinity, digits in quotes, or a truth value."""
    found = read(schemas.FLOAT, value)
    assert (found, type(found)) == (number, float)


@pytest.mark.parametrize("token", ["NaN", "nan", " NAN ", math.nan])
def test_nan_is_a_value(token: Any) -> None:
    """NaN is a number that was logged, not one that is missing."""
    assert math.isnan(read(schemas.FLOAT, token))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (-7, -7),
        (5.0, 5),
        ("12", 12),
        ("5.0", 5),
        ("1e3", 1000),
        (MOST, MOST),
        (f"{MOST}.0", MOST),
        (-MOST - 1, -MOST - 1),
    ],
)
def test_integers(value: Any, number: int) -> None:
    """An integer may come as a decimal or in quotes, to the ends of 64 bits."""
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
        (1_767_780_930, 1_767_780_930_000),
        (999_999_999_999, 9_999_999_999_990),
        (1_000_000_000_000, 1_000_000_000_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        (0, 0),
        (1, 1_000_000_000_000),
        (YEAR_10000_MS - 1, YEAR_10000_MS - 1),
        (-1, -1),
        (YEAR_2_MS, YEAR_2_MS),
        ("0002-01-01T00:00:00Z", YEAR_2_MS),
    ],
)
def test_times(value: Any, ms: int) -> None:
    """ISO 8601 in any zone, or Unix time: seconds are scaled up until they have 13 digits."""
    assert read(schemas.TIME, value) == ms


def test_lists_of_names() -> None:
    """A list of names may hold nulls, and what is no text becomes text."""
    assert read(schemas.TEXTS, ["a", None, 1, {"b": 2}]) == ["a", None, "1", '{"b":2}']
    assert read(schemas.TEXTS, []) == []


@pytest.mark.parametrize(
    ("arrow_type", "value", "shown"),
    [
        (schemas.FLOAT, "much", "much"),
        (schemas.FLOAT, "", ""),
        (schemas.FLOAT, "true", "true"),
        (schemas.FLOAT, [1], "[1]"),
        (schemas.FLOAT, "1e999", "1e999"),
        (schemas.FLOAT, 10**400, "1000"),
        (schemas.INT, True, "true"),
        (schemas.INT, 5.5, "5.5"),
        (schemas.INT, "5.5", "5.5"),
        (schemas.INT, "", ""),
        (schemas.INT, "NaN", "NaN"),
        (schemas.INT, "1e999999999", "1e999999999"),
        (schemas.INT, f"{2**63}.0", f"{2**63}.0"),
        (schemas.INT, math.nan, "NaN"),
        (schemas.INT, 2**63, "9223372036854775808"),
        (schemas.INT, -(2**63) - 1, "-9223372036854775809"),
        (schemas.INT, str(2**63), "9223372036854775808"),
        (schemas.INT, {}, "{}"),
        (schemas.BOOL, "yes", "yes"),
        (schemas.BOOL, 2, "2"),
        (schemas.TIME, "yesterday", "yesterday"),
        (schemas.TIME, "", ""),
        (schemas.TIME, str(JAN_7_MS), str(JAN_7_MS)),
        (schemas.TIME, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        (schemas.TIME, "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-14:00"),
        (schemas.TIME, YEAR_2_MS - 1, str(YEAR_2_MS - 1)),
        (schemas.TIME, True, "true"),
        (schemas.TIME, 0.5, "0.5"),
        (schemas.TIME, YEAR_10000_MS, str(YEAR_10000_MS)),
        (schemas.TIME, -YEAR_10000_MS, str(-YEAR_10000_MS)),
        (schemas.TEXTS, "a", "a"),
        (schemas.TEXTS, {"a": 1}, "a"),
    ],
)
def test_what_does_not_fit_is_null(arrow_type: Any, value: Any, shown: str) -> None:
    """The warning names the column and shows the value; nothing is rounded or guessed."""
    said = refused(arrow_type, value)
    assert said.startswith("1 value of c ")
    assert shown in said


def test_control_characters_are_shown_escaped() -> None:
    """Text of a server cannot write to the terminal through a warning."""
    assert "\x1b" not in refused(schemas.INT, "\x1b[31m")


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


@pytest.mark.parametrize("arrow_type", [schemas.FLOAT, schemas.INT])
def test_what_only_python_reads_as_a_number(arrow_type: Any) -> None:
    """``1_000`` is no number that a server sends."""
    assert "'1_000'" in refused(arrow_type, "1_000")


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1_767_780_930, 1_767_780_930_000),
        ("1767780930", 1_767_780_930_000),
        (1_767_780_930.75, 1_767_780_930_000),
        (f"{JAN_7_MS}.0", JAN_7_MS),
        ("2026-01-07T10:15:30.125Z", JAN_7_MS),
    ],
)
def test_times_of_points(value: Any, ms: int) -> None:
    """They are Unix times, which may have a fraction or be text; ISO 8601 is read, too."""
    assert as_unix_ms(value) == ms


@pytest.mark.parametrize("found", ["a", 12, 0, 10**30])
def test_an_id_is_text_or_a_number(found: Any) -> None:
    """An object that has one is handed on."""
    assert as_entity({"cuid": found}, "a run", "cuid") == {"cuid": found}


@pytest.mark.parametrize(
    "payload", [{}, {"cuid": None}, {"cuid": ""}, {"cuid": []}, {"cuid": {}}, {"cuid": True}]
)
def test_an_object_without_an_id_is_an_error(payload: Any) -> None:
    """The error names the field that is missing."""
    with pytest.raises(ServerError, match=r"^the server sent a run without 'cuid'$"):
        as_entity(payload, "a run", "cuid")


@pytest.mark.parametrize(
    ("payload", "said", "code"),
    [
        (
            {"code": "License_Expired", "message": "The license has expired", "data": None},
            "License_Expired: The license has expired",
            "License_Expired",
        ),
        (
            {"code": 500, "message": "no", "detail": "Invalid\nstorage"},
            r"500: no: Invalid\nstorage",
            "500",
        ),
        ({"code": None, "message": "资源未找到"}, "资源未找到", ""),
    ],
)
def test_an_error_in_place_of_data(payload: Any, said: str, code: str) -> None:
    """An error that comes as a successful response is an error with the server's words."""
    for read, what in (
        (lambda: as_entity(payload, "a run", "cuid"), "a run"),
        (lambda: as_list(payload, "a list"), "a list"),
        (lambda: refuse_error(payload, "an instance"), "an instance"),
    ):
        with pytest.raises(ServerError) as caught:
            read()
        assert caught.value.message == f"the server sent an error where {what} was expected: {said}"
        assert caught.value.code == code


def test_what_is_no_error_stays() -> None:
    """A run may have a field that is called code or message."""
    for payload in ({"cuid": "a", "code": 1, "message": "m"}, {"cuid": "a", "message": "m"}):
        assert as_entity(payload, "a run", "cuid") == payload
    refuse_error({"message": "m"}, "an instance")
    refuse_error({"code": 1}, "an instance")
