"""Many runs in one table: what is fetched, what may fail, and how often the server is asked."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import swanlab_export as se
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Call = Callable[..., Result]

PROJECT = "ada-lab/digits"
FIRST, SECOND = f"{PROJECT}/mlp-adam", f"{PROJECT}/diverged"


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a saved file."""
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def asked(server: Sandbox, part: str) -> int:
    """How many requests went to paths that contain ``part``."""
    return sum(part in record.path for record in server.requests)


def logins(server: Sandbox) -> int:
    """How many connections have asked anything: each logs in first.

    Other requests can be late ones of a download that an earlier test gave up.
    """
    return sum(record.path.endswith("/login/api_key") for record in server.requests)


def run_id(api: se.Api[Any], path: str) -> str:
    """The id of a run that is named by its slug."""
    return str(api.run.info(path)["run_id"][0].as_py())


def test_several_paths_are_one_table_in_their_order(api: Any) -> None:
    """Runs come in the order in which they were named, each with its own points."""
    both = api.run.metrics(SECOND, FIRST, keys="loss", all=True)
    ids = both["run_id"].unique().to_pylist()
    assert ids == [run_id(api, SECOND), run_id(api, FIRST)]
    alone = api.run.metrics(FIRST, keys="loss", all=True)
    assert both["value"].slice(both.num_rows - alone.num_rows).equals(alone["value"])


@pytest.mark.parametrize("command", ["metrics", "summary"])
def test_a_project_with_a_filter_means_the_runs_that_pass(
    command: str, api: Any, tmp_path: Path, call: Call
) -> None:
    """``-p`` with ``-f`` fetches the runs that ``run filter`` lists, and no others."""
    rule = "state=CRASHED"
    words = ["run", command, "-p", PROJECT, "-f", rule, "--keys", "loss"]
    done = call(*words, "--save", str(tmp_path / "t.parquet"))
    assert done.exit_code == 0, done.output
    passing = set(api.run.filter(PROJECT, [rule])["run_id"].to_pylist())
    assert passing
    assert {row["run_id"] for row in rows(tmp_path / "t.parquet")} == passing


def test_a_key_that_only_some_runs_have_is_a_warning(tmp_path: Path, call: Call) -> None:
    """Runs without a key are left out and counted in a warning; the command succeeds."""
    words = ["run", "metrics", "-p", PROJECT, "--keys", "samples_seen"]
    done = call(*words, "--save", str(tmp_path / "t.parquet"))
    assert done.exit_code == 0, done.output
    assert "samples_seen" in done.stderr
    assert 0 < len({row["run_id"] for row in rows(tmp_path / "t.parquet")}) < 16


def test_a_run_that_fails_is_named_and_nothing_is_saved(tmp_path: Path, call: Call) -> None:
    """One unknown run among several: exit 4, its name, no file."""
    target = tmp_path / "t.parquet"
    words = ["run", "summary", FIRST, f"{PROJECT}/nobody", "--save", str(target)]
    done = call(*words)
    assert done.exit_code == 4
    assert "nobody" in done.stderr
    assert not target.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["run", "metrics", "--keys", "loss", "--all"],
        ["run", "metrics", "--keys", "loss"],
        ["run", "summary"],
    ],
    ids=" ".join,
)
def test_partial_keeps_the_others_and_still_fails(
    words: list[str], tmp_path: Path, call: Call
) -> None:
    """With ``--partial`` the rest is saved, the failed run is named, and the exit is 5."""
    target = tmp_path / "t.parquet"
    paths = [f"{PROJECT}/nobody", FIRST]
    done = call(*words[:2], *paths, *words[2:], "--partial", "--save", str(target))
    assert done.exit_code == 5, done.output
    assert "nobody" in done.stderr
    assert len({row["run_id"] for row in rows(target)}) == 1


def test_partial_leaves_out_a_run_whose_download_breaks(
    server: Sandbox, api: Any, tmp_path: Path, call: Call
) -> None:
    """A run whose points cannot be had is left out whole, not half."""
    target = tmp_path / "t.parquet"
    words = ["run", "metrics", FIRST, SECOND, "--keys", "loss", "--all", "--jobs", "1"]
    server.faults = parse_faults(["500=1", "times=1", "where=scalar/export"])
    done = call(*words, "--save", str(target))
    assert done.exit_code == 5, done.output
    assert not target.exists()
    server.faults = parse_faults(["500=1", "times=1", "where=scalar/export"])
    skipping = call(*words, "--save", str(target), "--partial")
    assert skipping.exit_code == 5, skipping.output
    assert "mlp-adam" in skipping.stderr
    assert {row["run_id"] for row in rows(target)} == {run_id(api, SECOND)}


def test_summaries_of_many_runs_take_few_requests(
    server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """Configs and results of 2,000 runs: pages, and a summaries request per few hundred runs."""
    words = ["run", "list", "synthetic/list2000", "--all", "--summary"]
    done = call(*words, "--save", str(tmp_path / "t.parquet"))
    assert done.exit_code == 0, done.output
    assert pq.read_metadata(tmp_path / "t.parquet").num_rows == 2000
    assert asked(server, "/runs") == 20
    assert asked(server, "/summaries") <= 10
    assert len(server.requests) <= 20 + 10 + 3


@pytest.mark.filterwarnings("ignore:15 of 16 runs have")
def test_summary_columns_hold_the_latest_values(api: Any) -> None:
    """``summary.<key>`` beside ``config.*`` is the value that ``run summary`` calls latest."""
    listed = api.run.list(PROJECT, all=True, summary="loss,val/acc").to_pylist()
    latest = {
        (row["run_id"], row["key"]): row["value"]
        for row in api.run.summary(project=PROJECT, keys="loss,val/acc").to_pylist()
    }
    assert latest
    for row in listed:
        for key in ("loss", "val/acc"):
            expected = latest.get((row["run_id"], key))
            assert repr(row[f"summary.{key}"]) == repr(expected)
    assert "config.lr" in listed[0]


@pytest.mark.filterwarnings("ignore:15 of 16 runs have")
def test_jobs_do_not_change_the_table(server: Sandbox) -> None:
    """One request at a time or eight: the same rows in the same order, and never more in flight."""
    tables = []
    for jobs in (1, 8):
        server.reset_log()
        with se.connect(host=server.url, api_key=server.api_key, frame="arrow", jobs=jobs) as api:
            tables.append(api.run.metrics(project=PROJECT, keys="loss,acc", all=True))
        assert server.max_in_flight <= jobs
    assert tables[0].num_rows > 20_000
    assert tables[0].to_pandas().equals(tables[1].to_pandas())


@pytest.mark.parametrize(
    "words",
    [
        ["run", "metrics", "--keys", "loss"],
        ["run", "summary"],
        ["run", "metrics", FIRST, "-p", PROJECT, "--keys", "loss"],
        ["run", "metrics", FIRST, "-f", "state=FINISHED", "--keys", "loss"],
        ["run", "list"],
    ],
    ids=" ".join,
)
def test_which_runs_must_be_plain(words: list[str], server: Sandbox, call: Call) -> None:
    """No run, or two ways to say which, is refused before anything is asked."""
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert logins(server) == 0


def test_steps_are_announced_before_any_export_begins(api: Any, server: Sandbox) -> None:
    """A run that goes on may export more than was announced, and so is never taken for cut."""
    server.faults = parse_faults(["latency=50ms"])
    api.run.metrics(FIRST, SECOND, keys="loss", all=True)
    summaries = [record for record in server.requests if "summaries" in record.path]
    exports = [record for record in server.requests if "scalar/export" in record.path]
    assert max(record.ended for record in summaries) <= min(record.started for record in exports)


def test_a_run_named_twice_is_one_run(api: Any) -> None:
    """A slug and an id of the same run give its points once."""
    once = api.run.metrics(FIRST, keys="loss", all=True)
    both = api.run.metrics(FIRST, f"{PROJECT}/{run_id(api, FIRST)}", keys="loss", all=True)
    assert both.equals(once)
    assert once.num_rows == 880


NOBODIES = [f"{PROJECT}/nobody", f"{PROJECT}/no-one"]


@pytest.mark.parametrize(
    ("paths", "faults", "exit_code"),
    [(NOBODIES, [], 4), ([FIRST, SECOND], ["500=1", "where=scalar/export"], 5)],
    ids=["unknown", "failing"],
)
def test_where_no_run_is_left_nothing_is_saved(
    paths: list[str],
    faults: list[str],
    exit_code: int,
    server: Sandbox,
    tmp_path: Path,
    call: Call,
) -> None:
    """``--partial`` does not put an empty table in the place of a good one."""
    target = tmp_path / "t.parquet"
    target.write_bytes(b"good")
    server.faults = parse_faults(faults)
    words = ["run", "metrics", *paths, "--keys", "loss", "--all", "--partial"]
    done = call(*words, "--save", str(target))
    assert done.exit_code == exit_code, done.output
    assert paths[-1] in done.stderr
    assert target.read_bytes() == b"good"


@pytest.mark.parametrize("words", [[], ["--partial"]], ids=["whole", "partial"])
def test_runs_that_are_all_missing_are_not_found(words: list[str], call: Call) -> None:
    """Where none of several runs exists, each is named, and the exit code is 4."""
    done = call("run", "summary", *NOBODIES, f"{PROJECT}-x/one", *words)
    assert done.exit_code == 4, done.output
    for path in (*NOBODIES, f"{PROJECT}-x/one"):
        assert path in done.stderr


def test_what_concerns_all_runs_has_its_own_exit_code(server: Sandbox) -> None:
    """A refused key and an unreachable server are not failures of one run among many."""
    words = ["api", "run", "metrics", FIRST, SECOND, "--keys", "loss", "--partial"]
    refused = CliRunner().invoke(root, [*words, "--host", server.url, "--api-key", "wrong"])
    assert refused.exit_code == 3
    nobody = ["--host", "http://127.0.0.1:1", "--api-key", "x", "--retries", "0"]
    assert CliRunner().invoke(root, [*words, *nobody]).exit_code == 6


@pytest.mark.parametrize("words", [["metrics"], ["metrics", "--all"], ["summary"]], ids=" ".join)
def test_raw_tells_what_is_left_out(words: list[str], call: Call) -> None:
    """``--raw --partial`` names the failed run and exits with 5, as for a table."""
    path = f"{PROJECT}/nobody"
    done = call("run", *words, FIRST, path, "--keys", "loss", "--raw", "--partial")
    assert done.exit_code == 5
    assert "nobody" in done.stderr
    assert json.loads(done.stdout)["data"]


def test_raw_samples_say_of_which_run_they_are(api: Any, call: Call) -> None:
    """Series of several runs can be told apart."""
    done = call("run", "metrics", FIRST, SECOND, "--keys", "loss", "--raw")
    found = [(series["experimentId"], series["key"]) for series in json.loads(done.stdout)["data"]]
    assert found == [(run_id(api, FIRST), "loss"), (run_id(api, SECOND), "loss")]


def test_a_run_that_is_not_there_costs_the_others_nothing(server: Sandbox, call: Call) -> None:
    """Every path is asked for once, concurrently, whichever of them fails."""
    paths = [f"{PROJECT}/{name}" for name in ("nobody", "linear", "tanh-deep", "mlp-adam")]
    call("run", "summary", *paths, "--partial")
    for path in paths:
        assert asked(server, path.replace("digits/", "digits/runs/")) == 1


@pytest.mark.parametrize("command", ["metrics", "summary"])
def test_how_many_runs_have_a_key(command: str, call: Call) -> None:
    """Both commands over many runs count those that have a key that was asked for."""
    done = call("run", command, "-p", PROJECT, "--keys", "loss", "--format", "csv")
    assert "15 of 16 runs have loss" in done.stderr


def test_the_x_axis_counts_too(call: Call) -> None:
    """The warning says that both the key and the x axis are needed."""
    words = ["run", "metrics", "-p", PROJECT, "--keys", "loss", "--x-axis", "epoch"]
    assert "14 of 16 runs have loss and epoch" in call(*words).stderr


@pytest.mark.parametrize("keys", ["lo", "lo*"])
@pytest.mark.parametrize("command", ["metrics", "summary"])
def test_a_project_without_runs(command: str, keys: str, call: Call) -> None:
    """No run gives no row and a warning, with a key as with a pattern."""
    done = call("run", command, "-p", "ada-lab/empty", "--keys", keys)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == []
    assert "ada-lab/empty has no runs" in done.stderr


@pytest.mark.parametrize(
    ("keys", "columns", "hints"),
    [
        ("loss,nope*", {"summary.loss"}, ["'nope*'"]),
        ("lo*,no*", {"summary.loss"}, ["'no*'"]),
        ("val/acc", {"summary.val/acc"}, []),
    ],
)
def test_summary_columns_that_were_asked_for(
    keys: str, columns: set[str], hints: list[str], call: Call
) -> None:
    """A key has a column even where no run has it, and a warning names keys that no run has."""
    words = ["run", "list", PROJECT, "--all", "--summary", keys, "--format", "csv"]
    done = call(*words)
    assert done.exit_code == 0, done.output
    names = done.stdout.splitlines()[0].split(",")
    assert {name for name in names if name.startswith("summary.")} == columns
    assert [hint for hint in done.stderr.splitlines() if "no run here" in hint] == [
        f"warning: no run here has the key {each}" for each in hints
    ]
    empty = call("run", "list", "ada-lab/empty", *words[3:])
    assert columns - set(empty.stdout.strip().split(",")) == columns & {"summary.loss"} - {
        f"summary.{key}" for key in keys.split(",")
    }


def test_patterns_meet_runs_without_any_key(call: Call) -> None:
    """Of 2,000 runs none has a key: a pattern matches nothing, in any batch, and that is no error."""
    words = ["run", "list", "synthetic/list2000", "--all", "--summary", "lo*", "--format", "csv"]
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 2001


def test_a_sample_says_that_it_is_one(call: Call) -> None:
    """Points that may be a part of all come with a hint, unless fewer were asked for."""
    words = ["run", "metrics", f"{PROJECT}/mlp-long", "--keys", "loss"]
    assert "a sample of at most 1500 points per key; --all" in call(*words).stderr
    assert "sample" not in call(*words, "-s", "100").stderr
    assert "sample" not in call("run", "metrics", FIRST, "--keys", "loss").stderr


def test_a_generator_of_rules_chooses_the_runs(api: Any) -> None:
    """``where=`` is read once, so that a generator means what a list does."""
    rules = ["state=CRASHED", "config.lr>0"]
    listed = api.run.summary(project=PROJECT, where=rules, keys="loss")
    assert listed.num_rows > 0
    assert api.run.summary(project=PROJECT, where=iter(rules), keys="loss").equals(listed)


def test_a_pipe_of_rules_is_read_once(api: Any, tmp_path: Path) -> None:
    """Rules may come from a pipe such as /dev/stdin, which can be read only once."""
    if sys.platform == "win32":
        pytest.skip("Windows has no named pipes in folders")
    pipe = tmp_path / "rules"
    os.mkfifo(pipe)
    rule = {"key": "state", "type": "STABLE", "op": "EQ", "value": ["CRASHED"]}
    writer = threading.Thread(target=pipe.write_text, args=(json.dumps([rule]),), daemon=True)
    writer.start()
    found = api.run.summary(project=PROJECT, where=str(pipe), keys="loss")
    writer.join()
    assert found.equals(api.run.summary(project=PROJECT, where="state=CRASHED", keys="loss"))


def test_a_summary_of_keys_asks_for_nothing_else(server: Sandbox, api: Any) -> None:
    """The summaries themselves tell which runs have a key; a key that none has is searched for."""
    with pytest.warns(se.SwanlabExportWarning) as caught:
        api.run.summary(project=PROJECT, keys=["loss", "val/acc"])
    assert [str(each.message).partition(" runs ")[2] for each in caught] == [
        "have loss",
        "have val/acc",
    ]
    assert asked(server, "/house/") == asked(server, "/summaries") == 1
    with pytest.raises(se.NotFoundError, match=r"no scalar key 'los' in any of .*'loss'"):
        api.run.summary(project=PROJECT, keys=["loss", "los"])
    assert asked(server, "/availability") == 0
