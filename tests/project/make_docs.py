"""Writes the API reference, one page per module with public names, from the docstrings.

    python -W error tests/project/make_docs.py build/docs

With ``-W error`` a docstring that refers to nothing, or a type that cannot be resolved, fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pdoc
import pdoc.render

import swanlab_export
from swanlab_export.api.connect import Api, connect
from swanlab_export.api.projects import Projects
from swanlab_export.api.runs import Runs
from swanlab_export.api.self_hosted import SelfHosted
from swanlab_export.api.users import Users
from swanlab_export.api.workspaces import Workspaces
from swanlab_export.backups.run import backup

RESOURCES = (Workspaces, Projects, Runs, Users, SelfHosted)


def documented_modules() -> list[str]:
    """Name the package, the modules of all resources, and those that users import by name."""
    bases = {base.__module__ for resource in RESOURCES for base in resource.__mro__}
    resources = {name for name in bases if name.startswith("swanlab_export.api.")}
    named = {"swanlab_export", "swanlab_export.sandbox", "swanlab_export.testing"}
    return sorted(resources | named)


def main(folder: Path) -> None:
    """Write the pages, an index and a search into a folder."""
    # The package imports these when they are first used; pdoc looks only at what is there.
    vars(swanlab_export).update(Api=Api, backup=backup, connect=connect)
    pdoc.render.configure(docformat="google", footer_text=f"version {swanlab_export.__version__}")
    pdoc.pdoc(*documented_modules(), output_directory=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
