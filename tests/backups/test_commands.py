"""The commands: what they print, and the codes that they end with."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from backup_support import Nights
from click.testing import CliRunner

from swanlab_export.backups.destination import open_destination
from swanlab_export.cli.main import root
from swanlab_export.sandbox import Sandbox, parse_faults

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from living import LivingData

INTERRUPTED = """
import os, signal, sys
from swanlab_export.cli import main

once = [signal.SIGINT]

def hook(event, args):
    if event == "os.rename" and "state/receipts" in str(args[1]) and once:
        once.clear()
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hook)
main()
"""


def call(nights: Nights, *words: str) -> Result:
    """Run a command about the backup of ``nights``."""
    access = ["--host", nights.sandbox.url, "--api-key", nights.sandbox.api_key]
    return CliRunner().invoke(root, ["backup", *words, *access, "--retries", "0"])


def backup_run(nights: Nights, *words: str) -> Result:
    """Run ``backup run``."""
    return call(nights, "run", "--to", str(nights.folder), *words)


def test_a_backup_prints_its_report(world: LivingData, ended: Nights) -> None:
    """One row per run that was fetched on stdout, and a line per project on stderr."""
    world.log("one", 99, loss=0.5)
    done = backup_run(ended)
    assert done.exit_code == 0
    (row,) = json.loads(done.stdout)
    assert (row["path"], row["action"]) == ("lab/digits/one", "whole")
    assert "lab/digits: 1 fetched, 1 unchanged; 93 rows" in done.stderr
    assert backup_run(ended, "--quiet").stderr == ""


def test_a_part_that_failed_is_exit_5(world: LivingData, ended: Nights) -> None:
    """It is named, and what came is kept."""
    world.lose_points("one", "loss", 5)
    done = backup_run(ended)
    assert done.exit_code == 5
    assert "lab/digits/one: 'loss' has 25 points, and the backup has 30" in done.stderr
    assert "--accept-smaller lab/digits/one takes it" in done.stderr
    assert json.loads(done.stdout)[0]["action"] == "refused"
    assert backup_run(ended, "--accept-smaller", "lab/digits/one").exit_code == 0


def test_a_lock_that_is_held_is_exit_5(ended: Nights) -> None:
    """Two backups into one folder do not run at once."""
    with open_destination(ended.folder).lock():
        done = backup_run(ended)
    assert done.exit_code == 5
    assert "another backup writes to" in done.stderr


def test_a_server_that_is_away_is_exit_6(world: LivingData, tmp_path: Path) -> None:
    """A scheduler may try it later."""
    with Sandbox(world) as sandbox, Nights.of(world, sandbox, tmp_path / "backup") as nights:
        sandbox.stop()
        assert backup_run(nights).exit_code == 6


def test_a_server_that_goes_away_keeps_what_came(world: LivingData, nights: Nights) -> None:
    """Exit 6 without a manifest; the next backup goes on."""
    for i in range(4):
        world.start(f"run{i}")
        world.log_many(f"run{i}", 3, "loss")
    nights.sandbox.faults = parse_faults(["503=1"])
    assert backup_run(nights).exit_code == 6
    nights.sandbox.faults = parse_faults([])
    assert backup_run(nights).exit_code == 0
    assert len(nights.runs()) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tables", "metric"], "no table 'metric'"),
        (["--recheck", "soon"], "--recheck is a period such as 12h or 7d, not 'soon'"),
        (["lab/digits", "--instance"], "--instance is everything"),
        (["a/b/c/d"], "'a/b/c/d' is not"),
        (["--accept-smaller", "one"], "'one' is not"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_arguments_that_cannot_be_right_are_exit_2(
    ended: Nights, words: list[str], said: str
) -> None:
    """Nothing is asked, and nothing written."""
    ended.sandbox.reset_log()
    done = backup_run(ended, *words)
    assert (done.exit_code, said in done.stderr) == (2, True)
    assert ended.sandbox.requests == []


def test_a_project_that_never_was_is_exit_4(ended: Nights) -> None:
    """Names that may be meant are in the message."""
    done = backup_run(ended, "lab/digit")
    assert done.exit_code == 4
    assert "'digits'" in done.stderr


def test_damage_is_exit_5_until_it_is_repaired(ended: Nights) -> None:
    """``verify`` needs no server, and ``--repair`` does."""
    path = ended.folder / "tables/metrics/lab/digits/one.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    runner = CliRunner()
    done = runner.invoke(root, ["backup", "verify", str(ended.folder)])
    assert done.exit_code == 5
    (row,) = json.loads(done.stdout)
    assert row["object"] == "tables/metrics/lab/digits/one.parquet"
    assert row["run"] == "lab/digits/one"
    assert call(ended, "verify", str(ended.folder)).exit_code == 2
    done = call(ended, "verify", str(ended.folder), "--repair", "--read", "all")
    assert done.exit_code == 0
    assert json.loads(done.stdout)[0]["cure"] == "repaired"
    assert runner.invoke(root, ["backup", "verify", str(ended.folder)]).exit_code == 0


def test_a_check_says_what_was_compared(ended: Nights) -> None:
    """Without reading bytes it says so; of the same bytes, rows need not be counted."""
    runner, words = CliRunner(), ["backup", "verify", str(ended.folder)]
    count = len(ended.objects())
    compared = f"compared {count} objects: whether they are there and their sizes; "
    done = runner.invoke(root, words)
    assert (done.exit_code, done.stderr) == (
        0,
        f"hint: {compared}the rows of 15; no bytes were read\n",
    )
    done = runner.invoke(root, [*words, "--read", "all"])
    assert done.stderr.startswith(f"hint: {compared}the sha256 of {count - 1} (0.")


def test_the_folder_is_looked_at_before_the_key(tmp_path: Any) -> None:
    """Who has neither a backup nor a key hears of the backup first."""
    (tmp_path / "file").touch()
    for words, said in (
        (["verify", str(tmp_path), "--repair"], "holds no backup"),
        (["verify", str(tmp_path), "--against-server"], "holds no backup"),
        (["run", "--to", str(tmp_path / "file")], "is not a folder"),
    ):
        done = CliRunner().invoke(root, ["backup", *words])
        assert (done.exit_code, said in done.stderr) == (2, True)


def test_a_folder_without_a_backup_is_exit_2(tmp_path: Any) -> None:
    """The message says what is missing."""
    for name in ("status", "diff", "verify"):
        done = CliRunner().invoke(root, ["backup", name, str(tmp_path)])
        assert done.exit_code == 2
        assert "holds no backup: swanlab-backup.json is missing" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot interrupt itself there")
def test_an_interrupted_backup_leaves_nothing_temporary(world: LivingData, nights: Nights) -> None:
    """Exit 130; what has a receipt is kept, and the next backup goes on and tidies up."""
    for i in range(4):
        world.start(f"run{i}")
        world.log_many(f"run{i}", 3, "loss")
    access = ["--host", nights.sandbox.url, "--api-key", nights.sandbox.api_key]
    words = ["backup", "run", "--to", str(nights.folder), *access]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words], capture_output=True, check=False
    )
    assert done.returncode == 130, done.stderr
    assert backup_run(nights).exit_code == 0
    assert nights.objects("state/tmp") == {}
    assert len(nights.runs()) == 4


def test_an_object_that_cannot_be_read_is_named(ended: Nights) -> None:
    """What stands in the place of an object is no matter of printing."""
    (ended.folder / "state" / "projects.json").unlink()
    (ended.folder / "state" / "projects.json").mkdir()
    done = backup_run(ended)
    assert done.exit_code == 1
    assert "error: cannot read '" in done.stderr
    assert "projects.json': it is a folder" in done.stderr
