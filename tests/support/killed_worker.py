"""Makes backups in forked children that kill themselves at a moment that they are told.

Not imported by the tests: ``Worker`` of ``backup_support`` starts it. One JSON line in and out each.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from typing import Any

import swanlab_export as se
from swanlab_export.backups import run  # noqa: F401  imported once, for all children

if sys.platform == "win32":
    raise SystemExit("Windows does not fork")

# What Python announces just before it happens, as far as a backup does it.
EVENTS = ("http.client.send", "open", "os.rename", "os.remove", "os.mkdir")


def kill_at(asked: dict[str, Any]) -> list[int]:
    """Kill this process just before the n-th event that matches; returns what counts them."""
    count = [0]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in EVENTS:
            return
        text = f"{event} {args[1] if event != 'os.remove' else args[0]}"
        if event == "open":
            text = f"{event} {args[0]} {args[1]}"
        if asked["folder"] not in text and event != "http.client.send":
            return
        if all(each in text for each in asked["match"]):
            count[0] += 1
            if count[0] == asked["nth"]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return count


def back_up(asked: dict[str, Any]) -> int:
    """Make one backup; returns how many events matched."""
    warnings.simplefilter("ignore")
    count = kill_at(asked)
    with se.connect(host=asked["host"], api_key=asked["key"], frame="arrow", jobs=2) as api:
        se.backup(api, to=asked["folder"])
    return count[0]


def main() -> None:
    """Serve requests from standard input until it ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            with os.fdopen(write, "w") as stream:
                stream.write(str(back_up(asked)))
                stream.flush()
                os._exit(0)
        os.close(write)
        _, status = os.waitpid(child, 0)
        with os.fdopen(read) as stream:
            said = stream.read()
        killed = os.WIFSIGNALED(status)
        sys.stdout.write(json.dumps({"killed": killed, "events": int(said or 0)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
