"""Names, and patterns over names."""

from __future__ import annotations

import pytest

from swanlab_export.patterns import is_pattern, matching, unquote


@pytest.mark.parametrize(
    ("pattern", "known", "found"),
    [
        ("loss[0]*", ["loss[0]", "loss0", "loss[0]/a"], ["loss[0]", "loss[0]/a"]),
        ("a.b*", ["a.bc", "axbc"], ["a.bc"]),
        ("a?", ["a", "ab", "abc", "a\n"], ["ab", "a\n"]),
        ("(x|y)*", ["(x|y)z", "x"], ["(x|y)z"]),
        ("a*", ["ab", "a*"], ["a*"]),
        ("a", ["ab", "a"], ["a"]),
        ("*/loss", ["loss", "train/loss", "train/loss2"], ["train/loss"]),
        ("none*", ["a"], []),
    ],
)
def test_only_two_signs_are_special(pattern: str, known: list[str], found: list[str]) -> None:
    """A name that exists is meant as such; else ``*`` is anything, and ``?`` one character."""
    assert matching(pattern, known) == found
    assert is_pattern(pattern) == (pattern != "a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'train/*'", "train/*"),
        ('"state=FINISHED"', "state=FINISHED"),
        ("it's", "it's"),
        ("'a' and 'b'", "'a' and 'b'"),
        ("'", "'"),
        ("\"a'", "\"a'"),
    ],
)
def test_one_pair_of_outer_quotes_is_taken_off(text: str, expected: str) -> None:
    """Quotes that cmd.exe leaves are no part of a name; others are."""
    assert unquote(text) == expected
