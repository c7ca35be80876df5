"""``--partial``: what can be had is given, what is missing is named, and files say so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import responses
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
MANY = "synthetic/many40"
# The run is listed, but whatever is asked of it is not found.
GONE_RUN = r"gone=(many40-7\b)"
BAD_KEY = 'refuse="key":"acc"'
EVERY_POINT = ["run", "metrics", "-p", MANY, "--keys", "loss", "--all"]
EVERY_KEY = ["run", "metrics", FIRST, "--keys", "loss,acc,lr", "--all"]


def what(path: Path) -> dict[str, Any]:
    """What a Parquet file says of itself."""
    found: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"swanlab_export"])
    return found


def asked(server: Sandbox, part: str) -> int:
    """How many requests went to paths that contain ``part``."""
    return sum(part in record.path for record in server.requests)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file to save to."""
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("words", [["--all"], []], ids=["all", "sample"])
def test_a_listed_run_that_is_gone_is_left_out(
    words: list[str], server: Sandbox, target: Path, call: Call
) -> None:
    """The other 39 runs are saved, and the file says which run is missing, and why."""
    server.faults = parse_faults([GONE_RUN])
    command = ["run", "metrics", "-p", MANY, "--keys", "loss", "--sample", "5", *words]
    done = call(*command, "--partial", "--save", str(target))
    assert done.exit_code == 5, done.output
    assert f"left out: {MANY}/many40-7: " in done.stderr
    assert done.stderr.splitlines()[-1] == "error: incomplete: 1 item left out, see above"
    assert len(pd.read_parquet(target)["run_id"].unique()) == 39
    said = what(target)
    assert said["incomplete"] is True
    assert [each["item"] for each in said["left_out"]] == [f"{MANY}/many40-7"]
    assert "404" in said["left_out"][0]["reason"]


def test_without_it_nothing_is_saved_and_the_error_says_what_it_would_give(
    server: Sandbox, target: Path, call: Call
) -> None:
    """One of 40 listed runs is gone: exit 4, no file, and the other 39 are offered."""
    server.faults = parse_faults([GONE_RUN, "where=scalar/export"])
    done = call(*EVERY_POINT, "--save", str(target))
    assert done.exit_code == 4, done.output
    assert f"{MANY}/many40-7: " in done.stderr
    assert "--partial gives what can be had of the other 39 runs" in done.stderr
    assert not target.exists()


@pytest.mark.parametrize("words", [["--all"], [], ["--layout", "wide", "--all"], ["--raw"]])
def test_a_key_that_fails_is_left_out(words: list[str], server: Sandbox, call: Call) -> None:
    """The other keys of the run are given, and the key is named with its reason."""
    server.faults = parse_faults([BAD_KEY])
    command = ["run", "metrics", FIRST, "--keys", "loss,acc,lr", *words]
    done = call(*command, "--partial")
    assert done.exit_code == 5, done.output
    assert f"left out: {FIRST}, key 'acc': POST /house/metrics/scalar" in done.stderr
    server.faults = parse_faults([])
    others = call("run", "metrics", FIRST, "--keys", "loss,lr", *words)
    found, expected = json.loads(done.stdout), json.loads(others.stdout)
    if "--raw" in words:
        found, expected = (sorted(each["data"], key=str) for each in (found, expected))
    if "wide" in words:
        found = [{k: v for k, v in row.items() if not k.startswith("acc")} for row in found]
    assert found == expected


@pytest.mark.parametrize("words", [["--all"], []], ids=["all", "sample"])
def test_a_key_that_fails_ends_the_call_without_it(
    words: list[str], server: Sandbox, target: Path, call: Call
) -> None:
    """Exit 5, no file, and the error says that the other keys can be had."""
    server.faults = parse_faults([BAD_KEY])
    command = ["run", "metrics", FIRST, "--keys", "loss,acc,lr", *words]
    done = call(*command, "--save", str(target))
    assert done.exit_code == 5, done.output
    assert "--partial gives the keys that can be had" in done.stderr
    assert not target.exists()


def test_a_batch_is_not_split_while_the_server_is_unavailable(server: Sandbox, call: Call) -> None:
    """After 500 the keys of an export are not requested one by one: they fail together."""
    server.faults = parse_faults(["500=1", "where=scalar/export"])
    done = call(*EVERY_KEY, "--partial")
    assert done.exit_code == 6, done.output
    assert asked(server, "scalar/export") == 1


def test_keys_of_a_run_that_is_gone_are_not_tried_one_by_one(server: Sandbox, call: Call) -> None:
    """One request tells that the run itself is gone."""
    server.faults = parse_faults(["gone=many40-7|runs/many40-7", "where=export|runs/"])
    words = ["run", "metrics", "-p", MANY, "--keys", "loss,acc", "--all", "--partial"]
    done = call(*words, "--format", "csv")
    assert done.exit_code == 5, done.output
    exports = [r.body for r in server.requests if "scalar/export" in r.path]
    assert sum('many40-7"' in json.dumps(body) for body in exports) <= 2  # and the probe
    assert f"left out: {MANY}/many40-7: " in done.stderr


def test_after_twenty_bad_items_the_rest_is_given_up(
    server: Sandbox, target: Path, call: Call
) -> None:
    """Where nearly everything fails, no more is requested, and the rest is named as such."""
    server.faults = parse_faults(['refuse="many40-[1-3]', "where=scalar/export"])
    done = call(*EVERY_POINT, "--partial", "--jobs", "1", "--save", str(target))
    assert done.exit_code == 5, done.output
    left_out = what(target)["left_out"]
    given_up = [each for each in left_out if "not requested" in each["reason"]]
    assert len(left_out) - len(given_up) == 20
    kept = set(pd.read_parquet(target)["run_id"])
    assert len(kept) + len(left_out) == 40
    assert {"many40-0"} <= kept
    assert len([line for line in done.stderr.splitlines() if line.startswith("left out: ")]) == 6


def test_where_nothing_is_left_nothing_is_saved(server: Sandbox, target: Path, call: Call) -> None:
    """All keys fail: the old file stays, and the exit code is that of the failure."""
    target.write_bytes(b"good")
    server.faults = parse_faults(["refuse=.", "where=scalar/export"])
    done = call(*EVERY_KEY, "--partial", "--save", str(target))
    assert done.exit_code == 1, done.output
    assert f"{FIRST}: POST /house/metrics/scalar/export failed with status 400" in done.stderr
    assert target.read_bytes() == b"good"


@pytest.mark.parametrize("name", ["t.csv", "t.json.gz", "t.jsonl", "t.xlsx", "t.feather", "t.svg"])
def test_a_file_without_room_for_it_has_a_mark_beside_it(
    name: str, server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """``NAME.incomplete.json`` says what was left out, and the next complete save removes it."""
    mark = tmp_path / f"{name}.incomplete.json"
    words = [*EVERY_KEY, "--save", str(tmp_path / name)]
    server.faults = parse_faults([BAD_KEY])
    assert call(*words, "--partial").exit_code == 5
    said = json.loads(mark.read_text(encoding="utf-8"))
    assert said["incomplete"] is True
    assert said["left_out"][0]["item"] == f"{FIRST}, key 'acc'"
    assert said["source"]["command"] == "run metrics"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, mark.name]
    server.faults = parse_faults([])
    assert call(*words).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_parquet_file_of_parts_reads_like_any_other(
    server: Sandbox, target: Path, call: Call
) -> None:
    """Its rows, types and the rest of its metadata are as in a complete file."""
    server.faults = parse_faults([BAD_KEY])
    assert call(*EVERY_KEY, "--partial", "--save", str(target)).exit_code == 5
    found, frame, said = pq.read_table(target), pd.read_parquet(target), what(target)
    server.faults = parse_faults([])
    words = ["run", "metrics", FIRST, "--keys", "loss,lr", "--all"]
    assert call(*words, "--save", str(target)).exit_code == 0
    assert found.equals(pq.read_table(target))
    pd.testing.assert_frame_equal(frame, pd.read_parquet(target))
    assert said["table"] == "metrics"
    assert "incomplete" not in what(target)


def test_in_python_the_rest_comes_with_a_warning(server: Sandbox) -> None:
    """``partial=True`` returns what is left; the warning and ``.attrs`` say what is missing."""
    server.faults = parse_faults([BAD_KEY])
    with se.connect(host=server.url, api_key=server.api_key) as api:
        with pytest.warns(se.SwanlabExportWarning, match="incomplete, 1 item left out: .*'acc'"):
            frame = api.run.metrics(FIRST, keys="loss,acc", all=True, partial=True)
        with pytest.warns(se.SwanlabExportWarning, match="incomplete"):
            table = api.using("arrow").run.metrics(FIRST, keys="loss,acc", all=True, partial=True)
        with pytest.raises(se.IncompleteError, match="partial=True gives the keys that can be"):
            api.run.metrics(FIRST, keys="loss,acc", all=True)
    assert frame["key"].unique().tolist() == ["loss"]
    assert frame.attrs["incomplete"] is True
    assert [each["item"] for each in frame.attrs["left_out"]] == [f"{FIRST}, key 'acc'"]
    said = json.loads(table.schema.metadata[b"swanlab_export"])
    assert said["left_out"] == frame.attrs["left_out"]


@pytest.mark.parametrize("frame", ["pandas", "arrow", "polars", "batches"])
def test_every_kind_of_frame_has_what_was_left_out(frame: Any, server: Sandbox) -> None:
    """``api.left_out`` is of the latest call, whatever it returns; of batches once they are read."""
    bad: Any = {"keys": "loss,acc", "all": True, "partial": True}
    with se.connect(host=server.url, api_key=server.api_key, frame=frame) as api:
        assert api.left_out == []
        server.faults = parse_faults([BAD_KEY])
        with pytest.warns(se.SwanlabExportWarning, match="incomplete"):
            list(api.run.metrics(FIRST, **bad))
        (left_out,) = api.left_out
        assert left_out["item"] == f"{FIRST}, key 'acc'"
        assert "status 400" in left_out["reason"]
        server.faults = parse_faults([])
        list(api.run.metrics(FIRST, **bad))
        assert api.left_out == []


@pytest.mark.parametrize("using", [True, False])
def test_a_file_has_what_was_left_out(using: bool, server: Sandbox, target: Path) -> None:
    """So has a call that writes a file, whichever of two ways it was asked to."""
    server.faults = parse_faults([BAD_KEY])
    with se.connect(host=server.url, api_key=server.api_key) as connected:
        api: Any = connected.using(save=target) if using else connected
        save: Any = {} if using else {"save": target}
        with pytest.warns(se.SwanlabExportWarning, match="incomplete"):
            api.run.metrics(FIRST, keys="loss,acc", all=True, partial=True, **save)
        assert [each["item"] for each in api.left_out] == [f"{FIRST}, key 'acc'"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [("csv=half", []), ("csv=missing", ["--layout", "wide"]), ("csv=half", ["--raw"])],
    ids=["long", "wide", "raw"],
)
def test_an_export_that_lacks_what_is_announced_is_requested_again(
    fault: str, words: list[str], server: Sandbox, target: Path, call: Call
) -> None:
    """Points are counted before they can be exported: after a pause the export is whole."""
    server.faults = parse_faults([fault, "times=1"])
    command = ["run", "metrics", FIRST, "--keys", "loss", "--all", *words]
    path = target if "--raw" not in words else target.with_suffix(".json")
    done = call(*command, "--save", str(path), retries=1)
    assert done.exit_code == 0, done.output
    assert asked(server, "scalar/export") == 2
    if "--raw" not in words:
        assert pq.read_metadata(path).num_rows == 880


def test_a_run_that_never_reaches_the_announced_step(
    server: Sandbox, target: Path, call: Call
) -> None:
    """It is left out alone, with the step that it lacks as the reason."""
    server.faults = parse_faults(["csv=half", "where=exports/csv/many40-7/"])
    done = call(*EVERY_POINT, "--save", str(target))
    assert done.exit_code == 5, done.output
    assert "--partial gives what can be had of the other 39 runs" in done.stderr
    assert not target.exists()
    done = call(*EVERY_POINT, "--save", str(target), "--partial")
    assert done.exit_code == 5, done.output
    (left_out,) = what(target)["left_out"]
    assert left_out["item"] == f"{MANY}/many40-7"
    assert "the server announced step 4999" in left_out["reason"]
    assert len(pd.read_parquet(target)["run_id"].unique()) == 39


def test_paths_of_which_some_do_not_exist_are_all_named(target: Path, call: Call) -> None:
    """Exit 4, each path that does not exist is named, and no file is written."""
    paths = [f"{PROJECT}/nobody-{i}" for i in range(8)]
    done = call("run", "summary", FIRST, SECOND, *paths, "--save", str(target))
    assert done.exit_code == 4, done.output
    for path in paths:
        assert f"{path}: " in done.stderr
    assert "--partial gives what can be had of the other 2 runs" in done.stderr
    assert not target.exists()


# Runs 101 to 110 of 130 cannot be listed, in a page of any size.
BAD_PAGE = r"refuse=page=(2&size=100|3&size=50|11&size=10)\b"
SWEEP = "ada-lab/sweep"


def test_a_page_that_fails_is_read_in_smaller_ones(
    server: Sandbox, target: Path, call: Call
) -> None:
    """Only the runs of the smallest page that fails are left out of a list."""
    words = ["run", "list", SWEEP, "--all", "--save", str(target)]
    server.faults = parse_faults([BAD_PAGE])
    refused = call(*words)
    assert (refused.exit_code, target.exists()) == (5, False), refused.output
    assert "--partial gives the runs that can be had" in refused.stderr
    done = call(*words, "--partial")
    assert done.exit_code == 5, done.output
    assert "left out: runs 101 to 110 of the list: " in done.stderr
    assert len(pd.read_parquet(target)) == 120


def test_a_list_of_which_less_comes_than_is_announced(server: Sandbox, call: Call) -> None:
    """The items of the page that came are given, and those that did not are counted."""
    server.faults = parse_faults(["total=4"])
    words = ["project", "list", "-w", "ada-lab", "--page_num", "1"]
    refused = call(*words)
    assert (refused.exit_code, refused.stdout) == (5, "")
    assert "--partial gives those that came" in refused.stderr
    done = call(*words, "--partial")
    assert done.exit_code == 5, done.output
    assert "left out: 4 of the projects: " in done.stderr
    assert len(json.loads(done.stdout)) == 3


def test_a_list_that_is_not_there_is_not_found(server: Sandbox, call: Call) -> None:
    """``--partial`` does not read a list in parts that does not exist."""
    done = call("run", "list", "ada-lab/nothing", "--all", "--partial")
    assert done.exit_code == 4, done.output
    assert asked(server, "/runs") == 0


@pytest.mark.parametrize(
    ("words", "path", "payload"),
    [
        (["workspace", "list"], "/api/user/ada/groups", [{"username": "x"}, {"name": "y"}]),
        (["run", "list", "a/p"], "/api/project/a/p/runs", [{"cuid": "r0"}, "x"]),
        (["run", "list", "a/p", "--summary"], "/api/project/a/p/runs", [{"cuid": "r0"}, {}]),
        (
            ["run", "filter", "a/p", "-f", "state=X"],
            "/api/project/a/p/runs/shows",
            [{"cuid": "r0"}, {}],
        ),
        (["project", "list", "-w", "a"], "/api/project/a", [{"cuid": "p"}, {"name": 1}]),
        (["self-hosted", "list-users"], "/api/self_hosted/users", [{"username": "u"}, {}]),
    ],
    ids=["workspaces", "runs", "runs with summaries", "runs that pass", "projects", "users"],
)
def test_an_item_without_an_id_is_left_out(words: list[str], path: str, payload: list[Any]) -> None:
    """One item of a list that is none denies the others only without ``--partial``."""
    page = {"list": payload, "total": len(payload), "pages": 1, "size": 100}
    is_page = not path.endswith(("groups", "shows"))
    host = "https://swan.test"
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        login = {"sid": "s", "userInfo": {"username": "ada"}}
        mock.add("POST", f"{host}/api/login/api_key", json=login)
        mock.add("GET", f"{host}/api/project/a/p", json={"cuid": "p1"})
        mock.add("GET", f"{host}/api/self_hosted/info", json={"root": True})
        mock.add("POST", f"{host}/api/house/metrics/summaries", json={})
        method = "POST" if path.endswith("shows") else "GET"
        mock.add(method, host + path, json=page if is_page else payload)
        command = ["api", *words, "--host", host, "--api-key", "k", "--retries", "0"]
        refused = CliRunner().invoke(root, command)
        done = CliRunner().invoke(root, [*command, "--partial"])
    assert refused.exit_code == 1, refused.output
    assert done.exit_code == 5, done.output
    assert "left out: item 2 of the list: " in done.stderr
    assert len(json.loads(done.stdout)) == 1


def test_a_summary_that_fails_is_named_and_its_run_stays(server: Sandbox, call: Call) -> None:
    """``run list --summary`` has the row of the run, without the values that cannot be had."""
    server.faults = parse_faults(["refuse=many40-7", "where=summaries"])
    words = ["run", "list", MANY, "--all", "--summary", "loss", "--format", "csv"]
    assert call(*words).exit_code == 5
    done = call(*words, "--partial", "--fields", "run_id,summary.loss")
    assert done.exit_code == 5, done.output
    assert f"left out: the summary of {MANY}/many40-7: " in done.stderr
    assert "many40-7,\n" in done.stdout
    assert len(done.stdout.splitlines()) == 41


@pytest.mark.parametrize("keys", [[], ["--keys", "loss"], ["--keys", "lo*"]], ids=str)
def test_a_run_whose_summary_fails_is_left_out_of_the_summaries(
    keys: list[str], server: Sandbox, call: Call
) -> None:
    """``run summary`` gives those of the other runs; a batch is halved down to the run."""
    server.faults = parse_faults([GONE_RUN])
    words = ["run", "summary", "-p", MANY, *keys, "--format", "csv", "--fields", "run_id,key"]
    assert call(*words).exit_code == 4
    done = call(*words, "--partial")
    assert done.exit_code == 5, done.output
    assert f"left out: {MANY}/many40-7: " in done.stderr
    ids = {line.partition(",")[0] for line in done.stdout.splitlines()[1:]}
    assert len(ids) == 39
    assert asked(server, "house/metrics/summaries") < 20


PICTURES = ["run", "medias", FIRST, "--keys", "val/*", "--all"]
GONE_FILE = "gone=val-confusion-step219"


@pytest.mark.parametrize("where", ["where=presigned", "where=^/exports"])
def test_a_file_that_is_gone_is_left_out_of_a_download(
    where: str, server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """The other files are there, its row says that it has none, and the folder has a mark."""
    folder, table = tmp_path / "pictures", tmp_path / "t.csv"
    words = [*PICTURES, "--download", str(folder), "--save", str(table)]
    server.faults = parse_faults([GONE_FILE, where])
    refused = call(*words, retries=1)
    assert refused.exit_code == 4, refused.output
    assert "--partial gives " in refused.stderr
    assert not table.exists()
    done = call(*words, "--partial", retries=1)
    assert done.exit_code == 5, done.output
    assert f"left out: {FIRST}, file 'val-confusion-step219-0-939a364e.png': " in done.stderr
    rows = pd.read_csv(table)
    assert rows["file"].isna().sum() == 1
    files = {path.name for path in folder.rglob("*.png")}
    assert len(files) == len(rows) - 1
    for mark in (folder / "incomplete.json", tmp_path / "t.csv.incomplete.json"):
        assert json.loads(mark.read_text(encoding="utf-8"))["incomplete"] is True
    server.faults = parse_faults([])
    assert call(*words).exit_code == 0
    assert not list(tmp_path.rglob("*incomplete.json"))


def test_where_no_file_is_left_the_folder_stays_as_it_is(
    server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """A download of which every file fails is an error, whatever ``--partial`` allows."""
    server.faults = parse_faults(["refuse=.", "where=^/exports"])
    done = call(*PICTURES, "--download", str(tmp_path), "--partial")
    assert done.exit_code == 5, done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--all"], ["--step", "43"], ["--all", "--raw"]], ids=str)
def test_a_key_of_media_that_fails_is_left_out(
    words: list[str], server: Sandbox, call: Call
) -> None:
    """The other keys of the run are given."""
    server.faults = parse_faults(['refuse="key":"val/confusion"'])
    done = call("run", "medias", FIRST, "--keys", "val/confusion,val/wrong digits", *words)
    assert done.exit_code == 5, done.output
    done = call(
        "run", "medias", FIRST, "--keys", "val/confusion,val/wrong digits", *words, "--partial"
    )
    assert done.exit_code == 5, done.output
    assert f"left out: {FIRST}, key 'val/confusion': " in done.stderr
    assert "wrong-digits-step43" in done.stdout
    assert "val-confusion" not in done.stdout


@pytest.mark.parametrize("fault", ["where=log/export", "where=^/exports"])
def test_a_piece_of_a_log_that_fails_is_left_out(
    fault: str, server: Sandbox, tmp_path: Path, call: Call
) -> None:
    """The lines before it are saved; nothing is where no piece is left."""
    target = tmp_path / "run.log"
    words = ["run", "export-logs", FIRST, "--rows", "600000", "--save", str(target), "--partial"]
    server.faults = parse_faults(['refuse="start":500000', fault])
    done = call(*words)
    assert done.exit_code == (5 if "log" in fault else 0), done.output
    assert target.read_bytes()
    mark = tmp_path / "run.log.incomplete.json"
    assert mark.exists() == ("log" in fault)
    target.unlink()
    server.faults = parse_faults(["refuse=.", fault])
    assert call(*words).exit_code == 5
    assert not target.exists()


def test_keys_behind_a_page_that_fails_are_left_out(server: Sandbox, call: Call) -> None:
    """``run series`` gives the keys that came before, and says behind which one they end."""
    server.faults = parse_faults(['refuse="cursor":"10"'])
    words = ["run", "series", FIRST, "--class", "ALL", "--format", "csv", "--fields", "key"]
    assert call(*words).exit_code == 1
    done = call(*words, "--partial")
    assert done.exit_code == 5, done.output
    assert "behind 'val/acc': " in done.stderr
    assert len(done.stdout.splitlines()) == 11


def test_a_run_that_is_not_there_is_left_out_of_the_others(call: Call) -> None:
    """``run info`` of several paths gives the runs that exist, and names the one that does not."""
    done = call("run", "info", FIRST, SECOND, f"{PROJECT}/nobody", "--partial")
    assert done.exit_code == 5, done.output
    assert [row["slug"] for row in json.loads(done.stdout)] == ["mlp-adam", "diverged"]
    assert f"left out: {PROJECT}/nobody: " in done.stderr


@pytest.mark.parametrize("keys", ["lo*", "loss"])
def test_a_batch_of_summaries_by_pattern_is_split(keys: str, server: Sandbox, call: Call) -> None:
    """A run whose keys are refused costs its own summary, and not those of its batch."""
    server.faults = parse_faults(["refuse=many40-7", "where=scalar/keys|summaries"])
    words = ["run", "list", MANY, "--all", "--summary", keys, "--format", "csv"]
    refused = call(*words)
    assert refused.exit_code == 5, refused.output
    assert "--partial gives the runs and summaries that can be had" in refused.stderr
    done = call(*words, "--partial", "--fields", "run_id,summary.loss")
    assert done.exit_code == 5, done.output
    assert done.stderr.count("left out: ") == 1
    assert f"left out: the summary of {MANY}/many40-7: " in done.stderr
    rows = dict(line.split(",") for line in done.stdout.splitlines()[1:])
    assert [run for run, loss in rows.items() if not loss] == ["many40-7"]


# GT is compared here, so that the latest values of what the server chose are requested.
ABOVE = ["run", "filter", MANY, "-f", "summary.loss>0", "--format", "csv", "--fields", "run_id"]


def test_a_run_that_a_rule_cannot_judge_is_left_out(server: Sandbox, call: Call) -> None:
    """The latest values of the others are compared, and the run is named."""
    whole = call(*ABOVE)
    server.faults = parse_faults(["refuse=many40-7", "where=summaries"])
    refused = call(*ABOVE)
    assert refused.exit_code == 5, refused.output
    assert "--partial gives the runs that can be had" in refused.stderr
    done = call(*ABOVE, "--partial")
    assert done.exit_code == 5, done.output
    assert f"left out: {MANY}/many40-7: " in done.stderr
    assert done.stdout.splitlines() == [
        line for line in whole.stdout.splitlines() if line != "many40-7"
    ]


def test_where_no_run_can_be_judged_none_is_said_to_fail_the_rule(
    server: Sandbox, call: Call
) -> None:
    """That no run passes is not known, and not said."""
    server.faults = parse_faults(["refuse=.", "where=summaries"])
    done = call(*ABOVE, "--partial", "--jobs", "1")
    assert (done.exit_code, done.stdout) == (5, ""), done.output
    assert "no run passes" not in done.stderr


@pytest.mark.parametrize("output_format", ["json", "jsonl", "csv", "tsv"])
def test_where_nothing_is_left_nothing_is_printed(
    output_format: str, server: Sandbox, call: Call
) -> None:
    """No bracket and no header of a table without rows, which a reader would take for a result."""
    server.faults = parse_faults(["refuse=export"])
    words = ["run", "metrics", "-p", PROJECT, "--keys", "loss", "--all", "--partial"]
    done = call(*words, "--format", output_format)
    assert (done.exit_code, done.stdout) == (5, ""), done.output
