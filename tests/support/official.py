"""The official client of each generation, each in a process and an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from swanlab_export.sandbox import Sandbox

# The release of the official client that is of the time of each generation of servers.
CLIENT_OF = {"2.6": "0.7.20", "2.8": "0.8.5", "3.1": "0.10.3"}
_FOLDER = Path(__file__).parents[2] / ".venv" / "referees"
_WORKER = Path(__file__).with_name("official_worker.py")
_HIDDEN = ("SWANLAB", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTHON", "COV")


class OfficialError(Exception):
    """The official client raised an error."""


class Official:
    """One release of the official client, in a process that stays until ``close``.

    Args:
        version: The release, such as ``0.10.3``.
        home: An empty folder that is the home of the process.
    """

    def __init__(self, version: str, home: Path) -> None:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(_HIDDEN)
        }
        environment |= {
            "HOME": str(home),
            "USERPROFILE": str(home),
            "SWANLAB_SAVE_DIR": str(home / "swanlab"),
            "NO_PROXY": "127.0.0.1",
        }
        python = find_python(version)  # which skips the test where there is none
        self._errors = (home / "stderr.txt").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [python, "-W", "ignore", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=home,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)
        self._errors.close()

    def ask(self, sandbox: Sandbox, kind: str, what: Any) -> Any:
        """Run one command or expression against a sandbox, as its first user."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"kind": kind, "what": what, "host": sandbox.url, "key": sandbox.api_key}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise OfficialError(self._errors.read()[-2000:])
        response = json.loads(line)
        if "error" in response:
            raise OfficialError(response["error"])
        return response["result"]


def find_python(version: str) -> Path:
    """The Python of the environment of one release; without it the test is skipped."""
    folder = _FOLDER / version
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        return python
    reason = f"there is no environment for swanlab {version}: make referees"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Referee:
    """An official client that is pointed at one sandbox, as its first user."""

    def __init__(self, client: Official, sandbox: Sandbox) -> None:
        self.client = client
        self.sandbox = sandbox

    def respond(self, *words: str) -> Any:
        """Run ``swanlab api …``; the whole of the JSON that it prints."""
        printed = self.client.ask(self.sandbox, "command", list(words))
        # Warnings of the official client come on standard output, before the JSON.
        return json.loads(printed[printed.index('{\n  "ok"') :])

    def command(self, *words: str) -> Any:
        """Run ``swanlab api …``, which must say ok; its data."""
        response = self.respond(*words)
        assert response["ok"], response["errmsg"]
        return response["data"]

    def api(self, expression: str) -> Any:
        """Evaluate an expression over ``api``, an instance of the official ``Api``."""
        return self.client.ask(self.sandbox, "api", expression)

    def open_api(self, expression: str) -> Any:
        """Evaluate an expression over ``api``, an instance of the ``OpenApi`` of 0.7."""
        return self.client.ask(self.sandbox, "open_api", expression)
