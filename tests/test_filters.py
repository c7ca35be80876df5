"""Rules for runs: three spellings, one meaning, and plain refusals."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from swanlab_export.api.filters import filter_rules
from swanlab_export.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def rule(key: str, kind: str, op: str, *value: str) -> dict[str, Any]:
    """A rule in the server's own form."""
    return {"key": key, "type": kind, "op": op, "value": list(value)}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("state=FINISHED", rule("state", "STABLE", "EQ", "FINISHED")),
        ("state == FINISHED", rule("state", "STABLE", "EQ", "FINISHED")),
        ("config.lr>=0.001", rule("lr", "CONFIG", "GTE", "0.001")),
        ("config.lr <= 1", rule("lr", "CONFIG", "LTE", "1")),
        ("config.a.b!=x=y", rule("a.b", "CONFIG", "NEQ", "x=y")),
        ("summary.val/acc>0.9", rule("val/acc", "SCALAR", "GT", "0.9")),
        ("scalar.loss<1", rule("loss", "SCALAR", "LT", "1")),
        ("name~base", rule("name", "STABLE", "CONTAIN", "base")),
        ("name !~ base", rule("name", "STABLE", "NOT_CONTAIN", "base")),
        ("state in CRASHED, ABORTED", rule("state", "STABLE", "IN", "CRASHED", "ABORTED")),
        ("state NOT  IN CRASHED", rule("state", "STABLE", "NOT IN", "CRASHED")),
        ("group=g", rule("cluster", "STABLE", "EQ", "g")),
        ("created_at>2026", rule("createdAt", "STABLE", "GT", "2026")),
        ({"config.on": True}, rule("on", "CONFIG", "EQ", "true")),
        ({"config.lr >=": 1e-3}, rule("lr", "CONFIG", "GTE", "0.001")),
        ({"config.my key <": 3}, rule("my key", "CONFIG", "LT", "3")),
        ({"config.lr >": np.float64(0.5)}, rule("lr", "CONFIG", "GT", "0.5")),
        ({"config.seed": np.int64(3)}, rule("seed", "CONFIG", "EQ", "3")),
        ({"config.seed in": np.array([1, 2])}, rule("seed", "CONFIG", "IN", "1", "2")),
        (
            {"created_at >=": pd.Timestamp("2026-01-02", tz="Asia/Shanghai")},
            rule("createdAt", "STABLE", "GTE", "2026-01-01T16:00:00.000Z"),
        ),
        (
            {"created_at <": datetime(2026, 1, 2)},  # noqa: DTZ001  read as UTC
            rule("createdAt", "STABLE", "LT", "2026-01-02T00:00:00.000Z"),
        ),
        ({"config.plugin": 3}, rule("plugin", "CONFIG", "EQ", "3")),
        ({"state in": ("A", "B")}, rule("state", "STABLE", "IN", "A", "B")),
        ({"state not in": "A,B"}, rule("state", "STABLE", "NOT IN", "A", "B")),
        (
            '[{"key":"lr","type":"CONFIG","op":"EQ","value":[0.1]}]',
            rule("lr", "CONFIG", "EQ", "0.1"),
        ),
        ('{"key":"lr","type":"CONFIG","op":"EQ","value":["x"]}', rule("lr", "CONFIG", "EQ", "x")),
        (rule("lr", "CONFIG", "EQ", "x"), rule("lr", "CONFIG", "EQ", "x")),
    ],
    ids=str,
)
def test_every_spelling_means_one_rule(where: Any, expected: dict[str, Any]) -> None:
    """The shorthand, a mapping and the server's own form."""
    assert filter_rules(where) == [expected]


def test_rules_add_up_and_none_is_none(tmp_path: Path) -> None:
    """Several rules all have to hold, wherever they come from."""
    file = tmp_path / "rules.json"
    file.write_text(
        json.dumps([rule("lr", "CONFIG", "EQ", "1"), rule("show", "STABLE", "EQ", "true")])
    )
    found = filter_rules(["state=X", {"config.a": 1, "config.b": 2}, str(file)])
    assert [each["key"] for each in found] == ["state", "a", "b", "lr", "show"]
    assert filter_rules(None) == []


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ([], "holds no rule"),
        ("[]", "holds no rule"),
        ("nofile.json", "neither a rule such as"),
        ("\x1b[2J", r"\\x1b"),
        ("config.lr>>1", "two operators in a row"),
        ("config.lr=>1", "two operators in a row"),
        ("colour=red", "'colour' is not a field of a run"),
        ({"state": []}, "rule 0 has no value"),
        (["state=X", 5], "'5' is not a rule"),
        ("[1]", "rule 0 is not an object"),
        ('[{"key": "a"', "is not JSON"),
        (["state=X", '[{"key":"a","op":"EQ"}]'], "rule 1 lacks type, value"),
        ([rule("", "CONFIG", "EQ", "x")], "rule 0 has a key that is not a name"),
        ([rule("a", "OTHER", "EQ", "x")], "rule 0 has type 'OTHER'"),
        ([rule("a", "CONFIG", "LIKE", "x")], "rule 0 has op 'LIKE'"),
        ([rule("a", "STABLE", "EQ", "x")], "rule 0 has key 'a'"),
        ([rule("a", "CONFIG", "EQ") | {"value": "x"}], "rule 0 has a value that is not a list"),
        ("config.=1", "rule 0 has a key that is not a name"),
        ("config.lr>", "rule 0 has nothing to compare with"),
        ("summary.acc>0.9 and summary.loss<1", "compares a metric with '0.9 and summary.loss<1'"),
        (5, "is a mapping or rules, not a int"),
        ({"config.a": object()}, "a object is no value to compare with"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(where: Any, why: str) -> None:
    """The message gives the index of the rule and what is wrong with it."""
    with pytest.raises(UsageError, match=why) as caught:
        filter_rules(where)
    assert str(caught.value).isprintable()
