"""What the READMEs show runs, and what exists is in them; CONTRIBUTING says what the code says."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from swanlab_export.cli.main import root

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("swanlab-export api")
]


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_readme_runs(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command in the README succeeds, and prints or saves a table."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(root, shlex.split(line)[1:])
    assert done.exit_code == 0, done.stderr
    assert done.stdout or "saved" in done.stderr


def test_python_of_the_readme_runs(tmp_path: Path) -> None:
    """The Python example in the README runs as it is."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _commands(command: click.Command, path: tuple[str, ...]) -> list[str]:
    if not isinstance(command, click.Group):
        return [" ".join(path)]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        found += _commands(child, (*path, name))
    return found


def test_every_command_is_in_the_readme() -> None:
    """The README's table lists each command of the tree."""
    api = root.get_command(click.Context(root), "api")
    assert api is not None
    missing = [path for path in _commands(api, ()) if f"`{path}" not in README]
    assert not missing


def _code(text: str) -> list[str]:
    """The lines of all code blocks, without comments."""
    blocks = re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0].rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def _numbers(text: str) -> list[str]:
    """The numbers of the comparison, which is the only table with ratios."""
    rows = [
        line for line in text.splitlines() if line.startswith("|") and re.search(r"0\.\d", line)
    ]
    return [number for row in rows for number in re.findall(r"\d+\.\d+|\d+ MB", row)]


def test_the_chinese_readme_says_the_same() -> None:
    """Both have the same code, tables, sections and numbers."""
    assert _code(CHINESE) == _code(README)
    assert _numbers(CHINESE) == _numbers(README)
    for mark in ("\n## ", "\n|", "\n- **", "](notebooks/"):
        assert CHINESE.count(mark) == README.count(mark), mark
    commands = set(re.findall(r"`((?:workspace|project|run|user|self-hosted) [a-z-]+)", README))
    assert len(commands) >= 22
    assert all(f"`{command}" in CHINESE for command in commands)


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_of_the_readmes_leads_somewhere() -> None:
    """Pictures, pages and sections that the READMEs point to exist."""
    for text in (README, CHINESE):
        anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.*)", text, re.MULTILINE)}
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
        links = re.findall(r"\]\(([^)#:]+)\)", text)
        assert len(links) >= 6
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_user_of_the_image_may_write_the_backup_on_kubernetes() -> None:
    """The recipe gives the volume to the group of the user that the Dockerfile makes."""
    (recipe,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    dockerfile = (ROOT / ".github" / "Dockerfile").read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE)
    assert f"useradd --uid {user} " in dockerfile
    assert re.findall(r"runAsNonRoot: (\w+), fsGroup: (\d+)", recipe) == [("true", user)]
    # What is tried again is what may succeed then; see the table of exit codes.
    (final,) = re.findall(r"onExitCodes: \{operator: In, values: \[([\d, ]+)\]", recipe)
    assert final.split(", ") == ["1", "2", "3", "4"]


def test_the_printed_table_is_what_pandas_prints(tmp_path: Path) -> None:
    """The block with the saved file holds what the command says and pandas shows."""
    (block,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    command, saved, _, statement, *table = block.splitlines()
    words = [sys.executable, "-m", *shlex.split(command.replace("-export", "_export", 1))[1:]]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == saved
    expression = statement.removeprefix(">>> ")
    wide = "'display.width', 120, 'display.max_columns', 10"
    code = f"import pandas; pandas.set_option({wide}); print({expression})"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    # Some versions of pandas write microseconds, or arrange the columns in another way.
    assert re.sub(r"(\.\d{3})000\+", r"\1+", shown).split() == " ".join(table).split()


def test_the_levels_of_contributing_are_those_of_the_code() -> None:
    """The table of levels in CONTRIBUTING.md is that of ``tests/test_architecture.py``."""
    tree = ast.parse((ROOT / "tests/test_architecture.py").read_text(encoding="utf-8"))
    (levels,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS"
    ]
    found = {
        name: int(level)
        for level, names in re.findall(r"^\| (\d) \| ([^|]+) \|", CONTRIBUTING, re.MULTILINE)
        for name in re.findall(r"`(\w+)(?:\.py|/)`", names)
    }
    assert found == levels
