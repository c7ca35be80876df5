"""Rules for runs: three forms with one meaning, and plain refusals."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from swanlab_export.api.runs.filters import parse_where
from swanlab_export.endpoints.filters import Rule, filter_payload
from swanlab_export.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def server_rule(key: str, kind: str, op: str, *value: str) -> dict[str, Any]:
    """A rule in the server's own form."""
    return {"key": key, "type": kind, "op": op, "value": list(value)}


def rule(field: str, kind: str, operator: str, *values: str) -> Rule:
    """A rule as it is kept."""
    return Rule(field, kind, operator, values)


FORMS: list[tuple[str, Any, Rule]] = [
    ("equal", "state=FINISHED", rule("state", "STABLE", "EQ", "FINISHED")),
    ("spaces", "state == FINISHED", rule("state", "STABLE", "EQ", "FINISHED")),
    ("config", "config.lr>=0.001", rule("lr", "CONFIG", "GTE", "0.001")),
    ("at most", "config.lr <= 1", rule("lr", "CONFIG", "LTE", "1")),
    ("nested key", "config.a.b!=x=y", rule("a.b", "CONFIG", "NEQ", "x=y")),
    ("summary", "summary.val/acc>0.9", rule("val/acc", "SCALAR", "GT", "0.9")),
    ("scalar", "scalar.loss<1", rule("loss", "SCALAR", "LT", "1")),
    ("contains", "name~base", rule("name", "STABLE", "CONTAIN", "base")),
    ("contains not", "name !~ base", rule("name", "STABLE", "NOT_CONTAIN", "base")),
    ("in", "state in CRASHED, ABORTED", rule("state", "STABLE", "IN", "CRASHED", "ABORTED")),
    ("not in", "state NOT  IN CRASHED", rule("state", "STABLE", "NOT IN", "CRASHED")),
    ("our name", "group=g", rule("group", "STABLE", "EQ", "g")),
    ("the server's name", "cluster=g", rule("group", "STABLE", "EQ", "g")),
    ("a time as text", "created_at>2026", rule("created_at", "STABLE", "GT", "2026")),
    ("a truth value", {"config.on": True}, rule("on", "CONFIG", "EQ", "true")),
    ("a number", {"config.lr >=": 1e-3}, rule("lr", "CONFIG", "GTE", "0.001")),
    ("a key with a blank", {"config.my key <": 3}, rule("my key", "CONFIG", "LT", "3")),
    ("a numpy float", {"config.lr >": np.float64(0.5)}, rule("lr", "CONFIG", "GT", "0.5")),
    ("a numpy integer", {"config.seed": np.int64(3)}, rule("seed", "CONFIG", "EQ", "3")),
    ("an array", {"config.seed in": np.array([1, 2])}, rule("seed", "CONFIG", "IN", "1", "2")),
    (
        "a time with a zone",
        {"created_at >=": pd.Timestamp("2026-01-02", tz="Asia/Shanghai")},
        rule("created_at", "STABLE", "GTE", "2026-01-01T16:00:00.000Z"),
    ),
    (
        "a time without a zone",
        {"created_at <": datetime(2026, 1, 2)},  # noqa: DTZ001  read as UTC
        rule("created_at", "STABLE", "LT", "2026-01-02T00:00:00.000Z"),
    ),
    (
        "a key that ends in a sign's letters",
        {"config.plugin": 3},
        rule("plugin", "CONFIG", "EQ", "3"),
    ),
    ("outer quotes", "'config.lr >= 0.1'", rule("lr", "CONFIG", "GTE", "0.1")),
    ("null", "config.a is  NOT null", rule("a", "CONFIG", "IS NOT NULL")),
    ("null in a mapping", {"config.a is null": True}, rule("a", "CONFIG", "IS NULL")),
    ("a tuple", {"state in": ("A", "B")}, rule("state", "STABLE", "IN", "A", "B")),
    ("a list as text", {"state not in": "A,B"}, rule("state", "STABLE", "NOT IN", "A", "B")),
    ("quotes", 'name in "a, ""b""", c', rule("name", "STABLE", "IN", 'a, "b"', "c")),
    ("quotes behind", 'name NOT IN c,"a,b"', rule("name", "STABLE", "NOT IN", "c", "a,b")),
    ("quotes in a mapping", {"name in": '"a,b",c'}, rule("name", "STABLE", "IN", "a,b", "c")),
    ("quotes inside", 'name in a "b",c', rule("name", "STABLE", "IN", 'a "b"', "c")),
    ("a value alone", {"name in": ['"a', "b,c"]}, rule("name", "STABLE", "IN", '"a', "b,c")),
    (
        "a JSON array",
        '[{"key":"lr","type":"CONFIG","op":"EQ","value":[0.1]}]',
        rule("lr", "CONFIG", "EQ", "0.1"),
    ),
    (
        "a JSON object",
        '{"key":"lr","type":"CONFIG","op":"EQ","value":["x"]}',
        rule("lr", "CONFIG", "EQ", "x"),
    ),
    ("the server's form", server_rule("lr", "CONFIG", "EQ", "x"), rule("lr", "CONFIG", "EQ", "x")),
    (
        "the server's field",
        server_rule("createdAt", "STABLE", "EQ", "x"),
        rule("created_at", "STABLE", "EQ", "x"),
    ),
]


@pytest.mark.parametrize(
    ("where", "expected"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS]
)
def test_every_form_means_one_rule(where: Any, expected: Rule) -> None:
    """The shorthand, a mapping and the server's own form give the same value."""
    assert parse_where(where) == (expected,)


def test_the_server_gets_its_own_names() -> None:
    """Fields of a run go under the server's names, keys as they are."""
    names = ["created_at", "group", "job_type", "state"]
    rules = parse_where([f"{name}=x" for name in names])
    found = [filter_payload(each) for each in rules]
    assert [each["key"] for each in found] == ["createdAt", "cluster", "job", "state"]
    assert found[-1] == server_rule("state", "STABLE", "EQ", "x")
    assert parse_where(found) == rules


def test_rules_add_up_and_none_is_none(tmp_path: Path) -> None:
    """Several rules all have to hold, wherever they come from."""
    file = tmp_path / "rules.json"
    rules = [server_rule("lr", "CONFIG", "EQ", "1"), server_rule("show", "STABLE", "EQ", "true")]
    file.write_text(json.dumps(rules))
    found = parse_where(["state=X", {"config.a": 1, "config.b": 2}, str(file)])
    assert [each.field for each in found] == ["state", "a", "b", "lr", "show"]
    assert parse_where(None) == ()


def test_a_generator_is_read() -> None:
    """Rules may come from a generator."""

    def rules() -> Iterator[str]:
        yield "state=X"
        yield "config.a=1"

    assert [each.field for each in parse_where(rules())] == ["state", "a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_file_of_rules_in_the_encodings_of_editors(encoding: str, tmp_path: Path) -> None:
    """A byte order mark of UTF-8 or UTF-16 at the start of the file is no part of the rules."""
    file = tmp_path / "rules.json"
    text = json.dumps([server_rule("name", "STABLE", "EQ", "é汉")], ensure_ascii=False)
    raw = text.encode(encoding)
    file.write_bytes(b"\xff\xfe" + raw if encoding == "utf-16-le" else raw)
    assert parse_where(str(file)) == (rule("name", "STABLE", "EQ", "é汉"),)


WRONG: list[tuple[str, Any, str]] = [
    ("no rule", [], "has no rule"),
    ("an empty array", "[]", "has no rule"),
    ("no file", "nofile.json", "neither a rule such as"),
    ("a control character", "\x1b[2J", r"\\x1b"),
    ("two signs", "config.lr>>1", "two operators in a row"),
    ("two other signs", "config.lr=>1", "two operators in a row"),
    ("no field", "colour=red", "'colour' is not a field of a run"),
    ("no value", {"state in": []}, "rule 0 has no value"),
    ("no text", ["state=X", 5], "'5' is not a rule"),
    ("no object", "[1]", "rule 0 is not an object"),
    ("cut JSON", '[{"key": "a"', "is not JSON"),
    ("no type", ["state=X", '[{"key":"a","op":"EQ"}]'], "rule 1 lacks type, value"),
    (
        "an empty key",
        [server_rule("", "CONFIG", "EQ", "x")],
        "rule 0 has a key that is not a name",
    ),
    ("another type", [server_rule("a", "OTHER", "EQ", "x")], "rule 0 has type 'OTHER'"),
    ("another operator", [server_rule("a", "CONFIG", "LIKE", "x")], "rule 0 has op 'LIKE'"),
    ("another field", [server_rule("nme", "STABLE", "EQ", "x")], "rule 0 has key 'nme'"),
    ("no field", [server_rule("A b", "STABLE", "EQ", "x")], "rule 0 has key 'A b', not one of"),
    (
        "text as value",
        [server_rule("a", "CONFIG", "EQ") | {"value": "x"}],
        "rule 0 has a value that is not a list",
    ),
    ("quotes that end early", 'name in "a" b,c', "the quotes or line breaks in .* cannot be read"),
    ("quotes that do not end", 'name in "a,b', "cannot be read: put what has a comma"),
    ("a prefix without key", "config.=1", "rule 0 has a key that is not a name"),
    ("nothing behind the sign", "config.lr>", "rule 0 has nothing to compare with"),
    (
        "two rules in one",
        "summary.acc>0.9 and summary.loss<1",
        "compares a metric with '0.9 and summary.loss<1'",
    ),
    ("a number", 5, "is a mapping or rules, not a int"),
    ("an object", {"config.a": object()}, "a object is no value to compare with"),
]


@pytest.mark.parametrize(
    ("where", "why"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_what_has_no_meaning_is_refused(where: Any, why: str) -> None:
    """The message gives the index of the rule and what is wrong with it."""
    with pytest.raises(UsageError, match=why) as caught:
        parse_where(where)
    assert str(caught.value).isprintable()
