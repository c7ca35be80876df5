"""Builds what ``.github/Dockerfile`` builds, in a temporary folder instead of an image.

    python tests/project/build_image.py

It copies what ``Dockerfile.dockerignore`` lets through, runs the ``RUN`` steps of the first stage
in that folder, and then the entry point. It cannot check the base image and the second stage's
user, which need a container engine; of the user it checks that it is a number and not root.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / ".github" / "Dockerfile"
TRIAL = "api run metrics ada-lab/digits/linear --keys loss --host sandbox --save loss.csv"


def read_stages(text: str) -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage, with their words."""
    stages: list[list[tuple[str, str]]] = []
    for name, words in re.findall(r"^([A-Z]+) (.+)$", text, flags=re.MULTILINE):
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, words))
    return stages


def copy_context(folder: Path) -> None:
    """Copy what the ignore file, which ignores all but some names, lets through."""
    ignore = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8")
    folder.mkdir()
    for name in re.findall(r"^!(.+)$", ignore, flags=re.MULTILINE):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def build(folder: Path) -> Path:
    """Run the first stage in a folder; returns the folder of programs that the image gets."""
    first, last = read_stages(DOCKERFILE.read_text(encoding="utf-8"))
    places = {name: words for name, words in last if name in {"USER", "ENTRYPOINT"}}
    assert int(places["USER"]) > 0, "the image runs as root"
    assert json.loads(places["ENTRYPOINT"]) == ["swanlab-export"]
    assert ("COPY", ". /source") in first
    assert ("COPY", "--from=build /opt/swanlab-export /opt/swanlab-export") in last
    assert ("ENV", 'PATH="/opt/swanlab-export/bin:$PATH"') in last
    copy_context(folder / "source")
    for name, words in first:
        if name == "RUN":
            local = words.replace("/opt/", f"{folder}/opt/").replace("/source", f"{folder}/source")
            command = shlex.split(local)
            command[0] = sys.executable if command[0] == "python" else command[0]
            subprocess.run(command, check=True, cwd=folder)
    return folder / "opt" / "swanlab-export" / "bin"


def main() -> None:
    """Build and try the program, with a private home and without this project's environment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = build(folder)
        environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": name}
        for words in ("--version", TRIAL):
            command = [str(programs / "swanlab-export"), *words.split()]
            subprocess.run(command, check=True, cwd=folder, env=environment)
        assert (folder / "loss.csv").stat().st_size > 0


if __name__ == "__main__":
    main()
