"""Lists: pages and hints, chosen columns, filters, and the table in a terminal."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SWEEP = "ada-lab/sweep"
DIGITS = "ada-lab/digits"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """One sandbox for the module."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def api(server: Sandbox) -> Iterator[se.Api[Any]]:
    """The Python door, answering with Arrow tables."""
    with se.connect(host=server.url, api_key=server.api_key, frame="arrow") as connected:
        yield connected


def call(server: Sandbox, *words: str) -> Result:
    """Run a command against the sandbox."""
    access = ["--host", server.url, "--api-key", server.api_key]
    return CliRunner().invoke(root, ["api", *words, *access])


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
def test_a_page_says_how_much_there_is(words: list[str], hint: str, server: Sandbox) -> None:
    """A page is told apart from the whole by a hint on stderr that names the way to the rest."""
    done = call(server, "run", "list", SWEEP, *words, "--fields", "run_id")
    assert hint in done.stderr
    assert "--all" in done.stderr
    assert len(slugs(done)) == int(hint.split(maxsplit=1)[0])
    assert "of 130" not in call(server, "run", "list", SWEEP, *words, "--quiet").stderr


def test_the_python_door_warns_of_a_page(api: Any) -> None:
    """Python warns of a page too, and speaks of its own argument."""
    with pytest.warns(se.SwanlabExportWarning, match="20 of 130.*full"):
        api.run.list(SWEEP)


def test_pages_make_up_the_whole(server: Sandbox) -> None:
    """Page after page gives what ``--all`` gives, in the same order."""
    pages = [
        run
        for page in range(1, 8)
        for run in slugs(call(server, "run", "list", SWEEP, "-n", str(page)))
    ]
    assert pages == slugs(call(server, "run", "list", SWEEP, "--all"))
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
    ids=str,
)
def test_shorthand_filters_keep_what_they_say(rules: list[str], rule: Any, server: Sandbox) -> None:
    """A shorthand filter gives exactly the runs of the whole list for which it is true."""
    words = [word for each in rules for word in ("-f", each)]
    every = json.loads(call(server, "run", "list", DIGITS, "--all").stdout)
    expected = {run["run_id"] for run in every if rule(run)}
    assert 0 < len(expected) < len(every)
    assert set(slugs(call(server, "run", "filter", DIGITS, *words))) == expected


def test_filters_come_from_a_file_too(server: Sandbox, tmp_path: Path) -> None:
    """A JSON array in a file means the same as inline."""
    rules = '[{"key": "state", "type": "STABLE", "op": "EQ", "value": ["CRASHED"]}]'
    file = tmp_path / "rules.json"
    file.write_text(rules, encoding="utf-8")
    inline = slugs(call(server, "run", "filter", DIGITS, "-f", rules))
    assert inline
    assert slugs(call(server, "run", "filter", "-p", DIGITS, "-f", str(file))) == inline
    assert slugs(call(server, "run", "filter", DIGITS, "-f", "state=CRASHED")) == inline


def test_fields_choose_and_order_columns(server: Sandbox, tmp_path: Path) -> None:
    """Files have the columns of ``--fields``, in its order, with their types."""
    target = tmp_path / "t.parquet"
    words = ["run", "list", DIGITS, "--all", "--fields", "config.lr,created_at,name"]
    assert call(server, *words, "--save", str(target)).exit_code == 0
    schema = pq.read_schema(target)
    assert schema.names == ["config.lr", "created_at", "name"]
    assert str(schema.field("created_at").type) == "timestamp[ms, tz=UTC]"


def _width(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    unseen = sum(unicodedata.category(c) in {"Mn", "Me", "Cf"} for c in line)
    return len(line) + wide - unseen


def test_a_table_fits_the_terminal(server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--format table`` keeps to the width, aligns numbers right, and shows no control character.

    Names of the runs hold line breaks, emoji, wide characters and right-to-left marks.
    """
    monkeypatch.setenv("COLUMNS", "72")
    words = ["run", "list", DIGITS, "--all", "--fields", "slug,name,duration_s,config.lr"]
    done = call(server, *words, "--format", "table")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) >= 16
    assert all(_width(line) <= 72 for line in lines)
    assert not {c for c in done.stdout if unicodedata.category(c) in {"Cc", "Cf"}} - {"\n"}
    ends = {len(line.rstrip("│ ")) for line in lines if "mlp-adam" in line or "linear" in line}
    assert len(ends) == 1


def test_an_empty_list_is_an_empty_table(server: Sandbox, tmp_path: Path) -> None:
    """A project without runs has the declared columns, no rows, and no error."""
    target = tmp_path / "t.parquet"
    words = ["run", "list", "ada-lab/empty", "--all"]
    assert call(server, *words, "--save", str(target)).exit_code == 0
    table = pq.read_table(target)
    assert (table.num_rows, table.schema.names[:3]) == (0, ["path", "run_id", "slug"])
    assert call(server, *words).stdout == "[]\n"
    header = call(server, *words, "--format", "csv").stdout.splitlines()
    assert header == [",".join(table.schema.names)]
    assert call(server, *words, "--format", "table").exit_code == 0


def test_web_addresses_are_paths(server: Sandbox, api: Any) -> None:
    """What the browser shows can be pasted where a path is expected."""
    info = api.run.info(f"{DIGITS}/mlp-adam")
    url = info["url"][0].as_py()
    assert url.startswith("http")
    for command in (["run", "info", url], ["run", "summary", url], ["run", "logs", url]):
        assert call(server, *command).exit_code == 0
    project = api.project.info(DIGITS)["url"][0].as_py()
    assert len(slugs(call(server, "run", "list", project, "--all"))) == 16


def test_a_column_is_found_by_its_key(server: Sandbox) -> None:
    """The key decides, also where the server only finds names; any other match is said to be one."""
    words = ["run", "column", f"{DIGITS}/mlp-adam", "--key"]
    system = call(server, *words, "__swanlab__.mem", "--class", "SYSTEM")
    assert json.loads(system.stdout)["key"] == "__swanlab__.mem"
    assert system.stderr == ""
    fuzzy = call(server, *words, "los")
    assert "los" in json.loads(fuzzy.stdout)["key"]
    assert "no column is exactly 'los': this is the first of 2 matches" in fuzzy.stderr


def test_columns_of_both_classes(server: Sandbox) -> None:
    """``--class ALL`` lists what the user logged and what SwanLab measured."""
    for command in ("columns", "series"):
        words = ["run", command, f"{DIGITS}/mlp-adam", "--class"]
        extra = ["--all"] if command == "columns" else []
        classes = {
            kind: {row["class"] for row in json.loads(call(server, *words, kind, *extra).stdout)}
            for kind in ("CUSTOM", "SYSTEM", "ALL")
        }
        assert classes["ALL"] == classes["CUSTOM"] | classes["SYSTEM"] == {"CUSTOM", "SYSTEM"}


def test_a_bare_save_replaces_no_other_file(
    server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files without a name of their own say what they hold, and none takes another's place."""
    monkeypatch.chdir(tmp_path)
    many = [f"{DIGITS}/{name}" for name in ("linear", "mlp-adam", "tanh-deep")] * 20
    for words in (["list", DIGITS], ["list", DIGITS], ["summary", *many]):
        done = call(server, "run", *words, "--save")
        assert done.exit_code == 0, done.output
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3
    assert names[0].startswith("runs-ada-lab-digits-20")
    assert names[2].startswith("summary-ada-lab-digits-linear-")
    assert all(len(name) < 200 and name.endswith(".json") for name in names)


def test_a_raw_page_says_how_much_there_is(server: Sandbox) -> None:
    """``--raw`` of a list holds the items and the total, and hints at the rest."""
    done = call(server, "run", "list", SWEEP, "-s", "50", "--raw")
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
def test_options_that_would_be_ignored_are_refused(
    words: list[str], name: str, server: Sandbox
) -> None:
    """An option that has no say is a usage error."""
    done = call(server, *words)
    assert done.exit_code == 2
    assert name in done.stderr


def test_a_filter_that_no_run_passes(server: Sandbox) -> None:
    """No row, no error, and a word about it."""
    done = call(server, "run", "filter", DIGITS, "-f", "name=nobody")
    assert done.exit_code == 0
    assert "no run passes" in done.stderr


def test_a_workspace_may_be_a_web_page(server: Sandbox) -> None:
    """``self-hosted list-projects --workspace`` takes a pasted URL, as every path does."""
    words = ["self-hosted", "list-projects", "--all", "--format", "csv", "--workspace"]
    plain = call(server, *words, "ada-lab")
    assert len(plain.stdout.splitlines()) > 2
    assert call(server, *words, "https://swanlab.cn/@ada-lab").stdout == plain.stdout
