"""Runs the official client, both doors of it, in processes and homes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from swanlab_export.sandbox import Sandbox

# Not the console script: our package installs one of the same name.
_CLI = "import sys; from swanlab.cli import cli; sys.argv[0] = 'swanlab'; cli()"
_API = """
import contextlib, json, os, sys, warnings
warnings.simplefilter("ignore")
with contextlib.redirect_stdout(sys.stderr):
    from swanlab import Api
    api = Api(api_key=os.environ["OFFICIAL_KEY"], host=os.environ["OFFICIAL_HOST"])
    found = eval(sys.argv[1], {"api": api})
sys.stdout.write(json.dumps(found))
"""


class Official:
    """The official client, pointed at a sandbox."""

    def __init__(self, sandbox: Sandbox, home: Path) -> None:
        self.sandbox = sandbox
        self.home = home

    def command(self, *words: str) -> Any:
        """Run ``swanlab api …``, which must say ok; its data."""
        answer = self.answer(*words)
        assert answer["ok"], answer["errmsg"]
        return answer["data"]

    def answer(self, *words: str) -> Any:
        """Run ``swanlab api …``; the whole of what it prints."""
        access = ["--host", self.sandbox.url, "--api-key", self.sandbox.api_key]
        out = self._python(_CLI, "api", *words, *access)
        # Warnings of the official client come on standard output, before the JSON.
        return json.loads(out[out.index('{\n  "ok"') :])

    def api(self, expression: str) -> Any:
        """Evaluate an expression over ``api``, an instance of the official ``Api``."""
        return json.loads(self._python(_API, expression))

    def _python(self, code: str, *words: str) -> str:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("SWANLAB", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))
        }
        environment |= {
            "HOME": str(self.home),
            "SWANLAB_SAVE_DIR": str(self.home / "swanlab"),
            "OFFICIAL_HOST": self.sandbox.url,
            "OFFICIAL_KEY": self.sandbox.api_key,
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=environment,
            cwd=self.home,
        )
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
        return done.stdout
