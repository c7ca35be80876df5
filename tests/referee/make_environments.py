"""Makes an environment for each release of the official client that judges the sandbox.

    python tests/referee/make_environments.py .venv/referees

An environment that is complete is left as it is, so the script costs nothing the second time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

# The second package is what the first needs for its tables, and does not install.
ENVIRONMENTS = {
    "0.7.20": ["swanlab==0.7.20", "pandas"],
    "0.8.5": ["swanlab==0.8.5"],
    "0.10.3": ["swanlab==0.10.3"],
}


def main(folder: Path) -> None:
    """Make the environments that are missing or incomplete."""
    for version, packages in ENVIRONMENTS.items():
        environment = folder / version
        complete = environment / ".complete"
        wanted = "\n".join(packages)
        if complete.is_file() and complete.read_text() == wanted:
            continue
        if not environment.is_dir():
            venv.create(environment, with_pip=True)
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        options = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *options, *packages], check=True)
        complete.write_text(wanted)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
