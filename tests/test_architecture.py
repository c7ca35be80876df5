"""The rules of the layout, run as code. CONTRIBUTING.md states the same levels."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import swanlab_export
from swanlab_export import limits

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox

PACKAGE = Path(swanlab_export.__file__).parent
LEVELS = {
    "_version": 0,
    "limits": 0,
    "messages": 0,
    "patterns": 0,
    "errors": 1,
    "decoding": 2,
    "report": 2,
    "progress": 2,
    "refs": 2,
    "schemas": 2,
    "settings": 2,
    "spool": 2,
    "tables": 3,
    "cells": 3,
    "client": 3,
    "analysis": 4,
    "files": 4,
    "frames": 4,
    "normalizers": 4,
    "pagination": 4,
    "plot": 4,
    "render": 4,
    "endpoints": 5,
    "api": 6,
    "backups": 7,
    "testing": 8,
    "cli": 9,
}
# Names that only payloads use; ours are run_id, created_at, group and so on.
PAYLOAD_NAMES = {
    *("cuid", "experimentId", "experimentName", "projectId", "rootExpId", "rootProId"),
    *("createdAt", "updatedAt", "finishedAt", "pinnedAt", "cosKey", "cluster", "stdDev", "xKey"),
    *("xType", "nextCursor", "hasMore", "projectLabels", "_count", "userInfo", "expiredAt"),
}
# Lists and the login are protocols of their own, which these two modules implement.
PROTOCOLS = {"pagination.py": {"nextCursor", "hasMore"}, "client": {"userInfo", "expiredAt"}}
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


@cache
def _imports(file: str) -> set[str]:
    """Names of our modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.partition(".")[0] == "swanlab_export"}


def _own(file: str) -> str:
    return file.partition("/")[0].removesuffix(".py")


def test_a_module_imports_only_from_smaller_levels() -> None:
    """Nothing imports from its own level or above; a package may import its own parts."""
    wrong = []
    for file in FILES:
        own = _own(file)
        for name in _imports(file):
            other = ([*name.split("."), ""])[1]
            if own in LEVELS and other in LEVELS and other != own and LEVELS[other] >= LEVELS[own]:
                wrong.append(f"{file} imports {name}")
    assert not wrong


def test_every_module_has_a_level() -> None:
    """A new module or package needs a place in the layout."""
    outside = {"__init__", "__main__", "sandbox"}
    assert {_own(file) for file in FILES} - outside == set(LEVELS)


def test_no_module_imports_the_package_root() -> None:
    """The public names are for users; inside, every import names its module."""
    wrong = []
    for file in FILES:
        for node in ast.walk(_tree(file)):
            if isinstance(node, ast.ImportFrom) and node.module == "swanlab_export":
                parts = [PACKAGE / alias.name for alias in node.names]
                wrong += [
                    f"{file} imports {part.name}"
                    for part in parts
                    if not (part.is_dir() or part.with_suffix(".py").exists())
                ]
    assert not wrong


def test_imports_have_no_circles_inside_a_package() -> None:
    """A module of a package never imports, over others of it, itself."""
    wrong = []
    for file in FILES:
        seen: set[str] = set()
        open_files = list(_siblings(file))
        while open_files:
            current = open_files.pop()
            if current not in seen:
                seen.add(current)
                open_files.extend(_siblings(current))
        if file in seen:
            wrong.append(f"{file} imports itself over others")
    assert not wrong


@cache
def _siblings(file: str) -> set[str]:
    """Files of the same package that a file imports when it is loaded."""
    found = set()
    for node in _tree(file).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("swanlab_export."):
            modules = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
            paths = {name.replace(".", "/").removeprefix("swanlab_export/") for name in modules}
            found |= {f"{path}.py" for path in paths if f"{path}.py" in FILES}
    return {other for other in found if _own(other) == _own(file) and other != file}


def test_payload_names_are_in_endpoints_and_normalizers_alone() -> None:
    """No other module depends on how the server names its fields."""
    wrong = {}
    for file in FILES:
        own = _own(file)
        if own in {"endpoints", "normalizers", "sandbox"}:
            continue
        allowed = PROTOCOLS.get(own, set()) | PROTOCOLS.get(file, set())
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(_tree(file))
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        names = {
            node.value
            for node in ast.walk(_tree(file))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        }
        if found := names & (PAYLOAD_NAMES - allowed):
            wrong[file] = found
    assert not wrong


def test_normalizers_see_no_client() -> None:
    """What a command still has to fetch, its api function fetches."""
    forbidden = ("swanlab_export.client", "swanlab_export.settings", "swanlab_export.pagination")
    files = [file for file in FILES if _own(file) == "normalizers"]
    assert files
    assert not [(f, name) for f in files for name in _imports(f) if name.startswith(forbidden)]


def test_the_sandbox_imports_nothing_of_ours() -> None:
    """The sandbox cannot share our mistakes."""
    files = [file for file in FILES if _own(file) == "sandbox"]
    names = [(file, name) for file in files for name in _imports(file)]
    assert names
    assert not [each for each in names if not each[1].startswith("swanlab_export.sandbox")]


def test_limits_are_written_once() -> None:
    """A number or a list of choices of ``limits`` is not repeated elsewhere."""
    choices = [set(value) for value in vars(limits).values() if isinstance(value, tuple)]
    wrong = []
    for file in FILES:
        if file == "limits.py" or _own(file) == "sandbox":
            continue
        for node in ast.walk(_tree(file)):
            if isinstance(node, ast.Tuple | ast.List):
                values = {each.value for each in node.elts if isinstance(each, ast.Constant)}
                is_repeated = len(values) >= 3 and values in choices
            else:
                value = node.value if isinstance(node, ast.Constant) else None
                is_repeated = type(value) is int and value in {1500, 500_000}
            if is_repeated:
                wrong.append(f"{file}:{getattr(node, 'lineno', 0)}")
    assert not wrong


# Of Arrow: what asks for the rules of a zone, also where that is UTC. On Windows it finds none.
OF_ZONES = {
    *("strftime", "assume_timezone", "local_timestamp", "is_dst", "is_leap_year", "iso_calendar"),
    *("year", "quarter", "month", "week", "iso_week", "day", "day_of_week", "day_of_year", "hour"),
    *("minute", "second", "year_month_day", "floor_temporal", "ceil_temporal", "round_temporal"),
}


@pytest.mark.parametrize("file", FILES)
def test_no_time_needs_the_rules_of_a_zone(file: str) -> None:
    """Times are computed as integers, and formatted without their zone."""
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"pc", "pa.compute"}:
            assert node.attr not in OF_ZONES, f"{file}:{node.lineno}"


# Words of the field stand in for these; see "Plain words" in CONTRIBUTING.md.
BANNED = re.compile(
    r"\b(the wire|wire names|answered with a table|both doors|a noun of|side by side|(?-i:in passing)"
    r"|drips?|taken up again|spelled? (?:as|out)|whole numbers?|by chance|whoever|made up)\b",
    re.IGNORECASE,
)


def test_words_are_plain() -> None:
    """Code, comments, messages, tests and pages use standard terms."""
    root = PACKAGE.parent
    files = [path for name in ("swanlab_export", "tests") for path in (root / name).rglob("*.py")]
    files += [root / "README.md", root / "CHANGELOG.md", root / "tests" / "README.md"]
    wrong = [
        f"{path.relative_to(root)}: {match[0]}"
        for path in files
        if path != Path(__file__)
        for match in BANNED.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not wrong


def _loaded(*words: str) -> set[str]:
    """Run the program in a new interpreter; returns the modules that it has loaded at its end."""
    code = (
        "import atexit, sys;"
        "names = lambda: [name for name, module in sys.modules.items() if module];"
        "atexit.register(lambda: print('|'.join(names()), file=sys.stderr));"
        "from swanlab_export.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    return set(done.stderr.strip().splitlines()[-1].split("|"))


@pytest.mark.parametrize(
    "words",
    [["--help"], ["api", "--help"], ["api", "run", "metrics", "--help"]],
    ids=" ".join,
)
def test_help_waits_for_nothing_heavy(words: list[str]) -> None:
    """Help imports neither pandas, pyarrow nor requests."""
    assert not {"pandas", "pyarrow", "requests", "numpy"} & _loaded(*words)


@pytest.mark.parametrize("extension", ["parquet", "csv", "json"])
def test_a_command_imports_neither_pandas_nor_numpy(
    extension: str, server: Sandbox, tmp_path: Path
) -> None:
    """Only a DataFrame needs pandas, and only a plot needs numpy."""
    words = ["api", "run", "metrics", "ada-lab/digits/linear", "--keys", "loss", "--all"]
    words += ["--host", server.url, "--api-key", server.api_key, "--save"]
    assert not {"pandas", "numpy"} & _loaded(*words, str(tmp_path / f"loss.{extension}"))


def test_a_check_of_a_backup_imports_nothing_that_asks_a_server() -> None:
    """It then takes a third less time to start."""
    loaded = _loaded("backup", "verify", str(PACKAGE.parent / "sample_data"), "--quiet")
    assert "swanlab_export.backups.verify" in loaded
    assert not {"pandas", "numpy", "requests"} & loaded


def test_a_picture_and_the_sandbox_have_numpy(server: Sandbox, tmp_path: Path) -> None:
    """What needs numpy is found from the parsed command, however it is written."""
    words = ["api", "run", "metrics", "ada-lab/digits/linear", "--keys", "loss", "--all"]
    access = ["--host", server.url, "--api-key", server.api_key]
    assert "numpy" in _loaded(*words, *access, "--save", str(tmp_path / "loss.PNG"))
    assert "numpy" in _loaded(*words, "--host", " sandbox ", "--save", str(tmp_path / "l.csv"))
