"""The rules of the layout, run as code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import swanlab_export

PACKAGE = Path(swanlab_export.__file__).parent
LEVELS = {
    "errors": 0,
    "refs": 1,
    "schemas": 1,
    "settings": 2,
    "progress": 1,
    "tables": 1,
    "client": 3,
    "pagination": 4,
    "normalizers": 4,
    "writers": 4,
    "endpoints": 5,
    "api": 6,
    "cli": 7,
}


def _imports(path: Path) -> set[str]:
    """Names of our modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("swanlab_export.")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=str)
def test_a_module_imports_only_from_smaller_levels(path: Path) -> None:
    """Nothing imports sideways or upwards; a package may import its own parts."""
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in _imports(path):
        other = name.split(".")[1]
        if own in LEVELS and other in LEVELS and other != own:
            assert LEVELS[other] < LEVELS[own], f"{path} imports {name}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "sandbox").glob("*.py")), ids=str)
def test_the_sandbox_imports_nothing_of_ours(path: Path) -> None:
    """The sandbox cannot share our mistakes."""
    assert all(name.startswith("swanlab_export.sandbox") for name in _imports(path))


def _loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter; returns the modules it has loaded."""
    report = "; import sys; print('|'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(done.stderr.strip().splitlines()[-1].split("|"))


@pytest.mark.parametrize(
    "words", [["--help"], ["api", "--help"], ["api", "run", "metrics", "--help"]]
)
def test_help_waits_for_nothing_heavy(words: list[str]) -> None:
    """Help imports neither pandas, pyarrow nor requests."""
    code = f"from swanlab_export.cli.main import root; root({words!r}, standalone_mode=False)"
    assert not {"pandas", "pyarrow", "requests", "numpy"} & _loaded(code)


def test_a_json_answer_does_not_import_pandas() -> None:
    """Only who asks for a DataFrame pays for pandas."""
    words = ["api", "user", "info", "--host", "sandbox"]
    code = f"from swanlab_export.cli.main import root; root({words!r}, standalone_mode=False)"
    assert "pandas" not in _loaded(code)
