"""A sandbox in a process of its own, that says how many requests it got since it was last asked."""

from __future__ import annotations

import sys

from swanlab_export.sandbox import Sandbox, parse_faults


def main() -> None:
    """Serve until standard input ends; each line of it asks for the number of requests."""
    with Sandbox(synthetic=True, faults=parse_faults(["lenient=1", *sys.argv[1:]])) as sandbox:
        print(sandbox.url, sandbox.api_key, flush=True)
        for _ in sys.stdin:
            print(len(sandbox.requests), sandbox.max_in_flight, flush=True)
            sandbox.reset_log()


if __name__ == "__main__":
    main()
