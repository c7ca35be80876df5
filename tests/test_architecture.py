"""The rules of the layout, run as code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import swanlab_export
from swanlab_export.sandbox import Sandbox

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


def _loaded(*words: str) -> set[str]:
    """Run the program in a fresh interpreter; returns the modules that it has loaded at its end."""
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
    "words", [["--help"], ["api", "--help"], ["api", "run", "metrics", "--help"]]
)
def test_help_waits_for_nothing_heavy(words: list[str]) -> None:
    """Help imports neither pandas, pyarrow nor requests."""
    assert not {"pandas", "pyarrow", "requests", "numpy"} & _loaded(*words)


@pytest.mark.parametrize("extension", ["parquet", "csv", "json"])
def test_a_command_imports_neither_pandas_nor_numpy(extension: str, tmp_path: Path) -> None:
    """Only who asks for a DataFrame pays for pandas, and only who draws for numpy."""
    words = ["api", "run", "metrics", "ada-lab/digits/linear", "--keys", "loss", "--all"]
    with Sandbox() as server:
        words += ["--host", server.url, "--api-key", server.api_key, "--save"]
        assert not {"pandas", "numpy"} & _loaded(*words, str(tmp_path / f"loss.{extension}"))
        assert "numpy" in _loaded(*words, str(tmp_path / "loss.png"))
