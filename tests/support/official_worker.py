"""Runs the official client of the Python that runs this file; one JSON line in and out each.

Not imported by the tests: ``official.py`` starts it in an environment of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def run_command(words: list[str], host: str, key: str) -> str:
    """What ``swanlab api …`` prints."""
    from click.testing import CliRunner

    cli = importlib.import_module("swanlab.cli").cli
    access = ["--host", host, "--api-key", key]
    return CliRunner().invoke(cli, ["api", *words, *access]).stdout


def run_api(expression: str, host: str, key: str) -> Any:
    """Evaluate an expression over ``api``, an instance of the official ``Api``."""
    swanlab = importlib.import_module("swanlab")
    return eval(expression, {"api": swanlab.Api(api_key=key, host=host)})


def run_open_api(expression: str, host: str, key: str) -> Any:
    """Evaluate an expression over ``api``, an instance of the ``OpenApi`` of older clients."""
    os.environ["SWANLAB_API_HOST"] = f"{host}/api"
    os.environ["SWANLAB_WEB_HOST"] = host
    open_api = importlib.import_module("swanlab.api").OpenApi
    return eval(expression, {"api": open_api(api_key=key, log_level="error")})


RUNNERS: dict[str, Callable[[Any, str, str], Any]] = {
    "command": run_command,
    "api": run_api,
    "open_api": run_open_api,
}


def main() -> None:
    """Serve requests from standard input until it ends; the client's own output is discarded."""
    warnings.simplefilter("ignore")
    output = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                result = RUNNERS[asked["kind"]](asked["what"], asked["host"], asked["key"])
                response = {"result": result}
            except Exception as error:  # noqa: BLE001  the test says whether it is expected
                response = {"error": f"{type(error).__name__}: {error}"}
            output.write(json.dumps(response) + "\n")
            output.flush()


if __name__ == "__main__":
    main()
