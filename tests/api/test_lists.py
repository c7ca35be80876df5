"""Lists: pages and hints, chosen columns, filters, and the table in a terminal."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import swanlab_export as se

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from swanlab_export.sandbox import Sandbox

    Call = Callable[..., Result]

SWEEP = "ada-lab/sweep"
DIGITS = "ada-lab/digits"


def slugs(result: Result) -> list[str]:
    """The runs that a command printed."""
    assert result.exit_code == 0, result.output
    return [run["run_id"] for run in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["-s", "50"], "50 of 130"),
        (["-s", "100", "-n", "2"], "30 of 130"),
        (["-n", "9"], "0 of 130"),
    ],
)
def test_a_page_says_how_much_there_is(words: list[str], hint: str, call: Call) -> None:
    """A page is told apart from the whole by a hint on stderr that names the way to the rest."""
    done = call("run", "list", SWEEP, *words, "--fields", "run_id")
    assert hint in done.stderr
    assert "--all" in done.stderr
    assert len(slugs(done)) == int(hint.split(maxsplit=1)[0])
    assert "of 130" not in call("run", "list", SWEEP, *words, "--quiet").stderr


@pytest.mark.parametrize("paging", [{"page": 1}, {"page_size": 20}], ids=str)
def test_python_warns_of_a_page(paging: dict[str, int], api: Any) -> None:
    """Python warns of a page too, and names its own argument."""
    with pytest.warns(se.SwanlabExportWarning, match="20 of 130 runs; all=True fetches"):
        assert api.run.list(SWEEP, **paging).num_rows == 20


def test_python_lists_everything_by_default(api: Any) -> None:
    """Without arguments a list is whole; ``limit`` gives its first items."""
    every = api.run.list(SWEEP)
    assert every.num_rows == 130
    assert every.equals(api.run.list(SWEEP, all=True))
    assert api.run.list(SWEEP, limit=7)["run_id"].equals(every["run_id"][:7])


def test_pages_make_up_the_whole(call: Call) -> None:
    """Page after page gives what ``--all`` gives, in the same order."""
    pages = [
        run for page in range(1, 8) for run in slugs(call("run", "list", SWEEP, "-n", str(page)))
    ]
    assert pages == slugs(call("run", "list", SWEEP, "--all"))
    assert len(set(pages)) == 130


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        (["state=FINISHED"], lambda run: run["state"] == "FINISHED"),
        (["state!=FINISHED"], lambda run: run["state"] != "FINISHED"),
        (["config.lr>=0.1"], lambda run: (run["config.lr"] or 0) >= 0.1),
        (["config.lr<0.1"], lambda run: run["config.lr"] is not None and run["config.lr"] < 0.1),
        (
            ["config.lr>0.01", "config.optimizer=sgd"],
            lambda run: (run["config.lr"] or 0) > 0.01 and run["config.optimizer"] == "sgd",
        ),
        (["state in CRASHED,ABORTED"], lambda run: run["state"] in {"CRASHED", "ABORTED"}),
        (["name~mlp"], lambda run: "mlp" in run["name"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_shorthand_filters_keep_what_they_say(rules: list[str], rule: Any, call: Call) -> None:
    """A shorthand filter gives exactly the runs of the whole list for which it is true."""
    words = [word for each in rules for word in ("-f", each)]
    every = json.loads(call("run", "list", DIGITS, "--all").stdout)
    expected = {run["run_id"] for run in every if rule(run)}
    assert 0 < len(expected) < len(every)
    assert set(slugs(call("run", "filter", DIGITS, *words))) == expected


def test_filters_come_from_a_file_too(tmp_path: Path, call: Call) -> None:
    """A JSON array in a file means the same as inline."""
    rules = '[{"key": "state", "type": "STABLE", "op": "EQ", "value": ["CRASHED"]}]'
    file = tmp_path / "rules.json"
    file.write_text(rules, encoding="utf-8")
    inline = slugs(call("run", "filter", DIGITS, "-f", rules))
    assert inline
    assert slugs(call("run", "filter", "-p", DIGITS, "-f", str(file))) == inline
    assert slugs(call("run", "filter", DIGITS, "-f", "state=CRASHED")) == inline


def test_fields_choose_and_order_columns(tmp_path: Path, call: Call) -> None:
    """Files have the columns of ``--fields``, in its order, with their types."""
    target = tmp_path / "t.parquet"
    words = ["run", "list", DIGITS, "--all", "--fields", "config.lr,created_at,name"]
    assert call(*words, "--save", str(target)).exit_code == 0
    schema = pq.read_schema(target)
    assert schema.names == ["config.lr", "created_at", "name"]
    assert str(schema.field("created_at").type) == "timestamp[ms, tz=UTC]"


def _width(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    unseen = sum(unicodedata.category(c) in {"Mn", "Me", "Cf"} for c in line)
    return len(line) + wide - unseen


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    """``--format table`` keeps to the width, aligns numbers right, and shows no control character.

    Names of the runs hold line breaks, emoji, wide characters and right-to-left marks.
    """
    monkeypatch.setenv("COLUMNS", "72")
    words = ["run", "list", DIGITS, "--all", "--fields", "slug,name,duration_s,config.lr"]
    done = call(*words, "--format", "table")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) >= 16
    assert all(_width(line) <= 72 for line in lines)
    assert not {c for c in done.stdout if unicodedata.category(c) in {"Cc", "Cf"}} - {"\n"}
    ends = {len(line.rstrip("│ ")) for line in lines if "mlp-adam" in line or "linear" in line}
    assert len(ends) == 1


def test_a_sweep_is_compared_in_80_columns(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    """Name, what varies and the summary that was asked for are whole in every row."""
    monkeypatch.setenv("COLUMNS", "80")
    words = ["run", "list", "ada-lab/sweep", "--all", "--summary", "val/acc"]
    lines = call(*words, "--format", "table").stdout.splitlines()
    assert lines[0].split() == [
        "name", "config.hidden", "config.lr", "config.seed", "summary.val/acc"
    ]  # fmt: skip
    rows = [line.split() for line in lines[2:132]]
    assert {len(row) for row in rows} == {5}
    assert len({row[0] for row in rows}) == 130
    assert "…" not in "".join(lines[:132])
    assert lines[132].startswith("the same in all rows: config.activation=relu, ")
    assert lines[-1].endswith("--fields lists them, --save has all")


def test_bare_fields_lists_columns(tmp_path: Path, call: Call) -> None:
    """``--fields`` alone gives a row per column, in every format; it excludes ``--raw`` and plots."""
    words = ["run", "list", DIGITS, "--page_size", "10", "--fields"]
    listed = json.loads(call(*words).stdout)
    assert listed[0] == {
        "column": "path", "type": "string", "filled": 10, "example": listed[0]["example"]
    }  # fmt: skip
    assert listed[0]["example"].startswith("ada-lab/digits/")
    target = tmp_path / "columns.parquet"
    assert call(*words, "--save", str(target)).exit_code == 0
    assert pq.read_table(target).to_pylist() == listed
    assert call(*words, "--raw").exit_code == 2
    metrics = ["run", "metrics", f"{DIGITS}/linear", "--keys", "loss", "--fields"]
    assert call(*metrics, "--format", "plot").exit_code == 2


def test_an_empty_list_is_an_empty_table(tmp_path: Path, call: Call) -> None:
    """A project without runs has the declared columns, no rows, and no error."""
    target = tmp_path / "t.parquet"
    words = ["run", "list", "ada-lab/empty", "--all"]
    assert call(*words, "--save", str(target)).exit_code == 0
    table = pq.read_table(target)
    assert (table.num_rows, table.schema.names[:3]) == (0, ["path", "run_id", "slug"])
    assert call(*words).stdout == "[]\n"
    header = call(*words, "--format", "csv").stdout.splitlines()
    assert header == [",".join(table.schema.names)]
    assert call(*words, "--format", "table").exit_code == 0


def test_web_addresses_are_paths(api: Any, call: Call) -> None:
    """What the browser shows can be pasted where a path is expected."""
    info = api.run.info(f"{DIGITS}/mlp-adam")
    url = info["url"][0].as_py()
    assert url.startswith("http")
    for command in (["run", "info", url], ["run", "summary", url], ["run", "logs", url]):
        assert call(*command).exit_code == 0
    project = api.project.info(DIGITS)["url"][0].as_py()
    assert len(slugs(call("run", "list", project, "--all"))) == 16


def test_a_column_is_found_by_its_key(call: Call) -> None:
    """The key decides, also where the server only finds names; any other match is said to be one."""
    words = ["run", "column", f"{DIGITS}/mlp-adam", "--key"]
    system = call(*words, "__swanlab__.mem", "--class", "SYSTEM")
    assert json.loads(system.stdout)["key"] == "__swanlab__.mem"
    assert system.stderr == ""
    fuzzy = call(*words, "los")
    assert "los" in json.loads(fuzzy.stdout)["key"]
    assert "no column is exactly 'los': this is the first of 2 matches" in fuzzy.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--search", "zzz"], "has no custom scalar key with 'zzz' in its name"),
        (["--class", "SYSTEM", "--type", "MEDIA"], "has no system media key"),
    ],
)
def test_no_keys_are_said(words: list[str], said: str, call: Call) -> None:
    """An empty table says why it is."""
    done = call("run", "series", "ada-lab/digits/mlp-adam", *words)
    assert (done.exit_code, done.stdout.strip()) == (0, "[]"), done.output
    assert f"hint: ada-lab/digits/mlp-adam {said}\n" in done.stderr


def test_columns_of_both_classes(call: Call) -> None:
    """``--class ALL`` lists what the user logged and what SwanLab measured."""
    for command in ("columns", "series"):
        words = ["run", command, f"{DIGITS}/mlp-adam", "--class"]
        extra = ["--all"] if command == "columns" else []
        classes = {
            kind: {row["class"] for row in json.loads(call(*words, kind, *extra).stdout)}
            for kind in ("CUSTOM", "SYSTEM", "ALL")
        }
        assert classes["ALL"] == classes["CUSTOM"] | classes["SYSTEM"] == {"CUSTOM", "SYSTEM"}


def test_a_bare_save_replaces_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """Files without a name of their own say what they hold, and none takes another's place."""
    monkeypatch.chdir(tmp_path)
    many = [f"{DIGITS}/{name}" for name in ("linear", "mlp-adam", "tanh-deep")] * 20
    for words in (["list", DIGITS], ["list", DIGITS], ["summary", *many]):
        done = call("run", *words, "--save")
        assert done.exit_code == 0, done.output
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3
    assert names[0].startswith("runs-ada-lab-digits-20")
    assert names[2].startswith("summary-ada-lab-digits-linear-")
    assert all(len(name) < 200 and name.endswith(".json") for name in names)


def test_a_raw_page_says_how_much_there_is(call: Call) -> None:
    """``--raw`` of a list holds the items and the total, and hints at the rest."""
    done = call("run", "list", SWEEP, "-s", "50", "--raw")
    data = json.loads(done.stdout)["data"]
    assert (len(data["list"]), data["total"]) == (50, 130)
    assert "50 of 130" in done.stderr


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["run", "list", DIGITS, "--all", "-n", "2"], "--page_num and --all exclude"),
        (["run", "metrics", f"{DIGITS}/linear", "--keys", "loss", "--log-scale"], "--log-scale"),
    ],
)
def test_options_that_would_be_ignored_are_refused(words: list[str], name: str, call: Call) -> None:
    """An option that has no say is a usage error."""
    done = call(*words)
    assert done.exit_code == 2
    assert name in done.stderr


def test_a_filter_that_no_run_passes(call: Call) -> None:
    """No row, no error, and a word about it."""
    done = call("run", "filter", DIGITS, "-f", "name=nobody")
    assert done.exit_code == 0
    assert "no run passes" in done.stderr


def test_a_workspace_may_be_a_web_page(call: Call, server: Sandbox) -> None:
    """``self-hosted list-projects --workspace`` takes a pasted URL, as every path does."""
    words = ["self-hosted", "list-projects", "--all", "--format", "csv", "--workspace"]
    plain = call(*words, "ada-lab")
    assert len(plain.stdout.splitlines()) > 2
    assert call(*words, f"{server.url}/@ada-lab").stdout == plain.stdout
