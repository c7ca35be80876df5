"""The notebooks are what `make check` can hold them to; it executes them, too."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
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
def test_a_notebook_asserts_what_it_states(path: Path) -> None:
    """Every notebook asserts its results, so that a wrong one fails where it is executed."""
    found = [node for node in statements_of(path) if isinstance(node, ast.Assert)]
    assert len(found) >= 8


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.stem))
def test_no_notebook_silences_warnings(path: Path) -> None:
    """Warnings are handled where they arise: none is ignored, and no filter outlives its block."""
    code = "\n".join(cells_of(path, "code"))
    assert re.findall(r"[\"']ignore[\"']", code) == []
    assert re.findall(r"^warnings\.\w+filter.*", code, re.MULTILINE) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.stem))
def test_a_notebook_tidies_up(path: Path) -> None:
    """What a notebook opens it closes: the connection, and its folder where it has one."""
    code = "\n".join(cells_of(path, "code"))
    assert code.count("se.connect(") == code.count(".close()")
    assert code.count("TemporaryDirectory()") == code.count(".cleanup()")


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.stem))
def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    """A notebook links only to notebooks that exist."""
    links = re.findall(r"\]\(([^)]+)\)", "\n".join(cells_of(path, "markdown")))
    assert [link for link in links if not (path.parent / link).is_file()] == []


def test_one_notebook_shows_progress() -> None:
    """The first notebook draws bars, so that executing it shows that they work and stay quiet."""
    assert "progress=True" in "\n".join(cells_of(PATHS[0], "code"))
