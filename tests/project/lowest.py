"""Runs the tests marked ``core`` with the lowest allowed version of every dependency.

    python tests/project/lowest.py .venv/lowest

The environment is made again when a bound in ``pyproject.toml`` changes. The versions have wheels
for Python 3.11, the lowest allowed version of Python, so another version runs nothing.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def lowest_versions(project: dict[str, Any]) -> list[str]:
    """Return ``name==version`` for each dependency, extras included, from its lower bound."""
    extras: dict[str, list[str]] = project["optional-dependencies"]
    requirements = [*project["dependencies"], *itertools.chain.from_iterable(extras.values())]
    pinned = []
    for requirement in requirements:
        bound = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\d.]+)(?:,<[\d.]+)?", requirement)
        if bound is None:
            raise SystemExit(f"pyproject.toml: {requirement!r} has no lower bound")
        pinned.append(f"{bound[1]}=={bound[2]}")
    return sorted(set(pinned))


def make_environment(folder: Path, project: dict[str, Any]) -> Path:
    """Install everything at its lowest version, unless that is done; returns the interpreter."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    constraints, complete = folder / "lowest.txt", folder / ".complete"
    pinned = "\n".join(lowest_versions(project)) + "\n"
    if complete.is_file() and complete.read_text(encoding="utf-8") == pinned:
        return python
    venv.create(folder, with_pip=True, clear=True)
    constraints.write_text(pinned, encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    package = f"{ROOT}[{','.join(project['optional-dependencies'])}]"
    words = ["--constraint", str(constraints), "--editable", package, "--group", "test"]
    subprocess.run([*pip, *words], check=True, cwd=ROOT)
    complete.write_text(pinned, encoding="utf-8")
    return python


def core_files() -> list[Path]:
    """Find the files with such tests: others may import packages that are not in the group."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [file for file in files if "pytest.mark.core" in file.read_text(encoding="utf-8")]


def main(folder: Path) -> int:
    """Make the environment and run the tests in it; returns the exit code of pytest."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    if project["requires-python"] != ">={}.{}".format(*sys.version_info):
        print(f"not run: the lowest versions need Python {project['requires-python'][2:]}")
        return 0
    python = make_environment(folder, project)
    # What old versions call may have been deprecated since, in Python or beneath them.
    words = ["-m", "core", "--numprocesses", "auto", "-W", "ignore::DeprecationWarning"]
    command = [str(python), "-m", "pytest", "--quiet", *words, *map(str, core_files())]
    return subprocess.run(command, check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
