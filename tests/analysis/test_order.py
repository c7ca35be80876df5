"""Sorting, limiting, and the columns that differ."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swanlab_export.analysis import limit_rows, sort_rows, varying_columns
from swanlab_export.errors import UsageError

ROWS = pa.table(
    {
        "name": ["c", "a", "b", "d"],
        "lr": [0.1, None, float("nan"), 0.01],
        "-x": [1, 2, 3, 4],
        "tags": [["a"], [], ["a"], None],
        "same": ["s"] * 4,
    }
)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (["name"], "abcd"),
        (["-name"], "dcba"),
        (["lr"], "dcba"),
        (["-lr"], "cdba"),
        (["same", "-name"], "dcba"),
        (["-x"], "cabd"),
        (["--x"], "dbac"),
        (["same"], "cabd"),
    ],
)
def test_the_order_of_rows(keys: list[str], names: str) -> None:
    """Several keys, ``-`` for descending, NaN and then missing values last, equal rows in order."""
    assert "".join(sort_rows(ROWS, keys)["name"].to_pylist()) == names


def test_lists_have_no_order() -> None:
    """A column of lists is refused, by its name."""
    with pytest.raises(UsageError, match="'tags' holds lists"):
        sort_rows(ROWS, ["tags"])


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.text(max_size=2))))
def test_sorting_is_stable_and_loses_nothing(rows: list[tuple[Any, str]]) -> None:
    """Descending order, too, is that of a stable sort with missing values at the end."""
    table = pa.table(
        {"k": pa.array([k for k, _ in rows], pa.int64()), "i": pa.array(range(len(rows)))}
    )
    expected = sorted(range(len(rows)), key=lambda i: (rows[i][0] is None, -(rows[i][0] or 0)))
    assert sort_rows(table, ["-k"])["i"].to_pylist() == expected


def test_what_varies() -> None:
    """What identifies a row stays, and what is the same in all rows goes; missing is a value."""
    assert varying_columns(ROWS) == ["name", "lr", "-x", "tags"]
    assert varying_columns(ROWS.slice(0, 1)) == ["name"]
    assert varying_columns(ROWS.slice(0, 0)) == ["name"]


def test_the_first_rows() -> None:
    """A limit beyond the end is no error."""
    assert limit_rows(ROWS, 2)["name"].to_pylist() == ["c", "a"]
    assert limit_rows(ROWS, 9).num_rows == 4
    assert limit_rows(ROWS, None) is ROWS
