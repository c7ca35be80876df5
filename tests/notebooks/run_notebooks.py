"""Execute every notebook and check its results; notebooks are committed without output.

``python tests/notebooks/run_notebooks.py`` fails if a cell fails or writes to stderr, such as a
warning, if a result is not what the text says (see ``expected.py``), or if output was committed.
With ``--save DIR`` the executed notebooks are written there, to be looked at.
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
# Progress bars are widgets if there are widgets; without them they must be quiet, too.
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"


def is_clean(notebook: Any) -> bool:
    """Say whether a notebook has neither output nor execution counts."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return not any(cell.outputs or cell.execution_count for cell in cells)


def check_of(path: Path) -> str:
    """The code that checks a notebook's results: a call of its function in ``expected.py``."""
    name = path.stem.partition("-")[2].replace("-", "_")
    return (
        f"import sys, types; sys.path.insert(0, {str(Path(__file__).parent)!r}); import expected; "
        f"expected.{name}(types.SimpleNamespace(**globals()))"
    )


def run(path: Path, save: Path | None, *, first: str = "") -> str:
    """Execute one notebook in a folder of its own, after ``first``; returns what is wrong with it."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    if not is_clean(notebook):
        return "is committed with output"
    given = list(notebook.cells)
    new_cell = nbformat.v4.new_code_cell
    # The last code cell closes what the notebook has opened.
    last = max(n for n, cell in enumerate(given) if cell.cell_type == "code")
    check = new_cell(check_of(path))  # type: ignore[no-untyped-call]
    before = [new_cell(first)] if first else []  # type: ignore[no-untyped-call]
    notebook.cells = [*before, *given[:last], check, *given[last:]]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}})
        try:
            client.execute()
        except CellExecutionError as error:
            return str(error)
    if save is not None:
        notebook.cells = given
        nbformat.write(notebook, save / path.name)  # type: ignore[no-untyped-call]
    written = [
        output.text
        for cell in given
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
    return left_on_screen("".join(written))


def left_on_screen(text: str) -> str:
    """Return what stays visible: a progress bar that was drawn and cleared does not."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return "\n".join(lines).strip()


def main() -> None:
    """Run all notebooks; exit 1 if one fails."""
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
