"""What every notebook must be, besides what `make check` finds when it executes them."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells_of(path: Path, kind: str) -> list[str]:
    """Return the sources of the code or text cells of a notebook."""
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def statements_of(path: Path) -> list[ast.AST]:
    """Return all nodes of the code of a notebook."""
    return list(ast.walk(ast.parse("\n".join(cells_of(path, "code")))))


def test_there_are_four_notebooks_and_both_readmes_link_them() -> None:
    """Each notebook is linked from README.md and README.zh-CN.md."""
    assert len(PATHS) == 4
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert [p.name for p in PATHS if f"(notebooks/{p.name})" not in text] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.stem))
def test_results_are_checked_outside_of_the_notebook(path: Path) -> None:
    """A notebook has no assertion; its function in expected.py has many."""
    assert [node for node in statements_of(path) if isinstance(node, ast.Assert)] == []
    checks = ast.parse((ROOT / "tests/notebooks/expected.py").read_text(encoding="utf-8"))
    name = path.stem.partition("-")[2].replace("-", "_")
    (function,) = [
        node for node in checks.body if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    assert sum(isinstance(node, ast.Assert) for node in ast.walk(function)) >= 8


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.stem))
def test_no_notebook_silences_warnings(path: Path) -> None:
    """Warnings are handled where they occur: none is ignored, and no filter outlives its block."""
    code = "\n".join(cells_of(path, "code"))
    assert re.findall(r"[\"']ignore[\"']", code) == []
    assert re.findall(r"^warnings\.\w+filter.*", code, re.MULTILINE) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.stem))
def test_a_notebook_closes_what_it_opens(path: Path) -> None:
    """Every connection, server and temporary folder of a notebook is closed at its end."""
    code = "\n".join(cells_of(path, "code"))
    assert code.count("= se.connect(") == code.count(".close()")
    assert code.count(".start()") == code.count(".stop()")
    assert code.count("TemporaryDirectory()") == code.count(".cleanup()")


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.stem))
def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    """A notebook links only to notebooks that exist."""
    links = re.findall(r"\]\(([^)]+)\)", "\n".join(cells_of(path, "markdown")))
    assert [link for link in links if not (path.parent / link).is_file()] == []


def test_one_notebook_shows_progress() -> None:
    """The first notebook has progress bars: executing it shows that they work and are cleared."""
    assert "progress=True" in "\n".join(cells_of(PATHS[0], "code"))
