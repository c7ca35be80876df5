"""Execute every notebook; they are committed without output.

``python tests/notebooks/run_notebooks.py`` fails where a cell fails, where one says something on
stderr, such as a warning, or where output was committed. What a notebook's text states is asserted
in its cells. With ``--save DIR`` the executed notebooks are written there, to be looked at.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[2]
# Progress bars are widgets where there are widgets; they must be quiet without, too.
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"


def is_clean(notebook: Any) -> bool:
    """Say whether a notebook holds neither output nor execution counts."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return not any(cell.outputs or cell.execution_count for cell in cells)


def run(path: Path, save: Path | None, *, first: str = "") -> str:
    """Execute one notebook in a folder of its own, after ``first``; returns what is wrong with it."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if not is_clean(notebook):
        return "is committed with output"
    if first:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first))  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}})
        try:
            client.execute()
        except CellExecutionError as error:
            return str(error)
    if save is not None:
        nbformat.write(notebook, save / path.name)  # type: ignore[no-untyped-call]
    said = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
    return left_on_screen("".join(said))


def left_on_screen(text: str) -> str:
    """Return what is left to be read: a bar that was drawn and wiped is not."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return "\n".join(lines).strip()


def main() -> None:
    """Run all; exit 1 where one fails."""
    save = Path(sys.argv[sys.argv.index("--save") + 1]) if "--save" in sys.argv else None
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    wrong = {path.name: run(path, save) for path in paths}
    if paths:
        wrong[f"{paths[0].name} without ipywidgets"] = run(paths[0], None, first=WITHOUT_WIDGETS)
    for name, found in wrong.items():
        print(f"{name}: {found or 'ok'}", flush=True)
    sys.exit(1 if any(wrong.values()) or not paths else 0)


if __name__ == "__main__":
    main()
