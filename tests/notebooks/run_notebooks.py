"""Execute every notebook; they are committed without output.

``python tests/notebooks/run_notebooks.py`` fails where a notebook fails, or holds output already.
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


def is_clean(notebook: Any) -> bool:
    """Say whether a notebook holds neither output nor execution counts."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return not any(cell.outputs or cell.execution_count for cell in cells)


def run(path: Path, save: Path | None) -> str:
    """Execute one notebook in a folder of its own; returns what is wrong with it."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if not is_clean(notebook):
        return "is committed with output"
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
    return "".join(said)


def main() -> None:
    """Run all; exit 1 where one fails."""
    save = Path(sys.argv[sys.argv.index("--save") + 1]) if "--save" in sys.argv else None
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    failed = 0
    for path in paths:
        wrong = run(path, save)
        print(f"{path.name}: {wrong or 'ok'}", flush=True)
        failed += bool(wrong)
    sys.exit(1 if failed or not paths else 0)


if __name__ == "__main__":
    main()
